"""What an engine runs of this stage: topics are filled with products."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from pinlanding_assets.catalog.live import live, with_looks
from pinlanding_assets.collections.matching import (
    Arrangement,
    Matcher,
    Page,
    Shelf,
    shelf_columns,
)
from resources.engine import BatchWork, Sent
from resources.lake import Lake

BATCH = 512
"""Topics filled at once: the vectors that their pages look at are some 250 MB at 128 numbers."""
ROWS = 4_000_000
"""Assignments in memory at once while the postings are built, some 600 MB."""


class Match(BatchWork[list[str], Page]):
    """Entries of topics to pages. Every worker holds ids, titles and postings of the catalog, some
    200 bytes a product; vectors stay in the lake but for those that pages look at."""

    rejects = False

    def __init__(self, lake: Lake, arrangement: Arrangement) -> None:
        self._lake, self._arrangement = Sent(lake), arrangement

    def open(self, device: str, precision: str) -> None:
        del device, precision  # numpy
        lake = self._lake.resource
        seen = with_looks(live(lake.scan("catalog", "products")), lake.scan("catalog", "images"))
        products = shelf_columns(seen)
        self._products = products.collect(engine="streaming")
        days = self._products["date"].unique().sort()
        parts = (part for day in days for part in self._assignments(day))
        self._matcher = Matcher(Shelf(self._products, self._arrangement), parts, self._embeddings)

    def run(self, items: Sequence[list[str]], inputs: Sequence[Any]) -> list[Page]:
        del inputs
        return self._matcher.pages(items)

    def _assignments(self, day: str) -> Iterator[pl.DataFrame]:
        """Of the products whose last version is the day's, in parts that split no product."""
        current = self._products.filter(pl.col("date") == day).select("product_id")
        table = self._lake.resource.scan("product_attributes", "assignments", [day])
        rows = table.select("product_id", "entry_id", "key", "p", "source")
        held = pl.DataFrame(schema=rows.collect_schema())
        total = rows.select(pl.len()).collect().item()
        for start in range(0, total, ROWS):
            part = pl.concat([held, rows.slice(start, ROWS).collect()])
            unfinished = part["product_id"] == part["product_id"][-1]
            last = start + ROWS >= total
            held = part.filter(unfinished)
            part = part if last else part.filter(~unfinished)
            yield part.join(current, on="product_id", how="semi")

    def _embeddings(self, ids: pl.Series) -> pl.DataFrame:
        wanted = self._products.lazy().select("product_id", "date")
        wanted = wanted.join(ids.to_frame("product_id").lazy(), on="product_id", how="semi")
        table = self._lake.resource.scan("product_embeddings", "embeddings")
        found = table.join(wanted, on=["product_id", "date"], how="semi")
        return found.select("product_id", "vector").collect(engine="streaming")
