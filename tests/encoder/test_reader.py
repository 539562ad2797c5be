import io

import numpy as np
import pytest
from PIL import Image
from scipy import sparse

from pinlanding_assets.encoder.logistic import compacted, fit_logistic
from pinlanding_assets.encoder.palette import BINS, palette
from pinlanding_assets.encoder.reader import STEP, fit_blend, packed, unpacked
from pinlanding_assets.encoder.targets import KeySpan
from pinlanding_assets.encoder.words import Words


def shown(color, ground=(255, 255, 255), size=100):
    image = Image.new("RGB", (size, size), ground)
    image.paste(color, (size // 4, size // 4, 3 * size // 4, 3 * size // 4))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_a_palette_is_of_what_is_shown_and_not_of_its_ground_or_size():
    red = palette(shown((200, 30, 30)))
    assert red.shape == (BINS,)
    assert (red**2).sum() == pytest.approx(1.0)
    on_blue = palette(shown((200, 30, 30), ground=(40, 40, 160)))
    np.testing.assert_allclose(red, palette(shown((200, 30, 30), size=300)), atol=0.05)
    assert red @ on_blue > 0.95
    assert red @ palette(shown((30, 30, 200))) < 0.1
    white_on_white = palette(shown((255, 255, 255)))
    assert (white_on_white**2).sum() == pytest.approx(1.0)


def test_words_keep_the_signs_that_make_another_word():
    words = Words.of(["written in C", "written in C++", "written in C#", ""])
    a, b, c, nothing = words.matrix(["C", "c++", "C#", ""]).toarray()
    assert a @ b == b @ c == a @ c == 0
    assert not nothing.any()
    assert Words.of([]).matrix(["red"]).shape == (1, 0)


@pytest.mark.parametrize("exclusive", [False, True])
def test_fewer_columns_than_rows_lose_nothing(exclusive):
    rng = np.random.default_rng(0)
    wide = sparse.random_array((60, 200), density=0.1, rng=rng).tocsr()
    positive = np.eye(3)[rng.integers(0, 3, 60)]
    weight = np.ones_like(positive)
    slopes, own = fit_logistic(wide, positive, weight, ridge=0.1, exclusive=exclusive)
    small, lift = compacted(wide)
    assert small.shape[1] <= 60
    found, of_small = fit_logistic(small, positive, weight, ridge=0.1, exclusive=exclusive)
    np.testing.assert_allclose(lift(found), slopes, atol=1e-2)
    np.testing.assert_allclose(of_small, own, atol=1e-2)


@pytest.mark.parametrize("multi", [False, True])
def test_a_blend_hears_the_expert_that_knows(multi):
    rng = np.random.default_rng(1)
    positive = np.eye(3)[rng.integers(0, 3, 300)]
    good = 4 * positive - 2 + rng.normal(size=positive.shape)
    odds = {"good": good, "noise": 3 * rng.normal(size=positive.shape)}
    spans = [KeySpan("k", 0, 3, multi)]
    blend, _ = fit_blend(odds, positive, np.ones_like(positive), spans, ["good", "noise"])
    assert (blend[0] > 5 * blend[1]).all()


def test_readings_keep_their_log_odds_within_a_step():
    odds = np.linspace(-12, 12, 97)
    np.testing.assert_allclose(unpacked(packed(odds)), odds, atol=STEP / 2)
    assert np.isfinite(unpacked(packed(np.array([-1e9, 1e9])))).all()
