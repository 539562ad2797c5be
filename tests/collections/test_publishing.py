import hashlib
import io
import json
import posixpath
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import polars as pl
import pytest
from PIL import Image

from pinlanding_assets.collections import navigation
from pinlanding_assets.collections.navigation import build_facets, build_sections, relate
from pinlanding_assets.collections.pages import (
    MAX_PRODUCTS,
    build_pages,
    pages_table,
    read_vocabulary,
)
from pinlanding_assets.collections.pictures import read_picture
from pinlanding_assets.collections.publishing import SiteSettings, render_site
from pinlanding_assets.collections.wording import MAX_LINK, check_slug, clean, money, safe_link

VOID = {"meta", "link", "img", "input", "br", "hr", "rect"}
SITE = SiteSettings("Test & Co", "https://shop.example/all", currency="EUR", type_key="kind")
ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"
HOSTILE = [
    ATTACK,
    "\u202eevil\u202c עברית العربية \u0000\u001b[31m",
    "x" * 300,
    "é" * 150 + "👩‍👩‍👧",
    "-->]]><!--",
    "  \n\t ",
    "",
]


def jpeg(shade: int, size: tuple[int, int] = (32, 32)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(buffer, "JPEG")
    return buffer.getvalue()


def image_hash(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


class World:
    """A small shop: kinds x colours, some products without picture, price, link or stock."""

    def __init__(self, size: int = 60, titles: list[str] | None = None, images: bool = True):
        kinds, colours = ["lamp", "chair", "tea"], ["red", "blue"]
        titles = titles or [f"Thing {n}" for n in range(size)]
        self.images = {image_hash(n): jpeg(n % 256) for n in range(size)}
        rows = []
        for n in range(size):
            attributes = [
                {"key": "kind", "value": kinds[n % 3]},
                {"key": "colour", "value": colours[n % 2]},
                {"key": "size", "value": ["S", "M", "L"][n // 7 % 3]},
            ]
            rows.append({
                "product_id": f"p{n:03d}", "operation": "upsert", "title": titles[n % len(titles)],
                "description": "", "images": [image_hash(n)] if images and n % 5 else [],
                "price": float(n) if n % 4 else None, "currency": "USD" if n % 9 == 1 else None,
                "seller": [f"Seller {n % 7}", ATTACK][n % 11 == 0],
                "availability": ["in_stock", "out_of_stock", "preorder", "unknown"][n % 4],
                "url": ["https://a.example/?a=1&b=2", "javascript:alert(1)", None][n % 3],
                "attributes": attributes, "file": "f", "row": n,
            })  # fmt: skip
        self.products = pl.DataFrame(rows)
        pairs = [("kind", k) for k in kinds] + [("colour", c) for c in colours]
        pairs += [("size", s.lower()) for s in "SML"]
        self.entries = pl.DataFrame([
            {"entry_id": f"{k}={v}", "key": k, "value": v, "phrase": v} for k, v in pairs
        ])  # fmt: skip
        found, items = [], []
        for kind in kinds:
            for colour in [*colours, None]:
                wanted = [f"kind={kind}", *([f"colour={colour}"] if colour else [])]
                self._add(found, items, f"t-{kind}-{colour}", wanted, kind, colour)
        found.append({**found[0], "topic_id": "t-old", "slug": "old-lamps", "accepted": False,
                      "duplicate_of": found[1]["topic_id"]})  # fmt: skip
        found.append({**found[0], "topic_id": "t-refused", "slug": "refused", "accepted": False})
        self.collections = pl.DataFrame(found, schema_overrides={"duplicate_of": pl.String})
        self.items = pl.DataFrame(items)

    def _add(self, found, items, topic_id, wanted, kind, colour):
        title = f"{colour or 'all'} {kind}s"
        members = [
            row["product_id"]
            for row in self.products.iter_rows(named=True)
            if {f"{a['key']}={a['value']}" for a in row["attributes"]} >= set(wanted)
        ]
        found.append({
            "topic_id": topic_id, "slug": title.replace(" ", "-"), "title": title,
            "entries": wanted, "products": len(members), "sellers": 3, "score": len(members) / 100,
            "accepted": True, "reason": "", "duplicate_of": None,
        })  # fmt: skip
        items += [
            {"topic_id": topic_id, "rank": rank, "product_id": product, "score": 1.0,
             "entries": wanted}
            for rank, product in enumerate(members, start=1)
        ]  # fmt: skip

    def render(self, site: SiteSettings = SITE, **options) -> dict[str, bytes]:
        options = {"image_bytes": self.images.__getitem__, **options}
        files = list(
            render_site(
                self.collections, self.items, self.products, self.entries, site=site, **options
            )
        )
        site_files = dict(files)
        assert len(site_files) == len(files), "no path is given twice"
        return site_files


class Reader(HTMLParser):
    """Checks nesting and collects elements, links and embedded scripts."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[tuple[dict, str]] = []
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in <{tag}>: {names}"
        self.elements.append((tag, dict(attrs)))
        if dict(attrs).get("id"):
            self.ids.append(dict(attrs)["id"])
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        else:
            self.text += data


def read(page: bytes) -> Reader:
    reader = Reader()
    reader.feed(page.decode())
    reader.close()
    assert reader.open == [], "every element is closed"
    assert len(reader.ids) == len(set(reader.ids)), "ids are unique"
    return reader


def structured(page: bytes) -> dict:
    (text,) = [t for a, t in read(page).scripts if a.get("type") == "application/ld+json"]
    return json.loads(text)


def html_pages(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path.endswith(".html")}


@pytest.fixture(scope="module")
def files():
    return World().render()


@pytest.fixture(scope="module")
def hostile():
    world = World(titles=HOSTILE)
    rows = world.collections.to_dicts()
    for row, text in zip(rows, HOSTILE * 2, strict=False):
        row["title"] = text
    world.collections = pl.DataFrame(rows, schema=world.collections.schema)
    world.entries = world.entries.with_columns(phrase=pl.lit(ATTACK) + pl.col("phrase"))
    return world.render(SiteSettings(ATTACK, "https://shop.example", tagline=ATTACK,
                                     type_key="kind"))  # fmt: skip


def assert_every_link_resolves(files: dict[str, bytes]) -> None:
    for path, data in html_pages(files).items():
        for tag, attributes in read(data).elements:
            target = attributes.get("href" if tag in ("a", "link") else "src")
            if target is None or target.startswith(("data:image/svg+xml,", "#")):
                continue
            parts = urlsplit(target)
            assert parts.scheme in ("", "http", "https"), f"{path}: {target}"
            if parts.scheme:
                continue
            local = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(target)))
            assert local in files, f"{path} leads to {local}, which is not there"


@pytest.mark.parametrize("which", ["files", "hostile"])
def test_html_is_well_formed_and_every_link_and_image_resolves(which, request):
    files = request.getfixturevalue(which)
    assert len(html_pages(files)) > 10
    assert_every_link_resolves(files)
    for path, data in html_pages(files).items():
        elements = read(data).elements
        assert data.startswith(b"<!doctype html>"), path
        assert [a["lang"] for tag, a in elements if tag == "html"] == ["en"]
        if b'http-equiv="refresh"' not in data:
            assert [tag for tag, _ in elements].count("h1") == 1, path
            assert [tag for tag, _ in elements].count("main") == 1, path
        for tag, attributes in elements:
            if tag == "img":
                assert "alt" in attributes
                assert int(attributes["width"]) > 0
                assert int(attributes["height"]) > 0
        assert len(data) < 150_000


def test_every_page_has_the_policy_also_one_that_only_leads_on(files):
    pages = html_pages(files)
    assert any(b'http-equiv="refresh"' in data for data in pages.values())
    for path, data in pages.items():
        named = [a for tag, a in read(data).elements if tag == "meta"]
        policies = [a["content"] for a in named if "Policy" in a.get("http-equiv", "")]
        assert [policy.startswith("default-src 'none'; ") for policy in policies] == [True], path


def test_nothing_is_loaded_from_elsewhere(files):
    for path, data in html_pages(files).items():
        for tag, attributes in read(data).elements:
            source = attributes.get("src", "")
            if tag == "link" and attributes["rel"] not in ("canonical", "icon"):
                source = attributes["href"]
            assert not urlsplit(source).scheme, f"{path}: {source}"
    css = next(data.decode() for path, data in files.items() if path.endswith(".css"))
    assert "url(" not in css
    assert "@import" not in css
    script = next(
        d.decode() for p, d in files.items() if p.startswith("assets/site.") and ".js" in p
    )
    assert "innerHTML" not in script
    assert "http" not in script


def test_hostile_text_stays_text(hostile):
    for path, data in html_pages(hostile).items():
        reader = read(data)
        assert not [a for _, a in reader.elements if any(name.startswith("on") for name in a)]
        assert not [a for tag, a in reader.elements if tag == "img" and a["src"] == "x"]
        for attributes, text in reader.scripts:
            assert attributes.get("type") == "application/ld+json" or not text.strip()
        assert "\u202e" not in reader.text
        assert "\x00" not in data.decode()
        assert "alert(1)" in reader.text or "refresh" in data.decode(), f"{path}: it is shown"
        assert "{{7*7}}" in reader.text or "refresh" in data.decode(), "and not evaluated"
    search = next(d.decode() for p, d in hostile.items() if p.startswith("assets/search."))
    rows = json.loads(search.removeprefix("window.COLLECTIONS = ").rstrip(";\n"))
    assert any("alert(1)" in row[0] for row in rows)


def test_structured_data_survives_hostile_titles(hostile):
    names = set()
    for path, data in html_pages(hostile).items():
        if path.startswith("collections/") and b"refresh" not in data:
            body = structured(data)
            names |= {element["item"]["name"] for element in body["mainEntity"]["itemListElement"]}
    assert any(name.startswith("</script><script>alert(1)</script>") for name in names)


def test_script_addresses_of_a_feed_are_dropped(files):
    assert not [p for p, data in files.items() if p.endswith("html") and b"javascript:" in data]
    links = [
        a["href"]
        for data in html_pages(files).values()
        for tag, a in read(data).elements
        if tag == "a" and a["href"].startswith("http")
    ]
    assert set(links) == {"https://a.example/?a=1&b=2"}


def test_structured_data_describes_the_page(files):
    body = structured(files["collections/red-lamps.html"])
    assert body["@type"] == "CollectionPage"
    assert body["url"] == "https://shop.example/all/collections/red-lamps.html"
    elements = body["mainEntity"]["itemListElement"]
    assert [element["position"] for element in elements] == list(range(1, len(elements) + 1))
    products = {element["item"]["name"]: element["item"] for element in elements}
    assert products["Thing 6"]["offers"] == {
        "@type": "Offer", "availability": "https://schema.org/PreOrder", "price": "6.00",
        "priceCurrency": "EUR", "seller": {"@type": "Organization", "name": "Seller 6"},
    }  # fmt: skip
    assert "offers" not in products["Thing 12"], "no price, no offer"
    assert products["Thing 6"]["image"].startswith("https://shop.example/all/images/")
    assert "image" not in products["Thing 0"]
    crumbs = [step["name"] for step in body["breadcrumb"]["itemListElement"]]
    assert crumbs == ["Home", "All collections", "Red lamps"]
    assert structured(files["index.html"])["mainEntity"]["itemListElement"]


def test_canonical_open_graph_and_description(files):
    elements = read(files["collections/red-lamps.html"]).elements
    address = "https://shop.example/all/collections/red-lamps.html"
    assert [a["href"] for _, a in elements if a.get("rel") == "canonical"] == [address]
    graph = {
        a["property"]: a["content"] for tag, a in elements if tag == "meta" and "property" in a
    }
    assert graph["og:url"] == address
    assert graph["og:title"] == "Red lamps – Test & Co"
    assert graph["og:image"].startswith("https://shop.example/all/images/")
    assert graph["og:description"].startswith("Red lamps: 10 products from ")


def test_sitemap_lists_every_page_once_and_no_redirect(files):
    space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    listed = [e.text for e in ET.fromstring(files["sitemap.xml"]).iter(f"{space}loc")]
    pages = [path for path, data in html_pages(files).items() if b"refresh" not in data]
    assert sorted(listed) == sorted(SITE.address(path) for path in pages)
    assert SITE.address("index.html") == "https://shop.example/all/"
    assert b"Sitemap: https://shop.example/all/sitemap.xml" in files["robots.txt"]


def test_a_large_sitemap_is_split(monkeypatch):
    monkeypatch.setattr("pinlanding_assets.collections.publishing.SITEMAP_URLS", 4)
    files = World().render()
    index = re.findall(r"<loc>(.*?)</loc>", files["sitemap.xml"].decode())
    assert index[0] == "https://shop.example/all/sitemap-1.xml"
    listed = [
        url
        for name in index
        for url in re.findall(r"<loc>(.*?)</loc>", files[name.rpartition("/")[2]].decode())
    ]
    assert "https://shop.example/all/collections/red-lamps.html" in listed
    assert len(listed) == len(set(listed))


def test_a_duplicate_leads_to_its_page(files):
    page = files["collections/old-lamps.html"].decode()
    target = "collections/blue-lamps.html"
    assert f'content="0; url=../{target}"' in page
    assert f'<link rel="canonical" href="https://shop.example/all/{target}">' in page
    assert 'content="noindex"' in page
    assert "collections/refused.html" not in files


def test_duplicates_of_duplicates_and_circles():
    world = World(12)
    first = world.collections.row(0, named=True)
    chain = [("a", "b"), ("b", first["topic_id"]), ("c", "d"), ("d", "c"), ("e", "nowhere")]
    extra = [
        {**first, "topic_id": i, "slug": f"dup-{i}", "accepted": False, "duplicate_of": t}
        for i, t in chain
    ]
    world.collections = pl.concat(
        [world.collections, pl.DataFrame(extra, schema=world.collections.schema)]
    )
    files = world.render()
    assert first["slug"].encode() in files["collections/dup-a.html"]
    assert first["slug"].encode() in files["collections/dup-b.html"]
    assert not {f"collections/dup-{i}.html" for i in "cde"} & set(files)


def test_same_input_same_bytes_whatever_the_order_of_rows(files):
    world = World()
    assert list(world.render().items()) == list(files.items())
    world.collections = world.collections.sample(fraction=1, shuffle=True, seed=1)
    world.items = world.items.sample(fraction=1, shuffle=True, seed=2)
    world.products = world.products.sample(fraction=1, shuffle=True, seed=3)
    world.entries = world.entries.sample(fraction=1, shuffle=True, seed=4)
    assert list(world.render().items()) == list(files.items())


def test_only_pictures_in_use_are_published_once(files):
    world = World()
    published = {path for path in files if path.startswith("images/")}
    used = {
        f"images/{image}.jpg"
        for (image,) in world.products.select(pl.col("images").explode()).drop_nulls().iter_rows()
    }
    assert published == used


def test_a_shop_without_pictures():
    files = World(images=False).render()
    assert not [path for path in files if path.startswith("images/")]
    assert_every_link_resolves(files)
    assert b'class="textual"' in files["index.html"]
    assert b"<img" not in files["collections/red-lamps.html"]
    assert "Thing 6" in read(files["index.html"]).text, "a card names some products instead"


def test_a_lost_picture_is_left_out_and_a_broken_one_is_an_error():
    world = World(12)
    lost = image_hash(6)
    del world.images[lost]
    files = world.render()
    assert f"images/{lost}.jpg" not in files
    assert lost.encode() not in b"".join(files.values())
    assert_every_link_resolves(files)
    for broken in (b"<svg/>", jpeg(1)[:60], b""):
        world.images[lost] = broken
        with pytest.raises(ValueError, match=f"image '{lost}' is not a JPEG"):
            world.render()
    with pytest.raises(ValueError, match="not an image hash"):
        read_picture("../../etc/passwd", jpeg(0))


def test_pictures_on_white_are_told_from_others():
    assert read_picture("a", jpeg(255)).studio
    assert not read_picture("a", jpeg(120)).studio
    framed = Image.new("RGB", (100, 130), "white")
    framed.paste("black", (15, 15, 85, 115))
    buffer = io.BytesIO()
    framed.save(buffer, "JPEG")
    picture = read_picture("a", buffer.getvalue())
    assert picture.studio
    assert (picture.width, picture.height, picture.path) == (100, 130, "images/a.jpg")


def test_upright_pictures_make_upright_tiles():
    world = World(12)
    assert b'<body class="square">' in world.render()["index.html"]
    world.images = dict.fromkeys(world.images, jpeg(200, (30, 45)))
    assert b'<body class="upright">' in world.render()["index.html"]


def test_product_cards_tell_the_truth(files):
    page = files["collections/red-lamps.html"].decode()
    cards = page.split('<li class="product')[1:]
    six, twelve = (next(c for c in cards if f"Thing {n}<" in c) for n in (6, 12))
    assert "<strong>€6.00</strong>" in six
    assert "Pre-order" in six
    assert '<li class="own" dir="auto">red</li>' in six
    assert '<li dir="auto">s</li>' in six
    assert "<strong>" not in twelve
    blue = files["collections/blue-lamps.html"].decode().split('<li class="product')
    gone = [card for card in blue if card.startswith(" gone")]
    assert len(gone) == 5
    assert all("Out of stock" in card for card in gone)


def test_covers_are_shown_as_illustrations():
    world = World(12)
    world.images["cafe"] = jpeg(99)
    files = world.render(covers={"t-lamp-red": "cafe", "t-unknown": "dead"})
    assert "images/cafe.jpg" in files
    page = files["collections/red-lamps.html"].decode()
    assert "Illustration, not a product" in page
    assert 'alt="Illustration: Red lamps"' in page
    assert b"Illustration" not in files["collections/blue-lamps.html"]


def test_products_that_left_the_catalog_and_their_empty_pages_go():
    world = World()
    red = world.items.filter(pl.col("topic_id") == "t-lamp-red")["product_id"]
    world.products = world.products.filter(~pl.col("product_id").is_in(red[1:].to_list()))
    assert read(world.render()["collections/red-lamps.html"]).text.count("1 product") >= 1
    world.products = world.products.filter(~pl.col("product_id").is_in(red.to_list()))
    files = world.render()
    assert "collections/red-lamps.html" not in files
    assert_every_link_resolves(files)
    table = pages_table(world.collections, world.items, world.products)
    assert "red-lamps" not in table["slug"].to_list()
    assert set(table["path"]) <= set(files)


def test_pages_table_agrees_with_the_site(files):
    world = World()
    table = pages_table(world.collections, world.items, world.products)
    assert table.columns == ["topic_id", "slug", "path", "title", "products", "entries"]
    pages = {p for p, d in html_pages(files).items() if p.startswith("collections/")}
    assert set(table["path"]) == pages - {"collections/old-lamps.html"}
    assert dict(table.select("slug", "products").iter_rows())["red-lamps"] == 10


def test_a_site_without_collections():
    world = World(6)
    world.collections = world.collections.clear()
    files = world.render()
    assert "nothing here yet" in read(files["index.html"]).text
    assert_every_link_resolves(files)


def test_a_page_shows_all_in_parts_and_says_what_lies_beyond():
    world = World(MAX_PRODUCTS * 3 + 30, titles=["é" * 300])
    files = world.render()
    names = ["collections/all-lamps.html", "collections/all-lamps/2.html"]
    for name, shown, status in zip(names, (MAX_PRODUCTS, 10), ("1–60", "61–70"), strict=True):
        page = files[name].decode()
        assert page.count('<li class="product') == shown
        assert f"{status} of {MAX_PRODUCTS + 10} products" in page
        assert len(files[name]) < 150_000
    assert_every_link_resolves(files)
    beyond = world.collections.with_columns(matches=pl.col("products") + 1_000)
    pages = build_pages(beyond, world.items, world.products, {})
    page = next(page for page in pages if page.slug == "all-lamps")
    best, of = MAX_PRODUCTS + 10, MAX_PRODUCTS + 1_010
    assert page.intro.startswith(f"The {best} best matches of {of:,} products")
    pages = build_pages(world.collections, world.items, world.products, {})
    page = next(page for page in pages if page.slug == "all-lamps")
    assert page.total == MAX_PRODUCTS + 10
    assert [p.product_id for p in page.products[:2]] == ["p000", "p003"], "in order of rank"


@pytest.mark.parametrize("slug", ["../up", "a/b", "A", "", "a--b", "-a", "a b", "x" * 201, 'a"b'])
def test_an_unsafe_slug_is_an_error_that_names_the_collection(slug):
    world = World(6)
    rows = world.collections.with_columns(
        slug=pl.when(pl.col("topic_id") == "t-lamp-red").then(pl.lit(slug)).otherwise("slug")
    )
    world.collections = rows
    with pytest.raises(ValueError, match="'t-lamp-red': unsafe slug"):
        world.render()


def test_two_pages_cannot_share_an_address():
    world = World(6)
    world.collections = world.collections.with_columns(slug=pl.lit("same"))
    with pytest.raises(ValueError, match="share slug 'same'"):
        world.render()
    check_slug("größe-40", "t")  # letters of other languages are fine


def test_facets_are_about_what_the_collection_leaves_open():
    world = World()
    vocabulary = read_vocabulary(world.entries)
    pages = build_pages(world.collections, world.items, world.products, vocabulary)
    page = next(page for page in pages if page.slug == "all-lamps")
    facets, marks = build_facets(page, page.products, vocabulary)
    assert [facet.title for facet in facets] == ["Colour", "Size", "Availability", "Seller"]
    assert [label for _, label, _ in facets[0].options] == ["blue", "red"]
    assert len(marks) == len(page.products)
    for facet in facets:
        for number, label, hits in facet.options:
            holders = [p for p, mark in zip(page.products, marks, strict=True) if number in mark]
            assert len(holders) == hits
            if facet.title == "Colour":
                assert all(f"colour={label}" in p.entries for p in holders)


def test_assignments_replace_the_catalogs_own_attributes():
    world = World(12)
    vocabulary = read_vocabulary(world.entries)
    assigned = pl.DataFrame(
        {
            "product_id": ["p000"] * 3,
            "entry_id": ["size=l", "not=known", "kind=lamp"],
            "source": ["catalog", "catalog", "encoder"],
            "p": [0.99, 0.99, 0.9347],
        }
    )
    pages = build_pages(
        world.collections, world.items, world.products, vocabulary, assignments=assigned
    )
    page = next(page for page in pages if page.slug == "all-lamps")
    # what put it on any page is known too; the size of p003 is only in its own attributes
    assert page.products[0].entries == ("colour=red", "kind=lamp", "size=l")
    assert page.products[1].entries == ("colour=blue", "kind=lamp")
    assert page.products[0].unstated(page.entries) == [("kind=lamp", "recognized, 93 %")]
    assert page.products[1].unstated(page.entries) == []


def test_sections_by_type_with_enough_collections(monkeypatch):
    world = World()
    vocabulary = read_vocabulary(world.entries)
    pages = build_pages(world.collections, world.items, world.products, vocabulary)
    assert [s.title for s in build_sections(pages, vocabulary, "kind")] == ["All collections"]
    monkeypatch.setattr(navigation, "MIN_SECTION", 3)
    sections = build_sections(pages[:-1], vocabulary, "kind")
    assert [s.title for s in sections] == ["Chair", "Lamp", "More collections"]
    assert sum(len(s.pages) for s in sections) == len(pages) - 1
    monkeypatch.setattr(navigation, "SECTION_CARDS", 2)
    assert [path for path, _ in sections[0].parts] == ["types/chair.html", "types/chair/2.html"]
    files = world.render()
    assert "types/chair/2.html" in files
    assert_every_link_resolves(files)


def test_related_pages():
    world = World()
    pages = build_pages(world.collections, world.items, world.products, {})
    by_slug = {page.slug: page for page in pages}
    relate(pages, None)
    red = [page.slug for page in by_slug["red-lamps"].related]
    assert red[0] == "all-lamps", "shares half of all entries"
    assert "red-lamps" not in red
    given = pl.DataFrame({
        "topic_id": ["t-lamp-red"],
        "related": [["t-tea-blue", "t-gone", "t-lamp-red", "t-tea-blue", "t-tea-red"]],
    })  # fmt: skip
    relate(pages, given)
    assert [p.slug for p in by_slug["red-lamps"].related] == ["blue-teas", "red-teas"]
    assert by_slug["blue-lamps"].related == []
    relate(pages, None, {"kind=tea": ["kind=lamp"]})
    assert {"all-teas", "all-lamps"} <= {page.slug for page in by_slug["blue-lamps"].related}
    relate(pages, None)
    assert "all-teas" not in {page.slug for page in by_slug["blue-lamps"].related}


def test_prices_of_several_currencies_are_not_compared():
    world = World()
    page = next(
        p
        for p in build_pages(
            world.collections, world.items, world.products, {}, currency="EUR"
        )
        if p.slug == "all-chairs"
    )  # fmt: skip
    assert page.currency == "EUR"
    foreign = [p for p in page.products if p.currency == "USD" and p.price is not None]
    assert foreign
    assert f"{len(foreign)} priced in other currencies" in page.intro
    html = world.render()["collections/all-chairs.html"].decode()
    assert html.count("data-price") == len(
        [p for p in page.products if p.price is not None and p.currency == "EUR"]
    )


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0])
def test_an_impossible_price_is_no_price(price):
    world = World(6)
    world.products = world.products.with_columns(price=pl.lit(price))
    files = world.render()
    assert "offers" not in json.dumps(structured(files["collections/all-lamps.html"]))
    assert b"<strong>" not in files["collections/all-lamps.html"]


def test_a_product_without_a_title_is_called_what_it_is():
    world = World(6, titles=[""])
    vocabulary = read_vocabulary(world.entries)
    page = build_pages(
        world.collections, world.items, world.products, vocabulary, type_key="kind"
    )[0]  # fmt: skip
    assert {product.title for product in page.products} <= {"Lamp", "Chair", "Tea"}
    bare = build_pages(world.collections, world.items, world.products, {})[0]
    assert bare.products[0].title == f"P{bare.products[0].product_id[1:]}"


def test_wording():
    assert clean(" a\n\tb\x00c\u2028d ", 20) == "a b c d"
    assert clean("word " * 50, 12) == "word word w…"
    assert clean(None, 5) == ""
    assert money(1250, "USD") == "$1,250.00"
    assert money(1250, "JPY") == "¥1,250"
    assert money(9.5, "SEK") == "9.50 SEK"
    assert money(9.5, None) == "9.50"


@pytest.mark.parametrize(
    ("link", "safe"),
    [
        ("https://a.example/x?y=1", True),
        (" http://a.example ", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("//a.example", False),
        ("https:///x", False),
        ("http://[", False),
        ("https://a.example/\\x", False),
        ("https://a.example/" + "x" * MAX_LINK, False),
        ("/relative", False),
        (None, False),
    ],
)
def test_safe_link(link, safe):
    assert (safe_link(link) is not None) == safe


def test_a_base_url_must_be_a_web_address():
    with pytest.raises(ValueError, match="base_url must be an http"):
        SiteSettings("t", "file:///tmp")
