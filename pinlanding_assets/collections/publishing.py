"""Collections become a static site: pages, search, pictures, structured data, sitemap.

Pure: frames in, `(path, bytes)` out, in a fixed order and without clock or machine in the bytes,
so the same collections give the same site. Everything a feed wrote (titles, sellers, links,
attribute values) is hostile: cleaned and bounded here, escaped by the templates, and a link is
only taken over when it is http(s). The pages load nothing from elsewhere and work from a disk.
"""

import hashlib
import io
import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote, urlsplit

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

TEMPLATES = Path(__file__).parent / "templates"

MAX_PRODUCTS = 60  # shown on a page, best first: keeps a page under 150 kB
MAX_TITLE = 120  # characters of a product or collection title that are shown
INDEX_CARDS = 96  # cards on the index, shared among the sections
INDEX_SECTIONS = 24  # sections on the index; the others are reached by their link
SECTION_CARDS = 60  # cards on one page of a section
SEARCH_ENTRIES = 20_000  # collections that search knows, best first: about 3 MB, loaded on use
RELATED = 6
MAX_FACETS, MAX_FACET_VALUES = 5, 8
MAX_CHIPS = 6
SITEMAP_URLS = 50_000  # the most that sitemaps.org allows in one file

CURRENCY_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}
NO_CENTS = {"JPY", "KRW"}
BIDI_OVERRIDES = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
SCHEMA_AVAILABILITY = {
    "in_stock": "https://schema.org/InStock",
    "out_of_stock": "https://schema.org/OutOfStock",
    "preorder": "https://schema.org/PreOrder",
}
STOCK_LABELS = {"out_of_stock": "Out of stock", "preorder": "Pre-order"}


@dataclass(frozen=True)
class SiteSettings:
    """What the site says about itself.

    `base_url` is where it will be served (absolute http(s)); links inside are relative. `currency`
    (ISO 4217) is for prices that come without one. `type_key` is the attribute key of the product
    type, which groups the index; without it the index is one list.
    """

    title: str
    base_url: str
    currency: str | None = None
    tagline: str = ""
    type_key: str | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        if not _safe_link(self.base_url):
            raise ValueError(f"base_url must be an http(s) address, got {self.base_url!r}")

    def address(self, path: str) -> str:
        """The absolute, percent-encoded address of a page; the index has the bare one."""
        return self.base_url.rstrip("/") + "/" + ("" if path == "index.html" else quote(path))


@dataclass(frozen=True)
class Picture:
    """A published image: its path in the site and its size in px."""

    path: str
    width: int
    height: int


@dataclass(frozen=True)
class Product:
    """A product as shown: cleaned text, a price that is known or None, entry ids in order."""

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
        return "" if self.price is None else _money(self.price, self.currency)

    @property
    def stock_label(self) -> str:
        return STOCK_LABELS.get(self.availability, "")

    @property
    def tint(self) -> int:
        """One of six tints for a tile without a picture; the same product keeps its own."""
        return hashlib.sha256(self.product_id.encode()).digest()[0] % 6


@dataclass
class Page:
    """A collection with its products, best first; `total` counts those not shown too."""

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

    @cached_property
    def images(self) -> list[str]:
        """Distinct product images, best first, a cover in front."""
        own = [product.image for product in self.products if product.image]
        return list(dict.fromkeys([*([self.cover] if self.cover else []), *own]))


@dataclass
class Section:
    """Collections of one product type, best first."""

    title: str
    slug: str
    pages: list[Page]

    @property
    def path(self) -> str:
        return f"types/{self.slug}.html"

    def parts(self) -> Iterator[tuple[int, str, list[Page]]]:
        """(number from 1, path, collections) of each page of the section."""
        for number, start in enumerate(range(0, len(self.pages), SECTION_CARDS), start=1):
            path = self.path if number == 1 else f"types/{self.slug}/{number}.html"
            yield number, path, self.pages[start : start + SECTION_CARDS]


def render_site(
    collections: pl.DataFrame,
    items: pl.DataFrame,
    products: pl.DataFrame,
    entries: pl.DataFrame,
    *,
    site: SiteSettings,
    image_bytes: Callable[[str], bytes],
    assignments: pl.DataFrame | None = None,
    related: pl.DataFrame | None = None,
    covers: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """The files of the site, one after the other; pictures come first, each once.

    Args:
        collections: rows of the collections table; accepted ones that duplicate nothing become
            pages, duplicates become redirects.
        items: rows of the items table.
        products: the catalog as of today (columns of the products table). A product that is no
            longer in it is left out, and so is a collection with none left.
        entries: the vocabulary (`entry_id`, `key`, `value`, `phrase`).
        site: title, address, currency.
        image_bytes: image hash -> JPEG bytes; FileNotFoundError or KeyError when it is gone, and
            the product is then shown without a picture.
        assignments: (`product_id`, `entry_id`) of all products, for chips and filters. Without
            it, the entries that put a product there and its own attributes are used.
        related: (`topic_id`, `related` list[str]); default: most shared entries.
        covers: topic_id -> image hash of an illustration shown as such.

    Raises:
        ValueError: an unsafe or repeated slug, or image bytes that are no JPEG.
    """
    pages = _pages(collections, items, products, entries, site, assignments)
    for page in pages:
        page.cover = (covers or {}).get(page.topic_id)
    _relate(pages, related)
    sections = _sections(pages, entries, site)

    pictures: dict[str, Picture] = {}
    for image_hash in dict.fromkeys(image for page in pages for image in page.images):
        try:
            data = image_bytes(image_hash)
        except (FileNotFoundError, KeyError):
            continue
        pictures[image_hash] = _picture(image_hash, data)
        yield pictures[image_hash].path, data

    search = json.dumps(
        [
            [page.title, quote(page.path), page.total, picture.path if picture else ""]
            for page in pages[:SEARCH_ENTRIES]
            for picture in [_first_picture(page, pictures)]
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )
    assets: dict[str, str] = {}
    for name, text in (
        ("site.css", (TEMPLATES / "site.css").read_text("utf-8")),
        ("site.js", (TEMPLATES / "site.js").read_text("utf-8")),
        ("search.js", f"window.COLLECTIONS={search};\n"),
    ):
        data = text.encode()
        stem, _, suffix = name.partition(".")
        # the hash in the name: a browser never mixes the pages of two versions
        assets[name] = f"assets/{stem}.{hashlib.sha256(data).hexdigest()[:10]}.{suffix}"
        yield assets[name], data

    templates = _environment(site, entries, pictures, assets)

    def render(template: str, path: str, **values: Any) -> tuple[str, bytes]:
        root = "../" * path.count("/")
        text = templates.get_template(template).render(path=path, root=root, **values)
        return path, text.encode()

    listed = ["index.html"]
    yield render("index.html", "index.html", sections=sections, cards=_index_cards(sections),
                 pages=pages, products=len({p.product_id for g in pages for p in g.products}))  # fmt: skip
    for section in sections:
        for number, path, part in section.parts():
            listed.append(path)
            yield render("section.html", path, section=section, part=part, number=number)
        for page in section.pages:
            listed.append(page.path)
            yield render(
                "collection.html", page.path, page=page, section=section, facets=_facets(page, entries),
                span=_price_span(page.products),
            )  # fmt: skip
    for slug, target in _redirects(collections, pages):
        yield render("redirect.html", f"collections/{slug}.html", target=target)
    yield from _sitemaps(site, listed)
    yield "robots.txt", f"User-agent: *\nAllow: /\nSitemap: {site.address('sitemap.xml')}\n".encode()
