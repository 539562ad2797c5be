"""`vlm_attributes` and `model_ledger` through Dagster, with a model behind a server."""

import hashlib
import io
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from PIL import Image

from pinlanding_assets.attributes.assets import vlm_attributes
from pinlanding_assets.ledger.assets import model_ledger
from resources import ledger as ledgers
from resources.engine import Engine
from resources.feeds.catalog_source import CatalogSource
from resources.gpu import Gpu
from resources.lake import ComputeCache, Lake
from resources.ledger import Ledger
from resources.quality import Limits
from resources.vision_language import VisionLanguage
from tests.resources.faulty_server import FaultyServer

DAYS = ("2026-11-01", "2026-11-02")
EACH = 12  # products of a day
SCHEMA = {
    "product_id": pl.String,
    "operation": pl.String,
    "snapshot": pl.Boolean,
    "title": pl.String,
    "description": pl.String,
    "images": pl.List(pl.String),
    "attributes": pl.List(pl.Struct({"key": pl.String, "value": pl.String})),
}


def picture(at: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (200, at * 9 % 256, 0)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    """Two days of a catalog, and the resources of the two assets but the model."""
    lake = Lake(root=str(tmp_path / "lake"))
    for day, first in zip(DAYS, (0, EACH), strict=True):
        rows = []
        for at in range(first, first + EACH):
            name = hashlib.sha256(picture(at)).hexdigest()
            lake.put_image(name, picture(at))
            rows.append((f"p{at:02d}", "upsert", False, f"shirt {at}", "", [name], []))
        images = pl.DataFrame({"image_hash": [row[5][0] for row in rows]})
        products = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        lake.commit("catalog", {"products": products, "images": images}, partition=day)
    (tmp_path / "catalog.yaml").write_text("feeds: [a.csv]\ncolumns: {id: sku, title: title}\n")
    return {
        "source": CatalogSource(config_path=str(tmp_path / "catalog.yaml")),
        "lake": lake,
        "cache": ComputeCache(root=str(tmp_path / "cache")),
        "gpu": Gpu(device="cuda", required=True),  # a model behind a server needs no device
        "engine": Engine(),
        "limits": Limits(),
    }


def run(shop: dict[str, Any], model: VisionLanguage, day: str) -> dg.ExecuteInProcessResult:
    used = shop | {"vision_language": model}
    return dg.materialize([vlm_attributes], partition_key=day, resources=used, raise_on_error=False)


def test_what_the_budget_leaves_is_asked_by_the_next_day(shop, tmp_path: Path, monkeypatch):
    kept = Ledger(url=f"sqlite:///{tmp_path / 'ledger.sqlite'}", calls_a_day=8)
    with FaultyServer(0.0) as server:
        model = VisionLanguage(
            model=server.setting, ledger=kept, timeout_seconds=60, prompt_price=1.0
        )
        answers = []
        for day, budget_day in zip(DAYS, ("2026-11-10", "2026-11-11"), strict=True):
            monkeypatch.setattr(ledgers, "_today", lambda day=budget_day: day)
            if budget_day == "2026-11-11":
                kept = Ledger(url=kept.url, calls_a_day=40)
                model = VisionLanguage(
                    model=server.setting, ledger=kept, timeout_seconds=60, prompt_price=1.0
                )
            done = run(shop, model, day)
            assert done.success  # a spent budget is no failure
            found = shop["lake"].read("vlm_attributes", "answers", day)
            checks = {one.check_name: one for one in done.get_asset_check_evaluations()}
            answers.append((found, checks["nothing_left"]))
        first, second = answers
        assert first[0].filter("valid").height == 8
        left = first[0].filter(~pl.col("valid"))
        assert left["reason"].unique().to_list() == [
            "error: not asked, the budget of 8 calls a day (UTC) is spent"
        ]
        assert not first[1].passed
        assert "What to do: " in str(first[1].description)
        # the second day: its own twelve, and the four that were left
        assert second[1].passed
        assert second[0].filter("valid").height == EACH + 4
        assert set(left["product_id"]) < set(second[0]["product_id"])
        assert server.requests == 2 * EACH
        # the ledger as an asset
        used = {"lake": shop["lake"], "vision_language": model, "limits": Limits()}
        made = dg.materialize([model_ledger], resources=used)
    assert made.success
    assert all(one.passed for one in made.get_asset_check_evaluations())
    usage = shop["lake"].read("model_ledger", "usage")
    assert usage.select("day", "purpose", "outcome", "calls").rows() == [
        ("2026-11-10", "vlm_attributes", "answered", 8),
        ("2026-11-11", "vlm_attributes", "answered", 16),
    ]
    (event,) = made.asset_materializations_for_node("model_ledger")
    shown = {name: value.value for name, value in event.metadata.items()}
    assert shown["calls"] == 16
    assert shown["answered"] == 1.0
    assert shown["dollars_in_all"] == pytest.approx(usage["dollars"].sum(), rel=1e-3)
    assert shown["seconds_p95"] > 0
    assert "data:image/jpeg" in shown["cost_curves"]


def test_a_server_that_is_down_fails_the_day_and_keeps_what_was_answered(shop):
    with FaultyServer(1.0, faults=("broken",)) as server:
        model = VisionLanguage(model=server.setting, retries=0, timeout_seconds=60)
        done = run(shop, model, DAYS[0])
        assert not done.success
        (failure,) = [event for event in done.all_events if event.is_step_failure]
        told = failure.step_failure_data.user_failure_data.description
        assert "no answer for 12 of 12; the first reason: error: HTTP 500" in told
        assert server.requests < 12 + 1  # after eight in a row the rest is not sent
    assert shop["lake"].manifest("vlm_attributes", DAYS[0]) is None
