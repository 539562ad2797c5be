"""What each objective samples in an iteration, and how it scores it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl_diffusion_assets.policy.credit import advantages, parity_rewards
from rl_diffusion_assets.rewards.composition import Wanted, composition_rewards, fully_right

Array = np.ndarray
OBJECTIVES = ("preference", "fairness", "composition")
RUNS = (*OBJECTIVES, "joint")


def tasks_of(run: str) -> tuple[str, ...]:
    """The objectives of a run: `joint` has all three, one after the other."""
    if run not in RUNS:
        raise ValueError(f"objective {run!r}: one of {', '.join(RUNS)}")
    return OBJECTIVES if run == "joint" else (run,)


@dataclass(frozen=True)
class Prompt:
    """A caption, and the objects that it names (none for a portrait)."""

    text: str
    wanted: Wanted


@dataclass(frozen=True)
class Sampling:
    """How one objective samples: `prompts` different captions, `group` pictures of each.

    Attributes:
        normalise: ``group`` compares a picture with those of its caption; ``batch`` with all, as
            in the paper.
        credit: Of the set-level reward: ``leave-one-out`` or the paper's ``shared``.
        kinds: What has to be even: any of tone, gender, joint.
        relation: Share of "both there, in their relation" in the composition reward; the paper's
            is 0.
    """

    prompts: int
    group: int
    normalise: str = "group"
    credit: str = "leave-one-out"
    kinds: tuple[str, ...] = ("tone", "gender")
    relation: float = 0.5


@dataclass
class Rewards:
    """The models that score: a list of scorers is an ensemble, whose mean counts."""

    scorers: Sequence[Any]
    person: Any
    detector: Any


def draw_prompts(
    prompts: Sequence[Prompt], sampling: Sampling, rng: np.random.Generator
) -> tuple[list[Prompt], Array]:
    """Captions of an iteration, each repeated for its group, and the group of each."""
    many = len(prompts) < sampling.prompts
    rows = rng.choice(len(prompts), sampling.prompts, replace=many)
    chosen = [prompts[row] for row in rows for _ in range(sampling.group)]
    return chosen, np.repeat(np.arange(sampling.prompts), sampling.group)


def score(
    objective: str,
    rewards: Rewards,
    pictures: Array,
    prompts: Sequence[Prompt],
    groups: Array,
    sampling: Sampling,
) -> Array:
    """Rewards of every picture, float ``[n, k]``, NaN where it has none: one of each kind that has
    to be even, or a single one."""
    captions = [prompt.text for prompt in prompts]
    if objective == "preference":
        return np.mean([s.score(pictures, captions) for s in rewards.scorers], 0)[:, None]
    if objective == "composition":
        found, wanted = rewards.detector.detect(pictures), [prompt.wanted for prompt in prompts]
        return composition_rewards(found, wanted, sampling.relation)[:, None]
    people = rewards.person.read(pictures)
    return np.stack(
        [
            parity_rewards(people.table(kind), groups, credit=sampling.credit)
            for kind in sampling.kinds
        ],
        1,
    )


def combined(rewards: Array, sampling: Sampling) -> Array:
    """One reward ``[n]`` of k kinds ``[n, k]``, each counting as much as the others: credit of
    single samples in units of its deviation over the whole batch."""
    if rewards.shape[1] == 1:
        return rewards[:, 0]
    if sampling.credit != "shared" and np.isfinite(rewards).any():
        spread = np.nanstd(rewards, 0)
        rewards = rewards / np.where(spread > 0, spread, 1.0)
    return rewards.mean(1)


def advantages_of(objective: str, values: Array, groups: Array, sampling: Sampling) -> Array:
    """Advantages of an iteration's rewards. A shared set-level reward is the same for a whole
    group, so that only the batch can tell groups apart."""
    shared = objective == "fairness" and sampling.credit == "shared"
    by_group = sampling.normalise == "group" and not shared
    if sampling.normalise not in ("group", "batch"):
        raise ValueError(f"normalise={sampling.normalise!r}: group or batch")
    return advantages(values, groups if by_group else None)


def measure(
    objective: str, judge: Rewards, pictures: Array, prompts: Sequence[Prompt], groups: Array
) -> dict[str, float]:
    """The judge's figures of one objective's pictures."""
    from rl_diffusion_assets.policy.credit import statistical_parity

    if objective == "preference":
        captions = [prompt.text for prompt in prompts]
        scores = np.mean([scorer.score(pictures, captions) for scorer in judge.scorers], 0)
        return {"score": float(scores.mean())}
    if objective == "composition":
        found = judge.detector.detect(pictures)
        right = fully_right(found, [prompt.wanted for prompt in prompts])
        return {"right": float(right.mean())}
    people = judge.person.read(pictures)
    out: dict[str, float] = {"found": float((people.found >= 0.5).mean())}
    for kind in ("tone", "gender"):
        table = people.table(kind)
        values = []
        for group in np.unique(groups):
            rows = table[groups == group]
            rows = rows[np.isfinite(rows).all(1)]
            if len(rows):
                shares = np.bincount(rows.argmax(1), minlength=table.shape[1]) / len(rows)
                values.append(statistical_parity(shares))
        out[f"sp_{kind}"] = float(np.mean(values)) if values else float("nan")
    return out
