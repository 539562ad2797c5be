"""A catalog that is named by its files: its catalog.yaml is drafted once, and then its owner's."""

import os
import re
import sys
from pathlib import Path

from operations.mapping import map_files, report
from resources.feeds.rows import FeedError
from resources.profiles import data_root

YAML = (".yaml", ".yml")


def use_files() -> None:
    """Where PLATFORM_CATALOG is a file, a folder or an address instead of a catalog.yaml, use the
    catalog.yaml that was drafted for it, or draft it beside the data folder.

    Raises:
        SystemExit: there is no such file, it cannot be read, or has no ids.
    """
    named = os.environ.get("PLATFORM_CATALOG", "")
    if not named or named.lower().endswith(YAML):
        return
    if "://" not in named and not Path(named).exists():
        sys.exit(f"CATALOG={named}: there is no such file or folder")
    path = data_root() / f"{_stem(named)}.yaml"
    if path.exists():
        print(f"{named} is read as {path} says, which is yours to change")
    else:
        try:
            mapping = map_files([named], path)
        except FeedError as error:
            sys.exit(str(error.description))
        print(report(mapping))
        if mapping.config is None:
            sys.exit(
                f"{named}: no column can be the id of a product. Draft it with `python -m "
                "operations map FILE --out catalog.yaml`, name one under `columns:`, and use that."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(mapping.text, encoding="utf-8")
        print(f"This mapping is written to {path}. It is yours to change; then run this again.\n")
    os.environ["PLATFORM_CATALOG"] = str(path)


def _stem(named: str) -> str:
    name = re.split(r"[/\\]", re.sub(r"[?#].*", "", named).rstrip("/\\"))[-1]
    slug = re.sub(r"[^a-z0-9]+", "-", name.split(".")[0].lower()).strip("-")
    return slug[:60] or "catalog"
