import polars as pl
import pytest

from pinlanding_assets.topics.demand import (
    DEMAND_SCHEMA,
    MAX_QUERY,
    clean_queries,
    demand,
    merge_queries,
)

ENTRIES = pl.DataFrame(
    [
        ("type=dress", "type", "dress", "dress", 100),
        ("type=cookie", "type", "cookie", "cookie", 20),
        ("color=red", "color", "red", "red", 50),
        ("sleeve=short", "sleeve", "short", "short sleeve", 40),
        ("length=short", "length", "short", "short", 60),
        ("neck=v-neck", "neck", "v-neck", "v-neck", 10),
    ],
    schema=["entry_id", "key", "value", "phrase", "products"],
    orient="row",
)
ALIASES = pl.DataFrame(
    {
        "key": ["type", "color"],
        "raw_value": ["gown", "zzz"],
        "entry_id": ["type=dress", None],
        "count": [3, 1],
        "action": ["merge", "drop"],
        "reason": ["", ""],
    }
)


def logged(*rows):
    return pl.DataFrame(rows, schema=["day", "query", "count"], orient="row")


def asked(*rows, floor=1):
    found = demand(logged(*rows), ENTRIES, ALIASES, floor=floor)
    return {row["query"]: row for row in found.iter_rows(named=True)}


def test_clean_queries_normalises_bounds_and_adds_up():
    log = pl.DataFrame(
        {
            "query": [
                "Ｒｅｄ\x00  Dress ",
                "red dress",
                "",
                None,
                "\x07",
                "x" * 10_000,
                "n",
                "f",
                "e",
            ],
            "count": ["2", "3", "9", "9", "9", "1", "-1", "1.5", "many"],
        }
    )
    assert clean_queries(log).rows() == [("red dress", 5), ("x" * MAX_QUERY, 1)]


def test_clean_queries_of_an_empty_log():
    cleaned = clean_queries(pl.DataFrame())
    assert cleaned.is_empty()
    assert cleaned.columns == ["query", "count"]


def test_clean_queries_names_the_missing_column():
    with pytest.raises(ValueError, match="no column 'count'"):
        clean_queries(pl.DataFrame({"query": ["a"]}))


def test_prefixes_go_to_the_most_searched_query_that_completes_them():
    found = asked(("d1", "red dress", 9), ("d1", "red dre", 4), ("d2", "r", 2), ("d1", "red", 3))
    assert found["red dress"]["count"] == 15
    assert found["red dress"]["days"] == 2
    assert found["red"]["count"] == 3  # a whole word is no prefix


def test_a_word_seen_inside_a_query_is_no_prefix():
    assert asked(("d", "acme", 5), ("d", "acme dress", 2)).keys() == {"acme", "acme dress"}


@pytest.mark.parametrize("typo", ["red drss", "red drses", "red rdess", "red dreess"])
def test_misspellings_are_repaired(typo):
    found = asked(("d", "red dress", 9), (("d"), typo, 2))
    assert found.keys() == {"red dress"}
    assert found["red dress"]["count"] == 11


def test_a_word_searched_more_than_its_neighbour_is_no_misspelling():
    assert "rad dress" in asked(("d", "rad dress", 9), ("d", "red dress", 2))


def test_repair_shows_what_people_type():
    assert asked(("d", "red cookies", 5), ("d", "red cokies", 1)).keys() == {"red cookies"}


def test_parsing_prefers_long_phrases_and_free_keys():
    found = asked(("d", "short gowns with short sleeves vneck", 3), ("d", "acme red dress", 3))
    assert found["short gowns with short sleeves vneck"]["entries"] == [
        "length=short",
        "neck=v-neck",
        "sleeve=short",
        "type=dress",
    ]
    assert found["short gowns with short sleeves vneck"]["parsed"] == 1.0
    assert found["acme red dress"]["parsed"] == pytest.approx(2 / 3)


def test_privacy_floor_counts_after_merging():
    found = asked(("d", "red dress", 2), ("e", "red dresses", 1), ("d", "rare thing", 2), floor=3)
    assert found.keys() == {"red dress"}


def test_empty_log_and_row_order():
    empty = demand(logged().cast({"count": pl.Int64}), ENTRIES, ALIASES)
    assert empty.schema == pl.Schema(DEMAND_SCHEMA)
    assert empty.is_empty()
    rows = [("d", f"red q{n}", n % 7 + 1) for n in range(40)]
    words = {"red": 1}
    assert merge_queries(logged(*rows), words).equals(merge_queries(logged(*rows[::-1]), words))
