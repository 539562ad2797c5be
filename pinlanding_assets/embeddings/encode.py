"""Products to unit vectors, each distinct content once.

The key of a vector is its content: checkpoint version, image hash and text. A product seen before
with the same content is not computed again; because every pass has a fixed shape, a vector is the
same bytes whether its neighbours came from the cache or not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from pinlanding_assets.encoder.features import compute_features, product_inputs
from pinlanding_assets.encoder.model import DualEncoder
from pinlanding_assets.encoder.vectors import (
    Encoded,
    content_hash,
    encode_sides,
    vector_columns,
    vector_frame,
)

if TYPE_CHECKING:
    from PIL import Image

BATCH = 1024
"""Products whose images are in memory at once."""
TEXTS = {"content_hash": pl.String, "reason": pl.String}


class VectorCache(Protocol):
    """What was encoded, by content hash."""

    def get(self, keys: list[str]) -> dict[str, Encoded]:
        """The known ones among ``keys``."""
        ...

    def put(self, frame: pl.DataFrame) -> None:
        """Keep new rows ``content_hash, vector, readings``."""
        ...


@dataclass(frozen=True)
class EncodedProducts:
    """The ``embeddings`` table and what it cost.

    Attributes:
        embeddings: ``product_id, image_hash, content_hash, vector, readings``, by product.
        rejects: ``product_id, image_hash, reason`` of products that could not be encoded.
        computed: Vectors that the model made.
        reused: Products whose vector was known, from the cache or from an equal product.
        skipped: Products with neither image nor text.
    """

    embeddings: pl.DataFrame
    computed: int
    reused: int
    skipped: int
    rejects: pl.DataFrame


REJECTS_SCHEMA = {"product_id": pl.String, "image_hash": pl.String, "reason": pl.String}


def encode_products(
    model: DualEncoder,
    products: pl.DataFrame,
    load_image: Callable[[str], bytes],
    *,
    cache: VectorCache | None = None,
    batch_size: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> EncodedProducts:
    """Embed products with a model in this process.

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

    def encode(rows: list[dict]) -> list[Encoded]:
        made: list[Encoded] = []
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            names = sorted({row["image_hash"] for row in part if row["image_hash"]})
            encoded = encode_batch(model, part, {name: load_image(name) for name in names})
            made += encoded
            if cache:
                cache.put(vector_frame(part, encoded))
            if progress:
                progress(min(start + batch_size, len(rows)), len(rows))
        return made

    return embed(model.version, model.shape.dim, products, cache.get if cache else None, encode)


def embed(
    version: str,
    dim: int,
    products: pl.DataFrame,
    known: Callable[[list[str]], dict[str, Encoded]] | None,
    encode: Callable[[list[dict]], Sequence[Any]],
) -> EncodedProducts:
    """Vectors of products, each distinct content once.

    Args:
        version: Of the encoder; equal versions, equal vectors.
        dim: Length of a vector.
        products: Catalog rows, one a product.
        known: Cache look-up: content hashes to what is there.
        encode: Rows of ``content_hash, image_hash, text, document`` to an `Encoded` each, in order;
            what is none, but has a ``reason``, could not be encoded.

    Raises:
        ValueError: a product twice.
    """
    rows = product_inputs(products)
    twice = rows.filter(pl.col("product_id").is_duplicated())
    if twice.height:
        raise ValueError(f"product {twice['product_id'][0]!r} is listed twice")
    usable = rows.filter((pl.col("text") != "") | pl.col("image_hash").is_not_null())
    keys = [
        content_hash(version, image, text, document)
        for image, text, document in usable.select("image_hash", "text", "document").iter_rows()
    ]
    content = usable.with_columns(pl.Series("content_hash", keys, dtype=pl.String))
    distinct = content.unique("content_hash").sort("content_hash")
    vectors: dict[str, Any] = dict(known(distinct["content_hash"].to_list())) if known else {}
    todo = distinct.filter(~pl.col("content_hash").is_in(list(vectors)))
    missing = todo.select("content_hash", "image_hash", "text", "document").to_dicts()
    vectors |= zip(todo["content_hash"], encode(missing), strict=True)
    bad = {key: made.reason for key, made in vectors.items() if not isinstance(made, Encoded)}
    reasons = pl.DataFrame({"content_hash": list(bad), "reason": list(bad.values())}, TEXTS)
    good = content.filter(~pl.col("content_hash").is_in(list(bad)))
    made = [vectors[key] for key in good["content_hash"]]
    frame = good.select("product_id", "image_hash", "content_hash")
    return EncodedProducts(
        frame.with_columns(*vector_columns(made, dim)),
        computed=todo.height - len(bad),
        reused=usable.height - todo.height,
        skipped=rows.height - usable.height,
        rejects=content.join(reasons, on="content_hash")
        .select(list(REJECTS_SCHEMA))
        .sort("product_id"),
    )


def encode_batch(
    model: DualEncoder, rows: Sequence[dict], images: "Mapping[str, bytes | Image.Image]"
) -> list[Encoded]:
    """Vectors and readings of rows with ``image_hash, text, document``.

    Raises:
        ValueError: an image that cannot be decoded (names the hash).
    """
    texts, documents = [row["text"] for row in rows], [row["document"] for row in rows]
    hashes = [row["image_hash"] for row in rows]
    sides = compute_features(model.backbone, texts, documents, hashes, images)
    return encode_sides(model, sides)
