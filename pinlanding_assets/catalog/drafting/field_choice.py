"""Gives the fields of a product their columns."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from pinlanding_assets.catalog.drafting import attributes, fields, money
from pinlanding_assets.catalog.drafting.identity import Identity, identify
from pinlanding_assets.catalog.drafting.names import is_technical, plain, tokens
from pinlanding_assets.catalog.drafting.parents import VARIANTS, set_parent
from pinlanding_assets.catalog.drafting.pictures import pictures, split_of
from pinlanding_assets.catalog.drafting.profile import Column, quoted
from pinlanding_assets.catalog.drafting.state import State
from pinlanding_assets.catalog.drafting.stock import set_availability, set_status
from pinlanding_assets.catalog.drafting.table import Table
from pinlanding_assets.catalog.drafting.words import IMAGE_TOKENS, NOT_IMAGES, said

_OWN = "the export's own"
_WITHDRAWN = ("deleted at", "archived at", "discontinued at")
_SALES, _DATES = (
    said("sale, special, discount"),
    said("date, dates, from, to, effective, starts, ends"),
)


def find_title(state: State) -> Column | None:
    """The column of the titles, which the ids are told by."""
    given = state.given("title")
    if given is not None:
        return state.column(given)
    if found := state.ranked("title", fields.is_title):
        return found[0]
    texts = state.ranked("description", fields.is_title)
    for column in texts if not state.given("description") else []:
        if column.length < 80 and column.fill > 0.9 and column.distinct >= 0.9 * column.filled:
            told = f"there is none; the short texts of {column.name!r} are taken"
            state.result.doubt("columns.title", told)
            return column
    for column in state.open():
        wordy = [text for text in column.texts if len(text.split()) > 1]
        likely = column.fill > 0.9 and fields.is_title(column) and column.length < 120
        many = column.distinct >= 0.9 * column.filled and column.filled > 2
        if likely and many and len(wordy) > 0.6 * len(column.texts) and not column.listed:
            state.result.doubt("columns.title", f"only its texts say that {column.name!r} is it")
            return column
    return None


def set_identity(state: State, title: Column | None) -> None:
    """The column of the ids, which rows count, and what several rows of one id are."""
    result, recipe = state.result, state.recipe
    given = state.given("id")
    if recipe and given:
        identity = Identity(given[0], _OWN, rows=recipe.rows(state.column(given)))
    else:
        seen = Table(state.table.patterns, state.table.samples)
        seen.__dict__["columns"] = state.own
        identity = identify(seen, title)
    for setting, doubt in identity.doubts:
        result.doubt(setting, doubt)
    for column in state.own.values():
        # a time at which a row was withdrawn: those without are there
        if plain(column.name) in _WITHDRAWN and column.fill < 1:
            identity.only[column.name] = [""]
            if len(state.table.days) > 1:
                result.doubt("only", f"what {column.name!r} says is gone stays from days before")
    only = {**identity.only, **(recipe.only(result) if recipe else {})}
    if only:
        result.settings["only"] = only
        result.reasons["only"] = "other rows are no products of their own, or not for sale"
        state.used |= set(only)
    if not identity.column:
        return
    state.id_column = identity.column
    state.set("id", [identity.column], identity.reason)
    # the export's rows that repeat an id may be those that do not count
    explained = only and recipe and not recipe.rows(None)
    if identity.rows and not explained:
        result.settings["rows"] = identity.rows
        meant = "parts of one product" if identity.rows == "joined" else "changes of it, in order"
        result.reasons["rows"] = f"rows with the same id are {meant}"
    if identity.parent:
        state.set("parent", [identity.parent], VARIANTS)
    if identity.day:
        state.set("day", [identity.day], "tells the rows of one id apart")


def set_images(state: State) -> None:
    """The columns of images."""
    found: list[object] = []
    given = state.recipe.images() if state.recipe else []
    for name, split in given:
        other = split_of(state.columns[name].texts) if name in state.columns else None
        several = other if other == "|" or not split else split
        found.append({"column": name, "split": several} if several else name)
        state.used.add(name)
        state.result.reasons["columns.images"] = _OWN
    if state.recipe and (base := state.recipe.images_from(given)):
        state.result.settings["images_from"] = base
        state.result.reasons["images_from"] = "where the export's images lie"
    for picture in [] if given else pictures({c.name: c for c in state.open(but_id=True)}):
        others = state.columns[picture.name].others if picture.name in state.columns else []
        names = (picture.name, *others)
        for name in names:
            split = {"split": picture.split} if picture.split else {}
            days = _days_of(state.table, name, names) if others else {}
            found.append({"column": name, **split, **days} if split or days else name)
        state.used |= {picture.name, *picture.covers}
        state.result.reasons.setdefault("columns.images", picture.reason)
    named = [c for c in state.own.values() if c.values and _is_called_an_image(c.name)]
    if named and not found:
        told = f"{named[0].name!r} is left out: values like {named[0].texts[:1]} name no file"
        state.result.doubt("columns.images", told)
    if found:
        state.result.settings["columns"]["images"] = found[0] if len(found) == 1 else found[:50]


def _days_of(table: Table, name: str, names: Sequence[str]) -> dict[str, date]:
    """From when and until when a column has its name, where others follow or precede it."""
    has = {
        one: {day for day, s in table.samples if day and one in (s.columns or s.records[0])}
        for one in names
    }
    mine, found = has.pop(name), dict[str, date]()
    later = [min(days) for days in has.values() if days and mine and min(days) > max(mine)]
    earlier = [max(days) for days in has.values() if days and mine and max(days) < min(mine)]
    if earlier:
        found["since"] = date.fromisoformat(max(earlier)) + timedelta(1)
    if later:
        found["until"] = date.fromisoformat(min(later)) - timedelta(1)
    return found


def _is_called_an_image(name: str) -> bool:
    words = tokens(name)
    return bool(words & IMAGE_TOKENS) and len(words) <= 2 and not words & (NOT_IMAGES - {"id"})


def set_fields(state: State, title: Column | None) -> None:
    """All other fields."""
    if title is not None:
        state.set(
            "title", state.given("title") or _titles(state, title), "its name and texts say so"
        )
    _set_field(state, "operation", fields.is_operation)
    if "operation" not in state.result.settings["columns"] and state.given("operation") is None:
        for column in [c for c in state.open() if fields.is_deleted(c) and not c.listed][:1]:
            state.set("operation", [column.name], "says which rows are deleted")
    operation = state.field("operation")
    if operation and (words := fields.operation_words(operation)):
        state.result.settings["words"] = {"operation": words}
        state.result.reasons["words.operation"] = "what its values mean"
    _set_description(state)
    _set_field(state, "seller", fields.is_seller)
    set_availability(state)
    set_status(state)
    _set_field(state, "url", fields.is_url_column)
    if state.recipe and "parent" in state.recipe.fields:
        state.recipe.parents(state.set)
    elif "parent" not in state.result.settings["columns"]:
        set_parent(state)
    _set_price(state)


def _titles(state: State, title: Column) -> list[str]:
    found = fields.by_language(title, state.columns.values())
    if len(found) > 1:
        state.result.doubt("columns.title", "there are several languages; the first is taken")
    elif title.fill < 0.95:
        others = [c for c in state.ranked("title", fields.is_title) if c is not title]
        found += [c for c in others if c.fill > 0.5][:1]
    names = []
    for column in found:
        longer = any(isinstance(v, list) and len(v) > 1 for _, v in column.values)
        if longer and "[]" not in column.name:  # other titles, or the same in other languages
            names.append(f"{column.name if column.parents else quoted(column.name)}[0]")
            state.used.add(column.name)
        names.append(column.one)
        if fields.takes_the_first(column, column.one):
            told = f"of several {column.name!r} the first is taken"
            state.result.doubt("columns.title", told)
    return names


def _set_description(state: State) -> None:
    given = state.given("description")
    if given is not None:
        state.set("description", given, _OWN)
        return
    title = state.field("title")
    found = [
        column
        for column in state.ranked("description", fields.is_description)
        if title is None or column.texts != title.texts
    ]
    if found:
        chosen = fields.by_language(found[0], state.columns.values())
        chosen += [c for c in found[1:] if c not in chosen and _is_second_text(c)][:1]
        names = [c.one if "[]" in c.name else c.name for c in chosen]
        state.set("description", names, "texts under this name")
        return
    for column in state.open():
        long = column.length > 80 and column.distinct > 0.5 * column.filled
        if long and fields.is_description(column):
            state.set("description", [column.name], "the longest texts")
            doubt = "only its long texts say that this is it"
            state.result.doubt("columns.description", doubt)
            return


def _is_second_text(column: Column) -> bool:
    """Whether a text may stand for one that is missing, instead of being a list of values."""
    prose = column.length > 30 and not attributes.split_of(column)
    return column.listed or prose or "short" in column.name.casefold()


def _set_price(state: State) -> None:
    doubt, given = state.result.doubt, state.given("price")
    candidates = [column for column in state.open() if not column.keyed]
    if given:
        candidates = [c for name in given if (c := state.column(name)) and c.values]
    chosen, doubts = fields.prices(candidates, named=bool(given))
    for name, why in doubts:
        doubt("columns.price", f"{name!r}: {why}")
    if not chosen:
        _tell_of_no_price(state, candidates)
        return
    words = {word for column in chosen for word in fields.words_of_prices(column)}
    if words:
        state.result.settings["nulls"] = sorted(words)
        state.result.reasons["nulls"] = "stand where a price is missing"
        if free := sorted(word for word in words if word.casefold() in fields.FREE):
            doubt("nulls", f"{free[0]!r} is taken for no price, not for a price of 0")
    found = state.ranked("currency", fields.is_currency)
    beside = [c for c in found if c.parents and c.parents == chosen[-1].parents]
    currency = (beside or found or [None])[0]
    paths = [fields.price_path(column, currency) for column in chosen]
    special = [name for name in given or () if "&&" in name]  # expressions of the export
    state.set("price", [*special, *paths], "its name and numbers say so")
    state.used |= {column.name for column in chosen}
    for column, path in zip(chosen, paths, strict=True):
        if fields.takes_the_first(column, path):
            doubt("columns.price", f"of several {column.name!r} the first is taken")
    if currency:
        state.set("currency", [currency.one], "codes of currencies")
    for column in state.columns.values():
        named = tokens(column.name)
        if len(chosen) > 1 and named & _DATES and named & _SALES and column.values:
            doubt("columns.price", f"the days of a sale ({column.name!r}) are not heeded")
    money.describe(state.result, chosen, currency, state.table.names)


def _tell_of_no_price(state: State, candidates: list[Column]) -> None:
    """Names the column that should hold prices, where its values are none."""
    named = [c for c in fields.ranked(candidates, "price", lambda c: not c.listed) if c[0] < 100]
    for column in [] if named else candidates:
        sure = not column.listed and column.share(fields.is_surely_a_price) > 0.8
        if sure and not is_technical(column.name):
            state.result.doubt("columns.price", f"{column.name!r} may hold prices")
    for _, column in named[:1]:
        amounts = any(any(ch.isdigit() and ch != "0" for ch in text) for text in column.texts)
        if amounts:
            shown = column.texts[0][:40]
            told = f"{column.name!r} is left out: values like {shown!r} are no prices"
            state.result.doubt("columns.price", told)


def _set_field(state: State, name: str, fits: Callable[[Column], bool]) -> None:
    given = state.given(name)
    if given is not None:
        state.set(name, given, _OWN)
    elif name in state.result.settings["columns"]:
        return
    elif found := state.ranked(name, fits):
        state.set(name, [found[0].one], "its name and values say so")
