"""Other words for what the images show: "bermudas" where the vision-language model sees shorts.

Sentence vectors do not know that a frock is a dress and charcoal a grey, and find red nearer to
blue than to crimson. The catalog knows: products that a seller calls by one word and the model,
which looks at them, by another are evidence, product by product. A word is merged only where the
model never uses it itself, because then no label tells the two apart; every word goes to one that
the model does use, so there are no chains.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from pinlanding_assets.attributes.merging import Embed, Merges, Value

WITNESS = "vlm"
LEAST = 3  # products that the model calls by one and the same word
AGREED = 0.8  # of those that it has looked at; one that it calls otherwise is always forgiven
ALIKE = 0.5  # cosine of the two words from which two products are enough, if none contradicts
OWN_USE = 0.05  # share of them up to which a use of the word by the model itself is a slip


def merge_by_witness(
    said: pl.DataFrame, values: Mapping[int, Value], multi: Mapping[str, bool], embed: Embed
) -> Merges:
    """Words of sellers into the model's word for the same products.

    Args:
        said: product_id, key, source, at: who says which value (`at`) of which product.
        values: By `at`.
        multi: Key -> whether a product may have several values; of such a key both may be meant.
        embed: Texts to unit vectors [n, d].
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
    counts = met.select("at", "shown", "products").iter_rows()
    own = {at: products for at, shown, products in counts if at == shown}
    agreed = met.filter(
        pl.col("at") != pl.col("shown"),
        pl.col("products") >= LEAST - 1,
        (pl.col("products") >= AGREED * pl.col("looked"))
        | (pl.col("products") == pl.col("looked") - 1),
    ).sort("at")
    alike = _alike(agreed.filter(pl.col("products") < LEAST), values, embed)
    agreed = agreed.filter((pl.col("products") >= LEAST) | pl.col("at").is_in(alike))
    return {
        at: (shown, f"the images show {values[shown].name} on {products} of {looked} products")
        for at, shown, products, looked in agreed.iter_rows()
        if own.get(at, 0) <= OWN_USE * looked
    }


def _alike(few: pl.DataFrame, values: Mapping[int, Value], embed: Embed) -> list[int]:
    """Of words that only two products speak for, those whose meaning speaks for it, too."""
    sure = few.filter(pl.col("products") == pl.col("looked"))
    if sure.is_empty():
        return []
    rows = sure.select("at", "shown").rows()
    pairs = [(values[at].name, values[shown].name) for at, shown in rows]
    texts = sorted({text for pair in pairs for text in pair})
    vector = dict(zip(texts, np.asarray(embed(texts), np.float32), strict=True))
    near = [float(vector[a] @ vector[b]) >= ALIKE for a, b in pairs]
    return sure["at"].filter(pl.Series(near)).to_list()
