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
    "apparel art beauty bread butter care cheese coffee cotton data decor denim "  # noqa: SIM905
    "documentation education electronics equipment fashion fish fitness flour food fruit "
    "furniture garden gear geography hardware health home honey hosiery information "
    "jewellery jewelry leather linen lingerie luggage makeup meat milk music outdoor paper "
    "recreation rice salt software sport stationery storage sugar swim tea transportation "
    "travel unisex water wine wool yoga".split()
)
_UNCOUNTABLE_ENDINGS = ("wear", "ware", "ness")
# nouns that end like what one does ("clothing", "running"), but can be counted
_COUNTABLE_ING = frozenset(
    "building drawing earring king leg-ring legging listing painting recording ring setting "  # noqa: SIM905
    "spring stocking string swing wing".split()
)
# names of several shelves: "home & kitchen"
_SEVERAL = re.compile(r" (?:&|and|or|\+) |[,/;|]|\s[-–—]\s")
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

    Words that are plural already (jeans, women) or have no plural (equipment), and names of several
    things ("home & kitchen") stay as they are.
    """
    if _SEVERAL.search(noun):
        return noun
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
    if word.endswith("ing") and len(word) > 4 and word not in _COUNTABLE_ING:
        return word
    if word.endswith(("sis", "xis")):
        return word[:-2] + "es"
    if word.endswith("s") and not word.endswith(("ss", "us")):
        return word  # plural already: jeans, watches, bikinis
    if word.endswith(_SIBILANT):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    return word + "s"
