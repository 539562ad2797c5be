"""What an operator does, against a real web server. This file is also the code location."""

import dagster as dg
import pytest

from operations.console import Console, Refused

LOCATION = "test_console.py"
DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")
ALL = ["2026-01-01", "2026-01-02", "2026-01-03"]


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def feed() -> None: ...


@dg.asset_check(asset=feed)
def fit() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


checks = dg.define_asset_job("checks", selection=dg.AssetSelection.checks(fit))


@dg.schedule(cron_schedule="0 2 * * *", target=[feed])
def night(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    day = context.scheduled_execution_time.date().isoformat()
    if day not in ALL:
        return dg.SkipReason(f"nothing to do on {day}")
    return [dg.RunRequest(asset_selection=[feed.key], tags={"dagster/partition": day})]


defs = dg.Definitions(
    assets=[feed],
    asset_checks=[fit],
    jobs=[checks],
    schedules=[
        night,
        dg.ScheduleDefinition(name="deadline", job=checks, cron_schedule="0 6 * * *"),
    ],
)


@pytest.fixture(scope="module")
def served():
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import PythonFileTarget
    from dagster_webserver.webserver import DagsterWebserver
    from starlette.testclient import TestClient

    queued = {"concurrency": {"runs": {"max_concurrent_runs": 1}}}  # nothing dequeues them here
    with dg.instance_for_test(overrides=queued) as instance:
        target = PythonFileTarget(__file__, None, None, LOCATION)
        with WorkspaceProcessContext(instance, target) as context:
            client = TestClient(DagsterWebserver(context).create_asgi_app())

            class Live:
                def query(self, text, **variables):
                    body = {"query": text, "variables": variables}
                    answer = client.post("/graphql", json=body).json()
                    assert not answer.get("errors"), answer
                    return answer["data"]

            yield Console(Live()), instance


def midnight(day: str) -> float:
    import datetime

    return datetime.datetime.fromisoformat(f"{day}T02:00:00+00:00").timestamp()


def test_a_tick_at_a_given_time_launches_what_the_schedule_asks_for(served):
    console, instance = served
    (run,), why = console.tick(LOCATION, "night", midnight(ALL[1]))
    found = instance.get_run_by_id(run)
    assert (found.tags["dagster/partition"], found.asset_selection) == (ALL[1], {feed.key})
    assert why == ""
    assert console.tick(LOCATION, "night", midnight("2026-02-01")) == (
        [],
        "nothing to do on 2026-02-01",
    )


def test_a_schedule_of_a_job_launches_that_job_and_no_other(served):
    console, instance = served
    (run,), _ = console.tick(LOCATION, "deadline", midnight(ALL[0]))
    assert instance.get_run_by_id(run).job_name == "checks"


def test_a_backfill_is_launched_cancelled_and_taken_up_again(served):
    console, instance = served
    backfill = console.backfill(["feed"], ALL, "three days")
    assert instance.get_backfill(backfill).title == "three days"
    with pytest.raises(Exception, match="still in progress"):
        console.resume(backfill)
    console.cancel(backfill)
    assert instance.get_backfill(backfill).status.value in ("CANCELING", "CANCELED")
    with pytest.raises(Refused, match="launchPartitionBackfill"):
        console.backfill(["feed"], ["1999-01-01"], "no such day")


def test_what_the_ui_shows_as_out_of_date_is_named(served):
    console, instance = served
    assert console.stale("feed", ALL) == {}
    console.switch_on(LOCATION, schedules=["night"])
    assert [one.name for one in instance.all_instigator_state()] == ["night"]
    with pytest.raises(Refused, match="startSchedule"):
        console.switch_on(LOCATION, schedules=["noon"])
