"""Makes assets in a process that is started for it, and follows the runs to their end."""

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
from rich.console import Console
from rich.status import Status
from rich.text import Text

from resources.profiles import REPOSITORY

POLL_SECONDS = 0.5
QUIET_SECONDS = 10.0
PROGRESS = re.compile(r"\d[\d,]*/\d[\d,]* ")  # done of all, as in "catalog: 33/319 images"
CALLS, SECONDS = "model_calls", "step_seconds"  # names in the metadata of steps with a model


@dataclass
class Follower:
    """Prints what runs say while they run, and keeps what they materialized."""

    instance: dg.DagsterInstance
    started: float = field(default_factory=time.monotonic)
    cursors: dict[str, str | None] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)  # asset -> items a model worked on
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)  # asset -> run -> of models
    told: dict[str, float] = field(default_factory=dict)  # work -> when its progress was last said
    console: Console = field(default_factory=Console)
    live: Status | None = None

    def say(self, text: str) -> None:
        """A line that stays."""
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        # as a Text, since what sellers and models wrote is no markup
        self.console.print(Text(f"[{minutes:02d}:{seconds:02d}] {text}"), soft_wrap=True)

    def tell(self, text: str) -> None:
        """What a run says: how far it is in one live line, or, where that is no terminal, at most
        every `QUIET_SECONDS`; all else as lines that stay."""
        found = PROGRESS.search(text)
        if found is None:
            self.say(text)
        elif self.console.is_terminal:
            if self.live is None:
                self.live = self.console.status("")
                self.live.start()
            self.live.update(Text(text))
        elif time.monotonic() - self.told.get(text[: found.start()], -1e9) >= QUIET_SECONDS:
            self.told[text[: found.start()]] = time.monotonic()
            self.say(text)

    def wait(self, run_id: str, alive: Callable[[], None] = lambda: None) -> None:
        """Follow a run to its end.

        Args:
            run_id: It may not be there yet.
            alive: Raises where who makes the run has ended.

        Raises:
            SystemExit: The run failed; says where to look.
        """
        while (run := self.instance.get_run_by_id(run_id)) is None or not run.is_finished:
            if run is not None:
                self._print_new(run_id)
            alive()
            time.sleep(POLL_SECONDS)
        self._print_new(run_id)
        if self.live is not None:
            self.live.stop()
            self.live = None
        if run.status != dg.DagsterRunStatus.SUCCESS:
            raise SystemExit(f"run {run_id} failed; `make dev` shows it under Runs.")

    def _print_new(self, run_id: str) -> None:
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
                self.tell(entry.user_message.strip())
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


class Worker:
    """Materializes assets of one code location in a process of its own, which imports once and
    answers to nobody but this one (`operations/worker.py`).

    Args:
        location: Of the assets.
        follower: Prints what the runs say.
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
        several = f"{len(partitions)} partitions" if len(partitions) > 1 else "".join(partitions)
        self.follower.say(f"{', '.join(assets)}{f' [{several}]' if several else ''}")
        asked = {"assets": list(assets), "partitions": list(partitions), "config": config or {}}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and there is no answer
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or "[]") or self._ended()
        if isinstance(answer, str):
            raise SystemExit(answer)
        for run_id in answer:
            self.follower.wait(run_id, self._alive)

    def _alive(self) -> None:
        if self._process.poll() is not None:
            self._ended()

    def _ended(self) -> NoReturn:
        raise SystemExit(f"the process that makes the assets has ended; see {self.log}")
