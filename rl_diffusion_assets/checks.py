"""What must hold of the data of every stage, and what to do where it does not.

The checks of models that are trained look at every partition there is, so that one good reward
model cannot hide a bad one. They block nothing, else a bad model would fail the run that makes
another anew: tuning and promotion look again at all that they rest on.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import polars as pl

from resources.checkpoints import Checkpoints
from resources.lake import Lake
from resources.quality import (
    ROW_COUNT,
    SCHEMA,
    Check,
    Finding,
    Limits,
    at_least,
    at_most,
    check_results,
    specs,
)
from rl_diffusion_assets.policy.tasks import RUNS
from rl_diffusion_assets.rewards.building import REWARDS

OBJECTIVES = ("preference", "fairness", "composition")
ONE_SIDED = 1.645  # standard errors of a one-sided 95 % interval

CHECKS: Mapping[str, Sequence[Check]] = {
    "prompt_sets": [
        Check(
            "not_empty",
            "Every objective has prompts to train on and held-out ones; those of the others are "
            "preference's, too.",
            "look at `prompts_by_family`: add prompts under `prompts:` or words under `templates:` "
            "in studio.yaml, and materialize prompt_sets again. An objective without prompts "
            "cannot be tuned to; the others can.",
        ),
        Check(
            "reject_rate",
            "Few received prompts are refused.",
            "`rejects` in the metadata names file, row and reason: mend the file, or its `format:` "
            "in studio.yaml.",
        ),
    ],
    "preference_pairs": [
        ROW_COUNT,
        SCHEMA,
        Check(
            "reject_rate",
            "Few ratings of a day are refused.",
            "`rejects` in the day's metadata counts them by field and reason: mend the file, or "
            "its `format:` in studio.yaml, and materialize the day again.",
        ),
        Check(
            "rater_agreement",
            "Raters agree more than chance.",
            "`cohen_kappa` in the day's metadata shows which raters differ from the others, "
            "`winner_and_loser` what was chosen. Leave a careless rater's file out, or make the "
            "question clearer.",
        ),
        Check(
            "first_shown_bias",
            "The picture that is shown first wins about as often as the other.",
            "pictures have to change sides at random: mend the page that asks, or look for raters "
            "who always choose the same side.",
        ),
    ],
    "reward_models": [
        Check(
            "preferences",
            "Models of preference are right about held-out pairs more often than chance.",
            "look at `examination` and at the number of pairs: more ratings help most; then more "
            "`preference_steps` or `judge_steps` in the run config. Materialize the partition "
            "again before rl_diffusion_weights.",
            stops=True,
        ),
        Check(
            "people",
            "Classifiers of people name skin tone and perceived gender, find people, and see none "
            "in pictures without.",
            "look at `examination`: label more pictures of the kind that fails, or raise "
            "`person_steps` in the run config, and materialize the partition again.",
            stops=True,
        ),
        Check(
            "objects",
            "Detectors say what is in a picture, and do not agree to a wrong caption.",
            "look at `examination`: label more pictures of the objects with a low recall, or "
            "raise `objects_steps` in the run config, and materialize the partition again.",
            stops=True,
        ),
    ],
    "base_diffusion": [
        Check(
            "not_empty",
            "There are prompts that the model can be shown with.",
            "materialize prompt_sets with prompts to train on, then base_diffusion.",
        ),
    ],
    "rl_diffusion_weights": [
        Check(
            "finished",
            "Training ended by itself, without an alarm.",
            "`reason` in the metadata names the alarm and `training_curves` shows it: begin with "
            "a lower learning rate or fewer iterations in the run config. Promotion refuses these "
            "weights.",
        ),
        Check(
            "finite",
            "What training and the judge measured are numbers.",
            "training has diverged: lower the learning rate in the run config (`settings`) and "
            "materialize the partition again.",
            stops=True,
        ),
    ],
    "rl_evaluation": [
        Check(
            "finite",
            "Win rate and shares of people are numbers.",
            "look at prompt_sets: an evaluation needs held-out prompts of every objective that the "
            "weights were tuned to.",
            stops=True,
        ),
        Check(
            "win_rate",
            "The judge prefers the tuned model to the base.",
            "look at the `before_after` sheets and at the curves of rl_diffusion_weights: tune "
            "longer, or look at what the reward models reward. Promotion refuses these weights.",
        ),
        Check(
            "people_found",
            "People who are asked for are found in the tuned model's pictures.",
            "look at `before_after_people`: the weights draw people away, or the classifier does "
            "not know what it sees. Lower the fairness weight in the run config of "
            "rl_diffusion_weights.",
        ),
        Check(
            "kept",
            "Pictures stay as sharp and as varied as the base's.",
            "look at the `before_after` sheets: the reward is being gamed. Raise the weight of the "
            "pretraining loss, or stop earlier.",
        ),
    ],
    "promoted_diffusion_weights": [
        Check(
            "gates",
            "The candidate passed every gate and is in use.",
            "`verdicts` shows each gate's value and bar; what was in use before stays in use. Mend "
            "what the checks of rl_evaluation say; the job demote undoes a promotion.",
        ),
    ],
}


def prompt_figures(prompts: pl.DataFrame, rejects: int, limits: Limits) -> dict[str, Finding]:
    """Findings of prompt_sets."""
    there = set(prompts.select("objective", "split").iter_rows())
    there |= {("preference", side) for _, side in there}  # as `prompts_of` takes them
    wanted = [(objective, side) for objective in OBJECTIVES for side in ("train", "held_out")]
    empty = [f"{objective} has no {side} prompts" for objective, side in wanted
             if (objective, side) not in there]  # fmt: skip
    received = int(prompts["count"].sum()) + rejects
    rate = rejects / received if received else None
    return {
        "not_empty": Finding(prompts.height, ", ".join(empty)),
        "reject_rate": at_most(rate, limits.reject_rate, "share of refused prompts"),
    }


def rating_figures(
    votes: pl.DataFrame,
    rejects: pl.DataFrame,
    agreement: float | None,
    first_shown: float | None,
    limits: Limits,
) -> dict[str, Finding]:
    """Findings of a day of preference_pairs; of a few votes nothing is said about raters.

    Args:
        votes, rejects: Tables of the day.
        agreement: Krippendorff's alpha.
        first_shown: Share of decided votes for the picture that was shown first.
        limits: From where on data are bad.
    """
    received = votes.height + rejects.height
    enough = votes.height >= limits.min_votes
    bias = abs(first_shown - 0.5) if enough and first_shown is not None else None
    rate = rejects.height / received if received else None
    return {
        "reject_rate": at_most(rate, limits.reject_rate, "share of refused ratings"),
        "rater_agreement": at_least(
            agreement if enough else None, limits.rater_agreement, "Krippendorff's alpha"
        ),
        "first_shown_bias": at_most(
            bias, limits.first_shown_bias, "first-shown wins, away from one half"
        ),
    }


def reward_figures(figures: pl.DataFrame, limits: Limits) -> dict[str, Finding]:
    """Findings of a partition of reward_models; what it does not hold passes.

    Args:
        figures: Its table; a judge names the part that was examined (`person.found_drawn`).
        limits: From where on data are bad.
    """
    found: dict[str, list[Finding]] = {"preferences": [], "people": [], "objects": []}
    for name, value, n in figures.select("name", "value", "n").iter_rows():
        short = name.split(".")[-1]
        if short == "pairwise_accuracy":
            low = value - ONE_SIDED * math.sqrt(0.25 / max(n, 1))
            what = f"{name} {value:.3f} on {n} pairs, lower end of its interval"
            found["preferences"].append(at_least(low, 0.5, what))
        elif short.startswith(("found_in_", "fully_right_wrong_caption")):
            kind = "people" if short.startswith("found") else "objects"
            wrong = at_most(value, limits.found_in_nothing, name)
            found[kind].append(Finding(None, wrong.failure))
        elif short.startswith(("tone_accuracy", "gender_accuracy", "found_")):
            found["people"].append(at_least(value, limits.reward_accuracy, name))
        elif short.startswith("fully_right"):
            found["objects"].append(at_least(value, limits.reward_accuracy, name))
    return {
        kind: Finding(
            min((one.value for one in several if one.value is not None), default=None),
            ", ".join(one.failure for one in several if one.failure),
        )
        for kind, several in found.items()
    }


def training_figures(
    history: pl.DataFrame, judged: pl.DataFrame, summary: Mapping[str, str]
) -> dict[str, Finding]:
    """Findings of a run of rl_diffusion_weights with these tables, status and reason."""
    odd = [
        name
        for table in (history, judged)
        for name in table.columns
        if table[name].dtype.is_float() and not table[name].drop_nulls().is_finite().all()
    ]
    status, reason = summary["status"], summary["reason"]
    ended = status == "finished"
    return {
        "finished": Finding(float(ended), "" if ended else f"{status}: {reason}"),
        "finite": Finding(len(odd), f"not finite: {', '.join(odd)}" if odd else ""),
    }


def samples_shown(samples: pl.DataFrame) -> dict[str, Finding]:
    """Finding of base_diffusion."""
    return {"not_empty": at_least(samples.height, 1, "pictures")}


def evaluation_figures(values: Mapping[str, float], limits: Limits) -> dict[str, Finding]:
    """Findings of an objective of rl_evaluation."""
    odd = [name for name in ("win_rate", "found") if not math.isfinite(values.get(name, math.nan))]
    ratios = ("sharpness_ratio", "diversity_ratio", "background_diversity_ratio")
    kept = [values[name] for name in ratios if math.isfinite(values.get(name, math.nan))]
    return {
        "finite": Finding(len(odd), f"not measured: {', '.join(odd)}" if odd else ""),
        "win_rate": at_least(values.get("win_rate"), 0.5, "win rate"),
        "people_found": at_least(values.get("found"), limits.people_found, "share of people found"),
        "kept": at_least(
            min(kept, default=None), limits.kept, "sharpness or variety, relative to the base's"
        ),
    }


def gate_figures(verdicts: pl.DataFrame) -> dict[str, Finding]:
    """Finding of promoted_diffusion_weights."""
    refused = verdicts.filter(~pl.col("passed"))["gate"].to_list()
    share = 1 - len(refused) / max(1, verdicts.height)
    return {"gates": Finding(share, f"refused by {', '.join(refused)}" if refused else "")}


@dg.multi_asset_check(specs=specs(CHECKS, "reward_models", blocking=False))
def reward_model_checks(lake: Lake, limits: Limits) -> Iterator[dg.AssetCheckResult]:
    """The examination of every reward model that there is."""
    found = {
        name: reward_figures(lake.read("reward_models", "figures", name), limits)
        for name in REWARDS
        if lake.manifest("reward_models", name)
    }
    yield from check_results(CHECKS, "reward_models", found)


@dg.multi_asset_check(specs=specs(CHECKS, "rl_diffusion_weights", blocking=False))
def training_checks(lake: Lake, checkpoints: Checkpoints) -> Iterator[dg.AssetCheckResult]:
    """How the last run of every objective ended."""
    found = {}
    for name in RUNS:
        if manifest := lake.manifest("rl_diffusion_weights", name):
            history = lake.read("rl_diffusion_weights", "history", name)
            judged = lake.read("rl_diffusion_weights", "judged", name)
            about = checkpoints.about(f"rl_{name}", manifest.versions["checkpoint"])
            found[name] = training_figures(history, judged, about["summary"])
    yield from check_results(CHECKS, "rl_diffusion_weights", found)


@dg.multi_asset_check(specs=specs(CHECKS, "base_diffusion"))
def base_checks(lake: Lake) -> Iterator[dg.AssetCheckResult]:
    """Whether the base model was shown with pictures."""
    found = samples_shown(lake.read("base_diffusion", "samples"))
    yield from check_results(CHECKS, "base_diffusion", {None: found})
