"""A catalog that is named by its files: its catalog.yaml is drafted once, and then its owner's."""

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from operations.mapping import map_files, report
from operations.mapping_files import unescaped
from resources.feeds.rows import FeedError
from resources.profiles import data_root
from resources.yaml_files import UnusableYaml, read_yaml

YAML = (".yaml", ".yml")

Catalog = Annotated[
    str,
    typer.Option(
        envvar="PLATFORM_CATALOG",
        help="A file, a folder, an address, or a catalog.yaml. Without it that of the settings, or "
        "the sandbox's shop.",
        show_default=False,
    ),
]
"""The option of every command that works on a catalog."""


def use_files(named: str) -> None:
    """Use this catalog; without a name that of the settings, or the sandbox's.

    Where it is a file, a folder or an address instead of a catalog.yaml, use the one that was
    drafted for it, or draft it beside the data folder.

    Raises:
        SystemExit: there is no such file, it cannot be read, or has no ids.
    """
    if not named:
        return
    os.environ["PLATFORM_CATALOG"] = named
    if named.lower().endswith(YAML):
        return
    if "://" not in named and not Path(named).exists():
        sys.exit(f"{named}: there is no such file or folder")
    path = _yaml_of(named)
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


def _yaml_of(named: str) -> Path:
    """Where the catalog.yaml of these files is, or will be: called after them, and with a part of
    their address's hash where another catalog has taken that name."""
    path = data_root() / f"{_stem(named)}.yaml"
    if path.exists() and not _reads(path, named):
        digest = hashlib.sha256(_place(named).encode()).hexdigest()[:6]
        return path.with_stem(f"{path.stem}-{digest}")
    return path


def _reads(path: Path, named: str) -> bool:
    """Whether a catalog.yaml names these files among its feeds."""
    try:
        told = read_yaml(path) or {}
        feeds = [told.get("feed"), *(told.get("feeds") or [])]
    except (UnusableYaml, AttributeError, TypeError):
        return True  # its owner broke it: reading it says where
    given = [unescaped(feed) for feed in feeds if isinstance(feed, str)]
    places = [feed if "://" in feed else str((path.parent / feed).resolve()) for feed in given]
    return not places or any(_is_of(place, _place(named)) for place in places)


def _place(named: str) -> str:
    return named if "://" in named else str(Path(named).resolve())


def _is_of(feed: str, place: str) -> bool:
    """Whether a feed with days and stars in its name has this file, or lies in this folder."""
    folder = place.rstrip("/") + "/"
    parts = re.split(r"(\{day[^}]*\}|\*+)", feed)
    pattern = "".join(".+" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return feed.startswith(folder) or re.fullmatch(pattern, place) is not None


def _stem(named: str) -> str:
    name = re.split(r"[/\\]", re.sub(r"[?#].*", "", named).rstrip("/\\"))[-1]
    slug = re.sub(r"[^a-z0-9]+", "-", name.split(".")[0].lower()).strip("-")
    return slug[:60] or "catalog"
