"""The vector index: derived data, built beside the old one, verified, then switched by alias."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
import numpy as np
from filelock import FileLock

VECTOR = "product"
WRITE_BATCH = 2_000  # points an upsert; bounds memory
SAMPLE_QUERIES = 64


class IndexUnfit(dg.Failure):
    """A freshly built index lost points or does not find what is in it; the old one stays."""


@dataclass(frozen=True)
class Hit:
    """A neighbour: product and cosine similarity."""

    product_id: str
    score: float


class Engine(Protocol):
    """What an index engine must do. Versions are names; `alias` points at one of them."""

    def create(self, version: str, size: int) -> None: ...
    def add(self, version: str, first: int, ids: Sequence[str], vectors: np.ndarray) -> None: ...
    def count(self, version: str) -> int: ...
    def search(self, version: str, vectors: np.ndarray, limit: int) -> list[list[Hit]]: ...
    def versions(self) -> list[str]: ...
    def alias(self) -> str | None: ...
    def switch(self, version: str) -> None: ...
    def drop(self, version: str) -> None: ...


class VectorIndex(dg.ConfigurableResource):
    """Nearest products by vector.

    `location`: a folder (Qdrant Edge, in process), or the URL of a Qdrant server. One process
    writes the embedded index at a time, behind our own lock file: a second opener breaks the
    first one's next flush.
    """

    location: str
    collection: str = "products"
    keep: int = 2  # versions kept, for rollback

    @cached_property
    def _engine(self) -> Engine:
        if self.location.startswith(("http://", "https://")):
            from qdrant_client import QdrantClient

            return ServerEngine(QdrantClient(self.location, timeout=60), self.collection)
        return EdgeEngine(Path(self.location) / self.collection)

    def publish(
        self, version: str, ids: Sequence[str], vectors: np.ndarray, *, min_recall: float = 0.95
    ) -> dict[str, Any]:
        """Build `version` from ids and unit vectors (n, d), verify it, and point the alias at it.

        Returns points, and the recall@10 of a seeded sample of queries against an exact scan.

        Raises:
            IndexUnfit: points are missing, or recall is under `min_recall`.
        """
        engine = self._engine
        if version in engine.versions() and engine.alias() != version:
            engine.drop(version)  # left by a build that was killed
        if engine.alias() != version:
            engine.create(version, vectors.shape[1])
            for start in range(0, len(ids), WRITE_BATCH):
                stop = start + WRITE_BATCH
                engine.add(version, start, ids[start:stop], vectors[start:stop])
        points, recall = engine.count(version), self._recall(version, ids, vectors)
        if points != len(ids) or recall < min_recall:
            raise IndexUnfit(
                f"vector index {version}: {points} of {len(ids)} points, recall@10 {recall:.3f}; "
                "the previous version stays in use"
            )
        engine.switch(version)
        for old in engine.versions()[: -self.keep]:
            if old != version:
                engine.drop(old)
        return {"points": points, "recall_at_10": recall}

    def _recall(self, version: str, ids: Sequence[str], vectors: np.ndarray) -> float:
        if not len(ids):
            return 1.0
        picks = np.random.default_rng(0).choice(
            len(ids), min(SAMPLE_QUERIES, len(ids)), replace=False
        )
        queries, limit = vectors[np.sort(picks)], min(10, len(ids))
        exact = np.sort(queries @ vectors.T, axis=1)[:, -limit]
        hits = self._engine.search(version, queries, limit)
        # a hit as near as the exact tenth neighbour counts: ties are equal
        found = [
            sum(hit.score >= floor - 1e-4 for hit in row) / limit
            for row, floor in zip(hits, exact, strict=True)
        ]
        return float(np.mean(found))

    def search(self, vectors: np.ndarray, limit: int) -> list[list[Hit]]:
        """The `limit` nearest products of each query vector (q, d)."""
        version = self._engine.alias()
        if version is None:
            raise dg.Failure("the vector index is empty; materialize vector_index first")
        return self._engine.search(version, vectors, limit)


class EdgeEngine:
    """Qdrant Edge: one folder a version, the alias is a one-line file replaced atomically.

    The shard stays unoptimised: below some 100,000 points an exact scan beats building a graph.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / "index.lock")

    @contextmanager
    def _shard(self, version: str) -> Iterator[Any]:
        from qdrant_edge import EdgeShard

        with self._lock:
            shard = EdgeShard.load(str(self.folder / version))
            try:
                yield shard
            finally:
                shard.close()

    def create(self, version: str, size: int) -> None:
        from qdrant_edge import Distance, EdgeConfig, EdgeShard, EdgeVectorParams

        parameters = EdgeVectorParams(size=size, distance=Distance.Cosine)
        with self._lock:
            (self.folder / version).mkdir(parents=True)
            EdgeShard.create(
                str(self.folder / version), EdgeConfig(vectors={VECTOR: parameters})
            ).close()

    def add(self, version: str, first: int, ids: Sequence[str], vectors: np.ndarray) -> None:
        from qdrant_edge import Point, UpdateOperation

        points = [
            Point(id=first + i, vector={VECTOR: vector.tolist()}, payload={"product_id": product})
            for i, (product, vector) in enumerate(zip(ids, vectors, strict=True))
        ]
        with self._shard(version) as shard:
            shard.update(UpdateOperation.upsert_points(points))
            shard.flush()

    def count(self, version: str) -> int:
        from qdrant_edge import CountRequest

        with self._shard(version) as shard:
            return shard.count(CountRequest(exact=True))

    def search(self, version: str, vectors: np.ndarray, limit: int) -> list[list[Hit]]:
        from qdrant_edge import Query, QueryRequest

        with self._shard(version) as shard:
            answers = [
                shard.query(
                    QueryRequest(
                        query=Query.Nearest(vector.tolist(), using=VECTOR),
                        limit=limit,
                        with_payload=True,
                    )
                )
                for vector in vectors
            ]
        return [[Hit(str(p.payload["product_id"]), float(p.score)) for p in row] for row in answers]

    def versions(self) -> list[str]:
        folders = [path for path in self.folder.iterdir() if path.is_dir()]
        return [path.name for path in sorted(folders, key=lambda path: path.stat().st_mtime_ns)]

    def alias(self) -> str | None:
        path = self.folder / "current"
        return path.read_text().strip() if path.exists() else None

    def switch(self, version: str) -> None:
        temporary = self.folder / "current.tmp"
        temporary.write_text(version + "\n")
        temporary.replace(self.folder / "current")

    def drop(self, version: str) -> None:
        with self._lock:
            shutil.rmtree(self.folder / version)


class ServerEngine:
    """A Qdrant server (or the client's in-memory stand-in): collections and an alias."""

    def __init__(self, client: Any, collection: str) -> None:
        self.client, self.collection = client, collection

    def _name(self, version: str) -> str:
        return f"{self.collection}__{version}"

    def create(self, version: str, size: int) -> None:
        from qdrant_client.models import Distance, VectorParams

        self.client.create_collection(
            self._name(version),
            vectors_config={VECTOR: VectorParams(size=size, distance=Distance.COSINE)},
        )

    def add(self, version: str, first: int, ids: Sequence[str], vectors: np.ndarray) -> None:
        from qdrant_client.models import PointStruct

        points = [
            PointStruct(id=first + i, vector={VECTOR: v.tolist()}, payload={"product_id": product})
            for i, (product, v) in enumerate(zip(ids, vectors, strict=True))
        ]
        self.client.upsert(self._name(version), points, wait=True)

    def count(self, version: str) -> int:
        return self.client.count(self._name(version), exact=True).count

    def search(self, version: str, vectors: np.ndarray, limit: int) -> list[list[Hit]]:
        answers = [
            self.client.query_points(
                self._name(version), query=v.tolist(), using=VECTOR, limit=limit
            ).points
            for v in vectors
        ]
        return [[Hit(p.payload["product_id"], float(p.score)) for p in row] for row in answers]

    def versions(self) -> list[str]:
        prefix = self._name("")
        names = [c.name for c in self.client.get_collections().collections]
        current = self.alias()
        found = sorted(n.removeprefix(prefix) for n in names if n.startswith(prefix))
        return sorted(found, key=lambda version: version == current)

    def alias(self) -> str | None:
        for alias in self.client.get_aliases().aliases:
            if alias.alias_name == self.collection:
                return alias.collection_name.removeprefix(self._name(""))
        return None

    def switch(self, version: str) -> None:
        from qdrant_client import models

        delete = models.DeleteAlias(alias_name=self.collection)
        create = models.CreateAlias(collection_name=self._name(version), alias_name=self.collection)
        # one request: readers see the old version or the new one, never neither
        changes: list[Any] = [models.CreateAliasOperation(create_alias=create)]
        if self.alias() is not None:
            changes.insert(0, models.DeleteAliasOperation(delete_alias=delete))
        self.client.update_collection_aliases(changes)

    def drop(self, version: str) -> None:
        self.client.delete_collection(self._name(version))
