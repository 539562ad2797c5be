"""How far a title counts beside what the product shows: experts have read its words, too.

Of the titles that name an entry, on products of which others say what is true, a logistic
regression says how likely the entry is: from the calibrated log-odds of models that did not see the
product, and from the trust in the title's word that the other products taught. First for all keys,
then for each, drawn to the first.
"""

import numpy as np
import polars as pl

from pinlanding_assets.encoder.calibration import BOUND, Calibrator
from pinlanding_assets.encoder.targets import KeySpan, Told
from pinlanding_assets.encoder.trust import title_trust, witness

BESIDE = 0.25
"""What a trusted title still adds where nothing was learned: a title that errs has misled those who
read it, too. Chosen on a world of the sandbox (docs/benchmarks.md)."""
USUAL = (1.0, BESIDE, 0.0)
"""Slope of the log-odds, share of the trust's log-odds, and shift, before anything is learned."""
RIDGE = 1.0
"""Precision of the Gaussians that tie all keys to ``USUAL``, and each key to all."""
BOUNDS = [(0.0, None), (0.0, None), (None, None)]
"""Neither evidence counts against itself."""
HEARD_SCHEMA = {
    "entry_id": pl.String,
    "trust": pl.Float64,
    "said": pl.Int64,
    "slope": pl.Float64,
    "share": pl.Float64,
    "shift": pl.Float64,
}


def hear(
    readings: np.ndarray,
    calibration: pl.DataFrame,
    told: Told,
    fold: np.ndarray,
    entry_ids: pl.Series,
    spans: list[KeySpan],
) -> pl.DataFrame:
    """The ``title_trust`` table: ``entry_id, trust, said, slope, share, shift``. An entry that a
    title names has the log-odds ``slope * z + share * logit(trust) + shift``, where z is what the
    product shows.

    Args:
        readings: ``[n, e]`` uncalibrated log-odds by models that did not see the product.
        calibration: The ``calibration`` table.
        told: What others and titles say of the products.
        fold: ``[n]``, products whose trust is learned from the other folds.
        entry_ids: ``[e]``.
        spans: Columns of each key.
    """
    z = Calibrator.of(entry_ids.to_list(), calibration, spans).log_odds(readings)
    z, trusted = np.clip(z, -BOUND, BOUND), np.zeros(z.shape)
    for number in np.unique(fold):
        others = title_trust(told.of(np.flatnonzero(fold != number)), entry_ids, spans)
        trusted[fold == number] = logit(others["trust"].to_numpy())
    counts = witness(told)
    parts = []
    for at, span in enumerate(spans):
        block = slice(span.start, span.stop)
        weight = counts[:, block] * told.sure[:, at, None]
        named = weight > 0
        evidence = np.stack([z[:, block][named], trusted[:, block][named], named[named]], axis=1)
        parts.append((evidence, told.true[:, block][named], weight[named]))
    evidence, true, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    of_all = _fit(evidence, true, weight, np.array(USUAL))
    of_key = [_fit(*part, usual=of_all) for part in parts]
    widths = [span.stop - span.start for span in spans]
    found = np.repeat(np.array(of_key), widths, axis=0)
    learnt = pl.DataFrame(found, schema=list(HEARD_SCHEMA)[3:])
    return title_trust(told, entry_ids, spans).hstack(learnt)


def logit(p: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities, none surer than 0.999."""
    sure = np.clip(p, 0.001, 0.999)
    return np.log(sure / (1 - sure))


def _fit(
    evidence: np.ndarray, true: np.ndarray, weight: np.ndarray, usual: np.ndarray
) -> np.ndarray:
    """Maximum a posteriori logistic regression ``[3]`` of ``[m, 3]``."""
    from scipy.optimize import minimize
    from scipy.special import expit

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        z = evidence @ x
        far = x - usual
        fit = (weight * (np.logaddexp(0, z) - true * z)).sum() + RIDGE * (far**2).sum() / 2
        return fit, evidence.T @ (weight * (expit(z) - true)) + RIDGE * far

    return minimize(loss, usual, jac=True, method="L-BFGS-B", bounds=BOUNDS).x
