"""The job file of a training run: everything that the program reads, by path."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from resources.lake import content_hash
from rl_diffusion_assets.policy.train import read_settings

JOB = "job.json"
SCORES = ("preference", "person", "objects")


def make_job(
    training: Mapping[str, Any],
    parents: Mapping[str, str],
    paths: Mapping[str, Path],
    tables: Mapping[str, pl.DataFrame],
) -> dict[str, Any]:
    """A job, all that its result depends on: `write_job` adds where it runs.

    Args:
        training: Settings of the run, see `read_settings`.
        parents: Asset -> checkpoint version: another parent is another job.
        paths: Folder of `base`, of each of `SCORES`, and of `judge`.
        tables: `prompts` and `captioned`: so are other rows.

    Raises:
        ValueError: a setting is wrong.
    """
    # with what is default today: under another default it is another job, and resumes nothing
    settings = asdict(read_settings(training))
    return {
        "base": str(paths["base"]),
        "rewards": {name: str(paths[name]) for name in SCORES},
        "judge": {name: str(paths["judge"] / name) for name in SCORES},
        "parents": dict(parents),
        "tables": {name: content_hash(table) for name, table in tables.items()},
        "training": settings,
    }


def write_job(
    job: Mapping[str, Any], folder: Path, tables: Mapping[str, pl.DataFrame], device: str
) -> None:
    """The job and its tables, as files that `train` reads to run it on a device."""
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    body = dict(job) | {name: str(folder / f"{name}.parquet") for name in tables}
    body["device"] = device
    (folder / JOB).write_text(json.dumps(body, indent=2, sort_keys=True) + "\n")


def train_command(folder: Path, processes: int, step: int) -> list[str]:
    """The program's command line; several processes share the work through accelerate.

    Args:
        folder: Of the job.
        processes: How many.
        step: Process id of the step that starts them: they end with it, even if it is killed.
    """
    program = ["-m", "rl_diffusion_assets.policy.train", str(folder / JOB), str(folder)]
    program += ["--end-with", str(step)]
    if processes == 1:
        return [sys.executable, *program]
    launch = ["-m", "accelerate.commands.launch", "--num_processes", str(processes)]
    return [sys.executable, *launch, "--num_machines", "1", "--mixed_precision", "no", *program]
