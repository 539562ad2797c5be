"""What it takes to read a feed: raw_catalog and catalog of one day without images, CSV and Parquet.

`python -m benchmarks.feeds [--rows 1000000] [--against COMMIT]`: CPU seconds and peak memory of the
two assets, less those of a feed of ten rows; with a commit, of that commit too, in the same run,
and how many times its rows per CPU second.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

REPOSITORY = Path(__file__).resolve().parent.parent
WORDS = [
    *(
        "red",
        "blue",
        "green",
        "dark",
        "light",
        "cotton",
        "wool",
        "linen",
        "leather",
        "steel",
        "oak",
    ),
    *("glass", "soft", "warm", "classic", "slim", "wide", "summer", "winter", "travel", "office"),
    *("garden", "kitchen", "shirt", "hat", "cup", "lamp", "chair", "table", "bag", "shoe", "coat"),
]
COLUMNS = {
    **{"id": "sku", "title": "name", "description": "text", "price": "price", "seller": "brand"},
    **{"availability": "stock", "url": "link", "operation": "op"},
}
ATTRIBUTES = ("category", "color", "material", "size", "season", "gender", "style", "fit")


class Taken(NamedTuple):
    """CPU seconds and peak memory (bytes) of a run."""

    seconds: float
    memory: int


def write_feed(folder: Path, rows: int, kind: str, seed: int = 0) -> Path:
    """A feed of 20 columns, mapped but for four, and its catalog.yaml."""
    rng = np.random.default_rng(seed)
    words = np.array(WORDS)

    def text(count: int) -> pl.Series:
        parts = [pl.Series(words[rng.integers(0, len(words), rows)]) for _ in range(count)]
        return pl.select(pl.concat_str(parts, separator=" ")).to_series()

    number = pl.Series(np.arange(rows))
    values = {
        "sku": pl.select(pl.format("P-{}", number)).to_series(),
        **{"name": text(5), "text": text(30)},
        "price": pl.Series(rng.integers(100, 99_999, rows) / 100).cast(pl.String),
        "brand": pl.Series(words[rng.integers(0, 20, rows)]).str.to_titlecase(),
        "stock": pl.Series(rng.integers(0, 9, rows)).cast(pl.String),
        "link": pl.select(pl.format("https://shop.example/p/{}", number)).to_series(),
        "op": pl.Series(["upsert"] * rows),
        **{name: pl.Series(words[rng.integers(0, 12, rows)]) for name in ATTRIBUTES},
        **{f"unused{i}": pl.Series(rng.integers(0, 10**6, rows)).cast(pl.String) for i in range(4)},
    }
    frame = pl.DataFrame(values)
    name = f"feed.{kind}"
    frame.write_csv(folder / name) if kind == "csv" else frame.write_parquet(folder / name)
    lines = [f"feeds: [{name}]", "columns:"]
    lines += [f"  {field}: {column}" for field, column in COLUMNS.items()]
    lines += ["defaults: {currency: EUR}", "attributes:", *(f"  {a}: {a}" for a in ATTRIBUTES)]
    (folder / "catalog.yaml").write_text("\n".join(lines) + "\n")
    return folder / "catalog.yaml"


def run(tree: Path, catalog: Path) -> Taken:
    """Materialize both assets with the code of a tree, in a process of its own."""
    with tempfile.TemporaryDirectory() as data:
        environment = os.environ | {
            **{"PLATFORM_CATALOG": str(catalog), "PLATFORM_DATA": data, "HF_HUB_OFFLINE": "1"},
            **{"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
        }
        command = [sys.executable, "-W", "ignore", "tests/run_days.py", "raw_catalog,catalog"]
        process = subprocess.Popen(
            command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        _, errors = process.communicate(), process.stderr
        if process.returncode:
            raise SystemExit(f"{tree}: run_days failed: {errors}")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def measured(tree: Path, catalog: Path) -> Taken:
    """`run` in a process that has no other child, so that its usage is that run's alone."""
    command = [sys.executable, "-m", "benchmarks.feeds", "--run", str(tree), str(catalog)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    seconds, memory = done.stdout.split()
    return Taken(float(seconds), int(memory))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="+", default=["csv", "parquet"])
    parser.add_argument("--against", help="a commit to compare with")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        taken = run(Path(options.run[0]), Path(options.run[1]))
        print(taken.seconds, taken.memory)
        return
    trees = {"this tree": REPOSITORY}
    with tempfile.TemporaryDirectory() as folder:
        if options.against:
            peer = Path(folder) / "peer"
            command = ["git", "worktree", "add", "--detach", "-q", str(peer), options.against]
            subprocess.run(command, cwd=REPOSITORY, check=True)
            trees[options.against] = peer
        try:
            for kind in options.kinds:
                compare(Path(folder), trees, options.rows, kind)
        finally:
            if options.against:
                command = ["git", "worktree", "remove", "--force", str(trees[options.against])]
                subprocess.run(command, cwd=REPOSITORY, check=True)


def compare(folder: Path, trees: dict[str, Path], rows: int, kind: str) -> None:
    """Measure every tree on one feed, and print rows per CPU second, memory and ratio."""
    places = {}
    for size in (10, rows):
        places[size] = folder / f"{kind}-{size}"
        places[size].mkdir()
        write_feed(places[size], size, kind)
    rates: dict[str, float] = {}
    for name, tree in trees.items():
        start = measured(tree, places[10] / "catalog.yaml")
        whole = measured(tree, places[rows] / "catalog.yaml")
        rates[name] = rows / (whole.seconds - start.seconds)
        ratio = f", {rates['this tree'] / rates[name]:.2f} times slower" if len(rates) > 1 else ""
        print(
            f"{kind}, {rows:,} rows, {name}: {rates[name]:,.0f} rows a CPU second, "
            f"{whole.memory / 2**20:,.0f} MiB at most{ratio}",
            flush=True,
        )


if __name__ == "__main__":
    main()
