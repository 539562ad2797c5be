"""What the tables of the catalog stage hold; frames are validated by these before they are kept."""

from collections.abc import Callable
from typing import Any

import dataframely as dy
import polars as pl

MAX_ID = 128  # characters, as all below
MAX_TITLE = 300
MAX_DESCRIPTION = 5_000
MAX_ATTRIBUTE = 80
MAX_ATTRIBUTES = 50  # pairs a product
MAX_IMAGES = 20  # a product
MAX_PRICE = 1e9  # a villa in rupiah; beyond it a price is a barcode in the wrong column
MAX_URL = 2_048
MAX_EXCERPT = 200
OPERATIONS = ("upsert", "delete", "keep")
AVAILABILITY = ("in_stock", "out_of_stock", "preorder", "unknown")
IMAGE_HASH = r"^[0-9a-f]{32}$"


def _text(*, least: int = 0, most: int | None = None, **column: Any) -> dy.String:
    """A text of so many characters. The lengths of `dy.String` are bytes, which a text of three
    bytes a character meets at a third of its limit."""
    rules: dict[str, Callable[[pl.Expr], pl.Expr]] = {}
    if least:
        rules["min_length"] = lambda text: text.str.len_chars() >= least
    if most is not None:
        rules["max_length"] = lambda text: text.str.len_chars() <= most
    return dy.String(check=rules, **column)  # pyright: ignore[reportArgumentType]


class Records(dy.Schema):
    """raw_catalog: a row of a feed as received."""

    file = dy.String(nullable=False, primary_key=True)
    row = dy.Int64(nullable=False, primary_key=True, min=1)
    record = dy.String(nullable=False)
    size = dy.Int64(nullable=False, min=0)
    error = dy.String(nullable=True)


class Products(dy.Schema):
    """catalog.products: what a day's feed says of a product. Of a deletion, only the id.

    `snapshot`: the day's feed is the whole catalog; a product that it does not name is gone. `keep`
    is the operation of one that it names in a row that cannot be used: what was known of it stays.
    `parent`: what it is a variant of, in the seller's own words; null where it is none.
    """

    product_id = _text(primary_key=True, least=1, most=MAX_ID)
    parent = _text(nullable=True, least=1, most=MAX_ID)
    operation = dy.String(nullable=False, check=lambda column: column.is_in(OPERATIONS))
    title = _text(nullable=False, most=MAX_TITLE)
    description = _text(nullable=False, most=MAX_DESCRIPTION)
    images = dy.List(dy.String(nullable=False), nullable=False, max_length=MAX_IMAGES)
    price = dy.Float64(nullable=True, min=0, max=MAX_PRICE)
    currency = dy.String(nullable=True, regex="^[A-Z]{3}$")
    seller = _text(nullable=True, least=1, most=MAX_TITLE)
    availability = dy.String(nullable=False, check=lambda column: column.is_in(AVAILABILITY))
    url = _text(nullable=True, regex="^https?://", most=MAX_URL)
    attributes = dy.List(
        dy.Struct({"key": dy.String(nullable=False), "value": dy.String(nullable=False)}),
        nullable=False,
        max_length=MAX_ATTRIBUTES,
    )
    snapshot = dy.Bool(nullable=False)
    file = dy.String(nullable=False)
    row = dy.Int64(nullable=False, min=1)

    @dy.rule()
    def upsert_has_content(cls) -> pl.Expr:
        lists = (pl.col("images").list.len() > 0) | (pl.col("attributes").list.len() > 0)
        text = (pl.col("title") != "") | (pl.col("description") != "")
        return (pl.col("operation") != "upsert") | lists | text

    @dy.rule()
    def price_has_no_nan(cls) -> pl.Expr:
        return pl.col("price").is_nan().not_().fill_null(True)


class Rejects(dy.Schema):
    """catalog.rejects: what was not taken over, a whole row or one of its values, and why."""

    file = dy.String(nullable=False)
    row = dy.Int64(nullable=False, min=1)
    product_id = _text(nullable=True, most=MAX_ID)
    field = dy.String(nullable=False)
    reason = _text(nullable=False, least=1)
    value = _text(nullable=False, most=MAX_EXCERPT)


class Images(dy.Schema):
    """catalog.images: where a product's images came from. `position` counts from 0, the main one,
    and is the index into the product's `images`. Sizes (px, upright; bytes) are as received; `look`
    is what near-duplicates are found by (`images.look_of`).
    """

    product_id = _text(primary_key=True, least=1, most=MAX_ID)
    position = dy.Int64(primary_key=True, min=0, max=MAX_IMAGES - 1)
    source = _text(nullable=False, least=1)
    image_hash = dy.String(nullable=False, regex=IMAGE_HASH)
    width = dy.Int64(nullable=False, min=1)
    height = dy.Int64(nullable=False, min=1)
    bytes = dy.Int64(nullable=False, min=1)
    look = dy.String(nullable=False, regex="^[0-9a-f]{112}$")
