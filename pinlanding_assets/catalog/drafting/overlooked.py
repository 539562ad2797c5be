"""Says which columns could change what shoppers see, and are not heeded: whatever the layout.

Each kind of column has one line: what was taken, and what else is there.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pinlanding_assets.catalog.drafting import doubt_words, fields, shapes, words
from pinlanding_assets.catalog.drafting.identity import is_id_name
from pinlanding_assets.catalog.drafting.names import field_rank, last_of, plain, tokens
from pinlanding_assets.catalog.drafting.profile import Column, quoted
from pinlanding_assets.catalog.drafting.state import State
from pinlanding_assets.catalog.words import read_availability

_SHOWN = 4  # columns
_MAX_STATES = 6
_MAX_LANGUAGES = 30
_BARCODES = {
    "gtin",
    "ean",
    "ean13",
    "upc",
    "isbn",
    "barcode",
    "mpn",
    "url",
    "link",
    "handle",
    "slug",
}
_GROUPS = {"group", "family", "parent", "model", "style", "master", "spu", "set", "series"}


def tell_of_overlooked(state: State) -> None:
    """Notes the columns that are not heeded, though they look like prices, states or images."""
    left = [c for c in state.columns.values() if c.values and not _is_told(state, c)]
    if not state.recipe:
        _tell_of_money(state, left)
        _tell_of_ids(state, left)
        _tell_of_texts(state, left)
    _tell_of_scales(state, left)
    _tell_of_states(state, left)
    _tell_of_stock(state, left)
    _tell_of_images(state, left)
    _tell_of_groups(state, left)
    _tell_of_selling(state)
    _tell_of_attributes(state, left)


def _is_told(state: State, column: Column) -> bool:
    doubts = (doubt for said in state.result.unsure.values() for doubt in said)
    return any(repr(column.name) in doubt for doubt in doubts)


def is_in(column: Column, setting: Any) -> bool:
    """Whether a setting names a column, or the object that it is a part of."""
    for name in _strings(setting):
        bare = re.sub(r"\[\d*\]", "[]", name)
        if column.name in (name, bare) or column.name.startswith((f"{bare}.", f"{bare}[")):
            return True
        forms = {column.name, quoted(column.name), column.one}
        expression = any(mark in name for mark in " ()|&'`[")
        if expression and any(re.search(rf"(?<![\w.]){re.escape(f)}(?!\w)", name) for f in forms):
            return True
        owner, _, last = column.name.rpartition(".")
        if expression and owner and owner in name and last in name:
            return True
    return False


def _strings(setting: Any) -> Iterator[str]:
    if isinstance(setting, str):
        yield setting
    elif isinstance(setting, dict):
        yield from (one for part in setting.values() for one in _strings(part))
    elif isinstance(setting, list):
        yield from (one for part in setting for one in _strings(part))


def _not_in(state: State, left: Iterable[Column], *names: str) -> list[Column]:
    """The columns that none of these settings of `columns` has."""
    taken = state.result.settings["columns"]
    settings = [taken[name] for name in names if name in taken]
    settings.append(list(state.result.settings.get("only", {})))
    return [c for c in left if not is_in(c, settings)]


def _taken(state: State, name: str) -> str:
    """The columns of a field, for people: `'price' is taken`; none: `nothing is taken`."""
    found = list(_strings(state.result.settings["columns"].get(name)))
    shown = ", ".join(repr(one[:60]) for one in found[:2])
    return f"{shown}{' ...' if len(found) > 2 else ''} is taken" if found else "nothing is taken"


def _also(state: State, name: str, left: list[Column], *, minor: bool = False) -> None:
    if left:
        shown = ", ".join(repr(column.name) for column in left[:_SHOWN])
        more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
        told = f"{_taken(state, name)}; also there: {shown}{more}"
        state.result.doubt(f"columns.{name}", told, minor=minor)


def is_money(column: Column) -> bool:
    """Whether a column holds amounts of money: its name says so, or its values do."""
    if column.keyed or column.share(shapes.is_date) > 0.3 or not fields.is_price(column):
        return False
    named = tokens(column.name)
    of_money = bool(named & doubt_words.MONEY)
    of_money = of_money or any(n.endswith(doubt_words.MONEY_ENDS) for n in named)
    return of_money or column.share(fields.has_currency) > 0.5


def _tell_of_money(state: State, left: list[Column]) -> None:
    """The amounts that are not the price."""
    taken = state.result.settings["columns"].get("price")
    amounts = [c for c in _not_in(state, left, "price", "id", "title") if is_money(c)]
    others = [c for c in amounts if not tokens(c.name) & doubt_words.SCALES]
    # beside a column that is just the price, what it cost or was is no riddle
    clear = isinstance(taken, str) and plain(taken) in (
        "price",
        "preis",
        "prix",
        "precio",
        "prezzo",
    )
    other = [c for c in others if not tokens(c.name) & words.NEVER["price"]]
    _also(state, "price", others, minor=clear and not other)


def _tell_of_scales(state: State, left: list[Column]) -> None:
    """Numbers that say how many digits of a price are cents."""
    if "price" not in state.result.settings["columns"]:
        return
    taken = state.result.settings["columns"]["price"]
    for column in _not_in(state, left, "price"):
        named = tokens(column.name.rpartition(".")[2])
        whole = column.share(lambda v: type(v) is int or str(v).isdigit()) == 1
        beside = {c.name.rpartition(".")[2] for c in state.columns.values() if is_in(c, taken)}
        if column.name.rpartition(".")[2] in beside:
            continue
        if named & doubt_words.SCALES and whole and column.distinct <= 3 and is_near(column):
            told = f"{column.name!r} ({column.texts[0]}) may say that it is in cents"
            state.result.doubt("columns.price", told)


def is_near(column: Column) -> bool:
    """Whether a number beside amounts may be their scale: within an object, or named after it."""
    return bool(tokens(column.name) & (doubt_words.MONEY | {"currency"})) or bool(column.parents)


def _states_of(column: Column) -> str:
    """How often each value stands: `Archived (Y 3, N 37)`; dates: how many are there."""
    if column.share(shapes.is_date) > 0.5:
        return f"{column.name!r} (in {column.filled} of {column.rows})"
    counts = Counter(column.texts)
    shown = ", ".join(f"{text[:20]} {times}" for text, times in counts.most_common(3))
    empty = column.rows - column.filled
    return f"{column.name!r} ({shown}{f', empty {empty}' if empty else ''})"


def _is_switch(column: Column) -> bool:
    """Whether a column has few values, of which some could say that a product is not sold."""
    alike = column.distinct == 1 and column.filled == column.rows
    if alike or column.keyed or column.distinct > _MAX_STATES or column.length > 30:
        return False
    return column.rows > 2 and (column.distinct < column.filled or column.filled < column.rows)


def is_state(column: Column) -> bool:
    """Whether a name or values say that a column is about being for sale, or shown at all."""
    named = tokens(column.name)
    if column.share(shapes.is_date) > 0.5:
        return bool(named & doubt_words.GONE_DATES) and column.fill < 0.7
    if not _is_switch(column) or named & {"attribute", "option"}:
        return False
    if named & doubt_words.STATES or field_rank(column.name, "status") is not None:
        return True
    texts = set(column.texts)
    known = [t for t in texts if plain(t) in doubt_words.STATE_VALUES]
    worded = [t for t in texts if not shapes.is_number(t) and not shapes.is_truth(t)]
    known += [t for t in worded if t not in known and read_availability(t, {})]
    return len(known) >= max(1, 0.5 * len(texts))


def _tell_of_states(state: State, left: list[Column]) -> None:
    """States and switches that leave no row out."""
    open_ones = _not_in(state, left, "availability", "status", "operation", "id", "parent", "day")
    states = [c for c in open_ones if is_state(c) and not is_address(c)]
    states = [c for c in states if not (_is_of_stock(c) and c.share(shapes.is_truth) < 1)]
    if states:
        shown = ", ".join(map(_states_of, states[:_SHOWN]))
        more = f" and {len(states) - _SHOWN} more" if len(states) > _SHOWN else ""
        state.result.doubt("columns.status", f"no row is left out by {shown}{more}")
    truths = [c for c in open_ones if c not in states and _is_switch(c) and _is_of_truth(c)]
    truths = [c for c in truths if not tokens(c.name) & doubt_words.HARMLESS]
    if truths and not state.recipe:
        shown = ", ".join(map(_states_of, truths[:_SHOWN]))
        state.result.doubt("columns.status", f"no row is left out by {shown}", minor=True)
    for column in open_ones:
        spoken = {text.casefold().replace("-", "_") for text in column.texts}
        named = plain(column.name) in words.LOCALE_COLUMNS
        if 1 < len(spoken) <= _MAX_LANGUAGES and spoken <= {*words.LANGUAGES} and named:
            told = f"rows are in several languages, and all stay: {_states_of(column)}"
            state.result.doubt("only", told)


def is_address(column: Column) -> bool:
    """Whether a column holds addresses or files."""
    return column.share(lambda v: shapes.is_url(v) or shapes.is_image(v)) > 0.3


def _is_of_truth(column: Column) -> bool:
    return column.share(shapes.is_truth) == 1 and not column.listed


def _tell_of_stock(state: State, left: list[Column]) -> None:
    """Other columns of what is in stock, where one was taken or none."""
    if state.recipe:
        return
    open_ones = _not_in(state, left, "availability", "status", "price", "operation", "id")
    found = [c for c in open_ones if _is_of_stock(c) and not _is_told(state, c)]
    _also(state, "availability", found)


def _is_of_stock(column: Column) -> bool:
    named = tokens(last_of(column.name))
    never = named & (words.NEVER["availability"] | {"shipping", "cost", "price"})
    if never or not named & doubt_words.STOCK or column.distinct < 2:
        return False
    if column.keyed or is_address(column) or column.share(shapes.is_date) > 0.3:
        return False
    values = column.share(lambda v: shapes.is_number(v) or shapes.is_truth(v)) == 1
    return values or column.length < 40


def is_of_images(column: Column) -> bool:
    """Whether a column holds addresses or files of images."""
    named = tokens(column.name)
    if column.keyed or column.share(shapes.is_image) > 0.3:
        return not column.keyed
    return bool(named & words.IMAGE_TOKENS) and column.share(shapes.is_url) > 0.5


def _tell_of_images(state: State, left: list[Column]) -> None:
    """Images that are not taken, unless they are copies or smaller ones of those that are."""
    taken = state.result.settings["columns"].get("images")
    names = " ".join(_strings(taken))
    known = {text for c in state.columns.values() if taken and is_in(c, taken) for text in c.texts}
    found: list[Column] = []
    for column in _not_in(state, left, "images", "id"):
        small = tokens(column.name) & (words.SMALL | {"medium"})
        small = small or "thumb" in column.name.casefold()
        if not is_of_images(column) or (taken and small and not tokens(names) & words.SMALL):
            continue
        if tokens(column.name) & _OF_OTHERS or _shares_object(column, taken):
            continue
        if not set(column.texts) <= known:
            found.append(column)
    _also(state, "images", found, minor=bool(state.recipe))


_OF_OTHERS = {"logo", "avatar", "icon", "favicon", "brand", "author", "user", "manifest"}


def _shares_object(column: Column, taken: Any) -> bool:
    """Whether an image is another form of a taken one: they stand in one object."""
    owner = column.parents[0] if column.parents else ""
    return bool(owner) and any(
        re.sub(r"\[\d*\]", "[]", name).startswith(owner) for name in _strings(taken)
    )


def _tell_of_ids(state: State, left: list[Column]) -> None:
    """Other columns that are different in each row, and called like an id."""
    taken = state.columns.get(state.id_column)
    if taken is None or tokens(taken.name) <= {"id", "product"}:
        return
    found = [
        c for c in left if c is not taken and is_id_name(c.name) and not tokens(c.name) & _BARCODES
    ]
    found = [c for c in found if c.name in state.own and not c.parents and not c.listed]
    found = [c for c in found if c.fill == 1 and c.rows > 2 and state.table.is_unique(c)]
    _also(state, "id", [c for c in found if c.length <= 64], minor=True)


def _tell_of_texts(state: State, left: list[Column]) -> None:
    """Titles, descriptions and sellers beside those that are taken."""
    title = state.field("title")
    if title and (title.distinct < 0.9 * title.filled or title.fill < 0.9) and title.rows > 2:
        _also(state, "title", _others(state, left, "title", fields.is_title))
    description = state.field("description")
    length = description.length if description else 0.0
    long = [c for c in _not_in(state, left, "description", "title") if _is_long(c)]
    longer = [c for c in long if c.length > 1.5 * length]
    _also(state, "description", longer, minor=description is None)
    if "seller" in state.result.settings["columns"]:
        sellers = _others(state, left, "seller", fields.is_seller)
        _also(state, "seller", [c for c in sellers if not c.parents], minor=True)
    for name, column in (("title", title), ("description", description)):
        stem, language = fields.language_of(column.name) if column else ("", "")
        others = [c for c in left if column and c is not column and c.name != column.name]
        others = [c for c in others if fields.language_of(c.name)[0] == stem]
        if language and others and f"columns.{name}" not in state.result.unsure:
            told = f"there are several languages; {column.name!r} is first"  # type: ignore[union-attr]
            state.result.doubt(f"columns.{name}", told, minor=True)


def _others(
    state: State, left: list[Column], name: str, fits: Callable[[Column], bool]
) -> list[Column]:
    found = [c for _, c in fields.ranked(left, name, fits)]
    return [c for c in _not_in(state, found, name, "id") if c.distinct > 1]


def _is_long(column: Column) -> bool:
    prose = fields.is_prose(column) and not column.keyed and not is_address(column)
    return prose and column.length > 60 and column.distinct > 0.5 * column.filled


def _tell_of_selling(state: State) -> None:
    """That nothing says what can be had, where things have prices."""
    columns = state.result.settings["columns"]
    told = {"columns.availability", "columns.status"} & state.result.unsure.keys()
    if "price" in columns and not told and not {"availability", "status"} & columns.keys():
        doubt = "no column says what can be had: every product counts as for sale"
        state.result.doubt("columns.availability", doubt)


def _tell_of_attributes(state: State, left: list[Column]) -> None:
    """Columns that stay unused, though their values come again as those of attributes do."""
    why = {} if state.recipe else state.result.unused
    found = [c for c in left if c.name in why and _comes_again(c) and not _is_told(state, c)]
    found = [c for c in found if not why[c.name].startswith("says the same")]
    if found:
        shown = ", ".join(f"{column.name!r} ({why[column.name]})" for column in found[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        doubt = f"left out, though their values come again: {shown}{more}"
        state.result.doubt("attributes", doubt, minor=True)


def _comes_again(column: Column) -> bool:
    """Whether products share values of a column, and differ in it."""
    if column.keyed or column.length > 40 or is_address(column):
        return False
    return column.filled > 3 and 1 < column.distinct <= 0.5 * column.filled


def _tell_of_groups(state: State, left: list[Column]) -> None:
    """Rows with an id-like value in common whose titles begin alike, but which stay products."""
    title = state.field("title")
    settings = state.result.settings
    joined = settings.get("rows") or "parent" in settings["columns"]
    if title is None or joined or "columns.parent" in state.result.unsure:
        return
    titles = title.by_record()
    for column in _not_in(state, left, "id", "title", "seller"):
        called = bool(tokens(column.name) & _GROUPS) or is_id_name(column.name)
        if not called or column.listed or column.keyed or column.name not in state.own:
            continue
        groups = state.table.repeated(column)
        if len(groups) < 2:
            continue
        again = sum(map(len, groups))
        begun = [{titles.get(p, "").split(" ")[0] for p in places} for places in groups]
        alike = sum(len(found) == 1 for found in begun)
        others = {next(iter(found)) for found in begun if len(found) == 1}
        if (
            again >= 0.2 * column.rows
            and alike >= 0.8 * len(groups)
            and len(others) * 2 > len(groups)
        ):
            told = f"{again} rows share their {column.name!r} with others, and stay products"
            state.result.doubt("columns.parent", told)
            return
