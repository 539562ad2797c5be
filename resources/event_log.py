"""What an instance's event log says of an asset graph: made, failed, refused, under way.

The event log and not a cursor: nothing is lost while a daemon is down.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
REFUSED = "refused"  # metadata of a check: the partitions that it stopped
DATA_VERSION = "data_version"  # metadata: the hash of a materialization's content
ROWS = "dagster/row_count"


class EventLog:
    """The state of every asset of a graph at one moment; `None` is the partition of an asset
    without partitions. Nothing is read twice."""

    def __init__(self, instance: dg.DagsterInstance, graph: Any, now: datetime):
        self.instance, self.graph, self.now = instance, graph, now
        self._memo: dict[tuple, Any] = {}

    def partitions(self, key: dg.AssetKey) -> list[str | None]:
        """Every partition that there is by now, in order."""
        definition = self.graph.get(key).partitions_def if self.graph.has(key) else None
        if definition is None:
            return [None]
        return list(definition.get_partition_keys(current_time=self.now))

    def made(self, key: dg.AssetKey) -> dict[str | None, int]:
        """Partition -> storage id of its last materialization; of what is only looked at (a file
        that people edit), of the last observation."""
        return self._once(("made", key), lambda: self._latest(key, "ASSET_MATERIALIZATION"))

    def is_observed(self, key: dg.AssetKey) -> bool:
        """Whether an asset is nothing that is made, but is looked at."""
        return self.graph.has(key) and self.graph.get(key).is_observable

    def made_at(self, key: dg.AssetKey, partition: str | None) -> float:
        """When a partition was last materialized, s since 1970."""
        return self._record(key, self.made(key)[partition]).timestamp

    def failed(self, key: dg.AssetKey) -> dict[str | None, float]:
        """Partition -> when (s since 1970) the run ended that was to make it last, and did not, or
        that made it of data which one of its checks refuses."""
        return self._once(("failed", key), lambda: self._failed(key) | self.refused(key))

    def refused(self, key: dg.AssetKey) -> dict[str | None, float]:
        """Partition -> when the run ended that made it last, and whose check found it unfit."""
        return self._refused.get(key, {})

    def held(self, key: dg.AssetKey) -> set[str | None]:
        """The partitions that an active run or backfill is going to make."""
        return self._active.get(key, set())

    def has_inputs(self, key: dg.AssetKey, partition: str | None) -> bool:
        """Whether everything of this graph that the partition is made from is there."""
        return all(
            any(one in self.made(parent) for one in of)
            for parent, of in self._parents(key, partition)
            if self.graph.get(parent).is_materializable
        )

    def ancestors(self, key: dg.AssetKey) -> set[dg.AssetKey]:
        """Everything upstream of an asset."""
        found: set[dg.AssetKey] = set()
        waiting = [key]
        while waiting:
            parents = self.graph.get(waiting.pop()).parent_keys - found
            found |= parents
            waiting += parents
        return found

    def _once(self, name: tuple, read: Any) -> Any:
        if name not in self._memo:
            self._memo[name] = read()
        return self._memo[name]

    def _latest(self, key: dg.AssetKey, event: str) -> dict[str | None, int]:
        kind = dg.DagsterEventType(event)
        if self.graph.has(key) and self.graph.get(key).partitions_def is not None:
            return {**self.instance.get_latest_storage_id_by_partition(key, kind)}
        if self.is_observed(key):
            seen = self.instance.fetch_observations(key, limit=1).records
            return {None: seen[0].storage_id} if seen else {}
        if kind == dg.DagsterEventType.ASSET_MATERIALIZATION:
            found = self.instance.fetch_materializations(key, limit=1).records
            return {None: found[0].storage_id} if found else {}
        planned = self.instance.get_latest_planned_materialization_info(key)
        return {None: planned.storage_id} if planned else {}

    def _planned(self, key: dg.AssetKey) -> dict[str | None, int]:
        return self._once(
            ("planned", key), lambda: self._latest(key, "ASSET_MATERIALIZATION_PLANNED")
        )

    def _failed(self, key: dg.AssetKey) -> dict[str | None, float]:
        made = self.made(key)
        if self.graph.get(key).partitions_def is not None:
            storage = self.instance.event_log_storage
            attempts = dict(
                storage.get_latest_asset_partition_materialization_attempts_without_materializations(
                    key
                )
            )
        else:
            planned = self.instance.get_latest_planned_materialization_info(key)
            attempts = {None: (planned.run_id, planned.storage_id)} if planned else {}
        found: dict[str | None, float] = {}
        for partition, (run_id, storage_id) in attempts.items():
            if storage_id < made.get(partition, 0):
                continue
            run = self._once(
                ("run", run_id), lambda of=run_id: self.instance.get_run_record_by_id(of)
            )
            if run is not None and run.dagster_run.is_finished:
                found[partition] = run.end_time or run.update_timestamp.timestamp()
        return found

    @cached_property
    def _refused(self) -> dict[dg.AssetKey, dict[str | None, float]]:
        found: dict[dg.AssetKey, dict[str | None, float]] = {}
        failures = dg.DagsterEventType.STEP_FAILURE
        for run in self.instance.get_run_records(
            dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])
        ):
            run_id = run.dagster_run.run_id
            for record in self.instance.get_records_for_run(run_id, of_type=failures).records:
                for key, partition in _refusals(record.event_log_entry.dagster_event):
                    made = self.made(key).get(partition) if self.graph.has(key) else None
                    if made is not None and self._record(key, made).run_id == run_id:
                        ended = run.end_time or run.update_timestamp.timestamp()
                        found.setdefault(key, {})[partition] = ended
        return found

    @cached_property
    def _active(self) -> dict[dg.AssetKey, set[str | None]]:
        from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

        held: dict[dg.AssetKey, set[str | None]] = {}
        for run in self.instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)):
            for key in run.asset_selection or ():
                held.setdefault(key, set()).update(self._partitions_of(run.tags, key))
        at_work = (BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING)
        active = BulkActionsFilter(statuses=[*at_work])
        for backfill in self.instance.get_backfills(filters=active):
            data = backfill.asset_backfill_data
            if data is None:
                continue
            for key in data.target_subset.asset_keys:
                subset = data.target_subset.partitions_subsets_by_asset_key.get(key)
                keys = subset.get_partition_keys() if subset is not None else [None]
                held.setdefault(key, set()).update(keys)
        return held

    def _partitions_of(self, tags: Any, key: dg.AssetKey) -> list[str | None]:
        """The partitions of an asset that a run with these tags makes."""
        every = self.partitions(key)
        if every == [None]:
            return every
        if PARTITION in tags:
            return [tags[PARTITION]]
        start, end = tags.get(RANGE_START), tags.get(RANGE_END)
        if start in every and end in every:
            return every[every.index(start) : every.index(end) + 1]
        return every

    def _parents(
        self, key: dg.AssetKey, partition: str | None
    ) -> Iterator[tuple[dg.AssetKey, list[str | None]]]:
        """The parents of a partition, and which of their partitions it is made from."""
        node = self.graph.get(key)
        for parent in sorted(node.parent_keys):
            same = node.partitions_def == self.graph.get(parent).partitions_def
            every = isinstance(node.partition_mappings.get(parent), dg.AllPartitionMapping)
            of: list[str | None] = [partition]
            yield parent, of if same and not every else self.partitions(parent)

    def _record(self, key: dg.AssetKey, storage_id: int) -> Any:
        wanted = dg.AssetRecordsFilter(key, storage_ids=[storage_id])
        return self._once(
            ("record", storage_id), lambda: self._fetch(key)(wanted, limit=1).records[0]
        )

    def _fetch(self, key: dg.AssetKey) -> Callable[..., dg.EventRecordsResult]:
        """What reads the events that say which content an asset has."""
        observed = self.is_observed(key)
        return (
            self.instance.fetch_observations if observed else self.instance.fetch_materializations
        )


def _refusals(failure: Any) -> Iterator[tuple[dg.AssetKey, str | None]]:
    """The asset of a failed step, with each partition that its checks refused."""
    data = failure.step_failure_data.user_failure_data
    refused = data.metadata.get(REFUSED) if data else None
    for partition in refused.value if refused else []:
        yield dg.AssetKey(failure.step_key), partition
