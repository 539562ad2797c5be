"""The prompts that we make ourselves: portraits, and scenes of two objects.

`occupations.txt` (100) and `objects.txt` (532) beside this file are the word lists that
"Large-scale Reinforcement Learning for Diffusion Models" (arXiv 2401.12244) evaluates with. It
does not say which objects it holds out; `default_templates` chooses 82 by their hash.
"""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rl_diffusion_assets.prompts.prompts import (
    HELD_OUT_SHARE,
    BadText,
    Object,
    Prompt,
    Reject,
    naming,
    normalised,
    prompt_id,
    read_text,
)

SEED = 0  # of the draw of scenes
DEFAULT_HELD_OUT_OBJECTS, DEFAULT_HELD_OUT_OCCUPATIONS = 82, 20
RELATIONS = ("and", "next to", "near", "on side of", "beside")  # the paper's
DEFAULT_PEOPLE_WITH = (
    *("a scarf", "a backpack", "an umbrella", "a cup of coffee", "a bicycle", "a guitar"),
    *("a newspaper", "a suitcase", "a bunch of flowers", "a camera", "a dog", "a tall hat"),
)


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
