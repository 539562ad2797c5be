"""The cells of a block of rows, a column at a time: texts as a series, what is no text beside it.

DuckDB takes the mapped columns out of the records; a path into nested values is followed in Python
(JMESPath). What is said of a value depends on nothing else, so each different value is read once,
and texts that are plainly clean (`PLAIN`) are not looked at one by one.
"""

import functools
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.text import excerpt
from pinlanding_assets.catalog.values import Problem
from pinlanding_assets.catalog.words import NULLS
from resources.feeds.rows import at, is_path, parse_json

MAX_NOTES = 20  # rejects of one row; a hostile row could cause thousands
# printable letters that NFKC leaves alone, and none that marks or entities begin with
_LETTERS = r"!-%'-;=-Z\]-~À-ÖØ-öø-ıĹ-ľŃ-ňŊ-žА-яЁё一-鿿ぁ-んァ-ヶー"
PLAIN = rf"^[{_LETTERS}]+( [{_LETTERS}]+)*$"
# a value that begins with no quote, or a text that looks like one
_NO_TEXT = r'"\s*:\s*[^"\s]'
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_NULL = max(map(len, NULLS))


@dataclass
class Column:
    """The values of a column.

    Attributes:
        texts: Those that are texts, null elsewhere.
        others: Row -> what is neither a text nor nothing: numbers, truth values, lists, objects.
    """

    texts: pl.Series
    others: dict[int, Any] = field(default_factory=dict)

    def values(self) -> list[Any]:
        """All of them, None where there is nothing."""
        found = self.texts.to_list()
        for place, value in self.others.items():
            found[place] = value
        return found

    def numbers(self) -> pl.Series:
        """Which values were numbers in their file."""
        return self._where(lambda value: isinstance(value, int | float))

    def _where(self, holds: Callable[[Any], bool]) -> pl.Series:
        places = [place for place, value in self.others.items() if holds(value)]
        return pl.select(pl.int_range(self.texts.len()).is_in(places)).to_series()


class Block:
    """The rows of a block that are objects, and what is wrong with them.

    Attributes:
        frame: file and row of each.
        notes: Row -> what is wrong with its values.
        refused: Rows that become no product.
    """

    def __init__(self, frame: pl.DataFrame, columns: Sequence[str]):
        self.frame = frame.select("file", "row")
        self.height = frame.height
        self.notes: dict[int, list[Problem]] = {}
        self.refused: set[int] = set()
        self._texts = frame["record"]
        self._columns = _extracted(self._texts, columns)

    @functools.cached_property
    def records(self) -> list[dict[str, Any]]:
        """The rows as objects: for what is not a plain column."""
        return [parse_json(text) for text in self._texts]

    def column(self, name: str) -> Column:
        """A column, or what is at a path where no column has that name."""
        found = self._columns.get(name)
        if found is None:
            return column_of([at(record, name) for record in self.records])
        return found

    def note(self, place: int, problem: Problem) -> None:
        """Keep what is wrong with a row; of a fatal problem, it becomes no product."""
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

    def read(
        self,
        column: Column,
        read: Callable[[Any], Any],
        dtype: pl.DataType | type[pl.DataType] = pl.String,
        plain: pl.Expr | None = None,
    ) -> pl.Series:
        """Each value read.

        Args:
            column: The values.
            read: Gives the result for a value, or a Problem, which is noted and leaves null.
            dtype: Of the results.
            plain: Texts (the column `text`) that are their own result.
        """
        texts = column.texts
        frame = pl.DataFrame({"text": texts})
        done = frame.select(plain.fill_null(False)).to_series() if plain is not None else None
        rest = texts if done is None else texts.set(done, None)
        nothing = read(None)
        if type(nothing) is Problem:
            for place in texts.is_null().arg_true():
                if place not in column.others:
                    self.note(place, nothing)
            nothing = None
        different = rest.drop_nulls().unique().to_list()
        results = {value: read(value) for value in different}
        bad = {value for value, result in results.items() if type(result) is Problem}
        good = {value: None if value in bad else result for value, result in results.items()}
        found = rest.replace_strict(
            pl.Series(list(good), dtype=pl.String),
            pl.Series(list(good.values()), dtype=dtype),
            default=nothing,
            return_dtype=dtype,
        )
        if done is not None:
            found = found.set(done, None).zip_with(~done, texts)
        if bad:
            for place, value in enumerate(rest):
                if value in bad:
                    self.note(place, results[value])
        if column.others:
            found = self._with_others(found, column.others, read, dtype)
        return found

    def _with_others(
        self, found: pl.Series, others: Mapping[int, Any], read: Callable[[Any], Any], dtype: Any
    ) -> pl.Series:
        memo: dict[Any, Any] = {}
        places, results = [], []
        for place, value in others.items():
            kind = type(value)
            if kind is dict or kind is list:
                result = read(value)
            else:
                key = (kind, value)  # 1 and True are equal
                if key not in memo:
                    memo[key] = read(value)
                result = memo[key]
            if type(result) is Problem:
                self.note(place, result)
                result = None
            places.append(place)
            results.append(result)
        order = np.arange(found.len())
        order[places] = found.len() + np.arange(len(places))
        return pl.concat([found, pl.Series(results, dtype=dtype)]).gather(order)

    def read_several(
        self, column: Column, read: Callable[[Any], tuple[Any, ...]], plain: pl.Expr | None = None
    ) -> pl.DataFrame:
        """The values (columns `place`, `value`) that `read` finds in each, in order; problems
        among them are noted. `plain`: texts that are the one value in them."""
        frame = pl.DataFrame({"text": column.texts}).with_row_index("place")
        here = frame.filter(pl.col("text").is_not_null())
        done = here.select(plain.fill_null(False)).to_series() if plain is not None else None
        alone = here.filter(done) if done is not None else here.clear()
        rest = here.filter(~done) if done is not None else here
        places, values = [], []
        if rest.height:
            results = {text: read(text) for text in rest["text"].unique().to_list()}
            for place, text in rest.iter_rows():
                for part in results[text]:
                    self._take(place, part, places, values)
        for place, value in column.others.items():
            for part in read(value):
                self._take(place, part, places, values)
        several = pl.DataFrame(
            {"place": places, "value": values}, schema={"place": pl.UInt32, "value": pl.String}
        )
        return pl.concat([alone.select("place", value="text"), several])

    def _take(self, place: int, part: Any, places: list[int], values: list[str]) -> None:
        if type(part) is Problem:
            self.note(place, part)
        else:
            places.append(place)
            values.append(part)

    def rejects(self, ids: Sequence[str | None]) -> list[tuple]:
        """What was not taken over, with the columns of catalog.rejects."""
        found = []
        for place, problems in sorted(self.notes.items()):
            told = problems
            if place in self.refused:  # the first reason is the row's
                told = [problem for problem in problems if problem.fatal][:1]
            for problem in told[:MAX_NOTES]:
                # of a row without an id, the row is what can be found again
                missing = problem.field == "id" and not str(problem.value or "").strip()
                shown = self.records[place] if missing else problem.value
                found.append(
                    (
                        *(*self.frame.row(place), ids[place], problem.field, problem.reason),
                        excerpt(shown, schema.MAX_EXCERPT),
                    )
                )
        return found


def column_of(values: Sequence[Any]) -> Column:
    """A column of any values; NaN is how data frames write a missing number."""
    texts = [value if type(value) is str else None for value in values]
    try:
        series = pl.Series(texts, dtype=pl.String)
    except UnicodeEncodeError:
        series = pl.Series([text and _SURROGATE.sub("\0", text) for text in texts], dtype=pl.String)
    others = {
        place: value
        for place, value in enumerate(values)
        if value is not None and type(value) is not str and value == value
    }
    return Column(series, others)


def _extracted(records: pl.Series, columns: Sequence[str]) -> dict[str, Column]:
    """The columns of JSON objects; left out is what may be a path in some row."""
    import duckdb

    named = [column for column in dict.fromkeys(columns) if not is_path(column)]
    if not named or not records.len():
        return {name: column_of([None] * records.len()) for name in named}
    # DuckDB's structures do not tell `Name` from `name`, its paths do
    once = len({name.casefold() for name in named}) == len(named)
    only_texts = once and not records.str.contains(_NO_TEXT).any()
    if only_texts:
        shape = json.dumps(dict.fromkeys(named, "VARCHAR")).replace("'", "''")
        query = f"SELECT from_json(record, '{shape}') AS v FROM block"
    else:
        paths = "[" + ", ".join(_json_path(name) for name in named) + "]"
        wanted = f"json_extract_string(record, {paths}) AS v, json_type(record, {paths}) AS t"
        query = f"SELECT {wanted} FROM block"
    connection = _connection()
    connection.register("block", pl.DataFrame({"record": records}).to_arrow())
    try:
        found = connection.sql(query).to_arrow_table()
    except duckdb.Error:  # a text that only Python takes for JSON (lone surrogates)
        clean = [_without_surrogates(text) for text in records]
        connection.register("block", pl.DataFrame({"record": clean}).to_arrow())
        found = connection.sql(query).to_arrow_table()
    finally:
        connection.unregister("block")
    frame = pl.DataFrame(pl.from_arrow(found))
    if only_texts:
        columns_of = frame["v"].struct.unnest()
        return {name: Column(columns_of.to_series(i)) for i, name in enumerate(named)}
    return {
        name: _column(frame["v"].list.get(i), frame["t"].list.get(i))
        for i, name in enumerate(named)
    }


_local = threading.local()


def _connection() -> Any:
    """DuckDB for this thread."""
    import duckdb

    if not hasattr(_local, "connection"):
        _local.connection = duckdb.connect(config={"threads": 1})
    return _local.connection


def _without_surrogates(record: str) -> str:
    """With a NUL for each: what is refused in an id or an address, and cleaned from a text."""
    return _SURROGATE.sub(r"\\u0000", json.dumps(parse_json(record), ensure_ascii=False))


def _json_path(name: str) -> str:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
    return f"'$.\"{quoted}\"'"


def _column(values: pl.Series, types: pl.Series) -> Column:
    """A column from the texts of its JSON values, and their types."""
    other = types.is_not_null() & ~types.is_in(["VARCHAR", "NULL"])
    if not other.any():
        return Column(values)
    places = other.arg_true().to_list()
    memo: dict[tuple[str, str], Any] = {}
    others = {}
    for place, text, kind in zip(places, values.filter(other), types.filter(other), strict=True):
        key = (kind, text)
        if key not in memo:
            memo[key] = _value(kind, text)
        if memo[key] is not None:
            others[place] = memo[key]
    return Column(values.set(other, None), others)


def _value(kind: str, text: str) -> Any:
    if kind in ("ARRAY", "OBJECT"):
        return parse_json(text)
    if kind == "BOOLEAN":
        return text == "true"
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return number if number == number else None  # NaN


def plainly(limit: int, nulls: frozenset[str]) -> pl.Expr:
    """Texts that are clean as they are, are no word for nothing, and keep to a length."""
    text = pl.col("text")
    return text.str.contains(PLAIN) & (text.str.len_chars() <= limit) & ~is_null_word(nulls)


def is_null_word(nulls: frozenset[str]) -> pl.Expr:
    """Which texts of letters of PLAIN are words for nothing; `nulls`: further ones, casefolded."""
    text = pl.col("text")
    longest = max(_LONGEST_NULL, *map(len, nulls), 0)
    start = text.str.head(longest + 1).str.to_lowercase()  # a whole text is seldom so short
    word = start.str.replace_all("ß", "ss").is_in([*NULLS, *nulls])  # casefolded
    return word | (text == "NA")
