"""Whatever a table holds, a draft is made, its text says the same, and nothing is written."""

import random
from typing import Any

import pytest
import yaml

from operations.mapping import map_files
from pinlanding_assets.catalog.drafting import attribute_words, words
from pinlanding_assets.catalog.drafting.drafter import draft
from pinlanding_assets.catalog.drafting.render import render
from pinlanding_assets.catalog.drafting.samples import Sample
from resources.feeds.catalog_config import CatalogConfig
from tests.catalog.feed_files import csv, written

NAMES = [
    *(name for table in words.FIELDS.values() for name in table),
    *words.IMAGES,
    *(name for table in attribute_words.ATTRIBUTES.values() for name in table),
    *("", "*", "a.b", "x[0]", '"q"', "{day}", "é ü", "\n", "a" * 300, "@id", "$oid", "lang"),
    *("Handle", "Variant Price", "Option1 Name", "Option1 Value", "deleted_at", "x: [y] # z"),
]
TEXTS = [
    *("4,50 €", "1.299", "$5", "NaN", "on request", "-", "in stock", "sold out", "I", "D", "de"),
    *(
        "2026-11-01",
        "\x00\x07\u202e",
        "a: b #c",
        '{"a": "b"}',
        '[{"key": "a", "value": 1}]',
        "a|b.png",
    ),
    *("https://i.example/1.jpg", "word " * 40, "[", "{", "!!python/name:x"),
]


def value(choice: random.Random, depth: int = 0) -> Any:
    kind = choice.randrange(12)
    if kind == 0 and depth < 4:
        return {choice.choice(NAMES): value(choice, depth + 1) for _ in range(choice.randrange(4))}
    if kind == 1 and depth < 4:
        return [value(choice, depth + 1) for _ in range(choice.randrange(3))]
    plain = (None, choice.random(), choice.randrange(5), True, {"$bytes": "image.bytes:1"})
    return choice.choice([*plain, choice.choice(TEXTS), str(choice.randrange(10))])


def sample(choice: random.Random, name: str) -> Sample:
    columns = [choice.choice(NAMES) for _ in range(choice.randrange(1, 12))] + ["sku", "name"]
    records = [
        {name: str(i) if name == "sku" else value(choice) for name in columns}
        for i in range(choice.randrange(12))
    ]
    return Sample(name, records, columns if choice.random() < 0.5 else None)


@pytest.mark.parametrize("seed", range(8))
def test_any_table_is_drafted(seed):
    choice = random.Random(seed)
    names = ("p.csv", "2026-11-01/p.csv", "2026-11-02/p.csv", "x1.jsonl", "part-0001.parquet")
    for _ in range(40):
        found = draft(
            [sample(choice, name) for name in choice.sample(names, choice.randrange(1, 4))]
        )
        text = render(found)
        assert (yaml.safe_load(text) or {}) == found.settings
        if found.usable:
            CatalogConfig.model_validate({"name": "x", **found.settings})


def test_nothing_is_written(tmp_path):
    written(tmp_path, {"p.csv": csv("sku,name,photo", "1,Cup,a.jpg"), "images/a.jpg": b"x"})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    map_files([str(tmp_path)], tmp_path / "catalog.yaml")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
