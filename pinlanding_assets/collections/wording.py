"""Text a feed wrote becomes text a page can show: cleaned, bounded, or refused."""

import hashlib
import re
import unicodedata
from urllib.parse import urlsplit

from pinlanding_assets.topics.words import plural

MAX_LINK = 2_000  # a longer link is not taken over
CURRENCY_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}
NO_CENTS = {"JPY", "KRW"}
# control characters that would turn the direction of everything after them
BIDI_CONTROLS = {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
SLUG = re.compile(r"[^\W_]+(-[^\W_]+)*")
TINTS = 6  # colours of tiles without a picture, see site.css
MAX_SLUG_BYTES = 200  # it names a file


def clean(text: str | None, limit: int) -> str:
    """One line of text without control characters, at most `limit` characters long."""
    visible = (
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c
        for c in (text or "")[: limit * 10]
        if c not in BIDI_CONTROLS
    )
    line = " ".join("".join(visible).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def safe_link(link: str | None) -> str | None:
    """The link if it is a plain http(s) address, else None."""
    link = (link or "").strip()
    if len(link) > MAX_LINK or not link.isprintable() or " " in link or "\\" in link:
        return None
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in ("http", "https") and parts.hostname else None


def money(amount: float, currency: str | None) -> str:
    """A price as text: `$1,250.00`, `1,250.00 SEK`, or the bare number."""
    number = f"{amount:,.0f}" if currency in NO_CENTS else f"{amount:,.2f}"
    if currency in CURRENCY_SIGNS:
        return CURRENCY_SIGNS[currency] + number
    return f"{number} {currency}" if currency else number


def counted(number: int, noun: str) -> str:
    """`1 product`, `1,250 products`."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def readable(key: str) -> str:
    """A key as a heading: `eco_collection` -> `Eco collection`."""
    return clean(key.replace("_", " "), 40).capitalize()


def check_slug(slug: str, topic_id: str) -> None:
    """A slug names a file and a link: words of lower-case letters and digits, hyphens between."""
    if not SLUG.fullmatch(slug) or slug != slug.lower() or len(slug.encode()) > MAX_SLUG_BYTES:
        raise ValueError(f"collection {topic_id!r}: unsafe slug {slug[:200]!r}")


def tint(text: str) -> int:
    """The colour of a tile without a picture: always the same for the same id."""
    return hashlib.sha256(text.encode()).digest()[0] % TINTS
