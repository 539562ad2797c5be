"""Prompts: what makes a text one, which are the same, and on which side of the split each is."""

import hashlib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import polars as pl

from resources.feeds.rows import FeedError

MAX_PROMPT = 400  # characters
MAX_EXCERPT = 200
HELD_OUT_SHARE = 0.2
PROMPTS = {
    "prompt_id": pl.String,
    "prompt": pl.String,
    "objective": pl.String,
    "family": pl.String,
    "split": pl.String,
    "objects": pl.List(
        pl.Struct({"name": pl.String, "colour": pl.String, "count": pl.Int64}),
    ),
    "relation": pl.String,
    "held_out_objects": pl.Boolean,
    "source": pl.String,
    "count": pl.Int64,
}
REJECTS = {
    "file": pl.String,
    "row": pl.Int64,
    "field": pl.String,
    "reason": pl.String,
    "value": pl.String,
}
_ARTICLES = {"a", "an", "the"}
_JOINERS = "\u200c\u200d"  # needed by several scripts and by emoji
_IRREGULAR = [
    *(("man", "men"), ("woman", "women"), ("person", "people"), ("child", "children")),
    *(("mouse", "mice"), ("goose", "geese"), ("knife", "knives"), ("shelf", "shelves")),
]


class Object(NamedTuple):
    """An object that a prompt states, with its colour and number where it states them."""

    name: str
    colour: str | None = None
    count: int | None = None


@dataclass(frozen=True)
class Prompt:
    """A prompt as it came in. `held_out` is what its source declares, None: the text decides."""

    prompt: str
    objective: str
    family: str
    source: str
    held_out: bool | None = None
    objects: tuple[Object, ...] = ()
    relation: str | None = None


class Reject(NamedTuple):
    """A row, or a part of it, that was not taken over, and why."""

    file: str
    row: int
    field: str
    reason: str
    value: str

    @classmethod
    def of(cls, file: str, row: int, field: str, reason: str, value: Any) -> "Reject":
        """A reject that shows the printable start of any value."""
        text = value if isinstance(value, str) else repr(value)[: 2 * MAX_EXCERPT]
        text = "".join(c if c.isprintable() else " " for c in text[:MAX_EXCERPT])
        return cls(file, row, field, reason[:MAX_EXCERPT], text.strip())


def refused_whole(file: str, rejects: Sequence[Reject], where: str) -> FeedError:
    """The error about a file of which nothing can be used, with the commonest reason.

    Args:
        file: Its name.
        rejects: Of its rows.
        where: Which setting names it, and what may be set.
    """
    if not rejects:
        return FeedError(f"{file}: nothing in it can be compared ({where})")
    (field, reason), count = Counter((r.field, r.reason) for r in rejects).most_common(1)[0]
    return FeedError(
        f"{file}: nothing in it can be used. Most often ({count} of {len(rejects)}): {field}: "
        f"{reason} ({where})"
    )


class BadText(ValueError):
    """A text that is no prompt; the message is the reason."""


def read_text(value: Any, limit: int = MAX_PROMPT) -> str:
    """A prompt as received, at most `limit` characters, with its spaces folded.

    Raises:
        BadText: missing, no text, too long, with control characters, or without a word.
    """
    if value is None or value == "":
        raise BadText("missing")
    if not isinstance(value, str):
        raise BadText("not a text")
    if len(value) > limit:
        raise BadText(f"longer than {limit} characters: {len(value)}")
    for character in value:
        if unicodedata.category(character)[0] == "C" and character not in "\t\n\r" + _JOINERS:
            raise BadText("control characters")
    text = " ".join(value.split())
    if not normalised(text):
        raise BadText("no words")
    return text


@lru_cache(maxsize=1 << 16)  # a prompt has many votes, an object is in many scenes
def normalised(text: str) -> str:
    """What a prompt says, whatever its case, punctuation, articles and spaces."""
    text = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(" " if unicodedata.category(c)[0] in "PZC" else c for c in text).split()
    return " ".join([word for word in words if word not in _ARTICLES] or words)


def prompt_id(prompt: str) -> str:
    """16 hex digits that equal and nearly equal prompts share."""
    return hashlib.sha256(normalised(prompt).encode()).hexdigest()[:16]


def side(identity: str) -> str:
    """`train` or `held_out` by a prompt_id alone: the same in every file, stage and run."""
    return "held_out" if int(identity, 16) < HELD_OUT_SHARE * 16**16 else "train"


def naming(objects: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds any of the objects, one or several, in a normalised text.

    It rather finds too much ("glass" for "glasses"): what it finds is held out.
    """
    forms = sorted({form for name in objects for form in _forms(name)})
    return re.compile(rf"(?<!\S)(?:{'|'.join(forms)})(?!\S)" if forms else r"(?!)")


def _forms(name: str) -> set[str]:
    *first, last = normalised(name).split() or [""]
    forms = {last, last + "s", last + "es"}
    for ending, others in {"y": ["ies"], "ies": ["y"], "es": ["", "e"], "s": [""]}.items():
        if last.endswith(ending) and not last.endswith("ss"):
            forms |= {last.removesuffix(ending) + other for other in others}
    for pair in _IRREGULAR:
        forms |= set(pair) if last in pair else set()
    return {" ?".join(re.escape(word) for word in [*first, form]) for form in forms if form}


def assemble(prompts: Iterable[Prompt], held_out_objects: Iterable[str]) -> pl.DataFrame:
    """The table of prompts: one row a prompt and objective, each prompt on one side.

    A prompt is held out if one of its sources says so, if it names a held-out object, or if it
    states two objects that our scenes hold out as a pair; else it is trained on if a source says
    so; else its text decides (`side`). `count` is how many received prompts a row stands for.
    """
    prompts, pattern = list(prompts), naming(held_out_objects)
    named = [_names_one(prompt, pattern) for prompt in prompts]
    closed = {
        _pair(*prompt.objects)
        for prompt, hit in zip(prompts, named, strict=True)
        if prompt.family == "scenes" and prompt.held_out and not hit
    }
    declared: dict[str, bool] = {}
    rows: dict[tuple[str, str], tuple[Prompt, bool]] = {}
    counts: dict[tuple[str, str], int] = {}
    for prompt, hit in zip(prompts, named, strict=True):
        identity = prompt_id(prompt.prompt)
        pairs = {_pair(*pair) for pair in itertools.combinations(prompt.objects, 2)}
        if prompt.held_out is not None or hit or pairs & closed:
            out = bool(prompt.held_out) or hit or bool(pairs & closed)
            declared[identity] = declared.get(identity, False) or out
        key = (prompt.objective, identity)
        rows.setdefault(key, (prompt, hit))
        counts[key] = counts.get(key, 0) + 1
    table = [
        (
            *(identity, prompt.prompt, objective, prompt.family),
            ("held_out" if declared[identity] else "train")
            if identity in declared
            else side(identity),
            [o._asdict() for o in prompt.objects],
            *(prompt.relation, hit, prompt.source, counts[objective, identity]),
        )
        for (objective, identity), (prompt, hit) in sorted(rows.items(), key=lambda item: item[0])
    ]
    return pl.DataFrame(table, schema=PROMPTS, orient="row")


def _pair(first: Object, second: Object) -> frozenset[str]:
    return frozenset((normalised(first.name), normalised(second.name)))


def _names_one(prompt: Prompt, pattern: re.Pattern[str]) -> bool:
    """Whether a prompt names one of the objects: as it states, else anywhere in its text."""
    if prompt.objects:  # "an orange dress" has no orange in it
        return any(pattern.search(normalised(o.name)) for o in prompt.objects)
    return bool(pattern.search(normalised(prompt.prompt)))
