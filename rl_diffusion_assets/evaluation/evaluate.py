"""Seed-paired samples of a base and a tuned model on held-out captions, and their figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from resources.diffusion import TextToImage
from rl_diffusion_assets.evaluation import measures
from rl_diffusion_assets.evaluation.measures import Interval, bootstrap
from rl_diffusion_assets.policy import collapse
from rl_diffusion_assets.policy.ddim import Schedule
from rl_diffusion_assets.policy.parts import threads_on
from rl_diffusion_assets.policy.rollout import roll_out
from rl_diffusion_assets.policy.tasks import Prompt, Rewards, ensemble_scores
from rl_diffusion_assets.policy.train import prompts_of, read_prompts

Array = np.ndarray
FIRST_SEED = 5_000_000_000  # no seed of training or of its probes is near
BATCH = 128


@dataclass(frozen=True)
class Plan:
    """How many pictures an evaluation draws of each model.

    Attributes:
        in_domain, out_of_domain: Seed-paired samples of the win rate; pooled as the paper did,
            three to one.
        sets: Sets of 16 pictures of each caption of a person.
        scenes: Captions of two objects: seen ones, and as many with held-out ones.
    """

    in_domain: int = 660
    out_of_domain: int = 220
    sets: int = 3
    scenes: int = 720


@dataclass
class Suite:
    """Captions of one part of an evaluation and the seed of each.

    Attributes:
        name: Of the part.
        prompts, families: Every picture's caption, and the family that it is of.
        main: Of people, the family whose figures have no name of their own.
    """

    name: str
    prompts: list[Prompt]
    families: list[str]
    main: str = ""

    @property
    def captions(self) -> list[str]:
        return [prompt.text for prompt in self.prompts]

    @property
    def groups(self) -> Array:
        known = {caption: at for at, caption in enumerate(dict.fromkeys(self.captions))}
        return np.array([known[caption] for caption in self.captions])

    def seeds(self, offset: int) -> list[int]:
        return [FIRST_SEED + offset + at for at in range(len(self.prompts))]


def _repeated(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    return [prompts[at % len(prompts)] for at in range(count)] if prompts else []


def make_suites(frame: pl.DataFrame, plan: Plan) -> list[Suite]:
    """The held-out captions of an evaluation, from `prompt_sets`.

    The win rate's own captions are in-domain (families that were trained on, other captions) and
    out of domain (families and objects that were not), three to one. Fairness is measured on every
    occupation, trained on or not, and on the second family; each keeps its name.
    """
    held = frame.filter(pl.col("split") == "held_out")
    people = frame.filter(pl.col("objective") == "fairness").sort("prompt_id")
    scenes = held.filter(pl.col("objective") == "composition").sort("prompt_id")
    seen = read_prompts(scenes.filter(~pl.col("held_out_objects")))
    unseen = read_prompts(scenes.filter(pl.col("held_out_objects")))
    trained = set(people.filter(pl.col("split") == "train")["family"])
    own = people.filter((pl.col("split") == "held_out") & pl.col("family").is_in(trained))
    other = people.filter(~pl.col("family").is_in(trained))
    literal = [
        prompt
        for prompt in prompts_of(held, "preference", "held_out", 0)
        if prompt.text in set(held.filter(pl.col("objective") == "preference")["prompt"])
    ]
    near = _mixed([read_prompts(own), seen, literal], plan.in_domain)
    far = _mixed([read_prompts(other), unseen], plan.out_of_domain)
    portraits = [p for p in read_prompts(people) for _ in range(plan.sets * measures.SET)]
    families = [f for f in people["family"] for _ in range(plan.sets * measures.SET)]
    # the largest that was trained on, or if none was, the largest
    main = max(sorted(trained or set(families)), key=families.count, default="")
    return [
        Suite("in_domain", near, ["in_domain"] * len(near)),
        Suite("out_of_domain", far, ["out_of_domain"] * len(far)),
        Suite("people", portraits, families, main),
        Suite("seen", _repeated(seen, plan.scenes), ["seen"] * plan.scenes if seen else []),
        Suite(
            "held_out", _repeated(unseen, plan.scenes), ["held_out"] * plan.scenes if unseen else []
        ),
    ]


def _mixed(parts: Sequence[list[Prompt]], count: int) -> list[Prompt]:
    """Captions of several kinds in turn."""
    there = [part for part in parts if part]
    return (
        [
            there[at % len(there)][at // len(there) % len(there[at % len(there)])]
            for at in range(count)
        ]
        if there
        else []
    )


def draw(
    model: TextToImage,
    schedule: Schedule,
    suites: Sequence[Suite],
    guidance: float,
    progress: Callable[[int], None],
    folder: Path,
) -> dict[str, Array]:
    """Pictures of every suite, uint8 ``[n, h, w, 3]``; the same seeds whatever the model.

    They lie in files of `folder`, mapped into memory: at 1,024 px they are 16 GB a model.
    """
    threads = threads_on(model.device)
    out: dict[str, Array] = {}
    for number, suite in enumerate(suites):
        seeds = suite.seeds(number * 1_000_000)
        for at in range(0, len(seeds), BATCH):
            drawn = roll_out(
                model,
                schedule,
                suite.captions[at : at + BATCH],
                seeds[at : at + BATCH],
                guidance=guidance,
                threads=threads,
            )
            if not at:
                out[suite.name] = np.lib.format.open_memmap(
                    folder / f"{suite.name}.npy",
                    "w+",
                    drawn.pictures.dtype,
                    (len(seeds), *drawn.pictures.shape[1:]),
                )
            out[suite.name][at : at + BATCH] = drawn.pictures
            progress(len(drawn.pictures))
    return out


def examine(
    suites: Sequence[Suite],
    base: Mapping[str, Array],
    tuned: Mapping[str, Array],
    judge: Rewards,
) -> tuple[dict[str, Interval], pl.DataFrame, pl.DataFrame]:
    """The judge's verdict.

    Returns:
        figures by name; the seed-paired samples of the win rate with the judge's scores (without
        pictures); a row per caption of a person with the shares of every kind before and after.
    """
    by_name = {suite.name: suite for suite in suites}
    figures: dict[str, Interval] = {}
    rows = []
    for name in ("in_domain", "out_of_domain"):
        if name not in base:
            continue
        suite = by_name[name]
        scores = [_score(judge, pictures[name], suite.captions) for pictures in (base, tuned)]
        won = measures.wins(*scores)
        figures[f"win_rate_{name}"] = bootstrap(won, suite.groups)
        rows += [
            {
                "suite": name,
                "prompt": c,
                "seed": s,
                "judge_base": float(a),
                "judge_tuned": float(b),
                "won": w,
            }
            for c, s, a, b, w in zip(
                suite.captions,
                suite.seeds(suites.index(suite) * 1_000_000),
                *scores,
                won,
                strict=True,
            )
        ]
    samples = pl.DataFrame(rows)
    if rows:
        figures["win_rate"] = bootstrap(samples["won"].to_numpy(), samples["prompt"].to_numpy())
    table = _fairness(by_name["people"], base, tuned, judge, figures)
    for name, key in (("seen", "composition"), ("held_out", "composition_heldout")):
        for pictures, end in ((base, "_base"), (tuned, "")):
            if name in pictures:
                found = judge.detector.detect(pictures[name])
                wanted = [prompt.wanted for prompt in by_name[name].prompts]
                right, confidence = measures.composition_right(found, wanted)
                groups = by_name[name].groups
                figures[f"{key}{end}"] = bootstrap(right, groups)
                figures[f"{key}_confidence{end}"] = bootstrap(confidence, groups)
    _unoptimised(by_name["people"], base, tuned, figures)
    for name, pictures in base.items():
        figures[f"drift_{name}"] = bootstrap(
            collapse.drift(pictures, tuned[name]), by_name[name].groups
        )
    return figures, samples, table


def _score(judge: Rewards, pictures: Array, captions: list[str]) -> Array:
    return ensemble_scores(judge.scorers, pictures, captions).mean(0)


def _fairness(
    suite: Suite,
    base: Mapping[str, Array],
    tuned: Mapping[str, Array],
    judge: Rewards,
    figures: dict[str, Interval],
) -> pl.DataFrame:
    if "people" not in base:
        return pl.DataFrame()
    families, groups = np.array(suite.families), suite.groups
    rows: dict[int, dict[str, Any]] = {
        int(group): {
            "prompt": suite.captions[int(np.argmax(groups == group))],
            "family": families[groups == group][0],
        }
        for group in np.unique(groups)
    }
    for pictures, end in ((base, "_base"), (tuned, "")):
        people = judge.person.read(pictures["people"])
        figures[f"found{end}"] = bootstrap((people.found >= 0.5).astype(float), groups)
        for kind in measures.KINDS:
            table = people.table(kind)
            for family in dict.fromkeys(suite.families):
                mine = families == family
                values, of = measures.parity_sets(table[mine], groups[mine])
                key = f"sp_{kind}{end}" if family == suite.main else f"sp_{kind}_{family}{end}"
                figures[key] = bootstrap(values, of)
            for group, row in rows.items():
                part = measures.shares(table[groups == group])
                if kind != "joint":
                    names = (
                        ("light", "medium", "tan", "dark") if kind == "tone" else ("man", "woman")
                    )
                    row |= {
                        f"{name}{end}": round(float(v), 3)
                        for name, v in zip(names, part, strict=True)
                    }
    for kind in measures.KINDS:
        floor = measures.floor_of(kind)
        figures["sp_floor" if kind == "tone" else f"sp_floor_{kind}"] = Interval(
            floor, floor, floor, measures.SET
        )
    return pl.DataFrame(list(rows.values()))


def _unoptimised(
    suite: Suite,
    base: Mapping[str, Array],
    tuned: Mapping[str, Array],
    figures: dict[str, Interval],
) -> None:
    """Ratios to the base of what no reward asks for."""
    for name, of in (
        (
            "sharpness_ratio",
            lambda one: np.concatenate([collapse.sharpness(p) for p in one.values()]),
        ),
        (
            "saturation_ratio",
            lambda one: np.concatenate([collapse.saturation(p) for p in one.values()]),
        ),
        ("diversity_ratio", lambda one: collapse.diversity(one["people"], suite.groups)),
        (
            "background_diversity_ratio",
            lambda one: collapse.background_diversity(one["people"], suite.groups),
        ),
    ):
        if "people" in base or name in ("sharpness_ratio", "saturation_ratio"):
            before, after = of(base), of(tuned)
            ratio = float(after.mean() / max(before.mean(), 1e-9))
            figures[name] = Interval(ratio, float("nan"), float("nan"), len(before))
