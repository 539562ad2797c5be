import numpy as np
import polars as pl
import pytest

from pinlanding_assets.collections.matching import Arrangement
from pinlanding_assets.embeddings.assignment import TRUST, Readings, assign
from pinlanding_assets.encoder.calibration import BOUND, CALIBRATION_SCHEMA, NEVER
from pinlanding_assets.encoder.hearing import BESIDE, USUAL
from pinlanding_assets.encoder.reader import packed

ENTRIES = pl.DataFrame(
    {
        "entry_id": ["use=run", "colour=red", "use=swim", "colour=blue"],
        "key": ["use", "colour", "use", "colour"],
        "value": ["run", "red", "swim", "blue"],
    }
)
STATEMENTS = {
    "product_id": pl.String,
    "source": pl.String,
    "key": pl.String,
    "entry_id": pl.String,
}
KEYS = pl.DataFrame({"key": ["colour", "use"], "multi": [False, True]})
CALIBRATION = pl.DataFrame(
    [(e, 1.0, 0.0, 0.9, 0.95, 0.8, 50) for e in ENTRIES["entry_id"]],
    schema=CALIBRATION_SCHEMA,
    orient="row",
)


def run(shown, statements=(), calibration=CALIBRATION, **kwargs):
    """``shown``: log-odds / 10 of use=run, colour=red, use=swim, colour=blue; zeros: not seen."""
    shown = np.array(shown, dtype=np.float32)
    ids = pl.Series("product_id", [f"p{i}" for i in range(len(shown))])
    rows = [(product, source, entry.split("=")[0], entry) for product, entry, source in statements]
    table = assign(
        ids,
        Readings(packed(10 * shown), ENTRIES["entry_id"].to_list(), shown.any(axis=1)),
        ENTRIES,
        calibration=calibration,
        keys=KEYS,
        statements=pl.DataFrame(rows, schema=STATEMENTS, orient="row").with_columns(
            pl.when(pl.col("entry_id").str.ends_with("=?"))
            .then(None)
            .otherwise("entry_id")
            .alias("entry_id")
        ),
        **kwargs,
    )
    return {(r["product_id"], r["entry_id"]): (r["p"], r["source"]) for r in table.to_dicts()}


def test_single_keys_take_the_best_and_multi_keys_all_above_the_threshold():
    found = run([[0.3, 0.4, 0.3, 0.1], [-1, 0.4, -1, 0.3]])
    assert set(found) == {("p0", "use=run"), ("p0", "use=swim"), ("p0", "colour=red")}
    p, source = found["p0", "colour=red"]
    assert source == "encoder"
    assert p == pytest.approx(np.exp(4) / (np.exp(4) + np.exp(1) + 1))  # blue and none are rivals


def test_agreement_raises_the_probability():
    alone = run([[-1, 0.3, -1, -0.5]])["p0", "colour=red"][0]
    p, source = run([[-1, 0.3, -1, -0.5]], [("p0", "colour=red", "vlm")])["p0", "colour=red"]
    assert (p > alone, source) == (True, "vlm")
    weak = run([[-1, 0.1, -1, -0.5]], [("p0", "colour=red", "vlm")])
    assert ("p0", "colour=red") in weak  # under the encoder's own threshold


def test_a_title_is_heard_through_the_encoder_that_has_read_it_or_by_its_own_trust():
    says_run = [("p0", "use=run", "title")]
    usual = dict(zip(("slope", "share", "shift"), USUAL, strict=True))
    trust = pl.DataFrame({"entry_id": ["use=run"], "trust": [0.95], "said": [40], **usual})
    doubted = trust.with_columns(trust=pl.lit(0.8))
    shown = [[0.1, -1, -1, -1]]
    assert run(shown, says_run, title_trust=trust)
    assert not run(shown, says_run, title_trust=doubted)  # the experts know these words, and doubt
    silent = CALIBRATION.with_columns(threshold=pl.lit(NEVER))
    found = run(shown, says_run, silent, title_trust=trust)
    assert found == {("p0", "use=run"): (pytest.approx(0.95), "title")}
    assert not run(shown, says_run, silent, title_trust=doubted)


def test_encoder_and_title_count_together_as_was_learned():
    """An encoder that repeats what titles say adds nothing to them, and a title that errs as often
    as it is right adds nothing to the encoder."""
    says_red = [("p0", "colour=red", "title")]
    heard = {"entry_id": ["colour=red"], "trust": [0.95], "said": [40]}
    repeats = pl.DataFrame(heard | {"slope": [0.0], "share": [1.0], "shift": [0.0]})
    p, source = run([[-1, 0.5, -1, -0.5]], says_red, title_trust=repeats)["p0", "colour=red"]
    assert (p, source) == (pytest.approx(0.95, abs=1e-3), "title")
    errs = pl.DataFrame(heard | {"slope": [1.0], "share": [0.0], "shift": [-2.0]})
    alone = run([[-1, 0.5, -1, -0.5]])["p0", "colour=red"][0]
    assert run([[-1, 0.5, -1, -0.5]], says_red, title_trust=errs)["p0", "colour=red"][0] < alone


def test_where_the_catalog_states_a_key_nobody_else_speaks():
    sure = [[0.9, 0.9, 0.9, -1]]
    others = [("p0", "colour=red", "vlm"), ("p0", "use=swim", "title")]
    told = [("p0", "colour=?", "catalog"), ("p0", "use=run", "catalog")]
    assert set(run(sure, [*others, *told])) == {("p0", "use=run")}
    both = [("p0", "colour=red", "catalog"), ("p0", "colour=blue", "catalog")]
    assert set(run([[-1, 0.5, -1, 0.4]], both)) == {("p0", "colour=red"), ("p0", "colour=blue")}


def test_contradiction_is_settled_by_the_encoder_or_left_open():
    says_blue = [("p0", "colour=blue", "vlm")]
    sure = run([[-1, 0.6, -1, -0.6]], says_blue)
    assert ("p0", "colour=red") in sure
    assert sure["p0", "colour=red"][1] == "encoder"
    assert ("p0", "colour=blue") not in sure
    torn = run([[-1, 0.25, -1, -0.25]], says_blue)
    assert not torn
    assert not run([[-1, 0.05, -1, 0.0]], says_blue)


@pytest.mark.parametrize(("source", "share"), [("catalog", 1), ("title", BESIDE), ("vlm", BESIDE)])
def test_what_the_encoder_has_read_itself_counts_for_less(source, share):
    seen = run([[0.1, -1, -1, -1]], [("p0", "use=run", source)])["p0", "use=run"][0]
    trust = TRUST[source] / (1 - TRUST[source])
    assert np.log(seen / (1 - seen)) == pytest.approx(1.0 + share * np.log(trust), rel=1e-4)
    blind = run([[0, 0, 0, 0]], [("p0", "use=run", source)])["p0", "use=run"][0]
    assert blind == pytest.approx(TRUST[source])


def test_the_catalog_is_kept_whatever_the_encoder_thinks_but_heads_no_page():
    found = run(
        [[-0.6, 0.6, -1, -0.6]], [("p0", "colour=blue", "catalog"), ("p0", "use=run", "catalog")]
    )
    doubted = 1 / (1 + np.exp(BOUND) * (1 - TRUST["catalog"]) / TRUST["catalog"])
    assert found["p0", "colour=blue"] == (pytest.approx(doubted), "catalog")
    assert found["p0", "use=run"] == (pytest.approx(doubted), "catalog")
    assert doubted < Arrangement().min_p
    assert ("p0", "colour=red") not in found
    agreed = run([[-0.6, -0.6, -1, 0.3]], [("p0", "colour=blue", "catalog")])
    assert agreed["p0", "colour=blue"][0] > TRUST["catalog"]


def test_products_without_vector_and_entries_without_calibration_count_when_stated():
    statements = [
        ("p0", "colour=blue", "vlm"),
        ("stranger", "use=run", "vlm"),
        ("p0", "x=y", "vlm"),
    ]
    found = run([[0, 0, 0, 0]], statements)
    assert found == {("p0", "colour=blue"): (pytest.approx(TRUST["vlm"]), "vlm")}
    found = run(
        [[0.6, 0.6, 0.6, -1]], calibration=CALIBRATION.filter(pl.col("entry_id") != "use=run")
    )
    assert set(found) == {("p0", "colour=red"), ("p0", "use=swim")}


def test_chunks_and_order_do_not_change_the_result():
    rng = np.random.default_rng(0)
    vectors = rng.normal(scale=0.3, size=(200, 4))
    statements = [
        (f"p{rng.integers(200)}", ENTRIES["entry_id"][int(rng.integers(4))], source)
        for source in TRUST
        for _ in range(60)
    ]
    whole = run(vectors, statements)
    assert whole == run(vectors, statements[::-1], cells=28)
    assert len(whole) > 100
    colours = [product for product, entry in whole if entry.startswith("colour")]
    by_catalog = {product for product, entry, source in statements if source == "catalog"}
    others = [product for product in colours if product not in by_catalog]
    assert len(others) == len(set(others))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="'rumour' has no trust"):
        run([[0, 0, 0, 0]], [("p0", "use=run", "rumour")])
    with pytest.raises(ValueError, match="1 products for 2 readings"):
        assign(
            pl.Series(["a"]),
            Readings(np.zeros((2, 4), np.int8), ENTRIES["entry_id"].to_list(), np.ones(2, bool)),
            ENTRIES,
            calibration=CALIBRATION,
            keys=KEYS,
            statements=pl.DataFrame(schema=STATEMENTS),
        )
