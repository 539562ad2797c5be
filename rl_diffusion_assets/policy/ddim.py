"""The policy of a diffusion model: one DDIM step is a Gaussian, so it has a density.

Song et al. 2021 (2010.02502) eq. 12 and 16; as a policy, Black et al. 2024 (2305.13301).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Schedule:
    """The steps of a sampler, most noise first.

    Attributes:
        timesteps: The model's time of every step, int64 ``[T]``.
        alphas: Cumulative alpha at every step, float32 ``[T]``.
        next_alphas: Cumulative alpha after it, float32 ``[T]``.
        deviations: Standard deviation of the noise that it adds, float32 ``[T]``.
        prediction: What the model predicts: ``epsilon``, ``v_prediction`` or ``sample``.
        clip_sample: Bound of the predicted clean latent; None for no bound.
        seed_noise: Standard deviation of what a trajectory starts from.
    """

    timesteps: "torch.Tensor"
    alphas: "torch.Tensor"
    next_alphas: "torch.Tensor"
    deviations: "torch.Tensor"
    prediction: str
    clip_sample: float | None
    seed_noise: float

    def __len__(self) -> int:
        return len(self.timesteps)

    def trainable(self, least: float) -> list[int]:
        """Steps whose deviation is at least `least`: a step that is nearly certain has a ratio
        that is nearly all noise."""
        return [i for i, sd in enumerate(self.deviations.tolist()) if sd > 0 and sd >= least]


def make_schedule(scheduler: Any, steps: int, eta: float) -> Schedule:
    """The steps that a diffusers scheduler would take, with their densities.

    Raises:
        ValueError: the scheduler's step has no Gaussian density (flow matching without noise,
            multistep solvers), or eta is 0, where a step is a point.
    """
    import torch
    from diffusers import DDIMScheduler

    name = type(scheduler).__name__
    known = ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "EulerDiscreteScheduler")
    if name not in known:
        raise ValueError(
            f"{name}: the density of its step is not defined here. A policy needs a model whose "
            f"noise schedule DDIM can follow (one of {', '.join(known)})."
        )
    if eta <= 0:
        raise ValueError(f"eta={eta}: a deterministic step has no density; eta must be above 0")
    ddim: Any = DDIMScheduler.from_config(scheduler.config)
    if ddim.config.thresholding:
        raise ValueError(f"{name}: dynamic thresholding is not supported in a policy")
    ddim.set_timesteps(steps)
    alphas = ddim.alphas_cumprod[ddim.timesteps]
    after = ddim.timesteps - ddim.config.num_train_timesteps // steps
    following = ddim.alphas_cumprod[after.clamp(min=0)]
    following = torch.where(after >= 0, following, ddim.final_alpha_cumprod)
    variances = (1 - following) / (1 - alphas) * (1 - alphas / following)
    return Schedule(
        timesteps=ddim.timesteps,
        alphas=alphas.float(),
        next_alphas=following.float(),
        deviations=(eta * variances.clamp(min=0).sqrt()).float(),
        prediction=str(ddim.config.prediction_type),
        clip_sample=float(ddim.config.clip_sample_range) if ddim.config.clip_sample else None,
        seed_noise=float(ddim.init_noise_sigma),
    )


def step_mean(
    schedule: Schedule, prediction: "torch.Tensor", latents: "torch.Tensor", step: int
) -> "torch.Tensor":
    """Mean of the latents after step `step` (position in the schedule), float32 ``[n, c, h, w]``.

    Everything is computed in float32 whatever the model's precision: with a clip range of 1e-4 a
    mean rounded to bfloat16 would clip by itself.
    """
    prediction, latents = prediction.float(), latents.float()
    alpha, after = schedule.alphas[step], schedule.next_alphas[step]
    sd = schedule.deviations[step]
    if schedule.prediction == "epsilon":
        noise = prediction
        clean = (latents - (1 - alpha).sqrt() * noise) / alpha.sqrt()
    elif schedule.prediction == "v_prediction":
        clean = alpha.sqrt() * latents - (1 - alpha).sqrt() * prediction
        noise = alpha.sqrt() * prediction + (1 - alpha).sqrt() * latents
    elif schedule.prediction == "sample":
        clean = prediction
        noise = (latents - alpha.sqrt() * clean) / (1 - alpha).sqrt()
    else:
        raise ValueError(f"prediction type {schedule.prediction!r} is not known")
    if schedule.clip_sample is not None:
        clean = clean.clamp(-schedule.clip_sample, schedule.clip_sample)
    return after.sqrt() * clean + (1 - after - sd.square()).clamp(min=0).sqrt() * noise


def log_probability(
    after: "torch.Tensor", mean: "torch.Tensor", deviation: "torch.Tensor"
) -> "torch.Tensor":
    """Log density of a step, **averaged** over channels and pixels, float32 ``[n]``.

    The average is the algorithm's own (DDPO): a ratio of averages is the D-th root of the true
    ratio, D being the size of a latent, and a clip range means something only together with D.

    Raises:
        ValueError: the deviation is 0: a point has no density.
    """
    sd = float(deviation)
    if not sd > 0:
        raise ValueError("the step's deviation is 0: it has no density and cannot be trained")
    density = -0.5 * ((after.float() - mean) / sd).square() - math.log(sd * math.sqrt(2 * math.pi))
    return density.flatten(1).mean(1)
