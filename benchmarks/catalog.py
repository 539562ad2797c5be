"""Products for benchmarks: with rendered photos in a lake, or millions of them as tables alone."""

import hashlib

import numpy as np
import polars as pl

from resources.lake import Lake
from sandbox.photos import encode_jpeg
from sandbox.products import product, sku_of
from sandbox.renderer import render
from sandbox.vocabulary import (
    CATEGORIES,
    COLOUR_WEIGHTS,
    PATTERN_WEIGHTS,
    REQUIRED,
    VALUES,
)

DIM = 128  # of the sandbox's vectors
SELLERS = 5_000
LEAST_P = 0.6  # of an attribute that a product got


def rendered(lake: Lake, products: int) -> pl.DataFrame:
    """Puts photos of 64 px into the lake -> product_id, title, description, images."""
    rows = []
    for index in range(products):
        item = product(0, index)
        photo = encode_jpeg(render(item.attributes, item.look, size=64))
        name = hashlib.sha256(photo).hexdigest()
        lake.put_image(name, photo)
        rows.append((sku_of(index), item.title, item.description, [name]))
    return pl.DataFrame(rows, schema=["product_id", "title", "description", "images"], orient="row")


def vocabulary() -> tuple[pl.DataFrame, pl.DataFrame]:
    """`attribute_vocabulary.entries` and `.keys`."""
    rows = [(f"{k}={v}", k, v, v, 100, 100, 5.0, 4.0) for k, vs in VALUES.items() for v in vs]
    names = ["entry_id", "key", "value", "phrase", "products", "mentions"]
    entries = pl.DataFrame(rows, schema=[*names, "searchability", "coherence"], orient="row")
    keys = pl.DataFrame(
        {
            "key": list(VALUES),
            "multi": [False] * len(VALUES),
            "role": ["product_type", *["attribute"] * (len(VALUES) - 1)],
        }
    )
    return entries, keys


def drawn(
    products: int, seed: int = 0, first: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """`product_attributes.assignments`, `catalog.products`, `product_embeddings.embeddings`.

    Attributes are distributed as the sandbox's are; vectors are random around their kind. The
    products' numbers start at `first`.
    """
    rng = np.random.default_rng(seed)
    ids = pl.Series("product_id", [f"P{first + n:08d}" for n in range(products)])
    kinds = list(CATEGORIES)
    weights = np.array([CATEGORIES[kind].weight for kind in kinds])
    kind = rng.choice(len(kinds), products, p=weights / weights.sum()).astype(np.int16)
    parts = [_assigned(ids, np.arange(products), kind, "category", rng)]
    for key, shares in (("colour", COLOUR_WEIGHTS), ("pattern", PATTERN_WEIGHTS)):
        chosen = rng.choice(len(shares), products, p=np.array(shares) / sum(shares))
        parts.append(_assigned(ids, np.arange(products), chosen, key, rng))
    for number, name in enumerate(kinds):
        rows = np.flatnonzero(kind == number)
        made_of = CATEGORIES[name].materials
        share = np.array(list(made_of.values()), dtype=float)
        codes = np.array([VALUES["material"].index(value) for value in made_of])
        chosen = codes[rng.choice(len(share), len(rows), p=share / share.sum())]
        parts.append(_assigned(ids, rows, chosen, "material", rng))
        for key, values in CATEGORIES[name].optional.items():
            assert key not in REQUIRED
            codes = np.array([VALUES[key].index(value) for value in values])
            parts.append(
                _assigned(ids, rows, codes[rng.integers(len(codes), size=len(rows))], key, rng)
            )
    centre = rng.standard_normal((len(kinds), DIM), dtype=np.float32)
    vectors = centre[kind] + 2 * rng.standard_normal((products, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shelf = pl.DataFrame(
        {
            "product_id": ids,
            "title": [f"{kinds[k]} {n}" for n, k in enumerate(kind)],
            "images": pl.Series([[f"i{n}"] for n in range(products)], dtype=pl.List(pl.String)),
            "seller": pl.Series(rng.integers(SELLERS, size=products)).cast(pl.String),
            "availability": np.where(rng.random(products) < 0.9, "in_stock", "out_of_stock"),
        }
    )
    column = pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, DIM))
    return pl.concat(parts), shelf, pl.DataFrame({"product_id": ids, "vector": column})


def _assigned(
    ids: pl.Series, rows: np.ndarray, codes: np.ndarray, key: str, rng: np.random.Generator
) -> pl.DataFrame:
    values = pl.Series(list(VALUES[key])).gather(codes)
    return pl.DataFrame(
        {
            "product_id": ids.gather(rows),
            "entry_id": key + "=" + values,
            "key": pl.repeat(key, len(rows), eager=True),
            "value": values,
            "p": rng.uniform(LEAST_P, 0.999, len(rows)),
            "source": pl.repeat("encoder", len(rows), eager=True),
        }
    )
