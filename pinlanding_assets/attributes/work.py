"""What an engine runs of this stage: the vision-language model, on batches of products."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from pinlanding_assets.attributes.describing import ANSWER_ERROR
from resources.encoders import decode_image
from resources.engine import BatchWork, Sent
from resources.lake import ComputeCache, Lake
from resources.vision_language import VisionLanguage


class Describe(BatchWork[dict, str]):
    """Rows of `choose` with their `key` to raw answers, which are kept unless they are errors."""

    def __init__(
        self, lake: Lake, cache: ComputeCache, model: VisionLanguage, purpose: str = "describe"
    ) -> None:
        self.version, self._purpose = model.version, purpose
        self._lake, self._cache, self._model = Sent(lake), Sent(cache), Sent(model)

    def open(self, device: str, precision: str) -> None:
        self._device, self._precision = device, precision

    def read(self, items: Sequence[dict]) -> list[bytes]:
        return self._lake.resource.images([row["image_hash"] for row in items])

    def decode(self, inputs: Sequence[bytes]) -> list[Any]:
        return [decode_image(image) for image in inputs]

    def run(self, items: Sequence[dict], inputs: Sequence[Any]) -> list[str]:
        return self._model.resource.describe(
            list(inputs),
            [row["title"] for row in items],
            device=self._device,
            dtype=self._precision,
            purpose=self._purpose,
        )

    def keep(self, items: Sequence[dict], results: Sequence[str]) -> None:
        found = [(row["key"], raw) for row, raw in zip(items, results, strict=True)]
        good = [pair for pair in found if not pair[1].startswith(ANSWER_ERROR)]
        if good:
            rows = pl.DataFrame(good, schema=["key", "raw"], orient="row")
            self._cache.resource.put(f"vlm:{self.version}", rows)
