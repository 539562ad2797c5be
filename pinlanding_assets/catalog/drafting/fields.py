"""Which columns hold title, description, price and the other fields, by their names and values."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pinlanding_assets.catalog.drafting import shapes, words
from pinlanding_assets.catalog.drafting.names import field_rank, last_of, tokens
from pinlanding_assets.catalog.drafting.profile import Column, quoted
from pinlanding_assets.catalog.drafting.words import said
from pinlanding_assets.catalog.prices import BadPrice, read_price
from pinlanding_assets.catalog.words import read_operation

_SALE = said(
    "sale, special, discounted, discount, offer, final, promo, promotional, reduced, deal,"
    "angebot, angebotspreis, scontato, offerta, rebajado, aktion, aktionspreis, sonderpreis,"
    "actie, solde, oferta, saldo"
)
_LIST = said(
    "list, msrp, rrp, uvp, mrp, recommended, retail, listenpreis, pvp, 定価, 通常価格, 市场价,"
    "原价, 吊牌价, 정가, 소비자가"
)
_NET = said(
    "net, netto, ht, excl, excluding, ex, exkl, hors, zonder, bez, without, tax, senza, sin"
)
_CHANNEL = re.compile(r"(?<=-[a-z]{2}_[A-Z]{2})-\w+$")  # description-en_US-ecommerce
_DELETED = said("deleted, isdeleted, tombstone, removed, geloscht, delete")
_FOR_PROGRAMS = re.compile(
    r"//api\.|/api/|[?&](api_?key|wskey|token)=|\.(json|xml)([?#]|$)", re.IGNORECASE
)
Ranked = list[tuple[int, Column]]


def ranked(columns: Iterable[Column], field: str, fits: Callable[[Column], bool]) -> Ranked:
    """The columns whose names and values fit a field, the best first."""
    found = []
    for place, column in enumerate(columns):
        fitting = None if column.keyed or not column.values else field_rank(column.name, field)
        if fitting is not None and fits(column):
            found.append(((fitting, column.name.count("."), place), column))
    return [(key[0], column) for key, column in sorted(found, key=lambda pair: pair[0])]


def is_prose(column: Column) -> bool:
    """Whether a column holds texts, no numbers, addresses, days or truth values."""

    def is_text(value: Any) -> bool:
        other = shapes.is_number(value) or shapes.is_url(value) or shapes.is_date(value)
        other = other or shapes.is_document(value)
        return isinstance(value, str) and not other and not isinstance(value, bool)

    truth = column.share(lambda v: str(v).casefold() in ("true", "false"))
    return column.share(is_text) >= 0.8 and truth < 0.5


def is_title(column: Column) -> bool:
    if not is_prose(column) or column.length > 300 or column.share(shapes.is_image) > 0.5:
        return False
    if column.name.casefold() in ("label", "labels"):  # of a data set: its classes
        return False
    few = column.filled >= 20 and column.distinct < 0.3 * column.filled
    # within objects, a name that is always the same is of something else
    return not few and (column.distinct > 1 or column.filled < 3 or not column.parents)


def is_description(column: Column) -> bool:
    # words that are the same all over are a class, not a text
    few = column.filled >= 10 and column.distinct < 0.2 * column.filled and column.length < 60
    return is_prose(column) and column.share(shapes.is_image) < 0.5 and not few


def by_language(best: Column, columns: Iterable[Column]) -> list[Column]:
    """The best column with the same text in other languages after it, the fullest first."""
    stem, language = language_of(best.name)
    if not language:
        return [best]
    others = [
        c for c in columns if language_of(c.name)[0] == stem and language_of(c.name)[1] and c.values
    ]
    order = {code: place for place, code in enumerate(words.LANGUAGES)}
    return sorted(others, key=lambda c: (-round(c.fill, 1), order[language_of(c.name)[1]]))


def language_of(name: str) -> tuple[str, str]:
    """A name without the language at its end, and the language: `title_de` is ("title", "de")."""
    match = re.fullmatch(
        r'(.+?)[._\-#: ]+"?([A-Za-z]{2}([_-][A-Za-z]{2})?|def|none|und|mul)"?',
        _CHANNEL.sub("", name),
    )
    if match and (code := match[2].lower().replace("-", "_")) in words.LANGUAGES:
        return match[1], code
    return name, ""


def is_price(column: Column) -> bool:
    """Whether a column holds prices that are not all nothing."""
    if column.share(shapes.is_date) > 0.3 or column.share(lambda v: isinstance(v, bool)) > 0:
        return False
    words = words_of_prices(column)
    read = [value for value in column.parts if str(value).strip() not in words]
    good = sum(map(_reads, read))
    return bool(read) and good >= 0.8 * len(read) and any(_amount(v) != 0 for v in read)


def words_of_prices(column: Column) -> list[str]:
    """The texts without a digit in a column of prices: "on request"; none where they are many."""
    words = sorted({text for text in column.texts if not any(c.isdigit() for c in text)})
    return words if len(words) <= 5 and all(len(word) <= 40 for word in words) else []


FREE = ("free", "gratis", "kostenlos", "gratuit", "gratuito")


def _reads(value: Any) -> bool:
    try:
        read_price(value)
    except BadPrice:
        return False
    return True


def is_surely_a_price(value: Any) -> bool:
    """Whether a text has cents, or the sign of a currency."""
    try:
        price = read_price(value)
    except BadPrice:
        return False
    cents = isinstance(value, str) and bool(re.search(r"[.,]\d\d\b", value))
    return cents or bool(price.currencies)


def has_currency(value: Any) -> bool:
    """Whether a text is an amount with a sign or a code of a currency beside it."""
    beside = re.sub(r"[\d\s.,'-]+", "", str(value))
    known = shapes.is_currency(beside) or any(sign in beside for sign in "€$£¥₹₩₽")
    return isinstance(value, str) and known and len(beside) < 6 and _reads(value)


def _amount(value: Any) -> float | None:
    try:
        price = read_price(value)
    except BadPrice:
        return None
    return price.amount if price.amount is not None else price.grouped


def prices(
    columns: Sequence[Column], *, named: bool = False
) -> tuple[list[Column], list[tuple[str, str]]]:
    """The columns of the price, that of a sale first, and what is doubtful about others; `named`:
    an export says that they are prices."""
    doubts: list[tuple[str, str]] = []
    found = [column for _, column in ranked(columns, "price", is_price)]
    if named:
        found = [column for column in columns if is_price(column)]
    sale = [c for c in found if tokens(c.name) & _SALE]
    usual = [c for c in found if c not in sale]
    # what others ask for it comes last, and first what only has a word for a price in its name
    usual.sort(key=lambda c: (not is_known_price(c.name), bool(tokens(c.name) & _LIST)))
    chosen: list[Column] = usual[:1]
    if usual and words_of_prices(usual[0]):  # where it says a word, the next one counts
        chosen += [c for c in usual[1:2] if not tokens(c.name) & _LIST]
    for column in sale[:1]:
        why = _not_a_sale(column, usual[0]) if usual else ""
        if why:
            doubts.append((column.name, why))
        else:
            chosen.insert(0, column)
    if not chosen:
        chosen = sale[:1]
    divided = {c.parents for c in columns if c.parents and last_of(c.name) == "divisor"}
    chosen = [_object_of(c) if c.parents in divided else c for c in chosen]
    if not chosen:
        inner = [c for c in columns if last_of(c.name) in ("centAmount", "unit_amount")]
        whole = [c for c in inner if c.parents and c.share(lambda v: type(v) is int) == 1]
        chosen = [_object_of(c) for c in whole[:1]]
    cents = [
        c.name
        for c in columns
        if tokens(c.name) & {"cent", "cents"} and not chosen and c.share(shapes.is_number) > 0.8
    ]
    doubts += [(name, "its amounts may be in cents, so it is left out") for name in cents]
    others = [c.name for c in usual[1:] if not tokens(c.name) & (_LIST | _NET) and c not in chosen]
    if others and not named:
        shown = ", ".join(map(repr, others[:3]))
        doubts.append((chosen[-1].name, f"is taken, not {shown}"))
    return chosen, doubts


def is_known_price(name: str) -> bool:
    """Whether a name is known for prices, and has not just a word for them."""
    found = field_rank(name, "price")
    return found is not None and found < len(words.FIELDS["price"])


def _object_of(column: Column) -> Column:
    """The object around an amount in cents, which says how many digits are behind the point."""
    owner = column.name.rpartition(".")[0]
    values = [(place, {last_of(column.name): value}) for place, value in column.values]
    return Column(owner, column.rows, values, parents=column.parents[:-1])


def _not_a_sale(sale: Column, usual: Column) -> str:
    """Why a column is no lower price than the usual one; "": it is one."""
    if any(_amount(value) == 0 for value in sale.parts) and not _are_plain_numbers(sale):
        return "says 0 where there is no sale, and 0 would be taken for the price"
    lower, of_usual = 0, usual.by_record()
    both = [(p, of_usual[r]) for r, p in sale.by_record().items() if r in of_usual]
    for one, other in both:
        amounts = _amount(one), _amount(other)  # 0: there is no sale
        lower += None in amounts or (amounts[0] or 0) <= (amounts[1] or 0)
    return "" if lower >= 0.9 * len(both) else "is higher than the usual price"


def is_seller(column: Column) -> bool:
    short = column.share(shapes.is_short) >= 0.9
    return is_prose(column) and short and not column.listed


def is_currency(column: Column) -> bool:
    def means_one(value: Any) -> bool:
        try:
            return shapes.is_currency(value) or (
                isinstance(value, str) and len(read_price(f"{value}1").currencies) == 1
            )
        except BadPrice:
            return False

    return column.share(means_one) >= 0.9


def is_url_column(column: Column) -> bool:
    images = column.share(shapes.is_image)
    if column.share(lambda v: bool(_FOR_PROGRAMS.search(str(v)))) > 0.5:
        return False
    return column.share(shapes.is_url) >= 0.8 and images < 0.5 and not column.listed


def is_operation(column: Column) -> bool:
    if tokens(column.name) & _DELETED:
        return column.share(shapes.is_truth) == 1
    known = column.share(lambda v: read_operation(v, {}) is not None)
    return known == 1 and not column.listed


def is_deleted(column: Column) -> bool:
    """Whether a truth value says which rows are deleted, whatever else its name says."""
    named = tokens(column.name)
    return bool(named & _DELETED) and not named & words.NEVER["operation"] and is_operation(column)


def operation_words(column: Column) -> dict[str, str]:
    """What truth values of a column like `is_deleted` mean; none for words that are known."""
    if all(read_operation(text, {}) for text in column.texts):
        return {}
    no = {"false", "0", "no", "nein", "non", "n", "f"}
    return {
        text: "upsert" if text.casefold() in no else "delete" for text in sorted(set(column.texts))
    }


def _are_plain_numbers(column: Column) -> bool:
    texts = column.texts
    return bool(texts) and all(re.fullmatch(r"\d+(\.\d+)?", text) for text in texts)


def price_path(column: Column, currency: Column | None) -> str:
    """The path to one price: of several the lowest, where all are numbers in one currency."""
    before, _, last = column.name.rpartition(".")
    plain_numbers = _are_plain_numbers(column)
    if tokens(column.name) & _SALE and not column.listed and 0 in map(_amount, column.parts):
        name = column.name if column.parents else quoted(column.name)
        return f"to_number({name}) > `0` && {name} || ''"
    mixed = currency is not None and "[]" in currency.name and currency.distinct > 1
    if "[]" not in before or not plain_numbers or mixed:
        return column.one
    return f"{before}.to_number({last}) | min(@)"


def takes_the_first(column: Column, path: str) -> bool:
    """Whether a path leads to the first of several values that a record has."""
    places = Counter(place for place, _ in column.values)
    return "[0]" in path and max(places.values(), default=0) > 1
