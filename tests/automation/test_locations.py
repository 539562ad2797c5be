"""Schedules, sensors and conditions of the real locations, and the settings that switch them."""

import importlib
import os
import subprocess
import sys
from datetime import UTC, datetime

import dagster as dg
import pytest

from resources.profiles import REPOSITORY, automation
from resources.staleness import Follow

SENSORS = {
    "pinlanding_assets": {"late_feeds", "late_search_logs", "follow", "at_once"},
    "rl_diffusion_assets": {"late_ratings", "follow"},
}
ROOTS = {"search_log", "feed_decisions", "word_decisions", "label_decisions", "page_decisions"}


@pytest.fixture(params=sorted(SENSORS))
def location(request) -> str:
    return request.param


def load(location: str) -> dg.Definitions:
    return importlib.import_module(f"{location}.definitions").defs()


def running(defs: dg.Definitions) -> set[str]:
    repository = defs.get_repository_def()
    on = (dg.DefaultScheduleStatus.RUNNING, dg.DefaultSensorStatus.RUNNING)
    return {
        one.name
        for one in (*repository.schedule_defs, *repository.sensor_defs)
        if one.default_status in on
    }


@pytest.mark.parametrize(
    ("profile", "switch", "on"),
    [
        ("sandbox", "", False),
        ("sandbox", "on", True),
        ("production", "", True),
        ("production", "off", False),
    ],
)
def test_automation_is_on_in_production_and_by_request(location, monkeypatch, profile, switch, on):
    monkeypatch.setenv("PLATFORM_PROFILE", profile)
    monkeypatch.setenv("PLATFORM_AUTOMATION", switch)
    expected = {"night", "deadline", *SENSORS[location]} if on else set()
    assert running(load(location)) == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PLATFORM_AUTOMATION", "yes"),
        ("PLATFORM_NIGHT_CRON", "at night"),
        ("PLATFORM_LOOKBACK_DAYS", "0"),
        ("PLATFORM_REWARD_PAIRS", "many"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"{variable}='{value}'"):
        automation()


def test_an_objective_that_there_is_not_is_named(monkeypatch):
    monkeypatch.setenv("PLATFORM_OBJECTIVES", "joint,beauty")
    with pytest.raises(ValueError, match="PLATFORM_OBJECTIVES: beauty"):
        load("rl_diffusion_assets")


def test_backfills_run_in_chunks_where_that_is_asked_for(location):
    program = (
        f"from {location}.definitions import defs\n"
        "graph = defs().resolve_asset_graph()\n"
        "print({policy.max_partitions_per_run for key in graph.materializable_asset_keys\n"
        "       if (policy := graph.get(key).backfill_policy)})"
    )
    environment = os.environ | {"PLATFORM_CHUNK_DAYS": "7"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        **{"cwd": REPOSITORY, "env": environment, "check": True},
        **{"capture_output": True, "text": True},
    )
    assert done.stdout.strip() == "{7}"


def test_every_asset_but_those_that_read_feeds_follows_its_inputs(location):
    graph = load(location).resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        name, rule = key.to_user_string(), graph.get(key).automation_condition
        assert isinstance(rule, Follow) == (name not in ROOTS), name
        # a rule that names a parent that is not one would wait for ever
        parents = {parent.to_user_string() for parent in graph.get(key).parent_keys}
        if isinstance(rule, Follow):
            assert {*rule.inputs, *rule.earlier} <= parents, name


def test_training_of_the_second_system_has_a_cadence_of_its_own():
    graph = load("rl_diffusion_assets").resolve_asset_graph()
    rewards = graph.get(dg.AssetKey("reward_models")).automation_condition
    weights = graph.get(dg.AssetKey("rl_diffusion_weights")).automation_condition
    assert isinstance(rewards, Follow)
    assert isinstance(weights, Follow)
    assert rewards.cron == "0 5 * * 0"
    assert rewards.rows == 2000
    assert (weights.inputs, weights.only) == (("reward_models",), ("joint",))


def test_the_first_night_of_the_real_location_asks_for_what_has_no_encoder_yet(
    monkeypatch, tmp_path
):
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    (tmp_path / "catalog.yaml").write_text("feeds: ['feeds/{day}.jsonl']\ncolumns: {id: id}\n")
    (feeds / "2026-11-02.jsonl").write_text('{"id": "1"}\n')
    monkeypatch.setenv("PLATFORM_CATALOG", str(tmp_path / "catalog.yaml"))
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path / "data"))
    defs = load("pinlanding_assets")
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 11, 4, 2, 30, tzinfo=UTC),
            repository_def=defs.get_repository_def(),
            resources=defs.resources,
        ) as context,
    ):
        tick = defs.resolve_schedule_def("night").evaluate_tick(context)
    found = {
        (
            frozenset(key.to_user_string() for key in one.asset_selection),
            one.tags["dagster/asset_partition_range_start"],
            one.tags["dagster/asset_partition_range_end"],
        )
        for one in tick.run_requests
    }
    head = frozenset({"raw_catalog", "catalog", "vlm_attributes", "search_log"})
    logs = frozenset({"search_log"})  # of the days that no feed has arrived for
    assert found == {
        (head, "2026-11-02", "2026-11-02"),
        (logs, "2026-11-01", "2026-11-01"),
        (logs, "2026-11-03", "2026-11-03"),
    }
