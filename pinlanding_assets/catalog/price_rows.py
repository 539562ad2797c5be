"""Prices of rows: amounts of any form, and the currency that each has."""

import re
from typing import Any

import polars as pl

from pinlanding_assets.catalog.cells import Block, Column, column_of
from pinlanding_assets.catalog.prices import WITHOUT_MINOR_UNIT, BadPrice, Price, read_price
from pinlanding_assets.catalog.values import Problem
from pinlanding_assets.catalog.words import is_nothing

_CODE = re.compile("[A-Z]{3}")
_AMOUNTS = (  # the first that is there
    "amount",
    "value",
    "price",
    "current",
    "centAmount",
    "min",
    "unit_amount",
)
_CODES = ("currency", "currencyCode", "currency_code", "priceCurrency", "unit")
_WHOLE = r"^[0-9]{1,9}$"
_NUMBER = r"^[0-9]{1,8}(\.[0-9]{1,2})?$"
_PRICE = pl.Struct(
    {
        **{"amount": pl.Float64, "mark": pl.String, "grouped": pl.Float64},
        **{"ambiguous": pl.String, "meant": pl.List(pl.String)},
    }
)


class PriceReader:
    """Reads the prices of rows and their currencies.

    Args:
        decimal: The mark before the cents of prices that are texts; None: each says it.
        default: The currency of prices that name none.
        nulls: Further words for a missing value, casefolded.
    """

    def __init__(self, decimal: str | None, default: str | None, nulls: frozenset[str]):
        self._decimal, self._default, self._nulls = decimal, default, nulls

    def read(self, block: Block, received: Column, named: Column) -> tuple[pl.DataFrame, pl.Series]:
        """Prices, and their currencies: without a price there is none.

        Args:
            block: The rows.
            received: Their prices.
            named: Their currencies, where another column says them.
        """
        objects = {p: v for p, v in received.others.items() if isinstance(v, dict | list)}
        if objects:
            values, codes = received.values(), named.values()
            for place, value in objects.items():
                values[place], code = amount_of(value)
                codes[place] = code if codes[place] is None else codes[place]
            received, named = column_of(values), column_of(codes)
        prices = self._amounts(block, received)
        codes = block.read(named, self._code)
        default = self._default
        frame = prices.select("meant", code=codes).with_row_index("place")
        said = frame.filter(pl.col("meant").list.len() > 0).unique(["meant", "code"])
        decided = [(m, c, *_currency(m, c, default)) for _, m, c in said.iter_rows()]
        kinds = {"meant": pl.List(pl.String), "code": pl.String}
        table = pl.DataFrame(
            decided, schema={**kinds, "currency": pl.String, "reason": pl.String}, orient="row"
        )
        frame = frame.join(
            table, on=["meant", "code"], how="left", nulls_equal=True, maintain_order="left"
        )
        for place, reason in frame.filter(pl.col("reason").is_not_null())["place", "reason"].rows():
            value = received.texts[place] or received.others.get(place)
            block.note(place, Problem("currency", reason, value, fatal=True))
        found = frame.select(
            pl.when(pl.col("meant").is_null())
            .then(None)
            .when(pl.col("meant").list.len() > 0)
            .then("currency")
            .otherwise(pl.col("code").fill_null(pl.lit(default, pl.String)))
        ).to_series()
        return prices, found

    def _amounts(self, block: Block, received: Column) -> pl.DataFrame:
        """Prices with the columns of _PRICE; plain numbers, which most are, all at once."""
        text = pl.col("text")
        number = _WHOLE if self._decimal == "," else _NUMBER
        frame = pl.DataFrame({"text": received.texts}).with_columns(
            plain=text.str.contains(number).fill_null(False)
        )
        if not frame["plain"].any():
            return block.read(received, self._price, _PRICE).struct.unnest()
        rest = Column(received.texts.set(frame["plain"], None), received.others)
        others = block.read(rest, self._price, _PRICE).struct.unnest()
        amount = text.cast(pl.Float64, strict=False)
        mark = pl.when(text.str.contains(".", literal=True)).then(pl.lit("."))
        plain = pl.col("plain")
        return pl.concat([frame, others], how="horizontal").select(
            pl.when(plain).then(amount).otherwise("amount").alias("amount"),
            pl.when(plain).then(mark).otherwise("mark").alias("mark"),
            "grouped",
            "ambiguous",
            pl.when(plain).then(pl.lit([], pl.List(pl.String))).otherwise("meant").alias("meant"),
        )

    def _price(self, value: Any) -> Any:
        if _is_nothing(value, self._nulls):
            return None
        try:
            price = read_price(value, self._decimal)
        except BadPrice as error:
            return Problem("price", str(error), value, fatal=True)
        return _price_row(price)

    def _code(self, value: Any) -> Any:
        if _is_nothing(value, self._nulls):
            return None
        text = value.strip() if isinstance(value, str) else ""
        if _CODE.fullmatch(text.upper()):
            return text.upper()
        try:
            meant = read_price(f"{text}1").currencies
        except BadPrice:
            meant = ()
        if len(meant) == 1:  # a sign that is of one currency
            return meant[0]
        return Problem("currency", "not a code of three letters (ISO 4217)", value, fatal=True)


def _price_row(price: Price) -> dict[str, Any]:
    unclear = price.amount is None
    return {
        "amount": price.amount,
        "mark": price.evidence or None,
        "grouped": price.grouped if unclear else None,
        "ambiguous": f"{price.mark}{price.fraction}" if unclear else None,
        "meant": list(price.currencies),
    }


def _currency(
    meant: list[str], code: str | None, default: str | None
) -> tuple[str | None, str | None]:
    """The currency of a price that has a sign, and what is wrong with it."""
    if len(meant) == 1 and not code:
        return meant[0], None
    found = code or default
    if found and found not in meant:
        return None, f"the price says {'/'.join(meant[:3])}, its currency is {found}"
    return found, None


def amount_of(value: Any) -> tuple[Any, Any]:
    """The amount and the currency that an object says; without an amount, the object.

    Amounts in the smallest unit of a currency (`centAmount`, `unit_amount`, or beside a `divisor`)
    become amounts in the currency itself.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return value, None
    code = next((value[name] for name in _CODES if isinstance(value.get(name), str)), None)
    name = next((n for n in _AMOUNTS if n in value and not isinstance(value[n], dict | list)), None)
    if name is None:
        return value, code
    amount = value[name]
    try:
        if name == "centAmount":
            return amount / 10 ** value.get("fractionDigits", 2), code
        if name == "unit_amount":
            return amount / (1 if str(code).upper() in WITHOUT_MINOR_UNIT else 100), code
        if value.get("divisor") is not None:
            return amount / value["divisor"], code
    except (TypeError, OverflowError, ZeroDivisionError):
        return value, code
    return amount, code


def _is_nothing(value: Any, nulls: frozenset[str]) -> bool:
    return value is None or (isinstance(value, str) and is_nothing(value, nulls))
