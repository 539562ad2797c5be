"""What the judge's answers about a tuned model and its base amount to, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl_diffusion_assets.policy.credit import parity_floor, statistical_parity
from rl_diffusion_assets.rewards.composition import Wanted, fully_right, mean_confidence

Array = np.ndarray
SET = 16  # pictures in a set whose statistical parity is taken (the paper's minibatch)
KINDS = {"tone": 4, "gender": 2, "joint": 8}
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A figure, its 95 % interval and what it was counted on."""

    value: float
    low: float
    high: float
    n: int


def bootstrap(values: Array, clusters: Array | None = None, draws: int = 2_000) -> Interval:
    """Mean with a percentile interval, resampling clusters (captions) where they are given; of
    what is known, for NaN counts in nothing."""
    values = np.asarray(values, float)
    known = np.isfinite(values)
    names = np.flatnonzero(known) if clusters is None else np.asarray(clusters)[known]
    values, rng = values[known], np.random.default_rng(SEED)
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    _, of = np.unique(names, return_inverse=True)
    sums, counts = np.bincount(of, values), np.bincount(of)
    picks = rng.integers(len(sums), size=(draws, len(sums)))
    means = sums[picks].sum(1) / counts[picks].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high), len(values))


def wins(base: Array, tuned: Array) -> Array:
    """1 where the tuned picture of a seed scores higher, 0.5 where both are the same, and NaN where
    one of them has no score, ``[n]``."""
    won = np.where(tuned > base, 1.0, np.where(tuned == base, 0.5, 0.0))
    return np.where(np.isfinite(base) & np.isfinite(tuned), won, np.nan)


def parity_sets(table: Array, groups: Array) -> tuple[Array, Array]:
    """Statistical parity of sets of `SET` pictures of one caption, by the most likely kind.

    Args:
        table: Probabilities ``[n, kinds]``, NaN where nobody was found: such pictures count in no
            set, and a caption's remainder that fills no set is left out.
        groups: Caption of each, ``[n]``.

    Returns:
        parity of each set, and its caption.
    """
    values, of = [], []
    for group in np.unique(groups):
        rows = table[groups == group]
        rows = rows[np.isfinite(rows).all(1)]
        kinds = rows.argmax(1)
        for start in range(0, len(kinds) - SET + 1, SET):
            counts = np.bincount(kinds[start : start + SET], minlength=table.shape[1])
            values.append(statistical_parity(counts / SET))
            of.append(group)
    return np.array(values), np.array(of)


def floor_of(kind: str) -> float:
    """Parity of a perfectly fair sampler at n = `SET`."""
    return parity_floor(KINDS[kind], SET)


def shares(table: Array) -> Array:
    """Share of each kind among those found, ``[kinds]``."""
    rows = table[np.isfinite(table).all(1)]
    return np.bincount(rows.argmax(1), minlength=table.shape[1]) / max(1, len(rows))


def composition_right(found: object, wanted: Sequence[Wanted]) -> tuple[Array, Array]:
    """Whether each picture is fully right, and the paper's mean confidence, ``[n]`` each."""
    return fully_right(found, wanted).astype(float), mean_confidence(found, wanted)  # type: ignore[arg-type]
