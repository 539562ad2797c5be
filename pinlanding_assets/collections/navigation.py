"""Ways through the site: sections of the index, related collections, filters."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from pinlanding_assets.collections.pages import Entry, Page, Product
from pinlanding_assets.collections.wording import readable

SECTION_CARDS = 60  # collections on one page of a section
MIN_SECTION = 4  # collections that make a section of their own: one row
MAX_SECTIONS = 100
RELATED = 6
MAX_ATTRIBUTE_FACETS, MAX_FACET_VALUES = 4, 8


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
    """A filter: title and options (number in the page, label, products that have it)."""

    title: str
    options: list[tuple[int, str, int]]


def build_sections(
    pages: Sequence[Page], vocabulary: dict[str, Entry], type_key: str | None
) -> list[Section]:
    """Pages by product type, largest section first; types with few go together."""
    groups: dict[str, list[Page]] = defaultdict(list)
    for page in pages:
        types = [e for e in page.entries if e in vocabulary and vocabulary[e].key == type_key]
        groups[types[0] if types else ""].append(page)
    named = {e: group for e, group in groups.items() if e and len(group) >= MIN_SECTION}
    if not named:
        return [Section("All collections", "all", list(pages))] if pages else []
    sections: list[Section] = []
    slugs = {"more"}
    largest = sorted(named.items(), key=lambda item: (-len(item[1]), item[0]))[:MAX_SECTIONS]
    for entry_id, group in largest:
        phrase = vocabulary[entry_id].phrase
        stem = re.sub(r"[\W_]+", "-", phrase.lower()).strip("-") or "type"
        slug = next(s for s in (stem, *(f"{stem}-{n}" for n in range(2, 9999))) if s not in slugs)
        slugs.add(slug)
        sections.append(Section(phrase[:1].upper() + phrase[1:], slug, group))
    placed = {page.topic_id for section in sections for page in section.pages}
    rest = [page for page in pages if page.topic_id not in placed]
    return [*sections, *([Section("More collections", "more", rest)] if rest else [])]


def relate(
    pages: Sequence[Page],
    related: pl.DataFrame | None,
    parents: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Set the related pages of each page: those given, else those that share most entries, of which
    an entry's `parents` are part."""
    by_id = {page.topic_id: page for page in pages}
    if related is not None:
        given = dict(related.select("topic_id", "related").iter_rows())
        for page in pages:
            ids = dict.fromkeys(given.get(page.topic_id) or ())
            page.related = [by_id[i] for i in ids if i in by_id and i != page.topic_id][:RELATED]
        return
    holders: dict[str, list[int]] = defaultdict(list)
    wider = parents or {}
    entries = [
        {*page.entries, *(p for e in page.entries for p in wider.get(e, ()))} for page in pages
    ]
    for number, own in enumerate(entries):
        for entry_id in own:
            holders[entry_id].append(number)
    for number, page in enumerate(pages):
        shared = Counter(other for e in entries[number] for other in holders[e])
        shared.pop(number, None)
        # share of the entries of both that both have; ties: the better collection
        ranked = sorted(shared, key=lambda n: (-shared[n] / len(entries[number] | entries[n]), n))
        page.related = [pages[n] for n in ranked[:RELATED]]


def build_facets(
    page: Page, part: Sequence[Product], vocabulary: dict[str, Entry]
) -> tuple[list[Facet], list[list[int]]]:
    """Filters over what the collection does not fix already: attributes, sellers, stock. A product
    passes with what any of its variants is.

    Returns the filters and, for each product of a part of the page, the numbers of the options it
    has.
    """
    fixed = {vocabulary[e].key for e in page.entries if e in vocabulary}
    options: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for position, product in enumerate(part):
        for entry_id in product.entries_of_all:
            entry = vocabulary[entry_id]
            if entry.key not in fixed:
                options["attribute", readable(entry.key)][entry.value].append(position)
        if product.seller:
            options["offer", "Seller"][product.seller].append(position)
        gone = product.availability == "out_of_stock"
        options["offer", "Availability"]["Out of stock" if gone else "Available"].append(position)

    def covered(facet: tuple[str, str]) -> int:
        return len({position for found in options[facet].values() for position in found})

    def useful(facet: tuple[str, str]) -> bool:
        # a filter that cannot split the page, or in which everything is alone, helps nobody
        return 1 < len(options[facet]) < len(part)

    ranked = sorted(filter(useful, options), key=lambda facet: (-covered(facet), facet))
    attributes = [facet for facet in ranked if facet[0] == "attribute"][:MAX_ATTRIBUTE_FACETS]
    facets: list[Facet] = []
    marks: list[list[int]] = [[] for _ in part]
    number = 0
    for facet in [*attributes, *(facet for facet in ranked if facet[0] == "offer")]:
        best = sorted(options[facet].items(), key=lambda option: (-len(option[1]), option[0]))
        shown = []
        for label, positions in best[:MAX_FACET_VALUES]:
            shown.append((number, label, len(positions)))
            for position in positions:
                marks[position].append(number)
            number += 1
        facets.append(Facet(facet[1], shown))
    return facets, marks
