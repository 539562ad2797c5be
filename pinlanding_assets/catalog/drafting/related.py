"""Several kinds of file: which holds the products, and what the others add to them."""

from dataclasses import dataclass

from pinlanding_assets.catalog.drafting import words
from pinlanding_assets.catalog.drafting.fields import is_price, is_title, ranked
from pinlanding_assets.catalog.drafting.files import stem_of
from pinlanding_assets.catalog.drafting.names import plain, tokens
from pinlanding_assets.catalog.drafting.pictures import pictures
from pinlanding_assets.catalog.drafting.profile import Column, is_pair
from pinlanding_assets.catalog.drafting.table import Table
from pinlanding_assets.catalog.drafting.words import said

_OPINIONS = said(
    "review, reviews, rating, ratings, comment, comments, vote, votes, order, orders, customer,"
    "customers, bewertung, bewertungen, avis, log, events, sessions, clicks"
)
_ARRANGED = said("sort, sorting, display")
_OTHERS = ("search", "query", "queries", "log", "orders", "order", "customers", "users", "events")
_QUERY = said("query, queries, q, search, term, terms, searchterm, suchbegriff, suchanfrage")
_TIMES = said(
    "n, count, counts, times, date, day, time, timestamp, at, user, session, results, hits,"
    "frequency, anzahl, searches, volume, clicks"
)


@dataclass(frozen=True)
class Join:
    """A table that belongs to the products: where its `key` is what their column `of` is."""

    name: str
    table: Table
    key: str
    of: str
    several: bool  # rows for one product

    @property
    def keyed(self) -> bool:
        """Whether its rows are keys and values."""
        shown = self.table.records[:50]
        return self.several and all(is_pair(record) and len(record) <= 5 for record in shown)


def main_of(tables: list[Table]) -> Table:
    """The table of products: the one that says most of what a product has."""
    return max(tables, key=lambda table: (_score(table), len(table.records)))


def _score(table: Table) -> float:
    columns = list(table.columns.values())
    title = bool(ranked(columns, "title", is_title))
    ids = [c for _, c in ranked(columns, "id", lambda c: c.fill > 0.98 and not c.listed)]
    unique = any(table.is_unique(c) for c in ids[:5])
    price = bool(ranked(columns, "price", is_price))
    text = any(c.length > 40 for c in columns)
    stem = stem_of(table.patterns[0])
    other = any(word in stem.split("_") for word in _OTHERS)
    said = any(word in stem for word in ("product", "artikel", "catalog", "item", "object", "feed"))
    score = 2 * title + 2 * unique + price + text + bool(pictures(table.columns)) + said
    return score + min(len(columns), 20) / 20 - 4 * other - 3 * is_log(table)


def is_log(table: Table) -> bool:
    """Whether a table is a log of searches: queries, and how often or when they were made."""
    names = [set(plain(name).split()) for name in table.names]
    asked = [name for name in names if name & _QUERY]
    return bool(asked) and all(name & (_QUERY | _TIMES) for name in names)


def is_about_others(table: Table) -> bool:
    """Whether a table tells of people rather than of products: reviews, orders."""
    names = [name for name in table.names if not tokens(name) & _ARRANGED]  # sort_order
    named = set(stem_of(table.patterns[0]).split("_")).union(*map(tokens, names))
    return bool(named & _OPINIONS) and not ranked(table.columns.values(), "price", is_price)


def join_of(main: Table, other: Table, taken: set[str]) -> Join | None:
    """How another table belongs to the products; None: no column of it is one of theirs."""
    best: tuple[float, Column, Column] | None = None
    for mine in main.columns.values():
        if not _may_join(mine):
            continue
        my_values = set(mine.texts)
        for theirs in other.columns.values():
            if not _may_join(theirs):
                continue
            values = set(theirs.texts)
            common = len(values & my_values)
            unique = main.is_unique(mine), other.is_unique(theirs)
            if (
                (common < 2 and min(len(values), len(my_values)) > 1)
                or not common
                or not any(unique)
            ):
                continue
            covered = max(common / len(values) * unique[0], common / len(my_values) * unique[1])
            named = _named_alike(mine, theirs, other)
            if covered >= 0.5 and (named or (covered >= 0.9 and not _counts(values))):
                score = covered + named + 0.1 * (unique[0] and mine.fill == 1)
                if best is None or score > best[0]:
                    best = (score, mine, theirs)
    if best is None:
        return None
    _, mine, theirs = best
    name = stem_of(other.patterns[0]) or "table"
    while name in taken or name in main.names:
        name += "_rows"
    return Join(name, other, theirs.name, mine.name, not other.is_unique(theirs))


def _may_join(column: Column) -> bool:
    nested = column.parents or column.listed or column.keyed
    return not nested and bool(column.texts) and column.length <= 64


def _counts(values: set[str]) -> bool:
    """Small whole numbers are in many columns by chance."""
    return all(value.isdigit() and len(value) < 4 for value in values)


def _named_alike(mine: Column, theirs: Column, other: Table) -> float:
    one, two = plain(mine.name), plain(theirs.name)
    if one == two:
        return 0.2 if one in ("title", "name") else 1.0
    bare = one.replace(" ", ""), two.replace(" ", "")
    ids = {"id", "sku", "code", "nr", "no", "number", "key"}
    both = tokens(mine.name) | tokens(theirs.name)
    if bare[0] in bare[1] or bare[1] in bare[0]:
        return 0.9 if both & ids or "id" in bare[0][-2:] else 0.2
    product = {"product", "object", "item", "artikel"} | words.NOISE
    if tokens(theirs.name) & product and tokens(mine.name) & ids:
        return 0.8
    stem = set(stem_of(other.patterns[0]).split("_"))
    return 0.8 if (tokens(mine.name) & stem or {t + "s" for t in tokens(mine.name)} & stem) else 0.0
