"""How good the collections and the attributes are, against the truth where there is one.

P@10 with an item right only if every attribute of its topic holds (PinLanding section 6); intervals
by bootstrap over topics.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.collections.gates import sellable
from pinlanding_assets.topics.words import content

FIGURES_SCHEMA = {
    "name": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n": pl.Int64,
    "unit": pl.String,
}
JUDGEMENTS_SCHEMA = {
    "arm": pl.String,
    "topic_id": pl.String,
    "rank": pl.Int64,
    "product_id": pl.String,
    "correct": pl.Boolean,
}
FIRST = 10  # the ten of P@10
GOOD = 0.9  # P@10 of a topic that counts
_RESAMPLES = 2_000


class Figure(NamedTuple):
    """One number of the scorecard; a value of None means that it cannot be known."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = "share"


def scorecard(
    arms: Mapping[str, tuple[pl.DataFrame, pl.DataFrame]],
    assignments: pl.DataFrame,
    mentions: pl.DataFrame,
    products: pl.DataFrame,
    entries: pl.DataFrame,
    aliases: pl.DataFrame,
    truth: pl.DataFrame | None,
    *,
    seed: int = 0,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All figures, and the judgement of every item they rest on -> (figures, judgements).

    Args:
        arms: Name -> (collections, items); the first is ours, the second the baseline.
        assignments: `product_attributes.assignments`.
        mentions: `vlm_attributes.mentions`: the labels, by source.
        products: `catalog.products` as of now.
        entries: `attribute_vocabulary.entries`.
        aliases: `attribute_vocabulary.aliases`.
        truth: product_id, key, value; None: what needs it is null, the rest is computed.
        seed: Of the bootstrap.
    """
    naming = _naming(entries, aliases)
    holds = None
    if truth is not None:
        holds = _named(truth, naming).filter(pl.col("product_id").is_in(products["product_id"]))
    on_sale = sellable(products)["product_id"].unique().sort()
    figures: list[Figure] = []
    judgements = [pl.DataFrame(schema=JUDGEMENTS_SCHEMA)]
    precision: list[np.ndarray] = []
    good: list[int] = []
    for arm, (collections, items) in arms.items():
        accepted = collections.filter(pl.col("accepted"))
        judged = _judge(arm, accepted, items, holds)
        judgements.append(judged)
        by_topic = judged.group_by("topic_id").agg(p=pl.col("correct").mean()).sort("topic_id")
        precision.append(by_topic["p"].to_numpy())
        good.append(_unique(accepted.join(by_topic.filter(pl.col("p") >= GOOD), on="topic_id")))
        shown = on_sale.is_in(items["product_id"].unique().to_list()).sum()
        figures += [
            Figure(f"{arm}.accepted", accepted.height, n=collections.height, unit="topics"),
            Figure(f"{arm}.unique_topics", _unique(accepted), n=accepted.height, unit="topics"),
            _share(f"{arm}.coverage", int(shown), len(on_sale)),
            _mean_of_topics(f"{arm}.p_at_10", precision[-1], seed),
            Figure(
                f"{arm}.unique_good_topics",
                None if holds is None else good[-1],
                n=by_topic.height,
                unit="topics",
            ),
        ]
    if len(arms) >= 2:
        figures += _comparison(precision[0], precision[1], good[0], good[1], seed)
    figures += _attribute_figures("attributes", assignments, holds, products["product_id"])
    labels = _named(mentions, naming)
    for source in sorted(mentions["source"].unique()):
        of_source = labels.filter(pl.col("source") == source)
        figures += _attribute_figures(f"labels.{source}", of_source, holds, of_source["product_id"])
    described = on_sale.is_in(assignments["product_id"].unique().to_list()).sum()
    figures.append(_share("attributes.coverage", int(described), len(on_sale)))
    return (
        pl.DataFrame(figures, schema=FIGURES_SCHEMA, orient="row", strict=False),
        pl.concat(judgements).sort("arm", "topic_id", "rank"),
    )


def _naming(entries: pl.DataFrame, aliases: pl.DataFrame) -> dict[tuple[str, str], str]:
    """(folded key, folded value) -> entry id, from the vocabulary's values and then its aliases."""
    spelt = [*entries.select("key", "value", "entry_id").sort("entry_id").iter_rows()]
    named = aliases.drop_nulls("entry_id").select("key", "raw_value", "entry_id")
    spelt += named.sort("key", "raw_value").iter_rows()
    naming: dict[tuple[str, str], str] = {}
    for key, value, entry_id in spelt:
        naming.setdefault((fold(key), fold(value)), entry_id)
    return naming


def _named(pairs: pl.DataFrame, naming: Mapping[tuple[str, str], str]) -> pl.DataFrame:
    """Pairs (key, value) with their entry_id; a value outside the vocabulary gets an own one."""
    spellings = pairs.select("key", "value").unique(maintain_order=True)
    found = [
        naming.get((fold(key), fold(value)), f"{fold(key)}={fold(value)} (no entry)")
        for key, value in spellings.iter_rows()
    ]
    known = spellings.with_columns(pl.Series("entry_id", found, dtype=pl.String))
    return pairs.join(known, on=["key", "value"], how="left")


def _judge(
    arm: str, accepted: pl.DataFrame, items: pl.DataFrame, holds: pl.DataFrame | None
) -> pl.DataFrame:
    """Judges the first ten items of every topic whose attributes the truth speaks of."""
    if holds is None:
        return pl.DataFrame(schema=JUDGEMENTS_SCHEMA)
    keys = {fold(key) for key in holds["key"].unique()}
    decidable = [
        bool(entries) and all(fold(entry.partition("=")[0]) in keys for entry in entries)
        for entries in accepted["entries"].to_list()
    ]
    true = holds.select("product_id", pl.col("entry_id").alias("entry")).unique()
    return (
        items.filter(pl.col("rank") <= FIRST)
        .join(accepted.filter(pl.Series(decidable, dtype=pl.Boolean)), on="topic_id", how="semi")
        .join(true, on="product_id", how="semi")
        .select("topic_id", "rank", "product_id", entry="entries")
        .explode("entry")
        .join(true.with_columns(correct=True), on=["product_id", "entry"], how="left")
        .group_by("topic_id", "rank", "product_id")
        .agg(pl.col("correct").fill_null(False).all())
        .with_columns(arm=pl.lit(arm))
        .select(*JUDGEMENTS_SCHEMA)
    )


def _unique(collections: pl.DataFrame) -> int:
    """Topics that differ in their entries, or in their words where the vocabulary knows none."""
    return len(
        {
            tuple(sorted(entries)) or tuple(sorted(content(title)))
            for entries, title in collections.select("entries", "title").iter_rows()
        }
    )


def _bootstrap(values: np.ndarray, seed: int) -> np.ndarray:
    """Means of resampled topics."""
    random = np.random.default_rng(seed)
    return np.array(
        [values[random.integers(len(values), size=len(values))].mean() for _ in range(_RESAMPLES)]
    )


def _interval(means: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _mean_of_topics(name: str, values: np.ndarray, seed: int) -> Figure:
    if not len(values):
        return Figure(name, None)
    return Figure(name, float(values.mean()), *_interval(_bootstrap(values, seed)), len(values))


def _comparison(
    ours: np.ndarray, theirs: np.ndarray, good: int, their_good: int, seed: int
) -> Iterator[Figure]:
    """Ours against the baseline: the two headline figures of the paper."""
    known = len(ours) > 0 and len(theirs) > 0
    n = min(len(ours), len(theirs))
    gain, low, high = None, None, None
    if known:
        gain = float(ours.mean() - theirs.mean())
        low, high = _interval(_bootstrap(ours, seed) - _bootstrap(theirs, seed + 1))
    yield Figure("comparison.p_at_10_gain", gain, low, high, n)
    relative = gain / float(theirs.mean()) if gain is not None and theirs.mean() > 0 else None
    yield Figure("comparison.p_at_10_relative_gain", relative, n=n)
    ratio = good / their_good if known and their_good else None
    yield Figure("comparison.unique_good_topics_ratio", ratio, n=their_good, unit="ratio")


def _attribute_figures(
    name: str, found: pl.DataFrame, holds: pl.DataFrame | None, products: pl.Series
) -> Iterator[Figure]:
    """Precision and recall of (product, entry) pairs, over all keys of the truth and by key.

    Args:
        name: Prefix of the figures.
        found: product_id, entry_id, key.
        holds: The same of the truth; None: unknown.
        products: Whose truth is asked for.
    """
    if holds is None:
        yield Figure(f"{name}.precision", None)
        yield Figure(f"{name}.recall", None)
        return
    spoken = pl.col("key").map_elements(fold, return_dtype=pl.String)
    pair = ["product_id", "entry_id", "key"]
    true = holds.filter(pl.col("product_id").is_in(products.unique().to_list()))
    true = true.with_columns(spoken).select(pair).unique()
    said = found.with_columns(spoken).select(pair).unique()
    said = said.join(true, on="product_id", how="semi").join(true, on="key", how="semi")
    right = said.join(true, on=["product_id", "entry_id"], how="semi")
    yield _share(f"{name}.precision", right.height, said.height)
    yield _share(f"{name}.recall", right.height, true.height)
    for key in sorted(true["key"].unique()):
        hits, tries, all_true = (
            frame.filter(pl.col("key") == key).height for frame in (right, said, true)
        )
        yield _share(f"{name}.precision.{key}", hits, tries)
        yield _share(f"{name}.recall.{key}", hits, all_true)


def _share(name: str, hits: int, tries: int) -> Figure:
    """A proportion with its 95 % Wilson interval; null where nothing was tried."""
    if not tries:
        return Figure(name, None)
    z, p = 1.959964, hits / tries
    middle = (p + z * z / (2 * tries)) / (1 + z * z / tries)
    half = z / (1 + z * z / tries) * math.sqrt(p * (1 - p) / tries + z * z / (4 * tries * tries))
    return Figure(name, p, max(0.0, middle - half), min(1.0, middle + half), tries)
