"""The platform against thirty lines, on catalogs that we did not make, by the labels of people.

Half of the labels are hidden, by style, source, artist or contributor; the product and its peers
state them. Prints a table of every set and key, and writes all figures as JSON. Features are
computed once a set: CPU seconds of its first split are those that count. Run from the repository:

    OMP_NUM_THREADS=1 python -m benchmarks.real [sets ...] [--splits 5] [--json figures.json]
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.real import sets
from benchmarks.real.measure import judge
from benchmarks.real.peers import peers
from benchmarks.real.product import run
from benchmarks.real.remembering import Remembering
from resources.encoders import EncoderBackbone, load_backbone

OURS = "product"


def measure(real: sets.RealSet, split: int, backbone: EncoderBackbone) -> dict:
    """Figures of the product and its peers on one split of a set."""
    shown = real.labelled(split)
    found = run(real, shown, backbone)
    hidden = ~shown
    truth, spans = found.truth[hidden], found.spans
    methods = {OURS: judge(found.scores[hidden], truth, spans, found.given[hidden])}
    seconds = {OURS: found.cpu_seconds}
    for peer, scores, spent in peers(real, shown, found.truth, found.entry_ids, spans, backbone):
        methods[peer], seconds[peer] = judge(scores[hidden], truth, spans), spent
    return {
        "set": real.name,
        "split": split,
        "items": len(real.items),
        "contradictions": found.contradictions,
        "pages": asdict(found.pages),
        "cpu_seconds_a_thousand": {m: 1000 * s / len(real.items) for m, s in seconds.items()},
        "keys": {m: {k: asdict(v) for k, v in keys.items()} for m, keys in methods.items()},
    }


HEAD = ("set", "key", "R@P.95", "best peer", "R@P.90", "best peer", "won", "stated", "said", "true")


def table(runs: list[dict]) -> str:
    """A Markdown table of means over the splits, a row a key, the best peer named."""
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for name in dict.fromkeys(one["set"] for one in runs):
        of_set = [one for one in runs if one["set"] == name]
        keys = dict.fromkeys(key for one in of_set for key in one["keys"][OURS])
        for key in keys:
            rows = [one for one in of_set if key in one["keys"][OURS]]
            lines.append(f"| {' | '.join([name, key, *_cells(rows, key)])} |")
    return "\n".join(lines)


PAGES_HEAD = ("set", "pages", "P@10", "of hidden labels", "items on a page")


def pages_table(runs: list[dict]) -> str:
    """A Markdown table of what pages come of each set, means over the splits."""
    lines = [f"| {' | '.join(PAGES_HEAD)} |", "|---" * len(PAGES_HEAD) + "|"]
    for name in dict.fromkeys(one["set"] for one in runs):
        found = [one["pages"] for one in runs if one["set"] == name]
        cells = [f"{np.mean([one['pages'] for one in found]):.0f}"]
        for figure in ("p_at_10", "hidden", "reached"):
            known = [one[figure] for one in found if one[figure] is not None]
            cells.append(_mean(known) if known else "none")
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def _cells(rows: list[dict], key: str) -> list[str]:
    """What is said of one key: recalls beside the best peer's, splits won, honesty."""
    ours = [row["keys"][OURS][key] for row in rows]
    cells, won = [], 0
    for figure in ("recall_95", "recall_90"):
        mine = [row[figure] for row in ours]
        theirs = {
            peer: [row["keys"][peer].get(key, {figure: 0.0})[figure] for row in rows]
            for peer in rows[0]["keys"]
            if peer != OURS
        }
        best = max(theirs, key=lambda peer: float(np.mean(theirs[peer])))
        cells += [_mean(mine), f"{_mean(theirs[best])} {best}"]
        if figure == "recall_95":
            won = sum(a >= b for a, b in zip(mine, theirs[best], strict=True))
    stated = sum(row["stated"] for row in ours)
    said, true = (
        sum((row[what] or 0.0) * row["stated"] for row in ours) / max(1, stated)
        for what in ("said", "precision")
    )
    return [*cells, f"{won}/{len(rows)}", str(stated), f"{said:.3f}", f"{true:.3f}"]


def _mean(values: list[float]) -> str:
    """Mean and, of several, the half width of its 95 % interval by their spread."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    half = 2.776 if len(values) == 5 else 1.96
    return f"{np.mean(values):.2f} ± {half * np.std(values, ddof=1) / len(values) ** 0.5:.2f}"


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=sets.names(), metavar="set")
    parser.add_argument("--splits", type=int, default=sets.SPLITS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runs = []
    for name in arguments.sets:
        real, backbone = sets.load(name), Remembering(load_backbone("pretrained-features"))
        for split in range(arguments.splits):
            runs.append(measure(real, split, backbone))
            last = runs[-1]
            print(
                f"{name} {split}: {last['contradictions']} contradictions, CPU seconds a thousand "
                f"items {last['cpu_seconds_a_thousand'][OURS]:.0f}",
                flush=True,
            )
            if arguments.json:
                arguments.json.write_text(json.dumps(runs, indent=1) + "\n")
    print(table(runs))
    print()
    print(pages_table(runs))


if __name__ == "__main__":
    main()
