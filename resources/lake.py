"""The lake: Parquet tables, images and small files under one URI, committed by manifests.

A partition is a folder `asset/date=YYYY-MM-DD/` (an unpartitioned asset: `asset/`) holding one
Parquet file a table and a `manifest.json`. Files carry their content hash in their name and are
written first; the manifest is written last and is the commit. Readers go through the manifest, so
a killed writer leaves either the old partition or the new one, and bytes depend on content alone:
no clock, host or run id enters the lake. Nothing is renamed, so the same holds in a bucket: there
the manifest is put on the condition that it is still the one that was found (`object_store.py`).

What is read is what was written: a manifest and a picture are checked each time, a table once a
version and process, by the hash that the manifest or the name has.
"""

import contextlib
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

from resources.manifests import sealed, unsealed
from resources.object_store import Entry, Store, open_store

Answer = TypeVar("Answer")

MANIFEST = "manifest.json"
_WRITTEN: Any = {"compression": "zstd", "compression_level": 1, "statistics": True}
PART_ROWS = 1 << 17  # of `read_in_parts`
GROUP_ROWS = 1 << 15  # of a table that is written in parts
KEEP_SUPERSEDED_SECONDS = 86_400.0  # longer than any reader, or a bucket's writer, takes
_WHOLE: set[tuple[str, str]] = set()  # address and sha256 of the tables that were found whole


class MissingPartition(dg.Failure):
    """What was to be read has not been materialized; the message says what to materialize."""


class DamagedFile(dg.Failure):
    """A stored file is not what was written; the message names it and says how to make it again."""


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
        return sealed(body)

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        """Reads a manifest; those of earlier versions have no hash of themselves.

        Raises:
            ValueError: it is no manifest, or not the one that was written; the message says why.
        """
        body = unsealed(data)
        try:
            tables = {name: Table(**table) for name, table in body.pop("tables").items()}
            return cls(tables=tables, **body)
        except (LookupError, TypeError, AttributeError):
            raise ValueError("is no manifest of a partition") from None


class CommitConflict(dg.Failure):
    """Another writer committed the same partition while this one was writing; its rows stand."""


class Lake(dg.ConfigurableResource):
    """Tables and images under `root`: a local folder, or a bucket (`s3://bucket/lake`).

    A table that a commit superseded stays for a day, for whoever is still reading it, and goes with
    a later commit of its partition or with `sweep`. So does what killed writers left in a bucket;
    in a folder, where writers exclude each other, that goes at once.
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
        folder = self._folder(asset, partition)
        with self._store.exclusive(folder):
            before, tag = self._current(f"{folder}/{MANIFEST}")
            if made_from != "any" and made_from != self._parsed(before, tag, asset, partition):
                raise _conflict(asset, partition)
            try:
                self._drop_unused(folder)  # first: it may be what a full disk is full of
                written = {name: self._put_table(folder, name, t) for name, t in tables.items()}
                manifest = Manifest(asset, partition, written, dict(versions or {}))
                body, path = manifest.to_json(), f"{folder}/{MANIFEST}"
                # a put that was sent again after a lost answer finds its own manifest: no conflict
                if not self._put(path, body, over=tag) and self._current(path)[0] != body:
                    raise _conflict(asset, partition)
            except BaseException:
                with contextlib.suppress(Exception):  # the first error is the one to tell
                    self._drop_unused(folder)
                raise
        return manifest

    def _put_table(
        self, folder: str, name: str, frame: pl.DataFrame | Iterable[pl.DataFrame]
    ) -> Table:
        whole = isinstance(frame, pl.DataFrame)
        data, rows, schema = _parquet_of(frame) if whole else _parquet_in_parts(frame)
        digest = hashlib.sha256(data).hexdigest()
        columns = {column: str(dtype) for column, dtype in schema.items()}
        file = f"{name}-{digest[:16]}.parquet"
        self._put(f"{folder}/{file}", data)
        return Table(file, rows, len(data), digest, columns)

    def _current(self, path: str) -> tuple[bytes, str]:
        try:
            return self._store.get(path)
        except FileNotFoundError:
            return b"", ""

    def _drop_unused(self, folder: str) -> None:
        """Remove the tables that nobody can be reading: those that were superseded a day ago, and
        those that were never committed, once their writer is gone."""
        found = [e for e in self._store.list(folder) if e.path.rpartition("/")[0] == folder]
        tables = [entry for entry in found if entry.path.endswith(".parquet")]
        committed = max((e.modified for e in found if e.path.endswith(MANIFEST)), default=0.0)
        named = self._named(folder)
        for entry in tables:
            if entry.path in named:
                continue
            never_committed = self._store.excludes and entry.modified > committed
            since = _superseded(entry, tables, committed)
            if never_committed or time.time() - since >= KEEP_SUPERSEDED_SECONDS:
                self._store.delete(entry.path)

    def _named(self, folder: str) -> set[str]:
        """Paths of the tables that the manifest of a folder names; none if it cannot be read."""
        try:
            manifest = Manifest.from_json(self._current(f"{folder}/{MANIFEST}")[0])
        except ValueError:
            return set()
        return {f"{folder}/{table.file}" for table in manifest.tables.values()}

    def sweep(self) -> None:
        """Remove every table that was superseded a day ago, or was left by a killed writer."""
        paths = [e.path for e in self._store.list("") if e.path.endswith(".parquet")]
        for folder in sorted({path.rpartition("/")[0] for path in paths}):
            with self._store.exclusive(folder):
                self._drop_unused(folder)

    def manifest(self, asset: str, partition: str | None = None) -> Manifest | None:
        """The committed manifest, or None where nothing was committed.

        Raises:
            DamagedFile: it cannot be read, or is not the one that was written.
        """
        data, tag = self._current(f"{self._folder(asset, partition)}/{MANIFEST}")
        return self._parsed(data, tag, asset, partition)

    def _parsed(self, data: bytes, tag: str, asset: str, partition: str | None) -> Manifest | None:
        try:
            return Manifest.from_json(data) if tag else None
        except ValueError as error:
            path = f"{self._folder(asset, partition)}/{MANIFEST}"
            raise self._damaged(path, str(error), asset, partition) from None

    def _damaged(self, path: str, fault: str, asset: str, partition: str | None) -> DamagedFile:
        again = f"materialize {_named(asset, partition)} again"
        return DamagedFile(
            f"{self._store.uri(path)} {fault}: {again}. `make doctor DEEP=1` reads the whole lake."
        )

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
            DamagedFile: a day is not what was committed.
        """
        days = self.partitions(asset) if partitions is None else list(partitions)
        if not days:
            raise MissingPartition(f"{asset}: no day is materialized; materialize {asset} first")
        found = self._each(lambda day: self._whole(asset, table, day), days)
        kinds = {tuple(each.columns) for _, each in found}
        return pl.concat(
            [
                pl.scan_parquet(file, glob=False).with_columns(pl.lit(day).alias("date"))
                for (file, _), day in zip(found, days, strict=True)
            ],
            # days of an earlier release may lack a column; alike, they need no look at each file
            how="diagonal" if len(kinds) > 1 else "vertical",
        )

    def location(self, asset: str, table: str, partition: str | None = None) -> str:
        """Path or URI of a table's Parquet file, as Polars and DuckDB read it. It is whole: of a
        folder by its hash, of a bucket, which guards the bytes itself, by its size.

        Raises:
            MissingPartition: it is not there.
            DamagedFile: it is not what was committed.
        """
        return self._whole(asset, table, partition)[0]

    def _whole(self, asset: str, table: str, partition: str | None) -> tuple[str, Table]:
        """Path or URI of a table's file that is as it was committed, and what the manifest says of
        it."""
        path, found = self._table(asset, table, partition)
        address = self._store.uri(path)
        if (address, found.sha256) not in _WHOLE:
            if fault := self._fault(path, found, sized=self._store.guards):
                raise self._damaged(path, fault, asset, partition)
            _WHOLE.add((address, found.sha256))
        return address, found

    def _table(self, asset: str, table: str, partition: str | None) -> tuple[str, Table]:
        """Path of a table's file, and what the manifest says of it."""
        manifest = self.manifest(asset, partition)
        if manifest is None:
            where = f" for {partition}" if partition else ""
            raise MissingPartition(f"{asset} is not materialized{where}; materialize it first")
        if table not in manifest.tables:
            raise MissingPartition(f"{asset} has no table {table}: {sorted(manifest.tables)}")
        found = manifest.tables[table]
        return f"{self._folder(asset, partition)}/{found.file}", found

    def _fault(self, path: str, table: Table, *, sized: bool) -> str:
        """What is wrong with a table's file, seen by its size alone or by all of it; or nothing."""
        try:
            size = self._store.size(path)
            if size != table.bytes:
                return f"has {size:,} bytes of {table.bytes:,}"
            changed = not sized and self._store.sha256(path) != table.sha256
        except FileNotFoundError:
            return "is gone"
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return "holds other bytes than were written" if changed else ""

    def damage(self) -> Iterator[str]:
        """What is wrong with each damaged file of the lake, and how to make it again. All of the
        lake is read for it."""
        for entry in self._store.list(""):
            try:
                if entry.path.endswith(f"/{MANIFEST}"):
                    yield from self._damage_of(entry.path)
                elif entry.path.startswith("images/"):
                    self.image(entry.path.rpartition("/")[2].partition(".")[0])
            except DamagedFile as error:
                yield str(error.description)

    def _damage_of(self, path: str) -> Iterator[str]:
        folder = path.removesuffix(f"/{MANIFEST}")
        asset, _, partition = folder.partition("/")
        partition = partition.partition("=")[2] or None
        manifest = self.manifest(asset, partition)
        for table in manifest.tables.values() if manifest else ():
            file = f"{folder}/{table.file}"
            if fault := self._fault(file, table, sized=False):
                yield str(self._damaged(file, fault, asset, partition).description)

    def read(self, asset: str, table: str, partition: str | None = None) -> pl.DataFrame:
        """One table of one partition, or of an unpartitioned asset.

        Raises:
            MissingPartition: it is not there.
            DamagedFile: it is not what was committed.
        """
        return pl.read_parquet(self.location(asset, table, partition), glob=False)

    def rows(self, asset: str, table: str, partition: str | None = None) -> int:
        """How many rows a table has; nothing of it is read.

        Raises:
            MissingPartition: it is not there.
        """
        return self._table(asset, table, partition)[1].rows

    def read_in_parts(
        self, asset: str, table: str, partition: str | None = None
    ) -> Iterator[pl.DataFrame]:
        """A table in parts of some rows, in order, so that it is never in memory as a whole.

        Raises:
            MissingPartition: it is not there.
            DamagedFile: it is not what was committed.
        """
        file = pl.scan_parquet(self.location(asset, table, partition), glob=False)
        rows = self.rows(asset, table, partition)
        for start in range(0, rows, PART_ROWS):
            yield file.slice(start, PART_ROWS).collect()

    def put_image(self, image_hash: str, data: bytes) -> None:
        """Store an image once under its content hash: the first digits of its sha256."""
        self._put(self._image_path(image_hash), data, over="")

    def image(self, image_hash: str) -> bytes:
        """The bytes of a stored image.

        Raises:
            DamagedFile: they are not what was stored.
        """
        path = self._image_path(image_hash)
        data = self._store.get(path)[0]
        if not hashlib.sha256(data).hexdigest().startswith(image_hash):
            raise DamagedFile(
                f"{self._store.uri(path)} holds other bytes than were written: delete it, then "
                "materialize what stored it again (catalog of the product's day, "
                "collection_covers, preference_pairs or rl_evaluation)"
            )
        return data

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


def _superseded(entry: Entry, tables: Sequence[Entry], committed: float) -> float:
    """When a table that is not in force was superseded, s since 1970: when the next one of its name
    was written; without, when the manifest was, or it itself."""
    name = entry.path.rpartition("-")[0]
    later = (
        other.modified
        for other in tables
        if other.path.rpartition("-")[0] == name and other.modified > entry.modified
    )
    return min(later, default=max(committed, entry.modified))


def _named(asset: str, partition: str | None) -> str:
    return f"{asset} of {partition}" if partition else asset


def _conflict(asset: str, partition: str | None) -> CommitConflict:
    return CommitConflict(
        f"{_named(asset, partition)} was committed by another run while this one was working; what "
        "it committed stays. Materialize again if this run's code or inputs are the newer ones."
    )


class ComputeCache(dg.ConfigurableResource):
    """Answers of models by content, so that nothing is computed twice.

    A namespace is one model version; `put` adds a Parquet file of (key, value) rows, `get` looks
    keys up in all of them. `root` is a folder, or a URI where several machines compute. Derived
    data: deleting it costs time and nothing else. So a file that is not what was written, by the
    hash in its name, is passed over, and its answers are computed again.
    """

    root: str

    @cached_property
    def _store(self) -> Store:
        return open_store(self.root)

    def get(self, namespace: str, keys: Sequence[str]) -> pl.DataFrame:
        """Rows of `namespace` whose `key` is asked for (columns: as they were put)."""
        found = [entry.path for entry in self._store.list(_namespace(namespace))] if keys else []
        files = [self._store.uri(path) for path in found if self._is_whole(path)]
        if not files:
            return pl.DataFrame(schema={"key": pl.String})
        wanted = pl.LazyFrame({"key": list(dict.fromkeys(keys))})
        rows = pl.scan_parquet(files, glob=False).join(wanted, on="key", how="semi")
        return rows.unique("key", keep="first", maintain_order=True).collect()

    def put(self, namespace: str, rows: pl.DataFrame) -> None:
        """Keep rows (`key` and any other columns). The write is atomic."""
        keys = hashlib.sha256("\n".join(rows["key"]).encode()).hexdigest()[:32]
        data = _parquet(rows)
        name = f"{keys}-{hashlib.sha256(data).hexdigest()}.parquet"
        self._store.put(f"{_namespace(namespace)}/{name}", data)

    def _is_whole(self, path: str) -> bool:
        """Whether a file is one of the cache's, and what was written; names of earlier versions
        have no hash."""
        if not path.endswith(".parquet"):
            return False
        digest = path.rpartition("/")[2].removesuffix(".parquet").partition("-")[2]
        known = (self._store.uri(path), digest)
        if not digest or self._store.guards or known in _WHOLE:
            return True
        with contextlib.suppress(OSError):
            if self._store.sha256(path) == digest:
                _WHOLE.add(known)
                return True
        return False


def _namespace(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
