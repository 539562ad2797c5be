"""Code location of the first system: a catalog organises itself into shopping collections."""

import dagster as dg

from pinlanding_assets.attributes import assets as attributes
from pinlanding_assets.automation import DAILY, FEEDS, followed
from pinlanding_assets.catalog import assets as catalog
from pinlanding_assets.clusters import assets as clusters
from pinlanding_assets.collections import assets as collections
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.curation import assets as curation
from pinlanding_assets.decisions import assets as decided
from pinlanding_assets.edited_files.assets import edited_files
from pinlanding_assets.embeddings import assets as embeddings
from pinlanding_assets.encoder import assets as encoder
from pinlanding_assets.ledger import assets as ledger
from pinlanding_assets.scorecard import assets as scorecard
from pinlanding_assets.topics import assets as topics
from resources.automation import automated
from resources.profiles import automation, executor, resources
from resources.reporting import described

STAGES = [
    *(catalog, attributes, encoder, embeddings, clusters, topics, collections, scorecard),
    *(decided, curation, ledger),
]


def _status() -> dg.DefaultSensorStatus:
    running = automation().running
    return dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED


@dg.definitions
def defs() -> dg.Definitions:
    """Assets of every stage, jobs that people start, what runs by itself, and the resources."""
    used = resources()
    assets = dg.Definitions(
        assets=dg.load_assets_from_modules(STAGES),
        sensors=[curation.decide_at_once(_status())],
        jobs=[collections.rollback, curation.apply_decisions, curation.decide],
        resources=used,
        executor=executor(),
    ).permissive_map_resolved_asset_specs(
        func=lambda spec: followed(spec).replace_attributes(
            owners=["team:catalog"],
            metadata={**spec.metadata, **described(COLUMNS, spec)},
        ),
        selection=None,
    )
    files = dg.Definitions(assets=edited_files(used["source"].config_path))
    return automated(dg.Definitions.merge(assets, files), DAILY, FEEDS)
