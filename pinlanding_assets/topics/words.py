"""English word forms: stems and plurals, for titles, queries and the comparison of both."""

import re

from pinlanding_assets.attributes.normalisation import FUNCTION_WORDS, fold_word, words

_IRREGULAR = {
    "child": "children",
    "foot": "feet",
    "half": "halves",
    "knife": "knives",
    "leaf": "leaves",
    "lens": "lenses",
    "loaf": "loaves",
    "man": "men",
    "mouse": "mice",
    "person": "people",
    "potato": "potatoes",
    "scarf": "scarves",
    "shelf": "shelves",
    "tomato": "tomatoes",
    "tooth": "teeth",
    "woman": "women",
}
_PLURALS = frozenset(_IRREGULAR.values())
_UNCOUNTABLE = frozenset(
    "art bedding bread butter cheese clothing coffee equipment fish flour food fruit "  # noqa: SIM905
    "furniture gear hardware honey jewellery jewelry lighting luggage makeup meat milk rice salt "
    "software sugar tea water".split()
)
_UNCOUNTABLE_ENDINGS = ("wear", "ware")
_SIBILANT = ("s", "x", "z", "ch", "sh")


def stems(text: str) -> list[str]:
    """Stems of the words of a text, in order."""
    return [fold_word(word) for word in words(text)]


def normal_form(text: str) -> str:
    """What two spellings of the same value share: stems joined by single spaces."""
    return " ".join(stems(text))


def content(text: str) -> tuple[str, ...]:
    """Stems of the words that carry meaning, in order."""
    return tuple(fold_word(word) for word in words(text) if word not in FUNCTION_WORDS)


def plural(noun: str) -> str:
    """Plural of a lower-case noun or noun phrase: of its head word, the last before " of "/" for ".

    Words that are plural already (jeans, women) or have no plural (equipment) stay as they are.
    """
    head, separator, tail = noun, "", ""
    for preposition in (" of ", " for ", " with "):
        if preposition in head:
            head, separator, rest = head.partition(preposition)
            tail = rest + tail
            break
    before, last = re.match(r"(.*?)([^\s-]*)$", head, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{before}{_plural_word(last)}{separator}{tail}"


def _plural_word(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if not word.isalpha() or word in _PLURALS or word in _UNCOUNTABLE:
        return word
    if word.endswith(_UNCOUNTABLE_ENDINGS):
        return word
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word  # plural already: jeans, watches
    if word.endswith("is"):
        return word[:-2] + "es"
    if word.endswith(_SIBILANT):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    return word + "s"
