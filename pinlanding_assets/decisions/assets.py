"""What was decided enters the graph: a facet of the decisions in force each."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from pinlanding_assets.checks import CHECKS, log_of_decisions
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.decisions.facets import DECISIONS_SCHEMA, WordDecisions, table_of
from pinlanding_assets.decisions.state import State, fold
from resources.decisions import DecisionLog, LogBroken
from resources.lake import Lake
from resources.quality import check_results, specs, stop
from resources.reporting import markdown_table, table_metadata

_SAID = {
    "feeds": "How feeds are read beside what catalog.yaml says: fields and values.",
    "words": "What was decided on words, keys and sources, by people and by agents.",
    "labels": "Labels of single products that somebody has set.",
    "pages": "Topics that were added, refused or named, and products that pages do not show.",
}


FACET_ASSETS = {f"{facet.removesuffix('s')}_decisions": facet for facet in _SAID}
"""Asset -> its facet."""


def asset_of(facet: str) -> str:
    """The asset of a facet."""
    return f"{facet.removesuffix('s')}_decisions"


def decisions(lake: Lake, facet: str) -> pl.DataFrame:
    """What was decided, as the graph knows it; empty in a lake that has no decisions yet."""
    asset = asset_of(facet)
    if lake.manifest(asset) is None:
        return pl.DataFrame(schema=DECISIONS_SCHEMA)
    return lake.read(asset, "decisions")


def heard(lake: Lake) -> WordDecisions:
    """What was decided on words when the vocabulary in force was made."""
    manifest = lake.manifest("attribute_vocabulary")
    if manifest is None or "decided" not in manifest.tables:  # not in one of an earlier release
        return WordDecisions()
    return WordDecisions.of(lake.read("attribute_vocabulary", "decided"))


def _facet(facet: str, description: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=asset_of(facet),
        description=description,
        group_name="decisions",
        kinds={"parquet"},
        code_version="1",
        check_specs=specs(CHECKS, asset_of(facet)),
    )
    def decided(lake: Lake, decision_log: DecisionLog) -> Iterator[Any]:
        fault, state = "", State({})
        try:
            state = fold(decision_log.events())
        except LogBroken as error:
            fault = str(error)
        results = check_results(CHECKS, asset_of(facet), {None: log_of_decisions(fault)})
        if fault:  # what was decided before stays in force
            yield from results
            stop(results)
        table = table_of(state.of(facet))
        manifest = lake.commit(asset_of(facet), {"decisions": table})
        yield dg.MaterializeResult(
            metadata={
                **table_metadata(manifest, "decisions", COLUMNS[asset_of(facet)]),
                "decisions": markdown_table(table.head(60).to_dicts()),
            },
            data_version=dg.DataVersion(state.version(facet)),
            check_results=results,
        )

    return decided


feed_decisions, word_decisions, label_decisions, page_decisions = (
    _facet(facet, said) for facet, said in _SAID.items()
)
