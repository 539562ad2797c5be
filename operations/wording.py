"""What a person reads of operations, evidence and previews: plain words, cut to a bound.

What is said here was written by sellers, models and users. It is text: pages escape it, and signs
that could make it read otherwise than it is (directions, zero widths, controls) are shown as such.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, NamedTuple

from pinlanding_assets.decisions.operations import FeedMap, KeySet, LabelSet, Operation

LONGEST = 200  # characters of one text
MOST = 12  # figures, and items of a list
SENTENCES = {
    "word.merge": "In {key}, count {word} as {into}",
    "word.keep": "In {key}, keep {word} as a value of its own",
    "word.drop": "In {key}, ignore {word}",
    "word.move": "Move {word} from {key} to {to_key}",
    "key.merge": "Treat {key} and {into} as one: {into}",
    "source.distrust": "Stop listening to what {seller} says in {key}",
    "label.set": "Say that {product} is {entry}",
    "topic.add": "Make a page for {entries}",
    "topic.refuse": "Make no page for {topic}",
    "topic.title": "Call the page {topic} by the title {title}",
    "topic.window": "Show the page {topic} from {first} to {last} only",
    "item.hide": "Hide {product} on the page {topic}",
    "feed.map": "Read {field} from the column {column}, too",
    "feed.value": "In {attribute}, read {value} as {means}",
}


@dataclass(frozen=True)
class Names:
    """What ids are called.

    Attributes:
        products: Id -> title.
        topics: Id -> title, or what it is about.
    """

    products: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)


class Part(NamedTuple):
    """A piece of a sentence: ours, or a name that stands in it."""

    text: str
    named: bool


class Figure(NamedTuple):
    """A line of evidence or of a preview: a text or number, or items of so many."""

    label: str
    text: str
    items: list[str]
    count: int

    @property
    def whole(self) -> bool:
        """Whether it takes a line of its own."""
        return self.count > 0 or len(self.text) > 24


def clean(text: str, longest: int = LONGEST) -> str:
    """The text on one line, cut, with every sign that cannot be seen shown as �."""
    told = " ".join(text[: 4 * longest].split())
    seen = "".join(letter if letter.isprintable() else "�" for letter in told)
    return seen if len(seen) <= longest else seen[: longest - 1] + "…"


def sentence(operation: Operation, names: Names) -> list[Part]:
    """What is to be done."""
    parts = []
    for ours, name, _, _ in Formatter().parse(_sentence(operation)):
        if ours:
            parts.append(Part(ours, False))
        if name:
            parts += _named(name, getattr(operation, name), names)
    return parts


def _sentence(operation: Operation) -> str:
    if isinstance(operation, KeySet):
        if operation.role:
            return "Call products by their {key}"
        return (
            f"Let a product have {'several values' if operation.multi else 'one value'} of {{key}}"
        )
    if isinstance(operation, LabelSet) and not operation.holds:
        return "Say that {product} is not {entry}"
    said = SENTENCES[operation.model_dump()["operation"]]
    return said + " since {since}" if isinstance(operation, FeedMap) and operation.since else said


def _named(name: str, value: Any, names: Names) -> Iterator[Part]:
    if name == "entries":
        for number, entry in enumerate(value):
            if number:
                yield Part(" and ", False)
            yield Part(entry_text(entry), True)
    elif name == "entry":
        yield Part(entry_text(value), True)
    elif name == "topic":
        yield Part(clean(names.topics.get(value, value)), True)
    elif name == "product" and value in names.products:
        yield Part(clean(names.products[value]), True)
        yield from (Part(" (", False), Part(clean(value), True), Part(")", False))
    else:
        yield Part(clean(value), True)


def entry_text(entry: str) -> str:
    """An entry of the vocabulary as people read it: `color: blue`."""
    key, _, value = clean(entry).partition("=")
    return f"{key}: {value}" if value else key


def actor_text(actor: str) -> str:
    """Who has acted: `agent:words` is `the agent words`."""
    kind, _, name = clean(actor, 100).partition(":")
    if kind == "person":
        return name
    if kind == "agent":
        return f"the agent {name}"
    return f"{name}, through a program" if kind == "mcp" else clean(actor, 100)


def figures(told: Mapping[str, Any], *, without: frozenset[str] = frozenset()) -> list[Figure]:
    """Evidence or a preview, at most `MOST` lines: why, then figures, then texts, then lists."""
    lines = [_figure(key, value) for key, value in told.items() if key not in without]
    return sorted(lines[:MOST], key=lambda one: (one.label != "why", one.count > 0, one.whole))


def _figure(key: str, value: Any) -> Figure:
    label = clean(key.replace("_", " "), 60)
    if isinstance(value, list):
        text = "" if value else "none"
        return Figure(label, text, [_text(one) for one in value[:MOST]], len(value))
    return Figure(label, _text(value), [], 0)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not known"
    if isinstance(value, int):
        return clean(f"{value:,}") if abs(value) < 10**15 else "a number of over 15 digits"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1 else f"{value:,.2f}".rstrip("0").rstrip(".")
    if isinstance(value, str):
        return clean(value) or "nothing"
    if isinstance(value, dict) and not any(isinstance(one, dict | list) for one in value.values()):
        told = ", ".join(f"{key} {_text(one)}" for key, one in value.items())
        return clean(told) or "none"
    return clean(json.dumps(value, ensure_ascii=False, sort_keys=True))
