"""What it means that a catalog says nothing of a key: absent, or merely not said.

A catalog with fields lost at random is silent about red shirts and blue ones alike; a catalog that
states the pattern of striped shirts alone is silent because the others have none. Which of them it
is can be seen: a model that tells stated products from silent ones is sure of itself only where
silence has a reason. With c, how often a key is stated where it holds (where the model is surest),
a silent product has the key with odds (1 - c) / c * g / (1 - g), where g is the model's
probability that it is stated (Elkan and Noto 2008). Both are counted, not taken at the model's
word: by isotonic regression on its ranking, and c in the upper third of that.
"""

import numpy as np

from pinlanding_assets.encoder.logistic import Matrix, compacted, fit_logistic

UPPER = 3
"""c is counted in the upper third of the ranking: less of it would be a few lucky products."""
RIDGE = 0.1
RARE = 0.5
"""A key that is stated less often than this even where it is most usual is a tag that few have."""
OFTEN = 0.97
"""How often such a key is stated where it holds."""
LEAST = 10
"""Stated products from which a model can be fitted; a key of fewer is a tag that few have."""


def absence(
    features: Matrix, stated: np.ndarray, asked: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """How sure it is that a silent product lacks the key: ``[n, keys]`` in 0..1.

    Args:
        features: ``[n, d]`` of products.
        stated: ``[n, keys]`` bool, whether a source states the key of the product.
        asked: ``[n, keys]`` bool, whether a source that speaks of the key describes the product
            at all; the others are silent for another reason, and get 0.
        fold: ``[n]``, groups of products that are predicted by a model trained on the others.
    """
    usable = (stated & asked).sum(axis=0) >= LEAST
    lacking = (asked & ~stated & ~usable).astype(np.float64)
    if not usable.any():
        return lacking
    from sklearn.isotonic import IsotonicRegression

    truth = (stated & asked)[:, usable].astype(np.float64)
    weight = asked[:, usable].astype(np.float64)
    probability = np.zeros(truth.shape)
    for number in np.unique(fold):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        compact, lift = compacted(features[inside])
        slopes, own = fit_logistic(compact, truth[inside], weight[inside], ridge=RIDGE)
        z = np.asarray(features[outside] @ lift(slopes)) + own
        probability[outside] = 1.0 / (1.0 + np.exp(-z))
    for at, key in enumerate(np.flatnonzero(usable)):
        there = np.flatnonzero(asked[:, key])
        rank = np.argsort(np.argsort(probability[there, at], kind="stable"))
        rising = IsotonicRegression().fit_transform(rank, truth[there, at])
        often = float(truth[there[rank >= len(there) - len(there) / UPPER], at].mean())
        rate = np.zeros(len(truth))
        rate[there] = np.clip(rising, 0.0, often)
        often = OFTEN if often < RARE else often
        often = min(often, 0.999)
        odds = (1 - often) / often * rate / np.maximum(1 - rate, 1e-3)
        silent = asked[:, key] & ~stated[:, key]
        lacking[silent, key] = np.clip(1 - odds[silent], 0.0, 1.0)
    return lacking
