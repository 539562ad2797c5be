"""A feed file as rows: what every reader hands on, and the bounds that hold for all of them."""

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import dagster as dg
import orjson
import polars as pl

MAX_RECORD_BYTES = 1 << 20  # 1 MiB: a product's row with a long description has a few KiB
EXCERPT_CHARACTERS = 200
MAX_DEPTH = 60  # of lists and objects in a record
_LONG_INTEGER = re.compile(r"[0-9]{19}")
_PLAIN_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_IDENTIFIER = re.compile(r"\w+")
_NOT_JSON = (ValueError, RecursionError)


class FeedError(dg.Failure):
    """A feed file that is missing or cannot be read; the message names it, and what to do."""

    def __init__(self, description: str) -> None:
        remedy = (
            "What to do: have the file sent again, or mend the setting that names it. The sensor "
            "of late feeds makes the day when its file has changed; or materialize it."
        )
        super().__init__(f"{description}\n{remedy}", allow_retries=False)


class Row(NamedTuple):
    """One row of a feed.

    `row` counts from 1, the header left out. `record` is its JSON object as text, or the start of
    the broken text that `error` is about; `size` its bytes as received (of Parquet, Excel and XML:
    of its JSON text).
    """

    row: int
    record: str
    size: int
    error: str | None

    @property
    def value(self) -> dict[str, Any] | None:
        """The object; None with an error."""
        return None if self.error else parse_json(self.record)


BLOCK = {"row": pl.Int64, "record": pl.String, "size": pl.Int64, "error": pl.String}
_BLOCK_BYTES = 8 << 20  # rows are held as Python objects for this long, then as a frame


@dataclass
class Opened:
    """A feed file that is being read.

    Attributes:
        blocks: Its rows in frames with the columns BLOCK, read once.
        columns: The names of its columns; None where only the rows have names (JSON, XML).
        read_as: How it is read, for people: `csv, separator ';', cp1252`.
    """

    blocks: Iterator[pl.DataFrame]
    columns: list[str] | None
    read_as: str

    @property
    def rows(self) -> Iterator[Row]:
        """Its rows one by one, instead of in blocks."""
        return (Row(*row) for block in self.blocks for row in block.iter_rows())


def in_blocks(rows: Iterable[Row]) -> Iterator[pl.DataFrame]:
    """Rows as frames with the columns BLOCK."""
    held: list[Row] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row.record)
        if size > _BLOCK_BYTES:
            yield block_of(held)
            held, size = [], 0
    if held:
        yield block_of(held)


def block_of(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows as a frame with the columns BLOCK."""
    columns = zip(*rows, strict=True) if rows else [[] for _ in BLOCK]
    return pl.DataFrame(dict(zip(BLOCK, columns, strict=True)), schema=BLOCK)


def parse_json(text: str) -> Any:
    """A JSON text. Also takes what Python's own writer writes (NaN, integers of any size).

    Raises:
        ValueError, RecursionError: it is no JSON.
    """
    # orjson reads an integer of more than 64 bits as a float, without a word
    if not _LONG_INTEGER.search(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    return json.loads(text)


def to_json(value: Any) -> str:
    """A value of JSON's types as JSON text."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # integers of more than 64 bits, lone surrogates
        return json.dumps(value, separators=(",", ":"))


def row_of(number: int, value: Any) -> Row:
    """The row of a value that was no text: from Parquet, Excel, XML or a JSON document. Of a list
    of texts, each is a row with a `line`."""
    value = {"line": value} if isinstance(value, str) else value
    text = to_json(value)
    size = len(text) if text.isascii() else len(text.encode())
    if size > MAX_RECORD_BYTES:
        return Row(number, text[:EXCERPT_CHARACTERS], size, oversize(size))
    return Row(number, text, size, _fault(value, text))


def _fault(value: Any, text: str) -> str | None:
    """What is wrong with a record."""
    if not isinstance(value, dict):
        return "not a JSON object"
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return None
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        parts = [one.values() if isinstance(one, dict) else one for one in level]
        level = [part for one in parts for part in one if isinstance(part, dict | list)]
    return f"nested more than {MAX_DEPTH} deep" if level else None


def row_of_text(number: int, text: str, size: int) -> Row:
    """The row of a JSON text as received, which is kept as it is, unless it names a key twice: the
    last counts, as to most parsers."""
    try:
        value = parse_json(text)
    except _NOT_JSON as error:
        return Row(number, text, size, f"not JSON: {error}")
    if fault := _fault(value, text):
        return Row(number, text, size, fault)
    once = to_json(value)  # has fewer quotes if a key stood twice
    return Row(number, text if once.count('"') == text.count('"') else once, size, None)


def oversize(size: int) -> str:
    """The error of a record of so many bytes."""
    return f"larger than {MAX_RECORD_BYTES} bytes: {size} bytes"


def at(record: Mapping[str, Any], column: str) -> Any:
    """The value of a column, or at a path (JMESPath), of a record; None where there is none."""
    if column in record:
        return record[column]
    if _IDENTIFIER.fullmatch(column):
        return None
    if _PLAIN_PATH.fullmatch(column):
        value: Any = record
        for part in column.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value
    expression = _compiled(column)
    try:
        return expression.search(record) if expression else None
    except Exception:  # of types that the path does not fit: such a row has no value there
        return None


@functools.lru_cache(512)
def _compiled(column: str) -> Any:
    """The path that a text is; None where it is the name of a column and nothing else."""
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.compile(column)
    except JMESPathError:
        return None


def roots(column: str) -> set[str]:
    """The columns that a path (`price.amount`, `sale && price`) begins with."""
    expression = _compiled(column)
    return _roots(expression.parsed) if expression else set()


def _roots(node: Mapping[str, Any]) -> set[str]:
    inner = node["children"] if isinstance(node.get("children"), list) else []
    match node["type"]:
        case "field":
            return {node["value"]}
        # what is behind these is within what is before them
        case "subexpression" | "index_expression" | "projection" | "value_projection":
            return _roots(inner[0])
        case "filter_projection" | "flatten" | "pipe":
            return _roots(inner[0])
        case _:
            return set().union(*(_roots(child) for child in inner if isinstance(child, dict)))


def is_path(column: str) -> bool:
    """Whether a column may be a path, where no column has that name."""
    return not _IDENTIFIER.fullmatch(column) and (
        _PLAIN_PATH.fullmatch(column) is not None or _compiled(column) is not None
    )
