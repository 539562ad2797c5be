"""The Dagster instance of one data folder: environment, first start, a running server."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
from filelock import FileLock, Timeout

from resources.profiles import REPOSITORY, Settings, settings

DAGSTER = (sys.executable, "-m", "dagster")
LOCATIONS = ("pinlanding_assets", "rl_diffusion_assets")
PG_DRIVER = "postgresql+psycopg2://"
START_SECONDS = 400  # some 15 s on idle cores
STOP_SECONDS = 20
CALL_SECONDS = 300  # a server has to answer: a run that a busy one starts late counts as failed


def environment(chosen: Settings) -> dict[str, str]:
    """Environment of every Dagster process of this data folder, also set in this process.

    With DAGSTER_PG_URL it is the production instance of `deploy/`; what a server's own environment
    says of its folders is kept then.

    Raises:
        SystemExit: DAGSTER_PG_URL leaves the driver open.
    """
    folders = {
        "DAGSTER_HOME": str(REPOSITORY),
        "DAGSTER_STORAGE": str(chosen.data / "dagster"),
        "DAGSTER_COMPUTE_LOGS": str(chosen.data / "logs"),
    }
    if url := os.environ.get("DAGSTER_PG_URL"):
        if not url.startswith(PG_DRIVER):  # a plain postgresql:// is another driver to SQLAlchemy
            raise SystemExit(f"DAGSTER_PG_URL has to begin with {PG_DRIVER}")
        folders |= {"DAGSTER_HOME": str(REPOSITORY / "deploy")}
        folders |= {name: os.environ[name] for name in folders if os.environ.get(name)}
    for name in ("DAGSTER_STORAGE", "DAGSTER_COMPUTE_LOGS"):
        Path(folders[name]).mkdir(parents=True, exist_ok=True)
    os.environ |= {
        **folders,
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "PYTHONWARNINGS": "ignore",
        "TQDM_DISABLE": os.environ.get("TQDM_DISABLE", "1"),  # bars of libraries: steps say more
        "DAGSTER_GRPC_TIMEOUT_SECONDS": os.environ.get(
            "DAGSTER_GRPC_TIMEOUT_SECONDS", str(CALL_SECONDS)
        ),
    }
    if not chosen.truth:  # the rendered catalog is found without being named
        os.environ["PLATFORM_CATALOG"] = str(chosen.catalog)
    return dict(os.environ)


def open_instance() -> dg.DagsterInstance:
    """The instance of `environment()`, with its tables and pools.

    Processes that start together on a fresh folder would race to create the tables: one makes
    them, the others wait.

    Raises:
        ValueError: PLATFORM_POOLS is not valid; the message says what is wrong.
    """
    pools = settings().pools
    with FileLock(Path(os.environ["DAGSTER_STORAGE"]) / "first-start.lock"):
        instance = dg.DagsterInstance.get()
        instance.get_run_records(limit=1)
        instance.get_asset_keys(limit=1)
        instance.all_instigator_state()
        set_pools(instance, pools)
    return instance


def set_pools(instance: dg.DagsterInstance, pools: Mapping[str, int]) -> dict[str, int]:
    """Give each pool its slots where nobody has yet; returns the slots in force.

    A limit that is there was set by an operator, or by an earlier start: both stay.
    """
    storage = instance.event_log_storage
    limits = {pool.name: pool.limit for pool in storage.get_pool_limits() if not pool.from_default}
    for pool in pools.keys() - limits:
        storage.set_concurrency_slots(pool, pools[pool])
    return {pool: limits.get(pool, slots) for pool, slots in pools.items()}


@contextlib.contextmanager
def only_one(chosen: Settings) -> Iterator[None]:
    """Hold the data folder: a second daemon on the same storage would do everything twice."""
    lock = FileLock(chosen.data / "dagster.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SystemExit(
            f"{chosen.data} is in use by another `make dev` or `make demo`; stop it first."
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
        answer = httpx.post(f"{self.url}/graphql", json=body, timeout=CALL_SECONDS).json()
        if answer.get("errors"):
            raise RuntimeError(str(answer["errors"])[:2000])
        return answer["data"]


@contextlib.contextmanager
def server(chosen: Settings) -> Iterator[Server]:
    """Start `dagster dev` in a process group of its own, and end the whole group afterwards."""
    port = free_port()
    log = chosen.data / "logs" / "dagster-dev.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            serve_command(port),
            cwd=REPOSITORY,
            env=environment(chosen),
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
