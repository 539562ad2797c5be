"""The example catalogs are read whole: every row a product, every image found."""

from pathlib import Path

import polars as pl
import pytest

from operations.mapping import map_files
from pinlanding_assets.catalog.feed import finish, parse_records
from pinlanding_assets.catalog.images import normalise_all
from resources.feeds.catalog_source import CatalogSource
from sandbox.small_catalog import PRODUCTS, write

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# name -> rows, of them with an image, distinct attribute keys
RENDERED = EXAMPLES / "rendered"
SHAPES = {"shopify": "shopify.csv", "nested": "nested.jsonl", "photos": "photos.parquet"}
SETS = {
    "clothing_cc0": (1500, 1500, 2),
    "grocery_store": (648, 648, 1),
    "magento_luma_gear": (44, 44, 11),
    "mini_catalog": (42, 42, 8),
    "retail_demo_store": (2465, 0, 4),
}


def test_every_example_is_known():
    settings = {"platform"}  # not a catalog: tests/resources/test_platform_settings.py
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} - settings == set(SETS)
    assert {path.stem for path in RENDERED.glob("*.yaml")} == set(SHAPES)


@pytest.mark.parametrize("name", SETS)
def test_an_example_loads(name):
    config = CatalogSource(config_path=str(EXAMPLES / f"{name}.yaml")).config()
    assert config.name == name
    known = config.attributes.keys() | config.lexicon.keys()
    assert config.product_type in known
    assert set(config.phrases) <= known or "*" in known


@pytest.mark.parametrize("name", SETS)
def test_an_example_is_read_whole(name):
    source = CatalogSource(config_path=str(EXAMPLES / f"{name}.yaml"))
    feed = EXAMPLES / source.config().feeds[0]
    if not feed.exists():
        pytest.skip("the data are not beside this checkout")
    parsed = parse_records(source.read_records("2026-11-01"), source.config().model_dump())
    few = parsed.image_references.head(50)  # decoding them all is a benchmark's work
    assert all(
        source.fetch_image(*pair) for pair in parsed.image_references["file", "source"].rows()
    )
    day = finish(parsed, normalise_all(few, source.fetch_image, lambda name, data: None))
    rows, pictured, keys = SETS[name]
    assert parsed.products.height == rows
    assert parsed.rejects.height == 0
    assert parsed.image_references["product_id"].n_unique() == pictured
    pairs = parsed.products.select("attributes").explode("attributes").unnest("attributes")
    assert pairs.drop_nulls()["key"].n_unique() == keys
    assert day.images.height == few.height


@pytest.mark.parametrize("name", SHAPES)
def test_a_rendered_example_is_drafted_as_it_is_kept(name):
    kept = RENDERED / f"{name}.yaml"
    assert map_files([str(RENDERED / SHAPES[name])], kept).text == kept.read_text(encoding="utf-8")


def test_the_rendered_examples_are_one_catalog():
    found = {}
    for name in SHAPES:
        source = CatalogSource(config_path=str(RENDERED / f"{name}.yaml"))
        mapping = source.config().model_dump()
        parsed = parse_records(source.read_records("2026-11-01"), mapping)
        assert parsed.rejects.height == 0
        few = parsed.image_references.head(5)
        day = finish(parsed, normalise_all(few, source.fetch_image, lambda name, data: None))
        assert day.images.height == few.height
        pictured = parsed.image_references["product_id"].n_unique()
        assert pictured == parsed.products.height == PRODUCTS
        by_title = parsed.products.sort("title").with_columns(pl.col("price").round(2))
        found[name] = by_title.select("title", "price").rows()
    assert found["shopify"] == found["nested"] == found["photos"]


def test_the_rendered_examples_can_be_written_anew(tmp_path):
    write(tmp_path)
    for name in SHAPES.values():
        if not name.endswith("parquet"):  # photos differ in bits from CPU to CPU
            assert (tmp_path / name).read_text() == (RENDERED / name).read_text()
