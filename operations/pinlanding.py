"""The first system through Dagster: from feeds to a published site, and a table of figures."""

import hashlib
import sys
import time
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from operations.instance import environment, only_one, open_instance
from operations.launch import Follower, Worker
from operations.report import MODEL_STEPS, write_report
from operations.state import read_state, write_state
from operations.telling import Teller
from pinlanding_assets.decisions.state import fold
from resources.feeds.catalog_config import OVERRIDES
from resources.feeds.catalog_source import feed_version
from resources.profiles import (
    SANDBOX_WORLD,
    Settings,
    code_version,
    decision_log,
    only_day,
    resources,
    settings,
    start_date,
)

LOCATION = "pinlanding_assets"
SANDBOX_DAYS, SANDBOX_PRODUCTS = 14, 6000
DAILY_HEAD = ("raw_catalog", "catalog", "vlm_attributes", "search_log")
DAILY_TAIL = ("product_embeddings", "product_attributes")
LEARNING = ("attribute_vocabulary", "dual_encoder")
TAIL = (
    *("vector_index", "product_clusters", "demand", "topics", "collections"),
    *("search_log_collections", "keyword_collections"),
    *("collection_ratings", "scorecard"),
    *("collection_covers", "published_collections", "model_ledger", "curation_proposals"),
)
FACETS = ("feed_decisions", "word_decisions", "label_decisions", "page_decisions")
STATE = "pinlanding.json"  # what the last finished run was made from


@dataclass(frozen=True)
class Plan:
    """All days, those that are due, what the result will be made from, and whether it is there."""

    days: list[str]
    due: list[str]
    fingerprint: dict[str, Any]
    finished: bool


def make_collections(world: int = 0) -> None:
    """Make the sandbox's feeds where no catalog is given, run what is due, print the figures.

    Args:
        world: Seed of the sandbox's feeds.
    """
    teller, started = Teller(), time.monotonic()
    chosen = settings()
    environment(chosen)
    with only_one(chosen):
        if chosen.truth:
            _write_world(chosen, world, teller)
        with open_instance() as instance:
            follower = Follower(instance, teller)
            plan = _plan(chosen, instance)
            if plan.finished:
                teller.say(f"{chosen.name}: everything is up to date")
            else:
                teller.say(f"{chosen.name}: {len(plan.due)} of {len(plan.days)} days are due")
                with Worker(LOCATION, follower, chosen.data / "logs" / "worker.log") as worker:
                    _run(worker, plan)
                write_state(chosen.data / STATE, plan.fingerprint)
            rates = {asset: follower.rate(asset) for asset in MODEL_STEPS}
            write_report(chosen, follower.calls, rates, time.monotonic() - started)


def _write_world(chosen: Settings, seed: int, teller: Teller) -> None:
    command = [
        *(sys.executable, "-m", "sandbox.world", str(chosen.data / SANDBOX_WORLD)),
        *("--truth", chosen.truth, "--days", str(SANDBOX_DAYS)),
        *("--products", str(SANDBOX_PRODUCTS)),
        *("--seed", str(seed)),
    ]
    teller.program("feeds", command)


def _run(worker: Worker, plan: Plan) -> None:
    worker.run(FACETS)
    if plan.due:
        worker.run(DAILY_HEAD, plan.due)
    worker.run(LEARNING)
    worker.run(DAILY_TAIL, plan.days)
    worker.run(TAIL)


def _settings_files(chosen: Settings) -> bytes:
    """catalog.yaml, and what a person has said of its vocabulary."""
    overrides = chosen.catalog.with_name(OVERRIDES)
    return chosen.catalog.read_bytes() + (overrides.read_bytes() if overrides.exists() else b"")


def _plan(chosen: Settings, instance: dg.DagsterInstance) -> Plan:
    """A day is due when an asset of it is missing or its feed has changed; all are when the code,
    the profile or catalog.yaml has. What runs again reuses every answer of a model that it has.
    """
    used = resources()
    days = used["source"].days()
    if not days:
        raise SystemExit(f"{chosen.catalog}: no feed was found for any day")
    first = (only_day() or date.fromisoformat(start_date())).isoformat()
    if days[0] < first:
        raise SystemExit(
            f"{chosen.catalog}: there are feeds of {days[0]}, and days begin on {first}: set "
            f"PLATFORM_START_DATE={days[0]}, or days.start_date in platform.yaml"
        )
    feeds = {day: feed_version(used["source"].provenance(day)) for day in days}
    decided = fold(decision_log().events())
    files = hashlib.sha256(_settings_files(chosen)).hexdigest()
    fingerprint = {
        "code": code_version(LOCATION, "resources"),
        "settings": f"{chosen.profile} {files} {decided.version('feeds')}",
        "feeds": feeds,
        "decisions": {facet: decided.version(facet) for facet in ("words", "labels", "pages")},
    }
    before = read_state(chosen.data / STATE)
    changed = before and any(before.get(key) != fingerprint[key] for key in ("code", "settings"))
    there = set() if changed else set(days)
    for asset in DAILY_HEAD:
        there &= instance.get_materialized_partitions(dg.AssetKey(asset))
    manifests = {day: used["lake"].manifest("raw_catalog", day) for day in there}
    same = {
        day for day, found in manifests.items() if found and found.versions["feed"] == feeds[day]
    }
    return Plan(days, [day for day in days if day not in same], fingerprint, before == fingerprint)
