"""Gives the parent of a row its column: another row, or what the row is a variant of."""

from pinlanding_assets.catalog.drafting import shapes
from pinlanding_assets.catalog.drafting.names import field_rank, plain
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.state import State
from pinlanding_assets.catalog.drafting.words import said

_GROUPS = said(
    "item group id, itemgroup id, group id, variant group, variant group id, parent asin,"
    "product group id, retailer product group id, style id, style code, style number, style no,"
    "model code, model id, model number, master id, master sku, configurable sku, spu"
)
VARIANTS = "rows with the same one are variants, which count as one product"


def set_parent(state: State) -> None:
    """The product that a row is a part of, where that is another row; or what it is a variant of,
    where rows with the same one have titles that are alike."""
    ids = set(state.columns[state.id_column].texts) if state.id_column in state.columns else set()
    apart: list[str] = []
    for column in state.own.values():
        groups = field_rank(column.name, "parent") is not None or plain(column.name) in _GROUPS
        if not groups or not column.values or column.name in state.used:
            continue
        found = column.share(lambda v: shapes.text_of(v) in ids)
        if found >= 0.9 and column.fill < 1:
            state.set("parent", [column.name], "names the id of another row")
        elif column.fill < 1 and (key := _key_of_parents(state, column)):
            state.set("parent", [column.name], f"names the {key.name!r} of another row")
            state.set("parent_key", [key.name], "what the column of the parent names")
        elif column.distinct == column.filled:
            continue
        elif _are_variants(state, column):
            state.set("parent", [column.name], VARIANTS)
        else:
            apart.append(column.name)
            continue
        return
    if apart:
        told = f"rows with the same {apart[0]!r} stay products of their own"
        state.result.doubt("columns.parent", told)


def _are_variants(state: State, column: Column) -> bool:
    """Whether most rows that have a value in common have half of their titles in common, too."""
    title, groups = state.field("title"), state.table.repeated(column)
    if title is None or not groups:
        return False
    texts = title.by_record()
    titles = [[set(str(texts.get(place, "")).casefold().split()) for place in g] for g in groups]
    alike = [2 * len(set.intersection(*of)) >= min(map(len, of)) > 0 for of in titles]
    return sum(alike) >= 0.8 * len(alike)


def _key_of_parents(state: State, column: Column) -> Column | None:
    """The column of other rows that the parents are named by; None: there is none."""
    for key in state.own.values():
        if key is column or key.listed or not state.table.is_unique(key):
            continue
        there = set(key.texts)
        if field_rank(key.name, "id") is not None and set(column.texts) <= there:
            return key
    return None
