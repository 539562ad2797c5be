"""Names of columns: compared without case, accents and marks, and found in the tables of words."""

import functools
import re
import unicodedata

from pinlanding_assets.catalog.drafting import attribute_words, words
from pinlanding_assets.catalog.drafting.words import said

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WRAPPED = re.compile(  # price."$numberDecimal" of MongoDB, price.N of DynamoDB, of Firestore
    r'(\."\$\w+"|\.(S|N|BOOL|SS|NS)|\.(string|double|integer|boolean|timestamp)Value)$'
)
_TYPES = re.compile(r"\.(M|L|mapValue\.fields|arrayValue\.values)(?=[.\[])")
_IS_PATH = re.compile(r"\S[.\[]\S")
_LEAF = re.compile(r"(?<=.)\.(name|title|label|value|text|en|def|data)$")
_LAST_WORD = re.compile(r"(?i)(?<=[\w ])[ _](name|titles?|display)$")  # colour_name
_MONEY = said(
    "price, prices, pricing, preis, preise, prix, precio, precios, prezzo, prijs, preco, pris,"
    "cena, cijena, fiyat, hinta, pret, цена, 価格, 价格, 가격"
)
_AMOUNTS = said("value, amount, gross, brutto, current, min, now, final, text, eur, usd")
_PLURAL = re.compile(r"(?<![A-Z])([A-Z]{2,})s(?![a-z])")
_IN_BRACKETS = re.compile(r"[(\[（【][^)\]）】]*[)\]）】]")
_LOCALE = re.compile(
    r'[._\-#: (\["]+[a-z]{2}[_-][A-Z]{2}([")\]]*|-\w+)$'
)  # name."en-GB", name(en-gb)
_SHORT = {  # as columns of warehouses are called
    **{"cd": "code", "nm": "name", "descr": "description", "dsc": "description", "ccy": "currency"},
    **{"curr": "currency", "amt": "amount", "prc": "price", "manuf": "manufacturer"},
    **{"brnd": "brand", "clr": "color", "avl": "available", "catg": "category", "cat": "category"},
}
_LANGUAGE_BEFORE = re.compile("^(EN|DE|NL|FR|ES|IT|US|UK|PL|SV|DA)_(?=[A-Z])")  # NL_Title_Short
_RANGE = said("range, start, from")
_KINDS = said("txt, flg, flag, ind, amount, str, val")  # what a value is, at the end of a name
_LEAVES = ("value", "name", "label", "en", "data", "attributes", "node", "fields", "")
_LINKS = said("de, del, du, des, d, l, le, la, el, do, da, di, dell, dello, van, het, vom")
_UNIT = re.compile(r"(?<= )(mm|cm|m|in|inch|inches|ml|cl|l|kg|g|eur|usd|gbp|chf)$")


def unwrapped(name: str) -> str:
    """A path without the types that databases write around values: `price.N` is `price`."""
    bare = _WRAPPED.sub("", name)
    while bare != name:
        name, bare = bare, _WRAPPED.sub("", bare)
    return _TYPES.sub("", bare).removesuffix("[]") if bare.endswith("L[]") else _TYPES.sub("", bare)


@functools.lru_cache(4096)
def plain(name: str) -> str:
    """A name as words: `Product_Name`, `productName` and `g:product-name` are `product name`."""
    name = unwrapped(name[:300])
    name = name.replace("ß", "ss").removeprefix("g:")
    name = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    name = _PLURAL.sub(r"\1S", unicodedata.normalize("NFC", name))  # imageURLs
    spaced = name if name.isupper() else _CAMEL.sub(" ", name)
    return " ".join(re.sub(r"[\W_]+", " ", spaced.casefold()).split())


@functools.lru_cache(4096)
def spoken(name: str) -> tuple[str, ...]:
    """Forms of a name that may stand in the tables of words, the whole one first."""
    name = unwrapped(name)
    name = _LANGUAGE_BEFORE.sub("", name)
    forms = [plain(name), plain(_IN_BRACKETS.sub(" ", name)), plain(_LOCALE.sub("", name))]
    forms.append(plain(re.split(r"\s[-–:|]\s", name)[0]))  # Keywords - General
    if (bare := without_leaf(name)) != name:
        forms.append(plain(re.split(r"[.\]]", bare.removesuffix("[]"))[-1]))
    last = re.split(r"[.\]]", name)[-1].strip('"')
    for form in list(forms):
        tokens = form.split()
        if any(token in _SHORT for token in tokens):
            tokens = [_SHORT.get(token, token) for token in tokens]
            forms.append(" ".join(tokens))
        if len(tokens) > 1 and tokens[-1] in _KINDS:
            tokens = tokens[:-1]
            forms.append(" ".join(tokens))
        forms += _without_noise(tokens)
        while len(tokens) > 1 and tokens[0] in words.NOISE:
            tokens = tokens[1:]
            forms.append(" ".join(tokens))
            forms += _without_noise(tokens)
        if len(tokens) > 1 and tokens[-1] in ("en", "de", "fr", "es", "it", "nl", "default", "def"):
            forms.append(" ".join(tokens[:-1]))
        forms.append(_UNIT.sub("", form).strip())
    if _IS_PATH.search(name) and last:
        forms += [form for form in (plain(last),) if form not in ("id", "name", "value", "url")]
    return tuple(dict.fromkeys(form for form in forms if form))


def _without_noise(tokens: list[str]) -> list[str]:
    """Without the goods at the end: `nome articolo` and `descripcion del articulo`."""
    found = []
    while len(tokens) > 1 and tokens[-1] in words.NOISE and "of" not in tokens:
        tokens = tokens[:-1]
        while len(tokens) > 1 and tokens[-1] in _LINKS:
            tokens = tokens[:-1]
        found.append(" ".join(tokens))
    return found


def last_of(name: str) -> str:
    """The last name of a path."""
    return re.split(r"[.\]]", name)[-1].strip('"')


def without_leaf(name: str) -> str:
    """A path without a last name that says nothing by itself: `tags[].name` is `tags[]`."""
    return _LEAF.sub("", name)


def tokens(name: str) -> frozenset[str]:
    """The words of a name."""
    return frozenset(_SHORT.get(word, word) for word in plain(name).split())


def rank(name: str, table: tuple[str, ...]) -> int | None:
    """Where a name stands in a table of names; 0 is the best, None: it does not."""
    found = [_places(table)[form] for form in spoken(name) if form in _places(table)]
    return min(found, default=None)


def field_rank(name: str, field: str) -> int | None:
    """How well a name fits a field of products; 0 is the best, None: it does not."""
    if plain(name) in _places(words.FIELDS[field]):
        return _places(words.FIELDS[field])[plain(name)]
    never = tokens(name) & words.NEVER[field]
    if (
        field == "price"
        and _IS_PATH.search(name)
        and never <= _RANGE
        and "stop" not in tokens(name)
    ):
        never = frozenset()  # the lower end of priceRange.start.gross.amount
    if never:
        return None
    found = rank(name, words.FIELDS[field])
    # pricing.current.value, Prezzo pieno
    amount = not _IS_PATH.search(name) or plain(name).rpartition(" ")[2] in _AMOUNTS
    if found is None and field == "price" and tokens(name) & _MONEY and amount:
        return len(words.FIELDS[field])
    return found


@functools.lru_cache(64)
def _places(table: tuple[str, ...]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(table):
        places.setdefault(name, place)
        places.setdefault(plain(name), place)
    return places


def attribute_rank(name: str) -> tuple[str, int] | None:
    """The kind of attribute that a name says (`category`, or `*` for any other), and its place."""
    for form in (name, _LAST_WORD.sub("", name)):
        for kind, table in attribute_words.ATTRIBUTES.items():
            place = rank(form, table)
            if place is not None:
                return kind, place
    name = _LAST_WORD.sub("", name)
    if tokens(name) & attribute_words.CATEGORY_TOKENS:
        return "category", 999
    return ("*", 999) if tokens(name) & attribute_words.WORDS else None


def is_of_money(name: str) -> bool:
    """Whether a name has a word for a price."""
    return bool(tokens(name) & _MONEY)


def is_technical(name: str) -> bool:
    """Whether a name says something that no shopper asks for."""
    return bool(tokens(name) & attribute_words.TECHNICAL)


def key_of(name: str) -> str:
    """The key of an attribute from the name of its column."""
    name = re.sub(r"\[\d+\]$", "", name)  # objectType[1]
    name = unwrapped(name)
    parts = re.findall(
        r'"[^"]*"|[^.\[\]]+', _IN_BRACKETS.sub("", name) if "[" not in name else name
    )
    if "[" in name or "." in name:
        useful = [part for part in parts if plain(part) not in _LEAVES]
        name = useful[-1] if useful else name
    else:
        name = _IN_BRACKETS.sub(" ", name) if _IN_BRACKETS.sub("", name).strip() else name
    name = re.sub(r"^\*?([gc]|C):", "", name)
    spaced = name if name.isupper() else _CAMEL.sub(" ", name)
    key = re.sub(r"[\W_]+", "_", spaced.casefold()).strip("_")[:80]
    for noise in ("product_", "item_"):
        if key.startswith(noise) and key != "product_type":
            key = key.removeprefix(noise)
    return attribute_words.SINGULAR.get(key, key) or "attribute"
