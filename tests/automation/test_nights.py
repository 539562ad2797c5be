"""A night makes what is missing or failed, in spans, and leaves alone what is under way."""

from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.utils import make_new_backfill_id

from resources.event_log import RANGE_END, RANGE_START
from resources.nights import MAX_RUNS, NIGHT, Span, nightly, spans
from tests.automation.small_platform import BROKEN, CONTENT, DAILY, UNFIT, Platform

LOOKBACK = 6


def night(platform: Platform) -> list[tuple[set[str], str, str]]:
    """Assets, first and last day of every run that the night requests."""
    found = nightly(platform.records(), DAILY, lookback=LOOKBACK)
    assert not isinstance(found, dg.SkipReason), found
    return [
        (
            {key.to_user_string() for key in one.asset_selection},
            one.tags[RANGE_START],
            one.tags[RANGE_END],
        )
        for one in found
    ]


def reason(platform: Platform) -> str:
    found = nightly(platform.records(), DAILY, lookback=LOOKBACK)
    assert isinstance(found, dg.SkipReason)
    return found.skip_message


def launch(platform: Platform) -> None:
    for assets, start, end in night(platform):
        platform.run(*assets, days=(start, end))


def test_the_first_night_makes_the_window_in_one_run_and_what_needs_an_encoder_waits(platform):
    window = platform.closed()[-LOOKBACK:]
    assert night(platform) == [({"feed", "answers"}, window[0], window[-1])]


def test_the_next_night_makes_the_next_day_with_all_assets(platform):
    launch(platform)
    platform.follow()
    assert "complete" in reason(platform)
    platform.now += timedelta(days=1)
    newest = platform.closed()[-1]
    assert night(platform) == [({"feed", "answers", "vectors"}, newest, newest)]


def test_holes_become_a_run_each(platform):
    window = platform.closed()[-LOOKBACK:]
    platform.run("feed", "answers", days=(window[0], window[0]))
    platform.run("feed", "answers", days=(window[2], window[2]))
    platform.run("feed", days=(window[5], window[5]))
    assert night(platform) == [
        ({"answers"}, window[5], window[5]),
        ({"feed", "answers"}, window[3], window[4]),
        ({"feed", "answers"}, window[1], window[1]),
    ]


def test_a_failed_night_heals_in_the_next_one(platform):
    launch(platform)
    platform.follow()
    window = platform.closed()[-LOOKBACK:]
    BROKEN.add(("answers", window[2]))
    assert not platform.run("answers", days=(window[2], window[2]))
    assert night(platform) == [({"answers"}, window[2], window[2])]
    BROKEN.clear()
    launch(platform)
    assert "no day has failed" in reason(platform)


def test_a_day_that_always_fails_keeps_no_other_from_being_made(platform):
    window = platform.closed()[-LOOKBACK:]
    BROKEN.add(("feed", window[2]))
    launch(platform)  # one run for the whole window: it fails, and so do all its days
    assert night(platform) == [({"feed", "answers"}, day, day) for day in reversed(window)]
    launch(platform)
    assert night(platform) == [({"feed", "answers"}, window[2], window[2])]


def test_a_day_that_a_check_refuses_is_made_again_alone_and_built_upon_by_no_night(platform):
    window = platform.closed()[-LOOKBACK:]
    platform.run("feed", "answers", days=(window[0], window[-2]))
    platform.follow()
    newest = window[-1]
    UNFIT.update({("feed", newest), ("feed", window[2])})
    CONTENT["feed", window[2]] = "sent again"
    assert not platform.run("feed", days=(window[2], newest))
    # the days between are made, though the same step failed; below the new bad day all is missing
    wanted = [({"feed", "answers", "vectors"}, newest, newest), ({"feed"}, window[2], window[2])]
    assert night(platform) == wanted
    launch(platform)
    assert night(platform) == wanted  # nothing was built on it
    UNFIT.clear()  # the limit was too strict
    launch(platform)
    assert "no day has failed" in reason(platform)


def test_a_day_whose_feed_has_not_arrived_is_waited_for(platform):
    window = platform.closed()[-LOOKBACK:]

    def waits(key: dg.AssetKey, day: str) -> bool:
        return (key, day) == (dg.AssetKey("feed"), window[-1])

    requests = nightly(platform.records(), DAILY, lookback=LOOKBACK, waits=waits)
    assert isinstance(requests, list)
    assert [one.tags[RANGE_END] for one in requests] == [window[-2]]
    platform.run("feed", "answers", days=(window[0], window[-2]))
    platform.follow()
    skipped = nightly(platform.records(), DAILY, lookback=LOOKBACK, waits=waits)
    assert isinstance(skipped, dg.SkipReason)
    assert f"no feed has arrived for {window[-1]}" in skipped.skip_message


def test_a_day_that_failed_before_the_window_is_not_forgotten(platform):
    launch(platform)
    platform.follow()
    old = platform.closed()[0]
    BROKEN.add(("feed", old))
    platform.run("feed", days=(old, old))
    assert night(platform) == [({"feed"}, old, old)]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_days_of_an_active_run_are_left_alone(platform, status):
    window = platform.closed()[-LOOKBACK:]
    run = platform.instance.create_run_for_job(
        platform.definitions.resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset({dg.AssetKey("feed")}),
        status=status,
        tags={RANGE_START: window[2], RANGE_END: window[3]},
    )
    assert [one[1:] for one in night(platform)] == [(window[4], window[5]), (window[0], window[1])]
    platform.instance.report_run_canceled(run)  # a day that was given up has failed, too
    assert {one[1:] for one in night(platform)} == {
        *((window[0], window[1]), (window[2], window[2])),
        *((window[3], window[3]), (window[4], window[5])),
    }


def test_days_of_an_active_backfill_are_left_alone(platform):
    window = platform.closed()[-LOOKBACK:]
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=make_new_backfill_id(),
        asset_graph=platform.graph,
        partition_names=window[:-1],
        asset_selection=[dg.AssetKey("feed"), dg.AssetKey("answers")],
        backfill_timestamp=platform.now.timestamp(),
        tags={},
        dynamic_partitions_store=platform.instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    platform.instance.add_backfill(backfill)
    assert [one[1:] for one in night(platform)] == [(window[-1], window[-1])]
    platform.run("feed", "answers", days=(window[-1], window[-1]))
    assert "at work on" in reason(platform)
    platform.instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELED))
    assert [one[1:] for one in night(platform)] == [(window[0], window[-2])]


def test_runs_carry_the_night_and_are_bounded(platform):
    closed = platform.closed()
    requests = nightly(platform.records(), DAILY, lookback=LOOKBACK)
    assert isinstance(requests, list)
    assert requests[0].tags[NIGHT] == platform.now.date().isoformat()
    assert int(requests[0].tags["dagster/priority"]) > 0  # before a backfill, which has none
    for day in closed[::2][: MAX_RUNS + 2]:
        BROKEN.add(("feed", day))
        platform.run("feed", days=(day, day))
    assert len(night(platform)) <= MAX_RUNS


def test_spans_are_the_longest_without_a_gap():
    closed = ["1", "2", "3", "4", "5"]
    assert spans({"1", "2", "4"}, closed) == [Span("1", "2"), Span("4", "4")]
    assert spans(set(), closed) == []
    assert spans(set(closed), closed) == [Span("1", "5")]
