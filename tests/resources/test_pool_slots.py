"""A run that waits for a pool's slot costs nothing, and one that is killed gives it back.

This file is also the code location: a real daemon launches its job with the instance's own
configuration, only looked after more often.
"""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
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


@dg.op(pool="gpu")
def held() -> None:
    """Holds its slot until the file `release` is there."""
    while not (Path(os.environ["DAGSTER_HOME"]) / "release").exists():
        time.sleep(0.1)


@dg.job(executor_def=dg.in_process_executor)
def holding():
    held()


defs = dg.Definitions(jobs=[training, holding])


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A daemon on a fresh instance with this file as its code location."""
    settings = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    settings["run_monitoring"]["poll_interval_seconds"] = 1
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


def launch(job: str, tags: str = "{}") -> None:
    command = [sys.executable, "-m", "dagster", "job", "launch", "-f", __file__, "-j", job]
    subprocess.run([*command, "--tags", tags], check=True)


def statuses(instance: dg.DagsterInstance) -> list[str]:
    """Of all runs, the oldest first."""
    return [run.status.value for run in reversed(instance.get_runs())]


@pytest.mark.parametrize("victim", ["step", "run"])
def test_what_was_killed_runs_again_and_leaves_nothing_taken(home, victim):
    """The second try needs the pool's only slot, and the device."""
    folder, instance = home
    launch("training", f'{{"kill": "{victim}"}}')

    def state():
        return f"{statuses(instance)}\n{(folder / 'daemon.log').read_text()[-3000:]}"

    wait_for(lambda: statuses(instance) == ["FAILURE", "SUCCESS"], state)
    assert (folder / f"{victim}.done").exists()
    with Gpu(lease_dir=str(folder), lease_timeout_seconds=0)._lease(["cuda:0"]) as device:
        assert device == "cuda:0"


def test_a_run_that_waits_for_a_slot_has_no_process(home):
    folder, instance = home

    def state():
        return f"{statuses(instance)}\n{(folder / 'daemon.log').read_text()[-3000:]}"

    def launched():
        """Runs that a process was asked for: so the launcher says before it starts one."""
        logs = {run.run_id: instance.all_logs(run.run_id) for run in instance.get_runs()}
        kinds = {run: {entry.dagster_event_type for entry in log} for run, log in logs.items()}
        return [run for run, found in kinds.items() if dg.DagsterEventType.RUN_STARTING in found]

    launch("holding")
    wait_for(lambda: statuses(instance) == ["STARTED"], state)
    assert len(launched()) == 1
    for _ in range(2):
        launch("holding")
    log = folder / "daemon.log"
    blocked = "is blocked by global concurrency limits"
    wait_for(lambda: log.read_text().count(blocked) == 2, state)
    time.sleep(6)  # more rounds of the queue
    assert statuses(instance) == ["STARTED", "QUEUED", "QUEUED"]
    assert len(launched()) == 1
    (folder / "release").touch()
    wait_for(lambda: statuses(instance) == ["SUCCESS"] * 3, state)
    spans = [instance.get_run_stats(run.run_id) for run in reversed(instance.get_runs())]
    assert len(launched()) == 3
    assert all(one.end_time <= two.start_time for one, two in pairwise(spans))
