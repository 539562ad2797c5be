"""What an optimizer step minimizes.

The clipped policy gradient of the paper (eqs. 6 to 10; PPO's surrogate), and the forward process's
objective, which needs no log-probability.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Step:
    """Loss of one optimizer step, and what its ratios were."""

    loss: "torch.Tensor"
    ratio_mean: float
    ratio_deviation: float
    clipped_high: float  # share of samples held back above 1 + clip, with a positive advantage
    clipped_low: float  # share held back below 1 - clip, with a negative one
    approximate_kl: float


def clipped_loss(
    log_probs: "torch.Tensor",
    old_log_probs: "torch.Tensor",
    advantages: "torch.Tensor",
    clip: float,
    weights: "torch.Tensor",
) -> Step:
    """Mean of max(-A w, -A clip(w, 1 - clip, 1 + clip)) over the samples that have a reward.

    Args:
        log_probs: Under the weights being trained, ``[n]``; carries gradients.
        old_log_probs: Under those that drew the samples, ``[n]``.
        advantages: ``[n]``.
        clip: Half width of the band of the ratio.
        weights: 1 for a sample with a reward, 0 for one without, ``[n]``.
    """
    import torch

    ratio = torch.exp(log_probs - old_log_probs)
    plain = -advantages * ratio
    held = -advantages * ratio.clamp(1 - clip, 1 + clip)
    count = weights.sum().clamp(min=1)
    loss = (torch.maximum(plain, held) * weights).sum() / count
    with torch.no_grad():
        known = weights > 0
        high = ((ratio > 1 + clip) & (advantages > 0) & known).sum() / count
        low = ((ratio < 1 - clip) & (advantages < 0) & known).sum() / count
        there = ratio[known] if known.any() else torch.ones(1)
        change = (log_probs - old_log_probs)[known] if known.any() else torch.zeros(1)
        return Step(
            loss=loss,
            ratio_mean=there.mean().item(),
            ratio_deviation=there.std(unbiased=False).item(),
            clipped_high=high.item(),
            clipped_low=low.item(),
            approximate_kl=0.5 * change.square().mean().item(),
        )


def forward_loss(
    made: "torch.Tensor",
    before: "torch.Tensor",
    wanted: "torch.Tensor",
    advantages: "torch.Tensor",
    weights: "torch.Tensor",
) -> "torch.Tensor":
    """Denoise good samples, and the mirror image of the answer for bad ones.

    Zheng et al. 2025 (2509.16117), with beta 1: r |v - w|^2 + (1 - r) |2 v_old - v - w|^2, where r
    is 1 for the best samples and 0 for the worst. Its gradient at v_old is (2 r - 1) (v_old - w).

    Args:
        made: The model's answer to a noisy sample, ``[n, c, h, w]``; carries gradients.
        before: The answer of the weights that drew the samples.
        wanted: The right answer.
        advantages: ``[n]``; two deviations count as best or worst.
        weights: 1 for a sample with a reward, 0 for one without, ``[n]``.
    """
    good = (0.5 + 0.25 * advantages).clamp(0, 1)
    towards = (made - wanted).square().flatten(1).mean(1)
    away = (2 * before - made - wanted).square().flatten(1).mean(1)
    each = good * towards + (1 - good) * away
    return (each * weights).sum() / weights.sum().clamp(min=1)


def reference_divergence(
    mean: "torch.Tensor", reference: "torch.Tensor", deviation: "torch.Tensor"
) -> "torch.Tensor":
    """KL of a step from the reference model's, averaged over the latent, ``[n]``: two Gaussians of
    one deviation."""
    return (0.5 * ((mean - reference) / deviation).square()).flatten(1).mean(1)
