"""Where a reward's own gradient leads: which way clean latents have to go to please it more.

Scorers and classifiers that are networks can be differentiated down to the picture, and through the
autoencoder to the latent. One such direction says more than many sampled rewards. It is applied to
the model's answers along the trajectory as if nothing lay between them and the result: "adjusted
direct finetuning" of Shen et al. 2024 (2311.07604), section 4.3. Their alignment of distributions
(4.2) is the reward of fairness.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from resources.diffusion import TextToImage
from rl_diffusion_assets.policy.credit import balanced_kinds
from rl_diffusion_assets.policy.parts import side_by_side
from rl_diffusion_assets.policy.tasks import Prompt, Rewards, Sampling

if TYPE_CHECKING:
    import torch

Array = np.ndarray
LONGEST = 2.0  # times the batch's median: one picture may not set the direction of all


def differentiable(task: str, rewards: Rewards) -> None:
    """Refuse rewards that have no gradient.

    Raises:
        ValueError: names the objective and the kind of model.
    """
    models = {"preference": rewards.scorers, "fairness": [rewards.person]}.get(task)
    if models is None:
        raise ValueError(
            f"method of {task}: what lies where is settled long before the last steps, and the "
            "gradient at the result says nothing of it; choose forward or policy-gradient"
        )
    for model in (member for one in models for member in getattr(one, "members", [one])):
        if not hasattr(model, "rate"):
            raise ValueError(
                f"method of {task}: {type(model).__name__} has no gradient; "
                "choose forward or policy-gradient"
            )


def pixel_rewards(
    task: str,
    rewards: Rewards,
    pixels: "torch.Tensor",
    prompts: Sequence[Prompt],
    groups: Array,
    sampling: Sampling,
) -> "torch.Tensor":
    """Rewards of pictures ``[n, 3, h, w]`` in [-1, 1], ``[n]``, with gradients.

    Of fairness: log-probability that somebody is found, and, for each kind that has to be even, of
    what the picture should be so that its group is even and as little as possible has to change.
    """
    import torch

    if task == "preference":
        captions = [prompt.text for prompt in prompts]
        return torch.stack([one.rate(pixels, captions) for one in rewards.scorers]).mean(0)
    people = rewards.person.rate(pixels)
    total = people["found"]
    for kind in sampling.kinds:
        told = people[kind]
        wanted = balanced_kinds(told.detach().cpu().numpy(), groups)
        total = total + told[torch.arange(len(told)), torch.from_numpy(wanted)]
    return total


def _whole_groups(groups: Array, size: int) -> list[slice]:
    """Slices of whole groups that lie together, of about `size` samples each."""
    starts = [0]
    for at in np.flatnonzero(np.diff(groups)) + 1:
        if at - starts[-1] >= size:
            starts.append(int(at))
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(groups)], strict=True)]


def directions(
    task: str,
    model: TextToImage,
    rewards: Rewards,
    latents: "torch.Tensor",
    prompts: Sequence[Prompt],
    groups: Array,
    sampling: Sampling,
    batch: int = 32,
    threads: int = 1,
) -> tuple["torch.Tensor", Array]:
    """Which way clean latents ``[n, c, h, w]`` have to go, and the rewards that they have, ``[n]``.

    Directions are of root mean square 1 on average over all samples, none longer than `LONGEST`
    times the median; a picture that pleases already has hardly any.
    """
    import torch

    def read(part: slice) -> tuple["torch.Tensor", "torch.Tensor"]:
        with torch.enable_grad():
            start = latents[part].detach().clone().requires_grad_(True)
            shown = model.render(start)
            value = pixel_rewards(task, rewards, shown, prompts[part], groups[part], sampling)
            return torch.autograd.grad(value.sum(), start)[0], value.detach().cpu()

    gradients, values = zip(*side_by_side(read, _whole_groups(groups, batch), threads), strict=True)
    gradient = torch.cat(gradients)
    length = gradient.flatten(1).square().mean(1).sqrt()
    kept = length.clamp(max=float(LONGEST * length.median()))
    scale = kept / length.clamp(min=1e-12) / kept.mean().clamp(min=1e-12)
    return gradient * scale[:, None, None, None], torch.cat(values).numpy()
