"""What each objective samples in an iteration, and how it scores it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
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
        pace: Share of the learning rate: less for a reward whose gradient is mostly noise.
    """

    prompts: int
    group: int
    normalise: str = "group"
    credit: str = "leave-one-out"
    kinds: tuple[str, ...] = ("tone", "gender")
    relation: float = 0.5
    pace: float = 1.0


@dataclass
class Rewards:
    """The models that score: a list of scorers is an ensemble, whose mean counts: of those that
    answered, in training (`answered_mean`); of all or none where runs are judged."""

    scorers: Sequence[Any]
    person: Any
    detector: Any


def draw_prompts(
    prompts: Sequence[Prompt], sampling: Sampling, seed: Sequence[int], iteration: int
) -> tuple[list[Prompt], Array]:
    """Captions of an iteration, each repeated for its group, and the group of each.

    They are drawn in shuffled passes, as a data loader does: no caption comes again before all
    have come, or a short run would hear of some occupations twice as often as of others.
    """
    first, total = iteration * sampling.prompts, len(prompts)
    places = [divmod(first + at, total) for at in range(sampling.prompts)]
    orders = {
        number: np.random.default_rng([*seed, number]).permutation(total).tolist()
        for number in {number for number, _ in places}
    }
    rows = [orders[number][place] for number, place in places]
    chosen = [prompts[row] for row in rows for _ in range(sampling.group)]
    return chosen, np.repeat(np.arange(sampling.prompts), sampling.group)


def ensemble_scores(scorers: Sequence[Any], pictures: Array, captions: Sequence[str]) -> Array:
    """What every scorer of an ensemble says, ``[k, n]``, NaN where one has no answer.

    Scorers that are `remote` wait for their endpoints while the others compute, one after the
    other: they would only take the same cores from each other.
    """
    with ThreadPoolExecutor(max(1, len(scorers))) as threads:
        answers: list[Callable[[], Array]] = [
            threads.submit(scorer.score, pictures, captions).result
            if getattr(scorer, "remote", False)
            else partial(scorer.score, pictures, captions)
            for scorer in scorers
        ]
        return np.stack([answer() for answer in answers])


def answered_mean(scores: Array) -> Array:
    """Mean over the scorers ``[k, n]`` that answered, ``[n]``; NaN where none did.

    Scorers differ in scale. Where an answer is missing each counts as its distance from its own
    mean over the batch, or else a picture would gain or lose by who was silent about it. Such a
    mean compares pictures of one batch, not of two.
    """
    if np.isfinite(scores).all():
        return scores.mean(0)
    known = np.ma.masked_invalid(scores)
    usual = known.mean(1, keepdims=True)
    return np.ma.filled((known - usual).mean(0) + usual.mean(), np.nan)


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
        return answered_mean(ensemble_scores(rewards.scorers, pictures, captions))[:, None]
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
        scores = ensemble_scores(judge.scorers, pictures, captions).mean(0)
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
