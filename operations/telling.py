"""What a person sees while assets are made: one live place for what is at work, and a line that
stays for all that is done."""

import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from resources.profiles import REPOSITORY

QUIET_SECONDS = 10.0
PROGRESS = re.compile(r"(?P<done>\d[\d,]*)/(?P<total>\d[\d,]*) ")
"""Done of all, as in "catalog: 33/319 images"."""


@dataclass
class Teller:
    """Tells on a console what is at work and what is done.

    Attributes:
        started: What the times of lines count from, s of `time.monotonic`.
        console: Where; a live place is there on a terminal alone.
    """

    started: float = field(default_factory=time.monotonic)
    console: Console = field(default_factory=Console)
    _live: Progress | None = None
    _told: float = -QUIET_SECONDS  # when progress was last a line
    _work: tuple[str, float, int] = ("", 0.0, 0)  # whose progress, since when, and from where

    def say(self, text: str) -> None:
        """A line that stays."""
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        # as a Text, since what sellers and models wrote is no markup
        self.console.print(Text(f"[{minutes:02d}:{seconds:02d}] {text}"), soft_wrap=True)

    def made(self, asset: str, rows: dict[str, int | None], seconds: float) -> None:
        """The one line of an asset that is done.

        Args:
            asset: Its name.
            rows: Partition (empty: there are none) -> rows, if they are known.
            seconds: That it took, 0 where that is not known.
        """
        known = [count for count in rows.values() if count is not None]
        days = spans(day for day in rows if day)
        told = f"{sum(known):,} rows" if known else "done"
        took = f", {seconds:,.1f} s" if seconds else ""
        self.say(f"{asset}{' ' if days else ''}{days}: {told}{took}")

    def tell(self, text: str, at: float | None = None) -> None:
        """What is at work, in the live place; where that is no terminal, progress alone, as a line
        at most every `QUIET_SECONDS`.

        Args:
            text: As "catalog: 33/319 images", with rate and time left or without.
            at: When it was so, s since 1970; by default now.
        """
        found = PROGRESS.search(text)
        if found:
            text = self._timed(text, found, time.time() if at is None else at)
        if self.console.is_terminal:
            self._show(text, found)
        elif found and time.monotonic() - self._told >= QUIET_SECONDS:
            self._told = time.monotonic()
            self.say(text)

    def rest(self) -> None:
        """Nothing is at work: the live place is gone, and the cursor is back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def program(self, name: str, command: Sequence[str]) -> None:
        """Run a program of this repository, and tell what it prints.

        Args:
            name: Of what it makes, for the line that stays if it said anything.
            command: With its arguments.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        began, worked = time.monotonic(), False
        self.tell(name)
        with subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if PROGRESS.search(line):
                        self.tell(line.rstrip())
                        worked = True
                    else:  # a warning, or why it failed
                        self.say(line.rstrip())
            finally:
                self.rest()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        if worked:
            self.say(f"{name}: done, {time.monotonic() - began:,.1f} s")

    def _timed(self, text: str, found: re.Match[str], at: float) -> str:
        """Progress with its rate and time left, where it does not say so itself."""
        if text.endswith(" left"):
            return text
        stage = text[: found.start()]
        done, total = (int(found[name].replace(",", "")) for name in ("done", "total"))
        name, since, first = self._work
        if stage != name or done < first:
            self._work = (stage, at, done)
            return text
        if done == first or at <= since:
            return text
        rate = (done - first) / (at - since)
        pace = f"{rate:,.1f}/s" if rate >= 1 else f"{rate * 60:,.1f}/min"
        return f"{text.rstrip()}, {pace}, {(total - done) / rate:,.0f} s left"

    def _show(self, text: str, found: re.Match[str] | None) -> None:
        if self._live is None:
            one_line = Column(no_wrap=True, overflow="ellipsis")
            self._live = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False, table_column=one_line),
                BarColumn(bar_width=12),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
            )
            self._live.start()
        done, total = (
            (int(part.replace(",", "")) for part in found.groups()) if found else (0, None)
        )
        stage = text.partition(": ")[0]
        if self._live.tasks and self._live.tasks[0].fields["stage"] == stage:
            self._live.update(self._live.task_ids[0], description=text, completed=done, total=total)
            return
        for task in self._live.task_ids:
            self._live.remove_task(task)
        self._live.add_task(text, total=total, completed=done, stage=stage)


def spans(partitions: Iterable[str]) -> str:
    """Partitions as a person would name them: neighboring days as "first to last"."""
    names = sorted(partitions)
    try:
        days = [date.fromisoformat(name) for name in names]
    except ValueError:
        return ", ".join(names)
    starts = [at for at, day in enumerate(days) if not at or day - days[at - 1] > timedelta(days=1)]
    ranges = [(names[a], names[b - 1]) for a, b in pairwise([*starts, len(names)])]
    return ", ".join(first if first == last else f"{first} to {last}" for first, last in ranges)
