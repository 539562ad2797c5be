import numpy as np
import polars as pl
import pytest

from pinlanding_assets.encoder.calibration import (
    CALIBRATION_SCHEMA,
    NEVER,
    Calibrator,
    calibrate,
    reliability,
    reliability_curve,
)
from pinlanding_assets.encoder.targets import KeySpan

IDS = ["k=a", "k=b", "k=c"]
SPANS = [KeySpan("k", 0, 3, False)]


def sample(n=3000, noise=1.0, seed=0):
    """Log-odds that are twice too steep: the true probability is sigmoid(logit / 2)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3.0, size=(n, 3))
    positive = (rng.random((n, 3)) < 1 / (1 + np.exp(-logits * noise / 2))).astype(np.float32)
    return logits, positive, np.ones_like(positive)


def test_platt_recovers_the_slope_and_lowers_the_error():
    logits, positive, weight = sample()
    multi = [KeySpan("k", 0, 3, True)]
    table = calibrate(logits, positive, weight, IDS, multi)
    np.testing.assert_allclose(table["slope"].to_numpy(), 0.5, atol=0.06)
    after = reliability(logits, positive, weight, IDS, multi, table)
    raw = table.with_columns(slope=1.0, intercept=0.0)
    assert after["ece"] < 0.02 < reliability(logits, positive, weight, IDS, multi, raw)["ece"]


def exclusive(n=6000, seed=0):
    """One of three values, or none, as a softmax of half the log-odds says; b is rarer by a half
    than they say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=4.0, size=(n, 3))
    inputs = np.concatenate([logits / 2 + [0.5, -0.5, 0.5], np.zeros((n, 1))], axis=1)
    p = np.exp(inputs) / np.exp(inputs).sum(1, keepdims=True)
    value = (p.cumsum(1) < rng.random((n, 1))).sum(1)
    positive = (value[:, None] == np.arange(3)).astype(np.float32)
    return logits, positive, np.ones_like(positive)


def test_values_that_exclude_each_other_share_the_probability():
    logits, positive, weight = exclusive()
    table = calibrate(logits, positive, weight, IDS, SPANS)
    np.testing.assert_allclose(table["slope"].to_numpy(), 0.5, atol=0.03)
    np.testing.assert_allclose(table["intercept"].to_numpy(), [0.5, -0.5, 0.5], atol=0.12)
    fresh = exclusive(seed=1)
    found = reliability(*fresh, IDS, SPANS, table)
    assert found["ece"] < 0.01
    alone = calibrate(logits, positive, weight, IDS, [KeySpan("k", 0, 3, True)])
    assert reliability(*fresh, IDS, [KeySpan("k", 0, 3, True)], alone)["ece"] > 2 * found["ece"]


def test_a_doubtful_value_without_a_rival_is_likely():
    rows = [(entry, 1.0, 3.0, 0.5, 0.95, 0.8, 50) for entry in IDS]
    curve = Calibrator.of(IDS, pl.DataFrame(rows, CALIBRATION_SCHEMA, orient="row"), SPANS)
    p = curve.probabilities(np.array([[-2.0, -9.0, -9.0], [-2.0, -2.0, -9.0], [90.0, 0.0, -90.0]]))
    assert p[0, 0] == pytest.approx(np.e / (np.e + 1 + 2 * np.exp(-6)))
    assert p[1, 0] == p[1, 1] == pytest.approx(np.e / (2 * np.e + 1 + np.exp(-6)))
    assert p[2, 0] > 0.999  # finite log-odds whatever the encoder says
    assert np.isfinite(curve.log_odds(np.array([[90.0, 0.0, -90.0]], dtype=np.float32))).all()


def test_what_is_unknown_of_a_product_is_neither_a_rival_nor_none():
    logits, positive, weight = exclusive()
    whole = calibrate(logits, positive, weight, IDS, SPANS)
    # of half of the products that have "a" nobody knows about "b"; those with nothing are unknown
    hidden = weight.copy()
    hidden[(positive[:, 0] > 0) & (np.arange(len(weight)) % 2 == 0), 1] = 0
    table = calibrate(logits, positive, hidden, IDS, SPANS)
    np.testing.assert_allclose(table["slope"], whole["slope"], atol=0.05)
    nothing = positive.any(1)
    hidden = weight * nothing[:, None]
    never_none = calibrate(logits, positive, hidden, IDS, SPANS)
    assert (never_none["intercept"] > whole["intercept"] + 0.5).all()


def test_thresholds_reach_the_target_on_fresh_data():
    multi = [KeySpan("k", 0, 3, True)]
    table = calibrate(*sample(), IDS, multi, target_precision=0.9)
    fresh = reliability(*sample(seed=1), IDS, multi, table)
    assert fresh["precision"] > 0.88
    assert 0.1 < fresh["recall"] < 1.0


def test_hopeless_and_unseen_entries_abstain():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, 3))
    positive = np.zeros((400, 3), dtype=np.float32)
    positive[np.arange(400), rng.integers(0, 2, 400)] = 1.0  # noise; "c" never holds
    table = calibrate(logits, positive, np.ones_like(positive), IDS, SPANS)
    assert table["threshold"].to_list() == [NEVER] * 3
    assert table["support"].to_list()[2] == 0
    curve = Calibrator.of([*IDS[:2], "k=new"], table, SPANS)
    assert (curve.probabilities(logits) < curve.threshold).all()


def test_small_support_is_shrunk_to_the_key():
    logits, positive, weight = sample()
    weight[:, 2] = 0
    weight[:4, 2] = 1
    logits[:4, 2], positive[:4, 2] = [4, 3, -4, -3], [0, 0, 1, 1]  # four freak labels
    table = calibrate(logits, positive, weight, IDS, [KeySpan("k", 0, 3, True)])
    assert table["slope"][2] > 0
    assert table["support"].to_list()[2] == 2


def test_masked_pairs_do_not_count():
    logits, positive, weight = sample()
    hidden = weight.copy()
    hidden[1500:] = 0
    wrong = positive.copy()
    wrong[1500:] = 1 - wrong[1500:]
    a = calibrate(logits, positive, hidden, IDS, SPANS)
    assert a.equals(calibrate(logits, wrong, hidden, IDS, SPANS))


def test_the_reliability_curve_is_on_the_diagonal_and_counts_every_decision_once():
    logits, positive, weight = sample()
    weight[:500] = 0.0
    curve = reliability_curve(logits, positive, weight, IDS, [KeySpan("k", 0, 3, True)])
    assert curve["n"].sum() == (weight > 0).sum()
    assert set(curve["key"]) == {"k"}
    sure = curve.filter(curve["n"] > 100)
    np.testing.assert_allclose(sure["stated"], sure["observed"], atol=0.08)
    # a label that nothing foretells: the curve does not follow what each half was fitted to
    flat = reliability_curve(np.zeros((6000, 3)), *exclusive()[1:], IDS, SPANS)
    assert (flat["stated"] - flat["observed"]).abs().max() < 0.1
