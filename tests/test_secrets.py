"""No secret of the settings is anywhere that people look: the UI, events, logs, the doctor."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from operations.doctor import doctor
from resources.profiles import REPOSITORY

SECRETS = (
    *("PLATFORM_VISION_LANGUAGE_KEY", "PLATFORM_LANGUAGE_KEY", "QDRANT_API_KEY"),
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
)
PASSWORD = "marked-password-of-the-database"


def mark(name: str) -> str:
    return f"marked-value-of-{name.lower()}"


@pytest.fixture(scope="module")
def repeats() -> Iterator[str]:
    """A server that refuses everything, and says what it was sent: some vendors do."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            keys = self.headers.get("Authorization"), self.headers.get("api-key")
            body = f"Incorrect API key provided: {keys}".encode()
            self.send_response(401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def marked(repeats: str, tmp_path_factory) -> dict[str, str]:
    """An environment in which every secret can be told from everything else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PLATFORM_", "DAGSTER_", "QDRANT_", "AWS_", "HF_"))
    }
    data = tmp_path_factory.mktemp("data")
    return {
        **kept,
        **{name: mark(name) for name in SECRETS},
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(REPOSITORY),
        "AWS_ACCESS_KEY_ID": "an-id",
        "AWS_REGION": "us-east-1",
        "DAGSTER_PG_URL": f"postgresql+psycopg2://dagster:{PASSWORD}@127.0.0.1:9/dagster",
        "DAGSTER_STORAGE": str(data / "storage"),
        "DAGSTER_COMPUTE_LOGS": str(data / "logs"),
        "PLATFORM_DATA": str(data),
        "PLATFORM_QDRANT_URL": repeats,
        "PLATFORM_VISION_LANGUAGE": f"openai:{repeats}/v1#vlm",
        "PLATFORM_LANGUAGE": f"openai:{repeats}/v1#llm",
    }


def secrets_in(text: bytes) -> list[str]:
    return [value for value in (PASSWORD, *map(mark, SECRETS)) if value.encode() in text]


@pytest.mark.parametrize("ledger", ["database", "file"])
def test_the_ui_events_and_logs_show_no_secret(marked, ledger, tmp_path):
    environment = marked | {"PLATFORM_DATA": str(tmp_path), "DAGSTER_STORAGE": str(tmp_path / "s")}
    environment["DAGSTER_COMPUTE_LOGS"] = str(tmp_path / "logs")
    for name in ("s", "logs"):
        (tmp_path / name).mkdir()
    if ledger == "file":  # then the servers are asked
        del environment["DAGSTER_PG_URL"]
    program = [sys.executable, "-m", "tests.run_with_secrets", str(tmp_path)]
    done = subprocess.run(program, env=environment, cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    found = {"output": secrets_in(done.stdout), "errors": secrets_in(done.stderr)}
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        found[str(path.relative_to(tmp_path))] = secrets_in(path.read_bytes())
    assert {name: secrets for name, secrets in found.items() if secrets} == {}
    run = (tmp_path / "run.json").read_text()
    assert "the Qdrant server refuses us" in run  # it was no run beside the point
    assert ("Incorrect API key provided" if ledger == "file" else "psycopg2") in run
    for location in ("pinlanding_assets", "rl_diffusion_assets"):
        assert "QDRANT_API_KEY" in (tmp_path / f"{location}.json").read_text()  # by its name


def test_the_doctor_shows_no_secret(marked):
    program = [sys.executable, "-m", "operations", "doctor"]
    done = subprocess.run(program, env=marked, cwd=REPOSITORY, capture_output=True)
    assert b"vector_index" in done.stdout, done.stderr.decode()[-3000:]
    assert secrets_in(done.stdout + done.stderr) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PLATFORM_QDRANT_URL", "https://me:{}@host:6333"),
        ("PLATFORM_VISION_LANGUAGE", "openai:https://host/v1?api_key={}#model"),
        ("PLATFORM_RAY_JOBS", "https://{}@host"),
        ("PLATFORM_ENGINE", "{{kind: ray, address: 'ray://me:{}@head:10001'}}"),
        ("PLATFORM_LAKE", "s3://key:{}@bucket/lake"),
        ("PLATFORM_LIMITS", "{{api_key: {}}}"),
        ("PLATFORM_LANGUAGE_KEY", "{}\n"),
        ("QDRANT_API_KEY", "two {}"),
    ],
)
def test_the_doctor_names_a_variable_that_holds_a_secret(
    marked, variable, value, monkeypatch, capsys
):
    for name in set(os.environ) - set(marked):
        monkeypatch.delenv(name)
    for name, text in (marked | {variable: value.format(PASSWORD)}).items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SystemExit):
        doctor()
    told = capsys.readouterr().out
    assert variable in told
    assert secrets_in(told.encode()) == []
