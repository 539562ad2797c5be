"""Which runs a worker makes of what it is asked for."""

import dagster as dg
import pytest

from operations.worker import runs_of
from resources.event_log import PARTITION, RANGE_END, RANGE_START

DAYS = dg.DailyPartitionsDefinition(start_date="2026-11-01", end_date="2026-12-01")


def graph(policy):
    @dg.asset(partitions_def=DAYS, backfill_policy=policy)
    def daily() -> None: ...

    return dg.Definitions(assets=[daily]).resolve_asset_graph()


def days(*numbers):
    return [f"2026-11-{number:02d}" for number in numbers]


def ranges(found):
    return [(one.get(RANGE_START) or one[PARTITION], one.get(RANGE_END)) for one in found]


@pytest.mark.parametrize(
    ("policy", "made"),
    [
        (dg.BackfillPolicy.single_run(), [("2026-11-01", "2026-11-03"), ("2026-11-05", None)]),
        (
            dg.BackfillPolicy.multi_run(2),
            [("2026-11-01", "2026-11-02"), ("2026-11-03", None), ("2026-11-05", None)],
        ),
        (None, [(day, None) for day in days(1, 2, 3, 5)]),
    ],
)
def test_neighbors_are_made_together_as_the_policy_says(policy, made):
    asked = {"partitions": days(3, 1, 5, 2)}
    assert ranges(runs_of(graph(policy), dg.AssetKey("daily"), asked)) == made


def test_without_partitions_there_is_one_run():
    assert runs_of(graph(None), dg.AssetKey("daily"), {"partitions": []}) == [{}]


def test_a_day_that_is_no_partition_is_named():
    with pytest.raises(LookupError, match="daily has no partition 2027-01-01"):
        runs_of(graph(None), dg.AssetKey("daily"), {"partitions": [*days(1), "2027-01-01"]})
