"""Cases: what agents find, who speaks for it, and what the policy lets happen without a person.

Witnesses are classes of evidence, not models: sellers (their fields and titles are one), images by
the vision-language model, the encoder, searches. What decides is code, outside any model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pinlanding_assets.decisions.operations import Operation
from resources.intervals import wilson

AGREED = 0.9  # least share of what a witness has looked at that speaks for an operation
SURE = 0.6  # least lower end of that share's 95 % Wilson interval: six of six
MOST_CASES = 500  # a night
MOST_DECISIONS = 50  # of one agent, a night
MOST_PRODUCTS = 0.01  # of the catalog that one operation may touch without a person

Mode = Literal["auto", "approve", "forbid"]
POLICY: Mapping[str, Mode] = {
    **dict.fromkeys(("word.merge", "word.keep", "word.drop", "word.move"), "auto"),
    **dict.fromkeys(("label.set", "item.hide", "topic.add", "topic.window"), "auto"),
    **dict.fromkeys(("topic.refuse", "topic.title", "key.merge", "key.set"), "approve"),
    **dict.fromkeys(("source.distrust", "feed.map", "feed.value"), "approve"),
}
"""Operation -> whether an agent may have it done without a person, where the evidence is enough."""


@dataclass(frozen=True)
class Witness:
    """A class of evidence on one case.

    Attributes:
        name: images, encoder, sellers, searches or supply.
        asked: Products, or days, that it has looked at.
        agrees: Of these, those that speak for the operation.
        enough: Whether that is enough, where another rule than `AGREED` and `SURE` decides.
    """

    name: str
    asked: int
    agrees: int
    enough: bool | None = None

    @property
    def convinced(self) -> bool:
        """Whether it speaks for the operation, surely enough."""
        if self.enough is not None:
            return self.enough
        share = self.agrees / self.asked if self.asked else 0.0
        return share >= AGREED and wilson(self.agrees, self.asked)[0] >= SURE


@dataclass(frozen=True)
class Case:
    """A finding with the operation that would mend it.

    Attributes:
        agent: Who found it.
        operation: What would mend it.
        why: In a few words; figures and words of the vocabulary alone.
        weight: Searches or products at stake: the order of the queue.
        touched: Products that the operation changes.
        witnesses: Who speaks for it.
        examples: Ids of products to look at, some.
        served: Searches that the operation would serve.
    """

    agent: str
    operation: Operation
    why: str
    weight: float
    touched: int
    witnesses: Sequence[Witness] = ()
    examples: Sequence[str] = ()
    served: int = 0

    def evidence(self) -> dict[str, Any]:
        """As the log keeps it."""
        return {
            "why": self.why[:200],
            "weight": round(self.weight, 3),
            "products": self.touched,
            "searches": self.served,
            "examples": [*self.examples][:12],
            "witnesses": {one.name: f"{one.agrees} of {one.asked}" for one in self.witnesses},
        }


@dataclass(frozen=True)
class Policy:
    """What may happen without a person.

    Attributes:
        modes: Operation -> auto, approve or forbid.
        products: Products of the catalog.
    """

    products: int
    modes: Mapping[str, Mode] = field(default_factory=lambda: POLICY)

    def verdict(self, case: Case) -> tuple[Mode, str]:
        """Auto, approve or forbid, and why."""
        name = case.operation.model_dump()["operation"]
        mode = self.modes.get(name, "forbid")
        if mode != "auto":
            return mode, f"{name} is for a person" if mode == "approve" else f"{name} is forbidden"
        convinced = [one.name for one in case.witnesses if one.convinced]
        if len(convinced) < 2:
            told = ", ".join(convinced) or "nobody"
            return "approve", f"two witnesses are needed, and {told} is convinced"
        if case.touched > max(1, MOST_PRODUCTS * self.products) and name != "topic.add":
            return "approve", f"{case.touched} products are more than 1 % of the catalog"
        return "auto", f"{' and '.join(convinced)} agree"


def ranked(cases: Iterable[Case], most: int = MOST_CASES) -> list[Case]:
    """The weightiest cases, one a target."""
    found: dict[Any, Case] = {}
    for case in sorted(cases, key=lambda one: (-one.weight, str(one.operation))):
        found.setdefault(case.operation.target(), case)
    return list(found.values())[:most]
