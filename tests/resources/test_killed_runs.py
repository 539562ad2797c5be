"""Runs and steps that are killed give the GPU and its slot back, and are run again.

This file is also the code location: a real daemon launches its job with the instance's own
configuration, only looked after more often.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml

from resources.gpu import Gpu
from resources.profiles import REPOSITORY

SECONDS = 900  # some 40 s on idle cores


def first_try(folder: Path, name: str) -> bool:
    """Whether a step runs for the first time."""
    note = folder / name
    if note.exists():
        return False
    note.touch()
    return True


@dg.op(pool="gpu")
def trained(context: dg.OpExecutionContext) -> None:
    """Holds the device; at the first try the process that KILL names is killed by SIGKILL."""
    folder = Path(os.environ["DAGSTER_HOME"])
    victim = context.run.tags["kill"]
    with Gpu(lease_dir=str(folder), lease_timeout_seconds=SECONDS)._lease(["cuda:0"]):
        if first_try(folder, victim):
            os.kill(os.getpid() if victim == "step" else os.getppid(), signal.SIGKILL)
            time.sleep(SECONDS)  # a step whose run is gone goes on
        (folder / f"{victim}.done").touch()


@dg.job(executor_def=dg.multiprocess_executor)
def training():
    trained()


defs = dg.Definitions(jobs=[training])


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A daemon on a fresh instance with this file as its code location."""
    settings = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    settings["run_monitoring"] |= {
        "poll_interval_seconds": 1,
        "free_slots_after_run_end_seconds": 1,
    }
    settings["code_servers"] = {"local_startup_timeout": SECONDS}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    for name in ("DAGSTER_HOME", "DAGSTER_STORAGE", "DAGSTER_COMPUTE_LOGS"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
        instance.all_instigator_state()
        daemon = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-f", __file__],
            stdout=(tmp_path / "daemon.log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        yield tmp_path, instance
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


def wait_for(found, message) -> None:
    deadline = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < deadline, message()
        time.sleep(1)


@pytest.mark.parametrize("victim", ["step", "run"])
def test_what_was_killed_runs_again_and_leaves_nothing_taken(home, victim):
    folder, instance = home
    launch = [sys.executable, "-m", "dagster", "job", "launch", "-f", __file__, "-j", "training"]
    subprocess.run([*launch, "--tags", f'{{"kill": "{victim}"}}'], check=True)

    def statuses():
        return [run.status for run in reversed(instance.get_runs())]

    def state():
        return f"{statuses()}\n{(folder / 'daemon.log').read_text()[-3000:]}"

    expected = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
    wait_for(lambda: statuses() == expected, state)
    assert (folder / f"{victim}.done").exists()
    info = instance.event_log_storage.get_concurrency_info
    wait_for(lambda: info("gpu").active_slot_count == 0, lambda: str(info("gpu")))
    assert info("gpu").slot_count == 1
    with Gpu(lease_dir=str(folder), lease_timeout_seconds=0)._lease(["cuda:0"]) as device:
        assert device == "cuda:0"
