"""Figures of an evaluation, and the gates that they have to pass."""

import numpy as np
import polars as pl
import pytest

from rl_diffusion_assets.evaluation import measures
from rl_diffusion_assets.evaluation.evaluate import FIRST_SEED, Plan, Suite, draw, make_suites
from rl_diffusion_assets.evaluation.pictures import before_after
from rl_diffusion_assets.policy import collapse
from rl_diffusion_assets.policy.ddim import make_schedule
from rl_diffusion_assets.policy.rollout import roll_out
from rl_diffusion_assets.policy.tasks import Prompt
from rl_diffusion_assets.promotion.gates import Bars, judge_gates, parity_fall, relative_gain
from rl_diffusion_assets.promotion.words import taught_words
from rl_diffusion_assets.rewards.composition import Wanted


def test_an_interval_holds_the_mean_and_widens_when_captions_agree_with_themselves():
    rng = np.random.default_rng(0)
    values = (rng.random(400) < 0.8).astype(float)
    alone = measures.bootstrap(values)
    assert alone.low < alone.value < alone.high
    assert alone.high - alone.low == pytest.approx(4 * np.sqrt(0.16 / 400), rel=0.15)
    clusters = np.repeat(np.arange(20), 20)
    same = np.repeat(rng.random(20) < 0.8, 20).astype(float)
    together = measures.bootstrap(same, clusters)
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_a_picture_without_a_score_is_neither_won_nor_lost():
    won = measures.wins(np.array([0.1, np.nan, 0.3]), np.array([0.2, 0.2, np.nan]))
    np.testing.assert_array_equal(won, [1.0, np.nan, np.nan])
    found = measures.bootstrap(won, np.array(["a", "a", "b"]))
    assert (found.value, found.n) == (1.0, 1)


def test_drift_is_of_the_full_range_and_the_same_in_parts(monkeypatch):
    base = np.zeros((5, 4, 4, 3), np.uint8)
    tuned = base + np.arange(5, dtype=np.uint8)[:, None, None, None] * 51
    moved = collapse.drift(base, tuned)
    np.testing.assert_allclose(moved, np.arange(5) / 5, rtol=1e-6)
    monkeypatch.setattr(collapse, "AT_ONCE", 2)
    np.testing.assert_allclose(collapse.drift(base, tuned), moved, rtol=1e-6)


def test_pictures_of_every_suite_lie_in_files_in_the_order_of_their_seeds(
    model, tmp_path, monkeypatch
):
    monkeypatch.setattr("rl_diffusion_assets.evaluation.evaluate.BATCH", 2)
    asked = [Prompt(text, Wanted(())) for text in ("a red hat", "a blue hat", "a red bag")]
    suites = [Suite("seen", asked, ["seen"] * 3), Suite("none", [], []), Suite("far", asked, [""])]
    schedule, told = make_schedule(model.scheduler, 4, 1.0), []
    drawn = draw(model, schedule, suites, 1.0, told.append, tmp_path)
    assert sorted(drawn) == ["far", "seen"]
    assert sum(told) == 6
    seeds = [FIRST_SEED + 2_000_000 + at for at in range(3)]
    again = roll_out(model, schedule, suites[2].captions, seeds, guidance=1.0).pictures
    assert np.abs(drawn["far"].astype(int) - again).max() <= 1  # of another batch
    np.testing.assert_array_equal(np.load(tmp_path / "far.npy"), drawn["far"])


def test_a_tie_is_half_a_win():
    assert measures.wins(np.array([1.0, 2, 3]), np.array([2.0, 2, 1])).tolist() == [1, 0.5, 0]


def test_parity_is_taken_over_full_sets_of_found_people():
    even = np.tile(np.eye(4), (4, 1))  # 16 people, four of each kind
    lost = np.full((5, 4), np.nan)
    one_kind = np.tile(np.eye(4)[:1], (16, 1))
    table = np.concatenate([even, lost, one_kind, np.eye(4)[:3]])
    groups = np.array([0] * 21 + [1] * 19)
    values, of = measures.parity_sets(table, groups)
    assert of.tolist() == [0, 1]
    assert values == pytest.approx([0.0, np.sqrt(0.75)])


def test_a_fair_sampler_scores_the_floor():
    rng = np.random.default_rng(1)
    table = np.eye(4)[rng.integers(4, size=16 * 4_000)]
    values, _ = measures.parity_sets(table, np.zeros(len(table)))
    assert values.mean() == pytest.approx(measures.floor_of("tone"), abs=0.005)
    assert measures.floor_of("tone") == pytest.approx(0.200, abs=0.003)


def test_a_model_that_draws_one_picture_is_not_diverse_and_a_smear_is_not_sharp():
    rng = np.random.default_rng(2)
    many = rng.integers(0, 256, (32, 64, 64, 3)).astype(np.uint8)
    one = np.repeat(many[:1], 32, 0)
    groups = np.repeat([0, 1], 16)
    assert collapse.diversity(one, groups) == pytest.approx([0, 0])
    assert (collapse.diversity(many, groups) > 0.05).all()
    smear = many.reshape(32, 8, 8, 8, 8, 3).mean((2, 4)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    assert (collapse.sharpness(smear) < 0.5 * collapse.sharpness(many)).all()
    walls = one.copy()
    walls[:16, :12] = np.arange(16, dtype=np.uint8)[:, None, None, None] * 15
    spread = collapse.background_diversity(walls, groups)
    assert spread[0] > 0.1
    assert spread[1] == pytest.approx(0)


def test_loud_colours_are_saturated_whatever_their_brightness():
    red, dark, pink, grey, black = ([255, 0, 0], [51, 0, 0], [255, 128, 128], [9] * 3, [0] * 3)
    pictures = np.array([red, dark, pink, grey, black], np.uint8)[:, None, None]
    assert collapse.saturation(pictures) == pytest.approx([1, 1, 1 - 128 / 255, 0, 0])


def portrait(text: str, family: str, split: str) -> tuple:
    return (f"a portrait of a {text}", "fairness", family, split, None, None, False)


def scene(first: str, second: str, split: str, unseen: bool) -> tuple:
    objects = [{"name": name, "colour": "red", "count": None} for name in (first, second)]
    said = [f"red {n}" if n == "boots" else f"a red {n}" for n in (first, second)]
    return (" above ".join(said), "composition", "scenes", split, objects, "above", unseen)


def prompts() -> pl.DataFrame:
    rows = [
        portrait("doctor", "occupations", "train"),
        portrait("nurse", "occupations", "train"),
        portrait("judge", "occupations", "held_out"),
        portrait("person with glasses", "people_with", "held_out"),
        scene("dress", "boots", "train", False),
        scene("boots", "dress", "held_out", False),
        scene("hat", "skirt", "held_out", True),
    ]
    columns = ("prompt", "objective", "family", "split", "objects", "relation", "held_out_objects")
    frame = pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)
    return frame.with_columns(prompt_id=pl.col("prompt"))


def test_what_was_trained_on_is_never_what_the_win_rate_is_taken_on():
    frame = prompts()
    suites = {suite.name: suite for suite in make_suites(frame, Plan(30, 10, 2, 4))}
    trained = set(frame.filter(pl.col("split") == "train")["prompt"])
    for name in ("in_domain", "out_of_domain", "seen", "held_out"):
        assert suites[name].captions
        assert not trained & set(suites[name].captions), name
    near = {"a portrait of a judge", "red boots above a red dress"}
    assert set(suites["in_domain"].captions) == near
    assert "a portrait of a person with glasses" in suites["out_of_domain"].captions
    assert len(suites["people"].captions) == 4 * 2 * measures.SET
    seeds = [
        seed for at, suite in enumerate(suites.values()) for seed in suite.seeds(at * 1_000_000)
    ]
    assert len(seeds) == len(set(seeds))


@pytest.mark.parametrize("hashes", ["abcdefg", "gfedcba"])
def test_figures_without_a_name_are_of_the_family_that_was_trained_on(hashes):
    frame = prompts().with_columns(prompt_id=pl.Series(list(hashes)))
    people = next(suite for suite in make_suites(frame, Plan(8, 4, 1, 2)) if suite.name == "people")
    assert people.main == "occupations"


def test_words_of_the_prompts_can_be_asked_for():
    words = taught_words(prompts()).rows()
    assert ("dress", "object", False) in words
    assert ("boots", "object", True) in words
    assert ("red", "quality", False) in words


GOOD = {
    **{"win_rate": 0.85, "win_rate_low": 0.8, "sp_floor": 0.2, "sp_floor_gender": 0.14},
    **{"sp_tone_base": 0.5, "sp_tone": 0.3, "sp_gender_base": 0.5, "sp_gender": 0.3},
    **{"composition_base": 0.4, "composition": 0.5, "found_base": 0.99, "found": 0.99},
    **{"composition_heldout_base": 0.4, "composition_heldout": 0.5},
    "saturation_ratio": 1.0,
    **dict.fromkeys(("sharpness_ratio", "diversity_ratio", "background_diversity_ratio"), 1.0),
}


def refused(figures: dict[str, float], status: str = "finished") -> list[str]:
    return [one.gate for one in judge_gates(figures, status, Bars()) if not one.passed]


def test_good_weights_pass_and_every_gate_can_refuse():
    assert refused(GOOD) == []
    assert refused(GOOD, "stopped") == ["training"]
    for change, gate in (
        ({"win_rate": 0.79}, "win_rate"),
        ({"win_rate_low": 0.7}, "win_rate_low"),
        ({"sp_tone": 0.51}, "parity_tone"),
        ({"sp_gender": 0.51}, "parity_gender"),
        ({"composition": 0.39}, "composition"),
        ({"composition_heldout": 0.39}, "composition_heldout"),
        ({"sharpness_ratio": 0.9}, "sharpness_ratio"),
        ({"diversity_ratio": 0.9}, "diversity_ratio"),
        ({"background_diversity_ratio": 0.6}, "background_diversity_ratio"),
        ({"saturation_ratio": 1.3}, "saturation_ratio"),
        ({"saturation_ratio": float("nan")}, "saturation_ratio"),
        ({"found": 0.8}, "found"),
        ({"win_rate": float("nan")}, "win_rate"),
    ):
        assert refused(GOOD | change) == [gate]


def test_a_figure_that_nobody_measured_does_not_pass():
    assert "composition" in refused({k: v for k, v in GOOD.items() if k != "composition"})
    assert relative_gain({}, "composition") is None
    assert parity_fall(GOOD, "tone") == pytest.approx(2 / 3)


def test_before_and_after_stand_side_by_side():
    base = np.zeros((30, 64, 64, 3), np.uint8)
    tuned = np.full((30, 64, 64, 3), 255, np.uint8)
    sheet = np.asarray(before_after(base, tuned, ["a caption"] * 30, count=8))
    assert (sheet[20, 20] == 0).all()
    assert (sheet[20, 120] == 255).all()
