"""Reads the rows of feed files (JSONL, CSV, Parquet) in bounded memory, whatever they hold."""

import csv
import json
import math
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import IO, Any, NamedTuple

import dagster as dg

MAX_RECORD_BYTES = 1 << 20  # 1 MiB: a product's row with a long description has a few KiB
EXCERPT_CHARACTERS = 200
_CHUNK = 1 << 16


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

    `record` is its JSON object as text, or the broken text that `error` is about; `size` its
    bytes as received (for Parquet, of its JSON text); `value` the object, None with an error.
    """

    row: int
    record: str
    size: int
    error: str | None
    value: dict[str, Any] | None


def file_format(path: str) -> str:
    """`jsonl`, `csv` or `parquet`, by the ending of the path (a further .gz is ignored).

    Raises:
        FeedError: the ending is none of these.
    """
    name = path.lower().removesuffix(".gz")
    for ending in ("jsonl", "csv", "parquet"):
        if name.endswith("." + ending):
            return ending
    raise FeedError(f"{path}: a feed ends in .jsonl, .csv or .parquet (.jsonl.gz, .csv.gz)")


class FeedReader:
    """The rows of one open feed file; `columns` holds its header once known (None for JSONL)."""

    def __init__(self, stream: IO[bytes], path: str):
        self.columns: list[str] | None = None
        self.rows: Iterator[Row]
        match file_format(path):
            case "jsonl":
                self.rows = _json_rows(stream)
            case "csv":
                self.rows = self._csv_rows(stream, path)
            case _:
                self.rows = self._parquet_rows(stream)

    def _csv_rows(self, stream: IO[bytes], path: str) -> Iterator[Row]:
        # A quoted field may hold line breaks: csv asks `lines` for as many as a record needs,
        # and what was wrong with these is noted on the side.
        sizes: list[int] = []
        starts: list[str] = []
        faults: list[str] = []

        def lines() -> Iterator[str]:
            for text, size, fault in bounded_lines(stream):
                sizes.append(size)
                starts.append(text[:EXCERPT_CHARACTERS])
                if fault:
                    faults.append(fault)
                yield text

        # One field may be as long as one record; the setting is the csv module's, process-wide.
        csv.field_size_limit(MAX_RECORD_BYTES)
        reader = csv.reader(lines(), strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            raise FeedError(f"{path}: its header cannot be read: {error}") from error
        if not header or faults:
            raise FeedError(f"{path}: has no readable header {'; '.join(faults)}".rstrip())
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise FeedError(f"{path}: columns named twice: {', '.join(twice)}")
        self.columns = header
        number = 0
        while True:
            sizes.clear()
            starts.clear()
            faults.clear()
            fields: list[str] = []
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                faults.append(f"not CSV: {error} (in {len(sizes)} lines)")
            if not fields and not faults:
                continue  # an empty line is no record
            number += 1
            if not faults and len(fields) != len(header):
                faults.append(f"not CSV: {len(fields)} fields under {len(header)} columns")
            size = sum(sizes)
            if not faults and size > MAX_RECORD_BYTES:
                faults.append(_oversize(size))
            if faults:
                excerpt = "".join(starts[:1]).rstrip("\r\n")
                yield Row(number, excerpt, size, faults[0], None)
            else:
                value = dict(zip(header, fields, strict=True))
                yield Row(number, _to_json(value), size, None, value)

    def _parquet_rows(self, stream: IO[bytes]) -> Iterator[Row]:
        from pyarrow.parquet import ParquetFile

        with ParquetFile(stream) as parquet:
            self.columns = parquet.schema_arrow.names
            number = 0
            for batch in parquet.iter_batches(batch_size=1024):
                for value in batch.to_pylist():
                    number += 1
                    text = _to_json(value)
                    size = len(text.encode("utf-8", "replace"))
                    if size > MAX_RECORD_BYTES:
                        yield Row(number, text[:EXCERPT_CHARACTERS], size, _oversize(size), None)
                    else:
                        yield Row(number, text, size, None, json.loads(text))


def _json_rows(stream: IO[bytes]) -> Iterator[Row]:
    for number, (line, size, fault) in enumerate(bounded_lines(stream), start=1):
        text = line.rstrip("\r\n")
        if fault:
            yield Row(number, text, size, fault, None)
        elif text.strip():
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                yield Row(number, text, size, f"not JSON: {error}", None)
                continue
            if isinstance(value, dict):
                yield Row(number, text, size, None, value)
            else:
                yield Row(number, text, size, "not a JSON object", None)


def _oversize(size: int) -> str:
    return f"larger than {MAX_RECORD_BYTES} bytes: {size} bytes"


def bounded_lines(stream: IO[bytes]) -> Iterator[tuple[str, int, str | None]]:
    """Yields (text, bytes, what is wrong with it) of each line; of an oversize one its start."""
    first = True
    while line := stream.readline(MAX_RECORD_BYTES + 1):
        size = len(line)
        if size <= MAX_RECORD_BYTES or line.endswith(b"\n"):
            try:
                yield line.decode("utf-8-sig" if first else "utf-8"), size, None
            except UnicodeDecodeError as error:
                yield line.decode("utf-8", "replace"), size, f"not UTF-8 at byte {error.start}"
        else:
            quotes = line.count(b'"')
            start = line[:EXCERPT_CHARACTERS].decode("utf-8", "replace")
            while not line.endswith(b"\n") and (line := stream.readline(_CHUNK)):
                size += len(line)
                quotes += line.count(b'"')
            # Keeps a quoted CSV field as open or closed as it was, so that the next record is read
            # where it begins.
            closing = '"' if (quotes - start.count('"')) % 2 else ""
            yield start + closing + "\n", size, _oversize(size)
        first = False


def _to_json(value: dict[str, Any]) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Parquet's types as JSON has them. NaN is how data frames write a missing number."""
    match value:
        case dict():
            return {str(key): _plain(member) for key, member in value.items()}
        case list():
            return [_plain(member) for member in value]
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case bytes():
            return f"({len(value)} bytes)"
        case _:
            return str(value)
