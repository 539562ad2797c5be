"""Launches backfills and runs as the UI's buttons do, and follows them to their end."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from operations.console import Console, Refused
from operations.instance import Server
from resources.event_log import PARTITION

POLL_SECONDS = 2.0
CALLS, SECONDS = "model_calls", "step_seconds"  # names in the metadata of steps with a model


@dataclass
class Follower:
    """Prints what runs say while they run, and keeps what they materialized."""

    instance: dg.DagsterInstance
    started: float = field(default_factory=time.monotonic)
    cursors: dict[str, str | None] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)  # asset -> items a model worked on
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)  # asset -> run -> of models

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
                self._materialized(run_id, event.step_materialization_data.materialization)
            elif event.event_type_value in ("STEP_FAILURE", "RUN_FAILURE", "STEP_UP_FOR_RETRY"):
                data = getattr(event, "step_failure_data", None)
                error = data.error.message if data and data.error else event.message
                self.say(f"FAILED {event.step_key or 'run'}: {str(error).strip()[:2000]}")

    def rate(self, asset: str) -> float | None:
        """Items a second that a model worked on for an asset; None where nothing was to do."""
        seconds = sum(self.seconds.get(asset, {}).values())
        return self.calls[asset] / seconds if self.calls.get(asset) and seconds else None

    def _materialized(self, run_id: str, event: dg.AssetMaterialization) -> None:
        asset = event.asset_key.to_user_string()
        rows = event.metadata.get("dagster/row_count")
        calls = event.metadata.get(CALLS)
        if calls is not None:
            self.calls[asset] = self.calls.get(asset, 0) + int(str(calls.value))
        took = event.metadata.get(SECONDS)
        if took is not None:  # of the whole step, on each of its days
            self.seconds.setdefault(asset, {})[run_id] = float(str(took.value))
        day = f" {event.partition}" if event.partition else ""
        self.say(f"{asset}{day}: {rows.value:,} rows" if rows else f"{asset}{day}: done")


@dataclass
class Launcher:
    """Launches assets of one code location on a live server and waits for them."""

    live: Server
    follower: Follower
    location: str

    def backfill(self, assets: Sequence[str], partitions: Sequence[str]) -> None:
        """Materialize assets over partitions, by their own backfill policies.

        Raises:
            SystemExit: the backfill was refused, or failed.
        """
        self.follower.say(f"backfill of {len(partitions)} partitions: {', '.join(assets)}")
        title = f"demo: {assets[0]} to {assets[-1]}"
        with _refusals():
            backfill = Console(self.live).backfill(assets, partitions, title)
        self.follower.wait(dg.RunsFilter(tags={"dagster/backfill": backfill}), backfill=backfill)

    def run(
        self,
        assets: Sequence[str],
        *,
        partition: str = "",
        config: dict[str, Any] | None = None,
    ) -> None:
        """Materialize assets in one run: unpartitioned ones, or one partition of each.

        Args:
            assets: of the location.
            partition: of all of them.
            config: asset -> its run configuration.

        Raises:
            SystemExit: the run was refused, or failed.
        """
        of = f" [{partition}]" if partition else ""
        self.follower.say(f"run: {', '.join(assets)}{of}")
        tags = {PARTITION: partition} if partition else {}
        with _refusals():
            run = Console(self.live).run(self.location, assets, tags=tags, config=config)
        self.follower.wait(dg.RunsFilter(run_ids=[run]))


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except Refused as error:
        raise SystemExit(str(error)) from None
