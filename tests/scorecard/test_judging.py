import polars as pl
import pytest

from pinlanding_assets.collections.gates import COLLECTIONS_SCHEMA, ITEMS_SCHEMA
from pinlanding_assets.scorecard.judging import (
    judge_figures,
    judge_items,
    sample_topics,
    sampled_items,
)


def pages(*topics):
    """(name, entries, products) -> collections and items."""
    collections = [
        (name, name, name, entries, len(products), 0, 0.9, True, "", None, None)
        for name, entries, products in topics
    ]
    items = [
        (name, rank, product, 0.0, entries)
        for name, entries, products in topics
        for rank, product in enumerate(products, 1)
    ]
    return (
        pl.DataFrame(collections, schema=COLLECTIONS_SCHEMA, orient="row"),
        pl.DataFrame(items, schema=ITEMS_SCHEMA, orient="row"),
    )


RED = ["type=hat", "color=red"]
ARMS = {
    "collections": pages(("red hats", RED, ["p0", "p1"]), ("acme", ["brand=acme"], ["p0"])),
    "search_log": pages(("hat", ["type=hat"], ["p1", "p2", "p3"])),
}
SAID = pl.DataFrame(
    [
        ("p0", "type", "type=hat"),
        ("p0", "color", "color=red"),
        ("p1", "type", "type=hat"),
        ("p2", "type", "type=bag"),
    ],
    schema=["product_id", "key", "entry_id"],
    orient="row",
)


def verdicts():
    return judge_items(sampled_items(ARMS, sample_topics(ARMS, 10)), SAID)


def test_every_attribute_must_be_named():
    rows = verdicts().select("topic_id", "product_id", "correct").rows()
    assert rows == [
        ("red hats", "p0", True),
        ("red hats", "p1", False),  # no colour was seen
        ("hat", "p1", True),
        ("hat", "p2", False),
    ]  # nothing was said of p3, nor of any brand


def test_agreement_with_the_truth():
    truth = verdicts().with_columns(correct=pl.Series([True, True, True, False]))
    figures = {r["name"]: r for r in judge_figures(verdicts(), truth, ARMS).iter_rows(named=True)}
    assert figures["judge.agreement"]["value"] == 0.75
    assert figures["judge.agreement"]["n"] == 4
    assert figures["judge.kappa"]["value"] == pytest.approx(0.5)
    assert figures["collections.p_at_10_judge"]["value"] == 0.5
    assert figures["collections.p_at_10_judge"]["basis"] == "judge"
    none = judge_figures(verdicts(), truth.clear(), ARMS)
    assert none.filter(name="judge.agreement")["value"].item() is None
    assert none.filter(name="search_log.p_at_10_judge")["value"].item() == 0.5


def test_large_middling_and_small_topics_are_looked_at():
    topics = [(f"t{n:02}", ["type=hat"], [f"p{i}" for i in range(n + 1)]) for n in range(30)]
    arms = {"collections": pages(*topics)}
    chosen = sample_topics(arms, 6)["collections"]
    assert len(chosen) == 6
    numbers = sorted(int(name[1:]) for name in chosen)
    assert [sum(low <= n < low + 10 for n in numbers) for low in (0, 10, 20)] == [2, 2, 2]
    assert sample_topics(arms, 6) == sample_topics(arms, 6)
    assert sampled_items(arms, {"collections": ["t29"]}).height == 10


def test_no_judge_no_verdict():
    assert judge_items(sampled_items(ARMS, sample_topics(ARMS, 10)), SAID.clear()).is_empty()
