"""The rows of a feed that are wrong, one of every kind a real feed has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HUGE_TITLE = 40_000_000  # characters
Row = dict[str, Any]


@dataclass(frozen=True)
class Broken:
    """A broken row as it stands in the feed.

    Attributes:
        kind: What is wrong.
        field: Column of the feed it is wrong in; empty when the line itself is.
        line: The line of the feed file.
        sku: Its id, when it can be read.
    """

    kind: str
    field: str
    line: str | Row
    sku: str | None


def _set(**values: Any) -> Callable[[Row], Row]:
    return lambda row: {**row, **values}


def _without(*keys: str) -> Callable[[Row], Row]:
    return lambda row: {key: value for key, value in row.items() if key not in keys}


# kind -> (field, what happens to a good row); pictures are spoiled by `spoil_image`.
SPOILS: dict[str, tuple[str, Callable[[Row], Row]]] = {
    "missing_id": ("sku", _without("sku")),
    "empty_id": ("sku", _set(sku="")),
    "unparsable_price": ("price", _set(price="12,x9")),
    "negative_price": ("price", _set(price=-19.99)),
    "wrong_type_title": ("title", _set(title={"en": ["no", "text"]})),
    "wrong_type_images": ("images", _set(images=42)),
    "unknown_operation": ("op", _set(op="replace-all")),
    "nothing_to_show": ("title", _without("title", "description", "images")),
    "image_above_folder": ("images", _set(images=["../../../../etc/hostname"])),
    "image_absolute": ("images", _set(images=["/etc/hostname"])),
    "missing_image": ("images", _set(images=["images/never-delivered.jpg"])),
    "truncated_image": ("images", lambda row: row),
    "not_an_image": ("images", lambda row: row),
}
LINE_KINDS = ("invalid_json", "not_an_object")
HUGE_KIND = "huge_title"
KINDS = (*SPOILS, *LINE_KINDS, HUGE_KIND)


def spoil(kind: str, row: Row, text: str, huge: int = HUGE_TITLE) -> Broken:
    """Breaks a good row.

    Args:
        kind: One of `KINDS`.
        row: A good row.
        text: The row as a JSON line.
        huge: Length of the title of a `huge_title`.
    """
    if kind == "invalid_json":
        return Broken(kind, "", text[: len(text) * 2 // 3], None)
    if kind == "not_an_object":
        return Broken(kind, "", '["a", "list", 3]', None)
    if kind == HUGE_KIND:
        return Broken(kind, "title", {**row, "title": "very " * (huge // 5)}, row["sku"])
    field, change = SPOILS[kind]
    return Broken(kind, field, change(row), None if kind.endswith("_id") else row["sku"])


def spoil_image(kind: str, path: Path) -> None:
    """Damages the photo of a broken row on disk."""
    if kind == "truncated_image":
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 3])
    elif kind == "not_an_image":
        path.write_bytes(b"<html><body>404 not found</body></html>")
