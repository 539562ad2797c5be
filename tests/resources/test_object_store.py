"""A folder and a bucket do the same: every call of the interface, on both."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from resources.object_store import open_store


@pytest.fixture
def store(root):
    return open_store(root)


def test_what_was_put_is_read_listed_and_deleted(store):
    assert store.list("a") == []
    store.put("a/b/one", b"1")
    store.put("a/two", b"2")
    store.put("ab/three", b"3")
    store.put("a/two", b"two")
    assert store.get("a/two")[0] == b"two"
    assert [entry.path for entry in store.list("a")] == ["a/b/one", "a/two"]
    assert all(entry.modified > 1.7e9 for entry in store.list("a"))
    store.delete("a/two")
    store.delete("a/two")
    assert [entry.path for entry in store.list("a")] == ["a/b/one"]
    with pytest.raises(FileNotFoundError):
        store.get("a/two")


def test_one_of_two_creators_wins(store):
    assert store.create("a/x", b"first")
    assert not store.create("a/x", b"second")
    assert store.get("a/x")[0] == b"first"


def test_who_replaces_what_has_changed_since_loses(store):
    store.put("a/x", b"0")
    _, tag = store.get("a/x")
    assert store.replace("a/x", b"1", tag)
    assert not store.replace("a/x", b"2", tag)
    assert store.get("a/x")[0] == b"1"
    assert store.replace("a/x", b"3", store.get("a/x")[1])
    assert not store.replace("a/nothing", b"4", tag)
    with pytest.raises(FileNotFoundError):
        store.get("a/nothing")


def test_of_many_writers_at_once_none_is_lost(tmp_path):
    """Read, add one, replace. On a folder only: moto compares and writes in two steps, so there two
    writers at the very same moment may both win, which S3 excludes."""
    store = open_store(str(tmp_path))
    store.put("count", b"0")

    def add(_: int) -> None:
        with store.exclusive("count"):
            data, tag = store.get("count")
            assert store.replace("count", str(int(data) + 1).encode(), tag)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(24)))
    assert store.get("count")[0] == b"24"
