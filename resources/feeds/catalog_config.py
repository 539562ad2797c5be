"""catalog.yaml: which files a catalog comes in, and what their columns mean."""

import codecs
import hashlib
import json
import re
from datetime import date, datetime
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

import dagster as dg
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

from resources.addresses import secret_in_address
from resources.yaml_files import UnusableYaml, read_yaml, wrong_keys

OVERRIDES = "vocabulary.yaml"  # beside catalog.yaml
PARTS: dict[str, Any] = {  # what of catalog.yaml is read together
    "file_settings": {
        **dict.fromkeys(("feeds", "format", "tables", "day", "day_format"), True),
        "columns": {"day": True},
    },
    "row_settings": {
        *("only", "rows", "snapshot", "missing_day", "columns", "defaults", "attributes"),
        *("decimal", "day_format", "nulls", "words", "images_from"),
    },
    "lexicon": {"lexicon"},
    "collection_settings": {"product_type", "collections"},
    "page_settings": {"noun", "phrases", "site"},
}
AVAILABILITY = ("in_stock", "out_of_stock", "preorder", "unknown")
OPERATIONS = ("upsert", "delete")


class CatalogConfigError(dg.Failure, ValueError):
    """A catalog.yaml that cannot be used; the message names the file and the setting.

    A failure, so that the page of a run begins with the message.
    """


class _Settings(BaseModel):
    # YAML reads `lexicon: {size: [38]}` as a number, where a text is meant
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


def _several(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _named_columns(value: Any) -> Any:
    """A column, its short form, or a list of them, as a list of mappings."""
    return [{"column": one} if isinstance(one, str) else one for one in _several(value)]


Name = Annotated[str, Field(min_length=1, max_length=200)]
Separator = Annotated[str, Field(min_length=1, max_length=10)]


class Column(_Settings):
    """Where a value stands: the name of a column, or a path into nested values (JMESPath, as in
    `price.amount` or `photos[].url`). `since` and `until` are the first and the last day that have
    it; on other days it is not missed."""

    column: Name
    since: date | None = None
    until: date | None = None

    @model_validator(mode="after")
    def _days_are_in_order(self) -> "Column":
        if self.since and self.until and self.since > self.until:
            raise ValueError(f"since {self.since} is after until {self.until}")
        return self


class SplitColumn(Column):
    """A column that may hold several values: a list, a JSON list in a cell, or a text whose parts
    are separated by `split`."""

    split: Separator | None = None


class AttributeColumn(SplitColumn):
    """A column of attribute values.

    `values` renames some of them, "" leaves a value out. For the key `*`, the column holds keys and
    values: a JSON object, a map, a list of {key, value}, or a text like `k=v,k=v`; or the keys
    stand in `names`, another column. {n} in both names stands for 1, 2, 3, ... `keys` renames keys,
    "" leaves one out.
    """

    values: dict[str, str] = {}
    names: Name | None = None
    keys: dict[str, str] = {}

    @model_validator(mode="after")
    def _numbered_in_both(self) -> "AttributeColumn":
        if self.names is not None and ("{n}" in self.names) != ("{n}" in self.column):
            raise ValueError("{n} has to stand in `names` and in `column`, or in neither")
        return self


# the first one that is there and not blank counts: several names of a column over time
OneOf = Annotated[list[Column], BeforeValidator(_named_columns), Field(max_length=20)]
# all of them count
AllOf = Annotated[list[SplitColumn], BeforeValidator(_named_columns), Field(max_length=50)]
Attributes = Annotated[
    list[AttributeColumn], BeforeValidator(_named_columns), Field(min_length=1, max_length=50)
]


class Columns(_Settings):
    """The columns of each product field. Only `id` is needed.

    `parent` names the product that a row is a part of (a variant), by its id, or by the column
    `parent_key`; rows that name what has no row of its own stay products, and count as one.
    `status` says whether a product is for sale at all (active, draft, archived), in
    the words of `availability`, which says whether it can be had now.
    """

    id: OneOf
    parent: OneOf = []
    parent_key: OneOf = []
    operation: OneOf = []
    title: OneOf = []
    description: OneOf = []
    images: AllOf = []
    price: OneOf = []
    currency: OneOf = []
    seller: OneOf = []
    availability: OneOf = []
    status: OneOf = []
    url: OneOf = []
    day: OneOf = []


class FormatSettings(_Settings):
    """How the files are written, where guessing fails; `resources.feeds.formats.Format` says
    what each means."""

    kind: Literal["csv", "jsonl", "json", "parquet", "excel", "xml"] | None = None
    encoding: Name | None = None
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    quote: Annotated[str, Field(max_length=1)] | None = None
    escape: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    header: Annotated[int, Field(ge=1, le=10_000)] | None = None
    sheet: Name | None = None
    records: Annotated[str, Field(max_length=200)] | None = None

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                codecs.lookup(value)
        except LookupError:
            raise ValueError(f"there is no encoding {value!r}") from None
        return value


class Table(_Settings):
    """A file whose rows belong to those of the feed: where `key` is what the feed's column `of`
    is. A row of the feed then has the list of them under the table's name."""

    path: Name
    key: Name
    of: Name
    format: FormatSettings = FormatSettings()


class Words(_Settings):
    """What words of the feed mean, beside those that are known, whatever their case."""

    availability: dict[Name, Literal["in_stock", "out_of_stock", "preorder", "unknown"]] = {}
    operation: dict[Name, Literal["upsert", "delete"]] = {}


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
    """How large a collection is, and which there are already. `min_sellers` is 3, or 1 where no
    column names sellers; with no `max_products`, a page holds all that belongs there, up to 1,000
    (fewer on thousands of pages). `existing` is the attribute whose values are collections that
    people made: each is a page under its own name, and the scorecard compares the others with it.
    """

    existing: Name | None = None
    min_products: Annotated[int, Field(ge=1)] = 10
    min_sellers: Annotated[int, Field(ge=1)] = 3
    max_products: Annotated[int, Field(ge=1)] | None = None


class Site(_Settings):
    """What the published site calls itself, and the address it will be served at."""

    title: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    tagline: Annotated[str, Field(max_length=200)] = ""
    base_url: Annotated[str, Field(pattern=r"^https?://", max_length=200)] = "http://localhost/"


class CatalogConfig(_Settings):
    """The contents of a catalog.yaml.

    Attributes:
        feeds: Paths of files, with globs; `{day}` stands for the day, `{day:%d%m%y}` for another
            form of it.
        only: Column -> values of the rows that count; "" is a blank. Others are left out.
        rows: What several rows of one product on one day are. `last`: changes, the last counts;
            `joined`: parts of it (variants, photos); `auto`: parts where they follow their
            product's row and leave its title blank.
        snapshot: `full`: a day's feed is the whole catalog, and what is missing in it is gone.
        missing_day: What a day without a file is, inside a range of days.
        decimal: The mark before the cents of prices that are texts. Without, it is found out a file
            at a time, and a price that may be read in two ways is refused.
        day_format: Of the day column, as in `%d.%m.%Y`.
        nulls: Further words for a missing value.
        noun: What one item is, in the singular: "package", "image".
        limits: Of data-quality checks; `resources.quality.Limits` names them.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=60)]
    feeds: Annotated[list[Name], Field(min_length=1)]
    format: FormatSettings = FormatSettings()
    tables: dict[Name, Table] = {}
    only: dict[Name, Annotated[list[str], BeforeValidator(_several)]] = {}
    rows: Literal["auto", "last", "joined"] = "auto"
    snapshot: Literal["changes", "full"] = "changes"
    missing_day: Literal["fail", "empty"] = "fail"
    columns: Columns
    defaults: Defaults = Defaults()
    attributes: dict[Name, Attributes] = {}
    decimal: Literal[".", ","] | None = None
    day_format: Name | None = None
    nulls: list[str] = []
    words: Words = Words()
    product_type: Name | None = None
    noun: Annotated[str, Field(pattern=r"^[^\W\d_][\w \-]{0,38}$")] = "product"
    phrases: dict[Name, str] = {}
    lexicon: dict[Name, list[Name] | dict[Name, list[Name]]] = {}  # or value -> other words
    images_from: Name | None = None
    day: date | None = None
    search_log: SearchLog | None = None
    models: Models = Models()
    vlm_budget: Annotated[int, Field(ge=0)] | None = None
    collections: Collections = Collections()
    limits: dict[Name, float] = {}
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
    def _addresses_hold_no_secret(self) -> "CatalogConfig":
        paths = {f"feeds.{index}": path for index, path in enumerate(self.feeds)}
        paths |= {f"tables.{name}.path": table.path for name, table in self.tables.items()}
        paths |= {"images_from": self.images_from or ""}
        paths |= {"search_log.path": self.search_log.path if self.search_log else ""}
        for setting, path in paths.items():
            if reason := secret_in_address(path, queries=True):
                raise ValueError(f"{setting}: {reason}")
        return self

    @field_validator("day_format")
    @classmethod
    def _has_a_day(cls, value: str | None) -> str | None:
        day = date(2026, 11, 23)
        try:
            usable = value is None or datetime.strptime(day.strftime(value), value).date() == day  # noqa: DTZ007
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(f"{value!r} has no year, month and day, as %d.%m.%Y has")
        return value

    @model_validator(mode="after")
    def _a_part_has_a_parent(self) -> "CatalogConfig":
        if self.columns.parent_key and not self.columns.parent:
            raise ValueError("columns.parent_key says nothing without columns.parent")
        for key, columns in self.attributes.items():
            if key != "*" and any(column.names or column.keys for column in columns):
                raise ValueError(f"attributes.{key}: `names` and `keys` belong to the key *")
        return self

    @model_validator(mode="after")
    def _existing_collections_are_an_attribute(self) -> "CatalogConfig":
        existing = self.collections.existing
        if existing is not None and not {existing, "*"} & self.attributes.keys():
            raise ValueError(f"collections.existing: {existing!r} is no key of attributes")
        return self

    @model_validator(mode="after")
    def _one_seller_is_enough_for_one(self) -> "CatalogConfig":
        if "min_sellers" not in self.collections.model_fields_set and not self.columns.seller:
            collections = self.collections.model_copy(update={"min_sellers": 1})
            object.__setattr__(self, "collections", collections)  # frozen from here on
        return self

    @property
    def type_key(self) -> str | None:
        """The attribute that says what kind of thing a product is: by default the first."""
        kinds = (key for key in self.attributes if key not in ("*", self.collections.existing))
        return self.product_type or next(kinds, None)

    @classmethod
    def load(cls, path: str | Path) -> "CatalogConfig":
        """Reads a catalog.yaml.

        Raises:
            CatalogConfigError: the file is missing, is not YAML, or has a wrong setting.
        """
        path = Path(path)
        content = _read(path)
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
        return words.validate_python(_read(path) or {})
    except ValidationError as error:
        raise _wrong(path, error) from None


def part_version(path: str, part: str) -> str:
    """A hash of a part of catalog.yaml (`PARTS`), or of the vocabulary.yaml beside it: of what it
    means, so that comments and order make no other.

    Raises:
        CatalogConfigError: the file is missing or wrong.
    """
    if part in PARTS:
        found: Any = CatalogConfig.load(path).model_dump(mode="json", include=PARTS[part])
    else:
        found = load_overrides(Path(path).with_name(OVERRIDES))
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> Any:
    try:
        return read_yaml(path)
    except UnusableYaml as error:
        raise CatalogConfigError(f"{path}: cannot be read: {error}") from None


def _wrong(path: Path, error: ValidationError) -> CatalogConfigError:
    return CatalogConfigError("\n".join([f"{path}: wrong settings:", *wrong_keys(error)]))
