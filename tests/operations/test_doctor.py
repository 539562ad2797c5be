"""A test for each thing that the doctor finds, with real servers where one is asked."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from operations import doctor
from operations.doctor import OK, WARNING, WRONG, Finding
from resources import profiles
from resources.profiles import settings

NOWHERE = "http://127.0.0.1:9"  # nothing listens on the port of `discard`


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch):
    """No setting of the machine reaches the tests."""
    for name in list(profiles.os.environ):
        if name.startswith(("PLATFORM_", "DAGSTER_", "QDRANT_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path / "data"))


@pytest.fixture
def told(tmp_path: Path, monkeypatch):
    """What a check says under a platform.yaml: subject -> (state, text, remedy)."""

    def of(check, text: str = "") -> dict[str, Finding]:
        path = tmp_path / "platform.yaml"
        path.write_text(text)
        monkeypatch.setenv("PLATFORM_SETTINGS", str(path))
        return {finding.subject: finding for finding in check(settings())}

    return of


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, tuple[int, bytes]]]]:
    """A server that answers each path as the test says, and its address."""
    answers: dict[str, tuple[int, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, b""))
            key = self.headers.get("Authorization") or self.headers.get("api-key")
            if status == 401 and key in ("Bearer right", "right"):
                status = 200
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", answers
    running.shutdown()
    running.server_close()
    thread.join()


def mends(finding: Finding, state: str, *words: str) -> None:
    """The finding has the state, and says what is wrong and how to mend it."""
    assert finding.state == state, finding
    assert finding.remedy, finding
    for word in words:
        assert word in str(finding), (word, finding)


def test_wrong_settings_are_the_only_finding(tmp_path: Path, monkeypatch):
    path = tmp_path / "platform.yaml"
    path.write_text("profle: gpu")
    monkeypatch.setenv("PLATFORM_SETTINGS", str(path))
    (finding,) = doctor.examine()
    mends(finding, WRONG, "profle", "did you mean profile?")


def test_the_sandbox_is_well_and_the_exit_status_says_so(capsys, monkeypatch, told):
    monkeypatch.setattr(doctor, "FREE_DISK_GIB", 0.0)
    told(doctor.disk)
    doctor.doctor()
    assert "0 wrong" in capsys.readouterr().out


def test_something_wrong_is_exit_status_1(capsys, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PLATFORM_LAKE", str(tmp_path / "file" / "lake"))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit) as ended:
        doctor.doctor()
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "WRONG   lake: " in out
    assert "What to do: mend the path." in out


def test_a_check_that_breaks_does_not_silence_the_others(monkeypatch, capsys):
    def broken(chosen):
        raise RuntimeError("no /proc here")
        yield

    monkeypatch.setattr(doctor, "memory", broken)
    found = [finding for finding in doctor.examine() if finding.subject == "broken"]
    mends(found[0], WRONG, "no /proc here", "report it")


def test_catalog(told, tmp_path: Path):
    assert told(doctor.catalog)["catalog"].state == OK
    (tmp_path / "c.yaml").write_text("feeds: [a.csv]\ncolumns: {id: sku}\nfeds: 1\n")
    mends(told(doctor.catalog, "catalog: c.yaml")["catalog"], WRONG, "c.yaml", "feds")
    mends(told(doctor.catalog, "catalog: none.yaml")["catalog"], WRONG, "none.yaml")


def test_memory(told, monkeypatch):
    monkeypatch.setattr(doctor, "FREE_MEMORY_GIB", 1e9)
    mends(told(doctor.memory)["memory"], WARNING, "GiB free")


def test_device(told, monkeypatch):
    assert told(doctor.device, "profile: sandbox")["device"].state == OK
    monkeypatch.setattr(doctor, "_cuda_devices", lambda: {})
    mends(told(doctor.device, "profile: gpu")["device"], WRONG, "no CUDA device", "nvidia-smi")
    monkeypatch.setattr(doctor, "_cuda_devices", lambda: {"cuda:0": 4.0, "cuda:1": 80.0})
    found = told(doctor.device, "profile: gpu")
    mends(found["cuda:0"], WARNING, "4.0 GiB", "batch_tokens")
    assert found["cuda:1"].state == OK
    found = told(doctor.device, "{profile: gpu, hardware: {device: 'cuda:3'}}")
    mends(found["device"], WRONG, "cuda:3 is wanted, there is cuda:0, cuda:1")


def test_disk(told, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(doctor, "FREE_DISK_GIB", 0.0)
    assert told(doctor.disk)["data"].state == OK
    monkeypatch.setattr(doctor, "FREE_DISK_GIB", 1e9)
    mends(told(doctor.disk)["data"], WRONG, "GiB free", "make room")
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path / "taken"))
    mends(told(doctor.disk)["data"], WRONG, "cannot be written")


def test_model_folders_and_hub_ids(told, tmp_path: Path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "pytorch_model.bin").write_bytes(b"")
    found = told(
        doctor.models,
        f"""models:
  vision_language: {tmp_path}/none
  encoder: open_clip:{tmp_path}/weights
  language: package:no_such_package
  diffusion: nobody/no-such-model@abc
""",
    )
    mends(found["models.vision_language"], WRONG, "no such folder")
    mends(found["models.encoder"], WRONG, "no .safetensors", "save_pretrained")
    mends(found["models.language"], WRONG, "pip install no-such-package")
    mends(found["models.diffusion"], WRONG, "not in the hub's cache", "HF_HUB_OFFLINE=0")
    assert found["models.scorer"].state == OK  # the sandbox's own folder
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    found = told(doctor.models, "models: {vision_language: nobody/no-such-model}")
    mends(found["models.vision_language"], WARNING, "will be fetched", "pin it")


def test_model_servers(told, server, monkeypatch):
    url, answers = server
    listed = json.dumps({"data": [{"id": "tiny"}, {"id": "large"}]}).encode()
    answers |= {"/v1/models": (200, listed), "/closed/models": (401, listed)}

    def of(name: str) -> Finding:
        return told(doctor.models, f'models: {{vision_language: "openai:{name}"}}')[
            "models.vision_language"
        ]

    assert of(f"{url}/v1#tiny").state == OK
    mends(of(f"{url}/v1#huge"), WRONG, "has no model huge", "tiny, large")
    mends(of(f"{url}/v2#tiny"), WRONG, "HTTP 404", "/chat/completions")
    mends(of(f"{url}/closed#tiny"), WRONG, "HTTP 401", "PLATFORM_VISION_LANGUAGE_KEY")
    mends(of(f"{NOWHERE}/v1#tiny"), WRONG, "does not answer", "start the server")
    mends(of("ftp://host#tiny"), WRONG, "malformed")
    monkeypatch.setenv("PLATFORM_VISION_LANGUAGE_KEY", "right")
    assert of(f"{url}/closed#tiny").state == OK


def test_budget(told):
    served = 'models: {vision_language: "openai:http://a/v1#m"}\n'
    assert told(doctor.budget) == {}  # no server, nothing to spend
    mends(told(doctor.budget, served)["budget"], WARNING, "no cap", "calls_a_day")
    capped = served + "budget: {dollars_a_day: 5}\n"
    mends(told(doctor.budget, capped)["budget.dollars_a_day"], WRONG, "no prices", "prompt_price")
    priced = capped + "vision_language: {prompt_price: 0.2}\n"
    assert {one.state for one in told(doctor.budget, priced).values()} == {OK}


def test_lake_in_a_folder(told, tmp_path: Path):
    assert told(doctor.lake)["lake"].state == OK
    (tmp_path / "file").write_text("in the way")
    mends(told(doctor.lake, "lake: file/lake")["lake"], WRONG, "mend the path")


def test_lake_in_a_bucket(told, bucket, monkeypatch):
    assert told(doctor.lake, f"lake: {bucket}/lake")["lake"].state == OK
    mends(told(doctor.lake, "lake: s3://no-such-bucket/lake")["lake"], WRONG, "AWS_ENDPOINT_URL")


def test_database(told, monkeypatch):
    assert told(doctor.postgres)["database"].state == OK
    mends(told(doctor.postgres, "profile: production")["database"], WARNING, "DAGSTER_PG_URL")
    monkeypatch.setenv("DAGSTER_PG_URL", "postgresql://host/db")
    mends(told(doctor.postgres)["database"], WRONG, "names no driver", "postgresql+psycopg2://")
    monkeypatch.setenv("DAGSTER_PG_URL", "postgresql+psycopg2://nobody:secret@127.0.0.1:9/db")
    finding = told(doctor.postgres)["database"]
    mends(finding, WRONG, "refused", "is it running?")
    assert "secret" not in str(finding)


def test_database_that_answers(told, postgres_url, monkeypatch):
    monkeypatch.setenv("DAGSTER_PG_URL", postgres_url)
    finding = told(doctor.postgres, "profile: production")["database"]
    assert finding.state == OK
    assert finding.told.startswith("PostgreSQL ")


def test_vector_index(told, server, monkeypatch):
    url, answers = server
    assert told(doctor.vector_index)["vector_index"].told == "embedded"
    text = f"vector_index: {{url: '{url}'}}"
    mends(told(doctor.vector_index, text)["vector_index"], WRONG, "HTTP 404", "Qdrant server")
    answers["/collections"] = (401, b"{}")
    mends(told(doctor.vector_index, text)["vector_index"], WRONG, "HTTP 401", "QDRANT_API_KEY")
    monkeypatch.setenv("QDRANT_API_KEY", "right")
    assert told(doctor.vector_index, text)["vector_index"].state == OK
    gone = told(doctor.vector_index, f"vector_index: {{url: '{NOWHERE}'}}")["vector_index"]
    mends(gone, WRONG, "does not answer")


def test_ray(told, server, monkeypatch):
    url, answers = server

    def of(text: str) -> dict[str, Finding]:
        return told(lambda chosen: doctor.ray(chosen, profiles.engine()), text)

    assert of("")["ray"].told.startswith("not used")
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    mends(of("engine: {kind: ray}")["ray"], WRONG, "not installed", "[ray]")
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: object())
    assert of("engine: {kind: ray, workers: 2}")["engine"].state == OK
    found = of("engine: {kind: ray, address: '127.0.0.1:9'}")
    mends(found["engine.address"], WRONG, "127.0.0.1:9", "start the cluster")
    mends(found["lake"], WARNING, "other machines", "bucket")
    mends(of(f"steps: {{ray_jobs: '{url}'}}")["steps.ray_jobs"], WRONG, "ray start --head")
    answers["/api/version"] = (200, b"{}")
    assert of(f"steps: {{ray_jobs: '{url}'}}")["steps.ray_jobs"].state == OK


def test_pools_and_schedules(told, monkeypatch):
    assert "at the first start" in told(doctor.pools)["pools"].told
    assert told(doctor.schedules)["automation"].state == OK
    off = "{profile: production, automation: {running: false}}"
    mends(told(doctor.schedules, off)["automation"], WARNING, "off until", "automation.running")
    on = told(doctor.schedules, "automation: {running: true}")["automation"]
    mends(on, WARNING, "no daemon has ever run", "platform-daemon")


def test_pools_and_schedules_of_an_instance(told, monkeypatch):
    """Slots that an operator has set, and a daemon that has died."""
    import time
    from types import SimpleNamespace

    import dagster as dg

    with dg.DagsterInstance.ephemeral() as instance:
        instance.event_log_storage.set_concurrency_slots("gpu", 0)
        instance.event_log_storage.set_concurrency_slots("gpu_train", 2)
        monkeypatch.setattr(doctor, "_instance", lambda _: doctor.contextlib.nullcontext(instance))
        found = told(doctor.pools)
        mends(found["pools.gpu"], WRONG, "paused", "concurrency set gpu 1")
        mends(found["pools.gpu_train"], WARNING, "2 in force, 1 in the settings")
        for age, state in ((3_600, WRONG), (5, OK)):
            beats = {"SCHEDULER": SimpleNamespace(timestamp=time.time() - age)}
            monkeypatch.setattr(type(instance), "get_daemon_heartbeats", lambda _, b=beats: b)
            finding = told(doctor.schedules, "automation: {running: true}")["automation"]
            assert finding.state == state
        assert finding.told == "on, and the daemon is at work"


def test_only_the_deep_look_reads_what_is_stored(tmp_path: Path):
    used = profiles.resources()
    used["lake"].commit("catalog", {"products": pl.DataFrame({"x": [1]})}, partition="2026-11-01")
    version = used["checkpoints"].save(
        "m", lambda folder: (folder / "w").write_bytes(b"1") and None
    )
    used["site"].publish([("index.html", b"hats")])
    subjects = ("stored in the lake", "stored checkpoints", "the live site")

    def seen(*, deep: bool) -> dict[str, Finding]:
        found = {finding.subject: finding for finding in doctor.examine(deep=deep)}
        return {subject: found[subject] for subject in subjects if subject in found}

    assert seen(deep=False) == {}
    assert {finding.state for finding in seen(deep=True).values()} == {OK}
    (table,) = Path(used["lake"].root).rglob("products-*.parquet")
    table.write_bytes(b"?" * table.stat().st_size)
    (Path(used["checkpoints"].root) / "m" / version / "w").write_bytes(b"2")
    (used["site"].current_folder() / "index.html").write_bytes(b"hate")
    found = seen(deep=True)
    mends(found["stored in the lake"], WRONG, str(table), "materialize catalog of 2026-11-01 again")
    mends(found["stored checkpoints"], WRONG, f"m/{version}", "materialize m again")
    mends(found["the live site"], WRONG, "materialize published_collections again")
