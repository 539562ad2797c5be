"""Drafts the catalog.yaml of files that nobody has described yet: `map`. It only reads.

The drafting itself is `pinlanding_assets.catalog.drafting`; here are the files.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
from fsspec.implementations.local import LocalFileSystem

from pinlanding_assets.catalog.drafting.drafter import draft, slug
from pinlanding_assets.catalog.drafting.files import patterns
from pinlanding_assets.catalog.drafting.render import render
from pinlanding_assets.catalog.drafting.samples import Draft, Sample
from pinlanding_assets.catalog.feed import parse_records
from pinlanding_assets.catalog.rows import at
from pinlanding_assets.catalog.values import read_images
from resources.feeds.catalog_config import CatalogConfig
from resources.feeds.formats import Format, is_feed, open_feed
from resources.feeds.rows import FeedError, to_json

MAX_RECORDS = 4000  # of a file
MAX_DAYS = 6  # the first and the last
MAX_PARTS = 3  # of one table and day
MAX_FILES = 200
_SHOWN = 3  # products
_NOT_FEEDS = ("readme", "license", "licence", "expected", "notice", "changelog", "requirements")
_MAX_FOLDERS = 2000
_TRIED = 40  # references of images


@dataclass
class Mapping:
    """What `map` found out.

    Attributes:
        draft: The settings with their reasons.
        text: Of the catalog.yaml.
        config: The settings as the platform reads them; None: there is no column of ids.
        products: The first products, as the stage of the catalog makes them.
        rejects: (reason, how many) of the rows and values of the samples, the commonest first.
        read_as: File -> how it was read.
        failed: Files that could not be read, and why.
    """

    draft: Draft
    text: str
    config: CatalogConfig | None
    products: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[tuple[str, int]] = field(default_factory=list)
    read_as: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    name: str  # as catalog.yaml says it
    filesystem: Any
    path: str


def map_files(paths: Sequence[str], out: str | Path = "catalog.yaml") -> Mapping:
    """Drafts a mapping.

    Args:
        paths: Files, folders, or addresses (http, s3, ...) of either.
        out: Where the catalog.yaml will lie: paths in it are relative to its folder.

    Raises:
        FeedError: there is no file, or none can be read.
    """
    folder = Path(out).absolute().parent
    files = _chosen(_files(paths, folder))
    if not files:
        raise FeedError(f"{', '.join(map(str, paths))}: no file of a catalog was found")
    samples, failed = [], dict[str, str]()
    for file in files:
        try:
            samples.append(_sample(file))
        except FeedError as error:
            failed[file.name] = str(error.description).partition("\nWhat to do")[0]
    samples = [s for s in samples if not _is_plain_text(s)]
    if not samples:
        raise FeedError("; ".join(failed.values()) or "the files are plain texts, no tables")
    found = draft(samples)
    for name, why in failed.items():
        found.unused[name] = f"this file is left out: {why}"
    _find_images(found, samples, files, folder)
    mapping = Mapping(found, render(found), None, failed=failed)
    mapping.read_as = {sample.name: sample.read_as for sample in samples}
    if found.usable:
        mapping.config = CatalogConfig.model_validate({"name": _name(samples), **found.settings})
        mapping.products, mapping.rejects = _products(mapping.config, samples)
    return mapping


def report(mapping: Mapping) -> str:
    """What a person should see of a mapping, beside its text."""
    lines = [f"read {name}: {how}" for name, how in mapping.read_as.items()]
    if mapping.draft.recognized:
        lines.append(f"recognized {mapping.draft.recognized}")
    lines += ["", "The first products:" if mapping.products else "There are no products."]
    for product in mapping.products[:_SHOWN]:
        lines += _told(product)
    if mapping.rejects:
        lines += ["", "Left out of the first rows:"]
        lines += [f"  {count} x {reason}" for reason, count in mapping.rejects[:10]]
    if mapping.draft.unused:
        lines += ["", "Not used:"]
        lines += [f"  {_line(name)}: {why}" for name, why in mapping.draft.unused.items()]
    if mapping.draft.unsure:
        lines += ["", "Unsure, please look:"]
        lines += [
            f"  {setting}: {_line(doubt, 400)}"
            for setting, doubts in mapping.draft.unsure.items()
            for doubt in doubts
        ]
    return "\n".join(lines) + "\n"


def _line(text: Any, limit: int = 100) -> str:
    shown = "".join(c if c.isprintable() else " " for c in str(text))
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."


def _told(product: dict[str, Any]) -> list[str]:
    """A product as a person would read it."""
    lines = [f"  {_line(product['title']) or '(no title)'}  [{_line(product['product_id'])}]"]
    price = "no price"
    if product["price"] is not None:
        price = f"{product['price']:.2f} {product['currency'] or '(which currency?)'}"
    seller = f", by {_line(product['seller'])}" if product["seller"] else ""
    lines.append(f"    {price}, {product['availability'].replace('_', ' ')}{seller}")
    if product["description"]:
        lines.append(f"    {_line(product['description'])}")
    values: dict[str, list[str]] = {}
    for pair in product["attributes"]:
        values.setdefault(pair["key"], []).append(_line(pair["value"], 40))
    lines += [f"    {_line(key, 40)}: {', '.join(found[:8])}" for key, found in values.items()]
    images = product["images"]
    if images:
        more = f" and {len(images) - 1} more" if len(images) > 1 else ""
        lines.append(f"    image {_line(images[0])}{more}")
    return lines


# the files


def _files(paths: Sequence[str], folder: Path) -> Iterator[_File]:
    for path in paths:
        if "://" in str(path):
            filesystem, at_store = fsspec.core.url_to_fs(str(path))
            if not _looks_like_file(str(path)) and filesystem.isdir(at_store):
                for found in sorted(filesystem.find(at_store)):
                    if _is_wanted(found):
                        yield _File(filesystem.unstrip_protocol(found), filesystem, found)
            else:
                yield _File(str(path), filesystem, at_store)
        elif Path(path).is_dir():
            for found in _walk(Path(path)):
                yield _File(os.path.relpath(found, folder), LocalFileSystem(), str(found))
        elif Path(path).is_file():
            found = Path(path).absolute()
            yield _File(os.path.relpath(found, folder), LocalFileSystem(), str(found))
        else:
            raise FeedError(f"{path}: there is no such file or folder")


def _looks_like_file(path: str) -> bool:
    return is_feed(path.split("?")[0]) or path.split("?")[0].lower().endswith(".zip")


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


def _chosen(files: Iterator[_File]) -> list[_File]:
    """Of each table the first parts, of the first and last days."""
    found = list(itertools.islice(files, 50_000))
    named = patterns([file.name for file in found])
    days: dict[str, set[str]] = {}
    for pattern, day in named.values():
        days.setdefault(pattern, set()).add(day or "")
    wanted = {
        pattern: {*sorted(of)[: MAX_DAYS // 2], *sorted(of)[-MAX_DAYS // 2 :]}
        for pattern, of in days.items()
    }
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for file in found:
        pattern, day = named[file.name]
        if (day or "") in wanted[pattern] and taken[pattern, day or ""] < MAX_PARTS:
            taken[pattern, day or ""] += 1
            chosen.append(file)
    return chosen[:MAX_FILES]


def _sample(file: _File) -> Sample:
    records: list[dict[str, Any]] = []
    broken = 0
    with open_feed(file.filesystem, file.path, file.name, Format()) as opened:
        rows = iter(opened.rows)
        for row in itertools.islice(rows, MAX_RECORDS):
            value = row.value
            if value is None:
                broken += 1
            else:
                records.append(value)
        whole = len(records) + broken < MAX_RECORDS or next(rows, None) is None
        return Sample(file.name, records, opened.columns, opened.read_as, whole, broken)


def _is_plain_text(sample: Sample) -> bool:
    """Whether a file is no table: prose, or a list of words."""
    endings = (".txt", ".csv", ".tsv")
    single = sample.columns is not None and len(sample.columns) < 2
    return single and sample.name.casefold().endswith(endings)


def _name(samples: Sequence[Sample]) -> str:
    return "-".join(part for part in slug(samples).split("_") if part)[:60].strip("-") or "catalog"


# the images


def _find_images(
    found: Draft, samples: Sequence[Sample], files: Sequence[_File], folder: Path
) -> None:
    """Sets `images_from` where paths of images lead from another folder than the feed's."""
    references = _references(found, samples)
    if not references:
        return
    homes = {
        Path(file.path).parent for file in files if isinstance(file.filesystem, LocalFileSystem)
    }
    homes = {home for home in homes if any(file.name in references for file in files)}
    tried = [reference for of in references.values() for reference in of][:_TRIED]
    there = sum(
        _exists(Path(file.path).parent, reference)
        for file in files
        if isinstance(file.filesystem, LocalFileSystem)
        for reference in references.get(file.name, ())
    )
    if not homes or there:
        total = sum(map(len, references.values()))
        if homes and there < total:
            found.doubt("columns.images", f"of {total} files tried, {total - there} are not there")
        return
    best, most = None, 0
    for candidate in _folders(homes, folder):
        hits = sum(_exists(candidate, reference) for reference in tried)
        if hits > most:
            best, most = candidate, hits
    if best is None:
        shown = _line(tried[0])
        found.doubt("columns.images", f"no folder was found that files like {shown!r} lie in")
        return
    found.settings["images_from"] = os.path.relpath(best, folder)
    found.reasons["images_from"] = f"{most} of {len(tried)} files that were tried lie there"


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


# the products


def _products(
    config: CatalogConfig, samples: Sequence[Sample]
) -> tuple[list[dict[str, Any]], list[tuple[str, int]]]:
    """The products that the stage of the catalog makes of the samples of the first day."""
    named = patterns([sample.name for sample in samples])
    feeds = [s for s in samples if named[s.name][0] in config.feeds]
    days = sorted({named[s.name][1] or "" for s in feeds})
    feeds = [s for s in feeds if (named[s.name][1] or "") == days[0]] if days else []
    tables = {name: _by_key(table, samples, named) for name, table in config.tables.items()}
    rows: list[tuple] = []
    for sample in feeds:
        for number, record in enumerate(sample.records, start=1):
            joined = {
                name: of.get(str(record.get(config.tables[name].of)), [])
                for name, of in tables.items()
            }
            text = to_json({**record, **joined})
            rows.append((sample.name, number, text, len(text), None))
    schema = {"file": pl.String, "row": pl.Int64, "record": pl.String, "size": pl.Int64}
    records = pl.DataFrame(rows, schema={**schema, "error": pl.String}, orient="row")
    day = days[0] if days and days[0] else None
    parsed = parse_records(records, config.model_dump(), day)
    images = parsed.image_references.sort("position").group_by("product_id", maintain_order=True)
    sources = dict(images.agg("source").iter_rows())
    found = [
        {**product, "images": sources.get(product["product_id"], [])}
        for product in parsed.products.sort("file", "row").to_dicts()
        if product["operation"] == "upsert"
    ]
    pairs = parsed.rejects.select("field", "reason").iter_rows()
    reasons = Counter(f"{field}: {reason}" for field, reason in pairs)
    return found, reasons.most_common()


def _by_key(
    table: Any, samples: Sequence[Sample], named: dict[str, tuple[str, str | None]]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for sample in samples:
        if named[sample.name][0] == table.path:
            for record in sample.records:
                found.setdefault(str(record.get(table.key)), []).append(record)
    return found
