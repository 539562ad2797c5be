"""Runs assets over all days of a catalog in this process, and dies by SIGKILL where it is told to.

`python tests/run_days.py a,b,c [asset count]`: materialize a, b and c one after the other (daily
ones over all days, or the first to the last of RUN_DAYS); kill
the process before the count-th durable write of `asset`. What the UI would show of each goes to
`shown.json` in the data folder.
"""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import dagster as dg

from pinlanding_assets.definitions import STAGES
from pinlanding_assets.partitions import DAILY
from resources.lake import ComputeCache, Lake
from resources.profiles import resources

warnings.simplefilter("ignore")


def materialize(assets: list[str], kill_asset: str = "", kill_at: int = 0) -> None:
    """Materialize the assets in order, each over all days that have a feed."""
    writes = {"asset": "", "count": 0}
    shown: dict[str, dict[str, object]] = {}

    def counted(write):
        def before(*args, **kwargs):
            if writes["asset"] == kill_asset:
                writes["count"] += 1
                if writes["count"] == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return write(*args, **kwargs)

        return before

    Lake._put = counted(Lake._put)
    ComputeCache.put = counted(ComputeCache.put)
    definitions = dg.load_assets_from_modules(STAGES)
    partitioned = {d.key.to_user_string() for d in definitions if d.partitions_def == DAILY}
    used = resources()
    days = os.environ.get("RUN_DAYS", "").split(",")
    days = days if days[0] else used["source"].days()
    span = {
        "dagster/asset_partition_range_start": days[0],
        "dagster/asset_partition_range_end": days[-1],
    }
    with dg.DagsterInstance.ephemeral() as instance:
        for asset in assets:
            writes["asset"] = asset
            dg.materialize(
                definitions,
                selection=[dg.AssetKey(asset)],
                resources=used,
                instance=instance,
                tags=span if asset in partitioned else {},
            )
            made = instance.get_latest_materialization_event(dg.AssetKey(asset))
            shown[asset] = dict(map(_shown, made.asset_materialization.metadata.items()))
    path = Path(os.environ["PLATFORM_DATA"]) / "shown.json"
    path.write_text(json.dumps(shown))


def _shown(entry: tuple[str, dg.MetadataValue]) -> tuple[str, object]:
    """A metadata value as text or number; of a schema, its columns with their descriptions."""
    name, found = entry
    if isinstance(found, dg.TableSchemaMetadataValue):
        return name, {column.name: column.description for column in found.schema.columns}
    return name, found.value if isinstance(found.value, int | float | str) else str(found.value)


if __name__ == "__main__":
    arguments = sys.argv[2:]
    materialize(sys.argv[1].split(","), *arguments[:1], *map(int, arguments[1:]))
