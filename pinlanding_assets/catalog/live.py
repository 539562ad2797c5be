"""The catalog as it stands: the last version of every product, without those deleted."""

import polars as pl


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
