import numpy as np
import polars as pl
import pytest

from pinlanding_assets.embeddings.encode import encode_products
from pinlanding_assets.encoder.features import product_inputs
from pinlanding_assets.encoder.model import DualEncoder, HeadShape, build_heads
from pinlanding_assets.encoder.vectors import Encoded, content_hash, vector_matrix


class Cache:
    def __init__(self):
        self.rows = {}

    def get(self, keys):
        return {key: self.rows[key] for key in keys if key in self.rows}

    def put(self, frame):
        made = map(Encoded, vector_matrix(frame), frame["readings"])
        self.rows.update(zip(frame["content_hash"], made, strict=True))


@pytest.fixture(scope="module")
def model(backbone):
    shape = HeadShape(backbone.image_dim, backbone.text_dim, backbone.text_dim, True)
    return DualEncoder(backbone, shape, [], build_heads(shape, 0, 0))


def test_inputs_are_title_and_the_start_of_the_description():
    products = pl.DataFrame(
        {
            "product_id": ["b", "a", "c"],
            "title": [" A  red\nbox ", None, "gone"],
            "description": ["d" * 500, "only this", ""],
            "images": [["h1", "h2"], [], None],
            "operation": ["upsert", "upsert", "delete"],
        },
        schema_overrides={"images": pl.List(pl.String)},
    )
    rows = product_inputs(products).rows()
    assert rows[0] == ("a", "only this", "only this", None)
    assert rows[1][0] == "b"
    assert rows[1][1].startswith("A red box . ddd")
    assert len(rows[1][1]) < 140
    assert len(rows[1][2]) > 500
    assert rows[1][3] == "h1"
    assert len(rows) == 2


def test_same_bytes_whatever_was_cached(model, world):
    load = world.images.__getitem__
    fresh = encode_products(model, world.products, load)
    assert (fresh.computed, fresh.reused, fresh.skipped) == (90, 0, 0)
    cache = Cache()
    encode_products(model, world.products.sample(31, seed=1), load, cache=cache, batch_size=7)
    second = encode_products(model, world.products.reverse(), load, cache=cache, batch_size=11)
    assert (second.computed, second.reused) == (59, 31)
    assert second.embeddings.equals(fresh.embeddings)
    third = encode_products(model, world.products, load, cache=cache)
    assert third.computed == 0
    assert third.embeddings.equals(fresh.embeddings)
    matrix = vector_matrix(fresh.embeddings)
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)
    assert fresh.embeddings.schema["vector"] == pl.Array(pl.Float32, 24)


def test_equal_content_is_computed_once_and_empty_products_are_skipped(model, world):
    two = world.products.head(2)
    copies = pl.concat([two, two.with_columns(product_id=pl.lit("copy-") + pl.col("product_id"))])
    nothing = two.head(1).with_columns(
        product_id=pl.lit("void"), title=pl.lit(" "), images=pl.lit([], dtype=pl.List(pl.String))
    )
    found = encode_products(model, pl.concat([copies, nothing]), world.images.__getitem__)
    assert (found.computed, found.reused, found.skipped) == (2, 2, 1)
    assert found.embeddings["product_id"].to_list() == ["copy-p000", "copy-p001", "p000", "p001"]
    assert found.embeddings["content_hash"].n_unique() == 2


def test_no_products_is_an_empty_table(model, world):
    found = encode_products(model, world.products.clear(), world.images.__getitem__)
    assert found.embeddings.height == 0
    assert found.embeddings.schema["vector"] == pl.Array(pl.Float32, 24)


def test_errors_name_the_product_or_image(model, world):
    two = world.products.head(1)
    with pytest.raises(ValueError, match="'p000' is listed twice"):
        encode_products(model, pl.concat([two, two]), world.images.__getitem__)
    with pytest.raises(ValueError, match="h000"):
        encode_products(model, two, lambda _: b"broken")


def test_hash_parts_cannot_imitate_each_other():
    assert content_hash("v", "ab", "c", "") != content_hash("v", "a", "bc", "")
    assert content_hash("v", None, "x", "") != content_hash("w", None, "x", "")
