"""Twelve sizes of a shirt are one product: for the gates, on a page, and in what a page says."""

import json
import time

import polars as pl
import pytest

from pinlanding_assets.catalog.live import with_family
from pinlanding_assets.collections.gates import GateError, Gates, verify_gates
from pinlanding_assets.collections.matching import match
from pinlanding_assets.collections.navigation import build_facets
from pinlanding_assets.collections.pages import (
    MAX_VARIANTS,
    build_pages,
    pages_table,
    read_vocabulary,
)
from pinlanding_assets.collections.variants import nearest_first, told_apart
from tests.collections.test_matching import OPEN, assigned, catalog, topic
from tests.collections.test_publishing import ATTACK, World, read, structured

SIZES = [f"size {n}" for n in range(12)]
HATS = pl.DataFrame([topic("type=hat")])


def shirts(parents: int = 1, sizes: int = 12, **columns) -> pl.DataFrame:
    """`sizes` variants of each parent; each has a photo of its own."""
    parent = [f"shirt{at}" for at in range(parents) for _ in range(sizes)]
    return catalog(parents * sizes, parent=parent, seller=["me"] * len(parent), **columns)


def reason(products: pl.DataFrame, gates: Gates) -> str:
    collections, _ = match(HATS, assigned(products["product_id"]), products, gates=gates)
    return collections["reason"][0]


def test_twelve_sizes_of_one_shirt_are_one_product():
    gates = Gates(min_products=3, min_sellers=1)
    assert reason(shirts(), gates) == "1 products on sale, 3 needed"
    assert reason(shirts().drop("parent"), gates) == "passed every gate"
    assert reason(shirts(parents=3, sizes=4), gates) == "passed every gate"
    assert Gates.for_catalog(shirts(parents=40)) == Gates.for_catalog(shirts(parents=40, sizes=1))


def test_a_page_shows_the_variant_that_fits_best():
    products = shirts(parents=3, sizes=4)
    found = pl.concat(
        [assigned(products["product_id"], p=0.6), assigned(["p02", "p05", "p11"], source="title")]
    )
    collections, items = match(HATS, found, products, gates=OPEN)
    assert sorted(items["product_id"]) == ["p02", "p05", "p11"]
    assert items["rank"].to_list() == [1, 2, 3]
    assert collections.select("products", "matches").row(0) == (3, 3)
    verify_gates(collections, items, products, OPEN)


def test_two_variants_on_a_page_are_not_published():
    products = shirts(parents=2, sizes=3)
    found = assigned(products["product_id"])
    collections, items = match(HATS, found, products.drop("parent"), gates=OPEN)
    with pytest.raises(GateError, match="two variants of one product"):
        verify_gates(collections, items, products, OPEN)


@pytest.mark.parametrize(("photos", "pages"), [("of each", 2), ("of the parent", 1)])
def test_pages_of_the_same_parents_are_one_where_they_show_the_same_photos(photos, pages):
    images = [[f"{at if photos == 'of each' else at // 2}"] for at in range(20)]
    products = shirts(parents=10, sizes=2, images=images)
    ids = products["product_id"]
    found = pl.concat([assigned(ids[::2], ["look=a"]), assigned(ids[1::2], ["look=b"])])
    topics = pl.DataFrame([topic("look=a"), topic("look=b", demand=1.0)])
    collections, items = match(topics, found, products, gates=OPEN)
    assert collections["accepted"].sum() == pages
    verify_gates(collections, items, products, OPEN)


def test_pages_of_the_same_variants_are_one_whichever_of_them_they_show():
    products = shirts(parents=10, sizes=2)
    ids = products["product_id"]
    surer = {"look=a": ids[::2], "look=b": ids[1::2]}
    found = [assigned(ids, [entry], p=0.7, source="vlm") for entry in surer]
    found += [assigned(of, [entry], source="title") for entry, of in surer.items()]
    topics = pl.DataFrame([topic("look=a"), topic("look=b", demand=1.0)])
    collections, items = match(topics, pl.concat(found), products, gates=OPEN)
    assert collections["duplicate_of"].to_list() == ["look=b", None]
    assert sorted(items["product_id"]) == ids[1::2].to_list()


def test_a_parent_is_its_sellers_own():
    products = shirts(parents=1, sizes=3).with_columns(seller=pl.Series(["a", "a", None]))
    assert with_family(products)["family"].n_unique() == 2
    both = pl.concat([products, products.with_columns(parent=None)])
    assert with_family(both)["family"].n_unique() == 2 + 3


def test_a_product_that_others_name_is_of_their_family():
    products = catalog(3, parent=["p01", None, None], seller=["me"] * 3)
    first, second, other = with_family(products)["family"]
    assert first == second != other


def test_without_parents_nothing_changes():
    products, found = catalog(), assigned(catalog()["product_id"])
    plain = match(HATS, found, products)
    none = match(HATS, found, products.with_columns(parent=pl.lit(None, pl.String)))
    assert all(one.equals(other) for one, other in zip(plain, none, strict=True))
    world = World()
    before = world.render()
    world.products = world.products.with_columns(parent=pl.lit(None, pl.String))
    assert world.render() == before
    assert b'<details class="variants"' not in b"".join(before.values())


class Shirts(World):
    """A shop of lamps, four of each parent: one in three sizes of red, the others by color."""

    def __init__(self, attributes: list[dict[str, str]] | None = None, lamps: int = 8):
        super().__init__(size=lamps)
        told = attributes or [
            {"colour": "red", "size": "S"},
            {"colour": "red", "size": "M"},
            {"colour": "blue", "size": "S"},
            {"colour": "green", "size": "L"},
        ]
        rows = self.products.to_dicts()
        for n, row in enumerate(rows):
            pairs = [{"key": k, "value": v} for k, v in told[n % len(told)].items()]
            row |= {
                "parent": f"P{n // len(told)}",
                "title": f"Lamp {n // len(told)}",
                "attributes": [{"key": "kind", "value": "lamp"}, *pairs],
                "seller": "Lumen",
                "url": f"https://a.example/{n}?a=1&b=2",
                "availability": "in_stock",
                **{"price": 10.0 + n, "currency": "EUR"},
            }
        self.products = pl.DataFrame(rows, schema_overrides={"currency": pl.String})
        first = {n: rank for rank, n in enumerate(range(0, lamps, len(told)), start=1)}
        self.collections = self.collections.head(1).with_columns(products=pl.lit(len(first)))
        self.items = pl.DataFrame(
            [
                {
                    "topic_id": self.collections["topic_id"][0],
                    **{"rank": rank, "product_id": f"p{n:03d}", "score": 1.0},
                    "entries": ["kind=lamp"],
                }
                for n, rank in first.items()
            ]
        )

    def page(self):
        vocabulary = read_vocabulary(self.entries)
        return build_pages(self.collections, self.items, self.products, vocabulary)[0]

    def html(self) -> bytes:
        return self.render()[self.page().path]


def test_a_page_has_one_tile_a_parent_and_lists_its_variants():
    world = Shirts()
    html = world.html()
    tiles = [a for tag, a in read(html).elements if tag == "li" and "product" in a.get("class", "")]
    assert len(tiles) == 2
    assert "2 products in 8 variants, €10.00 to €14.00." in read(html).text
    assert "4 variants, also in M, blue, green, L" in read(html).text
    links = [a["href"] for tag, a in read(html).elements if tag == "a" and "a.example" in a["href"]]
    assert links[:4] == [f"https://a.example/{n}?a=1&b=2" for n in (0, 1, 2, 3)]
    assert "red, M" in read(html).text
    assert pages_table(world.collections, world.items, world.products)["products"].to_list() == [2]
    assert "1 collection from 2 products." in read(world.render()["index.html"]).text


def test_a_group_of_variants_is_structured_data():
    items = structured(Shirts().html())["mainEntity"]
    assert items["numberOfItems"] == 2
    group = items["itemListElement"][0]["item"]
    assert (group["@type"], group["productGroupID"]) == ("ProductGroup", "P0")
    assert group["variesBy"] == ["Colour", "Size"]
    assert [one["offers"]["price"] for one in group["hasVariant"]] == [
        *("10.00", "11.00", "12.00", "13.00")
    ]
    assert {one["@type"] for one in group["hasVariant"]} == {"Product"}


def test_a_filter_finds_a_tile_by_what_its_variants_are():
    world = Shirts()
    page = world.page()
    facets, marks = build_facets(page, page.products * 2, read_vocabulary(world.entries))
    options = {label: number for facet in facets for number, label, _ in facet.options}
    assert page.products[0].entries == ("colour=red", "kind=lamp", "size=s")
    assert {options[label] for label in ("s", "m", "l")} <= set(marks[0])


def test_variants_that_are_sold_out_are_not_listed():
    world = Shirts()
    gone = pl.when(pl.col("product_id") == "p002").then(pl.lit("out_of_stock"))
    world.products = world.products.with_columns(availability=gone.otherwise("availability"))
    first = world.page().products[0]
    assert [variant.product_id for variant in first.variants] == ["p001", "p003"]
    assert "blue" not in first.also


def test_of_many_variants_the_nearest_are_listed_and_the_others_counted():
    world = Shirts([{"size": size} for size in [*SIZES, *(f"wide {n}" for n in range(8))]], 20)
    first = world.page().products[0]
    assert (len(first.variants), first.siblings) == (MAX_VARIANTS, 19)
    assert first.also == "20 variants, also in size 1, size 2, size 3, size 4, …"
    assert "and 7 more" in read(world.html()).text


def test_a_family_of_thousands_is_soon_shown():
    world = Shirts([{"size": f"size {n}"} for n in range(5_000)], 5_000)
    begun = time.monotonic()
    assert world.page().products[0].siblings == 4_999
    assert time.monotonic() - begun < 5  # in the square of the family it took minutes


def test_hostile_variants_are_escaped():
    world = Shirts([{"colour": ATTACK, ATTACK: "a"}, {"colour": "x" * 500, ATTACK: ATTACK}])
    world.products = world.products.with_columns(
        parent=pl.lit(ATTACK), url=pl.lit("javascript:alert(1)"), title=pl.lit(ATTACK)
    )
    html = world.html()
    elements = read(html).elements
    assert not [a for tag, a in elements if tag == "img" and a.get("src") == "x"]
    assert not [a for tag, a in elements if tag == "a" and a["href"].startswith("javascript")]
    assert b"<script>alert" not in html
    assert json.dumps(structured(html))
    assert "x" * 41 not in read(html).text


def test_variants_that_nothing_tells_apart_have_their_titles():
    world = Shirts([{"colour": "red"}, {"colour": "red"}])
    first = world.page().products[0]
    assert first.also == "2 variants"
    assert first.variants[0].label == "Lamp 0"


def test_what_tells_variants_apart_is_stated_of_all_of_them():
    pairs = {
        "a": [("color", "red"), ("size", "S"), ("fit", "slim"), ("code", "1")],
        "b": [("color", "red"), ("size", "M"), ("code", "2")],
        "c": [("color", "blue"), ("color", "red"), ("size", "M"), ("code", "3")],
    }
    told = told_apart(
        {of: [{"key": key, "value": value} for key, value in given] for of, given in pairs.items()}
    )
    assert told["c"] == (("Color", "blue / red"), ("Size", "M"), ("Code", "3"))
    assert nearest_first(told["c"], {of: told[of] for of in "ab"}) == ["b", "a"]
    assert told_apart({}) == {}
