"""The training program: `python -m rl_diffusion_assets.policy.train JOB.json FOLDER`.

Runs by hand, under `accelerate launch --num_processes N -m ...`, and from its asset through
Dagster Pipes. It can be killed at any time: started again with the same job and folder, it goes on
to the weights that an undisturbed run would have. The job names everything that it reads:

    base        folder of the pipeline that is tuned
    prompts     Parquet: objective, split, prompt, objects, relation
    captioned   Parquet: image (bytes), caption: real pictures that keep the model honest
    rewards     folders of the models that score, by preference, person, objects
    judge       the same, of the judge
    training    settings, see `Training`

It leaves in the folder: `pipeline/` (the best weights), `history.jsonl` (a line per iteration),
`summary.json`.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from resources.diffusion import TextToImage, load_text_to_image
from resources.gpu import end_with
from rl_diffusion_assets.policy.credit import even_chances
from rl_diffusion_assets.policy.judging import Hacked
from rl_diffusion_assets.policy.parts import cut, side_by_side, threads_on
from rl_diffusion_assets.policy.settings import Training
from rl_diffusion_assets.policy.tasks import (
    OBJECTIVES,
    Prompt,
    Rewards,
    Sampling,
    tasks_of,
)
from rl_diffusion_assets.policy.trainer import Data, Trainer
from rl_diffusion_assets.rewards.composition import Wanted, fully_right, read_caption
from rl_diffusion_assets.rewards.material import read_picture
from rl_diffusion_assets.rewards.models import open_reward

SUMMARY, PIPELINE = "summary.json", "pipeline"
READ_AT_ONCE = 512  # captioned pictures


def read_settings(given: Mapping[str, Any]) -> Training:
    """Settings of a job; what is not given keeps its default.

    Raises:
        ValueError: a setting that there is not; the message names it.
    """
    known = {field.name for field in fields(Training)}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"training: there is no setting {', '.join(unknown)}")
    values = dict(given)
    default = Training().sampling
    own = values.pop("sampling", {})
    if unknown := sorted(set(own) - set(OBJECTIVES)):
        raise ValueError(f"training.sampling: there is no objective {', '.join(unknown)}")
    try:
        sampling = {
            name: Sampling(**{**vars(default[name]), **_tuples(own.get(name, {}))})
            for name in OBJECTIVES
        }
    except TypeError as error:
        raise ValueError(f"training.sampling: {error}") from None
    return Training(**values, sampling=sampling)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }


def read_prompts(frame: pl.DataFrame) -> list[Prompt]:
    """Rows of `prompt_sets` as prompts."""
    return [
        Prompt(
            row["prompt"],
            Wanted(
                tuple((one["name"], one["colour"] or "") for one in row["objects"] or []),
                row["relation"] or "",
            ),
        )
        for row in frame.iter_rows(named=True)
    ]


def prompts_of(frame: pl.DataFrame, objective: str, split: str, seed: int) -> list[Prompt]:
    """An objective's prompts of one split, shuffled. People ask for anything: the preference
    objective has those of the other two as well, in equal parts."""
    rows = frame.filter(pl.col("split") == split)
    own = rows.filter(pl.col("objective") == objective).sort("prompt_id")
    own = own.sample(fraction=1.0, shuffle=True, seed=seed)
    if objective != "preference":
        return read_prompts(own)
    parts = [read_prompts(own)] if own.height else []
    parts += [prompts_of(frame, other, split, seed) for other in ("fairness", "composition")]
    parts = [part for part in parts if part]
    most = max((len(part) for part in parts), default=0)
    return [part[at % len(part)] for at in range(most) for part in parts]


def probes_of(frame: pl.DataFrame, seed: int) -> dict[str, list[Prompt]]:
    """What the judge is asked during training: training prompts, under seeds of its own.

    The held-out prompts stay untouched for the final evaluation.
    """
    return {name: prompts_of(frame, name, "train", seed + 1) for name in OBJECTIVES}


def read_captioned(
    path: Path, model: TextToImage, rewards: Rewards, even: Sequence[str], threads: int = 1
) -> tuple[tuple[Any, list[str]], np.ndarray | None]:
    """Clean latents of captioned pictures and their captions, and the chances to draw them by.

    As the paper keeps what is beautiful enough (section 4.1), this keeps what shows its caption: a
    picture whose caption names objects that the detector does not find there is left out. The
    pictures of a caption are drawn evenly of the kinds in `even` (of tone, gender, joint), as the
    classifier reads them: pretraining would else teach what fairness has to undo.

    Raises:
        ValueError: there is no picture, or none shows its caption.
    """
    import torch

    frame = pl.read_parquet(path)
    if not frame.height:
        raise ValueError(f"{path}: there are no captioned pictures to train on")

    def true(part: slice) -> tuple[np.ndarray, list[str]]:
        rows = frame[part]
        pictures = np.stack([read_picture(data, model.side) for data in rows["image"]])
        captions, found = rows["caption"].to_list(), rewards.detector.detect(pictures)
        wanted = [read_caption(caption, found.names, found.colours) for caption in captions]
        right = fully_right(found, wanted)
        kept = [row for row, want in enumerate(wanted) if right[row] or not want.objects]
        return pictures[kept], [captions[row] for row in kept]

    shown = side_by_side(true, cut(frame.height, READ_AT_ONCE), threads)
    pictures = np.concatenate([part for part, _ in shown])
    captions = [caption for _, part in shown for caption in part]
    if not captions:
        raise ValueError(f"{path}: the detector finds no caption's objects in its picture")

    def latents_and_kinds(part: slice) -> tuple[Any, list[np.ndarray]]:
        tables = []
        if even:
            people = rewards.person.read(pictures[part])
            tables = [people.table(kind) for kind in even]
        return model.pack(pictures[part]), tables

    latents, tables = zip(
        *side_by_side(latents_and_kinds, cut(len(captions), READ_AT_ONCE), threads), strict=True
    )
    chances = None
    if even:
        known = {caption: number for number, caption in enumerate(captions)}
        kinds = [np.concatenate(kind) for kind in zip(*tables, strict=True)]
        chances = even_chances(kinds, np.array([known[caption] for caption in captions]))
    return (torch.cat(latents), captions), chances


def open_rewards(folders: Mapping[str, Any], device: str) -> Rewards:
    """The models of a job. `preference` may name several folders: an ensemble."""
    named = folders["preference"]
    several: Sequence[Any] = [named] if isinstance(named, str | Path) else named
    return Rewards(
        scorers=[open_reward(Path(folder), device) for folder in several],
        person=open_reward(Path(folders["person"]), device),
        detector=open_reward(Path(folders["objects"]), device),
    )


def train(job: Mapping[str, Any], folder: Path, tell: Any = print) -> dict[str, Any]:
    """Run a job to its end and write the best weights.

    Returns:
        The summary: status ``finished`` or ``stopped`` with a reason, the best iteration, the
        judge's figures, seconds.

    Raises:
        ValueError: a setting or a file of the job is wrong.
    """
    import torch
    from accelerate import Accelerator

    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=job.get("device", "cpu") == "cpu")
    device = str(accelerator.device)
    folder.mkdir(parents=True, exist_ok=True)
    settings = read_settings(job.get("training", {}))
    model = load_text_to_image(job["base"], device)
    frame = pl.read_parquet(job["prompts"])
    rewards, judge = open_rewards(job["rewards"], device), open_rewards(job["judge"], device)
    fair = "fairness" in tasks_of(settings.objective)
    even = settings.sampling["fairness"].kinds if fair else ()
    threads = threads_on(device, accelerator.num_processes)
    pretraining, chances = read_captioned(Path(job["captioned"]), model, rewards, even, threads)
    data = Data(
        prompts={name: prompts_of(frame, name, "train", 0) for name in OBJECTIVES},
        probes=probes_of(frame, 0),
        pretraining=pretraining,
        chances=chances,
    )
    tell(f"{len(data.pretraining[1])} captioned pictures show what their captions say")
    trainer = Trainer(model, settings, data, rewards, judge, folder, accelerator, tell, threads)
    if trainer.resume():
        tell(f"going on after iteration {trainer.iteration}")
    status, reason, began, first = "finished", "", time.monotonic(), trainer.iteration
    try:
        for record in trainer.run():
            done, left = record["iteration"], settings.iterations - record["iteration"]
            each = (time.monotonic() - began) / (done - first)
            rewards_of = ", ".join(
                f"{task} {record[f'{task}_reward'] or 0:+.3f}" for task in trainer.tasks
            )
            if done % 5 == 0 or left == 0:
                tell(
                    f"{settings.objective}: {done}/{settings.iterations} iterations, {rewards_of}, "
                    f"{1 / each:.2f}/s, {left * each:.0f} s left"
                )
    except Hacked as alarm:
        status, reason = "stopped", str(alarm)
        tell(f"ALARM {reason}")
    summary = {
        "status": status,
        "reason": reason,
        "objective": settings.objective,
        "seed": settings.seed,
        "iterations": trainer.iteration,
        "best_iteration": trainer.judging.best["iteration"],
        "evaluations": trainer.judging.evaluations,
        "seconds": round(trainer.seconds, 1),
    }
    if accelerator.is_main_process:
        if status == "finished":
            trainer.save()
        trainer.use_best()
        model.save(folder / PIPELINE)
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def main() -> None:
    from dagster_pipes import PipesContext, PipesEnvVarParamsLoader, open_dagster_pipes

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("job", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--end-with", type=int, metavar="PID", help="a process that starts this")
    arguments = parser.parse_args()
    if arguments.end_with:
        end_with(arguments.end_with)
    job = json.loads(arguments.job.read_text())
    if int(os.environ.get("RANK", "0")):  # one process of several reports
        train(job, arguments.folder, str)
    elif PipesEnvVarParamsLoader().is_dagster_pipes_process():
        with open_dagster_pipes():
            train(job, arguments.folder, PipesContext.get().log.info)
    else:
        train(job, arguments.folder, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
