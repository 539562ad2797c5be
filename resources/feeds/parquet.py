"""Reads Parquet of any writer: DuckDB turns its types into those of JSON.

Numbers come out as people wrote them: a float32 as the shortest decimal that gives it, an unsigned
integer of 64 bits as text, a number that a Hugging Face data set has a name for (ClassLabel) as the
name. Text columns without an annotation (Hive, Impala, old Spark) are text where most of a sample
is UTF-8; 16 fixed bytes that are no text are a UUID. Other bytes stay in the file, and the row says
where: `{"$bytes": "image.bytes:17"}` (column, row from 0).
"""

import json
import threading
from collections.abc import Iterator
from typing import Any

import polars as pl

from resources.feeds.rows import EXCERPT_CHARACTERS, MAX_RECORD_BYTES, FeedError, Opened

BYTES = "$bytes"
CELL = "bytes:"  # before the column and row of a cell, where an image is named
_BATCH = 8192  # rows
_SAMPLE = 100  # rows that say whether bytes are text
_GROUPS = 2


def open_parquet(filesystem: Any, path: str, name: str) -> Opened:
    """The rows of a Parquet file.

    Raises:
        FeedError: it is no Parquet file, or two of its columns have one name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with filesystem.open(path, "rb") as stream, pq.ParquetFile(stream) as parquet:
            schema = parquet.schema_arrow
            sample = next(parquet.iter_batches(_SAMPLE), pa.RecordBatch.from_pylist([], schema))
            columns = schema.names
            folded = [column.casefold() for column in columns]  # as DuckDB compares them
            twice = [c for c in columns if folded.count(c.casefold()) > 1]
            if twice:
                raise FeedError(f"{name}: columns named twice: {', '.join(map(repr, twice))}")
            labels = _labels(schema.metadata or {})
            texts = [
                _expression(field.type, _quoted(field.name), field.name, sample.column(i), labels)
                for i, field in enumerate(schema)
            ]
    except (pa.ArrowException, OSError) as error:
        raise FeedError(f"{name}: cannot be read: {error}") from None
    members = ", ".join(f"{_quoted(c)} := {text}" for c, text in zip(columns, texts, strict=True))
    return Opened(_blocks(filesystem, path, name, members), columns, "parquet")


def _blocks(filesystem: Any, path: str, name: str, members: str) -> Iterator[pl.DataFrame]:
    import duckdb

    with duckdb.connect(config={"threads": 1}) as connection:
        location = path
        if "file" not in filesystem.protocol:
            connection.register_filesystem(filesystem)
            location = filesystem.unstrip_protocol(path)
        source = location.replace("'", "''")
        # a pattern in a name is none: square brackets are escaped by themselves
        source = "".join(f"[{c}]" if c in "*?[" else c for c in source)
        # only where it is asked for: a file may have a column of this name
        numbered = ", file_row_number = true" if BYTES in members else ""
        query = (
            f"SELECT CAST(to_json(struct_pack({members})) AS VARCHAR) AS record "
            f"FROM read_parquet('{source}'{numbered})"
        )
        number = 0
        try:
            for batch in connection.sql(query).to_arrow_reader(_BATCH):
                records = pl.Series(pl.from_arrow(batch.column(0)), dtype=pl.String)
                yield _block(records, number)
                number += records.len()
        except duckdb.Error as error:
            raise FeedError(f"{name}: cannot be read after row {number}: {error}") from None


def _block(records: pl.Series, before: int) -> pl.DataFrame:
    size = pl.col("record").str.len_bytes().cast(pl.Int64)
    large = size > MAX_RECORD_BYTES
    start = pl.col("record").str.head(EXCERPT_CHARACTERS)
    reason = pl.format("larger than {} bytes: {} bytes", pl.lit(MAX_RECORD_BYTES), size)
    return pl.DataFrame({"record": records}).select(
        pl.int_range(before + 1, before + records.len() + 1, dtype=pl.Int64).alias("row"),
        pl.when(large).then(start).otherwise("record").alias("record"),
        size.alias("size"),
        pl.when(large).then(reason).alias("error"),
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _labels(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Column or place in it -> what its numbers mean, as Hugging Face keeps it (ClassLabel)."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    found: dict[str, list[str]] = {}
    waiting: list[tuple[str, Any]] = [("", features)]
    while waiting:
        place, feature = waiting.pop()
        if isinstance(feature, list) and feature:
            waiting.append((place, feature[0]))
        elif isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            names = feature.get("names")
            if isinstance(names, list) and all(isinstance(name, str) for name in names):
                found[place] = names
        elif isinstance(feature, dict) and isinstance(feature.get("_type"), str):
            waiting.append((place, feature.get("feature")))
        elif isinstance(feature, dict):
            inner = ((f"{place}.{name}" if place else name, f) for name, f in feature.items())
            waiting += inner
    return found


def _expression(
    kind: Any, sql: str, place: str, sample: Any, labels: dict[str, list[str]], depth: int = 0
) -> str:
    """SQL for a column, or for a part of one, as JSON has it."""
    import pyarrow.types as t

    if t.is_dictionary(kind):
        kind, sample = kind.value_type, sample.cast(kind.value_type)
    inner = f"x{depth}"
    if place in labels and t.is_integer(kind):
        names = ", ".join("'" + name.replace("'", "''") + "'" for name in labels[place])
        return f"CASE WHEN {sql} >= 0 THEN list_extract([{names}], CAST({sql} AS BIGINT) + 1) END"
    match kind:
        case _ if t.is_float32(kind) or t.is_float16(kind):
            return f"CASE WHEN isfinite({sql}) THEN CAST(CAST({sql} AS VARCHAR) AS DOUBLE) END"
        case _ if t.is_float64(kind):
            return f"CASE WHEN isfinite({sql}) THEN {sql} END"
        case _ if t.is_uint64(kind):
            return f"CAST({sql} AS VARCHAR)"
        case _ if t.is_temporal(kind):
            return _time(kind, sql)
        case _ if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
            return _bytes(kind, sql, place, sample, depth)
        case _ if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
            part = _expression(kind.value_type, inner, place, sample.flatten(), labels, depth + 1)
            return sql if part == inner else f"list_transform({sql}, lambda {inner}: {part})"
        case _ if t.is_map(kind):
            part = _expression(
                kind.item_type, f"{inner}.value", place, sample.items, labels, depth + 1
            )
            return (
                f"CASE WHEN {sql} IS NOT NULL THEN map_from_entries(list_transform("
                f"map_entries({sql}), lambda {inner}: {{'k': {inner}.key, 'v': {part}}})) END"
            )
        case _ if t.is_struct(kind) and kind.num_fields:
            parts = ", ".join(
                f"{_quoted(f.name)} := "
                + _expression(
                    *(f.type, f"struct_extract({sql}, '{f.name.replace(chr(39), chr(39) * 2)}')"),
                    *(f"{place}.{f.name}", sample.field(i), labels, depth),
                )
                for i, f in enumerate(kind)
            )
            return f"CASE WHEN {sql} IS NOT NULL THEN struct_pack({parts}) END"
        case _:
            return sql


def _time(kind: Any, sql: str) -> str:
    import pyarrow.types as t

    if t.is_timestamp(kind):
        zone = "Z" if kind.tz else ""
        text = f"CAST({sql} AS TIMESTAMP)" if kind.tz else sql
        at_utc = f"{sql} AT TIME ZONE 'UTC'" if kind.tz else text
        return f"replace(CAST({at_utc} AS VARCHAR), ' ', 'T') || '{zone}'"
    return f"CAST({sql} AS VARCHAR)"


def _bytes(kind: Any, sql: str, place: str, sample: Any, depth: int) -> str:
    import pyarrow.types as t

    seen = [value for value in sample.to_pylist() if value is not None]
    reference = f"'{place.replace(chr(39), chr(39) * 2)}:' || file_row_number"
    reference = f"{{'{BYTES}': {reference}}}"
    if sum(map(_is_text, seen)) >= 0.8 * len(seen):  # single rows may be broken
        text = f"try(decode({sql}))"
        broken = f"{sql} IS NOT NULL AND {text} IS NULL"
        return (
            text
            if depth
            else f"CASE WHEN {broken} THEN to_json({reference}) ELSE to_json({text}) END"
        )
    if t.is_fixed_size_binary(kind) and kind.byte_width == 16:
        hexes = f"lower(hex({sql}))"
        parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        return " || '-' || ".join(f"substr({hexes}, {start}, {count})" for start, count in parts)
    if depth:  # within a list: which of its members is not said, so it stays out
        return "NULL"
    return f"CASE WHEN {sql} IS NOT NULL THEN {reference} END"


def _is_text(value: bytes) -> bool:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return "\0" not in text


class ParquetBytes:
    """The bytes of single cells of Parquet files, read a row group at a time; safe for threads.

    The last `_GROUPS` row groups are held: a row may have images in two columns.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[tuple[str, str], tuple[int, int, Any]] = {}  # -> first row, end, values

    def read(self, open_file: Any, file: str, reference: str) -> bytes | None:
        """The bytes at `column.member:row`, None where there are none.

        Args:
            open_file: Gives the open stream of the file.
            file: Its name, by which row groups are told apart.
            reference: What a row says under BYTES.

        Raises:
            OSError, ValueError: the file cannot be read, or has no such cell.
        """
        import pyarrow.parquet as pq

        place, _, number = reference.rpartition(":")
        with self._lock:
            row = int(number)
            first, end, values = self._groups.get((file, place), (0, 0, None))
            if not first <= row < end:
                self._groups.pop((file, place), None)
                if len(self._groups) >= _GROUPS:
                    del self._groups[next(iter(self._groups))]
                with open_file() as stream, pq.ParquetFile(stream) as parquet:
                    start = 0
                    for group in range(parquet.num_row_groups):
                        rows = parquet.metadata.row_group(group).num_rows
                        if start <= row < start + rows:
                            break
                        start += rows
                    else:
                        raise ValueError(f"no row {row}")
                    table = parquet.read_row_group(group, columns=[place])
                    column = table.column(0).combine_chunks()
                for member in place.split(".")[1:] if table.column_names != [place] else []:
                    column = column.field(member)
                first, values = start, column
                self._groups[file, place] = (start, start + rows, column)
            return values[row - first].as_py()
