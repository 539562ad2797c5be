"""The embedding and the VLM stage against the bare model, and both engines against each other.

The stage is what the asset runs: the engine's batches, reading images from the lake, decoding, the
model, the cache. The bare loop has the same images in memory, the same model and batch, and nothing
else. Ray starts its workers anew in every call, which the clock counts: it is asked for every
product `--passes` times, a day's work instead of a minute's. Its workers have processes of their
own, so its figure is of the wall clock, and the cores that were free are noted. Run from the
repository:

    OMP_NUM_THREADS=1 python -m benchmarks.stages [--products 1024] [--runs 5]
    OMP_NUM_THREADS=1 python -m benchmarks.stages --ray [--passes 40] [--runs 1]
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.catalog import rendered
from benchmarks.results import Figure, compared, free_cores, record
from pinlanding_assets.attributes.work import Describe
from pinlanding_assets.embeddings.encode import BATCH as ENCODED
from pinlanding_assets.embeddings.work import Encode
from pinlanding_assets.encoder.features import product_inputs
from pinlanding_assets.encoder.model import DualEncoder, HeadShape, build_heads, fuse
from pinlanding_assets.encoder.vectors import content_hash
from resources.checkpoints import Checkpoints
from resources.encoders import Encoders, decode_image
from resources.engine import Engine, InProcess
from resources.gpu import Gpu, Session
from resources.image_text_to_text import BatchLimits, ImageTextToText
from resources.lake import ComputeCache, Lake
from resources.profiles import WEIGHTS
from resources.vision_language import PROMPT_FILE, SCHEMA_FILE, VisionLanguage

ASKED = VisionLanguage().batch_size
BASE = f"open_clip:{WEIGHTS / 'encoder'}"


class Shop:
    """Rendered products, an untrained head on the sandbox's encoder, and the sandbox's VLM."""

    def __init__(self, folder: Path, products: int) -> None:
        self.lake = Lake(root=str(folder / "lake"))
        self.folder, self.checkpoints = folder, Checkpoints(root=str(folder / "checkpoints"))
        self.encoders = Encoders(base=BASE)
        self.products = rendered(self.lake, products)
        backbone = self.encoders.backbone("cpu")
        shape = HeadShape(backbone.image_dim, backbone.text_dim, backbone.text_dim, True)
        self.model = DualEncoder(backbone, shape, [], build_heads(shape, 0, 0))
        self.version = self.checkpoints.save("dual_encoder", self.model.save)
        inputs = product_inputs(self.products)
        keys = itertools.starmap(
            lambda *parts: content_hash(self.model.version, *parts),
            inputs.select("image_hash", "text", "document").iter_rows(),
        )
        rows = inputs.with_columns(pl.Series("content_hash", list(keys)))
        self.to_encode = rows.sort("content_hash").to_dicts()
        titles = self.products.select("product_id", "title")
        self.to_ask = rows.join(titles, on="product_id").rename({"content_hash": "key"}).to_dicts()
        self._caches = itertools.count()

    def cache(self) -> ComputeCache:
        """An empty one."""
        return ComputeCache(root=str(self.folder / f"cache-{next(self._caches)}"))

    def encoding(self) -> Encode:
        """Fresh work: nothing of it is known."""
        return Encode(self.lake, self.cache(), self.checkpoints, self.encoders, self.version)

    def asking(self) -> Describe:
        """Fresh work of the VLM."""
        model = VisionLanguage(model=str(WEIGHTS / "vlm"))
        return Describe(self.lake, self.cache(), model)


def bare_encoding(shop: Shop, images: dict[str, bytes]) -> list[np.ndarray]:
    """Decode, both towers, the heads; the batches of the backbone."""
    import torch

    backbone, heads, size = shop.model.backbone, shop.model.heads, shop.model.backbone.image_batch
    out = []
    with torch.inference_mode():
        for start in range(0, len(shop.to_encode), size):
            part = shop.to_encode[start : start + size]
            decoded = [decode_image(images[row["image_hash"]]) for row in part]
            image = backbone.forward_images(backbone.prepare_images(decoded))
            text = backbone.forward_texts(backbone.prepare_texts([row["text"] for row in part]))
            present = torch.ones(len(part))
            out.append(fuse(heads, image, text, present, present).numpy())
    return out


def bare_model() -> ImageTextToText:
    """The sandbox's VLM and its processor."""
    folder = WEIGHTS / "vlm"
    prompt, schema = (folder / name for name in (PROMPT_FILE, SCHEMA_FILE))
    return ImageTextToText(
        folder,
        prompt.read_text(),
        json.loads(schema.read_text()),
        device="cpu",
        dtype="float32",
        limits=BatchLimits(items=ASKED),
        max_pixels=1 << 20,
        max_new_tokens=192,
    )


def bare_asking(local: Any, shop: Shop, images: dict[str, bytes]) -> list[str]:
    """Processor, `generate`, decoding of tokens; no schema. The model is loaded before."""
    import torch

    out: list[str] = []
    with torch.inference_mode():
        for start in range(0, len(shop.to_ask), ASKED):
            part = shop.to_ask[start : start + ASKED]
            inputs = local._processor(
                text=[local._question(row["title"]) for row in part],
                images=[[local._fit(decode_image(images[row["image_hash"]]))] for row in part],
                padding=True,
                pad_to_multiple_of=32,
                return_tensors="pt",
            )
            tokens = local._model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=192,
                eos_token_id=local._ends,
                pad_token_id=local._pad,
            )
            new = tokens[:, inputs["input_ids"].shape[1] :]
            out += local._processor.tokenizer.batch_decode(new, skip_special_tokens=True)
    return out


def stages(shop: Shop, runs: int) -> list[Figure]:
    """Items a CPU second of the stage over those of the bare loop."""
    images = {row["image_hash"]: shop.lake.image(row["image_hash"]) for row in shop.to_encode}
    here, found = InProcess(Session("cpu", "float32", 0)), []
    items = len(shop.to_encode)
    for name, make, rows, batch, bare in (
        ("embedding stage", shop.encoding, shop.to_encode, ENCODED, bare_encoding),
        ("VLM stage", shop.asking, shop.to_ask, ASKED, partial(bare_asking, bare_model())),
    ):
        bare(shop, images)  # the model is loaded and warm
        here.map_batches(make(), rows, batch)
        ours, peer, ratio = compared(
            lambda make=make, rows=rows, batch=batch: here.map_batches(make(), rows, batch),
            lambda bare=bare: bare(shop, images),
            runs,
        )
        against = "the bare encode loop" if bare is bare_encoding else "bare batched generate"
        figure = Figure(
            name, items / ours, items / peer, ratio, "items/CPU-s", against, runs, ">= 0.90"
        )
        figure.note = f"{items:,} products, one thread"
        found.append(figure)
    return found


def on_ray(shop: Shop, runs: int, passes: int, pools: Sequence[int]) -> list[Figure]:
    """Items a second with so many workers over those of the same stage in this process."""
    os.environ |= {"RAY_worker_niceness": "0"}  # as nice as this process
    here, found = InProcess(Session("cpu", "float32", 0)), []
    gpu = Gpu(device="cpu")
    rows = [row | {"key": f"{row['key']}-{n}"} for n in range(passes) for row in shop.to_ask]
    here.map_batches(shop.asking(), shop.to_ask[:ASKED], ASKED)  # the model is loaded and warm
    for workers in pools:
        engine, free = Engine(kind="ray", workers=workers, cpus_per_worker=1), free_cores()
        with engine.session(gpu) as running:
            ours, peer, ratio = compared(
                lambda running=running: running.map_batches(shop.asking(), rows, ASKED),
                lambda: here.map_batches(shop.asking(), rows, ASKED),
                runs,
                time.monotonic,
            )
        figure = Figure(
            f"Ray, {workers} worker{'s' * (workers > 1)}, VLM stage",
            len(rows) / ours,
            len(rows) / peer,
            ratio,
            "items/s",
            "the same in this process",
            runs,
            ">= 1.5" if workers == 2 else "",
        )
        figure.note = (
            f"{len(rows):,} products, wall clock, workers' start included, "
            f"{free:.1f} cores free before"
        )
        found.append(figure)
    return found


def main() -> None:
    """Parse arguments, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--passes", type=int, default=40, help="of Ray over the products")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="of Ray")
    parser.add_argument("--ray", action="store_true", help="measure Ray, and nothing else")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder), arguments.products)
        if arguments.ray:
            record(on_ray(shop, arguments.runs, arguments.passes, arguments.workers))
        else:
            record(stages(shop, arguments.runs))


if __name__ == "__main__":
    main()
