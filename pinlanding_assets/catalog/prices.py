"""Reads prices of any locale, and says so where one may be read in two ways.

price-parser and babel were tried: the first guesses where a number is ambiguous, the second has to
be told the locale. A price that is wrong by a factor of a thousand is worse than a row in the
rejects, so the rule stands here: a mark before exactly three digits says nothing by itself
("1.299"), and the other prices of its file decide.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

MAX_PRICE = 1e9  # a villa in rupiah; beyond it a price is a barcode in the wrong column
MAX_TEXT = 60  # characters
_SIGNS = {
    **{"€": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW", "₺": "TRY", "₽": "RUB", "₴": "UAH"},
    **{"₫": "VND", "฿": "THB", "₪": "ILS", "₱": "PHP", "₦": "NGN", "₡": "CRC", "₸": "KZT"},
    **{"zł": "PLN", "zl": "PLN", "kč": "CZK", "ft": "HUF", "lei": "RON", "лв": "BGN"},
    **{"руб": "RUB", "р": "RUB", "us$": "USD", "c$": "CAD", "ca$": "CAD", "a$": "AUD"},
    **{"au$": "AUD", "r$": "BRL", "hk$": "HKD", "nz$": "NZD", "s$": "SGD", "mx$": "MXN"},
    **{"元": "CNY", "円": "JPY", "원": "KRW", "fr": "CHF", "sfr": "CHF", "euro": "EUR"},
    **{"euros": "EUR", "tl": "TRY", "грн": "UAH"},
}
# signs of several currencies: the one that the catalog names has to be among them
_SHARED = {
    "$": "USD CAD AUD NZD SGD HKD MXN ARS CLP COP UYU TWD BBD BSD BZD JMD TTD XCD FJD NAD LRD",
    "¥": "JPY CNY",
    "kr": "SEK NOK DKK ISK",
    "rs": "INR PKR LKR NPR MUR SCR",
    "₨": "INR PKR LKR NPR MUR SCR",
}
# currencies whose prices have no cents: a mark before three digits separates thousands
_WITHOUT_CENTS = frozenset(["JPY", "KRW", "VND", "CLP", "ISK", "PYG", "UGX", "HUF", "IDR"])
# ... and whose smallest unit is the currency itself (ISO 4217)
WITHOUT_MINOR_UNIT = frozenset(("JPY", "KRW", "VND", "CLP", "PYG", "XAF", "XOF", "XPF", "RWF"))
_NUMBER = r"[0-9](?:[0-9.,'’ ]*[0-9])?"
_PRICE = re.compile(
    rf"(?P<before>[^\d\s.,'’+-][^\d\s,'’+-]{{0,7}})? ?(?P<number>{_NUMBER})"
    r"(?:[.,:](?:-{1,2}|–|—))? ?(?P<after>[^\d\s.,'’+-][^\d\s,'’+]{0,7})?"
)
_GROUPED = {mark: re.compile(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+") for mark in ".,'’ "}
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})*,\d{3}")


@dataclass(frozen=True)
class Price:
    """A price as it stands in a row.

    Attributes:
        amount: The amount; None where the mark may be either.
        grouped, fraction: Of an ambiguous one, the amount if its mark separates thousands, and if
            it stands before the cents.
        mark: The mark before the cents that this price shows, or for an ambiguous one its mark.
        currencies: Codes (ISO 4217) that its sign or code may mean; empty: it has none.
    """

    amount: float | None
    currencies: tuple[str, ...] = ()
    mark: str = ""
    grouped: float = 0.0
    fraction: float = 0.0

    @property
    def evidence(self) -> str:
        """The mark before the cents, where this price shows it."""
        return self.mark if self.amount is not None else ""


class BadPrice(ValueError):
    """A value that is no price; the message is the reason."""


def read_price(value: Any, decimal: str | None = None) -> Price:
    """The price that a text or a number says.

    Args:
        value: A number, or a text with at most one sign or code of a currency on either side.
        decimal: The mark before the cents, where it is known.

    Raises:
        BadPrice: it is none, is negative or beyond MAX_PRICE.
    """
    if isinstance(value, bool):
        raise BadPrice("not a number")
    if isinstance(value, int | float):
        return Price(_bounded(value))
    text = " ".join(str(value).split())  # also the narrow spaces that separate thousands
    match = _PRICE.fullmatch(text) if len(text) <= MAX_TEXT else None
    if match is None:
        raise BadPrice("not a number")
    currencies = _currencies(match["before"], match["after"])
    return _amount(match["number"], decimal, currencies)


def _amount(number: str, decimal: str | None, currencies: tuple[str, ...]) -> Price:
    for mark in "'’ ":
        if mark in number:
            head, _, tail = re.fullmatch(r"([^.,]*)([.,]?)(.*)", number).groups()  # type: ignore
            if not _GROUPED[mark].fullmatch(head) or mark in tail:
                raise BadPrice("not a number")
            number = number.replace(mark, "")
    marks = [c for c in number if c in ".,"]
    if not marks:
        return Price(_bounded(float(number)), currencies)
    last, other = marks[-1], "," if marks[-1] == "." else "."
    if other in marks:  # both: the last one stands before the cents
        head, _, tail = number.rpartition(last)
        if last in head or not _is_grouped(head, other) or decimal == other:
            raise BadPrice("not a number")
        return Price(_bounded(float(f"{head.replace(other, '')}.{tail}")), currencies, last)
    if len(marks) > 1:  # one of them, several times: thousands
        if not _is_grouped(number, last) or decimal == last:
            raise BadPrice("not a number")
        return Price(_bounded(float(number.replace(last, ""))), currencies, other)
    head, _, tail = number.partition(last)
    fraction = _bounded(float(f"{head}.{tail}"))
    if len(tail) != 3 or len(head) > 3 or head.startswith("0"):
        if decimal == other:
            raise BadPrice(f"{last} stands before {len(tail)} digits, but `decimal` is {decimal}")
        return Price(fraction, currencies, last)
    grouped = _bounded(float(head + tail))
    if decimal:
        return Price(fraction if decimal == last else grouped, currencies, decimal)
    if currencies and _WITHOUT_CENTS.issuperset(currencies):
        return Price(grouped, currencies)
    if currencies == ("JPY", "CNY") and last == ",":  # neither has a comma before cents
        return Price(grouped, currencies)
    return Price(None, currencies, last, grouped, fraction)


def _is_grouped(number: str, mark: str) -> bool:
    indian = mark == "," and _INDIAN.fullmatch(number)
    return bool(_GROUPED[mark].fullmatch(number) or indian)


def _bounded(amount: float) -> float:
    try:
        amount = float(amount)
    except OverflowError:
        amount = math.inf
    if not 0 <= amount <= MAX_PRICE:  # not so for NaN either
        raise BadPrice(f"not between 0 and {MAX_PRICE:.0f}")
    return round(amount, 9)  # without the noise of floats: 22.990000000000002


def _currencies(before: str | None, after: str | None) -> tuple[str, ...]:
    if before and after:
        before, after = before.casefold().strip("."), after.casefold().strip(".")
        both = [set(_meant(before)), set(_meant(after))]
        common = sorted(both[0] & both[1])
        if not common:
            raise BadPrice("two signs of currencies")
        return tuple(common)
    sign = (before or after or "").strip()
    return _meant(sign.casefold().strip(".")) if sign else ()


def _meant(sign: str) -> tuple[str, ...]:
    if sign in _SIGNS:
        return (_SIGNS[sign],)
    if sign in _SHARED:
        return tuple(_SHARED[sign].split())
    if len(sign) == 3 and sign.isascii() and sign.isalpha():
        return (sign.upper(),)
    raise BadPrice("not a number")
