"""Evaluation of tuned weights by a judge that no training has seen."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from resources.checkpoints import Checkpoints
from resources.diffusion import Diffusion
from resources.gpu import Gpu
from resources.lake import Lake
from resources.quality import Limits, check_results, specs, stop
from resources.reporting import (
    Progress,
    markdown_table,
    picture_value,
    rounded,
    table_metadata,
)
from rl_diffusion_assets.checks import CHECKS, evaluation_figures
from rl_diffusion_assets.columns import COLUMNS
from rl_diffusion_assets.evaluation.evaluate import Plan, draw, examine, make_suites
from rl_diffusion_assets.evaluation.pictures import before_after, encode
from rl_diffusion_assets.policy.assets import OBJECTIVE, rl_diffusion_weights
from rl_diffusion_assets.policy.ddim import make_schedule
from rl_diffusion_assets.policy.jobs import SCORES
from rl_diffusion_assets.policy.train import open_rewards


class Evaluation(dg.Config):
    """Pictures drawn of each model; see `evaluate.Plan`."""

    in_domain: int = 660
    out_of_domain: int = 220
    sets: int = 3
    scenes: int = 720


@dg.asset(
    partitions_def=OBJECTIVE,
    deps=[rl_diffusion_weights],
    group_name="evaluation",
    kinds={"pytorch", "parquet"},
    pool="gpu",
    code_version="1",
    check_specs=specs(CHECKS, "rl_evaluation"),
)
def rl_evaluation(
    context: dg.AssetExecutionContext,
    config: Evaluation,
    lake: Lake,
    diffusion: Diffusion,
    checkpoints: Checkpoints,
    gpu: Gpu,
    limits: Limits,
) -> Iterator[dg.MaterializeResult]:
    """Base and tuned model on the same captions and seeds: preferred, fair, composed, whole."""
    checked = {}
    for objective in context.partition_keys:
        weights = lake.manifest("rl_diffusion_weights", objective)
        if weights is None:
            raise dg.Failure(
                f"rl_diffusion_weights has no {objective}: materialize this partition first",
                allow_retries=False,
            )
        versions = weights.versions
        suites = make_suites(lake.read("prompt_sets", "prompts"), Plan(**config.model_dump()))
        total = 2 * sum(len(suite.prompts) for suite in suites)
        with gpu.session() as session, tempfile.TemporaryDirectory() as folder:
            progress = Progress(context.log.info, f"rl_evaluation {objective}", total, "pictures")
            judge_folder = checkpoints.path("reward_judge", versions["reward_judge"])
            judge = open_rewards({name: judge_folder / name for name in SCORES}, session.device)
            drawn: list[dict[str, np.ndarray]] = []
            for name, version in (
                ("base_diffusion", versions["base_diffusion"]),
                (f"rl_{objective}", versions["checkpoint"]),
            ):
                model = diffusion.load(str(checkpoints.path(name, version)), device=session.device)
                schedule = make_schedule(model.scheduler, diffusion.steps, 1.0)
                own = Path(folder, name)
                own.mkdir()
                drawn.append(
                    draw(model, schedule, suites, diffusion.guidance, progress.advance, own)
                )
            figures, samples, people = examine(suites, drawn[0], drawn[1], judge)
            hashes = [
                [
                    encode(pixels, lake.put_image)
                    for suite in ("in_domain", "out_of_domain")
                    for pixels in one.get(suite, ())
                ]
                for one in drawn
            ]
            sheets = {
                f"before_after_{suite.name}": picture_value(
                    before_after(drawn[0][suite.name], drawn[1][suite.name], suite.captions)
                )
                for suite in suites
                if suite.name in drawn[0]
            }
        table = pl.DataFrame([{"name": name, **vars(one)} for name, one in figures.items()])
        manifest = lake.commit(
            "rl_evaluation",
            {
                "figures": table,
                "samples": samples.with_columns(
                    pl.Series("base_image", hashes[0]), pl.Series("tuned_image", hashes[1])
                ).rename({"suite": "family"}),
                "people": people,
            },
            partition=objective,
            versions=versions,
        )
        context.add_asset_metadata(
            {
                **table_metadata(manifest, "figures", COLUMNS["rl_evaluation"]),
                **session.metadata(),
                **rounded(
                    {name: one.value for name, one in figures.items() if np.isfinite(one.value)}
                ),
                "figures": markdown_table(table.to_dicts()),
                "people": markdown_table(people.to_dicts()),
                **sheets,
            },
            partition_key=objective,
        )
        values = {name: one.value for name, one in figures.items()}
        checked[objective] = evaluation_figures(values, limits)
    results = check_results(CHECKS, "rl_evaluation", checked)
    yield dg.MaterializeResult(check_results=results)
    stop(results)
