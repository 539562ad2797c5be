"""Proves the agents: `make prove-agents`, or `python -m operations.proof.agents --world 2`.

Faults are planted into a world, the pipeline runs, and the agents look. What they propose is
compared with what mends each fault; then a person who knows the answers approves what is right and
refuses the rest, the pipeline runs again, and what products carry is compared with the truth. Truth
and faults stay in this process: the agents run in the worker, which has no truth to read.

Printed and kept as JSON: found and mended by kind, decisions without a person and how many of them
were right, harm, searches that meet a page, and seconds of the processor.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from operations.instance import environment, open_instance
from operations.launch import Follower, Worker
from operations.pinlanding import (
    DAILY_HEAD,
    DAILY_TAIL,
    FACETS,
    LEARNING,
    LOCATION,
    TAIL,
)
from operations.telling import Teller
from pinlanding_assets.curation.agenda import batch_of
from pinlanding_assets.curation.assets import desk_of, shadow_of, view_of
from pinlanding_assets.curation.desk import open_proposals
from pinlanding_assets.curation.shadow import Pages, served
from pinlanding_assets.decisions.operations import parse
from pinlanding_assets.decisions.state import canonical
from pinlanding_assets.embeddings.assets import current_assignments
from pinlanding_assets.topics.phrasing import topic_id
from resources.profiles import REPOSITORY, decision_log, resources, settings
from sandbox.faults import wrong_merge

DAYS = 14
RIGHT = 0.9  # share of a new page's first products that have to be right by truth
FIRST = 10
FOLDER = REPOSITORY / ".data" / "agents"


def main(
    world: Annotated[int, typer.Option(min=0, help="Seed of the world and of its faults.")] = 2,
    products: Annotated[int, typer.Option(min=500, help="Of the world.")] = 3_000,
    faults: Annotated[bool, typer.Option(help="Plant them; else the world is clean.")] = True,
) -> None:
    """Plant faults, let the agents look, and say what they found, mended and harmed."""
    name = f"world-{world}{'' if faults else '-clean'}"
    os.environ |= {"PLATFORM_DATA": str(FOLDER / name), "PLATFORM_PROFILE": "sandbox"}
    chosen = settings()
    root, truth = chosen.catalog.parent, FOLDER / f"{name}-truth"
    told = ["--seed", str(world), "--truth", str(truth)]
    size = ["--days", str(DAYS), "--products", str(products)]
    _run("sandbox.world", str(root), *told, *size)
    if faults:
        _run("sandbox.faults", str(root), *told)
    planted = _read(truth / "faults.jsonl") if faults else []
    os.environ["PLATFORM_TRUTH"] = str(FOLDER / "nowhere")  # agents cannot read what is not there
    environment(chosen)
    teller = Teller()
    with open_instance() as instance:
        log = decision_log()
        if faults and not log.events():
            operation = wrong_merge()
            log.add("apply", "planted", "agent:words", {"operation": operation})
        follower = Follower(instance, teller)
        with Worker(LOCATION, follower, chosen.data / "logs" / "worker.log") as worker:
            days = resources()["source"].days()
            _pipeline(worker, days, first=True)
            before = _state(truth, planted)
            found = _answer(planted, truth)
            _pipeline(worker, days, first=False)
            after = _state(truth, planted)
            again = _answer(planted, truth)
    report = {
        "world": world,
        "products": products,
        "found": found,
        "second_cycle": again,
        "before": before,
        "after": after,
        "mended": _mended(before, after),
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(report, indent=2))
    print(json.dumps(report, indent=2))


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, cwd=REPOSITORY)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _pipeline(worker: Worker, days: list[str], *, first: bool) -> None:
    worker.run(FACETS)
    if first:
        worker.run(DAILY_HEAD, days)
    worker.run(LEARNING)
    worker.run(DAILY_TAIL, days)
    worker.run(TAIL)


def _state(truth: Path, planted: list[dict[str, Any]]) -> dict[str, Any]:
    """What products carry, against the truth: of each kind's products, and of all others."""
    used = resources()
    lake = used["lake"]
    carried = current_assignments(lake).select("product_id", "entry_id").unique()
    known = pl.read_parquet(truth / "products.parquet").select(
        "product_id", "key", entry_id=pl.concat_str("key", pl.lit("="), "value")
    )
    keys = known["key"].unique()
    named = carried.with_columns(key=pl.col("entry_id").str.splitn("=", 2).struct[0])
    # a value of a key that the world does not have is wrong wherever it stands
    wrong = named.join(known, on=["product_id", "entry_id"], how="anti")
    touched: dict[str, set[str]] = {}
    for fault in planted:
        touched.setdefault(fault["kind"], set()).update(fault["products"])
    lost = known.join(named, on=["product_id", "entry_id"], how="anti")
    live = set(named["product_id"])
    about = {"wrong_key": ["category", "material"]}
    found: dict[str, Any] = {}
    for kind, products in touched.items():
        of = [*about.get(kind, ["colour"])]
        here = products & live
        bad = wrong.filter(
            pl.col("product_id").is_in(list(here))
            & (pl.col("key").is_in(of) | ~pl.col("key").is_in(keys.implode()))
        )
        gone = lost.filter(pl.col("product_id").is_in(list(here)) & pl.col("key").is_in(of))
        ill = set(bad["product_id"]) | set(gone["product_id"])
        found[kind] = {"products": len(here), "wrong": len(ill)}
    view = view_of(lake, used["source"])
    pages = Pages(view.collections, view.items)
    others = set().union(*touched.values()) if touched else set()
    rest = wrong.filter(~pl.col("product_id").is_in(list(others)))
    return {
        "kinds": found,
        "wrong_labels_elsewhere": rest.height,
        "pages": len(pages.accepted),
        "served": served(pages, view.demand),
        "items": view.items.height,
        "items_wrong": _wrong_items(view.items, known),
    }


def _wrong_items(items: pl.DataFrame, known: pl.DataFrame) -> int:
    """Items of pages that lack an attribute of their page."""
    claims = items.explode("entries").select("topic_id", "product_id", entry_id="entries")
    return claims.join(known, on=["product_id", "entry_id"], how="anti").select(
        pl.struct("topic_id", "product_id").n_unique()
    )[0, 0]


def _answer(planted: list[dict[str, Any]], truth: Path) -> dict[str, Any]:
    """The agents' proposals, compared with the answers; then decided, by policy and by a person."""
    used = resources()
    lake, source, log = used["lake"], used["source"], decision_log()
    desk = desk_of(lake, source, log)
    waiting = open_proposals(log.events())
    right = {
        canonical(parse(answer)): fault["kind"] for fault in planted for answer in fault["answers"]
    }
    known = pl.read_parquet(truth / "products.parquet").select(
        "product_id", entry_id=pl.concat_str("key", pl.lit("="), "value")
    )
    holds = set(known.iter_rows())
    found: dict[str, set[str]] = {}
    verdicts = {}
    shadow = shadow_of(lake, source, view_of(lake, source))
    pages = shadow.pages([one.operation for one in waiting if one.operation.facet == "pages"])
    for one in waiting:
        told = canonical(one.operation)
        if told in right:
            found.setdefault(right[told], set()).add(told)
        verdicts[one.id] = told in right or _is_right(one.operation.model_dump(), holds, pages)
    kinds = {fault["kind"] for fault in planted}
    by_kind = {
        kind: [
            any(canonical(parse(answer)) in found.get(kind, set()) for answer in fault["answers"])
            for fault in planted
            if fault["kind"] == kind
        ]
        for kind in sorted(kinds)
    }
    batch = batch_of(waiting, lake.read("curation_proposals", "proposals"), shadow)
    auto = [one for one in batch.proposals if not batch.harm]
    for actor in sorted({one.actor for one in auto}):
        desk.approve_all([(one.id, one.seen) for one in auto if one.actor == actor], actor)
    done = {one.id for one in auto}
    rest = [one for one in waiting if one.id not in done]
    for one in rest:
        if verdicts[one.id]:
            desk.approve(one.id, one.seen, "person:oracle")
        else:
            desk.refuse(one.id, "person:oracle")
    wrong = [canonical(one.operation) for one in auto if not verdicts[one.id]]
    return {
        "proposed": len(waiting),
        "by_kind": {kind: f"{sum(hits)} of {len(hits)}" for kind, hits in by_kind.items()},
        "auto": len(auto),
        "auto_wrong": wrong,
        "harm": batch.harm,
        "control": batch.control,
        "for_a_person": len(rest),
        "refused_by_the_person": [canonical(one.operation) for one in rest if not verdicts[one.id]],
        "preview": batch.preview,
    }


def _is_right(told: dict[str, Any], holds: set[tuple[str, str]], pages: Pages) -> bool:
    """Whether an operation that mends no planted fault is right by the truth."""
    if told["operation"] == "label.set":
        return ((told["product"], told["entry"]) in holds) == told["holds"]
    if told["operation"] == "topic.add":
        first = pages.items.filter(
            pl.col("topic_id") == topic_id(told["entries"]), pl.col("rank") <= FIRST
        )["product_id"]
        good = sum(all((one, entry) in holds for entry in told["entries"]) for one in first)
        return first.len() > 0 and good >= RIGHT * first.len()
    return False


def _mended(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    told = {}
    for kind, was in before["kinds"].items():
        now = after["kinds"][kind]
        told[kind] = f"{was['wrong']} -> {now['wrong']} wrong of {was['products']} products"
    return told


if __name__ == "__main__":
    typer.run(main)
