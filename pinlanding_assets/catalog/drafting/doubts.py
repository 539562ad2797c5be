"""Says which fields of a product no column was found for, and which columns may hold them."""

from pinlanding_assets.catalog.drafting import fields, shapes, words
from pinlanding_assets.catalog.drafting.names import is_of_money, tokens
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.state import State
from pinlanding_assets.catalog.drafting.words import said

_SAYS_NOTHING = said(
    "in, is, on, of, en, auf, op, status, state, level, hand, units, product, current, offers,"
    "actual, po"
)
_STOCK = frozenset().union(*map(tokens, words.FIELDS["availability"])) - _SAYS_NOTHING


def tell_of_missing(state: State) -> None:
    """Notes a doubt for each field without a column, where a person may know better."""
    result, columns = state.result, state.result.settings["columns"]
    left = [c for c in state.columns.values() if c.values and c.name not in state.used]
    if not columns.get("title"):
        likely = [c for c in left if fields.is_prose(c) and c.distinct >= 0.9 * c.filled]
        told = "no column of titles was found"
        result.doubt("columns.title", told + _maybe([c for c in likely if c.length < 120]))
    if not columns.get("images") and "columns.images" not in result.unsure:
        told = "no column of images was found"
        result.doubt("columns.images", told + _maybe([c for c in left if c.share(shapes.is_url)]))
    if not columns.get("price") and "columns.price" not in result.unsure:
        _tell(state, "price", [c for c in left if is_of_money(c.name) and _counts(c)])
    if not columns.get("availability"):
        _tell(state, "availability", [c for c in left if tokens(c.name) & _STOCK])
    lists = [c for c in left if not c.parents and c.share(_is_code) == 1 and _is_named_a_class(c)]
    for column in lists:
        told = f"{column.name!r} holds numbers that may stand for words"
        result.doubt("attributes", told)


def _counts(column: Column) -> bool:
    return column.share(lambda v: any(c.isdigit() and c != "0" for c in str(v))) > 0.5


def _is_code(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_named_a_class(column: Column) -> bool:
    return bool(tokens(column.name) & said("label, labels, class, category, coarse, fine"))


def _tell(state: State, field: str, left: list[Column]) -> None:
    if left:
        shown = ", ".join(repr(column.name) for column in left[:3])
        state.result.doubt(f"columns.{field}", f"{shown} may say it, and is left out")


def _maybe(left: list[Column]) -> str:
    shown = " or ".join(repr(column.name) for column in left[:3])
    return f"; it may be {shown}" if shown else ""
