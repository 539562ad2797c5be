"""What the judge says of a run while it trains: which weights to keep, and when to stop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl_diffusion_assets.policy.collapse import background_diversity
from rl_diffusion_assets.policy.parts import side_by_side
from rl_diffusion_assets.policy.settings import Training
from rl_diffusion_assets.policy.tasks import (
    Prompt,
    Rewards,
    ensemble_scores,
    measure,
    tasks_of,
)

Array = np.ndarray
Draw = Callable[[list[str], list[int], Array], Array]
DECAYED = 0.05  # win rate by the judge of a model that nobody wants to go on with


class Hacked(RuntimeError):
    """The proxy reward climbs while the judge falls: what is learnt is the proxy's loophole; or
    the pictures decay, and both fall."""


@dataclass
class Probe:
    """Fixed captions and seeds that every evaluation uses, of one objective."""

    prompts: list[Prompt]
    groups: Array
    seeds: list[int]


class Judging:
    """Asks the judge about fixed captions and seeds, beside the base's pictures of the same.

    Attributes:
        evaluations: Figures of every time that it was asked, the base's first.
        best: Value and iteration of the best of them.
        base_scores: Scores of the base's pictures, by judge and proxy.
    """

    def __init__(
        self,
        settings: Training,
        prompts: Mapping[str, Sequence[Prompt]],
        rewards: Rewards,
        judge: Rewards,
        draw: Draw,
        threads: int = 1,
    ) -> None:
        self.settings, self.prompts, self.draw = settings, prompts, draw
        self.threads = threads
        self.rewards, self.judge = rewards, judge
        self.tasks = tasks_of(settings.objective)
        self.evaluations: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {"value": float("-inf"), "iteration": 0}
        self.base_scores: dict[str, Array] = {}

    def probe(self, task: str, number: int) -> Probe:
        """Captions in their order and seeds that are never trained on."""
        group = 16 if task == "fairness" else 2
        count = {"fairness": 6, "preference": 100, "composition": 40}[task]
        prompts = list(self.prompts[task])[:count]
        first = self.settings.probe_seed + 1000 * number
        repeated = [prompt for prompt in prompts for _ in range(group)]
        seeds = list(range(first, first + len(repeated)))
        return Probe(repeated, np.repeat(np.arange(len(prompts)), group), seeds)

    def evaluate(self, iteration: int) -> tuple[dict[str, float], bool]:
        """The judge's view of the model as it is, and whether it is the best so far.

        Win rates are seed by seed against the base. `value` is what the best checkpoint is chosen
        by: the mean over the run's objectives of the gain, in units of the bar of each, less what
        portraits lose of their backgrounds' diversity beyond the twentieth that promotion allows.
        """
        figures: dict[str, float] = {}
        others = [task for task in self.tasks if task != "preference"]
        for number, task in enumerate(("preference", *others)):
            probe = self.probe(task, number)
            captions = [prompt.text for prompt in probe.prompts]
            pictures = self.draw(captions, probe.seeds, probe.groups)
            if task == "preference":
                figures |= self._wins(pictures, captions)
                continue
            found = measure(task, self.judge, pictures, probe.prompts, probe.groups)
            if task == "fairness":
                spread = background_diversity(pictures, probe.groups)
                found["backgrounds"] = float(spread.mean())
            figures |= {f"{task}_{key}": value for key, value in found.items()}
        figures["value"] = self._value(figures)
        self.evaluations.append({"iteration": iteration, **figures})
        better = figures["value"] > self.best["value"]
        if better:
            self.best = {"value": figures["value"], "iteration": iteration}
        return figures, better

    def _wins(self, pictures: Array, captions: list[str]) -> dict[str, float]:
        """Win rates and mean scores by judge and proxy. A picture counts where the whole ensemble
        scored it and the base's, for only then are they of one scale; if none does, it is even."""
        figures = {}
        scored = side_by_side(
            lambda models: ensemble_scores(models.scorers, pictures, captions).mean(0),
            (self.judge, self.rewards),
            self.threads,
        )
        for name, scores in zip(("judge", "proxy"), scored, strict=True):
            if not self.evaluations:
                self.base_scores[name] = scores
            base = self.base_scores[name]
            wins = (scores > base) + 0.5 * (scores == base)
            known, both = np.isfinite(scores), np.isfinite(scores) & np.isfinite(base)
            figures[f"{name}_win"] = float(wins[both].mean()) if both.any() else 0.5
            if known.any():
                figures[f"{name}_score"] = float(scores[known].mean())
        return figures

    def _value(self, figures: Mapping[str, float]) -> float:
        if not self.evaluations:
            return 0.0
        base, gains = self.evaluations[0], []
        if "preference" in self.tasks:
            gains.append((figures["judge_win"] - 0.5) / 0.3)
        if "fairness" in self.tasks:
            for key in ("fairness_sp_tone", "fairness_sp_gender"):
                floor = 0.2 if key.endswith("tone") else 0.14
                gains.append((base[key] - figures[key]) / max(0.05, base[key] - floor) / 0.5 / 2)
            kept = figures["fairness_backgrounds"] / max(1e-6, base["fairness_backgrounds"])
            gains.append(min(0.0, (kept - 0.95) / 0.05))
        if "composition" in self.tasks:
            share = figures["composition_right"] / max(0.02, base["composition_right"])
            gains.append((share - 1) / 0.25)
        if "preference" not in self.tasks:  # a specialist may not ruin pictures to win
            gains.append(min(0.0, (figures["judge_win"] - 0.5) / 0.1))
        return float(np.nanmean(np.clip(gains, -3, 2)))

    def alarm(self, iteration: int) -> None:
        """Stop when the proxy wins ever more often while the judge turns away, or pictures decay.

        Raises:
            Hacked: the judge's win rate fell by `alarm_fall` or more below its best, and below
                one half, while the proxy's is at least what it was then; or the judge prefers
                `DECAYED` of the pictures or fewer, for the second time in a row.
        """
        if len(self.evaluations) < 3 or self.evaluations[-1]["iteration"] != iteration:
            return
        now = self.evaluations[-1]
        if max(one["judge_win"] for one in self.evaluations[-2:]) <= DECAYED:
            raise Hacked(
                f"iteration {iteration}: the judge prefers {now['judge_win']:.0%} of the pictures "
                "to the base's, and hardly more the last time. The model decays: lower "
                f"learning_rate ({self.settings.learning_rate}) or raise pretraining_weight."
            )
        peak = max(self.evaluations, key=lambda one: one["judge_win"])
        fell = max(peak["judge_win"], 0.5) - now["judge_win"]
        if (
            fell >= self.settings.alarm_fall
            and now["judge_win"] < 0.5
            and now["proxy_win"] >= max(peak["proxy_win"], 0.5)
        ):
            raise Hacked(
                f"iteration {iteration}: the training reward prefers {now['proxy_win']:.0%} "
                f"of the pictures to the base's, the judge only {now['judge_win']:.0%} (it was "
                f"{peak['judge_win']:.0%} at {peak['iteration']}). The model exploits its reward: "
                f"lower learning_rate ({self.settings.learning_rate}) or raise pretraining_weight."
            )
