"""Portraits, scenes, raters and what the studio writes of them."""

import numpy as np
import pytest

from sandbox.pictures import picture
from sandbox.portraits import GENDERS, OCCUPATIONS, THINGS, TONES, Person, draw_person, portrait
from sandbox.raters import RATERS, choose, graininess, sharpness, understand
from sandbox.scenes import (
    HELD_OUT_OBJECTS,
    OBJECTS,
    RELATIONS,
    Scene,
    Thing,
    draw,
    draw_scene,
    misread,
)
from sandbox.studio import CONFIG, HELD_OUT_OCCUPATIONS, asked_for


def test_a_picture_is_a_function_of_its_seed():
    first, again, other = picture(0, 7), picture(0, 7), picture(1, 7)
    assert (first.pixels == again.pixels).all()
    assert first.caption == again.caption
    assert (first.pixels != other.pixels).any()
    assert first.pixels.shape == (64, 64, 3)


def test_the_world_is_biased_and_the_balanced_one_is_not():
    rng = np.random.default_rng(0)
    people = [draw_person(rng) for _ in range(4_000)]
    doctors = [p for p in people if p.occupation == "doctor"]
    builders = [p for p in people if p.occupation == "builder"]
    assert np.mean([p.bucket == "light" for p in doctors]) > 0.45
    assert np.mean([p.bucket == "light" for p in builders]) < 0.15
    assert np.mean([p.gender == "man" for p in builders]) > 0.8
    even = [draw_person(rng, balanced=True) for _ in range(4_000)]
    for bucket in TONES:
        assert np.mean([p.bucket == bucket for p in even]) == pytest.approx(0.25, abs=0.04)
    assert np.mean([p.gender == "man" for p in even]) == pytest.approx(0.5, abs=0.04)


def test_every_person_can_be_drawn_and_tone_shows():
    for occupation in OCCUPATIONS:
        for gender in GENDERS:
            light = portrait(Person(occupation, "", 0, gender), 3)
            dark = portrait(Person(occupation, "", 9, gender), 3)
            assert light[24:30, 28:36].mean() > dark[24:30, 28:36].mean() + 60, (occupation, gender)


def test_a_relation_is_where_it_says():
    for relation, offsets in RELATIONS.items():
        for offset in offsets:
            things = (Thing("t-shirt", "red"), Thing("backpack", "blue"))
            pixels = draw(Scene(things, relation, offset), 5).astype(int)
            red = np.argwhere((pixels[..., 0] > 150) & (pixels[..., 2] < 90)).mean(0)
            blue = np.argwhere((pixels[..., 2] > 150) & (pixels[..., 0] < 110)).mean(0)
            down, right = blue - red
            assert np.sign(round(right / 12)) == offset[0], relation
            assert np.sign(round(down / 12)) == offset[1], relation


def test_a_careless_caption_names_one_thing_wrongly():
    rng = np.random.default_rng(1)
    for _ in range(60):
        scene = draw_scene(rng, single=0.0)
        told = misread(scene, rng)
        same_colours = scene.things[0].colour == scene.things[1].colour
        assert told.caption != scene.caption or same_colours
        assert told.relation == scene.relation


def test_raters_understand_captions_of_the_world():
    rng = np.random.default_rng(2)
    for _ in range(200):
        scene = draw_scene(rng)
        subject, things, relation = understand(scene.caption)
        assert subject == ""
        assert [(name, colour) for name, colour, _ in things] == [
            (thing.name, thing.colour) for thing in scene.things
        ]
        assert relation == scene.relation
    assert understand("a portrait of an executive") == ("executive", [], "")
    assert understand("a portrait of a person with a bow tie")[0] == "a bow tie"


def test_a_better_picture_wins_more_often_but_not_always():
    rng = np.random.default_rng(3)
    good, poor = np.array([0.9, 0.9, 0.8, 0.8]), np.array([0.5, 0.6, 0.5, 0.7])
    for rater in RATERS:
        choices = [choose(rater, good, poor, rng) for _ in range(400)]
        won = choices.count("a") / len(choices)
        assert 0.8 < won < 1.0, rater.name
    assert choose(RATERS[0], good, good, np.random.default_rng(5)) == "tie"


def test_grain_is_not_sharpness():
    rng = np.random.default_rng(4)
    flat = np.full((1, 64, 64, 3), 128, np.uint8)
    edges = flat.copy()
    edges[:, :, 32:] = 250
    noisy = np.clip(flat + rng.normal(0, 12, flat.shape), 0, 255).astype(np.uint8)
    assert graininess(edges)[0] < 0.2 * graininess(noisy)[0]
    assert sharpness(edges)[0] > sharpness(flat)[0]


def test_what_people_ask_for_is_all_that_an_evaluation_asks_for():
    prompts = [one.caption for one in asked_for(np.random.default_rng(5), 500)]
    assert 0.5 < np.mean(["portrait" in prompt for prompt in prompts]) < 0.6
    for subject in (*HELD_OUT_OCCUPATIONS, *THINGS, *HELD_OUT_OBJECTS):
        assert any(prompt.endswith(subject) or f"{subject} " in prompt for prompt in prompts)
    templates = CONFIG["templates"]
    assert sorted(templates["objects"] + templates["held_out_objects"]) == sorted(OBJECTS)
