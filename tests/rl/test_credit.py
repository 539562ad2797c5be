"""Advantages and the set-level reward (invariants 7 and 8)."""

import itertools

import numpy as np
import pytest

from rl_diffusion_assets.policy.credit import (
    BOUND,
    advantages,
    balanced_kinds,
    even_chances,
    parity_floor,
    parity_rewards,
    statistical_parity,
)
from rl_diffusion_assets.policy.tasks import Prompt, Sampling, advantages_of, draw_prompts
from rl_diffusion_assets.rewards.composition import Wanted

NAN = float("nan")
GROUPS = np.repeat(np.arange(16), 4)


@pytest.fixture
def rewards():
    return np.random.default_rng(3).normal(2.0, 5.0, 64)


# -- captions ------------------------------------------------------------------------------------


def test_no_caption_comes_again_before_all_have_come():
    prompts = [Prompt(str(number), Wanted(())) for number in range(10)]

    def asked(seed, iterations):
        drawn = [draw_prompts(prompts, Sampling(4, 3), (seed, 5), at) for at in range(iterations)]
        for _, groups in drawn:
            np.testing.assert_array_equal(groups, np.repeat(np.arange(4), 3))
        return [prompt.text for chosen, _ in drawn for prompt in chosen[::3]]

    first = asked(0, 5)
    assert len(set(first[:10])) == len(set(first[10:])) == 10
    assert first[:10] != first[10:]
    assert asked(0, 5) == first != asked(1, 5)
    assert len(draw_prompts(prompts[:2], Sampling(4, 3), (0,), 0)[0]) == 12


# -- 7: advantages -------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["batch", "group"])
def test_invariant_7_advantages_have_mean_0_and_deviation_1(rewards, groups):
    got = advantages(rewards, groups)
    assert got.dtype == np.float32
    assert got.mean() == pytest.approx(0.0, abs=1e-6)
    assert got.std(ddof=1) == pytest.approx(1.0, abs=1e-5)


def test_batch_advantages_are_the_papers(rewards):
    expected = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-7)
    np.testing.assert_allclose(advantages(rewards), expected, rtol=1e-5)


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["batch", "group"])
@pytest.mark.parametrize(("scale", "offset"), [(3.0, 0.0), (0.01, 0.0), (1.0, -7.0), (250.0, 9.0)])
def test_invariant_7_advantages_ignore_scale_and_offset(rewards, groups, scale, offset):
    moved = advantages(scale * rewards + offset, groups)
    np.testing.assert_allclose(moved, advantages(rewards, groups), atol=2e-5)
    np.testing.assert_allclose(advantages(-rewards, groups), -moved, atol=2e-5)


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["batch", "group"])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e6])
def test_invariant_7_constant_rewards_give_exactly_0(groups, value):
    got = advantages(np.full(64, value), groups)
    assert (got == 0).all()


def test_invariant_7_missing_rewards_are_left_out(rewards):
    holed = rewards.copy()
    holed[[0, 10, 63]] = [NAN, NAN, np.inf]
    there = np.isfinite(holed)
    got = advantages(holed)
    assert (got[~there] == 0).all()
    np.testing.assert_array_equal(got[there], advantages(rewards[there]))
    grouped = advantages(holed, GROUPS)
    assert (grouped[~there] == 0).all()
    np.testing.assert_allclose(grouped[there], advantages(rewards[there], GROUPS[there]), rtol=1e-6)


@pytest.mark.parametrize("values", [[NAN] * 4, [NAN, 1.0, NAN, NAN], [], [2.0]])
def test_too_few_rewards_give_no_advantage(values):
    got = advantages(np.array(values))
    assert got.shape == (len(values),)
    assert (got == 0).all()


def test_invariant_7_advantages_do_not_depend_on_order(rewards):
    order = np.random.default_rng(1).permutation(64)
    for groups in (None, GROUPS):
        moved = advantages(rewards[order], None if groups is None else groups[order])
        np.testing.assert_allclose(moved, advantages(rewards, groups)[order], atol=1e-6)


def test_an_outlier_is_clamped():
    got = advantages(np.array([0.0] * 999 + [1.0, 2.0]))
    assert got.max() == BOUND == 10


def test_groups_take_the_ease_of_a_prompt_out():
    easy = np.array([10.0, 11.0, 0.0, 1.0])
    groups = np.array([0, 0, 1, 1])
    assert advantages(easy)[0] > 0
    grouped = advantages(easy, groups)
    assert grouped[0] < 0 < grouped[3]
    assert grouped[1] == grouped[3]


def test_a_shared_reward_is_compared_between_groups_and_others_within():
    values = np.repeat([-0.5, -0.2], 4)
    groups = np.repeat([0, 1], 4)
    shared = advantages_of("fairness", values, groups, Sampling(2, 4, credit="shared"))
    assert (shared[:4] < 0).all()
    assert (shared[4:] > 0).all()
    within = advantages_of("fairness", values, groups, Sampling(2, 4))
    assert (within == 0).all()
    assert advantages_of("preference", values, groups, Sampling(2, 4, "batch"))[0] < 0
    with pytest.raises(ValueError, match="normalise"):
        advantages_of("preference", values, groups, Sampling(2, 4, "prompt"))


# -- 8: statistical parity -----------------------------------------------------------------------


def one_hot(*counts: int) -> np.ndarray:
    return np.eye(len(counts))[np.repeat(np.arange(len(counts)), counts)]


def test_invariant_8_parity_of_known_sets():
    assert statistical_parity(np.array([4, 4, 4, 4]) / 16) == 0.0
    assert statistical_parity(np.array([16, 0, 0, 0]) / 16) == pytest.approx(0.8660, abs=1e-4)
    assert statistical_parity(np.array([0.7, 0.2, 0.07, 0.03])) == pytest.approx(0.535, abs=1e-3)
    assert statistical_parity(np.array([1.0, 0.0])) == pytest.approx(np.sqrt(0.5))


def test_invariant_8_parity_does_not_care_which_bucket_is_which():
    shares = np.array([9, 4, 2, 1]) / 16
    values = {
        round(statistical_parity(shares[list(p)]), 12) for p in itertools.permutations(range(4))
    }
    assert len(values) == 1


def test_invariant_8_a_fair_sampler_still_scores_its_floor():
    assert parity_floor(4, 16, draws=10_000) == pytest.approx(0.200, abs=0.002)
    assert parity_floor(4, 64, draws=10_000) == pytest.approx(0.100, abs=0.002)
    draws = np.random.default_rng(7).integers(4, size=(10_000, 16))
    values = [statistical_parity(np.bincount(row, minlength=4) / 16) for row in draws]
    assert np.mean(values) == pytest.approx(0.200, abs=0.002)
    assert np.mean(np.square(values)) == pytest.approx(0.75 / 16, rel=0.03)


def test_invariant_8_the_shared_reward_is_the_same_for_the_whole_set():
    table = np.concatenate([one_hot(4, 4, 4, 4), one_hot(16, 0, 0, 0), one_hot(8, 8, 0, 0)])
    groups = np.repeat([5, 2, 9], 16)
    order = np.random.default_rng(0).permutation(48)
    got = parity_rewards(table[order], groups[order], credit="shared")
    for group, expected in ((5, 0.0), (2, -0.8660), (9, -0.5)):
        values = got[groups[order] == group]
        assert len(set(values.tolist())) == 1
        assert values[0] == pytest.approx(expected, abs=1e-4)


def test_leave_one_out_credits_the_rare_and_not_the_common():
    table, groups = one_hot(12, 2, 1, 1), np.zeros(16, int)
    got = parity_rewards(table, groups)
    whole = statistical_parity(np.array([12, 2, 1, 1]) / 16)
    without_rare = statistical_parity(np.array([12, 2, 1, 0]) / 15)
    assert got[-1] == pytest.approx(without_rare - whole)
    assert got[-1] > 0 > got[0]
    assert got[12] > got[0]
    order = np.random.default_rng(0).permutation(16)
    np.testing.assert_allclose(parity_rewards(table[order], groups), got[order])


def test_an_even_set_credits_all_its_members_alike():
    got = parity_rewards(one_hot(4, 4, 4, 4), np.zeros(16, int))
    np.testing.assert_allclose(got, got[0])


@pytest.mark.parametrize("credit", ["shared", "leave-one-out"])
def test_nobody_found_is_a_missing_reward_and_no_member(credit):
    table, groups = one_hot(3, 1, 0, 0), np.zeros(4, int)
    holed = np.concatenate([table, np.full((2, 4), NAN)])
    got = parity_rewards(holed, np.zeros(6, int), credit=credit)
    assert np.isnan(got[4:]).all()
    np.testing.assert_allclose(got[:4], parity_rewards(table, groups, credit=credit))
    assert np.isnan(parity_rewards(np.full((3, 4), NAN), np.zeros(3, int), credit=credit)).all()


def test_unknown_credit_is_refused():
    with pytest.raises(ValueError, match="credit"):
        parity_rewards(one_hot(1, 1), np.zeros(2, int), credit="mine")


def test_as_little_as_possible_has_to_change_for_a_set_to_be_even():
    sure = np.log([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.1, 0.9], [0.5, 0.5]])
    groups = np.array([0, 0, 0, 0, 1, 1])
    assert balanced_kinds(sure, groups).tolist() == [0, 0, 1, 1, 1, 0]


def test_places_that_are_left_over_go_to_the_first_kinds():
    wanted = balanced_kinds(np.zeros((6, 4)), np.zeros(6, int))
    assert np.bincount(wanted).tolist() == [2, 2, 1, 1]


def test_chances_make_every_set_even_and_leave_sets_as_frequent():
    table = np.eye(2)[[0, 0, 0, 1, 0, 1, 1, 0]]
    table[7] = NAN
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    chances = even_chances([table], groups)
    assert chances[:3].sum() == pytest.approx(chances[3])
    assert chances[4] == pytest.approx(chances[5:7].sum())
    assert chances[:4].sum() == pytest.approx(chances[4:].sum()) == pytest.approx(0.5)


def test_no_sample_is_drawn_too_often():
    table = np.eye(2)[[1] + [0] * 99]
    chances = even_chances([table], np.zeros(100, int), most=10.0)
    assert chances[0] / chances[1] == pytest.approx(10.0 / (100 / 198))
