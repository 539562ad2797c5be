"""Materializes assets in one process: no server, no daemon, and everything is imported once.

    python -m operations.worker LOCATION

Reads one JSON object a line: ``assets``, ``partitions`` of them, ``config`` (asset -> its run
configuration). Answers with a line, the ids of the runs that it is going to make, and makes them;
or with a text, why there are none. How they went stands in the instance, as of any run.
"""

import importlib
import json
import os
import sys
import uuid
from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.event_log import PARTITION, RANGE_END, RANGE_START
from resources.gpu import end_with

QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
"""Messages go to the instance; the process that started this one prints them from there."""


def main(location: str) -> None:
    """Make what is asked for until there is nothing more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    end_with(os.getppid())  # a command that is killed leaves no work that goes on
    defs: dg.Definitions = importlib.import_module(f"{location}.definitions").defs()
    job, graph = defs.resolve_implicit_global_asset_job_def(), defs.resolve_asset_graph()
    with dg.DagsterInstance.get() as instance:
        end_killed_runs(instance)
        for line in sys.stdin:
            asked: dict[str, Any] = json.loads(line)
            assets = [dg.AssetKey(asset) for asset in asked["assets"]]
            try:
                runs = {str(uuid.uuid4()): tags for tags in runs_of(graph, assets[0], asked)}
            except LookupError as error:
                print(json.dumps(str(error.args[0])), file=answers, flush=True)
                continue
            print(json.dumps(list(runs)), file=answers, flush=True)
            ops = {asset: {"config": values} for asset, values in asked["config"].items()}
            for run_id, tags in runs.items():
                job.execute_in_process(
                    run_config={"loggers": QUIET, "ops": ops},
                    instance=instance,
                    asset_selection=assets,
                    partition_key=tags.get(PARTITION),
                    tags=tags,
                    run_id=run_id,
                    raise_on_error=False,
                )


def end_killed_runs(instance: dg.DagsterInstance) -> None:
    """Runs whose process was killed fail, and give their slots back: else the next run waits for
    them for ever. Whoever starts a worker holds the data folder, so no run is at work."""
    at_work = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=at_work)):
        instance.report_run_failed(run, "the process that made this run was killed")
    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def runs_of(graph: Any, asset: dg.AssetKey, asked: dict[str, Any]) -> list[dict[str, str]]:
    """Tags of the runs that are needed: one, or one for each range of neighbors that the asset's
    backfill policy takes, or one for each partition.

    Args:
        graph: Of the location.
        asset: Whose policy counts.
        asked: See above.

    Raises:
        LookupError: there is no such partition; names it.
    """
    node, partitions = graph.get(asset), asked["partitions"]
    if not partitions:
        return [{}]
    most = 1
    if node.backfill_policy is not None:
        most = node.backfill_policy.max_partitions_per_run or len(partitions)
    place = {key: at for at, key in enumerate(node.partitions_def.get_partition_keys())}
    if strange := sorted(set(partitions) - place.keys()):
        days = f"{min(place)} to {max(place)}" if place else "none"
        raise LookupError(
            f"{asset.to_user_string()} has no partition {strange[0]} (there are {days}): a day has "
            "to be over, and not before PLATFORM_START_DATE"
        )
    parts: list[list[str]] = []
    for one in sorted(partitions, key=place.__getitem__):
        if parts and len(parts[-1]) < most and place[one] == place[parts[-1][-1]] + 1:
            parts[-1].append(one)
        else:
            parts.append([one])
    return [_tags(part) for part in parts]


def _tags(part: Sequence[str]) -> dict[str, str]:
    return {RANGE_START: part[0], RANGE_END: part[-1]} if len(part) > 1 else {PARTITION: part[0]}


if __name__ == "__main__":
    main(sys.argv[1])
