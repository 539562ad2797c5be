"""Columns by the words of their names, whatever their case and what stands between them.

`imageA`, `Image A` and `image_a` are one. Two columns that differ only in `a` and `b`, `left` and
`right`, `1` and `2`, ... belong together; three of a kind are none.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from resources.feeds.parquet import BYTES
from resources.feeds.rows import at

_FURTHER = {"a": "c", "first": "third", "one": "three", "1": "3", "0": "2"}
_PREFIXES = ("input ", "answer ", "data ")  # of crowd sourcing and labelling tools


def plain(name: str) -> str:
    """The words of a column's name."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    name = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", name)
    name = " ".join(re.sub(r"[\W_]+", " ", name).split())
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def is_image(value: Any) -> bool:
    """Whether an object is an image: bytes in the file, or as Hugging Face has them."""
    return isinstance(value, dict) and (BYTES in value or {"bytes", "path"} <= value.keys())


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
        if isinstance(member, dict) and member and not is_image(member):
            for inner, part in member.items():
                yield f"{name}.{inner}", part
        else:
            yield name, member
