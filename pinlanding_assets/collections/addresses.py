"""Old addresses: what becomes of a page's address when its topic is gone, renamed or a duplicate.

A page's slug follows from its title, so it stays as long as the topic does. Every address that was
ever published leads to the page that its topic became, else to the nearest wider page (all of
whose attributes the old topic had), and comes back with its topic.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.collections.pages import Page
from pinlanding_assets.collections.wording import check_slug

MAX_FORMER = 50_000  # old addresses that are remembered, those that went last first
FORMER_SCHEMA = {"slug": pl.String, "topic_id": pl.String, "entries": pl.List(pl.String)}
REDIRECTS_SCHEMA = {**FORMER_SCHEMA, "path": pl.String}


def former_addresses(
    pages: pl.DataFrame, redirects: pl.DataFrame, aliases: pl.DataFrame
) -> pl.DataFrame:
    """What the last publication knew: `slug, topic_id, entries`, in today's vocabulary.

    Args:
        pages: Its `pages`; slug, topic_id, entries.
        redirects: Its `redirects`.
        aliases: `attribute_vocabulary.aliases` of today: a value can get another name overnight.
    """
    known = pl.concat([pages.select(*FORMER_SCHEMA), redirects.select(*FORMER_SCHEMA)])
    names = {
        (fold(key), fold(raw)): entry
        for key, raw, entry in aliases.drop_nulls("entry_id")
        .select("key", "raw_value", "entry_id")
        .sort("key", "raw_value", descending=True)
        .iter_rows()
    }

    def today(entry: str) -> str:
        key, _, value = entry.partition("=")
        return names.get((fold(key), fold(value)), entry)

    renamed = [[today(entry) for entry in entries] for entries in known["entries"].to_list()]
    return known.with_columns(pl.Series("entries", renamed, dtype=pl.List(pl.String)))


def redirects(
    collections: pl.DataFrame, pages: Sequence[Page], former: pl.DataFrame | None = None
) -> list[tuple[str, Page]]:
    """(old slug, page it leads to), by slug: duplicates, and former pages.

    Args:
        collections: The collections table; `duplicate_of` counts.
        pages: The pages of today, best first.
        former: Of `former_addresses`.
    """
    live = {page.topic_id: page for page in pages}
    taken = {page.slug for page in pages}
    duplicates = collections.filter(pl.col("duplicate_of").is_not_null()).sort("slug", "topic_id")
    leads = dict(duplicates.select("topic_id", "duplicate_of").iter_rows())
    nearest = _Nearest(pages)
    found: dict[str, Page] = {}
    for topic_id, slug in duplicates.select("topic_id", "slug").iter_rows():
        page = live.get(_end(leads, topic_id))
        if page and slug not in taken:
            check_slug(slug, topic_id)
            found.setdefault(slug, page)
    old = former if former is not None else pl.DataFrame(schema=FORMER_SCHEMA)
    for slug, topic_id, entries in old.select(*FORMER_SCHEMA).iter_rows():
        page = live.get(_end(leads, topic_id)) or nearest(entries)
        if page and slug not in taken:
            check_slug(slug, topic_id)
            found.setdefault(slug, page)
    return sorted(found.items())


def redirects_table(
    collections: pl.DataFrame, pages: Sequence[Page], former: pl.DataFrame
) -> pl.DataFrame:
    """Former addresses without a page of their own: `slug, topic_id, entries`, and `path`, the page
    that they lead to; null where there is none, until the topic comes back."""
    leads = {slug: page.path for slug, page in redirects(collections, pages, former)}
    taken = {page.slug for page in pages}
    gone = former.filter(~pl.col("slug").is_in(list(taken)))
    gone = gone.unique("slug", keep="first", maintain_order=True).head(MAX_FORMER)
    paths = [leads.get(slug) for slug in gone["slug"]]
    return gone.with_columns(pl.Series("path", paths, dtype=pl.String)).select(*REDIRECTS_SCHEMA)


def _end(leads: Mapping[str, str], topic_id: str) -> str:
    """Where a chain of duplicates ends; it may be a circle."""
    seen: set[str] = set()
    while topic_id in leads and topic_id not in seen:
        seen.add(topic_id)
        topic_id = leads[topic_id]
    return topic_id


class _Nearest:
    """The page with the most of an old topic's attributes, and no other ones; the best of them."""

    def __init__(self, pages: Sequence[Page]):
        self.pages = pages
        self.holders: dict[str, list[int]] = defaultdict(list)
        for number, page in enumerate(pages):
            for entry in set(page.entries):
                self.holders[entry].append(number)

    def __call__(self, entries: Sequence[str]) -> Page | None:
        shared: dict[int, int] = defaultdict(int)
        for entry in set(entries):
            for number in self.holders.get(entry, ()):
                shared[number] += 1
        wider = [n for n, count in shared.items() if count == len(set(self.pages[n].entries))]
        best = min(wider, key=lambda n: (-shared[n], n), default=None)
        return None if best is None else self.pages[best]
