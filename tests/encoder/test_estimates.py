import numpy as np
import polars as pl
import pytest

from pinlanding_assets.encoder.calibration import calibrate
from pinlanding_assets.encoder.estimates import ESTIMATES_SCHEMA, Rule, estimate, said_of
from pinlanding_assets.encoder.targets import Told, build_targets

N = 300
KEYS = pl.DataFrame({"key": ["color"], "multi": [False], "role": ["attribute"]})
ENTRIES = pl.DataFrame(
    [(f"color={name}", "color", name) for name in ("blue", "red")],
    schema=["entry_id", "key", "phrase"],
    orient="row",
)
FOLD = np.arange(N) % 3
IDS = [f"p{at:03}" for at in range(N)]
TITLES = pl.DataFrame(schema=dict.fromkeys(("product_id", "source", "key", "entry_id"), pl.String))
TRUST = pl.DataFrame(schema={"entry_id": pl.String, "trust": pl.Float64})
RULE = Rule(KEYS, TITLES, TRUST, 0.95, crossed=True)


def shop(seed=0):
    """Half of the products are red, half blue; what is read of them is clear."""
    random = np.random.default_rng(seed)
    red = random.random(N) < 0.5
    value = np.where(red, "color=red", "color=blue")
    labels = pl.DataFrame({"product_id": IDS, "entry_id": value, "weight": [1.0] * N})
    targets = build_targets(IDS, labels, ENTRIES, KEYS)
    read = np.stack([~red, red], axis=1) * 8.0 - 4.0 + random.normal(size=(N, 2))
    return {"encoder": read.astype(np.float32)}, targets


def estimated(odds, targets, true=None, sure=None, fold=FOLD):
    true = targets.positive > 0 if true is None else true
    sure = np.ones((N, 1)) if sure is None else sure
    names = targets.entries["entry_id"].to_list()
    table = calibrate(odds["encoder"], targets.positive, targets.weight, names, targets.spans)
    found = estimate(odds, targets, Told(true, sure), fold, table, RULE)
    assert found.schema == pl.Schema(ESTIMATES_SCHEMA)
    return found.row(0, named=True) if found.height else None


def test_what_is_clear_is_said_and_right():
    found = estimated(*shop())
    assert found["labelled"] == found["labels"] == N
    assert (found["entries"], found["never"]) == (2, 0)
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    assert found["stated"] == found["right"] == N
    assert found["said"] > 0.95
    assert found["gap"] == pytest.approx(found["said"] - 1)


def test_a_value_that_the_vocabulary_lacks_and_silence_make_statements_wrong():
    odds, targets = shop()
    true, sure = targets.positive > 0, np.ones((N, 1))
    true[:60] = False  # the label says "teal"
    sure[30:60] = 0.5  # there is no label; that there is no color either is half sure
    found = estimated(odds, targets, true, sure)
    assert found["labels"] == N - 60
    assert found["stated"] == N - 15
    assert found["precision"] == pytest.approx((N - 60) / (N - 15))


def test_nothing_is_said_of_what_cannot_be_read():
    _, targets = shop()
    found = estimated({"encoder": np.zeros((N, 2), np.float32)}, targets)
    assert found["stated"] == found["recall"] == found["coverage"] == 0
    assert found["never"] == 2
    assert found["precision"] is found["said"] is found["gap"] is None


def test_hidden_labels_have_no_say_and_one_fold_gives_nothing():
    odds, targets = shop()
    before = said_of(0, odds, targets, FOLD, RULE)
    assert before[FOLD == 0].any()
    assert not before[FOLD != 0].any()
    hidden = np.flatnonzero(FOLD == 0)
    targets.positive[hidden] = targets.positive[hidden, ::-1]
    np.testing.assert_array_equal(said_of(0, odds, targets, FOLD, RULE), before)
    assert estimated(odds, targets, fold=np.zeros(N, int)) is None
