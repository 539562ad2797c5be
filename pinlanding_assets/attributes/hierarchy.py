"""Parents of entries, induced from which products carry them: a pump is a shoe, a v-neck no dress.

No taxonomy is given. An entry has a parent where nearly all of its products carry the other one,
too, which is clearly wider. The links serve pages that point to each other, and nothing else.
"""

import polars as pl

PARENTS_SCHEMA = {"entry_id": pl.String, "parent_id": pl.String, "share": pl.Float64}
SHARE = 0.9  # of an entry's products that carry its parent
WIDER = 1.5  # times as many products as the entry, at least
LEAST = 10  # products of an entry about which the parent's key says something
UNIVERSAL = 0.5  # share of all products from which an entry is a parent of everything, so of none


def induced_parents(carried: pl.DataFrame) -> pl.DataFrame:
    """The nearest parents of every entry: `entry_id, parent_id, share`.

    Args:
        carried: product_id, key, entry_id, one row a pair. A product about which nothing of the
            parent's key is said counts neither way: an omission is no absence.
    """
    carried = carried.select("product_id", "key", "entry_id").unique()
    products = carried.group_by("entry_id").agg(products=pl.len())
    everywhere = UNIVERSAL * carried["product_id"].n_unique()
    wide = products.filter(pl.col("products") < everywhere)
    parents = carried.join(wide, on="entry_id", how="semi")
    spoken = (
        carried.join(parents.select("product_id", "key").unique(), on="product_id", suffix="_of")
        .group_by("entry_id", "key_of")
        .agg(spoken=pl.len())
    )
    links = (
        carried.join(parents, on="product_id", suffix="_of")
        .filter(pl.col("entry_id") != pl.col("entry_id_of"))
        .group_by("entry_id", "entry_id_of", "key_of")
        .agg(both=pl.len())
        .join(spoken, on=["entry_id", "key_of"])
        .join(products, on="entry_id")
        .join(products, left_on="entry_id_of", right_on="entry_id", suffix="_of")
        .filter(
            pl.col("spoken") >= LEAST,
            pl.col("both") >= SHARE * pl.col("spoken"),
            pl.col("products_of") >= WIDER * pl.col("products"),
        )
        .select(
            "entry_id",
            parent_id="entry_id_of",
            share=(pl.col("both") / pl.col("spoken")).round(6),
        )
    )
    # a parent of a parent is reached through it
    further = links.join(links.select("entry_id", between="parent_id"), on="entry_id").join(
        links.select(between="entry_id", parent_id="parent_id"), on=["between", "parent_id"]
    )
    nearest = links.join(further, on=["entry_id", "parent_id"], how="anti")
    return nearest.select(*PARENTS_SCHEMA).sort("entry_id", "parent_id")
