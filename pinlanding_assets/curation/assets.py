"""Agents look at the catalog and propose; people and a policy decide."""

from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field, ValidationError

from pinlanding_assets.attributes.describing import current
from pinlanding_assets.catalog.live import live, sellable, with_family, with_looks
from pinlanding_assets.checks import CHECKS, proposals_answered
from pinlanding_assets.collections.assets import arrangement_of, gates_of
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.curation.agenda import batch_of, find_cases, propose_all
from pinlanding_assets.curation.cases import Policy
from pinlanding_assets.curation.desk import Desk, Refused, open_proposals
from pinlanding_assets.curation.shadow import Shadow
from pinlanding_assets.curation.view import LakeView, encoder_reads
from pinlanding_assets.decisions.assets import decisions, heard
from pinlanding_assets.decisions.facets import operations_of
from pinlanding_assets.decisions.operations import parse
from pinlanding_assets.decisions.state import canonical
from pinlanding_assets.embeddings.assets import current_assignments
from pinlanding_assets.partitions import EVERY_DAY
from pinlanding_assets.topics.assets import mining_of
from resources.decisions import DecisionLog
from resources.feeds.catalog_source import CatalogSource
from resources.lake import Lake
from resources.quality import Limits, check_results, specs
from resources.reporting import markdown_table, table_metadata


def view_of(lake: Lake, source: CatalogSource) -> LakeView:
    """The catalog as agents and operations see it: what sellers, models and searchers say."""

    def products() -> pl.DataFrame:
        return live(lake.scan("catalog", "products")).collect()

    def said() -> pl.DataFrame:
        shelf = products()
        return heard(lake).heard(
            current(lake.scan("vlm_attributes", "mentions").collect(), shelf), shelf
        )

    def records(most: int) -> pl.DataFrame:
        newest = lake.partitions("raw_catalog")[-1:]
        return lake.scan("raw_catalog", "records", newest).drop("date").head(most).collect()

    def reads(ids: pl.Series) -> pl.DataFrame:
        wanted = products().filter(pl.col("product_id").is_in(ids.implode()))
        return encoder_reads(
            wanted.select("product_id", "date"),
            lake.scan("product_embeddings", "embeddings"),
            lake.read("attribute_vocabulary", "entries"),
            lake.read("attribute_vocabulary", "keys"),
            lake.read("dual_encoder", "calibration"),
            lake.read("dual_encoder", "read_entries")["entry_id"].to_list(),
        )

    return LakeView(
        source.config(),
        lake.read,
        products=products,
        records=records,
        said=said,
        assigned=lambda: current_assignments(lake),
        reads=reads,
    )


def desk_of(lake: Lake, source: CatalogSource, log: DecisionLog) -> Desk:
    """Where decisions on this catalog are made."""
    return Desk(log, view_of(lake, source))


def shadow_of(lake: Lake, source: CatalogSource, view: LakeView) -> Shadow:
    """The pages of today, to be made with and without operations."""
    products = live(lake.scan("catalog", "products"))
    looks = with_looks(products, lake.scan("catalog", "images")).collect()
    on_sale = with_family(sellable(looks))["family"].n_unique()
    vectors = lake.scan("product_embeddings", "embeddings").join(
        products.select("product_id", "date"), on=["product_id", "date"], how="semi"
    )
    return Shadow(
        view,
        looks,
        vectors.select("product_id", "vector").collect(),
        lake.read("product_clusters", "members"),
        gates_of(source, with_family(looks)),
        arrangement_of(source),
        mining_of(source, on_sale),
        operations_of(decisions(lake, "pages")),
    )


@dg.asset(
    deps=[
        *("attribute_vocabulary", "dual_encoder", "demand", "product_clusters", "topics"),
        *("collections", "page_decisions"),
        dg.AssetDep("product_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("product_embeddings", partition_mapping=EVERY_DAY),
        dg.AssetDep("vlm_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
    ],
    group_name="curation",
    kinds={"polars", "parquet"},
    code_version="1",
    check_specs=specs(CHECKS, "curation_proposals"),
)
def curation_proposals(
    source: CatalogSource, lake: Lake, decision_log: DecisionLog, limits: Limits
) -> dg.MaterializeResult:
    """What the agents found today, with who speaks for it; nothing is done by this."""
    desk, view = desk_of(lake, source, decision_log), view_of(lake, source)
    shadow = shadow_of(lake, source, view)
    cases = find_cases(view, least=shadow.gates.min_products)
    table = propose_all(cases, Policy(view.products.height), desk, shadow)
    manifest = lake.commit("curation_proposals", {"proposals": table})
    waiting = open_proposals(decision_log.events())
    found = proposals_answered([one.age() for one in waiting], limits)
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "proposals", COLUMNS["curation_proposals"]),
            "waiting": len(waiting),
            # what the job decide wants for an approval
            "answers": markdown_table(
                {"proposal": one.id, "seen": one.seen, "operation": canonical(one.operation)}
                for one in waiting[:60]
            ),
            "verdicts": markdown_table(
                table.group_by("agent", "verdict").len("cases").sort("agent", "verdict").to_dicts()
            ),
            "proposals": markdown_table(table.drop("agent").head(60).to_dicts()),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=check_results(CHECKS, "curation_proposals", {None: found}),
    )


@dg.op
def apply_batch(
    context: dg.OpExecutionContext, source: CatalogSource, lake: Lake, decision_log: DecisionLog
) -> None:
    """Do what the policy lets be done without a person, unless the pages would be worse for it."""
    desk, view = desk_of(lake, source, decision_log), view_of(lake, source)
    table = lake.read("curation_proposals", "proposals")
    waiting = open_proposals(decision_log.events())
    batch = batch_of(waiting, table, shadow_of(lake, source, view))
    context.add_output_metadata(
        {
            "decided": len(batch.proposals) if not batch.harm else 0,
            "left_as_control": batch.control,
            "harm": batch.harm or "none",
            "preview": dg.MetadataValue.json(batch.preview),
        }
    )
    if batch.harm:
        context.log.warning(f"{len(batch.proposals)} proposals wait for a person: {batch.harm}")
        return
    for actor in sorted({one.actor for one in batch.proposals}):
        own = [(one.id, one.seen) for one in batch.proposals if one.actor == actor]
        made = desk.approve_all(own, actor)
        context.log.info(f"{actor}: {len(made)} decided")


@dg.job
def apply_decisions() -> None:
    """The proposals that the policy calls auto are decided together; `follow` does the rest."""
    apply_batch()


class Answers(dg.Config):
    """What a person has to say."""

    person: str = Field(min_length=1, max_length=64, description="Who decides.")
    decide: list[dict[str, Any]] = Field(
        default=[], description='Operations: {"operation": "word.keep", "key": ..., "word": ...}.'
    )
    approve: dict[str, str] = Field(
        default={}, description="Proposals: id -> `seen`, the hash of what was looked at."
    )
    refuse: list[str] = Field(default=[], description="Ids of proposals.")
    revert: list[str] = Field(default=[], description="Ids of decisions.")
    cascade: bool = Field(default=False, description="With those that stand on them.")


@dg.op
def answer(
    context: dg.OpExecutionContext,
    config: Answers,
    source: CatalogSource,
    lake: Lake,
    decision_log: DecisionLog,
) -> None:
    """Write a person's answers into the log, in the order: revert, refuse, approve, decide."""
    desk, actor = desk_of(lake, source, decision_log), f"person:{config.person}"
    try:
        for one in config.revert:
            desk.revert(one, actor, cascade=config.cascade)
        for one in config.refuse:
            desk.refuse(one, actor)
        for one, seen in config.approve.items():
            desk.approve(one, seen, actor)
        for told in config.decide:
            desk.decide(parse(told), actor)
    except (Refused, ValidationError) as error:
        raise dg.Failure(str(error)) from None
    context.log.info(f"{actor}: answered")


@dg.job
def decide() -> None:
    """A person decides operations, answers proposals, or takes decisions back."""
    answer()


def decide_at_once(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """After every look of the agents, what the policy calls auto is decided."""

    @dg.asset_sensor(
        asset_key=curation_proposals.key,
        job=apply_decisions,
        default_status=status,
        description="Decides what the policy lets agents do without a person.",
    )
    def at_once(_: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest:
        return dg.RunRequest(run_key=event.run_id)

    return at_once
