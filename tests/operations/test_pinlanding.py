"""What a demo runs again, and what it leaves alone."""

import json

import dagster as dg
import polars as pl
import pytest

from operations.pinlanding import DAILY_HEAD, DAILY_TAIL, LEARNING, STATE, TAIL, _plan
from operations.report import costs, headlines, pinlanding_figures, write_report
from resources.feeds.catalog_source import feed_version
from resources.lake import Lake
from resources.profiles import resources, settings

DAYS = ["2026-11-01", "2026-11-02"]


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    for day in DAYS:
        (tmp_path / f"{day}.csv").write_text("sku,name\n1,red shoe\n")
    catalog = tmp_path / "shop.yaml"
    catalog.write_text('feeds: ["{day}.csv"]\ncolumns: {id: sku, title: name}\n')
    monkeypatch.setenv("PLATFORM_CATALOG", str(catalog))
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path / "data"))
    found = settings()
    found.data.mkdir(parents=True)
    return found


def finish(chosen, instance) -> None:
    """What a demo that ran to its end leaves behind."""
    used = resources()
    for day in DAYS:
        version = feed_version(used["source"].provenance(day))
        rows = {"records": pl.DataFrame({"row": [1]})}
        used["lake"].commit("raw_catalog", rows, partition=day, versions={"feed": version})
        for asset in (*DAILY_HEAD, *DAILY_TAIL):
            instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=day))
    for asset in (*LEARNING, *TAIL):
        instance.report_runless_asset_event(dg.AssetMaterialization(asset))
    (chosen.data / STATE).write_text(json.dumps(_plan(chosen, instance).fingerprint))


def test_everything_is_due_at_first_and_nothing_after_a_demo(chosen):
    with dg.instance_for_test() as instance:
        first = _plan(chosen, instance)
        assert (first.due, first.finished) == (DAYS, False)
        finish(chosen, instance)
        second = _plan(chosen, instance)
        assert (second.due, second.finished) == ([], True)


def test_a_changed_feed_is_due_alone_and_a_changed_catalog_is_due_as_a_whole(chosen):
    with dg.instance_for_test() as instance:
        finish(chosen, instance)
        (chosen.catalog.parent / f"{DAYS[1]}.csv").write_text("sku,name\n1,blue shoe\n")
        assert _plan(chosen, instance).due == DAYS[1:]
        chosen.catalog.write_text(chosen.catalog.read_text() + "vlm_budget: 5\n")
        assert _plan(chosen, instance).due == DAYS


def test_a_demo_that_was_cut_off_goes_on_where_it_was(chosen):
    with dg.instance_for_test() as instance:
        finish(chosen, instance)
        (chosen.data / STATE).unlink()
        found = _plan(chosen, instance)
        assert (found.due, found.finished) == ([], False)


def test_a_catalog_without_feeds_says_so(chosen):
    for day in DAYS:
        (chosen.catalog.parent / f"{day}.csv").unlink()
    with dg.instance_for_test() as instance, pytest.raises(SystemExit, match="no feed was found"):
        _plan(chosen, instance)


def test_the_report_keeps_the_other_system_and_invents_nothing(chosen, monkeypatch, capsys):
    lake = Lake(root=chosen.lake)
    products = pl.DataFrame({"product_id": ["1"], "operation": ["upsert"], "snapshot": [False]})
    rejects = pl.DataFrame({"row": [3, 4]})
    lake.commit("catalog", {"products": products, "rejects": rejects}, partition=DAYS[0])
    lake.commit("published_collections", {"pages": pl.DataFrame({"slug": ["a", "b"]})})
    figures = pl.DataFrame(
        {
            "name": ["collections.p_at_10", "collections.accepted"],
            "value": [None, 2.0],
            "low": [None, None],
            "high": [None, None],
            "unit": ["share", "topics"],
            "basis": ["truth", "count"],
        },
        schema_overrides={"low": pl.Float64, "high": pl.Float64},
    )
    lake.commit("scorecard", {"figures": figures})
    report = chosen.data.parent / "report.json"
    report.write_text(json.dumps({"rl": {"rl.joint.win_rate": 0.8}}))
    write_report(chosen, {"vlm_attributes": 7}, {"vlm_attributes": 20.0}, 12.34)
    found = json.loads(report.read_text())
    assert found["rl"] == {"rl.joint.win_rate": 0.8}
    expected = {
        "catalog.products": 1,
        "catalog.rejects": 2,
        "collections.published": 2,
        "collections.p_at_10": None,
        "collections.accepted": 2,
        "model_calls.vlm": 7,
        "model_calls.encoder": 0,
        "seconds.total": 12.3,
        "scorecard.p_at_10": None,
        "scorecard.p_at_10_basis": None,
        "scorecard.items_a_second_vlm": 20.0,
        "scorecard.cost_per_million_vlm": 0.6944,  # 13.9 hours at 0.05 $
        "scorecard.cost_per_million_encoder": None,  # it was not run
    }
    assert expected.items() <= found["pinlanding"].items()
    assert found["pinlanding"]["site"].endswith("site/current/index.html")
    assert "not known" in capsys.readouterr().out
    assert pinlanding_figures(lake, {}, 0.0, "x")["site"] == "x"


def test_a_report_without_truth_names_its_witness():
    def rows(*found):
        schema = ["name", "value", "low", "high", "unit", "basis"]
        kinds = {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
        return pl.DataFrame(found, schema=schema, schema_overrides=kinds, orient="row")

    truth = ("collections.p_at_10", None, None, None, "share", "truth")
    judge = ("collections.p_at_10_judge", 0.9, 0.8, 0.95, "share", "judge")
    found = headlines(rows(truth, judge))
    assert found["scorecard.p_at_10"] == 0.9
    assert found["scorecard.p_at_10_low"] == 0.8
    assert found["scorecard.p_at_10_basis"] == "judge"
    assert found["scorecard.p_at_10_search_log"] is None
    known = headlines(rows((truth[0], 0.7, 0.6, 0.8, "share", "truth"), judge))
    assert (known["scorecard.p_at_10"], known["scorecard.p_at_10_basis"]) == (0.7, "truth")


def test_costs_of_a_run_without_work_are_those_of_the_last():
    before = {"scorecard.cost_per_million_vlm": 1.5, "scorecard.items_a_second_vlm": 9.0}
    found = costs({"product_embeddings": 100.0, "vlm_attributes": None}, 3.6, before)
    assert found["scorecard.cost_per_million_encoder"] == 10.0  # 10,000 seconds
    assert found["scorecard.cost_per_million_vlm"] == 1.5
