"""Change events of databases (Debezium and its like): {before, after, op} around each row."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pinlanding_assets.catalog.drafting.profile import quoted
from pinlanding_assets.catalog.drafting.samples import Draft, Sample

_EVENT = {"before", "after", "op"}


def opened(samples: Sequence[Sample]) -> tuple[list[Sample], str]:
    """The rows within change events, and the path to an event's parts; "": they are no events."""
    records = [record for sample in samples for record in sample.records]
    for path in ("", "payload."):
        events = [record.get("payload") if path else record for record in records]
        if events and all(_is_event(event) for event in events):
            inner = [replace(s, columns=None, records=_rows(s, path)) for s in samples]
            return inner, path or "."
    return list(samples), ""


def _is_event(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and event.keys() >= _EVENT
        and all(isinstance(event[side], dict | None) for side in ("before", "after"))
        and bool(event["before"] or event["after"])
    )


def _rows(sample: Sample, path: str) -> list[dict[str, Any]]:
    events = [record["payload"] if path else record for record in sample.records]
    return [{**(e["after"] or e["before"]), "op": e["op"]} for e in events]


def close(draft: Draft, path: str) -> None:
    """Leads the columns of a draft into the events again; deleted rows are in `before` alone."""
    prefix = path.removeprefix(".")
    columns: dict[str, Any] = draft.settings.get("columns", {})
    for field, named in columns.items():
        names = named if isinstance(named, list) else [named]
        if field == "operation":
            columns[field] = [f"{prefix}op"]
        else:
            after = [_within(name, f"{prefix}after") for name in names]
            before = [_within(n, f"{prefix}before") for n in names] if field == "id" else []
            found = [*after, *before]
            columns[field] = found[0] if len(found) == 1 else found
    columns["operation"] = f"{prefix}op"
    draft.reasons["columns.operation"] = "what a change event did"
    attributes: dict[str, Any] = draft.settings.get("attributes", {})
    for key, named in attributes.items():
        names = named if isinstance(named, list) else [named]
        inner = [_within(name, f"{prefix}after") for name in names]
        attributes[key] = inner[0] if len(inner) == 1 else inner
    draft.settings["rows"] = "last"
    draft.reasons["rows"] = "rows with the same id are changes of it, in order"
    draft.recognized = "change events of a database"


def _within(column: Any, path: str) -> Any:
    if isinstance(column, dict):
        names = {k: column[k] for k in ("column", "names") if k in column}
        return {**column, **{k: _within(name, path) for k, name in names.items()}}
    is_path = any(mark in column for mark in '.["')
    return f"{path}.{column if is_path else quoted(column)}"
