"""Makes assets in a process that is started for it, and follows the runs to their end."""

import contextlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg

from operations.telling import Teller
from resources.profiles import REPOSITORY

POLL_SECONDS = 0.5
WRAPPED = "DagsterExecutionStepExecutionError"
CALLS, SECONDS = "model_calls", "step_seconds"  # names in the metadata of steps with a model


@dataclass
class Step:
    """What a step has made so far: asset -> partition -> rows, and the seconds that it took."""

    rows: dict[str, dict[str, int | None]] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Follower:
    """Tells what runs do while they run, and keeps what they materialized."""

    instance: dg.DagsterInstance
    teller: Teller = field(default_factory=Teller)
    cursors: dict[str, str | None] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)  # asset -> items a model worked on
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)  # asset -> run -> of models
    steps: dict[str, Step] = field(default_factory=dict)  # what no line has told yet

    def wait(
        self, run_id: str, alive: Callable[[], None] = lambda: None, *, last: bool = True
    ) -> None:
        """Follow a run to its end.

        Args:
            run_id: It may not be there yet.
            alive: Raises where who makes the run has ended.
            last: No further run makes the same assets: each has its line as soon as it is done.

        Raises:
            SystemExit: The run failed; says where to look.
        """
        try:
            while (run := self.instance.get_run_by_id(run_id)) is None or not run.is_finished:
                if run is not None:
                    self._tell_new(run_id, last)
                alive()
                time.sleep(POLL_SECONDS)
            self._tell_new(run_id, last)
        finally:
            self.teller.rest()
        if run.status != dg.DagsterRunStatus.SUCCESS:
            for step in list(self.steps):
                self._tell_made(step)
            raise SystemExit(f"run {run_id} failed; `make dev` shows it under Runs.")

    def _tell_new(self, run_id: str, last: bool) -> None:
        records: list[dg.EventLogRecord] = []
        more = True
        while more:
            page = self.instance.get_records_for_run(run_id, cursor=self.cursors.get(run_id))
            self.cursors[run_id], more = page.cursor, page.has_more
            records += page.records
        for record in records:
            entry = record.event_log_entry
            event = entry.dagster_event
            if event is None:
                text = entry.user_message.strip()
                if entry.level >= logging.WARNING:
                    self.teller.say(text)
                else:
                    self.teller.tell(text, entry.timestamp)
                continue
            step, kind = event.step_key or "", event.event_type_value
            if kind == "STEP_START":
                self.teller.tell(step)
            elif kind == "ASSET_MATERIALIZATION":
                self._materialized(run_id, step, event.step_materialization_data.materialization)
            elif kind == "STEP_SUCCESS":
                took = event.step_success_data.duration_ms / 1000
                self.steps.setdefault(step, Step()).seconds += took
                if last:
                    self._tell_made(step)
            elif kind in ("STEP_FAILURE", "RUN_FAILURE", "STEP_UP_FOR_RETRY"):
                self.teller.say(f"FAILED {step or 'run'}: {_why(event).strip()[:2000]}")

    def _tell_made(self, step: str) -> None:
        done = self.steps.pop(step)
        for asset, rows in done.rows.items():
            self.teller.made(asset, rows, done.seconds)

    def rate(self, asset: str) -> float | None:
        """Items a second that a model worked on for an asset; None where nothing was to do."""
        seconds = sum(self.seconds.get(asset, {}).values())
        return self.calls[asset] / seconds if self.calls.get(asset) and seconds else None

    def _materialized(self, run_id: str, step: str, event: dg.AssetMaterialization) -> None:
        asset = event.asset_key.to_user_string()
        rows = event.metadata.get("dagster/row_count")
        calls = event.metadata.get(CALLS)
        if calls is not None:
            self.calls[asset] = self.calls.get(asset, 0) + int(str(calls.value))
        took = event.metadata.get(SECONDS)
        if took is not None:  # of the whole step, on each of its days
            self.seconds.setdefault(asset, {})[run_id] = float(str(took.value))
        made = self.steps.setdefault(step, Step()).rows.setdefault(asset, {})
        made[event.partition or ""] = int(str(rows.value)) if rows else None


def _why(event: dg.DagsterEvent) -> str:
    """What a failure says; of an exception its own words, not that an op raised it."""
    error = getattr(getattr(event, "step_failure_data", None), "error", None)
    if error is not None and error.cause and error.cls_name == WRAPPED:
        error = error.cause
    return str(error.message if error is not None else event.message)


class Worker:
    """Materializes assets of one code location in a process of its own, which imports once and
    answers to nobody but this one (`operations/worker.py`).

    Args:
        location: Of the assets.
        follower: Tells what the runs do.
        log: File for what libraries print.
    """

    def __init__(self, location: str, follower: Follower, log: Path):
        self.follower, self.log = follower, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "operations.worker", location],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def run(
        self,
        assets: Sequence[str],
        partitions: Sequence[str] = (),
        *,
        config: dict[str, Any] | None = None,
    ) -> None:
        """Materialize assets: unpartitioned ones in one run, or partitions of all of them, by the
        backfill policy of the first.

        Args:
            assets: Of the location.
            partitions: Of each.
            config: Asset -> its run configuration.

        Raises:
            SystemExit: A run failed.
        """
        self.follower.teller.tell(", ".join(assets))
        asked = {"assets": list(assets), "partitions": list(partitions), "config": config or {}}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and there is no answer
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        try:
            answer = json.loads(self._process.stdout.readline() or "[]") or self._ended()
        finally:
            self.follower.teller.rest()
        if isinstance(answer, str):
            raise SystemExit(answer)
        for run_id in answer:
            self.follower.wait(run_id, self._alive, last=run_id == answer[-1])

    def _alive(self) -> None:
        if self._process.poll() is not None:
            self._ended()

    def _ended(self) -> NoReturn:
        raise SystemExit(f"the process that makes the assets has ended; see {self.log}")
