"""What operations are checked against, and agents look at: the lake's tables as they are now.

A table is read when it is asked for, once. Nothing of the truth is among them.
"""

import json
from collections.abc import Callable
from functools import cached_property

import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.catalog.feed import parse_records
from pinlanding_assets.decisions.facets import read_feeds, table_of
from pinlanding_assets.decisions.operations import FeedMap, FeedValue
from pinlanding_assets.decisions.state import Decision
from pinlanding_assets.topics.phrasing import Phraser
from pinlanding_assets.topics.words import plural
from resources.feeds.catalog_config import CatalogConfig

_SAMPLED = 200  # records of the newest day that a change of the feeds is tried on


class LakeView:
    """Tables of the lake, as `operations.View` wants them.

    Args:
        config: The catalog.yaml.
        read: Asset and table to the frame.
        products: The catalog as it stands.
        records: Some records of the newest day.
        said: Mentions of the catalog as it stands.
        assigned: The attributes of the catalog as it stands.
    """

    def __init__(
        self,
        config: CatalogConfig,
        read: Callable[[str, str], pl.DataFrame],
        *,
        products: Callable[[], pl.DataFrame],
        records: Callable[[int], pl.DataFrame],
        said: Callable[[], pl.DataFrame],
        assigned: Callable[[], pl.DataFrame],
    ):
        self.config, self._read = config, read
        self._products, self._records = products, records
        self._said, self._assigned = said, assigned
        self._held: dict[str, pl.DataFrame] = {}

    def _once(self, name: str, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        if name not in self._held:
            self._held[name] = read()
        return self._held[name]

    def _table(self, asset: str, table: str) -> pl.DataFrame:
        return self._once(f"{asset}.{table}", lambda: self._read(asset, table))

    @property
    def entries(self) -> pl.DataFrame:
        return self._table("attribute_vocabulary", "entries")

    @property
    def aliases(self) -> pl.DataFrame:
        return self._table("attribute_vocabulary", "aliases")

    @property
    def keys(self) -> pl.DataFrame:
        return self._table("attribute_vocabulary", "keys")

    @property
    def topics(self) -> pl.DataFrame:
        return self._table("topics", "topics")

    @property
    def collections(self) -> pl.DataFrame:
        return self._table("collections", "collections")

    @property
    def items(self) -> pl.DataFrame:
        return self._table("collections", "items")

    @property
    def demand(self) -> pl.DataFrame:
        return self._table("demand", "queries")

    @property
    def products(self) -> pl.DataFrame:
        return self._once("products", self._products)

    @cached_property
    def mentions(self) -> pl.DataFrame:
        return self._said()

    @cached_property
    def assignments(self) -> pl.DataFrame:
        return self._assigned()

    @cached_property
    def records(self) -> pl.DataFrame:
        return self._records(_SAMPLED)

    @property
    def columns(self) -> set[str]:
        """The columns of the newest feed."""
        return {name for record in self.records["record"] for name in json.loads(record)}

    @cached_property
    def phraser(self) -> Phraser:
        config = self.config
        return Phraser(self.entries, self.keys, config.phrases, plural(config.noun))

    def says(self, title: str) -> frozenset[str]:
        """The entries that a title states."""
        return self.phraser.parse_back(title)

    @cached_property
    def stated(self) -> pl.DataFrame:
        """What sellers state in fields: seller, folded key, products."""
        folded = {key: fold(key) for key in self.mentions["key"].unique()}
        return (
            self.mentions.filter(pl.col("source") != "vlm")
            .join(self.products.select("product_id", "seller"), on="product_id")
            .with_columns(folded=pl.col("key").replace_strict(folded, return_dtype=pl.String))
            .group_by("seller", "folded")
            .agg(pl.col("product_id").n_unique().alias("products"))
        )

    def statements_of(self, seller: str, key: str) -> int:
        """How many products a seller states a key of."""
        found = self.stated.filter(seller=seller, folded=fold(key))["products"]
        return int(found[0]) if found.len() else 0

    def fault_of(self, operation: FeedMap | FeedValue) -> str | None:
        """Why the feeds cannot be read that way: no such field, or fewer products than now."""
        settings = self.config.model_dump()
        table = table_of([Decision("", 0, "", operation)])
        try:
            changed = read_feeds(settings, table)
            CatalogConfig.model_validate(changed)
        except ValueError as error:
            return str(error)
        before, after = (
            parse_records(self.records, mapping).products.height for mapping in (settings, changed)
        )
        if after < before:
            return f"of {self.records.height} records {after} products could be read, now {before}"
        return None
