"""The files that a mapping is drafted from, their first rows, and where their images lie."""

import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from pinlanding_assets.catalog.drafting.files import patterns
from pinlanding_assets.catalog.drafting.names import plain
from pinlanding_assets.catalog.drafting.profile import quoted
from pinlanding_assets.catalog.drafting.samples import Draft, Sample
from pinlanding_assets.catalog.drafting.shapes import is_image, text_of
from pinlanding_assets.catalog.drafting.words import IMAGE_TOKENS
from pinlanding_assets.catalog.rows import at
from pinlanding_assets.catalog.values import read_images
from resources.feeds.formats import Format, is_feed, open_feed
from resources.feeds.located_files import LocatedFile, LocatedFiles
from resources.feeds.rows import FeedError

MAX_RECORDS = 2000  # of a file
MAX_DAYS = 6  # the first and the last
MAX_PARTS = 3  # of one table and day
MAX_FILES = 200
_NOT_FEEDS = ("readme", "license", "licence", "expected", "notice", "changelog", "requirements")
_MAX_FOLDERS = 2000
_MAX_NAMES = 100_000  # of files in a folder
_TRIED = 40  # references of images


@dataclass(frozen=True)
class FeedFile:
    """A file, or a member of a zip.

    Attributes:
        name: As a catalog.yaml names it: a pattern that is relative to its folder, or a URI.
        located: Where it is.
        home: The folder that paths in it lead from; None: it is not on this machine.
    """

    name: str
    located: LocatedFile
    home: Path | None


def chosen_files(paths: Sequence[str], out: Path) -> list[FeedFile]:
    """Of each table the first parts, of the first and last days.

    Raises:
        FeedError: a path leads nowhere.
    """
    names = list(itertools.islice(_names(paths, out.absolute().parent), 50_000))
    named = patterns(names)
    days: dict[str, set[str]] = {}
    for pattern, day in named.values():
        days.setdefault(pattern, set()).add(day or "")
    half = MAX_DAYS // 2
    wanted = {p: {*sorted(of)[:half], *sorted(of)[-half:]} for p, of in days.items()}
    taken: Counter[tuple[str, str]] = Counter()
    located = LocatedFiles(str(out))
    chosen: list[FeedFile] = []
    for name in names:
        pattern, day = named[name][0], named[name][1] or ""
        if day in wanted[pattern] and taken[pattern, day] < MAX_PARTS:
            taken[pattern, day] += 1
            for file in located.matching(name):
                local = "://" not in name
                path = os.path.normpath(out.absolute().parent / unescaped(name))
                home = Path(path).parent if local else None
                chosen.append(FeedFile(name, file, home))
    return chosen[:MAX_FILES]


def _names(paths: Sequence[str], folder: Path) -> Iterator[str]:
    """The files of paths, as a catalog.yaml in a folder names them."""
    for path in map(str, paths):
        if "://" in path:
            filesystem, at_store = fsspec.core.url_to_fs(path)
            if _looks_like_file(path) or not filesystem.isdir(at_store):
                yield path
                continue
            for found in sorted(filesystem.find(at_store)):
                if _is_wanted(found):
                    yield str(filesystem.unstrip_protocol(found))
        elif Path(path).is_dir():
            for found in _walk(Path(path)):
                yield glob.escape(os.path.relpath(found, folder))
        elif Path(path).is_file():
            yield glob.escape(os.path.relpath(path, folder))
        else:
            raise FeedError(f"{path}: there is no such file or folder")


def unescaped(name: str) -> str:
    """A name of a feed without the brackets that keep "*", "?" and "[" from being patterns."""
    for character in "*?[":
        name = name.replace(f"[{character}]", character)
    return name


def _looks_like_file(path: str) -> bool:
    bare = path.split("?")[0] if "://" in path else path
    return is_feed(bare) or bare.lower().endswith(".zip")


def _is_wanted(path: str) -> bool:
    base = path.replace("\\", "/").rpartition("/")[2].casefold()
    hidden = base.startswith((".", "_", "~$"))
    return not hidden and _looks_like_file(path) and not base.startswith(_NOT_FEEDS)


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder.absolute()):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            if _is_wanted(name):
                yield Path(root) / name


def sample_of(file: FeedFile) -> Sample:
    """The first rows of a file.

    Raises:
        FeedError: it cannot be read.
    """
    records: list[dict[str, Any]] = []
    broken = 0
    located = file.located
    with open_feed(located.filesystem, located.path, located.name, Format()) as opened:
        rows = iter(opened.rows)
        for row in itertools.islice(rows, MAX_RECORDS):
            value = row.value
            if value is None:
                broken += 1
            else:
                records.append(value)
        whole = len(records) + broken < MAX_RECORDS or next(rows, None) is None
        return Sample(file.name, records, opened.columns, opened.read_as, whole, broken)


def find_images(
    found: Draft, samples: Sequence[Sample], files: Sequence[FeedFile], folder: Path
) -> None:
    """Sets `images_from` where paths of images lead from another folder than the feed's."""
    if "://" in str(found.settings.get("images_from", "")):
        return
    if "images" not in found.settings.get("columns", {}):
        _find_by_id(found, samples, files, folder)
        return
    references = _references(found, samples)
    named = [(file, ref) for file in files for ref in references.get(file.name, ()) if file.home]
    if not named:
        return
    there = sum(_exists(file.home, reference) for file, reference in named if file.home)
    if there:
        if there < len(named):
            lost = len(named) - there
            found.doubt("columns.images", f"of {len(named)} files tried, {lost} are not there")
        return
    homes = {file.home for file, _ in named if file.home}
    tried = list(dict.fromkeys(reference for _, reference in named))[:_TRIED]
    best, most = None, 0
    for candidate in _folders(homes, folder):
        hits = sum(_exists(candidate, reference) for reference in tried)
        below = any(candidate.is_relative_to(home) for home in homes)
        # elsewhere, files of the same names may be others
        if hits > most and (below or (hits >= 0.9 * len(tried) and _is_of_images(candidate))):
            best, most = candidate, hits
    if best is None:
        shown = tried[0][:100]
        found.doubt("columns.images", f"no folder was found that files like {shown!r} lie in")
        return
    if most < len(tried):
        found.doubt(
            "columns.images", f"of {len(tried)} files tried, {len(tried) - most} are missing"
        )
    found.settings["images_from"] = os.path.relpath(best, folder)
    found.reasons["images_from"] = f"{most} of {len(tried)} files that were tried lie there"


def _find_by_id(
    found: Draft, samples: Sequence[Sample], files: Sequence[FeedFile], folder: Path
) -> None:
    """Images that no column names, where a folder has files that are called after the ids."""
    column = found.settings.get("columns", {}).get("id")
    homes = {file.home for file in files if file.home}
    if not isinstance(column, str) or not homes:
        return
    values = [at(record, column) for sample in samples for record in sample.records[:_TRIED]]
    ids = {text_of(value) for value in values if value is not None}
    best = Counter[tuple[Path, str]]()
    for candidate in _folders(homes, folder):
        if any(candidate.is_relative_to(home) for home in homes):
            names = itertools.islice(candidate.iterdir(), _MAX_NAMES)
            there = {name.name for name in names if is_image(name.name)}
            for ending in {name.rpartition(".")[2] for name in there}:
                best[candidate, ending] = len({f"{one}.{ending}" for one in ids} & there)
    if not best:
        return
    (place, ending), most = best.most_common(1)[0]
    if most < 2 or most < 0.5 * len(ids):
        return
    path = f"join('', [to_string({column if '.' in column else quoted(column)}), '.{ending}'])"
    found.settings["columns"]["images"] = path
    found.reasons["columns.images"] = "files that are called after the ids"
    found.settings["images_from"] = os.path.relpath(place, folder)
    found.reasons["images_from"] = f"{most} of {len(ids)} files that were tried lie there"
    found.unsure.pop("columns.images", None)
    if most < len(ids):
        found.doubt("columns.images", f"of {len(ids)} files tried, {len(ids) - most} are missing")


def _references(found: Draft, samples: Sequence[Sample]) -> dict[str, list[str]]:
    """File -> paths of images that its first rows name; without addresses and bytes."""
    columns = found.settings.get("columns", {}).get("images") or []
    references: dict[str, list[str]] = {}
    for column in columns if isinstance(columns, list) else [columns]:
        name, split = (
            (column, None) if isinstance(column, str) else (column["column"], column.get("split"))
        )
        for sample in samples:
            for record in sample.records[:_TRIED]:
                for one in read_images(at(record, name), split, frozenset()):
                    local = isinstance(one, str) and not one.startswith(("bytes:", "//", "data:"))
                    if local and "://" not in one:
                        references.setdefault(sample.name, []).append(one)
    return {name: list(dict.fromkeys(of))[:_TRIED] for name, of in references.items()}


def _is_of_images(folder: Path) -> bool:
    return bool(set(plain(folder.name).split()) & (IMAGE_TOKENS | {"pub", "assets", "product"}))


def _exists(folder: Path, reference: str) -> bool:
    """Whether a path leads to a file below a folder; a leading slash is the folder's."""
    below = reference.replace("\\", "/").lstrip("/")
    if not below or ".." in below.split("/") or len(below) > 1000 or not below.isprintable():
        return False
    try:
        return (folder / below).is_file()
    except OSError:
        return False


def _folders(homes: set[Path], folder: Path) -> Iterator[Path]:
    """Folders that may hold images: below the files' own, then beside them."""
    seen: set[Path] = set()
    roots = [*sorted(homes), *sorted({home.parent for home in homes}), folder]
    for root in roots:
        for place, folders, _ in os.walk(root):
            path = Path(place)
            depth = len(path.relative_to(root).parts)
            folders[:] = sorted(f for f in folders if not f.startswith(".")) if depth < 4 else []
            if path not in seen:
                seen.add(path)
                yield path
            if len(seen) > _MAX_FOLDERS:
                return
