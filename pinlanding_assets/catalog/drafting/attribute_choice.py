"""Gives the attributes their columns."""

from typing import Any

from pinlanding_assets.catalog.drafting import attributes, fields, words
from pinlanding_assets.catalog.drafting.names import key_of
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.state import State


def set_attributes(state: State) -> None:
    """The attributes, and the one that says what kind of thing a product is."""
    chosen: dict[str, Column] = {}
    splits: dict[str, str | None] = {}
    pairs: list[dict[str, Any]] = []
    if state.recipe:
        for key, name, split in state.recipe.attributes():
            chosen[key], splits[key] = state.columns[name], split
            state.used.add(name)
        pairs += state.recipe.pairs(state.used)
    pairs += [{"column": join.name} for join in state.joins if join.keyed]
    pairs += attributes.numbered_pairs(state.open(), state.used)
    pairs += attributes.named_pairs(state.open(), state.used)
    for column in state.open():
        if state.recipe and state.recipe.ignores(column.name):
            continue
        same = chosen.get(key_of(column.name))
        why = _why_not(state, column, chosen)
        if why:
            state.result.unused.setdefault(column.name, why)
            continue
        state.used.add(column.name)
        if column.keyed:
            split = attributes.mark_within_values(column)
            pairs.append({"column": column.name, **({"split": split} if split else {})})
        elif same is not None and not same.listed:
            same.others.append(column.name)
        else:
            key = attributes.key_for(column, chosen)
            chosen[key], splits[key] = column, attributes.split_of(column)
    _write(state, chosen, splits, pairs)


def _why_not(state: State, column: Column, chosen: dict[str, Column]) -> str:
    """Why a column is no attribute; "": it is one."""
    if _in_another_language(state, column):
        return "says the same in another language"
    if why := attributes.why_unused(column):
        return why
    if state.is_joined(column) and key_of(column.name) in chosen:
        return "is said by the products themselves"
    equal = [key for key, other in chosen.items() if other.texts == column.texts]
    return f"says the same as {equal[0]}" if equal and not column.keyed else ""


def _in_another_language(state: State, column: Column) -> bool:
    """Whether there is the same column in the language of the titles, or in a likelier one."""
    stem, language = fields.language_of(column.name)
    title = state.field("title")
    wanted = fields.language_of(title.name)[1] if title else ""
    if not language or language == wanted:
        return False
    named = [fields.language_of(c.name) for c in state.columns.values() if c.values]
    others = {other for of, other in named if of == stem and other != language}
    likelier = words.LANGUAGES[: words.LANGUAGES.index(language)]
    return wanted in others or bool(others & set(likelier))


def _write(
    state: State,
    chosen: dict[str, Column],
    splits: dict[str, str | None],
    pairs: list[dict[str, Any]],
) -> None:
    setting: dict[str, Any] = {}
    for key, column in chosen.items():
        more: dict[str, Any] = {"split": splits[key]} if splits[key] else {}
        if state.recipe and (values := state.recipe.values(column)):
            more["values"] = values
        named = [
            {"column": name, **more} if more else name for name in (column.name, *column.others)
        ]
        setting[key] = named[0] if len(named) == 1 else named
    short = [pair["column"] if len(pair) == 1 else pair for pair in pairs]
    if short:
        setting["*"] = short[0] if len(short) == 1 else short
    if setting:
        state.result.settings["attributes"] = setting
    wanted = state.recipe.product_type(chosen) if state.recipe else None
    best = wanted or attributes.product_type(chosen, splits)
    if best:
        state.result.settings["product_type"] = best
        state.result.reasons["product_type"] = "says what kind of thing a product is"
