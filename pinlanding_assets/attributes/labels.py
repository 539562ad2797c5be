"""One training label where the sources of attributes contradict each other.

Each source has a reliability per key, measured by how well it agrees with the others: the one-coin
form of Dawid and Skene (1979). A few rounds of EM; a fixed prior keeps small samples sane and
decides between two sources that nothing else tells apart.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

LABELS_SCHEMA = {
    "product_id": pl.String,
    "entry_id": pl.String,
    "key": pl.String,
    "value": pl.String,
    "weight": pl.Float64,
    "source": pl.String,
}
# Believed before anything is measured, with the weight of `_PRIOR_COUNT` products.
_PRIOR = {"catalog": 0.95, "title": 0.9, "vlm": 0.85}
_OTHER_PRIOR = 0.8
_PRIOR_COUNT = 10.0
_ROUNDS = 20


def resolve_labels(
    mentions: pl.DataFrame, aliases: pl.DataFrame, keys: pl.DataFrame
) -> pl.DataFrame:
    """Labels of the described products.

    Args:
        mentions: Table `mentions`.
        aliases: Table `aliases`; raw values that were dropped label nothing.
        keys: Table `keys`; single-valued keys get one label a product, multi-valued ones all.

    Returns:
        product_id, entry_id, key, value, weight (probability that the label is right), source (the
        most reliable one that says it), sorted by product, key and entry.
    """
    entry = pl.col("entry_id").str.splitn("=", 2)
    votes = (
        mentions.join(
            aliases.filter(pl.col("entry_id").is_not_null()).select(
                "key", pl.col("raw_value").alias("value"), "entry_id"
            ),
            on=["key", "value"],
        )
        .select(
            *("product_id", "source", pl.col("image_hash").fill_null(""), "entry_id"),
            entry.struct[0].alias("key"),
            entry.struct[1].alias("value"),
        )
        .unique()
        # a source has one vote a product and key, shared by all that it says there
        .with_columns(
            (1 / pl.len().over("product_id", "source", "key").cast(pl.Float64)).alias("share")
        )
        .sort("product_id", "key", "entry_id", "source", "image_hash")
        .group_by("product_id", "key", "value", "entry_id", "source", maintain_order=True)
        .agg(pl.col("share").sum())
        .join(keys.select("key", "multi", "values"), on="key", maintain_order="left")
    )
    parts = []
    for (_, multi), part in sorted(
        votes.partition_by("key", "multi", as_dict=True, maintain_order=True).items()
    ):
        parts.append(_confirmed(part) if multi else _elected(part))
    empty = pl.DataFrame(schema=LABELS_SCHEMA)
    labels = pl.concat([empty, *(part.select(LABELS_SCHEMA.keys()) for part in parts)])
    return labels.sort("product_id", "key", "entry_id")


def _codes(column: pl.Series) -> tuple[NDArray[np.int64], list]:
    """Numbers of the values in sorted order, and the values."""
    names = column.unique().sort()
    return names.search_sorted(column).to_numpy().astype(np.int64), names.to_list()


def _priors(sources: list[str]) -> NDArray[np.float64]:
    return np.array([_PRIOR.get(source, _OTHER_PRIOR) for source in sources])


def _elected(votes: pl.DataFrame) -> pl.DataFrame:
    """One key of one value a product: the most probable value, with its probability."""
    candidates = votes.select("product_id", "entry_id").unique(maintain_order=True).with_row_index()
    rows = votes.join(candidates, on=["product_id", "entry_id"], maintain_order="left")
    candidate = rows["index"].to_numpy().astype(np.int64)
    product, _ = _codes(candidates["product_id"])
    source, sources = _codes(rows["source"])
    share = rows["share"].to_numpy()
    priors, accuracy = _priors(sources), _priors(sources)
    # what a source that errs says instead: one of the other values, all alike
    errors = max(int(votes["values"][0]) - 1, 1)
    per_product = np.bincount(product, minlength=1)
    speaking = np.bincount(
        product[candidate], weights=share, minlength=len(per_product)
    )  # number of sources that speak about the product
    contested = share * (speaking[product[candidate]] > 1.5)
    for _ in range(_ROUNDS):
        odds = np.log(accuracy * errors / (1 - accuracy))
        score = np.bincount(candidate, weights=share * odds[source], minlength=len(candidates))
        top = np.full(len(per_product), -np.inf)
        np.maximum.at(top, product, score)
        likelihood = np.exp(score - top[product])
        # the values that nobody named stay possible, at odds 1
        unnamed = np.maximum(errors + 1 - per_product, 0) * np.exp(-top)
        total = np.bincount(product, weights=likelihood, minlength=len(per_product)) + unnamed
        posterior = likelihood / total[product]
        # only where another source speaks too is there anything to agree with
        agreed = np.bincount(
            source, weights=contested * posterior[candidate], minlength=len(sources)
        )
        asked = np.bincount(source, weights=contested, minlength=len(sources))
        accuracy = (agreed + _PRIOR_COUNT * priors) / (asked + _PRIOR_COUNT)
        # better than chance and never sure: keeps the odds finite and their sign positive
        accuracy = np.clip(accuracy, 1.5 / (errors + 1.5), 0.999)
    chosen = candidates.with_columns(
        pl.Series("weight", np.round(posterior, 6)), pl.Series("score", np.round(score, 6))
    ).sort(["product_id", "score", "entry_id"], descending=[False, True, False])
    chosen = chosen.unique("product_id", keep="first", maintain_order=True)
    return _with_source(chosen, rows, accuracy[source])


def _confirmed(votes: pl.DataFrame) -> pl.DataFrame:
    """One key of several values: every value, with the chance that one of its sources is right."""
    source, sources = _codes(votes["source"])
    agreed = votes.select(pl.len().over("product_id", "entry_id") > 1).to_series().to_numpy()
    confirmed = np.bincount(source, weights=agreed, minlength=len(sources))
    # a source can be confirmed on no more values than the less talkative side names at all
    own = votes.group_by("product_id", "source").agg(pl.len().alias("own"))
    theirs = (
        own.select("product_id", "source", "own")
        .join(votes.select("product_id", pl.col("source").alias("other"), "entry_id"), "product_id")
        .filter(pl.col("source") != pl.col("other"))
        .group_by("product_id", "source")
        .agg(pl.min_horizontal(pl.col("own").first(), pl.col("entry_id").n_unique()).alias("asked"))
    )
    totals = dict(theirs.group_by("source").agg(pl.col("asked").sum()).iter_rows())
    asked = np.array([totals.get(name, 0) for name in sources], np.float64)
    accuracy = (confirmed + _PRIOR_COUNT * _priors(sources)) / (asked + _PRIOR_COUNT)
    accuracy = np.minimum(accuracy, 0.999)
    chosen = (
        votes.with_columns(pl.Series("doubt", np.log1p(-accuracy[source])))
        .group_by("product_id", "entry_id", maintain_order=True)
        .agg((1 - pl.col("doubt").sum().exp()).round(6).alias("weight"))
    )
    return _with_source(chosen, votes, accuracy[source])


def _with_source(
    chosen: pl.DataFrame, rows: pl.DataFrame, reliability: NDArray[np.float64]
) -> pl.DataFrame:
    best = (
        rows.with_columns(pl.Series("reliability", np.round(reliability, 6)))
        .sort(["reliability", "source"], descending=[True, False], maintain_order=True)
        .unique(["product_id", "entry_id"], keep="first", maintain_order=True)
    )
    return chosen.select("product_id", "entry_id", "weight").join(
        best.select("product_id", "entry_id", "key", "value", "source"),
        on=["product_id", "entry_id"],
        maintain_order="left",
    )
