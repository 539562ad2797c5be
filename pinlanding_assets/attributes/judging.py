"""The judge of the vocabulary: would people search for it, and is it one thing?

Two scores from 1 to 5 with reasons (PinLanding, section 2). The statistical judge needs no
language model; a language model takes its place by having the same `__call__`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from pinlanding_assets.attributes.normalisation import fold_words, words

_SEARCHES = 200_000  # most frequent queries that are read


@dataclass(frozen=True)
class Candidate:
    """What a judge gets to see of an entry.

    Attributes:
        key: Its key.
        value: Its canonical value.
        words: Words of the value.
        products: Products that have it.
        share: Share of the catalog's products that have it.
        contested: Products where another source speaks about the key too.
        confirmed: Of those, products where another source says the same.
        elsewhere: Products on which the same word stands under its most frequent other key.
        searches: Searches that contain it; None without a search log.
    """

    key: str
    value: str
    words: int
    products: int
    share: float
    contested: int
    confirmed: int
    elsewhere: int
    searches: int | None = None


@dataclass(frozen=True)
class Verdict:
    """Scores from 1 (no) to 5 (yes) and what moved them."""

    searchability: float
    coherence: float
    reason: str


class Judge(Protocol):
    """Scores candidates, one verdict each, in order."""

    def __call__(self, candidates: Sequence[Candidate], /) -> list[Verdict]: ...


def judge_by_statistics(candidates: Sequence[Candidate]) -> list[Verdict]:
    """Verdicts from form, frequency, agreement of sources, and the search log where there is one.

    Searchability starts at 5 and falls with what people do not type: long values, codes, single
    letters, things that nearly every product has. Coherence is the smoothed share of products on
    which a second source confirms the value; a word that mostly stands under another key is lost.
    """
    return [_verdict(candidate) for candidate in candidates]


def _verdict(candidate: Candidate) -> Verdict:
    reasons = []
    search = 5.0
    letters = sum(c.isalpha() for c in candidate.value)
    digits = sum(c.isdigit() for c in candidate.value)
    for hit, loss, reason in (
        (candidate.words > 2, min(0.75 * (candidate.words - 2), 2.5), "long"),
        (len(candidate.value) > 30, 1.0, "many letters"),
        (digits > 0, 1.5, "a number or code"),
        (letters < 3 and not digits, 2.0, "an abbreviation"),
        (candidate.share > 0.8, 1.0, "on nearly every product"),
        (candidate.searches == 0, 0.5, "never searched for"),
    ):
        if hit:
            search -= loss
            reasons.append(reason)
    if candidate.searches:
        search += 0.5
        reasons.append("searched for")
    # silence is weak consent: three of four, with the weight of a tenth of the products
    weight = max(4.0, 0.1 * candidate.products)
    agreement = (candidate.confirmed + 0.75 * weight) / (candidate.contested + weight)
    coherence = 1.0 + 4.0 * agreement
    if candidate.contested >= 4 and agreement < 0.5:
        reasons.append(f"sources agree on {candidate.confirmed} of {candidate.contested}")
    if candidate.elsewhere >= 20 * candidate.products:
        coherence = 1.0
        reasons.append("a value of another key")
    return Verdict(
        round(min(max(search, 1.0), 5.0), 3),
        round(min(max(coherence, 1.0), 5.0), 3),
        ", ".join(reasons),
    )


def count_searches(demand: pl.DataFrame | None) -> Counter[str] | None:
    """Fold of every run of up to four words of a query -> searches."""
    if demand is None:
        return None
    found = Counter[str]()
    top = demand.sort(["count", "query"], descending=[True, False]).head(_SEARCHES)
    for query, count in top.select("query", "count").iter_rows():
        tokens = words(query[:200])[:12]
        runs = {
            fold_words(tokens[start:end])
            for start in range(len(tokens))
            for end in range(start + 1, min(start + 4, len(tokens)) + 1)
        }
        for run in runs:
            found[run] += count
    return found
