"""What the agents find in small tables, and what they leave alone."""

import polars as pl
import pytest

from pinlanding_assets.curation.quality_auditor import doubted_labels, wrong_labels
from pinlanding_assets.curation.topics_editor import unmet_demand
from pinlanding_assets.curation.words_steward import (
    twin_keys,
    words_against_images,
    words_under_two_keys,
    wrong_sources,
)

KEYS = pl.DataFrame(
    {"key": ["color", "type", "shade"], "multi": [False] * 3, "coverage": [1.0, 1.0, 0.1]}
)


def said(*rows):
    schema = dict.fromkeys(("product_id", "source", "key", "value"), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")


def vocabulary(*rows):
    """(key, raw value, entry or None, count) -> entries and aliases."""
    schema = ["key", "raw_value", "entry_id", "count"]
    aliases = pl.DataFrame(rows, schema=schema, orient="row")
    kept = aliases.drop_nulls("entry_id").unique("entry_id", maintain_order=True)
    entries = kept.select("entry_id", "key", value=pl.col("entry_id").str.splitn("=", 2).struct[1])
    return entries, aliases


def both(n, seller, image, key="color", start=0):
    """Products that a seller calls by one word and images by another."""
    return [
        row
        for at in range(start, start + n)
        for row in ((f"p{at}", "catalog", key, seller), (f"p{at}", "vlm", key, image))
    ]


def told(cases):
    return [case.operation.model_dump() for case in cases]


def test_a_word_that_images_call_otherwise_is_merged():
    mentions = said(*both(8, "zinnober", "red"), *both(5, "blue", "blue", start=8))
    words = vocabulary(("color", "zinnober", None, 8), ("color", "red", "color=red", 8),
                       ("color", "blue", "color=blue", 5))  # fmt: skip
    (case,) = words_against_images(mentions, *words, KEYS)
    assert told([case]) == [
        {"operation": "word.merge", "key": "color", "word": "zinnober", "into": "red"}
    ]
    assert [(one.name, one.convinced) for one in case.witnesses] == [("images", True)]


@pytest.mark.parametrize("looked", [0, 2])
def test_what_images_have_hardly_seen_is_left_alone(looked):
    mentions = said(*both(looked, "zinnober", "red"), ("x", "catalog", "color", "zinnober"))
    words = vocabulary(("color", "zinnober", None, 9), ("color", "red", "color=red", 9))
    assert list(words_against_images(mentions, *words, KEYS)) == []


def test_a_wrong_merge_is_seen():
    mentions = said(*both(8, "navy", "navy"))
    words = vocabulary(("color", "navy", "color=black", 8), ("color", "black", "color=black", 9))
    (case,) = words_against_images(mentions, *words, KEYS)
    assert told([case]) == [{"operation": "word.keep", "key": "color", "word": "navy"}]


def test_a_word_that_says_nothing_is_dropped():
    rows = [row for at, shown in enumerate(["red", "blue", "green"] * 4)
            for row in both(1, "new season", shown, start=at)]  # fmt: skip
    words = vocabulary(
        ("color", "new season", "color=new season", 12),
        *(("color", one, f"color={one}", 20) for one in ("red", "blue", "green")),
    )
    (case,) = words_against_images(said(*rows), *words, KEYS)
    assert told([case]) == [{"operation": "word.drop", "key": "color", "word": "new season"}]


def test_a_word_under_the_wrong_key_is_moved_home():
    words = vocabulary(("color", "denim", "color=denim", 4), ("type", "denim", "type=denim", 40))
    (case,) = words_under_two_keys(*words, said())
    assert told([case]) == [
        {"operation": "word.move", "key": "color", "word": "denim", "to_key": "type"}
    ]
    # images are a witness on these very products, or none
    assert [one.asked for one in case.witnesses] == [44, 0]
    looked = [("p1", "catalog", "color", "denim"), ("p1", "vlm", "type", "denim"),
              ("p2", "vlm", "type", "denim")]  # fmt: skip
    (case,) = words_under_two_keys(*words, said(*looked))
    assert (case.witnesses[1].asked, case.witnesses[1].agrees) == (1, 1)


def test_a_word_that_is_common_under_both_keys_stays():
    words = vocabulary(
        ("color", "orange", "color=orange", 30), ("type", "orange", "type=orange", 40)
    )
    assert list(words_under_two_keys(*words, said())) == []


def test_twin_keys_are_one_unless_products_have_both_otherwise():
    colors = ["red", "blue", "green", "black"]
    rows = [(f"p{n}", "catalog", "color", color) for n, color in enumerate(colors * 3)]
    twins = [(f"q{n}", "catalog", "shade", color) for n, color in enumerate(colors)]
    assert told(twin_keys(said(*rows, *twins), KEYS)) == [
        {"operation": "key.merge", "key": "shade", "into": "color"}
    ]
    moved = vocabulary(("color", "red", "color=red", 9), ("shade", "red", "shade=red", 1))
    assert list(words_under_two_keys(*moved, said(), twin_keys(said(*rows, *twins), KEYS))) == []
    other = [(f"p{n}", "catalog", "shade", color) for n, color in enumerate(reversed(colors))]
    assert list(twin_keys(said(*rows, *other), KEYS)) == []


def test_a_seller_whose_field_images_contradict_is_named_and_others_are_not():
    mentions = said(*both(8, "red", "blue"), *both(8, "red", "red", start=8))
    words = vocabulary(("color", "red", "color=red", 16), ("color", "blue", "color=blue", 8))
    sellers = ["bad"] * 8 + ["good"] * 8
    products = pl.DataFrame({"product_id": [f"p{n}" for n in range(16)], "seller": sellers})
    found = wrong_sources(mentions, words[1], KEYS, products)
    assert told(found) == [{"operation": "source.distrust", "seller": "bad", "key": "color"}]


def assigned(products, *entries, p=0.99):
    rows = [(n, e, e.partition("=")[0], p, "encoder") for n in products for e in entries]
    schema = {"product_id": pl.String, "entry_id": pl.String, "key": pl.String, "p": pl.Float64,
              "source": pl.String}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


DEMAND = pl.DataFrame(
    {
        "query": ["red hat", "red", "red coat"],
        "count": [90, 50, 40],
        "days": [9, 1, 9],
        "entries": [["type=hat", "color=red"], ["color=red"], ["color=red", "type=coat"]],
        "parsed": [1.0, 1.0, 1.0],
    }
)
PAGES = pl.DataFrame(
    {
        "entries": [["type=coat", "color=red"]],
        "accepted": [True],
        "duplicate_of": pl.Series([None], dtype=pl.String),
    }
)
TOPICS = pl.DataFrame({"entries": [["x=y"]], "reason": ["12 products"]})


def test_demand_without_a_page_is_a_topic_where_there_are_products():
    shelf = assigned([f"p{n}" for n in range(12)], "color=red", "type=hat")
    hat, red = unmet_demand(DEMAND, PAGES, TOPICS, shelf, least=10)
    assert hat.operation.entries == ("color=red", "type=hat")
    assert (hat.served, hat.touched) == (90, 12)
    assert [one.convinced for one in hat.witnesses] == [True, True]
    assert [one.convinced for one in red.witnesses] == [False, True]  # one day is no demand
    assert unmet_demand(DEMAND, PAGES, TOPICS, shelf, least=13) == []


def test_demand_that_a_page_of_the_same_products_serves_is_left_alone():
    shelf = assigned([f"p{n}" for n in range(12)], "color=red", "type=hat")
    same = pl.DataFrame(
        {
            "entries": [["color=red", "type=hat"], ["color=red"]],
            "reason": ["holds the same products as “Hats”", "says the same as “Reds”"],
        }
    )
    assert unmet_demand(DEMAND, PAGES, same, shelf, least=10) == []


def test_a_product_that_the_encoder_is_sure_is_something_else_is_named():
    items = pl.DataFrame({"product_id": ["a", "b"], "entries": [["color=red"], ["color=red"]]})
    carried = pl.concat([assigned("a", "color=red", p=0.2), assigned("b", "color=red")])
    claims = doubted_labels(carried, KEYS, items)
    assert claims.select("product_id", "claimed", "places").rows() == [("a", "color=red", 1)]
    seen = pl.DataFrame(
        [("a", "color", "color=blue", 0.99), ("b", "color", "color=red", 0.99)],
        schema=["product_id", "key", "entry_id", "p"],
        orient="row",
    )
    words = vocabulary(("color", "red", "color=red", 9), ("color", "blue", "color=blue", 9))
    mentions = said(("a", "vlm", "color", "blue"))
    (case,) = wrong_labels(claims, seen, mentions, words[1])
    assert told([case]) == [
        {"operation": "label.set", "product": "a", "entry": "color=blue", "holds": True}
    ]
    assert all(one.convinced for one in case.witnesses)
    (alone,) = wrong_labels(claims, seen, said(), words[1])
    assert [one.convinced for one in alone.witnesses] == [True, False]
