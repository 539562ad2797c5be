"""Every check of freshness goes red when it should, and green again."""

import importlib
from datetime import UTC, datetime

import dagster as dg
import pytest

from resources.freshness import (
    OF_DAILY,
    OF_FOLLOWING,
    freshness_checks,
    newest_day_present,
    no_failed_day,
    not_older_than_inputs,
    window_complete,
)
from tests.automation.small_platform import BROKEN, CONTENT, DAILY, PLATFORM, Platform

FEED, SITE = dg.AssetKey("feed"), dg.AssetKey("site")
FAR = datetime(2100, 1, 1, tzinfo=UTC).timestamp()  # a deadline after every event


def test_the_newest_day_is_there_or_not_whatever_was_made_last(platform):
    closed = platform.closed()
    assert newest_day_present(platform.records(), FEED, closed)[0] is False  # no records at all
    platform.run("feed", days=(closed[0], closed[-2]))  # the badge of a policy is green here
    passed, said, behind = newest_day_present(platform.records(), FEED, closed)
    assert passed is False
    assert said == f"newest closed day {closed[-1]}, newest made {closed[-2]}"
    assert behind == 1
    platform.run("feed", days=(closed[-1], closed[-1]))
    assert newest_day_present(platform.records(), FEED, closed)[0] is True


def test_a_hole_in_the_window_is_named(platform):
    window = platform.closed()[-5:]
    assert window_complete(platform.records(), FEED, window)[0] is False
    platform.run("feed", days=(window[0], window[1]))
    platform.run("feed", days=(window[3], window[4]))
    assert window_complete(platform.records(), FEED, window) == (False, f"missing: {window[2]}", 1)
    platform.run("feed", days=(window[2], window[2]))
    assert window_complete(platform.records(), FEED, window)[0] is True


def test_a_failed_day_stays_red_until_it_is_made(platform):
    day = platform.closed()[0]
    assert no_failed_day(platform.records(), FEED) == (False, "never materialized", 1)
    platform.run("feed", days=(day, day))
    assert no_failed_day(platform.records(), FEED)[0] is True
    BROKEN.add(("feed", day))
    platform.run("feed", days=(day, day))
    assert no_failed_day(platform.records(), FEED) == (False, f"failed: {day}", 1)
    BROKEN.clear()
    platform.run("feed", days=(day, day))
    assert no_failed_day(platform.records(), FEED)[0] is True


def test_a_publication_is_not_older_than_anything_upstream(platform):
    closed = platform.closed()
    assert not_older_than_inputs(platform.records(), SITE, FAR) == (False, "never materialized", 1)
    platform.run("feed", "answers", days=(closed[0], closed[1]))
    platform.follow()
    assert not_older_than_inputs(platform.records(), SITE, FAR)[0] is True
    CONTENT["feed", closed[1]] = "new"
    platform.run("feed", days=(closed[1], closed[1]))
    passed, said, changes = not_older_than_inputs(platform.records(), SITE, FAR)
    assert passed is False
    assert f"site is older than feed {closed[1]}" in said
    assert f"vectors is older than feed {closed[1]}" in said
    assert changes == said.count(" is older than ")
    # what came in after the deadline has until the next one
    assert not_older_than_inputs(platform.records(), SITE, datetime.now(UTC).timestamp() - 3600)[0]
    platform.follow()
    assert not_older_than_inputs(platform.records(), SITE, FAR)[0] is True


def results(platform: Platform, deadline_cron: str = "* * * * *") -> dict[tuple[str, str], bool]:
    checks = freshness_checks(
        DAILY, [SITE], deadline_cron=deadline_cron, lookback=4, graph=lambda: platform.graph
    )
    done = dg.materialize(
        [*PLATFORM, checks],
        selection=dg.AssetSelection.checks(checks),
        instance=platform.instance,
        raise_on_error=False,
    )
    found = done.get_asset_check_evaluations()
    assert all(("What to do: " in str(one.description)) != one.passed for one in found)
    return {(one.asset_key.to_user_string(), one.check_name): one.passed for one in found}


def test_the_checks_of_a_whole_platform(platform):
    everything = {(key.to_user_string(), one.name) for key in DAILY for one in OF_DAILY}
    everything |= {("site", one.name) for one in OF_FOLLOWING}
    assert results(platform) == dict.fromkeys(everything, False)  # nothing there is red, not grey
    closed = platform.closed()
    platform.run("feed", "answers", days=(closed[-4], closed[-1]))
    platform.follow()
    assert results(platform) == dict.fromkeys(everything, True)


def test_a_day_that_closed_after_the_deadline_is_not_asked_for(platform):
    closed = platform.closed()
    platform.run("feed", "answers", days=(closed[-5], closed[-2]))
    platform.follow()
    assert results(platform)["feed", "newest_day_present"] is False
    last_midnight = "59 23 * * *"  # the newest day closed a minute later
    found = results(platform, last_midnight)
    assert found["feed", "newest_day_present"] is True
    assert found["feed", "window_complete"] is True


@pytest.mark.parametrize("name", ["pinlanding_assets", "rl_diffusion_assets"])
def test_the_deadline_runs_every_check_of_freshness_and_nothing_else(name):
    defs = importlib.import_module(f"{name}.definitions").defs()
    job = defs.resolve_job_def("freshness_checks")
    keys = job.asset_layer.asset_graph.asset_check_keys if job.asset_layer else set()
    names = {key.name for key in keys}
    assert {one.name for one in (*OF_DAILY, *OF_FOLLOWING)} <= names
    schedule = defs.resolve_schedule_def("deadline")
    assert schedule.job_name == "freshness_checks"
