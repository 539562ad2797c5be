"""What a caption asks for and how much of it was found: geometry, the paper's reward, the truth."""

import numpy as np
import pytest

from rl_diffusion_assets.rewards.composition import (
    RELATIONS,
    Detections,
    Wanted,
    composition_rewards,
    fully_right,
    mean_confidence,
    read_caption,
)

HAT, BAG, SHOE = ("hat", "red"), ("bag", "blue"), ("shoe", "")
NAMES, COLOURS = ("hat", "bag", "shoe"), ("red", "blue")
MIDDLE = (4, 4)


def found(*pictures: list[tuple[str, str, tuple[int, int], float]], side: int = 9) -> Detections:
    """Pictures of (object, colour, (row, column), confidence); colours are sure where given."""
    objects = np.zeros((len(pictures), side, side, len(NAMES)))
    paints = np.zeros((len(pictures), side, side, len(COLOURS)))
    for at, picture in enumerate(pictures):
        for name, colour, (row, column), confidence in picture:
            objects[at, row, column, NAMES.index(name)] = confidence
            if colour:
                paints[at, row, column, COLOURS.index(colour)] = 1.0
    return Detections(NAMES, COLOURS, objects, paints)


def pair(where: tuple[int, int], first: float = 1.0, second: float = 1.0) -> Detections:
    """A hat in the middle and a bag at `where`, seen from it: (columns right, rows down)."""
    at = (MIDDLE[0] + where[1], MIDDLE[1] + where[0])
    return found([(*HAT, MIDDLE, first), (*BAG, at, second)])


def right(where: tuple[int, int], relation: str) -> bool:
    return bool(fully_right(pair(where), [Wanted((HAT, BAG), relation)])[0])


PLACES = {"right": (3, 0), "left": (-3, 0), "down": (0, 3), "up": (0, -3)}


@pytest.mark.parametrize(
    ("relation", "fits"),
    [
        ("to the left of", {"right"}),  # the hat is left of the bag: the bag lies to the right
        ("to the right of", {"left"}),
        ("above", {"down"}),
        ("on top of", {"down"}),
        ("below", {"up"}),
        ("under", {"up"}),
        ("next to", {"left", "right"}),
        ("beside", {"left", "right"}),
        ("on side of", {"left", "right"}),
        ("and", {"left", "right", "up", "down"}),
        ("near", {"left", "right", "up", "down"}),
        ("", {"left", "right", "up", "down"}),
    ],
)
def test_the_second_object_has_to_lie_where_the_relation_says(relation, fits):
    assert {place for place, where in PLACES.items() if right(where, relation)} == fits


def test_every_known_relation_is_tested_above():
    assert len(RELATIONS) == 9


@pytest.mark.parametrize(
    ("where", "fits"),
    [((1, 0), False), ((2, 0), True), ((4, 3), True), ((3, 4), False), ((2, -1), True)],
)
def test_left_of_needs_two_cells_and_more_across_than_along(where, fits):
    assert right(where, "to the left of") is fits


@pytest.mark.parametrize("where", [(2, 2), (3, -3), (-2, 2)])
def test_without_a_relation_a_diagonal_is_as_good_as_any_place(where):
    assert right(where, "and")


def test_the_papers_reward_is_the_mean_confidence():
    detections = found(
        [(*HAT, (0, 0), 0.9), (*HAT, (5, 5), 0.6), (*BAG, (3, 3), 0.3)],
        [("shoe", "", (1, 1), 0.7)],
        [(*HAT, (0, 0), 0.9)],
    )
    wanted = [Wanted((HAT, BAG), "above"), Wanted((SHOE,)), Wanted(())]
    np.testing.assert_allclose(mean_confidence(detections, wanted), [0.6, 0.7, np.nan])
    np.testing.assert_allclose(composition_rewards(detections, wanted, 0.0), [0.6, 0.7, np.nan])


def test_the_place_does_not_matter_to_the_papers_reward_but_to_ours():
    wanted = [Wanted((HAT, BAG), "to the left of")]
    fits, misses = pair(PLACES["right"], 0.8, 0.5), pair(PLACES["left"], 0.8, 0.5)
    assert composition_rewards(fits, wanted, 0.0) == composition_rewards(misses, wanted, 0.0)
    half = composition_rewards(fits, wanted, 0.5)[0]
    assert half == pytest.approx(0.5 * 0.65 + 0.5 * 0.8 * 0.5)
    assert composition_rewards(misses, wanted, 0.5)[0] == pytest.approx(0.5 * 0.65)
    assert composition_rewards(fits, wanted, 1.0)[0] == pytest.approx(0.4)


def test_a_missing_object_is_0_and_not_left_out():
    detections = found([(*HAT, (0, 0), 0.8)])
    wanted = [Wanted((HAT, BAG))]
    assert mean_confidence(detections, wanted)[0] == pytest.approx(0.4)
    assert composition_rewards(detections, wanted, 1.0)[0] == 0.0
    assert not fully_right(detections, wanted)[0]


def test_an_unknown_object_or_colour_is_0():
    detections = found([(*HAT, (0, 0), 0.8)])
    for unknown in (("unicorn", ""), ("hat", "mauve")):
        assert mean_confidence(detections, [Wanted((unknown,))])[0] == 0.0
        assert not fully_right(detections, [Wanted((unknown,))])[0]
        assert mean_confidence(detections, [Wanted((HAT, unknown))])[0] == pytest.approx(0.4)


def test_a_colour_belongs_to_its_own_object():
    """A blue hat and a red bag are not a red hat and a blue bag."""
    swapped = found([("hat", "blue", (4, 1), 1.0), ("bag", "red", (4, 7), 1.0)])
    wanted = [Wanted((HAT, BAG), "next to")]
    assert mean_confidence(swapped, wanted)[0] == 0.0
    assert not fully_right(swapped, wanted)[0]
    plain = [Wanted((("hat", ""), ("bag", "")), "next to")]
    assert fully_right(swapped, plain)[0]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(1.0, 1.0, True), (0.5, 0.5, True), (0.5, 0.49, False), (1.0, 0.25, True), (1.0, 0.2, False)],
)
def test_fully_right_needs_both_to_be_sure(first, second, expected):
    got = fully_right(pair(PLACES["right"], first, second), [Wanted((HAT, BAG), "to the left of")])
    assert got.dtype == bool
    assert got[0] == expected


@pytest.mark.parametrize(("confidence", "expected"), [(0.5, True), (0.49, False)])
def test_a_caption_of_one_object(confidence, expected):
    detections, wanted = found([(*HAT, (2, 2), confidence)]), [Wanted((HAT,), "above")]
    assert fully_right(detections, wanted)[0] == expected
    assert composition_rewards(detections, wanted, 0.5)[0] == pytest.approx(confidence)


def test_a_caption_of_nothing_is_never_right_and_has_no_reward():
    detections = found([(*HAT, (2, 2), 1.0)])
    assert not fully_right(detections, [Wanted(())])[0]
    assert np.isnan(composition_rewards(detections, [Wanted(())], 0.5)[0])


def test_the_same_object_twice_needs_two_of_them():
    wanted = [Wanted((("shoe", "red"), ("shoe", "blue")), "next to")]
    both = found([("shoe", "red", (4, 1), 1.0), ("shoe", "blue", (4, 7), 1.0)])
    one = found([("shoe", "red", (4, 1), 1.0)])
    assert fully_right(both, wanted)[0]
    assert not fully_right(one, wanted)[0]


def test_each_picture_is_judged_by_its_own_caption():
    detections = found([(*HAT, (0, 0), 1.0)], [(*BAG, (0, 0), 1.0)])
    assert fully_right(detections, [Wanted((HAT,)), Wanted((HAT,))]).tolist() == [True, False]
    assert fully_right(detections, [Wanted((BAG,)), Wanted((BAG,))]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("caption", "wanted"),
    [
        ("a red hat to the left of a blue bag", Wanted((HAT, BAG), "to the left of")),
        ("a shoe and a red hat", Wanted((SHOE, HAT), "and")),
        ("a red striped hat", Wanted((HAT,))),
        ("a portrait of a baker", Wanted(())),
        ("a red hat above a green umbrella", Wanted(())),  # not known: nothing can be said
        ("a hatter", Wanted(())),
        ("", Wanted(())),
    ],
)
def test_what_a_caption_asks_for(caption, wanted):
    assert read_caption(caption, NAMES, COLOURS) == wanted
