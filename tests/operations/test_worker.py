"""Which runs a worker makes of what it is asked for."""

import dagster as dg
import pytest

from operations.worker import end_killed_runs, runs_of
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


def test_a_killed_run_fails_and_keeps_nobody_waiting():
    with dg.DagsterInstance.ephemeral() as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("gpu", 1)
        killed = instance.create_run_for_job(dg.define_asset_job("made").resolve(
            asset_graph=dg.Definitions(assets=[one_of_a_pool]).resolve_asset_graph()
        ), status=dg.DagsterRunStatus.STARTED)  # fmt: skip
        assert storage.claim_concurrency_slot("gpu", killed.run_id, "step").is_claimed
        end_killed_runs(instance)
        assert instance.get_run_by_id(killed.run_id).status == dg.DagsterRunStatus.FAILURE
        assert storage.claim_concurrency_slot("gpu", "next", "step").is_claimed


@dg.asset(pool="gpu")
def one_of_a_pool() -> None: ...
