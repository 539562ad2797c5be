"""Tuned weights become the ones in use, through gates; one step back undoes it."""

import math
import shutil
from pathlib import Path

import dagster as dg
import polars as pl

from resources.checkpoints import Checkpoints
from resources.lake import Lake, Manifest
from resources.quality import Limits, check_results, specs
from resources.reporting import (
    contact_sheet,
    markdown_table,
    rounded,
    table_metadata,
)
from rl_diffusion_assets.checks import CHECKS, gate_figures, reward_figures
from rl_diffusion_assets.columns import COLUMNS
from rl_diffusion_assets.evaluation.assets import rl_evaluation
from rl_diffusion_assets.policy.assets import EVERY_REWARD
from rl_diffusion_assets.promotion.card import model_card
from rl_diffusion_assets.promotion.gates import Bars, Verdict, judge_gates
from rl_diffusion_assets.promotion.words import taught_words
from rl_diffusion_assets.rewards.assets import learned_from

ASSET = "promoted_diffusion_weights"
SHEET_PAIRS = 12
HISTORY = pl.Schema([(name, pl.String) for name in ("checkpoint", "objective", "base", "tuned")])


class Promotion(dg.Config):
    """Which run is a candidate, and the gates' bars, see `gates.Bars`. `again` promotes weights
    that `demote` put out of use."""

    objective: str = "joint"
    again: bool = False
    win_rate: float = 0.803
    win_rate_low: float = 0.75
    parity_fall: float = 0.0
    composition_gain: float = 0.0
    kept: float = 0.95
    saturation: float = 1.2

    def bars(self) -> Bars:
        """The gates' bars."""
        return Bars(**self.model_dump(exclude={"objective", "again"}))


def promoted(lake: Lake, table: str = "promotions") -> pl.DataFrame:
    """Every promotion, the one in use last; empty when nothing was promoted yet. The table
    `withdrawn` has those that `demote` took back."""
    none, manifest = pl.DataFrame(schema=HISTORY), lake.manifest(ASSET)
    if manifest is None or table not in manifest.tables:
        return none
    return pl.concat([none, lake.read(ASSET, table)], how="diagonal")


def commit_promotions(
    lake: Lake,
    rows: pl.DataFrame,
    verdicts: pl.DataFrame,
    objective: str,
    before: Manifest | None,
    withdrawn: pl.DataFrame | None = None,
) -> dg.MaterializeResult:
    """Write what is in use, and the words it was taught; the same weights, the same version.

    Args:
        lake: Where to.
        rows: Every promotion, the one in use last.
        verdicts: Of the last candidate.
        objective: What that was tuned to; its pictures are shown.
        before: What the rows continue; another promotion since is a conflict, not overwritten.
        withdrawn: Promotions that were taken back, if those of before are not all.
    """
    withdrawn = promoted(lake, "withdrawn") if withdrawn is None else withdrawn
    current = rows["checkpoint"][-1] if rows.height else ""
    words = taught_words(lake.read("prompt_sets", "prompts"))
    manifest = lake.commit(
        ASSET,
        {"promotions": rows, "verdicts": verdicts, "words": words, "withdrawn": withdrawn},
        versions={"checkpoint": current} if current else {},
        made_from=before,
    )
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "promotions", COLUMNS[ASSET]),
            "in_use": current or "none",
            "gates_passed": int(verdicts["passed"].sum()),
            "gates_refused": int((~verdicts["passed"]).sum()),
            "verdicts": markdown_table(
                verdicts.select("gate", "passed", "value", "wanted").to_dicts()
            ),
            **rounded(
                {
                    f"gate_{gate}": value
                    for gate, value in verdicts.select("gate", "value").iter_rows()
                    if value is not None and math.isfinite(value)
                }
            ),
            "before_after_sheet": _before_after(lake, objective),
        },
        data_version=dg.DataVersion(current or "none"),
        check_results=check_results(CHECKS, ASSET, {None: gate_figures(verdicts)}),
    )


@dg.asset(
    deps=[dg.AssetDep(rl_evaluation, partition_mapping=EVERY_REWARD)],
    group_name="promotion",
    kinds={"safetensors"},
    code_version="1",
    check_specs=specs(CHECKS, ASSET),
)
def promoted_diffusion_weights(
    context: dg.AssetExecutionContext,
    config: Promotion,
    lake: Lake,
    checkpoints: Checkpoints,
    limits: Limits,
) -> dg.MaterializeResult:
    """The weights in use: a candidate that passed every gate, else those in use before."""
    evaluation = lake.manifest("rl_evaluation", config.objective)
    if evaluation is None:
        raise dg.Failure(
            f"rl_evaluation has no {config.objective}: materialize this partition first, or name "
            "another objective in the run config",
            allow_retries=False,
        )
    figures = figures_of(lake.read("rl_evaluation", "figures", config.objective))
    run, tuned = f"rl_{config.objective}", evaluation.versions["checkpoint"]
    folder, about = checkpoints.path(run, tuned), checkpoints.about(run, tuned)
    verdicts = judge_gates(figures, about["summary"]["status"], config.bars())
    verdicts.append(judge_verdict(lake, evaluation.versions["reward_judge"], limits))
    verdicts.append(withdrawn_verdict(lake, tuned, config.again))
    table = pl.DataFrame([vars(verdict) for verdict in verdicts])
    before = lake.manifest(ASSET)
    rows = promoted(lake)
    refused = [verdict.gate for verdict in verdicts if not verdict.passed]
    if refused:
        context.log.warning(f"refused by {', '.join(refused)}; what was in use stays in use")
        return commit_promotions(lake, rows, table, config.objective, before)

    learned = {
        name: learned_from(checkpoints.about(name, version))
        for name, version in about["parents"].items()
        if name.startswith("reward_")
    }

    def write(target: Path) -> None:
        shutil.copytree(folder, target, dirs_exist_ok=True)
        (target / "manifest.json").unlink()
        card = model_card(config.objective, about, learned, figures, verdicts)
        (target / "README.md").write_text(card)

    version = checkpoints.save("promoted_diffusion", write, about=about)
    if not rows.height or rows["checkpoint"][-1] != version:
        row = [(version, config.objective, evaluation.versions["base_diffusion"], tuned)]
        rows = pl.concat([rows, pl.DataFrame(row, schema=HISTORY, orient="row")])
    context.log.info(f"promoted: checkpoint {version}")
    withdrawn = promoted(lake, "withdrawn").filter(pl.col("tuned").ne_missing(tuned))
    return commit_promotions(lake, rows, table, config.objective, before, withdrawn)


def _before_after(lake: Lake, objective: str) -> dg.MarkdownMetadataValue:
    """Some pictures of the last evaluation, the base's left of the tuned model's."""
    if lake.manifest("rl_evaluation", objective) is None:
        return contact_sheet([], [])
    samples = lake.read("rl_evaluation", "samples", objective)
    pictures, captions = [], []
    for row in samples.sample(min(SHEET_PAIRS, samples.height), seed=0).to_dicts():
        pictures += [lake.image(row["base_image"]), lake.image(row["tuned_image"])]
        captions += [f"base: {row['prompt']}", "tuned"]
    return contact_sheet(pictures, captions)


def judge_verdict(lake: Lake, version: str, limits: Limits) -> Verdict:
    """Whether the judge that the figures rest on can judge, whatever the checks of its run said.

    A judge that was trained anew since then was not asked: its figures are missing.
    """
    wanted = "the judge that was asked passed its own examination"
    manifest = lake.manifest("reward_models", "judge")
    if manifest is None or manifest.versions["checkpoint"] != version:
        return Verdict("judge", None, wanted, False)
    found = reward_figures(lake.read("reward_models", "figures", "judge"), limits)
    return Verdict("judge", None, wanted, not any(one.failure for one in found.values()))


def withdrawn_verdict(lake: Lake, tuned: str, again: bool) -> Verdict:
    """Whether weights were put out of use before: a later evaluation may not bring them back."""
    known = tuned in promoted(lake, "withdrawn")["tuned"].to_list()
    wanted = "were not taken back by `demote`, or `again: true` in the run config"
    return Verdict("withdrawn", None, wanted, again or not known)


def figures_of(table: pl.DataFrame) -> dict[str, float]:
    """Evaluation figures by name, the ends of intervals as `<name>_low` and `<name>_high`."""
    out: dict[str, float] = {}
    for row in table.iter_rows(named=True):
        out[row["name"]] = row["value"]
        if row["name"].startswith(("win_rate", "sp_")):
            out |= {f"{row['name']}_low": row["low"], f"{row['name']}_high": row["high"]}
    return out


@dg.op
def step_back(context: dg.OpExecutionContext, lake: Lake) -> None:
    """Put the weights before the last promotion back into use."""
    before = lake.manifest(ASSET)
    rows = promoted(lake)
    if rows.height < 2:
        raise dg.Failure("there is no earlier promotion to go back to", allow_retries=False)
    kept = rows.head(-1)
    verdicts = lake.read(ASSET, "verdicts")
    gone = pl.concat([promoted(lake, "withdrawn"), rows.tail(1)])
    result = commit_promotions(lake, kept, verdicts, kept["objective"][-1], before, gone)
    context.log_event(
        dg.AssetMaterialization(
            ASSET,
            metadata=result.metadata,
            tags={"dagster/data_version": rows["checkpoint"][-2]},
        )
    )


@dg.job(description="Put the diffusion weights before the last promotion back into use.")
def demote() -> None:
    step_back()
