"""The catalog as it stands: the last version of every product, without those deleted."""

from typing import TypeVar

import polars as pl

Products = TypeVar("Products", pl.DataFrame, pl.LazyFrame)
SELLABLE = ("in_stock", "preorder", "unknown")  # a feed without availability is all "unknown"


def live(products: pl.LazyFrame) -> pl.LazyFrame:
    """The catalog as of the newest day in `products`.

    What the newest full export (`snapshot`) and the days after it do not name is gone.

    Args:
        products: catalog.products of any days, with the day as `date` (YYYY-MM-DD).

    Returns:
        The same columns (`date`: the day of that version), one row a product, by product_id.
        Deletions are dropped; what is out of stock is kept.
    """
    says = pl.col("operation") != "keep"
    newest = products.group_by("product_id").agg(
        pl.col("date").filter(says).max(), pl.col("date").max().alias("named")
    )
    full = products.select(pl.col("date").filter(pl.col("snapshot")).max().alias("full"))
    named = newest.join(full, how="cross").filter(
        pl.col("full").is_null() | (pl.col("named") >= pl.col("full"))
    )
    return (
        products.filter(says)
        .join(named, on=["product_id", "date"], how="semi")
        .filter(pl.col("operation") != "delete")
        .sort("product_id")
    )


def live_ids(known: pl.Series, products: pl.DataFrame) -> pl.Series:
    """The ids of the catalog after a day, from those before it.

    Args:
        known: Ids before the day.
        products: catalog.products of the day.
    """
    named = products.filter(pl.col("operation") != "delete")["product_id"]
    if products["snapshot"].any():
        return named
    gone = products.filter(pl.col("operation") == "delete")["product_id"]
    kept = known.filter(~known.is_in(gone.implode())) if gone.len() else known
    return pl.concat([kept, named]).unique(maintain_order=True)


def with_family(products: Products) -> Products:
    """Products with `family`, a number that the variants of one parent have in common.

    A product without a parent is a family of its own, with those that name it as theirs. Families
    are a seller's: nobody puts products among those of others, whatever parent they name.

    Args:
        products: catalog.products. Without a column `parent` (as of earlier releases) or `seller`,
            none has one.
    """
    given = products.collect_schema()
    if "family" in given:
        return products
    seller, parent = (
        pl.col(name) if name in given else pl.lit(None, pl.String).alias(name)
        for name in ("seller", "parent")
    )
    named = pl.struct(seller.fill_null(""), parent.fill_null(pl.col("product_id")))
    # of 63 bits: two families of a hundred million have one number with odds of 1 to 2,000
    return products.with_columns(family=(named.hash(seed=0) // 2).cast(pl.Int64))


def seen() -> pl.Expr:
    """What a page shows of products with a `family`, as a number: the family by its photo. Sizes of
    a shirt show the same, its colors do not."""
    shown = pl.struct(pl.col("family"), pl.col("images").list.first())
    return (shown.hash(seed=0) // 2).cast(pl.Int64).alias("seen")


def with_looks(products: pl.LazyFrame, images: pl.LazyFrame) -> pl.LazyFrame:
    """Products with the `look` of their first image, null where there is none.

    Args:
        products: catalog.products.
        images: catalog.images of all days.
    """
    looks = images.select("image_hash", "look").unique("image_hash")
    first = products.with_columns(image_hash=pl.col("images").list.first())
    return first.join(looks, on="image_hash", how="left", maintain_order="left").drop("image_hash")


def sellable(products: Products) -> Products:
    """The products of `catalog.products` that exist and can be bought."""
    on_sale = products.filter(pl.col("availability").is_in(SELLABLE))
    if "operation" in products.collect_schema():
        on_sale = on_sale.filter(pl.col("operation") == "upsert")
    return on_sale
