"""Templates and prompt files become prompts for three objectives, each on one side of a split."""

import dagster as dg
import polars as pl

from resources.feeds.catalog_source import feed_version
from resources.feeds.studio import Studio
from resources.lake import Lake
from resources.quality import Limits, check_results, specs
from resources.reporting import (
    feeds_table,
    markdown_table,
    table_metadata,
)
from rl_diffusion_assets.checks import CHECKS, prompt_figures
from rl_diffusion_assets.columns import COLUMNS
from rl_diffusion_assets.prompts.formats import read_prompts
from rl_diffusion_assets.prompts.prompts import REJECTS, assemble, refused_whole
from rl_diffusion_assets.prompts.templates import default_templates, template_prompts


@dg.asset(
    group_name="prompts",
    kinds={"parquet", "polars"},
    code_version="2",
    check_specs=specs(CHECKS, "prompt_sets"),
)
def prompt_sets(
    context: dg.AssetExecutionContext, studio: Studio, lake: Lake, limits: Limits
) -> dg.MaterializeResult:
    """Prompts of the preference, fairness and composition objectives: to train on, and held out."""
    given = studio.config().templates
    templates = given.model_dump() if given else default_templates()
    prompts, rejects = template_prompts(templates)
    for received in studio.prompt_files():
        settings = received.settings.model_dump(exclude={"path"})
        read, refused = read_prompts(received.rows, file=received.file, **settings)
        if received.rows and not read:
            raise refused_whole(received.file, refused, "prompts in studio.yaml")
        prompts += read
        rejects += refused
    provenance = studio.provenance()
    table = assemble(prompts, templates["held_out_objects"])
    refusals = pl.DataFrame(rejects, schema=REJECTS, orient="row")
    manifest = lake.commit(
        "prompt_sets",
        {"prompts": table, "rejects": refusals},
        versions={"feed": feed_version(provenance)},
    )
    context.log.info(f"prompt_sets: {table.height:,} prompts, {len(rejects):,} rejects")
    counts = table.group_by("objective", "family", "split").agg(
        pl.len().alias("prompts"), pl.col("held_out_objects").sum().alias("with held-out objects")
    )
    counts = counts.sort("objective", "family", "split")
    sample = table.sample(fraction=1, shuffle=True, seed=0).group_by("objective", "split").head(3)
    checked = prompt_figures(table, len(rejects), limits)
    results = check_results(CHECKS, "prompt_sets", {None: checked})
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "prompts", COLUMNS["prompt_sets"]),
            "merged_duplicates": int(table["count"].sum()) - table.height,
            "prompts_by_family": markdown_table(counts.to_dicts()),
            "sample_prompts": markdown_table(
                sample.select("objective", "split", "family", "prompt").to_dicts()
            ),
            "rejects": markdown_table(refusals.head(30).to_dicts()),
            "files": feeds_table(provenance),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=results,
    )
