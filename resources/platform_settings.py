"""platform.yaml: what an operator tells the platform, typed. docs/production.md lists every key.

A secret in the file is refused (`resources/addresses.py`): it belongs to the environment, which
also overrides single keys (`resources/profiles.py`).
"""

import difflib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from dagster._utils.schedules import is_valid_cron_string
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator

from resources.addresses import names_a_secret, secret_in
from resources.engine import Engine
from resources.language import Language
from resources.quality import Limits
from resources.vision_language import VisionLanguage
from resources.yaml_files import UnusableYaml, key_of, read_yaml, shown

_ENVIRONMENT_OF = (  # what a secret is for, and the variable that it belongs in
    ("vision_language", "PLATFORM_VISION_LANGUAGE_KEY"),
    ("language", "PLATFORM_LANGUAGE_KEY"),
    ("vector_index", "QDRANT_API_KEY"),
    ("lake", "AWS_SECRET_ACCESS_KEY"),
)


class SettingsError(ValueError):
    """A platform.yaml that cannot be used; every line names a key and what is wrong with it."""


class Section(BaseModel):
    """A part of the file; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[str, Field(min_length=1, max_length=300)]
Count = Annotated[int, Field(ge=1)]


def _options_of(name: str, resource: type[BaseModel], *, without: tuple[str, ...]) -> Any:
    """A section with the fields of a resource: their types, bounds, defaults and descriptions."""
    fields: Any = {
        key: (field.annotation, field)
        for key, field in resource.model_fields.items()
        if key not in without
    }
    return create_model(name, __base__=Section, __doc__=resource.__doc__, **fields)


class Models(Section):
    """Which models; `none`, a folder, a hub id (`owner/model@revision`), or a server."""

    vision_language: Name | None = Field(default=None, description="Reads attributes off pictures.")
    language: Name | None = Field(
        default=None, description="Phrases titles; none: the template does."
    )
    encoder: Name | None = Field(
        default=None, description="`pretrained-features`, or `open_clip:` and a folder or hub name."
    )
    diffusion: Name | None = Field(default=None, description="Folder or hub id of a pipeline.")
    scorer: Name | None = Field(
        default=None, description="CLIP that preference scorers start from."
    )


class Hardware(Section):
    """The device of steps that run models in this process."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] | None = Field(
        default=None, description="auto, cpu, cuda, cuda:N or mps."
    )
    required: bool | None = Field(default=None, description="Refuse to fall back to the CPU.")
    precision: Literal["float32", "bfloat16", "float16"] | None = Field(
        default=None, description="Of models that are applied."
    )
    price_per_hour: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="US$ an hour of the device, for reports of cost."
    )


class Budget(Section):
    """What model servers may take on a day (UTC), all together; empty: as much as it takes."""

    calls_a_day: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Requests, retries included."
    )
    tokens_a_day: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Of prompts and answers."
    )
    dollars_a_day: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="US$, by `prompt_price` and `completion_price`."
    )


class Steps(Section):
    """Where the steps of a run work."""

    executor: Literal["in-process", "processes", "ray"] | None = Field(
        default=None, description="One process a run, one a step, or jobs of a Ray cluster."
    )
    ray_jobs: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        default=None, description="Job server of that cluster."
    )


class Index(Section):
    """Where vectors are searched."""

    url: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        default=None, description="A Qdrant server; empty: embedded, in the data folder."
    )


class Pools(Section):
    """Slots of the pools at the first start; later they are set in the UI."""

    gpu: Count | None = Field(default=None, description="Runs at once that apply a model.")
    gpu_train: Count | None = Field(default=None, description="Runs at once that train one.")


class Days(Section):
    """The partitions."""

    start_date: date | None = Field(
        default=None, description="First day of the feeds. It never moves: partitions would vanish."
    )
    chunk_days: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Days a run of a backfill; 0: all in one."
    )


class Automation(Section):
    """What runs by itself; times are cron schedules in UTC."""

    running: bool | None = Field(default=None, description="Schedules and sensors are on.")
    night_cron: str | None = Field(default=None, description="The nightly schedule.")
    deadline_cron: str | None = Field(default=None, description="When a night has to be done.")
    lookback_days: Count | None = Field(
        default=None, description="Closed days a night looks back over."
    )
    learn_cron: str | None = Field(
        default=None,
        description="When vocabulary and encoder may be learned anew; empty: at any change.",
    )
    reward_cron: str | None = Field(
        default=None, description="When reward models may be trained anew."
    )
    reward_pairs: Count | None = Field(
        default=None, description="New pairs that are as good as a tick."
    )
    objectives: list[Name] | None = Field(default=None, description="Runs that are tuned again.")

    @field_validator("night_cron", "deadline_cron", "learn_cron", "reward_cron")
    @classmethod
    def _is_a_schedule(cls, value: str | None) -> str | None:
        if value and not is_valid_cron_string(value):
            raise ValueError(f"{value!r} is not a cron schedule")
        return value


_SET_ELSEWHERE = ("model", "api_key", "ledger")
EngineOptions = _options_of("EngineOptions", Engine, without=())
LimitOptions = _options_of("LimitOptions", Limits, without=())
VisionLanguageOptions = _options_of("VisionLanguageOptions", VisionLanguage, without=_SET_ELSEWHERE)
LanguageOptions = _options_of(
    "LanguageOptions", Language, without=(*_SET_ELSEWHERE, "max_pixels", "image_tokens")
)


class PlatformSettings(Section):
    """The contents of platform.yaml. Every key may be left out; paths are from its folder."""

    profile: Literal["sandbox", "laptop", "gpu", "production"] | None = Field(
        default=None, description="What every key that is left out is taken from."
    )
    catalog: Name | None = Field(
        default=None, description="Path of catalog.yaml; empty: the sandbox."
    )
    studio: Name | None = Field(
        default=None, description="Path of studio.yaml, of the second system."
    )
    data: Name | None = Field(default=None, description="Folder for everything that is made.")
    lake: Name | None = Field(
        default=None, description="Folder or bucket (s3://bucket/shop/lake) of tables and images."
    )
    models: Models = Models()
    vision_language: VisionLanguageOptions = VisionLanguageOptions()  # type: ignore[valid-type]
    language: LanguageOptions = LanguageOptions()  # type: ignore[valid-type]
    hardware: Hardware = Hardware()
    budget: Budget = Budget()
    engine: EngineOptions = EngineOptions()  # type: ignore[valid-type]
    steps: Steps = Steps()
    vector_index: Index = Index()
    pools: Pools = Pools()
    days: Days = Days()
    automation: Automation = Automation()
    limits: LimitOptions = LimitOptions()  # type: ignore[valid-type]

    def given(self, section: str) -> dict[str, Any]:
        """The keys of a section that the file sets."""
        return {
            key: value
            for key, value in getattr(self, section).model_dump(exclude_unset=True).items()
            if value is not None
        }


def load(path: Path | None) -> PlatformSettings:
    """Reads a platform.yaml; without a path, all keys are left out.

    Raises:
        SettingsError: the file is missing, is not YAML, holds a secret, or has a wrong key.
    """
    if path is None:
        return PlatformSettings()
    try:
        body = read_yaml(path)
    except UnusableYaml as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    body = {} if body is None else body
    if not isinstance(body, dict):
        raise SettingsError(f"{path}: holds no settings (expected `profile:`, `models:`)")
    body = {key: value for key, value in body.items() if value is not None}  # all commented out
    if secrets := list(_secrets(body)):
        raise SettingsError("\n".join([f"{path}: secrets do not belong here:", *secrets]))
    try:
        found = PlatformSettings.model_validate(body)
    except ValidationError as error:
        wrong = [_told(one, PlatformSettings) for one in error.errors()]
        raise SettingsError("\n".join([f"{path}: wrong settings:", *wrong])) from None
    places = {
        key: str((path.parent / value).absolute())
        for key in ("catalog", "studio", "data", "lake")
        if (value := getattr(found, key)) and "://" not in value
    }
    return found.model_copy(update=places)


def keys(section: type[BaseModel] = PlatformSettings, above: str = "") -> Iterator[tuple[str, str]]:
    """Every key of the file, as `section.key`, with its description."""
    for name, field in section.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, Section):
            yield from keys(part, f"{above}{name}.")
        else:
            yield f"{above}{name}", field.description or ""


def _secrets(body: Any, above: str = "") -> Iterator[str]:
    """A line for every key or value that is a secret."""
    if isinstance(body, Mapping):
        for key, value in body.items():
            where = f"{above}{key}"
            if reason := secret_in(str(key)):
                yield f"  {above or 'the file'}: a key is {reason}"
            elif names_a_secret(str(key)):
                yield f"  {where}: set {_variable(where)} in the environment instead"
            else:
                yield from _secrets(value, f"{where}.")
    elif isinstance(body, list):
        for value in body:
            yield from _secrets(value, above)
    elif isinstance(body, str | bytes):
        text = body if isinstance(body, str) else body.decode("utf-8", "replace")
        if reason := secret_in(text):
            where = above.rstrip(".")
            variable = _variable(where)
            yield f"  {where}: holds {reason}; set {variable} in the environment instead"


def _variable(where: str) -> str:
    for part, variable in _ENVIRONMENT_OF:
        if where.removeprefix("models.").startswith(part):
            return variable
    return "DAGSTER_PG_URL" if "post" in where or "ledger" in where else "a variable"


def _told(error: Any, root: type[BaseModel]) -> str:
    """What is wrong with a key, in one line."""
    where = [str(part) for part in error["loc"]]
    key, message = key_of(where), shown(error["msg"].removeprefix("Value error, "))
    if error["type"] == "extra_forbidden":
        known: Any = root
        for part in where[:-1]:
            known = known.model_fields[part].annotation
        near = difflib.get_close_matches(where[-1], known.model_fields, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known.model_fields)}"
        return f"  {key}: there is no such key; {hint}"
    return f"  {key}: {message} (it is {shown(error['input'])[:80]!r})"
