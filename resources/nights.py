"""Which days a night has to make, and which days' feeds came late, changed or were withdrawn."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import dagster as dg

from resources.event_log import RANGE_END, RANGE_START
from resources.feeds.catalog_source import MISSING, NO_FEED
from resources.feeds.rows import FeedError
from resources.lake import Lake
from resources.staleness import Edited, Records

NIGHT, LATE = "platform/night", "platform/late"  # tags of runs
FIRST = {"dagster/priority": "1"}  # before backfills, in the queue
MAX_RUNS = 10  # a tick; what is left is for the next one
MAX_LATE_DAYS = 7  # a tick that are read, and that may be withdrawn at once


class Span(NamedTuple):
    """Days without a gap, first and last."""

    start: str
    end: str

    @property
    def tags(self) -> dict[str, str]:
        """What makes a run cover the span."""
        return {RANGE_START: self.start, RANGE_END: self.end}


def spans(days: Collection[str], closed: Sequence[str]) -> list[Span]:
    """The longest spans of `days`; `closed` are all days that there are, in order."""
    found: list[Span] = []
    before = ""
    for day in closed:
        if day in days:
            if before in days:
                found[-1] = Span(found[-1].start, day)
            else:
                found.append(Span(day, day))
        before = day
    return found


def runnable(records: Records, daily: Iterable[dg.AssetKey]) -> list[dg.AssetKey]:
    """The daily assets, upstream first, whose inputs without a day (an encoder, say) are there.

    What is `Edited` need not be: it says nothing until it is made.
    """
    wanted = set(daily)
    found: list[dg.AssetKey] = []
    for key in records.graph.toposorted_asset_keys:
        if key in wanted:
            parents = [
                one
                for one in records.graph.get(key).parent_keys
                if records.graph.get(one).is_materializable
                and not isinstance(records.graph.get(one).automation_condition, Edited)
            ]
            if all(one in found if one in wanted else records.made(one) for one in parents):
                found.append(key)
    return found


def nightly(
    records: Records,
    daily: Collection[dg.AssetKey],
    *,
    lookback: int,
    waits: Callable[[dg.AssetKey, str], bool] | None = None,
) -> list[dg.RunRequest] | dg.SkipReason:
    """A run for every span of days that lack the same assets, at most `MAX_RUNS`, newest first.

    A day that failed gets a run of its own, so that it keeps no other day from being made. Days on
    which a run or backfill is at work are left alone.

    Args:
        records: What is there.
        daily: The assets of a night.
        lookback: Closed days of which what is missing is made; what failed is, of any day.
        waits: Whether an asset's feed of a day has not arrived; what is below waits with it.
    """
    ready = runnable(records, daily)
    closed = [day for day in records.partitions(next(iter(daily))) if day]
    due: dict[str, list[dg.AssetKey]] = {}
    failed: set[str] = set()
    waiting: set[str] = set()
    for key in ready:
        missing = {day for day in closed[-lookback:] if day not in records.made(key)}
        again = {day for day in closed if day in records.failed(key)}
        for day in missing | again:
            above = [one for one in (key, *records.ancestors(key)) if one in ready]
            if waits and any(waits(one, day) for one in above):
                waiting.add(day)
            else:
                due.setdefault(day, []).append(key)
                failed |= {day} & again
    held = due.keys() & {day for key in daily for day in records.held(key)}
    requests: list[dg.RunRequest] = []
    for assets in sorted({tuple(due[day]) for day in due.keys() - held}):
        days = {day for day in due.keys() - held if tuple(due[day]) == assets}
        alone = [Span(day, day) for day in days & failed]
        requests += [
            _run(list(assets), span, records.now.date().isoformat())
            for span in [*alone, *spans(days - failed, closed)]
        ]
    if not requests:
        return dg.SkipReason(_nothing_due(len(closed[-lookback:]), sorted(held), sorted(waiting)))
    newest_first = sorted(requests, key=lambda one: one.tags[RANGE_END], reverse=True)
    return newest_first[:MAX_RUNS]


def _run(assets: list[dg.AssetKey], span: Span, night: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{night}:{assets[0].to_user_string()}:{span.start}",
        asset_selection=assets,
        tags={**span.tags, **FIRST, NIGHT: night},
    )


def _nothing_due(days: int, held: list[str], waiting: list[str]) -> str:
    said = []
    if held:
        said.append(f"a run or backfill is at work on {', '.join(held)}")
    if waiting:
        said.append(f"no feed has arrived for {', '.join(waiting)}")
    if not said:
        return f"the last {days} closed days are complete, and no day has failed"
    return "; ".join([*said, "nothing else is missing"])


class Late(NamedTuple):
    """Days to be made again, with the reason, and what is known of the feeds from now on."""

    days: dict[str, str]
    known: dict[str, str]


def late_days(
    asset: str,
    known: Mapping[str, str],
    stamps: Mapping[str, str],
    lake: Lake,
    version: Callable[[str], str],
    *,
    closed: Sequence[str],
    held: Collection[str | None],
) -> Late:
    """The days whose feed is not the one that the lake holds.

    A stamp that is known is not looked at again. At most `MAX_LATE_DAYS` feeds are read.

    Args:
        asset: The daily asset that reads the feed, and keeps its version in its manifest.
        known: Day -> stamp, as the last tick returned it.
        stamps: Day -> stamp of the feeds that are there.
        lake: Holds what was read before.
        version: Of the feed of a day: reads the whole of it.
        closed: The days that there are, in order.
        held: Days that are left for a later tick.

    Raises:
        LookupError: so many feeds are gone at once that the store may be.
    """
    made = set(lake.partitions(asset))
    now_known = {day: stamp for day, stamp in known.items() if day in stamps or day in made}
    found: dict[str, str] = {}
    looked = 0
    for day in closed:
        stamp = stamps.get(day, "")
        if day in held or (not stamp and day not in made) or now_known.get(day) == stamp:
            continue
        if stamp:
            if looked == MAX_LATE_DAYS:
                continue
            looked += 1
            now_known[day] = stamp
        manifest = lake.manifest(asset, day)
        if manifest is None:
            found[day] = "arrived"
        elif not stamp and manifest.versions.get("feed") in (NO_FEED, MISSING):
            now_known[day] = ""
        elif not stamp:
            found[day] = "withdrawn"
        elif _version_of(version, day) != manifest.versions.get("feed"):
            found[day] = "changed"
    gone = [day for day, reason in found.items() if reason == "withdrawn"]
    if len(gone) > MAX_LATE_DAYS:
        raise LookupError(
            f"the feeds of {len(gone)} days are gone, {gone[0]} to {gone[-1]}: is the store there? "
            f"No day was emptied. If they are meant to be, name them in {asset}'s config"
        )
    return Late(found, now_known)


def _version_of(version: Callable[[str], str], day: str) -> str:
    try:
        return version(day)
    except FeedError:
        return ""  # the run will fail, and say why


def late_requests(
    records: Records,
    root: dg.AssetKey,
    daily: Collection[dg.AssetKey],
    late: Late,
    stamps: Mapping[str, str],
    config: Callable[[list[str]], dict[str, Any]] | None = None,
) -> list[dg.RunRequest]:
    """A run for every span of late days: the asset that reads the feed and all daily below it.

    Args:
        records: What is there.
        root: The asset that reads the feed.
        daily: All daily assets.
        late: The days.
        stamps: Those of `late_days`: one change of a feed is requested once.
        config: Withdrawn days of a span -> run configuration.
    """
    ready = runnable(records, daily)
    below = [key for key in ready if key == root or root in records.ancestors(key)]
    closed = [day for day in records.partitions(root) if day]
    today = records.now.date().isoformat()  # a withdrawn day that failed is tried again tomorrow
    requests = []
    for span in spans(late.days, closed):
        of = {day: why for day, why in late.days.items() if span.start <= day <= span.end}
        withdrawn = [day for day, why in of.items() if why == "withdrawn"]
        text = json.dumps([[day, why, stamps.get(day, today)] for day, why in of.items()])
        requests.append(
            dg.RunRequest(
                run_key=f"{root.to_user_string()}:{hashlib.sha256(text.encode()).hexdigest()[:16]}",
                asset_selection=below,
                run_config=config(withdrawn) if config and withdrawn else {},
                tags={**span.tags, **FIRST, LATE: ", ".join(sorted(set(of.values())))},
            )
        )
    return requests


class Feed(NamedTuple):
    """What a sensor looks at: the files that one daily asset reads.

    Attributes:
        sensor: Its name.
        asset: The daily asset.
        resources: Names of the resources that `read` asks for.
        read: Resources, lake among them -> stamps of all days, and what reads a day's version.
        config: Withdrawn days -> run configuration, where that is needed.
    """

    sensor: str
    asset: str
    resources: set[str]
    read: Callable[[Mapping[str, Any]], tuple[Mapping[str, str], Callable[[str], str]]]
    config: Callable[[list[str]], dict[str, Any]] | None = None
    arrived: Callable[[Mapping[str, Any], str], bool] | None = None


def late_sensor(
    feed: Feed,
    daily: Collection[dg.AssetKey],
    *,
    graph: Callable[[], Any],
    status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """The sensor of a feed: its days are made again, with all daily assets below."""
    root = dg.AssetKey(feed.asset)

    @dg.sensor(
        name=feed.sensor,
        target=dg.AssetSelection.assets(*daily),
        required_resource_keys=feed.resources | {"lake"},
        minimum_interval_seconds=60,
        default_status=status,
        description="Makes days again whose feed arrived late, changed or was withdrawn.",
    )
    def sense(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        used = context.resources._asdict()
        records = Records(context.instance, graph(), datetime.now(UTC))
        stamps, version = feed.read(used)
        closed = [day for day in records.partitions(root) if day]
        try:
            late = late_days(
                feed.asset,
                json.loads(context.cursor or "{}"),
                stamps,
                used["lake"],
                version,
                closed=closed,
                held=records.held(root),
            )
        except LookupError as error:
            return dg.SkipReason(str(error.args[0]))
        cursor = json.dumps(late.known, sort_keys=True)
        if not late.days:
            said = f"no feed of {len(closed)} days has changed"
            return dg.SensorResult(skip_reason=said, cursor=cursor)
        requests = late_requests(records, root, daily, late, stamps, feed.config)
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return sense


def night_schedule(
    daily: Collection[dg.AssetKey],
    feeds: Sequence[Feed],
    *,
    cron: str,
    lookback: int,
    graph: Callable[[], Any],
    status: dg.DefaultScheduleStatus,
) -> dg.ScheduleDefinition:
    """The schedule of `nightly`; a night that was missed or failed heals in the next one."""
    asked = {dg.AssetKey(feed.asset): feed.arrived for feed in feeds if feed.arrived}

    @dg.schedule(
        name="night",
        cron_schedule=cron,
        execution_timezone="UTC",
        target=dg.AssetSelection.assets(*daily),
        required_resource_keys={name for feed in feeds for name in feed.resources},
        default_status=status,
        description="Makes the closed days that are missing or failed, a run for each span.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        records = Records(context.instance, graph(), context.scheduled_execution_time)
        used = context.resources._asdict()
        absent: dict[tuple[dg.AssetKey, str], bool] = {}

        def waits(key: dg.AssetKey, day: str) -> bool:
            arrived = asked.get(key)
            if arrived and (key, day) not in absent:
                absent[key, day] = not arrived(used, day)
            return absent.get((key, day), False)

        return nightly(records, daily, lookback=lookback, waits=waits)

    return tick
