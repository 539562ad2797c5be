"""Which of the other columns say what a product is like, and how their texts are split."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable

from pinlanding_assets.catalog.drafting import attribute_words, shapes
from pinlanding_assets.catalog.drafting.names import (
    attribute_rank,
    is_technical,
    key_of,
    last_of,
    plain,
    spoken,
    tokens,
    without_leaf,
)
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.words import said

_TEXTS = said(
    "title, titles, description, descriptions, titel, beschreibung, titre, titulo, titolo,"
    "descripcion, descrizione, omschrijving, headline, subtitle"
)
_VALUES = (
    *("value", "values", "value s", "wert", "werte", "wert e", "valeur", "valeurs", "valeur s"),
    *("valor", "valores", "valor es", "valore", "valori", "valore i", "waarde", "waarde n"),
)
_KEYS = ("name", "key", "label", "nom", "nombre", "nome")
_ENOUGH = 8  # rows, from which on how often values return says something
_FINER = said("subcategory, sub")
_TYPES = said("type, art, typ, class, label, coarse, classification, object, genre,species")
_MEASURES = said(
    "size, diameter, width, height, depth, length, capacity, volume, year, groesse, grosse,"
    "durchmesser, breite, hohe, lange, tiefe, largeur, hauteur, longueur, ancho, alto, larghezza,"
    "altezza, age, wattage, taille, jahr, talla, maat, taglia, thickness, shoe, pages, kids"
)


def why_unused(column: Column) -> str:
    """Why a column is no attribute; "": it is one."""
    if not column.values:
        return "is empty"
    if column.keyed:
        return ""
    if any(isinstance(value, dict) for value in column.parts):
        return "holds objects"
    if (
        column.parents
        and last_of(column.name) in ("label", "type")
        and _stands_before_a_value(column)
    ):
        return "names what stands beside it"
    known = attribute_rank(column.name)
    named = tokens(without_leaf(column.name) if column.parents else column.name)
    last = re.split(r"[.\]]", column.name)[-1].strip('"')
    if column.parents and (last.startswith("@") or _parent_tokens(column) & attribute_words.AROUND):
        return "is not about the product itself"
    if last == "@type" or last == "@context":
        return "says what the object is, not the product"
    if named & _TEXTS and not known:
        return "is another title or text"
    if column.share(lambda v: shapes.is_image(v) or shapes.is_url(v)) > 0.3:
        return "holds addresses or files"
    if named & {"id", "ids", "uuid", "guid"} or column.share(_is_identifier) > 0.8:
        return "holds ids"
    category = tokens(column.name) & attribute_words.CATEGORY_TOKENS
    if is_technical(column.name) and not _is_known_as_whole(column.name) and not category:
        return "says nothing that shoppers ask for"
    if "type" in named and all(tokens(text) <= attribute_words.SOFTWARE for text in column.texts):
        return "has words of the software only"
    if "name" in named and not known and column.filled < _ENOUGH:
        return "is another title or text"
    if column.share(shapes.is_date) > 0.5 and not known:
        return "holds days or times"
    if column.share(shapes.has_markup) > 0.2 or column.length > 80:
        return "holds long texts"
    if column.share(shapes.is_truth) > 0.95:
        return "holds yes and no"
    if (
        column.share(shapes.is_number) > 0.7
        and not named & _MEASURES
        and not (known and "date" in named)
    ):
        return "holds numbers without a meaning"
    if known:
        return ""
    if column.share(shapes.is_number) > 0.7 and named & _MEASURES:
        return ""
    return _why_unknown(column)


def _stands_before_a_value(column: Column) -> bool:
    """Whether a name within objects is nearly the same in all of them: `title: {label: Title}`."""
    return column.distinct == 1 and column.filled > 1


def _parent_tokens(column: Column) -> frozenset[str]:
    return frozenset().union(*(tokens(parent) for parent in column.parents))


def _is_identifier(value: object) -> bool:
    text = str(value)
    return bool(re.fullmatch(r"[0-9a-f]{24,}|[0-9a-f]{8}-[0-9a-f-]{27}|\d{8,14}", text))


def _is_known_as_whole(name: str) -> bool:
    forms = spoken(name)[:2]
    return any(form in table for table in attribute_words.ATTRIBUTES.values() for form in forms)


def _why_unknown(column: Column) -> str:
    """A name that says nothing: do the values come back, and are they words?"""
    wordy = column.share(lambda v: shapes.is_short(v, 40, 4) and any(c.isalpha() for c in str(v)))
    if wordy < 0.9:
        return "has a name that is not known, and texts that are no single words"
    if column.filled < _ENOUGH:
        digits = column.share(lambda v: any(c.isdigit() for c in str(v)))
        return "" if digits == 0 else "has a name that is not known, and codes"
    if column.distinct > max(12, 0.5 * len(column.parts)):
        return "has a name that is not known, and hardly any value comes back"
    return ""


def split_of(column: Column) -> str | None:
    """What separates several values in a text; None: nothing does for sure."""
    texts = [value for value in column.parts if isinstance(value, str)]
    if not texts or column.keyed:
        return None
    forms = set(spoken(column.name))
    is_list = bool(forms & attribute_words.LISTS)
    is_path = bool(
        forms & attribute_words.PATHS or tokens(column.name) & attribute_words.CATEGORY_TOKENS
    )
    if is_path and any(" > " in text or ">>" in text for text in texts):
        mark = ">>" if any(">>" in text for text in texts) else ">"
        nested = [text for text in texts if mark in text]
        outer = next(
            (s for s in ("|", ";", ",") if sum(s in t for t in nested) >= 0.2 * len(nested)), None
        )
        # a comma may be within a name ("Tools, Home"): as an outer mark, what follows begins anew
        if outer == "," and not _begins_anew(nested):
            outer = None
        return outer or mark
    simple = bool(tokens(column.name) & attribute_words.WORDS)
    for mark in ("|", ";", "\n", ","):
        with_mark = [text for text in texts if mark in text.strip(mark + " ")]
        if not with_mark or (mark == "|" and is_list and _inner(texts)):
            continue
        if mark == "," and any(re.search(r"\d,\d", text) for text in with_mark):
            continue
        parts = [part.strip() for text in texts for part in text.split(mark) if part.strip()]
        short = all(shapes.is_short(part, 40, 4) for part in parts)
        single = simple and all(shapes.is_short(part, 25, 2) for part in parts)
        if short and (is_list or single or _come_back(mark, texts, parts, with_mark)):
            return mark
    if is_path and any("/" in text for text in texts):
        parts = [part.strip() for text in texts for part in text.split("/")]
        if len(parts) >= 2 * len(texts) and len(set(parts)) < len(parts):
            return "/"
    tags = bool(forms & {"tags", "tag", "keywords", "keyword"})
    single = not any(mark in text for text in texts for mark in "|;\n,")
    return "," if tags and single and not column.listed else None


def _begins_anew(texts: Iterable[str]) -> bool:
    roots: Counter[str] = Counter()
    after = 0
    hits = 0
    shown = list(texts)
    for text in shown:
        roots[re.split("[>,]", text)[0].strip()] += 1
    for text in shown:
        for part in text.split(",")[1:]:
            after += 1
            hits += re.split(">", part)[0].strip() in roots
    return after > 0 and hits >= 0.5 * after


def _inner(texts: list[str]) -> bool:
    """Whether `|` stands within the parts that commas separate (Places|Europe, box)."""
    both = [text for text in texts if "|" in text and "," in text]
    return bool(both)


def _come_back(mark: str, texts: list[str], parts: list[str], with_mark: list[str]) -> bool:
    """Whether the parts return in other texts, so that they are values."""
    if mark in "|;" and len(with_mark) > 1 and len(texts) < _ENOUGH:
        return len(set(parts)) < len(parts)
    if len(texts) < _ENOUGH:
        return mark == "|"
    needed = 0.6 if mark == "," else 0.9
    return len(set(parts)) <= needed * len(set(texts)) + (3 if mark != "," else 0)


def key_for(column: Column, taken: Iterable[str]) -> str:
    """A key for an attribute that no other has."""
    key, used = key_of(column.name), set(taken)
    if key == "*" or not key:
        key = "attribute"
    if key in used:
        key = re.sub(r"[\W_]+", "_", plain(column.name)).strip("_")[:70] or key
    base, number = key, 2
    while key in used:
        key, number = f"{base}_{number}", number + 1
    return key


def product_type(chosen: dict[str, Column], split: dict[str, str | None]) -> str | None:
    """The key of the attribute that says what a product is; None: there is none."""
    found = []
    for place, (key, column) in enumerate(chosen.items()):
        known = attribute_rank(column.name)
        if known is None or known[0] != "category":
            continue
        named = tokens(column.name)
        typed = 2 * bool(named & _TYPES) or bool(named & _FINER)
        several = column.listed or split.get(key) is not None
        constant = column.distinct <= 1 and column.filled >= _ENOUGH
        scattered = column.filled >= 20 and column.distinct > 0.6 * column.filled
        found.append((constant, scattered, several, column.fill < 0.5, -typed, place, key))
    return min(found)[-1] if found else None


def _mark_of_values(column: Column) -> str | None:
    """What separates the values of a keyed column, where all parts are short."""
    for mark in ("|", ";", ","):
        several = [text for text in column.texts if mark in text]
        parts = [part for text in several for part in text.split(mark)]
        if several and all(part.strip() and shapes.is_short(part, 25, 3) for part in parts):
            decimals = any(re.search(r"\d,\d", text) for text in several)
            return None if mark == "," and decimals else mark
    return None


def mark_within_values(column: Column) -> str | None:
    """What separates several values of one key, in texts like `Color=Red;Blue`."""
    for mark in (";", "|"):
        within = [part for text in column.texts if "=" in text for part in text.split(mark)[1:]]
        if any("=" not in part for part in within):
            return mark
    return None


def named_as_attribute(name: str) -> bool:
    """Whether a name says that it is of attributes, options or the like."""
    return bool(tokens(name) & {*attribute_words.MAPS, "option", "variant", "property"})


def named_pairs(columns: Iterable[Column], used: set[str]) -> list[dict[str, object]]:
    """Columns of keys and values without a number: `option one name` and `option one value`."""
    by_name = {plain(c.name): c for c in columns if c.values and not c.listed and not c.parents}
    found: list[dict[str, object]] = []
    for name, column in by_name.items():
        for word, values_word in itertools.product(_KEYS, _VALUES):
            other = by_name.get(re.sub(rf"\b{word}\b", values_word, name))
            if word not in name.split() or other is None or other is column:
                continue
            short = column.share(lambda v: shapes.is_short(v, 40, 4) and not shapes.is_number(v))
            if is_technical(name) and not named_as_attribute(name):
                break
            if short == 1 and column.distinct <= max(1, 0.5 * column.filled):
                found.append({"names": column.name, "column": other.name})
                used |= {column.name, other.name}
            break
    return found


def numbered_pairs(columns: Iterable[Column], used: set[str]) -> list[dict[str, object]]:
    """Columns like `attribute_name_1` and `attribute_value_1`: keys and values, by number."""
    by_column = {column.name: column for column in columns}
    by_name = {plain(name): name for name in by_column}
    found: list[dict[str, object]] = []
    for name, column in by_name.items():
        if name.split().count("1") + len(re.findall(r"(?<=[a-z])1\b", name)) != 1:
            continue
        for word, values_word in itertools.product(_KEYS, _VALUES):
            other = by_name.get(re.sub(rf"\b{word}\b", values_word, name))
            if word in name.split() and other and column.count("1") == 1 == other.count("1"):
                pattern = re.sub(r"1", r"(\\d+)", re.escape(name))
                values = re.sub(rf"\b{word}\b", values_word, pattern)
                used |= {c for n, c in by_name.items() if re.fullmatch(f"{pattern}|{values}", n)}
                pair: dict[str, object] = {
                    "names": column.replace("1", "{n}"),
                    "column": other.replace("1", "{n}"),
                }
                if mark := _mark_of_values(by_column[other]):
                    pair["split"] = mark
                found.append(pair)
                break
    return found
