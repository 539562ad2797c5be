"""What is on each page of the site: the products of a collection, ready to be shown.

Everything a feed wrote (titles, sellers, links, attribute values) is hostile. It is cleaned and
bounded when a `Product` or a `Page` is made, once, and escaped by the templates.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import polars as pl

from pinlanding_assets.catalog.live import sellable, with_family
from pinlanding_assets.collections.variants import Told, nearest_first, told_apart
from pinlanding_assets.collections.wording import (
    check_slug,
    clean,
    counted,
    money,
    safe_link,
)
from pinlanding_assets.decisions.facets import DECIDED

MAX_PRODUCTS = 60  # in one part of a page: keeps it under 150 kB, with many variants under 400 kB
MAX_TITLE = 120  # characters of a product or collection title that are shown
MAX_LABEL = 40  # characters of a seller or an attribute that are shown
MAX_VARIANTS = 12  # of one product that are shown beside it
MAX_ALSO = 4  # values that a tile says its product comes in

PAGES_SCHEMA = {
    **dict.fromkeys(("topic_id", "slug", "path", "title"), pl.String),
    "products": pl.Int64,
    "entries": pl.List(pl.String),
}
STOCK_LABELS = {"out_of_stock": "Out of stock", "preorder": "Pre-order"}


@dataclass(frozen=True)
class Entry:
    """A vocabulary entry as shown: key, value and phrase, cleaned."""

    key: str
    value: str
    phrase: str


class Reason(NamedTuple):
    """Who says an attribute of a product, and how probable it is, 0 to 1."""

    source: str
    p: float

    @property
    def text(self) -> str:
        """As it stands beside a product."""
        said = {
            **{"title": "by its title", "vlm": "seen on its photo"},
            DECIDED: "decided by the shop",
        }
        return said.get(self.source) or f"recognized, {math.floor(100 * self.p)} %"


@dataclass(frozen=True)
class Product:
    """A product as shown; `entries` are the ids of what it is known to be, sorted.

    Of the variants of one parent a page shows one. It has the others as `variants`, the nearest
    first, at most `MAX_VARIANTS` of them; `siblings` counts them all, and `entries_of_all` are the
    ids of what it or any of them is. `told` is what tells it from them. `because`: of each
    attribute that puts it on a page, who says it (`catalog`, `title`, `vlm`, `encoder`), and its
    probability.
    """

    product_id: str
    title: str
    image: str | None
    price: float | None
    currency: str | None
    seller: str
    availability: str
    url: str | None
    entries: tuple[str, ...]
    family: int
    parent: str = ""
    told: Told = ()
    variants: tuple["Product", ...] = ()
    siblings: int = 0
    entries_of_all: tuple[str, ...] = ()
    because: Mapping[str, Reason] = field(default_factory=dict)

    def unstated(self, entries: Iterable[str]) -> list[tuple[str, str]]:
        """Of these entries, those that not the catalog itself says of it, and why they are held to
        be true."""
        found = [(entry, self.because[entry]) for entry in entries if entry in self.because]
        return [(entry, reason.text) for entry, reason in found if reason.source != "catalog"]

    @property
    def label(self) -> str:
        """What a variant is called among the others of its parent."""
        return ", ".join(value for _, value in self.told) or self.title

    @property
    def also(self) -> str:
        """That there are other variants, and values of theirs that this one does not have."""
        own = {value for _, value in self.told}
        values = (value for variant in self.variants for _, value in variant.told)
        others = [value for value in dict.fromkeys(values) if value not in own]
        text = counted(self.siblings + 1, "variant")
        more = ", …" if len(others) > MAX_ALSO else ""
        return f"{text}, also in {', '.join(others[:MAX_ALSO])}{more}" if others else text

    @property
    def price_text(self) -> str:
        return "" if self.price is None else money(self.price, self.currency)

    @property
    def stock_label(self) -> str:
        return STOCK_LABELS.get(self.availability, "")


@dataclass
class Page:
    """A collection with its products, best first; `total` counts those beyond its length too.

    The variants of one parent are one product.
    """

    topic_id: str
    slug: str
    title: str
    entries: tuple[str, ...]
    products: list[Product]
    total: int
    noun: str = "product"
    cover: str | None = None
    related: list["Page"] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"collections/{self.slug}.html"

    @property
    def parts(self) -> list[tuple[str, list[Product]]]:
        """(path, products) of each part of the page, one at least."""
        starts = range(0, max(1, len(self.products)), MAX_PRODUCTS)
        return [
            (
                f"collections/{self.slug}/{number}.html" if number > 1 else self.path,
                self.products[start : start + MAX_PRODUCTS],
            )
            for number, start in enumerate(starts, start=1)
        ]

    @property
    def images(self) -> list[str]:
        """Distinct product images, best first."""
        return list(dict.fromkeys(p.image for p in self.products if p.image))

    @property
    def currency(self) -> str | None:
        """That of most prices; prices in others cannot be compared with them."""
        known = Counter(p.currency or "" for p in self.products if p.price is not None)
        return min(known, key=lambda code: (-known[code], code), default="") or None

    @property
    def price_span(self) -> tuple[str, str] | None:
        """Lowest and highest price in `currency`, as text; None without prices."""
        prices = [
            p.price for p in self.products if p.price is not None and p.currency == self.currency
        ]
        return (
            (money(min(prices), self.currency), money(max(prices), self.currency))
            if prices
            else None
        )

    @property
    def intro(self) -> str:
        """One or two sentences that hold for the products of all parts."""
        shown = len(self.products)
        text = counted(shown, self.noun)
        if shown < self.total:
            text = f"The {shown:,} best matches of {counted(self.total, self.noun)}"
        if others := sum(product.siblings for product in self.products):
            text += f" in {counted(shown + others, 'variant')}"
        sellers = len({product.seller for product in self.products if product.seller})
        text += f" from {sellers} sellers" if sellers > 1 else ""
        if self.price_span:
            low, high = self.price_span
            text += f", {low}" if low == high else f", {low} to {high}"
            priced = [p.currency for p in self.products if p.price is not None]
            other = sum(currency != self.currency for currency in priced)
            text += f", {other} priced in other currencies" if other else ""
        gone = sum(product.availability == "out_of_stock" for product in self.products)
        return f"{text}." + (f" {gone} out of stock at the moment." if gone else "")


def build_pages(
    collections: pl.DataFrame,
    items: pl.DataFrame,
    products: pl.DataFrame,
    vocabulary: dict[str, Entry],
    *,
    currency: str | None = None,
    type_key: str | None = None,
    assignments: pl.DataFrame | None = None,
    noun: str = "product",
) -> list[Page]:
    """The pages to publish, best collection first (score, then slug).

    Raises:
        ValueError: a slug that is unsafe or used by two collections.
    """
    products = with_family(products)
    chosen = collections.filter("accepted", pl.col("duplicate_of").is_null())
    chosen = chosen.sort(["score", "slug"], descending=[True, False], nulls_last=True)
    listed = items.join(chosen, on="topic_id", how="semi").join(
        products, on="product_id", how="semi"
    )
    listed = listed.sort("topic_id", "rank", "product_id")
    shown = products.join(listed, on="product_id", how="semi")
    others = (
        sellable(products)
        .join(shown, on="family", how="semi")
        .join(shown, on="product_id", how="anti")
    )
    shown = pl.concat([shown, others])
    known = _known_entries(listed, shown, vocabulary, assignments)
    because = _reasons(listed, assignments)
    views = {
        row["product_id"]: replace(
            _product(row, known[row["product_id"]], vocabulary, currency, type_key),
            because=because.get(row["product_id"], {}),
        )
        for row in shown.iter_rows(named=True)
    }
    views |= _with_variants(views, sellable(shown), set(listed["product_id"]))
    members: dict[str, list[Product]] = defaultdict(list)
    for topic_id, product_id in listed.select("topic_id", "product_id").iter_rows():
        members[topic_id].append(views[product_id])

    pages: list[Page] = []
    slugs: dict[str, str] = {}
    for row in chosen.iter_rows(named=True):
        topic_id, slug = row["topic_id"], row["slug"]
        if topic_id not in members:
            continue
        check_slug(slug, topic_id)
        if slug in slugs:
            raise ValueError(f"collections {slugs[slug]!r} and {topic_id!r} share slug {slug!r}")
        slugs[slug] = topic_id
        title = clean(row["title"], MAX_TITLE) or slug
        beyond = max(0, (row.get("matches") or 0) - row["products"])
        page = Page(
            topic_id, slug, title[:1].upper() + title[1:], tuple(row["entries"] or ()),
            members[topic_id], len(members[topic_id]) + beyond, noun,
        )  # fmt: skip
        pages.append(page)
    return pages


def _with_variants(
    views: dict[str, Product], on_sale: pl.DataFrame, tiles: set[str]
) -> dict[str, Product]:
    """Those of the tiles that have other variants on sale, with them."""
    several = on_sale.filter(pl.len().over("family") > 1).sort("product_id")
    found: dict[str, Product] = {}
    for family in several.select("product_id", "family", "attributes").partition_by("family"):
        told = told_apart(dict(family.select("product_id", "attributes").iter_rows()))
        named = {product: replace(views[product], told=of) for product, of in told.items()}
        entries = tuple(sorted({e for view in named.values() for e in view.entries}))
        for product, view in named.items():
            if product not in tiles:  # a family may be large
                continue
            others = nearest_first(view.told, {p: of for p, of in told.items() if p != product})
            found[product] = replace(
                view,
                variants=tuple(named[other] for other in others[:MAX_VARIANTS]),
                siblings=len(others),
                entries_of_all=entries,
            )
    return found


def pages_table(
    collections: pl.DataFrame, items: pl.DataFrame, products: pl.DataFrame
) -> pl.DataFrame:
    """What is published: `topic_id`, `slug`, `path`, `title`, `products` (in the catalog) and
    `entries`."""
    pages = build_pages(collections, items, products, {})
    rows = [
        (page.topic_id, page.slug, page.path, page.title, page.total, list(page.entries))
        for page in pages
    ]
    return pl.DataFrame(rows, schema=PAGES_SCHEMA, orient="row")


def read_vocabulary(entries: pl.DataFrame) -> dict[str, Entry]:
    """entry_id -> Entry, from the entries table."""
    label = pl.col("label" if "label" in entries.columns else "value").alias("label")
    rows = entries.select("entry_id", "key", "value", "phrase", label).iter_rows()
    return {
        entry_id: Entry(
            key,
            clean(label, MAX_LABEL),
            clean((phrase or value).replace(value, label, 1), MAX_LABEL),
        )
        for entry_id, key, value, phrase, label in rows
    }


def _product(
    row: dict, entries: set[str], vocabulary: dict[str, Entry], currency: str | None,
    type_key: str | None,
) -> Product:  # fmt: skip
    ordered = sorted(entries)
    price = row["price"]
    if price is not None and not (math.isfinite(price) and price >= 0):
        price = None
    code = (row["currency"] or currency or "").upper()
    image = next(iter(row["images"] or ()), None)
    # some feeds have pictures and no text: what the product is stands in for its name
    kinds = [vocabulary[e].phrase for e in ordered if vocabulary[e].key == type_key]
    title = clean(row["title"], MAX_TITLE)
    if not title:
        named = [*kinds, *(vocabulary[e].phrase for e in ordered), clean(row["product_id"], 40)][0]
        title = named[:1].upper() + named[1:]
    return Product(
        product_id=row["product_id"],
        title=title,
        image=image,
        price=price,
        currency=code if re.fullmatch("[A-Z]{3}", code) else None,
        seller=clean(row["seller"], MAX_LABEL),
        availability=row["availability"] or "unknown",
        url=safe_link(row["url"]),
        entries=tuple(ordered),
        family=row["family"],
        parent=clean(row.get("parent"), MAX_LABEL),
        entries_of_all=tuple(ordered),
    )


def _reasons(
    listed: pl.DataFrame, assignments: pl.DataFrame | None
) -> dict[str, dict[str, Reason]]:
    """product_id -> entry_id -> why, of what puts products on pages."""
    if assignments is None:
        return {}
    here = listed.select("product_id", entry_id=pl.col("entries")).explode("entry_id").unique()
    said = assignments.join(here, on=["product_id", "entry_id"], how="semi")
    found: dict[str, dict[str, Reason]] = defaultdict(dict)
    for product, entry, source, p in said.select(
        "product_id", "entry_id", "source", "p"
    ).iter_rows():
        found[product][entry] = Reason(source, p)
    return found


def _known_entries(
    listed: pl.DataFrame,
    products: pl.DataFrame,
    vocabulary: dict[str, Entry],
    assignments: pl.DataFrame | None,
) -> dict[str, set[str]]:
    """product_id -> ids of what it is: assigned, else what put it here and its own attributes."""
    here = listed.select("product_id", entry_id=pl.col("entries")).explode("entry_id")
    if assignments is not None:
        other = assignments.select("product_id", "entry_id").join(
            products, on="product_id", how="semi"
        )
    else:
        pair = pl.col("attributes").struct
        other = (
            products.select("product_id", "attributes")
            .explode("attributes")
            .select(
                "product_id",
                entry_id=pl.format("{}={}", pair.field("key"), pair.field("value"))
                .str.to_lowercase(),
            )
        )  # fmt: skip
    known: dict[str, set[str]] = defaultdict(set)
    for product_id, entry_id in (*here.iter_rows(), *other.iter_rows()):
        if entry_id in vocabulary:
            known[product_id].add(entry_id)
    return known
