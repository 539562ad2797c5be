"""The quality auditor: products on pages that images say do not belong there."""

from collections.abc import Iterator

import polars as pl

from pinlanding_assets.curation.cases import Case, Witness
from pinlanding_assets.decisions.operations import LabelSet

AGENT = "agent:quality"
_SURE = 0.95  # of the encoder for another value, and against the page's
_FIRST = 10  # places of a page that are looked at


def wrong_items(
    items: pl.DataFrame,
    seen: pl.DataFrame,
    mentions: pl.DataFrame,
    aliases: pl.DataFrame,
    keys: pl.DataFrame,
) -> Iterator[Case]:
    """Products among the first of a page that the encoder is sure are something else.

    Args:
        items: `collections.items`.
        seen: What the encoder alone sees of these products (`view.encoder_reads`).
        mentions: Of the catalog as it stands.
        aliases, keys: Of `attribute_vocabulary`.
    """
    single = keys.filter(~pl.col("multi"))["key"].to_list()
    claims = (
        items.filter(pl.col("rank") <= _FIRST)
        .explode("entries")
        .rename({"entries": "claimed"})
        .with_columns(key=pl.col("claimed").str.splitn("=", 2).struct[0])
        .filter(pl.col("key").is_in(single))
        .group_by("product_id", "key", "claimed")
        .agg(places=pl.len())
    )
    rather = (
        seen.filter(pl.col("p") >= _SURE)
        .sort("p", descending=True)
        .unique(["product_id", "key"], keep="first")
        .rename({"entry_id": "instead", "p": "sure"})
    )
    own = seen.select("product_id", "entry_id", "p").rename({"entry_id": "claimed"})
    doubted = (
        claims.join(rather, on=["product_id", "key"])
        .filter(pl.col("claimed") != pl.col("instead"))
        .join(own, on=["product_id", "claimed"], how="left")
        .filter(pl.col("p").fill_null(0.0) <= 1.0 - _SURE)
    )
    meaning = aliases.select("key", "entry_id", value="raw_value").drop_nulls("entry_id")
    shown = (
        mentions.filter(source="vlm")
        .join(meaning, on=["key", "value"])
        .group_by("product_id", "key")
        .agg(shown=pl.col("entry_id").unique())
    )
    found = doubted.join(shown, on=["product_id", "key"], how="left").sort(
        ["places", "product_id", "claimed"], descending=[True, False, False]
    )
    for row in found.iter_rows(named=True):
        looked = row["shown"]
        agrees = looked is not None and row["claimed"] not in looked and row["instead"] in looked
        yield Case(
            AGENT,
            LabelSet(product=row["product_id"], entry=row["claimed"], holds=False),
            f"the encoder sees {row['instead']} with {row['sure']:.3f}, on {row['places']} pages",
            weight=float(row["places"]),
            touched=1,
            witnesses=(
                Witness("encoder", 1, 1, enough=True),
                Witness("images", int(looked is not None), int(agrees), enough=agrees),
            ),
            examples=[row["product_id"]],
        )
