import numpy as np
import polars as pl
import pytest

from pinlanding_assets.topics.mining import (
    CANDIDATES_SCHEMA,
    Mining,
    combine_sources,
    mine,
    support_floor,
)

NO_DEMAND = pl.DataFrame(
    schema={
        "query": pl.String,
        "count": pl.Int64,
        "entries": pl.List(pl.String),
        "parsed": pl.Float64,
    }
)
KEYS = pl.DataFrame(
    {"key": ["type", "color", "mood"], "role": ["product_type", "attribute", "attribute"]}
)


def assigned(rows, p=0.9, source="vlm"):
    return pl.DataFrame(
        [(product, f"{key}={value}", key, value, p, source) for product, key, value in rows],
        schema=["product_id", "entry_id", "key", "value", "p", "source"],
        orient="row",
    )


def shop(products=60):
    rows = []
    for n in range(products):
        kind = ("dress", "coat")[n % 2]
        rows += [(f"p{n:03}", "type", kind), (f"p{n:03}", "color", ("red", "blue")[n // 2 % 2])]
        if kind == "coat":
            rows.append((f"p{n:03}", "mood", "warm"))
    return assigned(rows)


def sets(found):
    return {tuple(entries) for entries in found["entries"]}


def test_combinations_hold_the_product_type_and_one_entry_a_key():
    found = mine([shop()], KEYS, NO_DEMAND, products=60)
    assert found.schema == pl.Schema(CANDIDATES_SCHEMA)
    assert sets(found) == {
        ("type=dress",),
        ("type=coat",),
        ("type=dress", "color=red"),
        ("type=dress", "color=blue"),
        ("type=coat", "color=red"),
        ("type=coat", "color=blue"),
        # every coat is warm: "warm coats" are the coats
    }
    dresses = found.filter(pl.col("entries").list.join(",") == "type=dress,color=red")
    assert dresses.select("support", "lift").row(0) == (15, 1.0)
    assert dresses["precision"].item() == pytest.approx(0.81, abs=1e-6)
    assert dresses["expected"].item() == pytest.approx(15 * 0.81, abs=1e-6)


def test_without_a_product_type_any_combination_is_a_topic():
    plain = KEYS.with_columns(role=pl.lit("attribute"))
    assert ("color=red",) in sets(mine([shop()], plain, NO_DEMAND, products=60))


def test_accidental_pairs_are_left_out():
    rows = []
    for n in range(400):
        rows += [(f"p{n:03}", "type", ("dress", "coat")[n % 2])]
        # almost all dresses are red, almost all coats blue; one in ten the other way round
        rows += [(f"p{n:03}", "color", ("red", "blue")[(n % 2) ^ (n % 20 < 2)])]
    found = sets(
        mine([assigned(rows)], KEYS, NO_DEMAND, products=400, mining=Mining(max_overlap=1.0))
    )
    assert ("type=dress", "color=red") in found
    assert ("type=dress", "color=blue") not in found


def test_agreeing_sources_are_surer_than_one():
    both = pl.concat([shop(4), assigned([("p000", "type", "dress")], p=0.8, source="title")])
    evidence = combine_sources(both).filter(pl.col("entry_id") == "type=dress").sort("product_id")
    assert evidence["sources"].to_list() == [2, 1]
    assert evidence["p"].to_list() == pytest.approx([1 - 0.1 * 0.2, 0.9])
    sure = combine_sources(assigned([("p", "type", "dress")], p=1.0))
    assert sure["p"].item() < 1.0  # so that agreement still counts


def test_demand_ranks_topics():
    asked = pl.DataFrame(
        {
            "query": ["blue coat"],
            "count": [500],
            "entries": [["color=blue", "type=coat"]],
            "parsed": [1.0],
        }
    )
    found = mine([shop()], KEYS, asked, products=60)
    assert found["entries"][0].to_list() == ["type=coat", "color=blue"]
    assert found["demand"][0] == 500


def test_bounds_and_empty_input():
    assert mine([shop()], KEYS, NO_DEMAND, products=60, mining=Mining(limit=2)).height == 2
    assert mine([shop()], KEYS, NO_DEMAND, products=60, mining=Mining(max_entries=1)).height == 2
    assert mine([shop().clear()], KEYS, NO_DEMAND, products=0).is_empty()
    assert mine([shop(2)], KEYS, NO_DEMAND, products=2).is_empty()


def test_row_order_does_not_matter():
    shuffled = shop().sample(fraction=1.0, shuffle=True, seed=1)
    members = pl.DataFrame(
        {"product_id": [f"p{n:03}" for n in range(60)], "cluster_id": np.arange(60) % 3}
    )
    one = mine([shop()], KEYS, NO_DEMAND, products=60, members=members)
    assert one.equals(mine([shuffled], KEYS, NO_DEMAND, products=60, members=members))
    assert one["focus"].is_between(0, 1).all()


def test_parts_give_what_the_whole_gives():
    whole = pl.concat([shop(), assigned([("p001", "color", "blue")], source="encoder")])
    number = pl.col("product_id").str.slice(1).cast(pl.Int64)
    parts = [
        whole.filter(number.is_between(*pair)) for pair in ((0, 19), (20, 39), (40, 40), (41, 59))
    ]
    assert sum(part.height for part in parts) == whole.height
    one = mine([whole], KEYS, NO_DEMAND, products=60)
    assert one.height > 2
    assert one.equals(mine(parts, KEYS, NO_DEMAND, products=60))


def test_a_type_that_no_topic_can_have_leaves_no_topics():
    colours = [(f"p{n:03}", "color", "red") for n in range(40)]
    rows = assigned([*colours, ("p000", "type", "dress")])
    assert mine([rows], KEYS, NO_DEMAND, products=40).is_empty()


def test_two_values_of_a_multi_valued_key_make_a_topic():
    keys = pl.DataFrame({"key": ["keyword"], "role": ["product_type"], "multi": [True]})
    said = [(f"p{n:02}", "keyword", "flag") for n in range(30)]
    said += [(f"p{n:02}", "keyword", "europe") for n in range(20, 50)]
    said += [(f"p{n:02}", "keyword", "map") for n in range(50, 60)]
    said += [(f"p{n:02}", "keyword", "star") for n in range(22, 30, 2)]
    found = mine([assigned(said)], keys, NO_DEMAND, products=60)
    assert ("keyword=europe", "keyword=flag") in sets(found)
    assert max(map(len, sets(found))) == 2, "two of one key, at most"
    single = keys.with_columns(multi=False)
    assert max(map(len, sets(mine([assigned(said)], single, NO_DEMAND, products=60)))) == 1


def test_products_without_a_type_get_topics_where_they_are_many():
    typed = [(f"p{n:02}", "type", ("dress", "coat")[n % 2]) for n in range(30)]
    moods = [(f"p{n:02}", "mood", ("warm", "cool")[n % 3 == 0]) for n in range(60)]
    assert ("mood=warm",) in sets(mine([assigned([*typed, *moods])], KEYS, NO_DEMAND, products=60))
    most = [(f"p{n:02}", "type", ("dress", "coat")[n % 2]) for n in range(58)]
    found = mine([assigned([*most, *moods])], KEYS, NO_DEMAND, products=60)
    assert ("mood=warm",) not in sets(found)


def test_smaller_topics_where_they_are_asked_for():
    said = [(f"p{n}", "type", ("dress", "coat")[n % 2]) for n in range(40)]
    said += [(f"p{n}", "color", "red") for n in (0, 2)]
    rows = assigned(said)
    assert ("type=dress", "color=red") not in sets(mine([rows], KEYS, NO_DEMAND, products=40))
    found = mine([rows], KEYS, NO_DEMAND, products=40, mining=Mining(min_support=2))
    assert ("type=dress", "color=red") in sets(found)


def test_support_floor_follows_the_catalog():
    assert [support_floor(n) for n in (0, 40, 650, 5_000, 100_000, 1_000_000)] == [
        3,
        3,
        7,
        10,
        20,
        200,
    ]


def test_collections_that_people_made_are_topics_by_themselves_and_only_so():
    made = assigned([(f"p{n:03}", "collection", "eco") for n in range(20)], source="catalog")
    keys = pl.concat([KEYS, pl.DataFrame({"key": ["collection"], "role": ["collection"]})])
    found = sets(mine([pl.concat([shop(), made])], keys, NO_DEMAND, products=60))
    assert found - sets(mine([shop()], KEYS, NO_DEMAND, products=60)) == {("collection=eco",)}


def test_variants_of_one_product_support_a_topic_once():
    rows = [(f"p{n:02}", "type", "hat") for n in range(30)]
    rows += [(f"p{n:02}", "color", ("red", "blue", "grey")[n % 3]) for n in range(30)]
    # of the caps, twelve are sizes of one; each says something different
    rows += [(f"cap{n:02}", "type", "cap") for n in range(14)]
    ids = list(dict.fromkeys(product for product, *_ in rows))
    families = pl.DataFrame(
        {
            "product_id": ids,
            "family": [-1 if "cap" in i and i < "cap12" else n for n, i in enumerate(ids)],
        }
    )
    every = mine([assigned(rows)], KEYS, NO_DEMAND, products=44, mining=Mining(min_support=3))
    assert ("type=cap",) in sets(every)
    found = mine(
        [assigned(rows)],
        *(KEYS, NO_DEMAND),
        products=33,
        families=families,
        mining=Mining(min_support=3),
    )
    caps = found.filter(pl.col("entries").list.contains("type=cap"))
    assert caps.select("support", "expected").rows() == [(3, pytest.approx(2.7))]
    hats = found.filter(pl.col("entries").list.contains("type=hat"))
    assert (
        hats.drop("lift")
        .sort("entries")
        .equals(
            every.filter(pl.col("entries").list.contains("type=hat")).drop("lift").sort("entries")
        )
    )
