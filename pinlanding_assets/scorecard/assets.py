"""The collections made from content, measured against those made from the search log."""

import dagster as dg
import polars as pl

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.attributes.describing import current
from pinlanding_assets.catalog.live import live
from pinlanding_assets.collections.assets import arrangement_of, collections, gates_of
from pinlanding_assets.embeddings.assets import current_assignments
from pinlanding_assets.partitions import EVERY_DAY
from pinlanding_assets.scorecard import search_log_arm
from pinlanding_assets.scorecard.metrics import scorecard as measure
from resources.catalog_source import CatalogSource
from resources.lake import Lake
from resources.reporting import markdown_table, table_metadata
from resources.truth import Truth


@dg.asset(
    deps=[
        dg.AssetDep("search_log", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        attribute_vocabulary,
    ],
    group_name="scorecard",
    kinds={"parquet"},
    code_version="1",
)
def search_log_collections(source: CatalogSource, lake: Lake) -> dg.MaterializeResult:
    """The baseline: what people searched for, filled by words of titles, behind the same gates."""
    entries, aliases = (
        lake.read("attribute_vocabulary", table) for table in ("entries", "aliases")
    )
    found, items = search_log_arm.search_log_collections(
        lake.scan("search_log", "queries").rename({"date": "day"}).collect(),
        live(lake.scan("catalog", "products")).collect(),
        entries,
        aliases,
        arrangement=arrangement_of(source),
        gates=gates_of(source),
    )
    manifest = lake.commit("search_log_collections", {"collections": found, "items": items})
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "collections", lineage={"title": [("search_log", "query")]}),
            "accepted": found.filter(pl.col("accepted")).height,
        },
        data_version=dg.DataVersion(manifest.data_version),
    )


@dg.asset(
    deps=[
        collections,
        search_log_collections,
        dg.AssetDep("product_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("vlm_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        attribute_vocabulary,
    ],
    group_name="scorecard",
    kinds={"parquet"},
    code_version="1",
)
def scorecard(lake: Lake, truth: Truth) -> dg.MaterializeResult:
    """How good the collections are: P@10, topics and coverage of both arms; null without truth."""
    products = live(lake.scan("catalog", "products")).collect()
    figures, judgements = measure(
        {
            arm: (lake.read(asset, "collections"), lake.read(asset, "items"))
            for arm, asset in (
                ("collections", "collections"),
                ("search_log", "search_log_collections"),
            )
        },
        current_assignments(lake),
        current(lake.scan("vlm_attributes", "mentions").collect(), products),
        products,
        lake.read("attribute_vocabulary", "entries"),
        lake.read("attribute_vocabulary", "aliases"),
        truth.attributes(),
    )
    manifest = lake.commit("scorecard", {"figures": figures, "judgements": judgements})
    known = figures.filter(pl.col("value").is_not_null())
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "figures"),
            **dict(known.select("name", "value").iter_rows()),
            "figures": markdown_table(figures.to_dicts()),
        },
        data_version=dg.DataVersion(manifest.data_version),
    )
