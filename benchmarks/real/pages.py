"""The pages that a set of half-hidden labels becomes, judged by all labels."""

from dataclasses import dataclass

import polars as pl

from pinlanding_assets.attributes.vocabulary import Vocabulary
from pinlanding_assets.collections.matching import match
from pinlanding_assets.topics.judging import judge
from pinlanding_assets.topics.mining import Mining, mine, support_floor
from pinlanding_assets.topics.phrasing import Phraser, write_titles

FIRST = 10
NO_SEARCHES = {
    "query": pl.String,
    "count": pl.Int64,
    "entries": pl.List(pl.String),
    "parsed": pl.Float64,
}


@dataclass(frozen=True)
class JudgedPages:
    """Figures of the pages of a set.

    Attributes:
        pages: Accepted ones.
        p_at_10: Share of the first ten items of a page that have all its attributes, a mean over
            pages; None without pages.
        hidden: That share of the items whose labels were hidden, all pages together; None where
            there are none.
        n_hidden: Such items among the first ten.
        reached: Share of all items that are on some page.
    """

    pages: int
    p_at_10: float | None
    hidden: float | None
    n_hidden: int
    reached: float


def judged_pages(
    products: pl.DataFrame,
    assignments: pl.DataFrame,
    embeddings: pl.DataFrame,
    vocabulary: Vocabulary,
    true: pl.DataFrame,
    shown: pl.DataFrame,
) -> JudgedPages:
    """Topics and pages by the stages of the pipeline, without searches.

    Args:
        products: Of the set.
        assignments, embeddings: What the product makes of them.
        vocabulary: Its words.
        true: product_id, entry_id: what people say, hidden or not.
        shown: product_id of the items that kept their labels.
    """
    floor = support_floor(products.height)
    searches = pl.DataFrame(schema=NO_SEARCHES)
    candidates = mine(
        [assignments],
        vocabulary.keys,
        searches,
        products=products.height,
        mining=Mining(min_support=floor),
    )
    phraser = Phraser(vocabulary.entries, vocabulary.keys, {})
    topics = judge(write_titles(candidates, phraser), vocabulary.entries)
    # variants and sellers are not what is measured: each item stands for itself
    shelf = products.drop("parent").with_columns(
        seller=pl.lit(None, pl.String), availability=pl.lit("in_stock")
    )
    collections, items = match(topics, assignments, shelf, embeddings)
    first = items.filter(pl.col("rank") <= FIRST)
    held = true.with_columns(held=pl.lit(True))
    right = (
        first.select("topic_id", "product_id", entry_id="entries")
        .explode("entry_id")
        .join(held, on=["product_id", "entry_id"], how="left")
        .group_by("topic_id", "product_id")
        .agg(right=pl.col("held").fill_null(False).all())
    )
    hidden = right.join(shown, on="product_id", how="anti")
    by_page = right.group_by("topic_id").agg(pl.col("right").mean())
    return JudgedPages(
        int(collections["accepted"].sum()),
        _mean(by_page["right"]),
        _mean(hidden["right"]),
        hidden.height,
        items["product_id"].n_unique() / products.height,
    )


def _mean(values: pl.Series) -> float | None:
    found = values.cast(pl.Float64).mean()
    return None if found is None else float(found)  # type: ignore[arg-type]
