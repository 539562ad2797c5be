"""English word forms: tokens, stems and plurals, for titles, queries and the comparison of both."""

import re
import unicodedata

# Words that carry no attribute: a query or title is understood without them.
FUNCTION_WORDS = frozenset(
    "a an and are as at by for from in is made of on or products that the to with".split()  # noqa: SIM905
)
_SPELLING = {  # British to American, where a catalog and its searchers differ most
    "aluminium": "aluminum",
    "colour": "color",
    "coloured": "colored",
    "fibre": "fiber",
    "flavour": "flavor",
    "grey": "gray",
    "jewellery": "jewelry",
}
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
_SINGULAR = {plural: singular for singular, plural in _IRREGULAR.items()}
_UNCOUNTABLE = frozenset(
    "art bedding bread butter cheese clothing coffee equipment fish flour food fruit "  # noqa: SIM905
    "furniture gear hardware honey jewellery jewelry lighting luggage makeup meat milk rice salt "
    "software sugar tea water".split()
)
_UNCOUNTABLE_ENDINGS = ("wear", "ware")
_SIBILANT = ("s", "x", "z", "ch", "sh")
_WORD = re.compile(r"[^\W_]+")


def tokens(text: str) -> list[str]:
    """Lower-case words of a text in order, without punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    return _WORD.findall(folded)


def stem(word: str) -> str:
    """One form for singular, plural and both spellings of a lower-case word (an S-stemmer)."""
    word = _SINGULAR.get(word, word)
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        if word.endswith(("sses", "xes", "ches", "shes", "zzes")):
            word = word[:-2]
        elif word.endswith("ies"):
            word = word[:-3] + "y"
        else:
            word = word[:-1]
    if len(word) > 3 and word.endswith("ie"):
        word = word[:-2] + "y"
    return _SPELLING.get(word, word)


def stems(text: str) -> list[str]:
    """Stems of the words of a text, in order."""
    return [stem(word) for word in tokens(text)]


def normal_form(text: str) -> str:
    """What two spellings of the same value share: stems joined by single spaces."""
    return " ".join(stems(text))


def content(text: str) -> tuple[str, ...]:
    """Stems of the words that carry meaning, in order."""
    return tuple(stem(word) for word in tokens(text) if word not in FUNCTION_WORDS)


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
    if not word.isalpha() or word in _SINGULAR or word in _UNCOUNTABLE:
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
