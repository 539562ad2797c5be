"""Products with rendered photos in a lake, for the benchmarks that apply models."""

import hashlib

import polars as pl

from resources.lake import Lake
from sandbox.photos import encode_jpeg
from sandbox.products import product, sku_of
from sandbox.renderer import render


def rendered(lake: Lake, products: int) -> pl.DataFrame:
    """Puts photos of 64 px into the lake -> product_id, title, description, images."""
    rows = []
    for index in range(products):
        item = product(0, index)
        photo = encode_jpeg(render(item.attributes, item.look, size=64))
        name = hashlib.sha256(photo).hexdigest()
        lake.put_image(name, photo)
        rows.append((sku_of(index), item.title, item.description, [name]))
    return pl.DataFrame(rows, schema=["product_id", "title", "description", "images"], orient="row")
