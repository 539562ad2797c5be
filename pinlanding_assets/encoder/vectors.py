"""Vectors and readings of products by their content, kept so that nothing is encoded twice."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from pinlanding_assets.encoder.features import Sides
from pinlanding_assets.encoder.model import DualEncoder
from pinlanding_assets.encoder.reader import packed
from resources.lake import ComputeCache


class Encoded(NamedTuple):
    """What the encoder makes of one content: a unit vector ``[d]``, and its packed readings, a
    byte an entry (`reader.packed`)."""

    vector: np.ndarray
    readings: bytes


def content_hash(version: str, image_hash: str | None, text: str, document: str) -> str:
    """Key of a vector; the parts are length-prefixed so that no text can imitate another key."""
    parts = (version, image_hash or "", text, document)
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


def encode_sides(model: DualEncoder, sides: Sides) -> list[Encoded]:
    """What the model makes of features that are there."""
    image, text = sides.image.cpu().numpy(), sides.text.cpu().numpy()
    has_image, has_text = sides.has_image.cpu().numpy() > 0, sides.has_text.cpu().numpy() > 0
    vectors = model.product_vectors(image, text, has_image, has_text)
    readings = packed(model.readings(sides, vectors))
    return [Encoded(vector, row.tobytes()) for vector, row in zip(vectors, readings, strict=True)]


def vector_frame(rows: Sequence[dict], encoded: Sequence[Encoded]) -> pl.DataFrame:
    """``content_hash, vector, readings`` of encoded rows, for a cache."""
    keys = pl.Series("content_hash", [row["content_hash"] for row in rows], dtype=pl.String)
    return pl.DataFrame([keys, *vector_columns(encoded, len(encoded[0].vector))])


def vector_matrix(embeddings: pl.DataFrame) -> np.ndarray:
    """The ``vector`` column as a matrix ``[n, d]`` float32."""
    return embeddings["vector"].to_numpy().reshape(embeddings.height, -1).astype(np.float32)


def vector_columns(encoded: Sequence[Encoded], dim: int) -> list[pl.Series]:
    """The columns ``vector`` (length ``dim``) and ``readings``."""
    matrix = np.array([made.vector for made in encoded], dtype=np.float32).reshape(-1, dim)
    return [
        pl.Series("vector", matrix, dtype=pl.Array(pl.Float32, dim)),
        pl.Series("readings", [made.readings for made in encoded], dtype=pl.Binary),
    ]


class CachedVectors:
    """Vectors of one model in the compute cache, by content hash."""

    def __init__(self, cache: ComputeCache, model: str) -> None:
        self.cache, self.namespace = cache, f"vectors:{model}"

    def get(self, keys: list[str]) -> dict[str, Encoded]:
        """The known ones among `keys`."""
        rows = self.cache.get(self.namespace, keys)
        if not rows.height:
            return {}
        found = zip(rows["key"], vector_matrix(rows), rows["readings"], strict=True)
        return {key: Encoded(vector, readings) for key, vector, readings in found}

    def put(self, frame: pl.DataFrame) -> None:
        """Keep rows of `content_hash`, `vector` and `readings`."""
        rows = frame.select(pl.col("content_hash").alias("key"), "vector", "readings")
        self.cache.put(self.namespace, rows)
