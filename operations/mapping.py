"""Drafts the catalog.yaml of files that nobody has described yet: `map`. It only reads.

The drafting itself is `pinlanding_assets.catalog.drafting`; here are the files.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from operations.mapping_files import chosen_files, find_images, sample_of
from pinlanding_assets.catalog.drafting.drafter import draft, slug
from pinlanding_assets.catalog.drafting.files import patterns
from pinlanding_assets.catalog.drafting.render import render
from pinlanding_assets.catalog.drafting.samples import Draft, Sample
from pinlanding_assets.catalog.drafting.seen import tell_of_products
from pinlanding_assets.catalog.drafting.shapes import is_image, is_number, is_url
from pinlanding_assets.catalog.feed import parse_records
from resources.feeds.catalog_config import CatalogConfig
from resources.feeds.rows import FeedError, to_json

_SHOWN = 3  # products
_DOUBTS = 8  # lines; the weightiest come first


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


def map_files(paths: Sequence[str], out: str | Path = "catalog.yaml") -> Mapping:
    """Drafts a mapping.

    Args:
        paths: Files, folders, or addresses (http, s3, ...) of either.
        out: Where the catalog.yaml will lie: paths in it are relative to its folder.

    Raises:
        FeedError: there is no file, or none can be read.
    """
    files = chosen_files(paths, Path(out))
    if not files:
        raise FeedError(f"{', '.join(map(str, paths))}: no file of a catalog was found")
    samples: list[Sample] = []
    read_as, failed = dict[str, str](), dict[str, str]()
    for file in files:
        try:
            sample = sample_of(file)
        except FeedError as error:
            why = str(error.description).partition("\nWhat to do")[0]
            size = file.located.filesystem.size(file.located.path)
            why = "is empty" if size == 0 else why.removeprefix(f"{file.located.name}: ")
            failed[file.located.name] = why
            continue
        read_as[file.located.name] = sample.read_as
        if _is_plain_text(sample):
            failed[file.located.name] = "a plain text, no table"
        elif _is_without_names(sample):
            shown = ", ".join(map(repr, (sample.columns or [])[:3]))
            why = f"its first line ({_line(shown)}) holds values; put a line with names before it"
            failed[file.located.name] = why
        else:
            samples.append(sample)
    if not samples:
        raise FeedError("; ".join(f"{name}: {why}" for name, why in failed.items()))
    found = draft(samples)
    for name, why in failed.items():
        found.unused[name] = f"this file is left out: {why}"
    find_images(found, samples, files, Path(out).absolute().parent)
    mapping = Mapping(found, "", None, read_as=read_as, failed=failed)
    if found.usable:
        mapping.config = CatalogConfig.model_validate({"name": _name(samples), **found.settings})
        mapping.products, mapping.rejects = _products(mapping.config, samples)
        _tell_of_nothing(found, mapping.products)
        names = {name for sample in samples for name in sample.columns or sample.records[0]}
        tell_of_products(found, mapping.products, names)
    mapping.text = render(found)
    return mapping


def _tell_of_nothing(found: Draft, products: Sequence[dict[str, Any]]) -> None:
    """Notes the fields that have a column, of which nothing came to the products."""
    for name in ("title", "description", "images", "price", "currency", "seller", "url"):
        nothing = bool(products) and not any(product[name] for product in products)
        said = f"columns.{name}" in found.unsure
        if name in found.settings["columns"] and nothing and not said:
            found.doubt(f"columns.{name}", "nothing of it came to the first products")


def _is_plain_text(sample: Sample) -> bool:
    """Whether a file is no table: prose, or a list of words."""
    single = sample.columns is not None and len(sample.columns) < 2
    return single and sample.read_as.startswith("csv")


def _is_without_names(sample: Sample) -> bool:
    """Whether a table begins with a row of values instead of the names of its columns."""
    names = sample.columns or []
    values = [name for name in names if is_number(name) or is_url(name) or is_image(name)]
    values = [name for name in values if not re.fullmatch(r"(19|20)\d\d", name)]  # years
    addresses = [name for name in values if not is_number(name)]
    return not sample.read_as.startswith("parquet") and (
        len(values) >= 2 and (bool(addresses) or len(values) >= 0.5 * len(names))
    )


def _name(samples: Sequence[Sample]) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", slug(samples).lower())
    return stem[:60].strip("-") or "catalog"


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
        doubts = mapping.draft.ranked()
        lines += ["", "Unsure, please look:"]
        lines += [f"  {setting}: {_line(doubt, 400)}" for setting, doubt in doubts[:_DOUBTS]]
        if len(doubts) > _DOUBTS:
            lines.append(f"  and {len(doubts) - _DOUBTS} more in the text, as comments")
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
    if product["parent"]:
        lines.append(f"    a variant of {_line(product['parent'])}")
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
