"""Collections that people made, beside those that are made from content."""

import polars as pl

from pinlanding_assets.attributes.vocabulary import EXISTING
from pinlanding_assets.scorecard.figures import frame, mean, share

COMPARED_SCHEMA = {
    "entry_id": pl.String,
    "name": pl.String,
    "members": pl.Int64,
    "added": pl.Int64,
    "nearest": pl.String,
    "shared": pl.Int64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "f1": pl.Float64,
}
LEAST = 3
"""Members from which a collection is compared."""


def compared(
    stated: pl.DataFrame,
    assignments: pl.DataFrame,
    entries: pl.DataFrame,
    keys: pl.DataFrame,
    collections: pl.DataFrame,
    items: pl.DataFrame,
) -> pl.DataFrame:
    """Each collection that people made, and the page from content that is nearest to it.

    Args:
        stated: product_id, entry_id: what the catalog itself states.
        assignments: `product_attributes.assignments` of the catalog as it stands.
        entries: `attribute_vocabulary.entries`.
        keys: `attribute_vocabulary.keys`.
        collections, items: Tables of `collections`.

    Returns:
        ``entry_id``; ``name``; ``members`` that people gave it; ``added``: further products that
        the encoder says belong to it; ``nearest``: title of the accepted page with the best F1,
        of those that do not name the collection; ``shared`` products; ``precision``: shared of the
        page's; ``recall``: shared of the members; ``f1``. The largest collection first. Without a
        page that shares a product, ``nearest`` is null and the figures are 0.
    """
    given = keys.filter(role=EXISTING)["key"].to_list()
    names = entries.filter(pl.col("key").is_in(given)).select("entry_id", name="label")
    members = stated.join(names, on="entry_id").select("entry_id", "product_id").unique()
    size = members.group_by("entry_id").agg(members=pl.len().cast(pl.Int64))
    told = assignments.join(members, on=["entry_id", "product_id"], how="anti")
    added = told.group_by("entry_id").agg(added=pl.col("product_id").n_unique().cast(pl.Int64))

    by_people = pl.col("entries").list.set_intersection(names["entry_id"].to_list()).list.len() > 0
    own = collections.filter(pl.col("accepted") & ~by_people)
    on_page = items.join(own, on="topic_id", how="semi").select("topic_id", "product_id").unique()
    held = on_page.group_by("topic_id").agg(held=pl.len())
    best = (
        members.join(on_page, on="product_id")
        .group_by("entry_id", "topic_id")
        .agg(shared=pl.len().cast(pl.Int64))
        .join(held, on="topic_id")
        .join(size, on="entry_id")
        .with_columns(
            precision=pl.col("shared") / pl.col("held"),
            recall=pl.col("shared") / pl.col("members"),
            f1=2 * pl.col("shared") / (pl.col("held") + pl.col("members")),
        )
        .sort(["f1", "topic_id"], descending=[True, False])
        .unique("entry_id", keep="first", maintain_order=True)
        .join(own.select("topic_id", nearest="title"), on="topic_id")
    )
    return (
        size.filter(pl.col("members") >= LEAST)
        .join(names, on="entry_id")
        .join(added, on="entry_id", how="left")
        .join(best.drop("members"), on="entry_id", how="left")
        .with_columns(pl.col("added", "shared", "precision", "recall", "f1").fill_null(0))
        .select(list(COMPARED_SCHEMA))
        .cast(COMPARED_SCHEMA)  # type: ignore[arg-type]
        .sort(["members", "entry_id"], descending=[True, False])
    )


def existing_figures(found: pl.DataFrame, *, seed: int = 0) -> pl.DataFrame:
    """The figures `existing.best_f1`, a mean over the collections that people made, and
    `existing.nearest`, the share of them that some page from content shares a product with.

    Args:
        found: Of `compared`.
        seed: Of the interval.
    """
    near = found.height - found["nearest"].null_count()
    return frame(
        [
            mean("existing.best_f1", found["f1"].to_numpy(), seed, basis="people"),
            share("existing.nearest", near, found.height, basis="people"),
        ]
    )
