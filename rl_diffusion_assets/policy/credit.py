"""From rewards to advantages: batch, group and set-level credit.

A missing reward is NaN: it is left out of every statistic, and its advantage is 0.
"""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
EPSILON, BOUND = 1e-7, 10.0  # as in the authors' code


def advantages(rewards: Array, groups: Array | None = None) -> Array:
    """Normalised rewards, clamped to +-10 (paper, eq. 10).

    Args:
        rewards: float ``[n]``, NaN where missing.
        groups: Prompt of each sample, int ``[n]``. Without it the mean and deviation of the whole
            batch are used, as in the paper; with it, the mean of the group and the deviation of
            the batch of those differences, so that an easy prompt is not taken for a good sample.

    Returns:
        float32 ``[n]``; zeros when all rewards are the same or missing.
    """
    values = np.asarray(rewards, np.float64)
    there = np.isfinite(values)
    out = np.zeros(len(values), np.float32)
    if there.sum() < 2:
        return out
    centred = np.where(there, values, 0.0)
    if groups is None:
        centred = centred - values[there].mean()
    else:
        for group in np.unique(groups):
            members = there & (groups == group)
            if members.any():
                centred[members] -= values[members].mean()
    spread = centred[there].std(ddof=1)
    if spread < 1e-12 * max(1.0, np.abs(values[there]).max()):
        return out
    out[there] = np.clip(centred[there] / (spread + EPSILON), -BOUND, BOUND)
    return out


def statistical_parity(shares: Array) -> float:
    """Distance of shares ``[a]`` from uniform, in L2 (paper, section 3.2).

    0 for a fair set; sqrt(1 - 1/a) when all are one kind. A perfectly fair sampler still scores
    about sqrt((1 - 1/a)/n) over draws of n (`parity_floor`): report n with every value.
    """
    shares = np.asarray(shares, np.float64)
    return float(np.sqrt(np.square(shares - 1.0 / len(shares)).sum()))


def parity_floor(kinds: int, n: int, *, draws: int = 20_000, seed: int = 0) -> float:
    """Mean statistical parity of a perfectly fair sampler over `n` draws."""
    counts = np.random.default_rng(seed).multinomial(n, np.full(kinds, 1 / kinds), size=draws)
    return float(np.sqrt(np.square(counts / n - 1 / kinds).sum(1)).mean())


def parity_rewards(probabilities: Array, groups: Array, *, credit: str = "leave-one-out") -> Array:
    """Reward of every sample for how even the set is that it belongs to.

    Args:
        probabilities: Of each kind, float ``[n, a]``; a row of NaN where nobody was found.
        groups: Set of each sample, int ``[n]``.
        credit: ``shared``, the paper's: minus the set's parity, the same for all of it; or
            ``leave-one-out``: how much less even the set would be without the sample, which tells
            the members of one set apart.

    Returns:
        float64 ``[n]``, NaN where nobody was found.
    """
    if credit not in ("shared", "leave-one-out"):
        raise ValueError(f"credit={credit!r}: shared or leave-one-out")
    probabilities = np.asarray(probabilities, np.float64)
    out = np.full(len(probabilities), np.nan)
    found = np.isfinite(probabilities).all(1)
    for group in np.unique(groups):
        members = np.flatnonzero((groups == group) & found)
        if not len(members):
            continue
        total, n = probabilities[members].sum(0), len(members)
        whole = statistical_parity(total / n)
        if credit == "shared":
            out[members] = -whole
        elif n > 1:
            for member in members:
                without = (total - probabilities[member]) / (n - 1)
                out[member] = statistical_parity(without) - whole
    return out


def balanced_kinds(log_probabilities: Array, groups: Array) -> Array:
    """Which kind every sample should be so that its group is even, int ``[n]``.

    Every kind has the same number of places (what is left over goes to the first ones), and the
    assignment is the likeliest: Shen et al. 2024 (2311.07604), eq. 3.

    Args:
        log_probabilities: Of each kind, float ``[n, a]``.
        groups: Set of each sample, int ``[n]``.
    """
    from scipy.optimize import linear_sum_assignment

    kinds = log_probabilities.shape[1]
    out = np.zeros(len(log_probabilities), np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        places = np.arange(len(members)) % kinds
        # Below this all are equally unlikely: the surest of the others should stay as they are.
        cost = -np.maximum(log_probabilities[members][:, places], -8.0)
        rows, columns = linear_sum_assignment(cost)
        out[members[rows]] = places[columns]
    return out


def even_chances(tables: Sequence[Array], groups: Array, *, most: float = 10.0) -> Array:
    """Chances to draw samples by, ``[n]``, so that every group comes out even in every table.

    A group is drawn as often as before, and no sample more than `most` times as often.

    Args:
        tables: Probabilities of the kinds of each table, float ``[n, a]``, NaN where unknown.
        groups: Set of each sample, int ``[n]``.
    """
    weights = np.ones(len(groups))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        for table in tables:
            known = members[np.isfinite(table[members]).all(1)]
            if len(known):
                kinds = table[known].argmax(1)
                counts = np.bincount(kinds, minlength=table.shape[1])
                weights[known] *= len(known) / (table.shape[1] * counts[kinds])
        weights[members] = np.minimum(weights[members], most)
        weights[members] *= len(members) / weights[members].sum()
    return weights / weights.sum()
