"""Rows of prompt files become prompts: PartiPrompts, GenEval, T2I-CompBench, plain lines, CSV."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from resources.feeds.rows import Row
from rl_diffusion_assets.prompts.prompts import BadText, Object, Prompt, Reject, read_text

_MAX_OBJECTS = 20  # a prompt
_TEXT = {"parti": "Prompt"}  # format -> field of the prompt, elsewhere `prompt`
_KIND = {"parti": "Category", "geneval": "tag", "compbench": "category"}


def read_prompts(
    rows: Iterable[Row],
    *,
    file: str,
    format: str,
    objective: str | None = None,
    held_out: bool = False,
    column: str = "prompt",
) -> tuple[list[Prompt], list[Reject]]:
    """The prompts of a file, and the rows that are none.

    Args:
        rows: as received.
        file: its name, for the tables.
        format: parti, geneval, compbench, lines or csv.
        objective: preference, fairness or composition; by default what the format is made for.
        held_out: whether none of them may be trained on.
        column: of the prompts in a csv.
    """
    objective = objective or ("composition" if format in ("geneval", "compbench") else "preference")
    field = column if format == "csv" else _TEXT.get(format, "prompt")
    prompts: list[Prompt] = []
    rejects: list[Reject] = []
    for row in rows:
        if row.value is None:
            rejects.append(Reject.of(file, row.row, "record", row.error or "broken", row.record))
            continue
        try:
            text = read_text(row.value.get(field))
        except BadText as error:
            rejects.append(Reject.of(file, row.row, field, str(error), row.value.get(field)))
            continue
        objects: tuple[Object, ...] = ()
        relation = None
        if format == "geneval":
            try:
                objects, relation = _geneval_objects(row.value.get("include"))
            except (TypeError, ValueError) as error:
                include = row.value.get("include")
                rejects.append(Reject.of(file, row.row, "include", str(error), include))
                continue
        prompts.append(
            Prompt(
                prompt=text,
                objective=objective,
                family=_family(file, format, row.value),
                source=f"{file}:{row.row}",
                held_out=True if held_out else None,
                objects=objects,
                relation=relation,
            )
        )
    return prompts, rejects


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
