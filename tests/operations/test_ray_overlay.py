"""Production on a Ray cluster: the overlay's settings, and a run that is a job of one."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest
import yaml

from operations.console import Console
from operations.instance import START_SECONDS, environment, free_port, open_instance, server
from operations.launch import Follower
from resources.event_log import PARTITION
from resources.profiles import SANDBOX_WORLD, executor, resources, settings
from sandbox.world import write_world

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_the_overlay_is_the_production_instance_with_a_launcher(monkeypatch):
    base, overlay = (
        yaml.safe_load((DEPLOY / name).read_text()) for name in ("dagster.yaml", "ray/dagster.yaml")
    )
    launcher = overlay.pop("run_launcher")
    assert overlay == base
    pytest.importorskip("dagster_ray", reason="extra 'ray' not installed")
    from dagster._core.launcher import RunLauncher
    from dagster._serdes import ConfigurableClassData

    monkeypatch.setenv("PLATFORM_RAY_JOBS", "http://head:8265")
    settings = yaml.safe_dump(launcher["config"])
    data = ConfigurableClassData(launcher["module"], launcher["class"], settings)
    made = data.rehydrate(as_type=RunLauncher)
    assert made.address == "http://head:8265"
    assert "PLATFORM_LAKE" in made.env_vars


def test_the_executor_is_the_profiles_or_the_one_that_is_named(monkeypatch):
    assert executor().name == "in_process"
    monkeypatch.setenv("PLATFORM_PROFILE", "production")
    assert executor().name == "multiprocess"
    monkeypatch.setenv("PLATFORM_EXECUTOR", "in-process")
    assert executor().name == "in_process"
    monkeypatch.setenv("PLATFORM_EXECUTOR", "kubernetes")
    with pytest.raises(ValueError, match="in-process, processes or ray"):
        executor()


def test_steps_on_ray_need_the_address_of_the_job_server(monkeypatch):
    pytest.importorskip("dagster_ray", reason="extra 'ray' not installed")
    monkeypatch.setenv("PLATFORM_EXECUTOR", "ray")
    monkeypatch.delenv("PLATFORM_RAY_JOBS", raising=False)
    with pytest.raises(ValueError, match="neither PLATFORM_RAY_JOBS nor"):
        executor()
    monkeypatch.setenv("PLATFORM_RAY_JOBS", "http://head:8265")
    assert executor().name == "ray"


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of the job server of a Ray cluster on this machine."""
    pytest.importorskip("dagster_ray", reason="extra 'ray' not installed")
    ray, jobs = str(Path(sys.executable).with_name("ray")), free_port()
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # its sockets need a short path
    command = [
        *(ray, "start", "--head", "--block", "--num-cpus", "4", "--port", str(free_port())),
        *("--dashboard-host", "127.0.0.1", "--dashboard-port", str(jobs), "--temp-dir", folder),
    ]
    path = f"{Path(ray).parent}:{os.environ['PATH']}"  # a job is a command line: `dagster ...`
    around = {"PATH": path, "RAY_worker_niceness": "0", "RAY_AUTH_MODE": "disabled"}
    head = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | around)
    url = f"http://127.0.0.1:{jobs}"
    try:
        for _ in range(START_SECONDS):
            assert head.poll() is None, f"no cluster: exit status {head.returncode}"
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/api/version", timeout=5).is_success:
                    break
            time.sleep(1)
        yield url
    finally:
        head.terminate()  # ends its own cluster, and no other on this machine
        head.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.longer
def test_a_run_and_its_steps_are_jobs_of_the_cluster(
    cluster: str, postgres_url: str, tmp_path: Path, monkeypatch
):
    from ray.job_submission import JobStatus, JobSubmissionClient

    for name in [name for name in os.environ if name.startswith(("DAGSTER_", "PLATFORM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path))
    monkeypatch.setenv("DAGSTER_PG_URL", postgres_url)
    monkeypatch.setenv("DAGSTER_HOME", str(DEPLOY / "ray"))
    monkeypatch.setenv("PLATFORM_RAY_JOBS", cluster)
    monkeypatch.setenv("PLATFORM_EXECUTOR", "ray")
    chosen = settings()
    world = chosen.data / SANDBOX_WORLD
    write_world(world, truth=Path(chosen.truth), days=1, products=20, image_size=64)
    (day,) = (path.name for path in (world / "feeds").iterdir())
    environment(chosen)
    with open_instance() as instance, server(chosen) as live:
        started = Console(live).run(
            "pinlanding_assets", ("raw_catalog", "catalog"), tags={PARTITION: day}
        )
        Follower(instance).wait(started)
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.SUCCESS
    assert resources()["lake"].read("catalog", "products", day).height >= 10
    jobs = JobSubmissionClient(cluster).list_jobs()
    assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
    kinds = Counter("-".join(job.submission_id.split("-")[:2]) for job in jobs)
    assert kinds["dagster-run"] == 1
    assert kinds["dagster-step"] >= 2  # the assets, and checks that are steps
