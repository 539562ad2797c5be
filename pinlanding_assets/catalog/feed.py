"""Turns the rows of a feed as received into products, or into rejects that say why not."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

import polars as pl

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.images import ImageResult
from pinlanding_assets.catalog.rows import ProductRow, Rejected
from pinlanding_assets.catalog.text import excerpt

_BLOCK_ROWS = 20_000
_MAX_NOTES = 20  # rejects of one row; a hostile row could cause thousands
_REFERENCES = {
    "product_id": pl.String,
    "position": pl.Int64,
    "source": pl.String,
    "file": pl.String,
    "row": pl.Int64,
}
_RESULTS = {
    "file": pl.String,
    "source": pl.String,
    "image_hash": pl.String,
    "width": pl.Int64,
    "height": pl.Int64,
    "bytes": pl.Int64,
    "reason": pl.String,
    "look": pl.String,
}
_PRODUCTS = schema.Products.create_empty().schema
_REJECTS = schema.Rejects.create_empty().schema


@dataclass(frozen=True)
class ParsedFeed:
    """A day's feed before its images are fetched.

    `products` has the columns of catalog.products (`images` still empty), `image_references`
    product_id, position, source, file, row; `superseded` counts the valid rows that a later row
    of the same product replaced.
    """

    products: pl.DataFrame
    image_references: pl.DataFrame
    rejects: pl.DataFrame
    superseded: int


@dataclass(frozen=True)
class CatalogDay:
    """The tables of catalog[day], validated by `schema`."""

    products: pl.DataFrame
    rejects: pl.DataFrame
    images: pl.DataFrame


def parse_records(records: pl.DataFrame, mapping: Mapping[str, Any]) -> ParsedFeed:
    """Reads the products out of a day's records; the last valid row of a product wins.

    Args:
        records: the table raw_catalog.records of one day, in the order received.
        mapping: `columns`, `attributes` and `defaults` of catalog.yaml, as plain mappings
            (`CatalogConfig.model_dump()`): product field -> column name; `images` a list of
            {column, split}; attribute key -> {column, split, values}.
    """
    products, references, rejects = [], [], []
    for block in records.iter_slices(_BLOCK_ROWS):
        rows: list[tuple] = []
        sources: list[tuple] = []
        refused: list[tuple] = []
        fields = block.select("file", "row", "record", "error")
        for file, number, record, error in fields.iter_rows():
            row = ProductRow(mapping)
            try:
                values, images = row.read(record, error)
            except Rejected as problem:
                row.notes = [problem]
            else:
                rows.append((*values, file, number))
                sources += [(row.product_id, i, s, file, number) for i, s in enumerate(images)]
            for note in row.notes[:_MAX_NOTES]:
                value = excerpt(note.value, schema.MAX_EXCERPT)
                refused.append((file, number, row.product_id, note.field, note.reason, value))
        products.append(pl.DataFrame(rows, schema=_PRODUCTS, orient="row"))
        references.append(pl.DataFrame(sources, schema=_REFERENCES, orient="row"))
        rejects.append(pl.DataFrame(refused, schema=_REJECTS, orient="row"))
    every = pl.concat([schema.Products.create_empty(), *products])
    last = every.unique("product_id", keep="last", maintain_order=True).sort("product_id")
    sources_of_last = pl.concat([pl.DataFrame(schema=_REFERENCES), *references]).join(
        last, on=["product_id", "file", "row"], how="semi"
    )
    return ParsedFeed(
        products=last,
        image_references=sources_of_last.sort("product_id", "position"),
        rejects=pl.concat([schema.Rejects.create_empty(), *rejects]),
        superseded=every.height - last.height,
    )


def finish(parsed: ParsedFeed, results: Iterable[ImageResult]) -> CatalogDay:
    """Joins the products with what became of their images.

    A bad image is rejected alone; its product goes too only if nothing else is left of it.

    Args:
        parsed: of `parse_records`.
        results: of `images.normalise_all` over `parsed.image_references`.

    Raises:
        dataframely.exc.ValidationError: a table breaks its schema, which is our own mistake.
    """
    rows = [astuple(result) for result in results]
    outcome = pl.DataFrame(rows, schema=_RESULTS, orient="row")
    fetched = parsed.image_references.join(
        outcome, on=["file", "source"], how="left", maintain_order="left"
    ).with_columns(pl.col("reason").fill_null("not fetched"))
    good = pl.col("image_hash").is_not_null()
    images = (
        fetched.filter(good)
        .unique(["product_id", "image_hash"], keep="first", maintain_order=True)
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("product_id").alias("position"))
        .select(schema.Images.column_names())
    )
    bad = fetched.filter(~good).select(
        "file",
        "row",
        "product_id",
        pl.lit("images").alias("field"),
        "reason",
        pl.col("source").str.slice(0, schema.MAX_EXCERPT).alias("value"),
    )
    hashes = images.group_by("product_id", maintain_order=True).agg(
        pl.col("image_hash").alias("images")
    )
    products = (
        parsed.products.drop("images")
        .join(hashes, on="product_id", how="left", maintain_order="left")
        .with_columns(pl.col("images").fill_null([]))
        .select(schema.Products.column_names())
    )
    empty = (
        (pl.col("operation") == "upsert")
        & (pl.col("images").list.len() == 0)
        & (pl.col("attributes").list.len() == 0)
        & (pl.col("title") == "")
        & (pl.col("description") == "")
    )
    nothing_left = products.filter(empty).select(
        "file",
        "row",
        "product_id",
        pl.lit("images").alias("field"),
        pl.lit("no usable image, and neither text nor attributes").alias("reason"),
        pl.lit("").alias("value"),
    )
    rejects = pl.concat([parsed.rejects, bad, nothing_left]).sort(
        "file", "row", "field", "reason", "value"
    )
    return CatalogDay(
        products=schema.Products.validate(products.filter(~empty)),
        rejects=schema.Rejects.validate(rejects),
        images=schema.Images.validate(images),
    )
