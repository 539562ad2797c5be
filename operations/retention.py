"""Which runs may be forgotten: old ones that are the last word on nothing.

Dagster keeps what is materialized as events of runs, so that deleting a run makes its partitions
missing, and a night would compute them again.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage

from resources.staleness import Records

FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
RETRY_OF = ("dagster/parent_run_id", "dagster/root_run_id")
PAGE = 500  # ids in one query: SQLite takes a limited number of variables


def superseded(
    instance: dg.DagsterInstance, before: datetime, graphs: Sequence[Any] = ()
) -> list[dg.RunRecord]:
    """Runs that ended before a time and can go without a change to any asset, oldest first.

    Kept are those with the last materialization, observation, check or failed attempt of an asset
    or of one of its partitions, and the runs that these are retries of. So an asset's page says
    the same of every partition before and after. With the asset graphs of the locations, those that
    a last materialization was made from are kept, too: else what follows them (`staleness.Follow`)
    could not tell the same content from new, and all would be made again.
    """
    old = instance.get_run_records(
        dg.RunsFilter(statuses=FINISHED, updated_before=before), ascending=True
    )
    kept = _last_words(instance)
    for graph in graphs:
        records = Records(instance, graph, datetime.now(UTC))
        for key in graph.materializable_asset_keys:
            kept |= records.made_from(key)
    kept |= {r.dagster_run.run_id for r in old if _has_last_check(instance, r.dagster_run.run_id)}
    for run in _runs(instance, kept):
        kept |= {run.tags[tag] for tag in RETRY_OF if tag in run.tags}
    return [record for record in old if record.dagster_run.run_id not in kept]


def delete(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run, its events, and what its steps wrote to stdout and stderr."""
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):  # it leaves an empty file a run behind
        shard = Path(storage.path_for_shard(run_id))
        for path in (shard, Path(f"{shard}-wal"), Path(f"{shard}-shm")):
            path.unlink(missing_ok=True)


def _last_words(instance: dg.DagsterInstance) -> set[str]:
    """Runs that made the newest event of an asset, or of a partition of it."""
    kept: set[str | None] = set()
    storage = instance.event_log_storage
    fetches = {
        dg.DagsterEventType.ASSET_MATERIALIZATION: instance.fetch_materializations,
        dg.DagsterEventType.ASSET_OBSERVATION: instance.fetch_observations,
    }
    for record in storage.get_asset_records():
        asset = record.asset_entry
        kept |= {asset.last_run_id, asset.last_planned_materialization_run_id}
        for event in (asset.last_materialization, asset.last_observation):
            kept.add(event.run_id if event else None)
        for kind, fetch in fetches.items():
            newest = storage.get_latest_storage_id_by_partition(asset.asset_key, kind)
            kept |= set(_runs_of_events(fetch, asset.asset_key, list(newest.values())))
        find = storage.get_latest_asset_partition_materialization_attempts_without_materializations
        kept |= {run_id for run_id, _ in find(asset.asset_key).values()}
    return {run_id for run_id in kept if run_id}


def _runs_of_events(
    fetch: Callable[..., dg.EventRecordsResult], key: dg.AssetKey, storage_ids: list[int]
) -> Iterator[str]:
    for at in range(0, len(storage_ids), PAGE):
        ids = storage_ids[at : at + PAGE]
        found = fetch(dg.AssetRecordsFilter(key, storage_ids=ids), limit=PAGE)
        yield from (record.run_id for record in found.records)


def _has_last_check(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a check, or a check of a partition, was last tried in this run."""
    storage = instance.event_log_storage
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
    keys = [
        entry.get_dagster_event().asset_check_planned_data.asset_check_key
        for entry in instance.all_logs(run_id, of_type=kind)
    ]
    if not keys:
        return False
    latest = storage.get_latest_asset_check_execution_by_key(keys).values()
    partitions = storage.get_asset_check_partition_info(keys)
    runs = {last.run_id for last in latest} | {part.latest_planned_run_id for part in partitions}
    return run_id in runs


def _runs(instance: dg.DagsterInstance, run_ids: set[str]) -> Iterator[dg.DagsterRun]:
    ids = sorted(run_ids)
    for at in range(0, len(ids), PAGE):
        yield from instance.get_runs(dg.RunsFilter(run_ids=ids[at : at + PAGE]))
