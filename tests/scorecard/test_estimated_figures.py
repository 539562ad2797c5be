import polars as pl
import pytest

from pinlanding_assets.encoder.estimates import ESTIMATES_SCHEMA
from pinlanding_assets.scorecard.estimates import estimated_figures
from pinlanding_assets.scorecard.figures import FIGURES_SCHEMA

# color: 200 statements on hidden labels, 180 right, 0.95 said; of the fit nothing was said
ESTIMATES = pl.DataFrame(
    [
        ("color", 300, 400, 4, 1, 200.0, 180.0, 0.9, 0.45, 0.5, 0.95, 0.05),
        ("fit", 100, 100, 2, 2, 0.0, 0.0, None, 0.0, 0.0, None, None),
    ],
    schema=ESTIMATES_SCHEMA,
    orient="row",
)
ASSIGNMENTS = pl.DataFrame(
    [
        ("a", "color=red", "color", 0.99, "title"),  # the catalog says it, too
        ("b", "color=red", "color", 0.85, "encoder"),
        ("b", "type=hat", "type", 0.99, "catalog"),
        ("c", "fit=slim", "fit", 0.97, "vlm"),
    ],
    schema=["product_id", "entry_id", "key", "p", "source"],
    orient="row",
)
STATED = pl.DataFrame({"product_id": ["a", "b"], "entry_id": ["color=red", "type=hat"]})
COLLECTIONS = pl.DataFrame({"topic_id": ["red", "slim", "no"], "accepted": [True, True, False]})
ITEMS = pl.DataFrame(
    [
        ("red", 1, "a", ["color=red"]),
        ("red", 2, "b", ["color=red"]),
        ("red", 11, "b", ["color=red"]),  # beyond the ten
        ("slim", 1, "c", ["fit=slim"]),
        ("no", 1, "b", ["color=red"]),
    ],
    schema=["topic_id", "rank", "product_id", "entries"],
    orient="row",
)


def figures(estimates=ESTIMATES, items=ITEMS):
    found = estimated_figures(estimates, ASSIGNMENTS, STATED, COLLECTIONS, items)
    assert found.schema == pl.Schema(FIGURES_SCHEMA)
    again = estimated_figures(estimates, ASSIGNMENTS, STATED, COLLECTIONS, items.reverse())
    assert found.equals(again)
    return {row["name"]: row for row in found.iter_rows(named=True)}


def test_keys_count_together_and_by_themselves():
    found = figures()
    precision = found["estimated.precision"]
    assert (precision["value"], precision["n"], precision["basis"]) == (0.9, 200, "held_out")
    assert precision["low"] < 0.9 < precision["high"]
    assert found["estimated.recall"]["value"] == pytest.approx(180 / 500)
    assert found["estimated.coverage"]["value"] == pytest.approx(150 / 400)
    assert found["estimated.recall.color"]["value"] == pytest.approx(180 / 400)
    assert found["estimated.precision.fit"]["value"] is None


def test_statements_have_one_source_and_the_catalog_comes_first():
    found = figures()
    shares = {name: row["value"] for name, row in found.items() if name.startswith("statements.")}
    assert shares == {"statements.catalog": 0.5, "statements.encoder": 0.25, "statements.vlm": 0.25}
    entries, keys = found["never_assigned.entries"], found["never_assigned.keys"]
    assert (entries["value"], entries["n"], keys["value"], keys["n"]) == (3, 6, 1, 2)


def test_items_are_right_by_the_catalogs_word_or_else_as_often_as_hidden_labels_say():
    found = figures()
    assert found["estimated.pages"]["value"] == 0.5  # nothing is known of the fit
    page = found["estimated.p_at_10"]
    assert page["value"] == pytest.approx((1 + 0.85 - 0.05) / 2)
    assert page["n"] == 1
    assert 0.5 <= page["low"] < page["value"] < page["high"] <= 1
    inferred = found["estimated.p_at_10.inferred"]
    assert (inferred["value"], inferred["n"]) == (pytest.approx(0.8), 1)


def test_without_labels_nothing_is_estimated():
    nothing = figures(ESTIMATES.clear(), ITEMS.filter(topic_id="slim"))
    assert nothing["estimated.precision"]["value"] is None
    assert nothing["estimated.p_at_10"]["value"] is None
    assert nothing["estimated.pages"]["value"] == 0
    assert nothing["statements.catalog"]["value"] == 0.5
