"""Reads the rows of a feed: maps their columns, checks and cleans each value.

A field is read for a block of rows at a time, and each different value once: what is said of a
value depends on nothing else.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.prices import BadPrice, Price, read_price
from pinlanding_assets.catalog.text import clean, excerpt
from pinlanding_assets.catalog.values import (
    Problem,
    members,
    read_attribute,
    read_id,
    read_images,
    read_text,
    read_url,
    several,
)
from pinlanding_assets.catalog.words import is_nothing, read_availability, read_operation
from resources.feeds.rows import at, parse_json

MAX_NOTES = 20  # rejects of one row; a hostile row could cause thousands
_IDENTIFIER = re.compile(r"\w+")
_CODE = re.compile("[A-Z]{3}")
_PAIRS = pa.struct([("key", pa.string()), ("value", pa.string())])
ROWS = {
    **{"product_id": pl.String, "parent": pl.String, "parent_key": pl.String},
    **{"operation": pl.String, "title": pl.String, "description": pl.String, "price": pl.Float64},
    # of a price that may be read in two ways: its mark, and what it is if that separates thousands
    **{"mark": pl.String, "grouped": pl.Float64, "ambiguous": pl.String, "currency": pl.String},
    **{"seller": pl.String, "availability": pl.String, "status": pl.String, "url": pl.String},
    "attributes": pl.List(pl.Struct({"key": pl.String, "value": pl.String})),
    **{"images": pl.List(pl.String), "file": pl.String, "row": pl.Int64, "number": pl.Boolean},
}
REJECTS = schema.Rejects.create_empty().schema


@dataclass
class _Block:
    """Rows of a block that could be parsed, their values so far, and the rejects."""

    records: list[dict[str, Any]]
    files: list[str]
    numbers: list[int]
    ids: Sequence[Any] = ()
    notes: dict[int, list[Problem]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)

    def note(self, place: int, problem: Problem) -> None:
        self.notes.setdefault(place, []).append(problem)
        if problem.fatal:
            self.refused.add(place)

    def forget(self, place: int) -> None:
        """Of a deletion, only the id has to be right."""
        kept = [p for p in self.notes.pop(place, []) if p.field in ("id", "operation")]
        if kept:
            self.notes[place] = kept
        if not any(problem.fatal for problem in kept):
            self.refused.discard(place)

    def read(self, values: Sequence[Any], read: Callable[[Any], Any]) -> list[Any]:
        """Each value read, None in place of a problem, which is noted."""
        memo: dict[Any, Any] = {}
        found, problems = [], False
        for value in values:
            kind = type(value)
            if kind is dict or kind is list:
                result = read(value)
            else:
                key = value if kind is str else (kind, value)  # 1 and True are equal
                if key in memo:
                    result = memo[key]
                else:
                    result = memo[key] = read(value)
            problems = problems or type(result) is Problem
            found.append(result)
        if problems:
            for place, result in enumerate(found):
                if type(result) is Problem:
                    self.note(place, result)
                    found[place] = None
        return found


class RowReader:
    """Reads rows by a mapping.

    Args:
        mapping: Of catalog.yaml (`CatalogConfig.model_dump()`): `columns`, `attributes`,
            `defaults`, `only`, `decimal`, `nulls`, `words`.
        day: YYYY-MM-DD, for columns that not all days have; None: all count.
    """

    def __init__(self, mapping: Mapping[str, Any], day: str | None = None):
        self._columns: Mapping[str, Any] = mapping["columns"]
        self._attributes: Mapping[str, Any] = mapping.get("attributes") or {}
        self._defaults: Mapping[str, Any] = mapping.get("defaults") or {}
        self._only: Mapping[str, Any] = mapping.get("only") or {}
        self._decimal = mapping.get("decimal")
        self._nulls = frozenset(word.strip().casefold() for word in mapping.get("nulls") or ())
        words = mapping.get("words") or {}
        self._words = {
            kind: {word.casefold(): meaning for word, meaning in (words.get(kind) or {}).items()}
            for kind in ("availability", "operation")
        }
        self._day = date.fromisoformat(day) if day else None
        self._named: tuple[Any, dict[str, str]] = (None, {})  # of the row before: its id, its keys

    def read(self, block: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
        """The rows of a block (columns: ROWS), its rejects, and how many rows do not count.

        Args:
            block: Rows of raw_catalog.records.
        """
        received, broken, left_out = _Block([], [], []), [], 0
        for file, number, record, error in block["file", "row", "record", "error"].iter_rows():
            value: Any = None
            if error is None:
                try:
                    value = parse_json(record)
                except (ValueError, RecursionError) as problem:
                    error = f"not JSON: {problem}"
                else:
                    error = None if isinstance(value, dict) else "not a JSON object"
            if error is not None:
                shown = excerpt(record, schema.MAX_EXCERPT)
                broken.append((file, number, None, "record", error, shown))
            elif not self._counts(value):
                left_out += 1
            else:
                received.records.append(value)
                received.files.append(file)
                received.numbers.append(number)
        rows = self._rows(received)
        rejects = [*broken, *self._rejects(received)]
        return rows, pl.DataFrame(rejects, schema=REJECTS, orient="row"), left_out

    def _counts(self, record: Mapping[str, Any]) -> bool:
        for column, wanted in self._only.items():
            value = at(record, column)
            text = "" if value is None else str(value).strip()
            if text not in wanted and not ("" in wanted and is_nothing(text, self._nulls)):
                return False
        return True

    def _rows(self, block: _Block) -> pl.DataFrame:
        nulls = self._nulls
        raw = self._values(block, "id")
        block.ids = ids = block.read(raw, lambda v: read_id(v, nulls))
        operation = block.read(self._values(block, "operation"), self._operation)
        deleted = [place for place, name in enumerate(operation) if name == "delete"]
        texts = {
            name: block.read(
                self._values(block, name),
                functools.partial(self._text, name, schema.MAX_TITLE if limit is None else limit),
            )
            for name, limit in (("title", None), ("description", schema.MAX_DESCRIPTION))
        }
        sellers = block.read(
            self._values(block, "seller"),
            lambda v: self._text("seller", schema.MAX_TITLE, v) or self._defaults.get("seller"),
        )
        parents = block.read(self._values(block, "parent"), self._parent)
        parent_keys = block.read(self._values(block, "parent_key"), self._parent)
        prices, currencies = self._prices(block)
        urls = block.read(self._values(block, "url"), lambda v: read_url(v, nulls))
        available = block.read(self._values(block, "availability"), self._availability)
        status = block.read(self._values(block, "status"), self._status)
        attributes, images = self._pairs(block), self._images(block)
        for place in deleted:
            block.forget(place)
        kept = [place for place in range(len(ids)) if place not in block.refused]
        table = {
            "product_id": ids,
            "parent": parents,
            "parent_key": parent_keys,
            "operation": operation,
            **texts,
            "price": [p and p.amount for p in prices],
            "mark": [(p and p.evidence) or None for p in prices],
            "grouped": [p.grouped if p and p.amount is None else None for p in prices],
            "ambiguous": [
                f"{p.mark}{p.fraction}" if p and p.amount is None else None for p in prices
            ],
            "currency": currencies,
            "seller": sellers,
            # an unknown word is none that says that it can be bought
            "availability": ["out_of_stock" if a is None else a for a in available],
            "status": ["out_of_stock" if s is None else s for s in status],
            "url": urls,
            "attributes": attributes,
            "images": images,
            "file": block.files,
            "row": block.numbers,
            "number": [type(value) is not str for value in raw],
        }
        frame = pl.DataFrame(
            {name: pl.Series(name, column, dtype=ROWS[name]) for name, column in table.items()}
        )
        frame = frame[kept] if len(kept) < frame.height else frame
        return frame if not deleted else _without_content(frame)

    def _values(self, block: _Block, name: str) -> list[Any]:
        """The values of a field: of the first of its columns that is there and not blank."""
        columns = [c["column"] for c in self._of_day(self._columns.get(name) or ())]
        if not columns:
            return [None] * len(block.records)
        first = columns[0]
        values = [record.get(first) for record in block.records]
        if not _IDENTIFIER.fullmatch(first):
            values = [at(record, first) for record in block.records]
        for column in columns[1:]:
            for place, value in enumerate(values):
                if self._is_nothing(value) or value == []:
                    values[place] = at(block.records[place], column)
        return values

    def _of_day(self, columns: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [
            column
            for column in columns
            if self._day is None
            or (
                (not column.get("since") or column["since"] <= self._day)
                and (not column.get("until") or self._day <= column["until"])
            )
        ]

    def _text(self, name: str, limit: int, value: Any) -> Any:
        return read_text(name, limit, value, self._nulls)

    def _parent(self, value: Any) -> Any:
        text = read_text("parent", schema.MAX_ID + 1, value, self._nulls)
        if isinstance(text, str):
            text = text.removeprefix("id:").strip()
            if len(text) > schema.MAX_ID:
                return Problem("parent", f"not 1 to {schema.MAX_ID} characters", value, fatal=True)
        return text or None

    def _operation(self, value: Any) -> Any:
        text = value.strip() if isinstance(value, str) else value
        if text is None or (text != "-" and isinstance(text, str) and self._is_nothing(text)):
            return "upsert"
        found = None
        if not isinstance(text, list | dict):
            found = read_operation(text, self._words["operation"])
        return found or Problem("operation", "unknown operation", value, fatal=True)

    def _is_nothing(self, value: Any) -> bool:
        return value is None or (isinstance(value, str) and is_nothing(value, self._nulls))

    def _availability(self, value: Any) -> Any:
        if self._is_nothing(value):
            return "unknown"
        if isinstance(value, list | dict):
            return Problem("availability", "wrong type: a word or number expected", value, True)
        return read_availability(value, self._words["availability"]) or Problem(
            "availability",
            "unknown word: not sold until `words.availability` of catalog.yaml says what it means",
            value,
        )

    def _status(self, value: Any) -> Any:
        found = self._availability(value)
        return found._replace(field="status") if type(found) is Problem else found

    def _prices(self, block: _Block) -> tuple[list[Price | None], list[Any]]:
        """Prices and their currencies: without a price there is none."""
        received = self._values(block, "price")
        named = self._values(block, "currency")
        for place, value in enumerate(received):
            if isinstance(value, dict | list):
                received[place], code = _of_object(value)
                if named[place] is None:
                    named[place] = code
        prices = block.read(received, self._price)
        codes = block.read(named, self._code)
        default = self._defaults.get("currency")
        currencies: list[Any] = []
        for place, (price, code) in enumerate(zip(prices, codes, strict=True)):
            meant = price.currencies if price else ()
            if price is None:
                currencies.append(None)
            elif not meant:
                currencies.append(code or default)
            elif code or len(meant) > 1:
                found = code or default
                if found and found not in meant:
                    reason = f"the price says {'/'.join(meant[:3])}, its currency is {found}"
                    block.note(place, Problem("currency", reason, received[place], fatal=True))
                currencies.append(found)
            else:
                currencies.append(meant[0])
        return prices, currencies

    def _price(self, value: Any) -> Any:
        if self._is_nothing(value):
            return None
        if isinstance(value, float) and value != value:
            return None
        try:
            return read_price(value, self._decimal)
        except BadPrice as error:
            return Problem("price", str(error), value, fatal=True)

    def _code(self, value: Any) -> Any:
        if self._is_nothing(value):
            return None
        text = value.strip() if isinstance(value, str) else ""
        if _CODE.fullmatch(text.upper()):
            return text.upper()
        try:
            meant = read_price(f"{text}1").currencies
        except BadPrice:
            meant = ()
        if len(meant) == 1:  # a sign that is of one currency
            return meant[0]
        return Problem("currency", "not a code of three letters (ISO 4217)", value, fatal=True)

    def _images(self, block: _Block) -> list[list[str]]:
        found: list[dict[str, None]] = [{} for _ in block.records]
        for column in self._of_day(self._columns.get("images") or ()):
            split = column.get("split")
            values = [at(record, column["column"]) for record in block.records]
            read = block.read(values, lambda v, split=split: read_images(v, split, self._nulls))
            for place, parts in enumerate(read):
                for part in parts:
                    if type(part) is Problem:
                        block.note(place, part)
                    else:
                        found[place][part] = None
        for place, references in enumerate(found):
            if len(references) > schema.MAX_IMAGES:
                extra = list(references)[schema.MAX_IMAGES]
                reason = f"more than {schema.MAX_IMAGES} images"
                block.note(place, Problem("images", reason, extra))
        return [list(references)[: schema.MAX_IMAGES] for references in found]

    def _pairs(self, block: _Block) -> pl.Series:
        """The attributes of each row, as lists of {key, value}."""
        by_row: list[dict[tuple[str, str], None]] = [{} for _ in block.records]
        for key, columns in self._attributes.items():
            for column in self._of_day(columns):
                if key == "*":
                    self._keyed(block, column, by_row)
                    continue
                read = functools.partial(self._attribute, key, column)
                values = [at(record, column["column"]) for record in block.records]
                for place, parts in enumerate(block.read(values, read)):
                    for part in parts:
                        if type(part) is Problem:
                            block.note(place, part)
                        else:
                            by_row[place][key, part] = None
        keys: list[str] = []
        values = []
        ends = [0]
        for place, pairs in enumerate(by_row):
            if len(pairs) > schema.MAX_ATTRIBUTES:
                extra_key, extra = list(pairs)[schema.MAX_ATTRIBUTES]
                reason = f"more than {schema.MAX_ATTRIBUTES} attributes"
                block.note(place, Problem(f"attributes.{extra_key}", reason, extra))
                pairs = dict.fromkeys(list(pairs)[: schema.MAX_ATTRIBUTES])
            for key, value in pairs:
                keys.append(key)
                values.append(value)
            ends.append(len(keys))
        structs = pa.StructArray.from_arrays(
            [pa.array(keys, pa.string()), pa.array(values, pa.string())], fields=list(_PAIRS)
        )
        lists = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), structs)
        return pl.Series("attributes", pl.from_arrow(lists), dtype=ROWS["attributes"])

    def _attribute(self, key: str, column: Mapping[str, Any], value: Any) -> tuple[Any, ...]:
        renamed = column.get("values") or {}
        return read_attribute(key, value, column.get("split"), renamed, self._nulls)

    def _keyed(
        self, block: _Block, column: Mapping[str, Any], by_row: list[dict[tuple[str, str], None]]
    ) -> None:
        """Attributes whose keys stand in the row."""
        renamed = column.get("keys") or {}
        for place, record in enumerate(block.records):
            found = self._members(column, record, block.ids[place])
            if isinstance(found, Problem):
                block.note(place, found)
                continue
            for name, value in found.items():
                key = clean_key(name)
                key = renamed.get(key, renamed.get(key.lower(), key.lower()))
                if not key and clean_key(name):
                    continue  # left out
                for part in self._attribute(key, column, value):
                    if type(part) is Problem:
                        block.note(place, part)
                    elif len(by_row[place]) <= schema.MAX_ATTRIBUTES:
                        by_row[place][key, part] = None

    def _members(self, column: Mapping[str, Any], record: dict[str, Any], owner: Any) -> Any:
        names = column.get("names")
        if names is None:
            return members(at(record, column["column"]), self._nulls)
        found: dict[str, Any] = {}
        said: dict[str, str] = {}
        numbers = range(1, schema.MAX_ATTRIBUTES + 1) if "{n}" in names else [0]
        for n in numbers:
            name_column = names.replace("{n}", str(n))
            if n and name_column not in record:
                break
            name = at(record, name_column)
            if not isinstance(name, str) or is_nothing(name, self._nulls):
                # Shopify names an option in the first row of a product only
                name = self._named[1].get(name_column) if self._named[0] == owner else None
            if name:
                said[name_column] = name
                value = at(record, column["column"].replace("{n}", str(n)))
                found.setdefault(name, []).extend(several(value, None))
        self._named = (owner, {**(self._named[1] if self._named[0] == owner else {}), **said})
        return found

    def _rejects(self, block: _Block) -> Iterable[tuple]:
        for place, problems in sorted(block.notes.items()):
            product_id = block.ids[place] if block.ids else None
            told = problems
            if place in block.refused:  # the first reason is the row's
                told = [problem for problem in problems if problem.fatal][:1]
            for problem in told[:MAX_NOTES]:
                shown = block.records[place] if problem.field == "id" else problem.value
                yield (
                    *(block.files[place], block.numbers[place], product_id),
                    *(problem.field, problem.reason, excerpt(shown, schema.MAX_EXCERPT)),
                )


def _without_content(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows whose deletions say nothing but the id."""
    blank = {
        **dict.fromkeys(("title", "description"), pl.lit("")),
        **{name: pl.lit([], ROWS[name]) for name in ("attributes", "images")},
        "availability": pl.lit("unknown"),
    }
    nothing = (
        "price",
        "mark",
        "grouped",
        "ambiguous",
        "currency",
        "seller",
        "url",
        "parent",
        "status",
    )
    return frame.with_columns(
        pl.when(pl.col("operation") == "delete").then(value).otherwise(name).alias(name)
        for name, value in {**blank, **dict.fromkeys(nothing, pl.lit(None))}.items()
    )


def clean_key(name: Any) -> str:
    """The key of an attribute as received, cleaned."""
    return clean(str(name), schema.MAX_ATTRIBUTE + 1)


_AMOUNTS = ("amount", "value", "price", "current", "centAmount", "min")
_CODES = ("currency", "currencyCode", "currency_code", "priceCurrency", "unit")


def _of_object(value: Any) -> tuple[Any, Any]:
    """Amount and currency of a price that is an object (schema.org, commercetools, Shopify)."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return value, None
    code = next((value[name] for name in _CODES if isinstance(value.get(name), str)), None)
    for name in _AMOUNTS:
        if name in value and not isinstance(value[name], dict | list):
            if name == "centAmount":
                digits = value.get("fractionDigits", 2)
                try:
                    return value[name] / 10**digits, code
                except (TypeError, OverflowError, ZeroDivisionError):
                    return value, code
            return value[name], code
    return value, code
