"""What a code location runs by itself: the night, what follows it, late feeds, and the checks."""

from collections.abc import Collection, Sequence
from functools import cache

import dagster as dg

from resources.freshness import deadline_schedule, freshness_checks
from resources.nights import Feed, late_sensor, night_schedule
from resources.profiles import automation


def automated(
    defs: dg.Definitions, daily: Collection[str], feeds: Sequence[Feed]
) -> dg.Definitions:
    """A location with its schedules, sensors and freshness checks, on or off by the settings.

    Args:
        defs: Its assets, with their automation conditions, jobs and resources.
        daily: The assets that a night sees to.
        feeds: What a sensor looks at for late and corrected days.
    """
    chosen = automation()
    graph = cache(defs.resolve_asset_graph)
    by_day = [dg.AssetKey(name) for name in sorted(daily)]
    others = [
        key
        for key in sorted(graph().materializable_asset_keys)
        if graph().get(key).partitions_def is None
    ]
    schedules = (
        dg.DefaultScheduleStatus.RUNNING if chosen.running else dg.DefaultScheduleStatus.STOPPED
    )
    sensors = dg.DefaultSensorStatus.RUNNING if chosen.running else dg.DefaultSensorStatus.STOPPED
    checks = freshness_checks(
        by_day,
        others,
        deadline_cron=chosen.deadline_cron,
        lookback=chosen.lookback_days,
        graph=graph,
    )
    return dg.Definitions.merge(
        defs,
        dg.Definitions(
            asset_checks=[checks],
            schedules=[
                night_schedule(
                    by_day,
                    feeds,
                    cron=chosen.night_cron,
                    lookback=chosen.lookback_days,
                    graph=graph,
                    status=schedules,
                ),
                deadline_schedule(checks, cron=chosen.deadline_cron, status=schedules),
            ],
            sensors=[
                *(late_sensor(feed, by_day, graph=graph, status=sensors) for feed in feeds),
                dg.AutomationConditionSensorDefinition(
                    "follow",
                    target=dg.AssetSelection.all(include_sources=True),  # and files
                    use_user_code_server=True,  # the condition is our own
                    default_status=sensors,
                    run_tags={"platform/follow": "true"},
                    description="Makes what is out of date, once all that it is made from is done.",
                ),
            ],
        ),
    )
