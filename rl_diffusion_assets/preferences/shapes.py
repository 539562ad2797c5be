"""What a file of ratings is, by the names of its columns.

A column is known by its words, and by which of two images it is about (`column_names.py`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.feeds.column_names import Columns, is_image, plain
from rl_diffusion_assets.prompts.formats import PROMPTS

_CHOICES = (
    *("choice", "preference", "preferred", "winner", "label", "vote", "pref", "human preference"),
    *("user preference", "preferred image", "best image uid", "best image", "chosen image"),
    *("winning image", "chosen", "selected", "selection", "answer", "best", "better", "verdict"),
    *("decision", "judgement", "judgment", "pick", "picked", "comparison", "result", "choice dist"),
)
_RATERS = (
    *("rater", "user id", "annotator", "worker", "user", "rater id", "annotator id", "worker id"),
    *("user hash", "labeler", "labeler id", "evaluator", "evaluator id", "participant"),
    *("participant id", "reviewer", "judge", "username", "user name"),
)
_LISTS = (
    *("generations", "images", "image path", "image paths", "file path", "file paths", "image"),
    *("files", "pictures", "image list", "image files", "paths"),
)
_RANKS = ("ranking", "rank", "ranks", "rankings")
_SINGLES = ("image", "image path", "file path", "file name", "filename", "file", "name", "path")
_GROUPS = ("prompt id",)
_SIDES = (
    ("a", "b"),
    ("left", "right"),
    ("first", "second"),
    ("one", "two"),
    ("1", "2"),
    ("0", "1"),
)
_DECIDED = (
    *(("chosen", "rejected"), ("winner", "loser"), ("preferred", "rejected")),
    *(("preferred", "dispreferred"), ("better", "worse"), ("win", "lose")),
)
_SCORED = ("label", "preference", "preferred", "is preferred", "win", "wins", "won", "winner")
_PICTURE = {
    *("image", "img", "picture", "photo", "pic", "jpg", "jpeg", "png"),
    *("option", "candidate", "generation", "generated", "output", "response", "sample", "side"),
}
_WHERE = {"path", "file", "filename", "name", "src", "key"}
_IDENTITY = {"uid", "id", "hash", "uuid"}
_ADDRESS = {"url", "uri", "link"}


@dataclass(frozen=True)
class Shape:
    """How a file of ratings is read.

    Attributes:
        kind: `pairs`, `agiqa`, `imagereward` (lists of images in a row), `decided` (the first image
            of a pair is the better one) or `ranked` (an image a row, with its rank).
        columns: What is read -> its column or path.
        names: Further columns of the first and the second image, by which a choice may name them.
        shown: Whether the first image of a pair was shown first.
    """

    kind: str
    columns: Mapping[str, str]
    names: Sequence[tuple[str, str]] = ()
    shown: bool = False


def shape_of(
    values: Sequence[Mapping[str, Any]],
    declared: str = "pairs",
    given: Mapping[str, str] | None = None,
) -> Shape:
    """The shape of a file by its rows.

    Args:
        values: Its rows.
        declared: What studio.yaml says that it is, for files whose columns do not say it.
        given: What studio.yaml says of its columns.
    """
    columns, given = Columns(values), dict(given or {})
    found = {name: columns.first(names) for name, names in _COMMON.items()} | given
    found = {name: column for name, column in found.items() if column}
    if "a" in given and "b" in given:
        found.setdefault("choice", columns.first(_CHOICES, *found.values()) or "")
        return Shape("pairs", {name: column for name, column in found.items() if column}, (), True)
    if columns.has("mos quality") and columns.has("mos align"):
        return Shape("agiqa", {"name": columns.first(("name",)) or "name", **found})
    images = next((c for c in columns.all(_LISTS) if columns.holds(c, _is_list)), None)
    if images:
        ranks = columns.first(_RANKS)
        choice = found.get("choice") or columns.first(_CHOICES, images)
        said = {"ranks": ranks} if ranks else {"choice": choice} if choice else {}
        annotations = columns.first(("raw annotations",))
        if annotations:
            said["annotations"] = annotations
        return Shape("imagereward", {**found, "images": images, **said})
    sides, decided = columns.pairs(_SIDES), columns.pairs(_DECIDED)
    pair = _pictures(sides, columns)
    if pair:
        stem, (a, b) = pair
        scored = next((sides[s] for s in _SCORED if s in sides), None)
        found |= {"a": a, "b": b} | (
            {"score_a": scored[0], "score_b": scored[1]} if scored and "choice" not in found else {}
        )
        if "score_a" not in found:
            found["choice"] = found.get("choice") or columns.first(_CHOICES, *found.values()) or ""
        if found.get("choice") or "score_a" in found or not decided:
            names = [both for other, both in sides.items() if other != stem]
            kept = {name: column for name, column in found.items() if column}
            # exports that number pictures say nothing about where they were shown
            return Shape("pairs", kept, names, shown=not re.search(r"\d", plain(a)))
    pair = _pictures(decided, columns)
    if pair:
        return Shape("decided", {**found, "a": pair[1][0], "b": pair[1][1]})
    image, rank = columns.first(_SINGLES), columns.first(_RANKS)
    if image and rank:
        group = columns.first(_GROUPS) or found.get("prompt", "prompt")
        return Shape("ranked", {**found, "image": image, "rank": rank, "group": group})
    if declared == "imagereward":
        return Shape("imagereward", found)
    return Shape("agiqa" if declared == "agiqa" else "pairs", found, (), True)


_COMMON = {"prompt": PROMPTS, "rater": _RATERS, "has_label": ("has label",)}


def _is_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and value.lstrip().startswith("["))


def _pictures(
    pairs: Mapping[str, tuple[str, str]], columns: Columns
) -> tuple[str, tuple[str, str]] | None:
    """Which columns are the pictures: bytes before paths, these before names, addresses last."""

    def order(stem: str) -> int | None:
        words = set(stem.split())
        if columns.holds(pairs[stem][0], is_image):
            return 0
        if words - _PICTURE - _WHERE - _IDENTITY - _ADDRESS:
            return None
        if words & _ADDRESS:
            return 4
        return 3 if words & _IDENTITY else 1 if words & _WHERE else 2

    ranked = [(place, stem) for stem in pairs if (place := order(stem)) is not None]
    return (min(ranked)[1], pairs[min(ranked)[1]]) if ranked else None
