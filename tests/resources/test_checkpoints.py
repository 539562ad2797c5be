"""Checkpoints are named by content and checked when they are opened."""

import dagster as dg
import pytest

from resources.checkpoints import Checkpoints


def test_same_files_same_version_and_damage_is_found(tmp_path):
    store = Checkpoints(root=str(tmp_path))

    def write(folder):
        (folder / "weights.bin").write_bytes(b"abc")

    version = store.save("m", write, about={"seed": 0})
    assert store.save("m", write) == version
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [version]
    (store.path("m", version) / "weights.bin").write_bytes(b"abd")
    with pytest.raises(dg.Failure, match="damaged"):
        store.path("m", version)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def write(folder):
        (folder / "half").write_bytes(b"x")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Checkpoints(root=str(tmp_path)).save("m", write)
    assert list((tmp_path / "m").iterdir()) == []
