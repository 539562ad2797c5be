"""What the catalog stage makes of a feed, as JSON Lines. Nothing is written or fetched."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from pinlanding_assets.catalog.checks import CHECKS, Received, catalog_day, raw_day
from pinlanding_assets.catalog.feed import ParsedFeed, parse_records
from resources.feeds.catalog_source import CatalogSource
from resources.quality import Limits

FIELDS = ("parent", "title", "description", "price", "currency", "seller", "availability", "url")


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
        err: Gets the rejects, what else happened to rows, and which checks would stop the day.

    Returns:
        How many rows were refused.

    Raises:
        CatalogConfigError: catalog.yaml is wrong.
        FeedError: a feed cannot be read.
        LookupError: there is no feed, or none of that day.
    """
    source, refused = CatalogSource(config_path=str(catalog)), 0
    live: set[str] = set()
    days = source.days()
    if not days:
        raise LookupError(f"{catalog}: no feed was found: {', '.join(source.config().feeds)}")
    if day is not None and day not in days:
        raise LookupError(f"{catalog}: no feed for {day}; there are {days[0]} to {days[-1]}")
    mapping, fields = source.config().model_dump(), None
    for one in (one for one in days if day is None or one <= day):
        received = Received()
        records = pl.concat(received.watch(source.record_blocks(one)))
        parsed = parse_records(records, mapping, one)
        stops = stopping(source, one, received, fields, parsed, live)
        fields = received.fields
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
            for stop in stops:
                err.write(f"{one}: {stop}\n")
    return refused


def stopping(
    source: CatalogSource,
    day: str,
    received: Received,
    before: dict[str, float] | None,
    parsed: ParsedFeed,
    known: set[str],
) -> list[str]:
    """The checks that would stop a day, with why and what to do.

    Args:
        source: The catalog.
        day: YYYY-MM-DD.
        received: Its records.
        before: The fields of the day before, with the share of records that have them.
        parsed: What the records became.
        known: The products of the days before.
    """
    settings = source.config()
    limits = Limits(**settings.limits)
    ids = pl.Series("product_id", sorted(known), pl.String)
    found = {
        "raw_catalog": raw_day(received, before, limits, source.mapped(day)),
        "catalog": catalog_day(
            *(received.rows, parsed, parsed.rejects, ids, limits),
            rows_said=settings.rows != "auto",
        ),
    }
    return [
        f"check {check.name} would stop this day: {failure}. What to do: {check.remedy}"
        for asset, findings in found.items()
        for check in CHECKS[asset]
        if check.stops and check.name in findings and (failure := findings[check.name].failure)
    ]


def _told(reject: dict[str, Any]) -> str:
    product = f" ({reject['product_id']})" if reject["product_id"] else ""
    value = f": {reject['value']}" if reject["value"] else ""
    place = f"{reject['file']} row {reject['row']}{product}"
    return f"reject: {place}: {reject['field']}: {reject['reason']}{value}"


if __name__ == "__main__":
    print_products(Path(sys.argv[1]), (sys.argv[2:] or [None])[0], sys.stdout, sys.stderr)
