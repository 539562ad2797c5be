"""A person's word on the vocabulary goes before every rule.

`vocabulary.yaml` beside catalog.yaml: key -> word -> what it is. The word itself: it stays a value
of its own; another value: it is another word for that; nothing: it is no attribute.
"""

from collections.abc import Mapping

from pinlanding_assets.attributes.merging import Fate, Merges, Raw, Value
from pinlanding_assets.attributes.normalisation import fold

Overrides = Mapping[str, Mapping[str, str | None]]
REASON = "override"


def dropped_words(overrides: Overrides, raws: Mapping[Raw, int]) -> dict[Raw, Fate]:
    """Raw values that are said to be no attribute."""
    gone = {
        (fold(key), fold(word))
        for key, words in overrides.items()
        for word, value in words.items()
        if value is None
    }
    return {raw: (None, "drop", REASON) for raw in raws if (fold(raw[0]), fold(raw[1])) in gone}


def decided(overrides: Overrides, values: Mapping[int, Value]) -> tuple[set[int], Merges]:
    """Values that stay as they are, and merges that are made whatever the rules say.

    A word, or a value to merge into, that nobody says of any product is passed over.
    """
    at = {(fold(value.key), value.fold): value.at for value in values.values()}
    kept: set[int] = set()
    merges: Merges = {}
    for key, words in overrides.items():
        for word, value in words.items():
            one = at.get((fold(key), fold(word)))
            other = at.get((fold(key), fold(value))) if value is not None else None
            if one is None or other is None:
                continue
            kept.add(other)
            if one != other:
                merges[one] = (other, REASON)
    return kept, merges
