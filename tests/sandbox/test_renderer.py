"""Photos: deterministic, of any size, and different where the truth differs."""

import numpy as np
import pytest

from sandbox.photos import as_model_sees, decode_jpeg, encode_jpeg
from sandbox.products import draw_attributes, product
from sandbox.renderer import render
from sandbox.vocabulary import CATEGORIES, MATERIALS, PATTERNS

SHIRT = {
    "category": "t-shirt",
    "colour": "blue",
    "pattern": "plain",
    "material": "cotton",
    "sleeve": "short",
    "neck": "crew-neck",
}


@pytest.mark.parametrize("size", [64, 96, 128])
def test_any_size(size: int) -> None:
    photo = render(SHIRT, 1, size=size)
    assert photo.shape == (size, size, 3)
    assert photo.dtype == np.uint8


def test_same_photo_twice() -> None:
    assert (render(SHIRT, 5) == render(SHIRT, 5)).all()
    assert (render(SHIRT, 5) != render(SHIRT, 6)).any()
    assert (render(SHIRT, 5, view=1) != render(SHIRT, 5, view=0)).any()


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_stands_out_from_the_wall(category: str) -> None:
    rng = np.random.default_rng(3)
    attributes = {**draw_attributes(rng), "category": category, "colour": "red", "pattern": "plain"}
    for key, values in CATEGORIES[category].optional.items():
        attributes[key] = values[0]
    photo = render(attributes, 9).astype(int)
    red = (photo[..., 0] - photo[..., 1]) > 60
    assert 0.06 < red.mean() < 0.6
    assert not red[:, :2].any(), "it touches the edge"
    assert not red[:, -2:].any(), "it touches the edge"


@pytest.mark.parametrize(
    ("key", "values"),
    [("pattern", PATTERNS), ("material", MATERIALS), ("sleeve", ("cap", "short", "puff", "long"))],
)
def test_values_look_different_to_a_model(key: str, values: tuple[str, ...]) -> None:
    seen = [as_model_sees(render({**SHIRT, key: value}, 4)).astype(float) for value in values]
    for index, one in enumerate(seen):
        for other in seen[index + 1 :]:
            assert np.abs(one - other).mean() > 0.8


def test_jpeg_keeps_the_photo() -> None:
    item = product(0, 1)
    photo = render(item.attributes, item.look)
    assert np.abs(decode_jpeg(encode_jpeg(photo)).astype(int) - photo).mean() < 3
