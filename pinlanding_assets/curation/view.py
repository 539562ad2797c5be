"""What operations are checked against, and agents look at: the lake's tables as they are now.

A table is read when it is asked for, once. Nothing of the truth is among them.
"""

import json
from collections.abc import Callable
from functools import cached_property

import numpy as np
import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.decisions.facets import read_feeds, table_of
from pinlanding_assets.decisions.operations import FeedMap, FeedValue
from pinlanding_assets.decisions.state import Decision
from pinlanding_assets.embeddings.assignment import Readings
from pinlanding_assets.encoder.calibration import Calibrator
from pinlanding_assets.encoder.reader import unpacked
from pinlanding_assets.encoder.targets import key_spans
from pinlanding_assets.topics.phrasing import Phraser
from pinlanding_assets.topics.words import plural
from resources.feeds.catalog_config import CatalogConfig

_SEEN = 0.01  # least probability of what the encoder is said to see
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
        reads: Products to what the encoder alone sees of them: product_id, key, entry_id, p.
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
        reads: Callable[[pl.Series], pl.DataFrame],
    ):
        self.config, self._read = config, read
        self._products, self._records = products, records
        self._said, self._assigned = said, assigned
        self.reads = reads
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
        from pinlanding_assets.catalog.feed import parse_records

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


def encoder_reads(
    products: pl.DataFrame,
    embeddings: pl.LazyFrame,
    entries: pl.DataFrame,
    keys: pl.DataFrame,
    calibration: pl.DataFrame,
    read_entries: list[str],
) -> pl.DataFrame:
    """What the encoder alone sees of products, whatever their sellers say.

    Args:
        products: product_id and date of these products.
        embeddings: `product_embeddings.embeddings`.
        entries: `attribute_vocabulary.entries`.
        keys: `attribute_vocabulary.keys`.
        calibration: `dual_encoder.calibration`.
        read_entries: The columns of the readings.

    Returns:
        product_id, key, entry_id, p: every entry of a probability of at least `_SEEN`.
    """
    found = (
        embeddings.join(products.lazy(), on=["product_id", "date"], how="semi")
        .select("product_id", "readings")
        .drop_nulls()
        .sort("product_id")
        .collect()
    )
    order = entries.filter(pl.col("entry_id").is_in(read_entries)).sort("key", "entry_id")
    curve = Calibrator.of(order["entry_id"].to_list(), calibration, key_spans(order, keys))
    place = {entry: at for at, entry in enumerate(read_entries)}
    steps = Readings.of(found["readings"], read_entries).steps
    z = unpacked(steps[:, [place[entry] for entry in order["entry_id"]]])
    p = curve.probabilities(z)
    row, column = np.nonzero(p >= _SEEN)
    return pl.DataFrame(
        {
            "product_id": found["product_id"].gather(row),
            "key": order["key"].gather(column),
            "entry_id": order["entry_id"].gather(column),
            "p": p[row, column].astype(np.float64),
        }
    )
