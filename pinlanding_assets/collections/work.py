"""What an engine runs of this stage: topics are filled with products."""

from collections.abc import Sequence
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
from pinlanding_assets.decisions.assets import decisions
from pinlanding_assets.decisions.facets import PageDecisions
from pinlanding_assets.embeddings.assets import assignment_parts
from resources.engine import BatchWork, Sent
from resources.lake import Lake

BATCH = 512
"""Topics filled at once: the vectors that their pages look at are some 250 MB at 128 numbers."""


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
        parts = assignment_parts(lake, self._products)
        shelf = Shelf(self._products, self._arrangement)
        hidden = PageDecisions.of(decisions(lake, "pages")).hidden
        self._matcher = Matcher(shelf, parts, self._embeddings, hidden)

    def run(self, items: Sequence[list[str]], inputs: Sequence[Any]) -> list[Page]:
        del inputs
        return self._matcher.pages(items)

    def _embeddings(self, ids: pl.Series) -> pl.DataFrame:
        wanted = self._products.lazy().select("product_id", "date")
        wanted = wanted.join(ids.to_frame("product_id").lazy(), on="product_id", how="semi")
        table = self._lake.resource.scan("product_embeddings", "embeddings")
        found = table.join(wanted, on=["product_id", "date"], how="semi")
        return found.select("product_id", "vector").collect(engine="streaming")
