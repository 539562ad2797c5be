"""How good the collections and the attributes are, against the truth where there is one.

P@10 with an item right only if every attribute of its topic holds (PinLanding section 6); intervals
by bootstrap over topics. An item is a tile: of the variants of one parent a page shows one, and
that one is judged. Coverage counts parents, of which any variant is shown.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.catalog.live import sellable, with_family
from pinlanding_assets.scorecard.figures import Figure, bootstrap, frame, interval, mean, share
from pinlanding_assets.scorecard.naming import Naming, decidable, holds_all, named
from pinlanding_assets.topics.words import content

JUDGEMENTS_SCHEMA = {
    "arm": pl.String,
    "topic_id": pl.String,
    "rank": pl.Int64,
    "product_id": pl.String,
    "correct": pl.Boolean,
}
FIRST = 10  # the ten of P@10
GOOD = 0.9  # P@10 of a topic that counts

Arms = Mapping[str, tuple[pl.DataFrame, pl.DataFrame]]
"""Name -> (collections, items); the first is ours, the second the baseline that is reported."""


def collection_figures(
    arms: Arms, holds: pl.DataFrame | None, products: pl.DataFrame, *, seed: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Figures of every arm and of ours against each other one -> (figures, judgements).

    Args:
        arms: What is measured.
        holds: product_id, key, entry_id of what is true; None: what needs it is null.
        products: `catalog.products` as of now.
        seed: Of the bootstrap.
    """
    on_sale = with_family(sellable(products))
    families = on_sale["family"].n_unique()
    figures: list[Figure] = []
    judgements = [pl.DataFrame(schema=JUDGEMENTS_SCHEMA)]
    precision: dict[str, np.ndarray] = {}
    good: dict[str, int] = {}
    for arm, (collections, items) in arms.items():
        accepted = collections.filter(pl.col("accepted"))
        judged = _judge(arm, accepted, items, holds)
        judgements.append(judged)
        by_topic = (
            judged.filter(pl.col("rank") <= FIRST)
            .group_by("topic_id")
            .agg(p=pl.col("correct").mean())
            .sort("topic_id")
        )
        precision[arm] = by_topic["p"].to_numpy()
        good[arm] = _unique(accepted.join(by_topic.filter(pl.col("p") >= GOOD), on="topic_id"))
        shown = on_sale.join(items, on="product_id", how="semi")["family"].n_unique()
        figures += [
            _count(f"{arm}.accepted", accepted.height, collections.height),
            _count(f"{arm}.unique_topics", _unique(accepted), accepted.height),
            share(f"{arm}.coverage", shown, families, "count"),
            mean(f"{arm}.p_at_10", precision[arm], seed),
            Figure(
                f"{arm}.unique_good_topics",
                None if holds is None else good[arm],
                n=by_topic.height,
                unit="topics",
            ),
            share(f"{arm}.pair_precision", int(judged["correct"].sum()), judged.height),
            *_by_family(arm, accepted.join(by_topic, on="topic_id"), seed),
        ]
    ours, *others = arms
    for number, arm in enumerate(others):
        name = f"comparison.{arm}" if number else "comparison"
        figures += _comparison(name, precision[ours], precision[arm], good[ours], good[arm], seed)
    return frame(figures), pl.concat(judgements).sort("arm", "topic_id", "rank")


def holds_of(
    truth: pl.DataFrame | None, names: Naming, products: pl.DataFrame
) -> pl.DataFrame | None:
    """The truth about the products, in the vocabulary's words: product_id, key, value, entry_id."""
    if truth is None:
        return None
    return named(truth, names).filter(pl.col("product_id").is_in(products["product_id"].to_list()))


def calls_saved(mentions: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Share of the products that the vision-language model did not have to look at."""
    described = mentions.filter(source="vlm")["product_id"].n_unique()
    spared = products.height - described
    return frame([share("vlm_calls_saved", spared, products.height, "count")])


def attribute_figures(
    assignments: pl.DataFrame,
    mentions: pl.DataFrame,
    products: pl.DataFrame,
    names: Naming,
    holds: pl.DataFrame | None,
) -> pl.DataFrame:
    """Precision and recall of what products were given, and of each source of labels.

    Args:
        assignments: `product_attributes.assignments`.
        mentions: `vlm_attributes.mentions`: the labels, by source.
        products: `catalog.products` as of now.
        names: Of the vocabulary.
        holds: product_id, key, entry_id of what is true; None: unknown.
    """
    figures = [*_pairs("attributes", assignments, holds, products["product_id"])]
    labels = named(mentions, names)
    for source in sorted(mentions["source"].unique()):
        of_source = labels.filter(pl.col("source") == source)
        figures += _pairs(f"labels.{source}", of_source, holds, of_source["product_id"])
    on_sale = sellable(products)["product_id"].unique()
    described = on_sale.is_in(assignments["product_id"].unique().to_list()).sum()
    figures.append(share("attributes.coverage", int(described), len(on_sale), "count"))
    return frame(figures)


def _judge(
    arm: str, accepted: pl.DataFrame, items: pl.DataFrame, holds: pl.DataFrame | None
) -> pl.DataFrame:
    """Judges the items of every topic whose attributes the truth speaks of."""
    if holds is None:
        return pl.DataFrame(schema=JUDGEMENTS_SCHEMA)
    keys = {fold(key) for key in holds["key"].unique()}
    known = accepted.filter(decidable(accepted["entries"], keys))
    return (
        holds_all(items.join(known, on="topic_id", how="semi"), holds)
        .with_columns(arm=pl.lit(arm))
        .select(*JUDGEMENTS_SCHEMA)
    )


def _by_family(arm: str, topics: pl.DataFrame, seed: int) -> Iterator[Figure]:
    """Mean P@10 of the topics that name a key, for every key."""
    families = topics.select(
        "topic_id", "p", key=pl.col("entries").list.eval(pl.element().str.split("=").list.first())
    ).explode("key")
    for (key,), found in sorted(families.partition_by("key", as_dict=True).items()):
        yield mean(f"{arm}.p_at_10.{key}", found.sort("topic_id")["p"].to_numpy(), seed)


def _count(name: str, value: int, n: int) -> Figure:
    return Figure(name, value, n=n, unit="topics", basis="count")


def _unique(collections: pl.DataFrame) -> int:
    """Topics that differ in their entries, or in their words where the vocabulary knows none."""
    return len(
        {
            tuple(sorted(entries)) or tuple(sorted(content(title)))
            for entries, title in collections.select("entries", "title").iter_rows()
        }
    )


def _comparison(
    name: str, ours: np.ndarray, theirs: np.ndarray, good: int, their_good: int, seed: int
) -> Iterator[Figure]:
    """Ours against another arm: the two headline figures of the paper."""
    known = len(ours) > 0 and len(theirs) > 0
    n = min(len(ours), len(theirs))
    gain, low, high = None, None, None
    if known:
        gain = float(ours.mean() - theirs.mean())
        low, high = interval(bootstrap(ours, seed) - bootstrap(theirs, seed + 1))
    yield Figure(f"{name}.p_at_10_gain", gain, low, high, n)
    relative = gain / float(theirs.mean()) if gain is not None and theirs.mean() > 0 else None
    yield Figure(f"{name}.p_at_10_relative_gain", relative, n=n)
    ratio = good / their_good if known and their_good else None
    yield Figure(f"{name}.unique_good_topics_ratio", ratio, n=their_good, unit="ratio")


def _pairs(
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
    yield share(f"{name}.precision", right.height, said.height)
    yield share(f"{name}.recall", right.height, true.height)
    for key in sorted(true["key"].unique()):
        hits, tries, all_true = (
            found.filter(pl.col("key") == key).height for found in (right, said, true)
        )
        yield share(f"{name}.precision.{key}", hits, tries)
        yield share(f"{name}.recall.{key}", hits, all_true)
