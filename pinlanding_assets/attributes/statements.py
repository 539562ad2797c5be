"""What was said of a product, in the words of the vocabulary, and where the vocabulary has none."""

from collections.abc import Callable

import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.attributes.overrides import REASON


def resolver(
    aliases: pl.DataFrame, entries: pl.DataFrame
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A function from mentions to statements: ``product_id, source, key, entry_id``, each once.

    The key is the vocabulary's spelling of it. A value that was dropped (too rare, a sentence)
    keeps its key and has no entry: that the catalog states something there is known all the same.
    What somebody has decided to be no attribute was never stated.

    Args:
        aliases: `attribute_vocabulary.aliases`.
        entries: `attribute_vocabulary.entries`.
    """
    decided = (pl.col("action") == "drop") & (pl.col("reason") == REASON)
    aliases = aliases.filter(~decided)
    spelt = {fold(key): key for key in sorted(set(entries["key"]))}
    raw = aliases["key"].unique().to_list()
    names = pl.DataFrame({"key": raw, "known": [spelt.get(fold(key), key) for key in raw]})
    known = (
        aliases.select("key", "entry_id", value="raw_value")
        .join(names.cast({"key": pl.String, "known": pl.String}), on="key")
        .with_columns(
            pl.coalesce(pl.col("entry_id").str.splitn("=", 2).struct[0], "known").alias("known")
        )
    )

    def statements(mentions: pl.DataFrame) -> pl.DataFrame:
        return (
            mentions.select("product_id", "source", "key", "value")
            .join(known.select("key", "value", "known", "entry_id"), on=["key", "value"])
            .select("product_id", "source", pl.col("known").alias("key"), "entry_id")
            .unique()
            .sort("product_id", "key", "entry_id", "source")
        )

    return statements
