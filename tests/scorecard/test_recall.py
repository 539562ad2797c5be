import numpy as np
import polars as pl
import pytest

from pinlanding_assets.scorecard.recall import SHOWN, retrieval_figures

KEYS = {"type": ["hat", "bag"], "color": ["red", "blue"], "fabric": ["wool", "silk"]}
ENTRIES = pl.DataFrame(
    [
        (f"{key}={value}", key, value, value, 9 - at)
        for key, values in KEYS.items()
        for at, value in enumerate(values)
    ],
    schema=["entry_id", "key", "value", "phrase", "products"],
    orient="row",
)
COLUMNS = ENTRIES["entry_id"].to_list()
ALIASES = pl.DataFrame(schema={"key": pl.String, "raw_value": pl.String, "entry_id": pl.String})
ROLES = pl.DataFrame(
    [("type", False, "product_type"), ("color", False, "facet"), ("fabric", False, "facet")],
    schema=["key", "multi", "role"],
    orient="row",
)
CALIBRATION = ENTRIES.select(
    "entry_id", slope=pl.lit(1.0), intercept=pl.lit(0.0), threshold=pl.lit(0.5)
)
TRUE = {
    "p0": ["type=hat", "color=red", "fabric=wool"],
    "p1": ["type=bag", "color=blue", "fabric=silk"],
    "p2": ["type=hat", "color=blue", "fabric=silk"],
}
HOLDS = pl.DataFrame(
    [(product, entry.split("=")[0], entry) for product, found in TRUE.items() for entry in found],
    schema=["product_id", "key", "entry_id"],
    orient="row",
)
TEXTS = {"p0": "red hat", "p1": "", "p2": "hat"}


def odds(product, entries):
    return [2.0 if entry in entries else -2.0 for entry in COLUMNS]


def held_out(both=TRUE, image=TRUE, without_image=()):
    rows = []
    for product, entries in TRUE.items():
        rows.append((product, "both", odds(product, both.get(product, entries))))
        if product not in without_image:
            rows.append((product, "image", odds(product, image.get(product, entries))))
        rows.append((product, "text", odds(product, [])))
    return pl.DataFrame(
        rows,
        schema={"product_id": pl.String, "modality": pl.String, "log_odds": pl.List(pl.Float32)},
        orient="row",
    )


def embed(texts):
    words = ["red", "hat", "bag", "blue", "wool", "silk"]
    return np.array([[word in text.split() for word in words] for text in texts], dtype=float)


def measured(holds=HOLDS, **sides):
    figures = retrieval_figures(
        held_out(**sides), CALIBRATION, ENTRIES, ALIASES, ROLES, TEXTS, holds, embed
    )
    return dict(figures.select("name", "value").iter_rows())


def test_a_perfect_encoder_finds_all():
    figures = measured()
    assert figures["hit_at_1"] == 1
    assert figures["recall_at_1"] == pytest.approx(1 / 3)  # one of three true ones has a place
    assert figures["recall_at_5"] == 1
    assert figures["composed.hit_at_1.type+color+fabric"] == 1
    assert figures["composed.hit_at_1.type+color+fabric.image_only"] == 1


def test_what_the_encoder_misses_is_missed():
    figures = measured(image={"p0": ["type=bag", "color=blue", "fabric=silk"]})
    assert figures["recall_at_5"] == 1
    assert figures["hit_at_1.image_only"] == pytest.approx(2 / 3)
    assert figures["composed.hit_at_1.type+color+fabric.image_only"] < 1
    assert figures["composed.hit_at_1.type+color+fabric"] == 1


def test_a_true_attribute_without_an_entry_counts_as_missed():
    beyond = pl.DataFrame(
        [("p0", "color", "color=gold (no entry)")], schema=HOLDS.schema, orient="row"
    )
    assert measured(pl.concat([HOLDS, beyond]))["recall_at_10"] == pytest.approx(9 / 10)


def test_a_product_counts_where_it_has_what_is_shown():
    wrong = {"p1": ["type=hat", "color=red", "fabric=wool"]}
    figures = measured(both=wrong, without_image=["p1"])
    assert figures["hit_at_1"] == figures["hit_at_1.image_only"] == 1  # p0, p2
    assert figures["hit_at_1.every_product"] == pytest.approx(2 / 3)
    assert figures["leak.recall_at_10_unnamed"] == 1
    nobody = measured(without_image=list(TRUE))
    assert nobody["recall_at_5"] is nobody["recall_at_5.image_only"] is None
    assert nobody["recall_at_5.every_product"] == 1


def test_peers_and_the_leak_of_the_text():
    figures = measured()
    assert figures["leak.named_in_text"] == pytest.approx(3 / 9)  # red hat, hat
    assert figures["leak.recall_at_10_unnamed"] == 1
    assert figures["hit_at_1.zero_shot_text"] == pytest.approx(2 / 3)
    # hat, red and wool are the most frequent, and chance is as seeded
    assert figures["recall_at_5.frequency"] < 1
    assert measured() == figures


def test_without_truth_nothing_is_known():
    figures = measured(holds=None)
    assert set(figures.values()) == {None}
    assert {f"recall_at_10{suffix}" for suffix in SHOWN} <= set(figures)
