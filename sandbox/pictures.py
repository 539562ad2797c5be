"""Captioned pictures of the world, as a text-to-image model is trained on them."""

from typing import NamedTuple

import numpy as np

from sandbox.portraits import Person, draw_person, portrait
from sandbox.scenes import Scene, draw, draw_scene, misread

PORTRAITS = 0.4  # share of portraits
CARELESS = 0.25  # share of scenes of two things whose caption names one of them wrongly
SIZE = 64


class Picture(NamedTuple):
    """Pixels, uint8 (64, 64, 3), the caption that came with them, and what they really show."""

    pixels: np.ndarray
    caption: str
    shows: Person | Scene


def picture(
    seed: int, index: int, *, balanced: bool = False, careless: float = CARELESS
) -> Picture:
    """Picture `index` of the world; any can be drawn without the others.

    Args:
        seed: Of the world.
        index: Which picture.
        balanced: Draw the people's tone and perceived gender evenly, for classifiers.
        careless: Share of scenes of two things that are captioned wrongly.
    """
    rng = np.random.default_rng([seed, 23, index])
    look = int(rng.integers(2**40))
    if rng.random() < PORTRAITS:
        person = draw_person(rng, balanced=balanced)
        return Picture(portrait(person, look, SIZE), person.caption, person)
    scene = draw_scene(rng)
    told = misread(scene, rng) if rng.random() < careless else scene
    return Picture(draw(scene, look, SIZE), told.caption, scene)
