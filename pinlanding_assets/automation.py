"""What runs by itself: the night, what follows it, late feeds, and the checks of freshness."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from pinlanding_assets.catalog.assets import is_withdrawn
from pinlanding_assets.decisions.assets import FACET_ASSETS
from pinlanding_assets.decisions.state import fold
from pinlanding_assets.edited_files.assets import read_by
from resources import freshness
from resources.feeds.catalog_source import feed_version
from resources.nights import Feed
from resources.profiles import automation, decision_log
from resources.staleness import Edited, Follow

DAILY = {
    *("raw_catalog", "catalog", "vlm_attributes", "search_log"),
    *("product_embeddings", "product_attributes"),
}
SOURCES = {"search_log"}  # reads feeds: the night and the sensors see to it


def followed(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The asset with its automation condition and its freshness policy, made also from the files
    that people edit."""
    name, chosen = spec.key.to_user_string(), automation()
    rules: dict[str, dict[str, Any]] = {
        # new and late feeds are the night's and the sensors'; this is for an edited catalog.yaml
        "raw_catalog": {"inputs": ("file_settings",)},
        # which of a day's images are described depends on those that the days before brought
        "vlm_attributes": {"earlier": ("catalog",)},
        "attribute_vocabulary": {"cron": chosen.learn_cron},
        # learned with the vocabulary, whose counts change with the data; never between
        "dual_encoder": {"inputs": ("attribute_vocabulary",)},
    }
    if name in FACET_ASSETS:
        return spec.replace_attributes(
            automation_condition=Edited("the log of decisions", name, decided),
            freshness_policy=freshness.FOLLOWING,
        )
    rule = None if name in SOURCES else Follow(chosen.night_cron, **rules.get(name, {}))
    policy = freshness.DAILY if name in DAILY else freshness.FOLLOWING
    return spec.replace_attributes(
        deps=[*spec.deps, *read_by(name)], automation_condition=rule, freshness_policy=policy
    )


def decided(_: str, asset: str) -> str:
    """The version of what the log of decisions says for a facet's asset."""
    return fold(decision_log().events()).version(FACET_ASSETS[asset])


Read = tuple[Mapping[str, str], Callable[[str], str]]  # see `Feed`


def _feeds(used: Mapping[str, Any]) -> Read:
    source, lake = used["source"], used["lake"]
    known = lake.partitions("raw_catalog")
    return source.stamps(known), lambda day: feed_version(source.provenance(day))


def _search_logs(used: Mapping[str, Any]) -> Read:
    source = used["source"]
    return source.log_stamps(), lambda day: feed_version(source.log_provenance(day))


def _withdrawn(days: list[str]) -> dict[str, Any]:
    return {"ops": {"raw_catalog": {"config": {"withdrawn": days}}}}


def _arrived(used: Mapping[str, Any], day: str) -> bool:
    return used["source"].has_feed(day) or is_withdrawn(used["lake"], day)


FEEDS = [
    Feed("late_feeds", "raw_catalog", {"source", "lake"}, _feeds, _withdrawn, _arrived),
    Feed("late_search_logs", "search_log", {"source"}, _search_logs),
]
