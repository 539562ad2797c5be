"""The Dagster instance of one data folder: environment, first start, a running server."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
from filelock import FileLock, Timeout

from resources.profiles import REPOSITORY, Settings

DAGSTER = (sys.executable, "-m", "dagster")
POOLS = {"gpu": 1, "gpu_train": 1}
START_SECONDS = 400  # some 15 s on idle cores
STOP_SECONDS = 20


def environment(settings: Settings) -> dict[str, str]:
    """Environment of every Dagster process of this data folder, also set in this process."""
    dagster_folder = settings.data / "dagster"
    logs = settings.data / "logs"
    for folder in (dagster_folder, logs):
        folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "DAGSTER_HOME": str(REPOSITORY),
        "DAGSTER_STORAGE": str(dagster_folder),
        "DAGSTER_COMPUTE_LOGS": str(logs),
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "PYTHONWARNINGS": "ignore",
    }
    if not settings.truth:  # the rendered catalog is found without being named
        os.environ["PLATFORM_CATALOG"] = str(settings.catalog)
    return dict(os.environ)


def open_instance() -> dg.DagsterInstance:
    """The instance, its tables made by this one process.

    On a fresh folder, a daemon and two code servers that start together race to create them.
    """
    instance = dg.DagsterInstance.get()
    instance.get_run_records(limit=1)
    instance.get_asset_keys(limit=1)
    instance.all_instigator_state()
    for pool, limit in POOLS.items():
        instance.event_log_storage.set_concurrency_slots(pool, limit)
    return instance


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the data folder: a second daemon on the same storage would do everything twice."""
    lock = FileLock(settings.data / "dagster.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SystemExit(
            f"{settings.data} is in use by another `make dev` or `make demo`; stop it first."
        ) from None
    try:
        yield
    finally:
        lock.release()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve_command(port: int) -> list[str]:
    """Webserver, daemon and both code locations, on this machine only."""
    return [
        *(*DAGSTER, "dev", "-w", "workspace.yaml"),
        *("-h", "127.0.0.1", "-p", str(port)),
    ]


@dataclass
class Server:
    """A running `dagster dev`, spoken to as the UI speaks to it."""

    url: str

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """Run a GraphQL operation.

        Raises:
            RuntimeError: the server reports errors.
        """
        body = {"query": text, "variables": variables}
        answer = httpx.post(f"{self.url}/graphql", json=body, timeout=60).json()
        if answer.get("errors"):
            raise RuntimeError(str(answer["errors"])[:2000])
        return answer["data"]


@contextlib.contextmanager
def server(settings: Settings) -> Iterator[Server]:
    """Start `dagster dev` in a process group of its own, and end the whole group afterwards."""
    port = free_port()
    log = settings.data / "logs" / "dagster-dev.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            serve_command(port),
            cwd=REPOSITORY,
            env=environment(settings),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _wait_until_loaded(Server(f"http://127.0.0.1:{port}"), process, log)
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)


def _wait_until_loaded(server: Server, process: subprocess.Popen[bytes], log: Path) -> Server:
    text = """{ workspaceOrError { ... on Workspace { locationEntries { name
        locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError, KeyError, TypeError, ValueError):
            entries = server.query(text)["workspaceOrError"]["locationEntries"]
            for entry in entries:
                loaded = entry["locationOrLoadError"] or {}
                if loaded.get("__typename") == "PythonError":
                    raise SystemExit(f"{entry['name']} does not load: {loaded['message']}")
            if entries and all(entry["locationOrLoadError"] for entry in entries):
                return server
        time.sleep(0.5)
    raise SystemExit(f"Dagster did not start within {START_SECONDS} s; see {log}")
