"""A page on this machine where a person curates a catalog: answers what was proposed, sees what is
decided, takes it back, and reads the log.

Looking changes nothing. An approval carries what the page has shown, and the desk compares it.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import dagster as dg
import polars as pl
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from operations.pages import HEADERS, Pages, form, person
from operations.wording import Figure, Names, Part, actor_text, clean, entry_text, figures, sentence
from pinlanding_assets.curation.desk import (
    OPEN_DAYS,
    Desk,
    Proposal,
    Refused,
    open_proposals,
    seen_of,
)
from pinlanding_assets.decisions.operations import FACETS, Operation, TopicAdd, parse
from pinlanding_assets.decisions.state import Decision, State, dependants, fold, proposal_id
from resources.decisions import DecisionLog, Event, LogBroken, LogMoved
from resources.lake import Lake

CARDS, ROWS = 20, 50  # on one page
EXAMPLES = 12  # products that evidence may name
DONE = {
    "approved": "Approved. The next run makes what follows from it.",
    "refused": "Refused. It comes again only with other evidence.",
    "undone": "Taken back. The next run makes the catalog as if it had never been decided.",
}
HEADS = {"propose": "Proposed", "apply": "Decided", "refuse": "Refused", "revert": "Taken back"}
Row = TypeVar("Row")


class Product(NamedTuple):
    """What it is called, and the name of its first picture."""

    title: str
    picture: str | None


class Picture(NamedTuple):
    """A product that a proposal names, by its number there; `name`: of its picture, if any."""

    title: str
    number: int
    name: str | None


class Line(NamedTuple):
    """A decision or an event as it is shown."""

    id: str
    head: str
    said: list[Part]
    actor: str
    at: str
    why: str = ""


@dataclass(frozen=True)
class Card:
    """A proposal as it is shown.

    Attributes:
        stale: What it is about was decided otherwise since: it cannot be approved as it is.
        there: What is decided about the same now.
    """

    proposal: Proposal
    stale: bool
    there: Line | None
    said: list[Part]
    actor: str
    lapses: str
    evidence: list[Figure]
    preview: list[Figure]
    pictures: list[Picture]

    @property
    def held(self) -> str:
        """All that the log holds of it."""
        told = {
            "operation": self.proposal.operation.model_dump(mode="json"),
            "evidence": self.proposal.evidence,
            "preview": self.proposal.preview,
        }
        return json.dumps(told, indent=1, sort_keys=True)  # every unusual sign as its number


class Read(NamedTuple):
    """The log, and what it says."""

    events: list[Event]
    waiting: list[Proposal]
    state: State


class Leaf(NamedTuple):
    """A part of a long list. `page` counts from 1."""

    rows: Sequence[Any]
    page: int
    pages: int


def application(lake: Lake, log: DecisionLog, desk: Callable[[], Desk], name: str) -> Starlette:
    """The page over a log.

    Args:
        lake: Where products have their titles and pictures.
        log: Of the decisions.
        desk: Where answers go: a new one for each, so that it sees the catalog as it is.
        name: Of the catalog.
    """
    page = Pages("curation.html", {"when": when})
    offered: dict[str, dict[tuple[str, int], str]] = {}  # head of the log -> pictures on the page

    def read() -> Read:
        events = log.events()
        return Read(events, open_proposals(events), fold(events))

    def show(view: str, request: Request, known: Read, fault: str = "", **values: Any) -> Response:
        done = "" if fault else DONE.get(request.query_params.get("done", ""), "")
        told = {"person": person(request), "name": name, "done": done, "fault": fault}
        counts = {"waiting": len(known.waiting), "decided": len(known.state.decisions)}
        return page.show(view, status=409 if fault else 200, counts=counts, **told, **values)

    def queue(request: Request, fault: str = "") -> Response:
        known = read()
        leaf = _leaf(request, known.waiting, CARDS)
        leaf = leaf._replace(rows=cards(lake, leaf.rows, known.state))
        head = known.events[-1].hash if known.events else ""
        offered.clear()
        offered[head] = {
            (card.proposal.id, one.number): one.name
            for card in leaf.rows
            for one in card.pictures
            if one.name
        }
        ready = lake.manifest("attribute_vocabulary") is not None
        return show("queue", request, known, fault, leaf=leaf, ready=ready)

    def decided(request: Request, fault: str = "") -> Response:
        known = read()
        every = [one for facet in FACETS for one in known.state.of(facet)]
        leaf = _leaf(request, every, ROWS)
        leaf = leaf._replace(rows=lines(lake, leaf.rows, known.events))
        return show("decided", request, known, fault, leaf=leaf)

    async def show_queue(request: Request) -> Response:
        return queue(request) if person(request) else RedirectResponse("/name", 303)

    async def show_decided(request: Request) -> Response:
        return decided(request) if person(request) else RedirectResponse("/name", 303)

    async def show_history(request: Request) -> Response:
        if person(request) is None:
            return RedirectResponse("/name", 303)
        known = read()
        leaf = _leaf(request, known.events[::-1], ROWS)
        leaf = leaf._replace(rows=history(lake, leaf.rows, known.events))
        return show("history", request, known, leaf=leaf)

    async def approve(request: Request) -> Response:
        told, who = await form(request), person(request)
        if who is None:
            return RedirectResponse("/name", 303)
        proposal, seen = told.get("proposal", ""), told.get("seen", "")
        try:
            desk().approve(proposal, seen, f"person:{who}")
        except (Refused, LogMoved) as error:
            return queue(request, line(error))
        return RedirectResponse("/?done=approved", 303)

    async def refuse(request: Request) -> Response:
        told, who = await form(request), person(request)
        if who is None:
            return RedirectResponse("/name", 303)
        try:
            desk().refuse(told.get("proposal", ""), f"person:{who}", clean(told.get("why", "")))
        except (Refused, LogMoved) as error:
            return queue(request, line(error))
        return RedirectResponse("/?done=refused", 303)

    async def undo(request: Request) -> Response:
        """Takes back what nothing stands on; else asks, and takes back what was shown."""
        told, who = await form(request), person(request)
        if who is None:
            return RedirectResponse("/name", 303)
        proposal, seen = told.get("proposal", ""), told.get("seen")
        known = read()
        standing = dependants(proposal, known.events)
        if standing and seen is None:
            return ask(request, known, proposal, standing)
        try:
            desk().revert(proposal, f"person:{who}", cascade=seen is not None, seen=seen)
        except (Refused, LogMoved) as error:
            return decided(request, line(error))
        return RedirectResponse("/decided?done=undone", 303)

    def ask(request: Request, known: Read, proposal: str, standing: list[Decision]) -> Response:
        itself = [one for one in known.state.decisions.values() if one.proposal == proposal]
        first, *others = lines(lake, [*itself, *standing], known.events)
        asked = {"first": first, "others": others, "seen": seen_of(standing)}
        return show("ask", request, known, "Others stand on this decision", **asked)

    async def send_picture(request: Request) -> Response:
        """A picture of a product that an open proposal names, and no other."""
        asked = request.path_params["proposal"], request.path_params["number"]
        try:
            image = offered.get(log.head(), {}).get(asked) or _picture_of(lake, log, *asked)
            data = lake.image(image)
        except (LookupError, OSError, dg.Failure):
            raise HTTPException(404, "There is no such picture.") from None
        return Response(data, media_type="image/jpeg", headers=HEADERS)

    return page.application(
        [
            Route("/", show_queue),
            Route("/decided", show_decided),
            Route("/history", show_history),
            Route("/approve", approve, methods=["POST"]),
            Route("/refuse", refuse, methods=["POST"]),
            Route("/undo", undo, methods=["POST"]),
            Route("/picture/{proposal}/{number:int}", send_picture),
        ],
        {
            LogBroken: lambda error: (503, line(error)),
            dg.Failure: lambda error: (503, line(error)),
            ValidationError: lambda _: (
                503,
                "The log holds an operation that this release does not know. Update it.",
            ),
            SQLAlchemyError: lambda error: (
                503,
                f"The log of decisions cannot be reached: {type(error).__name__}.",
            ),
        },
    )


def cards(lake: Lake, proposals: Iterable[Proposal], state: State) -> list[Card]:
    """Proposals as they are shown."""
    proposals = list(proposals)
    named = {id for one in proposals for id in products_of(one)}
    found = shelf(lake, named)
    names = names_of(lake, [one.operation for one in proposals], found)
    before = {
        one.id: Line("", "", sentence(there.operation, names), actor_text(there.actor), "")
        for one in proposals
        if (there := state.decisions.get(one.operation.target()))
    }
    return [
        Card(
            proposal=one,
            stale=proposal_id(one.operation, state) != one.id,
            there=before.get(one.id),
            said=sentence(one.operation, names),
            actor=actor_text(one.actor),
            lapses=_days_after(one.at, OPEN_DAYS),
            evidence=figures(one.evidence, without=frozenset({"examples"})),
            preview=figures(one.preview),
            pictures=[
                _picture(id, number, found.get(id)) for number, id in enumerate(products_of(one))
            ],
        )
        for one in proposals
    ]


def _picture(id: str, number: int, found: Product | None) -> Picture:
    known = found or Product("", None)
    return Picture(clean(known.title, 80) or clean(id, 60), number, known.picture)


def _picture_of(lake: Lake, log: DecisionLog, proposal: str, number: int) -> str:
    """The name of a picture that an open proposal shows; LookupError: it shows none."""
    waiting = {one.id: one for one in open_proposals(log.events())}
    product = products_of(waiting[proposal])[number]
    if (image := shelf(lake, [product])[product].picture) is None:
        raise LookupError(product)
    return image


def lines(lake: Lake, decisions: Iterable[Decision], events: Sequence[Event]) -> list[Line]:
    """Decisions as they are shown, each under its facet."""
    decisions = list(decisions)
    names = names_of(lake, [one.operation for one in decisions])
    return [
        Line(
            one.proposal,
            one.operation.facet,
            sentence(one.operation, names),
            actor_text(one.actor),
            events[one.seq - 1].at,
        )
        for one in decisions
    ]


def history(lake: Lake, rows: Iterable[Event], events: Sequence[Event]) -> list[Line]:
    """Events as they are shown; an answer says what it is about."""
    rows = list(rows)
    proposed = {one.proposal for one in events if one.event == "propose"}
    bodies = {one.proposal: one.body["operation"] for one in events if "operation" in one.body}
    about = {one.seq: parse(dict(bodies[one.proposal])) for one in rows if one.proposal in bodies}
    names = names_of(lake, about.values())
    return [
        Line(
            one.proposal,
            "Approved" if one.event == "apply" and one.proposal in proposed else HEADS[one.event],
            sentence(about[one.seq], names) if one.seq in about else [],
            actor_text(one.actor),
            one.at,
            clean(str(one.body.get("why", ""))),
        )
        for one in rows
    ]


def products_of(proposal: Proposal) -> list[str]:
    """The products that a proposal is about, and that its evidence names as examples."""
    own = getattr(proposal.operation, "product", None)
    told = proposal.evidence.get("examples")
    examples = [one for one in told if isinstance(one, str)] if isinstance(told, list) else []
    return list(dict.fromkeys([own, *examples] if own else examples))[:EXAMPLES]


def shelf(lake: Lake, products: Iterable[str]) -> dict[str, Product]:
    """These products, also those that are gone by now."""
    if not (wanted := sorted(set(products))) or not lake.partitions("catalog"):
        return {}
    rows = (
        lake.scan("catalog", "products")
        .filter(pl.col("product_id").is_in(wanted), pl.col("operation") == "upsert")
        .select("product_id", "date", "title", pl.col("images").list.first().alias("image"))
        .collect()
        .sort("date")
    )
    return {id: Product(title or "", image) for id, _, title, image in rows.iter_rows()}


def names_of(
    lake: Lake, operations: Iterable[Operation], known: dict[str, Product] | None = None
) -> Names:
    """What the products and topics of these operations are called.

    Args:
        known: Products that were looked up already.
    """
    operations = list(operations)
    products = {id for one in operations if (id := getattr(one, "product", None))}
    found = known if known is not None else shelf(lake, products)
    topics = {
        one.topic: " and ".join(map(entry_text, one.entries))
        for one in operations
        if isinstance(one, TopicAdd)
    }
    wanted = {id for one in operations if (id := getattr(one, "topic", None))}
    if wanted and lake.manifest("topics") is not None:
        rows = lake.read("topics", "topics").filter(pl.col("topic_id").is_in(sorted(wanted)))
        topics |= {id: title for id, title in rows.select("topic_id", "title").iter_rows() if title}
    return Names({id: one.title for id, one in found.items() if one.title}, topics)


def line(error: Exception) -> str:
    """What could not be done, as a sentence."""
    if isinstance(error, LogMoved):
        return "Somebody else has decided something at this moment. Look again, and then answer."
    told = error.description if isinstance(error, dg.Failure) else str(error)
    said = clean(told or type(error).__name__, 400)
    return f"{said[:1].upper()}{said[1:]}{'' if said.endswith(('.', '…')) else '.'}"


def when(at: str) -> str:
    """A moment as people read it."""
    try:
        return f"{datetime.fromisoformat(at):%b %-d, %Y, %H:%M} UTC"
    except ValueError:
        return clean(at, 40)


def _days_after(at: str, days: int) -> str:
    try:
        return f"{datetime.fromisoformat(at) + timedelta(days=days):%b %-d}"
    except ValueError:
        return "in time"


def _leaf(request: Request, rows: Sequence[Row], size: int) -> Leaf:
    """The part of a list that the address asks for; the first or last one where it is none."""
    pages = max(1, -(-len(rows) // size))
    asked = request.query_params.get("page", "1")
    page = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 1
    page = min(max(page, 1), pages)
    return Leaf(rows[(page - 1) * size : page * size], page, pages)
