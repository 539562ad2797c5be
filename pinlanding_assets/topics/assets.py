"""What people ask for, and the topics that the content itself offers."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.catalog.live import live, sellable, with_family
from pinlanding_assets.checks import CHECKS, accepted_share, searches_understood
from pinlanding_assets.clusters.assets import product_clusters
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.decisions.assets import decisions
from pinlanding_assets.decisions.facets import PageDecisions
from pinlanding_assets.embeddings.assets import assignment_parts
from pinlanding_assets.partitions import DAILY, EVERY_DAY, RANGE
from pinlanding_assets.topics import demand as searches
from pinlanding_assets.topics.judging import judge
from pinlanding_assets.topics.mining import Mining, candidates_of, support_floor
from pinlanding_assets.topics.phrasing import Phraser, retitled, write_titles
from pinlanding_assets.topics.words import plural
from resources.feeds.catalog_source import CatalogSource, feed_version
from resources.lake import ComputeCache, Lake
from resources.language import Language, Remembered
from resources.quality import Limits, check_results, daily_results, specs, stop
from resources.reporting import (
    markdown_table,
    reasons,
    rounded,
    table_metadata,
)


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    group_name="topics",
    kinds={"parquet"},
    code_version="1",
    check_specs=specs(CHECKS, "search_log"),
)
def search_log(
    context: dg.AssetExecutionContext, source: CatalogSource, lake: Lake, limits: Limits
) -> Iterator[dg.MaterializeResult]:
    """What shoppers searched for on the day, cleaned and counted; no rows where there is no log."""
    for day in context.partition_keys:
        queries = searches.clean_queries(source.search_log(day))
        manifest = lake.commit(
            "search_log",
            {"queries": queries},
            partition=day,
            versions={"feed": feed_version(source.log_provenance(day))},
        )
        top = queries.sort("count", "query", descending=[True, False]).head(20)
        context.add_asset_metadata(
            {
                **table_metadata(manifest, "queries", COLUMNS["search_log"]),
                "searches": int(queries["count"].sum()),
                "top_queries": markdown_table(top.to_dicts()),
            },
            partition_key=day,
        )
    found = {day: {} for day in context.partition_keys}
    results = daily_results(CHECKS, "search_log", "queries", found, lake, limits)
    yield dg.MaterializeResult(check_results=results)
    stop(results)


@dg.asset(
    deps=[dg.AssetDep(search_log, partition_mapping=EVERY_DAY), attribute_vocabulary],
    group_name="topics",
    kinds={"parquet"},
    code_version="1",
    check_specs=specs(CHECKS, "demand"),
)
def demand(lake: Lake, limits: Limits) -> Iterator[dg.MaterializeResult]:
    """The shopping intents behind the searches: prefixes and misspellings folded, parsed."""
    entries, aliases = (
        lake.read("attribute_vocabulary", table) for table in ("entries", "aliases")
    )
    logs = lake.scan("search_log", "queries").rename({"date": "day"}).collect()
    found = searches.demand(logs, entries, aliases)
    manifest = lake.commit("demand", {"queries": found})
    results = check_results(CHECKS, "demand", {None: searches_understood(found["parsed"], limits)})
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "queries", COLUMNS["demand"]),
            **rounded({"understood": float(found["parsed"].mean() or 0.0)}),  # type: ignore[arg-type]
            "top_queries": markdown_table(found.head(30).to_dicts()),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=results,
    )
    stop(results)


def mining_of(source: CatalogSource, products: int) -> Mining:
    """Bounds of the search for topics in a catalog with so many products on sale."""
    wanted, least = source.config().collections, support_floor(products)
    if "min_products" in wanted.model_fields_set:  # smaller pages than usual are asked for
        least = min(least, wanted.min_products)
    return Mining(min_support=least)


@dg.asset(
    deps=[
        dg.AssetDep("product_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        attribute_vocabulary,
        product_clusters,
        demand,
        *("label_decisions", "page_decisions"),
    ],
    group_name="topics",
    kinds={"duckdb", "parquet"},
    code_version="4",
    check_specs=specs(CHECKS, "topics"),
)
def topics(
    source: CatalogSource, lake: Lake, cache: ComputeCache, language: Language, limits: Limits
) -> Iterator[dg.MaterializeResult]:
    """Titles worth a page, mined from attribute combinations that enough products carry."""
    entries, keys = (lake.read("attribute_vocabulary", table) for table in ("entries", "keys"))
    shelf = with_family(sellable(live(lake.scan("catalog", "products"))))
    on_sale = shelf.select("product_id", "date", "family").collect(engine="streaming")
    products = on_sale["family"].n_unique()
    decided = PageDecisions.of(decisions(lake, "pages"))
    candidates = candidates_of(
        lambda: assignment_parts(lake, on_sale),
        keys,
        lake.read("demand", "queries"),
        decided.added_of(entries),
        products=products,
        families=on_sale,
        members=lake.read("product_clusters", "members"),
        mining=mining_of(source, products),
    )
    phraser = Phraser(entries, keys, source.config().phrases, plural(source.config().noun))
    model = Remembered(language, cache) if language.available() else None
    titled = write_titles(candidates, phraser, model)
    titled = retitled(titled, decided.titles, phraser)
    newest = str(on_sale["date"].max() or "")
    found = judge(titled, entries, closed=decided.closed(newest))
    manifest = lake.commit("topics", {"topics": found})
    accepted = found.filter(pl.col("accepted"))
    results = check_results(CHECKS, "topics", {None: accepted_share(found, limits)})
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "topics", COLUMNS["topics"]),
            "accepted": accepted.height,
            "written_by_a_model": int(titled["written"].sum()),
            "refusals": reasons(found.filter(~pl.col("accepted"))["reason"], "topics"),
            "titles": markdown_table(
                accepted.select("title", "support", "demand", "searchability", "coherence")
                .head(40)
                .to_dicts()
            ),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=results,
    )
    stop(results)
