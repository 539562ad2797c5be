"""Looks at drafted products as a shopper sees them, and says what looks wrong in them."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pinlanding_assets.catalog.drafting import shapes
from pinlanding_assets.catalog.drafting.doubt_words import KEYS_OF_NOTHING
from pinlanding_assets.catalog.drafting.names import plain, tokens
from pinlanding_assets.catalog.drafting.samples import Draft
from pinlanding_assets.catalog.drafting.words import IMAGE_TOKENS

_OBJECT = re.compile(r"\s*[\[{].*[\]}]\s*", re.DOTALL)
_PAIRS = re.compile(r"[^\W\d][\w /-]{0,30}\s*[:=]\s*[^:=;|\n]{1,60}([;|\n,]|$)")
_CODE = re.compile(r"(?=.*\d)[\w./#-]+|[0-9a-f-]{16,}")
_ENTITY = re.compile(r"&(amp|lt|gt|quot|nbsp|#\d+);|</?[a-z]+[^>]*>|\*\*\w|\[\[|\{\{|\\[nu]")
_SMALL = re.compile(
    r"thumb|(?<![a-z])(tiny|icon|mini|placeholder|no[-_]?image|swatch|logo)(?![a-z])|"
    r"(?<!\d)[!,_/-]?([1-9]\d|1\d\d)[x,]([1-9]\d|1\d\d)(?!\d)|[?&](w|width|size)=\d{1,2}(?!\d)",
    re.IGNORECASE,
)
_SERVED = re.compile(
    r"/(full|max|default|\d+,\d*)/|/iiif/|format=|[?&](id|file|image|img)=", re.IGNORECASE
)
_NO_IMAGE = re.compile(r"\.(json|xml|html?|pdf|mp4|mov|zip|glb|txt|csv|mp3)([?#]|$)|manifest", re.I)
_MANY = 4  # products, from which on what is equal in all says something
_MAX_RATIO = 20_000


def tell_of_products(draft: Draft, products: Sequence[dict[str, Any]], columns: set[str]) -> None:
    """Notes values that no shopper should see: codes, JSON, lists, other people's images.

    Args:
        draft: What the doubts are added to.
        products: The first products, with `attributes` and `images`.
        columns: The names of the columns.
    """
    if not products:
        return
    for name in ("title", "description"):
        _tell_of_texts(draft, name, [product[name] for product in products if product[name]])
    _tell_of_prices(draft, products)
    _tell_of_attributes(draft, products, {plain(name) for name in columns})
    _tell_of_images(draft, products)
    _tell_of_sellers(draft, [product["seller"] for product in products if product["seller"]])


def _some(texts: Sequence[str], test: Callable[[str], Any]) -> str:
    """The first of texts that pass a test, where at least a tenth of them do; "": they do not."""
    found = [text for text in texts if test(text)]
    return found[0] if found and len(found) >= 0.1 * len(texts) else ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def _is_pairs(text: str) -> bool:
    """Whether a text is a list of keys and values: at least two of them, and nothing else."""
    parts = [part for part in re.split(r"[;|\n]|,(?=[^,:=]*[:=])", text) if part.strip()]
    several = len(parts) > 1 and all(_PAIRS.fullmatch(part.strip()) for part in parts)
    return several and "://" not in text


def _tell_of_texts(draft: Draft, name: str, texts: list[str]) -> None:
    setting = f"columns.{name}"
    if not texts:
        return
    for test, why in (
        (_OBJECT.fullmatch, "is an object or a list"),
        (_is_pairs, "is a list of keys and values"),
        (shapes.is_url, "is an address"),
        (_ENTITY.search, "has marks of a program in it"),
    ):
        if one := _some(texts, test):
            draft.doubt(setting, f"{_shown(one)} {why}")
            return
    codes = sum(bool(_CODE.fullmatch(text)) for text in texts)
    if codes > 0.5 * len(texts) and name == "title":
        draft.doubt(setting, f"most are codes, like {_shown(texts[0])}")
    text, times = Counter(texts).most_common(1)[0]
    often = times > (0.3 if name == "title" else 0.5) * len(texts)
    known = any("share their title" in doubt for doubt in draft.unsure.get("columns.id", ()))
    if len(texts) >= _MANY and often and not (known and name == "title"):
        draft.doubt(setting, f"{times} of {len(texts)} products have {_shown(text)}")


def _tell_of_prices(draft: Draft, products: Sequence[dict[str, Any]]) -> None:
    amounts = [float(p["price"]) for p in products if p["price"] is not None]
    if not amounts:
        return
    zero = sum(amount == 0 for amount in amounts)
    if zero:
        draft.doubt("columns.price", f"{zero} of {len(amounts)} products cost 0")
    paid = [amount for amount in amounts if amount]
    if len(paid) >= 3 and all(a >= 500 and a.is_integer() and a % 5 == 0 for a in paid):
        odd = sum(a % 100 in (0, 50, 90, 95, 99) or a % 10 in (0, 5, 9) for a in paid)
        cents = not set(_currencies(products)) & {"JPY", "KRW", "HUF", "CLP", "IDR", "VND", "COP"}
        if odd == len(paid) and cents and any(a % 100 for a in paid):
            draft.doubt("columns.price", f"all are whole and high, like {paid[0]:.0f}; in cents?")
    if paid and max(paid) > _MAX_RATIO * min(paid):
        told = f"they go from {min(paid):g} to {max(paid):g}; are all of them prices?"
        draft.doubt("columns.price", told)
    stated = "currency" in draft.settings["columns"]
    if len(found := _currencies(products)) > 1 and not stated:
        shown = ", ".join(f"{code} {times}" for code, times in found.most_common(4))
        draft.doubt("columns.currency", f"products have several: {shown}", minor=True)


def _currencies(products: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(p["currency"] for p in products if p["currency"] and p["price"] is not None)


def _tell_of_attributes(
    draft: Draft, products: Sequence[dict[str, Any]], columns: set[str]
) -> None:
    values: dict[str, list[str]] = {}
    for product in products:
        for pair in product["attributes"]:
            values.setdefault(pair["key"], []).append(str(pair["value"]))
    empty = [key for key in values if len(plain(key)) < 2 or plain(key).isdigit()]
    empty += [key for key in values if plain(key) in KEYS_OF_NOTHING and key not in empty]
    if empty:
        shown = ", ".join(_shown(f"{key}: {values[key][0]}") for key in empty[:3])
        draft.doubt("attributes", f"these keys say nothing: {shown}")
    bad: list[str] = []
    for key, texts in values.items():
        why = _wrong_values(texts, columns)
        if why and key not in empty:
            bad.append(f"{key} ({why})")
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        draft.doubt("attributes", f"values may not be single words: {', '.join(bad[:3])}{more}")
    if len(values) > 60 and len(values) > 3 * len(products):
        draft.doubt("attributes", f"there are {len(values)} different keys; are they keys?")


def _wrong_values(texts: list[str], columns: set[str]) -> str:
    """What is wrong with the values of a key; "": nothing."""
    for test in (_OBJECT.fullmatch, shapes.is_url, _is_pairs, _ENTITY.search):
        if one := _some(texts, test):
            return _shown(one)
    words = {plain(text) for text in texts}
    if len(words & columns) > 1 and len(words & columns) > 0.5 * len(words):
        return f"{_shown(texts[0])} is the name of a column"
    for mark in ("|", ";", "~", "^", " / ", ","):
        several = [t for t in texts if len([p for p in t.split(mark) if p.strip()]) > 1]
        parts = [part.strip() for text in several for part in text.split(mark) if part.strip()]
        short = bool(parts) and all(shapes.is_short(part, 30, 3) for part in parts)
        numbers = any(re.search(r"\d,\d", text) for text in several)
        often = mark not in (",", " / ") or len(set(parts)) <= 0.7 * len(parts)
        if short and often and not numbers and len(several) >= 0.3 * len(texts):
            return _shown(several[0])
    if len(texts) > 2 and all(re.fullmatch(r"[0-9a-f]{8,}|\d{4,}|(true|false)", t) for t in texts):
        years = all(re.fullmatch(r"(1\d|20)\d\d", text) for text in texts)
        return "" if years else _shown(texts[0])
    return ""


def _tell_of_images(draft: Draft, products: Sequence[dict[str, Any]]) -> None:
    of_each = [[str(one) for one in product["images"]] for product in products]
    stated = [
        one for images in of_each for one in images if not one.startswith(("bytes:", "data:"))
    ]
    setting = "columns.images"
    if not stated:
        return
    if one := next((one for one in stated if _NO_IMAGE.search(one)), ""):
        draft.doubt(setting, f"{_told(one)} is no image")
    elif one := _some(stated, lambda v: not shapes.is_image(v) and not _SERVED.search(v)):
        named = tokens(str(draft.settings["columns"].get("images"))) & IMAGE_TOKENS
        if not (named and shapes.is_url(one)):
            draft.doubt(setting, f"{_told(one)} does not end like an image")
    if one := _some(stated, _SMALL.search):
        draft.doubt(setting, f"{_told(one)} looks like a small copy, or like no photo")
    mixed = [images for images in of_each if len({"//" in one for one in images}) > 1]
    if mixed:
        draft.doubt(
            setting, f"addresses and bare names are mixed: {', '.join(map(_told, mixed[0][:2]))}"
        )
    owners = Counter(one for images in of_each for one in set(images))
    one, times = owners.most_common(1)[0]
    if times > 2 and times > 0.3 * len(products) and not one.startswith("bytes:"):
        draft.doubt(setting, f"{times} products have the same {_told(one)}")


def _told(address: str) -> str:
    return repr(address if len(address) <= 70 else f"...{address[-67:]}")


def _tell_of_sellers(draft: Draft, sellers: list[str]) -> None:
    codes = sum(bool(re.fullmatch(r"\d+|[0-9a-f-]{16,}|[\[{].*", seller)) for seller in sellers)
    if sellers and codes > 0.5 * len(sellers):
        draft.doubt("columns.seller", f"they look like codes: {_shown(sellers[0])}")
