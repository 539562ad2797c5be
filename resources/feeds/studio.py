"""What the text-to-image model is tuned to: the prompts, ratings and images of a studio.yaml."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

import dagster as dg
import polars as pl

from resources.feeds.catalog_source import DEFAULT_DAY
from resources.feeds.encodings import SAMPLE_BYTES
from resources.feeds.formats import Format, ending_kind, open_feed
from resources.feeds.image_fetch import ImageUnavailable
from resources.feeds.located_files import (
    DAY,
    LocatedFile,
    LocatedFiles,
    has_day,
    provenance,
    read_cell,
)
from resources.feeds.parquet import CELL, ParquetBytes
from resources.feeds.rows import EXCERPT_CHARACTERS, FeedError, Row, at, parse_json, to_json
from resources.feeds.studio_config import PromptFile, RatingFile, StudioConfig, StudioConfigError

_PARTI = Format(kind="csv", separator="\t", quote="", header=1)  # its quotes are not CSV's
_PARTI_COLUMNS = {"Prompt", "Category", "Challenge"}
_COLUMN = {"parti": "Prompt", "compbench": "prompt"}  # format -> a column that it must have


class ReceivedPrompts(NamedTuple):
    """The raw rows of one file of prompts, and what studio.yaml says of it."""

    file: str
    settings: PromptFile
    rows: list[Row]


class ReceivedRatings(NamedTuple):
    """The raw rows of one file of ratings, and what studio.yaml says of it.

    `pixels` is whether the images that they name are there, `cells` the same of images whose bytes
    are in the file itself.
    """

    file: str
    format: str
    pixels: bool
    rows: list[Row]
    cells: bool = True
    columns: Mapping[str, str] = {}
    words: Mapping[str, str] = {}


class Studio(dg.ConfigurableResource):
    """The prompts, ratings and rated images that a studio.yaml at `config_path` names."""

    config_path: str

    @cached_property
    def _config(self) -> StudioConfig:
        return StudioConfig.load(self.config_path)

    @cached_property
    def _files(self) -> LocatedFiles:
        return LocatedFiles(self.config_path)

    @cached_property
    def _cells(self) -> ParquetBytes:
        return ParquetBytes()

    @cached_property
    def _rated(self) -> dict[str, LocatedFile]:
        """The rating files that were looked for so far, by name."""
        return {}

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
            if has_day(settings.path):
                found |= self._files.days(settings.path)
            elif self._files.matching(settings.path):
                found.add(self._constant_day)
        return sorted(found)

    def stamps(self) -> dict[str, str]:
        """Day -> a stamp of its rating files, which are not read: another stamp, maybe others."""
        found: dict[str, list[str]] = {}
        for settings in self._config.ratings:
            for day, stamp in self._files.stamps(settings.path).items():
                found.setdefault(day or self._constant_day, []).append(stamp)
        return {day: " ".join(stamps) for day, stamps in found.items()}

    def prompt_files(self) -> list[ReceivedPrompts]:
        """The rows of every file of prompts, as received.

        Raises:
            FeedError: a file is missing or cannot be read, or lacks a column.
        """
        return [
            ReceivedPrompts(file.name, settings, _prompt_rows(file, settings))
            for settings, file in self._prompt_files()
        ]

    def ratings(self, day: str) -> list[ReceivedRatings]:
        """The rows of every file of ratings of a day, as received; a day without any is empty.

        Raises:
            FeedError: a file is missing or cannot be read.
        """
        images = self._config.images is not None
        return [
            ReceivedRatings(
                file.name,
                settings.format,
                images and settings.pixels,
                _rows(file, _format_of_ratings(file, settings)),
                settings.pixels,
                settings.columns.model_dump(exclude_none=True),
                settings.words,
            )
            for settings, file in self._rating_files(day)
        ]

    def provenance(self, day: str | None = None) -> list[dict[str, Any]]:
        """Name, size (bytes) and sha256 of the rating files of a day; without, of the prompt files.

        Raises:
            FeedError: a file is missing or cannot be read.
        """
        files = self._prompt_files() if day is None else self._rating_files(day)
        return provenance(file for _, file in files)

    def image(self, reference: str, file: str = "") -> bytes:
        """The bytes of an image below the folder `images`, and never outside it; of `bytes:` and a
        cell (`jpg_0:17`), those in the rating file of that name.

        Raises:
            ImageUnavailable: refused, missing or too large; the message is the reason.
        """
        if reference.startswith(CELL):
            if file not in self._rated:
                for settings in self._config.ratings:
                    self._rated.update({f.name: f for f in self._files.matching(settings.path)})
            if file not in self._rated:
                raise ImageUnavailable("no such file of ratings")
            return read_cell(self._cells, self._rated[file], reference.removeprefix(CELL))
        if self._config.images is None:
            raise ImageUnavailable("studio.yaml names no folder of images")
        return self._files.image(self._config.images, reference)

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

    def reward_folder(self, name: str) -> Path | None:
        """The folder of the reward model `name` that is used as it is; None to train one.

        Raises:
            StudioConfigError: it is not there.
        """
        given = getattr(self._config.rewards, name)
        if given is None:
            return None
        folder = Path(self.config_path).absolute().parent / given
        if not folder.is_dir():
            raise StudioConfigError(f"{self.config_path}: rewards.{name}: {folder} is no folder")
        return folder

    @property
    def _constant_day(self) -> str:
        return (self._config.day or DEFAULT_DAY).isoformat()

    def _prompt_files(self) -> list[tuple[PromptFile, LocatedFile]]:
        found: dict[str, tuple[PromptFile, LocatedFile]] = {}
        for index, settings in enumerate(self._config.prompts):
            for file in self._existing(settings.path, f"prompts.{index}.path"):
                found.setdefault(file.name, (settings, file))
        return list(found.values())

    def _rating_files(self, day: str) -> list[tuple[RatingFile, LocatedFile]]:
        if not DAY.fullmatch(day):
            raise ValueError(f"not a day (YYYY-MM-DD): {day!r}")
        found: dict[str, tuple[RatingFile, LocatedFile]] = {}
        for index, settings in enumerate(self._config.ratings):
            if has_day(settings.path):
                files = self._files.matching(settings.path, day)
            elif day == self._constant_day:
                files = self._existing(settings.path, f"ratings.{index}.path")
            else:
                files = []
            for file in files:
                found.setdefault(file.name, (settings, file))
        self._rated.update({name: file for name, (_, file) in found.items()})
        return [found[name] for name in sorted(found)]

    def _existing(self, pattern: str, setting: str) -> list[LocatedFile]:
        files = self._files.matching(pattern)
        if not files:
            where = Path(self.config_path).name
            raise FeedError(f"{pattern}: no such file ({setting} in {where})")
        return files


def _format_of_ratings(file: LocatedFile, settings: RatingFile) -> Format:
    # rankings are a list at the top, and nothing else
    ranked = settings.format == "imagereward" and ending_kind(file.path) == "json"
    return Format(records="" if ranked else None)


def _rows(file: LocatedFile, format: Format) -> list[Row]:
    """The rows of a file, from 1; a header does not count."""
    with open_feed(file.filesystem, file.path, file.name, format) as opened:
        return [_text_row(row) for row in opened.rows]


def _prompt_rows(file: LocatedFile, settings: PromptFile) -> list[Row]:
    """The rows of a file of prompts; those that are a text alone have it as their `prompt`."""
    with open_feed(file.filesystem, file.path, file.name, _prompt_format(file, settings)) as opened:
        rows = [_text_row(row) for row in opened.rows]
        columns = opened.columns
    wanted = settings.column or _COLUMN.get(settings.format or "")
    if wanted and settings.format != "lines":
        there = any(at(row.value or {}, wanted) is not None for row in rows)
        if not there and wanted not in (columns or ()):
            names = columns or dict.fromkeys(name for row in rows for name in row.value or {})
            shown = ", ".join(names)[:EXCERPT_CHARACTERS]
            raise FeedError(f"{file.name}: has no column {wanted!r}; it has: {shown}")
    return rows


def _prompt_format(file: LocatedFile, settings: PromptFile) -> Format:
    """How a file of prompts is read. JSON is JSON whatever is said of it: brackets and quotes are
    nothing to draw."""
    if settings.format == "parti":
        return _PARTI
    guessed = settings.format is None
    may_be_text = settings.format == "lines" or (guessed and settings.column is None)
    if may_be_text and _is_text(file, guessed):
        return Format(kind="lines")
    return _PARTI if guessed and _is_parti(file) else Format()


def _is_text(file: LocatedFile, guessed: bool) -> bool:
    """Whether a file has a prompt a line; `guessed`: nobody says so."""
    ending = ending_kind(file.path)
    if ending in ("json", "jsonl") or (guessed and ending):
        return False
    try:
        with file.filesystem.open(file.path, "rb", compression="infer") as stream:
            start = cast(IO[bytes], stream).read(SAMPLE_BYTES)
    except OSError as error:
        raise FeedError(f"{file.name}: cannot be read: {error}") from error
    if start.startswith((b"PAR1", b"PK\x03\x04")):
        return False
    if guessed and b"\t" in start.partition(b"\n")[0].strip():  # the header of a table
        return False
    return not _begins_as_json(start)


def _is_parti(file: LocatedFile) -> bool:
    if ending_kind(file.path) != "csv":
        return False
    try:
        with open_feed(file.filesystem, file.path, file.name, _PARTI) as opened:
            return set(opened.columns or ()) >= _PARTI_COLUMNS
    except FeedError:  # what it is, reading it will tell
        return False


def _begins_as_json(start: bytes) -> bool:
    """Whether a text whose name does not say so is JSON: its first line is a list, an object, or
    the bracket of one. `[[a cat]]` and `{red|blue} hat` are prompts."""
    first = start.decode("utf-8-sig", "replace").lstrip().partition("\n")[0].strip()
    try:
        return first in ("[", "{") or isinstance(parse_json(first), list | dict)
    except (ValueError, RecursionError):
        return False


def _text_row(row: Row) -> Row:
    """A row that is a text alone, as a row with a `prompt`."""
    if row.error == "not a JSON object":  # maybe a line of JSON that is a text
        text = parse_json(row.record) if row.record.startswith('"') else None
    elif row.error is None and row.record.startswith('{"line":'):
        value = parse_json(row.record)
        text = value["line"] if len(value) == 1 else None
    else:
        return row
    return (
        row._replace(record=to_json({"prompt": text}), error=None)
        if (isinstance(text, str))
        else row
    )
