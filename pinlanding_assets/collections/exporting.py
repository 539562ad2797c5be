"""The published collections as data, for shops that show them in pages of their own.

The files are part of the site's version: they are switched with it, and say what it says. Their
form is described in docs/consumers.md; a change of it that a reader would stumble over raises
`FORMAT`.
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from pinlanding_assets.collections.pages import Entry, Page, Product

FORMAT = 1
ITEMS_SCHEMA = {
    "collection_id": pl.String,
    "handle": pl.String,
    "title": pl.String,
    "rank": pl.Int32,
    "product_id": pl.String,
    "p": pl.Float64,
    "inferred": pl.List(
        pl.Struct({"key": pl.String, "value": pl.String, "by": pl.String, "p": pl.Float64})
    ),
}
HEAD = ("handle", "title", "position", "product_id")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that a spreadsheet takes for a formula."""


def export(
    pages: Sequence[Page], vocabulary: Mapping[str, Entry], addresses: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    """The files ``data/*`` of a publication.

    Args:
        pages: What is published.
        vocabulary: entry_id -> Entry.
        addresses: topic_id -> absolute address of the page.
    """
    files = {
        "collections.jsonl": _lines(pages, vocabulary, addresses),
        "items.parquet": _parquet(pages, vocabulary),
        "collections.csv": _table(pages),
    }
    about = {
        "format": FORMAT,
        "collections": len(pages),
        "items": sum(len(page.products) for page in pages),
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }
    for name, data in files.items():
        yield f"data/{name}", data
    yield "data/manifest.json", json.dumps(about, indent=1, sort_keys=True).encode() + b"\n"


def _lines(
    pages: Sequence[Page], vocabulary: Mapping[str, Entry], addresses: Mapping[str, str]
) -> bytes:
    """A line of JSON for each collection."""
    lines = []
    for page in pages:
        known = [vocabulary[entry] for entry in page.entries if entry in vocabulary]
        found = {
            "id": page.topic_id,
            "handle": page.slug,
            "title": page.title,
            "url": addresses[page.topic_id],
            "attributes": [{"key": entry.key, "value": entry.value} for entry in known],
            "total": page.total,
            "products": [
                _item(page, product, rank, vocabulary)
                | {"variants": [variant.product_id for variant in product.variants]}
                for rank, product in enumerate(page.products, start=1)
            ],
        }
        lines.append(json.dumps(found, ensure_ascii=False, sort_keys=True) + "\n")
    return "".join(lines).encode()


def _parquet(pages: Sequence[Page], vocabulary: Mapping[str, Entry]) -> bytes:
    """A row for each product of each collection."""
    rows = [
        {"collection_id": page.topic_id, "handle": page.slug, "title": page.title}
        | _item(page, product, rank, vocabulary)
        for page in pages
        for rank, product in enumerate(page.products, start=1)
    ]
    buffer = io.BytesIO()
    pl.DataFrame(rows, schema=ITEMS_SCHEMA).write_parquet(buffer)
    return buffer.getvalue()


def _item(
    page: Page, product: Product, rank: int, vocabulary: Mapping[str, Entry]
) -> dict[str, Any]:
    """A product of a collection: how probable it is that it belongs there, and the attributes that
    its catalog does not state itself."""
    reasons = {e: product.because[e] for e in page.entries if e in product.because}
    inferred = [
        {
            "key": vocabulary[entry].key,
            "value": vocabulary[entry].value,
            "by": reason.source,
            "p": round(reason.p, 4),
        }
        for entry, reason in reasons.items()
        if reason.source != "catalog" and entry in vocabulary
    ]
    likely = math.prod(reason.p for reason in reasons.values()) if reasons else None
    return {
        "rank": rank,
        "product_id": product.product_id,
        "p": None if likely is None else round(likely, 4),
        "inferred": inferred,
    }


def _table(pages: Sequence[Page]) -> bytes:
    """What shop systems import: a line for each product of each collection."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEAD)
    for page in pages:
        for rank, product in enumerate(page.products, start=1):
            writer.writerow([page.slug, _plain(page.title), rank, _plain(product.product_id)])
    return text.getvalue().encode()


def _plain(text: str) -> str:
    """A text that no spreadsheet runs."""
    return f"'{text}" if text.startswith(FORMULA) else text
