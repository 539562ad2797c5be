"""The whole path through Dagster, from feeds to a published site, and a table of figures."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from operations.instance import Server, environment, only_one, open_instance, server
from operations.report import write_report
from resources.catalog_source import feed_version
from resources.profiles import REPOSITORY, SANDBOX_WORLD, Settings, resources, settings

LOCATION = "pinlanding_assets"
SANDBOX_DAYS, SANDBOX_PRODUCTS = 14, 6000
DAILY_HEAD = ("raw_catalog", "catalog", "vlm_attributes", "search_log")
DAILY_TAIL = ("product_embeddings", "product_attributes")
LEARNING = ("attribute_vocabulary", "dual_encoder")
TAIL = (
    *("vector_index", "product_clusters", "demand", "topics", "collections"),
    *("published_collections", "search_log_collections", "scorecard"),
)
POLL_SECONDS = 2.0
STATE = "demo.json"  # what the last finished demo was made from
LAUNCH_BACKFILL = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
LAUNCH_RUN = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""


@dataclass(frozen=True)
class Plan:
    """All days, those that are due, what the result will be made from, and whether it is there."""

    days: list[str]
    due: list[str]
    fingerprint: dict[str, Any]
    finished: bool


@dataclass
class Follower:
    """Prints what runs say while they run, and keeps what they materialized."""

    instance: dg.DagsterInstance
    started: float = field(default_factory=time.monotonic)
    cursors: dict[str, str | None] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)  # asset -> items a model worked on

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"[{minutes:02d}:{seconds:02d}] {text}", flush=True)

    def wait(self, filters: dg.RunsFilter, *, backfill: str | None = None) -> None:
        """Follow the runs that match until they, and the backfill, have ended.

        Raises:
            SystemExit: a run or the backfill failed; says where to look.
        """
        while True:
            runs = self.instance.get_runs(filters)
            for run in runs:
                self._print_new(run.run_id)
            failed = [run for run in runs if run.status == dg.DagsterRunStatus.FAILURE]
            ended = bool(runs) and all(run.is_finished for run in runs)
            if backfill and not failed:
                found = self.instance.get_backfill(backfill)
                ended = found is not None and found.status.value.startswith("COMPLETED")
                if found is not None and found.status.value in ("FAILED", "CANCELED"):
                    raise SystemExit(f"backfill {backfill}: {found.status.value} {found.error}")
            if ended and not failed:
                return
            if failed and ended | bool(backfill):
                raise SystemExit(f"run {failed[0].run_id} failed; `make dev` shows it under Runs.")
            time.sleep(POLL_SECONDS)

    def _print_new(self, run_id: str) -> None:
        page = self.instance.get_records_for_run(run_id, cursor=self.cursors.get(run_id), limit=500)
        self.cursors[run_id] = page.cursor
        for record in page.records:
            entry = record.event_log_entry
            event = entry.dagster_event
            if event is None:
                self.say(entry.user_message.strip())
            elif event.event_type_value == "ASSET_MATERIALIZATION":
                self._materialized(event.step_materialization_data.materialization)
            elif event.event_type_value in ("STEP_FAILURE", "RUN_FAILURE", "STEP_UP_FOR_RETRY"):
                data = getattr(event, "step_failure_data", None)
                error = data.error.message if data and data.error else event.message
                self.say(f"FAILED {event.step_key or 'run'}: {str(error).strip()[:2000]}")

    def _materialized(self, event: dg.AssetMaterialization) -> None:
        asset = event.asset_key.to_user_string()
        rows = event.metadata.get("dagster/row_count")
        calls = event.metadata.get("model_calls")
        if calls is not None:
            self.calls[asset] = self.calls.get(asset, 0) + int(str(calls.value))
        day = f" {event.partition}" if event.partition else ""
        self.say(f"{asset}{day}: {rows.value:,} rows" if rows else f"{asset}{day}: done")


def demo() -> None:
    """Make the sandbox's feeds where no catalog is given, run what is due, print the figures."""
    started = time.monotonic()
    chosen = settings()
    environment(chosen)
    with only_one(chosen):
        if chosen.truth:
            _write_world(chosen)
        with open_instance() as instance:
            follower = Follower(instance, started)
            plan = _plan(chosen, instance)
            if plan.finished:
                follower.say(f"{chosen.name}: everything is up to date")
            else:
                follower.say(
                    f"{chosen.name}: {len(plan.due)} of {len(plan.days)} days are due; "
                    "starting Dagster"
                )
                with server(chosen) as live:
                    _run(live, follower, plan)
                (chosen.data / STATE).write_text(json.dumps(plan.fingerprint))
            write_report(chosen, follower.calls, time.monotonic() - started)


def _write_world(chosen: Settings) -> None:
    command = [
        *(sys.executable, "-m", "sandbox.world", str(chosen.data / SANDBOX_WORLD)),
        *("--truth", chosen.truth, "--days", str(SANDBOX_DAYS)),
        *("--products", str(SANDBOX_PRODUCTS)),
    ]
    subprocess.run(command, check=True, cwd=REPOSITORY)


def _run(live: Server, follower: Follower, plan: Plan) -> None:
    if plan.due:
        _backfill(live, follower, DAILY_HEAD, plan.due)
    _launch(live, follower, LEARNING)
    _backfill(live, follower, DAILY_TAIL, plan.days)
    _launch(live, follower, TAIL)


def _backfill(live: Server, follower: Follower, assets: Sequence[str], days: Sequence[str]) -> None:
    follower.say(f"backfill of {len(days)} days: {', '.join(assets)}")
    params = {
        "assetSelection": [{"path": [asset]} for asset in assets],
        "partitionNames": list(days),
        "title": f"demo: {assets[0]} to {assets[-1]}",
    }
    answer = live.query(LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
    if "backfillId" not in answer:
        raise SystemExit(f"the backfill was refused: {answer}")
    backfill = answer["backfillId"]
    follower.wait(dg.RunsFilter(tags={"dagster/backfill": backfill}), backfill=backfill)


def _launch(live: Server, follower: Follower, assets: Sequence[str]) -> None:
    follower.say(f"run: {', '.join(assets)}")
    selector = {
        "repositoryLocationName": LOCATION,
        "repositoryName": "__repository__",
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": [asset]} for asset in assets],
    }
    params = {"selector": selector, "mode": "default"}
    answer = live.query(LAUNCH_RUN, params=params)["launchRun"]
    if "run" not in answer:
        raise SystemExit(f"the run was refused: {answer}")
    follower.wait(dg.RunsFilter(run_ids=[answer["run"]["runId"]]))


def _plan(chosen: Settings, instance: dg.DagsterInstance) -> Plan:
    """A day is due when an asset of it is missing or its feed has changed; all are when the code,
    the profile or catalog.yaml has. What runs again reuses every answer of a model that it has.
    """
    used = resources()
    days = used["source"].days()
    if not days:
        raise SystemExit(f"{chosen.catalog}: no feed was found for any day")
    feeds = {day: feed_version(used["source"].provenance(day)) for day in days}
    fingerprint = {
        "code": _code_version(),
        "settings": f"{chosen.profile} {hashlib.sha256(chosen.catalog.read_bytes()).hexdigest()}",
        "feeds": feeds,
    }
    path = chosen.data / STATE
    before = json.loads(path.read_text()) if path.exists() else {}
    changed = before and any(before[key] != fingerprint[key] for key in ("code", "settings"))
    there = set() if changed else set(days)
    for asset in DAILY_HEAD:
        there &= instance.get_materialized_partitions(dg.AssetKey(asset))
    manifests = {day: used["lake"].manifest("raw_catalog", day) for day in there}
    same = {
        day for day, found in manifests.items() if found and found.versions["feed"] == feeds[day]
    }
    return Plan(days, [day for day in days if day not in same], fingerprint, before == fingerprint)


def _code_version() -> str:
    digest = hashlib.sha256()
    for package in ("pinlanding_assets", "resources"):
        for path in sorted((REPOSITORY / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
