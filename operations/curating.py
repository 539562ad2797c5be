"""Decisions by the command line, or on a page: look, decide, and take back."""

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import ValidationError

from operations import pages
from operations.curation_page import application
from operations.files import Catalog, use_files
from pinlanding_assets.curation.assets import desk_of
from pinlanding_assets.curation.desk import Desk, Refused, open_proposals
from pinlanding_assets.decisions.operations import FACETS, parse
from pinlanding_assets.decisions.state import canonical, fold
from resources.decisions import LogBroken, LogMoved
from resources.lake import MissingPartition
from resources.profiles import decision_log, resources, settings

Person = Annotated[str, typer.Option("--as", help="Who decides; by default whoever is logged in.")]
USER = getpass.getuser()
Told = Annotated[
    str,
    typer.Argument(
        help='As JSON: {"operation": "word.merge", "key": "color", "word": "navy", "into": "blue"}'
    ),
]
Proposal = Annotated[str, typer.Argument(help="Id of the proposal, as `curate list` shows it.")]

app = typer.Typer(
    no_args_is_help=True, help="What was proposed and decided: words, labels, pages and feeds."
)


def desk() -> Desk:
    """The decisions on the catalog of the settings."""
    used = resources()
    return desk_of(used["lake"], used["source"], decision_log())


@contextmanager
def told_why() -> Iterator[None]:
    """Says in one line what could not be done.

    Raises:
        SystemExit: see the message.
    """
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "operation"
        sys.exit(f"{where}: {first['msg']}")
    except MissingPartition as error:
        sys.exit(f"there is nothing to decide on yet: {error.description}")
    except (Refused, LogBroken, LogMoved) as error:
        sys.exit(str(error))


@app.command("list")
def list_(catalog: Catalog = "") -> None:
    """What waits for an answer, and what is decided."""
    use_files(catalog)
    with told_why():
        events = decision_log().events()
        waiting, state = open_proposals(events), fold(events)
        for one in waiting:
            print(f"open     {one.id}  {canonical(one.operation)}  by {one.actor}")
            print(f"         seen {one.seen}")
            if one.evidence:
                print(f"         because {json.dumps(dict(one.evidence), sort_keys=True)}")
        for facet in FACETS:
            for one in state.of(facet):
                print(f"decided  {one.proposal}  {canonical(one.operation)}  by {one.actor}")
    if not waiting and not state.decisions:
        print("nothing waits for an answer, and nothing is decided")


@app.command()
def decide(operation: Told, person: Person = USER, catalog: Catalog = "") -> None:
    """Do something yourself; what follows from it is made by the next run."""
    use_files(catalog)
    with told_why():
        made = desk().decide(parse(operation), f"person:{person}")
    print(f"decided  {made.proposal}  {canonical(made.operation)}")


@app.command()
def approve(
    proposal: Proposal,
    seen: Annotated[str, typer.Argument(help="`seen` of what `curate list` has shown of it.")],
    person: Person = USER,
    catalog: Catalog = "",
) -> None:
    """Say yes to a proposal as `curate list` has shown it."""
    use_files(catalog)
    with told_why():
        made = desk().approve(proposal, seen, f"person:{person}")
    print(f"decided  {made.proposal}  {canonical(made.operation)}")


@app.command()
def refuse(
    proposal: Proposal,
    person: Person = USER,
    why: Annotated[str, typer.Option(help="For the log.")] = "",
    catalog: Catalog = "",
) -> None:
    """Say no to a proposal: it comes again only with other evidence."""
    use_files(catalog)
    with told_why():
        desk().refuse(proposal, f"person:{person}", why)
    print(f"refused  {proposal}")


@app.command()
def undo(
    proposal: Proposal,
    person: Person = USER,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Take back with it what stands on it.")
    ] = False,
    catalog: Catalog = "",
) -> None:
    """Take a decision back, as if it had never been made."""
    use_files(catalog)
    with told_why():
        gone = desk().revert(proposal, f"person:{person}", cascade=cascade)
    for one in gone:
        print(f"undone   {one.proposal}  {canonical(one.operation)}")


@app.command()
def log(catalog: Catalog = "") -> None:
    """Print the whole log as JSON Lines, for a backup or for version control."""
    use_files(catalog)
    with told_why():
        print(decision_log().export(), end="")


@app.command()
def page(catalog: Catalog = "", port: pages.Port = 3002) -> None:
    """The page on which people answer proposals, and take decisions back."""
    use_files(catalog)
    with told_why():
        waiting = len(open_proposals(decision_log().events()))
    name = settings().name
    shown = application(resources()["lake"], decision_log(), desk, name)
    many = "1 proposal waits" if waiting == 1 else f"{waiting} proposals wait"
    pages.run(shown, f"{many} for an answer on {name}", port)
