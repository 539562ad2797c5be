"""Runs that may be deleted: an asset's page says the same before and after."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from operations.instance import environment, open_instance
from operations.retention import delete, superseded
from resources.profiles import REPOSITORY, settings

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]
DAILY = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-11-04")
LATER = datetime.now(UTC) + timedelta(days=1)


@dg.asset(partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run())
def feed(context: dg.AssetExecutionContext) -> None:
    """Has days, and fails where the test says so."""
    if os.environ.get("FEED") == "broken":
        raise dg.Failure("broken feed")


@dg.asset
def model() -> None:
    """Has no days."""
    print("what the step wrote")


@dg.asset_check(asset=model)
def is_good() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


DEFS = dg.Definitions(assets=[feed, model], asset_checks=[is_good])
GRAPH = DEFS.resolve_asset_graph()


@pytest.fixture
def instance(instance_environment):
    environment(settings())
    with open_instance() as found:
        yield found


def run(instance, *assets, days=(), tags=None) -> str:
    """Materialize assets in one run, whether it fails or not; returns its id."""
    span = {"start": days[0], "end": days[-1]} if days else {}
    done = DEFS.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(asset) for asset in assets],
        tags={f"dagster/asset_partition_range_{k}": v for k, v in span.items()} | (tags or {}),
        raise_on_error=False,
    )
    return done.run_id


def prune(instance) -> set[str]:
    found = [record.dagster_run.run_id for record in superseded(instance, LATER, [GRAPH])]
    for run_id in found:
        delete(instance, run_id)
    return set(found)


def page(instance) -> dict:
    """What the UI says of the assets."""
    check = dg.AssetCheckKey(dg.AssetKey("model"), "is_good")
    checks = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
    made = instance.get_latest_materialization_event(dg.AssetKey("model"))
    statuses = instance.get_status_by_partition(dg.AssetKey("feed"), DAYS, DAILY) or {}
    return {
        "feed": {day: status.value for day, status in statuses.items() if status},
        "model": made and made.run_id,
        "check": {(last.status.value, last.run_id) for last in checks.values()},
    }


def test_a_materialized_partition_stays_materialized(instance):
    first = run(instance, "feed", days=DAYS)
    second = run(instance, "feed", days=DAYS[1:])
    assert prune(instance) == set(), "the first run has the last word on the first day"
    third = run(instance, "feed", days=DAYS[:1])
    before = page(instance)
    assert before["feed"] == dict.fromkeys(DAYS, "MATERIALIZED")
    assert prune(instance) == {first}
    assert page(instance) == before
    assert {made.run_id for made in instance.get_runs()} == {second, third}


def test_a_failure_is_forgotten_only_when_the_partition_was_made_again(instance, monkeypatch):
    monkeypatch.setenv("FEED", "broken")
    failed = [run(instance, "feed", days=DAYS[:1]), run(instance, "feed", days=DAYS[1:2])]
    retried = run(instance, "feed", days=DAYS[1:2])
    monkeypatch.delenv("FEED")
    run(instance, "feed", days=DAYS[2:])
    before = page(instance)
    assert before["feed"] == {DAYS[0]: "FAILED", DAYS[1]: "FAILED", DAYS[2]: "MATERIALIZED"}
    assert prune(instance) == {failed[1]}, "the day still shows the failure of the second try"
    assert page(instance) == before
    run(instance, "feed", days=DAYS[:2])
    assert prune(instance) == {failed[0], retried}
    assert page(instance)["feed"] == dict.fromkeys(DAYS, "MATERIALIZED")


def test_an_asset_without_partitions_and_its_check_keep_their_last_runs(instance, monkeypatch):
    older = run(instance, "model")
    made = run(instance, "model")
    before = page(instance)
    assert before["model"] == made
    assert before["check"] == {("SUCCEEDED", made)}
    assert prune(instance) == {older}
    assert page(instance) == before


def test_a_run_that_a_kept_one_retries_is_kept(instance, monkeypatch):
    monkeypatch.setenv("FEED", "broken")
    first = run(instance, "feed", days=DAYS[:1])
    monkeypatch.delenv("FEED")
    retry = {"dagster/parent_run_id": first, "dagster/root_run_id": first}
    second = run(instance, "feed", days=DAYS[:1], tags=retry)
    assert prune(instance) == set()
    assert {made.run_id for made in instance.get_runs()} == {first, second}


def test_young_and_unfinished_runs_are_left_alone(instance):
    run(instance, "model")
    run(instance, "model")
    waiting = instance.create_run_for_job(
        DEFS.resolve_implicit_global_asset_job_def(), status=dg.DagsterRunStatus.STARTED
    )
    assert superseded(instance, datetime.now(UTC) - timedelta(days=1)) == []
    assert waiting.run_id not in prune(instance)
    assert instance.get_run_by_id(waiting.run_id)


def test_what_a_deleted_run_wrote_goes_with_it(instance, tmp_path):
    older, newer = run(instance, "model"), run(instance, "model")
    for run_id in (older, newer):
        assert files(tmp_path, run_id), "or this test tests nothing"
    assert prune(instance) == {older}
    assert files(tmp_path, older) == []
    assert files(tmp_path, newer)
    assert instance.get_run_by_id(older) is None


def files(folder: Path, run_id: str) -> list[Path]:
    return [path for path in folder.rglob("*") if run_id in str(path) and path.is_file()]


def test_the_command_lists_first_and_deletes_then(instance, capsys):
    run(instance, "model"), run(instance, "model")
    counts = []
    for options in (["--dry-run"], []):
        done = subprocess.run(
            [sys.executable, "-m", "operations", "prune", "--days", "0", *options],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
        counts.append((done.returncode, (done.stdout + done.stderr).splitlines()[-1]))
        counts.append(len(instance.get_runs()))
    assert counts == [
        *((0, "1 superseded runs would be deleted"), 2),
        *((0, "1 superseded runs were deleted"), 1),
    ]
