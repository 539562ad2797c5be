"""Labels as training targets: a product by entry matrix of what is true, false and unknown.

The rule (spec/pinlanding.md section 3): an omission is not an absence. Values of a key that a
product has a label for are negatives; keys without a label are unknown and masked out. One
exception keeps the encoder from giving sleeves to trousers: when products of a type practically
never carry a key that another type does carry, the key is absent for that type.
"""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import polars as pl

ABSENT_RATIO = 0.1
"""A key is absent for a product type that carries it a tenth as often as the type that carries it
most: relative, because title labels cover a third of what is true, evenly over the types."""
ABSENT_SUPPORT = 20
"""Labelled products of a type before anything is concluded from what they lack."""

NEAR_LEVELS = 3.0
"""Mean difference of two thumbnails (of 255) up to which they are one photo: copies at half size
and JPEG quality 60 stay under 3.2, different photos of real clothes over 9."""


@dataclass(frozen=True)
class KeySpan:
    """The columns ``start:stop`` of one key; ``multi`` when a product may have several values."""

    key: str
    start: int
    stop: int
    multi: bool


@dataclass(frozen=True)
class Targets:
    """What is known about ``n`` products and ``e`` entries.

    Attributes:
        product_ids: Row order.
        entries: Column order: frame ``entry_id, key, phrase``, sorted by key and entry.
        spans: One span of columns a key, in column order.
        positive: ``[n, e]`` float32, 1 where the entry holds.
        weight: ``[n, e]`` float32, how sure that is; 0 where nothing is known.
    """

    product_ids: list[str]
    entries: pl.DataFrame
    spans: list[KeySpan]
    positive: np.ndarray
    weight: np.ndarray


def key_spans(entries: pl.DataFrame, keys: pl.DataFrame) -> list[KeySpan]:
    """Spans of columns for entries that are sorted by key; a key not in ``keys`` is single."""
    multi = dict(zip(keys["key"], keys["multi"], strict=True))
    spans: list[KeySpan] = []
    for column, key in enumerate(entries["key"]):
        if spans and spans[-1].key == key:
            spans[-1] = KeySpan(key, spans[-1].start, column + 1, spans[-1].multi)
        else:
            spans.append(KeySpan(key, column, column + 1, bool(multi.get(key, False))))
    return spans


def build_targets(
    product_ids: list[str], labels: pl.DataFrame, entries: pl.DataFrame, keys: pl.DataFrame
) -> Targets:
    """Targets of these products.

    Args:
        product_ids: The products, one row each; labels of other products are ignored.
        labels: ``product_id, entry_id, weight`` (0..1, how far the label is trusted). Weights of
            a label stated twice add up to at most 1. Of several values of a single-valued key the
            heaviest counts and the others are unknown.
        entries: ``entry_id, key, phrase``.
        keys: ``key, multi, role``.

    Raises:
        ValueError: a product twice, an entry twice, or a label of an entry not in ``entries``.
    """
    for name, ids in (("product", pl.Series(product_ids)), ("entry", entries["entry_id"])):
        if ids.is_duplicated().any():
            raise ValueError(f"{name} {ids.filter(ids.is_duplicated())[0]!r} is listed twice")
    unknown = labels.join(entries, on="entry_id", how="anti")
    if unknown.height:
        raise ValueError(f"label {unknown['entry_id'][0]!r} is not an entry of the vocabulary")
    entries = entries.select("entry_id", "key", "phrase").sort("key", "entry_id")
    spans = key_spans(entries, keys)
    weight = np.zeros((len(product_ids), entries.height), dtype=np.float32)
    rows, columns, weights = _positions(product_ids, labels, entries)
    np.add.at(weight, (rows, columns), weights)
    np.minimum(weight, 1.0, out=weight)
    positive = (weight > 0).astype(np.float32)
    stated = np.zeros((len(product_ids), len(spans)), dtype=bool)
    for number, span in enumerate(spans):
        block = slice(span.start, span.stop)
        heaviest = weight[:, block].max(axis=1)
        stated[:, number] = heaviest > 0
        claims = positive[:, block].copy()
        if not span.multi:
            winner = np.zeros_like(claims)
            winner[np.arange(len(winner)), weight[:, block].argmax(axis=1)] = 1.0
            positive[:, block] = claims * winner
        # Negatives are as sure as the statement they follow from; a losing claim is unknown.
        weight[:, block] = np.where(
            positive[:, block] > 0,
            weight[:, block],
            np.where(claims > 0, 0.0, heaviest[:, None]),
        )
    _mark_absent_keys(positive, weight, stated, spans, keys)
    return Targets(list(product_ids), entries, spans, positive, weight)


def _positions(
    product_ids: list[str], labels: pl.DataFrame, entries: pl.DataFrame
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = pl.DataFrame({"product_id": product_ids}, schema={"product_id": pl.String})
    found = (
        labels.select("product_id", "entry_id", pl.col("weight").cast(pl.Float32))
        .join(rows.with_row_index("row"), on="product_id")
        .join(entries.select("entry_id").with_row_index("column"), on="entry_id")
        .sort("row", "column", "weight")
    )
    return found["row"].to_numpy(), found["column"].to_numpy(), found["weight"].to_numpy()


def _mark_absent_keys(
    positive: np.ndarray,
    weight: np.ndarray,
    stated: np.ndarray,
    spans: list[KeySpan],
    keys: pl.DataFrame,
) -> None:
    """Turn unknown keys into negatives where the product's type never carries them (in place)."""
    roles = dict(zip(keys["key"], keys["role"], strict=True)) if "role" in keys.columns else {}
    types = [span for span in spans if roles.get(span.key) == "product_type" and not span.multi]
    if not types:
        return
    of_type = positive[:, types[0].start : types[0].stop]  # [n, t]
    support = of_type.sum(axis=0)
    usable = support >= ABSENT_SUPPORT
    if usable.sum() < 2:
        return
    rate = (of_type.T @ stated.astype(np.float32)) / np.maximum(support, 1)[:, None]  # [t, keys]
    most = rate[usable].max(axis=0)
    absent = usable[:, None] & (rate < ABSENT_RATIO * most)
    missing = (of_type @ absent.astype(np.float32) > 0) & ~stated
    for number, span in enumerate(spans):
        rows = missing[:, number]
        weight[rows, span.start : span.stop] = 1.0


def image_signature(data: bytes) -> np.ndarray:
    """An 8 x 8 colour thumbnail ``[192]`` uint8: what stays of a photo rescaled and saved again."""
    from PIL import Image

    small = Image.open(io.BytesIO(data)).convert("RGB").resize((8, 8), Image.Resampling.BOX)
    return np.asarray(small).reshape(-1)


def near_duplicates(signatures: np.ndarray) -> np.ndarray:
    """Group number of each signature ``[n, 192]``; near ones share it (``NEAR_LEVELS``)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    n = len(signatures)
    fine = signatures.astype(np.float32)
    # Quadrant means differ no more than the thumbnails do: an exact and cheap first sieve.
    coarse = fine.reshape(n, 2, 4, 2, 4, 3).mean(axis=(2, 4)).reshape(n, 12)
    pairs = KDTree(coarse).query_pairs(NEAR_LEVELS * 12, p=1, output_type="ndarray")
    near = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), 100_000):
        a, b = pairs[start : start + 100_000].T
        near[start : start + len(a)] = np.abs(fine[a] - fine[b]).mean(axis=1) <= NEAR_LEVELS
    rows, columns = pairs[near].T
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def group_folds(groups: list[str], folds: int, seed: int) -> np.ndarray:
    """Fold number of each row; rows of one group share a fold. Seeded and order-free.

    Raises:
        ValueError: fewer groups than folds.
    """
    names, inverse, counts = np.unique(
        np.asarray(groups, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    if len(names) < folds:
        raise ValueError(f"{len(names)} distinct products cannot be split in {folds} folds")
    shuffled = sorted(
        range(len(names)), key=lambda g: hashlib.sha256(f"{seed}|{names[g]}".encode()).digest()
    )
    fold_of, sizes = np.zeros(len(names), dtype=np.int64), np.zeros(folds, dtype=np.int64)
    for group in shuffled:
        fold = int(sizes.argmin())
        fold_of[group] = fold
        sizes[fold] += counts[group]
    return fold_of[inverse]
