"""Which values of one key are the same thing: slips of the keyboard and near-equal meanings.

What the data say against a merge outweighs how alike two words look. "navy" and "blue" are close
in any text embedding and different things to a shopper.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pinlanding_assets.attributes.normalisation import (
    fold,
    fold_word,
    is_other_word,
    words,
)

Embed = Callable[[list[str]], NDArray]
"""Texts to unit vectors [n, d]."""

Raw = tuple[str, str]
"""(key, value) as the mentions have it."""

Fate = tuple[str | None, str, str]
"""(entry_id, action, reason) of a raw value."""

Merges = dict[int, tuple[int, str]]
"""Value -> (value it is merged into, reason)."""

# What these say depends on the noun beside them ("long" what?).
RELATIVE = frozenset(
    (
        *("short", "long", "mini", "midi", "maxi", "small", "medium", "large", "big", "tall"),
        *("high", "low", "wide", "narrow", "slim", "loose", "light", "dark", "full", "half"),
        *("thin", "thick", "deep", "round", "square", "single", "double", "regular", "extra"),
    )
)
# Words that turn a value into another one although texts with them look alike.
_TURNING = RELATIVE | frozenset(
    (
        *("with", "without", "non", "no", "not", "left", "right", "upper", "lower", "hot", "cold"),
        *("dry", "wet", "sweet", "sour", "soft", "hard", "man", "woman", "boy", "girl", "kid"),
    )
)
YES, _NO = frozenset({"yes", "true", "1", "y"}), frozenset({"no", "false", "0", "n"})
_MAX_WORDS = 6
# Praise fits every product and tells none apart, in any domain.
_PRAISE = frozenset(
    (
        *("new", "sale", "best", "best seller", "bestseller", "premium", "quality", "perfect"),
        *("high quality", "beautiful", "stylish", "amazing", "great", "nice", "good", "popular"),
        *("lovely", "must have", "top quality", "trendy", "versatile", "unique", "various"),
    )
)
_BLOCK = 1_024  # rows of a similarity matrix that are held at once


@dataclass(frozen=True)
class Value:
    """A value of a key, its spellings already together."""

    at: int
    key: str
    name: str
    fold: str
    products: int


@dataclass
class Evidence:
    """How values meet on products; pairs are (smaller, larger) indices, counts are products.

    Attributes:
        same_source: One source says both of one product.
        other_source: One source says the one, another source says the other.
        contested: A value, and other sources speak about its key too.
    """

    same_source: Mapping[tuple[int, int], int] = field(default_factory=dict)
    other_source: Mapping[tuple[int, int], int] = field(default_factory=dict)
    contested: Mapping[int, int] = field(default_factory=dict)

    def apart(self, a: Value, b: Value) -> bool:
        """A source that says both of one product knows them as two things."""
        pair = (min(a.at, b.at), max(a.at, b.at))
        return self.same_source.get(pair, 0) >= max(1.0, 0.1 * min(a.products, b.products))


def group_spellings(
    raws: Mapping[Raw, int], stated: set[Raw]
) -> tuple[dict[Raw, int], dict[Raw, Fate]]:
    """Number of the spelling group of each raw value, and the fate of what is no attribute.

    Args:
        raws: Raw values with their products.
        stated: Those that the catalog's own fields state.
    """
    of_key: dict[str, set[str]] = defaultdict(set)
    for key, value in raws:
        of_key[fold(key)].add(value)
    flags = {key for key, found in of_key.items() if found <= YES | _NO}
    groups: dict[tuple[str, str], int] = {}
    spelling: dict[Raw, int] = {}
    fate: dict[Raw, Fate] = {}
    for raw in raws:
        key, value = fold(raw[0]), raw[1]
        reason = None
        if key in flags:
            reason = "absence is no attribute" if value in _NO else None
            value = "yes"
        elif not any(c.isalpha() for c in value):
            reason = "no letters"
        elif len(words(value)) > _MAX_WORDS:
            reason = f"more than {_MAX_WORDS} words"
        elif value in _PRAISE and raw not in stated:
            reason = "praise"
        if reason:
            fate[raw] = (None, "drop", reason)
        else:
            spelling[raw] = groups.setdefault((key, fold(value)), len(groups))
    return spelling, fate


def flag_label(key: str) -> str:
    """Name of a yes/no attribute: its key ("is_new" is called "new")."""
    return key.removeprefix("is_").removeprefix("has_").replace("_", " ")


def name_values(
    said: pl.DataFrame, spelling: Mapping[Raw, int], raws: Mapping[Raw, int]
) -> dict[int, Value]:
    """Spelling groups under their most frequent name; of one key under its most frequent name."""
    key_counts, name_counts = defaultdict(Counter), defaultdict(Counter)
    for raw, at in spelling.items():
        key_counts[fold(raw[0])][raw[0]] += raws[raw]
        name_counts[at][raw[1]] += raws[raw]
    fold_of = {at: fold(raw[0]) for raw, at in spelling.items()}
    count = said.group_by("at").agg(pl.col("product_id").n_unique())
    products = dict(count.iter_rows())
    return {
        at: Value(
            at, _first(key_counts[fold_of[at]]), _first(names), fold(_first(names)), products[at]
        )
        for at, names in sorted(name_counts.items())
    }


def _first(counts: Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name))


def merge_slips(
    values: Sequence[Value], evidence: Evidence, *, ratio: float, compared: int
) -> Merges:
    """Rare misspellings into the frequent value one letter away (two from nine letters on).

    A slip is at most 1/`ratio` as frequent as its value; of a value on one or two products, a
    quarter. Of a phrase every word that differs has to be a slip of the word in its place, and is
    none that other values use. Other sources' words for the same products decide where there are
    any; without them the first letter must agree and short words may lose, gain or swap letters
    but not change one.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    ranked = sorted(values, key=lambda v: (-v.products, v.fold))[:compared]
    used = Counter[str]()
    for value in values:
        used.update(dict.fromkeys(map(fold_word, words(value.name)), value.products))
    merges: Merges = {}
    for start in range(0, len(ranked), _BLOCK):
        block = ranked[start : start + _BLOCK]
        distances = process.cdist(
            [v.fold for v in block],
            [v.fold for v in ranked],
            scorer=OSA.distance,
            score_cutoff=2,  # rapidfuzz gives cutoff + 1 above it
            dtype=np.uint8,
        )
        for row, value in enumerate(block):
            near = np.flatnonzero(distances[row] <= 2)
            best = min(
                (
                    (int(distances[row, column]), -ranked[column].products, ranked[column].at)
                    for column in near
                    if _is_slip(value, ranked[column], int(distances[row, column]), ratio, evidence)
                    and _in_every_word(value, ranked[column], ratio, used)
                ),
                default=None,
            )
            if best is not None:
                merges[value.at] = (best[2], "misspelling")
    return merges


def _is_slip(rare: Value, right: Value, distance: int, ratio: float, evidence: Evidence) -> bool:
    if rare.at == right.at or right.products < (4 if rare.products <= 2 else ratio) * rare.products:
        return False
    shorter = min(len(rare.fold), len(right.fold))
    if shorter < 4 or distance > (2 if shorter >= 9 else 1) or evidence.apart(rare, right):
        return False
    if _digits(rare.fold) != _digits(right.fold):
        return False
    contested = evidence.contested.get(rare.at, 0)
    if contested:
        pair = (min(rare.at, right.at), max(rare.at, right.at))
        return evidence.other_source.get(pair, 0) >= 0.5 * contested
    return rare.fold[0] == right.fold[0] and not is_other_word(rare.fold, right.fold)


def _in_every_word(rare: Value, right: Value, ratio: float, used: Counter[str]) -> bool:
    """Whether each word of a phrase that differs is a slip, too: "nature gear" is no "nature
    gnaws". What other values say on as many products as the right word is no slip either."""
    from rapidfuzz.distance import OSA

    said, named = ([fold_word(word) for word in words(v.name)] for v in (rare, right))
    if len(said) != len(named) or len(said) < 2:
        return True  # a space lost or put in
    return all(
        word[0] == meant[0]
        and OSA.distance(word, meant) <= (2 if min(len(word), len(meant)) >= 9 else 1)
        and not is_other_word(word, meant)
        and used[meant] >= ratio * (used[word] - rare.products)
        for word, meant in zip(said, named, strict=True)
        if word != meant
    )


def merge_meanings(
    values: Sequence[Value],
    evidence: Evidence,
    embed: Embed,
    *,
    multi: bool,
    cosine: float,
    variant_share: float,
    floor: int,
    compared: int,
) -> Merges:
    """Near-equal values into the most frequent of them, by complete linkage.

    Every pair inside a group has at least `cosine`, so nothing is merged by a chain. Two values
    stay apart where a source says both of one product, where they differ in a number or only in
    turning words ("short", "long"), where the words they differ in are not alike by themselves
    ("vanilla yoghurt", "strawberry yoghurt"), and in a single-valued key where both are frequent:
    on at least `floor` products, and the rarer on more than `variant_share` of the other's.
    """
    ranked = sorted(values, key=lambda v: (-v.products, v.fold))[:compared]
    if len(ranked) < 2:
        return {}
    vectors = np.asarray(embed([v.name for v in ranked]), np.float32)
    close: dict[tuple[int, int], float] = {}
    for start in range(0, len(ranked), _BLOCK):
        similarity = vectors[start : start + _BLOCK] @ vectors.T
        for row, column in np.argwhere(similarity >= cosine).tolist():
            if start + row < column:
                a, b = ranked[start + row], ranked[column]
                both = not multi and b.products >= max(floor, variant_share * a.products)
                if not (both or evidence.apart(a, b) or _opposite(a.name, b.name)):
                    # rounded, so that the order of merges does not hang on the last bit
                    close[start + row, column] = round(float(similarity[row, column]), 4)
    close = _alike_where_they_differ(ranked, close, embed, cosine)
    group_of = {i: [i] for pair in close for i in pair}
    for (a, b), _ in sorted(close.items(), key=lambda item: (-item[1], item[0])):
        left, right = group_of[a], group_of[b]
        if left is right:
            continue
        if all((min(i, j), max(i, j)) in close for i in left for j in right):
            joined = sorted(left + right)
            for i in joined:
                group_of[i] = joined
    merges: Merges = {}
    for i, group in sorted(group_of.items()):
        if group[0] != i:
            merges[ranked[i].at] = (ranked[group[0]].at, f"cosine {close[group[0], i]:.2f}")
    return merges


def _alike_where_they_differ(
    ranked: Sequence[Value], close: dict[tuple[int, int], float], embed: Embed, cosine: float
) -> dict[tuple[int, int], float]:
    """Pairs without those that are close only because of the words they share."""
    rest: dict[tuple[int, int], tuple[str, str]] = {}
    for a, b in close:
        left, right = words(ranked[a].name), words(ranked[b].name)
        only = (
            " ".join(w for w in left if w not in right),
            " ".join(w for w in right if w not in left),
        )
        if only[0] and only[1] and only != (ranked[a].name, ranked[b].name):
            rest[a, b] = only
    if not rest:
        return close
    texts = sorted({text for only in rest.values() for text in only})
    vector = dict(zip(texts, np.asarray(embed(texts), np.float32), strict=True))
    return {
        pair: similarity
        for pair, similarity in close.items()
        if pair not in rest or vector[rest[pair][0]] @ vector[rest[pair][1]] >= cosine
    }


def _opposite(a: str, b: str) -> bool:
    """Values that differ in a number, or in nothing but relative words."""
    left, right = set(words(a)), set(words(b))
    if _digits(a) != _digits(b):
        return True
    changed = {fold_word(word) for word in left ^ right}
    return bool(changed) and changed <= _TURNING


def _digits(text: str) -> str:
    return " ".join("".join(c if c.isdigit() else " " for c in text).split())


def follow(merges: Merges) -> dict[int, tuple[int, str]]:
    """Every merged value with the last of its chain and the reasons along it."""
    ends: dict[int, tuple[int, str]] = {}
    for at in sorted(merges):
        reasons: dict[str, None] = defaultdict(None)
        end, seen = at, {at}
        while end in merges and merges[end][0] not in seen:
            end, reason = merges[end]
            reasons[reason] = None
            seen.add(end)
        ends[at] = (end, ", ".join(reasons))
    return ends


def gather_evidence(said: pl.DataFrame) -> Evidence:
    """How values of one key meet on products, within one source and between sources."""
    spoken = said.select("product_id", "key", "source", "at").unique()
    looks = said.select("product_id", "key", "source", "image_hash", "at")
    same = looks.join(looks, on=["product_id", "key", "source", "image_hash"])
    other = spoken.join(spoken, on=["product_id", "key"]).filter(
        pl.col("source") != pl.col("source_right")
    )
    contested = other.group_by("at").agg(pl.col("product_id").n_unique())
    return Evidence(_pairs(same), _pairs(other), dict(contested.iter_rows()))


def _pairs(met: pl.DataFrame) -> dict[tuple[int, int], int]:
    pairs = met.filter(pl.col("at") < pl.col("at_right"))
    pairs = pl.concat([pairs, met.filter(pl.col("at") > pl.col("at_right"))]).select(
        pl.min_horizontal("at", "at_right").alias("a"),
        pl.max_horizontal("at", "at_right").alias("b"),
        "product_id",
    )
    counts = pairs.group_by("a", "b").agg(pl.col("product_id").n_unique())
    return {(a, b): n for a, b, n in counts.iter_rows()}
