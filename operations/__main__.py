"""`python -m operations demo | pinlanding | rl | dev | rate | rate-collections | validate |
bootstrap | prune | doctor | plan`.

For the Makefile, and for the units of `deploy/systemd`.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from operations.doctor import doctor
from operations.instance import (
    DAGSTER,
    LOCATIONS,
    environment,
    only_one,
    open_instance,
    serve_command,
    set_pools,
)
from operations.pinlanding import pinlanding
from operations.plan import plan
from operations.rating import run, serve
from operations.retention import delete, superseded
from operations.rl import rl
from operations.sheet import Sheet, take_items
from resources.feeds.studio_config import StudioConfigError
from resources.lake import MissingPartition
from resources.profiles import REPOSITORY, resources, settings

KEEP_DAYS = 30


def demo() -> None:
    """The first system; with the sandbox's catalog the second, too, at its default size."""
    pinlanding()
    if settings().truth:
        rl()


def dev() -> None:
    """Dagster's UI and daemon on 127.0.0.1, over the data of the catalog."""
    chosen = settings()
    env = environment(chosen)
    with only_one(chosen):
        open_instance().dispose()
        port = int(os.environ.get("PORT", "3000"))
        print(f"Dagster UI for {chosen.name}: http://127.0.0.1:{port}", flush=True)
        process = subprocess.Popen(serve_command(port), cwd=REPOSITORY, env=env)
        try:
            process.wait()
        except KeyboardInterrupt:
            process.wait()


def rate() -> None:
    """The page on which people compare pictures of the base and the tuned model."""
    try:
        serve(
            settings().studio,
            resources()["lake"],
            os.environ.get("OBJECTIVE") or "joint",
            count=int(os.environ.get("PAIRS") or 40),
            port=int(os.environ.get("PORT") or 3001),
        )
    except MissingPartition as error:
        sys.exit(error.description)
    except StudioConfigError as error:
        sys.exit(str(error))


def rate_collections() -> None:
    """The page on which people say whether products belong in collections."""
    chosen, used = settings(), resources()
    try:
        items = take_items(used["lake"], int(os.environ.get("TOPICS") or 4))
    except MissingPartition as error:
        sys.exit(error.description)
    if not items:
        sys.exit("there are no collections with pictures to rate")
    port = int(os.environ.get("PORT") or 3001)
    sheet = Sheet(used["lake"], used["ratings"], items)
    run(sheet, f"{len(items)} products of {chosen.name} to rate", port)


def validate() -> None:
    """Both code locations load; one that is silently left out is an error too."""
    with tempfile.TemporaryDirectory() as folder:
        env = environment(settings()) | {
            "DAGSTER_STORAGE": folder,
            "DAGSTER_COMPUTE_LOGS": str(Path(folder) / "logs"),
        }
        command = [*DAGSTER, "definitions", "validate", "-w", "workspace.yaml"]
        done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True)
    output = done.stdout + done.stderr
    valid = "Validation successful for code location"
    missing = [name for name in LOCATIONS if f"{valid} {name}" not in output]
    if done.returncode or missing:
        sys.exit(f"{output}\nnot validated: {missing or 'see above'}")
    print(f"definitions are valid in {', '.join(LOCATIONS)}")


def bootstrap() -> None:
    """Make the instance's tables and pools; whatever is there is kept."""
    chosen = settings()
    environment(chosen)
    with open_instance() as instance:
        for pool, slots in set_pools(instance, chosen.pools).items():
            asked = chosen.pools[pool]
            kept = "" if slots == asked else f" (kept; the settings ask for {asked})"
            print(f"pool {pool}: {slots}{kept}")


def prune() -> None:
    """Delete runs that ended over DAYS days ago and are the last word on nothing; with DRY_RUN=1
    only list them."""
    days = os.environ.get("DAYS") or str(KEEP_DAYS)
    if not days.isdecimal():
        sys.exit(f"DAYS={days!r}: a whole number of days is needed")
    dry = os.environ.get("DRY_RUN", "0") not in ("", "0")
    environment(settings())
    with open_instance() as instance:
        before = datetime.now(UTC) - timedelta(days=int(days))
        graphs = [
            importlib.import_module(f"{name}.definitions").defs().resolve_asset_graph()
            for name in LOCATIONS
        ]
        records = superseded(instance, before, graphs)
        for record in records:
            run = record.dagster_run
            print(f"{run.run_id}  {record.create_timestamp:%Y-%m-%d}  {run.status.value}")
            if not dry:
                delete(instance, run.run_id)
    print(f"{len(records)} superseded runs {'would be' if dry else 'were'} deleted")


if __name__ == "__main__":
    commands = (
        *(demo, pinlanding, rl, dev, rate, rate_collections, validate, bootstrap, prune),
        *(doctor, plan),
    )
    chosen = {command.__name__.replace("_", "-"): command for command in commands}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(__doc__)
    chosen[sys.argv[1]]()
