"""Reads one value of a feed: each function is of the value alone, so equal values are read once."""

import ast
import functools
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.text import clean
from pinlanding_assets.catalog.words import is_nothing

MAX_TITLE_RECEIVED = 10_000  # characters; a longer one is no title
BYTES = "$bytes"  # what a reader says of bytes that stay in their file
_MAX_LITERAL = 20_000  # characters of a cell that Python's own parser looks at
MAX_PARTS = 200  # of a list, or of a text that is split
# of an object that stands for an image, the best first
_IMAGE_MEMBERS = (
    *("bytes", "hi_res", "large", "full", "original", "master", "max", "src", "url", "href"),
    *("contentUrl", "content_url", "image_url", "imageUrl", "link", "image", "path", "file"),
    *("file_name", "filename", "filePath", "@id", "id", "medium", "small", "thumb", "thumbnail"),
)
_KEY_MEMBERS = ("key", "name", "attribute", "attribute_code", "code", "property", "label", "trait")
_VALUE_MEMBERS = (
    *("value", "values", "option", "options", "display_value", "text", "val", "content"),
)
_SWATCH = re.compile(r"#[0-9a-fA-F]{6}:(?=\S)")  # Wix has the color before its name
_ATTACHMENT = re.compile(r"\((https?://[^\s()]+)\)")
_ATTACHMENTS = re.compile(
    r"[^()\n,]{1,200} \(https?://[^\s()]+\)(, ?[^()\n,]{1,200} \(https?://[^\s()]+\))*"
)
_PAIR = re.compile(r"[,;|\n]\s*(?=[^,;|=:\n]{1,80}[=])|\n")


# the same with colons: `Color: red; Size: 4`, and after a comma only with a space behind the colon
_COLON_PAIR = re.compile(r"[;|\n]\s*(?=[^;|:\n]{1,80}:)|,\s*(?=[^,;|:\n]{1,40}:\s)|\n")


class Problem(NamedTuple):
    """What is wrong with a value; a `fatal` one refuses its row."""

    field: str
    reason: str
    value: Any
    fatal: bool = False


def type_name(value: Any) -> str:
    """The type of a value, for people."""
    if isinstance(value, dict) and BYTES in value:
        return "bytes"
    names = {bool: "true or false", dict: "an object", list: "a list", type(None): "nothing"}
    return names.get(type(value), "a number")


def number_text(value: int | float) -> str:
    """A number as people write it: 38.0, as tables hold it, is 38."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def read_id(value: Any, nulls: frozenset[str]) -> str | Problem:
    """The id of a product; an id that was a number is that number, in a float too."""
    if isinstance(value, float) and math.isfinite(value):
        if abs(value) >= 2**53:
            return Problem("id", "a float of more digits than it can hold", value, fatal=True)
        value = number_text(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    elif value is None:
        value = ""
    if not isinstance(value, str):
        reason = f"wrong type: text expected, not {type_name(value)}"
        return Problem("id", reason, value, fatal=True)
    text = value.strip()
    if is_nothing(text, nulls):
        return Problem("id", "missing or blank", value, fatal=True)
    if len(text) > schema.MAX_ID or not text.isprintable():
        return Problem("id", f"not 1 to {schema.MAX_ID} printable characters", text, fatal=True)
    return text


def read_text(field: str, limit: int, value: Any, nulls: frozenset[str]) -> str | Problem:
    """A text without markup, cut at `limit` characters; a list of texts is one after the other."""
    if isinstance(value, list):
        parts = [read_text(field, limit, part, nulls) for part in value[:MAX_PARTS]]
        bad = [part for part in parts if isinstance(part, Problem)]
        if bad:
            return bad[0]._replace(value=value)
        return " ".join(part for part in parts if isinstance(part, str) and part)[:limit].rstrip()
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = "" if isinstance(value, float) and math.isnan(value) else number_text(value)
    if not isinstance(value, str):
        reason = f"wrong type: text expected, not {type_name(value)}"
        return Problem(field, reason, value, fatal=True)
    if is_nothing(value, nulls):
        return ""
    if field == "title" and len(value) > MAX_TITLE_RECEIVED:
        reason = f"longer than {MAX_TITLE_RECEIVED} characters: {len(value)}"
        return Problem(field, reason, value, fatal=True)
    if "\\n" in value and "\n" not in value:  # as WooCommerce and databases write line breaks
        value = value.replace("\\r", " ").replace("\\n", " ")
    return clean(value, limit)


def read_url(value: Any, nulls: frozenset[str]) -> str | Problem | None:
    """An http(s) address, None where there is none."""
    text = value.strip() if isinstance(value, str) else ("" if value is None else str(value))
    if is_nothing(text, nulls):
        return None
    if text.startswith("//"):
        text = f"https:{text}"
    usable = text.isprintable() and " " not in text and len(text) <= schema.MAX_URL
    if usable and re.match(r"https?://[^/]", text, re.IGNORECASE):
        scheme, _, rest = text.partition(":")
        return f"{scheme.lower()}:{rest}"
    return Problem("url", "not an http(s) address", value)


def read_images(value: Any, split: str | None, nulls: frozenset[str]) -> tuple[Any, ...]:
    """References of images and problems, in order: of a text, a list, a JSON list in a text, or of
    objects that name one."""
    found: list[Any] = []
    if isinstance(value, str) and is_nothing(value, nulls):
        return ()
    for part in attachments(value) or several(value, split):
        reference = _image_of(part)
        if isinstance(reference, dict) and isinstance(reference.get(BYTES), str):
            reference = f"bytes:{reference[BYTES]}"
        if not isinstance(reference, str):
            reason = f"wrong type: text expected, not {type_name(part)}"
            found.append(Problem("images", reason, part))
        elif is_nothing(reference, nulls):
            continue
        elif not reference.isprintable() or len(reference) > schema.MAX_URL:
            found.append(Problem("images", "not a path or address", reference))
        elif reference.strip() not in found:
            found.append(reference.strip())
        if len(found) > 2 * schema.MAX_IMAGES:
            break
    return tuple(found)


def attachments(value: Any) -> list[str]:
    """The addresses in a text like `a.jpg (https://...),b.jpg (https://...)` (Airtable)."""
    if not isinstance(value, str) or "(http" not in value:
        return []
    if not _ATTACHMENTS.fullmatch(value.strip()):
        return []
    return _ATTACHMENT.findall(value)[:MAX_PARTS]


def _image_of(value: Any) -> Any:
    if not isinstance(value, dict) or BYTES in value:
        return value
    for member in _IMAGE_MEMBERS:
        found = value.get(member)
        if isinstance(found, dict | list):
            found = _image_of(found[0] if isinstance(found, list) and found else found)
        if found and (isinstance(found, str) or (isinstance(found, dict) and BYTES in found)):
            return found
    return value


def read_attribute(
    key: str, value: Any, split: str | None, renamed: Mapping[str, str], nulls: frozenset[str]
) -> tuple[Any, ...]:
    """The cleaned values of an attribute, each once, and problems."""
    found: dict[Any, None] = {}
    if isinstance(value, str) and is_nothing(value, nulls):
        return ()  # before it is split: N/A is not N and A
    for part in several(value, split):
        if isinstance(part, bool):
            part = str(part)  # True, as tables write it
        elif isinstance(part, int | float) and math.isfinite(part):
            part = number_text(part)
        elif isinstance(part, dict) and BYTES not in part:
            part = next((part[m] for m in (*_VALUE_MEMBERS, "name") if m in part), part)
            if isinstance(part, int | float) and not isinstance(part, bool):
                part = number_text(part)
        reason = None
        if not isinstance(part, str):
            reason = f"wrong type: text expected, not {type_name(part)}"
        text = clean(part, schema.MAX_ATTRIBUTE + 1) if isinstance(part, str) else ""
        text = _SWATCH.sub("", text, count=1) if text.startswith("#") else text
        text = renamed.get(text, text)
        if not reason and is_nothing(text, nulls):
            continue
        if not key or max(len(key), len(text)) > schema.MAX_ATTRIBUTE:
            reason = f"key or value not 1 to {schema.MAX_ATTRIBUTE} characters"
        if reason:
            field = f"attributes.{key[: schema.MAX_ATTRIBUTE]}"
            found.setdefault(Problem(field, reason, excerptable(part)))
        else:
            found.setdefault(text)
    return tuple(found)


def excerptable(value: Any) -> Any:
    """A value that can be told apart from others of its kind, for a reject."""
    if isinstance(value, str | int | float):
        return value
    try:
        return json.dumps(value, default=str)[:1000]
    except RecursionError:
        return "(deeply nested)"


def members(value: Any, nulls: frozenset[str]) -> dict[str, Any] | Problem:
    """Keys and values of an object, a list of {key, value}, or a text of either or of `k=v,k=v`."""
    if value is None or (isinstance(value, str) and is_nothing(value, nulls)):
        return {}
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in "{[":
            value = _json(text)
            if not isinstance(value, dict | list):
                return Problem("attributes", "not a JSON object", value, fatal=True)
        else:
            split = _PAIR if "=" in text else _COLON_PAIR
            pairs = [part.strip(";| ") for part in split.split(text) if part.strip(";| ")]
            mark = "=" if all("=" in part for part in pairs) else ":"
            if not all(mark in part for part in pairs):
                return Problem("attributes", "neither a JSON object nor k=v", value, fatal=True)
            return _merged(tuple(part.split(mark, 1)) for part in pairs)
    if isinstance(value, list):
        pairs = [pair for one in value[:MAX_PARTS] for pair in _pairs_of(one)]
        if value and not pairs:
            return Problem("attributes", "not keys and values", value, fatal=True)
        return _merged(pairs)
    if not isinstance(value, dict) or BYTES in value:
        return Problem("attributes", "not a JSON object", value, fatal=True)
    return value


def _pairs_of(entry: Any) -> list[tuple[str, Any]]:
    """Of {key: colour, value: red}, of {colour: red}, or of "colour: red"."""
    if isinstance(entry, dict):
        key = next((entry[m] for m in _KEY_MEMBERS if isinstance(entry.get(m), str)), None)
        named = [m for m in _VALUE_MEMBERS if m in entry]
        if key is not None and named:
            return [(key, entry[named[0]])]
        if len(entry) == 1:
            return list(entry.items())
    if isinstance(entry, str) and (found := re.fullmatch(r"\s*([^:=]{1,80})[:=]\s*(.+)", entry)):
        return [(found[1], found[2])]
    return []


def _merged(pairs: Iterable[tuple]) -> dict[str, Any]:
    """Several values of one key are a list; `a|b` in a text are two."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        parts = value.split("|") if isinstance(value, str) else several(value, None)
        found.setdefault(str(key).strip(), []).extend(parts)
    return found


def several(value: Any, split: str | None) -> list[Any]:
    """A value that may be a list, a JSON list in a text, or a text of several parts; without those
    that are empty."""
    if isinstance(value, str) and value[:1] == "[" and value.rstrip()[-1:] == "]":
        value = _json_list(value)
    values = value if isinstance(value, list) else [value]
    if split:
        values = [v.split(split, MAX_PARTS) if isinstance(v, str) else [v] for v in values]
        values = [part for parts in values for part in parts]
    stripped = (v.strip() if isinstance(v, str) else v for v in values[:MAX_PARTS])
    return [v for v in stripped if v is not None and v != "" and v == v]  # NaN is not itself


def _json_list(text: str) -> Any:
    """The list that a text is as JSON, or as Python writes it; else the text."""
    found = _json(text)
    return found if isinstance(found, list) else text


@functools.lru_cache(1024)
def _json(text: str) -> Any:
    """The list or object that a text is as JSON, as Python writes it (single quotes), or as Ruby
    does (`=>`); else the text."""
    readers = (json.loads, ast.literal_eval) if len(text) <= _MAX_LITERAL else (json.loads,)
    for read in (*readers, lambda t: json.loads(t.replace('"=>', '":'))):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, dict | list):
            return found
    return text
