"""What an engine runs of this stage: the encoder and the assignment, on batches of products."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from pinlanding_assets.attributes.describing import current
from pinlanding_assets.attributes.statements import resolver
from pinlanding_assets.attributes.titles import read_titles
from pinlanding_assets.decisions.assets import heard
from pinlanding_assets.embeddings.assignment import Readings, assign
from pinlanding_assets.embeddings.encode import encode_batch
from pinlanding_assets.encoder.model import DualEncoder
from pinlanding_assets.encoder.vectors import CachedVectors, Encoded, vector_frame
from resources.checkpoints import Checkpoints
from resources.encoders import Encoders, decode_image
from resources.engine import BatchWork, Sent
from resources.lake import ComputeCache, Lake


class Encode(BatchWork[dict, Encoded]):
    """Rows of content_hash, image_hash, text and document to what the encoder makes of them."""

    def __init__(
        self,
        lake: Lake,
        cache: ComputeCache,
        checkpoints: Checkpoints,
        encoders: Encoders,
        checkpoint: str,
    ) -> None:
        self._lake, self._cache = Sent(lake), Sent(cache)
        self._checkpoints, self._encoders = Sent(checkpoints), Sent(encoders)
        self._checkpoint = checkpoint

    def open(self, device: str, precision: str) -> None:
        del precision  # vectors are compared by their bytes
        folder = self._checkpoints.resource.path("dual_encoder", self._checkpoint)
        self._model = DualEncoder.load(folder, self._encoders.resource.backbone(device))
        self._known = CachedVectors(self._cache.resource, self._model.version)

    def read(self, items: Sequence[dict]) -> list[bytes | None]:
        names = sorted({row["image_hash"] for row in items if row["image_hash"]})
        images = dict(zip(names, self._lake.resource.images(names), strict=True))
        return [images.get(row["image_hash"]) for row in items]

    def decode(self, inputs: Sequence[bytes | None]) -> list[Any]:
        return [image and decode_image(image) for image in inputs]

    def run(self, items: Sequence[dict], inputs: Sequence[Any]) -> list[Encoded]:
        images = {
            row["image_hash"]: image
            for row, image in zip(items, inputs, strict=True)
            if row["image_hash"]
        }
        return encode_batch(self._model, items, images)

    def keep(self, items: Sequence[dict], results: Sequence[Encoded]) -> None:
        self._known.put(vector_frame(items, results))


class Block(NamedTuple):
    """Products of a day, by their place in `upserts`."""

    day: str
    start: int
    stop: int


BLOCK = 65_536
"""Products that are assigned at once: some 200 MB with their vectors."""


class Assign(BatchWork[Block, pl.DataFrame]):
    """Blocks of a day's products to their assignments, by product and entry."""

    rejects = False

    def __init__(self, lake: Lake) -> None:
        self._lake = Sent(lake)

    def open(self, device: str, precision: str) -> None:
        del device, precision  # numpy
        lake = self._lake.resource
        self._entries, aliases, self._keys, self._title_words = (
            lake.read("attribute_vocabulary", table)
            for table in ("entries", "aliases", "keys", "title_words")
        )
        self._calibration, self._trust = (
            lake.read("dual_encoder", table) for table in ("calibration", "title_trust")
        )
        self._read = lake.read("dual_encoder", "read_entries")["entry_id"].to_list()
        self._mentions = lake.scan("vlm_attributes", "mentions").collect()
        self._words = heard(lake)
        self._resolved = resolver(aliases, self._entries)

    def run(self, items: Sequence[Block], inputs: Sequence[Any]) -> list[pl.DataFrame]:
        del inputs
        return [self._assigned(block) for block in items]

    def _assigned(self, block: Block) -> pl.DataFrame:
        lake = self._lake.resource
        products = upserts(lake, block.day).slice(block.start, block.stop - block.start).collect()
        encoded = products.select("product_id").join(
            lake.read("product_embeddings", "embeddings", block.day).select(
                "product_id", "readings"
            ),
            on="product_id",
            how="left",
            maintain_order="left",
        )
        told = current(self._mentions, products), read_titles(products, self._title_words)
        said = pl.concat([part.select("product_id", "source", "key", "value") for part in told])
        said = self._words.heard(said, products)
        return assign(
            products["product_id"],
            Readings.of(encoded["readings"], self._read),
            self._entries,
            calibration=self._calibration,
            keys=self._keys,
            statements=self._resolved(said),
            title_trust=self._trust,
        )


def upserts(lake: Lake, day: str) -> pl.LazyFrame:
    """The new and changed products of a day by their ids, with the day as `date`."""
    day_of = lake.scan("catalog", "products", [day])
    return day_of.filter(pl.col("operation") == "upsert").sort("product_id")


def blocks(lake: Lake, day: str) -> list[Block]:
    """All of a day's products; at least one block, so that an empty day has an empty table."""
    count = upserts(lake, day).select(pl.len()).collect().item()
    return [Block(day, start, start + BLOCK) for start in range(0, max(1, count), BLOCK)]
