"""How good the attributes and pages are where no truth is known: by the catalog's own labels.

They rest on `dual_encoder.estimates`: what the product says of labelled products whose labels were
hidden from it. They hold for products without labels as far as these are like the labelled ones.
Intervals take statements to be independent of each other.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from pinlanding_assets.scorecard.figures import RESAMPLES, Figure, frame, interval, share
from pinlanding_assets.scorecard.metrics import FIRST

HELD_OUT = "held_out"  # what the figures rest on


def estimated_figures(
    estimates: pl.DataFrame,
    assignments: pl.DataFrame,
    stated: pl.DataFrame,
    collections: pl.DataFrame,
    items: pl.DataFrame,
    *,
    seed: int = 0,
) -> pl.DataFrame:
    """The figures `estimated.*`, `statements.*` and `never_assigned.*`.

    Args:
        estimates: `dual_encoder.estimates`.
        assignments: `product_attributes.assignments` of the catalog as it stands.
        stated: product_id, entry_id: what the catalog itself states.
        collections, items: Tables of `collections`.
        seed: Of the interval of P@10.
    """
    by_catalog = stated.select("product_id", "entry_id", known=pl.lit(True)).unique()
    told = assignments.join(by_catalog, on=["product_id", "entry_id"], how="left").with_columns(
        pl.col("known").fill_null(False)
    )
    source = pl.when("known").then(pl.lit("catalog")).otherwise("source").alias("source")
    counts = dict(told.select(source)["source"].value_counts().sort("source").iter_rows())
    never = estimates.filter(pl.col("never") == pl.col("entries")).height
    accepted = collections.filter(pl.col("accepted"))
    return frame(
        [
            *_held_out(estimates, ""),
            *(
                figure
                for key in estimates["key"]
                for figure in _held_out(estimates.filter(key=key), f".{key}")
            ),
            *(share(f"statements.{of}", n, told.height, "count") for of, n in counts.items()),
            _count("entries", int(estimates["never"].sum()), int(estimates["entries"].sum())),
            _count("keys", never, estimates.height),
            *_p_at_10(items.join(accepted, on="topic_id", how="semi"), told, estimates, seed),
        ]
    )


def _held_out(estimates: pl.DataFrame, of: str) -> Iterator[Figure]:
    """Precision, recall and coverage of some keys together; statements count by their weight."""
    right, stated = float(estimates["right"].sum()), float(estimates["stated"].sum())
    labelled = int(estimates["labelled"].sum())
    covered = float((estimates["coverage"] * estimates["labelled"]).sum())
    yield share(f"estimated.precision{of}", round(right), round(stated), HELD_OUT)
    yield share(f"estimated.recall{of}", round(right), int(estimates["labels"].sum()), HELD_OUT)
    yield share(f"estimated.coverage{of}", round(covered), labelled, HELD_OUT)


def _count(what: str, value: int, n: int) -> Figure:
    return Figure(f"never_assigned.{what}", value, n=n, unit=what, basis="count")


def _p_at_10(
    items: pl.DataFrame, told: pl.DataFrame, estimates: pl.DataFrame, seed: int
) -> Iterator[Figure]:
    """P@10 as the labels let it be expected, its share of pages, and that of inferred items.

    An attribute that the catalog itself states of an item is right. Any other is right with its
    calibrated probability, less what the statements of its key said too much on hidden labels (the
    gap). An item is right if all attributes of its page are, taken to be independent. A page is
    left out where an attribute is of a key that nothing was said of on hidden labels. The interval
    covers the choice of pages, what may be true of the items, and the precision of the keys.
    """
    parts = (
        items.filter(pl.col("rank") <= FIRST)
        .select("topic_id", "rank", "product_id", entry_id="entries")
        .explode("entry_id")
        .join(
            told.select("product_id", "entry_id", "key", "p", "known"),
            on=["product_id", "entry_id"],
        )
        .join(
            estimates.filter(pl.col("stated") > 0).select("key", "right", "stated", "said"),
            on="key",
            how="left",
        )
    )
    all_pages = parts["topic_id"].n_unique()
    unknown = parts.filter(~pl.col("known") & pl.col("said").is_null())
    parts = parts.join(unknown, on="topic_id", how="anti").sort("topic_id", "rank", "entry_id")
    pages = parts["topic_id"].n_unique()
    yield share("estimated.pages", pages, all_pages, "count")
    if not pages:
        yield Figure("estimated.p_at_10", None, basis=HELD_OUT)
        yield Figure("estimated.p_at_10.inferred", None, basis=HELD_OUT)
        return
    known, p = parts["known"].to_numpy(), parts["p"].to_numpy()
    right, stated, said = (
        parts[name].fill_null(1.0).to_numpy() for name in ("right", "stated", "said")
    )
    item = _starts(parts.select("topic_id", "rank"))
    page = _starts(parts[item.tolist()].select("topic_id"))
    size = np.diff(np.append(page, len(item)))

    def holds(precision: np.ndarray) -> np.ndarray:
        """How likely each item is right."""
        sure = np.where(known, 1.0, np.clip(p - (said - precision), 0.0, 1.0))
        return np.multiply.reduceat(sure, item)

    likely = holds(right / stated)
    value = float((np.add.reduceat(likely, page) / size).mean())
    random = np.random.default_rng(seed)
    _, first, of = np.unique(parts["key"].to_numpy(), return_index=True, return_inverse=True)
    draws = []
    for _ in range(RESAMPLES):
        precision = random.beta(right[first] + 0.5, (stated - right)[first] + 0.5)[of]
        correct = random.random(len(item)) < holds(precision)
        by_page = np.add.reduceat(correct.astype(np.float64), page) / size
        draws.append(by_page[random.integers(pages, size=pages)].mean())
    yield Figure("estimated.p_at_10", value, *interval(np.array(draws)), pages, basis=HELD_OUT)
    inferred = likely[np.add.reduceat(~known, item) > 0]
    told_of = float(inferred.mean()) if len(inferred) else None
    yield Figure("estimated.p_at_10.inferred", told_of, n=len(inferred), basis=HELD_OUT)


def _starts(rows: pl.DataFrame) -> np.ndarray:
    """Where runs of equal rows begin."""
    return np.flatnonzero(rows.to_struct("row").rle_id().diff().fill_null(1).to_numpy())
