"""The cheapest alternative: content first, by keywords alone, with every synonym and no model.

What the catalog states and what titles and descriptions spell out become attributes; topics are
mined, phrased, judged, filled and gated as ours are. It answers what the models are worth.
"""

import polars as pl

from pinlanding_assets.attributes.extraction import Lexicon, from_catalog, from_text
from pinlanding_assets.catalog.live import sellable, with_family
from pinlanding_assets.collections.gates import Gates
from pinlanding_assets.collections.matching import Arrangement, match
from pinlanding_assets.embeddings.assignment import ASSIGNMENT_SCHEMA, TRUST
from pinlanding_assets.scorecard.naming import Naming, named
from pinlanding_assets.topics.judging import judge
from pinlanding_assets.topics.mining import mine
from pinlanding_assets.topics.phrasing import Phraser, write_titles


def keyword_collections(
    products: pl.DataFrame,
    entries: pl.DataFrame,
    keys: pl.DataFrame,
    names: Naming,
    lexicon: Lexicon,
    demand: pl.DataFrame,
    phraser: Phraser,
    *,
    arrangement: Arrangement,
    gates: Gates,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(collections, items) with the columns of `collections`.

    Args:
        products: `catalog.products` as of now.
        entries: `attribute_vocabulary.entries`.
        keys: `attribute_vocabulary.keys`.
        names: Of the vocabulary; a word that it does not know gives no attribute.
        lexicon: Key -> value -> other words for it.
        demand: `demand.queries`.
        phraser: Writes the titles.
        arrangement: How pages are filled.
        gates: What a page needs.
    """
    products = with_family(sellable(products))
    found = keyword_assignments(products, entries, keys, names, lexicon)
    families = products["family"].n_unique()
    candidates = mine([found], keys, demand, products=families, families=products)
    topics = judge(write_titles(candidates, phraser), entries)
    return match(topics, found, products, arrangement=arrangement, gates=gates)


def keyword_assignments(
    products: pl.DataFrame,
    entries: pl.DataFrame,
    keys: pl.DataFrame,
    names: Naming,
    lexicon: Lexicon,
) -> pl.DataFrame:
    """Attributes by fields and words, as `product_attributes.assignments`.

    Of several values of a single-valued key the catalog's own counts, then any one in the text;
    p is the trust in the source.
    """
    mentions = pl.concat([from_catalog(products), from_text(products, lexicon)])
    known = named(mentions, names).join(
        entries.select("entry_id", entry_key="key", entry_value="value"), on="entry_id"
    )
    single = keys.filter(~pl.col("multi"))["key"].to_list()
    one_of = pl.when(pl.col("entry_key").is_in(single)).then(pl.lit("")).otherwise("entry_id")
    return (
        known.with_columns(
            p=pl.col("source").replace_strict(TRUST, return_dtype=pl.Float64), one_of=one_of
        )
        .sort(["p", "product_id", "entry_id"], descending=[True, False, False])
        .unique(["product_id", "entry_key", "one_of"], keep="first", maintain_order=True)
        .select("product_id", "entry_id", "p", "source", key="entry_key", value="entry_value")
        .select(*ASSIGNMENT_SCHEMA)
        .sort("product_id", "entry_id")
    )
