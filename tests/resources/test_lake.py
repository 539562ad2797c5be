"""The lake commits whole partitions or nothing, and the same content is the same bytes.

What takes `root` runs on a folder and on a bucket of a real S3 server.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from resources.lake import CommitConflict, ComputeCache, Lake, MissingPartition


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_partition_is_read_back_with_its_day(root):
    lake = Lake(root=root)
    lake.commit("a", {"t": pl.DataFrame({"x": [1, 2]})}, partition="2026-11-01")
    lake.commit("a", {"t": pl.DataFrame({"x": [3]})}, partition="2026-11-02")
    assert lake.partitions("a") == ["2026-11-01", "2026-11-02"]
    assert lake.scan("a", "t").collect().rows() == [
        *[(1, "2026-11-01"), (2, "2026-11-01"), (3, "2026-11-02")]
    ]
    assert lake.manifest("a", "2026-11-01").tables["t"].rows == 2


def test_the_same_content_is_the_same_bytes_and_superseded_files_go(tmp_path, monkeypatch):
    monkeypatch.setattr("resources.lake.KEEP_SUPERSEDED_SECONDS", 0.0)
    frame, other = pl.DataFrame({"x": [1.5]}), pl.DataFrame({"x": [2.5]})
    first, second = Lake(root=str(tmp_path / "1" / "lake")), Lake(root=str(tmp_path / "2" / "lake"))
    first.commit("a", {"t": frame}, partition="2026-11-01", versions={"code": "1"})
    second.commit("a", {"t": other}, partition="2026-11-01", versions={"code": "0"})
    second.commit("a", {"t": frame}, partition="2026-11-01", versions={"code": "1"})
    second.sweep()
    assert tree(tmp_path / "1" / "lake") == tree(tmp_path / "2" / "lake")


def test_data_version_follows_the_content_and_not_the_code(root):
    lake, frame = Lake(root=root), pl.DataFrame({"x": [1]})
    one = lake.commit("a", {"t": frame}, versions={"code": "1"})
    two = lake.commit("a", {"t": frame}, versions={"code": "2"})
    three = lake.commit("a", {"t": frame + 1}, versions={"code": "2"})
    assert one.data_version == two.data_version != three.data_version


def test_what_is_missing_says_what_to_materialize(root):
    lake = Lake(root=root)
    with pytest.raises(MissingPartition, match="catalog is not materialized for 2026-11-01"):
        lake.scan("catalog", "products", ["2026-11-01"])
    with pytest.raises(MissingPartition, match="no day is materialized"):
        lake.scan("catalog", "products")


def test_days_of_an_earlier_release_lack_a_column(root):
    lake = Lake(root=root)
    lake.commit("a", {"t": pl.DataFrame({"x": [1]})}, partition="2026-11-01")
    lake.commit("a", {"t": pl.DataFrame({"x": [2], "new": ["b"]})}, partition="2026-11-02")
    assert lake.scan("a", "t").select("x", "new").sort("x").collect().rows() == [
        *((1, None), (2, "b"))
    ]


KILLED = """
import sys, time, numpy as np, polars as pl
from resources.lake import Lake
put = Lake._put
def watched(self, path, data, **over):
    if path.endswith(sys.argv[2]):
        print("before", sys.argv[2], flush=True)
    if path.endswith("manifest.json"):
        time.sleep(60)
    return put(self, path, data, **over)
Lake._put = watched
rows = {"x": np.random.default_rng(0).random(int(sys.argv[3]))}
Lake(root=sys.argv[1]).commit("a", {"t": pl.DataFrame(rows)}, partition="2026-11-02")
"""


def kill_a_writer(root: str, before: str, rows: int) -> None:
    """SIGKILL a process as it starts to write a file whose name ends so."""
    command = [sys.executable, "-c", KILLED, root, before, str(rows)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd())
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"before")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_writer_leaves_the_old_partition(root):
    """All but the manifest was written: days that were never committed are not there, and whoever
    reads one that was sees the old rows."""
    lake, old = Lake(root=root), pl.DataFrame({"x": [1.0]})
    lake.commit("a", {"t": old}, partition="2026-11-01")
    kill_a_writer(root, "manifest.json", 2)
    assert len(lake._store.list("a/date=2026-11-02")) == 1
    assert lake.partitions("a") == ["2026-11-01"]
    assert lake.manifest("a", "2026-11-02") is None
    lake.commit("a", {"t": old}, partition="2026-11-02")
    assert lake.scan("a", "t").collect()["x"].to_list() == [1.0, 1.0]


def test_a_writer_killed_while_it_uploads_leaves_no_part_of_a_table(bucket):
    lake = Lake(root=bucket)
    kill_a_writer(bucket, ".parquet", 4_000_000)  # 32 MB: sent in parts
    assert lake._store.list("a") == []
    assert lake.partitions("a") == []


def test_after_a_killed_writer_the_folder_is_as_if_never_killed(tmp_path):
    kill_a_writer(str(tmp_path / "lake"), "manifest.json", 2)
    for name in ("lake", "clean/lake"):
        lake = Lake(root=str(tmp_path / name))
        lake.commit("a", {"t": pl.DataFrame({"x": [2]})}, partition="2026-11-02")
    assert tree(tmp_path / "lake") == tree(tmp_path / "clean" / "lake")


def test_of_two_writers_the_second_is_told_and_the_first_stands(bucket, monkeypatch):
    """In a bucket nobody can lock: another run commits while this one uploads its table."""
    ours, theirs = Lake(root=bucket), Lake(root=bucket)
    ours.commit("a", {"t": pl.DataFrame({"x": [0]})}, partition="2026-11-01")
    put = ours._store.put

    def interrupted(path, data):
        put(path, data)
        monkeypatch.setattr(ours._store, "put", put)
        theirs.commit("a", {"t": pl.DataFrame({"x": [2]})}, partition="2026-11-01")

    monkeypatch.setattr(ours._store, "put", interrupted)
    with pytest.raises(CommitConflict, match="a of 2026-11-01 was committed by another run"):
        ours.commit("a", {"t": pl.DataFrame({"x": [1]})}, partition="2026-11-01")
    assert ours.read("a", "t", "2026-11-01")["x"].to_list() == [2]


def test_rows_that_continue_others_are_not_put_over_newer_ones(root):
    lake = Lake(root=root)
    first = lake.commit("a", {"t": pl.DataFrame({"x": [1]})}, made_from=None)
    lake.commit("a", {"t": pl.DataFrame({"x": [1, 2]})}, made_from=first)
    for stale in (first, None):
        with pytest.raises(CommitConflict):
            lake.commit("a", {"t": pl.DataFrame({"x": [1, 3]})}, made_from=stale)
    assert lake.read("a", "t")["x"].to_list() == [1, 2]


def test_who_reads_a_superseded_table_can_finish(root, monkeypatch):
    lake = Lake(root=root)
    lake.commit("a", {"t": pl.DataFrame({"x": [1]})})
    reading = pl.scan_parquet(lake.location("a", "t"))
    lake.commit("a", {"t": pl.DataFrame({"x": [2]})})
    assert reading.collect()["x"].to_list() == [1]
    monkeypatch.setattr("resources.lake.KEEP_SUPERSEDED_SECONDS", 0.0)
    lake.commit("a", {"t": pl.DataFrame({"x": [3]})})
    assert (
        len(tables(lake)) == 2
    )  # a reader may have found the second just before it was superseded
    lake.sweep()
    assert tables(lake) == [lake.location("a", "t")]


def tables(lake: Lake) -> list[str]:
    found = [lake._store.uri(entry.path) for entry in lake._store.list("a")]
    return [path for path in found if path.endswith(".parquet")]


def test_a_superseded_table_stays_a_day_from_when_it_was_superseded(tmp_path, monkeypatch):
    """However old it was by then, and however often the partition is committed since."""
    lake, hour = Lake(root=str(tmp_path)), 3600.0
    clock = [time.time()]
    monkeypatch.setattr("resources.lake.time.time", lambda: clock[0])
    made: list[str] = []
    for at in range(40):
        lake.commit("a", {"t": pl.DataFrame({"x": [at]})})
        made.append(lake.location("a", "t"))
        for path in (made[-1], tmp_path / "a" / "manifest.json"):
            os.utime(path, (clock[0], clock[0]))
        clock[0] += 2 * hour
    at_most_a_day = made[-14:]  # of two hours, and the one in force
    assert {*made[-12:]} <= {*tables(lake)} <= {*at_most_a_day}


def test_readers_beside_a_writer_lose_no_file(tmp_path):
    """What is lost without that is a race: a table that is gone between manifest and read."""
    lake, writer = Lake(root=str(tmp_path)), Lake(root=str(tmp_path))
    writer.commit("a", {"t": pl.DataFrame({"x": [0] * 10})})
    done = threading.Event()

    def write() -> None:
        for at in range(1, 60):
            writer.commit("a", {"t": pl.DataFrame({"x": [at] * 10})})
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        assert lake.read("a", "t")["x"].n_unique() == 1
    thread.join()


def test_duckdb_reads_what_polars_reads(root, bucket):
    """DuckDB's own httpfs must be downloaded; through s3fs it reads the same bucket."""
    import duckdb
    import fsspec

    lake = Lake(root=root)
    for day, x in (("2026-11-01", [1, 2]), ("2026-11-02", [3])):
        lake.commit("a", {"t": pl.DataFrame({"x": x})}, partition=day)
    files = [lake.location("a", "t", day) for day in lake.partitions("a")]
    with duckdb.connect(":memory:") as db:
        db.register_filesystem(fsspec.filesystem("s3", skip_instance_cache=True))
        found = db.execute("select sum(x), count(*) from read_parquet(?)", [files]).fetchone()
    assert found == (6, 3)
    assert lake.scan("a", "t").select(pl.col("x").sum()).collect().item() == 6


def test_images_are_stored_once_and_hostile_hashes_refused(root):
    lake, name = Lake(root=root), hashlib.sha256(b"jpeg").hexdigest()[:32]
    lake.put_image(name, b"jpeg")
    lake.put_image(name, b"another under the same name")
    assert lake.image(name) == b"jpeg"
    with pytest.raises(ValueError, match="not an image hash"):
        lake.image("../../etc/passwd")


def test_the_cache_returns_what_was_put_under_the_same_model_only(root):
    cache = ComputeCache(root=str(root))
    cache.put("model-1", pl.DataFrame({"key": ["a", "b"], "raw": ["x", "y"]}))
    cache.put("model-1", pl.DataFrame({"key": ["c"], "raw": ["z"]}))
    assert sorted(cache.get("model-1", ["a", "c", "d"])["raw"]) == ["x", "z"]
    assert cache.get("model-2", ["a"]).height == 0
