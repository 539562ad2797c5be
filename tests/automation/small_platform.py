"""A small platform: assets of the shapes that both locations have, whose content a test sets."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from resources.event_log import DATA_VERSION, RANGE_END, RANGE_START, ROWS
from resources.quality import Check, Finding, check_results, stop
from resources.staleness import Follow, Records

START = "2026-11-01"
DAYS = dg.DailyPartitionsDefinition(start_date=START)
EVERY_DAY = dg.AllPartitionMapping()
NIGHT = "30 2 * * *"
FOLLOW = Follow(NIGHT)
CONTENT: dict[tuple[str, str | None], str] = {}  # what an asset finds; a test changes it
BROKEN: set[tuple[str, str | None]] = set()
UNFIT: set[tuple[str, str | None]] = set()  # made, and then refused by a check
FIT = Check("fit", "The content is fit.", "mend the content.", stops=True)


def asset(name: str, *, daily: bool = False, condition: Follow | None = FOLLOW, deps=()):
    @dg.asset(
        name=name,
        deps=list(deps),
        partitions_def=DAYS if daily else None,
        backfill_policy=dg.BackfillPolicy.single_run() if daily else None,
        automation_condition=condition,
    )
    def body(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        days = list(context.partition_keys) if daily else [None]
        content = {}
        for day in days:
            if (name, day) in BROKEN:
                raise RuntimeError(f"{name} {day}")
            content = {DATA_VERSION: CONTENT.get((name, day), "same"), ROWS: 10}
            if day is not None:
                context.add_asset_metadata(content, partition_key=day)
        yield dg.MaterializeResult(metadata={} if daily else content)
        found = {day: {"fit": Finding(failure="unfit" * ((name, day) in UNFIT))} for day in days}
        stop(check_results({name: [FIT]}, name, found))

    return body


def every_day(name: str) -> dg.AssetDep:
    return dg.AssetDep(name, partition_mapping=EVERY_DAY)


PLATFORM = [
    asset("feed", daily=True, condition=None),
    asset("answers", daily=True, deps=["feed"], condition=Follow(NIGHT, earlier=("feed",))),
    asset("words", deps=[every_day("answers")]),
    asset("encoder", deps=["words", every_day("feed")], condition=Follow(NIGHT, inputs=("words",))),
    asset("vectors", daily=True, deps=["feed", "encoder"]),
    asset("index", deps=[every_day("vectors")]),
    asset("site", deps=["index", "words", every_day("feed")]),
]
DAILY = [dg.AssetKey(name) for name in ("feed", "answers", "vectors")]


class Platform:
    """An instance with the assets, and a clock that a test moves."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.definitions = dg.Definitions(assets=PLATFORM)
        self.graph = self.definitions.resolve_asset_graph()
        self.now = datetime.now(UTC)
        self.cursor = None

    def run(self, *names: str, days: tuple[str, str] | None = None) -> bool:
        tags = {RANGE_START: days[0], RANGE_END: days[1]} if days else {}
        keys = [dg.AssetKey(name) for name in names]
        return dg.materialize(
            PLATFORM, selection=keys, instance=self.instance, tags=tags, raise_on_error=False
        ).success

    def records(self, now: datetime | None = None) -> Records:
        return Records(self.instance, self.graph, now or self.now)

    def closed(self) -> list[str]:
        return DAYS.get_partition_keys(current_time=self.now)

    def tick(self) -> dict[str, set[str | None]]:
        """What the automation conditions request now; asset -> partitions."""
        self.now += timedelta(seconds=30)
        found = dg.evaluate_automation_conditions(
            self.definitions, self.instance, evaluation_time=self.now, cursor=self.cursor
        )
        self.cursor = found.cursor
        requested: dict[str, set[str | None]] = {}
        for result in found.results:
            for one in result.true_subset.expensively_compute_asset_partitions():
                requested.setdefault(one.asset_key.to_user_string(), set()).add(one.partition_key)
        return requested

    def follow(self, limit: int = 12) -> list[set[str]]:
        """Run what is requested until nothing is; the assets of each tick."""
        found = []
        for _ in range(limit):
            wanted = self.tick()
            if not wanted:
                return found
            found.append(set(wanted))
            for name, partitions in wanted.items():
                days = sorted(day for day in partitions if day)
                self.run(name, days=(days[0], days[-1]) if days else None)
        raise AssertionError(f"still at work after {limit} ticks: {found}")


@pytest.fixture
def platform() -> Iterator[Platform]:
    CONTENT.clear()
    BROKEN.clear()
    UNFIT.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform(instance)
