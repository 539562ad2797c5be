"""Which days the sandbox's files are of."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path


def days_of(folder: Path) -> list[str]:
    """Days of the files or folders that are called after theirs (2026-11-23, 2026-11-23.jsonl)."""
    return sorted(
        path.name.partition(".")[0]
        for path in folder.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*")
    )


def first_day(folder: Path, days: int, today: date | None = None) -> date:
    """The first of some days that end yesterday, so that no night finds a day missing; where there
    are files already, the first of theirs, unless the days from it on are not all over.

    Args:
        folder: See `days_of`.
        days: How many.
        today: UTC; None: the day that it is.
    """
    there = [date.fromisoformat(day) for day in days_of(folder)]
    latest = (today or datetime.now(UTC).date()) - timedelta(days=days)
    return min([*there, latest])
