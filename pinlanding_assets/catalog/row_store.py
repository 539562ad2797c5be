"""The parsed rows of a day: in memory while they are few, else in a temporary folder, so that a day
takes memory by the size of a range of ids and not of its feed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

KEPT_ROWS = 200_000  # in memory; more are written to disk
RANGE_ROWS = 150_000  # of `ranges`, some
_GROUP_ROWS = 8192  # of a file on disk: what is read at once
_FLOAT_ID = r"^-?[0-9]{1,15}\.0$"


class RowStore:
    """Rows with the columns of `rows.ROWS` and `at`, their place in the order received.

    Attributes:
        marks: File -> the marks before the cents that its prices show.
        float_ids: Files in which every id is a text like `101.0`.
    """

    def __init__(self) -> None:
        self.marks: dict[str, set[str]] = {}
        self._float_ids: dict[str, tuple[bool, int]] = {}
        self._frames: list[pl.DataFrame] = []
        self._ids: list[pl.Series] = []
        self._files: list[Path] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._named: list[pl.Series] = []  # the parents that rows name
        self._alone: list[pl.Series] = []  # which rows name none
        self._keys: list[pl.Series] = []  # what those can be named by, beside their ids
        self._rows = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Keep the rows of a block."""
        count = rows.height
        rows = rows.with_columns(
            at=pl.int_range(self._rows, self._rows + count, dtype=pl.Int64, eager=True)
        )
        self._rows += count
        self._named.append(rows["parent"].drop_nulls().unique())
        alone = rows["parent"].is_null()
        self._alone.append(alone)
        self._keys.append(rows["parent_key"].filter(alone).drop_nulls())
        floats = pl.col("product_id").str.contains(_FLOAT_ID) & ~pl.col("number")
        about = rows.group_by("file").agg(
            pl.col("mark").drop_nulls().unique(), floats.all().alias("floats"), pl.len()
        )
        for file, marks, every, length in about.iter_rows():
            self.marks.setdefault(file, set()).update(marks)
            before, seen = self._float_ids.get(file, (True, 0))
            self._float_ids[file] = (before and every, seen + length)
        self._frames.append(rows)
        self._ids.append(rows["product_id"])
        if self._rows > KEPT_ROWS:
            self._write()

    def _write(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="feed-rows-")
        for frame in self._frames:
            path = Path(self._folder.name) / f"{len(self._files):06}.parquet"
            frame.sort("product_id", maintain_order=True).write_parquet(
                path, compression="uncompressed", row_group_size=_GROUP_ROWS, statistics=True
            )
            self._files.append(path)
        self._frames = []

    @property
    def float_ids(self) -> set[str]:
        return {file for file, (every, rows) in self._float_ids.items() if every and rows > 1}

    @property
    def _has_parts(self) -> bool:
        """Whether a row names another one, whose part it then is."""
        named = pl.concat(self._named).unique().implode()
        owners = pl.concat(self._ids).filter(pl.concat(self._alone))
        return any(found.is_in(named).any() for found in (owners, pl.concat(self._keys)))

    def ranges(self) -> Iterator[pl.DataFrame]:
        """All rows in parts that hold products whole, in the order of ids; each part in the order
        received. A part of a product may lie under any id, so a day that has some is one part."""
        if not self._files or self.float_ids or self._has_parts:
            stored = [pl.read_parquet(path) for path in self._files]
            frames = [*stored, *self._frames]
            if frames:
                yield pl.concat(frames).sort("at") if stored else pl.concat(frames)
            return
        self._write()
        ids = pl.concat(self._ids).sort()
        bounds = ids.gather_every(RANGE_ROWS).unique(maintain_order=True)
        rows = pl.scan_parquet(self._files)
        for start, end in zip(bounds, [*bounds[1:], None], strict=True):
            within = pl.col("product_id") >= start
            if end is not None:
                within = within & (pl.col("product_id") < end)
            found = rows.filter(within).collect()
            # only rows of one product have an order among them
            several = found["product_id"].n_unique() < found.height
            yield found.sort("at") if several else found

    def close(self) -> None:
        """Remove what lies on disk."""
        if self._folder is not None:
            self._folder.cleanup()
