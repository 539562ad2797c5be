"""What sellers write about a product: titles and descriptions with everything wrong in them."""

from collections.abc import Mapping

import numpy as np

from sandbox.vocabulary import SYNONYMS, VALUES

# How often a title says a value at all.
SAID = {
    "category": 0.93,
    "colour": 0.66,
    "pattern": 0.55,
    "material": 0.5,
    "sleeve": 0.4,
    "neck": 0.45,
    "length": 0.45,
}
SYNONYM_RATE = 0.35
WRONG_RATE = 0.03
TYPO_RATE = 0.04  # per word
SHUFFLED_RATE = 0.2
FILLERS = (
    "new",
    "2026 collection",
    "best seller",
    "free shipping",
    "limited edition",
    "premium quality",
    "sale",
    "women",
    "men",
    "unisex",
    "plus size",
    "must have",
    "trendy",
    "casual",
    "everyday",
    "vintage style",
    "hot deal",
    "top rated",
    "gift idea",
    "autumn winter",
    "spring summer",
    "-30%",
    "original",
    "by hand",
)
# Which pieces stand before the noun when a title is not shuffled.
BEFORE = ("length", "colour", "pattern", "material", "neck")
CARE = (
    "Machine wash at 30 degrees.",
    "Ships within two days.",
    "Model wears size M.",
    "True to size.",
    "Do not tumble dry.",
    "Returns accepted for 30 days.",
)


def spoken(key: str, value: str, rng: np.random.Generator, synonym_rate: float) -> str:
    """One way to say a value: the word itself or a synonym."""
    if rng.random() < synonym_rate:
        options = SYNONYMS[key][value]
        return options[rng.integers(len(options))]
    return f"{value} sleeves" if key == "sleeve" else value


def mistyped(word: str, rng: np.random.Generator) -> str:
    """The word with one letter dropped, doubled or swapped with the next."""
    if len(word) < 4:
        return word
    at = int(rng.integers(1, len(word) - 1))
    way = rng.integers(3)
    if way == 0:
        return word[:at] + word[at + 1 :]
    if way == 1:
        return word[:at] + word[at] + word[at:]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def write_title(
    attributes: Mapping[str, str],
    rng: np.random.Generator,
    *,
    wrong_rate: float = WRONG_RATE,
    said: Mapping[str, float] = SAID,
) -> str:
    """A seller's title.

    Args:
        attributes: The truth; a title says part of it, in its own words, not always right.
        rng: Source of the noise.
        wrong_rate: Chance that a value that is said is another one of its key.
        said: Chance of each key to be said.
    """
    pieces: dict[str, str] = {}
    for key, value in attributes.items():
        rate = said[key] * (0.35 if value == "plain" else 1.0)
        if rng.random() >= rate:
            continue
        if rng.random() < wrong_rate:
            value = VALUES[key][rng.integers(len(VALUES[key]))]
        pieces[key] = spoken(key, value, rng, SYNONYM_RATE)
    before = [pieces[key] for key in BEFORE if key in pieces]
    after = [pieces[key] for key in ("sleeve",) if key in pieces]
    parts = [*before, *([pieces["category"]] if "category" in pieces else []), *after]
    if rng.random() < SHUFFLED_RATE:
        parts = [parts[i] for i in rng.permutation(len(parts))]
    for _ in range(int(rng.choice(3, p=(0.45, 0.4, 0.15)))):
        parts.insert(int(rng.choice((0, len(parts)))), FILLERS[rng.integers(len(FILLERS))])
    words = [
        mistyped(word, rng) if rng.random() < TYPO_RATE else word
        for word in " ".join(parts).split()
    ]
    text = " ".join(words) or FILLERS[rng.integers(len(FILLERS))]
    look = rng.random()
    if look < 0.5:
        return text.title()
    if look < 0.58:
        return text.upper()
    return text if look < 0.8 else text[:1].upper() + text[1:]


def write_description(attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    """A short description; one in five products has none."""
    if rng.random() < 0.2:
        return ""
    noun = spoken("category", attributes["category"], rng, 0.2)
    said = [key for key in ("colour", "pattern", "material") if rng.random() < 0.4]
    words = [spoken(key, attributes[key], rng, 0.3) for key in said]
    opening = ("A", "Our", "This", "Lovely", "Classic")[rng.integers(5)]
    return f"{' '.join([opening, *words, noun])}. {CARE[rng.integers(len(CARE))]}"
