from dataclasses import replace

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
RULE = Rule(KEYS, TITLES, 0.95, crossed=True)


def shop(seed=0):
    """Half of the products are red, half blue; what is read of them is clear."""
    random = np.random.default_rng(seed)
    red = random.random(N) < 0.5
    value = np.where(red, "color=red", "color=blue")
    labels = pl.DataFrame({"product_id": IDS, "entry_id": value, "weight": [1.0] * N})
    targets = build_targets(IDS, labels, ENTRIES, KEYS)
    read = np.stack([~red, red], axis=1) * 8.0 - 4.0 + random.normal(size=(N, 2))
    return {"encoder": read.astype(np.float32)}, targets


def told_of(targets, true=None, sure=None):
    true = targets.positive > 0 if true is None else true
    sure = np.ones((N, 1)) if sure is None else sure
    return Told(true, sure, np.zeros((N, 2), dtype=bool), np.arange(N))


def estimated(odds, targets, told=None, fold=FOLD, rule=RULE):
    told = told or told_of(targets)
    names = targets.entries["entry_id"].to_list()
    table = calibrate(odds["encoder"], targets.positive, targets.weight, names, targets.spans)
    found = estimate(odds, targets, told, fold, table, rule)
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
    found = estimated(odds, targets, told_of(targets, true, sure))
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
    before = said_of(0, odds, targets, told_of(targets), FOLD, RULE)
    assert before[FOLD == 0].any()
    assert not before[FOLD != 0].any()
    hidden = np.flatnonzero(FOLD == 0)
    targets.positive[hidden] = targets.positive[hidden, ::-1]
    after = said_of(0, odds, targets, told_of(targets), FOLD, RULE)
    np.testing.assert_array_equal(after, before)
    assert estimated(odds, targets, fold=np.zeros(N, int)) is None


def test_titles_are_not_hidden_and_are_trusted_as_far_as_the_other_folds_say():
    _, targets = shop()
    nothing, titled = {"encoder": np.zeros((N, 2), np.float32)}, targets.positive > 0
    titles = pl.DataFrame(
        {
            "product_id": IDS,
            "source": ["title"] * N,
            "key": ["color"] * N,
            "entry_id": np.where(titled[:, 1], "color=red", "color=blue"),
        }
    )
    rule = replace(RULE, titles=titles)
    right = replace(told_of(targets), titled=titled)
    assert estimated(nothing, targets, right, rule=rule)["precision"] == 1
    wrong = replace(right, true=titled[:, ::-1])
    assert estimated(nothing, targets, wrong, rule=rule)["stated"] == 0
