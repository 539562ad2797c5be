"""catalog.yaml: which files a catalog comes in, and what their columns mean."""

import re
from datetime import date
from pathlib import Path
from string import Formatter
from typing import Annotated, Any

import dagster as dg
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

OVERRIDES = "vocabulary.yaml"  # beside catalog.yaml


class CatalogConfigError(dg.Failure, ValueError):
    """A catalog.yaml that cannot be used; the message names the file and the setting.

    A failure, so that the page of a run begins with the message.
    """


class _Settings(BaseModel):
    # YAML reads `lexicon: {size: [38]}` as a number, where a text is meant
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


def _named_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _several(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Name = Annotated[str, Field(min_length=1, max_length=200)]


class SplitColumn(_Settings):
    """A column that may hold several values, separated by `split`."""

    column: Name
    split: Annotated[str, Field(min_length=1, max_length=10)] | None = None


class AttributeColumn(SplitColumn):
    """A column of attribute values; `values` renames some of them, "" leaves a value out."""

    values: dict[str, str] = {}


class Columns(_Settings):
    """The column of each product field. Only `id` is needed; `images` may be several columns."""

    id: Name
    operation: Name | None = None
    title: Name | None = None
    description: Name | None = None
    images: Annotated[
        list[Annotated[SplitColumn, BeforeValidator(_named_column)]], BeforeValidator(_several)
    ] = []
    price: Name | None = None
    currency: Name | None = None
    seller: Name | None = None
    availability: Name | None = None
    url: Name | None = None
    day: Name | None = None


class Defaults(_Settings):
    """Values for products whose own field is empty."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    seller: Name | None = None


class SearchLog(_Settings):
    """What shoppers searched for: a file (a day, if its path has {day}) of queries and counts."""

    path: Name
    query: Name = "query"
    count: Name | None = None


class Models(_Settings):
    """Names of the models to use; the profile knows which there are."""

    vision_language: Name | None = None
    encoder: Name | None = None
    device: Name | None = None


class Collections(_Settings):
    """How large a collection has to be. `min_sellers` is 3, or 1 where no column names sellers."""

    min_products: Annotated[int, Field(ge=1)] = 10
    min_sellers: Annotated[int, Field(ge=1)] = 3
    max_products: Annotated[int, Field(ge=1)] = 48


class Site(_Settings):
    """What the published site calls itself, and the address it will be served at."""

    title: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    tagline: Annotated[str, Field(max_length=200)] = ""
    base_url: Annotated[str, Field(pattern=r"^https?://", max_length=200)] = "http://localhost/"


class CatalogConfig(_Settings):
    """The contents of a catalog.yaml."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=60)]
    feeds: Annotated[list[Name], Field(min_length=1)]
    columns: Columns
    defaults: Defaults = Defaults()
    attributes: dict[Name, Annotated[AttributeColumn, BeforeValidator(_named_column)]] = {}
    product_type: Name | None = None
    phrases: dict[Name, str] = {}
    lexicon: dict[Name, list[Name] | dict[Name, list[Name]]] = {}  # or value -> other words
    images_from: Name | None = None
    day: date | None = None
    search_log: SearchLog | None = None
    models: Models = Models()
    vlm_budget: Annotated[int, Field(ge=0)] | None = None
    collections: Collections = Collections()
    limits: dict[Name, float] = {}  # of data-quality checks; `resources.quality.Limits` names them
    site: Site = Site()

    @field_validator("phrases")
    @classmethod
    def _phrases_hold_one_value(cls, phrases: dict[str, str]) -> dict[str, str]:
        for key, phrase in phrases.items():
            try:
                fields = [name for _, name, _, _ in Formatter().parse(phrase) if name is not None]
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
            if fields != ["value"]:
                raise ValueError(f"{key}: {phrase!r} must hold {{value}} once and no other field")
        return phrases

    @model_validator(mode="after")
    def _one_seller_is_enough_for_one(self) -> "CatalogConfig":
        if "min_sellers" not in self.collections.model_fields_set and not self.columns.seller:
            collections = self.collections.model_copy(update={"min_sellers": 1})
            object.__setattr__(self, "collections", collections)  # frozen from here on
        return self

    @classmethod
    def load(cls, path: str | Path) -> "CatalogConfig":
        """Reads a catalog.yaml.

        Raises:
            CatalogConfigError: the file is missing, is not YAML, or has a wrong setting.
        """
        path = Path(path)
        content = _read_yaml(path)
        if not isinstance(content, dict):
            raise CatalogConfigError(f"{path}: holds no settings (expected `feeds:`, `columns:`)")
        slug = re.sub(r"[^a-z0-9_]+|__+", "-", path.stem.lower()).strip("-_") or "catalog"
        try:
            return cls.model_validate({"name": slug, **content})
        except ValidationError as error:
            raise _wrong(path, error) from None


def load_overrides(path: Path) -> dict[str, dict[str, str | None]]:
    """Reads a vocabulary.yaml: key -> word -> value, or nothing; empty where there is no file.

    Raises:
        CatalogConfigError: it is not YAML, or of another form.
    """
    if not path.exists():
        return {}
    words = TypeAdapter(dict[Name, dict[Name, Name | None]], config=_Settings.model_config)
    try:
        return words.validate_python(_read_yaml(path) or {})
    except ValidationError as error:
        raise _wrong(path, error) from None


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogConfigError(f"{path}: cannot be read: {error}") from error


def _wrong(path: Path, error: ValidationError) -> CatalogConfigError:
    lines = [
        f"  {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors()
    ]
    return CatalogConfigError("\n".join([f"{path}: wrong settings:", *lines]))
