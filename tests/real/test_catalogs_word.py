"""On catalogs that we did not make: where the catalog states a key, nobody else speaks for it."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.real import sets
from benchmarks.real.product import run
from resources.encoders import EncoderBackbone

ITEMS = 160


class Arbitrary(EncoderBackbone):
    """Features that mean nothing: what is asked here must hold whatever the encoder sees."""

    image_dim = text_dim = 16

    def __init__(self):
        self.device, self.version = "cpu", "arbitrary"

    def image_features(self, images):
        """Drawn from the bytes."""
        return np.array([_drawn(len(image)) for image in images], np.float32).reshape(-1, 16)

    def text_features(self, texts):
        """Drawn from the letters."""
        return np.array([_drawn(sum(map(ord, text))) for text in texts], np.float32)

    prepare_images = prepare_texts = forward_images = forward_texts = None


def _drawn(seed):
    return np.random.default_rng(seed).normal(size=16)


@pytest.mark.parametrize("name", sets.names())
def test_no_statement_contradicts_the_catalog(name):
    if not (sets.DATA / name).is_dir():
        pytest.skip("needs ../shared/data")
    real = sets.load(name)
    real = replace(real, items=real.items[:ITEMS])
    found = run(real, np.arange(len(real.items)) % 3 > 0, Arbitrary())
    assert found.contradictions == 0
    assert (found.given > 0).any()
