"""What a collection must be before anyone sees it, checked when it is built and when published."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl

from pinlanding_assets.catalog.live import sellable, with_family
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
    """What a page needs. The variants of one parent (`live.with_family`) count as one product.

    Attributes:
        min_products: Fewest distinct products.
        min_sellers: Fewest distinct sellers, of a page whose sellers are known.
        max_overlap: Jaccard overlap from which two pages are one: of the first products, or of what
            their variants for the page look like (`live.seen`). A page of red shirts is not one of
            blue shirts, and one of size S is one of size M, though each has variants of its own.
        first: How many products that overlap looks at.
        seller_keys: Keys of attributes that name the seller: a page of one of its values needs no
            other seller.
        existing: Key of the collections that people made: of two pages that are one, theirs stays.
    """

    min_products: int = 10
    min_sellers: int = 3
    max_overlap: float = 0.6
    first: int = 50
    seller_keys: frozenset[str] = frozenset()
    existing: str | None = None

    @classmethod
    def for_catalog(cls, live: pl.DataFrame) -> "Gates":
        """The ordinary gates, lowered where a small or one-seller catalog could never pass."""
        on_sale = with_family(sellable(live))
        return cls(
            min_products=min(cls.min_products, support_floor(on_sale["family"].n_unique())),
            min_sellers=min(cls.min_sellers, on_sale["seller"].drop_nulls().n_unique()),
        )

    def refusal(
        self, title: str, products: int, sellers: int, entries: Iterable[str]
    ) -> str | None:
        """Why a page fails on its own, or None."""
        if not is_safe_title(title):
            return "the title is empty, too long or carries markup"
        if products < self.min_products:
            return f"{products} products on sale, {self.min_products} needed"
        of_seller = any(entry.partition("=")[0] in self.seller_keys for entry in entries)
        if 0 < sellers < self.min_sellers and not of_seller:
            return f"{sellers} sellers, {self.min_sellers} needed"
        return None

    def is_existing(self, entries: Iterable[str]) -> bool:
        """Whether people made this collection."""
        return any(entry.partition("=")[0] == self.existing for entry in entries)


def apply_gates(
    pages: pl.DataFrame, items: pl.DataFrame, gates: Gates
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Judges pages and keeps the items of the accepted ones.

    Of pages with nearly the same products the one that people made, then the one with more demand,
    then the better score, then the shorter topic and title stays; the others name it in
    `duplicate_of`.

    Args:
        pages: Columns of `collections` up to score, and demand.
        items: `items` of all pages, one a family; `seen` is a list of what those of its variants
            show that are for the page (`live.seen`).
        gates: What a page needs.
    """
    near = items.filter(pl.col("rank") <= gates.first)
    views = [_of_pages(near, "product_id"), _of_pages(near.explode("seen"), "seen")]
    rows = list(pages.iter_rows(named=True))
    order = sorted(
        range(len(rows)),
        key=lambda at: (
            not gates.is_existing(rows[at]["entries"]),
            -rows[at]["demand"],
            -round(rows[at]["score"], 2),  # a hundredth is no reason for a worse name
            len(rows[at]["entries"]),
            len(rows[at]["title"]),
            -rows[at]["products"],
            rows[at]["topic_id"],
        ),
    )
    refused: dict[str, str] = {}
    standing: list[str] = []
    for at in order:
        row = rows[at]
        refusal = gates.refusal(row["title"], row["products"], row["sellers"], row["entries"])
        if refusal:
            refused[row["topic_id"]] = refusal
        else:
            standing.append(row["topic_id"])
    twins = _twins(standing, views, gates.max_overlap)
    title = {row["topic_id"]: row["title"] for row in rows}
    reasons = refused | {page: f"the same products as “{title[t]}”" for page, t in twins.items()}
    ids = pages["topic_id"].to_list()
    collections = pages.with_columns(
        pl.Series("accepted", [page not in reasons for page in ids], dtype=pl.Boolean),
        pl.Series("reason", [reasons.get(page, "passed every gate") for page in ids], pl.String),
        pl.Series("duplicate_of", [twins.get(page) for page in ids], dtype=pl.String),
    ).select(*COLLECTIONS_SCHEMA)
    kept = items.filter(~pl.col("topic_id").is_in(list(reasons)))
    return collections, kept.sort("topic_id", "rank").select(*ITEMS_SCHEMA)


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
    shelf = with_family(sellable(live))
    on_sale = dict(
        zip(shelf["product_id"], shelf.select("seller", "family").iter_rows(), strict=True)
    )
    pages: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for page, rank, product in (
        items.select("topic_id", "rank", "product_id").sort("topic_id", "rank").iter_rows()
    ):
        pages[page].append((rank, product))
    failures = [
        f"{slug!r}: {what}"
        for page, slug, title, entries in accepted.select(
            "topic_id", "slug", "title", "entries"
        ).iter_rows()
        for what in _failures(slug, title, entries, pages.get(page, []), on_sale, gates)
    ]
    for column in ("topic_id", "slug"):
        repeated = accepted.filter(pl.col(column).is_duplicated())[column].unique().sort()
        failures += [f"{value!r}: {column} of more than one collection" for value in repeated]
    failures += [
        f"items of {page!r}, which is no accepted collection"
        for page in sorted(set(pages) - set(accepted["topic_id"]))
    ]
    slugs = dict(accepted.select("topic_id", "slug").iter_rows())
    near = items.filter(pl.col("rank") <= gates.first)
    twins = _twins(list(slugs), [_of_pages(near, "product_id")], gates.max_overlap)
    failures += [f"{slugs[a]!r}: the same products as {slugs[b]!r}" for a, b in twins.items()]
    if failures:
        more = f" (and {len(failures) - 5} more)" if len(failures) > 5 else ""
        raise GateError("collections fail their gates: " + "; ".join(failures[:5]) + more)


def _failures(
    slug: str,
    title: str,
    entries: Sequence[str],
    page: Sequence[tuple[int, str]],
    on_sale: Mapping[str, tuple[str | None, int]],
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
    known = [on_sale[product] for product in products if product in on_sale]
    sellers, families = {seller for seller, _ in known} - {None}, {family for _, family in known}
    if len(families) < len({product for product in products if product in on_sale}):
        yield "two variants of one product"
    refusal = gates.refusal(title, len(families), len(sellers), entries)
    if refusal:
        yield refusal


def _of_pages(items: pl.DataFrame, column: str) -> dict[str, list[Any]]:
    """Page -> what its items have in a column, each once."""
    found = items.sort("topic_id", "rank").group_by("topic_id", maintain_order=True)
    return dict(found.agg(pl.col(column).unique(maintain_order=True)).iter_rows())


def _twins(
    order: Sequence[str], views: Sequence[Mapping[str, Sequence[Any]]], max_overlap: float
) -> dict[str, str]:
    """Page -> the earlier, kept page that it overlaps most in a view, where by at least
    `max_overlap`. A view is what each page has of something."""
    holders: list[dict[Any, list[int]]] = [defaultdict(list) for _ in views]
    twins: dict[str, str] = {}
    for at, page in enumerate(order):
        best = max(
            _nearest(of.get(page, ()), held, order, of)
            for of, held in zip(views, holders, strict=True)
        )
        if best[0] >= max_overlap:
            twins[page] = order[-best[1]]
            continue
        for of, held in zip(views, holders, strict=True):
            for one in of.get(page, ()):
                held[one].append(at)
    return twins


def _nearest(
    shown: Sequence[Any],
    held: Mapping[Any, Sequence[int]],
    order: Sequence[str],
    of: Mapping[str, Sequence[Any]],
) -> tuple[float, int]:
    """Overlap with the kept page that has most in common, and its place in `order`, negative."""
    shared = Counter(chain.from_iterable(held.get(one, ()) for one in shown))
    overlap = [
        (n / (len(shown) + len(of[order[other]]) - n), -other) for other, n in shared.items()
    ]
    return max(overlap, default=(0.0, 0))
