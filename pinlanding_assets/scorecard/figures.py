"""One number of the scorecard, with its interval and what it rests on."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from resources.intervals import wilson

FIGURES_SCHEMA = {
    "name": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n": pl.Int64,
    "unit": pl.String,
    "basis": pl.String,
}
RESAMPLES = 2_000


class Figure(NamedTuple):
    """One number of the scorecard; a value of None means that it cannot be known.

    `basis` says what it rests on: `truth`, `judge` (an estimate by a model), `people` (ratings),
    `held_out` (labels that were hidden), or `count` (nothing has to be believed).
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = "share"
    basis: str = "truth"


def share(name: str, hits: int, tries: int, basis: str = "truth") -> Figure:
    """A proportion with its 95 % Wilson interval; null where nothing was tried."""
    if not tries:
        return Figure(name, None, basis=basis)
    return Figure(name, hits / tries, *wilson(hits, tries), tries, basis=basis)


def mean(name: str, values: Sequence[float] | np.ndarray, seed: int, basis="truth") -> Figure:
    """A mean with its 95 % bootstrap interval over `values`; null where there are none."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return Figure(name, None, basis=basis)
    low, high = interval(bootstrap(values, seed))
    return Figure(name, float(values.mean()), low, high, len(values), basis=basis)


def bootstrap(values: np.ndarray, seed: int) -> np.ndarray:
    """Means of `RESAMPLES` resamples with replacement."""
    random = np.random.default_rng(seed)
    return np.array(
        [values[random.integers(len(values), size=len(values))].mean() for _ in range(RESAMPLES)]
    )


def interval(means: np.ndarray) -> tuple[float, float]:
    """The middle 95 %."""
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def kappa(one: Sequence[bool], other: Sequence[bool]) -> float | None:
    """Cohen's kappa of two raters of the same things; null where chance alone would agree."""
    a, b = np.asarray(one, dtype=bool), np.asarray(other, dtype=bool)
    if not len(a):
        return None
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    return float(((a == b).mean() - chance) / (1 - chance)) if chance < 1 else None


def frame(figures: Iterable[Figure]) -> pl.DataFrame:
    """The table `scorecard.figures`."""
    return pl.DataFrame(list(figures), schema=FIGURES_SCHEMA, orient="row", strict=False)
