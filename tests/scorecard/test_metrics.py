import numpy as np
import polars as pl
import pytest

from pinlanding_assets.collections.gates import COLLECTIONS_SCHEMA, ITEMS_SCHEMA
from pinlanding_assets.scorecard.figures import FIGURES_SCHEMA, kappa
from pinlanding_assets.scorecard.metrics import (
    JUDGEMENTS_SCHEMA,
    attribute_figures,
    calls_saved,
    collection_figures,
    holds_of,
)
from pinlanding_assets.scorecard.naming import naming

ENTRIES = pl.DataFrame(
    [("type=hat", "type", "hat"), ("color=gray", "color", "gray"), ("color=red", "color", "red")],
    schema=["entry_id", "key", "value"],
    orient="row",
)
ALIASES = pl.DataFrame(
    {
        "key": ["type", "color"],
        "raw_value": ["cap", "junk"],
        "entry_id": ["type=hat", None],
    }
)
PRODUCTS = pl.DataFrame(
    {"product_id": [f"p{n:02}" for n in range(20)], "availability": ["in_stock"] * 20}
)
# p00 to p09 are grey caps, the others red hats, spelt otherwise than in the vocabulary
TRUTH = pl.DataFrame(
    [(f"p{n:02}", "Type", "Caps" if n < 10 else "hat") for n in range(20)]
    + [(f"p{n:02}", "colour", "grey" if n < 10 else "red") for n in range(20)],
    schema=["product_id", "key", "value"],
    orient="row",
)


def pages(*topics):
    collections = pl.DataFrame(
        [
            (name, name, name, entries, len(products), 0, 0.9, True, "", None, None)
            for name, entries, products in topics
        ],
        schema=COLLECTIONS_SCHEMA,
        orient="row",
    )
    items = pl.DataFrame(
        [
            (name, rank, f"p{product:02}", 0.0, entries)
            for name, entries, products in topics
            for rank, product in enumerate(products, 1)
        ],
        schema=ITEMS_SCHEMA,
        orient="row",
    )
    return collections, items


GREY_HATS = ["type=hat", "color=gray"]
OURS = pages(
    ("grey hats", GREY_HATS, range(10)),
    ("hats", ["type=hat"], range(20)),
    ("red hats", ["type=hat", "color=red"], [*range(10, 18), 0, 1]),
)
THEIRS = pages(
    ("gray cap", GREY_HATS, range(10)),
    ("cap gray", GREY_HATS, range(10)),
    ("red", ["color=red"], range(5, 15)),
    ("nonsense", [], range(4)),
)
ASSIGNMENTS = pl.DataFrame(
    [(f"p{n:02}", "type=hat", "type", "hat") for n in range(20)]
    + [(f"p{n:02}", "color=red", "color", "red") for n in range(5, 15)]
    + [("p00", "brand=acme", "brand", "acme")],
    schema=["product_id", "entry_id", "key", "value"],
    orient="row",
)
MENTIONS = pl.DataFrame(
    [
        ("p00", "vlm", "type", "cap"),
        ("p00", "vlm", "color", "red"),
        ("p01", "title", "type", "hat"),
    ],
    schema=["product_id", "source", "key", "value"],
    orient="row",
)


def scored(truth=TRUTH, arms=None, **other):
    names = naming(ENTRIES, ALIASES)
    holds = holds_of(truth, names, PRODUCTS)
    arms = arms or {"collections": OURS, "search_log_collections": THEIRS}
    collections, judgements = collection_figures(arms, holds, PRODUCTS, **other)
    attributes = attribute_figures(ASSIGNMENTS, MENTIONS, PRODUCTS, names, holds)
    figures = pl.concat([collections, attributes, calls_saved(MENTIONS, PRODUCTS)])
    assert figures.schema == pl.Schema(FIGURES_SCHEMA)
    assert judgements.schema == pl.Schema(JUDGEMENTS_SCHEMA)
    return {row["name"]: row for row in figures.iter_rows(named=True)}, judgements


def test_an_item_is_right_only_if_every_attribute_holds():
    figures, judgements = scored()
    wrong = judgements.filter(~pl.col("correct") & (pl.col("arm") == "collections"))
    assert wrong["product_id"].to_list() == ["p00", "p01"]  # grey hats among the red ones
    ours = figures["collections.p_at_10"]
    assert ours["value"] == pytest.approx((1 + 1 + 0.8) / 3)
    assert ours["n"] == 3
    assert 0.8 <= ours["low"] <= ours["value"] <= ours["high"] <= 1.0
    theirs = figures["search_log_collections.p_at_10"]
    assert theirs["value"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert theirs["n"] == 3  # a query of unknown words cannot be judged


def test_topics_that_say_the_same_count_once():
    figures, _ = scored()
    assert figures["collections.unique_good_topics"]["value"] == 2
    assert figures["search_log_collections.unique_good_topics"]["value"] == 1
    assert figures["comparison.unique_good_topics_ratio"]["value"] == 2
    assert figures["search_log_collections.unique_topics"]["value"] == 3
    gain = figures["comparison.p_at_10_gain"]
    assert gain["value"] == pytest.approx(0.3 / 3)
    assert gain["low"] < gain["value"] < gain["high"]


def test_attributes_and_labels_against_the_truth():
    figures, _ = scored()
    assert figures["attributes.precision.type"]["value"] == 1.0
    assert figures["attributes.precision.color"]["value"] == 0.5  # five of ten red ones are
    assert figures["attributes.recall.color"]["value"] == 0.25
    assert figures["attributes.precision"]["value"] == pytest.approx(25 / 30)  # brand: unjudged
    assert figures["attributes.recall"]["value"] == pytest.approx(25 / 40)
    assert figures["labels.vlm.precision"]["value"] == 0.5
    assert figures["labels.vlm.recall"]["value"] == 0.5
    assert figures["labels.title.precision"]["value"] == 1.0


def test_without_truth_nothing_is_invented():
    figures, judgements = scored(truth=None)
    assert judgements.is_empty()
    known = {name for name, row in figures.items() if row["value"] is not None}
    assert known == {
        f"{arm}.{figure}"
        for arm in ("collections", "search_log_collections")
        for figure in ("accepted", "unique_topics", "coverage")
    } | {"attributes.coverage", "vlm_calls_saved"}
    assert figures["collections.p_at_10"]["value"] is None
    assert figures["comparison.unique_good_topics_ratio"]["value"] is None
    assert figures["collections.coverage"]["value"] == 1.0


def test_seeded_and_independent_of_row_order():
    one, other = scored(seed=3), scored(TRUTH.reverse(), seed=3)
    assert one[0] == other[0]
    assert one[1].equals(other[1])


def test_empty_arms():
    empty = (OURS[0].clear(), OURS[1].clear())
    figures, _ = scored(arms={"collections": OURS, "search_log_collections": empty})
    assert figures["comparison.unique_good_topics_ratio"]["value"] is None
    assert np.isclose(figures["collections.p_at_10"]["value"], 2.8 / 3)


def test_by_family_and_by_pair():
    figures, _ = scored()
    assert figures["collections.p_at_10.type"]["n"] == 3
    assert figures["collections.p_at_10.color"]["value"] == pytest.approx(0.9)  # 1 and 0.8
    assert figures["collections.p_at_10.color"]["n"] == 2
    # all 20 hats count as pairs, the first ten of them for P@10
    assert figures["collections.pair_precision"]["value"] == pytest.approx(38 / 40)
    assert figures["collections.pair_precision"]["n"] == 40


def test_a_third_arm_is_compared_too():
    arms = {"collections": OURS, "search_log": THEIRS, "keywords": OURS}
    figures, _ = scored(arms=arms)
    assert figures["comparison.unique_good_topics_ratio"]["value"] == 2
    assert figures["comparison.keywords.unique_good_topics_ratio"]["value"] == 1
    assert figures["comparison.keywords.p_at_10_gain"]["value"] == 0


def test_coverage_counts_parents_of_which_any_variant_is_shown():
    of = pl.Series("parent", [f"shirt{n // 4}" for n in range(20)])
    shown = pages(("hats", ["type=hat"], [0, 4, 8]))
    figures, _ = collection_figures({"collections": shown}, None, PRODUCTS.with_columns(of))
    (coverage,) = figures.filter(pl.col("name") == "collections.coverage").to_dicts()
    assert (coverage["value"], coverage["n"]) == (0.6, 5)


def test_what_figures_rest_on():
    figures, _ = scored()
    assert figures["collections.p_at_10"]["basis"] == "truth"
    assert figures["collections.coverage"]["basis"] == "count"
    assert figures["vlm_calls_saved"]["value"] == 0.95  # one of twenty was looked at


def test_kappa_takes_chance_away():
    assert kappa([True, False], [True, False]) == 1
    assert kappa([True, True, False, False], [True, False, True, False]) == 0
    assert kappa([True, True], [True, True]) is None
    assert kappa([], []) is None
