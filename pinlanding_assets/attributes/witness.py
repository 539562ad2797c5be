"""Other words for what the images show: "bermudas" where the vision-language model sees shorts.

Sentence vectors do not know that a frock is a dress and charcoal a grey, and think that navy is
blue. The catalog knows: products that a seller calls by one word and the model, which looks at
them, by another are evidence, product by product. A word is merged only where the model never uses
it itself, because then no label tells the two apart; every word goes to one that the model does
use, so there are no chains.
"""

from collections.abc import Mapping

import polars as pl

from pinlanding_assets.attributes.merging import Merges, Value

WITNESS = "vlm"
LEAST = 2  # products that the model calls by one and the same word
AGREED = (
    0.8  # of those that it has looked at; from three on, one that it calls otherwise is forgiven
)
OWN_USE = 0.05  # share of them up to which a use of the word by the model itself is a slip


def merge_by_witness(
    said: pl.DataFrame, values: Mapping[int, Value], multi: Mapping[str, bool]
) -> Merges:
    """Words of sellers into the model's word for the same products.

    Args:
        said: product_id, key, source, at: who says which value (`at`) of which product.
        values: By `at`.
        multi: Key -> whether a product may have several values; of such a key both may be meant.
    """
    single = [key for key, several in multi.items() if not several]
    spoken = said.filter(pl.col("key").is_in(single)).select("product_id", "key", "source", "at")
    seen = spoken.filter(source=WITNESS).unique()
    met = (
        spoken.filter(pl.col("source") != WITNESS)
        .select("product_id", "key", "at")
        .unique()
        .join(seen.select("product_id", "key", shown="at"), on=["product_id", "key"])
        .group_by("at", "shown")
        .agg(products=pl.col("product_id").n_unique())
        .with_columns(looked=pl.col("products").sum().over("at"))
    )
    own = {
        at: n for at, shown, n in met.select("at", "shown", "products").iter_rows() if at == shown
    }
    agreed = met.filter(
        pl.col("at") != pl.col("shown"),
        pl.col("products") >= LEAST,
        (pl.col("products") >= AGREED * pl.col("looked"))
        | ((pl.col("products") == pl.col("looked") - 1) & (pl.col("products") > LEAST)),
    ).sort("at")
    return {
        at: (shown, f"the images show {values[shown].name} on {products} of {looked} products")
        for at, shown, products, looked in agreed.iter_rows()
        if own.get(at, 0) <= OWN_USE * looked
    }
