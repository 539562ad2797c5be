"""What a catalog of a size takes: hours of GPUs, time, storage, money. Pure arithmetic.

Every number that goes in is an `Assumption` with its source; what is a guess says so.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GUESS = "guess"
SPECS = "https://llmbook.apartsin.com/appendices/appendix-g-hardware-compute/section-g.1.html"
PRICES = "https://pricegpu.pages.dev/blog/h100-vs-a100-cloud-price (early 2026, upper end)"
TOKENS = "https://aihardwareindex.com/blog/h100-vs-a100-vs-l40s-the-cost-per-token-analysis"
S3 = "https://devnotes.tech/understanding-aws-s3-pricing-a-complete-cost-breakdown-with-examples"
GB, HOUR, DAY, YEAR = 1e9, 3600.0, 86_400.0, 365


@dataclass(frozen=True)
class Card:
    """A GPU: dense BF16 TFLOPS, TB/s, tokens/s of an 8 B model at batch 32, US$ an hour."""

    tflops: float
    bandwidth: float
    tokens: float
    dollars: float
    price_source: str


CARDS = {
    "a100": Card(312, 2.0, 1_933, 2.49, PRICES),
    "h100": Card(990, 3.35, 2_462, 3.99, PRICES),
    "l40s": Card(362, 0.864, 1_124, 0.87, f"{TOKENS} (December 2025)"),
}


@dataclass(frozen=True)
class Assumption:
    """A number that goes in."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        products: In the catalog.
        daily: New and changed products a day.
        gpu: A key of CARDS.
        gpus: That work at once.
        described: Products a day that the vision-language model looks at.
    """

    products: float
    daily: float
    gpu: str
    gpus: int
    described: float


@dataclass(frozen=True)
class Stage:
    """A part of the work: items, items a second of one worker, workers, hours, US$."""

    name: str
    items: float
    rate: float
    workers: int
    hours: float
    dollars: float

    @property
    def wall(self) -> float:
        """Hours from start to end."""
        return self.hours / max(1, self.workers)


def assumptions(request: Request, measured: Mapping[str, float]) -> dict[str, Assumption]:
    """Everything that the plan rests on, by a short name."""
    card = CARDS[request.gpu]
    repo = "this repository"
    found = [
        ("tflops", card.tflops, "dense BF16 TFLOPS", SPECS),
        ("card_price", card.dollars, "US$ an hour", card.price_source),
        ("tokens", card.tokens, "tokens/s of an 8 B model, batch 32", TOKENS),
        ("encoder_gflops", 46.44, "GFLOP a product (ViT-B-16-SigLIP, both towers)",
         "https://github.com/mlfoundations/open_clip/blob/main/docs/model_profile.csv"),
        ("utilisation", 0.30, "of the peak, in dense passes", GUESS),
        ("stage_ratio", measured.get("stage_ratio", 0.90), "of the bare encode loop's rate",
         "benchmarks/results.json" if "stage_ratio" in measured else "the bar of `make bench`, "
         "not a measurement"),
        ("decode", 173, "pictures a core and second (512 px JPEG, 160 kB)",
         f"{repo}: python -m benchmarks.decode, median of 5"),
        ("core_price", 0.05, "US$ a core and hour", f"{repo}: resources/profiles.py"),
        ("vlm_parameters", 2.2e9, "of SmolVLM2-2.2B", "the model's name"),
        ("vlm_prompt", 1_200, "tokens of a prompt with its image", GUESS),
        ("vlm_answer", 80, "tokens of an answer", GUESS),
        ("topic_cpu", measured.get("topic_cpu", 68e-6), "CPU-s a product, topics and feeds",
         "benchmarks/results.json, 10^7 products" if "topic_cpu" in measured else f"{repo}: "
         "README, `make prove-scale` at 10^6 products"),
        ("image_bytes", 160e3, "bytes a picture (512 px, quality 95)",
         f"{repo}: python -m benchmarks.decode; photos vary"),
        ("table_bytes", 210, "bytes a product and version, Parquet",
         f"{repo}: the sandbox's lake (6,699 products, short texts)"),
        ("dimensions", 768, "of a vector, 4 bytes each", "model_profile.csv, as above"),
        ("index_overhead", 1.5, "times the vectors, in memory",
         "https://qdrant.tech/documentation/capacity-planning/"),
        ("storage_price", 0.023, "US$ a GB and month (S3 Standard)", S3),
        ("put_price", 0.005 / 1000, "US$ a PUT", S3),
        ("get_price", 0.0004 / 1000, "US$ a GET", S3),
        ("day_overhead", 1.0, "s a day's partition costs beside its rows",
         f"{repo}: docs/operations.md, backfill of 30 small days"),
        ("readers_efficiency", 0.7, "of a core that decodes and nothing else", GUESS),
    ]  # fmt: skip
    return {name: Assumption(name, value, unit, source) for name, value, unit, source in found}


def measurements(path: Path) -> dict[str, float]:
    """What `make bench` has measured of what the plan needs; empty without its results."""
    if not path.exists():
        return {}
    rows = json.loads(path.read_text())
    found = {}
    if "embedding stage" in rows:
        found["stage_ratio"] = min(1.0, float(rows["embedding stage"]["ratio"]))
    largest = [
        f"{stage}, 10,000,000 products, cost a product" for stage in ("topics", "collections")
    ]
    if all(name in rows for name in largest):
        found["topic_cpu"] = sum(1e-6 * float(rows[name]["ours"]) for name in largest)
    return found


def stages(request: Request, given: Mapping[str, Assumption]) -> dict[str, list[Stage]]:
    """The work of the first load and of an ordinary day."""
    value = {name: one.value for name, one in given.items()}
    encode = value["tflops"] * 1e12 * value["utilisation"] * value["stage_ratio"]
    encode /= value["encoder_gflops"] * 1e9
    prefill = 2 * value["vlm_parameters"] * value["vlm_prompt"]
    prefill /= value["tflops"] * 1e12 * value["utilisation"]
    # decoding is bound by memory: tokens/s go as one over the parameters
    decoding = value["vlm_answer"] / (value["tokens"] * 8e9 / value["vlm_parameters"])
    describe = 1 / (prefill + decoding)
    read = value["decode"] * value["readers_efficiency"]
    readers = max(1, math.ceil(request.gpus * encode / read))

    def work(products: float, described: float, catalog: float) -> list[Stage]:
        gpu, core = value["card_price"], value["core_price"]
        parts = (
            ("decode pictures (cores)", products, read, readers, core),
            ("embed products (GPUs)", products, encode, request.gpus, gpu),
            ("describe a sample (GPUs)", described, describe, request.gpus, gpu),
            ("topics and feeds (a core)", catalog, 1 / value["topic_cpu"], 1, core),
        )
        return [
            Stage(name, items, rate, workers, items / rate / HOUR, items / rate / HOUR * price)
            for name, items, rate, workers, price in parts
        ]

    return {
        "first load": work(request.products, request.described, request.products),
        "a day": work(request.daily, request.described, request.products),
    }


def storage(request: Request, given: Mapping[str, Assumption]) -> dict[str, float]:
    """GB of the lake and of the index, US$ of a month and of the first writing."""
    value = {name: one.value for name, one in given.items()}
    versions = request.products + request.daily * YEAR
    images = request.products * value["image_bytes"] / GB
    tables = versions * value["table_bytes"] / GB
    vectors = versions * value["dimensions"] * 4 / GB
    index = request.products * value["dimensions"] * 4 * value["index_overhead"] / GB
    return {
        "images_gb": images,
        "tables_gb_a_year": tables,
        "vectors_gb_a_year": vectors,
        "index_memory_gb": index,
        "dollars_a_month": (images + tables + vectors) * value["storage_price"],
        "dollars_of_puts": request.products * value["put_price"],
        "dollars_of_gets": request.products * value["get_price"],
    }


def partitions(request: Request, given: Mapping[str, Assumption]) -> dict[str, float]:
    """Days of a year, products of one, what they cost beside their rows, actors, readers."""
    load = stages(request, given)["first load"]
    return {
        "partitions_a_year": YEAR,
        "products_a_partition": request.daily,
        "overhead_hours_a_year": YEAR * given["day_overhead"].value / HOUR,
        "gpu_actors": request.gpus,
        "reader_actors": load[0].workers,
    }


def public_figure(given: Mapping[str, Assumption]) -> list[tuple[float, float, float]]:
    """The planner on the one public run, 8 A100: (products, hours, US$ at that run's price).

    Public: about 12 hours and about 500 US$; whether of 10^8 or 10^9 products, sources differ.
    """
    price = 500 / 96  # US$ an A100 and hour: what 500 US$ for 8 x 12 hours come to
    found = []
    for products in (1e8, 1e9):
        request = Request(products, 0, "a100", 8, 0)
        measured = {"stage_ratio": given["stage_ratio"].value}
        embed = stages(request, assumptions(request, measured))["first load"][1]
        found.append((products, embed.wall, embed.hours * price))
    return found


BREAKS = (
    (1e4, "nothing: the demo's 6,000 products run on two cores", ""),
    (1e5, "the vision-language model on every product",
     "a budgeted, varied sample; the encoder labels the rest (`vlm_budget`, `budget:`)"),
    (1e6, "exact search, and one shop's table of a pandas size",
     "HNSW (Qdrant Edge); topics and pages of it within 2 GiB, measured"),
    (1e7, "memory of steps that hold the catalog as it stands: vocabulary, clusters, publication",
     "topics are mined out of core (3.4 GiB) and pages filled in blocks (7.9 GiB, `make bench`); "
     "vocabulary, clusters and publication still read everything: a machine of 64 GiB"),
    (1e8, "one GPU, one machine's decoding, the index in one memory",
     "`engine: ray` with readers apart from GPU workers; a Qdrant cluster with shards and "
     "quantisation; a bucket, whose PUTs of single pictures begin to cost"),
    (1e9, "a day's feed in one process; `the catalog as of today` as a query over all days; "
     "one picture an object",
     "NOT built: feeds have to be split into several catalogs (one platform each, one bucket), "
     "closed months compacted, and pictures packed; the GPU stages scale by workers alone"),
)  # fmt: skip
"""Products, what breaks first there, and what the design does about it."""
