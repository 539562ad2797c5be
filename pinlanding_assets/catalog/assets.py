"""Feeds become validated products, images and rejects."""

from collections.abc import Iterator

import dagster as dg
import polars as pl
import pydantic

from pinlanding_assets.catalog.images import normalise_all
from pinlanding_assets.checks import CHECKS, catalog_day, raw_day
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.partitions import DAILY, RANGE
from resources.feeds.catalog_source import NO_FEED, CatalogSource, feed_version
from resources.lake import Lake
from resources.quality import Limits, daily_results, specs, stop
from resources.reporting import (
    Progress,
    contact_sheet,
    feeds_table,
    markdown_table,
    rounded,
    table_metadata,
)


class Feeds(dg.Config):
    """Days whose feed was withdrawn: they become empty. For any other day a feed must be there."""

    withdrawn: list[str] = pydantic.Field(default_factory=list)


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    group_name="catalog",
    kinds={"parquet"},
    code_version="1",
    check_specs=specs(CHECKS, "raw_catalog"),
)
def raw_catalog(
    context: dg.AssetExecutionContext,
    config: Feeds,
    source: CatalogSource,
    lake: Lake,
    limits: Limits,
) -> Iterator[dg.MaterializeResult]:
    """The day's feed as received: one row a record, with the hash of the file that it came in."""
    from pinlanding_assets.catalog.schema import Records

    found = {}
    for day in context.partition_keys:
        withdrawn = not source.has_feed(day) and (
            day in config.withdrawn or is_withdrawn(lake, day)
        )
        provenance = [] if withdrawn else source.provenance(day)
        records = (
            Records.create_empty() if withdrawn else Records.validate(source.read_records(day))
        )
        manifest = lake.commit(
            "raw_catalog",
            {"records": records},
            partition=day,
            versions={"feed": feed_version(provenance)},
        )
        context.add_asset_metadata(
            {
                **table_metadata(manifest, "records", COLUMNS["raw_catalog"]),
                "broken_rows": records.height - records["error"].null_count(),
                "feeds": feeds_table(provenance),
                "unreadable": markdown_table(
                    records.filter(pl.col("error").is_not_null())
                    .select("file", "row", "error")
                    .head(20)
                    .to_dicts()
                ),
            },
            partition_key=day,
        )
        said = " (the feed was withdrawn)" if withdrawn else ""
        context.log.info(f"raw_catalog {day}: {records.height:,} records{said}")
        found[day] = raw_day(records, _records_before(lake, day), limits)
    results = daily_results(CHECKS, "raw_catalog", "records", found, lake, limits)
    yield dg.MaterializeResult(check_results=results)
    stop(results)


def _records_before(lake: Lake, day: str) -> pl.DataFrame | None:
    earlier = [known for known in lake.partitions("raw_catalog") if known < day]
    return lake.read("raw_catalog", "records", earlier[-1]) if earlier else None


def is_withdrawn(lake: Lake, day: str) -> bool:
    """Whether the day was emptied before, so that a later backfill leaves it empty."""
    found = lake.manifest("raw_catalog", day)
    return found is not None and found.versions["feed"] == NO_FEED


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    deps=[raw_catalog],
    group_name="catalog",
    kinds={"parquet", "polars"},
    code_version="2",
    check_specs=specs(CHECKS, "catalog"),
)
def catalog(
    context: dg.AssetExecutionContext, source: CatalogSource, lake: Lake, limits: Limits
) -> Iterator[dg.MaterializeResult]:
    """The day's new, changed and deleted products, validated; every reject with its reason."""
    from pinlanding_assets.catalog.feed import finish, parse_records

    mapping, found = source.config().model_dump(), {}
    for day in context.partition_keys:
        records = lake.read("raw_catalog", "records", day)
        parsed = parse_records(records, mapping)
        results = []
        progress = Progress(
            context.log.info, f"catalog {day}", parsed.image_references.height, "images"
        )
        for result in normalise_all(parsed.image_references, source.fetch_image, lake.put_image):
            results.append(result)
            progress.advance()
        tables = vars(finish(parsed, results))
        manifest = lake.commit("catalog", tables, partition=day)
        pictured = tables["products"].filter(pl.col("images").list.len() > 0)
        refused = tables["rejects"]["row"].n_unique()
        sample = pictured.sample(min(18, pictured.height), seed=0)
        context.add_asset_metadata(
            {
                **table_metadata(manifest, "products", COLUMNS["catalog"]),
                **rounded({"reject_rate": refused / max(1, records.height)}),
                "superseded_rows": parsed.superseded,
                "rejects": markdown_table(
                    tables["rejects"]
                    .group_by("field", "reason")
                    .len("rows")
                    .sort("rows", "field", "reason", descending=[True, False, False])
                    .head(30)
                    .to_dicts()
                ),
                "products_sheet": contact_sheet(
                    [lake.image(images[0]) for images in sample["images"]], list(sample["title"])
                ),
            },
            partition_key=day,
        )
        context.log.info(
            f"catalog {day}: {tables['products'].height:,} products, "
            f"{tables['rejects'].height:,} rejects"
        )
        found[day] = catalog_day(records.height, tables["rejects"], limits)
    results = daily_results(CHECKS, "catalog", "products", found, lake, limits)
    yield dg.MaterializeResult(check_results=results)
    stop(results)
