"""What single values look like: an image, an address, a number, a text with markup."""

import re
from typing import Any

from pinlanding_assets.catalog.values import BYTES, attachments
from pinlanding_assets.catalog.words import is_nothing

NO_WORDS: frozenset[str] = frozenset()
_ENDING = re.compile(
    r"\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|heic|jp2)($|[?#&/])", re.IGNORECASE
)
_URL = re.compile(r"(https?:)?//[^/\s]\S*", re.IGNORECASE)
_HTML = re.compile(r"</?(p|br|div|ul|li|span|strong|b|i|em|h[1-6]|table|a)\b[^>]*>", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(\d+|\d{1,3}([ \u00a0\u202f]\d{3})+)([.,]\d+)?([eE][-+]?\d+)?")
_MEDIA_TYPE = re.compile(r"(image|video|audio|application|text|model)/[\w.+-]+", re.IGNORECASE)
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}( \d.*)?|"
    r"\d{4}-\d\d-\d\dT\S+"
)
_LOCAL = re.compile(r"[^\s\"'<>|{}\[\]]*[\\/][^\"'<>|{}\[\]]*")
_DOCUMENT = re.compile(r'\s*\{\s*"[^"]*"\s*:')
_CURRENCY = re.compile(
    "EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|TRY|JPY|CNY|KRW|INR|AUD|CAD|NZD|SGD|HKD|"
    "TWD|THB|IDR|MYR|PHP|VND|BRL|MXN|ARS|CLP|COP|PEN|ZAR|NGN|KES|EGP|AED|SAR|ILS|UAH|RUB|KZT|ISK",
    re.IGNORECASE,
)
TRUTH = {"true", "false", "yes", "no", "0", "1", "ja", "nein", "oui", "non", "y", "n", "t", "f"}


def is_blank(value: Any) -> bool:
    """Whether a value says nothing."""
    if value is None or value == [] or value == {}:
        return True
    return (isinstance(value, str) and is_nothing(value, NO_WORDS)) or value != value


def is_image(value: Any) -> bool:
    """Whether a value is an image for sure: a file's ending says so, or it is bytes."""
    if isinstance(value, dict):
        return BYTES in value
    if not isinstance(value, str) or len(value) > 2100 or value.startswith("data:"):
        return False
    named = [value.partition(" (")[0]] if attachments(value) else []
    return any(_ENDING.search(one) for one in [*named, *(attachments(value) or [value.strip()])])


def is_url(value: Any) -> bool:
    return isinstance(value, str) and bool(_URL.fullmatch(value.strip()))


def is_path(value: Any) -> bool:
    text = value.strip() if isinstance(value, str) else "data:"
    if is_url(text) or text.startswith("data:") or _MEDIA_TYPE.fullmatch(text):
        return False
    return bool(_LOCAL.fullmatch(text))


def is_number(value: Any) -> bool:
    if isinstance(value, str):
        return bool(_NUMBER.fullmatch(value.strip()))
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_date(value: Any) -> bool:
    return isinstance(value, str) and bool(_DATE.fullmatch(value.strip()))


def is_truth(value: Any) -> bool:
    return isinstance(value, bool) or str(value).strip().casefold() in TRUTH


def is_currency(value: Any) -> bool:
    return isinstance(value, str) and bool(_CURRENCY.fullmatch(value.strip()))


def is_document(value: Any) -> bool:
    """Whether a text is a JSON object, as editors keep their texts."""
    return isinstance(value, str) and bool(_DOCUMENT.match(value)) and value.rstrip()[-1:] == "}"


def has_markup(value: Any) -> bool:
    return isinstance(value, str) and bool(_HTML.search(value))


def is_short(value: Any, characters: int = 60, parts: int = 6) -> bool:
    """Whether a value is a word or a few."""
    text = str(value)
    return len(text) <= characters and len(text.split()) <= parts and "\n" not in text


def text_of(value: Any) -> str:
    """A value as the stage of the catalog shows it: 101.0 is 101."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).strip()
