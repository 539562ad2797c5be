"""What the text-to-image model is tuned to: the prompts, ratings and images of a studio.yaml."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

import dagster as dg
import polars as pl

from resources.feeds.catalog_source import DEFAULT_DAY
from resources.feeds.formats import Format, ending_kind, open_feed
from resources.feeds.image_fetch import ImageUnavailable
from resources.feeds.located_files import DAY, LocatedFile, LocatedFiles, has_day, provenance
from resources.feeds.rows import EXCERPT_CHARACTERS, FeedError, Row, to_json
from resources.feeds.studio_config import PromptFile, RatingFile, StudioConfig, StudioConfigError

_TABLE_COLUMNS = {  # format -> the columns that its header must have
    "parti": ["Prompt"],
    "compbench": ["prompt"],
    "agiqa": ["name", "prompt", "mos_quality", "std_quality", "mos_align", "std_align"],
}


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

    @cached_property
    def _files(self) -> LocatedFiles:
        return LocatedFiles(self.config_path)

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
        return provenance(file for _, file in files)

    def image(self, reference: str) -> bytes:
        """The bytes of an image below the folder `images`, and never outside it.

        Raises:
            ImageUnavailable: refused, missing or too large; the message is the reason.
        """
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
        return [found[name] for name in sorted(found)]

    def _existing(self, pattern: str, setting: str) -> list[LocatedFile]:
        files = self._files.matching(pattern)
        if not files:
            where = Path(self.config_path).name
            raise FeedError(f"{pattern}: no such file ({setting} in {where})")
        return files


_FORMATS = {  # how the files of a format are written, where it is always the same
    "parti": Format(kind="csv", separator="\t", quote="", header=1),  # its quotes are not CSV's
}


def _format(file: LocatedFile, kind: str) -> Format:
    if kind == "lines" and ending_kind(file.path) != "json":
        return Format(kind="lines")
    # a list of texts or of rankings, and nothing in it
    return _FORMATS.get(kind) or Format(records="" if ending_kind(file.path) == "json" else None)


def _rows(file: LocatedFile, kind: str, column: str | None) -> Iterator[Row]:
    """The rows of a file of a format, from 1; a header does not count."""
    with open_feed(file.filesystem, file.path, file.name, _format(file, kind)) as opened:
        for row in opened.rows:
            text = row.value.get("line") if kind == "lines" and row.value else None
            yield row._replace(record=to_json({"prompt": text})) if text is not None else row
        columns = opened.columns
    if columns is not None and kind != "lines":
        for wanted in [column] if column else _TABLE_COLUMNS.get(kind, []):
            if wanted not in columns:
                shown = ", ".join(columns)[:EXCERPT_CHARACTERS]
                raise FeedError(f"{file.name}: has no column {wanted!r}; it has: {shown}")
