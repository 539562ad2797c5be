import numpy as np
import polars as pl

from pinlanding_assets.encoder.retrieval import (
    attribute_recall,
    composed_precision,
    retrieval_report,
)
from pinlanding_assets.encoder.targets import KeySpan

SPANS = [KeySpan("colour", 0, 2, False), KeySpan("shape", 2, 4, False)]


def truth_of(n):
    truth = np.zeros((n, 4), dtype=bool)
    truth[np.arange(n), np.arange(n) % 2] = True
    truth[np.arange(n), 2 + (np.arange(n) // 2) % 2] = True
    return truth


def test_recall_counts_shares_and_hits():
    truth = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=bool)
    scores = np.array([[9, 1, 0, 5], [0, 0, 0, 0], [1, 2, 0, 0]], dtype=float)
    figures = attribute_recall(scores, truth, ks=(1,))
    assert figures["recall_at_1"] == 2 / 3
    assert figures["recall_at_1_product"] == 0.75
    assert figures["recall_at_1_macro"] == 2 / 3
    assert figures["hit_at_1"] == 1.0


def test_perfect_scores_beat_both_baselines():
    truth = truth_of(80)
    scores = {"both": truth * 8.0 - 4.0}
    report = retrieval_report(scores, {}, truth.astype(float), np.ones(truth.shape), SPANS)
    figure = {(r["method"], r["figure"]): r["value"] for r in report.iter_rows(named=True)}
    assert figure["encoder", "recall_at_5"] == 1.0
    assert figure["encoder", "p_at_10_of_2"] == 1.0
    assert figure["encoder", "recall_at_1"] == 0.5
    assert figure["random", "p_at_10_of_2"] < 0.6
    assert figure["frequency", "p_at_10_of_2"] < 0.6
    again = retrieval_report(scores, {}, truth.astype(float), np.ones(truth.shape), SPANS)
    assert report.equals(again)
    assert report.schema["value"] == pl.Float64


def test_products_without_what_is_shown_are_not_asked_about():
    truth = truth_of(80)
    scores = {"both": truth * 8.0 - 4.0, "image": truth * 8.0 - 4.0}
    scores["image"][60:] = 0.0  # these have no image: nothing is known of them
    there = {"image": np.arange(80) < 60}
    report = retrieval_report(scores, there, truth.astype(float), np.ones(truth.shape), SPANS)
    of_image = report.filter(modality="image", figure="recall_at_5").row(0, named=True)
    assert (of_image["value"], of_image["n"]) == (1.0, 60)
    assert report.filter(modality="both", figure="recall_at_5")["n"].to_list() == [80]


def test_unknown_products_are_not_ranked():
    truth = truth_of(80)
    known = np.ones_like(truth)
    scores = truth * 8.0 - 4.0
    truth[:20], known[:20] = False, False  # would count as wrong answers at the top
    value, queries = composed_precision(scores, truth, known, SPANS, size=2)
    assert (value, queries) == (1.0, 4)
