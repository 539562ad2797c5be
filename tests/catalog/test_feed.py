import json

import polars as pl
import pytest

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.feed import CatalogDay, finish, parse_records
from pinlanding_assets.catalog.images import ImageResult

MAPPING = {
    "columns": {
        "id": "sku",
        "operation": "op",
        "title": "name",
        "description": "d",
        "images": [{"column": "images", "split": "|"}, {"column": "more"}],
        "price": "p",
        "currency": "c",
        "seller": "s",
        "availability": "a",
        "url": "u",
    },
    "attributes": {
        "colour": {"column": "color", "split": "/"},
        "audience": {"column": "kids", "values": {"True": "kids", "False": ""}},
        "*": {"column": "extra"},
    },
    "defaults": {"currency": "EUR", "seller": "the shop"},
}
HASH = "0123456789abcdef0123456789abcdef"


def records(*rows: dict | str, error: str | None = None) -> pl.DataFrame:
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    columns = {
        "file": ["feed.jsonl"] * len(texts),
        "row": list(range(1, len(texts) + 1)),
        "record": texts,
        "size": [len(text) for text in texts],
        "error": [error] * len(texts),
    }
    return schema.Records.validate(
        pl.DataFrame(columns, schema=schema.Records.create_empty().schema)
    )


def catalog(*rows: dict | str, good_images: bool = True) -> CatalogDay:
    parsed = parse_records(records(*rows), MAPPING)
    results = [
        ImageResult(file, source, HASH, 20, 30, 99, None, "0" * 112)
        if good_images and "bad" not in source
        else ImageResult(file, source, None, 0, 0, 0, "no such file")
        for file, source in parsed.image_references.select("file", "source").unique().rows()
    ]
    return finish(parsed, results)


def product(**fields) -> dict:
    day = catalog({"sku": "1", "name": "Shirt", **fields})
    assert day.products.height == 1, day.rejects
    return day.products.row(0, named=True)


def reject(**fields) -> tuple[str, str]:
    day = catalog({"sku": "1", "name": "Shirt", **fields})
    assert day.products.height == 0
    assert day.rejects.height == 1
    return day.rejects.select("field", "reason").row(0)


def test_a_full_row_becomes_a_product():
    row = {
        **{"sku": 17, "op": "UPDATE", "name": "A <b>red</b> shirt", "d": "Of wool.", "p": "19.90"},
        **{"c": "usd", "s": "Ann", "a": "In Stock", "u": "HTTPS://shop.example/17"},
        **{"images": "a.jpg|b.jpg", "color": "Red / Blue", "kids": True},
        "extra": {"material": ["Wool", "Silk"], "size": 38.0, "none": None},
    }
    day = catalog(row)
    assert day.rejects.height == 0
    assert day.products.row(0, named=True) == {
        **{"product_id": "17", "operation": "upsert", "title": "A red shirt"},
        **{"description": "Of wool.", "images": [HASH], "price": 19.9, "currency": "USD"},
        **{"seller": "Ann", "availability": "in_stock", "url": "https://shop.example/17"},
        "attributes": [
            {"key": "colour", "value": "Red"},
            {"key": "colour", "value": "Blue"},
            {"key": "audience", "value": "kids"},
            {"key": "material", "value": "Wool"},
            {"key": "material", "value": "Silk"},
            {"key": "size", "value": "38"},
        ],
        **{"file": "feed.jsonl", "row": 1},
    }


def test_values_are_renamed_or_left_out():
    assert product(kids="True")["attributes"] == [{"key": "audience", "value": "kids"}]
    assert product(kids="False")["attributes"] == []


def test_an_id_and_one_of_text_image_attribute_is_enough():
    day = catalog(
        {"sku": "a", "name": "Shirt"},
        {"sku": "b", "d": "A shirt"},
        {"sku": "c", "images": ["c.jpg"]},
        {"sku": "d", "color": "red"},
        {"sku": "e", "p": 3},
    )
    assert day.products["product_id"].to_list() == ["a", "b", "c", "d"]
    assert day.products["seller"].unique().to_list() == ["the shop"]
    assert day.rejects.select("row", "product_id").rows() == [(5, "e")]


@pytest.mark.parametrize(
    ("received", "price", "currency"),
    [
        (12, 12.0, "EUR"),
        ("12.50", 12.5, "EUR"),
        ("$ 12.50", 12.5, "EUR"),
        ("12.50 €", 12.5, "EUR"),
        ("12.50 GBP", 12.5, "GBP"),
        ("0", 0.0, "EUR"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_prices(received, price, currency):
    row = product(p=received)
    assert (row["price"], row["currency"]) == (price, currency)


@pytest.mark.parametrize(
    "received",
    [
        *(-1, "-1", "1.299,00", "1,299.00", "19,99", "free", "1e5", "$12 USD", "#12", "12 12"),
        *(float("nan"), float("inf"), 1e12, 10**400, "9" * 12, "NaN", [12], {"amount": 12}, True),
    ],
)
def test_a_bad_price_rejects_the_row(received):
    assert reject(p=received)[0] == "price"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"sku": None}, "id"),
        ({"sku": "  "}, "id"),
        ({"sku": "x" * 129}, "id"),
        ({"sku": "a\x00b"}, "id"),
        ({"sku": ["1"]}, "id"),
        ({"sku": True}, "id"),
        ({"op": "explode"}, "operation"),
        ({"name": {"en": "Shirt"}}, "title"),
        ({"name": "x" * 10_001}, "title"),
        ({"d": ["A", "B"]}, "description"),
        ({"p": 1, "c": "dollars"}, "currency"),
        ({"extra": "{broken"}, "attributes"),
        ({"extra": [1]}, "attributes"),
    ],
)
def test_a_broken_field_rejects_the_row_and_is_named(fields, field):
    assert reject(**fields)[0] == field


@pytest.mark.parametrize("text", ["{", "[]", "3", "null", '"text"', "[" * 100_000, "9" * 5000])
def test_a_record_that_is_no_object_is_rejected(text):
    day = catalog(text, {"sku": "1", "name": "Shirt"})
    assert day.products.height == 1
    assert day.rejects.select("row", "field").rows() == [(1, "record")]
    assert day.rejects["value"].str.len_chars().max() <= 200


def test_an_error_of_reading_is_passed_on():
    parsed = parse_records(
        records("{..", error="larger than 1048576 bytes: 99999999 bytes"), MAPPING
    )
    assert parsed.rejects.row(0) == (
        *("feed.jsonl", 1, None, "record"),
        *("larger than 1048576 bytes: 99999999 bytes", "{.."),
    )


def test_long_text_is_cut():
    row = product(name="x" * 9_000, d="y" * 90_000)
    assert (len(row["title"]), len(row["description"])) == (300, 5_000)


@pytest.mark.parametrize(
    ("received", "availability"),
    [
        *(("InStock", "in_stock"), ("https://schema.org/OutOfStock", "out_of_stock")),
        *(("pre-order", "preorder"), ("sold out", "out_of_stock"), (True, "in_stock")),
        *((0, "out_of_stock"), ("7", "in_stock"), (-2, "out_of_stock"), ("maybe", "unknown")),
        *((None, "unknown"), ("/" * 500, "unknown")),
    ],
)
def test_availability(received, availability):
    assert product(a=received)["availability"] == availability


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/p/1", "http://", "https://a b", 17])
def test_a_url_that_cannot_be_linked_is_left_out_and_noted(url):
    day = catalog({"sku": "1", "name": "Shirt", "u": url})
    assert day.products["url"].to_list() == [None]
    assert day.rejects["field"].to_list() == ["url"]


def test_attributes_are_bounded_and_what_is_left_out_is_noted():
    members = {f"key{i}": "v" for i in range(80)}
    day = catalog(
        {"sku": "1", "extra": members},
        {"sku": "2", "extra": {"a": "x" * 81, "b": "x" * 80, "c": {"d": 1}, "": "e"}},
    )
    first, second = day.products["attributes"].to_list()
    assert len(first) == 50
    assert second == [{"key": "b", "value": "x" * 80}]
    assert day.rejects["field"].to_list() == [
        *("attributes.key50", "attributes.", "attributes.a", "attributes.c")
    ]


def test_the_last_row_of_a_product_wins_and_a_bad_row_replaces_nothing():
    parsed = parse_records(
        records(
            {"sku": "1", "name": "Old", "images": "old.jpg"},
            {"sku": "2", "name": "Gone"},
            {"sku": "1", "name": "New", "images": "new.jpg"},
            {"sku": "2", "op": "delete"},
            {"sku": "1", "name": "Broken", "p": "free"},
        ),
        MAPPING,
    )
    columns = ("product_id", "operation", "title", "row")
    assert parsed.products.select(columns).rows() == [
        ("1", "upsert", "New", 3),
        ("2", "delete", "", 4),
    ]
    assert parsed.superseded == 2
    assert parsed.image_references["source"].to_list() == ["new.jpg"]
    assert finish(parsed, []).products.height == 2  # the image is not there, the title is


def test_a_bad_image_is_rejected_alone_unless_nothing_else_is_left():
    day = catalog(
        {"sku": "1", "images": "bad.jpg|good.jpg"},
        {"sku": "2", "images": "bad.jpg", "name": "Shirt"},
        {"sku": "3", "images": "bad.jpg"},
    )
    assert day.products["product_id"].to_list() == ["1", "2"]
    assert day.images.rows() == [("1", 0, "good.jpg", HASH, 20, 30, 99, "0" * 112)]
    reasons = day.rejects.select("row", "product_id", "reason").rows()
    assert reasons == [
        (1, "1", "no such file"),
        (2, "2", "no such file"),
        (3, "3", "no such file"),
        (3, "3", "no usable image, and neither text nor attributes"),
    ]


def test_equal_images_of_a_product_count_once_and_positions_have_no_gaps():
    parsed = parse_records(records({"sku": "1", "images": "bad|a|b|c", "more": ["a", 3]}), MAPPING)
    other = HASH[::-1]
    hashes = {"bad": None, "a": HASH, "b": HASH, "c": other}
    results = [
        ImageResult("feed.jsonl", s, h, 20, 20, 9, None if h else "bad", h and "0" * 112)
        for s, h in hashes.items()
    ]
    day = finish(parsed, results)
    assert day.products["images"].to_list() == [[HASH, other]]
    assert day.images.select("position", "source").rows() == [(0, "a"), (1, "c")]
    assert sorted(day.rejects["value"]) == ["3", "bad"]


def test_many_images_and_hostile_rows_stay_small():
    hostile = {"sku": "1", "name": "x", "images": [f"{i}\x00" for i in range(5000)]}
    many = {"sku": "2", "images": [f"{i}.jpg" for i in range(5000)]}
    parsed = parse_records(records(hostile, many), MAPPING)
    assert parsed.image_references.height == 20
    assert parsed.rejects.height == 21


def test_an_empty_day_has_typed_tables():
    day = catalog()
    assert day.products.height == day.rejects.height == day.images.height == 0
    assert day.products.schema == schema.Products.create_empty().schema
    assert day.images.schema == schema.Images.create_empty().schema
    assert day.rejects.schema == schema.Rejects.create_empty().schema


def test_the_schema_refuses_what_the_stage_must_not_write():
    good = catalog({"sku": "1", "name": "Shirt", "p": 1}).products
    for broken in (
        {"price": float("nan")},
        {"price": -1.0},
        {"url": "javascript:x"},
        {"availability": "soon"},
        {"title": ""},
    ):
        frame = good.with_columns(**{name: pl.lit(value) for name, value in broken.items()})
        assert not schema.Products.is_valid(frame), broken
    assert schema.Products.is_valid(good)
