"""What several days say: renamed columns, and whether a day's file is the whole catalog."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

from pinlanding_assets.catalog.drafting import shapes, words
from pinlanding_assets.catalog.drafting.names import attribute_rank, field_rank, plain
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.table import Table


def rejoined(table: Table) -> dict[str, Column]:
    """The columns of a table, one that has another name on later days once."""
    columns = dict(table.columns)
    if len(table.days) < 2:
        return columns
    on = {name: _days(table, column) for name, column in columns.items()}
    late = [n for n, days in on.items() if days and min(days) > table.days[0]]
    for name in late:
        before = [
            other
            for other, days in on.items()
            if days and other in columns and max(days) < min(on[name])
        ]
        # what they mean may be the same by chance; the same values are no chance
        same = [o for o in before if _same_values(columns[o], columns[name])]
        same = same or [o for o in before if _same_meaning(columns[o], columns[name])]
        if len(same) == 1 and name in columns:
            old, new = columns[same[0]], columns.pop(name)
            merged = Column(
                old.name, old.rows, sorted([*old.values, *new.values], key=lambda v: v[0]),
                old.keyed and new.keyed, old.parents, [*old.others, new.name, *new.others],
            )  # fmt: skip
            columns[same[0]] = merged
            on[same[0]] = on[same[0]] | on[name]
    return columns


def _days(table: Table, column: Column) -> set[str]:
    return {day for place, _ in column.values if (day := table.day_of[place])}


def _same_values(old: Column, new: Column) -> bool:
    if old.keyed or new.keyed:
        return old.keyed and new.keyed
    one, other = set(old.texts), set(new.texts)
    if min(len(one), len(other)) < 2 or {t.casefold() for t in one | other} <= shapes.TRUTH:
        return False
    return len(one & other) >= 0.5 * min(len(one), len(other)) and _alike(old, new)


def _same_meaning(old: Column, new: Column) -> bool:
    means = any(
        field_rank(old.name, field) is not None and field_rank(new.name, field) is not None
        for field in words.FIELDS
    )
    kinds = attribute_rank(old.name), attribute_rank(new.name)
    shared = set(plain(old.name).split()) & set(plain(new.name).split())
    return (means or (None not in kinds and bool(shared))) and _alike(old, new)


def _alike(old: Column, new: Column) -> bool:
    """Whether the values of two columns look alike."""
    tests = (shapes.is_number, shapes.is_url, shapes.is_image, shapes.is_date)
    return all(abs(old.share(test) - new.share(test)) < 0.3 for test in tests)


def _shown(record: dict[str, Any]) -> str:
    """A row as text; a number that became a float is the same."""
    cells = {k: v if isinstance(v, dict | list) else shapes.text_of(v) for k, v in record.items()}
    return json.dumps(cells, sort_keys=True)


def is_full(table: Table, ids: Sequence[str]) -> tuple[bool, str]:
    """Whether each day's file is the whole catalog, and why: later days repeat rows unchanged."""
    by_day: dict[str, dict[str, str]] = {}
    columns = [table.columns[name] for name in ids if name in table.columns]
    id_of: dict[int, str] = {}
    for column in columns:
        for place, value in column.by_record().items():
            id_of.setdefault(place, value)
    for place, record in enumerate(table.records):
        day = table.day_of[place]
        if day and place in id_of:
            rows = by_day.setdefault(day, {})
            rows[id_of[place]] = rows.get(id_of[place], "") + _shown(record)
    repeated = again = shared = known = 0
    days = sorted(by_day)
    for before, after in itertools.pairwise(days):
        both = by_day[before].keys() & by_day[after].keys()
        again += len(both)
        known += len(by_day[after])
        shared += len(by_day[before])
        repeated += sum(by_day[before][one] == by_day[after][one] for one in both)
    if not repeated:
        return False, ""
    full = again >= 0.5 * min(known, shared) and repeated >= 0.3 * again
    return (
        full,
        f"{repeated} of {known} rows of later days repeat a row of the day before unchanged",
    )
