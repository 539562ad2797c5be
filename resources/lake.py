"""The lake: Parquet tables, images and small files under one URI, committed by manifests.

A partition is a folder `asset/date=YYYY-MM-DD/` (an unpartitioned asset: `asset/`) holding one
Parquet file a table and a `manifest.json`. Files carry their content hash in their name and are
written first; the manifest is written last and is the commit. Readers go through the manifest, so
a killed writer leaves either the old partition or the new one, and bytes depend on content alone:
no clock, host or run id enters the lake.
"""

import contextlib
import hashlib
import io
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import dagster as dg
import fsspec
import polars as pl
from fsspec.implementations.local import LocalFileSystem

MANIFEST = "manifest.json"


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


class Lake(dg.ConfigurableResource):
    """Tables and images under `root`, a local folder or any fsspec URI (`s3://bucket/lake`)."""

    root: str

    @cached_property
    def _fs(self) -> fsspec.AbstractFileSystem:
        return fsspec.core.url_to_fs(self.root)[0]

    @cached_property
    def _base(self) -> str:
        return fsspec.core.url_to_fs(self.root)[1]

    def _folder(self, asset: str, partition: str | None) -> str:
        if not partition:
            return f"{self._base}/{asset}"
        kind = "date" if partition[:4].isdigit() else "partition"
        return f"{self._base}/{asset}/{kind}={partition}"

    def _put(self, path: str, data: bytes) -> None:
        """Write one file so that it is there whole or not at all."""
        if not isinstance(self._fs, LocalFileSystem):
            self._fs.pipe_file(path, data)  # an object store's put is atomic
            return
        staging = Path(self._base).parent / "staging"
        staging.mkdir(parents=True, exist_ok=True)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        temporary = staging / uuid.uuid4().hex
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def _get(self, path: str) -> bytes:
        return cast(bytes, self._fs.cat_file(path))

    def commit(
        self,
        asset: str,
        tables: Mapping[str, pl.DataFrame],
        *,
        partition: str | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Replace a partition (or a whole unpartitioned asset) by these tables."""
        folder, written = self._folder(asset, partition), {}
        for name, frame in tables.items():
            buffer = io.BytesIO()
            frame.write_parquet(buffer, compression="zstd", statistics=True)
            data = buffer.getvalue()
            digest = hashlib.sha256(data).hexdigest()
            columns = {column: str(dtype) for column, dtype in frame.schema.items()}
            table = Table(f"{name}-{digest[:16]}.parquet", frame.height, len(data), digest, columns)
            self._put(f"{folder}/{table.file}", data)
            written[name] = table
        manifest = Manifest(asset, partition, written, dict(versions or {}))
        self._put(f"{folder}/{MANIFEST}", manifest.to_json())
        self._drop_unreferenced(folder, {table.file for table in written.values()})
        return manifest

    def _drop_unreferenced(self, folder: str, keep: set[str]) -> None:
        for path in self._fs.ls(folder, detail=False):
            name = path.rsplit("/", 1)[-1]
            if name.endswith(".parquet") and name not in keep:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(path)

    def manifest(self, asset: str, partition: str | None = None) -> Manifest | None:
        """The committed manifest, or None where nothing was committed."""
        try:
            path = f"{self._folder(asset, partition)}/{MANIFEST}"
            return Manifest.from_json(self._get(path))
        except FileNotFoundError:
            return None

    def partitions(self, asset: str) -> list[str]:
        """Days of the asset that are committed, in order."""
        found = self._fs.glob(f"{self._base}/{asset}/date=*/{MANIFEST}")
        return sorted(str(path).split("/date=")[1].split("/")[0] for path in found)

    def scan(self, asset: str, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table over the given days (default: all committed), with the day as `date`.

        Raises:
            MissingPartition: a day, or every day, is not there.
        """
        days = self.partitions(asset) if partitions is None else list(partitions)
        if not days:
            raise MissingPartition(f"{asset}: no day is materialized; materialize {asset} first")
        frames = [
            self._scan_one(asset, table, day).with_columns(pl.lit(day).alias("date"))
            for day in days
        ]
        return pl.concat(frames)

    def _scan_one(self, asset: str, table: str, partition: str | None) -> pl.LazyFrame:
        manifest = self.manifest(asset, partition)
        if manifest is None:
            where = f" for {partition}" if partition else ""
            raise MissingPartition(f"{asset} is not materialized{where}; materialize it first")
        if table not in manifest.tables:
            raise MissingPartition(f"{asset} has no table {table}: {sorted(manifest.tables)}")
        path = f"{self._folder(asset, partition)}/{manifest.tables[table].file}"
        return pl.scan_parquet(self._fs.unstrip_protocol(path))

    def read(self, asset: str, table: str, partition: str | None = None) -> pl.DataFrame:
        """One table of one partition, or of an unpartitioned asset."""
        return self._scan_one(asset, table, partition).collect()

    def put_image(self, image_hash: str, data: bytes) -> None:
        """Store an image once under its content hash."""
        path = self._image_path(image_hash)
        if not self._fs.exists(path):
            self._put(path, data)

    def image(self, image_hash: str) -> bytes:
        """The bytes of a stored image."""
        return self._get(self._image_path(image_hash))

    def _image_path(self, image_hash: str) -> str:
        if not image_hash.isalnum():
            raise ValueError(f"not an image hash: {image_hash!r}")
        return f"{self._base}/images/{image_hash[:2]}/{image_hash}.jpg"


class ComputeCache(dg.ConfigurableResource):
    """Answers of models by content, so that nothing is computed twice.

    A namespace is one model version; `put` adds a Parquet file of (key, value) rows, `get` looks
    keys up in all of them. Derived data: deleting the folder costs time and nothing else.
    """

    root: str

    def get(self, namespace: str, keys: Sequence[str]) -> pl.DataFrame:
        """Rows of `namespace` whose `key` is asked for (columns: as they were put)."""
        files = sorted(self._folder(namespace).glob("*.parquet"))
        if not files or not keys:
            return pl.DataFrame(schema={"key": pl.String})
        wanted = pl.LazyFrame({"key": list(dict.fromkeys(keys))})
        return pl.scan_parquet(files).join(wanted, on="key", how="semi").unique("key").collect()

    def put(self, namespace: str, rows: pl.DataFrame) -> None:
        """Keep rows (`key` and any other columns). The write is atomic."""
        folder = self._folder(namespace)
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256("\n".join(rows["key"]).encode()).hexdigest()[:32]
        temporary = folder / f"{digest}.{uuid.uuid4().hex}.tmp"
        rows.write_parquet(temporary)
        temporary.replace(folder / f"{digest}.parquet")

    def _folder(self, namespace: str) -> Path:
        return Path(self.root) / hashlib.sha256(namespace.encode()).hexdigest()[:16]
