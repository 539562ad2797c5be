"""What is on each page of the site: products in order, sections, related collections, filters.

Everything a feed wrote (titles, sellers, links, attribute values) is hostile. It is cleaned and
bounded here, once, and escaped by the templates; a link survives only when it is http(s).
"""

import hashlib
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import polars as pl

MAX_PRODUCTS = 60  # shown on a page, best first: keeps a page under 150 kB
MAX_TITLE = 120  # characters of a product or collection title that are shown
MAX_LABEL = 40  # characters of a seller or an attribute that are shown
MAX_LINK = 2_000  # a longer link is not taken over
SECTION_CARDS = 60  # collections on one page of a section
RELATED = 6
MAX_FACETS, MAX_FACET_VALUES = 6, 8

CURRENCY_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}
NO_CENTS = {"JPY", "KRW"}
STOCK_LABELS = {"out_of_stock": "Out of stock", "preorder": "Pre-order"}
# control characters that would turn the direction of everything after them
BIDI_CONTROLS = {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
SLUG = re.compile(r"[^\W_]+(-[^\W_]+)*")
TINTS = 6  # colours of tiles without a picture, see site.css


@dataclass(frozen=True)
class Entry:
    """A vocabulary entry as shown: key, value and phrase, cleaned."""

    key: str
    value: str
    phrase: str


@dataclass(frozen=True)
class Product:
    """A product as shown; `entries` are the ids of what it is known to be, sorted."""

    product_id: str
    title: str
    image: str | None
    price: float | None
    currency: str | None
    seller: str
    availability: str
    url: str | None
    entries: tuple[str, ...]

    @property
    def price_text(self) -> str:
        return "" if self.price is None else money(self.price, self.currency)

    @property
    def stock_label(self) -> str:
        return STOCK_LABELS.get(self.availability, "")

    @property
    def tint(self) -> int:
        """The colour of its tile when there is no picture: always the same for a product."""
        return hashlib.sha256(self.product_id.encode()).digest()[0] % TINTS


@dataclass
class Page:
    """A collection with the products shown, best first; `total` counts those not shown too."""

    topic_id: str
    slug: str
    title: str
    entries: tuple[str, ...]
    products: list[Product]
    total: int
    cover: str | None = None
    related: list["Page"] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"collections/{self.slug}.html"

    @property
    def images(self) -> list[str]:
        """Distinct product images, best first."""
        return list(dict.fromkeys(p.image for p in self.products if p.image))

    @property
    def currencies(self) -> set[str | None]:
        return {product.currency for product in self.products if product.price is not None}

    @property
    def price_span(self) -> tuple[str, str] | None:
        """Lowest and highest price as text; None without prices or with several currencies."""
        if len(self.currencies) != 1:
            return None
        prices = [product.price for product in self.products if product.price is not None]
        (currency,) = self.currencies
        return money(min(prices), currency), money(max(prices), currency)

    @property
    def intro(self) -> str:
        """One or two sentences that hold for the products shown."""
        shown = len(self.products)
        text = count(shown, "product") if shown == self.total else f"The {shown} best matches"
        text += f" of {self.total:,} products" if shown < self.total else ""
        sellers = len({product.seller for product in self.products if product.seller})
        text += f" from {sellers} sellers" if sellers > 1 else ""
        if self.price_span:
            low, high = self.price_span
            text += f", {low}" if low == high else f", {low} to {high}"
        gone = sum(product.availability == "out_of_stock" for product in self.products)
        return f"{text}." + (f" {gone} out of stock at the moment." if gone else "")


@dataclass(frozen=True)
class Section:
    """Collections of one product type, best first."""

    title: str
    slug: str
    pages: list[Page]

    @property
    def path(self) -> str:
        return f"types/{self.slug}.html"

    @property
    def parts(self) -> list[tuple[str, list[Page]]]:
        """(path, collections) of each page of the section."""
        starts = range(0, len(self.pages), SECTION_CARDS)
        return [
            (
                f"types/{self.slug}/{number}.html" if number > 1 else self.path,
                self.pages[start : start + SECTION_CARDS],
            )
            for number, start in enumerate(starts, start=1)
        ]


@dataclass(frozen=True)
class Facet:
    """A filter: title and options, each with the positions (in the page) of its products."""

    title: str
    options: list[tuple[str, list[int]]]


def build_pages(
    collections: pl.DataFrame,
    items: pl.DataFrame,
    products: pl.DataFrame,
    vocabulary: dict[str, Entry],
    *,
    currency: str | None = None,
    type_key: str | None = None,
    assignments: pl.DataFrame | None = None,
) -> list[Page]:
    """The pages to publish, best collection first (score, then slug).

    Raises:
        ValueError: a slug that is unsafe or used by two collections.
    """
    chosen = collections.filter("accepted", pl.col("duplicate_of").is_null())
    chosen = chosen.sort(["score", "slug"], descending=[True, False], nulls_last=True)
    listed = items.join(chosen, on="topic_id", how="semi").join(
        products, on="product_id", how="semi"
    )
    listed = listed.sort("topic_id", "rank", "product_id")
    totals = dict(listed.group_by("topic_id").len().iter_rows())
    shown = listed.group_by("topic_id", maintain_order=True).head(MAX_PRODUCTS)
    known = _known_entries(shown, products, vocabulary, assignments)
    views = {
        row["product_id"]: _product(row, known[row["product_id"]], vocabulary, currency, type_key)
        for row in products.join(shown, on="product_id", how="semi").iter_rows(named=True)
    }
    members: dict[str, list[Product]] = defaultdict(list)
    for topic_id, product_id in shown.select("topic_id", "product_id").iter_rows():
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
        page = Page(
            topic_id, slug, title[:1].upper() + title[1:], tuple(row["entries"] or ()),
            members[topic_id], totals[topic_id],
        )  # fmt: skip
        pages.append(page)
    return pages


def pages_table(
    collections: pl.DataFrame, items: pl.DataFrame, products: pl.DataFrame
) -> pl.DataFrame:
    """What is published: `topic_id`, `slug`, `path`, `title`, `products` (in the catalog)."""
    pages = build_pages(collections, items, products, {})
    rows = [(page.topic_id, page.slug, page.path, page.title, page.total) for page in pages]
    schema = {name: pl.String for name in ("topic_id", "slug", "path", "title")}
    return pl.DataFrame(rows, schema={**schema, "products": pl.Int64}, orient="row")


def redirects(collections: pl.DataFrame, pages: Sequence[Page]) -> list[tuple[str, Page]]:
    """(old slug, page it now is) of every duplicate that leads to a page, by slug."""
    live = {page.topic_id: page for page in pages}
    taken = {page.slug for page in pages}
    duplicates = collections.filter(pl.col("duplicate_of").is_not_null()).sort("slug", "topic_id")
    leads = dict(duplicates.select("topic_id", "duplicate_of").iter_rows())
    found = []
    for topic_id, slug in duplicates.select("topic_id", "slug").iter_rows():
        target, seen = topic_id, set()
        while target in leads and target not in seen:  # a duplicate of a duplicate; maybe a circle
            seen.add(target)
            target = leads[target]
        if target in live and slug not in taken:
            check_slug(slug, topic_id)
            taken.add(slug)
            found.append((slug, live[target]))
    return found


def relate(pages: Sequence[Page], related: pl.DataFrame | None) -> None:
    """Set the related pages of each page: those given, else those that share most entries."""
    by_id = {page.topic_id: page for page in pages}
    if related is not None:
        given = dict(related.select("topic_id", "related").iter_rows())
        for page in pages:
            ids = dict.fromkeys(given.get(page.topic_id) or ())
            page.related = [by_id[i] for i in ids if i in by_id and i != page.topic_id][:RELATED]
        return
    holders: dict[str, list[int]] = defaultdict(list)
    for number, page in enumerate(pages):
        for entry_id in set(page.entries):
            holders[entry_id].append(number)
    for number, page in enumerate(pages):
        shared = Counter(other for e in set(page.entries) for other in holders[e])
        shared.pop(number, None)
        # share of the entries of both that both have; ties: the better collection
        ranked = sorted(
            shared, key=lambda n: (-shared[n] / len({*page.entries, *pages[n].entries}), n)
        )
        page.related = [pages[n] for n in ranked[:RELATED]]


def build_sections(
    pages: Sequence[Page], vocabulary: dict[str, Entry], type_key: str | None
) -> list[Section]:
    """Pages by product type, largest section first; types with one collection go together."""
    groups: dict[str, list[Page]] = defaultdict(list)
    for page in pages:
        types = [e for e in page.entries if e in vocabulary and vocabulary[e].key == type_key]
        groups[types[0] if types else ""].append(page)
    named = {e: group for e, group in groups.items() if e and len(group) > 1}
    if not named:
        return [Section("All collections", "all", list(pages))] if pages else []
    sections: list[Section] = []
    slugs = {"more"}
    for entry_id, group in sorted(named.items(), key=lambda item: (-len(item[1]), item[0])):
        phrase = vocabulary[entry_id].phrase
        stem = re.sub(r"[\W_]+", "-", phrase.lower()).strip("-") or "type"
        slug = next(s for s in (stem, *(f"{stem}-{n}" for n in range(2, 9999))) if s not in slugs)
        slugs.add(slug)
        sections.append(Section(phrase[:1].upper() + phrase[1:], slug, group))
    in_named = {page.topic_id for group in named.values() for page in group}
    rest = [page for page in pages if page.topic_id not in in_named]
    return [*sections, *([Section("More collections", "more", rest)] if rest else [])]


def build_facets(page: Page, vocabulary: dict[str, Entry]) -> list[Facet]:
    """Filters over what the collection does not fix already: attributes, sellers, stock."""
    fixed = {vocabulary[e].key for e in page.entries if e in vocabulary}
    keys: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    sellers: dict[str, list[int]] = defaultdict(list)
    stock: dict[str, list[int]] = defaultdict(list)
    for position, product in enumerate(page.products):
        for entry_id in product.entries:
            entry = vocabulary[entry_id]
            if entry.key not in fixed:
                keys[entry.key][entry.value].append(position)
        if product.seller:
            sellers[product.seller].append(position)
        gone = product.availability == "out_of_stock"
        stock["Out of stock" if gone else "Available"].append(position)

    def coverage(key: str) -> int:
        return len({position for positions in keys[key].values() for position in positions})

    named = [(readable(key), keys[key]) for key in sorted(keys, key=lambda k: (-coverage(k), k))]
    facets = []
    for title, options in [*named, ("Seller", sellers), ("Availability", stock)]:
        # a filter that cannot split the page, or where nothing has company, helps nobody
        if len(options) < 2 or (title != "Availability" and max(map(len, options.values())) < 2):
            continue
        best = sorted(options.items(), key=lambda option: (-len(option[1]), option[0]))
        facets.append(Facet(title, best[:MAX_FACET_VALUES]))
    extra = [facet for facet in facets if facet.title in ("Seller", "Availability")]
    return [*[f for f in facets if f not in extra][: MAX_FACETS - len(extra)], *extra]


def read_vocabulary(entries: pl.DataFrame) -> dict[str, Entry]:
    """entry_id -> Entry, from the entries table."""
    rows = entries.select("entry_id", "key", "value", "phrase").iter_rows()
    return {
        entry_id: Entry(key, clean(value, MAX_LABEL), clean(phrase or value, MAX_LABEL))
        for entry_id, key, value, phrase in rows
    }


def clean(text: str | None, limit: int) -> str:
    """One line of text without control characters, at most `limit` characters long."""
    visible = (
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c
        for c in (text or "")[: limit * 10]
        if c not in BIDI_CONTROLS
    )
    line = " ".join("".join(visible).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def safe_link(link: str | None) -> str | None:
    """The link if it is a plain http(s) address, else None."""
    link = (link or "").strip()
    if len(link) > MAX_LINK or not link.isprintable() or " " in link or "\\" in link:
        return None
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in ("http", "https") and parts.hostname else None


def money(amount: float, currency: str | None) -> str:
    """A price as text: `$1,250.00`, `1,250.00 SEK`, or the bare number."""
    number = f"{amount:,.0f}" if currency in NO_CENTS else f"{amount:,.2f}"
    if currency in CURRENCY_SIGNS:
        return CURRENCY_SIGNS[currency] + number
    return f"{number} {currency}" if currency else number


def count(number: int, noun: str) -> str:
    """`1 product`, `1,250 products`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def readable(key: str) -> str:
    """A key as a heading: `eco_collection` -> `Eco collection`."""
    return clean(key.replace("_", " "), MAX_LABEL).capitalize()


def check_slug(slug: str, topic_id: str) -> None:
    """A slug names a file and a link: words of lower-case letters and digits, hyphens between."""
    if not SLUG.fullmatch(slug) or slug != slug.lower() or len(slug.encode()) > 200:
        raise ValueError(f"collection {topic_id!r}: unsafe slug {slug[:200]!r}")


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
    if image is not None and not (image.isascii() and image.isalnum()):
        raise ValueError(f"product {row['product_id']!r}: not an image hash: {image[:100]!r}")
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
    )


def _known_entries(
    shown: pl.DataFrame,
    products: pl.DataFrame,
    vocabulary: dict[str, Entry],
    assignments: pl.DataFrame | None,
) -> dict[str, set[str]]:
    """product_id -> ids of what it is: assigned, else what put it here and its own attributes."""
    here = shown.select("product_id", entry_id=pl.col("entries")).explode("entry_id")
    if assignments is not None:
        other = assignments.select("product_id", "entry_id").join(
            shown, on="product_id", how="semi"
        )
    else:
        pair = pl.col("attributes").struct
        other = (
            products.join(shown, on="product_id", how="semi")
            .select("product_id", "attributes")
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
