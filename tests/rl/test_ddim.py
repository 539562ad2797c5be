"""The policy's step: its density, its mean, its guidance (invariants 1, 3, 4, 5 and 9)."""

import itertools
import math

import pytest
import torch

from rl_diffusion_assets.policy.ddim import log_probability, make_schedule, step_mean
from rl_diffusion_assets.policy.rollout import roll_out, starting_noise, step_log_probability
from tests.rl.conftest import LATENT, SCHEDULER, D, ddim, rounding

CAPTIONS = [f"picture {i % 3}" for i in range(5)]
SEEDS = list(range(5))
ALL = torch.arange(5)


@pytest.fixture(scope="module")
def drawn(loaded):
    """Trajectories of 50 steps, for a guidance of 1 and of 3, cut into batches of 3."""
    schedule = make_schedule(ddim(), 50, 1.0)
    return schedule, {
        guidance: roll_out(loaded, schedule, CAPTIONS, SEEDS, guidance=guidance, batch=3)
        for guidance in (1.0, 3.0)
    }


# -- 1: the ratio --------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_invariant_1_ratio_is_1_before_any_update(model, guidance):
    model.denoiser.requires_grad_(True)
    schedule = make_schedule(model.scheduler, 10, 1.0)
    drawn = roll_out(model, schedule, CAPTIONS, SEEDS, guidance=guidance)
    for step in range(10):
        now, _ = step_log_probability(model, schedule, drawn, ALL, step, guidance=guidance)
        assert now.requires_grad
        ratio = torch.exp(now - drawn.log_probs[step])
        assert (ratio - 1).abs().max() <= rounding(schedule.deviations[step])


# -- 3: the density ------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 25, 48, 49])
def test_invariant_3_log_p_is_that_of_an_independent_gaussian(step):
    schedule = make_schedule(ddim(), 50, 1.0)
    torch.manual_seed(step)
    mean, z = torch.randn((6, *LATENT)), torch.randn((6, *LATENT))
    deviation = schedule.deviations[step]
    after = mean + deviation * z
    normal = torch.distributions.Normal(mean.double(), deviation.double())
    expected = normal.log_prob(after.double()).mean((1, 2, 3))
    got = log_probability(after, mean, deviation)
    assert got.dtype == torch.float32
    assert got.shape == (6,)
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-4)


def test_invariant_3_own_samples_have_the_expected_log_p(drawn):
    schedule, of = drawn
    deviations = schedule.deviations
    assert deviations[0].item() == pytest.approx(0.4545, abs=1e-4)
    assert deviations[-1].item() == pytest.approx(0.0206, abs=1e-4)
    expected = -0.5 - deviations.log() - 0.5 * math.log(2 * math.pi)
    assert expected[0].item() == pytest.approx(-0.630, abs=1e-3)
    assert expected[-1].item() == pytest.approx(2.461, abs=4e-3)
    for trajectories in of.values():
        far = (trajectories.log_probs - expected[:, None]).abs()
        assert far.max().item() < 5 * math.sqrt(1 / (2 * D))
        assert far.max().item() > 0.5 * math.sqrt(1 / (2 * D))  # and it is no constant


def test_log_p_is_the_mean_over_the_latent_and_not_the_sum():
    small = log_probability(torch.ones((1, 1, 2, 2)), torch.zeros((1, 1, 2, 2)), torch.tensor(0.5))
    large = log_probability(torch.ones((1, *LATENT)), torch.zeros((1, *LATENT)), torch.tensor(0.5))
    assert small.item() == pytest.approx(large.item())


def test_log_p_and_mean_are_float32_whatever_the_model_answers():
    schedule = make_schedule(ddim(), 10, 1.0)
    torch.manual_seed(0)
    latents, answer = torch.randn((2, *LATENT)), torch.randn((2, *LATENT))
    mean = step_mean(schedule, answer.bfloat16(), latents, 0)
    assert mean.dtype == torch.float32
    assert torch.equal(mean, step_mean(schedule, answer.bfloat16().float(), latents, 0))
    assert log_probability(latents.bfloat16(), mean, schedule.deviations[0]).dtype == torch.float32


# -- 4: recomputing ------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_invariant_4_recomputed_log_p_is_the_stored_one_at_all_steps(loaded, drawn, guidance):
    schedule, of = drawn
    trajectories = of[guidance]
    assert trajectories.latents.shape == (51, 5, *LATENT)
    assert trajectories.log_probs.shape == (50, 5)
    for step in torch.randperm(50, generator=torch.Generator().manual_seed(1)).tolist():
        for rows in (torch.arange(3), torch.arange(3, 5)):  # the batches they were drawn in
            with torch.no_grad():
                again, _ = step_log_probability(
                    loaded, schedule, trajectories, rows, step, guidance=guidance
                )
            far = (again - trajectories.log_probs[step][rows]).abs().max()
            assert far <= rounding(schedule.deviations[step])


def test_invariant_4_state_action_time_and_log_p_move_together(loaded, drawn):
    schedule, of = drawn
    trajectories = of[1.0]
    rows = torch.tensor([4, 0])
    with torch.no_grad():
        again, mean = step_log_probability(loaded, schedule, trajectories, rows, 7, guidance=1.0)
    torch.testing.assert_close(again, trajectories.log_probs[7][rows], rtol=0, atol=1e-5)
    noise = starting_noise([4, 0], LATENT, 50)[8]
    following = mean + schedule.deviations[7] * noise
    torch.testing.assert_close(trajectories.latents[8][rows], following, rtol=0, atol=1e-5)


def test_a_trajectory_depends_on_its_seed_and_not_on_its_batch(loaded, drawn):
    schedule, of = drawn
    whole = roll_out(loaded, schedule, CAPTIONS, SEEDS, guidance=1.0, batch=64)
    torch.testing.assert_close(whole.latents, of[1.0].latents, rtol=1e-3, atol=1e-3)
    assert whole.pictures.shape == (5, 16, 16, 3)
    other = roll_out(loaded, schedule, CAPTIONS[:1], [99], guidance=1.0)
    assert (other.latents[:, 0] - whole.latents[:, 0]).abs().max() > 0.1
    assert (starting_noise([3], LATENT, 2) == starting_noise([1, 3], LATENT, 2)[:, 1:]).all()


# -- the mean, against diffusers -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "to_one", "spacing", "prediction"),
    list(
        itertools.product(
            (7, 10, 20, 50),
            (False, True),
            ("leading", "trailing"),
            ("epsilon", "v_prediction", "sample"),
        )
    ),
)
def test_step_is_that_of_diffusers(steps, to_one, spacing, prediction):
    scheduler = ddim(set_alpha_to_one=to_one, timestep_spacing=spacing, prediction_type=prediction)
    schedule = make_schedule(scheduler, steps, 1.0)
    scheduler.set_timesteps(steps)
    assert schedule.timesteps.tolist() == scheduler.timesteps.tolist()
    generator = torch.Generator().manual_seed(steps)
    for step, time in enumerate(scheduler.timesteps):
        latents, answer, noise = torch.randn((3, 2, *LATENT), generator=generator)
        theirs = scheduler.step(answer, time, latents, eta=1.0, variance_noise=noise).prev_sample
        ours = step_mean(schedule, answer, latents, step) + schedule.deviations[step] * noise
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_eta_scales_the_deviation_and_a_clipped_sample_is_clipped():
    scheduler = ddim(clip_sample=True, clip_sample_range=0.7)
    schedule = make_schedule(scheduler, 10, 0.5)
    whole = make_schedule(scheduler, 10, 1.0)
    torch.testing.assert_close(schedule.deviations, 0.5 * whole.deviations)
    scheduler.set_timesteps(10)
    torch.manual_seed(0)
    latents, answer, noise = torch.randn((3, 2, *LATENT))
    theirs = scheduler.step(answer, scheduler.timesteps[2], latents, eta=0.5, variance_noise=noise)
    ours = step_mean(schedule, answer, latents, 2) + schedule.deviations[2] * noise
    torch.testing.assert_close(ours, theirs.prev_sample, rtol=1e-4, atol=1e-4)


def test_an_unknown_prediction_type_is_refused():
    with pytest.raises(ValueError, match="'flow' is not known; one of epsilon, v_prediction"):
        make_schedule(ddim(prediction_type="flow"), 10, 1.0)


# -- 5: steps without a density ------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.0, -1.0])
def test_invariant_5_a_deterministic_sampler_is_refused(eta):
    with pytest.raises(ValueError, match="eta"):
        make_schedule(ddim(), 10, eta)


def test_invariant_5_a_deviation_of_0_is_refused_and_not_infinite():
    with pytest.raises(ValueError, match="density"):
        log_probability(torch.zeros((1, *LATENT)), torch.zeros((1, *LATENT)), torch.tensor(0.0))


def test_invariant_5_a_small_eta_approaches_deterministic_ddim():
    scheduler = ddim()
    schedule = make_schedule(scheduler, 10, 1e-4)
    scheduler.set_timesteps(10)
    torch.manual_seed(0)
    latents, answer = torch.randn((2, 2, *LATENT))
    theirs = scheduler.step(answer, scheduler.timesteps[4], latents, eta=0.0).prev_sample
    torch.testing.assert_close(
        step_mean(schedule, answer, latents, 4), theirs, rtol=1e-4, atol=1e-4
    )


def test_a_final_alpha_of_1_makes_the_last_step_refuse(fresh):
    model = fresh(set_alpha_to_one=True)
    schedule = make_schedule(model.scheduler, 5, 1.0)
    assert schedule.deviations[-1].item() == 0.0
    drawn = roll_out(model, schedule, CAPTIONS, SEEDS, guidance=1.0)
    assert drawn.latents.isfinite().all()
    assert drawn.log_probs[:-1].isfinite().all()
    assert drawn.log_probs[-1].isnan().all()
    with pytest.raises(ValueError, match="density"):
        step_log_probability(model, schedule, drawn, ALL, 4, guidance=1.0)
    assert schedule.trainable(0.01) == [0, 1, 2, 3]


def test_a_step_without_density_is_never_chosen_for_training():
    schedule = make_schedule(ddim(set_alpha_to_one=True), 5, 1.0)
    assert schedule.trainable(0.0) == [0, 1, 2, 3]


def test_trainable_leaves_out_nearly_certain_steps():
    schedule = make_schedule(ddim(), 10, 1.0)
    kept = schedule.trainable(0.1)
    assert kept == [i for i in range(10) if schedule.deviations[i] >= 0.1]
    assert 0 < len(kept) < 10
    assert len(schedule.trainable(0.0)) == len(schedule) == 10


def test_schedulers_whose_step_has_no_density_are_refused():
    from diffusers import (
        DDPMScheduler,
        DPMSolverMultistepScheduler,
        EulerAncestralDiscreteScheduler,
        EulerDiscreteScheduler,
        LCMScheduler,
    )

    for scheduler in (
        DPMSolverMultistepScheduler(),
        EulerAncestralDiscreteScheduler(),
        LCMScheduler(),
    ):
        name = type(scheduler).__name__
        with pytest.raises(ValueError, match=f"{name}: .*one of DDIMScheduler, .*flow matching"):
            make_schedule(scheduler, 10, 1.0)
    with pytest.raises(ValueError, match="thresholding"):
        make_schedule(ddim(thresholding=True), 10, 1.0)
    with pytest.raises(ValueError, match="EulerDiscreteScheduler: timestep_type"):
        make_schedule(EulerDiscreteScheduler(timestep_type="continuous"), 10, 1.0)
    assert len(make_schedule(DDPMScheduler(), 10, 1.0)) == 10


def test_only_the_noise_schedule_of_a_scheduler_matters():
    from diffusers import EulerDiscreteScheduler

    config = {key: SCHEDULER[key] for key in SCHEDULER if key.startswith("beta")}
    euler = EulerDiscreteScheduler(**config, steps_offset=1, timestep_spacing="leading")
    ours, of_ddim = make_schedule(euler, 10, 1.0), make_schedule(ddim(), 10, 1.0)
    assert torch.equal(ours.timesteps, of_ddim.timesteps)
    torch.testing.assert_close(ours.deviations[:-1], of_ddim.deviations[:-1])
    latents, answer = torch.randn((2, 2, *LATENT), generator=torch.Generator().manual_seed(0))
    mean, of_its = (step_mean(each, answer, latents, 4) for each in (ours, of_ddim))
    torch.testing.assert_close(mean, of_its)


def test_noise_alone_is_refused_where_the_model_predicts_the_noise():
    changes = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    with pytest.raises(ValueError, match="noise alone"):
        make_schedule(ddim(**changes), 10, 1.0)
    schedule = make_schedule(ddim(**changes, prediction_type="v_prediction"), 10, 1.0)
    assert schedule.deviations.isfinite().all()


# -- 9: guidance ---------------------------------------------------------------------------------


def predicted(model, guidance, hidden, seed=0):
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn((3, *LATENT), generator=generator)
    return model.predict(latents, torch.tensor(501), hidden, guidance), latents


def test_invariant_9_guidance_of_1_is_the_conditional_branch(model):
    hidden = model.encode(["red", "blue", "red hat"])
    with torch.no_grad():
        one, latents = predicted(model, 1.0, hidden)
        given = model.denoiser(latents, torch.tensor(501), hidden).sample
        empty = model.encode([""]).expand_as(hidden)
        without = model.denoiser(latents, torch.tensor(501), empty).sample
        nearly, _ = predicted(model, 1.0 + 1e-7, hidden)
        three, _ = predicted(model, 3.0, hidden)
        none, _ = predicted(model, 0.0, hidden)
    torch.testing.assert_close(one, given)
    assert (given - without).abs().max() > 1e-4
    torch.testing.assert_close(nearly, given, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(none, without, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(three, without + 3 * (given - without), rtol=1e-3, atol=1e-5)


def test_invariant_9_gradients_reach_both_branches(model):
    captions = ["red", "blue", "red hat"]
    for caption in ("", *captions):
        model.encode([caption])
        model.hidden[caption] = model.hidden[caption].clone().requires_grad_(True)
    schedule = make_schedule(model.scheduler, 5, 1.0)
    with torch.no_grad():
        drawn = roll_out(model, schedule, captions, [0, 1, 2], guidance=3.0)
    rows = torch.arange(3)
    log_probs, _ = step_log_probability(model, schedule, drawn, rows, 2, guidance=3.0)
    log_probs.sum().backward()
    for caption in ("", *captions):
        grad = model.hidden[caption].grad
        assert grad is not None, caption
        assert grad.abs().max() > 0, caption
        model.hidden[caption].grad = None
    log_probs, _ = step_log_probability(model, schedule, drawn, rows, 2, guidance=1.0)
    log_probs.sum().backward()
    assert model.hidden[""].grad is None
    assert model.hidden["red"].grad.abs().max() > 0


def test_invariant_9_the_gradient_is_of_the_guided_policy(model):
    """Along the UNet's own gradient the guided log p changes as finite differences say."""
    captions = ["red", "blue"]
    schedule = make_schedule(model.scheduler, 5, 1.0)
    drawn = roll_out(model, schedule, captions, [0, 1], guidance=3.0)
    drawn.latents[3] += 0.5  # away from the mean, where the gradient is large
    bias = model.denoiser.conv_out.bias.requires_grad_(True)
    rows = torch.arange(2)

    def log_p():
        return step_log_probability(model, schedule, drawn, rows, 2, guidance=3.0)[0].sum()

    log_p().backward()
    gradient = bias.grad.clone()
    with torch.no_grad():
        at, move = bias.clone(), 1e-2 * gradient / gradient.norm()
        bias.copy_(at + move)
        up = log_p()
        bias.copy_(at - move)
        down = log_p()
    assert (up - down).item() / 2e-2 == pytest.approx(gradient.norm().item(), rel=0.05)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_an_answer_that_is_led_moves_the_clean_latent_as_told(prediction):
    schedule = make_schedule(ddim(prediction_type=prediction), 10, 1.0)
    draw = torch.Generator().manual_seed(3)
    latents, answer, way = (torch.randn((10, *LATENT), generator=draw) for _ in range(3))
    steps = torch.arange(10)
    alpha = schedule.alphas.view(-1, 1, 1, 1)
    clean = {
        "epsilon": lambda v: (latents - (1 - alpha).sqrt() * v) / alpha.sqrt(),
        "v_prediction": lambda v: alpha.sqrt() * latents - (1 - alpha).sqrt() * v,
        "sample": lambda v: v,
    }[prediction]
    moved = clean(answer + schedule.led(way, steps)) - clean(answer)
    torch.testing.assert_close(moved, (1 - alpha).sqrt() * way, rtol=1e-3, atol=1e-3)
