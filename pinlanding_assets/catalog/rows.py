"""Reads one row of a feed: maps its columns, checks and cleans each value."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.text import clean

MAX_TITLE_RECEIVED = 10_000  # characters; a longer one is no title
_MAX_PARTS = 200  # of a list, or of a text that is split
_OPERATIONS = {
    "upsert": {"upsert", "insert", "add", "added", "create", "created", "new", "put"}
    | {"update", "updated", "change", "changed", "modify", "modified", "replace"},
    "delete": {"delete", "deleted", "del", "remove", "removed", "drop", "dropped"},
}
_AVAILABILITY = {
    "in_stock": {"instock", "available", "yes", "true", "y", "instoreonly", "onlineonly"}
    | {"limitedavailability", "lowstock"},
    "out_of_stock": {"outofstock", "soldout", "unavailable", "notavailable", "discontinued"}
    | {"no", "false", "n"},
    "preorder": {"preorder", "presale", "backorder", "backordered", "comingsoon"},
}
_OPERATION_OF = {word: name for name, words in _OPERATIONS.items() for word in words}
_AVAILABILITY_OF = {word: name for name, words in _AVAILABILITY.items() for word in words}
# "19.99", "19.99 EUR", "EUR 19.99" or one sign on either side: "$19.99". A comma is refused: it
# is a decimal point in one half of the world and a thousands separator in the other.
_SIGN = r"[A-Z]{3}|[$\u00a2-\u00a5\u0e3f\u20a0-\u20cf]"
_PRICE = re.compile(
    rf"(?P<before>{_SIGN})? ?(?P<number>[0-9]{{1,12}}(\.[0-9]{{1,6}})?) ?(?P<after>{_SIGN})?"
)


class Rejected(Exception):
    """A row, or one of its values, that cannot be taken over."""

    def __init__(self, field: str, reason: str, value: Any):
        super().__init__(field, reason, value)
        self.field, self.reason, self.value = field, reason, value


class ProductRow:
    """One row: its id once that is known, and notes on single values that were left out."""

    def __init__(self, mapping: Mapping[str, Any]):
        self.columns: Mapping[str, Any] = mapping["columns"]
        self.attribute_columns: Mapping[str, Any] = mapping.get("attributes") or {}
        self.defaults: Mapping[str, Any] = mapping.get("defaults") or {}
        self.product_id: str | None = None
        self.notes: list[Rejected] = []
        self.record: dict[str, Any] = {}

    def read(self, record: str, error: str | None) -> tuple[tuple, list[str]]:
        """The values of catalog.products up to `attributes`, and the image references."""
        if error is not None:
            raise Rejected("record", error, record)
        try:
            value = json.loads(record)
        except (ValueError, RecursionError) as problem:
            raise Rejected("record", f"not JSON: {problem}", record) from None
        if not isinstance(value, dict):
            raise Rejected("record", "not a JSON object", record)
        self.record = value
        self.product_id = product_id = self._id()
        operation = self._operation()
        if operation == "delete":
            return (product_id, operation, "", "", [], None, None, None, "unknown", None, []), []
        title = self._text("title", schema.MAX_TITLE, refuse_beyond=MAX_TITLE_RECEIVED)
        description = self._text("description", schema.MAX_DESCRIPTION)
        price, currency = self._price()
        seller = self._text("seller", schema.MAX_TITLE) or self.defaults.get("seller")
        availability, url = self._availability(), self._url()
        attributes, images = self._attributes(), self._images()
        if not (title or description or attributes or images):
            reason = "neither text nor image nor attributes"
            raise Rejected("title", reason, self.record)
        values = (product_id, operation, title, description, [], price, currency, seller)
        return (*values, availability, url, attributes), images

    def _value(self, field: str) -> Any:
        column = self.columns.get(field)
        return self.record.get(column) if column else None

    def _string(self, field: str) -> str:
        value = self._value(field)
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        raise Rejected(field, f"wrong type: text expected, not {_type(value)}", value)

    def _text(self, field: str, limit: int, refuse_beyond: int | None = None) -> str:
        text = self._string(field)
        if refuse_beyond and len(text) > refuse_beyond:
            raise Rejected(field, f"longer than {refuse_beyond} characters: {len(text)}", text)
        return clean(text, limit)

    def _id(self) -> str:
        text = self._string("id").strip()
        if not text:
            raise Rejected("id", "missing or blank", self.record)
        if len(text) > schema.MAX_ID or not text.isprintable():
            raise Rejected("id", f"not 1 to {schema.MAX_ID} printable characters", text)
        return text

    def _operation(self) -> str:
        word = self._string("operation").strip().lower()
        if word and word not in _OPERATION_OF:
            raise Rejected("operation", "unknown operation", word)
        return _OPERATION_OF.get(word, "upsert")

    def _price(self) -> tuple[float | None, str | None]:
        """Price and currency; the currency is that of the price, so without one there is none."""
        text = self._string("price").strip()
        if not text:
            return None, None
        price, named = self._value("price"), None
        if isinstance(price, str):
            match = _PRICE.fullmatch(clean(text, 40))
            if not match or (match["before"] and match["after"]):
                raise Rejected("price", "not a number", text)
            price = float(match["number"])
            mark = match["before"] or match["after"] or ""
            named = mark if len(mark) == 3 else None
        if not 0 <= price <= schema.MAX_PRICE:  # not so for NaN either
            raise Rejected("price", f"not between 0 and {schema.MAX_PRICE:.0f}", text)
        currency = self._string("currency").strip().upper() or named
        currency = currency or self.defaults.get("currency")
        if currency and not re.fullmatch("[A-Z]{3}", currency):
            raise Rejected("currency", "not a code of three letters (ISO 4217)", currency)
        return float(price), currency

    def _availability(self) -> str:
        value = self._value("availability")
        if isinstance(value, bool):
            return "in_stock" if value else "out_of_stock"
        text = self._string("availability").strip().lower()[-60:]
        if re.fullmatch(r"-?[0-9]+(\.[0-9]*)?", text):  # a stock level
            return "in_stock" if float(text) > 0 else "out_of_stock"
        word = re.sub(r"[^a-z]", "", text.rpartition("/")[2])  # https://schema.org/InStock
        return _AVAILABILITY_OF.get(word, "unknown")

    def _url(self) -> str | None:
        text = self._string("url").strip()
        if not text:
            return None
        usable = text.isprintable() and " " not in text and len(text) <= schema.MAX_URL
        if usable and re.match(r"https?://[^/]", text, re.IGNORECASE):
            scheme, _, rest = text.partition(":")
            return f"{scheme.lower()}:{rest}"
        self.notes.append(Rejected("url", "not an http(s) address", text))
        return None

    def _images(self) -> list[str]:
        sources: dict[str, None] = {}
        for column in self.columns.get("images") or []:
            for value in _several(self.record.get(column["column"]), column.get("split")):
                if not isinstance(value, str):
                    reason = f"wrong type: text expected, not {_type(value)}"
                    self.notes.append(Rejected("images", reason, value))
                elif not value.isprintable() or len(value) > schema.MAX_URL:
                    self.notes.append(Rejected("images", "not a path or address", value))
                else:
                    sources[value] = None
                if len(sources) > schema.MAX_IMAGES:
                    reason = f"more than {schema.MAX_IMAGES} images"
                    self.notes.append(Rejected("images", reason, value))
                    return list(sources)[: schema.MAX_IMAGES]
        return list(sources)

    def _attributes(self) -> list[dict[str, str]]:
        pairs: dict[tuple[str, str], None] = {}
        for key, column in self.attribute_columns.items():
            received = self.record.get(column["column"])
            renamed = column.get("values") or {}
            members = self._members(received) if key == "*" else {key: received}
            for name, value in members.items():
                name = clean(name, schema.MAX_ATTRIBUTE + 1)
                for part in _several(value, column.get("split")):
                    text = self._attribute(name, part, renamed)
                    if text:
                        pairs[name, text] = None
                    if len(pairs) > schema.MAX_ATTRIBUTES:
                        reason = f"more than {schema.MAX_ATTRIBUTES} attributes"
                        self.notes.append(Rejected(f"attributes.{name}", reason, text))
                        pairs.popitem()
                        return [{"key": k, "value": v} for k, v in pairs]
        return [{"key": k, "value": v} for k, v in pairs]

    def _members(self, value: Any) -> dict[str, Any]:
        if value is None or value == "":
            return {}
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise Rejected("attributes", "not a JSON object", value) from None
        if not isinstance(value, dict):
            raise Rejected("attributes", "not a JSON object", value)
        return value

    def _attribute(self, name: str, value: Any, renamed: Mapping[str, str]) -> str:
        """The cleaned value; empty, with a note, if it is none."""
        if isinstance(value, int):
            value = str(value)  # True, as tables write it, for a truth value too
        elif isinstance(value, float) and math.isfinite(value):
            value = f"{value:.15g}"  # 38.0, as tables hold it, is 38
        reason = None
        if not isinstance(value, str):
            reason = f"wrong type: text expected, not {_type(value)}"
        text = clean(value, schema.MAX_ATTRIBUTE + 1) if isinstance(value, str) else ""
        text = renamed.get(text, text)
        if not name or max(len(name), len(text)) > schema.MAX_ATTRIBUTE:
            reason = f"key or value not 1 to {schema.MAX_ATTRIBUTE} characters"
        if reason:
            field = f"attributes.{name[: schema.MAX_ATTRIBUTE]}"
            self.notes.append(Rejected(field, reason, value))
            return ""
        return text


def _several(value: Any, split: str | None) -> list[Any]:
    """A value that may be a list, or a text of several parts; without those that are empty."""
    values = value if isinstance(value, list) else [value]
    if split:
        values = [v.split(split, _MAX_PARTS) if isinstance(v, str) else [v] for v in values]
        values = [part for parts in values for part in parts]
    values = values[:_MAX_PARTS]
    stripped = (v.strip() if isinstance(v, str) else v for v in values)
    return [v for v in stripped if v is not None and v != ""]


def _type(value: Any) -> str:
    names = {bool: "true or false", dict: "an object", list: "a list", type(None): "nothing"}
    return names.get(type(value), "a number")
