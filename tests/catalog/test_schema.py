"""Limits are in characters, whatever a character takes in UTF-8."""

import json

import dataframely as dy
import polars as pl
import pytest

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.feed import finish, parse_records
from resources.feeds.catalog_config import CatalogConfig

SCRIPTS = ["a", "é", "赤", "𐍈", "👟"]  # of 1, 2, 3, 4 and 4 bytes
HASH = "0" * 32
PRODUCT = {
    "product_id": "p",
    "operation": "upsert",
    "title": "t",
    "description": "d",
    "images": [],
    "price": None,
    "currency": None,
    "seller": "s",
    "availability": "unknown",
    "url": "https://shop.example/",
    "attributes": [{"key": "k", "value": "v"}],
    "snapshot": False,
    "file": "f",
    "row": 1,
}
REJECT = {"file": "f", "row": 1, "product_id": "p", "field": "x", "reason": "r", "value": "v"}
IMAGE = {
    "product_id": "p",
    "position": 0,
    "source": "a.jpg",
    "image_hash": HASH,
    "width": 1,
    "height": 1,
    "bytes": 1,
    "look": "0" * 112,
}
LIMITS = [
    (schema.Products, PRODUCT, "product_id", 1, schema.MAX_ID),
    (schema.Products, PRODUCT, "title", 0, schema.MAX_TITLE),
    (schema.Products, PRODUCT, "description", 0, schema.MAX_DESCRIPTION),
    (schema.Products, PRODUCT, "seller", 1, schema.MAX_TITLE),
    (schema.Products, PRODUCT, "url", 0, schema.MAX_URL),
    (schema.Rejects, REJECT, "product_id", 0, schema.MAX_ID),
    (schema.Rejects, REJECT, "reason", 1, None),
    (schema.Rejects, REJECT, "value", 0, schema.MAX_EXCERPT),
    (schema.Images, IMAGE, "product_id", 1, schema.MAX_ID),
    (schema.Images, IMAGE, "source", 1, None),
]


def holds(table: type[dy.Schema], row: dict) -> bool:
    return table.is_valid(pl.DataFrame([row], schema=table.create_empty().schema))


@pytest.mark.parametrize("letter", SCRIPTS)
@pytest.mark.parametrize(
    ("table", "row", "field", "least", "most"),
    LIMITS,
    ids=[f"{table.__name__}.{field}" for table, _, field, _, _ in LIMITS],
)
def test_a_length_is_held_to_the_character(table, row, field, least, most, letter):
    start = "https://" if field == "url" else ""
    at = (most or 100) - len(start)
    assert holds(table, row | {field: start + letter * at})
    if most:
        assert not holds(table, row | {field: start + letter * (at + 1)})
    if not start:
        assert holds(table, row | {field: ""}) == (least == 0)


def test_nothing_is_a_length_only_where_nothing_may_stand():
    assert holds(schema.Products, PRODUCT | {"seller": None, "url": None})
    assert holds(schema.Rejects, REJECT | {"product_id": None})
    for field in ("product_id", "title", "description"):
        assert not holds(schema.Products, PRODUCT | {field: None})
    for field in ("reason", "value"):
        assert not holds(schema.Rejects, REJECT | {field: None})


def test_no_table_counts_bytes():
    """dataframely's own lengths are of bytes, and so nobody should use them for a text."""
    tables = [table for table in vars(schema).values() if isinstance(table, type)]
    for table in tables:
        if not issubclass(table, dy.Schema):
            continue
        for name, column in table.columns().items():
            if isinstance(column, dy.String):
                assert column.min_length is column.max_length is None, f"{table.__name__}.{name}"


@pytest.mark.parametrize("letter", SCRIPTS[2:])
def test_a_long_text_of_another_script_leaves_the_day_whole(letter):
    """`"赤い靴" * 40` beside fifty good rows once was the end of that day."""
    long = {
        "sku": letter * schema.MAX_ID,
        "name": letter * (schema.MAX_TITLE + 1),
        "text": letter * (schema.MAX_DESCRIPTION + 1),
        "shop": letter * schema.MAX_TITLE,
        "colour": letter * schema.MAX_ATTRIBUTE,
        "size": letter * (schema.MAX_ATTRIBUTE + 1) + letter * schema.MAX_EXCERPT,
    }
    rows = [long, {"sku": letter * (schema.MAX_ID + 1)}]
    rows += [{"sku": str(at), "name": "a red hat"} for at in range(50)]
    frame = pl.DataFrame(
        {
            "file": ["f.jsonl"] * len(rows),
            "row": range(1, len(rows) + 1),
            "record": [json.dumps(row, ensure_ascii=False) for row in rows],
            "size": [9] * len(rows),
            "error": [None] * len(rows),
        },
        schema=schema.Records.create_empty().schema,
    )
    settings = {
        **{"name": "test", "feeds": ["f.jsonl"]},
        "columns": {"id": "sku", "title": "name", "description": "text", "seller": "shop"},
        "attributes": {"colour": "colour", "size": "size"},
    }
    mapping = CatalogConfig.model_validate(settings).model_dump()
    day = finish(parse_records(frame, mapping), [])
    assert day.products.height == 51
    kept = day.products.filter(product_id=long["sku"]).row(0, named=True)
    assert kept["title"] == letter * schema.MAX_TITLE
    assert kept["description"] == letter * schema.MAX_DESCRIPTION
    assert kept["seller"] == long["shop"]
    assert kept["attributes"] == [{"key": "colour", "value": long["colour"]}]
    assert day.rejects.select("row", "field").rows() == [(1, "attributes.size"), (2, "id")]
    assert day.rejects["value"].str.len_chars().to_list() == [schema.MAX_EXCERPT, schema.MAX_ID + 1]
