"""The quality auditor: products whose stated attribute the encoder and the images contradict."""

from collections.abc import Iterator

import polars as pl

from pinlanding_assets.curation.cases import Case, Witness
from pinlanding_assets.decisions.operations import LabelSet

AGENT = "agent:quality"
_SURE = 0.95  # of the encoder for another value, and against the page's
_DOUBTED = 0.5  # probability of what a seller states, below which all together rather doubt it


def doubted_labels(
    assignments: pl.DataFrame, keys: pl.DataFrame, items: pl.DataFrame
) -> pl.DataFrame:
    """What is stated though the witnesses together rather doubt it: product_id, key, claimed,
    places (pages that show it for that). Of keys with one value.

    Args:
        assignments: The attributes of the catalog as it stands.
        keys: Of `attribute_vocabulary`.
        items: `collections.items`.
    """
    single = keys.filter(~pl.col("multi"))["key"].to_list()
    doubted = assignments.filter(pl.col("p") < _DOUBTED, pl.col("key").is_in(single))
    claims = doubted.select("product_id", "key", claimed="entry_id").unique()
    places = (
        items.join(claims, on="product_id", how="semi")
        .explode("entries")
        .group_by("product_id", claimed="entries")
        .agg(places=pl.len())
    )
    shown = claims.join(places, on=["product_id", "claimed"], how="left")
    return shown.with_columns(pl.col("places").fill_null(0))


def wrong_labels(
    claims: pl.DataFrame,
    seen: pl.DataFrame,
    mentions: pl.DataFrame,
    aliases: pl.DataFrame,
) -> Iterator[Case]:
    """Products that the encoder is sure are something else than is stated.

    Args:
        claims: What is stated of them (`doubted_labels`).
        seen: What the encoder alone sees of these products (`view.encoder_reads`).
        mentions: Of the catalog as it stands.
        aliases: Of `attribute_vocabulary`.
    """
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
            LabelSet(product=row["product_id"], entry=row["instead"], holds=True),
            f"{row['claimed']} is stated, the encoder sees {row['instead']} with {row['sure']:.3f}",
            weight=1.0 + row["places"],
            touched=1,
            witnesses=(
                Witness("encoder", 1, 1, enough=True),
                Witness("images", int(looked is not None), int(agrees), enough=agrees),
            ),
            examples=[row["product_id"]],
        )
