"""Runs that are followed to their end."""

import io

import dagster as dg
import pytest
from rich.console import Console

from operations.launch import Follower
from operations.telling import Teller

DAYS = dg.DailyPartitionsDefinition(start_date="2026-11-01", end_date="2026-11-05")


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def daily(context: dg.AssetExecutionContext) -> None:
    for day in context.partition_keys:
        context.log.info(f"daily {day}: 3 records")
        metadata = {"dagster/row_count": 1500, "model_calls": 2, "step_seconds": 0.5}
        context.add_asset_metadata(metadata, partition_key=day)


@dg.asset(partitions_def=DAYS)
def broken(context: dg.AssetExecutionContext) -> None:
    context.log.warning("the disk is nearly full")
    if context.partition_key == "2026-11-02":
        raise OSError("disk full")


@pytest.fixture
def follower():
    with dg.DagsterInstance.ephemeral() as instance:
        yield Follower(instance, Teller(console=Console(file=io.StringIO(), width=200)))


def made(follower, asset, **asked):
    done = dg.materialize([asset], instance=follower.instance, raise_on_error=False, **asked)
    return done.run_id


def said(follower):
    text = follower.teller.console.file.getvalue()
    return [line.partition("] ")[2].rsplit(", ", 1)[0] for line in text.splitlines()]


def test_the_days_of_a_run_are_one_line(follower):
    tags = {
        "dagster/asset_partition_range_start": "2026-11-01",
        "dagster/asset_partition_range_end": "2026-11-03",
    }
    follower.wait(made(follower, daily, tags=tags))
    assert said(follower) == ["daily 2026-11-01 to 2026-11-03: 4,500 rows"]
    assert follower.calls == {"daily": 6}
    assert follower.rate("daily") == 12


def test_the_days_of_several_runs_are_one_line(follower):
    runs = [made(follower, daily, partition_key=f"2026-11-0{day}") for day in (1, 2, 4)]
    for run in runs:
        follower.wait(run, last=run == runs[-1])
    assert said(follower) == ["daily 2026-11-01 to 2026-11-02, 2026-11-04: 4,500 rows"]


def test_a_failed_run_says_what_was_made_before(follower):
    follower.wait(made(follower, broken, partition_key="2026-11-01"), last=False)
    with pytest.raises(SystemExit, match="failed; `make dev`"):
        follower.wait(made(follower, broken, partition_key="2026-11-02"))
    told = follower.teller.console.file.getvalue()
    assert told.count("the disk is nearly full") == 2
    assert "FAILED broken: " in told
    assert "disk full" in told
    assert "broken 2026-11-01: done" in told
