"""The command line: `content-first --help`, or `python -m operations --help`, lists the commands.

The Makefile and the units of `deploy/systemd` call it. What is one command's own is an option of
it; where things are, and which models are used, is a setting (`resources/profiles.py`).
"""

import importlib
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from operations import curating
from operations.doctor import doctor
from operations.files import Catalog, use_files
from operations.instance import (
    DAGSTER,
    LOCATIONS,
    environment,
    only_one,
    open_instance,
    serve_command,
    set_pools,
)
from operations.mcp_server import mcp
from operations.pages import Port
from operations.pinlanding import make_collections
from operations.plan import plan
from operations.products import print_products
from operations.rating import run, serve
from operations.retention import delete, superseded
from operations.rl import make_rl
from operations.sheet import Sheet, take_items
from resources.feeds.catalog_config import CatalogConfigError
from resources.feeds.rows import FeedError
from resources.feeds.studio_config import StudioConfigError
from resources.lake import MissingPartition
from resources.profiles import REPOSITORY, resources, settings
from rl_diffusion_assets.policy.tasks import RUNS

KEEP_DAYS = 30

World = Annotated[int, typer.Option(min=0, help="Seed of the sandbox's shop.")]
Run = StrEnum("Run", list(RUNS))
JOINT = Run("joint")
Objective = Annotated[Run, typer.Option(help="What the model is tuned to.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the tuning.")]


def demo(catalog: Catalog = "", world: World = 0) -> None:
    """The first system; with the sandbox's catalog the second, too, at its default size."""
    use_files(catalog)
    make_collections(world)
    if settings().truth:
        make_rl()


def pinlanding(catalog: Catalog = "", world: World = 0) -> None:
    """The first system: a catalog becomes a published site."""
    use_files(catalog)
    make_collections(world)


def rl(catalog: Catalog = "", objective: Objective = JOINT, seed: Seed = 0) -> None:
    """The second system: tune the text-to-image model, and judge it."""
    use_files(catalog)
    make_rl(objective.value, seed)


def dev(catalog: Catalog = "", port: Port = 3000) -> None:
    """Dagster's UI and daemon on 127.0.0.1, over the data of the catalog."""
    use_files(catalog)
    chosen = settings()
    env = environment(chosen)
    with only_one(chosen):
        open_instance().dispose()
        print(f"Dagster UI for {chosen.name}: http://127.0.0.1:{port}", flush=True)
        process = subprocess.Popen(serve_command(port), cwd=REPOSITORY, env=env)
        try:
            process.wait()
        except KeyboardInterrupt:
            process.wait()


def rate(
    catalog: Catalog = "",
    objective: Objective = JOINT,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of pictures.")] = 40,
    port: Port = 3001,
) -> None:
    """The page on which people compare pictures of the base and the tuned model."""
    use_files(catalog)
    try:
        serve(settings().studio, resources()["lake"], objective.value, count=pairs, port=port)
    except MissingPartition as error:
        sys.exit(error.description)
    except StudioConfigError as error:
        sys.exit(str(error))


def rate_collections(
    catalog: Catalog = "",
    topics: Annotated[int, typer.Option(min=1, help="Collections of each kind.")] = 4,
    port: Port = 3001,
) -> None:
    """The page on which people say whether products belong in collections."""
    use_files(catalog)
    chosen, used = settings(), resources()
    try:
        items = take_items(used["lake"], topics)
    except MissingPartition as error:
        sys.exit(error.description)
    if not items:
        sys.exit("there are no collections with pictures to rate")
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


def prune(
    catalog: Catalog = "",
    days: Annotated[int, typer.Option(min=0, help="Runs that ended within so many days stay.")] = (
        KEEP_DAYS
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False,
) -> None:
    """Delete runs that ended long ago and are the last word on nothing, and tables of the lake that
    were superseded over a day ago."""
    use_files(catalog)
    environment(settings())
    with open_instance() as instance:
        before = datetime.now(UTC) - timedelta(days=days)
        graphs = [
            importlib.import_module(f"{name}.definitions").defs().resolve_asset_graph()
            for name in LOCATIONS
        ]
        records = superseded(instance, before, graphs)
        for record in records:
            run = record.dagster_run
            print(f"{run.run_id}  {record.create_timestamp:%Y-%m-%d}  {run.status.value}")
            if not dry_run:
                delete(instance, run.run_id)
    print(f"{len(records)} superseded runs {'would be' if dry_run else 'were'} deleted")
    if not dry_run:
        resources()["lake"].sweep()


def map_(
    files: Annotated[list[str], typer.Argument(help="Files, folders or addresses of one catalog.")],
    out: Annotated[
        Path | None, typer.Option(help="Where to write the catalog.yaml; else it is printed.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over a file that is there.")] = False,
) -> None:
    """Draft the catalog.yaml of files, and show the first products. Nothing else is written."""
    from operations.mapping import map_files, report

    if out is not None and out.exists() and not force:
        sys.exit(f"{out} is there already: take another name, or --force")
    try:
        mapping = map_files(files, out or Path("catalog.yaml"))
    except FeedError as error:  # what to do about a feed of the platform is said behind it
        sys.exit(str(error.description).partition("\nWhat to do")[0])
    print(report(mapping), file=sys.stderr)
    if out is None:
        print(mapping.text, end="")
    elif mapping.config is not None:  # one that says too little is of no use to a later command
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(mapping.text, encoding="utf-8")
        print(f"written to {out}", file=sys.stderr)
    if mapping.config is None:
        empty = "feeds" in mapping.draft.unsure and "feeds" not in mapping.draft.settings
        why = "no column can be the id of a product: name one under `columns:`"
        sys.exit("the files have no rows, so nothing can be drafted" if empty else why)


def products(
    catalog: Annotated[Path, typer.Argument(help="A catalog.yaml.")],
    day: Annotated[str | None, typer.Option(help="YYYY-MM-DD; by default every day.")] = None,
) -> None:
    """Print what the catalog stage makes of a feed as JSON Lines, and the rejects on stderr."""
    if catalog.exists() and catalog.suffix not in (".yaml", ".yml"):
        sys.exit(f"{catalog}: is no catalog.yaml; `python -m operations map {catalog}` drafts one")
    try:
        print_products(catalog, day, sys.stdout, sys.stderr)
    except (FeedError, CatalogConfigError) as error:
        sys.exit(str(error.description))
    except LookupError as error:
        sys.exit(str(error.args[0]))
    except BrokenPipeError:  # whoever read it has seen enough
        sys.stderr.close()


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A catalog becomes collections, and a text-to-image model is tuned.",
)
for command in (demo, pinlanding, rl, dev, rate, rate_collections, validate, bootstrap, prune):
    app.command(command.__name__.replace("_", "-"))(command)
for command in (doctor, plan, products, mcp):
    app.command(command.__name__)(command)
app.command("map")(map_)
app.add_typer(curating.app, name="curate")


if __name__ == "__main__":
    app(prog_name="python -m operations")
