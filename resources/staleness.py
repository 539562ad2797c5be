"""What of an asset graph is missing, failed, under way or out of date, by an instance's records.

An asset is out of date when the content of something that it was made from has changed since: by
`data_version`, so that materializing the same content again makes nothing out of date. Dagster's
own staleness skips edges from all days of a partitioned asset, and its conditions see changes only
while they are evaluated; this reads the event log, so that nothing is lost while a daemon is down.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._utils.schedules import reverse_cron_string_iterator

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
REFUSED = "refused"  # metadata of a check: the partitions that it stopped
DATA_VERSION = "data_version"  # metadata: the hash of a materialization's content
ROWS = "dagster/row_count"


@dataclass(frozen=True)
class Follow(dg.AutomationCondition):
    """True for the partitions whose inputs changed since, or that were never made, once everything
    upstream is up to date and no run is at work on it.

    A failed partition of a day is left to the night; anything else that failed is tried again once
    after every tick of `retry_cron`, never in a loop.

    Attributes:
        retry_cron: UTC.
        inputs: Parents whose changes count; empty: all.
        earlier: Parents of which the days before count, too.
        only: Partitions to keep up; empty: all.
        cron: UTC. At most once after each of its ticks; empty: at any time.
        rows: So many new rows of inputs count as a tick of `cron`; 0: none do.
    """

    retry_cron: str
    inputs: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    cron: str = ""
    rows: int = 0

    @property
    def description(self) -> str:
        parts = [f"{' or '.join(self.inputs) or 'an input'} has changed content, or was never used"]
        if self.cron:
            enough = f", or {self.rows:,} new rows" if self.rows else ""
            parts.append(f"a tick of {self.cron} has passed{enough}")
        return "; ".join([*parts, "everything upstream is up to date and at rest"])

    def evaluate(self, context: Any) -> dg.AutomationResult:
        view, key = context.asset_graph_view, context.key
        records = _records_of(view)
        wanted = records.due(key).keys() if records.is_settled(key) else set()
        subset = view.get_asset_subset_from_asset_partitions(
            key, {AssetKeyPartitionKey(key, one) for one in wanted - records.held(key)}
        )
        return dg.AutomationResult(context, subset)


class Change(NamedTuple):
    """An input whose content is not what was used: which, when it was made, rows that are new."""

    asset: str
    partition: str | None
    timestamp: float
    rows: int


class Records:
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
        """Partition -> storage id of its last materialization."""
        return self._once(("made", key), lambda: self._latest(key, "ASSET_MATERIALIZATION"))

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

    def changes(self, key: dg.AssetKey, partition: str | None) -> Iterator[Change]:
        """The inputs of a materialized partition that have other content than it was made from."""
        for parent, one, before, latest in self._made_since(key, partition):
            if before is None or _version(before) != _version(latest):
                rows = max(0, _rows(latest) - (_rows(before) if before else 0))
                yield Change(parent.to_user_string(), one, latest.timestamp, rows)

    def made_from(self, key: dg.AssetKey) -> set[str]:
        """The runs of materializations that are not the last of their partition, and that a last
        one of this asset was made from: without them `changes` would take the same for new."""
        return {
            before.run_id
            for partition in self.made(key).keys() & {*self.partitions(key)}
            for _, _, before, _ in self._made_since(key, partition)
            if before is not None
        }

    def _made_since(
        self, key: dg.AssetKey, partition: str | None
    ) -> Iterator[tuple[dg.AssetKey, str | None, Any, Any]]:
        """The inputs that were materialized after a partition was made: the record that it was made
        from (None: there was none), and the last one."""
        made = self.made(key)[partition]
        seen = min(self._planned(key).get(partition, made), made)
        own = self._record(key, made).run_id
        for parent, of in self._inputs(key, partition):
            for one in of:
                if self.made(parent).get(one, 0) <= seen:
                    continue
                latest = self._record(parent, self.made(parent)[one])
                if latest.storage_id < made and latest.run_id == own:
                    continue
                before = self._seen(parent, one, seen, own, made, latest.storage_id)
                yield parent, one, before, latest

    def due(self, key: dg.AssetKey) -> dict[str | None, list[Change]]:
        """The partitions that automation makes next, by `Follow`, and what changed for each."""
        return self._once(("due", key), lambda: dict(self._due(key)))

    def is_settled(self, key: dg.AssetKey) -> bool:
        """Whether nothing upstream is due, being made, or refused by a check."""
        return not any(
            self.due(one) or self.held(one) or self.refused(one) for one in self.ancestors(key)
        )

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

    def _inputs(
        self, key: dg.AssetKey, partition: str | None
    ) -> Iterator[tuple[dg.AssetKey, list[str | None]]]:
        """The parents whose changes count for a partition, by its condition."""
        condition = self.graph.get(key).automation_condition
        rule = condition if isinstance(condition, Follow) else Follow("")
        for parent, of in self._parents(key, partition):
            name = parent.to_user_string()
            if rule.inputs and name not in rule.inputs:
                continue
            if name in rule.earlier and partition is not None:
                of = [one for one in self.partitions(parent) if one is None or one <= partition]
            yield parent, of

    def _due(self, key: dg.AssetKey) -> Iterator[tuple[str | None, list[Change]]]:
        node = self.graph.get(key)
        rule = node.automation_condition
        if not isinstance(rule, Follow):
            return
        by_day = isinstance(node.partitions_def, dg.TimeWindowPartitionsDefinition)
        failed = self.failed(key)
        for partition in rule.only or self.partitions(key):
            left = by_day or last_tick(rule.retry_cron, self.now) < failed.get(partition, 0.0)
            if partition in failed and left:
                continue
            if partition not in self.made(key) and not self._is_possible(key, partition, by_day):
                continue
            if partition in self.made(key):
                changed = list(self.changes(key, partition))
                if not changed:
                    continue
            else:
                changed = self._everything(key, partition)
            if not rule.cron or self._is_time(key, partition, rule, changed):
                yield partition, changed

    def _is_possible(self, key: dg.AssetKey, partition: str | None, by_day: bool) -> bool:
        """Whether a partition that was never made can be: a day follows assets of the same day,
        which the night sees to, and never comes by itself."""
        follows = any(of == [partition] for _, of in self._parents(key, partition))
        return self.has_inputs(key, partition) and (follows or not by_day)

    def _everything(self, key: dg.AssetKey, partition: str | None) -> list[Change]:
        """What a partition that was never made could be made from."""
        found = []
        for parent, of in self._inputs(key, partition):
            for one in of:
                if one in self.made(parent):
                    record = self._record(parent, self.made(parent)[one])
                    name = parent.to_user_string()
                    found.append(Change(name, one, record.timestamp, _rows(record)))
        return found

    def _is_time(
        self, key: dg.AssetKey, partition: str | None, rule: Follow, changed: list[Change]
    ) -> bool:
        if rule.rows and sum(change.rows for change in changed) >= rule.rows:
            return True
        made = partition in self.made(key)
        since = (
            self.made_at(key, partition)
            if made
            else max((change.timestamp for change in changed), default=0.0)
        )
        return last_tick(rule.cron, self.now) > since

    def _seen(
        self,
        parent: dg.AssetKey,
        partition: str | None,
        seen: int,
        own: str,
        made: int,
        before: int,
    ) -> Any:
        """The record of a parent that a materialization was made from; None: there was none."""
        while True:
            page = self.instance.fetch_materializations(
                dg.AssetRecordsFilter(
                    parent,
                    asset_partitions=None if partition is None else [partition],
                    before_storage_id=before,
                ),
                limit=5,
            ).records
            for record in page:
                of_own_run = record.run_id == own and record.storage_id < made
                if record.storage_id <= seen or of_own_run:
                    return record
            if not page:
                return None
            before = page[-1].storage_id

    def _record(self, key: dg.AssetKey, storage_id: int) -> Any:
        wanted = dg.AssetRecordsFilter(key, storage_ids=[storage_id])
        return self._once(
            ("record", storage_id),
            lambda: self.instance.fetch_materializations(wanted, limit=1).records[0],
        )


@lru_cache(maxsize=1)
def _records_of(view: Any) -> Records:
    """The records of one tick: all its conditions share a view."""
    return Records(view.instance, view.asset_graph, view.effective_dt)


def last_tick(cron: str, now: datetime) -> float:
    """The last tick of a cron schedule (UTC) up to `now`, s since 1970."""
    return next(reverse_cron_string_iterator(now.timestamp(), cron, "UTC")).timestamp()


def _refusals(failure: Any) -> Iterator[tuple[dg.AssetKey, str | None]]:
    """The asset of a failed step, with each partition that its checks refused."""
    data = failure.step_failure_data.user_failure_data
    refused = data.metadata.get(REFUSED) if data else None
    for partition in refused.value if refused else []:
        yield dg.AssetKey(failure.step_key), partition


def _version(record: Any) -> str:
    """The content of a materialization; one that does not say counts as new."""
    event = record.asset_materialization
    tags = event.tags or {}
    if tags.get("dagster/data_version_is_user_provided"):
        return tags["dagster/data_version"]
    content = event.metadata.get(DATA_VERSION)
    return str(content.value) if content else f"event {record.storage_id}"


def _rows(record: Any) -> int:
    rows = record.asset_materialization.metadata.get(ROWS)
    return int(rows.value) if rows else 0
