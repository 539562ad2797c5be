"""One name for what the truth, a judge and the vocabulary call by different words."""

from collections.abc import Mapping, Sequence

import polars as pl

from pinlanding_assets.attributes.normalisation import fold

Naming = Mapping[tuple[str, str], str]
"""(folded key, folded value) -> entry id."""


def naming(entries: pl.DataFrame, aliases: pl.DataFrame) -> Naming:
    """From the vocabulary's values, and then its aliases."""
    spelt = [*entries.select("key", "value", "entry_id").sort("entry_id").iter_rows()]
    named = aliases.drop_nulls("entry_id").select("key", "raw_value", "entry_id")
    spelt += named.sort("key", "raw_value").iter_rows()
    found: dict[tuple[str, str], str] = {}
    for key, value, entry_id in spelt:
        found.setdefault((fold(key), fold(value)), entry_id)
    return found


def with_synonyms(
    aliases: pl.DataFrame, names: Naming, synonyms: Mapping[str, Mapping[str, Sequence[str]]]
) -> pl.DataFrame:
    """`attribute_vocabulary.aliases` (key, raw_value, entry_id) and every other word for a value
    that the vocabulary has."""
    rows = [
        (key, word, names[fold(key), fold(value)])
        for key, values in synonyms.items()
        for value, words in values.items()
        for word in words
        if (fold(key), fold(value)) in names
    ]
    schema = ["key", "raw_value", "entry_id"]
    more = pl.DataFrame(rows, schema=dict.fromkeys(schema, pl.String), orient="row")
    known = aliases.select(schema).join(more, on=["key", "raw_value"], how="anti")
    return pl.concat([known, more])


def named(pairs: pl.DataFrame, names: Naming) -> pl.DataFrame:
    """Pairs (key, value) with their entry_id; a value outside the vocabulary gets an own one."""
    spellings = pairs.select("key", "value").unique(maintain_order=True)
    found = [
        names.get((fold(key), fold(value)), f"{fold(key)}={fold(value)} (no entry)")
        for key, value in spellings.iter_rows()
    ]
    known = spellings.with_columns(pl.Series("entry_id", found, dtype=pl.String))
    return pairs.join(known, on=["key", "value"], how="left")


def decidable(entries: pl.Series, keys: set[str]) -> pl.Series:
    """Whether every entry of a topic is of a (folded) key that is spoken of at all."""
    answers = [
        bool(found) and all(fold(entry.partition("=")[0]) in keys for entry in found)
        for found in entries.to_list()
    ]
    return pl.Series(answers, dtype=pl.Boolean)


def holds_all(items: pl.DataFrame, holds: pl.DataFrame) -> pl.DataFrame:
    """Items (topic_id, rank, product_id, entries) of products that are spoken of, with `correct`:
    whether every entry holds.

    Args:
        items: Columns of `collections.items`.
        holds: product_id, entry_id of what is true, or said by a judge.
    """
    true = holds.select("product_id", pl.col("entry_id").alias("entry")).unique()
    return (
        items.join(true, on="product_id", how="semi")
        .select("topic_id", "rank", "product_id", entry="entries")
        .explode("entry")
        .join(true.with_columns(correct=True), on=["product_id", "entry"], how="left")
        .group_by("topic_id", "rank", "product_id")
        .agg(pl.col("correct").fill_null(False).all())
    )
