"""Cleans text that comes from outside: no markup, no control characters, one kind of spaces."""

import html
import json
import re
import unicodedata
from typing import Any

# Linear on any text: a tag ends at the next angle bracket, whichever it is.
_TAG = re.compile(r"(<[a-zA-Z/!?][^<>]*>)")
_TAG_NAME = re.compile(r"</?([a-zA-Z0-9]+)")
_INLINE = {"a", "abbr", "b", "em", "font", "i", "mark", "s", "small", "span", "strong", "u"}
_HIDDEN = {"script", "style"}
_JOINERS = "\u200c\u200d"  # needed by several scripts and by emoji


def clean(text: str, limit: int) -> str:
    """Plain text: tags out, entities decoded, NFKC, control characters out, whitespace folded.

    Tags are removed before and after decoding, because feeds often carry encoded markup. The
    result is text, not HTML: it must still be escaped where it is shown.

    Args:
        text: any text; only the first `10 * limit` characters are looked at.
        limit: the most characters of the result.
    """
    text = text[: 10 * limit]
    if "<" in text or "&" in text:
        text = _without_tags(html.unescape(_without_tags(text)))
    # Printable leaves out control, format (zero-width, bidirectional), private and lone surrogate
    # characters, and every space but the plain one: these are folded first.
    text = " ".join(_folded(text).split())
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable() or c in _JOINERS)
        text = " ".join(text.split())
    return text[:limit].rstrip()


def _folded(text: str) -> str:
    """NFKC, but for the signs of trademarks: "CoolTech™" is not called CoolTechTM."""
    parts = re.split("([™℠])", text)
    return "".join(p if p in ("™", "℠") else unicodedata.normalize("NFKC", p) for p in parts)


def excerpt(value: Any, limit: int) -> str:
    """Shows a rejected value: its start, as printable characters."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
    except RecursionError:
        text = "(deeply nested)"
    text = "".join(c if c.isprintable() else " " for c in text[:limit])
    return text.strip()


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    kept: list[str] = []
    hidden = ""
    for part in _TAG.split(text):
        if not _TAG.fullmatch(part):
            if not hidden:
                kept.append(part)
            continue
        named = _TAG_NAME.match(part)
        name = named[1].lower() if named else ""
        if hidden:
            hidden = "" if part.startswith("</") and name == hidden else hidden
        elif name in _HIDDEN and not part.startswith("</"):
            hidden = name
        elif name not in _INLINE:
            kept.append(" ")
    return "".join(kept)
