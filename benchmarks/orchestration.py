"""What Dagster adds to a day's work: an asset's days materialized, against its plain functions.

The asset is `search_log`, the cheapest of all: reading, cleaning, one commit to the lake. *A range*
is all days in one run, as a backfill of it goes; *single days* are a run each, as nights go. The
bare loop calls what the asset calls. Instance and lake are this process's own. Run from the
repository:

    OMP_NUM_THREADS=1 python -m benchmarks.orchestration [--days 30] [--runs 5]
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.results import Figure, compared, record
from pinlanding_assets.topics.assets import search_log
from pinlanding_assets.topics.demand import clean_queries
from resources.profiles import SANDBOX_WORLD, resources, settings
from sandbox.world import write_world


def by_dagster(used: dict[str, Any], spans: Sequence[tuple[str, str]]) -> None:
    """A run for every span of days."""
    with dg.DagsterInstance.ephemeral() as instance:
        for first, last in spans:
            tags = {
                "dagster/asset_partition_range_start": first,
                "dagster/asset_partition_range_end": last,
            }
            dg.materialize([search_log], resources=used, instance=instance, tags=tags)


def bare(used: dict[str, Any], days: Sequence[str]) -> None:
    """The same days by a loop."""
    for day in days:
        queries = clean_queries(used["source"].search_log(day))
        used["lake"].commit("search_log", {"queries": queries}, partition=day)


def main() -> None:
    """Parse arguments, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"PLATFORM_DATA": folder, "PLATFORM_CATALOG": ""}
        world = settings().data / SANDBOX_WORLD
        days = arguments.days
        write_world(world, truth=Path(settings().truth), days=days, products=days, image_size=64)
        used = resources()
        names = used["source"].days()
        figures = []
        for name, spans in (
            ("a range", [(names[0], names[-1])]),
            ("single days", [(day, day) for day in names]),
        ):
            ours, peer, _ = compared(
                lambda spans=spans: by_dagster(used, spans),
                lambda: bare(used, names),
                arguments.runs,
            )
            each, plain = 1e3 * ours / days, 1e3 * peer / days
            figures.append(
                Figure(
                    f"orchestration of a day, {name}",
                    each,
                    plain,
                    each / plain,
                    "CPU-ms",
                    "the asset's functions in a loop",
                    arguments.runs,
                    note=f"{days} days; {each - plain:.0f} CPU-ms of Dagster's a day",
                )
            )
        record(figures)


if __name__ == "__main__":
    main()
