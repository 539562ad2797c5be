"""The lake commits whole partitions or nothing, and the same content is the same bytes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import polars as pl
import pytest

from resources.lake import ComputeCache, Lake, MissingPartition


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_partition_is_read_back_with_its_day(tmp_path):
    lake = Lake(root=str(tmp_path / "lake"))
    lake.commit("a", {"t": pl.DataFrame({"x": [1, 2]})}, partition="2026-11-01")
    lake.commit("a", {"t": pl.DataFrame({"x": [3]})}, partition="2026-11-02")
    assert lake.partitions("a") == ["2026-11-01", "2026-11-02"]
    assert lake.scan("a", "t").collect().rows() == [
        *[(1, "2026-11-01"), (2, "2026-11-01"), (3, "2026-11-02")]
    ]
    assert lake.manifest("a", "2026-11-01").tables["t"].rows == 2


def test_the_same_content_is_the_same_bytes_and_the_old_file_is_gone(tmp_path):
    frame, other = pl.DataFrame({"x": [1.5]}), pl.DataFrame({"x": [2.5]})
    first, second = Lake(root=str(tmp_path / "1" / "lake")), Lake(root=str(tmp_path / "2" / "lake"))
    first.commit("a", {"t": frame}, partition="2026-11-01", versions={"code": "1"})
    second.commit("a", {"t": other}, partition="2026-11-01", versions={"code": "0"})
    second.commit("a", {"t": frame}, partition="2026-11-01", versions={"code": "1"})
    assert tree(tmp_path / "1" / "lake") == tree(tmp_path / "2" / "lake")


def test_data_version_follows_the_content_and_not_the_code(tmp_path):
    lake, frame = Lake(root=str(tmp_path / "lake")), pl.DataFrame({"x": [1]})
    one = lake.commit("a", {"t": frame}, versions={"code": "1"})
    two = lake.commit("a", {"t": frame}, versions={"code": "2"})
    three = lake.commit("a", {"t": frame + 1}, versions={"code": "2"})
    assert one.data_version == two.data_version != three.data_version


def test_what_is_missing_says_what_to_materialize(tmp_path):
    lake = Lake(root=str(tmp_path / "lake"))
    with pytest.raises(MissingPartition, match="catalog is not materialized for 2026-11-01"):
        lake.scan("catalog", "products", ["2026-11-01"])
    with pytest.raises(MissingPartition, match="no day is materialized"):
        lake.scan("catalog", "products")


def test_a_killed_writer_leaves_the_old_partition(tmp_path):
    """SIGKILL at every stage of a commit: the reader sees the old rows until the manifest is in."""
    lake = Lake(root=str(tmp_path / "lake"))
    lake.commit("a", {"t": pl.DataFrame({"x": [1]})}, partition="2026-11-01")
    program = textwrap.dedent(
        f"""
        import os, time, polars as pl
        from resources import lake as module
        put, count = module.Lake._put, 0
        def slow(self, path, data):
            if path.endswith("manifest.json"):
                print("before manifest", flush=True)
                time.sleep(60)
            put(self, path, data)
        module.Lake._put = slow
        module.Lake(root={str(tmp_path / "lake")!r}).commit(
            "a", {{"t": pl.DataFrame({{"x": [2]}})}}, partition="2026-11-01")
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert process.stdout is not None
    assert b"before manifest" in process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert lake.scan("a", "t").collect()["x"].to_list() == [1]
    lake.commit("a", {"t": pl.DataFrame({"x": [2]})}, partition="2026-11-01")
    clean = Lake(root=str(tmp_path / "clean" / "lake"))
    clean.commit("a", {"t": pl.DataFrame({"x": [2]})}, partition="2026-11-01")
    assert tree(tmp_path / "lake") == tree(tmp_path / "clean" / "lake")


def test_images_are_stored_once_and_hostile_hashes_refused(tmp_path):
    lake = Lake(root=str(tmp_path / "lake"))
    lake.put_image("ab12", b"jpeg")
    path = next((tmp_path / "lake" / "images").rglob("*.jpg"))
    before = path.stat().st_mtime_ns
    time.sleep(0.01)
    lake.put_image("ab12", b"jpeg")
    assert path.stat().st_mtime_ns == before
    assert lake.image("ab12") == b"jpeg"
    with pytest.raises(ValueError, match="not an image hash"):
        lake.image("../../etc/passwd")


def test_a_remote_lake_behaves_the_same():
    lake = Lake(root="memory://bucket/lake")
    lake.commit("a", {"t": pl.DataFrame({"x": [1]})}, partition="2026-11-01")
    assert lake.partitions("a") == ["2026-11-01"]
    assert lake.manifest("a", "2026-11-01").tables["t"].rows == 1


def test_the_cache_returns_what_was_put_under_the_same_model_only(tmp_path):
    cache = ComputeCache(root=str(tmp_path))
    cache.put("model-1", pl.DataFrame({"key": ["a", "b"], "raw": ["x", "y"]}))
    cache.put("model-1", pl.DataFrame({"key": ["c"], "raw": ["z"]}))
    assert sorted(cache.get("model-1", ["a", "c", "d"])["raw"]) == ["x", "z"]
    assert cache.get("model-2", ["a"]).height == 0
