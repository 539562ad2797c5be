"""What of an asset graph is out of date, by an instance's event log, and is to be made again.

An asset is out of date when the content of something that it was made from has changed since: by
`data_version`, so that materializing the same content again makes nothing out of date. Dagster's
own staleness skips edges from all days of a partitioned asset, and its conditions see changes only
while they are evaluated; this reads the event log, so that nothing is lost while a daemon is down.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._utils.schedules import reverse_cron_string_iterator

from resources.event_log import DATA_VERSION, ROWS, EventLog


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


@dataclass(frozen=True)
class Edited(dg.AutomationCondition):
    """True while the content of a file that people edit is not the one that was last looked at.

    A file that cannot be used, as in the middle of an edit, is left until it can.

    Attributes:
        path: Of the file.
        part: What of it counts.
        version: Of that part of that file; raises ValueError where it cannot be used.
    """

    path: str
    part: str
    version: Callable[[str, str], str]

    @property
    def description(self) -> str:
        return f"{self.part} ({self.path}) has been edited"

    def evaluate(self, context: Any) -> dg.AutomationResult:
        view, key = context.asset_graph_view, context.key
        records = _records_of(view)
        try:
            edited = self.version(self.path, self.part) != records.content(key)
        except ValueError:
            edited = False
        edited = edited and not records.held(key)
        subset = view.get_full_subset(key=key) if edited else view.get_empty_subset(key=key)
        return dg.AutomationResult(context, subset)


class Change(NamedTuple):
    """An input whose content is not what was used: which, when it was made, rows that are new."""

    asset: str
    partition: str | None
    timestamp: float
    rows: int


class Records(EventLog):
    """What of every asset of a graph is out of date, beside what there is."""

    def content(self, key: dg.AssetKey) -> str | None:
        """The version of an unpartitioned asset's content; None before there is any."""
        last = self.made(key).get(None)
        return None if last is None else _version(self._record(key, last))

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
                if before is None and self.is_observed(parent):
                    before = latest  # the first look
                yield parent, one, before, latest

    def due(self, key: dg.AssetKey) -> dict[str | None, list[Change]]:
        """The partitions that automation makes next, by `Follow`, and what changed for each."""
        return self._once(("due", key), lambda: dict(self._due(key)))

    def is_settled(self, key: dg.AssetKey) -> bool:
        """Whether nothing upstream is due, being made, or refused by a check."""
        return not any(
            self.due(one) or self.held(one) or self.refused(one) for one in self.ancestors(key)
        )

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
        """The record of a parent that a materialization was made from; None: there was none. Of
        what is only looked at, the first look stands for all that was made before it."""
        first = None
        while True:
            page = self._fetch(parent)(
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
                return first if self.is_observed(parent) else None
            first = page[-1]
            before = page[-1].storage_id


@lru_cache(maxsize=1)
def _records_of(view: Any) -> Records:
    """The records of one tick: all its conditions share a view."""
    return Records(view.instance, view.asset_graph, view.effective_dt)


def last_tick(cron: str, now: datetime) -> float:
    """The last tick of a cron schedule (UTC) up to `now`, s since 1970."""
    return next(reverse_cron_string_iterator(now.timestamp(), cron, "UTC")).timestamp()


def _version(record: Any) -> str:
    """The content of a materialization; one that does not say counts as new."""
    event = record.asset_materialization or record.asset_observation
    tags = event.tags or {}
    if record.asset_observation or tags.get("dagster/data_version_is_user_provided"):
        return tags["dagster/data_version"]
    content = event.metadata.get(DATA_VERSION)
    return str(content.value) if content else f"event {record.storage_id}"


def _rows(record: Any) -> int:
    event = record.asset_materialization or record.asset_observation
    rows = event.metadata.get(ROWS)
    return int(rows.value) if rows else 0
