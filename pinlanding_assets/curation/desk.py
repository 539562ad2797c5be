"""Where operations are proposed, decided and taken back: the one door to the log.

People, agents and other programs come through it alike. A proposal is kept with its evidence and
its preview. An approval names both, so that what is done is what was looked at; anything but an
explicit yes is a no. A person's decision stands before an agent's.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pinlanding_assets.decisions.operations import Operation, View, parse
from pinlanding_assets.decisions.state import (
    Decision,
    State,
    canonical,
    dependants,
    fold,
    proposal_id,
)
from resources.decisions import DecisionLog, Event

OPEN_DAYS = 7  # a proposal that nobody answers lapses
CHANGED = 0.1  # by this share evidence has to change before an answered case is raised again


class Refused(Exception):
    """What was asked cannot be done; says why."""


@dataclass(frozen=True)
class Proposal:
    """An operation that waits for an answer.

    Attributes:
        id: Of the operation and of the state that it was proposed to.
        operation: What is to be done.
        actor: Who proposes it.
        at: When, UTC, ISO 8601.
        evidence: Figures and words that speak for it; `weight` is what is at stake.
        preview: What it would change, as it was shown.
    """

    id: str
    operation: Operation
    actor: str
    at: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    preview: Mapping[str, Any] = field(default_factory=dict)

    def age(self, now: datetime | None = None) -> float:
        """How long it has waited, in days."""
        return ((now or datetime.now(UTC)) - datetime.fromisoformat(self.at)) / timedelta(days=1)

    @property
    def seen(self) -> str:
        """A hash of what is shown: an approval names it. 16 hexadecimal digits."""
        told = json.dumps([self.id, dict(self.evidence), dict(self.preview)], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


class Desk:
    """The log with the view that operations are checked against.

    Args:
        log: Where everything is written down.
        view: The catalog as it is.
    """

    def __init__(self, log: DecisionLog, view: View):
        self._log, self.view = log, view

    def state(self) -> State:
        """What the decisions in force say."""
        return fold(self._log.events())

    def propose(
        self,
        operation: Operation,
        actor: str,
        *,
        evidence: Mapping[str, Any] | None = None,
        preview: Mapping[str, Any] | None = None,
    ) -> Proposal | None:
        """Put an operation before whoever decides.

        Returns:
            The proposal; the one that is there where it was proposed before. None where it is in
            force already, or was answered and its evidence has not changed.

        Raises:
            Refused: it cannot be done, or contradicts a person.
        """
        events = self._log.events()
        state = fold(events)
        there = state.decisions.get(operation.target())
        if there is not None and canonical(there.operation) == canonical(operation):
            return None
        if actor.startswith("agent:") and there is not None and there.by_person:
            raise Refused(f"{there.actor} has decided {canonical(there.operation)}")
        if fault := operation.fault(self.view):
            raise Refused(fault)
        told = evidence or {}
        name = proposal_id(operation, state)
        for waiting in open_proposals(events):
            if waiting.id == name:
                return waiting
        if not actor.startswith("person:") and _answered(operation, told, events):
            return None
        body = {
            "operation": operation.model_dump(mode="json"),
            "evidence": dict(told),
            "preview": dict(preview or {}),
        }
        self._log.add("propose", name, actor, body)
        waiting = {one.id: one for one in open_proposals(self._log.events())}
        return waiting[name]

    def approve(self, proposal: str, seen: str, actor: str) -> Decision:
        """Decide a proposal as it was shown.

        Args:
            proposal: Its id.
            seen: `Proposal.seen` of what was looked at.
            actor: Who approves.

        Raises:
            Refused: it is not open, was shown otherwise, cannot be done any more, or contradicts
                a person.
        """
        return self.approve_all([(proposal, seen)], actor)[0]

    def approve_all(self, shown: Sequence[tuple[str, str]], actor: str) -> list[Decision]:
        """Decide proposals together, or none of them.

        Args:
            shown: Ids, each with `Proposal.seen` of what was looked at.
            actor: Who approves.

        Raises:
            Refused: see `approve`.
        """
        events = self._log.events()
        waiting, state = {one.id: one for one in open_proposals(events)}, fold(events)
        operations = []
        for proposal, seen in shown:
            found = waiting.get(proposal)
            if found is None:
                raise Refused(f"there is no open proposal {proposal}")
            if found.seen != seen:
                raise Refused("what was approved is not what the log holds: look at it again")
            if proposal_id(found.operation, state) != proposal:
                raise Refused("it was decided otherwise since it was shown: propose it again")
            operations.append((proposal, found.operation))
        return self._apply(operations, actor, events)

    def decide(self, operation: Operation, actor: str) -> Decision:
        """Propose and decide in one step: a person's own act.

        Raises:
            Refused: it cannot be done.
        """
        events = self._log.events()
        name = proposal_id(operation, fold(events))
        return self._apply([(name, operation)], actor, events)[0]

    def refuse(self, proposal: str, actor: str, why: str = "") -> None:
        """Answer a proposal with no.

        Raises:
            Refused: it is not open.
        """
        events = self._log.events()
        if proposal not in {one.id for one in open_proposals(events)}:
            raise Refused(f"there is no open proposal {proposal}")
        self._log.add("refuse", proposal, actor, {"why": why[:200]}, after=len(events))

    def revert(
        self, proposal: str, actor: str, *, cascade: bool = False, seen: str | None = None
    ) -> list[Decision]:
        """Take a decision back, as if it had never been made.

        Args:
            proposal: Of the decision.
            actor: Who takes it back.
            cascade: Those that stand on it go with it.
            seen: `seen_of` those that were shown to stand on it; None: whatever does.

        Returns:
            What was taken back, the last made first.

        Raises:
            Refused: it is not in force, others stand on it, or an agent takes back a person's.
        """
        events = self._log.events()
        in_force = {one.proposal: one for one in fold(events).decisions.values()}
        if proposal not in in_force:
            raise Refused(f"{proposal} is no decision in force")
        standing = dependants(proposal, events)
        if standing and not cascade:
            named = ", ".join(canonical(one.operation) for one in standing[:5])
            raise Refused(f"{len(standing)} decisions stand on it ({named}): take them along")
        if seen is not None and seen_of(standing) != seen:
            raise Refused("what stands on it has changed since it was shown: look at it again")
        gone = [*standing, in_force[proposal]]
        if actor.startswith("agent:") and any(one.by_person for one in gone):
            raise Refused("an agent cannot take back what a person has decided")
        self._log.add_all([("revert", one.proposal, actor, {}) for one in gone], after=len(events))
        return gone

    def _apply(
        self, operations: Sequence[tuple[str, Operation]], actor: str, events: Sequence[Event]
    ) -> list[Decision]:
        decided = dict(fold(events).decisions)
        made = []
        for place, (proposal, operation) in enumerate(operations, len(events) + 1):
            there = decided.get(operation.target())
            if there is not None and canonical(there.operation) == canonical(operation):
                raise Refused("that is decided already")
            if there is not None and there.by_person and actor.startswith("agent:"):
                raise Refused(f"{there.actor} has decided {canonical(there.operation)}")
            if fault := operation.fault(self.view) or _circle(operation, State(decided)):
                raise Refused(fault)
            made.append(Decision(proposal, place, actor, operation))
            decided[operation.target()] = made[-1]
        told = [
            ("apply", one.proposal, actor, {"operation": one.operation.model_dump(mode="json")})
            for one in made
        ]
        self._log.add_all(told, after=len(events))
        return made


def seen_of(decisions: Sequence[Decision]) -> str:
    """A hash of decisions that are shown together. 16 hexadecimal digits."""
    told = "\n".join(sorted(one.proposal for one in decisions))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def open_proposals(events: Sequence[Event], now: datetime | None = None) -> list[Proposal]:
    """The proposals that wait for an answer, the weightiest first.

    One that is proposed again, to another state, takes the place of the first; one that somebody
    decided on his own is answered.

    Args:
        events: The log.
        now: Proposals of over `OPEN_DAYS` before it have lapsed; None: the clock.
    """
    since = ((now or datetime.now(UTC)) - timedelta(days=OPEN_DAYS)).isoformat()
    waiting: dict[str, Proposal] = {}
    named: dict[str, str] = {}  # operation -> id under which it waits
    for event in events:
        if event.event in ("propose", "apply"):
            operation = parse(dict(event.body["operation"]))
            waiting.pop(named.pop(canonical(operation), ""), None)
        if event.event == "propose":
            told, preview = event.body["evidence"], event.body["preview"]
            waiting[event.proposal] = Proposal(
                event.proposal, operation, event.actor, event.at, told, preview
            )
            named[canonical(operation)] = event.proposal
        else:
            waiting.pop(event.proposal, None)
    found = [one for one in waiting.values() if one.at >= since]
    return sorted(found, key=lambda one: (-_weight(one.evidence), one.id))


def _weight(evidence: Mapping[str, Any]) -> float:
    """What is at stake; nothing where the evidence does not say it as a number."""
    told = evidence.get("weight", 0)
    try:
        return float(told) if isinstance(told, int | float) and math.isfinite(told) else 0.0
    except OverflowError:  # an integer of hundreds of digits
        return 0.0


def _answered(operation: Operation, evidence: Mapping[str, Any], events: Sequence[Event]) -> bool:
    """Whether the same was proposed before, on much the same evidence, and answered with no."""
    told: dict[str, float] = {}
    answered: dict[str, bool] = {}
    same = canonical(operation)
    for event in events:
        if event.event == "propose" and canonical(parse(dict(event.body["operation"]))) == same:
            told[event.proposal] = _weight(event.body["evidence"])
            answered.pop(event.proposal, None)
        elif event.event == "apply" and canonical(parse(dict(event.body["operation"]))) == same:
            told.setdefault(event.proposal, 0.0)
        elif event.proposal in told:
            answered[event.proposal] = event.event in ("refuse", "revert")
    weight = _weight(evidence)
    return any(
        abs(weight - told[proposal]) < CHANGED * max(told[proposal], 1.0)
        for proposal, no in answered.items()
        if no
    )


def _circle(operation: Operation, state: State) -> str | None:
    """Why words or keys would be merged in a circle."""
    target = operation.target()
    towards = {
        one.target(): one.leads_to()
        for one in (decision.operation for decision in state.decisions.values())
    } | {target: operation.leads_to()}
    seen, at = {target}, towards[target]
    while at is not None:
        if at in seen:
            return "with what is decided already, it would be merged into itself"
        seen.add(at)
        at = towards.get(at)
    return None
