"""Says which fields of a product no column was found for, and which columns may hold them."""

from pinlanding_assets.catalog.drafting import fields, shapes, stock, words
from pinlanding_assets.catalog.drafting.identity import names_variants
from pinlanding_assets.catalog.drafting.names import field_rank, is_of_money, tokens
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.state import State
from pinlanding_assets.catalog.drafting.words import said

_SAYS_NOTHING = said(
    "in, is, on, of, en, auf, op, status, state, level, hand, units, product, current, offers,"
    "actual, po, de"
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
    title = state.field("title")
    single = not isinstance(columns.get("title"), list) and "parent" not in columns
    if title and single and title.fill < 0.98 and result.settings.get("rows") != "joined":
        told = f"{title.rows - title.filled} of {title.rows} rows have none; are they variants?"
        result.doubt("columns.title", told)
    _tell_of_the_same_title(state, title)
    if not columns.get("images") and "columns.images" not in result.unsure:
        told = "no column of images was found"
        result.doubt("columns.images", told + _maybe([c for c in left if c.share(shapes.is_url)]))
    if not columns.get("price") and "columns.price" not in result.unsure:
        _tell(state, "price", [c for c in left if is_of_money(c.name) and _counts(c)])
    _tell_of_gaps(state)
    if not columns.get("availability"):
        may = [c for c in left if tokens(c.name) & _STOCK or stock.says_some(c)]
        _tell(state, "availability", may)
    if not columns.get("status"):
        told = [c for c in left if field_rank(c.name, "status") is not None and c.distinct > 1]
        _tell(state, "status", [c for c in told if c.distinct <= 8 and not c.parents])
        worded = [c for c in state.own.values() if stock.is_in_words(c) and not _is_taken(state, c)]
        _tell(state, "status", [c for c in worded if not c.parents])
    lists = [c for c in left if not c.parents and c.share(_is_code) == 1 and _is_named_a_class(c)]
    for column in lists:
        told = f"{column.name!r} holds numbers that may stand for words"
        result.doubt("attributes", told)


def _is_taken(state: State, column: Column) -> bool:
    taken = state.result.settings["columns"]
    named = [one if isinstance(one, list) else [one] for one in taken.values()]
    return any(column.name in str(one) for names in named for one in names)


def _tell_of_the_same_title(state: State, title: Column | None) -> None:
    """Products with the same title may be variants of one, which other columns say."""
    settings = state.result.settings
    joined = settings.get("rows") or "parent" in settings["columns"] or settings.get("only")
    if title is None or joined or title.name == state.id_column or not state.id_column:
        return
    groups = state.table.repeated(title)
    again = sum(map(len, groups))
    if again < 0.1 * title.filled or "columns.parent" in state.result.unsure:
        return
    told = f"{again} of {title.filled} rows share their title with others, and stay products"
    group = next((c.name for c in state.own.values() if names_variants(c, groups, title)), "")
    if group:
        told += f"; if they are variants: id: {group!r} and rows: joined"
    state.result.doubt("columns.id", told)


def _tell_of_gaps(state: State) -> None:
    """Notes how many products have no price, where most have one."""
    taken = state.result.settings["columns"].get("price")
    names = [taken] if isinstance(taken, str) else taken or []
    prices = [column for name in names if (column := state.column(name))]
    title = state.field("title")
    if not prices or title is None or len(prices) < len(names):
        return
    priced = {place for column in prices for place, _ in column.values}
    only = state.result.settings.get("only", {})
    counted = {c: state.own[c].by_record() for c in only if c in state.own}
    rows = {
        place
        for place, _ in title.values
        if all(of.get(place, "") in only[c] for c, of in counted.items())
    }
    without = len(rows - priced)
    joined = state.result.settings.get("rows") == "joined"
    joined = joined or "parent" in state.result.settings["columns"]
    if 0 < without < len(rows) and not joined:
        told = f"{without} of {len(rows)} rows have none; is it in rows of their variants?"
        state.result.doubt("columns.price", told)


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
