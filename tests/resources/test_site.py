import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from resources.site import SiteStore

A = [("index.html", b"a"), ("collections/red.html", b"red")]
B = [("index.html", b"b"), ("collections/red.html", b"red")]
C = [("index.html", b"c")]


@pytest.fixture
def store(tmp_path):
    return SiteStore(root=str(tmp_path / "site"), lock_timeout=20)


def live(store: SiteStore) -> bytes:
    return (Path(store.root) / "current" / "index.html").read_bytes()


def leftovers(store: SiteStore) -> list[Path]:
    root = Path(store.root)
    return [*root.glob(".staging-*"), *(root / "versions").glob(".staging-*")]


def test_publish_switches_to_a_version_named_after_its_content(store):
    assert store.current() is None
    assert store.versions() == []
    first = store.publish(A)
    assert live(store) == b"a"
    second = store.publish(iter(B))
    assert live(store) == b"b"
    assert (Path(store.root) / "current" / "collections" / "red.html").read_bytes() == b"red"
    assert first != second
    assert store.current() == second
    assert store.current_folder() == Path(store.root) / "versions" / second
    assert store.versions() == [first, second]
    assert leftovers(store) == []


def test_current_is_a_relative_link_so_that_the_site_can_be_moved(store, tmp_path):
    store.publish(A)
    Path(store.root).rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "current" / "index.html").read_bytes() == b"a"


def test_same_content_is_the_same_version_whatever_the_order(store):
    first = store.publish(A)
    assert store.publish(reversed(A)) == first
    assert store.versions() == [first]
    assert [p.name for p in (Path(store.root) / "versions").iterdir()] == [first]


def test_the_path_is_part_of_the_content(store):
    assert store.publish([("a.html", b"x")]) != store.publish([("b.html", b"x")])


def test_rollback_goes_back_one_version_at_a_time(store):
    a, b, c = store.publish(A), store.publish(B), store.publish(C)
    assert store.rollback() == b
    assert live(store) == b"b"
    assert store.rollback() == a
    assert store.versions() == [a, b, c]
    with pytest.raises(LookupError, match="no version before"):
        store.rollback()
    assert live(store) == b"a"


def test_nothing_to_roll_back_to(store):
    with pytest.raises(LookupError):
        store.rollback()
    store.publish(A)
    with pytest.raises(LookupError):
        store.rollback()


def test_publishing_after_a_rollback_leaves_the_bad_version_out_of_the_line(store):
    a, b = store.publish(A), store.publish(B)
    store.rollback()
    c = store.publish(C)
    assert store.versions() == [a, c]
    assert store.rollback() == a, "a rollback never leads to a version that was rolled back"
    assert b not in store.versions()


def test_publishing_old_content_again_moves_it_to_the_end(store):
    a, b = store.publish(A), store.publish(B)
    assert store.publish(A) == a
    assert store.versions() == [b, a]
    assert store.rollback() == b


def test_prune_never_removes_the_live_version_or_the_one_before(store):
    made = [store.publish([("index.html", str(n).encode())]) for n in range(5)]
    store.rollback()
    store.rollback()  # live: made[2], before it: made[1]
    assert store.prune(keep=1) == sorted([made[0], made[3]])
    assert store.versions() == [made[1], made[2], made[4]]
    assert live(store) == b"2"
    assert store.rollback() == made[1]
    assert live(store) == b"1"
    with pytest.raises(ValueError, match="at least 1"):
        store.prune(keep=0)


def test_prune_removes_versions_that_left_the_history(store):
    store.publish(A)
    b = store.publish(B)
    store.rollback()
    store.publish(C)
    assert store.prune(keep=10) == [b]


@pytest.mark.parametrize(
    "path",
    [
        "../evil.html", "a/../../evil", "/etc/passwd", "", ".", "a//b", "a/", "a\\b", "c:evil",
        "a\x00b", "a\nb", "a/./b", "x" * 300,
    ],
)  # fmt: skip
def test_an_unsafe_path_is_refused_and_changes_nothing(store, path):
    version = store.publish(A)
    with pytest.raises(ValueError, match="unsafe path"):
        store.publish([("index.html", b"new"), (path, b"evil")])
    assert store.current() == version
    assert store.versions() == [version]
    assert leftovers(store) == []
    assert not (Path(store.root) / "evil.html").exists()
    assert not (Path(store.root) / "versions" / "evil.html").exists()


def test_a_path_given_twice_or_no_file_is_refused(store):
    with pytest.raises(ValueError, match=r"given twice: 'index\.html'"):
        store.publish([("index.html", b"1"), ("index.html", b"2")])
    with pytest.raises(ValueError, match="without files"):
        store.publish([])
    assert store.current() is None


def test_a_renderer_that_fails_half_way_changes_nothing(store):
    def files():
        yield "index.html", b"new"
        raise RuntimeError("no such image")

    version = store.publish(A)
    with pytest.raises(RuntimeError, match="no such image"):
        store.publish(files())
    assert store.current() == version
    assert leftovers(store) == []


KILLED_PUBLISHER = """
import sys, time
from resources.site import SiteStore

def files():
    for n in range(1000):
        yield f"page-{n}.html", b"x" * 10_000
        if n == 20:
            print("writing", flush=True)
            time.sleep(60)

SiteStore(root=sys.argv[1]).publish(files())
"""


def test_a_publisher_killed_while_writing_leaves_the_live_site(store):
    version = store.publish(A)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_PUBLISHER, store.root],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert leftovers(store), "it was killed while its files were there"
    assert store.current() == version
    assert live(store) == b"a"
    assert store.versions() == [version]
    second = store.publish(B)  # the lock fell with its process
    assert store.versions() == [version, second]
    assert leftovers(store) == []


def test_a_publisher_killed_before_the_switch_is_finished_by_the_next(store, monkeypatch):
    version = store.publish(A)

    def killed(self, version):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SiteStore, "_switch", killed)
        with pytest.raises(KeyboardInterrupt):
            store.publish(B)
    assert store.current() == version
    with pytest.raises(LookupError):
        store.rollback()  # what never was live does not count
    second = store.publish(B)
    assert store.versions() == [version, second]
    assert live(store) == b"b"


def test_history_is_readable_json(store):
    version = store.publish(A)
    body = json.loads((Path(store.root) / "history.json").read_text())
    assert body == {"versions": [version]}


def _publish_slowly(root: str, name: str, log: Path) -> None:
    def files():
        with log.open("a") as file:
            file.write(f"{name} in\n")
        for n in range(10):
            time.sleep(0.02)
            yield f"{n}.html", name.encode()
        with log.open("a") as file:
            file.write(f"{name} out\n")

    SiteStore(root=root).publish(files())


def test_two_publishers_do_not_mix(store, tmp_path):
    log = tmp_path / "log"
    both = [threading.Thread(target=_publish_slowly, args=(store.root, n, log)) for n in "xy"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    lines = log.read_text().splitlines()
    assert sorted(lines[:2]) == [f"{lines[0][0]} in", f"{lines[0][0]} out"], "one after the other"
    assert len(store.versions()) == 2
    names = {p.read_bytes() for p in (Path(store.root) / "current").iterdir()}
    assert len(names) == 1


def test_a_busy_site_is_a_clear_error(store):
    waiting = SiteStore(root=store.root, lock_timeout=0.05)

    def files():
        with pytest.raises(TimeoutError, match="another process has been publishing"):
            waiting.rollback()
        yield "index.html", b"a"

    store.publish(files())
    assert live(store) == b"a"
