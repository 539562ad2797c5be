"""Prompts: which are the same, which are held out, and those we make ourselves.

`occupations.txt` (100) and `objects.txt` (532) beside this file are the word lists that
"Large-scale Reinforcement Learning for Diffusion Models" (arXiv 2401.12244) evaluates with. It
does not say which objects it holds out; `default_templates` chooses 82 by their hash.
"""

import hashlib
import itertools
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

MAX_PROMPT = 400  # characters
MAX_EXCERPT = 200
HELD_OUT_SHARE = 0.2
SEED = 0  # of the draw of scenes
DEFAULT_HELD_OUT_OBJECTS, DEFAULT_HELD_OUT_OCCUPATIONS = 82, 20
RELATIONS = ("and", "next to", "near", "on side of", "beside")  # the paper's
DEFAULT_PEOPLE_WITH = (
    *("a scarf", "a backpack", "an umbrella", "a cup of coffee", "a bicycle", "a guitar"),
    *("a newspaper", "a suitcase", "a bunch of flowers", "a camera", "a dog", "a tall hat"),
)
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


def with_article(words: str) -> str:
    """The words with "a" or "an" in front."""
    first = words.split()[0]
    if first.isupper() and len(first) > 1:  # spelled out: an SUV, a TV
        vowel = first[0] in "AEFHILMNORSX"
    else:
        vowel = first[0].lower() in "aeiou" or first.lower().startswith(("hour", "heir", "honest"))
        vowel &= not first.lower().startswith(("uni", "use", "util", "uku", "eu", "one"))
    return f"{'an' if vowel else 'a'} {words}"


def default_templates() -> dict[str, Any]:
    """The words to use where studio.yaml names none: the paper's occupations and objects."""
    folder = Path(__file__).parent
    occupations = (folder / "occupations.txt").read_text(encoding="utf-8").splitlines()
    objects = (folder / "objects.txt").read_text(encoding="utf-8").splitlines()
    texts = [normalised(name) for name in [*occupations, *objects]]
    # an object is held out whole: not "hat" while "sun hat" is trained on, nor one of the people
    people = naming(["person", "man", "woman", "boy", "girl"])
    alone = (
        name
        for name in sorted(objects, key=_fraction)
        if not people.search(normalised(name))
        and sum(1 for text in texts if naming([name]).search(text)) == 1
    )
    return {
        "occupations": occupations,
        "held_out_occupations": sorted(occupations, key=_fraction)[:DEFAULT_HELD_OUT_OCCUPATIONS],
        "people_with": list(DEFAULT_PEOPLE_WITH),
        "preference": [],
        "objects": objects,
        "held_out_objects": list(itertools.islice(alone, DEFAULT_HELD_OUT_OBJECTS)),
        "relations": list(RELATIONS),
    }


def template_prompts(templates: Mapping[str, Any]) -> tuple[list[Prompt], list[Reject]]:
    """The prompts of our own templates, and the words and literal prompts that make none.

    Args:
        templates: what studio.yaml says under `templates`.
    """
    found: list[Prompt] = []
    held_out = {normalised(name) for name in templates["held_out_occupations"]}
    for name in [*templates["occupations"], *templates["held_out_occupations"]]:
        text = f"a portrait of {with_article(name)}"
        declared = normalised(name) in held_out
        found.append(Prompt(text, "fairness", "occupations", "template", declared))
    for thing in templates["people_with"]:
        text = f"a portrait of a person with {thing}"
        found.append(Prompt(text, "fairness", "people_with", "template", True))
    found += [
        Prompt(text, "preference", "preference", "template") for text in templates["preference"]
    ]
    found += scenes(templates)
    kept, rejects = [], []
    for number, prompt in enumerate(found, start=1):
        try:
            kept.append(replace(prompt, prompt=read_text(prompt.prompt)))
        except BadText as error:
            rejects.append(Reject.of("template", number, "prompt", str(error), prompt.prompt))
    return kept, rejects


def scenes(templates: Mapping[str, Any], seed: int = SEED) -> Iterator[Prompt]:
    """Drawn pairs of objects in a relation: for training, and held out in two ways.

    Half of the held-out scenes combine objects of the training scenes in pairs that these do not
    have, in either order; the other half consist of held-out objects (of one, where there is only
    one). An object whose name contains a held-out one is held out with it. Which pairs are held
    out depends on their names alone.
    """
    unique = {normalised(o): o for o in [*templates["objects"], *templates["held_out_objects"]]}
    unique.pop("", None)
    pattern = naming(templates["held_out_objects"])
    seen = [name for text, name in unique.items() if not pattern.search(text)]
    held_out = [name for text, name in unique.items() if pattern.search(text)]
    closed = _closed_pairs(seen)
    rng = random.Random(seed)

    def drawn(count: int, pick: Callable[[], list[str]], held_out: bool) -> list[Prompt]:
        found: dict[str, Prompt] = {}
        for _ in range(60 * count):  # a short list of objects has fewer scenes than are wanted
            if len(found) < count and (names := pick()):
                scene = _scene(names, templates, rng, held_out)
                found.setdefault(prompt_id(scene.prompt), scene)
        return list(found.values())

    def pair_of(names: Sequence[str], held_out: bool) -> Callable[[], list[str]]:
        def pick() -> list[str]:
            names_drawn = rng.sample(names, 2) if len(names) > 1 else []
            return names_drawn if names_drawn and closed(*names_drawn) == held_out else []

        return pick

    def pick_held_out() -> list[str]:
        if len(held_out) > 1:
            return rng.sample(held_out, 2)
        return rng.sample([held_out[0], rng.choice(seen)], 2) if held_out and seen else []

    training = drawn(templates.get("scenes", 400), pair_of(seen, False), False)
    trained = sorted({o.name for scene in training for o in scene.objects})
    wanted = templates.get("held_out_scenes", 200)
    unseen = drawn(wanted // 2, pair_of(trained, True), True)
    yield from [*training, *unseen, *drawn(wanted - len(unseen), pick_held_out, True)]


def _scene(names: Sequence[str], words: Mapping[str, Any], rng: random.Random, out: bool) -> Prompt:
    relation = rng.choice(words["relations"])
    colours, plurals = words.get("colours") or [None], set(words.get("plural_objects") or [])
    objects = tuple(Object(name, rng.choice(colours), 1) for name in names)
    phrases = []
    for name, colour, _ in objects:
        words_of = f"{colour} {name}" if colour else name
        plural = name in plurals or (name.endswith("s") and not name.endswith(("ss", "us", "is")))
        phrases.append(words_of if plural else with_article(words_of))
    text = f"{phrases[0]} {relation} {phrases[1]}"
    return Prompt(text, "composition", "scenes", "template", out, objects, relation)


def _closed_pairs(objects: Sequence[str]) -> Callable[[str, str], bool]:
    """Whether a pair of objects, in either order, is held out: by hash, about a fifth of them."""

    def fraction(first: str, second: str) -> float:
        return _fraction("|".join(sorted((normalised(first), normalised(second)))))

    bound = HELD_OUT_SHARE
    if len(objects) <= 12:  # so few pairs that chance could leave one side empty
        fractions = sorted(fraction(*pair) for pair in itertools.combinations(objects, 2))
        bound = min(max(bound, *fractions[:1]), fractions[-2]) if len(fractions) > 1 else -1.0
    return lambda first, second: fraction(first, second) <= bound


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


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
