"""Agents look at the catalog and propose; people and a policy decide."""

import polars as pl

from pinlanding_assets.attributes.describing import current
from pinlanding_assets.catalog.live import live
from pinlanding_assets.curation.desk import Desk
from pinlanding_assets.curation.view import LakeView
from pinlanding_assets.decisions.assets import heard
from pinlanding_assets.embeddings.assets import current_assignments
from resources.decisions import DecisionLog
from resources.feeds.catalog_source import CatalogSource
from resources.lake import Lake


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

    return LakeView(
        source.config(),
        lake.read,
        products=products,
        records=records,
        said=said,
        assigned=lambda: current_assignments(lake),
    )


def desk_of(lake: Lake, source: CatalogSource, log: DecisionLog) -> Desk:
    """Where decisions on this catalog are made."""
    return Desk(log, view_of(lake, source))
