"""Products to unit vectors, each distinct content once.

The key of a vector is its content: checkpoint version, image hash and text. A product seen before
with the same content is not computed again; because every pass has a fixed shape, a vector is the
same bytes whether its neighbours came from the cache or not.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from pinlanding_assets.encoder.features import compute_features, product_inputs
from pinlanding_assets.encoder.model import DualEncoder


class VectorCache(Protocol):
    """Vectors by content hash."""

    def get(self, keys: list[str]) -> dict[str, np.ndarray]:
        """The known ones among ``keys``."""
        ...

    def put(self, frame: pl.DataFrame) -> None:
        """Keep new rows ``content_hash, vector``."""
        ...


@dataclass(frozen=True)
class EncodedProducts:
    """The ``embeddings`` table and what it cost.

    Attributes:
        embeddings: ``product_id, image_hash, content_hash, vector``, sorted by product.
        computed: Vectors that the model made.
        reused: Products whose vector was known, from the cache or from an equal product.
        skipped: Products with neither image nor text.
    """

    embeddings: pl.DataFrame
    computed: int
    reused: int
    skipped: int


def content_hash(version: str, image_hash: str | None, text: str) -> str:
    """Key of a vector; the parts are length-prefixed so that no text can imitate another key."""
    parts = (version, image_hash or "", text)
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


def encode_products(
    model: DualEncoder,
    products: pl.DataFrame,
    load_image: Callable[[str], bytes],
    *,
    cache: VectorCache | None = None,
    batch_size: int = 1024,
    progress: Callable[[int, int], None] | None = None,
) -> EncodedProducts:
    """Embed products.

    Args:
        model: The encoder.
        products: Catalog rows, one a product (``product_inputs`` says which columns count).
        load_image: Bytes of an image by its hash; called once an image and batch.
        cache: Vectors known already; new ones are put into it after each batch.
        batch_size: Products whose images are in memory at once; does not change any result.
        progress: Told (vectors done, vectors to do) after each batch.

    Raises:
        ValueError: a product twice, or an image that cannot be decoded (names the hash).
    """
    rows = product_inputs(products)
    twice = rows.filter(pl.col("product_id").is_duplicated())
    if twice.height:
        raise ValueError(f"product {twice['product_id'][0]!r} is listed twice")
    usable = rows.filter((pl.col("text") != "") | pl.col("image_hash").is_not_null())
    keys = [
        content_hash(model.version, image, text)
        for image, text in zip(usable["image_hash"], usable["text"], strict=True)
    ]
    content = usable.with_columns(pl.Series("content_hash", keys, dtype=pl.String))
    distinct = content.unique("content_hash").sort("content_hash")
    known = cache.get(distinct["content_hash"].to_list()) if cache else {}
    todo = distinct.filter(~pl.col("content_hash").is_in(list(known)))
    vectors = dict(known)
    for start in range(0, todo.height, batch_size):
        part = todo.slice(start, batch_size)
        made = _encode(model, part, load_image)
        vectors.update(zip(part["content_hash"], made, strict=True))
        if cache:
            cache.put(_vector_frame(part.select("content_hash"), made, model.shape.dim))
        if progress:
            progress(min(start + batch_size, todo.height), todo.height)
    matrix = np.array([vectors[key] for key in keys], dtype=np.float32)
    frame = content.select("product_id", "image_hash", "content_hash")
    return EncodedProducts(
        _vector_frame(frame, matrix, model.shape.dim),
        computed=todo.height,
        reused=usable.height - todo.height,
        skipped=rows.height - usable.height,
    )


def vector_matrix(embeddings: pl.DataFrame) -> np.ndarray:
    """The ``vector`` column as a matrix ``[n, d]`` float32."""
    return embeddings["vector"].to_numpy().reshape(embeddings.height, -1).astype(np.float32)


def _encode(
    model: DualEncoder, part: pl.DataFrame, load_image: Callable[[str], bytes]
) -> np.ndarray:
    hashes, texts = part["image_hash"].to_list(), part["text"].to_list()
    names = sorted({name for name in hashes if name})
    sides = compute_features(model.backbone, texts, hashes, dict(_loaded(names, load_image)))
    image, text = sides.image.cpu().numpy(), sides.text.cpu().numpy()
    has_image, has_text = sides.has_image.cpu().numpy() > 0, sides.has_text.cpu().numpy() > 0
    return model.product_vectors(image, text, has_image, has_text)


def _loaded(names: list[str], load_image: Callable[[str], bytes]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        yield name, load_image(name)


def _vector_frame(frame: pl.DataFrame, vectors: np.ndarray, dim: int) -> pl.DataFrame:
    column = pl.Series("vector", vectors.reshape(-1, dim), dtype=pl.Array(pl.Float32, dim))
    return frame.with_columns(column)
