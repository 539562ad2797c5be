"""What a person's own agent may ask of a catalog, in pages of JSON, and how it proposes.

What sellers wrote is data in fields, cut and without hidden characters. `mcp_server.py` serves it.
"""

import json
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.curation.agenda import find_cases
from pinlanding_assets.curation.assets import shadow_of, view_of
from pinlanding_assets.curation.cases import Case
from pinlanding_assets.curation.desk import Desk, Proposal, Refused, open_proposals
from pinlanding_assets.decisions.operations import FACETS, OPERATIONS, Operation, parse
from pinlanding_assets.decisions.state import proposal_id
from resources.decisions import DecisionLog
from resources.feeds.catalog_source import CatalogSource
from resources.lake import Lake

MOST_BYTES = 4000  # of an answer, as JSON
MOST_TEXT = 200  # characters of a text that others wrote
_TITLES = 6  # pages won, and pages lost, that a preview names
_EXAMPLES = 3  # products of a row
_JOINERS = "\u200c\u200d"  # invisible, and part of words in Persian and Hindi
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # categories of characters nobody sees
_STATE = ("attribute_vocabulary", "demand", "topics", "collections")  # a catalog's newest tables
FORMS = "; ".join(
    f"{name}: {', '.join(field for field in form.model_fields if field != 'operation')}"
    for name, form in OPERATIONS.items()
)
Offset = Annotated[int, Field(ge=0, description="The first row: `more` of the answer before.")]
Told = Annotated[
    dict[str, Any],
    Field(description=f'{{"operation": NAME, ...}} with the fields of its name. {FORMS}'),
]
Why = Annotated[str, Field(max_length=200, description="Why, for the person; 200 characters.")]
Text = Annotated[str, Field(min_length=1, max_length=200)]


def clean(told: Any, most: int = MOST_TEXT) -> Any:
    """The same JSON without control, format and other hidden characters, its texts cut."""
    if isinstance(told, dict):
        return {key: clean(value, most) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [clean(value, most) for value in told]
    if not isinstance(told, str):
        return told
    seen = (c if c in _JOINERS or unicodedata.category(c) not in _HIDDEN else " " for c in told)
    return "".join(seen)[:most]


def as_json(told: Any) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def page(rows: Sequence[dict[str, Any]], offset: int, **head: Any) -> dict[str, Any]:
    """As many rows from `offset` as `MOST_BYTES` allow; `more` is where the next page begins."""
    told = {**clean(head), "total": len(rows), "more": None, "rows": []}
    for at, row in enumerate(rows[offset:], offset):
        fits = [*told["rows"], clean(row)]
        if len(as_json({**told, "more": at, "rows": fits}).encode()) > MOST_BYTES:
            if told["rows"]:
                return {**told, "more": at}
            fits = [{"left_out": f"row {at} is longer than an answer may be"}]
        told["rows"] = fits
    return told


class Shop:
    """The catalog as it is: what is read, what the agents find, and what would change."""

    def __init__(self, lake: Lake, source: CatalogSource):
        self._lake, self._source, self.view = lake, source, view_of(lake, source)

    @cached_property
    def _shadow(self) -> Any:
        return shadow_of(self._lake, self._source, self.view)

    @cached_property
    def cases(self) -> list[Case]:
        return find_cases(self.view, least=self._shadow.gates.min_products)

    def preview(self, operation: Operation) -> dict[str, Any]:
        """What the pages would be with it; nothing of an operation on feeds."""
        if operation.facet == "feeds":
            return {}
        found = clean(self._shadow.preview([operation]))
        return {**found, "won": found["won"][:_TITLES], "lost": found["lost"][:_TITLES]}


def newest_shop(lake: Lake, source: CatalogSource) -> Callable[[], Any]:
    """The catalog, read again only when the lake holds another one."""
    held: dict[Any, Shop] = {}

    def shop() -> Shop:
        manifests = [lake.manifest(asset) for asset in _STATE]
        state = (*lake.partitions("catalog"), *(one and one.data_version for one in manifests))
        if state not in held:
            held.clear()
            held[state] = Shop(lake, source)
        return held[state]

    return shop


class Curator:
    """What an agent may ask, and the one thing that it may do: propose.

    Args:
        shop: Gives the catalog as it is now.
        log: The decisions.
        name: Of the person whose agent this is.
    """

    def __init__(self, shop: Callable[[], Any], log: DecisionLog, name: str):
        self._shop, self._log, self._name = shop, log, name

    @property
    def tools(self) -> list[Callable[..., dict[str, Any]]]:
        """What may be read."""
        return [
            *(self.words_suspicious, self.word_evidence, self.topics_find, self.page_show),
            *(self.demand_gaps, self.product_look, self.decisions_list),
        ]

    def words_suspicious(self, offset: Offset = 0) -> dict[str, Any]:
        """Words and keys that images or other keys contradict, each with what would mend it."""
        return self._cases("agent:words", offset)

    def demand_gaps(self, offset: Offset = 0) -> dict[str, Any]:
        """What people search for that has products and no page, each with the topic to add."""
        return self._cases("agent:topics", offset)

    def word_evidence(self, key: Text, word: Text, offset: Offset = 0) -> dict[str, Any]:
        """What a seller's word means, and what images call the products that it is said of."""
        view = self._shop().view
        known = view.aliases.filter(key=key)
        known = known.filter([fold(one) == fold(word) for one in known["raw_value"]])
        heard = view.mentions.filter(key=key)
        spoken = pl.col("value").is_in([*known["raw_value"], word])
        said = heard.filter(spoken, pl.col("source") != "vlm").select("product_id").unique()
        called = (
            heard.filter(source="vlm")
            .join(said, on="product_id", how="semi")
            .group_by("value")
            .agg(
                products=pl.col("product_id").n_unique(),
                examples=pl.col("product_id").unique().sort().head(_EXAMPLES),
            )
            .sort(["products", "value"], descending=[True, False])
        )
        means = known["entry_id"].drop_nulls().unique().sort().to_list()
        return page(
            called.rename({"value": "images_call_it"}).to_dicts(),
            offset,
            **{"key": key, "word": word, "means": means, "said_of": said.height},
        )

    def topics_find(self, text: Text, offset: Offset = 0) -> dict[str, Any]:
        """Topics whose title or entries hold a text; `page`: whether they have a page."""
        view, sought = self._shop().view, clean(text).lower()
        held = [
            {"topic": row["topic_id"], "title": row["title"], "entries": row["entries"]}
            for row in view.topics.select("topic_id", "title", "entries").iter_rows(named=True)
            if sought in " ".join([row["title"], *row["entries"]]).lower()
        ]
        pages = set(view.collections.filter("accepted")["topic_id"])
        return page([{**one, "page": one["topic"] in pages} for one in held], offset)

    def page_show(self, topic: Text, offset: Offset = 0) -> dict[str, Any]:
        """A topic's title and entries, and the products of its page with their probability.

        Raises:
            Refused: there is no such topic.
        """
        view = self._shop().view
        found = view.topics.filter(topic_id=clean(topic))
        if found.is_empty():
            raise Refused(f"there is no topic {clean(topic)}")
        row = view.collections.filter(topic_id=clean(topic)).to_dicts() or found.to_dicts()
        shown = view.items.filter(topic_id=clean(topic)).sort("rank")
        items = shown.select(product="product_id", p=pl.col("score").exp().round(4)).to_dicts()
        head = {name: row[0][name] for name in ("title", "entries", "reason")}
        return page(items, offset, **head, page=bool(items))

    def product_look(
        self, product: Annotated[str, Field(max_length=500)], offset: Offset = 0
    ) -> dict[str, Any]:
        """A product's title and seller, and its attributes with who says so and how surely.

        Raises:
            Refused: there is no such product.
        """
        view = self._shop().view
        found = view.products.filter(product_id=clean(product, 500)).to_dicts()
        if not found:
            raise Refused("the catalog has no such product")
        carried = view.assignments.filter(product_id=clean(product, 500)).sort("entry_id", "source")
        rows = carried.select("entry_id", "source", pl.col("p").round(4)).to_dicts()
        return page(rows, offset, title=found[0]["title"], seller=found[0]["seller"])

    def decisions_list(self, offset: Offset = 0) -> dict[str, Any]:
        """The proposals that wait for a person, and the decisions in force."""
        return page([*self._waiting(), *self._in_force()], offset)

    def state(self) -> dict[str, Any]:
        """The version of each facet, and the first decisions in force."""
        now = self._desk().state()
        return page(self._in_force(), 0, **{one: now.version(one) for one in FACETS})

    def waiting(self) -> dict[str, Any]:
        """The first proposals that wait for a person."""
        return page(self._waiting(), 0)

    def put(self, told: dict[str, Any], why: str) -> Proposal | None:
        """Propose; None where it is in force already.

        Raises:
            Refused: it cannot be done.
            pydantic.ValidationError: it is no operation.
        """
        operation, desk, shop = parse(told), self._desk(), self._shop()
        if clean(told, sys.maxsize) != told:  # what the person is shown is what is done
            raise Refused("an operation holds no control or other hidden characters")
        state = desk.state()
        there = state.decisions.get(operation.target())
        if there is not None and there.operation == operation:
            return None
        name = proposal_id(operation, state)
        for one in open_proposals(self._log.events()):
            if one.id == name:
                return one
        if fault := operation.fault(shop.view):
            raise Refused(fault)
        found = next((one.evidence() for one in shop.cases if one.operation == operation), {})
        if found:
            found["found"] = found["why"]
        evidence, preview = clean({**found, "why": why}), shop.preview(operation)
        return desk.propose(operation, f"mcp:{self._name}", evidence=evidence, preview=preview)

    def approve(self, proposal: Proposal) -> str:
        """Decide it as its person, who has said yes; gives the actor.

        Raises:
            Refused: it is not what was shown any more.
        """
        self._desk().approve(proposal.id, proposal.seen, f"person:{self._name}")
        return f"person:{self._name}"

    def _desk(self) -> Desk:
        return Desk(self._log, self._shop().view)

    def _cases(self, agent: str, offset: int) -> dict[str, Any]:
        rows = [
            {**one.evidence(), "operation": _dump(one.operation)} | {"examples": one.examples[:3]}
            for one in self._shop().cases
            if one.agent == agent
        ]
        return page(rows, offset)

    def _waiting(self) -> list[dict[str, Any]]:
        found = open_proposals(self._log.events())  # why they were made is for people alone
        return [_row("open", one.id, one) for one in found]

    def _in_force(self) -> list[dict[str, Any]]:
        state = self._desk().state()
        return [_row("in force", one.proposal, one) for name in FACETS for one in state.of(name)]


def _dump(operation: Operation) -> dict[str, Any]:
    return operation.model_dump(mode="json")


def _row(standing: str, proposal: str, one: Any) -> dict[str, Any]:
    told = {"standing": standing, "proposal": proposal, "by": one.actor}
    return {**told, "operation": _dump(one.operation)}


def answer_of(found: Proposal, outcome: str) -> dict[str, Any]:
    """What an agent is told of a proposal; of pages won and lost as many as an answer may hold."""
    preview = clean(dict(found.preview))
    told = {"proposal": found.id, "outcome": outcome, "preview": preview}
    for most in (_TITLES, 2, 0):
        preview |= {name: preview[name][:most] for name in ("won", "lost") if name in preview}
        if len(as_json(told).encode()) <= MOST_BYTES:
            return told
    return {**told, "preview": "is longer than an answer may be"}
