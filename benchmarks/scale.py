"""Topics and collections of 10^4 to 10^7 products: processor time a product, and memory.

Products are drawn with the sandbox's attributes and written to a lake in parts of a million, each
a day. Two stages are run as their assets run them, from the lake: `topics` mines combinations,
writes and judges titles; `collections` fills pages and applies the gates, at every size for the
same topics, those of a hundred thousand products. Every size of a stage has a process of its own.
Fails where one misses its bar. Run from the repository:

    OMP_NUM_THREADS=1 python -m benchmarks.scale [--products 10000 100000 1000000 10000000]
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.catalog import drawn, vocabulary
from benchmarks.results import Figure, cpu_seconds, record
from pinlanding_assets.catalog.live import live, sellable
from pinlanding_assets.collections.gates import Gates
from pinlanding_assets.collections.matching import Arrangement, fill_pages
from pinlanding_assets.collections.work import BATCH, Match
from pinlanding_assets.embeddings.assets import assignment_parts
from pinlanding_assets.topics.demand import DEMAND_SCHEMA
from pinlanding_assets.topics.judging import judge
from pinlanding_assets.topics.mining import mine
from pinlanding_assets.topics.phrasing import Phraser, write_titles
from resources.engine import InProcess
from resources.gpu import Session
from resources.lake import Lake
from sandbox.vocabulary import PHRASES

PART = 1_000_000
BASE = 100_000  # the size whose cost a product the others' is compared with
CLUSTERS = 1_000
BARS = {1_000_000: (1.0, 4.0), 10_000_000: (1.2, 8.0)}  # of the cost a product; GiB


def write(folder: Path, products: int) -> None:
    """The tables that both stages read, a day a part."""
    lake = Lake(root=str(folder))
    members = []
    for number, first in enumerate(range(0, products, PART)):
        size = min(PART, products - first)
        assignments, shelf, embeddings = drawn(size, seed=number, first=first)
        day = f"2026-01-{number + 1:02d}"
        shelf = shelf.with_columns(operation=pl.lit("upsert"), snapshot=pl.lit(False))
        assignments = assignments.sort("product_id", "entry_id")
        looks = pl.DataFrame(schema={"image_hash": pl.String, "look": pl.String})
        lake.commit("catalog", {"products": shelf, "images": looks}, partition=day)
        lake.commit("product_attributes", {"assignments": assignments}, partition=day)
        lake.commit("product_embeddings", {"embeddings": embeddings}, partition=day)
        groups = np.random.default_rng(number).integers(CLUSTERS, size=size)
        members.append(shelf.select("product_id", cluster_id=pl.Series(groups)))
    lake.commit("product_clusters", {"members": pl.concat(members)})


def topics(lake: Lake) -> dict[str, float]:
    """Mines, phrases and judges, and writes what was found."""
    entries, keys = vocabulary()
    shelf = sellable(live(lake.scan("catalog", "products"))).select("product_id", "date")
    on_sale = shelf.collect(engine="streaming")
    candidates = mine(
        assignment_parts(lake, on_sale),
        keys,
        pl.DataFrame(schema=DEMAND_SCHEMA),
        products=on_sale.height,
        members=lake.read("product_clusters", "members"),
    )
    found = judge(write_titles(candidates, Phraser(entries, keys, PHRASES)), entries)
    lake.commit("topics", {"topics": found})
    return {"candidates": candidates.height, "topics": found["accepted"].sum()}


def collections(lake: Lake) -> dict[str, float]:
    """Fills the topics' pages and applies the gates."""
    chosen = lake.read("topics", "topics").filter("accepted")
    running = InProcess(Session("cpu", "float32", 0))
    work = Match(lake, Arrangement().shared_by(chosen.height))
    pages = running.map_batches(work, chosen["entries"].to_list(), BATCH)
    found, items = fill_pages(chosen, pages, Gates())
    return {
        "topics": chosen.height,
        "pages": found["accepted"].sum(),
        "items": items.height,
    }


STAGES: dict[str, Callable[[Lake], dict[str, float]]] = {
    "topics": topics,
    "collections": collections,
}


def measure(stage: str, folder: Path) -> dict[str, float]:
    """What the stage found, its processor and wall seconds, and the peak of the memory."""
    lake = Lake(root=str(folder))
    clock, cpu = time.monotonic(), cpu_seconds()
    found = STAGES[stage](lake)
    return found | {
        "cpu_s": cpu_seconds() - cpu,
        "wall_s": time.monotonic() - clock,
        "gib_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def in_a_process(*arguments: str) -> str:
    """Standard output of this module with other arguments."""
    command = [sys.executable, "-m", __spec__.name, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Parse arguments, measure each size, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = [10_000, 100_000, 1_000_000, 10_000_000]
    parser.add_argument("--products", type=int, nargs="+", default=sizes)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", type=Path, help="write one size there, and end")
    parser.add_argument("--one", type=Path, help="measure one stage of what is there, and end")
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write, arguments.products[0])
        return
    if arguments.one:
        print(json.dumps(measure(arguments.stages[0], arguments.one)))
        return
    found: dict[str, dict[int, dict[str, float]]] = {stage: {} for stage in arguments.stages}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder, str(BASE))
        in_a_process("--write", str(base), "--products", str(BASE))
        in_a_process("--one", str(base), "--stages", "topics")
        wanted = Lake(root=str(base)).read("topics", "topics")
        for products in sorted({BASE, *arguments.products}):
            lake = Path(folder, f"lake-{products}")
            in_a_process("--write", str(lake), "--products", str(products))
            for stage in arguments.stages:
                if stage == "collections":
                    Lake(root=str(lake)).commit("topics", {"topics": wanted})
                one = ("--one", str(lake), "--stages", stage)
                runs = [json.loads(in_a_process(*one)) for _ in range(arguments.runs)]
                found[stage][products] = sorted(runs, key=lambda r: r["cpu_s"])[len(runs) // 2]
                print(stage, products, found[stage][products], flush=True)
    figures = [
        figure for stage in found for figure in compared(stage, found[stage], arguments.runs)
    ]
    record(figures)
    missed = [figure.name for figure in figures if figure.reached == "**no**"]
    for figure in figures:
        limit = BARS.get(figure.more["products"], (0.0, math.inf))[1]
        if figure.more["gib_peak"] > limit:
            missed.append(f"{figure.name}: {figure.more['gib_peak']:.2f} GiB, limit {limit}")
    if missed:
        sys.exit("\n".join(missed))


def compared(stage: str, found: dict[int, dict[str, float]], runs: int) -> list[Figure]:
    """A line a size: its cost a product over that of `BASE` products."""
    base = found[BASE]["cpu_s"] / BASE
    figures = []
    for products, run in found.items():
        cost = run["cpu_s"] / products
        counted = ", ".join(f"{run[name]:,} {name}" for name in ("topics", "pages") if name in run)
        figures.append(
            Figure(
                f"{stage}, {products:,} products, cost a product",
                1e6 * cost,
                1e6 * base,
                cost / base,
                "CPU-µs",
                f"{BASE:,} products",
                runs,
                f"<= {BARS[products][0]}" if products in BARS else "",
                f"peak {run['gib_peak']:.2f} GiB, {counted}{growth(found, products)}",
                run | {"products": products},
            )
        )
    return figures


def growth(found: dict[int, dict[str, float]], products: int) -> str:
    """How the time grew from the size before to this one, as a power of the products."""
    before = max((size for size in found if size < products), default=None)
    if before is None:
        return ""
    seconds = found[products]["cpu_s"] / found[before]["cpu_s"]
    exponent = math.log(seconds) / math.log(products / before)
    return f"; growth of the time n^{exponent:.2f} since {before:,}"


if __name__ == "__main__":
    main()
