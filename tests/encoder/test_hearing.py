"""How far a title counts beside what the product shows."""

import numpy as np
import polars as pl
import pytest

from pinlanding_assets.encoder.calibration import CALIBRATION_SCHEMA
from pinlanding_assets.encoder.hearing import HEARD_SCHEMA, USUAL, hear
from pinlanding_assets.encoder.targets import KeySpan, Told

N = 400
NAMES = pl.Series("entry_id", ["use=flag"])
SPANS = [KeySpan("use", 0, 1, True)]
CALIBRATION = pl.DataFrame(
    [("use=flag", 1.0, 0.0, 0.9, 0.9, 0.9, N)], schema=CALIBRATION_SCHEMA, orient="row"
)


def heard(z, true, titled, group=None):
    told = Told(
        true[:, None],
        np.ones((N, 1)),
        titled[:, None],
        np.arange(N) if group is None else group,
    )
    table = hear(z[:, None], CALIBRATION, told, np.arange(N) % 5, NAMES, SPANS)
    assert table.schema == pl.Schema(HEARD_SCHEMA)
    return table.row(0, named=True)


@pytest.mark.parametrize("seed", range(10))
def test_readings_that_only_repeat_the_title_count_for_nothing(seed):
    """Who has read "flag" is sure of it; of such titles seven of ten are right."""
    random = np.random.default_rng(seed)
    titled = random.random(N) < 0.5
    true = random.random(N) < 0.7
    found = heard(np.where(titled, 5.0, -5.0), true, titled)
    said = 1 / (1 + np.exp(-_log_odds(found, 5.0)))
    assert said == pytest.approx(true[titled].mean(), abs=0.03)


@pytest.mark.parametrize("seed", range(10))
def test_readings_that_tell_right_titles_from_wrong_ones_keep_their_weight(seed):
    random = np.random.default_rng(seed)
    true = random.random(N) < 0.7
    z = np.where(true, 2.0, -2.0) + random.normal(size=N)
    found = heard(z, true, np.ones(N, dtype=bool))
    assert found["slope"] > 1
    assert _log_odds(found, 3.0) > 3 > 0 > _log_odds(found, -2.0)


def test_without_a_title_nothing_is_learned():
    found = heard(np.zeros(N), np.ones(N, dtype=bool), np.zeros(N, dtype=bool))
    assert [found[name] for name in ("slope", "share", "shift")] == pytest.approx(USUAL)


def _log_odds(found, z):
    trust = np.log(found["trust"] / (1 - found["trust"]))
    return found["slope"] * z + found["share"] * trust + found["shift"]
