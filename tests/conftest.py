"""Every test runs offline, on one thread, with seeds of its own.

A bucket, for who asks for one: moto's S3 over real HTTP, found through the environment.
"""

import logging
import os

import pytest

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
# whatever a demo has made in this checkout
os.environ["PLATFORM_START_DATE"] = "2026-11-01"


@pytest.fixture(scope="session")
def s3_server():
    server = pytest.importorskip("moto.server", reason="moto, flask and flask-cors: extra 'dev'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch, request) -> str:
    """The URI of an empty bucket; endpoint and credentials are in the environment only."""
    pytest.importorskip("obstore", reason="extra 'remote' not installed")
    import httpx

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    httpx.post(f"{s3_server}/moto-api/reset", timeout=120).raise_for_status()
    httpx.put(f"{s3_server}/shop", timeout=120).raise_for_status()
    return "s3://shop"


@pytest.fixture(params=["folder", "bucket"])
def root(request, tmp_path) -> str:
    """Where a lake can be: every test that asks for this runs on both."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    return request.getfixturevalue("bucket") + "/lake"
