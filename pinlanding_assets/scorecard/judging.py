"""A judge for where nobody knows the truth: the vision-language model looks at what pages show.

An item is right only if the model names every attribute of the topic, the rule of the truth. The
model has also given labels for training, so it is no independent witness: the agreement with the
truth says how far to believe it where there is one, ratings of people where there is none.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.scorecard.figures import Figure, frame, kappa, mean, share
from pinlanding_assets.scorecard.metrics import FIRST, Arms
from pinlanding_assets.scorecard.naming import decidable, holds_all

STRATA = 3  # head, middle and tail, by the products that a topic has


def sample_topics(arms: Arms, topics: int, seed: int = 0) -> dict[str, list[str]]:
    """Arm -> topics to look at: as many large as middling and small ones, at most `topics`."""
    chosen = {}
    for arm, (collections, _) in arms.items():
        accepted = collections.filter("accepted").sort("products", "topic_id")
        rng = np.random.default_rng(seed)
        parts = np.array_split(np.arange(accepted.height), STRATA)
        rows = [rng.permutation(part)[: -(-topics // STRATA)] for part in parts]
        picked = np.sort(np.concatenate(rows)).astype(int)
        chosen[arm] = sorted(accepted["topic_id"].gather(picked))[:topics]
    return chosen


def sampled_items(arms: Arms, chosen: Mapping[str, list[str]]) -> pl.DataFrame:
    """The first ten items of the chosen topics: arm, topic_id, rank, product_id, entries."""
    parts = [
        items.filter(pl.col("topic_id").is_in(chosen[arm]), pl.col("rank") <= FIRST).select(
            "topic_id", "rank", "product_id", "entries", arm=pl.lit(arm)
        )
        for arm, (_, items) in arms.items()
    ]
    return pl.concat(parts).sort("arm", "topic_id", "rank")


def judge_items(items: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """The judge's verdicts: arm, topic_id, rank, product_id, correct.

    Args:
        items: Of `sampled_items`; those of a topic with an attribute that the judge never speaks
            of, or of a product that it was not asked about, are not judged.
        said: product_id, key, entry_id that the judge names.
    """
    keys = {fold(key) for key in said["key"].unique()}
    known = items.filter(decidable(items["entries"], keys))
    parts = [
        holds_all(part.drop("arm"), said).with_columns(arm=pl.lit(arm))
        for (arm,), part in sorted(known.partition_by("arm", as_dict=True).items())
    ]
    schema = {"arm": pl.String, "topic_id": pl.String, "rank": pl.Int64, "product_id": pl.String}
    empty = pl.DataFrame(schema={**schema, "correct": pl.Boolean})
    found = pl.concat([empty, *(part.select(empty.columns) for part in parts)])
    return found.sort("arm", "topic_id", "rank")


def judge_figures(
    verdicts: pl.DataFrame,
    judgements: pl.DataFrame,
    arms: Arms,
    *,
    basis: str = "judge",
    name: str = "judge",
    seed: int = 0,
) -> pl.DataFrame:
    """P@10 by the judge, and how far it agrees with the truth.

    Args:
        verdicts: Of `judge_items`, or what people said.
        judgements: Of the truth (`metrics.collection_figures`); empty: agreement is null.
        arms: What is measured.
        basis: Of the estimates.
        name: Prefix of the agreement.
        seed: Of the bootstrap.
    """
    figures = []
    for arm in arms:
        by_topic = (
            verdicts.filter(arm=arm)
            .group_by("topic_id")
            .agg(pl.col("correct").mean())
            .sort("topic_id")
        )
        figures.append(mean(f"{arm}.p_at_10_{name}", by_topic["correct"].to_numpy(), seed, basis))
    both = verdicts.join(judgements, on=["arm", "topic_id", "rank", "product_id"], suffix="_truth")
    same = int((both["correct"] == both["correct_truth"]).sum())
    figures.append(share(f"{name}.agreement", same, both.height))
    chance = kappa(both["correct"].to_list(), both["correct_truth"].to_list())
    figures.append(Figure(f"{name}.kappa", chance, n=both.height, unit="kappa"))
    return frame(figures)
