"""From log-odds to probabilities that hold, and thresholds that reach a target precision.

Of a key with one value a product has one of its values, or none: a softmax over the values and a
none of log-odds 0, with a slope for the key and an intercept for each value (bias-corrected
temperature scaling: Alexandari et al. 2020, 1901.06852). A sigmoid for each value would forget
that they exclude each other: a doubtful winner would be called unlikely whose rivals are out of the
question. Of a key with several values each entry has a sigmoid of its own (Platt scaling). Entries
are shrunk to their key: one with few held-out labels borrows its curve, one with many stands on its
own.

Thresholds follow the same idea: the precision above a threshold is the entry's own count plus
``PRIOR_DECISIONS`` decisions at the precision of the whole key. An entry that reaches the target
nowhere is never assigned (threshold above 1): abstention is better than a wrong shelf. For keys
with one value a decision is "the best value of the key, if it clears its threshold", and that is
what the thresholds are set on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pinlanding_assets.encoder.targets import KeySpan

PRIOR_DECISIONS = 10.0
"""Weight of the key's precision against an entry's own, in decisions."""
ENTRY_PRIOR = 1.0
"""Precision of the Gaussian that ties an entry's slope and intercept to its key's."""
KEY_PRIOR = 1e-2
"""Precision of the Gaussian that ties a key's slope to 1 and its intercept to 0."""
EVERYONE = 10.0
"""Log-odds against none of a key that most products have, and none is known to lack."""
BOUND = 6.0
"""Largest log-odds the encoder may claim: no picture is surer than 0.9975."""
NEVER = 1.01
"""A threshold that no probability reaches."""
GRID = np.concatenate([np.linspace(0.5, 0.98, 49), [0.985, 0.99, 0.995, 0.999]])
"""Thresholds that are tried: from "rather true than not" up."""

CALIBRATION_SCHEMA = {
    "entry_id": pl.String,
    "slope": pl.Float64,
    "intercept": pl.Float64,
    "threshold": pl.Float64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "support": pl.Int64,
}
RELIABILITY_SCHEMA = {
    "key": pl.String,
    "stated": pl.Float64,
    "observed": pl.Float64,
    "n": pl.Int64,
}


@dataclass(frozen=True)
class Calibrator:
    """A ``calibration`` table, laid out for the columns that it is asked about.

    Attributes:
        slope: ``[e]``.
        intercept: ``[e]``.
        threshold: ``[e]``, probabilities.
        known: ``[e]``, False where the table says nothing: such an entry is never decided.
        spans: Columns of each key.
    """

    slope: np.ndarray
    intercept: np.ndarray
    threshold: np.ndarray
    known: np.ndarray
    spans: list[KeySpan]

    @classmethod
    def of(
        cls, entry_ids: Sequence[str], calibration: pl.DataFrame, spans: list[KeySpan]
    ) -> "Calibrator":
        """For these columns."""
        table = pl.DataFrame({"entry_id": entry_ids}, schema={"entry_id": pl.String}).join(
            calibration, on="entry_id", how="left", maintain_order="left"
        )
        known = table["slope"].is_not_null().to_numpy()
        slope, intercept, threshold = (
            table[name].fill_null(otherwise).to_numpy()
            for name, otherwise in (("slope", 1.0), ("intercept", 0.0), ("threshold", NEVER))
        )
        return cls(slope, intercept, threshold, known, spans)

    def log_odds(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated log-odds ``[n, e]`` of uncalibrated ones, in their precision; -inf for entries
        that the table does not know."""
        z = logits * self.slope.astype(logits.dtype) + self.intercept.astype(logits.dtype)
        z[:, ~self.known] = -np.inf
        for span in self.spans:
            if not span.multi:
                z[:, span.start : span.stop] = _among(z[:, span.start : span.stop])
        return z

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities ``[n, e]``."""
        return _sigmoid(self.log_odds(logits))


def calibrate(
    logits: np.ndarray,
    positive: np.ndarray,
    weight: np.ndarray,
    entry_ids: list[str],
    spans: list[KeySpan],
    *,
    target_precision: float = 0.95,
    fold: np.ndarray | None = None,
) -> pl.DataFrame:
    """The ``calibration`` table from held-out log-odds.

    Args:
        logits: ``[n, e]`` uncalibrated log-odds of held-out products.
        positive: ``[n, e]`` 1 where the entry holds.
        weight: ``[n, e]`` trust in that; 0 is unknown and not counted.
        entry_ids: The columns.
        spans: Columns of each key.
        target_precision: Aim of the thresholds, 0..1.
        fold: ``[n]``: products whose probabilities are judged by a calibration of the others, so
            that thresholds are set on what they were not fitted to; None: by the same.

    Returns:
        ``entry_id, slope, intercept, threshold, precision, recall, support``. ``precision`` is the
        shrunk estimate at the threshold, ``recall`` the share of held-out positives above it.
    """
    slope, intercept = _curves(logits, positive, weight, spans)
    rows: list[dict] = []
    p = _judged(logits, positive, weight, spans, fold, (slope, intercept))
    for span in spans:
        decided = _decisions(p, span)
        block = slice(span.start, span.stop)
        trust, true = weight[:, block], positive[:, block] > 0
        known = trust > 0
        above = (decided[:, :, None] >= GRID) * trust[:, :, None]  # [n, values, grid]
        right = (above * true[:, :, None]).sum(axis=0)  # [values, grid]
        taken = above.sum(axis=0)
        key_precision = (right.sum(0) + 0.5) / (taken.sum(0) + 1.0)
        precision = (right + PRIOR_DECISIONS * key_precision) / (taken + PRIOR_DECISIONS)
        support, there = (known & true).sum(axis=0), (trust * true).sum(axis=0)
        for value, column in enumerate(range(span.start, span.stop)):
            reached = np.flatnonzero(precision[value] >= target_precision)
            at = int(reached[0]) if len(reached) and support[value] else None
            rows.append(
                {
                    "entry_id": entry_ids[column],
                    "slope": float(slope[column]),
                    "intercept": float(intercept[column]),
                    "threshold": NEVER if at is None else float(GRID[at]),
                    "precision": float(precision[value, -1 if at is None else at]),
                    "recall": 0.0 if at is None else float(right[value, at] / there[value]),
                    "support": int(support[value]),
                }
            )
    return pl.DataFrame(rows, schema=CALIBRATION_SCHEMA).sort("entry_id")


def _curves(
    logits: np.ndarray, positive: np.ndarray, weight: np.ndarray, spans: list[KeySpan]
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and intercepts ``[e]``."""
    slope, intercept = np.ones(logits.shape[1]), np.zeros(logits.shape[1])
    for span in spans:
        block = slice(span.start, span.stop)
        fit = _sigmoids if span.multi else _softmax
        slope[block], intercept[block] = fit(logits[:, block], positive[:, block], weight[:, block])
    return slope, intercept


def _judged(
    logits: np.ndarray,
    positive: np.ndarray,
    weight: np.ndarray,
    spans: list[KeySpan],
    fold: np.ndarray | None,
    curves: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Probabilities ``[n, e]``, of each fold by the calibration of the others."""
    everywhere = np.ones(logits.shape[1], dtype=bool)
    if fold is None:
        return Calibrator(*curves, curves[0], everywhere, spans).probabilities(logits)
    p = np.zeros(logits.shape)
    for number in np.unique(fold):
        others = fold != number
        slope, intercept = _curves(logits[others], positive[others], weight[others], spans)
        curve = Calibrator(slope, intercept, slope, everywhere, spans)
        p[~others] = curve.probabilities(logits[~others])
    return p


def reliability(
    logits: np.ndarray,
    positive: np.ndarray,
    weight: np.ndarray,
    entry_ids: list[str],
    spans: list[KeySpan],
    calibration: pl.DataFrame,
    bins: int = 10,
) -> dict[str, float]:
    """How far the probabilities hold: ``ece`` (mean gap between stated and observed over equal
    bins, weighted by count), ``precision`` and ``recall`` of the decisions at the thresholds, and
    ``abstention``, the share of (product, known key) pairs that get no value."""
    curve = Calibrator.of(entry_ids, calibration, spans)
    p, threshold = curve.probabilities(logits), curve.threshold
    known = weight > 0
    stated, observed = p[known], positive[known] > 0
    edges = np.minimum((stated * bins).astype(int), bins - 1)
    gap = sum(
        abs(stated[edges == b].mean() - observed[edges == b].mean()) * (edges == b).mean()
        for b in range(bins)
        if (edges == b).any()
    )
    taken = right = truths = asked = answered = 0
    for span in spans:
        block = slice(span.start, span.stop)
        chosen = (_decisions(p, span) >= threshold[block]) & known[:, block]
        true = (positive[:, block] > 0) & known[:, block]
        taken, right = taken + int(chosen.sum()), right + int((chosen & true).sum())
        truths += int(true.sum())
        with_truth = true.any(axis=1)
        asked += int(with_truth.sum())
        answered += int((chosen.any(axis=1) & with_truth).sum())
    return {
        "ece": float(gap),
        "precision": right / taken if taken else 0.0,
        "recall": right / truths if truths else 0.0,
        "abstention": 1 - answered / asked if asked else 0.0,
    }


def reliability_curve(
    logits: np.ndarray,
    positive: np.ndarray,
    weight: np.ndarray,
    entry_ids: list[str],
    spans: list[KeySpan],
    *,
    bins: int = 10,
) -> pl.DataFrame:
    """Stated against observed probability in equal bins, by key: ``key, stated, observed, n``.

    Each half of the held-out products is judged by the calibration of the other half, so that no
    probability is measured on what it was fitted to. Bins without a decision are left out.
    """
    p, first = np.zeros(logits.shape), np.arange(len(logits)) % 2 == 0
    for half in (first, ~first):
        fitted = calibrate(logits[~half], positive[~half], weight[~half], entry_ids, spans)
        p[half] = Calibrator.of(entry_ids, fitted, spans).probabilities(logits[half])
    rows: list[dict] = []
    for span in spans:
        block = slice(span.start, span.stop)
        known = weight[:, block] > 0
        stated, observed = p[:, block][known], positive[:, block][known] > 0
        edges = np.minimum((stated * bins).astype(int), bins - 1)
        rows += [
            {
                "key": span.key,
                "stated": float(stated[edges == b].mean()),
                "observed": float(observed[edges == b].mean()),
                "n": int((edges == b).sum()),
            }
            for b in np.unique(edges)
        ]
    return pl.DataFrame(rows, schema=RELIABILITY_SCHEMA)


def _decisions(p: np.ndarray, span: KeySpan) -> np.ndarray:
    """Probabilities ``[n, values]`` of a key, with all but the best value at -1 if only one may
    hold."""
    block = p[:, span.start : span.stop]
    if span.multi:
        return block
    best = np.full_like(block, -1.0)
    rows, winners = np.arange(len(block)), block.argmax(axis=1)
    best[rows, winners] = block[rows, winners]
    return best


def _among(z: np.ndarray) -> np.ndarray:
    """Log-odds of each value ``[n, values]`` against all others and none, from a softmax's inputs;
    none has 0."""
    highest = np.maximum(z.max(axis=1, keepdims=True), 0)
    total = highest + np.log(np.exp(z - highest).sum(axis=1, keepdims=True) + np.exp(-highest))
    log_p = np.minimum(z - total, -np.finfo(z.dtype).eps)  # nothing is certain
    return log_p - np.log(-np.expm1(log_p))


def _softmax(
    logits: np.ndarray, positive: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slope, one for all, and intercept a value: maximum a posteriori. A product has the value that
    is positive, or none where all are known to be absent; what is unknown of it does not count."""
    from scipy.optimize import minimize

    known = weight > 0
    true = (positive > 0) & known
    has = np.asarray(true.any(axis=1))
    rows = has | known.all(axis=1)
    # A label counts in full; a none counts as far as it is sure.
    sure = np.where(has, 1.0, weight.max(axis=1))[rows].astype(np.float64)
    z, known, true = logits[rows].astype(np.float64), known[rows], true[rows]
    usual = EVERYONE if has.mean() >= 0.5 and not (~has[rows]).any() else 0.0
    # The value that holds, and last a column of none.
    chosen = np.concatenate([true, ~has[rows][:, None]], axis=1).astype(np.float64)
    values = z.shape[1]

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        slope, of_key, own = x[0], x[1], x[2:]
        u = np.where(known, slope * z + of_key + own, -np.inf)
        u = np.concatenate([u, np.zeros((len(u), 1))], axis=1)
        u -= u.max(axis=1, keepdims=True)
        p = np.exp(u)
        total = p.sum(axis=1, keepdims=True)
        error = sure[:, None] * (p / total - chosen)[:, :values]
        fit = (sure * (np.log(total[:, 0]) - np.where(chosen > 0, u, 0.0).sum(axis=1))).sum()
        far = of_key - usual
        prior = KEY_PRIOR * ((slope - 1) ** 2 + far**2) + ENTRY_PRIOR * (own**2).sum()
        pull = [(error * z).sum() + KEY_PRIOR * (slope - 1), error.sum() + KEY_PRIOR * far]
        return fit + prior / 2, np.concatenate([pull, error.sum(axis=0) + ENTRY_PRIOR * own])

    start = np.concatenate([[1.0, usual], np.zeros(values)])
    # A falling curve would rank the worst product first: noise of tiny supports, never a finding.
    bounds = [(0.05, None)] + [(None, None)] * (values + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.full(values, found[0]), found[1] + found[2:]


def _sigmoids(
    logits: np.ndarray, positive: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slope and intercept of each value by itself, shrunk to the key's."""
    parts = (logits, positive, weight)
    pooled = _platt(*(part.reshape(-1, 1) for part in parts), prior=(1.0, 0.0), ridge=KEY_PRIOR)
    prior = (float(pooled[0][0]), float(pooled[1][0]))
    return _platt(*parts, prior=prior, ridge=ENTRY_PRIOR)


def _platt(
    logits: np.ndarray,
    positive: np.ndarray,
    weight: np.ndarray,
    *,
    prior: tuple[float, float],
    ridge: float,
    steps: int = 30,
) -> tuple[np.ndarray, np.ndarray]:
    """Slope and intercept a column: maximum a posteriori logistic regression, by Newton steps."""
    z = logits.astype(np.float64)
    y = positive.astype(np.float64)
    w = np.where(positive > 0, weight > 0, weight).astype(np.float64)
    slope = np.full(z.shape[1], prior[0])
    intercept = np.full(z.shape[1], prior[1])
    for _ in range(steps):
        p = _sigmoid(z * slope + intercept)
        error, curve = w * (p - y), w * np.maximum(p * (1 - p), 1e-9)
        g_slope = (error * z).sum(0) + ridge * (slope - prior[0])
        g_intercept = error.sum(0) + ridge * (intercept - prior[1])
        a = (curve * z * z).sum(0) + ridge
        b = (curve * z).sum(0)
        c = curve.sum(0) + ridge
        det = np.maximum(a * c - b * b, 1e-9)
        d_slope = (c * g_slope - b * g_intercept) / det
        d_intercept = (a * g_intercept - b * g_slope) / det
        # Bounded steps: separable columns would otherwise run away before the prior holds them.
        slope = slope - np.clip(d_slope, -1.0, 1.0)
        intercept = intercept - np.clip(d_intercept, -2.0, 2.0)
        if max(np.abs(d_slope).max(), np.abs(d_intercept).max()) < 1e-6:
            break
    # A falling curve would rank the worst product first: noise of tiny supports, never a finding.
    return np.maximum(slope, 0.05), intercept


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(z, -60.0, 60.0)))
