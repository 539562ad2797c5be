"""The catalog as it stands: the last version of every product, without those deleted."""

from typing import TypeVar

import polars as pl

Products = TypeVar("Products", pl.DataFrame, pl.LazyFrame)
SELLABLE = ("in_stock", "preorder", "unknown")  # a feed without availability is all "unknown"


def live(products: pl.LazyFrame) -> pl.LazyFrame:
    """The catalog as of the newest day in `products`.

    Args:
        products: catalog.products of any days, with the day as `date` (YYYY-MM-DD).

    Returns:
        The same columns (`date`: the day of that version), one row a product, by product_id.
        Deletions are dropped; what is out of stock is kept.
    """
    newest = products.group_by("product_id").agg(pl.col("date").max())
    return (
        products.join(newest, on=["product_id", "date"], how="semi")
        .filter(pl.col("operation") != "delete")
        .sort("product_id")
    )


def sellable(products: Products) -> Products:
    """The products of `catalog.products` that exist and can be bought."""
    on_sale = products.filter(pl.col("availability").is_in(SELLABLE))
    if "operation" in products.collect_schema():
        on_sale = on_sale.filter(pl.col("operation") == "upsert")
    return on_sale
