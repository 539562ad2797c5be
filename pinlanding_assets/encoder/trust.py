"""What to learn from statements: how far titles are trusted, and what silence means."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pinlanding_assets.encoder.features import Sides
from pinlanding_assets.encoder.reader import Lens
from pinlanding_assets.encoder.silence import absence
from pinlanding_assets.encoder.targets import KeySpan, Targets, Told, build_targets, key_spans

if TYPE_CHECKING:
    from scipy import sparse

TITLE = 0.92
"""How often a title is right before anything is known; it has the weight of `PRIOR` products."""
PRIOR = 5.0
TRUST_SCHEMA = {"entry_id": pl.String, "trust": pl.Float64, "said": pl.Int64}


@dataclass(frozen=True)
class Learnt:
    """What there is to learn.

    Attributes:
        targets: What is known of the products.
        title_trust: The table: ``entry_id, trust, said``, by entry.
        told: What both were learned from.
        by_title: ``[n, keys]`` bool: the title alone says what the product has.
    """

    targets: Targets
    title_trust: pl.DataFrame
    told: Told
    by_title: np.ndarray


def learn_targets(
    product_ids: list[str],
    labels: pl.DataFrame,
    statements: pl.DataFrame,
    entries: pl.DataFrame,
    keys: pl.DataFrame,
    sides: Sides,
    fold: np.ndarray,
    group: np.ndarray,
) -> Learnt:
    """Targets of these products.

    What the catalog or the model that sees says of a key is all that it knows of it: a value that
    the vocabulary lacks denies the others, and so does silence where it has a reason. A title says
    what it says, and counts as far as those two agree with it; where neither speaks of a key at
    all, what a title names denies the other values.

    Args:
        product_ids: ``[n]``, the rows of ``sides`` and ``fold``.
        labels: ``product_id, entry_id, weight``.
        statements: ``product_id, source, key, entry_id``.
        entries: ``entry_id, key, phrase``.
        keys: ``key, multi, role``.
        sides: Features of the products.
        fold: Fold of each product.
        group: Group of each product (`folds.joined`).
    """
    row_of = pl.DataFrame({"product_id": product_ids}).with_row_index("row")
    ordered = entries.select("entry_id", "key").sort("key", "entry_id").with_row_index("column")
    spans = key_spans(ordered, keys)
    number = {span.key: at for at, span in enumerate(spans)}
    told = statements.join(row_of, on="product_id").filter(pl.col("key").is_in(list(number)))
    whole, titles = told.filter(pl.col("source") != "title"), told.filter(source="title")
    stated, asked = _asked(
        whole, statements.join(row_of, on="product_id"), len(product_ids), number
    )
    lacking = absence(_features(sides), stated, asked, fold)

    known = Told(
        _pairs(whole, ordered, len(product_ids)),
        np.where(stated, 1.0, lacking),
        _pairs(titles, ordered, len(product_ids)),
        group,
    )
    table = title_trust(known, ordered["entry_id"], spans)
    by_title = titles.drop_nulls("entry_id").join(whole, on=["product_id", "key"], how="anti")
    doubted = (
        labels.select("product_id", "entry_id", "weight")
        .join(by_title.select("product_id", "entry_id").unique(), on=["product_id", "entry_id"])
        .join(table, on="entry_id")
        # one that is as often wrong as right says nothing
        .with_columns(weight=2 * pl.min_horizontal("weight", "trust") - 1)
        .filter(pl.col("weight") > 0)
    )
    sure = labels.select("product_id", "entry_id", "weight").join(
        by_title, on=["product_id", "entry_id"], how="anti"
    )
    heard = pl.concat([sure, doubted.select(sure.columns)])
    # Of a key that titles alone speak of, they are all that can tell its values apart.
    alone = titles.join(whole, on="key", how="anti")
    spoken = pl.concat([whole, alone]).select("product_id", "key")
    targets = build_targets(product_ids, heard, entries, keys, spoken)
    targets = replace(targets, stated=stated)
    targets.deny(known.sure)
    named = [known.titled[:, span.start : span.stop].any(axis=1) for span in spans]
    return Learnt(targets, table, known, np.stack(named, axis=1) & ~stated)


def title_trust(told: Told, entry_ids: pl.Series, spans: Sequence[KeySpan]) -> pl.DataFrame:
    """The table ``entry_id, trust, said``: how often a title that names the entry is right, and
    how many groups of products have one that does; a group is one witness."""
    trust, counts = np.zeros(len(entry_ids)), witness(told)
    for at, span in enumerate(spans):
        block = slice(span.start, span.stop)
        true, named = told.true[:, block], counts[:, block]
        hits = (named * true).sum(axis=0)
        misses = (named * ~true * told.sure[:, at, None]).sum(axis=0)
        of_key = (hits.sum() + PRIOR * TITLE) / (hits.sum() + misses.sum() + PRIOR)
        trust[block] = (hits + PRIOR * of_key) / (hits + misses + PRIOR)
    columns = [entry_ids, pl.Series("trust", trust), pl.Series("said", counts.sum(axis=0).round())]
    return pl.DataFrame(columns).cast(TRUST_SCHEMA)  # type: ignore[arg-type]


def witness(told: Told) -> np.ndarray:
    """What each title counts for an entry ``[n, e]``: one over the titles of its group that name
    the entry; 0 where none does."""
    _, number = np.unique(told.group, return_inverse=True)
    named = np.zeros((number.max(initial=-1) + 1, told.titled.shape[1]))
    np.add.at(named, number, told.titled)
    return 1.0 / np.maximum(named, 1.0)[number] * told.titled


def _asked(
    whole: pl.DataFrame, described: pl.DataFrame, n: int, number: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Which keys are stated of a product, and of which a source that knows the key could have
    spoken, both ``[n, keys]``."""
    stated, asked = np.zeros((n, len(number)), dtype=bool), np.zeros((n, len(number)), dtype=bool)
    rows, columns = whole["row"].to_numpy(), [number[key] for key in whole["key"]]
    stated[rows, columns] = True
    for source in whole["source"].unique().sort():
        keys = whole.filter(source=source)["key"].unique().sort()
        known = np.array([number[key] for key in keys])
        there = described.filter(source=source)["row"].unique().to_numpy()
        asked[np.ix_(there, known)] = True
    return stated, asked


def _pairs(told: pl.DataFrame, ordered: pl.DataFrame, n: int) -> np.ndarray:
    """Whether the entry is said of the product, ``[n, e]``."""
    found = np.zeros((n, ordered.height), dtype=bool)
    at = told.drop_nulls("entry_id").join(ordered.select("entry_id", "column"), on="entry_id")
    found[at["row"].to_numpy(), at["column"].to_numpy()] = True
    return found


def _features(sides: Sides) -> "sparse.csr_array":
    """Words and photo side by side."""
    from scipy import sparse

    rows = np.arange(len(sides.documents))
    found = Lens.of(sides, rows).features(sides, rows)
    parts = [sparse.csr_array(found[kind]) for kind in ("words", "photo") if kind in found]
    return sparse.csr_array(sparse.hstack(parts))
