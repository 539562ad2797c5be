"""Feeds become validated products, images and rejects."""

import dagster as dg
import polars as pl
import pydantic

from pinlanding_assets.catalog.feed import finish, parse_records
from pinlanding_assets.catalog.images import normalise_all
from pinlanding_assets.catalog.schema import Records
from pinlanding_assets.partitions import DAILY, RANGE
from resources.catalog_source import CatalogSource, feed_version
from resources.lake import Lake
from resources.reporting import Progress, contact_sheet, markdown_table, table_metadata

PRODUCT_COLUMNS = {
    "operation": "upsert or delete",
    "images": "content hashes, the main image first",
    "price": "in units of `currency`",
    "attributes": "what the catalog itself says, as received",
    "row": "line of the feed, from 1",
}


class Feeds(dg.Config):
    """Days whose feed was withdrawn: they become empty. For any other day a feed must be there."""

    withdrawn: list[str] = pydantic.Field(default_factory=list)


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    group_name="catalog",
    kinds={"parquet"},
    code_version="1",
)
def raw_catalog(
    context: dg.AssetExecutionContext, config: Feeds, source: CatalogSource, lake: Lake
) -> dg.MaterializeResult:
    """The day's feed as received: one row a record, with the hash of the file that it came in."""
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
                **table_metadata(manifest, "records"),
                "broken_rows": records.height - records["error"].null_count(),
                "feeds": markdown_table(provenance),
            },
            partition_key=day,
        )
        said = " (the feed was withdrawn)" if withdrawn else ""
        context.log.info(f"raw_catalog {day}: {records.height:,} records{said}")
    return dg.MaterializeResult()


def is_withdrawn(lake: Lake, day: str) -> bool:
    """Whether the day was emptied before, so that a later backfill leaves it empty."""
    found = lake.manifest("raw_catalog", day)
    return found is not None and found.versions["feed"] == feed_version([])


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    deps=[raw_catalog],
    group_name="catalog",
    kinds={"parquet", "polars"},
    code_version="1",
)
def catalog(
    context: dg.AssetExecutionContext, source: CatalogSource, lake: Lake
) -> dg.MaterializeResult:
    """The day's new, changed and deleted products, validated; every reject with its reason."""
    mapping = source.config().model_dump()
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
        sample = pictured.sample(min(18, pictured.height), seed=0)
        context.add_asset_metadata(
            {
                **table_metadata(
                    manifest,
                    "products",
                    descriptions=PRODUCT_COLUMNS,
                    lineage={
                        column: [("raw_catalog", "record")]
                        for column in manifest.tables["products"].columns
                    },
                ),
                "reject_rate": tables["rejects"]["row"].n_unique() / max(1, records.height),
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
    return dg.MaterializeResult()
