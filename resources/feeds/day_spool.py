"""The rows of a feed with a day column, by their day."""

import email.utils
import re
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from resources.feeds.rows import BLOCK, parse_json

RECORDS = {"file": pl.String, **BLOCK}
_EPOCHS = ((10, 1), (13, 10**3), (16, 10**6), (19, 10**9))  # digits, ticks a second
_ZONE = re.compile(r"(.+?) ?\(?([A-Za-z]+(?:/[A-Za-z_]+)+|UTC|GMT|Z)\)?")


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

    def fill(self, blocks: Iterable[pl.DataFrame]) -> None:
        """Take all rows of the feed, as frames with the columns RECORDS."""
        for part, block in enumerate(blocks):
            days, errors = [], []
            for record, error in block["record", "error"].iter_rows():
                value = None if error else parse_json(record)
                shown = next(
                    (v for c in self._columns if (v := (value or {}).get(c)) is not None), None
                )
                day = read_day(shown, self._form)
                days.append(day)
                errors.append(error or (None if day else f"unreadable day: {shown!r:.80}"))
            self.days.update(day for day in days if day)
            path = Path(self._folder.name) / f"{part:06}.parquet"
            block.with_columns(
                pl.Series("error", errors, pl.String), pl.Series("day", days, pl.String)
            ).sort("day", maintain_order=True).write_parquet(path, row_group_size=10_000)

    def records(self, day: str, with_unreadable: bool) -> pl.DataFrame:
        """The rows of a day (columns: RECORDS), and those whose day cannot be read, if wanted."""
        chosen = pl.col("day") == day
        if with_unreadable:
            chosen = chosen | pl.col("day").is_null()
        parts = sorted(Path(self._folder.name).iterdir())
        if not parts:
            return pl.DataFrame(schema=RECORDS)
        rows = pl.scan_parquet(parts).filter(chosen)
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
    if "," in text:
        return email.utils.parsedate_to_datetime(text)
    if named := _ZONE.fullmatch(text):
        zone = UTC if named[2] in ("UTC", "GMT", "Z") else ZoneInfo(named[2])
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", named[1]))
        return found.replace(tzinfo=zone)
    return None
