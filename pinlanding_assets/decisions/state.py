"""What the decisions in force say: a pure function of the log.

There is no inverse of an operation anywhere. To take a decision back is to leave it out of the
fold, so that a log with a decision and its reversal means exactly what it meant before.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pinlanding_assets.decisions.operations import Operation, Target, parse


class Event(Protocol):
    """A row of the log (`resources/decisions.py`)."""

    @property
    def seq(self) -> int: ...
    @property
    def event(self) -> str: ...
    @property
    def proposal(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def body(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Decision:
    """An operation that was decided, by whom, and where the log says so."""

    proposal: str
    seq: int
    actor: str
    operation: Operation

    @property
    def by_person(self) -> bool:
        return not self.actor.startswith("agent:")


@dataclass(frozen=True)
class State:
    """The decisions in force: of those on one target the last, and a person's before an agent's."""

    decisions: Mapping[Target, Decision]

    def of(self, facet: str) -> list[Decision]:
        """The decisions of a facet, by target: the same whatever order they were made in."""
        found = [(target, one) for target, one in self.decisions.items()]
        return [one for target, one in sorted(found) if one.operation.facet == facet]

    def version(self, facet: str) -> str:
        """A hash of what a facet says; 16 hexadecimal digits."""
        said = [canonical(one.operation) for one in self.of(facet)]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def fold(log: Iterable[Event]) -> State:
    """The state that a log describes."""
    applied: dict[str, Decision] = {}
    for event in log:
        if event.event == "apply":
            operation = parse(dict(event.body["operation"]))
            applied.pop(event.proposal, None)
            applied[event.proposal] = Decision(event.proposal, event.seq, event.actor, operation)
        elif event.event == "revert":
            applied.pop(event.proposal, None)
    state: dict[Target, Decision] = {}
    for decision in applied.values():
        target = decision.operation.target()
        before = state.get(target)
        if before is None or decision.by_person or not before.by_person:
            state[target] = decision
    return State(state)


def canonical(operation: Operation) -> str:
    """The one JSON text of an operation."""
    return json.dumps(operation.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def proposal_id(operation: Operation, state: State) -> str:
    """Id of proposing this where that is decided: proposing it twice is one proposal."""
    there = state.decisions.get(operation.target())
    told = f"{canonical(operation)}\n{canonical(there.operation) if there else ''}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def dependants(proposal: str, log: Iterable[Event]) -> list[Decision]:
    """The decisions in force that stand on one: that name what there would not be without it,
    directly or through others. The last made comes first."""
    in_force = {one.proposal: one for one in fold(log).decisions.values()}
    found: dict[str, Decision] = {}
    waiting = [in_force[proposal]] if proposal in in_force else []
    while waiting:
        made = waiting.pop().operation.makes()
        for one in in_force.values():
            later = one.proposal != proposal and one.proposal not in found
            if later and made & one.operation.needs():
                found[one.proposal] = one
                waiting.append(one)
    return sorted(found.values(), key=lambda one: -one.seq)
