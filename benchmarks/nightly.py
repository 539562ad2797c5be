"""A night in which 2 % of the products changed, against a full rebuild of the same catalog.

A rendered shop has one large day and one small one, whose feed brings 2 % of the products again
with another title and photo. *Rebuild*: every asset from nothing, both days. *Night*: the second
day after the first, and the tail that follows it; the vocabulary and the encoder stay, as they do
where they are learned on a schedule of their own. Both start Python and load their models, which is
most of a small shop's night. Run from the repository:

    OMP_NUM_THREADS=1 python -m benchmarks.nightly [--products 6000]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.results import Figure, cpu_seconds, record
from operations.pinlanding import DAILY_HEAD, DAILY_TAIL, LEARNING, TAIL
from resources.profiles import REPOSITORY
from sandbox.world import write_world

CHANGED = 0.02
MODELS = ("vlm_attributes", "product_embeddings")


def write_shop(folder: Path, products: int) -> tuple[str, str]:
    """The world with its first day whole, and a second that changes some; the two days."""
    root = folder / "sandbox" / "world"
    write_world(root, truth=folder.parent / "truth", days=2, products=products, image_size=64)
    first, second = sorted(path.name for path in (root / "feeds").iterdir())
    lines = {
        day: (root / f"feeds/{day}/feed.jsonl").read_text().splitlines() for day in (first, second)
    }
    shutil.copytree(
        root / f"feeds/{second}/images", root / f"feeds/{first}/images", dirs_exist_ok=True
    )
    good = []
    for line in lines[first] + lines[second]:
        try:
            row = json.loads(line)
            usable = row["op"] == "upsert" and isinstance(row["images"], list) and row["images"]
        except (ValueError, KeyError, TypeError):
            continue
        if usable and isinstance(row.get("title"), str):
            good.append(row)
    shutil.rmtree(root / f"feeds/{second}/images")
    shutil.copytree(root / f"feeds/{first}/images", root / f"feeds/{second}/images")
    changed = []
    for row, other in zip(good[: round(CHANGED * len(good))], reversed(good), strict=False):
        changed.append(row | {"title": f"{row['title']} new", "images": other["images"]})
    for day, rows in ((first, good), (second, changed)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (root / f"feeds/{day}/feed.jsonl").write_text(text)
    return first, second


def run(data: Path, assets: list[str], days: list[str]) -> tuple[float, int]:
    """Materialize assets over some days in a process of its own: CPU seconds, model calls."""
    environment = os.environ | {
        "PLATFORM_DATA": str(data),
        "PLATFORM_CATALOG": "",
        "PYTHONPATH": str(REPOSITORY),
        "RUN_DAYS": ",".join(days),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a shop's Python keeps what it compiled
    start = cpu_seconds()
    done = subprocess.run(
        [sys.executable, "tests/run_days.py", ",".join(assets)],
        cwd=REPOSITORY,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr[-4000:])
    calls = 0
    for line in done.stderr.splitlines():
        for asset, word in zip(MODELS, (" images asked", " computed"), strict=True):
            if f" - {asset} " in line and word in line:
                calls += int(line.split(word)[0].split()[-1].replace(",", ""))
    return cpu_seconds() - start, calls


def main() -> None:
    """Parse arguments, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=6000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        night, rebuilt = Path(folder) / "night", Path(folder) / "rebuilt"
        first, second = write_shop(night, arguments.products)
        shutil.copytree(night, rebuilt)
        every = [*DAILY_HEAD, *LEARNING, *DAILY_TAIL, *TAIL]
        run(night, every, [first])
        after = run(night, [*DAILY_HEAD, *DAILY_TAIL, *TAIL], [second])
        whole = run(rebuilt, every, [first, second])
    about = {
        "against": "a full rebuild",
        "runs": 1,
        "note": f"{arguments.products:,} products, {CHANGED:.0%} changed",
    }
    record(
        [
            Figure(
                "night, model calls",
                after[1],
                whole[1],
                after[1] / whole[1],
                "calls",
                bar="<= 0.05",
                **about,
            ),
            Figure(
                "night, processor time",
                after[0],
                whole[0],
                after[0] / whole[0],
                "CPU-s",
                bar="<= 0.15",
                **about,
            ),
        ]
    )


if __name__ == "__main__":
    main()
