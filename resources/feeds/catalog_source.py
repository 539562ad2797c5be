"""Where a catalog comes from: the feeds, images and search log that a catalog.yaml describes."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import dagster as dg
import polars as pl

from resources.feeds.catalog_config import OVERRIDES, CatalogConfig, load_overrides
from resources.feeds.feed_files import FeedError, FeedReader, Row
from resources.feeds.image_fetch import is_url, new_client, read_url
from resources.feeds.located_files import DAY, LocatedFile, LocatedFiles, provenance

if TYPE_CHECKING:
    import httpx

DEFAULT_DAY = date(2026, 11, 1)  # of feeds that name no day; the first day of the partitions
RECORDS = {"file": pl.String, "row": pl.Int64, "record": pl.String, "size": pl.Int64}
_BLOCK_BYTES = 16 << 20  # rows are held as Python objects for this long, then as a frame
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
            if "{day}" in pattern:
                found |= self._files.days(pattern)
            elif self._config.columns.day:
                found |= self._days_of_rows(pattern)
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
        dated = [pattern for pattern in self._config.feeds if "{day}" in pattern]
        return len(dated) < len(self._config.feeds) or any(
            self._files.matching(pattern.replace("{day}", day)) for pattern in dated
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
        """The rows of a day as received: file, row (1-based), record, size (bytes), error.

        A JSONL line is kept as it is, a CSV or Parquet row as a JSON object of its columns. Rows
        that are no such object, or too large, have an `error`. With a day column, a row whose day
        cannot be read belongs to the constant (else the first) day, with an error.

        Raises:
            FeedError: a feed is missing or cannot be read, or lacks a mapped column.
        """
        blocks: list[pl.DataFrame] = []
        rows: list[tuple[str, int, str, int, str | None]] = []
        held = 0
        schema = {**RECORDS, "error": pl.String}
        for file, row in self._rows(day):
            rows.append((file.name, row.row, row.record, row.size, row.error))
            held += len(row.record)
            if held > _BLOCK_BYTES:
                blocks.append(pl.DataFrame(rows, schema=schema, orient="row"))
                rows, held = [], 0
        blocks.append(pl.DataFrame(rows, schema=schema, orient="row"))
        return pl.concat(blocks)

    def provenance(self, day: str) -> list[dict[str, Any]]:
        """Name, size (bytes) and sha256 of each feed file that holds the day.

        Raises:
            FeedError: a feed is missing or cannot be read.
        """
        return provenance(self._files_of(day))

    def fetch_image(self, file: str, reference: str) -> bytes:
        """The bytes of an image that a row of feed `file` names by a relative path or http(s) URL.

        Paths lead from `images_from`, else from the feed's folder, and never out of it.

        Raises:
            ImageUnavailable: refused, missing, too large or unreachable; the message is the reason.
        """
        if is_url(reference):
            return read_url(self._client, reference, allow_private=self.allow_private_urls)
        folder = self._config.images_from or file.rpartition("/")[0] or "."
        return self._files.image(folder, reference)

    def search_log(self, day: str) -> pl.DataFrame:
        """What shoppers searched for on a day: query, count; empty where there is no log.

        A log without `{day}` in its path belongs to the constant (else the first) day. Rows
        without a query, or with a count below 1, are left out.

        Raises:
            FeedError: the log cannot be read, or lacks a mapped column.
        """
        log, counts = self._config.search_log, dict[str, int]()
        if log:
            wanted = {"search_log.query": log.query, "search_log.count": log.count}
            for _, row in self._read(self._log_files(day), wanted):
                value = row.value or {}
                query = value.get(log.query)
                query = " ".join(query.split()) if isinstance(query, str) else ""
                count = _count(value.get(log.count)) if log.count else 1
                if 0 < len(query) <= _MAX_QUERY and query.isprintable() and count:
                    counts[query] = counts.get(query, 0) + count
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

    def _log_files(self, day: str) -> list[LocatedFile]:
        log = self._config.search_log
        if log and ("{day}" in log.path or day == self._fallback_day):
            return self._files.matching(log.path.replace("{day}", day))
        return []

    def _rows(self, day: str) -> Iterator[tuple[LocatedFile, Row]]:
        columns = self._config.columns
        wanted = {f"columns.{name}": column for name, column in columns if isinstance(column, str)}
        wanted |= {f"columns.images.{i}": image.column for i, image in enumerate(columns.images)}
        wanted |= {f"attributes.{key}": c.column for key, c in self._config.attributes.items()}
        for file, row in self._read(self._files_of(day), wanted):
            if not self._has_day_column(file):
                yield file, row
                continue
            shown = (row.value or {}).get(str(columns.day))
            of_row = _read_day(shown)
            if of_row == day:
                yield file, row
            elif of_row is None and day == self._fallback_day:
                yield file, row._replace(error=row.error or f"unreadable day: {shown!r:.80}")

    def _read(
        self, files: Sequence[LocatedFile], wanted: Mapping[str, str | None]
    ) -> Iterator[tuple[LocatedFile, Row]]:
        """The rows of files. A column in `wanted` (setting -> column) has to be in one of them."""
        headers: list[list[str] | None] = []
        for file in files:
            try:
                with file.filesystem.open(file.path, "rb", compression="infer") as stream:
                    reader = FeedReader(cast(IO[bytes], stream), file.name)
                    for row in reader.rows:
                        yield file, row
                    headers.append(reader.columns)
            except FeedError:
                raise
            except Exception as error:  # OSError, zlib.error, ArrowInvalid, a remote store's own
                raise FeedError(f"{file.name}: cannot be read: {error}") from error
        known = {name for header in headers if header for name in header}
        if files and None not in headers:  # JSONL has no header that could lack a column
            for setting, column in wanted.items():
                if column and column not in known:
                    raise FeedError(
                        f"{files[0].name}: has no column {column!r} ({setting} in "
                        f"{Path(self.config_path).name}); it has: {', '.join(sorted(known))}"
                    )

    def _has_day_column(self, file: LocatedFile) -> bool:
        return self._config.columns.day is not None and file.name not in self._dated_names

    @cached_property
    def _dated_names(self) -> set[str]:
        """Names of the files whose day is in their path."""
        patterns = [p for p in self._config.feeds if "{day}" in p]
        return {f.name for p in patterns for f in self._files.matching(p.replace("{day}", "*"))}

    def _files_of(self, day: str) -> list[LocatedFile]:
        if not DAY.fullmatch(day):
            raise ValueError(f"not a day (YYYY-MM-DD): {day!r}")
        found: dict[str, LocatedFile] = {}
        for index, pattern in enumerate(self._config.feeds):
            dated, by_row = "{day}" in pattern, self._config.columns.day
            if not dated and not by_row and day != self._constant_day:
                continue
            files = self._files.matching(pattern.replace("{day}", day))
            if not files:
                raise FeedError(
                    f"{pattern.replace('{day}', day)}: no such feed for {day} "
                    f"(feeds.{index} in {Path(self.config_path).name})"
                )
            found |= {file.name: file for file in files}
        return [found[name] for name in sorted(found)]

    def _days_of_rows(self, pattern: str) -> set[str]:
        column = str(self._config.columns.day)
        rows = self._read(self._files.matching(pattern), {"columns.day": column})
        # a feed that says no day anywhere is read on the constant day, where it is rejected
        days = (_read_day(row.value.get(column)) for _, row in rows if row.value)
        return {day for day in days if day} or {self._constant_day}


def feed_version(provenance: Sequence[dict[str, Any]]) -> str:
    """A hash of what the feed files of a day hold: it changes when one of them does."""
    text = json.dumps(list(provenance), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


NO_FEED = feed_version([])  # of a day whose feed was withdrawn


def _read_day(value: Any) -> str | None:
    """The day of an ISO date or time (in UTC, where it names a time zone), or None."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            return None
    return moment.date().isoformat()


def _count(value: Any) -> int:
    """A count as a whole number from 1 to a billion, else 0 (broken, or nothing to count)."""
    try:
        count = int(value) if not isinstance(value, bool) else 0
    except (TypeError, ValueError, OverflowError):
        return 0
    return count if 0 < count <= 10**9 else 0
