"""Freshness of assets by day: checks that no day is forgotten behind a newer one.

A `FreshnessPolicy` looks at an asset's last materialization, whatever its day, so its badge is
green while days are missing. These checks ask what had to be there at the last deadline: they do
not turn red while a night is at work before it. An asset that was never made is red.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import dagster as dg

from resources.quality import Check
from resources.staleness import Follow, Records, last_tick

DAILY = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=36), warn_window=timedelta(hours=26)
)
# what is made only when its inputs changed: a quiet week is no fault
FOLLOWING = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(days=9), warn_window=timedelta(days=8)
)
WEEKLY = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(days=22), warn_window=timedelta(days=15)
)
WAITS_FOR = (
    "the last ticks of the schedule night say what it waits for: a feed, a run at work. The next "
    "night makes what is missing, or materialize the day now."
)
OF_DAILY = (
    Check(
        "newest_day_present",
        "The newest day that was closed at the last deadline is materialized.",
        WAITS_FOR,
    ),
    Check(
        "window_complete",
        "Every day of the window that a night looks back over is materialized.",
        WAITS_FOR,
    ),
    Check(
        "no_failed_day",
        "No day's last attempt failed.",
        "open the day's last run and mend what it says; the next night runs the day again, or "
        "materialize it now.",
    ),
)
OF_FOLLOWING = (
    Check(
        "not_older_than_inputs",
        "Made from what its inputs held at the last deadline, all the way up.",
        "where it was never materialized, switch on the sensor follow, or materialize it. Else "
        "open the last run of the asset that is named last: it is where work stopped. The sensor "
        "follow tries what failed again after the next night, or materialize it now.",
    ),
)
SHOWN = 20  # days in a message

PLOTTED = {  # check -> what its number counts
    "newest_day_present": "days_behind",
    "window_complete": "days_missing",
    "no_failed_day": "days_failed",
    "not_older_than_inputs": "changes_not_seen",
}


class Verdict(NamedTuple):
    """Whether a check passed, what to say, and the number of what is wrong."""

    passed: bool
    said: str
    wrong: int


def newest_day_present(records: Records, key: dg.AssetKey, closed: Sequence[str]) -> Verdict:
    """Is the last of the closed days there?"""
    made = max((day for day in records.made(key) if day), default="none")
    if not closed:
        return Verdict(False, "no day was closed at the last deadline", 1)
    said = f"newest closed day {closed[-1]}, newest made {made}"
    behind = sum(day > made for day in closed) if made != "none" else len(closed)
    return Verdict(closed[-1] in records.made(key), said, behind)


def window_complete(records: Records, key: dg.AssetKey, window: Sequence[str]) -> Verdict:
    """Are all days of the window there?"""
    missing = [day for day in window if day not in records.made(key)]
    said = f"missing: {_shown(missing)}" if missing else f"{len(window)} days, none missing"
    return Verdict(bool(window) and not missing, said, len(missing))


def no_failed_day(records: Records, key: dg.AssetKey) -> Verdict:
    """Has no day's last attempt failed?"""
    failed = sorted(str(day) for day in records.failed(key))
    if not failed and not records.made(key):
        return Verdict(False, "never materialized", 1)
    said = f"failed: {_shown(failed)}" if failed else "no day has failed"
    return Verdict(not failed, said, len(failed))


def not_older_than_inputs(records: Records, key: dg.AssetKey, deadline: float) -> Verdict:
    """Has no input changed before the deadline that the asset, or one upstream, was not made from?

    What follows on a cadence of its own, upstream, may wait for it.
    """
    if None not in records.made(key):
        return Verdict(False, "never materialized", 1)
    behind = [
        f"{one.to_user_string()} is older than {change}"
        for one in sorted({key, *records.ancestors(key)})
        for change in _old_changes(records, one, deadline)
    ]
    said = _shown(behind) if behind else "up to date with its inputs"
    return Verdict(not behind, said, len(behind))


def _old_changes(records: Records, key: dg.AssetKey, deadline: float) -> Iterator[str]:
    rule = records.graph.get(key).automation_condition
    if not isinstance(rule, Follow) or rule.cron:
        return
    found: set[str] = set()
    for partition in records.made(key).keys() & {*records.partitions(key)}:
        for change in records.changes(key, partition):
            if change.timestamp < deadline:
                found.add(f"{change.asset} {change.partition or ''}".strip())
    yield from sorted(found)


def freshness_checks(
    daily: Collection[dg.AssetKey],
    following: Collection[dg.AssetKey],
    *,
    deadline_cron: str,
    lookback: int,
    graph: Callable[[], Any],
) -> dg.AssetChecksDefinition:
    """Every check of daily assets and of those that follow them, in one step."""
    checks = {
        (key, one.name): one
        for keys, several in ((daily, OF_DAILY), (following, OF_FOLLOWING))
        for key in keys
        for one in several
    }
    specs = [one.spec(key) for (key, _), one in checks.items()]

    @dg.multi_asset_check(specs=specs, can_subset=True, name="freshness")
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        now = datetime.now(UTC)
        deadline = last_tick(deadline_cron, now)
        records = Records(context.instance, graph(), now)
        due = Records(context.instance, graph(), datetime.fromtimestamp(deadline, UTC))
        for wanted in sorted(context.selected_asset_check_keys):
            key, name = wanted.asset_key, wanted.name
            closed = [day for day in due.partitions(key) if day]
            match name:
                case "newest_day_present":
                    found = newest_day_present(records, key, closed)
                case "window_complete":
                    found = window_complete(records, key, closed[-lookback:])
                case "no_failed_day":
                    found = no_failed_day(records, key)
                case _:
                    found = not_older_than_inputs(records, key, deadline)
            todo = "" if found.passed else f". What to do: {checks[key, name].remedy}"
            yield dg.AssetCheckResult(
                passed=found.passed,
                asset_key=key,
                check_name=name,
                description=found.said + todo,
                metadata={PLOTTED[name]: found.wrong},
            )

    return check


def deadline_schedule(
    checks: dg.AssetChecksDefinition, *, cron: str, status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    """The schedule, with its job, that runs the checks when the night has to be done."""
    job = dg.define_asset_job(
        "freshness_checks",
        selection=dg.AssetSelection.checks(checks),
        description="Asks whether all days that had to be there at the deadline are.",
    )
    return dg.ScheduleDefinition(
        name="deadline",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=status,
        description="Runs the checks of freshness when the night has to be done.",
    )


def _shown(items: Sequence[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more
