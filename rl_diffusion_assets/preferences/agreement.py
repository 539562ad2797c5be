"""How far raters agree beyond chance, over nominal choices."""

import itertools
from collections import Counter
from typing import NamedTuple

import polars as pl

MIN_SHARED = 10  # pairs that two raters must share for a kappa
_MAX_RATERS = 100  # the busiest ones: the work grows with the square


class Agreement(NamedTuple):
    """Two raters: the pairs both voted on, the share they agree on, and Cohen's kappa.

    `kappa` is None where chance alone would agree always (both made one and the same choice).
    """

    rater_a: str
    rater_b: str
    pairs: int
    agreement: float
    kappa: float | None


def cohen_kappas(votes: pl.DataFrame, *, min_shared: int = MIN_SHARED) -> list[Agreement]:
    """Cohen's kappa of every two raters who share enough pairs, the most shared first.

    Args:
        votes: pair_id, rater (null: nobody in particular, left out), choice; at most one vote of a
            rater on a pair.
        min_shared: pairs.
    """
    named = votes.drop_nulls("rater")
    busiest = named["rater"].value_counts(sort=True).head(_MAX_RATERS)["rater"]
    named = named.filter(pl.col("rater").is_in(busiest.implode()))
    both = named.join(named, on="pair_id", suffix="_b").filter(pl.col("rater") < pl.col("rater_b"))
    table = both.group_by("rater", "rater_b", "choice", "choice_b").len()
    found = []
    for (first, second), cells in table.group_by("rater", "rater_b"):
        counts = {(a, b): n for a, b, n in cells.select("choice", "choice_b", "len").rows()}
        total = sum(counts.values())
        if total < min_shared:
            continue
        agreed = sum(n for (a, b), n in counts.items() if a == b) / total
        of_first, of_second = Counter(), Counter()
        for (a, b), n in counts.items():
            of_first[a] += n / total
            of_second[b] += n / total
        chance = sum(share * of_second[choice] for choice, share in of_first.items())
        kappa = (agreed - chance) / (1 - chance) if chance < 1 - 1e-12 else None
        found.append(Agreement(str(first), str(second), total, agreed, kappa))
    return sorted(found, key=lambda row: (-row.pairs, row.rater_a, row.rater_b))


def krippendorff_alpha(votes: pl.DataFrame) -> float | None:
    """Krippendorff's alpha for nominal choices: 1 is agreement, 0 what chance gives.

    Raters may vote on any subset of the pairs. None where no pair has two votes, or where all
    votes are the same.

    Args:
        votes: pair_id, choice.
    """
    together: Counter[tuple[str, str]] = Counter()
    cells = votes.group_by("pair_id", "choice").len()
    for _, unit in cells.group_by("pair_id"):
        counts = dict(unit.select("choice", "len").rows())
        size = sum(counts.values())
        if size < 2:
            continue
        for (a, n), (b, m) in itertools.product(counts.items(), repeat=2):
            together[a, b] += n * (m - (a == b)) / (size - 1)
    margins: Counter[str] = Counter()
    for (a, _), n in together.items():
        margins[a] += n
    total = sum(margins.values())
    observed = sum(n for (a, b), n in together.items() if a != b)
    expected = sum(margins[a] * margins[b] for a, b in itertools.permutations(margins, 2))
    return 1 - (total - 1) * observed / expected if expected else None
