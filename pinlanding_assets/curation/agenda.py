"""A night of the agents: what they find, what it would change, and what may be done at once."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.catalog.live import sellable
from pinlanding_assets.curation.cases import MOST_DECISIONS, Case, Policy, ranked
from pinlanding_assets.curation.desk import Desk, Proposal, Refused
from pinlanding_assets.curation.quality_auditor import doubted_labels, wrong_labels
from pinlanding_assets.curation.shadow import Shadow
from pinlanding_assets.curation.topics_editor import unmet_demand
from pinlanding_assets.curation.view import LakeView
from pinlanding_assets.curation.words_steward import (
    twin_keys,
    words_against_images,
    words_under_two_keys,
    wrong_sources,
)
from pinlanding_assets.decisions.operations import (
    TopicAdd,
    View,
    WordDrop,
    WordKeep,
    WordMerge,
    WordMove,
)
from pinlanding_assets.decisions.state import canonical

PREVIEWED = 12  # cases a night that get a preview of their own; topics are previewed together
CONTROL = 10  # of so many cases that could be done at once, one is left to be compared with
_SLIP = 0.005  # fall of the pages' precision that is called harm
PROPOSALS_SCHEMA = {
    "proposal": pl.String,
    "agent": pl.String,
    "operation": pl.String,
    "verdict": pl.String,
    "why": pl.String,
    "weight": pl.Float64,
    "products": pl.Int64,
    "searches": pl.Int64,
    "outcome": pl.String,
}
"""Columns of `curation_proposals.proposals`; `proposal` is null where nothing was proposed."""


class Batch(NamedTuple):
    """What may be done without a person, what it would change, and why not, where it is harmful."""

    proposals: list[Proposal]
    control: int
    preview: dict
    harm: str


def find_cases(view: LakeView, *, least: int) -> list[Case]:
    """Everything that the agents have to say, the weightiest first.

    Args:
        view: The catalog.
        least: Fewest products of a page.
    """
    on_sale = sellable(view.products).select("product_id")
    carried = view.assignments.join(on_sale, on="product_id", how="semi")
    twins = list(twin_keys(view.mentions, view.keys))
    claims = doubted_labels(view.assignments, view.keys, view.items)
    seen = view.reads(claims["product_id"].unique().sort())
    return ranked(
        [
            *unmet_demand(view.demand, view.collections, view.topics, carried, least=least),
            *words_against_images(view.mentions, view.entries, view.aliases, view.keys),
            *words_under_two_keys(view.entries, view.aliases, view.mentions, twins),
            *twins,
            *wrong_sources(view.mentions, view.aliases, view.keys, view.products),
            *wrong_labels(claims, seen, view.mentions, view.aliases),
        ]
    )


def propose_all(cases: Sequence[Case], policy: Policy, desk: Desk, shadow: Shadow) -> pl.DataFrame:
    """Puts cases before whoever decides; `PROPOSALS_SCHEMA`.

    New topics are previewed together: one that would not get a page is not proposed.
    """
    topics = [one.operation for one in cases if isinstance(one.operation, TopicAdd)]
    pages = shadow.pages(topics).accepted if topics else {}
    rows, previewed, doubted = [], 0, doubted_entries(cases, desk.view)
    for case in cases:
        mode, why = policy.verdict(case)
        preview: dict = {}
        outcome, name = "", None
        if case.operation.facet != "words" and (named := case.operation.needs() & doubted):
            mode, why = "forbid", f"it waits until it is decided what {min(named)} is"
        if mode != "forbid" and isinstance(case.operation, TopicAdd):
            title = pages.get(case.operation.topic)
            preview = {"title": title}
            outcome = "" if title else "its page would not pass the gates"
        if mode == "forbid":
            outcome = why
        if not outcome:
            if not preview and case.operation.facet in ("words", "labels") and mode != "forbid":
                previewed += 1
                preview = shadow.preview([case.operation]) if previewed <= PREVIEWED else {}
            told = {**case.evidence(), "auto": mode == "auto", "policy": why}
            try:
                found = desk.propose(case.operation, case.agent, evidence=told, preview=preview)
                name = found.id if found else None
                outcome = "waits for an answer" if found else "answered before"
            except Refused as error:
                outcome = str(error)
        rows.append(
            (
                *(name, case.agent, canonical(case.operation), mode, f"{case.why}; {why}"),
                *(case.weight, case.touched, case.served, outcome[:200]),
            )
        )
    return pl.DataFrame(rows, schema=PROPOSALS_SCHEMA, orient="row")


def doubted_entries(cases: Sequence[Case], view: View) -> set[str]:
    """The entries that cases on words are about: what is built on them waits for the answer, as an
    encoder that learned a wrong word is no witness on it."""
    meaning = {
        (fold(key), fold(raw)): entry
        for key, raw, entry in view.aliases.select("key", "raw_value", "entry_id").iter_rows()
    }
    found = set()
    for case in cases:
        one = case.operation
        if isinstance(one, WordKeep | WordMerge | WordDrop | WordMove):
            found.add(meaning.get((fold(one.key), fold(one.word))))
        if isinstance(one, WordMove):
            found.add(f"{one.to_key}={one.word}")
    return {entry for entry in found if entry is not None}


def batch_of(waiting: Sequence[Proposal], table: pl.DataFrame, shadow: Shadow) -> Batch:
    """The open proposals that the policy lets be done at once, tried together before.

    Args:
        waiting: Open proposals, the weightiest first.
        table: What the newest look says (`propose_all`): what it doubts by now is not done.
        shadow: Pages with and without them.
    """
    auto = set(table.filter(verdict="auto")["proposal"].drop_nulls())
    ready: dict[str, list[Proposal]] = {}
    control = 0
    for one in waiting:
        if not one.actor.startswith("agent:") or one.id not in auto:
            continue
        if int(hashlib.sha256(one.id.encode()).hexdigest(), 16) % CONTROL == 0:
            control += 1
            continue
        ready.setdefault(one.actor, []).append(one)
    chosen = [one for several in ready.values() for one in several[:MOST_DECISIONS]]
    if not chosen:
        return Batch([], control, {}, "")
    preview = shadow.preview([one.operation for one in chosen])
    return Batch(chosen, control, preview, harm_of(preview))


def harm_of(preview: dict) -> str:
    """What a preview says that must not happen without a person; empty: nothing."""
    if preview["searches_after"] < preview["searches_before"]:
        return "fewer searches would meet a page"
    if preview["precision_after"] < preview["precision_before"] - _SLIP:
        return "fewer products on pages would be right"
    return ""
