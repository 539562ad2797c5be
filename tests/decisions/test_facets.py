"""What was decided, as the stages read it."""

import polars as pl
import pytest

from pinlanding_assets.decisions.facets import (
    LabelDecisions,
    PageDecisions,
    WordDecisions,
    operations_of,
    read_feeds,
    table_of,
)
from pinlanding_assets.decisions.operations import parse
from pinlanding_assets.decisions.state import Decision
from resources.feeds.catalog_config import CatalogConfig


def decided(*told):
    return table_of([Decision(str(n), n, "person:ann", parse(one)) for n, one in enumerate(told)])


def mentions(*rows):
    schema = ["product_id", "source", "key", "value"]
    return pl.DataFrame(rows, schema=schema, orient="row")


SHELF = pl.DataFrame({"product_id": ["a", "b", "c"], "seller": ["acme", "acme", "best"]})
SAID = mentions(
    ("a", "catalog", "Color", "navy"),
    ("b", "catalog", "style", "Red"),
    ("b", "vlm", "color", "red"),
    ("c", "catalog", "color", "blue"),
)


def test_a_table_holds_the_operations():
    told = {"operation": "word.drop", "key": "color", "word": "x"}
    assert operations_of(decided(told)) == [parse(told)]


def test_without_decisions_everything_is_heard_as_it_was_said():
    assert WordDecisions().heard(SAID, SHELF).equals(SAID)
    assert WordDecisions().overrides({"color": {"navy": "blue"}}) == {"color": {"navy": "blue"}}


def test_words_are_moved_and_keys_are_one():
    words = WordDecisions.of(
        decided(
            {"operation": "word.move", "key": "style", "word": "red", "to_key": "hue"},
            {"operation": "key.merge", "key": "hue", "into": "color"},
        )
    )
    assert words.heard(SAID, SHELF)["key"].to_list() == ["Color", "color", "color", "color"]


def test_a_seller_who_is_not_trusted_is_not_heard_on_that_key():
    told = {"operation": "source.distrust", "seller": "acme", "key": "color"}
    heard = WordDecisions.of(decided(told)).heard(SAID, SHELF)
    # what images show of his products, and what he says of other keys, stays
    assert heard.rows() == SAID.rows()[1:]
    assert heard.columns == SAID.columns


def test_a_vocabulary_yaml_stands_before_decisions():
    words = WordDecisions.of(
        decided(
            {"operation": "word.merge", "key": "color", "word": "Navy", "into": "blue"},
            {"operation": "word.drop", "key": "color", "word": "teal"},
        )
    )
    written = {"color": {"navy": "navy"}}
    assert words.overrides(written) == {"color": {"teal": None, "navy": "navy"}}


def assigned(*rows):
    schema = {"product_id": pl.String, "entry_id": pl.String, "key": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        p=pl.lit(0.9), source=pl.lit("catalog")
    )


@pytest.mark.parametrize(("several", "left"), [([], 1), (["color"], 2)])
def test_a_label_that_holds_stands_alone_where_a_product_has_one_value(several, left):
    labels = LabelDecisions.of(
        decided({"operation": "label.set", "product": "a", "entry": "color=red", "holds": True})
    )
    both = ["color=blue", "color=red"]
    rows = assigned(("a", "color=blue", "color"), ("b", "color=blue", "color"))
    found = labels.over(rows, SHELF, several)
    assert found.filter(product_id="a")["entry_id"].to_list() == both[-left:]
    assert found.filter(product_id="b").height == 1
    assert found.columns == rows.columns


def test_a_label_that_does_not_hold_is_gone_and_others_are_left_alone():
    labels = LabelDecisions.of(
        decided(
            {"operation": "label.set", "product": "a", "entry": "color=blue", "holds": False},
            {"operation": "label.set", "product": "gone", "entry": "color=red", "holds": True},
        )
    )
    rows = assigned(("a", "color=blue", "color"), ("a", "type=hat", "type"))
    assert labels.over(rows, SHELF, [])["entry_id"].to_list() == ["type=hat"]


def test_a_page_is_closed_outside_its_window():
    told = {"operation": "topic.window", "topic": "0" * 16, "first": "2026-11-01",
            "last": "2026-11-30"}  # fmt: skip
    pages = PageDecisions.of(decided(told, {"operation": "topic.refuse", "topic": "1" * 16}))
    assert pages.closed("2026-11-15") == {"1" * 16: "refused by a decision"}
    assert pages.closed("2026-12-01")["0" * 16] == "its page is for 2026-11-01 to 2026-11-30"


def config():
    return CatalogConfig.model_validate(
        {
            "name": "shop",
            "feeds": ["a.csv"],
            "columns": {"id": "sku", "title": "name"},
            "attributes": {"color": "Color"},
        }
    ).model_dump()


def test_fields_and_values_are_read_beside_those_of_the_catalog_yaml():
    changed = read_feeds(
        config(),
        decided(
            {"operation": "feed.map", "field": "title", "column": "Titel", "since": "2026-11-02"},
            {"operation": "feed.map", "field": "attributes.size", "column": "Size"},
            {"operation": "feed.value", "attribute": "color", "value": "rot", "means": "red"},
        ),
    )
    read = CatalogConfig.model_validate(changed)
    assert [one.column for one in read.columns.title] == ["name", "Titel"]
    assert read.attributes["size"][0].column == "Size"
    assert read.attributes["color"][0].values == {"rot": "red"}


@pytest.mark.parametrize(
    "told",
    [
        {"operation": "feed.map", "field": "colour", "column": "C"},
        {"operation": "feed.value", "attribute": "size", "value": "s", "means": "small"},
    ],
)
def test_a_field_that_there_is_not_is_an_error(told):
    with pytest.raises(ValueError, match=r"colour|size"):
        read_feeds(config(), decided(told))


def test_an_added_topic_waits_while_one_of_its_words_means_nothing():
    """Its word may be merged after it was added: what has no entry has no title either."""
    told = [{"operation": "topic.add", "entries": ["color=navy"]}]
    pages = PageDecisions.of(decided(*told, {"operation": "topic.add", "entries": ["color=red"]}))
    assert pages.added_of(pl.DataFrame({"entry_id": ["color=red", "color=blue"]})) == [
        ("color=red",)
    ]
