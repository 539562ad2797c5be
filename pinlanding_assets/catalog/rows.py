"""Reads the rows of a feed: maps their columns, checks and cleans each value."""

import functools
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.cells import Block, Column, column_of, is_null_word, plainly
from pinlanding_assets.catalog.price_rows import PriceReader
from pinlanding_assets.catalog.text import clean, excerpt
from pinlanding_assets.catalog.values import (
    Problem,
    members,
    read_attribute,
    read_id,
    read_images,
    read_text,
    read_url,
    several,
)
from pinlanding_assets.catalog.words import is_nothing, read_availability, read_operation
from resources.feeds.rows import at, parse_json

_URL = r"^https?://[!-.0-~][!-~]*$"
_REFERENCE = r"^[!-Z^-z|~]([ -~]*[!-Z\\^-z|~])?$"  # no list, no object
PAIR = pl.Struct({"key": pl.String, "value": pl.String})
ROWS = {
    **{"product_id": pl.String, "parent": pl.String, "parent_key": pl.String},
    **{"operation": pl.String, "title": pl.String, "description": pl.String, "price": pl.Float64},
    # of a price that may be read in two ways: its mark, and what it is if that separates thousands
    **{"mark": pl.String, "grouped": pl.Float64, "ambiguous": pl.String, "currency": pl.String},
    **{"seller": pl.String, "availability": pl.String, "status": pl.String, "url": pl.String},
    **{"attributes": pl.List(PAIR), "images": pl.List(pl.String)},
    **{"file": pl.String, "row": pl.Int64, "number": pl.Boolean},
}
REJECTS = schema.Rejects.create_empty().schema


class RowReader:
    """Reads rows by a mapping.

    Args:
        mapping: Of catalog.yaml (`CatalogConfig.model_dump()`): `columns`, `attributes`,
            `defaults`, `only`, `decimal`, `nulls`, `words`.
        day: YYYY-MM-DD, for columns that not all days have; None: all count.
    """

    def __init__(self, mapping: Mapping[str, Any], day: str | None = None):
        self._columns: Mapping[str, Any] = mapping["columns"]
        self._attributes: Mapping[str, Any] = mapping.get("attributes") or {}
        self._defaults: Mapping[str, Any] = mapping.get("defaults") or {}
        self._only: Mapping[str, Any] = mapping.get("only") or {}
        self._nulls = frozenset(word.strip().casefold() for word in mapping.get("nulls") or ())
        currency = self._defaults.get("currency")
        self._prices = PriceReader(mapping.get("decimal"), currency, self._nulls)
        words = mapping.get("words") or {}
        self._words = {
            kind: {word.casefold(): meaning for word, meaning in (words.get(kind) or {}).items()}
            for kind in ("availability", "operation")
        }
        self._day = date.fromisoformat(day) if day else None
        self._joined = mapping.get("rows") == "joined"
        self._before: tuple[Any, int, Any] = (None, 0, None)  # its file, row and id
        self._named: tuple[Any, dict[str, str]] = (None, {})  # of the row before: its id, its keys

    def read(self, block: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
        """The rows of a block (columns: ROWS), its rejects, and how many rows do not count.

        Args:
            block: Rows of raw_catalog.records.
        """
        block, broken = _readable(block)
        counted = block.filter(self._counted(block)) if self._only else block
        received = Block(counted, self._plain_columns())
        rows, ids = self._rows(received)
        rejects = [*broken, *received.rejects(ids)]
        left_out = block.height - counted.height
        return rows, pl.DataFrame(rejects, schema=REJECTS, orient="row"), left_out

    def _counted(self, block: pl.DataFrame) -> pl.Series:
        """Which rows count, by `only`."""
        counts = pl.repeat(True, block.height, eager=True)
        received = Block(block, list(self._only))
        for column, wanted in self._only.items():
            values = received.column(column).values()
            texts = ["" if self._is_nothing(value) else str(value).strip() for value in values]
            counts &= pl.Series(texts, dtype=pl.String).is_in(wanted)
        return counts

    def _plain_columns(self) -> list[str]:
        fields = [c["column"] for columns in self._columns.values() for c in columns]
        attributes = [
            column["column"]
            for key, columns in self._attributes.items()
            for column in columns
            if key != "*"
        ]
        return [*fields, *attributes]

    def _rows(self, block: Block) -> tuple[pl.DataFrame, list[str | None]]:
        nulls = self._nulls
        raw_ids = self._carried(block, self._column(block, "id"))
        ids = block.read(raw_ids, lambda v: read_id(v, nulls), plain=self._plain(schema.MAX_ID))
        operation = block.read(self._column(block, "operation"), self._operation)
        seller = block.read(
            self._column(block, "seller"),
            lambda v: self._text("seller", schema.MAX_TITLE, v) or self._defaults.get("seller"),
            plain=self._plain(schema.MAX_TITLE),
        )
        prices, currencies = self._prices.read(
            block, self._column(block, "price"), self._column(block, "currency")
        )
        url = pl.col("text").str.contains(_URL) & (pl.col("text").str.len_bytes() <= schema.MAX_URL)
        url &= ~is_null_word(nulls)
        frame = block.frame.with_columns(
            product_id=ids,
            parent=block.read(self._column(block, "parent"), self._parent),
            parent_key=block.read(self._column(block, "parent_key"), self._parent),
            operation=operation,
            title=self._texts(block, "title", schema.MAX_TITLE),
            description=self._texts(block, "description", schema.MAX_DESCRIPTION),
            price=prices["amount"],
            mark=prices["mark"],
            grouped=prices["grouped"],
            ambiguous=prices["ambiguous"],
            currency=currencies,
            seller=seller,
            # an unknown word is none that says that it can be bought
            availability=block.read(
                self._column(block, "availability"), self._availability
            ).fill_null("out_of_stock"),
            status=block.read(self._column(block, "status"), self._status).fill_null(
                "out_of_stock"
            ),
            url=block.read(self._column(block, "url"), lambda v: read_url(v, nulls), plain=url),
            number=raw_ids.numbers(),
        )
        attributes, images = self._pairs(block, ids.to_list()), self._images(block)
        frame = frame.with_columns(attributes=attributes, images=images).select(*ROWS)
        deleted = (operation == "delete").fill_null(False)
        if deleted.any():
            for place in deleted.arg_true():
                block.forget(place)
            frame = _without_content(frame)
        if block.refused:
            kept = ~pl.int_range(block.height, eager=True).is_in(sorted(block.refused))
            frame = frame.filter(kept)
        return frame, ids.to_list()

    def _carried(self, block: Block, ids: Column) -> Column:
        """Ids; where rows are joined, one without an id and a title is a part of the product of
        the row right before it (Squarespace, merged cells of a sheet)."""
        if not self._joined:
            return ids
        values, titles = ids.values(), self._column(block, "title").values()
        places = zip(*(block.frame[name].to_list() for name in ("file", "row")), strict=True)
        carried = False
        for place, (file, row) in enumerate(places):
            follows = self._before[:2] == (file, row - 1)
            if follows and self._is_nothing(values[place]) and self._is_nothing(titles[place]):
                values[place], carried = self._before[2], True
            self._before = (file, row, values[place])
        return column_of(values) if carried else ids

    def _column(self, block: Block, name: str) -> Column:
        """The values of a field: of the first of its columns that is there and not blank."""
        columns = [c["column"] for c in self._of_day(self._columns.get(name) or ())]
        if not columns:
            return column_of([None] * block.height)
        if len(columns) == 1:
            return block.column(columns[0])
        values = block.column(columns[0]).values()
        for column in columns[1:]:
            others = block.column(column).values()
            values = [
                other if self._is_nothing(value) or value == [] else value
                for value, other in zip(values, others, strict=True)
            ]
        return column_of(values)

    def _of_day(self, columns: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [
            column
            for column in columns
            if self._day is None
            or (
                (not column.get("since") or column["since"] <= self._day)
                and (not column.get("until") or self._day <= column["until"])
            )
        ]

    def _plain(self, limit: int) -> pl.Expr:
        return plainly(limit, self._nulls)

    def _texts(self, block: Block, name: str, limit: int) -> pl.Series:
        read = functools.partial(self._text, name, limit)
        return block.read(self._column(block, name), read, plain=self._plain(limit))

    def _text(self, name: str, limit: int, value: Any) -> Any:
        return read_text(name, limit, value, self._nulls)

    def _parent(self, value: Any) -> Any:
        text = read_text("parent", schema.MAX_ID + 1, value, self._nulls)
        if isinstance(text, str):
            text = text.removeprefix("id:").strip()
            if len(text) > schema.MAX_ID:
                return Problem("parent", f"not 1 to {schema.MAX_ID} characters", value, fatal=True)
        return text or None

    def _operation(self, value: Any) -> Any:
        text = value.strip() if isinstance(value, str) else value
        if text is None or (text != "-" and isinstance(text, str) and self._is_nothing(text)):
            return "upsert"
        found = None
        if not isinstance(text, list | dict):
            found = read_operation(text, self._words["operation"])
        return found or Problem("operation", "unknown operation", value, fatal=True)

    def _is_nothing(self, value: Any) -> bool:
        return value is None or (isinstance(value, str) and is_nothing(value, self._nulls))

    def _availability(self, value: Any) -> Any:
        if self._is_nothing(value):
            return "unknown"
        if isinstance(value, list | dict):
            return Problem("availability", "wrong type: a word or number expected", value, True)
        return read_availability(value, self._words["availability"]) or Problem(
            "availability",
            "unknown word: not sold until `words.availability` of catalog.yaml says what it means",
            value,
        )

    def _status(self, value: Any) -> Any:
        found = self._availability(value)
        return found._replace(field="status") if type(found) is Problem else found

    def _images(self, block: Block) -> pl.Series:
        frames = []
        for column in self._of_day(self._columns.get("images") or ()):
            split = column.get("split")
            plain = pl.col("text").str.contains(_REFERENCE) & self._plain(schema.MAX_URL)
            plain &= ~pl.col("text").str.contains("(http", literal=True)  # of an attachment
            frames.append(
                block.read_several(
                    block.column(column["column"]),
                    functools.partial(read_images, split=split, nulls=self._nulls),
                    plain & ~pl.col("text").str.contains(split, literal=True) if split else plain,
                )
            )
        once = len(frames) < 2
        return self._bounded(block, frames, schema.MAX_IMAGES, "images", once=once)

    def _pairs(self, block: Block, ids: list[str | None]) -> pl.Series:
        """The attributes of each row, as lists of {key, value}."""
        frames, once = [], True
        plain = self._plain(schema.MAX_ATTRIBUTE) & ~pl.col("text").str.starts_with("[")
        for key, columns in self._attributes.items():
            for column in self._of_day(columns):
                once = once and key != "*" and len(columns) == 1
                if key == "*":
                    frames.append(self._keyed(block, column, ids))
                    continue
                read = functools.partial(self._attribute, key, column)
                clean_texts = plain if 0 < len(key) <= schema.MAX_ATTRIBUTE else pl.lit(False)
                if split := column.get("split"):
                    clean_texts &= ~pl.col("text").str.contains(split, literal=True)
                if renamed := column.get("values"):
                    clean_texts &= ~pl.col("text").is_in(list(renamed))
                found = block.read_several(block.column(column["column"]), read, clean_texts)
                frames.append(found.select("place", pl.lit(key).alias("key"), "value"))
        return self._bounded(block, frames, schema.MAX_ATTRIBUTES, "attributes", once=once)

    def _bounded(
        self, block: Block, frames: list[pl.DataFrame], most: int, name: str, *, once: bool
    ) -> pl.Series:
        """What several columns say of each row, each thing once, as lists of at most `most`; it
        is `once` where no two columns can say the same."""
        dtype = ROWS[name]
        if not frames:
            return pl.repeat([], block.height, dtype=dtype, eager=True)
        found = pl.concat(frames)
        # a stable sort by row keeps the order of the columns; NumPy's is a radix sort
        found = found[np.argsort(found["place"].to_numpy(), kind="stable")]
        if not once:
            found = found.unique(keep="first", maintain_order=True)
        counts = np.bincount(found["place"].to_numpy(), minlength=block.height)
        for place in np.flatnonzero(counts > most).tolist():
            extra = found.filter(pl.col("place") == place).row(most, named=True)
            field = f"attributes.{extra['key']}" if "key" in extra else name
            block.note(place, Problem(field, f"more than {most} {name}", extra["value"]))
        things = found.drop("place")
        said = things.to_struct() if "key" in things.columns else things.to_series()
        lists = _as_lists(said, counts)
        lists = lists.list.head(most) if (counts > most).any() else lists
        return lists if lists.dtype == dtype else lists.cast(dtype)

    def _attribute(self, key: str, column: Mapping[str, Any], value: Any) -> tuple[Any, ...]:
        renamed = column.get("values") or {}
        return read_attribute(key, value, column.get("split"), renamed, self._nulls)

    def _keyed(
        self, block: Block, column: Mapping[str, Any], ids: list[str | None]
    ) -> pl.DataFrame:
        """Attributes whose keys stand in the row."""
        renamed = column.get("keys") or {}
        found: list[tuple[int, str, str]] = []
        for place, record in enumerate(block.records):
            pairs = self._members(column, record, ids[place])
            if isinstance(pairs, Problem):
                block.note(place, pairs)
                continue
            taken = 0
            for name, value in pairs.items():
                received = clean(str(name), schema.MAX_ATTRIBUTE + 1)
                key = renamed.get(received, renamed.get(received.lower(), received.lower()))
                if received and not key:
                    continue  # left out
                for part in self._attribute(key, column, value):
                    if type(part) is Problem:
                        block.note(place, part)
                    elif taken <= schema.MAX_ATTRIBUTES:
                        taken += 1
                        found.append((place, key, part))
        schema_of = {"place": pl.UInt32, "key": pl.String, "value": pl.String}
        return pl.DataFrame(found, schema=schema_of, orient="row")

    def _members(self, column: Mapping[str, Any], record: dict[str, Any], owner: Any) -> Any:
        names = column.get("names")
        if names is None:
            return members(at(record, column["column"]), self._nulls)
        found: dict[str, Any] = {}
        said: dict[str, str] = {}
        numbers = range(1, schema.MAX_ATTRIBUTES + 1) if "{n}" in names else [0]
        for n in numbers:
            name_column = names.replace("{n}", str(n))
            if n and name_column not in record:
                break
            name = at(record, name_column)
            if not isinstance(name, str) or is_nothing(name, self._nulls):
                # Shopify names an option in the first row of a product only
                name = self._named[1].get(name_column) if self._named[0] == owner else None
            if name:
                said[name_column] = name
                value = at(record, column["column"].replace("{n}", str(n)))
                found.setdefault(name, []).extend(several(value, None))
        self._named = (owner, {**(self._named[1] if self._named[0] == owner else {}), **said})
        return found


def _readable(block: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple]]:
    """The rows that are objects, and rejects of the others."""
    broken = []
    errors = block["error"].to_list() if block["error"].null_count() < block.height else None
    objects = block["record"].str.starts_with("{") & block["record"].str.ends_with("}")
    if errors is None and objects.all():
        return block, broken
    whole = []
    for file, row, record, error in block["file", "row", "record", "error"].iter_rows():
        if error is None:
            try:
                found = parse_json(record)
                error = None if isinstance(found, dict) else "not a JSON object"
            except (ValueError, RecursionError) as problem:
                error = f"not JSON: {problem}"
        whole.append(error is None)
        if error is not None:
            shown = excerpt(record, schema.MAX_EXCERPT)
            broken.append((file, row, None, "record", error, shown))
    return block.filter(pl.Series(whole, dtype=pl.Boolean)), broken


def _as_lists(values: pl.Series, counts: np.ndarray) -> pl.Series:
    """Lists of so many of the values each, in order."""
    import pyarrow as pa

    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return pl.Series(
        pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(ends), values.to_arrow()))
    )


def _without_content(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows whose deletions say nothing but the id."""
    blank = {
        **dict.fromkeys(("title", "description"), pl.lit("")),
        **{name: pl.lit([], ROWS[name]) for name in ("attributes", "images")},
        "availability": pl.lit("unknown"),
    }
    nothing = ("price", "mark", "grouped", "ambiguous", "currency", "seller", "url", "parent")
    return frame.with_columns(
        pl.when(pl.col("operation") == "delete").then(value).otherwise(name).alias(name)
        for name, value in {**blank, **dict.fromkeys((*nothing, "status"), pl.lit(None))}.items()
    )
