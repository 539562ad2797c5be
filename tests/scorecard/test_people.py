import polars as pl
import pytest

from pinlanding_assets.collections.gates import ITEMS_SCHEMA
from pinlanding_assets.scorecard.people import (
    fleiss_kappa,
    majority,
    people_figures,
    people_verdicts,
)


def answers(*rows):
    """(product, rater, choice) under the topic t."""
    return pl.DataFrame(
        [("t", *row) for row in rows],
        schema=["topic_id", "product_id", "rater", "choice"],
        orient="row",
    )


RATINGS = answers(
    *(("p0", rater, "yes") for rater in "abc"),
    *(("p1", rater, choice) for rater, choice in zip("abc", ("no", "no", "yes"), strict=True)),
    *(("p2", rater, choice) for rater, choice in zip("ab", ("no", "yes"), strict=True)),
    ("p3", "a", "unsure"),
)


def test_most_raters_decide_and_a_draw_decides_nothing():
    assert majority(RATINGS).rows() == [("t", "p0", True), ("t", "p1", False)]


def test_kappa_of_three_raters():
    # Fleiss: agreement of the items 1, 1/3 and 0; five yes of eight answers
    agreed, chance = (1 + 1 / 3 + 0) / 3, (5 / 8) ** 2 + (3 / 8) ** 2
    kappa, items = fleiss_kappa(RATINGS)
    assert items == 3
    assert kappa == pytest.approx((agreed - chance) / (1 - chance))
    assert fleiss_kappa(RATINGS.filter(rater="a")) == (None, 0)
    assert fleiss_kappa(RATINGS.filter(product_id="p0")) == (None, 1)  # one answer only: no chance


def test_an_answer_counts_for_every_arm_that_shows_the_product():
    items = pl.DataFrame(
        [("t", rank, f"p{rank - 1}", 0.0, []) for rank in range(1, 13)],
        schema=ITEMS_SCHEMA,
        orient="row",
    )
    arms = {"ours": (pl.DataFrame(), items), "theirs": (pl.DataFrame(), items.head(1))}
    verdicts = people_verdicts(RATINGS, arms)
    assert verdicts.select("arm", "product_id", "correct").rows() == [
        ("ours", "p0", True),
        ("ours", "p1", False),
        ("theirs", "p0", True),
    ]
    judged = verdicts.with_columns(correct=True)
    figures = people_figures(RATINGS, verdicts, judged)
    assert figures.filter(name="people.judge_agreement")["value"].item() == pytest.approx(2 / 3)
    assert figures.filter(name="people.raters")["value"].item() == 3


def test_without_ratings_nothing_is_said():
    none = RATINGS.clear()
    verdicts = people_verdicts(none, {"ours": (pl.DataFrame(), pl.DataFrame(schema=ITEMS_SCHEMA))})
    assert set(people_figures(none, verdicts, verdicts)["value"]) == {None}
