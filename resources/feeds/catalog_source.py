"""Where a catalog comes from: the feeds, images and search log that a catalog.yaml describes."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.feeds.catalog_config import OVERRIDES, CatalogConfig, Column, load_overrides
from resources.feeds.day_spool import RECORDS, DaySpool
from resources.feeds.formats import Format, open_feed
from resources.feeds.image_fetch import (
    ImageUnavailable,
    is_url,
    new_client,
    read_url,
    relative_path,
)
from resources.feeds.located_files import (
    DAY,
    MARKS,
    LocatedFile,
    LocatedFiles,
    folder_of,
    has_day,
    of_day,
    provenance,
    read_cell,
)
from resources.feeds.parquet import CELL, ParquetBytes
from resources.feeds.rows import BLOCK, FeedError, Row, in_blocks, roots, row_of

if TYPE_CHECKING:
    import httpx

DEFAULT_DAY = date(2026, 11, 1)  # of feeds that name no day; the first day of the partitions
_MAX_QUERY = 200  # characters; shoppers do not type more, crawlers do


class CatalogSource(dg.ConfigurableResource):
    """The feeds, images and search log of one catalog.

    `config_path` is a catalog.yaml. `allow_private_urls` lets feeds name images on hosts that
    only this network reaches, and uses the environment's proxy.
    """

    config_path: str
    allow_private_urls: bool = False

    @cached_property
    def _config(self) -> CatalogConfig:
        return CatalogConfig.load(self.config_path)

    @cached_property
    def _files(self) -> LocatedFiles:
        return LocatedFiles(self.config_path)

    @cached_property
    def _client(self) -> "httpx.Client":
        return new_client(allow_private=self.allow_private_urls)

    def config(self) -> CatalogConfig:
        """What catalog.yaml says.

        Raises:
            CatalogConfigError: it is missing or wrong; the message names file and setting.
        """
        return self._config

    def overrides(self) -> dict[str, dict[str, str | None]]:
        """What vocabulary.yaml beside catalog.yaml says of words: key -> word -> value; none if it
        is not there.

        Raises:
            CatalogConfigError: it is wrong; the message names the file and the setting.
        """
        return load_overrides(Path(self.config_path).with_name(OVERRIDES))

    def days(self) -> list[str]:
        """The days (YYYY-MM-DD, in order) that have a feed.

        A feed's day is `{day}` in its path, else its day column, else the constant `day`.
        """
        found: set[str] = set()
        for pattern in self._config.feeds:
            if has_day(pattern):
                found |= self._files.days(pattern)
            elif self._config.columns.day:
                # a feed that says no day anywhere is read on the constant day, and rejected there
                found |= self._by_row(pattern).days or {self._constant_day}
                if self._config.day:
                    found.add(self._config.day.isoformat())
            elif self._files.matching(pattern):
                found.add(self._constant_day)
        return sorted(found)

    def stamps(self, known: Iterable[str]) -> dict[str, str]:
        """Day -> a stamp of its feed files, which are not read: another stamp, maybe other content.

        A feed with a day column counts for each of the `known` days: any may have changed.
        """
        found: dict[str, list[str]] = {}
        for pattern in self._config.feeds:
            for day, stamp in self._files.stamps(pattern).items():
                by_row = not day and self._config.columns.day
                for one in known if by_row else [day or self._constant_day]:
                    found.setdefault(one, []).append(stamp)
        return {day: " ".join(stamps) for day, stamps in found.items()}

    def has_feed(self, day: str) -> bool:
        """Whether a file that names the day, or no day, is there."""
        dated = [pattern for pattern in self._config.feeds if has_day(pattern)]
        return len(dated) < len(self._config.feeds) or any(
            self._files.matching(pattern, day) for pattern in dated
        )

    def log_stamps(self) -> dict[str, str]:
        """Day -> a stamp of its search log, as `stamps`."""
        log = self._config.search_log
        found = self._files.stamps(log.path) if log else {}
        return {day or self._fallback_day: stamp for day, stamp in found.items()}

    def log_provenance(self, day: str) -> list[dict[str, Any]]:
        """Name, size (bytes) and sha256 of each file of a day's search log.

        Raises:
            FeedError: a file cannot be read.
        """
        return provenance(self._log_files(day))

    def read_records(self, day: str) -> pl.DataFrame:
        """The rows of a day as received: `record_blocks`, all in one."""
        return pl.concat(self.record_blocks(day))

    def record_blocks(self, day: str) -> Iterator[pl.DataFrame]:
        """The rows of a day as received, at least one block of them: file, row (1-based), record,
        size (bytes), error.

        A line of JSON is kept as it is, any other row as a JSON object of its columns. Rows that
        are no such object, or too large, have an `error`. With a day column, a row whose day cannot
        be read belongs to the constant (else the first) day, with an error.

        Raises:
            FeedError: a feed is missing or cannot be read, or lacks a mapped column.
        """
        dated: dict[str, LocatedFile] = {}
        by_row = []
        for pattern, files in self._files_of(day):
            if has_day(pattern) or not self._config.columns.day:
                dated |= {file.name: file for file in files}
            else:
                by_row.append(self._by_row(pattern).records(day, day == self._fallback_day))
        yield pl.concat([pl.DataFrame(schema=RECORDS), *by_row]).sort("file", maintain_order=True)
        yield from self._blocks([dated[name] for name in sorted(dated)], self._wanted(day), day)

    def mapped(self, day: str) -> list[str]:
        """The columns that catalog.yaml maps on a day, where no other may stand for them."""
        return [columns[0] for columns in self._wanted(day).values() if len(columns) == 1]

    def read_as(self) -> dict[str, str]:
        """Of each file that was read so far, how: `csv, separator ';', cp1252`."""
        return dict(self._read_as)

    def provenance(self, day: str) -> list[dict[str, Any]]:
        """Name, size (bytes) and sha256 of each feed file that holds the day.

        Raises:
            FeedError: a feed is missing or cannot be read.
        """
        files = {file.name: file for _, found in self._files_of(day) for file in found}
        for table in self._config.tables.values():
            files |= {file.name: file for file in self._files.matching(table.path)}
        return [self._hashed(files[name]) for name in sorted(files)]

    def fetch_image(self, file: str, reference: str) -> bytes:
        """The bytes of an image that a row of feed `file` names by a relative path or http(s) URL.

        Paths lead from `images_from`, else from the feed's folder, and never out of it.

        Raises:
            ImageUnavailable: refused, missing, too large or unreachable; the message is the reason.
        """
        if reference.startswith(CELL):
            return self._bytes(file, reference.removeprefix(CELL))
        base = self._config.images_from or folder_of(file)
        if is_url(base) and not is_url(reference):
            reference = f"{base.rstrip('/')}/{relative_path(reference)}"
        if is_url(reference):
            return read_url(self._client, reference, allow_private=self.allow_private_urls)
        return self._files.image(base, reference)

    def _bytes(self, file: str, reference: str) -> bytes:
        """The bytes of an image that lie in a cell of a Parquet feed."""
        located = [f for p in self._config.feeds for f in self._files.matching(p) if f.name == file]
        if not located:
            raise ImageUnavailable("no bytes in this cell")
        return read_cell(self._cells, located[0], reference)

    def search_log(self, day: str) -> pl.DataFrame:
        """What shoppers searched for on a day: query, count; empty where there is no log.

        A log without `{day}` in its path belongs to the constant (else the first) day. Rows
        without a query, or with a count below 1, are left out.

        Raises:
            FeedError: the log cannot be read, lacks a mapped column, or has no row that counts.
        """
        log, counts = self._config.search_log, dict[str, int]()
        received = 0
        files = self._log_files(day)
        if log:
            wanted = {"search_log.query": [log.query], "search_log.count": [log.count or log.query]}
            for row in self._rows(files, wanted, day):
                value = row.value or {}
                received += 1
                query = value.get(log.query)
                query = " ".join(query.split()) if isinstance(query, str) else ""
                count = _count(value.get(log.count)) if log.count else 1
                if 0 < len(query) <= _MAX_QUERY and query.isprintable() and count:
                    counts[query] = counts.get(query, 0) + count
        if received and not counts:
            raise FeedError(
                f"{files[0].name}: none of its {received} rows has a query (search_log.query in "
                f"{Path(self.config_path).name}) and a count from 1 (search_log.count)"
            )
        rows = sorted(counts.items())
        return pl.DataFrame(rows, schema={"query": pl.String, "count": pl.Int64}, orient="row")

    @property
    def _constant_day(self) -> str:
        return (self._config.day or DEFAULT_DAY).isoformat()

    @cached_property
    def _fallback_day(self) -> str:
        """Where rows go that say no day."""
        if self._config.day:
            return self._constant_day
        return min(self.days(), default=self._constant_day)

    @cached_property
    def _format(self) -> Format:
        return Format(**self._config.format.model_dump())

    @cached_property
    def _cells(self) -> ParquetBytes:
        return ParquetBytes()

    @cached_property
    def _spools(self) -> dict[str, DaySpool]:
        return {}

    @cached_property
    def _hashes(self) -> dict[str, tuple[Any, dict[str, Any]]]:
        return {}

    @cached_property
    def _read_as(self) -> dict[str, str]:
        return {}

    def _hashed(self, file: LocatedFile) -> dict[str, Any]:
        """The provenance of a file, which is read once while it is the same."""
        about = file.filesystem.info(file.path)
        stamp = [about.get("size"), *(str(about[key]) for key in MARKS if about.get(key))]
        if file.name not in self._hashes or self._hashes[file.name][0] != stamp or len(stamp) < 2:
            self._hashes[file.name] = (stamp, provenance([file])[0])
        return self._hashes[file.name][1]

    def _log_files(self, day: str) -> list[LocatedFile]:
        log = self._config.search_log
        if log and has_day(log.path):
            return self._files.matching(log.path, day)
        if log and day == self._fallback_day:
            return self._files.matching(log.path)
        return []

    def _by_row(self, pattern: str) -> DaySpool:
        """The rows of a feed with a day column, read once while its files are the same."""
        stamp = self._files.stamps(pattern).get("", "")
        spool = self._spools.get(pattern)
        if spool is None or spool.stamp != stamp:
            files = self._files.matching(pattern)
            columns = [column.column for column in self._config.columns.day]
            spool = DaySpool(stamp, self._config.day_format, columns)
            spool.fill(self._blocks(files, self._wanted(None)))
            self._spools[pattern] = spool
        return spool

    def _wanted(self, day: str | None) -> dict[str, list[str]]:
        """Setting -> the columns of which a day's files have to have one."""
        config, moment = self._config, date.fromisoformat(day) if day else None

        def of_day(columns: Sequence[Column]) -> list[str]:
            return [
                column.column.replace("{n}", "1")
                for column in columns
                if moment is None
                or ((column.since or moment) <= moment <= (column.until or moment))
            ]

        wanted = {
            f"columns.{name}": of_day(columns)
            for name, columns in config.columns
            if name != "images"
        }
        wanted |= {
            f"columns.images.{i}": of_day([image]) for i, image in enumerate(config.columns.images)
        }
        wanted |= {f"attributes.{key}": of_day(found) for key, found in config.attributes.items()}
        wanted |= {f"only.{column}": [column] for column in config.only}
        wanted |= {f"tables.{name}.of": [table.of] for name, table in config.tables.items()}
        return {setting: columns for setting, columns in wanted.items() if columns}

    def _rows(
        self, files: Sequence[LocatedFile], wanted: Mapping[str, Sequence[str]], day: str
    ) -> Iterator[Row]:
        for block in self._blocks(files, wanted, day):
            yield from (Row(*row) for row in block.select(*BLOCK).iter_rows())

    def _blocks(
        self,
        files: Sequence[LocatedFile],
        wanted: Mapping[str, Sequence[str]],
        day: str | None = None,
    ) -> Iterator[pl.DataFrame]:
        """The rows of files, as frames with the columns RECORDS. One of the columns that a setting
        wants has to be in one of them."""
        headers: list[list[str] | None] = []
        tables = self._tables if any(s.startswith("tables.") for s in wanted) else []
        for file in files:
            with open_feed(file.filesystem, file.path, file.name, self._format) as opened:
                self._read_as[file.name] = opened.read_as
                headers.append(opened.columns)
                blocks = opened.blocks
                if tables:
                    blocks = in_blocks(_with_tables(row, tables) for row in opened.rows)
                for block in blocks:
                    yield block.select(pl.lit(file.name).alias("file"), *BLOCK)
        if None in headers or not files:  # only rows have names
            return
        known = {name for header in headers if header for name in header}
        known |= self._config.tables.keys()
        for setting, columns in wanted.items():
            if not any(_is_in(column, known) for column in columns):
                self._refuse_without(columns, setting, files[0].name, known, day)

    def _refuse_without(
        self, columns: Sequence[str], setting: str, file: str, known: set[str], day: str | None
    ) -> None:
        """A column that comes on a later day is not missed; one that earlier days had is.

        Raises:
            FeedError: no day has it, or an earlier one had it.
        """
        where = f"({setting} in {Path(self.config_path).name})"
        has = f"it has: {', '.join(sorted(known))}"
        others = [other for other in self.days() if other != day] if day else []
        for other in sorted(others, key=lambda other: (other > str(day), other)):
            if any(_is_in(c, self._header(other)) for c in columns):
                if other > str(day):
                    return
                raise FeedError(
                    f"{file}: has no column {columns[0]!r} any more, which {other} had {where}; "
                    f"{has}. If it was renamed, name both; if it was dropped, say `until`."
                )
        raise FeedError(f"{file}: has no column {columns[0]!r} {where}; {has}")

    def _header(self, day: str) -> set[str]:
        """The columns of a day's files; of files whose rows alone have names, none."""
        found: set[str] = set()
        for _, files in self._files_of(day, missing_is_error=False):
            for file in files:
                with open_feed(file.filesystem, file.path, file.name, self._format) as opened:
                    found |= set(opened.columns or ())
        return found

    @cached_property
    def _tables(self) -> list[tuple[str, str, dict[str, list[Any]]]]:
        """Of each table its name, the feed's column, and its rows by key."""
        loaded = []
        for name, table in self._config.tables.items():
            by_key: dict[str, list[Any]] = {}
            files = self._files.matching(table.path)
            if not files:
                raise FeedError(
                    f"{table.path}: no such file (tables.{name} in {Path(self.config_path).name})"
                )
            for file in files:
                format = Format(**table.format.model_dump())
                with open_feed(file.filesystem, file.path, file.name, format) as opened:
                    if opened.columns is not None and table.key not in opened.columns:
                        raise FeedError(
                            f"{file.name}: has no column {table.key!r} (tables.{name}.key); it "
                            f"has: {', '.join(opened.columns)}"
                        )
                    for row in opened.rows:
                        if value := row.value:
                            by_key.setdefault(_key(value.get(table.key)), []).append(value)
            loaded.append((name, table.of, by_key))
        return loaded

    def _files_of(
        self, day: str, *, missing_is_error: bool = True
    ) -> list[tuple[str, list[LocatedFile]]]:
        """The files of each feed that may hold a day."""
        if not DAY.fullmatch(day):
            raise ValueError(f"not a day (YYYY-MM-DD): {day!r}")
        found = []
        for index, pattern in enumerate(self._config.feeds):
            dated = has_day(pattern)
            if not dated and not self._config.columns.day and day != self._constant_day:
                continue
            files = self._files.matching(pattern, day if dated else None)
            if not files and missing_is_error:
                shown = of_day(pattern, day)[0] if dated else pattern
                raise FeedError(
                    f"{shown}: no such feed for {day} "
                    f"(feeds.{index} in {Path(self.config_path).name})"
                )
            found.append((pattern, files))
        return found


def _is_in(column: str, known: set[str]) -> bool:
    """Whether a column is there, or what a path (`price.amount`, `photos[0].url`) begins with."""
    found = set() if column in known else roots(column)
    return column in known or (bool(found) and found <= known)


def _key(value: Any) -> str:
    """A key of a table, whether it was a number or a text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _with_tables(row: Row, tables: list[tuple[str, str, dict[str, list[Any]]]]) -> Row:
    value = row.value
    if value is None:
        return row
    for name, of, by_key in tables:
        value[name] = by_key.get(_key(value.get(of)), [])
    return row_of(row.row, value)


def feed_version(provenance: Sequence[dict[str, Any]]) -> str:
    """A hash of what the feed files of a day hold: it changes when one of them does."""
    text = json.dumps(list(provenance), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


NO_FEED = feed_version([])  # of a day whose feed was withdrawn
MISSING = "missing"  # of a day inside a range whose feed is not there, or cannot be read


def _count(value: Any) -> int:
    """A count as a whole number from 1 to a billion, else 0 (broken, or nothing to count)."""
    try:
        number = float(value) if not isinstance(value, bool) else 0.0
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(number) if 0 < number <= 10**9 and number.is_integer() else 0
