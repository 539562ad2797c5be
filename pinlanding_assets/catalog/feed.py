"""Turns the rows of a feed as received into products, or into rejects that say why not."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

import polars as pl

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.images import ImageResult
from pinlanding_assets.catalog.joining import join_rows
from pinlanding_assets.catalog.row_store import RowStore
from pinlanding_assets.catalog.rows import REJECTS, RowReader

_BLOCK_ROWS = 50_000
_NO_CONTENT = "neither text nor image nor attributes"
_REFERENCES = {
    **{"product_id": pl.String, "position": pl.Int64, "source": pl.String},
    **{"file": pl.String, "row": pl.Int64},
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


@dataclass(frozen=True)
class ParsedFeed:
    """A day's feed before its images are fetched.

    Attributes:
        products: The columns of catalog.products, `images` still empty.
        image_references: product_id, position, source, file, row.
        rejects: The columns of catalog.rejects.
        superseded: Valid rows that a later row of the same product replaced.
        parts: Valid rows that were joined to another of their product.
        left_out: Rows that `only` leaves out.
    """

    products: pl.DataFrame
    image_references: pl.DataFrame
    rejects: pl.DataFrame
    superseded: int
    parts: int
    left_out: int


@dataclass(frozen=True)
class CatalogDay:
    """The tables of catalog[day], validated by `schema`."""

    products: pl.DataFrame
    rejects: pl.DataFrame
    images: pl.DataFrame


def parse_records(
    records: pl.DataFrame | Iterable[pl.DataFrame],
    mapping: Mapping[str, Any],
    day: str | None = None,
) -> ParsedFeed:
    """Reads the products out of a day's records.

    Args:
        records: The table raw_catalog.records of one day, in the order received, whole or in parts.
        mapping: catalog.yaml as plain mappings (`CatalogConfig.model_dump()`).
        day: YYYY-MM-DD, for columns that not all days have.
    """
    reader, left_out, store = RowReader(mapping, day), 0, RowStore()
    rejects = [pl.DataFrame(schema=REJECTS)]
    products = [pl.DataFrame(schema=schema.Products.create_empty().schema)]
    references = [pl.DataFrame(schema=_REFERENCES)]
    parts = superseded = 0
    full, how = mapping.get("snapshot") == "full", mapping.get("rows") or "auto"
    try:
        for part in [records] if isinstance(records, pl.DataFrame) else records:
            for block in part.iter_slices(_BLOCK_ROWS):
                read, refused, skipped = reader.read(block)
                store.add(read)
                rejects.append(refused)
                left_out += skipped
        for rows in store.ranges():
            rows, ambiguous = _with_prices(_with_whole_ids(rows, store.float_ids), store.marks)
            found, joined, replaced = join_rows(rows, how)
            found, cut, nothing = _whole(found)
            rejects += [ambiguous, cut, nothing]
            products.append(_products(found, full))
            references.append(_references(found))
            parts, superseded = parts + joined, superseded + replaced
    finally:
        store.close()
    refused, every = pl.concat(rejects), pl.concat(products)
    if full:
        every = pl.concat([every, _kept(refused, every)]).sort("product_id")
    return ParsedFeed(every, pl.concat(references), refused, superseded, parts, left_out)


def _products(found: pl.DataFrame, full: bool) -> pl.DataFrame:
    """The columns of catalog.products; `images` are not known yet."""
    return found.select(
        pl.lit([], pl.List(pl.String)).alias(name)
        if name == "images"
        else pl.lit(full).alias(name)
        if name == "snapshot"
        else pl.col(name)
        for name in schema.Products.column_names()
    )


def _with_whole_ids(rows: pl.DataFrame, files: set[str]) -> pl.DataFrame:
    """Ids of a file in which every one is a text like `101.0` are whole numbers: a data frame made
    them floats, because one was missing."""
    if not files:
        return rows
    whole = pl.col("product_id").str.strip_suffix(".0")
    return rows.with_columns(
        product_id=pl.when(pl.col("file").is_in(list(files))).then(whole).otherwise("product_id")
    )


def _with_prices(
    rows: pl.DataFrame, marks: Mapping[str, set[str]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Prices whose mark may be either, read as the other prices of their file are; and the rejects
    of those that nothing decides. `marks`: file -> the marks before the cents in it."""
    unclear = pl.col("ambiguous").is_not_null()
    if not rows.select(unclear.any()).item():
        return rows, pl.DataFrame(schema=REJECTS)
    only = {file: next(iter(found)) for file, found in marks.items() if len(found) == 1}
    mark = pl.col("file").replace_strict(only, default=None, return_dtype=pl.String)
    own, fraction = pl.col("ambiguous").str.head(1), pl.col("ambiguous").str.slice(1)
    decided = pl.when(own == mark).then(fraction.cast(pl.Float64)).otherwise("grouped")
    rows = rows.with_columns(
        mark=mark, price=pl.when(unclear & mark.is_not_null()).then(decided).otherwise("price")
    )
    lost = unclear & pl.col("mark").is_null()
    reason = pl.format(
        "may be {} or {}: say `decimal` in catalog.yaml",
        fraction.cast(pl.Float64),
        pl.col("grouped").cast(pl.Int64),
    )
    refused = _rejected(rows.filter(lost), "price", reason, fraction)
    return rows.filter(~lost), refused


def _whole(found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Products that can be, the rejects of what was cut off, and of products with no content."""
    found = found.with_columns(  # what is not for sale at all cannot be bought
        availability=pl.when(pl.col("status").eq_missing("out_of_stock"))
        .then(pl.lit("out_of_stock"))
        .otherwise("availability")
    )
    found, cut = _within_bounds(found)
    empty = (
        (pl.col("operation") == "upsert")
        & (pl.col("title") == "")
        & (pl.col("description") == "")
        & (pl.col("attributes").list.len() == 0)
        & (pl.col("images").list.len() == 0)
    )
    nothing = _rejected(found.filter(empty), "title", _NO_CONTENT, pl.lit(""))
    return found.filter(~empty) if nothing.height else found, cut, nothing


def _within_bounds(found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Products whose parts have too much of something lose the end of it."""
    bounds = {"attributes": schema.MAX_ATTRIBUTES, "images": schema.MAX_IMAGES}
    cut = [
        _rejected(
            found.filter(pl.col(name).list.len() > bound),
            *(name, f"more than {bound} {name} in all rows of the product", pl.lit("")),
        )
        for name, bound in bounds.items()
    ]
    return found.with_columns(pl.col(n).list.head(b) for n, b in bounds.items()), pl.concat(cut)


def _rejected(
    rows: pl.DataFrame, field: str, reason: str | pl.Expr, value: pl.Expr
) -> pl.DataFrame:
    return rows.select(
        "file",
        "row",
        "product_id",
        pl.lit(field).alias("field"),
        (pl.lit(reason) if isinstance(reason, str) else reason).alias("reason"),
        value.alias("value"),
    )


def _kept(rejects: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Products that a full export names in rows that cannot be used: they are not gone."""
    named = rejects.filter(pl.col("product_id").is_not_null()).unique(
        "product_id", keep="first", maintain_order=True
    )
    named = named.join(products, on="product_id", how="anti")
    blank = {"operation": "keep", "title": "", "description": "", "availability": "unknown"}
    empty = schema.Products.create_empty()
    return pl.concat(
        [
            empty,
            named.select(
                pl.col(name)
                if name in ("product_id", "file", "row")
                else pl.lit(blank[name] if name in blank else _nothing(name), dtype).alias(name)
                for name, dtype in empty.schema.items()
            ),
        ]
    )


def _nothing(name: str) -> Any:
    return True if name == "snapshot" else [] if name in ("images", "attributes") else None


def _references(found: pl.DataFrame) -> pl.DataFrame:
    """A row an image of a product, in order."""
    pictured = found.filter(pl.col("images").list.len() > 0)
    return pictured.select(
        "product_id",
        pl.int_ranges(pl.col("images").list.len(), dtype=pl.Int64).alias("position"),
        pl.col("images").alias("source"),
        "file",
        "row",
    ).explode("position", "source")


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
    shown = pl.col("source").str.slice(0, schema.MAX_EXCERPT)
    hashes = images.group_by("product_id", maintain_order=True).agg(
        pl.col("image_hash").alias("images")
    )
    # the columns of the products are not copied: a day may be large
    products = parsed.products
    if hashes.height:
        named = products.select("product_id").join(
            hashes, on="product_id", how="left", maintain_order="left"
        )
        products = products.with_columns(images=named["images"].fill_null([]))
    empty = (
        (pl.col("operation") == "upsert")
        & (pl.col("images").list.len() == 0)
        & (pl.col("attributes").list.len() == 0)
        & (pl.col("title") == "")
        & (pl.col("description") == "")
    )
    nothing_left = _rejected(
        products.filter(empty),
        *("images", "no usable image, and neither text nor attributes", pl.lit("")),
    )
    bad = _rejected(fetched.filter(~good), "images", pl.col("reason"), shown)
    rejects = pl.concat([parsed.rejects, bad, nothing_left]).sort(
        "file", "row", "field", "reason", "value"
    )
    if nothing_left.height:
        products = products.filter(~empty)
    return CatalogDay(
        products=_valid(products),
        rejects=schema.Rejects.validate(rejects),
        images=schema.Images.validate(images),
    )


def _valid(products: pl.DataFrame) -> pl.DataFrame:
    """The products, validated a part at a time.

    Raises:
        dataframely.exc.ValidationError: they break their schema.
    """
    if products["product_id"].n_unique() < products.height:
        return schema.Products.validate(products)  # says which
    for part in products.iter_slices(_BLOCK_ROWS):
        schema.Products.validate(part)
    return products
