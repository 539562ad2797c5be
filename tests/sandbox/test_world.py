"""Feeds and truth on disk."""

import json
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import yaml
from PIL import Image

from sandbox.breakage import HUGE_KIND, KINDS
from sandbox.feeds import World, make_feed
from sandbox.products import product
from sandbox.renderer import render
from sandbox.world import CATALOG, write_world
from tests.sandbox.conftest import SMALL, Written

CHANGED = ("price", "title", "availability", "images")


def files_of(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def rows_of(written: Written) -> list[dict]:
    rows = []
    for feed in sorted(written.root.glob("feeds/*/feed.jsonl")):
        for line in feed.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(row, dict):
                rows.append(row)
    return rows


def test_same_bytes_twice(small_world: Written, tmp_path: Path) -> None:
    write_world(tmp_path / "shop", truth=tmp_path / "truth", **SMALL)
    assert files_of(tmp_path / "shop") == files_of(small_world.root)
    assert files_of(tmp_path / "truth") == files_of(small_world.truth)


def test_products_are_the_same_in_a_larger_world() -> None:
    def listed(days: int, products: int) -> dict[str, dict]:
        world = World(date(2026, 11, 1), days, products, 5, 64, 100)
        rows = make_feed(world, 0).rows
        return {row["sku"]: row for row in rows if isinstance(row, dict) and len(row) > 2}

    small, large = listed(3, 45), listed(10, 1_000_000 // 1_000)
    assert len(small) == 15
    for sku, row in small.items():
        assert large[sku] == row


def test_a_day_of_a_world_of_a_million() -> None:
    world = World(date(2026, 11, 1), 2_000, 1_000_000, 5, 64, 100)
    feed = make_feed(world, 1_500)
    assert sum(isinstance(row, dict) and row["op"] == "upsert" for row in feed.rows) > 500
    assert any(isinstance(row, dict) and row["op"] == "delete" for row in feed.rows)


def test_catalog_file(small_world: Written) -> None:
    assert yaml.safe_load((small_world.root / "catalog.yaml").read_text()) == CATALOG


def test_every_kind_of_broken_row(small_world: Written) -> None:
    rejects = pl.read_parquet(small_world.truth / "rejects.parquet")
    assert set(rejects["kind"]) == set(KINDS)
    assert rejects.filter(pl.col("kind") == HUGE_KIND).height == 1
    lines = {
        day: (small_world.root / "feeds" / day / "feed.jsonl").read_text().splitlines()
        for day in ("2026-11-01", "2026-11-02", "2026-11-03")
    }
    for row in rejects.iter_rows(named=True):
        line = lines[row["day"].isoformat()][row["row"]]
        if row["kind"] == "invalid_json":
            with pytest.raises(json.JSONDecodeError):
                json.loads(line)
            continue
        value = json.loads(line)
        match row["kind"]:
            case "missing_id":
                assert "sku" not in value
            case "unparsable_price":
                assert value["price"] == "12,x9"
            case "negative_price":
                assert value["price"] < 0
            case "wrong_type_images":
                assert not isinstance(value["images"], list)
            case "wrong_type_title":
                assert not isinstance(value["title"], str)
            case "huge_title":
                assert len(value["title"]) >= 50_000
            case "image_above_folder":
                assert value["images"][0].startswith("../")
            case "image_absolute":
                assert value["images"][0].startswith("/")
            case "unknown_operation":
                assert value["op"] not in ("upsert", "delete")
            case "truncated_image" | "not_an_image" | "missing_image":
                photo = small_world.root / "feeds" / row["day"].isoformat() / value["images"][0]
                assert photo.exists() == (row["kind"] != "missing_image")
                with pytest.raises(OSError):  # noqa: PT011
                    Image.open(photo).load()


def test_good_photos_open(small_world: Written) -> None:
    rejects = pl.read_parquet(small_world.truth / "rejects.parquet")
    broken = set(rejects["product_id"].drop_nulls())
    for row in rows_of(small_world)[:60]:
        if row.get("sku") in broken or not row.get("sku") or row["op"] == "delete":
            continue
        days = small_world.root.glob("feeds/2026-*")
        found = [day / path for day in days for path in row["images"] if (day / path).exists()]
        assert len(found) >= len(row["images"])
        with Image.open(found[0]) as photo:
            assert photo.size == (64, 64)


def test_truth_is_what_was_rendered(small_world: Written) -> None:
    frame = pl.read_parquet(small_world.truth / "products.parquet")
    for index in (0, 7, 20, 44):
        item = product(5, index)
        pairs = frame.filter(pl.col("product_id") == item.sku)
        assert dict(zip(pairs["key"], pairs["value"], strict=True)) == dict(item.attributes)
        day = pairs["day"][0].isoformat()
        with Image.open(small_world.root / f"feeds/{day}/images/{item.sku}-0.jpg") as photo:
            expected = Image.fromarray(render(item.attributes, item.look, 0, 64))
            difference = sum(
                abs(a - b) for a, b in zip(photo.tobytes(), expected.tobytes(), strict=True)
            )
            assert difference / len(photo.tobytes()) < 4


def test_all_operations_and_changes() -> None:
    world = World(date(2026, 11, 1), 10, 900, 5, 64, 100)
    before: dict[str, dict] = {}
    kinds: set[str] = set()
    deleted = 0
    for day in range(10):
        for row in make_feed(world, day).rows:
            if not isinstance(row, dict):
                continue
            deleted += row["op"] == "delete"
            old = before.get(row["sku"], row)
            if row["op"] == "upsert":
                kinds |= {key for key in CHANGED if row[key] != old[key]}
                before[row["sku"]] = row
    assert deleted >= 5
    assert kinds == set(CHANGED)


def test_searches(small_world: Written) -> None:
    rows = [
        json.loads(line)
        for line in (small_world.root / "search_log/2026-11-02.jsonl").read_text().splitlines()
    ]
    counts = [row["count"] for row in rows]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts[: len(counts) // 20]) > 0.4 * sum(counts), "few queries make up most"
    meant = pl.read_parquet(small_world.truth / "queries.parquet")
    assert {row["query"] for row in rows} <= set(meant["query"])
    assert meant.filter(pl.col("key").is_null()).height > 5
    assert meant.group_by("query", "key").len()["len"].max() == 1
    assert any(len(row["query"]) <= 3 for row in rows), "typed as you go"


def test_resumes_after_a_kill(small_world: Written, tmp_path: Path) -> None:
    root, truth = tmp_path / "shop", tmp_path / "truth"
    shutil.copytree(small_world.root, root)
    shutil.copytree(small_world.truth, truth)
    day = root / "feeds" / "2026-11-02"
    (day / "_DONE").unlink()
    next(day.glob("images/*")).unlink()
    untouched = (root / "feeds" / "2026-11-01" / "feed.jsonl").stat().st_mtime_ns
    seen: list[tuple[int, int]] = []
    write_world(root, truth=truth, progress=lambda *done: seen.append(done), **SMALL)
    assert files_of(root) == files_of(small_world.root)
    assert (root / "feeds" / "2026-11-01" / "feed.jsonl").stat().st_mtime_ns == untouched
    assert seen[-1] == (45, 45)


def test_truth_may_not_lie_where_the_pipeline_reads(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="truth"):
        write_world(tmp_path, truth=tmp_path / "truth", **SMALL)
