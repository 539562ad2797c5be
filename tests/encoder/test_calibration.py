import numpy as np

from pinlanding_assets.encoder.calibration import (
    NEVER,
    calibrate,
    probabilities,
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
    p, threshold = probabilities(logits, [*IDS[:2], "k=new"], table)
    assert (p < threshold).all()


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
    flat = reliability_curve(np.zeros_like(logits), positive, weight, IDS, SPANS)
    assert (flat["stated"] - flat["observed"]).abs().max() < 0.1
