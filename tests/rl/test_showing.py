"""What people see of a reward model, and of weights that were judged."""

from types import SimpleNamespace

import dagster as dg
import numpy as np
import polars as pl
import pytest

from resources.lake import Lake
from rl_diffusion_assets.evaluation.pictures import encode
from rl_diffusion_assets.promotion.assets import commit_promotions
from rl_diffusion_assets.rewards import building, showing
from rl_diffusion_assets.rewards.building import Material, Objects, People, half
from rl_diffusion_assets.rewards.composition import Detections, Wanted
from rl_diffusion_assets.rewards.training import Pairs

N, SIDE = 60, 8
PICTURES = np.arange(N, dtype=np.uint8)[:, None, None, None] * np.ones((1, SIDE, SIDE, 3), np.uint8)


def brightness(pictures, captions=()):
    return pictures.mean((1, 2, 3))


def read(pictures):
    """Sees a dark man on every picture."""
    return SimpleNamespace(
        tone=np.tile([0, 0, 0, 1.0], (len(pictures), 1)),
        gender=np.tile([0.9, 0.1], (len(pictures), 1)),
        found=np.ones(len(pictures)),
    )


def detect(pictures):
    """Finds a red hat wherever a picture is bright."""
    found = (brightness(pictures) > N / 2).astype(np.float32).reshape(-1, 1, 1, 1)
    return Detections(("hat",), ("red",), found, np.ones_like(found))


@pytest.fixture
def material() -> Material:
    first, second = np.arange(0, N, 2), np.arange(1, N, 2)  # the second is always brighter
    share = np.where(np.arange(N // 2) % 3 == 0, 1.0, 0.0)  # and people like it in two of three
    votes = np.ones(N // 2, int)
    pairs = Pairs(PICTURES, [f"caption {n}" for n in range(N)], first, second, share, votes)
    people = People(PICTURES, np.full(N, 3), np.arange(N) // 12 % 2)
    wanted = [Wanted((("hat", "red"),))] * N
    objects = Objects(PICTURES, [[("hat", "red", 0.5, 0.5)]] * N, wanted)
    held_out = np.ones(N // 2, bool)
    captioned = (PICTURES, ["x"] * N)
    return Material(pairs, held_out, people, objects, captioned, lambda p: p, "cpu", str)


@pytest.fixture(autouse=True)
def _models(monkeypatch):
    model = SimpleNamespace(score=brightness, read=read, detect=detect)
    monkeypatch.setattr(showing, "open_reward", lambda folder, device: model)


def test_pairs_begin_with_what_the_model_gets_wrong(material, tmp_path):
    pictures, captions = showing.sheets("preference", tmp_path, material)["pairs"]
    shown = brightness(pictures)
    chosen, other = shown[::2], shown[1::2]
    wrong = chosen < other
    assert 0 < wrong.sum() <= showing.SHOWN // 4
    assert not wrong[wrong.sum() :].any()  # errors first, and no more than half
    assert captions[0] == f"votes 100%, score {chosen[0]:.1f}\ncaption {chosen[0]:.0f}"
    assert captions[1].startswith("votes 0%, score ")


def test_people_carry_their_label_and_what_was_read(material, tmp_path):
    pictures, captions = showing.sheets("person", tmp_path, material)["people"]
    examined = half(N, False)[1]
    assert set(brightness(pictures)) <= set(examined.astype(float))  # none was trained on
    assert captions[0] == "dark woman\nread: dark man"
    assert captions[-1] == "dark man\nread: dark man"


def test_objects_carry_how_surely_they_are_found(material, tmp_path):
    pictures, captions = showing.sheets("objects", tmp_path, material)["objects"]
    for value, caption in zip(brightness(pictures), captions, strict=True):
        assert caption == ("1.00 red hat" if value > N / 2 else "0.00 red hat")
    assert captions[0].startswith("0.00")


def test_a_judge_shows_all_three(material, tmp_path):
    sheets = showing.sheets("judge", tmp_path, material)
    assert set(sheets) == {"pairs", "people", "objects"}
    examined = set(half(N, True)[1].astype(float))
    assert set(brightness(sheets["people"][0])) <= examined


def test_a_verdict_is_shown_with_its_pictures_and_numbers(tmp_path):
    lake = Lake(root=str(tmp_path))
    images = [encode(PICTURES[n], lake.put_image) for n in (3, 40)]
    sample = {"prompt": "a red | hat", "base_image": images[0], "tuned_image": images[1]}
    lake.commit("rl_evaluation", {"samples": pl.DataFrame([sample])}, partition="joint")
    prompts = {"prompt": ["x"], "objective": ["fairness"], "split": ["train"], "objects": [None]}
    lake.commit("prompt_sets", {"prompts": pl.DataFrame(prompts, strict=False)})
    verdicts = pl.DataFrame(
        {
            "gate": ["win_rate", "training"],
            "value": [0.61234567, None],
            "wanted": ["at least 0.803", "ended"],
            "passed": [False, True],
        }
    )
    history = dict.fromkeys(("checkpoint", "objective", "base"), pl.String)
    shown = commit_promotions(lake, pl.DataFrame(schema=history), verdicts, "joint", None).metadata
    assert shown["gate_win_rate"] == 0.6123
    assert (shown["gates_passed"], shown["gates_refused"]) == (1, 1)
    assert isinstance(shown["before_after_sheet"], dg.MarkdownMetadataValue)
    assert "data:image/jpeg" in shown["before_after_sheet"].value


def test_a_model_that_somebody_else_made_is_examined_alike(material, tmp_path, monkeypatch):
    model = SimpleNamespace(score=brightness, read=read, detect=detect)
    monkeypatch.setattr(building, "open_reward", lambda folder, device: model)
    monkeypatch.setattr(building, "LEAST_PAIRS", 5)
    monkeypatch.setattr(building, "EXAMINED", 1)  # everything
    scored = {
        one["name"]: one["value"] for one in building.examine("preference", material, tmp_path)
    }
    assert scored["pairwise_accuracy"] == pytest.approx(
        2 / 3, abs=0.15
    )  # people like the brighter in two of three
    assert "temperature" not in scored  # nothing was calibrated
    judged = {one["name"]: one["value"] for one in building.examine("judge", material, tmp_path)}
    assert judged["person.tone_accuracy_drawn"] == 1.0
    assert judged["objects.recall_hat_drawn"] == pytest.approx(0.5, abs=0.2)
    assert "preference.pairwise_accuracy" in judged


def test_a_scorer_that_says_nothing_cannot_be_examined(material, tmp_path, monkeypatch):
    silent = SimpleNamespace(score=lambda pictures, captions: np.full(len(pictures), np.nan))
    monkeypatch.setattr(building, "open_reward", lambda folder, device: silent)
    with pytest.raises(ValueError, match="0 kept pairs with an answer are too few"):
        building.examine("preference", material, tmp_path)
