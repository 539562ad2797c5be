"""Clean spelling and comparison keys of attribute keys and values.

`clean_*` make what is stored and shown. `fold*` make what is compared: two spellings with the same
fold are the same thing ("T-shirts" and "tshirt", "grey" and "gray"). A fold is never shown, so a
crude stem in it does no harm as long as two different things keep different folds.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

# Words that carry no attribute: a query or title is understood without them.
FUNCTION_WORDS = frozenset(
    "a an and are as at by for from in is made of on or products that the to with".split()  # noqa: SIM905
)

MAX_VALUE_CHARS = 60
MAX_KEY_CHARS = 40
_SHORT_WORD = 6  # letters

# Plural forms that are the name of the thing itself: without the s another word stands there.
_NO_SINGULAR = frozenset(
    (
        *("jeans", "leggings", "trousers", "shorts", "pants", "tights", "glasses"),
        *("sunglasses", "eyeglasses", "goggles", "scissors", "goods", "news", "clothes"),
        *("briefs", "trunks", "slacks", "overalls", "dungarees", "arms", "customs", "series"),
        *("species", "canvas", "christmas", "atlas", "bias", "gas", "lens", "always"),
    )
)
_IRREGULAR = {
    **{"men": "man", "mens": "man", "women": "woman", "womens": "woman", "children": "child"},
    **{"childrens": "child", "people": "person", "feet": "foot", "teeth": "tooth"},
    **{"knives": "knife", "leaves": "leaf", "loaves": "loaf", "shelves": "shelf"},
    **{"scarves": "scarf", "halves": "half", "wolves": "wolf", "lenses": "lens", "buses": "bus"},
    **{"mice": "mouse", "geese": "goose"},
}
_AUDIENCE = frozenset(
    "adult baby boy child girl infant junior kid lady man teen toddler unisex woman".split()  # noqa: SIM905
)
# British spellings inside a word, folded to the American one.
_SPELLINGS = (
    *(("colour", "color"), ("flavour", "flavor"), ("favour", "favor"), ("grey", "gray")),
    *(("jewellery", "jewelry"), ("aluminium", "aluminum"), ("fibre", "fiber")),
    *(("centre", "center"), ("pyjama", "pajama"), ("mould", "mold"), ("tyre", "tire")),
    *(("litre", "liter"), ("metre", "meter"), ("woollen", "woolen"), ("licence", "license")),
)
_KEY_WORD = re.compile(r"[^\W_]+")
# A word with the signs that make it another one: "c++", "c#", "a+", ".net", "-5", "1.5", "1/2".
_WORD = re.compile(
    r"(?:\.(?<![^\s(].)|[-−](?<![^\s(].)(?=\.?\d)\.?)?"
    r"[^\W_]+(?:[.,/:](?<=\d.)(?=\d)[^\W_]+)*(?:[+#](?:\+|(?!\w)))?"
)
_AS_WRITTEN_HERE = str.maketrans({",": ".", "−": "-"})
_APOSTROPHES = re.compile(r"['’ʼ`]")
_MARKS = re.compile(r"[™℠®©℗]|(?<=\w)\((?:tm|sm|r)\)", re.IGNORECASE)  # of who owns a name
_BULLET = re.compile(r"[-–—•*·]+\s*(?=[^\W\d])")


def _plain(text: str) -> str:
    """NFKC, lower case, no marks of owners, control characters and runs of white space folded to
    one space."""
    lowered = unicodedata.normalize("NFKC", _MARKS.sub("", text)).lower()
    if not lowered.isprintable():  # holds characters of the categories C and Z
        lowered = "".join(c if c.isprintable() else " " for c in lowered)
    return " ".join(lowered.split())


def clean_key(text: str) -> str | None:
    """Snake-case key of at most 40 characters; None where nothing usable is left."""
    key = "_".join(_KEY_WORD.findall(_plain(text[: 4 * MAX_KEY_CHARS])))
    return key if 0 < len(key) <= MAX_KEY_CHARS and not key.isdigit() else None


def clean_value(text: str) -> str | None:
    """Lower-case value of at most 60 characters; None for free text, markup or nothing.

    A longer text is dropped and not cut: it is a sentence, not a value, and its head means
    something else than the whole.
    """
    if len(text) > 4 * MAX_VALUE_CHARS:
        return None
    value = _plain(text).strip(" ,;:!?\"'“”|").rstrip(". ")
    value = value.lstrip(". ") if value.startswith((". ", "..")) else value
    value = _BULLET.sub("", value, count=1) if value[:1] in "-–—•*·" else value
    if not value or len(value) > MAX_VALUE_CHARS or any(c in value for c in "<>{}@"):
        return None
    return None if "://" in value or "www." in value else value


def as_written(text: str, value: str) -> str | None:
    """The part of a text that `clean_value` made a value of, with its capitals; None without."""
    plain = " ".join(unicodedata.normalize("NFKC", _MARKS.sub("", text)).split())
    at = plain.lower().find(value)
    written = plain[at : at + len(value)] if at >= 0 else ""
    return written if written != value and written.lower() == value else None


def words(text: str) -> list[str]:
    """Words of a text in order, lower case; hyphens separate, apostrophes vanish.

    Signs that make another word stay with theirs ("c++", "c#", "a+", ".net", "-5"), and a number
    is one word ("1.5", "1/2").
    """
    found = _WORD.findall(_APOSTROPHES.sub("", _plain(text)))
    return [word if word.isalnum() else word.translate(_AS_WRITTEN_HERE) for word in found]


@lru_cache(maxsize=65536)
def fold_word(word: str) -> str:
    """Spelling key of one word: American, without a regular plural ending."""
    for british, american in _SPELLINGS:
        word = word.replace(british, american)
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 3 or word in _NO_SINGULAR:
        return word
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "zzes")) else word[:-1]
    # "hoodies"/"hoody"/"hoodie" and "tomatoes"/"tomato", "shoes"/"shoe" meet in one key
    if len(word) > 3 and word.endswith("ie"):
        return word[:-2] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("oe") else word


@lru_cache(maxsize=65536)
def fold_inner(word: str) -> str:
    """Spelling key of a word that is not the head of its phrase: its plural stays."""
    return word if word.endswith("s") else fold_word(word)


def join_fold(left: str, right: str) -> str:
    """Folds written together; a hyphen between two numbers: "3-4" is neither "34" nor "3.4"."""
    return f"{left}-{right}" if left[-1:].isdigit() and right[:1].isdigit() else left + right


def fold_words(tokens: Sequence[str]) -> str:
    """Comparison key of a phrase: words joined, American, the head noun (the last) singular."""
    joined = ""
    for token in tokens[:-1]:
        joined = join_fold(joined, fold_inner(token))
    return join_fold(joined, fold_word(tokens[-1])) if tokens else ""


def is_other_word(word: str, right: str) -> bool:
    """Whether a short word with one letter changed is rather a word of its own than a slip of
    the other ("shirt", "short"); a letter lost, gained or swapped is a slip."""
    short = min(len(word), len(right)) < _SHORT_WORD
    return short and len(word) == len(right) and sorted(word) != sorted(right)


def fold(text: str) -> str:
    """Comparison key of a value or key; texts without any letter or digit fold to themselves."""
    return fold_words(words(text.replace("_", " "))) or text


def is_audience(value: str) -> bool:
    """Whether a value says for whom things are and not what they are: "women", "kids & baby"."""
    found = [fold_word(word) for word in words(value) if word not in FUNCTION_WORDS]
    return bool(found) and all(word in _AUDIENCE for word in found)
