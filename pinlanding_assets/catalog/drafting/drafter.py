"""Drafts a mapping: which settings of a catalog.yaml fit files of which samples are given."""

from collections.abc import Sequence

from pinlanding_assets.catalog.drafting import attributes, envelopes
from pinlanding_assets.catalog.drafting.attribute_choice import set_attributes
from pinlanding_assets.catalog.drafting.doubts import tell_of_missing
from pinlanding_assets.catalog.drafting.field_choice import (
    find_title,
    set_fields,
    set_identity,
    set_images,
)
from pinlanding_assets.catalog.drafting.files import patterns, stem_of
from pinlanding_assets.catalog.drafting.history import is_full
from pinlanding_assets.catalog.drafting.joins import join_tables, leave_out_tables
from pinlanding_assets.catalog.drafting.names import plain
from pinlanding_assets.catalog.drafting.overlooked import tell_of_overlooked
from pinlanding_assets.catalog.drafting.related import is_about_others, is_log, main_of
from pinlanding_assets.catalog.drafting.samples import Draft, Sample
from pinlanding_assets.catalog.drafting.state import State
from pinlanding_assets.catalog.drafting.table import Table, alike
from pinlanding_assets.catalog.drafting.words import said

_ORDER = (
    *("id", "parent", "parent_key", "operation", "title", "description", "images", "price"),
    *("currency", "seller", "availability", "status", "url", "day"),
)
_ORDERS = said("order id, order number, order no, customer id, invoice no, invoice number, review")
_SMALL_ROWS = 1_000  # of all days together
_FEW_SELLERS = 12  # of fewer, three in one collection are rare


def draft(samples: Sequence[Sample]) -> Draft:
    """The settings that fit files, with reasons, and what is unsure.

    Args:
        samples: The first records of each file, or of some files of each kind.
    """
    inner, path = envelopes.opened(samples)
    if path:
        found = draft(inner)
        if found.usable:
            envelopes.close(found, path)
        return found
    result = Draft()
    tables = _tables(samples, result)
    if not tables:
        result.doubt("feeds", "no file with rows was found")
        return result
    table = main_of(tables)
    state = State(table)
    state.result.unsure |= result.unsure
    if is_log(table):
        doubt = "the file looks like a log of searches, which has no products"
        state.result.doubt("columns.id", doubt)
        return state.result
    if is_about_others(table) or _ORDERS & set(map(plain, table.names)):
        state.result.doubt("feeds", "the file looks like reviews or orders, not like products")
    join_tables(state, [other for other in tables if other is not table])
    state.recognize()
    title = find_title(state)
    set_identity(state, title)
    set_images(state)
    set_fields(state, title)
    set_attributes(state)
    leave_out_tables(state)
    _describe_days(state)
    _describe_rest(state)
    return state.result


def slug(samples: Sequence[Sample]) -> str:
    """A name for the catalog, from the name of its first file."""
    return stem_of(patterns([samples[0].name])[samples[0].name][0]) if samples else "catalog"


def _tables(samples: Sequence[Sample], result: Draft) -> list[Table]:
    """Samples with the same columns together, in the order of their names."""
    found: dict[str, Table] = {}
    named = patterns([sample.name for sample in samples])
    for sample in sorted(samples, key=lambda s: (named[s.name][1] or "", s.name)):
        pattern, day = named[sample.name]
        if sample.records:
            found.setdefault(pattern, Table([pattern])).samples.append((day, sample))
    merged: list[Table] = []
    for pattern, table in found.items():
        if pattern.casefold().endswith(".zip") and not _is_one_table(table):
            result.doubt("feeds", f"{pattern} holds files of several kinds: unpack it")
        for other in merged:
            dated = ["{day" in t.patterns[0] for t in (table, other)]
            if dated[0] == dated[1] and alike(table.names, other.names):
                other.patterns += table.patterns
                other.samples += table.samples
                break
        else:
            merged.append(table)
    return merged


def _is_one_table(table: Table) -> bool:
    names = [list(sample.records[0]) for _, sample in table.samples]
    return all(alike(names[0], other) for other in names)


def _describe_days(state: State) -> None:
    """Whether a later day's file is the whole catalog."""
    table, result = state.table, state.result
    if len(table.days) < 2 or "operation" in result.settings["columns"]:
        return
    ids = state.columns.get(state.id_column)
    full, why = is_full(table, [ids.name, *ids.others] if ids else [])
    if full:
        result.settings["snapshot"] = "full"
        result.reasons["snapshot"] = why
    else:
        doubt = "later days are taken for changes; if each day's file is the whole catalog: full"
        result.doubt("snapshot", doubt)
    if not table.whole:
        result.doubt("snapshot", "only the first rows of each day were compared")


def _describe_rest(state: State) -> None:
    """What stays unused, and what else a person should know."""
    result = state.result
    for column in state.columns.values():
        why = attributes.why_unused(column) or "is not needed for this export"
        result.unused.setdefault(column.name, why)
    for name in state.used:
        result.unused.pop(name, None)
    if broken := sum(sample.broken for _, sample in state.table.samples):
        result.doubt("feeds", f"{broken} rows could not be read; `products` says why")
    _describe_pages(state)
    columns = result.settings["columns"]
    result.settings["columns"] = {name: columns[name] for name in _ORDER if name in columns}
    tell_of_missing(state)
    tell_of_overlooked(state)
    for _, sample in state.table.samples:
        kind, guess, page = sample.read_as.partition(", cp")
        if kind.startswith("csv") and guess:
            told = f"the letters look like cp{page.partition(',')[0]}; say it where they are wrong"
            result.doubt("format.encoding", told)
        if sheets := sample.read_as.partition("; not read: ")[2]:
            result.doubt("format.sheet", f"other sheets are not read: {sheets}")


def _describe_pages(state: State) -> None:
    """How large a page has to be, where the defaults would leave a small catalog without pages."""
    sellers, result = state.field("seller"), state.result
    rows = sum(len(sample.records) for _, sample in state.table.samples)
    parent = state.field("parent")  # whose variants count as one product
    products = rows - parent.filled + parent.distinct if parent else rows
    small = state.table.whole and products < _SMALL_ROWS
    few = sellers is not None and sellers.distinct < _FEW_SELLERS
    if small:
        result.settings["collections"] = {"min_products": 4, "min_sellers": 1}
        result.reasons["collections"] = "the catalog is small, so its pages may be, too"
    elif few:
        result.settings["collections"] = {"min_sellers": 1}
        number = sellers.distinct if sellers else 0
        result.reasons["collections"] = (
            f"there are {number} sellers" if number > 1 else "there is one seller"
        )
    if "collection" in result.settings.get("attributes", {}):
        there = result.settings.get("collections", {})
        result.settings["collections"] = {"existing": "collection", **there}
