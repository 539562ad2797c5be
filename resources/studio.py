"""What the text-to-image model is tuned to: the prompts, ratings and images of a studio.yaml."""

import fnmatch
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterator
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NamedTuple, cast

import dagster as dg
import fsspec
import polars as pl
import yaml
from fsspec.implementations.local import LocalFileSystem
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from resources.catalog_source import DEFAULT_DAY
from resources.feed_files import (
    EXCERPT_CHARACTERS,
    FeedError,
    FeedReader,
    Row,
    _bounded_lines,
)
from resources.image_fetch import ImageUnavailable, read_local, read_stored

EXAMPLE = 'name: mine\nratings:\n  - {path: "ratings/{day}.jsonl", format: pairs}\nimages: images'
_MAX_JSON_BYTES = 64 << 20  # a JSON array has to be in memory as a whole
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TABLE_COLUMNS = {  # format -> the columns that its header must have
    "parti": ["Prompt"],
    "compbench": ["prompt"],
    "agiqa": ["name", "prompt", "mos_quality", "std_quality", "mos_align", "std_align"],
}

Objective = Literal["preference", "fairness", "composition"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Words = Annotated[list[Word], Field(max_length=10_000)]


class StudioConfigError(ValueError):
    """A studio.yaml that cannot be used; the message names the file and the setting."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Templates(_Settings):
    """Words of our own templates, and how many scenes (pairs of objects) to draw from them."""

    occupations: Words = []
    held_out_occupations: Words = []
    people_with: Words = []
    objects: Words = []
    held_out_objects: Words = []
    plural_objects: Words = []
    colours: Words = []
    relations: Annotated[Words, Field(min_length=1)] = [
        *("and", "next to", "near", "on side of", "beside")  # the paper's
    ]
    scenes: Annotated[int, Field(ge=0, le=100_000)] = 400
    held_out_scenes: Annotated[int, Field(ge=0, le=100_000)] = 200
    preference: Annotated[list[str], Field(max_length=10_000)] = []


class PromptFile(_Settings):
    """A file of prompts. Those of a held-out file are never trained on."""

    path: Name
    format: Literal["parti", "geneval", "compbench", "lines", "csv"]
    objective: Objective | None = None  # of geneval and compbench composition, else preference
    held_out: bool = False
    column: Name = "prompt"  # of csv


class RatingFile(_Settings):
    """A file of ratings (a day, if its path has {day}). `pixels`: whether its images are there."""

    path: Name
    format: Literal["pairs", "agiqa", "imagereward"]
    pixels: bool = True


class StudioConfig(_Settings):
    """The contents of a studio.yaml."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=60)]
    templates: Templates | None = None
    prompts: list[PromptFile] = []
    ratings: list[RatingFile] = []
    images: Name | None = None
    people: Name | None = None  # Parquet files of labelled pictures, for the reward models
    objects: Name | None = None
    captioned: Name | None = None
    day: date | None = None

    @model_validator(mode="after")
    def _days_are_of_ratings(self) -> "StudioConfig":
        for index, file in enumerate(self.prompts):
            if "{day}" in file.path:
                raise ValueError(f"prompts.{index}.path: prompts have no day, so no {{day}}")
        return self

    @classmethod
    def load(cls, path: str | Path) -> "StudioConfig":
        """Reads a studio.yaml.

        Raises:
            StudioConfigError: the file is missing, is not YAML, or has a wrong setting.
        """
        path = Path(path)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StudioConfigError(
                f"{path}: no such file. Make it, for example with:\n{EXAMPLE}"
            ) from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise StudioConfigError(f"{path}: cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise StudioConfigError(f"{path}: holds no settings. For example:\n{EXAMPLE}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            lines = [
                f"  {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
                for problem in error.errors()
            ]
            raise StudioConfigError("\n".join([f"{path}: wrong settings:", *lines])) from None


class _File(NamedTuple):
    """A file: its name in tables (relative to studio.yaml, or a URI), and where it is."""

    name: str
    filesystem: fsspec.AbstractFileSystem
    path: str


class ReceivedPrompts(NamedTuple):
    """The raw rows of one file of prompts, and what studio.yaml says of it."""

    file: str
    settings: PromptFile
    rows: list[Row]


class ReceivedRatings(NamedTuple):
    """The raw rows of one file of ratings, and whether the images that they name are there."""

    file: str
    format: str
    pixels: bool
    rows: list[Row]


class Studio(dg.ConfigurableResource):
    """The prompts, ratings and rated images that a studio.yaml at `config_path` names."""

    config_path: str

    @cached_property
    def _config(self) -> StudioConfig:
        return StudioConfig.load(self.config_path)

    def config(self) -> StudioConfig:
        """What studio.yaml says.

        Raises:
            StudioConfigError: it is missing or wrong; the message names file and setting.
        """
        return self._config

    def days(self) -> list[str]:
        """The days (YYYY-MM-DD, in order) that ratings exist for."""
        found: set[str] = set()
        for settings in self._config.ratings:
            if "{day}" in settings.path:
                found |= self._days_of_paths(settings.path)
            elif self._files(settings.path):
                found.add(self._constant_day)
        return sorted(found)

    def prompt_files(self) -> list[ReceivedPrompts]:
        """The rows of every file of prompts, as received.

        Raises:
            FeedError: a file is missing or cannot be read, or lacks a column.
        """
        return [
            ReceivedPrompts(file.name, settings, list(_rows(file, settings.format, column)))
            for settings, file in self._prompt_files()
            for column in [settings.column if settings.format == "csv" else None]
        ]

    def ratings(self, day: str) -> list[ReceivedRatings]:
        """The rows of every file of ratings of a day, as received; a day without any is empty.

        Raises:
            FeedError: a file is missing or cannot be read, or lacks a column.
        """
        images = self._config.images is not None
        return [
            ReceivedRatings(
                file.name,
                settings.format,
                images and settings.pixels,
                list(_rows(file, settings.format, None)),
            )
            for settings, file in self._rating_files(day)
        ]

    def provenance(self, day: str | None = None) -> list[dict[str, Any]]:
        """Name, size (bytes) and sha256 of the rating files of a day; without, of the prompt files.

        Raises:
            FeedError: a file is missing or cannot be read.
        """
        files = self._prompt_files() if day is None else self._rating_files(day)
        found = []
        for _, file in files:
            digest, size = hashlib.sha256(), 0
            try:
                with file.filesystem.open(file.path, "rb") as stream:
                    while block := cast(IO[bytes], stream).read(1 << 20):
                        digest.update(block)
                        size += len(block)
            except OSError as error:
                raise FeedError(f"{file.name}: cannot be read: {error}") from error
            found.append({"file": file.name, "size": size, "sha256": digest.hexdigest()})
        return found

    def image(self, reference: str) -> bytes:
        """The bytes of an image below the folder `images`, and never outside it.

        Raises:
            ImageUnavailable: refused, missing or too large; the message is the reason.
        """
        if self._config.images is None:
            raise ImageUnavailable("studio.yaml names no folder of images")
        filesystem, folder = self._locate(self._config.images)
        if isinstance(filesystem, LocalFileSystem):
            return read_local(Path(folder), reference)
        return read_stored(filesystem, folder, reference)

    def labelled(self, kind: Literal["people", "objects", "captioned"]) -> pl.DataFrame:
        """The labelled pictures of a kind, as their Parquet files hold them.

        Raises:
            FeedError: studio.yaml names none, or they cannot be read.
        """
        pattern = getattr(self._config, kind)
        if pattern is None:
            raise FeedError(
                f"{Path(self.config_path).name} names no {kind}: add `{kind}: a.parquet`"
            )
        frames = []
        for file in self._existing(pattern, kind):
            try:
                with file.filesystem.open(file.path, "rb") as stream:
                    frames.append(pl.read_parquet(cast(IO[bytes], stream)))
            except (OSError, pl.exceptions.PolarsError) as error:
                raise FeedError(f"{file.name}: cannot be read: {error}") from error
        return pl.concat(frames)

    @property
    def _constant_day(self) -> str:
        return (self._config.day or DEFAULT_DAY).isoformat()

    def _prompt_files(self) -> list[tuple[PromptFile, _File]]:
        found: dict[str, tuple[PromptFile, _File]] = {}
        for index, settings in enumerate(self._config.prompts):
            for file in self._existing(settings.path, f"prompts.{index}.path"):
                found.setdefault(file.name, (settings, file))
        return list(found.values())

    def _rating_files(self, day: str) -> list[tuple[RatingFile, _File]]:
        if not _DAY.fullmatch(day):
            raise ValueError(f"not a day (YYYY-MM-DD): {day!r}")
        found: dict[str, tuple[RatingFile, _File]] = {}
        for index, settings in enumerate(self._config.ratings):
            if "{day}" in settings.path:
                files = self._files(settings.path.replace("{day}", day))
            elif day == self._constant_day:
                files = self._existing(settings.path, f"ratings.{index}.path")
            else:
                files = []
            for file in files:
                found.setdefault(file.name, (settings, file))
        return [found[name] for name in sorted(found)]

    def _existing(self, pattern: str, setting: str) -> list[_File]:
        files = self._files(pattern)
        if not files:
            where = Path(self.config_path).name
            raise FeedError(f"{pattern}: no such file ({setting} in {where})")
        return files

    def _locate(self, location: str, *, as_pattern: bool = False) -> tuple[Any, str]:
        """The file system and path of a location relative to studio.yaml, or of a URI."""
        if "://" in location:
            return fsspec.core.url_to_fs(location)
        base = str(Path(self.config_path).absolute().parent)
        base = glob.escape(base) if as_pattern else base
        return LocalFileSystem(), os.path.normpath(os.path.join(base, location))

    def _files(self, pattern: str) -> list[_File]:
        filesystem, path = self._locate(pattern, as_pattern=True)
        base = Path(self.config_path).absolute().parent
        local = "://" not in pattern
        return [
            _File(
                os.path.relpath(hit, base) if local else filesystem.unstrip_protocol(hit),
                filesystem,
                hit,
            )
            for hit in sorted(filesystem.glob(path))
            if filesystem.isfile(hit)
        ]

    def _days_of_paths(self, pattern: str) -> set[str]:
        paths = [file.path for file in self._files(pattern.replace("{day}", "*"))]
        candidates = {day for path in paths for day in _DAY.findall(path) if _is_day(day)}
        pattern = self._locate(pattern, as_pattern=True)[1]
        return {
            day
            for day in candidates
            if any(fnmatch.fnmatchcase(path, pattern.replace("{day}", day)) for path in paths)
        }


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _rows(file: _File, kind: str, column: str | None) -> Iterator[Row]:
    """The rows of a file of a format, from 1; a header does not count."""
    try:
        with file.filesystem.open(file.path, "rb", compression="infer") as opened:
            stream = cast(IO[bytes], opened)
            match kind:
                case "lines":
                    for number, (text, size, fault) in enumerate(_bounded_lines(stream), start=1):
                        if text.strip():
                            value = None if fault else {"prompt": text.strip("\r\n")}
                            yield Row(number, text, size, fault, value)
                    return
                case "imagereward":
                    yield from _array_rows(stream, file.name)
                    return
                case "parti":
                    header: list[str] | None = None
                    for number, (text, size, fault) in enumerate(_bounded_lines(stream)):
                        fields = text.rstrip("\r\n").split("\t")  # its quotes are not CSV's
                        if header is None:
                            header = fields
                            continue
                        value = None if fault else dict(zip(header, fields, strict=False))
                        yield Row(number, text, size, fault, value)
                case _:
                    reader = FeedReader(stream, file.name)
                    yield from reader.rows
                    header = reader.columns
    except FeedError:
        raise
    except Exception as error:  # OSError, zlib.error, ArrowInvalid, a remote store's own
        raise FeedError(f"{file.name}: cannot be read: {error}") from error
    if header is not None:  # JSONL has none
        for wanted in [column] if column else _TABLE_COLUMNS.get(kind, []):
            if wanted not in header:
                shown = ", ".join(header)[:EXCERPT_CHARACTERS]
                raise FeedError(f"{file.name}: has no column {wanted!r}; it has: {shown}")


def _array_rows(stream: IO[bytes], name: str) -> Iterator[Row]:
    data = stream.read(_MAX_JSON_BYTES + 1)
    if len(data) > _MAX_JSON_BYTES:
        raise FeedError(f"{name}: larger than {_MAX_JSON_BYTES} bytes; split it")
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FeedError(f"{name}: not JSON: {error}") from None
    if not isinstance(values, list):
        raise FeedError(f"{name}: not a JSON array")
    for number, value in enumerate(values, start=1):
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict):
            yield Row(number, text, len(text), None, value)
        else:
            yield Row(number, text, len(text), "not a JSON object", None)
