"""Logistic regression for many attributes at once: one pass over the features serves all of them.

scikit-learn's estimators fit one target at a time, or values that exclude each other. A vocabulary
has hundreds, cross-fitting fits each several times, and what is unknown of a product has to be left
out entry by entry. So scipy's L-BFGS runs on all columns of a key together.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

Matrix: TypeAlias = Union[np.ndarray, "sparse.csr_array"]
"""Rows of features, dense or sparse."""

STEPS = 40
"""Most L-BFGS steps."""
FAINT = 1e-2
"""Pull of an intercept to the base rate: one that nothing holds back would run away."""


def fit_logistic(
    features: Matrix,
    positive: np.ndarray,
    weight: np.ndarray,
    *,
    ridge: float,
    exclusive: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and intercepts that minimize the weighted log loss plus a ridge penalty.

    Args:
        features: ``[n, d]``, dense or sparse.
        positive: ``[n, e]``, 1 where the attribute holds.
        weight: ``[n, e]``, how far that is known; 0 leaves the pair out. Of exclusive attributes a
            row counts with the largest of its weights.
        ridge: Penalty on the squared coefficients; the intercepts are free but for a faint pull.
        exclusive: A row has at most one attribute: a softmax with a "none" of log-odds 0, else a
            sigmoid for each.

    Returns:
        ``[d, e]`` and ``[e]``.
    """
    from scipy.optimize import minimize

    (n, count), width = positive.shape, _width(features)
    truth, trust = positive.astype(np.float64), weight.astype(np.float64)
    transposed = features.T if isinstance(features, np.ndarray) else features.T.tocsr()
    kind = features.dtype
    held = (truth * trust).sum(axis=0) + 0.5
    of_row = trust.max(axis=1)
    rest = (of_row * (1 - truth.max(axis=1))).sum() + 0.5 if exclusive else trust.sum(axis=0) + 1
    start = np.log(held / np.maximum(rest if exclusive else rest - held, 0.5))

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        slopes, own = x[: width * count].reshape(width, count), x[width * count :]
        z = np.asarray(features @ slopes.astype(kind)) + own
        fit, error = log_loss(z, truth, trust, exclusive=exclusive)
        pull = ridge * (slopes**2).sum() + FAINT * ((own - start) ** 2).sum()
        gradient = np.asarray(transposed @ error.astype(kind)) + ridge * slopes
        return fit + pull / 2, np.concatenate(
            [gradient.ravel(), error.sum(axis=0) + FAINT * (own - start)]
        )

    if not n or not count:
        return np.zeros((width, count)), np.zeros(count)
    found = minimize(
        loss,
        np.concatenate([np.zeros(width * count), start]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": STEPS, "ftol": 1e-5},
    ).x
    return found[: width * count].reshape(width, count), found[width * count :]


def compacted(features: Matrix) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """The same rows with at most as many columns as rows, and what turns coefficients of these
    into coefficients of the features.

    A ridge penalty keeps the solution within the span of the rows, so that nothing is lost: a few
    thousand texts with tens of thousands of words are solved as fast as if they had few.
    """
    width, n = _width(features), _width(features.T)
    if width <= n:
        dense = features if isinstance(features, np.ndarray) else features.toarray()
        return np.asarray(dense, np.float32), lambda slopes: slopes
    products = features @ features.T
    products = products if isinstance(products, np.ndarray) else products.toarray()
    values, vectors = np.linalg.eigh(products.astype(np.float32))
    kept = values > 1e-5 * max(float(values[-1]), 1e-9)
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    back = vectors / roots
    return vectors * roots, lambda slopes: np.asarray(features.T @ (back @ slopes))


def _width(features: Matrix) -> int:
    """Number of columns; scipy's types leave the shape open."""
    return int(features.shape[-1])  # type: ignore[index]


def log_loss(
    z: np.ndarray, positive: np.ndarray, weight: np.ndarray, *, exclusive: bool
) -> tuple[float, np.ndarray]:
    """The weighted log loss of log-odds ``[n, e]`` and its gradient; see `fit_logistic`."""
    if not exclusive:
        fit = (weight * (np.logaddexp(0.0, z) - positive * z)).sum()
        return float(fit), weight * (1.0 / (1.0 + np.exp(-z)) - positive)
    of_row = weight.max(axis=1)
    top = np.maximum(z.max(axis=1), 0.0)
    total = top + np.log(np.exp(z - top[:, None]).sum(axis=1) + np.exp(-top))
    fit = (of_row * (total - (positive * z).sum(axis=1))).sum()
    return float(fit), of_row[:, None] * (np.exp(z - total[:, None]) - positive)
