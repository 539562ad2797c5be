"""The lake: Parquet tables, images and small files under one URI, committed by manifests.

A partition is a folder `asset/date=YYYY-MM-DD/` (an unpartitioned asset: `asset/`) holding one
Parquet file a table and a `manifest.json`. Files carry their content hash in their name and are
written first; the manifest is written last and is the commit. Readers go through the manifest, so
a killed writer leaves either the old partition or the new one, and bytes depend on content alone:
no clock, host or run id enters the lake. Nothing is renamed, so the same holds in a bucket: there
the manifest is put on the condition that it is still the one that was found (`object_store.py`).
"""

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

import dagster as dg
import polars as pl

from resources.object_store import Store, open_store

Answer = TypeVar("Answer")

MANIFEST = "manifest.json"
_WRITTEN: Any = {"compression": "zstd", "compression_level": 1, "statistics": True}
PART_ROWS = 1 << 17  # of `read_in_parts`
GROUP_ROWS = 1 << 15  # of a table that is written in parts
KEEP_SUPERSEDED_SECONDS = 86_400.0  # in a bucket: longer than any reader or writer takes


class MissingPartition(dg.Failure):
    """What was to be read has not been materialized; the message says what to materialize."""


@dataclass(frozen=True)
class Table:
    """One table of a manifest: file name, number of rows, sha256 of the file, column types."""

    file: str
    rows: int
    bytes: int
    sha256: str
    columns: dict[str, str]


@dataclass(frozen=True)
class Manifest:
    """What a partition holds. `versions` says which code and models made it."""

    asset: str
    partition: str | None
    tables: dict[str, Table]
    versions: dict[str, str]

    @property
    def data_version(self) -> str:
        """Hash of the content alone: an identical rebuild leaves everything downstream fresh."""
        text = json.dumps({name: t.sha256 for name, t in sorted(self.tables.items())})
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def to_json(self) -> bytes:
        body = {
            "asset": self.asset,
            "partition": self.partition,
            "tables": {name: vars(table) for name, table in sorted(self.tables.items())},
            "versions": dict(sorted(self.versions.items())),
        }
        return (json.dumps(body, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        body = json.loads(data)
        tables = {name: Table(**table) for name, table in body.pop("tables").items()}
        return cls(tables=tables, **body)


class CommitConflict(dg.Failure):
    """Another writer committed the same partition while this one was writing; its rows stand."""


class Lake(dg.ConfigurableResource):
    """Tables and images under `root`: a local folder, or a bucket (`s3://bucket/lake`).

    A table that a commit superseded is removed with it in a folder, where writers exclude each
    other. In a bucket it stays for a day, for whoever is still reading it, and goes with a later
    commit of its partition.
    """

    root: str

    @cached_property
    def _store(self) -> Store:
        return open_store(self.root)

    def _folder(self, asset: str, partition: str | None) -> str:
        if not partition:
            return asset
        kind = "date" if partition[:4].isdigit() else "partition"
        return f"{asset}/{kind}={partition}"

    def _put(self, path: str, data: bytes, *, over: str | None = None) -> bool:
        """Write a file whole or not at all. A manifest only `over` the tag that it replaces, or
        ("") where there is none; whether it was written."""
        if over is None:
            self._store.put(path, data)
            return True
        return self._store.replace(path, data, over) if over else self._store.create(path, data)

    def commit(
        self,
        asset: str,
        tables: Mapping[str, pl.DataFrame | Iterable[pl.DataFrame]],
        *,
        partition: str | None = None,
        versions: Mapping[str, str] | None = None,
        made_from: Manifest | Literal["any"] | None = "any",
    ) -> Manifest:
        """Replace a partition (or a whole unpartitioned asset) by these tables.

        Args:
            asset: Its name.
            tables: Name to rows; as parts of at least one, they are never in memory together.
            partition: Day, or name of a partition.
            versions: Which code and models made the tables.
            made_from: The manifest of this very partition that the rows continue (None: there was
                none); where they do not depend on it, any.

        Raises:
            CommitConflict: the partition was committed by somebody else since `made_from` was
                read, or during this call. What they committed stays.
        """
        folder, written = self._folder(asset, partition), {}
        with self._store.exclusive(folder):
            before, tag = self._current(f"{folder}/{MANIFEST}")
            if made_from != "any" and before != (made_from.to_json() if made_from else b""):
                raise _conflict(asset, partition)
            for name, frame in tables.items():
                whole = isinstance(frame, pl.DataFrame)
                data, rows, schema = _parquet_of(frame) if whole else _parquet_in_parts(frame)
                digest = hashlib.sha256(data).hexdigest()
                columns = {column: str(dtype) for column, dtype in schema.items()}
                file = f"{name}-{digest[:16]}.parquet"
                self._put(f"{folder}/{file}", data)
                written[name] = Table(file, rows, len(data), digest, columns)
            manifest = Manifest(asset, partition, written, dict(versions or {}))
            body, path = manifest.to_json(), f"{folder}/{MANIFEST}"
            # a put that was sent again after a lost answer finds its own manifest: no conflict
            if not self._put(path, body, over=tag) and self._current(path)[0] != body:
                raise _conflict(asset, partition)
            self._drop_superseded(folder, {table.file for table in written.values()})
        return manifest

    def _current(self, path: str) -> tuple[bytes, str]:
        try:
            return self._store.get(path)
        except FileNotFoundError:
            return b"", ""

    def _drop_superseded(self, folder: str, keep: set[str]) -> None:
        keeping = KEEP_SUPERSEDED_SECONDS if "://" in self.root else 0.0
        for path, modified in self._store.list(folder):
            above, _, name = path.rpartition("/")
            unused = above == folder and name.endswith(".parquet") and name not in keep
            if unused and time.time() - modified >= keeping:
                self._store.delete(path)

    def manifest(self, asset: str, partition: str | None = None) -> Manifest | None:
        """The committed manifest, or None where nothing was committed."""
        data, _ = self._current(f"{self._folder(asset, partition)}/{MANIFEST}")
        return Manifest.from_json(data) if data else None

    def partitions(self, asset: str) -> list[str]:
        """Days of the asset that are committed, in order."""
        parts = [entry.path.split("/") for entry in self._store.list(asset)]
        return sorted(
            path[1].removeprefix("date=")
            for path in parts
            if len(path) == 3 and path[1].startswith("date=") and path[2] == MANIFEST
        )

    def scan(self, asset: str, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table over the given days (default: all committed), with the day as `date`.

        Raises:
            MissingPartition: a day, or every day, is not there.
        """
        days = self.partitions(asset) if partitions is None else list(partitions)
        if not days:
            raise MissingPartition(f"{asset}: no day is materialized; materialize {asset} first")
        files = self._each(lambda day: self.location(asset, table, day), days)
        return pl.concat(
            [
                pl.scan_parquet(file).with_columns(pl.lit(day).alias("date"))
                for file, day in zip(files, days, strict=True)
            ]
        )

    def location(self, asset: str, table: str, partition: str | None = None) -> str:
        """Path or URI of a table's Parquet file, as Polars and DuckDB read it.

        Raises:
            MissingPartition: it is not there.
        """
        manifest = self.manifest(asset, partition)
        if manifest is None:
            where = f" for {partition}" if partition else ""
            raise MissingPartition(f"{asset} is not materialized{where}; materialize it first")
        if table not in manifest.tables:
            raise MissingPartition(f"{asset} has no table {table}: {sorted(manifest.tables)}")
        return self._store.uri(f"{self._folder(asset, partition)}/{manifest.tables[table].file}")

    def read(self, asset: str, table: str, partition: str | None = None) -> pl.DataFrame:
        """One table of one partition, or of an unpartitioned asset."""
        return pl.read_parquet(self.location(asset, table, partition))

    def rows(self, asset: str, table: str, partition: str | None = None) -> int:
        """How many rows a table has; nothing of it is read.

        Raises:
            MissingPartition: it is not there.
        """
        self.location(asset, table, partition)
        manifest = self.manifest(asset, partition)
        return manifest.tables[table].rows if manifest else 0

    def read_in_parts(
        self, asset: str, table: str, partition: str | None = None
    ) -> Iterator[pl.DataFrame]:
        """A table in parts of some rows, in order, so that it is never in memory as a whole.

        Raises:
            MissingPartition: it is not there.
        """
        file = self.location(asset, table, partition)
        rows = self.rows(asset, table, partition)
        for start in range(0, rows, PART_ROWS):
            yield pl.scan_parquet(file).slice(start, PART_ROWS).collect()

    def put_image(self, image_hash: str, data: bytes) -> None:
        """Store an image once under its content hash."""
        self._put(self._image_path(image_hash), data, over="")

    def image(self, image_hash: str) -> bytes:
        """The bytes of a stored image."""
        return self._store.get(self._image_path(image_hash))[0]

    def images(self, image_hashes: Sequence[str]) -> list[bytes]:
        """The bytes of several stored images, in order."""
        return self._each(self.image, image_hashes)

    def _each(self, ask: Callable[[str], Answer], names: Sequence[str]) -> list[Answer]:
        """An answer for every name, in order; as many asked for at once as the store likes."""
        if self._store.at_once == 1:
            return [ask(name) for name in names]
        with ThreadPoolExecutor(self._store.at_once) as threads:
            return list(threads.map(ask, names))

    def _image_path(self, image_hash: str) -> str:
        if not image_hash.isalnum():
            raise ValueError(f"not an image hash: {image_hash!r}")
        return f"images/{image_hash[:2]}/{image_hash}.jpg"


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, **_WRITTEN)
    return buffer.getvalue()


def _parquet_of(frame: pl.DataFrame) -> tuple[bytes, int, pl.Schema]:
    return _parquet(frame), frame.height, frame.schema


def _parquet_in_parts(parts: Iterable[pl.DataFrame]) -> tuple[bytes, int, pl.Schema]:
    """A Parquet file of parts, its rows and its schema."""
    import pyarrow.parquet as pq

    found, rows, schema = io.BytesIO(), 0, pl.Schema()
    writer = None
    for part in _gathered(parts):
        table = part.to_arrow()
        if writer is None:
            schema = part.schema
            options: Any = {"compression": "zstd", "compression_level": 1, "store_schema": False}
            writer = pq.ParquetWriter(found, table.schema, **options)
        writer.write_table(table, row_group_size=PART_ROWS)
        rows += part.height
    if writer is None:
        raise ValueError("a table needs at least one part")
    writer.close()
    return found.getvalue(), rows, schema


def _gathered(parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Parts put together to some GROUP_ROWS: small row groups cost more than they hold."""
    held: list[pl.DataFrame] = []
    for part in parts:
        held.append(part)
        if sum(one.height for one in held) >= GROUP_ROWS:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)


def content_hash(frame: pl.DataFrame) -> str:
    """Of a table's content, as a manifest has it."""
    return hashlib.sha256(_parquet(frame)).hexdigest()


def _conflict(asset: str, partition: str | None) -> CommitConflict:
    where = f"{asset} of {partition}" if partition else asset
    return CommitConflict(
        f"{where} was committed by another run while this one was working; what it committed "
        "stays. Materialize again if this run's code or inputs are the newer ones."
    )


class ComputeCache(dg.ConfigurableResource):
    """Answers of models by content, so that nothing is computed twice.

    A namespace is one model version; `put` adds a Parquet file of (key, value) rows, `get` looks
    keys up in all of them. `root` is a folder, or a URI where several machines compute. Derived
    data: deleting it costs time and nothing else.
    """

    root: str

    @cached_property
    def _store(self) -> Store:
        return open_store(self.root)

    def get(self, namespace: str, keys: Sequence[str]) -> pl.DataFrame:
        """Rows of `namespace` whose `key` is asked for (columns: as they were put)."""
        found = [entry.path for entry in self._store.list(_namespace(namespace))] if keys else []
        files = [self._store.uri(path) for path in found if path.endswith(".parquet")]
        if not files:
            return pl.DataFrame(schema={"key": pl.String})
        wanted = pl.LazyFrame({"key": list(dict.fromkeys(keys))})
        return pl.scan_parquet(files).join(wanted, on="key", how="semi").unique("key").collect()

    def put(self, namespace: str, rows: pl.DataFrame) -> None:
        """Keep rows (`key` and any other columns). The write is atomic."""
        digest = hashlib.sha256("\n".join(rows["key"]).encode()).hexdigest()[:32]
        self._store.put(f"{_namespace(namespace)}/{digest}.parquet", _parquet(rows))


def _namespace(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
