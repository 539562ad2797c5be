import io
import time

import numpy as np
import pytest
from PIL import Image

from pinlanding_assets.attributes.sampling import diverse_sample, thumbnail_features


def clusters(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), 16)) * 10
    which = np.repeat(np.arange(len(sizes)), sizes)
    return centres[which] + rng.normal(size=(len(which), 16)) * 0.1, which


def test_rare_looks_are_reached_before_more_of_the_same() -> None:
    features, which = clusters([2_000, *[3] * 15])
    chosen = diverse_sample(features, 16, seed=1)
    assert len(set(which[chosen])) >= 14  # a random 16 finds one or two
    assert chosen.dtype == np.int64
    assert (np.diff(chosen) > 0).all()


def test_same_seed_same_sample() -> None:
    features, _ = clusters([300, 200, 100])
    first = diverse_sample(features, 50, seed=3)
    assert (first == diverse_sample(features, 50, seed=3)).all()
    assert (first != diverse_sample(features, 50, seed=4)).any()


def test_duplicates_come_last_but_fill_the_budget() -> None:
    features = np.repeat(np.eye(4), 50, axis=0)
    chosen = diverse_sample(features, 4, seed=0)
    assert set(chosen // 50) == {0, 1, 2, 3}
    assert len(diverse_sample(features, 150, seed=0)) == 150


@pytest.mark.parametrize(("budget", "expected"), [(0, 0), (-1, 0), (5, 5), (10, 10), (99, 10)])
def test_budget(budget: int, expected: int) -> None:
    assert len(diverse_sample(np.random.default_rng(0).normal(size=(10, 3)), budget, 0)) == expected


def test_bad_features_are_named() -> None:
    features = np.zeros((5, 2))
    features[3, 1] = np.nan
    with pytest.raises(ValueError, match="row 3"):
        diverse_sample(features, 2, 0)
    with pytest.raises(ValueError, match="shape"):
        diverse_sample(np.zeros(5), 2, 0)


def test_cost_is_bounded() -> None:
    features = np.random.default_rng(0).normal(size=(200_000, 32)).astype(np.float32)
    started = time.process_time()
    assert len(diverse_sample(features, 500, 0)) == 500
    assert time.process_time() - started < 5  # about 0.3: 20,000 candidates, 256 rounds


def jpeg(color: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (100, 60), color).save(out, "JPEG")
    return out.getvalue()


def test_thumbnails_see_the_picture() -> None:
    images = [jpeg("red"), Image.new("RGBA", (9, 9), "red"), jpeg("blue"), b"broken", None]
    features = thumbnail_features(images)
    assert features.shape == (5, 192)
    assert features.dtype == np.float32
    assert np.abs(features[0] - features[1]).max() < 0.01
    assert np.linalg.norm(features[0] - features[2]) > 1
    assert (features[3] == features[4]).all()


def test_titles_are_seen_too() -> None:
    red = jpeg("red")
    features = thumbnail_features([red] * 3, ["Red cup", "cup, RED", "blue bowl"])
    assert features.shape == (3, 256)
    assert np.allclose(features[0], features[1])
    assert np.linalg.norm(features[0] - features[2]) > 0.5
    with pytest.raises(ValueError, match="titles"):
        thumbnail_features([red], [])
