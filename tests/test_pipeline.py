"""The whole path on a small rendered catalog: run once undisturbed, and once killed everywhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from operations.launch import CALLS, SECONDS
from operations.pinlanding import DAILY_HEAD, DAILY_TAIL, FACETS, LEARNING, TAIL
from operations.report import MODEL_STEPS
from pinlanding_assets.columns import COLUMNS
from resources.lake import Lake
from sandbox.world import write_world

# what people look at rather than read
PICTURES = {
    ("catalog", "products_sheet"),
    ("vlm_attributes", "answers_sheet"),
    ("dual_encoder", "training_curves"),
    ("dual_encoder", "reliability"),
    ("product_attributes", "attributes_sheet"),
    ("vector_index", "neighbours_sheet"),
    ("product_clusters", "central_products_sheet"),
    ("collections", "first_products_sheet"),
    ("search_log_collections", "first_products_sheet"),
    ("scorecard", "wrong_products_sheet"),
    ("published_collections", "first_products_sheet"),
}
REPOSITORY = Path(__file__).resolve().parent.parent
DAYS, PRODUCTS = 2, 360
# asset -> the durable write before which the process dies: in the middle of its work
KILLS = {
    "raw_catalog": 3,
    "catalog": 100,
    "vlm_attributes": 6,
    "search_log": 3,
    "product_embeddings": 2,
    "product_attributes": 3,
}


def run(data: Path, assets: list[str], *kill: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tests/run_days.py", ",".join(assets), *map(str, kill)]
    environment = os.environ | {
        "PLATFORM_DATA": str(data),
        "PLATFORM_CATALOG": "",
        "PYTHONPATH": str(REPOSITORY),
    }
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(
        folder / "sandbox" / "world",
        truth=folder / "truth",
        days=DAYS,
        products=PRODUCTS,
        image_size=64,
        huge_title=2_000_000,
    )
    path = folder / "sandbox" / "world" / "catalog.yaml"
    path.write_text(path.read_text() + "collections: {min_products: 4, min_sellers: 2}\n")
    return folder


@pytest.fixture(scope="module")
def finished(world, tmp_path_factory) -> Path:
    """A data folder after an undisturbed run. The truth comes after it, for what measures by it:
    the scorecard, and the arm that is given every synonym."""
    data = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(world / "sandbox", data / "sandbox")
    done = run(data, [*FACETS, *DAILY_HEAD, *LEARNING, *DAILY_TAIL, *TAIL])
    assert done.returncode == 0, done.stderr[-4000:]
    shutil.copy(data / "shown.json", data / "shown-of-all.json")
    shutil.copytree(world / "truth", data / "sandbox" / "truth")
    done = run(data, ["keyword_collections", "scorecard"])
    assert done.returncode == 0, done.stderr[-4000:]
    return data / "sandbox"


@pytest.fixture(scope="module")
def shown(finished) -> dict[str, dict[str, object]]:
    """asset -> what its newest materialization shows; the scorecard's is the one with truth."""
    folder = finished.parent
    texts = [(folder / name).read_text() for name in ("shown-of-all.json", "shown.json")]
    return json.loads(texts[0]) | json.loads(texts[1])


def test_every_page_has_counts_columns_numbers_and_pictures_to_look_at(shown):
    for asset, known in COLUMNS.items():
        page = shown[asset]
        assert isinstance(page["dagster/row_count"], int), asset
        columns = page["dagster/column_schema"]
        # vectors are no columns of a table that a person would read
        assert {name for name, about in columns.items() if not about} <= {"date"}, asset
        assert set(columns) == set(known), asset
        has_sources = any(about.sources for about in known.values())
        assert ("dagster/column_lineage" in page) == has_sources, asset
        plotted = {name for name, value in page.items() if isinstance(value, int | float)}
        assert plotted, asset
        # four digits may stand behind zeros; anything else is short
        read = {name: float(f"{page[name]:.4g}") for name in plotted}
        long = {name: v for name in plotted if len(repr(v := page[name])) > 9 and v != read[name]}
        assert not long, (asset, long)
        pictures = {name for name, value in page.items() if "data:image/jpeg" in str(value)}
        assert pictures == {name for at, name in PICTURES if at == asset}, asset
        sizes = {name: len(str(page[name])) for name in pictures}
        assert all(2_000 < size < 150_000 for size in sizes.values()), (asset, sizes)


def test_steps_with_a_model_tell_what_throughput_is_measured_by(shown):
    for asset in MODEL_STEPS:
        assert shown[asset][CALLS] > 0, asset
        assert shown[asset][SECONDS] > 0, asset


def test_collections_are_published_from_the_content(finished):
    lake = Lake(root=str(finished / "lake"))
    pages = lake.read("published_collections", "pages")
    assert pages.height >= 10
    for path in pages["path"]:
        assert (finished / "site" / "current" / path).is_file()
    figures = lake.read("scorecard", "figures")
    known = dict(figures.select("name", "value").iter_rows())
    assert known["collections.p_at_10"] >= 0.7


def test_every_reject_has_row_field_and_reason_and_no_day_is_lost(finished):
    lake = Lake(root=str(finished / "lake"))
    rejects = lake.scan("catalog", "rejects").collect()
    assert rejects["date"].n_unique() == DAYS
    assert rejects.select("row", "field", "reason").null_count().sum_horizontal()[0] == 0
    records = lake.scan("raw_catalog", "records").collect()
    assert records.filter(pl.col("size") > 2_000_000).height == 1


def test_a_second_run_asks_no_model(finished):
    before = tree(finished / "lake"), tree(finished / "cache")
    done = run(finished.parent, ["vlm_attributes", "product_embeddings"])
    assert done.returncode == 0, done.stderr[-4000:]
    assert (tree(finished / "lake"), tree(finished / "cache")) == before
    said = [line for line in done.stderr.splitlines() if "reused" in line]
    assert len(said) == 2 * DAYS
    assert all(" 0 images asked" in line or " 0 computed" in line for line in said)


def test_killed_anywhere_and_run_again_the_lake_is_the_same(finished, world, tmp_path, monkeypatch):
    """SIGKILL in the middle of every daily asset. The truth lies there the whole time: as the
    undisturbed run had none, an equal lake also proves that the pipeline does not read it."""
    shutil.copytree(world / "sandbox", tmp_path / "sandbox")
    shutil.copytree(world / "truth", tmp_path / "sandbox" / "truth")
    pending: list[str] = []
    for asset in (*FACETS, *DAILY_HEAD, *LEARNING, *DAILY_TAIL):
        pending.append(asset)
        if asset in KILLS:
            died = run(tmp_path, pending, asset, KILLS[asset])
            assert died.returncode == -signal.SIGKILL, (asset, died.stderr[-3000:])
            pending = [asset]
    done = run(tmp_path, [*pending, *TAIL])
    assert done.returncode == 0, done.stderr[-4000:]
    monkeypatch.setattr("resources.lake.KEEP_SUPERSEDED_SECONDS", 0.0)
    lakes = tmp_path / "sandbox" / "lake", finished / "lake"
    for lake in lakes:  # the truth came later to one of them: its scorecard was made twice
        Lake(root=str(lake)).sweep()
    killed, undisturbed = map(tree, lakes)
    assert {*killed.items()} ^ {*undisturbed.items()} == set(), sorted(
        name for name, _ in {*killed.items()} ^ {*undisturbed.items()}
    )


def test_manifests_name_what_made_them(finished):
    manifests = list((finished / "lake" / "product_embeddings").glob("date=*/manifest.json"))
    assert len(manifests) == DAYS
    for path in manifests:
        assert json.loads(path.read_text())["versions"]["checkpoint"]
