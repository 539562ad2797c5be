"""The policy of a diffusion model: a step of its stochastic sampler is a Gaussian, so it has a
density.

Diffusion: DDIM with noise, Song et al. 2021 (2010.02502) eq. 12 and 16; as a policy, Black et al.
2024 (2305.13301). Flow matching: the SDE with the marginals of the flow's ODE, Liu et al. 2025
(Flow-GRPO, 2505.05470) eq. 9.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.diffusion import FLOW_SCHEDULER, ddim_of

if TYPE_CHECKING:
    import torch

# DDIM can follow the noise schedule of these, whatever step they take themselves: of a model that
# was published with Euler's sampler (SDXL) the policy is DDIM's all the same.
DISCRETE = ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "EulerDiscreteScheduler")
PREDICTIONS = ("epsilon", "v_prediction", "sample")
FLOW_NOISE = 0.7  # a of Flow-GRPO's sigma_t = a sqrt(t / (1 - t)) at eta 1, as in its experiments


@dataclass(frozen=True)
class Schedule(ABC):
    """The steps of a sampler, most noise first.

    Attributes:
        timesteps: The model's time of every step, ``[T]``: int64 of DDIM, float32 of a flow.
        deviations: Standard deviation of the noise that it adds, float32 ``[T]``.
        seed_noise: Standard deviation of what a trajectory starts from.
    """

    timesteps: "torch.Tensor"
    deviations: "torch.Tensor"
    seed_noise: float

    def __len__(self) -> int:
        return len(self.timesteps)

    def trainable(self, least: float) -> list[int]:
        """Steps whose deviation is at least `least`: a step that is nearly certain has a ratio
        that is nearly all noise."""
        return [i for i, sd in enumerate(self.deviations.tolist()) if sd > 0 and sd >= least]

    @abstractmethod
    def mean(
        self, prediction: "torch.Tensor", latents: "torch.Tensor", step: int
    ) -> "torch.Tensor":
        """Mean of what comes after `latents`, float32 ``[n, c, h, w]``; see `step_mean`."""

    @abstractmethod
    def led(self, direction: "torch.Tensor", steps: "torch.Tensor") -> "torch.Tensor":
        """How the model's answers at the steps ``[n]`` change when what they say of the clean
        latent goes along `direction` ``[n, c, h, w]``: by 1 where all is noise, and by less, as
        the share of the noise, the clearer it is."""

    @abstractmethod
    def noised(
        self,
        clean: "torch.Tensor",
        noise: "torch.Tensor",
        draw: "torch.Generator",
        bias: float = 0.0,
    ) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
        """One denoising task a latent, at times the model was made for.

        Args:
            clean: ``[n, c, h, w]``.
            noise: Of a standard normal, ``[n, c, h, w]``.
            draw: Where the times are drawn from.
            bias: 0 draws every time as likely; b a time in proportion to its b-th power.

        Returns:
            Noisy latents ``[n, c, h, w]``, the model's times ``[n]``, and what it should answer.
        """


@dataclass(frozen=True)
class DiffusionSchedule(Schedule):
    """DDIM with noise.

    Attributes:
        alphas: Cumulative alpha at every step, float32 ``[T]``.
        next_alphas: Cumulative alpha after it, float32 ``[T]``.
        all_alphas: Cumulative alpha of every time of the model, float32.
        prediction: What the model predicts: ``epsilon``, ``v_prediction`` or ``sample``.
        clip_sample: Bound of the predicted clean latent; None for no bound.
    """

    alphas: "torch.Tensor"
    next_alphas: "torch.Tensor"
    all_alphas: "torch.Tensor"
    prediction: str
    clip_sample: float | None

    def mean(
        self, prediction: "torch.Tensor", latents: "torch.Tensor", step: int
    ) -> "torch.Tensor":
        alpha, after = self.alphas[step], self.next_alphas[step]
        sd = self.deviations[step]
        if self.prediction == "epsilon":
            noise = prediction
            clean = (latents - (1 - alpha).sqrt() * noise) / alpha.sqrt()
        elif self.prediction == "v_prediction":
            clean = alpha.sqrt() * latents - (1 - alpha).sqrt() * prediction
            noise = alpha.sqrt() * prediction + (1 - alpha).sqrt() * latents
        else:
            clean = prediction
            noise = (latents - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        if self.clip_sample is not None:
            clean = clean.clamp(-self.clip_sample, self.clip_sample)
        return after.sqrt() * clean + (1 - after - sd.square()).clamp(min=0).sqrt() * noise

    def led(self, direction: "torch.Tensor", steps: "torch.Tensor") -> "torch.Tensor":
        alpha = self.alphas[steps.cpu()].view(-1, 1, 1, 1).to(direction.device)
        if self.prediction == "epsilon":
            return -alpha.sqrt() * direction
        return -direction if self.prediction == "v_prediction" else (1 - alpha).sqrt() * direction

    def noised(
        self,
        clean: "torch.Tensor",
        noise: "torch.Tensor",
        draw: "torch.Generator",
        bias: float = 0.0,
    ) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:

        last = len(self.all_alphas) - 1
        times = ((last + 1) * _late(len(clean), draw, bias)).long().clamp(max=last)
        alpha = self.all_alphas[times].view(-1, 1, 1, 1).to(clean.device)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        wanted = {
            "epsilon": noise,
            "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * clean,
            "sample": clean,
        }[self.prediction]
        return noisy, times.to(clean.device), wanted


@dataclass(frozen=True)
class FlowSchedule(Schedule):
    """Flow matching: a latent is ``(1 - t) clean + t noise``, the model predicts the velocity
    ``noise - clean``, and a step is one of Euler and Maruyama on the SDE.

    Attributes:
        times: t at every step, 1 for noise alone, float32 ``[T]``.
        next_times: t after it, float32 ``[T]``.
        all_times: t of every time of the model, float32.
        scale: The model's time of t = 1.
    """

    times: "torch.Tensor"
    next_times: "torch.Tensor"
    all_times: "torch.Tensor"
    scale: float

    def mean(
        self, prediction: "torch.Tensor", latents: "torch.Tensor", step: int
    ) -> "torch.Tensor":
        t = self.times[step]
        noise = latents + (1 - t) * prediction
        along = latents - (t - self.next_times[step]) * prediction
        # The noise that is added is paid for by a drift along the score, which is -noise / t.
        return along - self.deviations[step].square() / (2 * t) * noise

    def led(
        self,
        direction: "torch.Tensor",
        steps: "torch.Tensor",  # noqa: ARG002
    ) -> "torch.Tensor":
        return -direction  # clean = latent - t * velocity

    def noised(
        self,
        clean: "torch.Tensor",
        noise: "torch.Tensor",
        draw: "torch.Generator",
        bias: float = 0.0,
    ) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:

        late = _late(len(clean), draw, bias)  # the first time is noise alone
        times = self.all_times[
            (len(self.all_times) * (1 - late)).long().clamp(max=len(self.all_times) - 1)
        ]
        t = times.view(-1, 1, 1, 1).to(clean.device)
        noisy = (1 - t) * clean + t * noise
        return noisy, (times * self.scale).to(clean.device), noise - clean


def _late(count: int, draw: "torch.Generator", bias: float) -> "torch.Tensor":
    """Numbers with a density in proportion to their `bias`-th power, ``[count]``.

    In [0, 1], with 1: the root of a number just below it is rounded up.
    """
    import torch

    return torch.rand(count, generator=draw) ** (1 / (1 + bias))


def make_schedule(scheduler: Any, steps: int, eta: float) -> Schedule:
    """The steps of a stochastic sampler on a diffusers scheduler's noise, with their densities.

    Args:
        scheduler: One of `DISCRETE`, or `FLOW_SCHEDULER`.
        steps: How many.
        eta: How much noise a step adds, as a multiple of DDPM's, or for flow matching of
            Flow-GRPO's (``a = 0.7 eta``).

    Raises:
        ValueError: the density of a step is not defined for the scheduler (multistep, few-step and
            consistency samplers), for one of its settings or for what its model predicts; or eta
            is 0, where a step is a point.
    """
    name = type(scheduler).__name__
    if name not in (*DISCRETE, FLOW_SCHEDULER):
        raise ValueError(
            f"{name}: the density of its step is not defined here. A policy needs a model whose "
            f"noise schedule DDIM can follow (one of {', '.join(DISCRETE)}), or flow matching "
            f"({FLOW_SCHEDULER})."
        )
    if eta <= 0:
        raise ValueError(f"eta={eta}: a deterministic step has no density; eta must be above 0")
    return (_flow if name == FLOW_SCHEDULER else _diffusion)(scheduler, steps, eta)


def _diffusion(scheduler: Any, steps: int, eta: float) -> DiffusionSchedule:
    import torch

    name, ddim = type(scheduler).__name__, ddim_of(scheduler)
    if ddim.config.thresholding:
        raise ValueError(f"{name}: dynamic thresholding is not supported in a policy")
    if scheduler.config.get("timestep_type", "discrete") != "discrete":
        raise ValueError(f"{name}: timestep_type must be discrete, or DDIM cannot follow it")
    prediction = str(ddim.config.prediction_type)
    if prediction not in PREDICTIONS:
        raise ValueError(
            f"{name}: prediction type {prediction!r} is not known; one of {', '.join(PREDICTIONS)}"
        )
    ddim.set_timesteps(steps)
    alphas = ddim.alphas_cumprod[ddim.timesteps]
    if prediction == "epsilon" and (alphas <= 0).any():
        raise ValueError(
            f"{name}: at a step of noise alone (rescale_betas_zero_snr) a prediction of epsilon "
            "says nothing about the picture"
        )
    after = ddim.timesteps - ddim.config.num_train_timesteps // steps
    following = ddim.alphas_cumprod[after.clamp(min=0)]
    following = torch.where(after >= 0, following, ddim.final_alpha_cumprod)
    variances = (1 - following) / (1 - alphas) * (1 - alphas / following)
    return DiffusionSchedule(
        timesteps=ddim.timesteps,
        deviations=(eta * variances.clamp(min=0).sqrt()).float(),
        seed_noise=float(ddim.init_noise_sigma),
        alphas=alphas.float(),
        next_alphas=following.float(),
        all_alphas=ddim.alphas_cumprod,
        prediction=prediction,
        clip_sample=float(ddim.config.clip_sample_range) if ddim.config.clip_sample else None,
    )


def _flow(scheduler: Any, steps: int, eta: float) -> FlowSchedule:
    import torch

    for setting in ("use_dynamic_shifting", "invert_sigmas", "stochastic_sampling"):
        if scheduler.config.get(setting):
            raise ValueError(f"{FLOW_SCHEDULER}: {setting} is not supported in a policy")
    euler: Any = type(scheduler).from_config(scheduler.config)
    all_times = euler.sigmas
    euler.set_timesteps(steps)
    times, following = euler.sigmas[:-1], euler.sigmas[1:]
    # sigma_t is infinite at t = 1: there, as in the paper's code, 1 - t is taken at the end of the
    # step. At t = 0 nothing is; the last step adds a noise of about a t, and is hardly trainable.
    left = 1 - torch.where(torch.isclose(times, torch.ones(())), following, times)
    variances = (FLOW_NOISE * eta) ** 2 * times / left * (times - following)
    return FlowSchedule(
        timesteps=euler.timesteps,
        deviations=variances.sqrt().float(),
        seed_noise=1.0,
        times=times,
        next_times=following,
        all_times=all_times,
        scale=float(euler.config.num_train_timesteps),
    )


def step_mean(
    schedule: Schedule, prediction: "torch.Tensor", latents: "torch.Tensor", step: int
) -> "torch.Tensor":
    """Mean of the latents after step `step` (position in the schedule), float32 ``[n, c, h, w]``.

    Everything is computed in float32 whatever the model's precision: with a clip range of 1e-4 a
    mean rounded to bfloat16 would clip by itself.
    """
    return schedule.mean(prediction.float(), latents.float(), step)


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
