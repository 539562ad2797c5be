import json

import polars as pl
import pytest

from pinlanding_assets.catalog import row_store, schema
from pinlanding_assets.catalog.checks import profile
from pinlanding_assets.catalog.feed import CatalogDay, finish, parse_records
from pinlanding_assets.catalog.images import ImageResult
from resources.feeds.catalog_config import CatalogConfig

SETTINGS = {
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


def mapping(**settings) -> dict:
    body = {"name": "test", "feeds": ["feed.jsonl"], **SETTINGS, **settings}
    return CatalogConfig.model_validate(body).model_dump()


MAPPING = mapping()
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
        **{"product_id": "17", "parent": None, "operation": "upsert", "title": "A red shirt"},
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
        **{"snapshot": False, "file": "feed.jsonl", "row": 1},
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
        ("12.50 €", 12.5, "EUR"),
        ("12.50 GBP", 12.5, "GBP"),
        ("gbp 12.50", 12.5, "GBP"),
        ("0", 0.0, "EUR"),
        ("", None, None),
        (None, None, None),
        ("N/A", None, None),
        ("NaN", None, None),
        (float("nan"), None, None),
        ([12], 12.0, "EUR"),
        ({"amount": 12}, 12.0, "EUR"),
        ({"value": "12.50", "currencyCode": "USD"}, 12.5, "USD"),
        ({"centAmount": 1250, "currencyCode": "EUR", "fractionDigits": 2}, 12.5, "EUR"),
    ],
)
def test_prices(received, price, currency):
    row = product(p=received)
    assert (row["price"], row["currency"]) == (price, currency)


@pytest.mark.parametrize(
    "received",
    [
        *(-1, "-1", "1.299", "1,299", "free", "1e5", "#12", "12 12", "12 EUR/kg", "10-20"),
        *(float("inf"), 1e12, 10**400, "9" * 12, [12, 13], {"amount": {}}, True),
    ],
)
def test_a_bad_price_rejects_the_row(received):
    assert reject(p=received)[0] == "price"


def test_a_sign_that_is_not_of_the_currency_rejects_the_row():
    assert reject(p="$ 12.50") == ("currency", "the price says USD/CAD/AUD, its currency is EUR")
    assert product(p="$ 12.50", c="CAD")["currency"] == "CAD"


def test_the_other_prices_of_a_file_decide_what_a_mark_before_three_digits_is():
    german = catalog(
        {"sku": "1", "name": "Sofa", "p": "1.299 €"}, {"sku": "2", "name": "Cup", "p": "9,90 €"}
    )
    assert german.products["price"].to_list() == [1299.0, 9.9]
    english = catalog(
        {"sku": "1", "name": "Oil", "p": "1.299"}, {"sku": "2", "name": "Cup", "p": "9.9"}
    )
    assert english.products["price"].to_list() == [1.299, 9.9]
    both = catalog(
        {"sku": "1", "name": "Sofa", "p": "1.299"},
        {"sku": "2", "name": "Cup", "p": "9.90"},
        {"sku": "3", "name": "Hat", "p": "9,90"},
    )
    assert both.products["product_id"].to_list() == ["2", "3"]
    assert both.rejects.select("field", "reason").rows() == [
        ("price", "may be 1.299 or 1299: say `decimal` in catalog.yaml")
    ]
    said = parse_records(records({"sku": "1", "name": "S", "p": "1.299"}), mapping(decimal=","))
    assert said.products["price"].to_list() == [1299.0]


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
        ({"d": ["A", {"text": "B"}]}, "description"),
        ({"sku": 1e300}, "id"),
        ({"sku": "NULL"}, "id"),
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
        *((0, "out_of_stock"), ("7", "in_stock"), (-2, "out_of_stock"), ("-2", "out_of_stock")),
        *(
            (None, "unknown"),
            ("n/a", "unknown"),
            ("12.0", "in_stock"),
            ("0 in stock", "out_of_stock"),
        ),
        *(("Temporarily out of stock", "out_of_stock"), ("nicht auf Lager", "out_of_stock")),
        *(
            ("Rupture de stock", "out_of_stock"),
            ("agotado", "out_of_stock"),
            ("品切れ", "out_of_stock"),
        ),
        *(("在庫あり", "in_stock"), ("Sofort lieferbar", "in_stock"), ("on backorder", "preorder")),
        *(("In stock, ships in 2 days", "in_stock"), ("In stock soon", "preorder")),
        *(("Out of stock (back soon)", "out_of_stock"), ("draft", "out_of_stock")),
    ],
)
def test_availability(received, availability):
    assert product(a=received)["availability"] == availability


@pytest.mark.parametrize(
    "received", ["maybe", "/" * 500, "lieferbar ab 12.12.", "in stock but not"]
)
def test_an_unknown_word_is_not_sold_and_is_noted(received):
    day = catalog({"sku": "1", "name": "Shirt", "a": received})
    assert day.products["availability"].to_list() == ["out_of_stock"]
    assert day.rejects["field"].to_list() == ["availability"]
    own = mapping(words={"availability": {received[:200]: "in_stock"}})
    parsed = parse_records(records({"sku": "1", "name": "Shirt", "a": received}), own)
    if len(received) <= 200:
        assert parsed.products["availability"].to_list() == ["in_stock"]


def test_operations_in_codes_and_in_words_of_ones_own():
    rows = [{"sku": f"s{op}", "name": "x", "op": op} for op in ("I", "U", "D", "-", "+", "gone")]
    parsed = parse_records(records(*rows), mapping(words={"operation": {"GONE": "delete"}}))
    assert dict(parsed.products.select("product_id", "operation").iter_rows()) == {
        **{"sI": "upsert", "sU": "upsert", "sD": "delete", "s-": "delete", "s+": "upsert"},
        "sgone": "delete",
    }


def test_of_a_deletion_only_the_id_has_to_be_right():
    day = catalog({"sku": "1", "op": "delete", "p": "free", "u": "javascript:x", "images": [{}]})
    assert day.products.row(0, named=True)["operation"] == "delete"
    assert day.rejects.height == 0


def test_an_address_without_a_scheme_is_https():
    assert product(u="//shop.example/1")["url"] == "https://shop.example/1"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/p/1", "http://", "https://a b", 17])
def test_a_url_that_cannot_be_linked_is_left_out_and_noted(url):
    day = catalog({"sku": "1", "name": "Shirt", "u": url})
    assert day.products["url"].to_list() == [None]
    assert day.rejects["field"].to_list() == ["url"]


def test_attributes_are_bounded_and_what_is_left_out_is_noted():
    members = {f"key{i}": "v" for i in range(80)}
    day = catalog(
        {"sku": "1", "extra": members},
        {"sku": "2", "extra": {"a": "x" * 81, "b": "x" * 80, "c": {"d": {}}, "": "e"}},
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
    assert (parsed.superseded, parsed.parts) == (2, 0)
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


def test_a_feed_in_parts_is_as_in_one():
    rows = records(*({"sku": str(i % 7), "name": f"t{i}", "p": f"{i}.5"} for i in range(20)))
    whole, parts = parse_records(rows, MAPPING), parse_records(rows.iter_slices(3), MAPPING)
    assert parts.products.equals(whole.products)
    assert parts.superseded == whole.superseded == 13


def parsed(*rows: dict, **settings):
    return parse_records(records(*rows), mapping(**settings))


def attributes_of(found) -> list[dict[str, list[str]]]:
    every = []
    for pairs in found.products["attributes"]:
        by_key: dict[str, list[str]] = {}
        for pair in pairs:
            by_key.setdefault(pair["key"], []).append(pair["value"])
        every.append(by_key)
    return every


VARIANTS = [
    {
        "sku": "s",
        "name": "Shirt",
        "d": "Linen",
        "p": "42.00",
        "a": "0",
        "color": "White",
        "images": "1",
    },
    {"sku": "s", "name": "", "p": "39.00", "a": "3", "color": "Blue", "images": "2"},
    {"sku": "s", "name": "", "images": "3|1"},
    {"sku": "h", "name": "Hat", "p": "19.00"},
]


def test_rows_that_follow_their_product_without_a_title_are_parts_of_it():
    found = parsed(*VARIANTS)
    assert (found.parts, found.superseded) == (2, 0)
    shirt = found.products.row(1, named=True)
    facts = ("title", "description", "price", "currency", "availability", "row")
    assert [shirt[name] for name in facts] == ["Shirt", "Linen", 39.0, "EUR", "in_stock", 1]
    assert attributes_of(found)[1] == {"colour": ["White", "Blue"]}
    assert found.image_references.select("position", "source").rows() == [
        *((0, "1"), (1, "2"), (2, "3"))
    ]


def test_rows_are_changes_or_parts_as_the_setting_says():
    twice = [{"sku": "1", "name": "Old", "color": "red"}, {"sku": "1", "name": "New", "d": "x"}]
    assert parsed(*twice).products["title"].to_list() == ["New"]
    joined = parsed(*twice, rows="joined")
    assert joined.products.select("title", "description").rows() == [("Old", "x")]
    last = parsed(*VARIANTS, rows="last")
    assert (last.products.height, last.superseded, last.products["title"].to_list()) == (
        *(2, 2, ["Hat", ""]),
    )
    gone = [*twice, {"sku": "1", "op": "delete"}]
    assert parsed(*gone, rows="joined").products["operation"].to_list() == ["delete"]
    back = parsed(*gone, {"sku": "1", "name": "Back"}, rows="joined")
    assert back.products["title"].to_list() == ["Back"]
    apart = [VARIANTS[0], VARIANTS[3], VARIANTS[1]]  # parts that do not follow are told to be
    assert parsed(*apart, rows="joined").products["price"].to_list() == [19.0, 39.0]


def test_joined_products_keep_to_the_bounds():
    rows = [
        {"sku": "1", "name": "x", "extra": {f"k{i}{j}": "v" for j in range(30)}, "images": f"{i}"}
        for i in range(30)
    ]
    found = parsed(*rows, rows="joined")
    assert found.products["attributes"].list.len().to_list() == [50]
    assert found.image_references.height == 20
    assert sorted(found.rejects["field"]) == ["attributes", "images"]
    finish(found, [])


def test_variants_come_under_their_parent():
    columns = {**SETTINGS["columns"], "parent": "parent", "parent_key": "code"}
    rows = [
        {
            "sku": "12",
            "code": "H-R",
            "parent": "H",
            "name": "Hoodie - Red",
            "p": 45,
            "color": "Red",
        },
        {"sku": "11", "code": "H", "name": "Hoodie", "images": "h.jpg"},
        {"sku": "13", "code": "H-B", "parent": "id:11", "name": "Hoodie - Blue", "p": 40},
        {"sku": "20", "parent": "nobody", "name": "Cup"},
    ]
    found = parsed(*rows, columns=columns)
    assert found.products.select("product_id", "title", "price").rows() == [
        *(("11", "Hoodie", 40.0), ("20", "Cup", None))
    ]
    assert attributes_of(found)[0] == {"colour": ["Red"]}
    assert found.parts == 2


def test_variants_of_a_parent_without_a_row_stay_products():
    columns = {**SETTINGS["columns"], "parent": "group"}
    rows = [
        {"sku": "1", "name": "Shirt S", "group": "G "},
        {"sku": "2", "name": "Shirt M", "group": "G"},
        {"sku": "3", "name": "Hat", "group": "3"},  # its own, as some channels want it
        {"sku": "4", "name": "Cap", "group": "N/A"},
        {"sku": "5", "name": "Cup", "group": 7},
        {"sku": "6", "op": "delete", "group": "G"},
    ]
    found = parsed(*rows, columns=columns)
    assert dict(found.products.select("product_id", "parent").iter_rows()) == {
        **{"1": "G", "2": "G", "3": "3", "4": None, "5": "7", "6": None}
    }
    assert (found.parts, found.superseded) == (0, 0)


def test_a_hostile_parent_is_refused_or_bounded():
    columns = {**SETTINGS["columns"], "parent": "group"}
    found = parsed(
        {"sku": "1", "name": "A", "group": "g" * 129},
        {"sku": "2", "name": "B", "group": {"a": [1]}},
        {"sku": "3", "name": "C", "group": "<b>\u202eG\u0000</b>"},
        columns=columns,
    )
    assert found.products.filter(pl.col("parent").str.len_chars() > 128).height == 0
    assert found.products.filter(pl.col("parent").str.contains("[<\u0000]")).height == 0
    assert set(found.rejects["field"]) == {"parent"}
    finish(found, [])


def test_a_large_day_of_variants_is_read_in_ranges_and_one_of_parts_is_not(monkeypatch):
    monkeypatch.setattr(row_store, "KEPT_ROWS", 10)
    monkeypatch.setattr(row_store, "RANGE_ROWS", 20)
    columns = {**SETTINGS["columns"], "parent": "group"}
    rows = [{"sku": f"{n:03}", "name": f"Shirt {n}", "group": f"G{n % 7}"} for n in range(100)]
    found = parsed(*rows, columns=columns)
    assert found.products["parent"].to_list() == [f"G{n % 7}" for n in range(100)]
    found = parsed(*rows, {"sku": "G3", "name": "Shirt"}, columns=columns)
    assert found.products["product_id"].to_list()[-1] == "G3"
    assert found.products.height == 101 - found.parts == 101 - 14


def test_what_is_not_for_sale_at_all_is_not_sold_whatever_its_stock():
    columns = {**SETTINGS["columns"], "status": "status"}
    rows = [
        {"sku": "1", "name": "A", "a": "5", "status": "archived"},
        {"sku": "1", "name": "", "a": "7", "status": ""},
        {"sku": "2", "name": "B", "a": "5", "status": "active"},
        {"sku": "3", "name": "C", "a": "0", "status": "active"},
        {"sku": "4", "name": "D", "a": "5", "status": "whatever"},
    ]
    found = parsed(*rows, columns=columns)
    assert found.products["availability"].to_list() == [
        *("out_of_stock", "in_stock", "out_of_stock", "out_of_stock")
    ]
    assert found.rejects["field"].to_list() == ["status"]


def test_rows_that_do_not_count_are_left_out_and_counted():
    rows = [{"sku": "1", "name": "A", "view": ""}, {"sku": "1", "name": "B", "view": "fr"}]
    found = parsed(*rows, only={"view": ""})
    assert found.products["title"].to_list() == ["A"]
    assert (found.left_out, found.superseded) == (1, 0)


def test_of_several_names_of_a_column_the_first_that_is_not_blank_counts():
    columns = {**SETTINGS["columns"], "title": ["name", {"column": "product_name"}]}
    rows = [
        {"sku": "1", "name": "A"},
        {"sku": "2", "product_name": "B"},
        {"sku": "3", "name": "N/A"},
    ]
    assert parsed(*rows, columns=columns).products["title"].to_list() == ["A", "B"]
    until = {**SETTINGS["columns"], "title": [{"column": "name", "until": "2026-11-01"}, "new"]}
    row = records({"sku": "1", "name": "old", "new": "new"})
    for day, title in (("2026-11-01", "old"), ("2026-11-02", "new")):
        assert parse_records(row, mapping(columns=until), day).products["title"][0] == title


def test_paths_lead_into_nested_values():
    columns = {
        **{"id": "sku", "title": "text.de", "price": "offers[0].price", "images": "photos[].url"},
        "description": "a.b",  # the name of a column comes before a path
    }
    row = {
        **{"sku": "1", "text": {"de": "Tasse"}, "a.b": "flat", "a": {"b": "deep"}},
        **{"offers": [{"price": 3}, {"price": 4}], "photos": [{"url": "x"}, {"url": "y"}, {}]},
        "odd (name)": "v",
    }
    odd = {"odd": "odd (name)", "none": "text.xx.yy", "wrong": "sku[0]"}
    found = parsed(row, columns=columns, attributes=odd)
    assert found.products.select("title", "description", "price").rows() == [("Tasse", "flat", 3.0)]
    assert found.image_references["source"].to_list() == ["x", "y"]
    assert attributes_of(found) == [{"odd": ["v"]}]


@pytest.mark.parametrize(
    "extra",
    [
        {"Color": "red", "size": ["S", "M"]},
        '{"Color": "red", "size": ["S", "M"]}',
        [{"key": "Color", "value": "red"}, {"key": "size", "value": ["S", "M"]}],
        [{"name": "Color", "values": ["red"]}, {"name": "size", "option": "S"}, {"size": "M"}],
        ["Color: red", "size: S", "size=M"],
        "Color=red,size=S|M",
        "Color=red;size=S|M",
        "Color: red\nsize: S|M",
    ],
)
def test_keys_and_values_in_any_form(extra):
    found = parsed({"sku": "1", "extra": extra})
    assert attributes_of(found) == [{"color": ["red"], "size": ["S", "M"]}], found.rejects


def test_a_text_with_a_comma_in_a_value_is_not_cut():
    found = parsed({"sku": "1", "extra": "material=Cotton, organic,fit=slim"})
    assert attributes_of(found) == [{"material": ["Cotton, organic"], "fit": ["slim"]}]


def test_keys_that_stand_in_other_columns():
    keyed = {
        "*": {
            **{"names": "Attribute {n} name", "column": "Attribute {n} value(s)", "split": ","},
            **{"keys": {"colour": "color", "logo": ""}, "values": {"Default": ""}},
        }
    }
    rows = [
        {"sku": "1", "Attribute 1 name": "Colour", "Attribute 1 value(s)": "Blue, Red"}
        | {"Attribute 2 name": "Logo", "Attribute 2 value(s)": "Yes"},
        # the name of an option is said once a product
        {"sku": "1", "Attribute 1 name": "", "Attribute 1 value(s)": "Green"},
        {"sku": "2", "name": "Cup", "Attribute 1 name": "", "Attribute 1 value(s)": "lost"},
        {"sku": "3", "name": "Hat", "Attribute 1 name": "Fit", "Attribute 1 value(s)": "Default"},
    ]
    found = parsed(*rows, attributes=keyed, rows="joined")
    assert attributes_of(found) == [{"color": ["Blue", "Red", "Green"]}, {}, {}]


@pytest.mark.parametrize(
    ("images", "sources"),
    [
        ('["a.jpg", "b.jpg"]', ["a.jpg", "b.jpg"]),
        ("['a.jpg', 'b.jpg']", ["a.jpg", "b.jpg"]),
        ([{"thumb": "t", "hi_res": None, "large": "a.jpg"}, {"src": "b.jpg"}], ["a.jpg", "b.jpg"]),
        ({"url": "a.jpg"}, ["a.jpg"]),
        ({"bytes": {"$bytes": "image.bytes:3"}, "path": "a.jpg"}, ["bytes:image.bytes:3"]),
        ({"bytes": None, "path": "a.jpg"}, ["a.jpg"]),
        ("NULL", []),
    ],
)
def test_images_in_any_form(images, sources):
    found = parsed({"sku": "1", "name": "x", "images": images})
    assert found.image_references["source"].to_list() == sources


def test_texts_in_any_form():
    assert (
        product(d=["A kettle.", "", "For induction."])["description"] == "A kettle. For induction."
    )
    assert product(d="<p>Soft</p>\\n<p>Warm</p>\\nred")["description"] == "Soft Warm red"
    assert product(d="NULL", s="nan")["description"] == ""
    assert product(d="NULL", s="nan")["seller"] == "the shop"
    assert product(color="N/A")["attributes"] == []


def test_ids_that_a_data_frame_made_floats_are_whole_numbers_again():
    assert parsed({"sku": 101.0, "name": "x"}).products["product_id"].to_list() == ["101"]
    texts = parsed({"sku": "101.0", "name": "x"}, {"sku": "102.0", "name": "y"})
    assert texts.products["product_id"].to_list() == ["101", "102"]
    versions = parsed({"sku": "1.0", "name": "x"}, {"sku": "1.1", "name": "y"})
    assert versions.products["product_id"].to_list() == ["1.0", "1.1"]
    assert parsed({"sku": "1.0", "name": "x"}).products["product_id"].to_list() == ["1.0"]


def test_a_full_export_keeps_what_it_names_in_a_row_that_cannot_be_used():
    rows = [{"sku": "1", "name": "A"}, {"sku": "2", "name": "B", "p": "free"}]
    found = parsed(*rows, snapshot="full")
    assert found.products.select("product_id", "operation", "snapshot").rows() == [
        *(("1", "upsert", True), ("2", "keep", True))
    ]
    assert schema.Products.is_valid(found.products)
    assert parsed(*rows).products.select("product_id", "snapshot").rows() == [("1", False)]


def test_a_profile_says_how_the_fields_of_a_day_are_filled():
    rows = [
        {"sku": "1", "name": "A", "p": 1, "color": "Red / Blue", "a": "5"},
        {"sku": "2", "name": "A", "color": "Red", "extra": {"size": 38}},
        {"sku": "3", "name": "B", "s": "Ann"},
        {"sku": "4", "op": "delete"},
    ]
    found = {row[0]: row[1:] for row in profile(parsed(*rows, defaults={})).rows()}
    assert found["title"] == (1.0, 2 / 3, 0.0, 3)
    assert found["price"] == (1 / 3, 1.0, 1.0, 3)
    assert found["attributes.colour"] == (2 / 3, 2 / 3, 0.0, 3)
    assert found["attributes.size"] == (1 / 3, 1.0, 1.0, 3)
    assert found["availability"][0] == found["seller"][0] == 1 / 3
    assert found["url"] == found["images"] == (0.0, None, None, 3)
    assert profile(parsed()).height == 7
