"""What a tuned model is measured by, beside its base: the judge's figures, and what nobody
optimised: sharpness, diversity, drift."""

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
    """Mean with a percentile interval, resampling clusters (captions) where they are given."""
    values = np.asarray(values, float)
    rng = np.random.default_rng(SEED)
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    names = np.arange(len(values)) if clusters is None else np.asarray(clusters)
    _, of = np.unique(names, return_inverse=True)
    sums, counts = np.bincount(of, values), np.bincount(of)
    picks = rng.integers(len(sums), size=(draws, len(sums)))
    means = sums[picks].sum(1) / counts[picks].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high), len(values))


def wins(base: Array, tuned: Array) -> Array:
    """1 where the tuned picture of a seed scores higher, 0.5 where both are the same, ``[n]``."""
    return np.where(tuned > base, 1.0, np.where(tuned == base, 0.5, 0.0))


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


def sharpness(pictures: Array) -> Array:
    """Mean brightness step between neighbouring pixels, of 255, ``[n]``."""
    light = pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    across, down = np.abs(np.diff(light, axis=2)), np.abs(np.diff(light, axis=1))
    return across.mean((1, 2)) + down.mean((1, 2))


def saturation(pictures: Array) -> Array:
    """Mean saturation of the colours (HSV's: range of the channels / the greatest), ``[n]``."""
    greatest = pictures.max(-1).astype(np.float32)
    return ((greatest - pictures.min(-1)) / np.maximum(greatest, 1)).mean((1, 2))


def diversity(pictures: Array, groups: Array) -> Array:
    """Mean difference between two pictures of one caption, at a quarter of the resolution, in
    units of the full range; one value per caption."""
    n, h, w, c = pictures.shape
    small = pictures.reshape(n, h // 4, 4, w // 4, 4, c).mean((2, 4)) / 255
    return _spread(small.reshape(n, -1), groups)


def background_diversity(pictures: Array, groups: Array) -> Array:
    """The same of the two upper corners: where portraits show their wall."""
    side = pictures.shape[1] // 5
    corners = np.concatenate([pictures[:, :side, :side], pictures[:, :side, -side:]], 2)
    return _spread(corners.mean((1, 2)) / 255, groups)


def _spread(vectors: Array, groups: Array) -> Array:
    values = []
    for group in np.unique(groups):
        rows = vectors[groups == group]
        if len(rows) > 1:
            variance = rows.var(0, ddof=1).mean()  # half the mean squared distance of two
            values.append(np.sqrt(2 * variance))
    return np.array(values)
