"""What a file of ratings is, by the names of its columns.

A column is known by its words, whatever their case and what stands between them: `imageA`,
`Image A` and `image_a` are one. Two columns that differ only in `a` and `b`, `left` and `right`,
`1` and `2`, ... belong together; three of a kind are none.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.feeds.parquet import BYTES
from resources.feeds.rows import at

PROMPTS = (
    *("prompt", "caption", "text", "prompt text", "text prompt", "input prompt", "prompts"),
    *("captions", "instruction", "query"),
)
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
_FURTHER = {"a": "c", "first": "third", "one": "three", "1": "3", "0": "2"}
_SCORED = ("label", "preference", "preferred", "is preferred", "win", "wins", "won", "winner")
_PICTURE = {
    *("image", "img", "picture", "photo", "pic", "jpg", "jpeg", "png"),
    *("option", "candidate", "generation", "generated", "output", "response", "sample", "side"),
}
_WHERE = {"path", "file", "filename", "name", "src", "key"}
_IDENTITY = {"uid", "id", "hash", "uuid"}
_ADDRESS = {"url", "uri", "link"}
_PREFIXES = ("input ", "answer ", "data ")  # of crowd sourcing and labelling tools


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


def plain(name: str) -> str:
    """The words of a column's name."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    name = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", name)
    name = " ".join(re.sub(r"[\W_]+", " ", name).split())
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


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


class Columns:
    """The columns of rows, and of objects in them, by their words; those that hold something go
    before those that are blank."""

    def __init__(self, values: Sequence[Mapping[str, Any]]):
        filled: dict[str, bool] = {}
        for value in values:
            for name, member in _members(value):
                filled[name] = filled.get(name, False) or member not in (None, "", [])
        self._values = values
        self._named: dict[str, str] = {}
        for name in sorted(filled, key=lambda name: not filled[name]):
            self._named.setdefault(plain(name), name)
        self._filled = {plain(name) for name in filled if filled[name]}

    def names(self) -> list[str]:
        """All columns."""
        return list(self._named.values())

    def has(self, words: str) -> bool:
        """Whether there is a column of that name."""
        return words in self._named

    def all(self, names: Iterable[str]) -> list[str]:
        """Those of the columns that are there."""
        there = [name for name in names if name in self._named]
        return [self._named[name] for name in sorted(there, key=lambda n: n not in self._filled)]

    def first(self, names: Iterable[str], *used: str) -> str | None:
        """The first of the columns that is there and not used."""
        return next((name for name in self.all(names) if name not in used), None)

    def holds(self, column: str, test: Any) -> bool:
        """Whether a value of a column is such."""
        return any(test(at(value, column)) for value in self._values)

    def pairs(self, families: Sequence[tuple[str, str]]) -> dict[str, tuple[str, str]]:
        """Columns that differ only in their side: what they share -> both."""
        found: dict[str, tuple[str, str]] = {}
        for name, column in self._named.items():
            tokens = name.split()
            for place, token in enumerate(tokens):
                for first, second in families:
                    if token != first:
                        continue

                    def beside(side: str, tokens: list[str] = tokens, place: int = place) -> str:
                        return " ".join([*tokens[:place], side, *tokens[place + 1 :]])

                    other = self._named.get(beside(second))
                    third = beside(_FURTHER.get(first, "\0")) in self._named
                    zeroth = first == "1" and beside("0") in self._named
                    if other and not third and not zeroth:
                        stem = " ".join([*tokens[:place], *tokens[place + 1 :]])
                        found.setdefault(stem, (column, other))
        return found


def _members(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, member in value.items():
        yield name, member
        if isinstance(member, dict) and not is_image(member):
            for inner, part in member.items():
                yield f"{name}.{inner}", part


def is_image(value: Any) -> bool:
    """Whether an object is an image: bytes in the file, or as Hugging Face has them."""
    return isinstance(value, dict) and (BYTES in value or {"bytes", "path"} <= value.keys())


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
