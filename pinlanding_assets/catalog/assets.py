"""Feeds become validated products, images and rejects."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import dagster as dg
import polars as pl
import pydantic

from pinlanding_assets.catalog.checks import (
    CHECKS,
    Received,
    catalog_day,
    field_shares,
    profile,
    raw_day,
    repeated_share,
    whole_export,
)
from pinlanding_assets.catalog.images import normalise_all
from pinlanding_assets.catalog.live import live, live_ids
from pinlanding_assets.catalog.shown import day_shown
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.decisions.assets import decisions
from pinlanding_assets.decisions.facets import read_feeds
from pinlanding_assets.partitions import DAILY, RANGE
from resources.feeds.catalog_source import MISSING, NO_FEED, CatalogSource, feed_version
from resources.feeds.rows import FeedError
from resources.lake import Lake
from resources.quality import Limits, daily_results, specs, stop
from resources.reporting import Progress, feeds_table, markdown_table, table_metadata


class Feeds(dg.Config):
    """Days whose feed was withdrawn: they become empty. For any other day a feed must be there."""

    withdrawn: list[str] = pydantic.Field(default_factory=list)


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    group_name="catalog",
    kinds={"parquet"},
    code_version="2",
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
            day in config.withdrawn
            or is_withdrawn(lake, day)
            or (source.config().missing_day == "empty" and len(context.partition_keys) > 1)
        )
        received, missing = Received(), ""
        try:
            provenance = [] if withdrawn else source.provenance(day)
            blocks = [Records.create_empty()] if withdrawn else source.record_blocks(day)
            manifest = lake.commit(
                "raw_catalog",
                {"records": map(Records.validate, received.watch(blocks))},
                partition=day,
                versions={"feed": feed_version(provenance)},
            )
        except FeedError as error:
            if len(context.partition_keys) == 1:
                raise
            # one day of several: the others go on, and what was known of this one stays
            missing, _, _ = str(error.description).partition("\n")
            provenance, received = [], Received()
            context.log.error(f"raw_catalog {day}: {missing}")
            manifest = lake.manifest("raw_catalog", day) or lake.commit(
                "raw_catalog",
                {"records": Records.create_empty()},
                partition=day,
                versions={"feed": MISSING},
            )
        context.add_asset_metadata(
            {
                **table_metadata(manifest, "records", COLUMNS["raw_catalog"]),
                "broken_rows": received.broken,
                "feeds": feeds_table(provenance),
                "read_as": markdown_table(
                    {"file": file, "read as": how} for file, how in source.read_as().items()
                ),
                "unreadable": markdown_table(received.unreadable[:20]),
            },
            partition_key=day,
        )
        said = " (the feed was withdrawn)" if withdrawn else ""
        context.log.info(f"raw_catalog {day}: {received.rows:,} records{said}")
        before, mapped = _fields_before(lake, day), source.mapped(day)
        found[day] = raw_day(received, before, limits, mapped, missing)
    results = daily_results(CHECKS, "raw_catalog", "records", found, lake, limits)
    yield dg.MaterializeResult(check_results=results)
    stop(results)


def _fields_before(lake: Lake, day: str) -> Mapping[str, float] | None:
    earlier = [known for known in lake.partitions("raw_catalog") if known < day]
    if not earlier:
        return None
    records = lake.scan("raw_catalog", "records", earlier[-1:]).select("record", "error")
    return field_shares(records.filter(pl.col("error").is_null()).head(1_000).collect())


def is_withdrawn(lake: Lake, day: str) -> bool:
    """Whether the day was emptied before, so that a later backfill leaves it empty."""
    found = lake.manifest("raw_catalog", day)
    return found is not None and found.versions["feed"] == NO_FEED


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    deps=[raw_catalog, "feed_decisions"],
    group_name="catalog",
    kinds={"parquet", "polars"},
    code_version="7",
    check_specs=specs(CHECKS, "catalog"),
)
def catalog(
    context: dg.AssetExecutionContext, source: CatalogSource, lake: Lake, limits: Limits
) -> Iterator[dg.MaterializeResult]:
    """The day's new, changed and deleted products, validated; every reject with its reason."""
    from pinlanding_assets.catalog.feed import finish, parse_records

    settings, found = source.config(), {}
    mapping = read_feeds(settings.model_dump(), decisions(lake, "feeds"))
    known = _known_before(lake, context.partition_keys[0])
    for day in context.partition_keys:
        parsed = parse_records(lake.read_in_parts("raw_catalog", "records", day), mapping, day)
        if whole_export(parsed.products, known, limits).failure:
            rows = lake.rows("raw_catalog", "records", day)
            found[day] = catalog_day(rows, parsed, parsed.rejects, known, limits)
            continue  # it would empty the shop: what was known of the day stays
        results = []
        progress = Progress(
            context.log.info, f"catalog {day}", parsed.image_references.height, "images"
        )
        for result in normalise_all(parsed.image_references, source.fetch_image, lake.put_image):
            results.append(result)
            progress.advance()
        tables = vars(finish(parsed, results))
        before = _before(lake, day, limits)
        profiled = profile(parsed)
        manifest = lake.commit("catalog", {**tables, "profile": profiled}, partition=day)
        records = lake.rows("raw_catalog", "records", day)
        found[day] = catalog_day(
            *(records, parsed, tables["rejects"], known, limits),
            rows_said=settings.rows != "auto",
            repeated=None
            if "snapshot" in settings.model_fields_set
            else repeated_share(tables["products"], before.products),
            profiles=[*before.profiles, profiled],
        )
        known = live_ids(known, tables["products"])
        context.add_asset_metadata(
            day_shown(manifest, parsed, tables, profiled, records, lake), partition_key=day
        )
        context.log.info(
            f"catalog {day}: {tables['products'].height:,} products, "
            f"{tables['rejects'].height:,} rejects"
        )
    results = daily_results(CHECKS, "catalog", "products", found, lake, limits)
    yield dg.MaterializeResult(check_results=results)
    stop(results)


class _Before(NamedTuple):
    products: pl.DataFrame | None
    profiles: list[pl.DataFrame]


def _before(lake: Lake, day: str, limits: Limits) -> _Before:
    """The products of the day before, and the profiles of some days."""
    earlier = [known for known in lake.partitions("catalog") if known < day]
    profiles = [lake.read("catalog", "profile", one) for one in earlier[-limits.days_before :]]
    return _Before(lake.read("catalog", "products", earlier[-1]) if earlier else None, profiles)


def _known_before(lake: Lake, day: str) -> pl.Series:
    """The ids of the catalog before a day."""
    earlier = [known for known in lake.partitions("catalog") if known < day]
    if not earlier:
        return pl.Series("product_id", [], pl.String)
    products = live(lake.scan("catalog", "products", earlier))
    return products.select("product_id").collect()["product_id"]
