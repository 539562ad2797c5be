"""What the catalog stage makes of a feed, as JSON Lines. Nothing is written or fetched."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from pinlanding_assets.catalog.feed import ParsedFeed, parse_records
from resources.feeds.catalog_source import CatalogSource
from resources.feeds.rows import FeedError

FIELDS = ("title", "description", "price", "currency", "seller", "availability", "url")


def parse_days(source: CatalogSource, last: str | None = None) -> Iterator[tuple[str, ParsedFeed]]:
    """Each day of a catalog, up to `last`, as the catalog stage parses it.

    Raises:
        CatalogConfigError: catalog.yaml is wrong.
        FeedError: a feed cannot be read, or there is none.
    """
    mapping = source.config().model_dump()
    for day in source.days():
        if last is None or day <= last:
            yield day, parse_records(source.read_records(day), mapping, day)


def product_lines(day: str, parsed: ParsedFeed, gone: set[str]) -> Iterator[dict[str, Any]]:
    """One object a product of a day; those that a full export no longer names are deleted.

    Args:
        day: YYYY-MM-DD.
        parsed: The day.
        gone: Products of the days before that a full export of this day does not name.
    """
    sources = dict(
        parsed.image_references.group_by("product_id", maintain_order=True)
        .agg("source")
        .iter_rows()
    )
    for row in parsed.products.iter_rows(named=True):
        line = {"day": day, "product_id": row["product_id"], "operation": row["operation"]}
        if row["operation"] == "upsert":
            attributes: dict[str, list[str]] = {}
            for pair in row["attributes"]:
                attributes.setdefault(pair["key"], []).append(pair["value"])
            line |= {name: row[name] for name in FIELDS}
            line |= {"images": sources.get(row["product_id"], []), "attributes": attributes}
        yield line
    for product_id in sorted(gone):
        yield {"day": day, "product_id": product_id, "operation": "delete"}


def print_products(catalog: Path, day: str | None, out: TextIO, err: TextIO) -> int:
    """Print the products of a day (default: of all, in order) and the rejects with their reasons.

    Args:
        catalog: Path of a catalog.yaml.
        day: YYYY-MM-DD.
        out: Gets the products.
        err: Gets the rejects, and what else happened to rows.

    Returns:
        How many rows were refused.
    """
    source, refused = CatalogSource(config_path=str(catalog)), 0
    live: set[str] = set()
    days = source.days()
    if not days:
        raise FeedError(f"{catalog}: no feed was found: {', '.join(source.config().feeds)}")
    if day is not None and day not in days:
        raise FeedError(f"{catalog}: no feed for {day}; there are {days[0]} to {days[-1]}")
    for one, parsed in parse_days(source, day):
        named = set(parsed.products.filter(pl.col("operation") != "delete")["product_id"])
        full = source.config().snapshot == "full"
        gone = live - named if full else set()
        deleted = set(parsed.products.filter(pl.col("operation") == "delete")["product_id"])
        live = (named if full else live | named) - deleted
        if day in (None, one):
            for line in product_lines(one, parsed, gone - deleted):
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
            for reject in parsed.rejects.sort("file", "row").iter_rows(named=True):
                refused += 1
                err.write(_told(reject) + "\n")
            for count, what in (
                (parsed.superseded, "rows were replaced by a later row of their product"),
                (parsed.parts, "rows were joined to their product"),
                (parsed.left_out, "rows were left out by `only`"),
            ):
                if count:
                    err.write(f"{one}: {count} {what}\n")
    return refused


def _told(reject: dict[str, Any]) -> str:
    product = f" ({reject['product_id']})" if reject["product_id"] else ""
    value = f": {reject['value']}" if reject["value"] else ""
    place = f"{reject['file']} row {reject['row']}{product}"
    return f"reject: {place}: {reject['field']}: {reject['reason']}{value}"


if __name__ == "__main__":
    print_products(Path(sys.argv[1]), (sys.argv[2:] or [None])[0], sys.stdout, sys.stderr)
