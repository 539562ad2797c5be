"""Labels as training targets: a product by entry matrix of what is true, false and unknown.

The rule (spec/pinlanding.md section 3): an omission is not an absence. Values of a key that a
product has a label for are negatives; keys without a label are unknown and masked out, unless
silence has a reason (`silence.py`): trousers have no sleeves. A title that names one of several
values speaks of that value alone, and a value that is too rare for the vocabulary still denies the
others.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl


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
        stated: ``[n, keys]`` bool, whether the key is stated, in the order of the spans.
    """

    product_ids: list[str]
    entries: pl.DataFrame
    spans: list[KeySpan]
    positive: np.ndarray
    weight: np.ndarray
    stated: np.ndarray

    def of(self, rows: np.ndarray) -> "Targets":
        """Those of the products at ``rows``."""
        return Targets(
            [self.product_ids[row] for row in rows],
            self.entries,
            self.spans,
            self.positive[rows],
            self.weight[rows],
            self.stated[rows],
        )

    def deny(self, sure: np.ndarray) -> None:
        """Turn what is unknown of a key into negatives, as sure as ``[n, keys]`` (in place)."""
        for number, span in enumerate(self.spans):
            block = slice(span.start, span.stop)
            unknown = self.weight[:, block].max(axis=1) == 0
            self.weight[unknown, block] = sure[unknown, number, None]


@dataclass(frozen=True)
class Told:
    """What labels and titles tell of ``n`` products.

    Attributes:
        true: ``[n, e]`` bool, whether a source that is no title says the entry.
        sure: ``[n, keys]`` in 0..1, how sure it is that nothing else of the key holds.
        titled: ``[n, e]`` bool, whether a title says the entry.
        group: ``[n]`` int; products of one group share a photo, a text, a parent or a source, and
            are one witness.
    """

    true: np.ndarray
    sure: np.ndarray
    titled: np.ndarray
    group: np.ndarray

    def of(self, rows: np.ndarray) -> "Told":
        """Of the products at ``rows``."""
        return Told(self.true[rows], self.sure[rows], self.titled[rows], self.group[rows])


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
    product_ids: list[str],
    labels: pl.DataFrame,
    entries: pl.DataFrame,
    keys: pl.DataFrame,
    stated: pl.DataFrame | None = None,
) -> Targets:
    """Targets of these products.

    Args:
        product_ids: The products, one row each; labels of other products are ignored.
        labels: ``product_id, entry_id, weight`` (0..1, how far the label is trusted). Weights of
            a label stated twice add up to at most 1. Of several values of a single-valued key the
            heaviest counts and the others are unknown.
        entries: ``entry_id, key, phrase``.
        keys: ``key, multi, role``.
        stated: ``product_id, key``: keys of which a source said all that it knows. None: those of
            all labels. Of a multi-valued key that only a title speaks of, nothing is denied.

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
    spoken = _spoken(product_ids, spans, stated)
    for number, span in enumerate(spans):
        block = slice(span.start, span.stop)
        heaviest = weight[:, block].max(axis=1)
        if stated is None:
            spoken[:, number] = heaviest > 0
        claims = positive[:, block].copy()
        if span.multi:
            heaviest = np.where(spoken[:, number], heaviest, 0.0)
        else:
            winner = np.zeros_like(claims)
            winner[np.arange(len(winner)), weight[:, block].argmax(axis=1)] = 1.0
            positive[:, block] = claims * winner
        # Negatives are as sure as the statement they follow from; a losing claim is unknown.
        weight[:, block] = np.where(
            positive[:, block] > 0,
            weight[:, block],
            np.where(claims > 0, 0.0, heaviest[:, None]),
        )
    return Targets(list(product_ids), entries, spans, positive, weight, spoken)


def _spoken(
    product_ids: list[str], spans: list[KeySpan], stated: pl.DataFrame | None
) -> np.ndarray:
    found = np.zeros((len(product_ids), len(spans)), dtype=bool)
    if stated is not None:
        row_of = {name: row for row, name in enumerate(product_ids)}
        column_of = {span.key: column for column, span in enumerate(spans)}
        for product, key in stated.select("product_id", "key").unique().iter_rows():
            if product in row_of and key in column_of:
                found[row_of[product], column_of[key]] = True
    return found


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
