"""CPU seconds that a code location takes to load, beside those of Dagster alone.

A fresh process each time, as a code server and every run are. CPU time is what is counted: wall
time says how busy the machine is. Prints the least and the median. Run from the repository:

    python -m benchmarks.location_load [--runs 7]
"""

import argparse
import statistics
import subprocess
import sys

PROGRAM = """
import importlib, resource, sys
for name in sys.argv[1:]:
    found = importlib.import_module(name)
    if hasattr(found, "defs"):
        found.defs()
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_utime + usage.ru_stime)
"""
LOADED = {
    "dagster alone": ["dagster"],
    "dagster, polars, numpy": ["dagster", "polars", "numpy"],
    "pinlanding_assets": ["pinlanding_assets.definitions"],
    "rl_diffusion_assets": ["rl_diffusion_assets.definitions"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    seconds: dict[str, list[float]] = {name: [] for name in LOADED}
    for _ in range(runs):  # in turns: a busy minute falls on all alike
        for name, modules in LOADED.items():
            command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *modules]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds[name].append(float(done.stdout))
    for name, found in seconds.items():
        print(f"{name:24} {min(found):.2f} CPU-s at least, {statistics.median(found):.2f} median")


if __name__ == "__main__":
    main()
