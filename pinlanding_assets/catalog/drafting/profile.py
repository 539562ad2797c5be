"""The columns of a table, nested ones by their paths, with what their values look like."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pinlanding_assets.catalog.drafting import attribute_words, shapes, words
from pinlanding_assets.catalog.drafting.names import plain
from pinlanding_assets.catalog.values import BYTES, members, several

_DEPTH = 9  # IIIF has its images there
_MAX_COLUMNS = 1000
_MAX_NAME = 160  # characters; a catalog.yaml names none that is much longer
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS = {
    "key",
    "name",
    "label",
    "attribute",
    "attribute code",
    "code",
    "property",
    "trait",
    "trait type",
}
_VALUES = {"value", "values", "option", "options", "val", "text", "display value", "content"}
_PARAMS = ("param", "attribute", "property", "specification", "spec", "feature", "product detail")
_NAMED = {f"{param} name": f"{param} value" for param in _PARAMS}  # PARAM_NAME, attribute_name
_KEYS |= set(_NAMED)
_VALUES |= set(_NAMED.values())
_KEY = r"[^\W\d][\w /()-]{0,30}"
_PAIRS = re.compile(rf"(?:^|[;|\n])\s*({_KEY})\s*[:=](?!/)")
_PAIR = rf"{_KEY}\s*[:=](?!/)[^:=;|\n]{{1,60}}"
_TEXT_MAP = re.compile(rf"{_PAIR}(?:[;|\n]\s*{_PAIR})*")
_LISTED_MAP = re.compile(rf"{_KEY}=(?!/)[^=:|\n]{{1,200}}([;|]\s*{_KEY}=(?!/)[^=:|\n]{{1,200}})*")
_ORDER = {plain(language): place for place, language in enumerate(words.LANGUAGES)}
_STRUCT = {
    *("amount", "value", "currency", "currency code", "price", "unit", "url", "src", "href"),
    *("path", "bytes", "id", "name", "title", "min", "max", "cent amount", "type", "@type", "text"),
}


@dataclass
class Column:
    """A column, or what stands at a path, over all records of a table.

    Attributes:
        name: Its name, or the path (JMESPath).
        rows: How many records the table has.
        values: (place of the record, value), the blank ones left out; lists are kept.
        keyed: It holds keys and values.
        parents: The paths of the lists and objects around it, the outermost first.
    """

    name: str
    rows: int
    values: list[tuple[int, Any]] = field(default_factory=list)
    keyed: bool = False
    parents: tuple[str, ...] = ()
    others: list[str] = field(default_factory=list)  # names that it has on other days

    @cached_property
    def filled(self) -> int:
        return len({place for place, _ in self.values})

    @cached_property
    def fill(self) -> float:
        return self.filled / self.rows if self.rows else 0.0

    @cached_property
    def listed(self) -> bool:
        """Whether a value is a list in some record (also a JSON list in a text)."""
        nested = "[]" in self.name and bool(self.parents)
        return nested or any(isinstance(value, list) for _, value in self.values)

    @cached_property
    def parts(self) -> list[Any]:
        """The values, those of lists one by one."""
        found = []
        for _, value in self.values:
            found += (
                [v for v in value if not shapes.is_blank(v)] if isinstance(value, list) else [value]
            )
        return found

    @cached_property
    def texts(self) -> list[str]:
        return [shapes.text_of(v) for v in self.parts if not isinstance(v, dict | list)]

    @cached_property
    def distinct(self) -> int:
        return len(set(self.texts))

    @cached_property
    def length(self) -> float:
        return sum(map(len, self.texts)) / len(self.texts) if self.texts else 0.0

    def share(self, test: Callable[[Any], bool]) -> float:
        """Of its values, how many pass a test."""
        passed = sum(times for value, times in self._counted if test(value))
        return passed / len(self.parts) if self.parts else 0.0

    @cached_property
    def _counted(self) -> list[tuple[Any, int]]:
        """The different values, and how often each is there."""
        plain_ones = Counter(
            (type(value), value) for value in self.parts if not isinstance(value, dict | list)
        )
        others = [(value, 1) for value in self.parts if isinstance(value, dict | list)]
        return [(value, times) for (_, value), times in plain_ones.items()] + others

    def by_record(self) -> dict[int, str]:
        """Place of a record -> its value as text, of values that are no lists."""
        found: dict[int, str] = {}
        for place, value in self.values:
            if not isinstance(value, dict | list):
                found.setdefault(place, shapes.text_of(value))
        return found

    @property
    def one(self) -> str:
        """The path to one value: of a list, the first."""
        return self.name.replace("[]", "[0]") if self.parents else self.name


def _spelled(path: str, value: Any) -> str:
    """The path to a text within a member of a pair: `label.en[0]`; "": there is none."""
    if isinstance(value, dict) and value:
        language = min(value, key=lambda key: _ORDER.get(plain(key), 99))
        if plain(language) not in _ORDER:
            named = next((m for m in ("name", "label", "title") if m in value), "")
            return step(path, named) if named and isinstance(value[named], str) else ""
        return _spelled(step(path, language), value[language])
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return _spelled(f"{path}[]", value[0])
        return f"{path}[0]" if value and isinstance(value[0], str) else ""
    return path if isinstance(value, str | int | float) else ""


def _pairs_path(path: str, pairs: list[dict[str, Any]]) -> str:
    """A path that makes {key, value} of pairs that the stage cannot read as they are."""
    first = pairs[0]
    key = next((k for k in first if plain(k) in _KEYS and not _is_number(first[k])), None)
    value = next((k for k in first if plain(k) in _VALUES and k != key), None)
    if key is None or value is None:
        return ""
    shown = [_spelled(quoted(k), first[k]) for k in (key, value)]
    return f"[{path}][].{{key: {shown[0]}, value: {shown[1]}}}" if all(shown) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def columns_of(records: Sequence[dict[str, Any]]) -> dict[str, Column]:
    """The columns of a table by name, in the order in which they occur."""
    found: dict[str, Column] = {}
    maps = _maps(records)
    spelled = _spelled_pairs(records, maps)
    for place, record in enumerate(records):
        for name, value, keyed, parents in _leaves(record, maps | spelled.keys()):
            name, keyed = spelled.get(name, name), keyed or name in spelled
            column = found.get(name)
            if column is None:
                if len(found) >= _MAX_COLUMNS or not 0 < len(name) <= _MAX_NAME:
                    continue
                column = found[name] = Column(name, len(records), [], keyed, parents)
            if not shapes.is_blank(value):
                column.values.append((place, value))
    return found


def step(path: str, name: str) -> str:
    """A path with one more name in it."""
    shown = name if _IDENTIFIER.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    return f"{path}.{shown}"


def quoted(name: str) -> str:
    """A name as a path has it."""
    return step("", name)[1:]


def _leaves(
    record: dict[str, Any], maps: set[str]
) -> Iterator[tuple[str, Any, bool, tuple[str, ...]]]:
    for name, value in record.items():
        value = _parsed(value)
        first = name if not isinstance(value, dict | list) or _IDENTIFIER.fullmatch(name) else None
        yield from _walk(name, first or json.dumps(name, ensure_ascii=False), value, maps, (), 0)


def _walk(
    name: str, path: str, value: Any, maps: set[str], parents: tuple[str, ...], depth: int
) -> Iterator[tuple[str, Any, bool, tuple[str, ...]]]:
    """Name: what the value is called if nothing below it is; path: what paths below begin with."""
    if depth > _DEPTH:
        return
    if name in maps:
        yield name, value, True, parents
    elif isinstance(value, dict) and BYTES not in value and value:
        for key, part in value.items():
            below = step(path, key)
            yield from _walk(below, below, part, maps, (*parents, name), depth + 1)
    elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
        for one in value[:50]:
            if isinstance(one, dict):
                yield from _walk(f"{path}[]", f"{path}[]", one, maps, (*parents, name), depth + 1)
    elif isinstance(value, list) and "[]" in name:
        yield f"{name}[]", value, False, parents
    else:
        yield name, value, False, parents


def _parsed(value: Any) -> Any:
    """A list or an object that stands in a cell as JSON, as far as the stage reads it."""
    if isinstance(value, str) and value[:1] == "[":
        parts = several(value, None)
        return (
            value
            if parts == [value.strip()]
            else [p for p in parts if not isinstance(p, dict)] or value
        )
    return value


def _maps(records: Sequence[dict[str, Any]]) -> set[str]:
    """The columns that hold keys and values, by name (and the paths of those within objects)."""
    keys: dict[str, list[int | set]] = {}
    texts: dict[str, list[str]] = {}
    for record in records[:500]:
        for name, path, value in _containers(record):
            if "[]" in path:
                continue
            seen = keys.setdefault(name, [0, set(), set(), 0])
            found = members(value, shapes.NO_WORDS)
            named = set(value) if isinstance(value, dict) else set()
            seen[0] += 1  # type: ignore[operator]
            if isinstance(found, dict) and _plain_values(found):
                seen[3] += 1  # type: ignore[operator]
                seen[1] |= set(found)  # type: ignore[operator]
                seen[2] = (seen[2] & named) if seen[0] > 1 else named  # type: ignore[operator]
        for name, value in record.items():
            if isinstance(value, str) and not shapes.is_blank(value) and len(value) < 20_000:
                texts.setdefault(name, []).append(value)
    found = {name for name, seen in keys.items() if _is_map(name, *seen)}  # type: ignore[arg-type]
    return found | {name for name, cells in texts.items() if _is_text_map(name, cells)}


def _spelled_pairs(records: Sequence[dict[str, Any]], maps: set[str]) -> dict[str, str]:
    """Name of lists of keys and values that need a path -> the path."""
    found: dict[str, str] = {}
    for record in records[:500]:
        for name, path, value in _containers(record):
            pairs = value if isinstance(value, list) else [value]
            if name in maps or name in found or not all(is_pair(v) for v in pairs):
                continue
            marked = any(key.startswith("@") or plain(key) in _NAMED for key in pairs[0])
            last = plain(name.rpartition(".")[2].strip('"'))
            if isinstance(value, dict) and not (marked and last in _PARAMS):
                continue
            path = f"{path}[]" if "[]" in path else path  # of each of several
            if spelled := _pairs_path(path, pairs):
                found[name] = spelled
    return found


def _containers(record: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    stack: list[tuple[str, str, Any, int]] = [
        (k, k if _IDENTIFIER.fullmatch(k) else json.dumps(k, ensure_ascii=False), v, 0)
        for k, v in record.items()
    ]
    while stack:
        name, path, value, depth = stack.pop()
        if isinstance(value, dict) and value and BYTES not in value:
            yield name, path, value
            if depth < _DEPTH:
                stack += [(step(path, k), step(path, k), v, depth + 1) for k, v in value.items()]
        elif (
            isinstance(value, list)
            and value
            and all(isinstance(v, dict) and is_pair(v) for v in value)
        ):
            yield name, path, value
        elif isinstance(value, list) and depth < _DEPTH:
            inner = [v for v in value[:20] if isinstance(v, dict)]
            below = f"{path}[]"
            stack += [
                (step(below, k), step(below, k), v, depth + 1)
                for one in inner
                for k, v in one.items()
                if isinstance(v, list)
            ]


def is_pair(value: dict[str, Any]) -> bool:
    """Whether an object is a key and its value."""
    named = {plain(key) for key in value}
    return len(value) <= 8 and bool(named & _KEYS) and bool(named & _VALUES)


def _plain_values(found: dict[str, Any]) -> bool:
    return all(
        not isinstance(part, dict)
        for v in found.values()
        for part in (v if isinstance(v, list) else [v])
    )


def _is_map(name: str, times: int, keys: set[str], always: set[str], fitting: int) -> bool:
    if not keys or fitting < times:
        return False
    last = plain(re.split(r"[.\]]", name)[-1] or name)
    named = {plain(key) for key in keys}
    if named <= _STRUCT or named & {"bytes", "src", "currency", "amount", "hi res", "full"}:
        return False
    if named <= {plain(language) for language in words.LANGUAGES}:
        return False
    if last in attribute_words.MAPS:
        return True
    varying = len(keys) > 2 * max(1, len(always)) and times > 2
    return varying and len(keys) > 5 and last not in words.IMAGE_TOKENS


def _is_text_map(name: str, cells: list[str]) -> bool:
    """Whether cells are JSON objects, or `k=v,k=v`."""
    shown = cells[:200]
    objects = sum(cell.lstrip()[:1] == "{" or cell.lstrip()[:2] == "[{" for cell in shown)
    if objects == len(shown) or plain(name) in attribute_words.MAPS:
        read = [members(cell, shapes.NO_WORDS) for cell in shown]
        good = [r for r in read if isinstance(r, dict) and r and _plain_values(r)]
        named = {plain(key) for r in good for key in r}
        image = any(isinstance(v, str) and shapes.is_image(v) for r in good for v in r.values())
        return len(good) == len(shown) and not image and not named <= _STRUCT
    # `Color: red; Sole: rubber`: short keys that come back, short values
    pairs = [_PAIRS.findall(cell) for cell in shown]
    keys = Counter(plain(key) for found in pairs for key in {k.strip() for k in found})
    if not all(_TEXT_MAP.fullmatch(cell.strip(" ;|\n")) for cell in shown):
        # `Color=Red;Blue`, and in other rows `Color=Red`
        listed = all(_LISTED_MAP.fullmatch(cell.strip(" ;|\n")) for cell in shown)
        return listed and len(keys) <= 0.5 * len(shown)
    several = sum(len(found) > 1 for found in pairs)
    few_keys = several > 0 and len(keys) <= max(2, 0.5 * len(shown))
    come_back = keys.most_common(1)[0][1] >= min(2, len(shown))
    return come_back and (several >= 0.5 * len(shown) or few_keys)
