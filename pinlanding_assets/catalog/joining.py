"""Rows of one product on one day become one: as changes, the last of which counts, or as its parts.

Parts are joined by these rules: of title, description, seller, address and status the first that is
not blank; the lowest price, with its currency; in stock if any part is; attributes and images of
all, in the order of the rows.
"""

import polars as pl

_BEST = {"in_stock": 0, "preorder": 1, "out_of_stock": 2, "unknown": 3}


def join_rows(rows: pl.DataFrame, how: str) -> tuple[pl.DataFrame, int, int]:
    """One row a product, by product_id; how many rows were parts of another, and how many were
    replaced by a later one.

    Args:
        rows: Valid rows of a day, in the order received, with the columns of `rows.ROWS` and `at`,
            their place in that order.
        how: `last`, `joined`, or `auto`: parts are rows that follow their product's row and leave
            its title blank. A row with a parent is a part of it, whatever `how` says, where the
            parent is there. Where it is not, the row stays a product of its own, with its parent.
    """
    rows = _under_parents(rows)
    if rows["product_id"].n_unique() == rows.height:
        return rows.drop("part").sort("product_id"), 0, 0
    rows = rows.with_columns(segment=_begins(how)).with_columns(
        pl.col("segment").cum_sum().over("product_id")
    )
    last = rows.filter(pl.col("segment") == pl.col("segment").max().over("product_id"))
    parts = last.height - last["product_id"].n_unique()
    replaced = rows.height - last.height
    alone = pl.len().over("product_id") == 1
    whole = last.filter(alone)
    joined = _joined(last.filter(~alone))
    found = pl.concat([whole.select(rows.columns), joined.select(rows.columns)])
    return found.drop("segment", "part").sort("product_id"), parts, replaced


def _under_parents(rows: pl.DataFrame) -> pl.DataFrame:
    """Variants under the id of their parent, whose own row comes before them."""
    if rows["parent"].null_count() == rows.height:
        return rows.with_columns(part=pl.lit(False))
    parents = rows.filter(pl.col("parent").is_null() & (pl.col("operation") == "upsert"))
    by_id = parents.select(named="product_id", owner="product_id")
    by_key = parents.filter(pl.col("parent_key").is_not_null()).select(
        named="parent_key", owner="product_id"
    )
    owners = pl.concat([by_key, by_id]).unique("named", keep="first", maintain_order=True)
    found = rows.join(owners, left_on="parent", right_on="named", how="left", maintain_order="left")
    part = pl.col("owner").is_not_null() & (pl.col("operation") == "upsert")
    found = found.with_columns(
        part=part, product_id=pl.when(part).then("owner").otherwise("product_id")
    )
    return found.sort("part", maintain_order=True).drop("owner")


def _begins(how: str) -> pl.Expr:
    """Which rows begin a version of their product, instead of being a part of the row before."""
    upsert = pl.col("operation") == "upsert"
    previous_upsert = upsert.shift(1).over("product_id")
    first = pl.int_range(pl.len()).over("product_id") == 0
    if how == "joined":
        continues = ~first & upsert & previous_upsert
    elif how == "last":
        continues = pl.lit(False)
    else:
        follows = (pl.col("at") - pl.col("at").shift(1).over("product_id") == 1) & (
            pl.col("file") == pl.col("file").shift(1).over("product_id")
        )
        blank = pl.col("title") == ""
        titled = (pl.col("title") != "").cum_sum().over("product_id") > 0
        continues = follows & upsert & previous_upsert & blank & titled
    continues = (pl.col("part") & previous_upsert) | continues
    return ~continues.fill_null(False)


def _joined(rows: pl.DataFrame) -> pl.DataFrame:
    def first_said(name: str) -> pl.Expr:
        said = pl.col(name).is_not_null() & (pl.col(name) != "")
        return pl.col(name).filter(said).first().alias(name)

    cheapest = pl.col("price").fill_null(float("inf")).arg_min()
    best = pl.col("availability").replace_strict(_BEST, return_dtype=pl.Int8)
    lists = {
        name: pl.col(name)
        .list.explode(empty_as_null=False, keep_nulls=False)
        .unique(maintain_order=True)
        for name in ("attributes", "images")
    }
    others = [c for c in rows.columns if c not in {"product_id", *_RULED}]
    joined = rows.group_by("product_id", maintain_order=True).agg(
        *(first_said(name).fill_null("") for name in ("title", "description")),
        *(first_said(name) for name in ("seller", "url")),
        pl.col("status").filter(pl.col("status") != "unknown").first(),
        pl.col("price").get(cheapest),
        pl.col("currency").get(cheapest),
        pl.col("availability").get(best.arg_min()),
        *(expression.alias(name) for name, expression in lists.items()),
        *(pl.col(name).first() for name in others),
    )
    return joined.select(rows.columns)


_RULED = (
    *("title", "description", "seller", "url", "price", "currency", "availability"),
    *("status", "attributes", "images"),
)
