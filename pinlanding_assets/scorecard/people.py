"""What people say of a sample of the collections, and how far they agree."""

import numpy as np
import polars as pl

from pinlanding_assets.scorecard.figures import Figure, frame, share
from pinlanding_assets.scorecard.metrics import FIRST, Arms

DECIDED = ("yes", "no")


def majority(ratings: pl.DataFrame) -> pl.DataFrame:
    """topic_id, product_id, correct: what most raters say; where as many say the one as the other,
    or all are unsure, nothing is decided.

    Args:
        ratings: topic_id, product_id, rater, choice (yes, no, unsure).
    """
    counted = ratings.group_by("topic_id", "product_id").agg(
        yes=(pl.col("choice") == "yes").sum().cast(pl.Int64),
        no=(pl.col("choice") == "no").sum().cast(pl.Int64),
    )
    return (
        counted.filter(pl.col("yes") != pl.col("no"))
        .select("topic_id", "product_id", correct=pl.col("yes") > pl.col("no"))
        .sort("topic_id", "product_id")
    )


def people_verdicts(ratings: pl.DataFrame, arms: Arms) -> pl.DataFrame:
    """The majority as verdicts on the first ten items of every arm: arm, topic_id, rank,
    product_id, correct."""
    said = majority(ratings)
    parts = [
        items.filter(pl.col("rank") <= FIRST)
        .join(said, on=["topic_id", "product_id"])
        .select("topic_id", "rank", "product_id", "correct", arm=pl.lit(arm))
        for arm, (_, items) in arms.items()
    ]
    return pl.concat(parts).sort("arm", "topic_id", "rank")


def fleiss_kappa(ratings: pl.DataFrame) -> tuple[float | None, int]:
    """Agreement beyond chance of any number of raters, on the items that two or more decided; null
    where chance alone would agree -> (kappa, items)."""
    counts = (
        ratings.filter(pl.col("choice").is_in(DECIDED))
        .group_by("topic_id", "product_id")
        .agg(*((pl.col("choice") == choice).sum().alias(choice) for choice in DECIDED))
        .select(pl.col(*DECIDED).cast(pl.Float64))
        .to_numpy()
    )
    n = counts.sum(axis=1)
    counts, n = counts[n >= 2], n[n >= 2]
    if not len(counts):
        return None, 0
    agreed = float(np.mean((counts * (counts - 1)).sum(axis=1) / (n * (n - 1))))
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return ((agreed - chance) / (1 - chance) if chance < 1 else None), len(counts)


def people_figures(
    ratings: pl.DataFrame, verdicts: pl.DataFrame, judged: pl.DataFrame
) -> pl.DataFrame:
    """How many rated, how far they agree with each other and with the judge.

    Args:
        ratings: All answers.
        verdicts: Of `people_verdicts`.
        judged: The judge's verdicts.
    """
    kappa, items = fleiss_kappa(ratings)
    both = verdicts.join(judged, on=["arm", "topic_id", "product_id"], suffix="_judge")
    same = int((both["correct"] == both["correct_judge"]).sum())
    raters = ratings["rater"].n_unique()
    return frame(
        [
            Figure("people.raters", raters or None, n=ratings.height, unit="people", basis="count"),
            Figure("people.fleiss_kappa", kappa, n=items, unit="kappa", basis="people"),
            share("people.judge_agreement", same, both.height, "people"),
        ]
    )
