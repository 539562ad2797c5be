"""The clipped objective (invariants 2 and 6)."""

import pytest
import torch

from rl_diffusion_assets.policy.credit import advantages
from rl_diffusion_assets.policy.ddim import make_schedule
from rl_diffusion_assets.policy.objective import clipped_loss, forward_loss, reference_divergence
from rl_diffusion_assets.policy.rollout import roll_out, step_log_probability
from tests.rl.conftest import LATENT, ddim

CLIP = 1e-4


def loss_at(change: float, advantage: float, clip: float = 0.1):
    """Loss and gradient of one sample whose ratio is 1 + `change`."""
    old = torch.tensor([0.3])
    now = (old + torch.log1p(torch.tensor(change))).requires_grad_(True)
    step = clipped_loss(now, old, torch.tensor([advantage]), clip, torch.ones(1))
    step.loss.backward()
    return step, now.grad.item()


# -- 2: plain REINFORCE at ratio 1 ---------------------------------------------------------------


def test_invariant_2_at_ratio_1_the_gradient_is_that_of_reinforce(model):
    """Through the whole UNet, guided."""
    model.unet.requires_grad_(True)
    schedule = make_schedule(model.scheduler, 5, 1.0)
    drawn = roll_out(model, schedule, list("abcdef"), list(range(6)), guidance=2.0)
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(6, generator=generator).numpy()
    advantage, rows = torch.tensor(advantages(raw)), torch.arange(6)

    def gradients(make_loss):
        model.unet.zero_grad()
        now, _ = step_log_probability(model, schedule, drawn, rows, 2, guidance=2.0)
        loss = make_loss(now)
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten() for p in model.unet.parameters()])

    value, clipped = gradients(
        lambda now: clipped_loss(now, drawn.log_probs[2], advantage, CLIP, torch.ones(6)).loss
    )
    _, plain = gradients(lambda now: -(advantage * now).mean())
    assert value == pytest.approx(0.0, abs=1e-6)
    assert plain.abs().max() > 1e-4
    torch.testing.assert_close(clipped, plain, rtol=1e-6, atol=1e-6 * plain.abs().max().item())


def test_invariant_2_the_loss_at_ratio_1_is_minus_the_mean_advantage():
    now = torch.randn(5, requires_grad=True)
    advantage = torch.tensor([1.0, 2.0, -4.0, 0.5, 3.0])
    step = clipped_loss(now, now.detach(), advantage, CLIP, torch.ones(5))
    assert step.loss.item() == pytest.approx(-0.5)
    step.loss.backward()
    torch.testing.assert_close(now.grad, -advantage / 5)
    assert (step.ratio_mean, step.ratio_deviation, step.approximate_kl) == (1.0, 0.0, 0.0)
    assert step.clipped_high == step.clipped_low == 0.0


# -- 6: the sides of the clip --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "advantage", "held"),
    [
        (0.2, 2.0, True),  # good, and already likelier
        (-0.2, -2.0, True),  # bad, and already less likely
        (0.2, -2.0, False),
        (-0.2, 2.0, False),
        (0.05, 2.0, False),
        (-0.05, -2.0, False),
    ],
)
def test_invariant_6_only_two_sides_are_clipped(change, advantage, held):
    step, gradient = loss_at(change, advantage)
    if held:
        bound = 1.1 if advantage > 0 else 0.9
        assert gradient == 0.0
        assert step.loss.item() == pytest.approx(-advantage * bound, rel=1e-5)
    else:
        assert gradient == pytest.approx(-advantage * (1 + change), rel=1e-5)
        assert step.loss.item() == pytest.approx(-advantage * (1 + change), rel=1e-5)
    assert step.clipped_high == float(held and advantage > 0)
    assert step.clipped_low == float(held and advantage < 0)


def test_invariant_6_the_band_of_the_paper_in_float32():
    """1e-4 is four digits above float32's own: it still tells the sides apart."""
    assert loss_at(2e-4, 1.0, CLIP)[1] == 0.0
    assert loss_at(0.5e-4, 1.0, CLIP)[1] != 0.0
    assert loss_at(-2e-4, -1.0, CLIP)[1] == 0.0
    assert loss_at(-0.5e-4, -1.0, CLIP)[1] != 0.0


# -- missing rewards -----------------------------------------------------------------------------


def test_samples_without_a_reward_count_for_nothing():
    torch.manual_seed(2)
    old, advantage = torch.randn(6), torch.tensor([1.0, -1.0, 0.5, -2.0, 9.0, 9.0])
    now = (old + 0.3 * torch.randn(6)).requires_grad_(True)
    weights = torch.tensor([1.0, 1, 1, 1, 0, 0])
    part = clipped_loss(now, old, advantage, 0.1, weights)
    part.loss.backward()
    few = now.detach()[:4].clone().requires_grad_(True)
    whole = clipped_loss(few, old[:4], advantage[:4], 0.1, torch.ones(4))
    whole.loss.backward()
    assert part.loss.item() == pytest.approx(whole.loss.item())
    assert (now.grad[4:] == 0).all()
    torch.testing.assert_close(now.grad[:4], few.grad)
    assert part.ratio_mean == pytest.approx(whole.ratio_mean)
    assert part.ratio_deviation == pytest.approx(whole.ratio_deviation)
    assert part.clipped_high == pytest.approx(whole.clipped_high)
    assert part.clipped_low == pytest.approx(whole.clipped_low)
    assert part.approximate_kl == pytest.approx(whole.approximate_kl)


def test_no_reward_at_all_is_a_loss_of_0():
    now = torch.randn(3, requires_grad=True)
    step = clipped_loss(now, torch.randn(3), torch.zeros(3), CLIP, torch.zeros(3))
    step.loss.backward()
    assert step.loss.item() == 0.0
    assert (now.grad == 0).all()
    assert step.ratio_mean == 1.0


# -- the reference -------------------------------------------------------------------------------


def test_reference_divergence_is_the_kl_of_two_gaussians():
    torch.manual_seed(0)
    mean, reference = torch.randn((2, 3, *LATENT))
    deviation = torch.tensor(0.4)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(mean, deviation), normal(reference, deviation)
    ).mean((1, 2, 3))
    torch.testing.assert_close(reference_divergence(mean, reference, deviation), expected)
    assert (reference_divergence(mean, mean, deviation) == 0).all()


# -- the forward process -------------------------------------------------------------------------


def forward_gradient(advantage: float, weight: float = 1.0):
    generator = torch.Generator().manual_seed(0)
    old, wanted = (torch.randn((3, 2, 4, 4), generator=generator) for _ in range(2))
    made = old.clone().requires_grad_(True)
    weights = torch.tensor([1.0, weight, 1.0])
    forward_loss(made, old, wanted, torch.full((3,), advantage), weights).backward()
    return made.grad, 2 * (old - wanted) / old[0].numel() / weights.sum()


@pytest.mark.parametrize(
    ("advantage", "share"), [(2.0, 1.0), (9.0, 1.0), (1.0, 0.5), (0.0, 0.0), (-2.0, -1.0)]
)
def test_the_forward_gradient_goes_towards_good_samples_and_away_from_bad_ones(advantage, share):
    gradient, towards = forward_gradient(advantage)
    torch.testing.assert_close(gradient, share * towards)


def test_a_sample_without_a_reward_has_no_forward_gradient():
    gradient, towards = forward_gradient(2.0, weight=0.0)
    assert not gradient[1].any()
    torch.testing.assert_close(gradient[0], towards[0])


def test_a_draw_just_below_one_is_a_time_that_there_is(monkeypatch):
    """Its root may be 1 in float32: a run of 19,000 draws met it, and ended there."""
    drawn = torch.tensor([0.0, 1 - 2**-24])
    monkeypatch.setattr(torch, "rand", lambda count, generator: drawn)
    schedule = make_schedule(ddim(), 10, 1.0)
    clean, noise = torch.randn((2, 2, *LATENT), generator=torch.Generator().manual_seed(0))
    _, times, _ = schedule.noised(clean, noise, torch.Generator(), bias=1.0)
    assert 0 <= times[0] < times[1] == 999
    # Whether a power is rounded up is the library's affair: its result may be 1, and is a time.
    monkeypatch.setattr(
        "rl_diffusion_assets.policy.ddim._late", lambda count, draw, bias: torch.ones(count)
    )
    assert schedule.noised(clean, noise, torch.Generator(), bias=1.0)[1].tolist() == [999, 999]


def test_the_forward_process_makes_good_samples_likelier():
    """On the right answer for latents of a standard normal: the toy of the trainer's tests does not
    look at its noise, and so has nothing to learn from here."""
    schedule, draw = make_schedule(ddim(), 10, 1.0), torch.Generator().manual_seed(4)
    clean, noise = torch.randn((2, 4096, *LATENT), generator=draw)
    noisy, times, wanted = schedule.noised(clean, noise, draw)
    before = (1 - schedule.all_alphas[times]).sqrt().view(-1, 1, 1, 1) * noisy
    bright = clean.flatten(1).mean(1) * clean[0].numel() ** 0.5
    for sign in (1, -1):
        shift = torch.zeros(LATENT, requires_grad=True)
        loss = forward_loss(before + shift, before, wanted, sign * bright, torch.ones(4096))
        loss.backward()
        each = shift.grad.flatten()
        # Down the gradient less noise is seen, so that the picture comes out brighter.
        assert sign * each.mean() > 4 * each.std() / len(each) ** 0.5
