"""What happened, as Dagster's records have it."""

import importlib
import os
import re
import signal
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from operations.console import until
from operations.instance import LOCATIONS
from resources.staleness import Records

AT_WORK = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
WAITING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class Recorder:
    """The records of one instance."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.graphs = [
            importlib.import_module(f"{name}.definitions").defs().resolve_asset_graph()
            for name in LOCATIONS
        ]

    def run(self, run_id: str) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run_id)
        assert found is not None, run_id
        return found

    def ended(self, runs: Sequence[str]) -> bool:
        """Whether runs have succeeded.

        Raises:
            AssertionError: one has not.
        """
        found = [self.run(one) for one in runs]
        assert not (bad := [one.run_id for one in found if one.is_failure]), f"runs failed: {bad}"
        return all(one.is_success for one in found)

    def backfill_ended(self, backfill: str) -> bool:
        """Whether a backfill has succeeded.

        Raises:
            AssertionError: it has not.
        """
        status = self.status(backfill)
        assert "FAIL" not in status, f"backfill {backfill}: {status}"
        return status == "COMPLETED_SUCCESS"

    def status(self, backfill: str) -> str:
        found = self.instance.get_backfill(backfill)
        assert found is not None, backfill
        return found.status.value

    def runs_of(self, backfill: str) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill})))

    def backfills_at_work(self, several: Sequence[str]) -> list[str]:
        """Those of some backfills that have a run at work."""
        return [
            one
            for one in several
            if any(run.status == dg.DagsterRunStatus.STARTED for run in self.runs_of(one))
        ]

    def red_checks(self, run_id: str) -> list[str]:
        """Checks that failed in a run, with what they say."""
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        found = [
            record.event_log_entry.dagster_event.asset_check_evaluation_data
            for record in self.instance.get_records_for_run(run_id, of_type=kind).records
        ]
        return [
            f"{one.asset_key.to_user_string()} {one.check_name}: {one.description}"
            for one in found
            if not one.passed
        ]

    def tagged(self, tag: str) -> list[dg.DagsterRun]:
        """Runs that have a tag, oldest first."""
        return [one for one in reversed(self.instance.get_runs()) if tag in one.tags]

    def unrest(self) -> str:
        """What is at work, or will be by itself; empty at rest."""
        active = self.instance.get_runs(dg.RunsFilter(statuses=WAITING), limit=1)
        if active or self.instance.get_backfills(filters=BulkActionsFilter(statuses=AT_WORK)):
            return "runs or backfills are at work"
        now = datetime.now(UTC)
        due = [
            f"{key.to_user_string()} {', '.join(map(str, records.due(key)))}"
            for records in (Records(self.instance, graph, now) for graph in self.graphs)
            for key in sorted(records.graph.materializable_asset_keys)
            if records.due(key)
        ]
        return f"due: {due[0]}" if due else ""

    def failures(self) -> list[str]:
        """Asset and partition whose last attempt failed."""
        now = datetime.now(UTC)
        return [
            f"{key.to_user_string()} {partition or ''}".strip()
            for graph in self.graphs
            for key in sorted(graph.materializable_asset_keys)
            for partition in Records(self.instance, graph, now).failed(key)
        ]

    def made_by(self, runs: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Asset and metadata of everything that runs materialized."""
        for run_id in runs:
            kind = dg.DagsterEventType.ASSET_MATERIALIZATION
            for record in self.instance.get_records_for_run(run_id, of_type=kind).records:
                event = record.event_log_entry.dagster_event
                assert event is not None
                made = event.step_materialization_data.materialization
                yield (
                    made.asset_key.to_user_string(),
                    {name: value.value for name, value in made.metadata.items()},
                )

    def days_of(self, asset: str) -> set[str]:
        """The days that are made of an asset."""
        return self.instance.get_materialized_partitions(dg.AssetKey(asset))

    def total(self, runs: Collection[str], asset: str, figure: str) -> int:
        """Sum of a number in the metadata of what runs made of an asset."""
        return sum(int(data.get(figure, 0)) for name, data in self.made_by(runs) if name == asset)

    def times(self, run_id: str) -> tuple[float, float]:
        """When a run was started and when it ended, s since 1970; 0 for not yet."""
        record = self.instance.get_run_record_by_id(run_id)
        assert record is not None, run_id
        return record.start_time or 0.0, record.end_time or 0.0

    def step_seconds(self, runs: Collection[str]) -> dict[str, list[float]]:
        """Asset -> how long its step took in each of the runs."""
        found: dict[str, list[float]] = {}
        for run_id in runs:
            for step in self.instance.get_run_step_stats(run_id):
                if step.start_time and step.end_time:
                    found.setdefault(step.step_key, []).append(step.end_time - step.start_time)
        return found

    def start_seconds(self, runs: Collection[str]) -> float:
        """The median of what a run takes beside its steps: starting a process, loading code."""
        spent = []
        for run_id in runs:
            record = self.instance.get_run_record_by_id(run_id)
            assert record is not None
            assert record.end_time is not None
            steps = sum(chain_of(self.step_seconds([run_id])))
            # from the moment that it left the queue
            spent.append(record.end_time - self._launched(run_id) - steps)
        return median(spent)

    def _launched(self, run_id: str) -> float:
        kind = dg.DagsterEventType.PIPELINE_STARTING
        return self.instance.get_records_for_run(run_id, of_type=kind).records[0].timestamp

    def kill_in(self, run_id: str, step: str) -> int:
        """SIGKILL the process of a run while a step is at work; returns its process id."""

        def at_work() -> bool:
            kinds = {
                one.dagster_event_type
                for one in self.instance.all_logs(run_id)
                if one.is_dagster_event and one.step_key == step
            }
            assert dg.DagsterEventType.STEP_SUCCESS not in kinds, f"{step} was done already"
            return dg.DagsterEventType.STEP_START in kinds

        until(f"{step} of {run_id} is at work", at_work, 600, every=0.2)
        said = "\n".join(one.message for one in self.instance.all_logs(run_id))
        found = re.search(r"in process \(pid: (\d+)\)", said)
        assert found, "the run does not say which process it is"
        os.kill(int(found[1]), signal.SIGKILL)
        return int(found[1])

    def retry_of(self, run_id: str) -> str:
        """The run that Dagster made of a killed one; empty: there is none yet."""
        tags = {"dagster/parent_run_id": run_id}
        found = self.instance.get_runs(dg.RunsFilter(tags=tags))
        return found[0].run_id if found else ""


def chain_of(found: dict[str, list[float]]) -> list[float]:
    """The numbers of all lists."""
    return [one for several in found.values() for one in several]
