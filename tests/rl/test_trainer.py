"""The loop (invariants 1, 10, 11 and 12), the judge, the alarm, and what is kept."""

import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from rl_diffusion_assets.policy.jobs import JOB, make_job, write_job
from rl_diffusion_assets.policy.judging import Hacked, Probe
from rl_diffusion_assets.policy.objective import reference_divergence
from rl_diffusion_assets.policy.parts import cut, side_by_side
from rl_diffusion_assets.policy.rollout import roll_out, step_log_probability
from rl_diffusion_assets.policy.settings import Training
from rl_diffusion_assets.policy.tasks import OBJECTIVES, Sampling, tasks_of
from rl_diffusion_assets.policy.train import read_settings
from rl_diffusion_assets.policy.trainer import HISTORY, STATE, Data
from tests.rl import shared_run
from tests.rl.conftest import (
    LATENT,
    SAMPLING,
    Brightness,
    Missing,
    Script,
    rewards,
    same,
    weights_of,
)

FULL = {"lora_rank": 0}
TOY = {  # of so few pictures that brightness rises for about half of the seeds: 1 is one of these
    "seed": 1,
    "lora_rank": 0,
    "steps": 6,
    "learning_rate": 3e-3,
    "trained_steps": 3,
    "clip": 5e-2,
    "pretraining_weight": 0.0,
    "evaluate_every": 1,
    "sampling": SAMPLING | {"preference": Sampling(4, 8)},
}


def finish(trainer, until: int | None = None) -> list[dict]:
    records = []
    for record in trainer.run():
        records.append(record)
        if record["iteration"] == until:
            break
    return records


def moved(before, trainer) -> bool:
    return not same(before, weights_of(trainer))


# -- what a run learns ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        TOY,
        TOY | {"lora_rank": 4, "learning_rate": 1e-2, "seed": 0},
        TOY | {"method": "reward-gradient", "micro_batch": 3},
    ],
    ids=["full", "lora", "reward-gradient"],
)
def test_brightness_rises_on_fixed_seeds_and_no_alarm_fires(make_trainer, changes):
    trainer = make_trainer(iterations=3, alarm_fall=0.08, **changes)
    records = finish(trainer)
    scores = [one["proxy_score"] for one in trainer.judging.evaluations]
    assert len(scores) == 4
    assert scores[-1] > scores[0] + 0.002  # one deviation of the base's pictures
    assert trainer.judging.evaluations[-1]["proxy_win"] >= 0.9
    assert trainer.judging.evaluations[-1]["judge_win"] >= 0.9
    assert trainer.judging.best["iteration"] > 0
    if trainer.settings.method == "policy-gradient":  # invariant 1, in the loop itself
        for record in records:
            assert record["preference_ratio_first"] == pytest.approx(1, abs=1e-4)
            assert record["preference_ratio_deviation_first"] < 1e-4
        assert any(record["preference_ratio_deviation"] > 0 for record in records)


def test_the_alarm_fires_when_the_judge_falls_while_the_proxy_rises(make_trainer):
    judge = rewards(Brightness(-1.0))
    trainer = make_trainer(iterations=8, alarm_fall=0.08, judge=judge, **TOY)
    with pytest.raises(Hacked, match="learning_rate"):
        finish(trainer)
    assert trainer.iteration < 8
    assert (
        trainer.judging.evaluations[-1]["proxy_win"]
        > 0.5
        > trainer.judging.evaluations[-1]["judge_win"]
    )
    assert trainer.judging.best["iteration"] == 0
    assert (trainer.folder / STATE).exists()


@pytest.mark.parametrize(
    ("judge", "proxy", "fires"),
    [
        ([0.7, 0.3], [0.7, 0.9], True),
        ([0.4, 0.3], [0.6, 0.9], True),
        ([0.7, 0.9], [0.7, 0.9], False),  # both rise
        ([0.7, 0.3], [0.7, 0.4], False),  # both fall: bad, but no hacking
        ([0.9, 0.6], [0.7, 0.9], False),  # still above one half
        ([0.48, 0.45], [0.6, 0.9], False),  # within the noise
        ([0.05, 0.02], [0.1, 0.0], True),  # both are gone: pictures decay
        ([0.6, 0.1], [0.6, 0.2], False),  # once may be chance
    ],
)
def test_what_the_alarm_listens_to(make_trainer, judge, proxy, fires):
    trainer = make_trainer(alarm_fall=0.08)
    trainer.judging.base_scores = {}
    trainer.judging.evaluations = [{"iteration": 0, "judge_win": 0.0, "proxy_win": 0.0}] + [
        {"iteration": at, "judge_win": a, "proxy_win": b}
        for at, (a, b) in enumerate(zip(judge, proxy, strict=True), 1)
    ]
    trainer.iteration = 2
    if fires:
        with pytest.raises(Hacked):
            trainer.judging.alarm(2)
    else:
        trainer.judging.alarm(2)


def test_pictures_that_did_not_change_are_a_tie_and_not_a_loss(make_trainer):
    trainer = make_trainer(learning_rate=0.0, evaluate_every=1, iterations=1)
    finish(trainer)
    for evaluation in trainer.judging.evaluations:
        assert evaluation["judge_win"] == evaluation["proxy_win"] == 0.5


# -- 10: what moves what -------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 4])
def test_invariant_10_a_rate_of_0_changes_nothing(make_trainer, rank):
    trainer = make_trainer(learning_rate=0.0, lora_rank=rank, iterations=2)
    before = weights_of(trainer)
    records = finish(trainer)
    assert records[-1]["preference_gradient"] > 0
    assert records[-1]["pretraining_loss"] > 0
    assert not moved(before, trainer)


def test_invariant_10_without_the_rate_of_rl_only_pretraining_moves_weights(make_trainer):
    trainer = make_trainer(**FULL)
    before = weights_of(trainer)
    trainer.optimizers["preference"].param_groups[0]["lr"] = 0.0
    trainer._improve("preference", 0)
    assert not moved(before, trainer)
    trainer._pretrain()
    assert moved(before, trainer)


def test_invariant_10_without_pretraining_only_rl_moves_weights(make_trainer, data):
    latents, captions = data.pretraining
    other = Data(data.prompts, data.probes, (latents + 1.0, captions))

    def trained(learn, name, **changes):
        folder = make_trainer().folder / name
        trainer = make_trainer(learn=learn, folder=folder, iterations=1, **FULL, **changes)
        before = weights_of(trainer)
        records = finish(trainer)
        assert moved(before, trainer)
        assert ("pretraining_loss" in records[0]) == bool(trainer.settings.pretraining_weight)
        return weights_of(trainer)

    assert same(
        trained(data, "a", pretraining_weight=0.0), trained(other, "b", pretraining_weight=0.0)
    )
    assert not same(trained(data, "c"), trained(other, "d"))


def test_invariant_10_pretraining_lowers_its_own_loss(make_trainer):
    trainer = make_trainer(**FULL, pretraining_batch=16, learning_rate=3e-3)
    losses = [trainer._pretrain() for _ in range(12)]  # the same draws: the iteration stands still
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("rank", [0, 4])
def test_invariant_10_the_frozen_parts_have_no_gradient_and_do_not_move(make_trainer, rank):
    trainer = make_trainer(lora_rank=rank, iterations=2, guidance=2.0)
    model = trainer.model
    frozen = [*model.pipeline.vae.parameters(), *model.pipeline.text_encoder.parameters()]
    if rank:
        adapted = {name.rpartition(".")[0] + ".weight" for name in trainer.names}
        frozen += [p for n, p in model.unet.named_parameters() if n not in adapted]
    copies = [parameter.clone() for parameter in frozen]
    before = weights_of(trainer)
    finish(trainer)
    assert moved(before, trainer)
    assert not any(p.requires_grad for p in frozen)
    assert all(parameter.grad is None for parameter in frozen)
    assert same(copies, frozen)


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("method", ["policy-gradient", "forward", "reward-gradient"])
def test_the_text_encoder_learns_with_the_denoiser(make_trainer, rank, method):
    settings = {"lora_rank": rank, "method": method, "pretraining_weight": 0.0}
    trainer = make_trainer(text_encoder=True, iterations=1, **settings)
    text = [*trainer.model.pipeline.text_encoder.parameters()]
    before, words = [parameter.clone() for parameter in text], trainer.model.encode(["a", "b"])
    finish(trainer)
    assert not same(before, text)
    assert (trainer.model.encode(["a", "b"]) - words).abs().max() > 0  # nothing old is kept
    trainer.use_best()
    assert not trainer.model.encode(["a", "b"]).requires_grad
    assert not any(parameter.requires_grad for parameter in text)


def test_a_text_encoder_that_cannot_learn_is_refused(make_trainer):
    with pytest.raises(ValueError, match="text_encoder"):
        make_trainer(text_encoder=True, kl_weight=0.1, method="policy-gradient", lora_rank=0)


def test_pretraining_of_a_model_distilled_from_guidance_aims_where_guidance_leads(make_trainer):
    """With the same draws the target moves away from the answer to no caption."""
    settings = {"pretraining_batch": 16, "learning_rate": 0.0, **FULL}
    plain = make_trainer(**settings)._pretrain()
    same_again = make_trainer(pretraining_guidance=1.0, **settings)._pretrain()
    led = make_trainer(pretraining_guidance=2.0, **settings)._pretrain()
    assert plain == same_again
    assert led > 1.5 * plain  # the noise counts twice


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_pretraining_asks_for_what_the_model_predicts(make_trainer, fresh, kind):
    """A model that answers rightly has a loss of 0: of pictures that are all 0, what is noised is
    the noise alone."""
    model = fresh(prediction_type=kind)
    data = Data({}, {}, (torch.zeros((4, *LATENT)), ["zero"] * 4))
    trainer = make_trainer(model=model, learn=data)
    alphas = model.scheduler.alphas_cumprod

    class Right(torch.nn.Module):
        dtype = torch.float32

        def __init__(self) -> None:
            super().__init__()
            self.nothing = torch.nn.Parameter(torch.zeros(()))

        def forward(self, noisy, times, hidden):
            alpha = alphas[times].view(-1, 1, 1, 1)
            noise = noisy / (1 - alpha).sqrt()
            answer = {
                "epsilon": noise,
                "v_prediction": alpha.sqrt() * noise,
                "sample": torch.zeros_like(noise),
            }[kind]
            return type("Answer", (), {"sample": answer + self.nothing})

    model.pipeline.unet = Right()
    assert trainer._pretrain() == pytest.approx(0.0, abs=1e-6)


# -- missing rewards -----------------------------------------------------------------------------


def test_missing_rewards_are_no_error_and_no_gradient(make_trainer):
    trainer = make_trainer(
        proxy=rewards(Missing()), pretraining_weight=0.0, weight_decay=0.0, iterations=2, **FULL
    )
    before = weights_of(trainer)
    records = finish(trainer)
    assert not moved(before, trainer)
    assert records[0]["preference_missing"] == 1.0
    assert records[0]["preference_reward"] is None


def test_missing_rewards_move_nothing_after_other_steps(make_trainer):
    """Neither what the optimizer remembers of other steps nor weight decay may."""
    trainer = make_trainer(proxy=rewards(Missing()), **FULL)
    trainer._pretrain()
    before = weights_of(trainer)
    trainer._improve("preference", 0)
    assert not moved(before, trainer)


def gradient(trainer, weight: torch.Tensor) -> torch.Tensor:
    """Of one step on fixed trajectories, before the optimizer sees it."""
    prompts = [f"caption {i}" for i in range(8)]
    drawn = roll_out(trainer.model, trainer.schedule, prompts, list(range(8)), guidance=1.0)
    advantage = torch.tensor([1.0, -1.0, 2.0, 0.5, -2.0, 1.5, -0.5, 3.0]) * weight
    trainer.settings = replace(trainer.settings, max_gradient=1e9)
    trainer._step("preference", drawn, 2, advantage, weight, float(weight.sum()))
    return torch.cat([parameter.grad.flatten() for parameter in trainer.parameters])


@pytest.mark.parametrize("missing", [0, 3], ids=["all there", "three missing"])
def test_a_step_does_not_depend_on_the_size_of_its_parts(make_trainer, missing):
    weight = torch.ones(8)
    weight[:missing] = 0.0
    whole = gradient(make_trainer(**FULL, clip=0.5), weight)
    parts = gradient(make_trainer(**FULL, clip=0.5, micro_batch=4), weight)
    assert whole.abs().max() > 1e-5
    torch.testing.assert_close(parts, whole, rtol=1e-3, atol=2e-3 * whole.abs().max().item())


def test_gradient_checkpointing_changes_no_gradient(make_trainer):
    plain = gradient(make_trainer(**FULL), torch.ones(8))
    saving = gradient(make_trainer(**FULL, gradient_checkpointing=True), torch.ones(8))
    torch.testing.assert_close(saving, plain, rtol=1e-4, atol=1e-4 * plain.abs().max().item())


# -- 12: how many steps --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "pretraining", "expected"),
    [
        ("preference", 1, 2 + 1),
        ("fairness", 1, 2 + 1),
        ("composition", 1, 2 + 1),
        ("joint", 1, 3 * 2 + 1),
        ("joint", 4, 3 * 2 + 4),
        ("joint", 0, 3 * 2),
    ],
)
def test_invariant_12_optimizer_steps_of_an_iteration(
    make_trainer, monkeypatch, objective, pretraining, expected
):
    trainer = make_trainer(
        objective=objective,
        pretraining_weight=float(pretraining > 0),
        pretraining_steps=pretraining,
        iterations=1,
    )
    steps = []
    for optimizer in trainer.optimizers.values():
        monkeypatch.setattr(optimizer, "step", lambda made=optimizer.step: steps.append(made()))
    records = finish(trainer)
    assert len(steps) == expected
    for task in tasks_of(objective):
        assert records[-1][f"{task}_ratio_first"] == pytest.approx(1, abs=1e-4)
        assert records[-1][f"{task}_missing"] == 0.0
    assert len(tasks_of(objective)) == (3 if objective == "joint" else 1)
    assert set(tasks_of("joint")) == set(OBJECTIVES)


def test_the_rate_rises_at_the_start_and_falls_at_the_end(make_trainer):
    trainer = make_trainer(
        iterations=6, warm_up=2, cool_down=0.5, learning_rate=1e-3, evaluate_every=9
    )
    rates = [trainer.optimizers["preference"].param_groups[0]["lr"] for _ in trainer.run()]
    assert rates == pytest.approx([5e-4, 1e-3, 1e-3, 1e-3, 2e-3 / 3, 1e-3 / 3])


def test_more_steps_than_have_a_density_are_refused(make_trainer):
    with pytest.raises(ValueError, match="trained_steps=6"):
        make_trainer(trained_steps=6, least_deviation=0.3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "dpo"}, "method='dpo'"),
        ({"precision": "float16"}, "precision=.float16.: one of float32, bfloat16"),
        ({"interpolation": 0.0}, "interpolation=0.0"),
        ({"cool_down": 2.0}, "cool_down=2.0"),
        ({"method": "forward", "kl_weight": 0.1}, "kl_weight"),
        ({"method": "forward", "guidance": 2.0}, "guidance=2.0"),
        ({"method": "reward-gradient", "objective": "composition"}, "method of composition"),
        ({"method": "reward-gradient", "proxy": rewards(Missing())}, "Missing has no gradient"),
        (
            {
                "method": "reward-gradient",
                "proxy": rewards(SimpleNamespace(rate=len, members=[Brightness(), Missing()])),
            },
            "Missing has no gradient",
        ),
    ],
)
def test_a_method_that_there_is_not_and_a_setting_that_it_ignores_are_refused(
    make_trainer, changes, message
):
    with pytest.raises(ValueError, match=message):
        make_trainer(**changes)


@pytest.mark.parametrize("method", ["forward", "reward-gradient"])
def test_steps_do_not_depend_on_the_size_of_their_parts(make_trainer, method):
    settings = {"method": method, "iterations": 1, "pretraining_weight": 0.0, **FULL}
    gradients = [
        finish(make_trainer(micro_batch=size, **settings))[0]["preference_gradient"]
        for size in (64, 3)
    ]
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-3)
    assert gradients[0] > 0


@pytest.mark.parametrize("lora_rank", [0, 4])
@pytest.mark.parametrize("method", ["policy-gradient", "forward", "reward-gradient"])
def test_the_number_of_threads_changes_no_bit(make_trainer, tmp_path, method, lora_rank):
    kept = []
    for threads in (1, 3):
        trainer = make_trainer(
            folder=tmp_path / str(threads),
            threads=threads,
            method=method,
            lora_rank=lora_rank,
            micro_batch=3,
            pretraining_batch=4,
            pretraining_guidance=2.0,
            iterations=2,
        )
        records = [record | {"seconds": None} for record in finish(trainer)]
        kept.append((records, trainer))
    (first, one), (second, three) = kept
    assert first == second
    assert same(weights_of(one), weights_of(three))
    assert not same(weights_of(one), weights_of(make_trainer(lora_rank=lora_rank)))


@pytest.mark.parametrize(
    ("total", "most", "sizes"),
    [(64, 32, [32, 32]), (48, 32, [24, 24]), (7, 3, [2, 2, 3]), (2, 5, [2]), (0, 4, [0])],
)
def test_parts_are_few_equal_and_whole(total, most, sizes):
    parts = cut(total, most)
    assert [len(range(total)[part]) for part in parts] == sizes
    assert [row for part in parts for row in range(total)[part]] == list(range(total))


def test_a_part_that_fails_fails_the_whole():
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda part: 1 / part, [1, 0, 2], 2)
    assert side_by_side(lambda part: part + 1, [1, 2, 3], 2) == [2, 3, 4]


def test_the_rewards_own_gradient_makes_a_set_more_even(make_trainer):
    trainer = make_trainer(
        objective="fairness",
        method="reward-gradient",
        iterations=4,
        pretraining_weight=0.0,
        **FULL | {"learning_rate": 3e-3, "seed": 1},
    )
    rewarded = [record["fairness_reward"] for record in finish(trainer)]
    assert rewarded[-1] > rewarded[0]


def test_an_unknown_objective_is_refused(make_trainer):
    with pytest.raises(ValueError, match="objective"):
        make_trainer(objective="beauty")


# -- 11: resuming --------------------------------------------------------------------------------

KINDS = {
    "full": FULL,
    "lora-ema": {"ema": 0.9},
    "full-ema-kl": FULL | {"ema": 0.9, "kl_weight": 0.1},
    "lora-kl-guided": {"kl_weight": 0.1, "guidance": 2.0},
    "joint": {"objective": "joint"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_invariant_11_resuming_gives_the_weights_of_an_uninterrupted_run(
    make_trainer, tmp_path, kind
):
    changes = KINDS[kind] | {"warm_up": 3, "iterations": 2, "evaluate_every": 1}
    whole = make_trainer(folder=tmp_path / "whole", **changes)
    finish(whole)
    finish(make_trainer(folder=tmp_path / "cut", **changes), until=1)
    torch.manual_seed(987)
    resumed = make_trainer(folder=tmp_path / "cut", **changes)
    assert resumed.resume()
    assert resumed.iteration == 1
    torch.manual_seed(654)
    np.random.seed(3)
    finish(resumed)
    assert same(weights_of(whole), weights_of(resumed))
    assert same(whole.average, resumed.average)
    assert bool(whole.average) == ("ema" in changes)
    assert same(whole.best_weights, resumed.best_weights)
    assert whole.judging.best == resumed.judging.best
    assert whole.judging.evaluations == resumed.judging.evaluations
    mine, other = (
        [json.loads(line) | {"seconds": 0} for line in (each.folder / HISTORY).open()]
        for each in (whole, resumed)
    )
    assert mine == other
    assert [line["iteration"] for line in mine] == [1, 2]


@pytest.mark.longer
@pytest.mark.parametrize("rank", [0, 4])
def test_eight_bit_adam_trains_and_resumes(make_trainer, tmp_path, rank):
    """Its moments are bytes, in the file that resuming reads too."""
    pytest.importorskip("bitsandbytes", reason="extra 'tuning' not installed")
    changes = {"optimizer": "adamw-8bit", "lora_rank": rank, "iterations": 2}
    whole = make_trainer(folder=tmp_path / "whole", **changes)
    before = weights_of(whole)
    finish(whole)
    assert not same(before, weights_of(whole))
    kinds = {
        value.dtype
        for optimizer in whole.optimizers.values()
        for entry in optimizer.state.values()
        for name, value in entry.items()
        if name.startswith("state")
    }
    if not rank:  # small tensors, as an adapter's, stay in float32
        assert torch.uint8 in kinds
    finish(make_trainer(folder=tmp_path / "cut", **changes), until=1)
    resumed = make_trainer(folder=tmp_path / "cut", **changes)
    assert resumed.resume()
    finish(resumed)
    assert same(weights_of(whole), weights_of(resumed))


def test_an_optimizer_that_is_not_there_is_named(make_trainer, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(ValueError, match="optimizer='adamw-8bit': bitsandbytes is not installed"):
        make_trainer(optimizer="adamw-8bit")
    with pytest.raises(ValueError, match="optimizer='lion': one of adamw, adamw-8bit"):
        make_trainer(optimizer="lion")


def test_invariant_11_a_run_killed_between_checkpoints_goes_back_to_the_last(
    make_trainer, tmp_path
):
    whole = make_trainer(folder=tmp_path / "whole", checkpoint_every=2)
    finish(whole)
    finish(make_trainer(folder=tmp_path / "cut", checkpoint_every=2), until=3)
    resumed = make_trainer(folder=tmp_path / "cut", checkpoint_every=2)
    assert resumed.resume()
    assert resumed.iteration == 2
    finish(resumed)
    assert same(weights_of(whole), weights_of(resumed))
    lines = [json.loads(line) for line in (tmp_path / "cut" / HISTORY).open()]
    assert [line["iteration"] for line in lines] == [1, 2, 3]


def test_a_run_killed_before_its_first_checkpoint_begins_anew(make_trainer, tmp_path):
    finish(make_trainer(folder=tmp_path / "cut", checkpoint_every=9), until=2)
    with (tmp_path / "cut" / HISTORY).open("a") as lines:
        lines.write('{"iteration": 3, "prefer')  # the kill cut it off
    again = make_trainer(folder=tmp_path / "cut", checkpoint_every=9)
    assert not again.resume()
    finish(again)
    lines = [json.loads(line) for line in (tmp_path / "cut" / HISTORY).open()]
    assert [line["iteration"] for line in lines] == [1, 2, 3]


def test_an_objective_without_captions_is_refused(make_trainer, data):
    none = replace(data, prompts=data.prompts | {"fairness": []})
    with pytest.raises(ValueError, match="fairness: there are no captions to train on"):
        finish(make_trainer(objective="joint", learn=none))
    few = SAMPLING | {"preference": Sampling(0, 4)}
    with pytest.raises(ValueError, match="preference: 0 captions an iteration"):
        finish(make_trainer(sampling=few))


def test_a_run_is_a_function_of_its_seed(make_trainer, tmp_path):
    made = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        trainer = make_trainer(folder=tmp_path / name, iterations=1, seed=seed, **FULL)
        finish(trainer)
        made.append(weights_of(trainer))
    assert same(made[0], made[1])
    assert not same(made[0], made[2])


def test_there_is_nothing_to_resume_in_an_empty_folder(make_trainer):
    assert make_trainer().resume() is False


def test_a_state_of_other_settings_is_refused_and_a_longer_run_is_not(make_trainer):
    finish(make_trainer(iterations=1))
    faster = make_trainer(iterations=1, learning_rate=5e-4)
    with pytest.raises(ValueError, match=r"other settings: .*learning_rate"):
        faster.resume()
    other = make_trainer(iterations=1, sampling=SAMPLING | {"preference": Sampling(2, 4)})
    with pytest.raises(ValueError, match="sampling"):
        other.resume()
    longer = make_trainer(iterations=2)
    assert longer.resume()
    assert len(finish(longer)) == 1


def test_a_state_is_there_whole_or_not_at_all(make_trainer, monkeypatch):
    import safetensors.torch

    trainer = make_trainer(iterations=1)
    finish(trainer)
    kept = (trainer.folder / STATE).read_bytes()

    def breaks(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(safetensors.torch, "save_file", breaks)
    with pytest.raises(OSError, match="full"):
        trainer.save()
    assert (trainer.folder / STATE).read_bytes() == kept


# -- the best checkpoint -------------------------------------------------------------------------


def test_a_checkpoint_pays_for_the_backgrounds_that_it_lost(make_trainer):
    parity = {"fairness_sp_tone": 0.5, "fairness_sp_gender": 0.5}
    judging = make_trainer(objective="fairness").judging
    judging.evaluations = [{"iteration": 0, "judge_win": 0.5, "fairness_backgrounds": 0.2} | parity]
    fairer = {"judge_win": 0.6, "fairness_sp_tone": 0.4, "fairness_sp_gender": 0.4}
    worth = [
        judging._value(fairer | {"fairness_backgrounds": 0.2 * kept})
        for kept in (1.2, 1.0, 0.95, 0.9, 0.85)
    ]
    assert worth[0] == worth[1] == pytest.approx(worth[2])
    assert worth[2] > worth[3] > worth[4]
    shown = make_trainer(objective="fairness", iterations=1, evaluate_every=1)
    finish(shown)
    assert all(one["fairness_backgrounds"] > 0 for one in shown.judging.evaluations)


@pytest.mark.parametrize("changes", [{}, FULL, {"ema": 0.5}], ids=["lora", "full", "lora-ema"])
def test_the_best_checkpoint_is_kept_and_merged(make_trainer, changes):
    judge = rewards(Script(0.0, 1.0, -1.0, 0.5))  # of the base, and after 1, 2 and 3
    trainer = make_trainer(
        judge=judge, iterations=3, evaluate_every=1, learning_rate=1e-2, **changes
    )
    model, latents = trainer.model, torch.ones((2, *LATENT))
    hidden, time = model.encode(["a", "b"]), torch.tensor(301)

    def predicted():
        with torch.no_grad():
            return model.predict(latents, time, hidden, 1.0)

    base, at = predicted(), {}
    for record in trainer.run():
        current = trainer.average or trainer.parameters
        at[record["iteration"]] = [value.detach().clone() for value in current]
    assert trainer.judging.best["iteration"] == 1
    assert same(trainer.best_weights, at[1])
    assert not same(trainer.best_weights, at[3])
    trainer._put(at[1])
    with_adapter = predicted()
    trainer._put(at[3])
    trainer.use_best()
    torch.testing.assert_close(predicted(), with_adapter, rtol=1e-4, atol=1e-4)
    assert (with_adapter - base).abs().max() > 1e-3
    assert not any(parameter.requires_grad for parameter in model.unet.parameters())


def test_a_tuned_model_is_saved_as_a_plain_pipeline(make_trainer, tmp_path):
    from resources.diffusion import load_text_to_image

    trainer = make_trainer(iterations=1, evaluate_every=1, learning_rate=1e-2)
    finish(trainer)
    trainer.use_best()
    trainer.model.save(tmp_path / "tuned")
    again = load_text_to_image(str(tmp_path / "tuned"))
    tuned = trainer.model.unet.state_dict()
    assert set(tuned) == set(again.unet.state_dict())
    assert all(torch.equal(tuned[k], v) for k, v in again.unet.state_dict().items())


def test_evaluating_leaves_the_weights_alone_and_looks_at_the_average(make_trainer):
    trainer = make_trainer(ema=0.5, iterations=1, learning_rate=1e-2, **FULL)
    finish(trainer)
    before = weights_of(trainer)
    assert not same(before, trainer.average)
    seen = []

    class Looks(Brightness):
        def score(self, pictures, captions):
            seen.append(weights_of(trainer))
            return super().score(pictures, captions)

    trainer.judging.judge = rewards(Looks())
    trainer._evaluate()
    assert same(seen[0], trainer.average)
    assert same(before, weights_of(trainer))


@pytest.mark.parametrize("changes", [{}, FULL, {"ema": 0.5}], ids=["lora", "full", "lora-ema"])
def test_what_is_kept_lies_between_the_base_and_the_tuned_weights(make_trainer, changes):
    def kept(share):
        trainer = make_trainer(
            interpolation=share, iterations=1, evaluate_every=9, learning_rate=1e-2, **changes
        )
        base = copy.deepcopy(trainer.model.unet.state_dict())
        finish(trainer)
        trainer._put(trainer._current())
        return base, trainer.model.unet.state_dict()

    (base, tuned), (_, between) = kept(1.0), kept(0.25)
    assert max((tuned[name] - base[name]).abs().max() for name in base) > 1e-3
    for name, value in between.items():
        wanted = base[name].lerp(tuned[name], 0.25)
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-6)


def test_the_average_follows_the_weights_slowly(make_trainer):
    trainer = make_trainer(ema=0.75, iterations=1, learning_rate=1e-2, **FULL)
    before = weights_of(trainer)
    finish(trainer)
    for start, kept, now in zip(before, trainer.average, weights_of(trainer), strict=True):
        torch.testing.assert_close(kept, 0.75 * start + 0.25 * now, rtol=1e-4, atol=1e-6)


def test_probes_are_never_drawn_in_training(make_trainer):
    trainer = make_trainer(objective="joint")
    seeds = []
    for number, task in enumerate(OBJECTIVES):
        probe = trainer.judging.probe(task, number)
        assert isinstance(probe, Probe)
        assert len(probe.seeds) == len(probe.prompts) == len(probe.groups)
        seeds += probe.seeds
    assert len(set(seeds)) == len(seeds)
    assert trainer.judging.probe("fairness", 1).seeds == trainer.judging.probe("fairness", 1).seeds


# -- the reference -------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 4])
def test_the_divergence_from_the_reference_is_0_at_the_start_and_grows(make_trainer, rank):
    trainer = make_trainer(lora_rank=rank, kl_weight=0.5)
    prompts, rows = list("abcd"), torch.arange(4)
    drawn = roll_out(trainer.model, trainer.schedule, prompts, list(range(4)), guidance=1.0)

    def divergence():
        reference = trainer._reference_mean(drawn, rows, 2)
        _, mean = step_log_probability(
            trainer.model, trainer.schedule, drawn, rows, 2, guidance=1.0
        )
        return reference_divergence(mean, reference, trainer.schedule.deviations[2]).mean()

    assert divergence().item() < 1e-8  # of two means that differ by roundings
    generator = torch.Generator().manual_seed(1)
    noise = [0.05 * torch.randn(p.shape, generator=generator) for p in trainer.parameters]
    trainer._put([p + more for p, more in zip(trainer.parameters, noise, strict=True)])
    far = divergence()
    assert far.item() > 0.0
    far.backward()
    norm = torch.sqrt(sum(p.grad.square().sum() for p in trainer.parameters))
    assert norm > 0
    trainer._put([p - 0.02 * p.grad / norm for p in trainer.parameters])
    assert divergence().item() < far.item()


@pytest.mark.parametrize("rank", [0, 4])
def test_asking_the_reference_takes_nothing_from_the_gradient(make_trainer, rank):
    plain = gradient(make_trainer(lora_rank=rank), torch.ones(8))
    asked = gradient(make_trainer(lora_rank=rank, kl_weight=1e-9), torch.ones(8))
    assert plain.abs().max() > 0
    torch.testing.assert_close(asked, plain, rtol=1e-3, atol=1e-4 * plain.abs().max().item())


# -- several processes ---------------------------------------------------------------------------


def test_invariant_7_two_processes_take_the_advantages_and_the_way_of_one(tiny_folder, tmp_path):
    """Statistics are of the whole batch, wherever its parts were drawn."""
    shared_run.main(str(tiny_folder), tmp_path)
    alone = np.load(tmp_path / "rank0.npz")
    folder = tmp_path / "two"
    folder.mkdir()
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    program = ["-m", "tests.rl.shared_run", str(tiny_folder), str(folder)]
    subprocess.run([sys.executable, *launch, *program], check=True, capture_output=True)
    first, second = (np.load(folder / f"rank{rank}.npz") for rank in (0, 1))
    np.testing.assert_array_equal(first["advantages"], second["advantages"])
    np.testing.assert_array_equal(first["weights"], second["weights"])
    batch = len(alone["advantages"]) // 6  # two iterations of three objectives
    np.testing.assert_allclose(
        alone["advantages"][:batch], first["advantages"][:batch], atol=0.01
    )  # a pixel of a picture may be rounded the other way
    np.testing.assert_allclose(alone["advantages"], first["advantages"], atol=0.05)
    np.testing.assert_allclose(alone["weights"], first["weights"], atol=2e-4)
    assert np.abs(alone["weights"]).max() > 0.01


def test_a_job_says_every_setting_so_that_another_default_is_another_job():
    paths = dict.fromkeys(["base", "preference", "person", "objects", "judge"], Path("models"))
    job = json.loads(json.dumps(make_job({"seed": 3, "lora_rank": 4}, {}, paths, {})))
    assert set(job["training"]) == set(vars(Training()))
    assert job["training"]["sampling"]["fairness"]["pace"] == Training().sampling["fairness"].pace
    assert read_settings(job["training"]) == Training(seed=3, lora_rank=4)
    with pytest.raises(ValueError, match="there is no setting speed"):
        make_job({"speed": 1}, {}, paths, {})


def test_other_rows_are_another_job_and_another_device_is_the_same(tmp_path):
    paths = dict.fromkeys(["base", "preference", "person", "objects", "judge"], Path("models"))
    jobs = []
    for caption in ("a hat", "a hat", "a bag"):
        tables = {"captioned": pl.DataFrame({"image": [b"drawn"], "caption": [caption]})}
        jobs.append(make_job({}, {}, paths, tables))
    assert jobs[0] == jobs[1] != jobs[2]
    write_job(jobs[2], tmp_path, tables, "cuda:1")
    written = json.loads((tmp_path / JOB).read_text())
    assert written["device"] == "cuda:1"
    assert pl.read_parquet(written["captioned"])["caption"].to_list() == ["a bag"]


@pytest.mark.parametrize("lora_rank", [0, 4])
@pytest.mark.parametrize("method", ["policy-gradient", "forward", "reward-gradient"])
def test_a_denoiser_in_half_precision_learns_with_densities_in_full(
    make_trainer, method, lora_rank
):
    settings = {"method": method, "lora_rank": lora_rank, "iterations": 1}
    trainer = make_trainer(precision="bfloat16", **settings)
    seen = set()
    layer = trainer.model.denoiser.conv_out
    layer.register_forward_hook(lambda *made: seen.add(made[-1].dtype))
    before = weights_of(trainer)
    record = finish(trainer)[0]
    assert seen == {torch.bfloat16}
    assert moved(before, trainer)
    assert all(torch.isfinite(one).all() for one in weights_of(trainer))
    assert {one.dtype for one in weights_of(trainer)} == {torch.float32}
    if method == "policy-gradient":  # the same weights in the same precision
        assert record["preference_ratio_first"] == pytest.approx(1, abs=1e-3)
    full = finish(make_trainer(**settings))[0]
    assert record["preference_gradient"] == pytest.approx(full["preference_gradient"], rel=0.2)
