"""Rows of feeds as a table, and the rows of a feed with a day column by their day."""

import email.utils
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from resources.feeds.rows import Row

RECORDS = {
    **{"file": pl.String, "row": pl.Int64, "record": pl.String, "size": pl.Int64},
    "error": pl.String,
}
_BLOCK_BYTES = 16 << 20  # rows are held as Python objects for this long, then as a frame
_EPOCHS = ((10, 1), (13, 10**3), (16, 10**6), (19, 10**9))  # digits, ticks a second
_ZONE = re.compile(r"(.+?) ?\(?([A-Za-z]+(?:/[A-Za-z_]+)+|UTC|GMT|Z)\)?")


def record_frames(rows: Iterable[tuple[str, Row]]) -> Iterator[pl.DataFrame]:
    """Rows, each with the name of its file, as frames of the columns RECORDS."""
    held: list[tuple[Any, ...]] = []
    size = 0
    for file, row in rows:
        held.append((file, *row))
        size += len(row.record)
        if size > _BLOCK_BYTES:
            yield _frame(held)
            held, size = [], 0
    yield _frame(held)


def _frame(held: list[tuple[Any, ...]], schema: dict[str, Any] | None = None) -> pl.DataFrame:
    schema = schema or RECORDS
    columns = zip(*held, strict=True) if held else [[] for _ in schema]
    return pl.DataFrame(dict(zip(schema, columns, strict=True)), schema=schema)


class DaySpool:
    """The rows of a feed with a day column, in a temporary folder, so that it is read once.

    Args:
        stamp: Of its files as they were read.
        form: Of the day, as in `%d.%m.%Y`; None: any that is clear.
        columns: The columns of the day; the first that is there counts.
    """

    def __init__(self, stamp: str, form: str | None, columns: Sequence[str]):
        self.stamp = stamp
        self.days: set[str] = set()
        self._form, self._columns = form, columns
        self._folder = tempfile.TemporaryDirectory(prefix="feed-days-")

    def fill(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Take all rows of the feed."""
        schema = {**RECORDS, "day": pl.String}
        held: list[tuple[Any, ...]] = []
        size = parts = 0
        for file, row in rows:
            value = row.value or {}
            shown = next((value[c] for c in self._columns if value.get(c) is not None), None)
            day = read_day(shown, self._form)
            error = row.error or (None if day else f"unreadable day: {shown!r:.80}")
            held.append((file, row.row, row.record, row.size, error, day))
            size += len(row.record)
            if day:
                self.days.add(day)
            if size > _BLOCK_BYTES:
                self._write(_frame(held, schema), parts)
                held, size, parts = [], 0, parts + 1
        self._write(_frame(held, schema), parts)

    def _write(self, frame: pl.DataFrame, part: int) -> None:
        path = Path(self._folder.name) / f"{part:06}.parquet"
        frame.sort("day", maintain_order=True).write_parquet(path, row_group_size=10_000)

    def records(self, day: str, with_unreadable: bool) -> pl.DataFrame:
        """The rows of a day (columns: RECORDS), and those whose day cannot be read, if wanted."""
        chosen = pl.col("day") == day
        if with_unreadable:
            chosen = chosen | pl.col("day").is_null()
        rows = pl.scan_parquet(Path(self._folder.name) / "*.parquet").filter(chosen)
        return rows.select(*RECORDS).sort("file", "row").collect()


def read_day(value: Any, form: str | None = None) -> str | None:
    """The day (YYYY-MM-DD, in UTC where a zone is named) of a date, a time or an epoch; else None.

    Without a form, these are read: ISO 8601, 20261101, e-mail's (RFC 2822), and seconds, milli-,
    micro- or nanoseconds since 1970. A day like 01/02/2026 is none: it is one of two.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    text = text.strip()
    try:
        moment = datetime.strptime(text, form) if form else _moment(text)  # noqa: DTZ007
        if moment is not None and moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError, KeyError, TypeError):
        return None
    return moment.date().isoformat() if moment else None


def _moment(text: str) -> datetime | None:
    if text.isdecimal():
        for digits, ticks in _EPOCHS:
            if len(text) == digits:
                return datetime.fromtimestamp(int(text) // ticks, UTC)
        return datetime.strptime(text, "%Y%m%d") if len(text) == 8 else None  # noqa: DTZ007
    try:
        # Python reads six digits behind the point; warehouses write nine
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        pass
    if named := _ZONE.fullmatch(text):
        zone = UTC if named[2] in ("UTC", "GMT", "Z") else ZoneInfo(named[2])
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", named[1]))
        return found.replace(tzinfo=zone)
    if "," in text:
        return email.utils.parsedate_to_datetime(text)
    return None
