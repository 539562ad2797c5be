"""The first system on a lake in a bucket: the same tables, to the byte, as in a folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from operations.pinlanding import DAILY_HEAD, DAILY_TAIL, LEARNING
from resources.lake import Lake
from sandbox.world import write_world

pytestmark = pytest.mark.longer  # both systems of storage, end to end: about two minutes


def run(data: Path, assets: list[str], **environment: str) -> str:
    """Materialize assets over all days in a process of its own; what it logged."""
    repository = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "tests/run_days.py", ",".join(assets)],
        cwd=repository,
        env=os.environ
        | {"PLATFORM_DATA": str(data), "PLATFORM_CATALOG": "", "PYTHONPATH": str(repository)}
        | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


def test_the_daily_assets_make_the_same_tables_in_a_bucket(bucket, tmp_path):
    world = tmp_path / "folder" / "sandbox" / "world"
    write_world(world, truth=tmp_path / "truth", days=2, products=120, image_size=64)
    shutil.copytree(tmp_path / "folder", tmp_path / "bucket")
    assets = [*DAILY_HEAD, *LEARNING, *DAILY_TAIL]
    run(tmp_path / "folder", assets)
    run(tmp_path / "bucket", assets, PLATFORM_LAKE=f"{bucket}/lake")
    local, remote = Lake(root=str(tmp_path / "folder/sandbox/lake")), Lake(root=f"{bucket}/lake")
    for asset in ("raw_catalog", "catalog", "vlm_attributes", "product_embeddings"):
        days = local.partitions(asset)
        assert days
        assert remote.partitions(asset) == days
        for day in days:
            assert remote.manifest(asset, day) == local.manifest(asset, day)
    assert remote.manifest("dual_encoder") == local.manifest("dual_encoder")
    assert not (tmp_path / "bucket" / "sandbox" / "lake").exists()
    kept = {entry.path for entry in remote._store.list("images")}
    assert kept == {entry.path for entry in local._store.list("images")}
    # a machine that has nothing but the bucket has checkpoints and vectors too
    shutil.rmtree(tmp_path / "bucket" / "sandbox" / "checkpoints")
    said = run(tmp_path / "bucket", ["product_embeddings"], PLATFORM_LAKE=f"{bucket}/lake")
    assert said.count(" 0 computed") == 2
