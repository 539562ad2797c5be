"""Collections become a static site: pages, search, pictures, structured data, sitemap, and data
for other shops.

Pure: frames in, `(path, bytes)` out, in a fixed order and with neither clock nor machine in the
bytes, so the same collections give the same site. The pages load nothing from elsewhere and work
from a disk as well as from a server.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import polars as pl
from markupsafe import escape

from pinlanding_assets.collections.addresses import redirects
from pinlanding_assets.collections.exporting import export
from pinlanding_assets.collections.navigation import (
    Section,
    build_facets,
    build_sections,
    relate,
)
from pinlanding_assets.collections.pages import Page, Product, build_pages, read_vocabulary
from pinlanding_assets.collections.pictures import Picture, choose_mosaics, read_picture
from pinlanding_assets.collections.wording import counted, safe_link, tint

TEMPLATES = Path(__file__).parent / "templates"

INDEX_CARDS = 96  # cards on the index, shared among its sections
SECTION_ROWS = 3  # of four cards, of each section on the index
INDEX_SECTIONS = 24  # sections shown on the index; the others are reached by their link
SEARCH_ENTRIES = 20_000  # collections that search knows, best first: about 3 MB, loaded on use
SITEMAP_URLS = 50_000  # the most that sitemaps.org allows in one file
TALL = 1.15  # median height / width from which the site shows upright pictures
SCHEMA_AVAILABILITY = {
    "in_stock": "https://schema.org/InStock",
    "out_of_stock": "https://schema.org/OutOfStock",
    "preorder": "https://schema.org/PreOrder",
}


@dataclass(frozen=True)
class SiteSettings:
    """What the site says about itself.

    `base_url` is where it will be served (absolute, http or https); links inside are relative.
    `currency` (ISO 4217) is for prices that come without one. `type_key` is the attribute key of
    the product type, which groups the index; without it the index is one list. `noun` is what one
    item is, in the singular.
    """

    title: str
    base_url: str
    currency: str | None = None
    tagline: str = ""
    type_key: str | None = None
    language: str = "en"
    noun: str = "product"

    def __post_init__(self) -> None:
        if not safe_link(self.base_url):
            raise ValueError(f"base_url must be an http(s) address, got {self.base_url!r}")

    def address(self, path: str) -> str:
        """The absolute address of a file of the site; the index has the bare one."""
        return self.base_url.rstrip("/") + "/" + ("" if path == "index.html" else quote(path))


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
    former: pl.DataFrame | None = None,
    parents: pl.DataFrame | None = None,
) -> Iterator[tuple[str, bytes]]:
    """The files of the site, one after the other: pictures first, each once, then pages.

    Args:
        collections: the collections table; accepted ones that duplicate nothing become pages,
            duplicates of a page become redirects to it.
        items: the items table.
        products: the catalog as of today (columns of the products table). A product that is no
            longer in it is left out, and so is a collection with none left.
        entries: the vocabulary (`entry_id`, `key`, `value`, `phrase`).
        site: title, address, currency.
        image_bytes: image hash -> JPEG bytes. FileNotFoundError or KeyError when it is gone: the
            product is then shown without a picture.
        assignments: (`product_id`, `entry_id`, `source`, `p`) of all products, for chips, filters
            and the reasons why a product is there. Without it, what put a product there and its
            own attributes are used, and no reasons are given.
        related: (`topic_id`, `related` list of topic ids); default: most shared entries.
        covers: topic_id -> image hash of an illustration, shown as such.
        former: addresses that were published before (`addresses.former_addresses`); those whose
            page is gone lead to the nearest one.
        parents: (`entry_id`, `parent_id`) of the vocabulary: pages of one point to those of the
            other.

    Raises:
        ValueError: an unsafe or repeated slug, or image bytes that are no JPEG.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    vocabulary = read_vocabulary(entries)
    pages = build_pages(
        collections, items, products, vocabulary,
        currency=site.currency, type_key=site.type_key, assignments=assignments,
        noun=site.noun,
    )  # fmt: skip
    wider: dict[str, list[str]] = {}
    if parents is not None:
        links = parents.group_by("entry_id").agg(pl.col("parent_id").sort())
        wider = dict(links.iter_rows())
    relate(pages, related, wider)
    sections = build_sections(pages, vocabulary, site.type_key)
    given = covers or {}
    covers = {page.topic_id: given[page.topic_id] for page in pages if page.topic_id in given}

    pictures: dict[str, Picture] = {}
    for image in dict.fromkeys([*covers.values(), *(i for page in pages for i in page.images)]):
        try:
            data = image_bytes(image)
        except (FileNotFoundError, KeyError):
            continue
        pictures[image] = read_picture(image, data)
        yield pictures[image].path, data
    photos = {
        page.topic_id: [pictures[image] for image in page.images if image in pictures]
        for page in pages
    }

    assets: dict[str, str] = {}
    for name, text in (
        ("site.css", (TEMPLATES / "site.css").read_text("utf-8")),
        ("site.js", (TEMPLATES / "site.js").read_text("utf-8")),
        ("search.js", _search_index(pages, photos)),
    ):
        stem, suffix = name.split(".")
        # the hash in the name: a browser never mixes the files of two versions
        assets[name] = f"assets/{stem}.{hashlib.sha256(text.encode()).hexdigest()[:10]}.{suffix}"
        yield assets[name], text.encode()

    shapes = [picture.shape for picture in pictures.values()]
    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    jinja.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
    jinja.filters.update(counted=counted, tint=tint)
    jinja.globals.update(
        site=site, vocabulary=vocabulary, sections=sections, assets=assets, pictures=pictures,
        photos=photos, covers={topic: pictures.get(image) for topic, image in covers.items()},
        mosaics=choose_mosaics(sections, photos), upright=bool(shapes) and median(shapes) > TALL,
    )  # fmt: skip

    def render(template: str, path: str, **values: Any) -> tuple[str, bytes]:
        text = jinja.get_template(template).render(
            path=path, root="../" * path.count("/"), **values
        )
        return path, text.encode()

    listed = ["index.html"]
    # whole rows of four; a few sections show the best of each, a single one shows much
    per_section = INDEX_CARDS // max(1, min(len(sections), INDEX_SECTIONS)) // 4 * 4
    per_section = min(per_section, SECTION_ROWS * 4) if len(sections) > 1 else INDEX_CARDS
    distinct = len({product.family for page in pages for product in page.products})
    yield render(
        "index.html", "index.html", pages=pages, products=distinct, per_section=per_section,
        shown=sections[:INDEX_SECTIONS], data=index_data(site, pages),
        faces=list(dict.fromkeys(p for page in pages for p in photos[page.topic_id][:1]))[:6],
    )  # fmt: skip
    for section in sections:
        for number, (path, part) in enumerate(section.parts, start=1):
            listed.append(path)
            yield render("section.html", path, section=section, part=part, number=number)
        for page in section.pages:
            first = 1
            for number, (path, part) in enumerate(page.parts, start=1):
                listed.append(path)
                facets, marks = build_facets(page, part, vocabulary)
                yield render(
                    "collection.html", path, page=page, section=section, facets=facets,
                    marks=marks, crumbs=breadcrumb(page, section), part=part, number=number,
                    first=first, data=collection_data(site, page, section, pictures, number),
                )  # fmt: skip
                first += len(part)
    for slug, page in redirects(collections, pages, former):
        yield render("redirect.html", f"collections/{slug}.html", page=page)
    yield from export(pages, vocabulary, {p.topic_id: site.address(p.path) for p in pages})
    yield from _sitemaps([site.address(path) for path in listed], site)
    robots = f"User-agent: *\nAllow: /\nSitemap: {site.address('sitemap.xml')}\n"
    yield "robots.txt", robots.encode()


def breadcrumb(page: Page, section: Section) -> list[tuple[str, str]]:
    """(title, path) from the index to a collection."""
    steps = [("Home", "index.html"), (section.title, section.path), (page.title, page.path)]
    return [step for step in steps if step[0] != page.title or step[1] == page.path]


def collection_data(
    site: SiteSettings,
    page: Page,
    section: Section,
    pictures: Mapping[str, Picture],
    number: int = 1,
) -> dict:
    """schema.org description of a part of a collection page (JSON-LD)."""
    elements = []
    path, part = page.parts[number - 1]
    before = sum(len(products) for _, products in page.parts[: number - 1])
    for position, product in enumerate(part, start=before + 1):
        item = product_data(site, product, pictures)
        elements.append({"@type": "ListItem", "position": position, "item": item})
    return {
        "@context": "https://schema.org",
        "@type": "CollectionPage",
        "name": page.title,
        "description": page.intro,
        "url": site.address(path),
        "inLanguage": site.language,
        "isPartOf": {"@type": "WebSite", "name": site.title, "url": site.address("index.html")},
        "breadcrumb": {
            "@type": "BreadcrumbList",
            "itemListElement": [
                {"@type": "ListItem", "position": n, "name": name, "item": site.address(path)}
                for n, (name, path) in enumerate(breadcrumb(page, section), start=1)
            ],
        },
        "mainEntity": {
            "@type": "ItemList",
            "numberOfItems": len(elements),
            "itemListElement": elements,
        },
    }


def product_data(
    site: SiteSettings, product: Product, pictures: Mapping[str, Picture]
) -> dict[str, Any]:
    """schema.org description of a product; of one with variants, as a group of those shown."""
    if product.variants:
        shown = (replace(product, variants=()), *product.variants)
        varies = {"variesBy": [key for key, _ in product.told]} if product.told else {}
        return {
            "@type": "ProductGroup",
            "name": product.title,
            "productGroupID": product.parent or product.product_id,
            **varies,
            "hasVariant": [product_data(site, variant, pictures) for variant in shown],
        }
    item: dict[str, Any] = {"@type": "Product", "name": product.title}
    if product.image and product.image in pictures:
        item["image"] = site.address(pictures[product.image].path)
    if product.url:
        item["url"] = product.url
    if product.price is not None and product.currency:  # an offer without either is invalid
        offer: dict[str, Any] = {"@type": "Offer", "price": f"{product.price:.2f}"}
        offer["priceCurrency"] = product.currency
        if product.availability in SCHEMA_AVAILABILITY:
            offer["availability"] = SCHEMA_AVAILABILITY[product.availability]
        if product.seller:
            offer["seller"] = {"@type": "Organization", "name": product.seller}
        item["offers"] = offer
    return item


def index_data(site: SiteSettings, pages: Sequence[Page]) -> dict:
    """schema.org description of the index (JSON-LD)."""
    elements = [
        {"@type": "ListItem", "position": n, "name": page.title, "url": site.address(page.path)}
        for n, page in enumerate(pages[:INDEX_CARDS], start=1)
    ]
    return {
        "@context": "https://schema.org",
        "@type": "CollectionPage",
        "name": site.title,
        "description": site.tagline,
        "url": site.address("index.html"),
        "inLanguage": site.language,
        "mainEntity": {"@type": "ItemList", "itemListElement": elements},
    }


def _search_index(pages: Sequence[Page], photos: Mapping[str, Sequence[Picture]]) -> str:
    """A script with [title, address, products, picture] of each collection.

    A script and not JSON, because a page opened from a disk may not fetch.
    """
    rows = [
        [page.title, quote(page.path), page.total, *[p.path for p in photos[page.topic_id][:1]]]
        for page in pages[:SEARCH_ENTRIES]
    ]
    return f"window.COLLECTIONS = {json.dumps(rows, ensure_ascii=False, separators=(',', ':'))};\n"


def _sitemaps(addresses: Sequence[str], site: SiteSettings) -> Iterator[tuple[str, bytes]]:
    """`sitemap.xml`; with more addresses than one file may hold, an index of several."""

    def document(root: str, item: str, urls: Sequence[str]) -> bytes:
        lines = "".join(f"<{item}><loc>{escape(url)}</loc></{item}>\n" for url in urls)
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{lines}</{root}>\n'
        ).encode()

    parts = [addresses[n : n + SITEMAP_URLS] for n in range(0, len(addresses), SITEMAP_URLS)]
    if len(parts) == 1:
        yield "sitemap.xml", document("urlset", "url", parts[0])
        return
    names = [f"sitemap-{number}.xml" for number in range(1, len(parts) + 1)]
    for name, part in zip(names, parts, strict=True):
        yield name, document("urlset", "url", part)
    index = [site.address(name) for name in names]
    yield "sitemap.xml", document("sitemapindex", "sitemap", index)
