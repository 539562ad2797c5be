"""Samples of one kind of file as one table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pinlanding_assets.catalog.drafting.profile import Column, columns_of
from pinlanding_assets.catalog.drafting.samples import Sample


@dataclass
class Table:
    """Files with the same columns.

    Attributes:
        patterns: Of the files, with `{day}` and `*`.
        samples: With the day of each, None where its name says none.
    """

    patterns: list[str]
    samples: list[tuple[str | None, Sample]] = field(default_factory=list)
    _unique: dict[int, bool] = field(default_factory=dict)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        return [record for _, sample in self.samples for record in sample.records]

    @cached_property
    def day_of(self) -> list[str | None]:
        """The day of each record."""
        return [day for day, sample in self.samples for _ in sample.records]

    @cached_property
    def file_of(self) -> list[int]:
        return [i for i, (_, sample) in enumerate(self.samples) for _ in sample.records]

    @cached_property
    def days(self) -> list[str]:
        return sorted({day for day, _ in self.samples if day})

    @cached_property
    def columns(self) -> dict[str, Column]:
        return columns_of(self.records)

    @cached_property
    def names(self) -> list[str]:
        """The names of the columns at the top, also of those that are empty."""
        found: dict[str, None] = {}
        for _, sample in self.samples:
            found |= dict.fromkeys(sample.columns or [])
            for record in sample.records[:200]:
                found |= dict.fromkeys(record)
        return list(found)

    @property
    def whole(self) -> bool:
        return all(sample.whole for _, sample in self.samples)

    def is_unique(self, column: Column) -> bool:
        """Whether no value of a column stands twice on one day."""
        known = self._unique.get(id(column))
        if known is None:
            known = self._unique[id(column)] = self._is_unique(column)
        return known

    def _is_unique(self, column: Column) -> bool:
        seen: set[tuple] = set()
        for place, value in column.by_record().items():
            seen.add((self.day_of[place], value))
        return len(seen) == len(column.by_record())

    def repeated(self, column: Column) -> list[list[int]]:
        """The records, by place, that share a value on one day."""
        groups: dict[tuple, list[int]] = {}
        for place, value in column.by_record().items():
            groups.setdefault((self.day_of[place], value), []).append(place)
        return [places for places in groups.values() if len(places) > 1]


def alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two tables have the same columns, but for a few."""
    a, b = {n.casefold() for n in one}, {n.casefold() for n in other}
    return len(a & b) >= 0.75 * max(1, len(a | b))
