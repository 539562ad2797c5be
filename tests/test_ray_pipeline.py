"""The stages that compute, on Ray Data: the same tables, to the byte, though a worker is killed."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from operations.pinlanding import DAILY_HEAD, DAILY_TAIL, LEARNING
from resources.lake import Lake
from sandbox.world import write_world

pytestmark = pytest.mark.longer  # a cluster on this machine, and the whole path: minutes
ON_RAY = ["vlm_attributes", "product_embeddings", "product_attributes", "collections"]
REPOSITORY = Path(__file__).resolve().parent.parent


def start(data: Path, assets: list[str], **environment: str) -> subprocess.Popen[str]:
    log = (data / "log.txt").open("w")
    return subprocess.Popen(
        [sys.executable, "tests/run_days.py", ",".join(assets)],
        cwd=REPOSITORY,
        env=os.environ
        | {"PLATFORM_DATA": str(data), "PLATFORM_CATALOG": "", "PYTHONPATH": str(REPOSITORY)}
        | environment,
        stdout=log,
        stderr=log,
        text=True,
    )


def kill_a_worker(process: subprocess.Popen[str]) -> bool:
    """SIGKILL the first process that works for it on Ray; whether there was one."""
    while process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "_Worker" in " ".join(child.cmdline()):
                    child.kill()
                    return True
        time.sleep(0.05)
    return False


def test_ray_makes_the_same_tables_though_a_worker_is_killed(tmp_path):
    pytest.importorskip("ray", reason="extra 'ray' not installed")
    one, other = tmp_path / "one", tmp_path / "other"
    world = one / "sandbox" / "world"
    write_world(world, truth=tmp_path / "truth", days=2, products=240, image_size=64)
    path = world / "catalog.yaml"
    path.write_text(path.read_text() + "collections: {min_products: 3, min_sellers: 1}\n")
    steps = [*DAILY_HEAD, *LEARNING, *DAILY_TAIL, "product_clusters", "demand", "topics"]
    done = start(one, [*steps, "collections"])
    assert done.wait() == 0, (one / "log.txt").read_text()[-4000:]
    shutil.copytree(one, other)
    shutil.rmtree(other / "sandbox" / "cache")
    for asset in ON_RAY:
        shutil.rmtree(other / "sandbox" / "lake" / asset)
    environment = {
        "PLATFORM_ENGINE": "{kind: ray, workers: 2, cpus_per_worker: 0.5}",
        "RAY_worker_register_timeout_seconds": "600",
        "RAY_worker_niceness": "0",  # as nice as the step: a crowded machine starves the very nice
    }
    on_ray = start(other, ON_RAY, **environment)
    killed = kill_a_worker(on_ray)
    assert on_ray.wait() == 0, (other / "log.txt").read_text()[-4000:]
    assert killed
    first, second = (Lake(root=str(data / "sandbox" / "lake")) for data in (one, other))
    for asset in ON_RAY[:3]:
        assert second.partitions(asset) == first.partitions(asset) != []
        for day in first.partitions(asset):
            assert second.manifest(asset, day) == first.manifest(asset, day)
    assert second.manifest("collections") == first.manifest("collections")
    assert first.manifest("collections").tables["items"].rows > 0
    # all of it is in the cache: another run asks no model
    again = start(other, ON_RAY[:2], **environment)
    assert again.wait() == 0
    said = (other / "log.txt").read_text()
    assert said.count(" 0 images asked") == said.count(" 0 computed") == 2
