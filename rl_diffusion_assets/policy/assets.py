"""The model that is tuned, and what tuning makes of it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pydantic

from resources.checkpoints import Checkpoints
from resources.diffusion import Diffusion
from resources.feeds.studio import Studio
from resources.gpu import Gpu, only
from resources.lake import Lake
from resources.quality import Limits, check_results, stop
from resources.reporting import (
    contact_sheet,
    line_chart,
    markdown_table,
    table_metadata,
)
from rl_diffusion_assets.checks import CHECKS, reward_figures
from rl_diffusion_assets.columns import COLUMNS
from rl_diffusion_assets.policy.ddim import make_schedule
from rl_diffusion_assets.policy.jobs import SCORES, make_job, train_command, write_job
from rl_diffusion_assets.policy.rollout import roll_out
from rl_diffusion_assets.policy.settings import Training
from rl_diffusion_assets.policy.tasks import RUNS
from rl_diffusion_assets.policy.train import PIPELINE, SUMMARY, prompts_of
from rl_diffusion_assets.policy.trainer import HISTORY
from rl_diffusion_assets.prompts.assets import prompt_sets
from rl_diffusion_assets.rewards.assets import reward_models

OBJECTIVE = dg.StaticPartitionsDefinition(list(RUNS))
EVERY_REWARD = dg.AllPartitionMapping()
SHEET = 24
TRAINING_ENDED = (
    "What to do: the process's own error is in this run's log, and in the stderr of this step. "
    "Mend it and materialize again: training goes on from its last checkpoint."
)


@dg.asset(
    deps=[prompt_sets],
    group_name="policy",
    kinds={"pytorch", "safetensors"},
    pool="gpu",
    code_version="1",
)
def base_diffusion(
    context: dg.AssetExecutionContext,
    lake: Lake,
    diffusion: Diffusion,
    checkpoints: Checkpoints,
    gpu: Gpu,
) -> dg.MaterializeResult:
    """The text-to-image model as it was before tuning, pinned by content, with a sheet of it."""
    with gpu.session() as session:
        model = diffusion.load(device=session.device)
        version = checkpoints.save("base_diffusion", model.save, about={"source": diffusion.base})
        prompts = prompts_of(lake.read("prompt_sets", "prompts"), "preference", "train", 0)
        captions = [prompt.text for prompt in prompts[:SHEET]]
        schedule = make_schedule(model.scheduler, diffusion.steps, 1.0)
        drawn = roll_out(
            model, schedule, captions, range(len(captions)), guidance=diffusion.guidance
        )
        manifest = lake.commit(
            "base_diffusion",
            {"samples": pl.DataFrame({"prompt": captions, "seed": list(range(len(captions)))})},
            versions={"checkpoint": version},
        )
        context.log.info(f"base_diffusion: checkpoint {version}")
        return dg.MaterializeResult(
            metadata={
                **table_metadata(manifest, "samples", COLUMNS["base_diffusion"]),
                **session.metadata(),
                "checkpoint": version,
                "source": Path(diffusion.base).name,
                "pictures_sheet": contact_sheet(drawn.images(), captions),
            },
            data_version=dg.DataVersion(version),
        )


class Tuning(dg.Config):
    """A run's seed and length; `settings` overrides any other field of `trainer.Training`.

    `processes` share the work. One trains on the device that it has leased; several on as many
    CUDA devices, the first there are, and it is on you that nobody else uses them.
    """

    seed: int = 0
    iterations: int = Training().iterations
    processes: int = 1
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)


def _parents(lake: Lake, limits: Limits) -> dict[str, str]:
    """Checkpoint versions of everything that a run learns from or is judged by.

    Raises:
        Failure: one is missing, or a reward model failed its examination: hours of tuning towards
            it would be lost. A backfill starts this run whatever the checks of others said.
    """
    found = {"base_diffusion": lake.manifest("base_diffusion")}
    found |= {f"reward_{name}": lake.manifest("reward_models", name) for name in (*SCORES, "judge")}
    if missing := [name for name, manifest in found.items() if manifest is None]:
        raise dg.Failure(f"materialize {', '.join(missing)} first", allow_retries=False)
    examined = {
        name: reward_figures(lake.read("reward_models", "figures", name), limits)
        for name in (*SCORES, "judge")
    }
    stop(check_results(CHECKS, "reward_models", examined))
    return {name: manifest.versions["checkpoint"] for name, manifest in found.items() if manifest}


def _captioned(studio: Studio) -> pl.DataFrame:
    """Real pictures with captions: the studio's own, and labelled objects where they have some."""
    tables = [studio.labelled(kind) for kind in ("captioned", "objects")]
    return pl.concat([t.select("image", "caption") for t in tables if "caption" in t.columns])


@dg.asset(
    partitions_def=OBJECTIVE,
    deps=[
        prompt_sets,
        base_diffusion,
        dg.AssetDep(reward_models, partition_mapping=EVERY_REWARD),
    ],
    group_name="policy",
    kinds={"pytorch", "safetensors"},
    pool="gpu_train",
    code_version="1",
)
def rl_diffusion_weights(
    context: dg.AssetExecutionContext,
    config: Tuning,
    studio: Studio,
    lake: Lake,
    diffusion: Diffusion,
    checkpoints: Checkpoints,
    gpu: Gpu,
    pipes: dg.PipesSubprocessClient,
    limits: Limits,
) -> dg.MaterializeResult:
    """Weights tuned by reinforcement to an objective, in a process that can be killed."""
    for objective in context.partition_keys:
        parents = _parents(lake, limits)
        paths = {
            name.removeprefix("reward_").removesuffix("_diffusion"): checkpoints.path(name, version)
            for name, version in parents.items()
        }
        training = {
            **{"steps": diffusion.steps, "guidance": diffusion.guidance},
            **{"pretraining_guidance": diffusion.distilled_guidance, "precision": gpu.precision},
            **{"objective": objective, "seed": config.seed, "iterations": config.iterations},
            **config.settings,
        }
        tables = {"prompts": lake.read("prompt_sets", "prompts"), "captioned": _captioned(studio)}
        job = make_job(training, parents, paths, tables)
        folder = checkpoints.workspace(f"rl_{objective}", job)
        with gpu.session() as session:
            write_job(job, folder, tables, session.device)
            command = train_command(folder, config.processes, os.getpid())
            try:
                alone = only(session.device) if config.processes == 1 else {}
                pipes.run(command=command, context=context, env=alone).get_results()
            except dg.DagsterError as error:
                raise dg.Failure(f"{error}\n{TRAINING_ENDED}", allow_retries=False) from error
        summary = json.loads((folder / SUMMARY).read_text())

        def write(target: Path, made: Path = folder / PIPELINE) -> None:
            shutil.copytree(made, target, dirs_exist_ok=True)

        version = checkpoints.save(
            f"rl_{objective}",
            write,
            about={
                "parents": parents,
                "tables": job["tables"],
                "training": training,
                "summary": summary,
            },
        )
        judged = pl.DataFrame(summary["evaluations"])
        history = pl.read_ndjson(folder / HISTORY, infer_schema_length=None)
        manifest = lake.commit(
            "rl_diffusion_weights",
            {"history": history, "judged": judged},
            partition=objective,
            versions={"checkpoint": version, **parents},
        )
        context.add_asset_metadata(
            {
                **table_metadata(manifest, "history", COLUMNS["rl_diffusion_weights"]),
                **session.metadata(),
                **{key: summary[key] for key in ("status", "reason", "best_iteration", "seed")},
                "checkpoint": version,
                "training_seconds": summary["seconds"],
                "judged_curves": line_chart(judged, "iteration"),
                "training_curves": line_chart(
                    history, "iteration", columns=[c for c in history.columns if "reward" in c]
                ),
                "parents": markdown_table(
                    [{"made of": name, "checkpoint": of} for name, of in parents.items()]
                ),
            },
            partition_key=objective,
        )
        shutil.rmtree(folder)  # who asks again wants it made anew; what was killed is still there
    return dg.MaterializeResult()
