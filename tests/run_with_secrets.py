"""Loads both code locations, makes a run that fails, and keeps what people get to see of it.

`python tests/run_with_secrets.py FOLDER`, with keys in the environment: what the UI is served from
goes to `<location>.json`, the run to `run.json`. Logs are where the instance keeps them.
"""

import os
import sys
import warnings
from pathlib import Path

import dagster as dg
import numpy as np
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
from PIL import Image

import pinlanding_assets.definitions
import rl_diffusion_assets.definitions
from resources.profiles import REPOSITORY, resources

warnings.simplefilter("ignore")
NAMES = ("vision_language", "language", "index")
PICTURE = {"images": [Image.new("RGB", (16, 16))], "titles": ["a hat"]}


def asks(name: str) -> dg.AssetsDefinition:
    """An asset that uses the resource, says all that it hears, and fails."""

    @dg.asset(name=f"asks_{name}", required_resource_keys={name})
    def ask(context: dg.AssetExecutionContext) -> None:
        resource = getattr(context.resources, name)
        print(resource)
        context.log.info(f"{resource!r}")
        if name == "index":
            resource.search(np.ones((1, 2), np.float32), 1)
        print(resource.endpoint())
        heard = resource.complete(["hello"]) if name == "language" else resource.describe(**PICTURE)
        raise RuntimeError(f"{name}: {heard}")

    return ask


def main(folder: Path) -> None:
    for package in (pinlanding_assets, rl_diffusion_assets):
        repository = package.definitions.defs().get_repository_def()
        snapshot = serialize_value(RepositorySnap.from_def(repository))
        (folder / f"{package.__name__}.json").write_text(snapshot)
    # the instance of one machine, though the ledger is told of a database
    os.environ["DAGSTER_HOME"] = str(REPOSITORY)
    with dg.DagsterInstance.get() as instance:
        assets = dg.Definitions([asks(name) for name in NAMES], resources=resources())
        job = assets.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not result.success
        run = instance.get_run_by_id(result.run_id)
        shown = [
            *(run, instance.get_job_snapshot(run.job_snapshot_id)),
            instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id),
            *instance.all_logs(result.run_id),
        ]
        (folder / "run.json").write_text("\n".join(map(serialize_value, shown)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
