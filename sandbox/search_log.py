"""A day's searches: few intents asked often, many rarely, in every spelling."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np

from sandbox.products import draw_attributes
from sandbox.titles import mistyped, spoken

INTENTS = 900
SEARCHES = 20_000  # a day
SKEW = 1.05  # exponent of Zipf's law over intents
ORDER = ("length", "colour", "pattern", "material", "neck", "category", "sleeve")
# What people type that names no product: other pages of the shop, and noise.
AIMLESS = (
    "my order",
    "return policy",
    "gift card",
    "opening hours",
    "login",
    "size guide",
    "asdf",
    "qqq",
    "12345",
    "???",
    "iphone 17 case",
    "pizza",
)
Intent = tuple[tuple[str, str], ...]


@lru_cache(maxsize=4)
def intents(seed: int) -> tuple[Intent, ...]:
    """What people want, the most wanted first: one to three attributes, mostly with a category."""
    rng = np.random.default_rng([seed, 81])
    found: dict[Intent, None] = {}
    while len(found) < INTENTS:
        wanted = draw_attributes(rng)
        others = [key for key in wanted if key != "category" and wanted[key] != "plain"]
        with_category = rng.random() < 0.9
        count = int(rng.choice((0, 1, 2), p=(0.2, 0.5, 0.3))) if with_category else 1
        weights = np.array(
            [3.0 if key in ("colour", "pattern", "material") else 1.0 for key in others]
        )
        chosen = {
            others[i]
            for i in rng.choice(
                len(others), min(count, len(others)), False, weights / weights.sum()
            )
        }
        if with_category:
            chosen.add("category")
        found[tuple((key, wanted[key]) for key in ORDER if key in chosen)] = None
    return tuple(found)


def phrase(intent: Iterable[tuple[str, str]], rng: np.random.Generator, synonym_rate: float) -> str:
    """The intent in words, in the order people write them."""
    return " ".join(spoken(key, value, rng, synonym_rate) for key, value in intent).lower()


def _typed(intent: Intent, rng: np.random.Generator) -> tuple[str, bool]:
    """One query for an intent, and whether it is whole (not cut while typing)."""
    way = rng.random()
    text = phrase(intent, rng, 0.0 if way < 0.55 else 0.5)
    if way >= 0.78 and way < 0.88:
        words = text.split()
        at = int(rng.integers(len(words)))
        words[at] = mistyped(words[at], rng)
        text = " ".join(words)
    if way >= 0.88:
        return text[: int(rng.integers(2, max(len(text), 4)))].strip(), False
    return text, True


def searches(seed: int, day: int) -> tuple[dict[str, int], Mapping[str, Intent | None]]:
    """Counts of a day's queries, and what each meant; None for a query without a product.

    `day` is its number (`World.ordinal`). A prefix means what the query it was cut from meant most
    often that day.
    """
    rng = np.random.default_rng([seed, 82, day])
    ranks = np.arange(1, INTENTS + 1, dtype=float)
    # Fashion moves: each day shakes the popularity of every intent a little.
    shares = ranks**-SKEW * np.random.default_rng([seed, 83, day]).lognormal(0, 0.3, INTENTS)
    volume = int(SEARCHES * rng.uniform(0.85, 1.15))
    counts: Counter[str] = Counter()
    meanings: dict[str, Counter[Intent | None]] = {}
    wanted = rng.multinomial(volume, shares / shares.sum())
    for intent, count in zip(intents(seed), wanted, strict=True):
        forms = min(int(count), 3 + int(count) // 12)
        if forms == 0:
            continue
        # Whoever asks for the same thing mostly writes it the same way.
        split = rng.multinomial(count, rng.dirichlet(np.full(forms, 0.6)))
        for part in split[split > 0]:
            text, _ = _typed(intent, rng)
            counts[text] += int(part)
            meanings.setdefault(text, Counter())[intent] += int(part)
    for text in AIMLESS:
        counts[text] += int(rng.integers(1, 40))
        meanings.setdefault(text, Counter())[None] += 1
    meant = {text: votes.most_common(1)[0][0] for text, votes in meanings.items()}
    return dict(counts.most_common()), meant
