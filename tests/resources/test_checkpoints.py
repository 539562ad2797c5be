"""Checkpoints are named by content and checked when they are opened."""

import dagster as dg
import pytest

from resources.checkpoints import Checkpoints
from resources.object_store import open_store


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


def test_a_version_goes_to_other_machines_through_a_bucket(bucket, tmp_path):
    def write(folder):
        (folder / "unet").mkdir()
        (folder / "unet" / "weights.bin").write_bytes(b"abc")

    here = Checkpoints(root=str(tmp_path / "here"), shared=f"{bucket}/checkpoints")
    there = Checkpoints(root=str(tmp_path / "there"), shared=f"{bucket}/checkpoints")
    version = here.save("m", write)
    assert (there.path("m", version) / "unet" / "weights.bin").read_bytes() == b"abc"
    assert sorted(path.name for path in (tmp_path / "there" / "m").iterdir()) == [version]
    with pytest.raises(dg.Failure, match="checkpoint m/1234 is missing"):
        there.path("m", "1234")


def test_a_version_whose_sending_was_killed_is_not_there_for_others(bucket, tmp_path):
    def write(folder):
        (folder / "weights.bin").write_bytes(b"abc")

    alone = Checkpoints(root=str(tmp_path / "here"))
    version = alone.save("m", write)
    open_store(f"{bucket}/checkpoints").put(f"m/{version}/weights.bin", b"abc")
    there = Checkpoints(root=str(tmp_path / "there"), shared=f"{bucket}/checkpoints")
    with pytest.raises(dg.Failure, match="is missing"):
        there.path("m", version)
    Checkpoints(root=str(tmp_path / "here"), shared=f"{bucket}/checkpoints").save("m", write)
    assert (there.path("m", version) / "weights.bin").read_bytes() == b"abc"
