"""A disk that was full is as good as new once there is room, whoever was killed or failed on it."""

import contextlib
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from resources.checkpoints import Checkpoints
from resources.lake import ComputeCache, Lake
from resources.qdrant_engines import EdgeEngine
from resources.site import SiteStore
from resources.unfinished import GRACE_SECONDS, held, sweep
from resources.vector_index import VectorIndex

SMALL, LARGE = (
    pl.DataFrame({"x": [1.0]}),
    pl.DataFrame({"x": np.random.default_rng(0).random(9_000)}),
)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """The system lets no file grow over 32 KiB: a write fails in the middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 << 10, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files(folder: Path) -> list[str]:
    """All files but locks."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(str(path.relative_to(folder)) for path in found)


def age(folder: Path) -> None:
    """As if what is there had been left some time ago."""
    long_ago = time.time() - 2 * GRACE_SECONDS
    for path in folder.rglob("*"):
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)


def test_a_commit_that_found_no_room_leaves_nothing_and_the_next_one_works(tmp_path):
    lake = Lake(root=str(tmp_path / "lake"))
    lake.commit("a", {"t": SMALL}, partition="2026-11-01")
    before = files(tmp_path)
    with full_disk(), pytest.raises(OSError, match=r"date=2026-11-01/u-\w+\.parquet"):
        lake.commit("a", {"t": SMALL + 1, "u": LARGE}, partition="2026-11-01")
    assert files(tmp_path) == before
    assert lake.read("a", "t", "2026-11-01").equals(SMALL)
    lake.commit("a", {"t": SMALL + 1, "u": LARGE}, partition="2026-11-01")
    assert lake.read("a", "u", "2026-11-01").equals(LARGE)


KILLED = """
import os, signal, sys
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
import polars as pl
from resources.lake import ComputeCache, Lake
from resources.checkpoints import Checkpoints
root = sys.argv[2]
rows = pl.DataFrame({"key": ["k"], "x": [1.0]})
def write(folder):
    (folder / "weights").write_bytes(b"half")
    os.fsync(0)
match sys.argv[1]:
    case "lake": Lake(root=f"{root}/lake").commit("a", {"t": rows})
    case "cache": ComputeCache(root=f"{root}/cache").put("model", rows)
    case "checkpoints": Checkpoints(root=f"{root}/checkpoints").save("m", write)
"""


def write_once(kind: str, root: Path) -> None:
    match kind:
        case "lake":
            Lake(root=str(root / "lake")).commit("a", {"t": SMALL})
        case "cache":
            ComputeCache(root=str(root / "cache")).put("model", pl.DataFrame({"key": ["k"]}))
        case "checkpoints":
            save = Checkpoints(root=str(root / "checkpoints")).save
            save("m", lambda folder: (folder / "weights").write_bytes(b"whole") and None)


@pytest.mark.parametrize("kind", ["lake", "cache", "checkpoints"])
def test_what_a_killed_writer_left_goes_with_the_next_write(kind, tmp_path):
    died = subprocess.run([sys.executable, "-c", KILLED, kind, str(tmp_path / "killed")])
    assert died.returncode == -signal.SIGKILL
    assert files(tmp_path / "killed")
    age(tmp_path / "killed")
    for root in ("killed", "clean"):
        write_once(kind, tmp_path / root)
    assert files(tmp_path / "killed") == files(tmp_path / "clean")


def hold(path: Path, holds, may_end) -> None:
    with held(path):
        holds.set()
        may_end.wait()


def test_what_a_living_writer_writes_is_not_swept_however_old(tmp_path):
    path, left = tmp_path / "held", tmp_path / "left"
    path.write_bytes(b"half")
    left.mkdir()
    spawn = multiprocessing.get_context("spawn")
    holds, may_end = spawn.Event(), spawn.Event()
    writer = spawn.Process(target=hold, args=(path, holds, may_end))
    writer.start()
    assert holds.wait(600)
    age(tmp_path)
    sweep([path, left, tmp_path / "nothing"])
    assert [one.name for one in tmp_path.iterdir()] == ["held"]
    may_end.set()
    writer.join()
    assert not path.exists()


def test_what_was_begun_just_now_is_not_swept(tmp_path):
    path = tmp_path / "just made, and not held yet"
    path.touch()
    sweep([path])
    assert path.exists()


def test_a_site_that_found_no_room_leaves_the_old_one_and_the_next_one_works(tmp_path):
    site = SiteStore(root=str(tmp_path))
    first = site.publish([("index.html", b"first")])
    before = files(tmp_path)
    with full_disk(), pytest.raises(OSError, match="large"):
        site.publish([("index.html", b"second"), ("large", bytes(1 << 20))])
    assert (site.current(), files(tmp_path)) == (first, before)
    assert site.publish([("index.html", b"second"), ("large", bytes(1 << 20))]) == site.current()


def test_index_builds_that_failed_or_were_killed_go(tmp_path, monkeypatch):
    index, data = VectorIndex(location=str(tmp_path)), np.eye(16, dtype=np.float32)
    ids = [f"p{at}" for at in range(16)]
    index.publish("v1", ids, data)
    index._engine.create("killed", 16, [])
    with monkeypatch.context() as patched:
        patched.setattr(EdgeEngine, "add", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            index.publish("failed", ids, data)
    assert sorted(index._engine.versions()) == ["killed", "v1"]
    index.publish("v2", ids, data)
    assert sorted(index._engine.versions()) == ["v1", "v2"]
    assert index.search(data[3:4], 1)[0][0].product_id == "p3"
