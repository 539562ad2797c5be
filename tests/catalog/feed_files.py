"""Files of a catalog for tests, and the products that a drafted mapping makes of them."""

from pathlib import Path
from typing import Any

import yaml

from operations.mapping import Mapping, map_files


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def mapped(folder: Path, files: dict[str, str | bytes]) -> Mapping:
    """The mapping of files, whose text says the same as its settings."""
    mapping = map_files([str(written(folder, files))], folder / "catalog.yaml")
    assert yaml.safe_load(mapping.text) == mapping.draft.settings
    return mapping


def products(mapping: Mapping) -> dict[str, dict[str, Any]]:
    """The products by id, without what is blank; attributes as {key: values}."""
    found = {}
    for product in mapping.products:
        values: dict[str, list[str]] = {}
        for pair in product["attributes"]:
            values.setdefault(pair["key"], []).append(pair["value"])
        shown = {**product, "attributes": values}
        for name in ("product_id", "operation", "file", "row", "snapshot"):
            shown.pop(name, None)
        if shown["availability"] == "unknown":
            del shown["availability"]
        found[product["product_id"]] = {
            k: v for k, v in shown.items() if v not in (None, "", [], {})
        }
    return found


def columns(mapping: Mapping) -> dict[str, Any]:
    return mapping.draft.settings["columns"]


def csv(*rows: str) -> str:
    return "\n".join(rows) + "\n"
