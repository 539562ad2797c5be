"""Proves that a decision can be taken back without a trace: `python -m operations.proof.undo`.

A small shop is made, fifty random decisions are made on it, a run over them is killed with -9 in
the middle and run again, all decisions are taken back in another order, and the shop is made once
more. Lake and site must be what they were before, byte for byte (`operations.comparison`).
"""

import os
import random
import signal
import subprocess
import sys
import time
from typing import Annotated, Any

import polars as pl
import typer

from operations.comparison import differences, digests
from operations.instance import environment
from operations.pinlanding import DAILY_HEAD, DAILY_TAIL, FACETS, LEARNING, TAIL
from pinlanding_assets.curation.assets import desk_of
from pinlanding_assets.curation.desk import Desk, Refused
from pinlanding_assets.decisions.operations import parse
from resources.lake import MissingPartition
from resources.profiles import REPOSITORY, decision_log, resources, settings

DECISIONS = 50
PRODUCTS, DAYS = 600, 4
FOLDER = REPOSITORY / ".data" / "undo"
# the profile that trains least: what is proven has nothing to do with the encoder
PROFILE = "laptop"
# what is made of the log's history, as proposals that were answered, is no part of the shop
ASSETS = {*FACETS, *DAILY_HEAD, *LEARNING, *DAILY_TAIL, *TAIL} - {"curation_proposals"}


def main(
    seed: Annotated[int, typer.Option(min=0, help="Of the decisions and of the kill.")] = 0,
) -> None:
    """Decide, be killed, take everything back, and compare."""
    shop = FOLDER / "shop"
    world = [sys.executable, "-m", "sandbox.world", str(shop)]
    size = ["--truth", str(FOLDER / "truth"), "--days", str(DAYS), "--products", str(PRODUCTS)]
    subprocess.run([*world, *size], check=True, cwd=REPOSITORY)
    os.environ |= {
        "PLATFORM_DATA": str(FOLDER),
        "PLATFORM_PROFILE": PROFILE,
        # what is published matters here, not whether so small a shop is good enough
        "PLATFORM_LIMITS": "{coverage: 0.1, estimated_precision: 0.1, p_at_10: 0.1}",
        "PLATFORM_CATALOG": str(shop / "catalog.yaml"),  # else the sandbox's shop would be made
    }
    chosen, draw = settings(), random.Random(seed)
    environment(chosen)
    _make("the shop as it is")
    before = digests(chosen.data, ASSETS)
    used = resources()
    desk = desk_of(used["lake"], used["source"], decision_log())
    made = _decide(desk, draw)
    kinds = sorted({one.split(":")[0] for one in made.values()})
    print(f"{len(made)} decisions of {len(kinds)} kinds: {', '.join(kinds)}", flush=True)
    seconds = _make("killed in the middle", kill=draw.uniform(10, 40))
    print(f"killed with -9 after {seconds:.0f} s", flush=True)
    _make("with the decisions")
    changed = differences(before, digests(chosen.data, ASSETS))
    print(f"with the decisions {len(changed)} things are others", flush=True)
    # one on the same target as a later one is in force again once that is gone
    while in_force := sorted(one.proposal for one in desk.state().decisions.values()):
        desk.revert(draw.choice(in_force), "person:ben", cascade=True)
    _make("with everything taken back")
    left = differences(before, digests(chosen.data, ASSETS))
    if left or not changed:
        sys.exit("NOT identical:\n" + "\n".join(left[:40] or ["the decisions changed nothing"]))
    print(f"identical: {len(before):,} tables, images and files of the site")


def _make(what: str, kill: float = 0.0) -> float:
    """Runs the pipeline; with `kill`, ends it and all it started with SIGKILL after that time, s.

    Returns:
        How long it ran, s.
    """
    print(f"{what} ...", flush=True)
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "operations", "pinlanding"],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(kill or None)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return time.monotonic() - started
    if process.returncode:
        sys.exit(f"{what}: the pipeline failed; see {settings().data / 'logs'}")
    return time.monotonic() - started


def _decide(desk: Desk, draw: random.Random) -> dict[str, str]:
    """Random decisions that can be made: proposal -> what."""
    made: dict[str, str] = {}
    for _ in range(100 * DECISIONS):
        if len(made) == DECISIONS:
            break
        told = _random(desk.view, draw)
        try:
            decision = desk.decide(parse(told), "person:ann")
        except (Refused, MissingPartition):
            continue
        made[decision.proposal] = f"{told['operation']}: {told}"
    return made


def _random(view: Any, draw: random.Random) -> dict[str, Any]:
    words = view.aliases.select("key", "raw_value").rows()
    entries, topics = view.entries["entry_id"].to_list(), view.topics.to_dicts()
    products, keys = view.products["product_id"].to_list(), view.keys["key"].to_list()
    key, word = draw.choice(words)
    topic = draw.choice(topics)
    item = draw.choice(view.items.select("topic_id", "product_id").rows())
    other = draw.choice([raw for of, raw in words if of == key])
    sellers = view.stated.filter(pl.col("seller").is_not_null()).select("seller", "folded").rows()
    seller, stated = draw.choice(sorted(sellers))
    several = [*dict.fromkeys(draw.choice(entries) for _ in range(2))]
    return draw.choice(
        [
            {"operation": "word.merge", "key": key, "word": word, "into": other},
            {"operation": "word.keep", "key": key, "word": word},
            {"operation": "word.drop", "key": key, "word": word},
            {"operation": "word.move", "key": key, "word": word, "to_key": draw.choice(keys)},
            {"operation": "key.set", "key": draw.choice(keys), "multi": draw.random() < 0.5},
            {"operation": "source.distrust", "seller": seller, "key": stated},
            {
                "operation": "label.set",
                "product": draw.choice(products),
                "entry": draw.choice(entries),
                "holds": draw.random() < 0.5,
            },
            {"operation": "topic.add", "entries": several},
            {"operation": "topic.refuse", "topic": topic["topic_id"]},
            {
                "operation": "topic.window",
                "topic": topic["topic_id"],
                "first": "2026-01-01",
                "last": draw.choice(["2026-01-31", "2099-12-31"]),
            },
            {"operation": "item.hide", "topic": item[0], "product": item[1]},
            {"operation": "feed.value", "attribute": "colour", "value": word, "means": other},
        ]
    )


if __name__ == "__main__":
    typer.run(main)
