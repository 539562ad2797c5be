"""What a collection must be before anyone sees it, checked when it is built and when published."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import polars as pl

from pinlanding_assets.catalog.live import sellable
from pinlanding_assets.topics.mining import support_floor
from pinlanding_assets.topics.phrasing import is_safe_slug, is_safe_title

COLLECTIONS_SCHEMA = {
    "topic_id": pl.String,
    "slug": pl.String,
    "title": pl.String,
    "entries": pl.List(pl.String),
    "products": pl.Int64,
    "sellers": pl.Int64,
    "score": pl.Float64,
    "accepted": pl.Boolean,
    "reason": pl.String,
    "duplicate_of": pl.String,
    "matches": pl.Int64,
}
ITEMS_SCHEMA = {
    "topic_id": pl.String,
    "rank": pl.Int64,
    "product_id": pl.String,
    "score": pl.Float64,
    "entries": pl.List(pl.String),
}


class GateError(ValueError):
    """Collections that must not be published, with what is wrong with the first of them."""


@dataclass(frozen=True)
class Gates:
    """What a page needs.

    Attributes:
        min_products: Fewest distinct products.
        min_sellers: Fewest distinct sellers, of a page whose sellers are known.
        max_overlap: Jaccard overlap of the first products from which two pages are one.
        first: How many products that overlap looks at.
    """

    min_products: int = 10
    min_sellers: int = 3
    max_overlap: float = 0.6
    first: int = 50

    @classmethod
    def for_catalog(cls, live: pl.DataFrame) -> "Gates":
        """The ordinary gates, lowered where a small or one-seller catalog could never pass."""
        on_sale = sellable(live)
        return cls(
            min_products=min(cls.min_products, support_floor(on_sale.height)),
            min_sellers=min(cls.min_sellers, on_sale["seller"].drop_nulls().n_unique()),
        )

    def refusal(self, title: str, products: int, sellers: int) -> str | None:
        """Why a page fails on its own, or None."""
        if not is_safe_title(title):
            return "the title is empty, too long or carries markup"
        if products < self.min_products:
            return f"{products} products on sale, {self.min_products} needed"
        if 0 < sellers < self.min_sellers:
            return f"{sellers} sellers, {self.min_sellers} needed"
        return None


def apply_gates(
    pages: pl.DataFrame, items: pl.DataFrame, gates: Gates
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Judges pages and keeps the items of the accepted ones.

    Of pages with nearly the same products the one with more demand, then the better score, then
    the shorter topic stays; the others name it in `duplicate_of`.

    Args:
        pages: Columns of `collections` up to score, and demand.
        items: `items` of all pages.
        gates: What a page needs.
    """
    first = _first_products(items, gates.first)
    rows = list(pages.iter_rows(named=True))
    order = sorted(
        range(len(rows)),
        key=lambda at: (
            -rows[at]["demand"],
            -rows[at]["score"],
            len(rows[at]["entries"]),
            -rows[at]["products"],
            rows[at]["topic_id"],
        ),
    )
    refused: dict[str, str] = {}
    standing: list[str] = []
    for at in order:
        row = rows[at]
        refusal = gates.refusal(row["title"], row["products"], row["sellers"])
        if refusal:
            refused[row["topic_id"]] = refusal
        else:
            standing.append(row["topic_id"])
    twins = _twins(standing, first, gates.max_overlap)
    title = {row["topic_id"]: row["title"] for row in rows}
    reasons = refused | {page: f"the same products as “{title[t]}”" for page, t in twins.items()}
    ids = pages["topic_id"].to_list()
    collections = pages.with_columns(
        pl.Series("accepted", [page not in reasons for page in ids], dtype=pl.Boolean),
        pl.Series("reason", [reasons.get(page, "passed every gate") for page in ids], pl.String),
        pl.Series("duplicate_of", [twins.get(page) for page in ids], dtype=pl.String),
    ).select(*COLLECTIONS_SCHEMA)
    kept = items.filter(~pl.col("topic_id").is_in(list(reasons)))
    return collections, kept.sort("topic_id", "rank")


def verify_gates(
    collections: pl.DataFrame, items: pl.DataFrame, live: pl.DataFrame, gates: Gates | None = None
) -> None:
    """Checks accepted collections again, against the catalog as it is now.

    Args:
        collections, items: Tables of `collections`.
        live: `catalog.products` as of now.
        gates: What a page needs; None: `Gates.for_catalog(live)`.

    Raises:
        GateError: With up to five failures, each naming its collection.
    """
    gates = gates or Gates.for_catalog(live)
    accepted = collections.filter(pl.col("accepted")).sort("topic_id")
    on_sale = dict(sellable(live).select("product_id", "seller").iter_rows())
    pages: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for page, rank, product in (
        items.select("topic_id", "rank", "product_id").sort("topic_id", "rank").iter_rows()
    ):
        pages[page].append((rank, product))
    failures = [
        f"{slug!r}: {what}"
        for page, slug, title in accepted.select("topic_id", "slug", "title").iter_rows()
        for what in _failures(slug, title, pages.get(page, []), on_sale, gates)
    ]
    for column in ("topic_id", "slug"):
        repeated = accepted.filter(pl.col(column).is_duplicated())[column].unique().sort()
        failures += [f"{value!r}: {column} of more than one collection" for value in repeated]
    failures += [
        f"items of {page!r}, which is no accepted collection"
        for page in sorted(set(pages) - set(accepted["topic_id"]))
    ]
    slugs = dict(accepted.select("topic_id", "slug").iter_rows())
    twins = _twins(list(slugs), _first_products(items, gates.first), gates.max_overlap)
    failures += [f"{slugs[a]!r}: the same products as {slugs[b]!r}" for a, b in twins.items()]
    if failures:
        more = f" (and {len(failures) - 5} more)" if len(failures) > 5 else ""
        raise GateError("collections fail their gates: " + "; ".join(failures[:5]) + more)


def _failures(
    slug: str,
    title: str,
    page: Sequence[tuple[int, str]],
    on_sale: Mapping[str, str | None],
    gates: Gates,
) -> Iterable[str]:
    products = [product for _, product in page]
    missing = [product for product in products if product not in on_sale]
    if missing:
        yield f"{len(missing)} products not on sale, the first {missing[0]!r}"
    if len(set(products)) < len(products):
        yield "a product twice"
    if [rank for rank, _ in page] != list(range(1, len(page) + 1)):
        yield "ranks are not 1, 2, 3, …"
    if not is_safe_slug(slug):
        yield "the slug is no plain path"
    sellers = {on_sale.get(product) for product in products} - {None}
    refusal = gates.refusal(title, len(set(products)), len(sellers))
    if refusal:
        yield refusal


def _first_products(items: pl.DataFrame, first: int) -> dict[str, list[str]]:
    grouped = (
        items.filter(pl.col("rank") <= first)
        .sort("topic_id", "rank")
        .group_by("topic_id", maintain_order=True)
        .agg("product_id")
    )
    return dict(grouped.iter_rows())


def _twins(
    order: Sequence[str], first: Mapping[str, Sequence[str]], max_overlap: float
) -> dict[str, str]:
    """Page -> the earlier, kept page that it overlaps most, where by at least `max_overlap`."""
    holders: dict[str, list[int]] = defaultdict(list)
    twins: dict[str, str] = {}
    for at, page in enumerate(order):
        products = first.get(page, ())
        shared = Counter(chain.from_iterable(holders[product] for product in products))
        overlap = [
            (n / (len(products) + len(first[order[other]]) - n), -other)
            for other, n in shared.items()
        ]
        best = max(overlap, default=(0.0, 0))
        if best[0] >= max_overlap:
            twins[page] = order[-best[1]]
        else:
            for product in products:
                holders[product].append(at)
    return twins
