"""The figures of a data folder: `.data/report.json`, and a short table."""

import os
from collections.abc import Mapping
from typing import Any

import polars as pl

from operations.state import read_state, write_state
from pinlanding_assets.catalog.live import live
from pinlanding_assets.curation.desk import open_proposals
from resources.lake import Lake
from resources.profiles import REPOSITORY, Settings, decision_log, resources

MAIN_FIGURES = (
    *("catalog.products", "catalog.rejects", "collections.published"),
    *("collections.p_at_10", "collections.p_at_10_low", "collections.p_at_10_high"),
    *("search_log.accepted", "search_log.p_at_10", "comparison.unique_good_topics_ratio"),
    *("attributes.precision", "attributes.recall", "attributes.coverage"),
    *("estimated.precision", "estimated.recall", "estimated.p_at_10"),
    *("scorecard.recall_at_10", "scorecard.recall_at_10_every_product"),
    *("scorecard.recall_at_10_image_only", "scorecard.judge_agreement"),
    *("model_calls.vlm", "model_calls.encoder", "seconds.total"),
)
HEADLINES = {  # key of the report under `scorecard.` -> figure of the table
    "p_at_10_relative_gain": "comparison.p_at_10_relative_gain",
    "good_topics": "collections.unique_good_topics",
    "good_topics_search_log": "search_log.unique_good_topics",
    "good_topics_keywords": "keywords.unique_good_topics",
    "good_topics_ratio": "comparison.unique_good_topics_ratio",
    "pair_precision": "collections.pair_precision",
    "products_reached": "collections.coverage",
    "recall_at_10": "recall_at_10",
    "recall_at_10_every_product": "recall_at_10.every_product",
    "recall_at_10_image_only": "recall_at_10.image_only",
    "judge_agreement": "judge.agreement",
    "judge_kappa": "judge.kappa",
    "vlm_calls_saved": "vlm_calls_saved",
}
ARMS = {"collections": "", "search_log": "_search_log", "keywords": "_keywords"}
WITNESSES = ("", "_people", "_judge")  # of P@10, the one to be believed most first
MODEL_STEPS = {"product_embeddings": "encoder", "vlm_attributes": "vlm"}


def headlines(figures: pl.DataFrame) -> dict[str, Any]:
    """The figures under `scorecard.`; a P@10 that the truth does not give is an estimate by people,
    or else by the judge, and its `_basis` says so."""
    rows = {row["name"]: row for row in figures.iter_rows(named=True)}
    found: dict[str, Any] = {}
    for arm, suffix in ARMS.items():
        known = [rows.get(f"{arm}.p_at_10{witness}") for witness in WITNESSES]
        best = next((row for row in known if row and row["value"] is not None), None)
        for key, column in (("", "value"), ("_low", "low"), ("_high", "high"), ("_basis", "basis")):
            found[f"scorecard.p_at_10{key}{suffix}"] = best[column] if best else None
    for key, name in HEADLINES.items():
        found[f"scorecard.{key}"] = _value(rows[name]) if name in rows else None
    return found


def _value(row: Mapping[str, Any]) -> Any:
    whole = row["unit"] == "topics" and row["value"] is not None
    return int(row["value"]) if whole else row["value"]


def costs(
    rates: Mapping[str, float | None], price: float, before: Mapping[str, Any]
) -> dict[str, Any]:
    """What a million items take, from the measured throughput of the steps that run a model.

    Args:
        rates: Asset -> items a second; None: nothing was to do, and the last figure stands.
        price: Of an hour of the device, US$.
        before: The last report.
    """
    found: dict[str, Any] = {}
    for asset, name in MODEL_STEPS.items():
        second, cost = f"scorecard.items_a_second_{name}", f"scorecard.cost_per_million_{name}"
        rate = rates.get(asset)
        if rate:
            found |= {second: round(rate, 2), cost: round(price * 1e6 / rate / 3600, 4)}
        else:
            found |= {key: before.get(key) for key in (second, cost)}
    return found


def pinlanding_figures(
    lake: Lake, calls: Mapping[str, int], seconds: float, site: str
) -> dict[str, Any]:
    """Flat figures of the first system. A figure that nobody can know is None."""
    figures = lake.read("scorecard", "figures")
    scores: dict[str, Any] = {}
    for row in figures.iter_rows(named=True):
        scores[row["name"]] = _value(row)
        if row["name"].endswith(".p_at_10"):
            scores |= {f"{row['name']}_{end}": row[end] for end in ("low", "high")}
    products = live(lake.scan("catalog", "products")).select(pl.len()).collect().item()
    rejects = lake.scan("catalog", "rejects").select(pl.len()).collect().item()
    return {
        "catalog.products": products,
        "catalog.rejects": rejects,
        "collections.published": lake.read("published_collections", "pages").height,
        **scores,
        **headlines(figures),
        "model_calls.vlm": calls.get("vlm_attributes", 0),
        "model_calls.encoder": calls.get("product_embeddings", 0),
        "seconds.total": round(seconds, 1),
        "site": site,
    }


RL_MAIN = (
    *("win_rate", "win_rate_low", "sp_tone_base", "sp_tone", "sp_gender_base", "sp_gender"),
    *("sp_floor", "sp_floor_gender", "composition_base", "composition"),
    *("composition_heldout_base", "composition_heldout", "diversity_ratio", "sharpness_ratio"),
    *("background_diversity_ratio", "seconds"),
)


def rl_figures(lake: Lake, objective: str, seconds: float) -> dict[str, Any]:
    """Flat figures of one run of the second system, without the prefix `rl.<objective>.`."""
    figures: dict[str, Any] = {}
    for row in lake.read("rl_evaluation", "figures", objective).iter_rows(named=True):
        figures[row["name"]] = row["value"]
        if row["name"] == "win_rate":
            figures |= {"win_rate_low": row["low"], "win_rate_high": row["high"]}
    manifest = lake.manifest("rl_diffusion_weights", objective)
    history = lake.read("rl_diffusion_weights", "history", objective)
    figures["seconds.training"] = history["seconds"].max()
    figures["checkpoint"] = manifest.versions["checkpoint"] if manifest else None
    return figures | {"seconds": round(seconds, 1)}


def write_rl_report(chosen: Settings, objective: str, seconds: float) -> None:
    """Add a run's figures to the report and print the main ones."""
    figures = rl_figures(resources()["lake"], objective, seconds)
    path = chosen.data.parent / "report.json"
    report = read_state(path)
    report.setdefault("rl", {}).update({f"rl.{objective}.{k}": v for k, v in figures.items()})
    write_state(path, report)
    print()
    for name in RL_MAIN:
        print(f"  rl.{objective}.{name:<34} {_shown(figures.get(name))}")


def _shown(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_report(
    chosen: Settings,
    calls: Mapping[str, int],
    rates: Mapping[str, float | None],
    seconds: float,
) -> None:
    """Write the report, print its main figures and what to look at next."""
    index = chosen.data / "site" / "current" / "index.html"
    site = str(index.relative_to(REPOSITORY)) if index.is_relative_to(REPOSITORY) else str(index)
    figures = pinlanding_figures(resources()["lake"], calls, seconds, site)
    path = chosen.data.parent / "report.json"
    report = read_state(path)
    before = report.get("pinlanding", {})
    report["pinlanding"] = figures | costs(rates, chosen.profile.price_per_hour, before)
    write_state(path, report)
    print()
    for name in MAIN_FIGURES:
        print(f"  {name:<40} {_shown(figures.get(name))}")
    argument = "" if chosen.truth else f" CATALOG={os.path.relpath(chosen.catalog, REPOSITORY)}"
    print(f"\nPublished site:  {site}\nDagster UI:      make dev{argument}")
    waiting = len(open_proposals(decision_log().events()))
    agents = f"{waiting} proposals wait for your answer: " if waiting else ""
    print(f"Curation:        {agents}make curate{argument}\n")
