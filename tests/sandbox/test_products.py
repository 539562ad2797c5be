"""A product depends on the seed and its number, and on nothing else."""

import numpy as np
import pytest

from sandbox.products import SELLERS, original_of, product
from sandbox.titles import write_title
from sandbox.vocabulary import CATEGORIES, KEYS, MATERIALS, PATTERNS, SYNONYMS, VALUES, keys_of


def test_same_product_however_it_is_asked_for() -> None:
    before = product(3, 77)
    for index in range(20):
        product(3, index)
    assert product(3, 77) == before
    assert product(4, 77) != before


def test_the_world_is_as_rich_as_promised() -> None:
    assert len(CATEGORIES) >= 12
    assert len(VALUES["colour"]) >= 12
    assert len(PATTERNS) >= 7
    assert len(MATERIALS) >= 5
    assert len(SELLERS) >= 40
    assert all(set(SYNONYMS[key]) == set(VALUES[key]) for key in KEYS)


@pytest.fixture(scope="module")
def many() -> list:
    return [product(0, index) for index in range(1_500)]


def test_only_keys_that_apply(many: list) -> None:
    for item in many:
        assert tuple(item.attributes) == keys_of(item.attributes["category"])
        assert all(value in VALUES[key] for key, value in item.attributes.items())


def test_rates(many: list) -> None:
    several = np.mean([item.views > 1 for item in many])
    fields = np.mean([item.color is not None for item in many])
    relisted = np.mean([original_of(0, index) != index for index in range(1_500)])
    assert 0.11 < several < 0.19
    assert 0.2 < fields < 0.3
    assert 0.005 < relisted < 0.04


def test_relisted_product_has_the_truth_and_cloth_of_the_original() -> None:
    copies = [index for index in range(1_500) if original_of(0, index) != index]
    for index in copies[:5]:
        copy, original = product(0, index), product(0, original_of(0, index))
        assert copy.attributes == original.attributes
        assert copy.look == original.look
        assert copy.sku != original.sku


def test_titles_are_noisy_but_not_nonsense(many: list) -> None:
    said = np.mean([item.attributes["category"] in item.title.lower() for item in many])
    assert 0.4 < said < 0.9


def test_wrong_values_can_be_turned_off() -> None:
    truth = {"category": "hat", "colour": "red", "pattern": "plain", "material": "wool"}
    rng = np.random.default_rng(0)
    always = dict.fromkeys(KEYS, 1.0)
    colours = [
        sum(
            name in write_title(truth, rng, wrong_rate=0.0, said=always).lower()
            for name in ("blue",)
        )
        for _ in range(200)
    ]
    assert sum(colours) == 0
