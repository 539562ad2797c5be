"""The collections made from content, measured against those made from the search log."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.attributes.describing import current
from pinlanding_assets.catalog.live import live
from pinlanding_assets.checks import CHECKS, accepted_share, measured
from pinlanding_assets.collections.assets import (
    arrangement_of,
    collections,
    first_products_sheet,
    gates_of,
)
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.embeddings.assets import current_assignments
from pinlanding_assets.partitions import EVERY_DAY
from pinlanding_assets.scorecard import search_log_arm
from pinlanding_assets.scorecard.metrics import scorecard as measure
from resources.catalog_source import CatalogSource
from resources.lake import Lake
from resources.quality import Finding, Limits, check_results, specs, stop
from resources.reporting import (
    contact_sheet,
    markdown_table,
    reasons,
    rounded,
    table_metadata,
)
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
    check_specs=specs(CHECKS, "search_log_collections"),
)
def search_log_collections(
    source: CatalogSource, lake: Lake, limits: Limits
) -> dg.MaterializeResult:
    """The baseline: what people searched for, filled by words of titles, behind the same gates."""
    entries, aliases = (
        lake.read("attribute_vocabulary", table) for table in ("entries", "aliases")
    )
    queries = lake.scan("search_log", "queries").rename({"date": "day"}).collect()
    shelf = live(lake.scan("catalog", "products")).collect()
    found, items = search_log_arm.search_log_collections(
        queries,
        shelf,
        entries,
        aliases,
        arrangement=arrangement_of(source),
        gates=gates_of(source),
    )
    manifest = lake.commit("search_log_collections", {"collections": found, "items": items})
    accepted = found.filter(pl.col("accepted"))
    # a shop without a search log has nothing to compare with, and nothing to mend
    checked = accepted_share(found, limits) if queries.height else {"not_empty": Finding(0)}
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "collections", COLUMNS["search_log_collections"]),
            "accepted": accepted.height,
            "refusals": reasons(found.filter(~pl.col("accepted"))["reason"], "collections"),
            "first_products_sheet": first_products_sheet(lake, accepted, items, shelf),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=check_results(CHECKS, "search_log_collections", {None: checked}),
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
    check_specs=specs(CHECKS, "scorecard"),
)
def scorecard(lake: Lake, truth: Truth, limits: Limits) -> Iterator[dg.MaterializeResult]:
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
    measured_of = lake.manifest("collections")
    manifest = lake.commit(
        "scorecard",
        {"figures": figures, "judgements": judgements},
        versions={"collections": measured_of.data_version} if measured_of else {},
    )
    results = check_results(CHECKS, "scorecard", {None: measured(figures, limits)})
    known = figures.filter(pl.col("value").is_not_null())
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "figures", COLUMNS["scorecard"]),
            **rounded(dict(known.select("name", "value").iter_rows())),
            "figures": markdown_table(figures.to_dicts()),
            "wrong_products_sheet": _wrong_products(lake, judgements, products),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=results,
    )
    stop(results)


def _wrong_products(
    lake: Lake, judgements: pl.DataFrame, products: pl.DataFrame
) -> dg.MarkdownMetadataValue:
    """Products that lack an attribute of the page that shows them first, under its title."""
    titles = lake.read("collections", "collections").select("topic_id", "title")
    wrong = (
        judgements.filter(pl.col("arm") == "collections", ~pl.col("correct"))
        .join(titles, on="topic_id")
        .join(products.filter(pl.col("images").list.len() > 0), on="product_id", suffix="_shop")
        .sort("rank", "topic_id")
        .head(24)
    )
    return contact_sheet([lake.image(names[0]) for names in wrong["images"]], list(wrong["title"]))
