"""The topics editor: what people search for that no page answers, though the products are there."""

from collections.abc import Sequence

import polars as pl

from pinlanding_assets.curation.cases import Case, Witness
from pinlanding_assets.decisions.operations import TopicAdd
from pinlanding_assets.topics.mining import combine_sources

AGENT = "agent:topics"
_DAYS = 3  # on which somebody searched for it
_PRECISE = 0.9  # least expected precision of the products
_MOST_ENTRIES = 4


def unmet_demand(
    demand: pl.DataFrame,
    collections: pl.DataFrame,
    topics: pl.DataFrame,
    assignments: pl.DataFrame,
    *,
    least: int,
) -> list[Case]:
    """Topics that people search for, that have products, and no page.

    A topic whose page was refused because another holds the same products, or says the same, is
    answered by that one.

    Args:
        demand: `demand.queries`.
        collections: `collections.collections`.
        topics: `topics.topics`.
        assignments: The attributes of products on sale.
        least: Fewest products of a page.
    """
    wanted = (
        demand.filter(pl.col("parsed") >= 1.0 - 1e-9)
        .with_columns(pl.col("entries").list.sort(), entry_count=pl.col("entries").list.len())
        .filter(pl.col("entry_count").is_between(1, _MOST_ENTRIES))
        .with_columns(at=pl.col("entries").list.join("\n"))
        .group_by("at", maintain_order=True)
        .agg(pl.col("entries").first(), pl.col("count").sum(), pl.col("days").max())
    )
    answered = _sets(collections.filter(pl.col("accepted") | pl.col("duplicate_of").is_not_null()))
    same = pl.col("reason").str.starts_with("holds the same") | pl.col("reason").str.starts_with(
        "says the same"
    )
    answered |= _sets(topics.filter(same))
    open_ = [
        row
        for row in wanted.iter_rows(named=True)
        if frozenset(row["entries"]) not in answered and _one_a_key(row["entries"])
    ]
    carriers = _carriers(assignments, {entry for row in open_ for entry in row["entries"]})
    cases = []
    for row in open_:
        supply, precision, examples = _supply(row["entries"], carriers)
        if supply < least:
            continue
        cases.append(
            Case(
                AGENT,
                TopicAdd(entries=tuple(row["entries"])),
                f"searched for {row['count']} times on {row['days']} days, {supply} products, "
                "and no page",
                weight=float(row["count"]),
                touched=supply,
                witnesses=(
                    Witness("searches", row["days"], row["days"], row["days"] >= _DAYS),
                    Witness("supply", supply, round(precision * supply), precision >= _PRECISE),
                ),
                examples=examples,
                served=row["count"],
            )
        )
    return cases


def _sets(rows: pl.DataFrame) -> set[frozenset[str]]:
    return {frozenset(entries) for entries in rows["entries"].to_list()}


def _one_a_key(entries: Sequence[str]) -> bool:
    return len({entry.partition("=")[0] for entry in entries}) == len(entries)


def _carriers(assignments: pl.DataFrame, wanted: set[str]) -> dict[str, dict[str, float]]:
    """Entry -> product -> probability."""
    rows = combine_sources(assignments.filter(pl.col("entry_id").is_in(list(wanted))))
    found: dict[str, dict[str, float]] = {entry: {} for entry in wanted}
    for product, entry, p in rows.select("product_id", "entry_id", "p").iter_rows():
        found[entry][product] = p
    return found


def _supply(
    entries: Sequence[str], carriers: dict[str, dict[str, float]]
) -> tuple[int, float, list[str]]:
    """Products that rather carry all of them than not, their mean probability, and the surest."""
    first, *others = sorted((carriers[entry] for entry in entries), key=len)
    likely = {}
    for product, p in first.items():
        for other in others:
            p *= other.get(product, 0.0)
        if p > 0.5:
            likely[product] = p
    surest = sorted(likely, key=lambda product: (-likely[product], product))[:12]
    return len(likely), sum(likely.values()) / max(1, len(likely)), surest
