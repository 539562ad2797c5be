"""A real PostgreSQL server, started by the tests that ask for it, and instances on it."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from operations.instance import PG_DRIVER, free_port

START_SECONDS = 60


def find_server() -> Path | None:
    """The folder of initdb and postgres, which Debian keeps off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


def unprivileged() -> str | None:
    """The user to run the server as: it refuses to be root."""
    if os.getuid():
        return pwd.getpwuid(os.getuid()).pw_name
    users = {user.pw_name for user in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in users), None)


@pytest.fixture(scope="session")
def postgres_server():
    """A running server of this test session; yields the URL of its cluster."""
    import psycopg2

    programs, user = find_server(), unprivileged()
    if not programs or not user:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    shutil.chown(folder, user)
    as_user = {"cwd": folder, "user": user if os.getuid() == 0 else None}
    data, port = f"{folder}/data", str(free_port())
    initdb = [programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, **as_user)
    url = f"postgresql://tests@127.0.0.1:{port}"
    postgres = [programs / "postgres", "-D", data, "-k", folder, "-h", "127.0.0.1", "-p", port]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*postgres, "-c", "fsync=off"], stderr=log, **as_user)
    try:
        for _ in range(10 * START_SECONDS):
            with contextlib.suppress(psycopg2.OperationalError):
                psycopg2.connect(f"{url}/postgres").close()
                break
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server):
    """The URL of an empty database."""
    import psycopg2

    name = f"test_{os.urandom(4).hex()}"
    connection = psycopg2.connect(f"{postgres_server}/postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{postgres_server}/{name}".replace("postgresql://", PG_DRIVER)
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def instance_environment(request, tmp_path, monkeypatch) -> dict[str, str]:
    """The environment of a fresh instance: of one machine, or of production."""
    for name in [name for name in os.environ if name.startswith(("DAGSTER_", "PLATFORM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path))
    if request.param == "postgres":
        monkeypatch.setenv("DAGSTER_PG_URL", request.getfixturevalue("postgres_url"))
    return dict(os.environ)
