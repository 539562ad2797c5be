"""Joins the tables that belong to the products, and leaves out those that bring nothing."""

from collections.abc import Sequence

from pinlanding_assets.catalog.drafting.profile import Column, quoted
from pinlanding_assets.catalog.drafting.related import Join, is_about_others, is_log, join_of
from pinlanding_assets.catalog.drafting.state import State
from pinlanding_assets.catalog.drafting.table import Table


def join_tables(state: State, others: Sequence[Table]) -> None:
    """Adds the columns of other tables to those of the products."""
    result = state.result
    for other in others:
        shown = ", ".join(other.patterns)
        why = "a log of searches" if is_log(other) else ""
        why = why or ("tells of people, not of products" if is_about_others(other) else "")
        join = None if why else join_of(state.table, other, {j.name for j in state.joins})
        if join is None:
            if not why:
                why = "no column of it is one of the products"
                result.doubt("feeds", f"{shown} is left out: {why}")
            result.unused[shown] = f"this file is left out: {why}"
            continue
        state.joins.append(join)
        setting = {"path": other.patterns[0], "key": join.key, "of": join.of}
        result.settings.setdefault("tables", {})[join.name] = setting
        many = "several rows for one product" if join.several else "one row for each"
        reason = f"{join.key!r} is {join.of!r} of the products, {many}"
        result.reasons[f"tables.{join.name}"] = reason
        if len(other.patterns) > 1:
            result.doubt(f"tables.{join.name}", f"only one of {shown} can be named")
        if other.days:
            doubt = "its files of all days are read together, on each day"
            result.doubt(f"tables.{join.name}", doubt)
        joined = _joined_columns(state.table, join)
        state.columns |= joined
        state.used |= set(joined) if join.keyed else {_key(join)}


def leave_out_tables(state: State) -> None:
    """Takes tables of which nothing is used out of the settings."""
    for join in state.joins:
        own = {name for name in state.columns if name.startswith(f"{join.name}[]")}
        if join.keyed or (state.used & (own | {join.name})) - {_key(join)}:
            continue
        for setting in (state.result.reasons, state.result.unsure):
            setting.pop(f"tables.{join.name}", None)
        del state.result.settings["tables"][join.name]
        for name in own:
            state.columns.pop(name)
            state.result.unused.pop(name, None)
        state.result.unused[", ".join(join.table.patterns)] = "nothing in this file is needed"
    if not state.result.settings.get("tables", True):
        del state.result.settings["tables"]


def _key(join: Join) -> str:
    return f"{join.name}[].{quoted(join.key)}"


def _joined_columns(table: Table, join: Join) -> dict[str, Column]:
    """The columns of another table, as the products see them."""
    places: dict[str, list[int]] = {}
    for place, value in table.columns[join.of].by_record().items():
        places.setdefault(value, []).append(place)
    keys = join.table.columns[join.key].by_record()
    found: dict[str, Column] = {}
    for column in join.table.columns.values():
        name = f"{join.name}[].{column.name if column.parents else quoted(column.name)}"
        parents = (join.name, f"{join.name}[]")
        new = found[name] = Column(name, len(table.records), [], column.keyed, parents)
        for place, value in column.values:
            new.values += [(mine, value) for mine in places.get(keys.get(place, ""), [])]
        new.values.sort(key=lambda pair: pair[0])
    return found
