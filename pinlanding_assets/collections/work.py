"""What an engine runs of this stage: topics are filled with products."""

from collections.abc import Sequence
from typing import Any

from pinlanding_assets.catalog.live import live
from pinlanding_assets.collections.matching import Arrangement, Matcher, Page
from resources.engine import BatchWork, Sent
from resources.lake import Lake

BATCH = 64
"""Topics that a worker fills between two reports; loading the catalog costs far more than one."""


class Match(BatchWork[list[str], Page]):
    """Entries of topics to pages. Every worker holds the catalog: some 0.7 kB a product."""

    rejects = False

    def __init__(self, lake: Lake, arrangement: Arrangement) -> None:
        self._lake, self._arrangement = Sent(lake), arrangement

    def open(self, device: str, precision: str) -> None:
        del device, precision  # numpy
        lake = self._lake.resource
        products, version = live(lake.scan("catalog", "products")), ["product_id", "date"]
        assigned, embeddings = (
            lake.scan(asset, table).join(products, on=version, how="semi").drop("date").collect()
            for asset, table in (
                ("product_attributes", "assignments"),
                ("product_embeddings", "embeddings"),
            )
        )
        self._matcher = Matcher(assigned, products.collect(), embeddings, self._arrangement)

    def run(self, items: Sequence[list[str]], inputs: Sequence[Any]) -> list[Page]:
        del inputs
        return [self._matcher.page(entries) for entries in items]
