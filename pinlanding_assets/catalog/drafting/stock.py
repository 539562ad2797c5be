"""Which columns say whether goods are to be had, and whether a product is for sale at all."""

import re

from pinlanding_assets.catalog.drafting import shapes, words
from pinlanding_assets.catalog.drafting.names import field_rank, plain, tokens
from pinlanding_assets.catalog.drafting.profile import Column, quoted
from pinlanding_assets.catalog.drafting.state import State
from pinlanding_assets.catalog.drafting.words import said
from pinlanding_assets.catalog.words import read_availability

_OWN = "the export's own"
_STATES = said(
    "active, draft, archived, inactive, published, unpublished, publish, enabled, disabled,private"
)
_FOR_SALE = said("available, avail, verfugbar, disponible, disponibile, beschikbaar, online")
_QUANTITIES = said("quantity, qty, menge, cantidad, quantita, quantite, aantal")
# a truth value under one of these names says that a product is not sold
_WITHDRAWN = said(
    "archived, discontinued, hidden, disabled, inactive, obsolete, retired, unpublished, delisted,"
    "withdrawn, archiviert, versteckt, deaktiviert, ausgelaufen, gesperrt, archive, masque"
)
_NOT_A_COUNT = said(
    "new, reorder, point, par, target, committed, safety, value, cost, turnover, weight, sold,"
    "unavailable, allocated, track, tracked, enabled, back, out, damaged"
)
_NO = said("false, no, 0, nein, non, n, f")
_MAX_PATH = 200  # characters, as a catalog.yaml has them


def is_availability(column: Column) -> bool:
    """Whether most different values of a column are known to say whether goods are to be had."""
    if column.distinct > 50 and column.share(shapes.is_number) < 0.95:
        return False
    if {text.casefold() for text in column.texts} & _STATES and "status" in tokens(column.name):
        return False
    if tokens(column.name) & _QUANTITIES or column.share(shapes.is_number) > 0.5:
        return column.share(shapes.is_number) >= 0.95
    known = [value for value in set(column.texts) if read_availability(value, {})]
    needed = 0.9 if "status" in tokens(column.name) or plain(column.name) == "stan" else 0.5
    return bool(column.texts) and len(known) >= needed * column.distinct


def is_status(column: Column) -> bool:
    """Whether a column says whether a product is for sale at all."""
    if column.share(shapes.is_truth) == 1:
        return True
    numbers = column.share(shapes.is_number) > 0
    texts = set(column.texts)
    known = sum(bool(read_availability(text, {})) for text in texts)
    return known >= 0.5 * len(texts) and not numbers and not column.listed


def is_in_words(column: Column) -> bool:
    """Whether a column says nothing but words for being for sale and for not being."""
    found = {read_availability(text, {}) for text in set(column.texts)}
    worded = column.share(lambda v: shapes.is_truth(v) or shapes.is_number(v)) == 0
    return worded and len(found) > 1 and None not in found and not column.listed


def says_some(column: Column) -> bool:
    """Whether some texts of a column are words for goods that can or cannot be had."""
    texts = {text for text in column.texts if not shapes.is_number(text)} - shapes.TRUTH
    known = [text for text in texts if read_availability(text, {})]
    few = column.distinct <= 12 and column.length < 60 and not column.listed and not column.parents
    return few and len(known) >= max(1, 0.3 * len(texts))


def set_availability(state: State) -> None:
    """The column of what can be had now; for variants and several places, whether any can."""
    given = state.recipe.availability() if state.recipe else None
    if given is not None:
        state.set("availability", given, _OWN)
        return
    found = state.ranked("availability", is_availability)
    if not found:
        _set_counts(state)
        return
    column = _counted_beside(found)
    if column is not found[0]:
        state.set("status", [found[0].one], "says whether a product is for sale at all")
    state.set("availability", [_path(column)], "words or numbers in stock")
    state.used.add(column.name)
    _tell_unknown_words(state, "availability", column)
    if tokens(column.name) <= _QUANTITIES:
        told = f"{column.name!r} is taken for goods in stock"
        state.result.doubt("columns.availability", told)


def set_status(state: State) -> None:
    """The columns of whether a product is for sale: its state, and what says that it is not."""
    given = state.recipe.status() if state.recipe else state.given("status")
    if given is not None:
        state.set("status", given, _OWN)
        return
    withdrawn = [column for column in state.open() if _is_withdrawn(column)]
    paths = [path for column in withdrawn for path in _where_set(column)]
    set_before = state.result.settings["columns"].get("status")
    listed = set_before if isinstance(set_before, list) else [set_before] if set_before else []
    found = [] if listed else state.ranked("status", is_status)
    if not (found or paths):
        return
    names = [*paths, *listed, *(column.one for column in found[:1])]
    state.set("status", names, "its name and values say so")
    state.used |= {column.name for column in withdrawn}
    for column in found[:1]:
        _tell_unknown_words(state, "status", column)


def _is_withdrawn(column: Column) -> bool:
    named = tokens(column.name) - words.NOISE - {"is", "flag", "status"}
    return bool(named) and named <= _WITHDRAWN and column.share(shapes.is_truth) == 1


def _where_set(column: Column) -> list[str]:
    """Expressions that say no for a product of which a truth value says that it is not sold."""
    name = column.name if column.parents else quoted(column.name)
    yes = {(type(v), v) for v in column.parts if str(v).strip().casefold() not in _NO}
    texts = sorted(str(value) for kind, value in yes if kind is str)
    others = sorted(str(value).casefold() for kind, value in yes if kind is not str)
    literals = [*(f"'{text}'" for text in texts), *(f"`{other}`" for other in others)]
    return [f"{name} == {literal} && 'no' || ''" for literal in literals]


def _set_counts(state: State) -> None:
    """Goods in stock that are counted by place: `Current Quantity Harbor Shop`."""
    counts = [column for column in state.open() if _is_count_of_place(column)]
    if not counts:
        return
    path = counts[0].name
    if len(counts) > 1:
        if not all(column.share(_is_plain_number) == 1 for column in counts):
            return  # an expression reads no "1 200"
        numbers = ", ".join(f"to_number({quoted(column.name)})" for column in counts)
        path = f"max([{numbers}][?@ != `null`])"
    if len(path) > _MAX_PATH:
        return
    state.set("availability", [path], "numbers in stock")
    state.used |= {column.name for column in counts}
    shown = ", ".join(repr(column.name) for column in counts[:4])
    state.result.doubt("columns.availability", f"{shown} are taken for goods in stock")


def _is_plain_number(value: object) -> bool:
    return bool(re.fullmatch(r"-?\d+(\.\d+)?", str(value)))


def _is_count_of_place(column: Column) -> bool:
    named = plain(column.name).split()
    if set(named) & (_NOT_A_COUNT | words.NEVER["availability"] - {"location"}) or column.parents:
        return False
    begins = (" ".join(named[:n]) for n in range(1, min(4, len(named))))
    counted = any(field_rank(begin, "availability") is not None for begin in begins)
    return counted and bool(column.values) and column.share(shapes.is_number) == 1


def _counted_beside(found: list[Column]) -> Column:
    """The column of what is in stock: a number says more than that something is for sale."""
    first = found[0]
    flag = first.share(shapes.is_truth) == 1 and first.distinct <= 2 and not first.listed
    if not flag or not tokens(first.name) & _FOR_SALE:
        return first
    counts = [c for c in found[1:] if c.share(shapes.is_number) == 1 and c.distinct > 1]
    return next((c for c in counts if not c.listed and c.share(shapes.is_truth) < 1), first)


def _path(column: Column) -> str:
    """The path to one value: of variants, whether any is in stock."""
    if "[]" not in column.name:
        return column.name
    if all(isinstance(value, bool) for value in column.parts):
        return f"{column.name} | contains(@, `true`)"
    if all(isinstance(value, int | float) for value in column.parts):
        return f"{column.name} | max(@)"
    before, _, last = column.name.rpartition(".")
    if before and all(re.fullmatch(r"-?\d+(\.\d+)?", text) for text in column.texts):
        return f"{before}.to_number({last}) | max(@)"
    return column.one


def _tell_unknown_words(state: State, field: str, column: Column) -> None:
    unknown = sorted({v for v in set(column.texts) if not read_availability(v, {})})
    if unknown:
        shown = ", ".join(repr(word[:40]) for word in unknown[:8])
        told = f"not sold until words.availability says what they mean: {shown}"
        state.result.doubt(f"columns.{field}", told)
