import polars as pl

from pinlanding_assets.collections.gates import COLLECTIONS_SCHEMA, ITEMS_SCHEMA, Gates
from pinlanding_assets.scorecard.naming import naming, with_synonyms
from pinlanding_assets.scorecard.search_log_arm import (
    TextIndex,
    read_again,
    search_log_collections,
    terms,
)

TITLES = ["Red dress", "Red dresses for women", "red summer dress new red", "Blue dress", "Redder"]
ENTRIES = pl.DataFrame(
    [("type=dress", "type", "dress", "dress", 9), ("color=red", "color", "red", "red", 9)],
    schema=["entry_id", "key", "value", "phrase", "products"],
    orient="row",
)
ALIASES = pl.DataFrame(schema={"key": pl.String, "raw_value": pl.String, "entry_id": pl.String})
PRODUCTS = pl.DataFrame(
    {
        "product_id": [f"p{n}" for n in range(5)],
        "title": TITLES,
        "description": [""] * 5,
        "images": [[f"h{n}"] for n in range(5)],
        "seller": [None] * 5,
        "availability": ["in_stock"] * 4 + ["out_of_stock"],
    },
    schema_overrides={"seller": pl.String},
)


def logged(*rows):
    return pl.DataFrame(rows, schema=["day", "query", "count"], orient="row")


def test_every_word_of_the_query_in_the_title_best_match_first():
    index = TextIndex(TITLES, [""] * 5)
    rows, scores = index.search("dresses in red")
    assert rows.tolist() == [0, 1, 2]
    assert scores[0] > scores[1]  # the shorter title
    assert index.search("dress purple")[0].tolist() == []
    assert index.search("with the")[0].tolist() == []


def test_a_word_may_stand_in_the_description():
    index = TextIndex(["Dress", "Red dress", "Summer"], ["in red", "", "a dress"])
    rows, scores = index.search("red dress")
    assert rows.tolist() == [0, 1]
    assert scores[1] > scores[0]  # the title counts for more
    assert index.words == {"dress": 2}  # of titles


def test_a_letter_is_part_of_the_word_that_follows():
    assert terms("V neck T-shirts, vitamin c") == ["vneck", "tshirt", "vitamin", "c"]
    index = TextIndex(["White shirt", "White T-shirt", "white tshirts"], [""] * 3)
    assert index.search("white shirt")[0].tolist() == [0]
    assert index.search("t shirt")[0].tolist() == [1, 2]


def test_queries_are_read_again_with_more_words():
    arm = search_log_collections(
        logged(("d", "crimson dress", 5)),
        PRODUCTS.with_columns(title=pl.lit("crimson dress")),
        ENTRIES,
        ALIASES,
        gates=Gates(min_products=2, min_sellers=1),
    )
    assert arm[1]["entries"].to_list()[0] == ["type=dress"]
    names = naming(ENTRIES, ALIASES)
    spelt = with_synonyms(ALIASES, names, {"color": {"red": ["crimson"], "gold": ["golden"]}})
    collections, items = read_again(arm, ENTRIES, spelt)
    assert collections["entries"].to_list() == [["color=red", "type=dress"]]
    assert items["entries"].to_list()[0] == ["color=red", "type=dress"]
    assert items.drop("entries").equals(arm[1].drop("entries"))


def test_frequent_queries_become_collections():
    queries = logged(
        ("d", "red dress", 5), ("d", "red drses", 1), ("d", "hat", 9), ("d", "rare", 1)
    )
    collections, items = search_log_collections(
        queries, PRODUCTS, ENTRIES, ALIASES, gates=Gates(min_products=2)
    )
    assert collections.schema == pl.Schema(COLLECTIONS_SCHEMA)
    assert items.schema == pl.Schema(ITEMS_SCHEMA)
    rows = {row["title"]: row for row in collections.iter_rows(named=True)}
    assert rows.keys() == {"Hat", "Red dress"}
    assert not rows["Hat"]["accepted"]
    assert rows["Red dress"]["accepted"]
    assert rows["Red dress"]["entries"] == ["color=red", "type=dress"]
    assert items["product_id"].to_list() == ["p0", "p2", "p1"]  # "red" twice counts for more


def test_no_log_or_no_titles_gives_empty_tables():
    none = logged().cast({"count": pl.Int64})
    assert search_log_collections(none, PRODUCTS, ENTRIES, ALIASES)[0].is_empty()
    untitled = PRODUCTS.with_columns(title=pl.lit(""))
    collections, items = search_log_collections(
        logged(("d", "red dress", 5)), untitled, ENTRIES, ALIASES
    )
    assert collections["accepted"].to_list() == [False]
    assert items.is_empty()
