"""Rows of prompt files become prompts: PartiPrompts, GenEval, T2I-CompBench, plain lines, tables.

Where no format is said, the columns say it: GenEval's `tag` and `include`, PartiPrompts' `Category`
and `Challenge`, T2I-CompBench's categories.
"""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from resources.feeds.column_names import Columns
from resources.feeds.rows import Row, at
from rl_diffusion_assets.prompts.prompts import BadText, Object, Prompt, Reject, read_text

# what the column of the prompts is called, the likeliest first
PROMPTS = (
    *("prompt", "caption", "text", "prompt text", "text prompt", "input prompt", "prompts"),
    *("captions", "instruction", "query"),
)
_MAX_OBJECTS = 20  # a prompt
_FIELDS = {"parti": "Prompt", "geneval": "prompt", "compbench": "prompt"}
_COMPBENCH = {
    *("color", "shape", "texture", "spatial", "non_spatial", "3d_spatial", "numeracy", "complex"),
    *("action",),
}
_KIND = {"parti": "Category", "geneval": "tag", "compbench": "category"}


def read_prompts(
    rows: Iterable[Row],
    *,
    file: str,
    format: str | None = None,
    objective: str | None = None,
    held_out: bool = False,
    column: str | None = None,
) -> tuple[list[Prompt], list[Reject]]:
    """The prompts of a file, and the rows that are none.

    Args:
        rows: as received.
        file: its name, for the tables.
        format: parti, geneval, compbench, lines or csv; None: what the columns say.
        objective: preference, fairness or composition; by default what the format is made for.
        held_out: whether none of them may be trained on.
        column: of the prompts, or the path to them; None: the first that is called like them.
    """
    rows = list(rows)
    values = [value for row in rows if (value := row.value) is not None]
    format = format or _format_of(values)
    objective = objective or ("composition" if format in ("geneval", "compbench") else "preference")
    field = column or _FIELDS.get(format) or _field_of(values)
    prompts: list[Prompt] = []
    rejects: list[Reject] = []
    for row in rows:
        value = row.value
        if value is None:
            rejects.append(Reject.of(file, row.row, "record", row.error or "broken", row.record))
            continue
        if field is None:
            reason = f"no column says it: name one under `column:`, of {', '.join(value)}"
            rejects.append(Reject.of(file, row.row, "prompt", reason, value))
            continue
        found = at(value, field)
        objects: tuple[Object, ...] = ()
        relation = None
        if format == "geneval" and _is_text(found):
            try:
                objects, relation = _geneval_objects(value.get("include"))
            except (TypeError, ValueError) as error:
                include = value.get("include")
                rejects.append(Reject.of(file, row.row, "include", str(error), include))
                continue
        several = isinstance(found, list) and found and (column or field in ("prompts", "captions"))
        for one in found if several else [found]:
            try:
                text = read_text(one)
            except BadText as error:
                rejects.append(Reject.of(file, row.row, field, str(error), one))
                continue
            prompts.append(
                Prompt(
                    prompt=text,
                    objective=objective,
                    family=_family(file, format, value),
                    source=f"{file}:{row.row}",
                    held_out=True if held_out else None,
                    objects=objects,
                    relation=relation,
                )
            )
    return prompts, rejects


def _is_text(value: Any) -> bool:
    try:
        return bool(read_text(value))
    except BadText:
        return False


def _format_of(values: Sequence[dict[str, Any]]) -> str:
    columns = Columns(values)
    if columns.has("prompt"):
        if columns.has("tag") and columns.has("include"):
            return "geneval"
        if columns.has("category") and columns.has("challenge"):
            return "parti"
        if columns.has("category"):
            kinds = {value.get("category") for value in values if _is_word(value.get("category"))}
            if kinds and kinds <= _COMPBENCH:
                return "compbench"
    return "csv"


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _field_of(values: Sequence[dict[str, Any]]) -> str | None:
    """The column of the prompts: that which is called so, or the only one."""
    columns = Columns(values)
    found = columns.first(PROMPTS)
    if found is None and len(columns.names()) == 1:
        found = columns.names()[0]
    return found


def _family(file: str, format: str, value: dict[str, Any]) -> str:
    if format not in _KIND:
        return PurePosixPath(file).stem[:80]
    kind = value.get(_KIND[format])
    usable = isinstance(kind, str) and kind.isprintable() and 0 < len(kind.strip()) <= 60
    return f"{format}:{str(kind).strip()}" if usable else format


def _geneval_objects(include: Any) -> tuple[tuple[Object, ...], str | None]:
    """What GenEval's `include` states: [{class, count, color?, position?: [relation, index]}]."""
    if not isinstance(include, list) or not 0 < len(include) <= _MAX_OBJECTS:
        raise ValueError(f"not a list of 1 to {_MAX_OBJECTS} objects")
    objects, relation = [], None
    for entry in include:
        if not isinstance(entry, dict):
            raise TypeError("an entry is no object")
        count = entry.get("count", 1)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= 1000:
            raise ValueError("count is no whole number from 1 to 1000")
        colour = entry.get("color")
        objects.append(Object(_word(entry.get("class")), colour and _word(colour), count))
        if position := entry.get("position"):
            relation = _word(position[0] if isinstance(position, list) else position)
    return tuple(objects), relation


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 80:
        raise ValueError("class, color or position is no text of 1 to 80 printable characters")
    return value
