"""One place for what was measured: `results.json`, and the table of it in docs/benchmarks.md.

Every figure is a ratio against a peer that ran in the same process or right beside it, the median
of several, with what was measured of both. Processor time (user and system, children included) is
compared where a crowded machine would spoil the clock; the table says which.
"""

import json
import os
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results.json"
TABLE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
MARK = "<!-- made by `make bench` -->"


@dataclass
class Figure:
    """One line of the table.

    Attributes:
        name: Of the benchmark, and what was measured of it.
        ours: Measured, in `unit`.
        peer: The same of the peer.
        ratio: What the bar speaks of.
        bar: Such as `>= 0.90`; empty without one.
        unit: Of `ours` and `peer`.
        against: Who the peer is.
        runs: Pairs that the median is of.
        note: What else is to know: cores that were free, sizes.
    """

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    against: str
    runs: int
    bar: str = ""
    note: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> str:
        """yes, no, or nothing where there is no bar."""
        if not self.bar:
            return ""
        sign, limit = self.bar.split()
        fits = self.ratio >= float(limit) if sign == ">=" else self.ratio <= float(limit)
        return "yes" if fits else "**no**"


def cpu_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def timed(run: Callable[[], Any], clock: Callable[[], float] = cpu_seconds) -> float:
    """Seconds of `clock` that a call takes."""
    start = clock()
    run()
    return clock() - start


def compared(
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    runs: int,
    clock: Callable[[], float] = cpu_seconds,
) -> tuple[float, float, float]:
    """Median seconds of both, and of the peer's seconds over ours, pair by pair, turn about."""
    pairs = []
    for number in range(runs):
        order = (ours, peer) if number % 2 else (peer, ours)
        seconds = {call: timed(call, clock) for call in order}
        pairs.append((seconds[ours], seconds[peer]))
    return (
        median(one for one, _ in pairs),
        median(other for _, other in pairs),
        median(other / one for one, other in pairs),
    )


def free_cores(seconds: float = 2.0) -> float:
    """Cores that nobody used just now."""
    return (psutil.cpu_count() or 1) * (1 - psutil.cpu_percent(interval=seconds) / 100)


def record(figures: list[Figure]) -> None:
    """Put figures into results.json over those of the same names, and write the table anew."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    measured = time.strftime("%Y-%m-%d", time.gmtime())
    for figure in figures:
        known[figure.name] = {**asdict(figure), "reached": figure.reached, "measured": measured}
        print(f"{figure.name}: {figure.ratio:.3g} {figure.bar} {figure.reached}", flush=True)
    known["machine"] = {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    _write_table({name: row for name, row in known.items() if name != "machine"})


def _write_table(rows: dict[str, dict[str, Any]]) -> None:
    lines = ["| measured | ours | peer | ratio | bar | reached | note |", "|" + "---|" * 7]
    for name, row in sorted(rows.items()):
        both = [f"{row[key]:,.4g} {row['unit']}" for key in ("ours", "peer")]
        note = ". ".join(part for part in (f"against {row['against']}", row["note"]) if part)
        cells = [name, *both, f"{row['ratio']:.3g}", row["bar"], row["reached"], note]
        lines.append("| " + " | ".join(cells) + f"; median of {row['runs']}, {row['measured']} |")
    before, _, rest = TABLE.read_text().partition(MARK)
    after = rest.partition(MARK)[2]
    TABLE.write_text(f"{before}{MARK}\n" + "\n".join(lines) + f"\n{MARK}{after}")
