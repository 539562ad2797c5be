"""Trajectories: what a policy did, kept so that its log-probabilities can be computed again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from resources.diffusion import TextToImage
from rl_diffusion_assets.policy.ddim import Schedule, log_probability, step_mean
from rl_diffusion_assets.policy.parts import cut, side_by_side

if TYPE_CHECKING:
    import torch


@dataclass
class Trajectories:
    """Of n samples over T steps.

    Attributes:
        captions: ``[n]``.
        latents: float32 ``[T + 1, n, c, h, w]``: before every step, and the result.
        log_probs: float32 ``[T, n]``; NaN for a step that has no density.
        pictures: uint8 ``[n, h, w, 3]``.
    """

    captions: list[str]
    latents: "torch.Tensor"
    log_probs: "torch.Tensor"
    pictures: np.ndarray

    def images(self) -> list[Image.Image]:
        """The pictures, for people to look at."""
        return [Image.fromarray(pixels) for pixels in self.pictures]


def starting_noise(seeds: Sequence[int], shape: tuple[int, ...], steps: int) -> "torch.Tensor":
    """Noise of whole trajectories, float32 ``[steps + 1, n, *shape]``: a function of each sample's
    seed alone, so that two models can be compared on the same noise and a batch can be cut."""
    import torch

    drawn = [
        torch.randn((steps + 1, *shape), generator=torch.Generator().manual_seed(seed))
        for seed in seeds
    ]
    return torch.stack(drawn, 1)


def roll_out(
    model: TextToImage,
    schedule: Schedule,
    captions: Sequence[str],
    seeds: Sequence[int],
    *,
    guidance: float,
    batch: int = 32,
    denoiser: Any = None,
    threads: int = 1,
) -> Trajectories:
    """Draw one picture per caption and seed with the stochastic sampler; `threads` parts of at
    most `batch` at a time."""
    import torch

    with torch.no_grad():
        model.encode(captions)  # here, for a tokenizer serves one thread at a time
        model.encode([""])
    parts = side_by_side(
        lambda part: _roll_out(model, schedule, captions[part], seeds[part], guidance, denoiser),
        cut(len(captions), batch),
        threads,
    )
    latents, log_probs, pictures = zip(*parts, strict=True)
    return Trajectories(
        captions=list(captions),
        latents=torch.cat(latents, 1),
        log_probs=torch.cat(log_probs, 1),
        pictures=np.concatenate(pictures),
    )


def _roll_out(
    model: TextToImage,
    schedule: Schedule,
    captions: Sequence[str],
    seeds: Sequence[int],
    guidance: float,
    denoiser: Any,
) -> tuple["torch.Tensor", "torch.Tensor", np.ndarray]:
    import torch

    noise = starting_noise(seeds, model.latent_shape, len(schedule)).to(model.device)
    states, log_probs = [noise[0] * schedule.seed_noise], []
    with torch.no_grad():
        hidden = model.encode(captions)
        for step, time in enumerate(schedule.timesteps):
            prediction = model.predict(states[-1], time, hidden, guidance, denoiser)
            mean = step_mean(schedule, prediction, states[-1], step)
            deviation = schedule.deviations[step]
            states.append(mean + deviation * noise[step + 1])
            if float(deviation) > 0:
                log_probs.append(log_probability(states[-1], mean, deviation))
            else:
                log_probs.append(torch.full((len(captions),), torch.nan, device=model.device))
    return torch.stack(states), torch.stack(log_probs), model.decode(states[-1])


def step_log_probability(
    model: TextToImage,
    schedule: Schedule,
    trajectories: Trajectories,
    rows: "torch.Tensor",
    step: int,
    *,
    guidance: float,
    denoiser: Any = None,
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Log-probability of what the samples `rows` did at `step`, and the mean, under the weights
    as they are now. Carries gradients, through both branches of the guidance."""
    before, after = trajectories.latents[step][rows], trajectories.latents[step + 1][rows]
    hidden = model.encode([trajectories.captions[row] for row in rows.tolist()])
    time = schedule.timesteps[step]
    prediction = model.predict(before, time, hidden, guidance, denoiser)
    mean = step_mean(schedule, prediction, before, step)
    return log_probability(after, mean, schedule.deviations[step]), mean
