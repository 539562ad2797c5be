"""Writes a world to disk: `python -m sandbox.world FOLDER --truth FOLDER`.

Feeds, search log and `catalog.yaml` go to one folder, as a shop would deliver them; the truth
about them goes to another, which only the scorecard and tests may read. A day that is written is
skipped, so that a writer that was killed is simply run again.
"""

import argparse
import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from sandbox.breakage import HUGE_TITLE
from sandbox.days import first_day
from sandbox.feeds import World, make_feed, write_feed
from sandbox.search_log import searches
from sandbox.vocabulary import PHRASES, SYNONYMS

FIRST_DAY = date(2026, 11, 1)
DAYS, PRODUCTS = 14, 6_000
FORMAT = 1  # raised when the same parameters would give other files
DONE = "_DONE"

CATALOG: dict[str, Any] = {
    "name": "sandbox",
    "feeds": ["feeds/{day}/feed.jsonl"],
    "columns": {
        "id": "sku",
        "operation": "op",
        "title": "title",
        "description": "description",
        "images": "images",
        "price": "price",
        "currency": "currency",
        "seller": "seller",
        "availability": "availability",
    },
    "attributes": {"category": "product_type", "colour": "color"},
    "product_type": "category",
    "phrases": PHRASES,
    "search_log": {"path": "search_log/{day}.jsonl", "query": "query", "count": "count"},
}


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _fingerprint(world: World, day: date, number: int) -> str:
    share = world.share(number)
    facts = {
        "format": FORMAT,
        "seed": world.seed,
        "day": day.isoformat(),
        "first_day": world.first_day.isoformat(),
        "days": world.days,
        "products": [share.start, share.stop, world.products],
        "image_size": world.image_size,
        "huge_title": world.huge_title,
        **({"told_as": world.told_as.isoformat()} if world.told_as else {}),
    }
    return json.dumps(facts, sort_keys=True)


def _is_done(folder: Path, truth: Path, fingerprint: str) -> bool:
    mark = folder / DONE
    return mark.exists() and mark.read_text(encoding="utf-8") == fingerprint and truth.exists()


def _write_day(world: World, number: int, root: Path, parts: Path, fingerprint: str) -> None:
    day = (world.first_day + timedelta(days=number)).isoformat()
    folder, fresh = root / "feeds" / day, root / "feeds" / f".{day}.tmp"
    shutil.rmtree(fresh, ignore_errors=True)
    feed = make_feed(world, number)
    write_feed(world, feed, fresh)
    queries, meant = searches(world.seed, world.ordinal(number))
    lines = [json.dumps({"query": q, "count": n}, ensure_ascii=False) for q, n in queries.items()]
    _replace(root / "search_log" / f"{day}.jsonl", "\n".join(lines) + "\n")
    records = {
        "products": [(sku, day, k, v) for sku, pairs in feed.truths for k, v in pairs.items()],
        "queries": [
            (q, key, value) for q, pairs in meant.items() for key, value in pairs or ((None, None),)
        ],
        "rejects": [(day, *reject) for reject in feed.rejects],
    }
    _replace(parts / f"{day}.json", json.dumps(records))
    (fresh / DONE).write_text(fingerprint, encoding="utf-8")  # last: it vouches for the rest
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


COLUMNS = {
    "products": ("product_id", "day", "key", "value"),
    "queries": ("query", "key", "value"),
    "rejects": ("day", "row", "kind", "field", "product_id"),
}


def _write_truth(parts: Sequence[Path], truth: Path) -> None:
    """Joins the days' parts into one table each.

    `products`: product_id, day of first listing, key, value; one row per attribute.
    `queries`: query, key, value; one row per intended attribute, nulls for a query without any.
    `rejects`: day, row (0-based line of feed.jsonl), kind, field (column of the feed), product_id.
    """
    days = [json.loads(part.read_text(encoding="utf-8")) for part in parts]
    for name, columns in COLUMNS.items():
        rows = [row for day in days for row in day[name]]
        if name == "queries":
            rows = _first_meanings(days)
        schema = {c: pl.Int64 if c == "row" else pl.String for c in columns}
        frame = pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)
        if "day" in columns:
            frame = frame.with_columns(pl.col("day").str.to_date())
        temporary = truth / f".{name}.tmp"
        frame.write_parquet(temporary)
        temporary.replace(truth / f"{name}.parquet")


def _write_synonyms(truth: Path) -> None:
    """`synonyms`: key, value, word; all words that sellers use for a value."""
    rows = [
        (key, value, word)
        for key, values in SYNONYMS.items()
        for value, others in values.items()
        for word in others
    ]
    frame = pl.DataFrame(rows, schema=["key", "value", "word"], orient="row")
    frame.write_parquet(truth / ".synonyms.tmp")
    (truth / ".synonyms.tmp").replace(truth / "synonyms.parquet")


def _first_meanings(days: list[dict[str, list[list[Any]]]]) -> list[list[Any]]:
    """The pairs of each query on the first day that has it: a prefix can change its meaning."""
    known: set[str] = set()
    rows: list[list[Any]] = []
    for day in days:
        rows += [row for row in day["queries"] if row[0] not in known]
        known.update(row[0] for row in day["queries"])
    return rows


def write_world(
    root: Path,
    *,
    truth: Path,
    days: int | Sequence[date] = DAYS,
    start: date = FIRST_DAY,
    told_as: date | None = None,
    products: int = PRODUCTS,
    seed: int = 0,
    image_size: int = 128,
    huge_title: int = HUGE_TITLE,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes the feeds, search log and truth of a world.

    Args:
        root: Folder of `catalog.yaml`, `feeds/` and `search_log/`.
        truth: Folder of the truth, apart from `root`: no pipeline may read it.
        days: How many days from `start`, or the days themselves (consecutive).
        start: First day, when `days` is a number.
        told_as: See `World`.
        products: New products over all days; product i is the same in a world of any size.
        seed: Of everything.
        image_size: Side of the photos in pixels.
        huge_title: Characters of the one oversized title, on the second day.
        progress: Called with (products done, products in all) after each day.
    """
    dates = (
        [start + timedelta(days=n) for n in range(days)] if isinstance(days, int) else list(days)
    )
    if any((later - earlier).days != 1 for earlier, later in itertools.pairwise(dates)):
        raise ValueError("the days of a world are consecutive")
    if root.resolve() in (truth.resolve(), *truth.resolve().parents):
        raise ValueError("the truth must not lie inside the folder that the pipeline reads")
    world = World(dates[0], len(dates), products, seed, image_size, huge_title, told_as)
    parts = truth / "days"
    _replace(root / "catalog.yaml", yaml.safe_dump(CATALOG, sort_keys=False))
    wrote = False
    for number, day in enumerate(dates):
        part = parts / f"{day.isoformat()}.json"
        fingerprint = _fingerprint(world, day, number)
        if not _is_done(root / "feeds" / day.isoformat(), part, fingerprint):
            _write_day(world, number, root, parts, fingerprint)
            wrote = True
        if progress:
            progress(world.share(number).stop, products)
    if wrote or not all((truth / f"{name}.parquet").exists() for name in COLUMNS):
        _write_truth([parts / f"{day.isoformat()}.json" for day in dates], truth)
    _write_synonyms(truth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--products", type=int, default=PRODUCTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int, default=128)
    arguments = parser.parse_args()
    started = datetime.now(UTC)

    def tell(done: int, total: int) -> None:
        rate = done / max((datetime.now(UTC) - started).total_seconds(), 1e-9)
        left = (total - done) / rate
        print(f"feeds: {done:,}/{total:,} products, {rate:.0f}/s, {left:.0f} s left", flush=True)

    write_world(
        arguments.folder,
        truth=arguments.truth,
        days=arguments.days,
        start=first_day(arguments.folder / "feeds", arguments.days),
        told_as=FIRST_DAY,
        products=arguments.products,
        seed=arguments.seed,
        image_size=arguments.image_size,
        progress=tell,
    )


if __name__ == "__main__":
    main()
