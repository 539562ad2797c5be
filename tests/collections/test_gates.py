from dataclasses import replace

import polars as pl
import pytest

from pinlanding_assets.catalog.live import seen, with_family
from pinlanding_assets.collections.gates import (
    ITEMS_SCHEMA,
    GateError,
    Gates,
    apply_gates,
    verify_gates,
)

GATES = Gates(min_products=4, min_sellers=2)


def catalog(n=40):
    return pl.DataFrame(
        {
            "product_id": [f"p{at:02}" for at in range(n)],
            "seller": [f"s{at % 3}" for at in range(n)],
            "availability": ["in_stock"] * n,
            "images": [[f"photo{at}"] for at in range(n)],
        }
    )


def page(name, products, sellers=3, **other):
    row = {
        "topic_id": name,
        "slug": name,
        "title": f"Page {name}",
        "entries": ["type=hat"],
        "products": len(products),
        "sellers": sellers,
        "score": 0.9,
        "demand": 0.0,
        "matches": len(products),
    }
    return row | other, [f"p{at:02}" for at in products]


def gated(*pages, live=None, gates=GATES):
    live = with_family(catalog() if live is None else live)
    items = pl.DataFrame(
        [
            (row["topic_id"], rank, product, -0.1, row["entries"])
            for row, products in pages
            for rank, product in enumerate(products, 1)
        ],
        schema=ITEMS_SCHEMA,
        orient="row",
    )
    looks = live.select("product_id", pl.concat_list(seen()))
    items = items.join(looks, on="product_id", maintain_order="left")
    return apply_gates(pl.DataFrame([row for row, _ in pages]), items, gates)


def test_small_one_seller_and_hostile_pages_are_refused():
    collections, items = gated(
        page("good", range(10)),
        page("small", range(10, 13)),
        page("empty", []),
        page("oneseller", range(13, 20), sellers=1),
        page("unknownsellers", range(20, 30), sellers=0),
        page("hostile", range(30, 38), title="<img src=x onerror=alert(1)>"),
    )
    assert collections["accepted"].to_list() == [True, False, False, False, True, False]
    assert "4 needed" in collections["reason"][1]
    assert "1 sellers, 2 needed" in collections["reason"][3]
    assert "markup" in collections["reason"][5]
    assert set(items["topic_id"]) == {"good", "unknownsellers"}


def test_of_pages_with_the_same_products_the_more_wanted_stays():
    collections, _ = gated(
        page("a", range(10)),
        page("b", range(1, 11), demand=5.0),
        page("c", range(9, 19)),
    )
    assert collections["accepted"].to_list() == [False, True, True]
    assert collections["duplicate_of"].to_list() == ["b", None, None]
    assert collections["reason"][0] == "the same products as “Page b”"


def test_what_passed_verifies():
    collections, items = gated(page("a", range(10)), page("b", range(20, 30)))
    verify_gates(collections, items, catalog(), GATES)
    verify_gates(collections.clear(), items.clear(), catalog(), GATES)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c, i, live: (c, i, live.filter(pl.col("product_id") != "p03")), "not on sale.*p03"),
        (
            lambda c, i, live: (c, i, live.with_columns(availability=pl.lit("out_of_stock"))),
            "10 products not on sale",
        ),
        (lambda c, i, live: (c, i.filter(pl.col("rank") > 1), live), "ranks"),
        (lambda c, i, live: (c, i.with_columns(product_id=pl.lit("p01")), live), "twice"),
        (lambda c, i, live: (c, i.clear(), live), "0 products"),
        (lambda c, i, live: (c.with_columns(slug=pl.lit("../etc")), i, live), "plain path"),
        (lambda c, i, live: (c.with_columns(slug=pl.lit("one")), i, live), "more than one"),
        (lambda c, i, live: (c.with_columns(title=pl.lit("<b>")), i, live), "markup"),
        (lambda c, i, live: (c.head(1), i, live), "no accepted collection"),
        (lambda c, i, live: (c, i, live.with_columns(seller=pl.lit("s"))), "1 sellers"),
        (
            lambda c, i, live: (
                c,
                i.with_columns(product_id=pl.format("p0{}", pl.col("rank") - 1)),
                live,
            ),
            "the same products as",
        ),
    ],
)
def test_what_does_not_pass_is_not_published(spoil, message):
    collections, items = gated(page("a", range(10)), page("b", range(20, 30)))
    with pytest.raises(GateError, match=message):
        verify_gates(*spoil(collections, items, catalog()), GATES)


def test_gates_of_small_and_one_seller_catalogs():
    assert Gates.for_catalog(catalog(40)) == Gates(min_products=3, min_sellers=3)
    alone = catalog(5_000).with_columns(seller=pl.lit("me"))
    assert Gates.for_catalog(alone) == Gates(min_products=10, min_sellers=1)


def test_a_page_of_one_brand_needs_no_other_seller_where_brands_are_the_sellers():
    """What a seller calls itself opens no gate: one that is called "hat" is not all hats."""
    gates = Gates(seller_keys=frozenset({"brand"}))
    assert gates.refusal("Acme hats", 10, 1, ["type=hat", "brand=acme"]) is None
    assert gates.refusal("Hats", 10, 1, ["type=hat"]) == "1 sellers, 3 needed"


def test_of_two_pages_that_are_one_the_one_that_people_made_stays():
    gates = replace(GATES, existing="collection")
    found = gated(
        page("made", range(10), score=0.5, entries=["collection=eco"]),
        page("mined", range(10), demand=9.0),
        gates=gates,
    )[0]
    assert found["accepted"].to_list() == [True, False]
    assert found["duplicate_of"].to_list() == [None, "made"]
