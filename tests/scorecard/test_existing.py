"""Collections that people made, beside those made from content."""

import polars as pl
import pytest

from pinlanding_assets.scorecard.existing import COMPARED_SCHEMA, compared, existing_figures

ENTRIES = pl.DataFrame(
    {
        "entry_id": ["collection=eco", "collection=yoga", "collection=tiny", "material=cotton"],
        "key": ["collection", "collection", "collection", "material"],
        "label": ["Eco", "Yoga", "Tiny", "cotton"],
    }
)
KEYS = pl.DataFrame({"key": ["collection", "material"], "role": ["collection", "attribute"]})
STATED = pl.DataFrame(
    [(f"p{i}", "collection=eco") for i in range(6)]
    + [(f"p{i}", "collection=yoga") for i in range(20, 24)]
    + [("p0", "collection=tiny"), ("p0", "material=cotton")],
    schema=["product_id", "entry_id"],
    orient="row",
)
COLLECTIONS = pl.DataFrame(
    {
        "topic_id": ["a", "b", "c"],
        "title": ["Cotton products", "Eco", "Refused"],
        "entries": [["material=cotton"], ["collection=eco"], ["material=cotton"]],
        "accepted": [True, True, False],
    }
)
ITEMS = pl.DataFrame(
    [("a", f"p{i}") for i in range(3, 9)]
    + [("b", f"p{i}") for i in range(7)]
    + [("c", f"p{i}") for i in range(6)],
    schema=["topic_id", "product_id"],
    orient="row",
)


def found():
    assigned = pl.concat(
        [STATED, pl.DataFrame({"product_id": ["p6"], "entry_id": ["collection=eco"]})]
    )
    return compared(STATED, assigned, ENTRIES, KEYS, COLLECTIONS, ITEMS)


def test_the_nearest_page_is_one_of_content_that_was_accepted():
    table = found()
    assert table.schema == pl.Schema(COMPARED_SCHEMA)
    assert table["name"].to_list() == ["Eco", "Yoga"]  # one member is no collection
    eco, yoga = table.to_dicts()
    assert (eco["nearest"], eco["shared"], eco["added"]) == ("Cotton products", 3, 1)
    assert eco["precision"] == eco["recall"] == eco["f1"] == pytest.approx(0.5)
    assert (yoga["nearest"], yoga["f1"]) == (None, 0)


def test_figures_and_nothing_to_compare():
    figures = dict(existing_figures(found()).select("name", "value").iter_rows())
    assert figures == {"existing.best_f1": pytest.approx(0.25), "existing.nearest": 0.5}
    nobody = KEYS.with_columns(role=pl.lit("attribute"))
    nothing = compared(STATED, STATED, ENTRIES, nobody, COLLECTIONS, ITEMS)
    assert nothing.is_empty()
    assert existing_figures(nothing)["value"].null_count() == 2
