"""The units of deploy/systemd: what they start is started here, and a platform is there."""

import configparser
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import psutil
import pytest

from operations.__main__ import LOCATIONS
from operations.instance import Server, free_port
from resources.profiles import REPOSITORY

UNITS = REPOSITORY / "deploy" / "systemd"
SERVICES = (
    "platform-webserver",
    "platform-daemon",
    *(f"platform-code@{name}" for name in LOCATIONS),
)
START_SECONDS = 900  # some 30 s on idle cores
STATE = """{
  workspaceOrError { ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename ... on PythonError { message } } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType healthy required } } }
}"""


@pytest.fixture
def installed(postgres_url):
    """`deploy/` as installed, but below a temporary folder instead of /opt, /etc, /var and /run."""
    root = Path(tempfile.mkdtemp(prefix="units-"))  # the path of a socket must be short
    (root / "run").mkdir()
    shutil.copytree(REPOSITORY / "deploy", root / "deploy")
    port = str(free_port())
    places = {
        "/opt/platform/deploy": f"{root}/deploy",
        "/opt/platform": str(REPOSITORY),
        "/etc/platform.env": f"{root}/deploy/systemd/platform.env",
        "/var/lib/platform": f"{root}/var",
        "/run/platform": f"{root}/run",
        "-p 3000": f"-p {port}",
        "postgresql+psycopg2:///platform?host=/var/run/postgresql": postgres_url,
    }
    for path in (root / "deploy").rglob("*"):
        if path.is_file():
            text = path.read_text()
            for place, here in places.items():
                text = text.replace(place, here)
            path.write_text(text)
    yield root, port
    shutil.rmtree(root)


def start(root: Path, unit: str) -> subprocess.Popen:
    """Starts what the unit would, in its environment and folder, in a process group of its own."""
    name, _, instance = unit.partition("@")
    file = root / "deploy" / "systemd" / (f"{name}@.service" if instance else f"{name}.service")
    service = configparser.RawConfigParser(strict=True)
    service.optionxform = str
    service.read_string(file.read_text())
    options = dict(service["Service"])
    lines = [
        *Path(options["EnvironmentFile"]).read_text().splitlines(),
        options.get("Environment", ""),
    ]
    variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    if "StateDirectory" in options:
        (root / "var").mkdir()
    if "ExecStartPre" in options:
        subprocess.run(shlex.split(options["ExecStartPre"]), check=True)
    with (root / f"{unit}.log").open("wb") as log:
        return subprocess.Popen(
            shlex.split(options["ExecStart"].replace("%i", instance)),
            cwd=options["WorkingDirectory"],
            env={"PATH": "/usr/bin:/bin", "HOME": str(root)} | variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def logs(root: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in root.glob("*.log"))


def stop(processes) -> None:
    """Ends the process groups as systemd ends a unit's control group."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                os.killpg(process.pid, sign)
            except ProcessLookupError:
                continue
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                continue


def test_what_the_units_start_is_a_platform_with_both_locations(installed):
    root, port = installed
    before = set((root / "deploy").rglob("*"))
    assert start(root, "platform-bootstrap").wait(START_SECONDS) == 0, logs(root)
    server = Server(f"http://127.0.0.1:{port}")
    running = {unit: start(root, unit) for unit in SERVICES}
    try:
        deadline = time.monotonic() + START_SECONDS
        found = {}
        while time.monotonic() < deadline and found != dict.fromkeys(
            LOCATIONS, "RepositoryLocation"
        ):
            dead = [unit for unit, process in running.items() if process.poll() is not None]
            assert not dead, logs(root)
            time.sleep(1)
            try:
                state = server.query(STATE)
            except (httpx.HTTPError, ValueError):
                continue
            found = {
                entry["name"]: (entry["locationOrLoadError"] or {}).get("__typename")
                for entry in state["workspaceOrError"]["locationEntries"]
            }
        assert found == dict.fromkeys(LOCATIONS, "RepositoryLocation"), logs(root)
        required = []
        while time.monotonic() < deadline and not (required and all(required)):
            time.sleep(1)
            daemons = server.query(STATE)["instance"]["daemonHealth"]["allDaemonStatuses"]
            required = [daemon["healthy"] for daemon in daemons if daemon["required"]]
        assert len(required) >= 6, daemons
        assert all(required), daemons
        listening = [
            connection.laddr.ip
            for process in running.values()
            for member in (psutil.Process(process.pid), *psutil.Process(process.pid).children(True))
            for connection in member.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        assert set(listening) == {"127.0.0.1"}
        assert start(root, "platform-prune").wait(START_SECONDS) == 0, logs(root)
        assert "0 superseded runs were deleted" in (root / "platform-prune.log").read_text()
        assert set((root / "deploy").rglob("*")) == before, "units may not write there"
    finally:
        stop(running.values())


def test_systemd_finds_no_fault_in_the_units(installed):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    folder = installed[0] / "deploy" / "systemd"
    for path in folder.glob("*.service"):
        path.write_text(path.read_text().replace("User=platform", "User=root"))
    units = [path for path in folder.iterdir() if path.suffix != ".env"]
    units = [str(path).replace("@.", f"@{LOCATIONS[0]}.") for path in units]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    faults = [line for line in done.stderr.splitlines() if "platform" in line]
    assert (done.returncode, faults) == (0, [])


def test_no_unit_but_code_and_oneshots_lacks_a_restart_and_all_run_as_the_same_user():
    for path in UNITS.glob("*.service"):
        service = configparser.RawConfigParser()
        service.read(path)
        assert service["Service"]["User"] == "platform", path
        assert service["Service"]["ProtectSystem"] == "strict", path
        oneshot = service["Service"].get("Type") == "oneshot"
        assert service["Service"].get("Restart") == (None if oneshot else "always"), path
