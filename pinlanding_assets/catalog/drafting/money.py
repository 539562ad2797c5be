"""The currency of prices, and the mark before their cents."""

import re
from collections import Counter
from collections.abc import Sequence

from pinlanding_assets.catalog.drafting import shapes
from pinlanding_assets.catalog.drafting.names import plain, spoken
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.samples import Draft
from pinlanding_assets.catalog.prices import BadPrice, Price, read_price

_SIGNS = {"€": "EUR", "£": "GBP", "₹": "INR", "zł": "PLN", "kč": "CZK"}
_CODES = re.compile(
    r"\b(eur|usd|gbp|chf|sek|nok|dkk|pln|czk|huf|inr|aud|cad|jpy|cny|brl|mxn|ron|bgn|try|nzd|sgd|zar)\b"
)


def describe(
    draft: Draft, prices: Sequence[Column], currency: Column | None, names: Sequence[str] = ()
) -> None:
    """Sets `decimal` and `defaults.currency` where the prices say them, or a name of a column."""
    read = [price for column in prices for price in _read(column)]
    _decimal(draft, read, prices)
    if currency is not None and currency.fill >= 0.999 * max((p.fill for p in prices), default=0):
        return
    signs = Counter(price.currencies for price in read)
    stated = {signs_of for signs_of in signs if signs_of}
    header = next((code for column in prices if (code := _of_name(column.name))), None)
    said = next((m[1] for n in names if (m := re.search("Currency=([A-Z]{3})", n))), None)  # eBay
    header = header or said
    single = {codes[0] for codes in stated if len(codes) == 1}
    if header and all(header in codes for codes in stated):
        draft.settings.setdefault("defaults", {})["currency"] = header
        draft.reasons["defaults.currency"] = "the name of the column of prices says so"
    elif len(single) == 1 and all(next(iter(single)) in codes for codes in stated):
        if signs[()] or len(stated) > 1:
            code = next(iter(single))
            draft.settings.setdefault("defaults", {})["currency"] = code
            draft.reasons["defaults.currency"] = "the prices that say a currency say this one"
            if currency is None and signs[()] > 0.5 * len(read):
                draft.doubt("defaults.currency", f"most prices say no currency; others say {code}")
    elif any(len(codes) > 1 for codes in stated) and not single:
        codes = next(codes for codes in stated if len(codes) > 1)
        draft.doubt(
            "defaults.currency", f"the sign of the prices may be {', '.join(codes[:4])}; say which"
        )
    elif signs[()] and currency is None:
        draft.doubt("defaults.currency", "nothing says the currency of the prices; say it here")


def _read(column: Column) -> list[Price]:
    found = []
    for value in column.parts:
        try:
            found.append(read_price(value))
        except BadPrice:
            continue
    return found


def _decimal(draft: Draft, read: Sequence[Price], prices: Sequence[Column]) -> None:
    evidence = Counter(price.evidence for price in read if price.evidence)
    unclear = [price for price in read if price.amount is None]
    if len(evidence) > 1:
        draft.doubt(
            "decimal",
            "some prices have a comma before their cents, others a point; each is read by itself, "
            "and one that may be read in two ways is refused",
        )
    elif evidence:
        mark = next(iter(evidence))
        draft.settings["decimal"] = mark
        draft.reasons["decimal"] = "so the prices are written"
    elif unclear:
        shown = next(
            text for c in prices for text in c.texts if (p := _maybe(text)) and p.amount is None
        )
        draft.doubt(
            "decimal",
            f"prices like {shown[:40]!r} may be read in two ways, so they are refused: "
            'say decimal: "," (thousands have a point) or decimal: "."',
        )


def _maybe(text: str) -> Price | None:
    try:
        return read_price(text)
    except BadPrice:
        return None


def _of_name(name: str) -> str | None:
    lowered = name.casefold()
    for sign, code in _SIGNS.items():
        if sign in lowered:
            return code
    for form in (plain(name), *spoken(name)):
        if match := _CODES.search(form):
            return match[1].upper() if shapes.is_currency(match[1]) else None
    return None
