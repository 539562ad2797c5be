"""Matching of 10^4 to 10^7 products: processor time a product, and memory.

The same topics, mined from a hundred thousand products, are filled from catalogs of each size by
what the asset `collections` runs: from the lake to pages. Products are those of
`collections_at_scale`, written in parts of a million, each a day. Every size has a process of its
own. Fails where a size needs more than 8 GiB. Run from the repository:

    OMP_NUM_THREADS=1 python -m benchmarks.matching [--products 10000 100000 1000000 10000000]
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.collections_at_scale import catalog, vocabulary
from benchmarks.results import Figure, cpu_seconds, record
from pinlanding_assets.collections.gates import Gates
from pinlanding_assets.collections.matching import Arrangement, fill_pages
from pinlanding_assets.collections.work import BATCH, Match
from pinlanding_assets.topics.judging import judge
from pinlanding_assets.topics.mining import mine
from pinlanding_assets.topics.phrasing import Phraser, write_titles
from resources.engine import InProcess
from resources.gpu import Session
from resources.lake import Lake
from sandbox.vocabulary import PHRASES

GIB = 8.0
PART = 1_000_000
BASE = 100_000  # the size that the bar compares with, and that topics are mined from


def write(folder: Path, products: int) -> None:
    """The three tables that matching reads, a day a part, and the topics."""
    lake = Lake(root=str(folder))
    for number, first in enumerate(range(0, products, PART)):
        size = min(PART, products - first)
        assignments, shelf, embeddings = catalog(size, seed=number, first=first)
        day = f"2026-01-{number + 1:02d}"
        shelf = shelf.with_columns(operation=pl.lit("upsert"))
        assignments = assignments.sort("product_id", "entry_id")
        looks = pl.DataFrame(schema={"image_hash": pl.String, "look": pl.String})
        lake.commit("catalog", {"products": shelf, "images": looks}, partition=day)
        lake.commit("product_attributes", {"assignments": assignments}, partition=day)
        lake.commit("product_embeddings", {"embeddings": embeddings}, partition=day)
    assignments, *_ = catalog(BASE)
    entries, keys = vocabulary()
    demand = pl.DataFrame(
        schema={
            "query": pl.String,
            "count": pl.Int64,
            "entries": pl.List(pl.String),
            "parsed": pl.Float64,
        }
    )
    found = mine(assignments, keys, demand, products=BASE)
    topics = judge(write_titles(found, Phraser(entries, keys, PHRASES)), entries)
    lake.commit("topics", {"topics": topics})


def measure(folder: Path) -> dict[str, float]:
    """Processor seconds, peak memory and pages."""
    lake = Lake(root=str(folder))
    start = cpu_seconds()
    topics = lake.read("topics", "topics").filter("accepted")
    running = InProcess(Session("cpu", "float32", 0))
    work = Match(lake, Arrangement())
    pages = running.map_batches(work, topics["entries"].to_list(), BATCH)
    found, items = fill_pages(topics, pages, Gates())
    return {
        "cpu_s": cpu_seconds() - start,
        "gib_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "topics": topics.height,
        "pages": found.filter("accepted").height,
        "items": items.height,
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
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", type=Path, help="write one size there, and end")
    parser.add_argument("--one", type=Path, help="measure what was written there, and end")
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write, arguments.products[0])
        return
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    found: dict[int, dict[str, float]] = {}
    for products in sorted({BASE, *arguments.products}):
        with tempfile.TemporaryDirectory() as folder:
            lake = str(Path(folder) / "lake")
            in_a_process("--write", lake, "--products", str(products))
            runs = [json.loads(in_a_process("--one", lake)) for _ in range(arguments.runs)]
        found[products] = sorted(runs, key=lambda run: run["cpu_s"])[len(runs) // 2]
        print(products, found[products], flush=True)
    base = found[BASE]["cpu_s"] / BASE
    figures = []
    for products, run in found.items():
        cost = run["cpu_s"] / products
        figures.append(
            Figure(
                f"matching, {products:,} products, cost a product",
                1e6 * cost,
                1e6 * base,
                cost / base,
                "CPU-µs",
                f"{BASE:,} products",
                arguments.runs,
                "<= 1.2" if products == 10_000_000 else "",
                f"peak {run['gib_peak']:.2f} GiB, {run['topics']:,} topics, "
                f"{run['pages']:,} pages{growth(found, products)}",
                run,
            )
        )
    record(figures)
    if largest := [run["gib_peak"] for run in found.values() if run["gib_peak"] > GIB]:
        sys.exit(f"peak {max(largest):.2f} GiB (limit {GIB})")


def growth(found: dict[int, dict[str, float]], products: int) -> str:
    """How the time grew from the size before to this one, as a power of the products."""
    before = max((size for size in found if size < products), default=None)
    if before is None:
        return ""
    time = found[products]["cpu_s"] / found[before]["cpu_s"]
    exponent = math.log(time) / math.log(products / before)
    return f"; growth of the time n^{exponent:.2f} since {before:,}"


if __name__ == "__main__":
    main()
