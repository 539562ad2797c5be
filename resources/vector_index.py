"""The vector index: derived data, built beside the old one, verified, then switched by alias."""

import contextlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import numpy as np
from pydantic import Field

from resources.qdrant_engines import DamagedIndex, EdgeEngine, Engine, Hit, Payload, ServerEngine

WRITE_BATCH = 2_000  # points an `add`; bounds memory
SAMPLE_QUERIES = 64


class IndexUnfit(dg.Failure):
    """A freshly built index lost points or does not find what is in it; the old one stays."""


class _Measured(NamedTuple):
    points: int
    recall: float

    def is_fit(self, points: int, min_recall: float) -> bool:
        return self.points == points and self.recall >= min_recall


class VectorIndex(dg.ConfigurableResource):
    """Nearest products by vector.

    `location`: a folder (Qdrant Edge, in process), or the URL of a Qdrant server, which may want an
    `api_key`.
    """

    location: str
    api_key: str = Field(default="", repr=False)
    collection: str = "products"

    @cached_property
    def _engine(self) -> Engine:
        if self.location.startswith(("http://", "https://")):
            from qdrant_client import QdrantClient

            client = QdrantClient(self.location, api_key=self.api_key or None, timeout=60)
            return ServerEngine(client, self.collection)
        return EdgeEngine(Path(self.location) / self.collection)

    def publish(
        self,
        version: str,
        ids: Sequence[str],
        vectors: np.ndarray,
        *,
        payload: Payload | None = None,
        min_recall: float = 0.95,
    ) -> dict[str, Any]:
        """Build `version` from ids and unit vectors (n, d), verify it, and point the alias at it.

        The version that was in use before stays, for a rollback. `payload` gives fields that a
        search may ask for, one text a point. Returns points, and the recall@10 of a seeded sample
        of queries against an exact scan.

        Raises:
            IndexUnfit: points are missing, or recall is under `min_recall`.
        """
        engine, live = self._engine, self._engine.alias()
        found = None
        if live == version:
            with contextlib.suppress(DamagedIndex):  # then it is built again
                found = self._measured(version, ids, vectors)
        if found is None or not found.is_fit(len(ids), min_recall):
            try:
                self._build(version, ids, vectors, payload or {})
                found = self._measured(version, ids, vectors)
                if not found.is_fit(len(ids), min_recall):
                    raise IndexUnfit(
                        f"vector index {version}: {found.points} of {len(ids)} points, recall@10 "
                        f"{found.recall:.3f}; the previous version stays in use"
                    )
            except BaseException:
                with contextlib.suppress(Exception):  # the first error is the one to tell
                    engine.drop(version)
                raise
        engine.switch(version)
        if live not in (None, version):
            for old in engine.versions():  # also what a killed build left
                if old not in (version, live):
                    engine.drop(old)
        return {"points": found.points, "recall_at_10": found.recall}

    def _build(
        self, version: str, ids: Sequence[str], vectors: np.ndarray, fields: Payload
    ) -> None:
        engine = self._engine
        if version in engine.versions():
            engine.drop(version)  # left by a build that was killed, or damaged since
        engine.create(version, vectors.shape[1], list(fields))
        for start in range(0, len(ids), WRITE_BATCH):
            rows = slice(start, start + WRITE_BATCH)
            part = {field: values[rows] for field, values in fields.items()}
            engine.add(version, start, ids[rows], vectors[rows], part)
        engine.finish(version)

    def _measured(self, version: str, ids: Sequence[str], vectors: np.ndarray) -> _Measured:
        return _Measured(self._engine.count(version), self._recall(version, ids, vectors))

    def _recall(self, version: str, ids: Sequence[str], vectors: np.ndarray) -> float:
        if not len(ids):
            return 1.0
        picks = np.random.default_rng(0).choice(
            len(ids), min(SAMPLE_QUERIES, len(ids)), replace=False
        )
        queries, limit = vectors[np.sort(picks)], min(10, len(ids))
        exact = np.sort(queries @ vectors.T, axis=1)[:, -limit]
        hits = self._engine.search(version, queries, limit, {})
        # a hit as near as the exact tenth neighbour counts: ties are equal
        found = [
            sum(hit.score >= floor - 1e-4 for hit in row) / limit
            for row, floor in zip(hits, exact, strict=True)
        ]
        return float(np.mean(found))

    def search(
        self, vectors: np.ndarray, limit: int, where: Mapping[str, str] | None = None
    ) -> list[list[Hit]]:
        """The `limit` nearest products of each query vector (q, d), of those whose payload has all
        values of `where`."""
        version = self._engine.alias()
        if version is None:
            raise dg.Failure("the vector index is empty; materialize vector_index first")
        return self._engine.search(version, vectors, limit, where or {})
