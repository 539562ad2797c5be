"""Topics, matching and feeds of a million products: seconds a product, and memory.

Draws products with the sandbox's attributes (no pictures: vectors are random around their kind),
mines topics, phrases and judges them, fills and gates the pages: the code that the assets `topics`
and `collections` call. Each size has a process of its own. Fails where one needs more than 4 GiB,
or more processor time a product than the smallest. Run from the repository:

    OMP_NUM_THREADS=1 python -m benchmarks.collections_at_scale [--products 100000 1000000]
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import polars as pl

from pinlanding_assets.collections.gates import Gates
from pinlanding_assets.collections.matching import Arrangement, match
from pinlanding_assets.topics.judging import judge
from pinlanding_assets.topics.mining import mine
from pinlanding_assets.topics.phrasing import Phraser, write_titles
from sandbox.vocabulary import (
    CATEGORIES,
    COLOUR_WEIGHTS,
    PATTERN_WEIGHTS,
    PHRASES,
    REQUIRED,
    VALUES,
)

GIB = 4.0
DIM = 128  # of the sandbox's vectors
SELLERS = 5_000
LEAST_P = 0.6  # of an attribute that a product got


def vocabulary() -> tuple[pl.DataFrame, pl.DataFrame]:
    """`attribute_vocabulary.entries` and `.keys`."""
    rows = [(f"{k}={v}", k, v, v, 100, 100, 5.0, 4.0) for k, vs in VALUES.items() for v in vs]
    names = ["entry_id", "key", "value", "phrase", "products", "mentions"]
    entries = pl.DataFrame(rows, schema=[*names, "searchability", "coherence"], orient="row")
    keys = pl.DataFrame(
        {
            "key": list(VALUES),
            "multi": [False] * len(VALUES),
            "role": ["product_type", *["attribute"] * (len(VALUES) - 1)],
        }
    )
    return entries, keys


def catalog(
    products: int, seed: int = 0, first: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """`product_attributes.assignments`, `catalog.products`, `product_embeddings.embeddings`.

    The products' numbers start at `first`.
    """
    rng = np.random.default_rng(seed)
    ids = pl.Series("product_id", [f"P{first + n:08d}" for n in range(products)])
    kinds = list(CATEGORIES)
    weights = np.array([CATEGORIES[kind].weight for kind in kinds])
    kind = rng.choice(len(kinds), products, p=weights / weights.sum()).astype(np.int16)
    parts = [_assigned(ids, np.arange(products), kind, "category", rng)]
    for key, shares in (("colour", COLOUR_WEIGHTS), ("pattern", PATTERN_WEIGHTS)):
        drawn = rng.choice(len(shares), products, p=np.array(shares) / sum(shares))
        parts.append(_assigned(ids, np.arange(products), drawn, key, rng))
    for number, name in enumerate(kinds):
        rows = np.flatnonzero(kind == number)
        made_of = CATEGORIES[name].materials
        share = np.array(list(made_of.values()), dtype=float)
        codes = np.array([VALUES["material"].index(value) for value in made_of])
        drawn = codes[rng.choice(len(share), len(rows), p=share / share.sum())]
        parts.append(_assigned(ids, rows, drawn, "material", rng))
        for key, values in CATEGORIES[name].optional.items():
            assert key not in REQUIRED
            codes = np.array([VALUES[key].index(value) for value in values])
            parts.append(
                _assigned(ids, rows, codes[rng.integers(len(codes), size=len(rows))], key, rng)
            )
    centre = rng.standard_normal((len(kinds), DIM), dtype=np.float32)
    vectors = centre[kind] + 2 * rng.standard_normal((products, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shelf = pl.DataFrame(
        {
            "product_id": ids,
            "title": [f"{kinds[k]} {n}" for n, k in enumerate(kind)],
            "images": pl.Series([[f"i{n}"] for n in range(products)], dtype=pl.List(pl.String)),
            "seller": pl.Series(rng.integers(SELLERS, size=products)).cast(pl.String),
            "availability": np.where(rng.random(products) < 0.9, "in_stock", "out_of_stock"),
        }
    )
    column = pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, DIM))
    return pl.concat(parts), shelf, pl.DataFrame({"product_id": ids, "vector": column})


def _assigned(
    ids: pl.Series, rows: np.ndarray, codes: np.ndarray, key: str, rng: np.random.Generator
) -> pl.DataFrame:
    values = pl.Series(list(VALUES[key])).gather(codes)
    return pl.DataFrame(
        {
            "product_id": ids.gather(rows),
            "entry_id": key + "=" + values,
            "key": pl.repeat(key, len(rows), eager=True),
            "value": values,
            "p": rng.uniform(LEAST_P, 0.999, len(rows)),
            "source": pl.repeat("encoder", len(rows), eager=True),
        }
    )


def measure(products: int) -> dict[str, float]:
    """Seconds by stage, peak memory, topics and pages of one size."""
    entries, keys = vocabulary()
    assignments, shelf, embeddings = catalog(products)
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    demand = pl.DataFrame(
        schema={
            "query": pl.String,
            "count": pl.Int64,
            "entries": pl.List(pl.String),
            "parsed": pl.Float64,
        }
    )
    clock, cpu = time.monotonic(), time.process_time()
    candidates = mine(assignments, keys, demand, products=products)
    mined = time.process_time()
    topics = judge(write_titles(candidates, Phraser(entries, keys, PHRASES)), entries)
    judged = time.process_time()
    pages, items = match(
        topics, assignments, shelf, embeddings, arrangement=Arrangement(), gates=Gates()
    )
    done = time.process_time()
    return {
        "products": products,
        "topics": topics.height,
        "pages": pages.filter("accepted").height,
        "items": items.height,
        "mining_cpu_s": mined - cpu,
        "titles_cpu_s": judged - mined,
        "matching_cpu_s": done - judged,
        "cpu_s": done - cpu,
        "wall_s": time.monotonic() - clock,
        "cpu_us_a_product": 1e6 * (done - cpu) / products,
        "gib_before": made,
        "gib_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--one", action="store_true", help="measure one size in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.products[0])))
        return
    found = []
    for products in arguments.products:
        command = [sys.executable, "-m", __spec__.name, "--one", "--products", str(products)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print("  ".join(f"{name} {value:,.4g}" for name, value in found[-1].items()), flush=True)
    largest = max(row["gib_peak"] for row in found)
    dearer = [row for row in found if row["cpu_us_a_product"] > found[0]["cpu_us_a_product"]]
    if largest > GIB or dearer:
        sys.exit(f"peak {largest:.2f} GiB (limit {GIB}); dearer a product: {dearer or 'none'}")


if __name__ == "__main__":
    main()
