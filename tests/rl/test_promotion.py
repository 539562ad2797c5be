"""Weights come into use through gates, and what was taken back stays out of it."""

import dagster as dg
import polars as pl
import pytest

from resources.checkpoints import Checkpoints
from resources.lake import Lake
from resources.quality import Limits
from rl_diffusion_assets.promotion import assets
from rl_diffusion_assets.promotion.assets import (
    demote,
    promoted,
    promoted_diffusion_weights,
)
from rl_diffusion_assets.promotion.gates import Verdict
from tests.rl.test_evaluation import GOOD


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Resources over a judged run whose reward model learned from two days."""
    lake, checkpoints = (
        Lake(root=str(tmp_path / "lake")),
        Checkpoints(root=str(tmp_path / "models")),
    )
    monkeypatch.setattr(assets, "judge_verdict", lambda *_: Verdict("judge", None, "", True))
    prompts = {"prompt": ["x"], "objective": ["fairness"], "split": ["train"], "objects": [None]}
    lake.commit("prompt_sets", {"prompts": pl.DataFrame(prompts, strict=False)})
    sources = {
        "pairs": {"2026-11-01": "a", "2026-11-02": "b"},
        "labelled": {"people": "0123456789abcdef0123"},
    }
    scorer = checkpoints.save(
        "reward_preference", lambda to: (to / "x").write_text("x"), about=sources
    )
    return lake, checkpoints, scorer


def judge_run(world, content: str, **changes: float) -> None:
    """A run and its evaluation."""
    lake, checkpoints, scorer = world
    parents = {"base_diffusion": "b", "reward_preference": scorer}
    about = {
        **{"parents": parents, "tables": {"prompts": "f" * 64}, "training": {"seed": 0}},
        "summary": {"status": "finished", "iterations": 2, "best_iteration": 1},
    }
    version = checkpoints.save(
        "rl_joint", lambda to: (to / "unet").write_text(content), about=about
    )
    rows = [
        {"name": name, "value": value, "low": value - 0.05, "high": value + 0.05}
        for name, value in (GOOD | changes).items()
        if name != "win_rate_low"
    ]
    samples = pl.DataFrame(schema={"prompt": pl.String})
    lake.commit(
        "rl_evaluation",
        {"figures": pl.DataFrame(rows), "samples": samples},
        partition="joint",
        versions={"checkpoint": version, "reward_judge": "j", "base_diffusion": "b"},
    )


def promote(world, **config) -> None:
    lake, checkpoints, _ = world
    done = dg.materialize(
        [promoted_diffusion_weights],
        resources={"lake": lake, "checkpoints": checkpoints, "limits": Limits()},
        run_config={"ops": {"promoted_diffusion_weights": {"config": config}}},
    )
    assert done.success


def take_back(world) -> None:
    assert demote.execute_in_process(resources={"lake": world[0]}).success


def in_use(world) -> list[str]:
    """What was promoted, by its weights."""
    lake, checkpoints, _ = world
    return [
        (checkpoints.path("promoted_diffusion", version) / "unet").read_text()
        for version in promoted(lake)["checkpoint"]
    ]


def test_what_was_taken_back_stays_out_until_it_is_asked_for(world):
    for content in ("first", "second"):
        judge_run(world, content)
        promote(world)
    assert in_use(world) == ["first", "second"]
    take_back(world)
    assert in_use(world) == ["first"]
    judge_run(world, "second", win_rate=0.9)  # judged anew
    promote(world)
    assert in_use(world) == ["first"]
    verdicts = world[0].read("promoted_diffusion_weights", "verdicts")
    assert verdicts.filter(~pl.col("passed"))["gate"].to_list() == ["withdrawn"]
    promote(world, again=True)
    promote(world)  # it is in use, so nobody has to say it twice
    assert in_use(world) == ["first", "second"]
    assert promoted(world[0], "withdrawn").is_empty()


def test_there_is_no_way_back_from_the_first(world):
    judge_run(world, "first")
    promote(world)
    with pytest.raises(dg.Failure, match="no earlier promotion"):
        take_back(world)
    assert in_use(world) == ["first"]


def test_a_card_leads_back_to_the_pairs_and_the_tables(world):
    judge_run(world, "first")
    promote(world)
    lake, checkpoints, _ = world
    version = promoted(lake)["checkpoint"][0]
    card = (checkpoints.path("promoted_diffusion", version) / "README.md").read_text()
    assert "reward_preference, learned from preference_pairs | `2026-11-01 to 2026-11-02" in card
    assert "reward_preference, learned from labelled_people | `0123456789abcdef`" in card
    assert "| prompts | `ffffffffffffffff` |" in card


def test_weights_that_are_less_fair_to_another_family_are_refused(world):
    judge_run(world, "worse", sp_tone_people_with_base=0.3, sp_tone_people_with=0.4)
    promote(world)
    assert in_use(world) == []
    judge_run(world, "chance", sp_tone_people_with_base=0.3, sp_tone_people_with=0.32)
    promote(world)
    assert in_use(world) == ["chance"]
