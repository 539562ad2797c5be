"""Qdrant in this process (Edge) and as a server: one interface, the same answers.

A *version* is one complete build; the *alias* points at the one in use. The server's own aliases
do that there; Edge has none, so a one-line file does.
"""

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from filelock import FileLock

VECTOR = "product"
ID = "product_id"
UPSERT_BYTES = 8 << 20  # of one request; the server takes 32 MiB at most
JSON_BYTES = 20  # of one number in it
QUERIES = 64  # in one request
RETRIES = 5
LONGEST_PAUSE = 30.0  # seconds

Answer = TypeVar("Answer")
Payload = Mapping[str, Sequence[str]]  # field -> one value a point


@dataclass(frozen=True)
class Hit:
    """A neighbour: product and cosine similarity."""

    product_id: str
    score: float


class DamagedIndex(OSError):
    """A version that cannot be opened; the message names its folder."""


class Engine(Protocol):
    """What an index engine must do.

    `create` makes an empty version with keyword indexes on `fields`; `add` puts points with the
    numbers from `first` on, and may be repeated; `finish` ends the load. `search` gives for each
    query the nearest points whose payload has all values of `where`.
    """

    def create(self, version: str, size: int, fields: Sequence[str]) -> None: ...
    def add(
        self,
        version: str,
        first: int,
        ids: Sequence[str],
        vectors: np.ndarray,
        payload: Payload,
    ) -> None: ...
    def finish(self, version: str) -> None: ...
    def count(self, version: str) -> int: ...
    def search(
        self, version: str, vectors: np.ndarray, limit: int, where: Mapping[str, str]
    ) -> list[list[Hit]]: ...
    def versions(self) -> list[str]: ...
    def alias(self) -> str | None: ...
    def switch(self, version: str) -> None: ...
    def drop(self, version: str) -> None: ...


class EdgeEngine:
    """Qdrant Edge: one folder a version, the alias is a one-line file replaced atomically.

    The shard stays unoptimised: below some 100,000 points an exact scan beats building a graph.
    One process opens it at a time, behind our own lock file: a second opener breaks the first
    one's next flush.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / "index.lock")

    @contextmanager
    def _shard(self, version: str) -> Iterator[Any]:
        from qdrant_edge import EdgeShard

        with self._lock:
            try:
                shard = EdgeShard.load(str(self.folder / version))
            except Exception as error:  # it has no class of its own for what it raises
                told = str(error).partition("\n")[0][:200]
                raise DamagedIndex(
                    f"{self.folder / version} cannot be opened ({told}): materialize vector_index "
                    "again"
                ) from error
            try:
                yield shard
            finally:
                shard.close()

    def create(self, version: str, size: int, fields: Sequence[str]) -> None:
        from qdrant_edge import (
            Distance,
            EdgeConfig,
            EdgeShard,
            EdgeVectorParams,
            PayloadSchemaType,
            UpdateOperation,
        )

        parameters = EdgeVectorParams(size=size, distance=Distance.Cosine)
        with self._lock:
            (self.folder / version).mkdir(parents=True)
            EdgeShard.create(
                str(self.folder / version), EdgeConfig(vectors={VECTOR: parameters})
            ).close()
        with self._shard(version) as shard:
            for field in fields:
                shard.update(UpdateOperation.create_field_index(field, PayloadSchemaType.Keyword))
            shard.flush()

    def add(
        self,
        version: str,
        first: int,
        ids: Sequence[str],
        vectors: np.ndarray,
        payload: Payload,
    ) -> None:
        from qdrant_edge import Point, UpdateOperation

        points = [
            Point(id=first + i, vector={VECTOR: vectors[i].tolist()}, payload=values)
            for i, values in enumerate(_payloads(ids, payload))
        ]
        with self._shard(version) as shard:
            shard.update(UpdateOperation.upsert_points(points))
            shard.flush()

    def finish(self, version: str) -> None:
        del version

    def count(self, version: str) -> int:
        from qdrant_edge import CountRequest

        with self._shard(version) as shard:
            return shard.count(CountRequest(exact=True))

    def search(
        self, version: str, vectors: np.ndarray, limit: int, where: Mapping[str, str]
    ) -> list[list[Hit]]:
        from qdrant_edge import FieldCondition, Filter, MatchValue, Query, QueryRequest

        wanted: list[Any] = [
            FieldCondition(key, match=MatchValue(value)) for key, value in where.items()
        ]
        with self._shard(version) as shard:
            answers = [
                shard.query(
                    QueryRequest(
                        query=Query.Nearest(vector.tolist(), using=VECTOR),
                        limit=limit,
                        with_payload=True,
                        filter=Filter(must=wanted) if wanted else None,
                    )
                )
                for vector in vectors
            ]
        return [[Hit(str(p.payload[ID]), float(p.score)) for p in row] for row in answers]

    def versions(self) -> list[str]:
        folders = [path for path in self.folder.iterdir() if path.is_dir()]
        return [path.name for path in sorted(folders, key=lambda path: path.stat().st_mtime_ns)]

    def alias(self) -> str | None:
        path = self.folder / "current"
        version = path.read_text().strip() if path.exists() else ""
        return version if version and (self.folder / version).is_dir() else None

    def switch(self, version: str) -> None:
        temporary = self.folder / "current.tmp"
        temporary.write_text(version + "\n")
        temporary.replace(self.folder / "current")

    def drop(self, version: str) -> None:
        with self._lock:
            shutil.rmtree(self.folder / version)


class ServerEngine:
    """A Qdrant server by `qdrant-client`: a collection a version, and two aliases.

    `<collection>` is the version in use, `<collection>-previous` the one before it. The graph is
    built once after the load, not along with it. Requests that the server refuses for its own
    reasons (429, 5xx) or that get lost are sent again; each is written so that twice is as once.
    """

    def __init__(self, client: Any, collection: str, backoff_seconds: float = 0.5) -> None:
        self.client, self.collection, self.backoff = client, collection, backoff_seconds

    def _name(self, version: str) -> str:
        return f"{self.collection}__{version}"

    def _persist(self, request: Callable[[], Answer]) -> Answer:
        from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        for attempt in range(RETRIES + 1):
            pause = self.backoff * 2**attempt * random.uniform(0.5, 1.5)
            try:
                return request()
            except ResourceExhaustedResponse as error:
                pause = float(error.retry_after_s)
                if attempt == RETRIES:
                    raise
            except (ResponseHandlingException, json.JSONDecodeError):  # lost, or cut off
                if attempt == RETRIES:
                    raise
            except UnexpectedResponse as error:
                if error.status_code in (401, 403):  # what it says may repeat the key
                    raise PermissionError(
                        f"the Qdrant server refuses us (HTTP {error.status_code}): is "
                        "QDRANT_API_KEY right?"
                    ) from None
                if attempt == RETRIES or (error.status_code or 0) < 500:
                    raise
            time.sleep(min(pause, LONGEST_PAUSE))
        raise AssertionError("unreachable")

    def create(self, version: str, size: int, fields: Sequence[str]) -> None:
        from qdrant_client import models

        name, client = self._name(version), self.client

        def collection() -> None:
            if not client.collection_exists(name):
                client.create_collection(
                    name,
                    vectors_config={
                        VECTOR: models.VectorParams(size=size, distance=models.Distance.COSINE)
                    },
                    optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0),
                )

        self._persist(collection)
        for field in fields:  # before the load: the graph is then built with the filters in mind
            self._persist(
                lambda field=field: client.create_payload_index(
                    name, field, models.PayloadSchemaType.KEYWORD, wait=True
                )
            )

    def add(
        self,
        version: str,
        first: int,
        ids: Sequence[str],
        vectors: np.ndarray,
        payload: Payload,
    ) -> None:
        from qdrant_client.models import PointStruct

        rows = max(1, UPSERT_BYTES // (JSON_BYTES * vectors.shape[1]))
        points = [
            PointStruct(id=first + i, vector={VECTOR: vectors[i].tolist()}, payload=values)
            for i, values in enumerate(_payloads(ids, payload))
        ]
        for start in range(0, len(points), rows):
            part = points[start : start + rows]
            self._persist(
                lambda part=part: self.client.upsert(self._name(version), part, wait=True)
            )

    def finish(self, version: str) -> None:
        from qdrant_client.models import OptimizersConfigDiff

        usual = OptimizersConfigDiff(indexing_threshold=10_000)  # KiB of vectors; its own default
        self._persist(
            lambda: self.client.update_collection(self._name(version), optimizers_config=usual)
        )

    def count(self, version: str) -> int:
        return self._persist(lambda: self.client.count(self._name(version), exact=True).count)

    def search(
        self, version: str, vectors: np.ndarray, limit: int, where: Mapping[str, str]
    ) -> list[list[Hit]]:
        from qdrant_client import models

        conditions = [
            models.FieldCondition(key=key, match=models.MatchValue(value=value))
            for key, value in where.items()
        ]
        wanted = models.Filter(must=conditions) if conditions else None  # type: ignore[arg-type]
        requests = [
            models.QueryRequest(
                query=v.tolist(), using=VECTOR, limit=limit, with_payload=True, filter=wanted
            )
            for v in vectors
        ]
        answers: list[Any] = []
        for start in range(0, len(requests), QUERIES):
            part = requests[start : start + QUERIES]
            answers += self._persist(
                lambda part=part: self.client.query_batch_points(self._name(version), part)
            )
        return [[Hit(p.payload[ID], float(p.score)) for p in answer.points] for answer in answers]

    def versions(self) -> list[str]:
        """Those that were never in use first, then the previous one, then the current one."""
        collections = self._persist(self.client.get_collections).collections
        prefix, aliases = self._name(""), self._aliases()
        found = [c.name.removeprefix(prefix) for c in collections if c.name.startswith(prefix)]
        place = {aliases.get(self._previous): 1, aliases.get(self.collection): 2}
        return sorted(found, key=lambda version: (place.get(version, 0), version))

    def alias(self) -> str | None:
        return self._aliases().get(self.collection)

    @property
    def _previous(self) -> str:
        return f"{self.collection}-previous"

    def _aliases(self) -> dict[str, str]:
        aliases = self._persist(self.client.get_aliases).aliases
        return {a.alias_name: a.collection_name.removeprefix(self._name("")) for a in aliases}

    def switch(self, version: str) -> None:
        from qdrant_client import models

        def point(alias: str, at: str) -> Any:
            create = models.CreateAlias(collection_name=self._name(at), alias_name=alias)
            return models.CreateAliasOperation(create_alias=create)

        def change() -> None:
            known = self._aliases()
            current = known.get(self.collection)
            if current == version:
                return
            gone = [a for a in (self.collection, self._previous) if a in known]
            changes: list[Any] = [
                models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
                for alias in gone
            ]
            changes.append(point(self.collection, version))
            if current:
                changes.append(point(self._previous, current))
            # one request: readers see the old version or the new one, never neither
            self.client.update_collection_aliases(changes)

        self._persist(change)

    def drop(self, version: str) -> None:
        self._persist(lambda: self.client.delete_collection(self._name(version)))


def _payloads(ids: Sequence[str], payload: Payload) -> Iterator[dict[str, str]]:
    for i, product in enumerate(ids):
        yield {ID: product} | {field: values[i] for field, values in payload.items()}
