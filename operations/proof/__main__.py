"""Proves the nights live: `make prove-operations`, or `python -m operations.proof`.

The first home is disturbed as a shop's platform is: its history is backfilled, a night is missed, a
run is killed in mid-step, a backfill is cancelled, Dagster is started anew, a feed comes late, one
is corrected and one withdrawn; everything that follows runs by itself. The second home has the
final feeds from the start and is launched by hand, a run for every day of the same history. Both
must come to the same lake and site (`operations.comparison`). What is claimed on the way is
asserted; the first thing that does not hold ends the program.

With `--keep disturbed`, `--keep undisturbed` or both a home that came to its end is not made again:
what it came to is kept beside it.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import Annotated

import typer

from operations.comparison import differences, digests
from operations.console import Console, until
from operations.instance import environment, open_instance, server
from operations.pinlanding import DAILY_HEAD, DAILY_TAIL, LEARNING, TAIL
from operations.pinlanding import LOCATION as FIRST
from operations.proof.feeds import Home, World, write_small_studio
from operations.proof.records import Recorder
from operations.rl import LOCATION as SECOND
from resources.event_log import RANGE_END, RANGE_START
from resources.nights import LATE, NIGHT
from resources.profiles import REPOSITORY, settings

DAILY = (*DAILY_HEAD, *DAILY_TAIL)
LEARN_FROM, NIGHTS = 2, 4  # days before and after the history
CORRECTED = 7  # number of a day in the history
PATIENCE = 3600.0  # seconds for any one thing, on a machine that has other things to do
FRACTION = 1 / 3  # of the time of single runs, which a backfill may take
TRAINED = {"reward_models", "rl_diffusion_weights", "rl_evaluation"}
FOLDER = REPOSITORY / ".data" / "proof"
BEGAN = time.monotonic()
took: dict[str, float] = {}


def say(text: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - BEGAN), 60)
    print(f"[{minutes:3d}:{seconds:02d}] {text}", flush=True)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Times what is done under a name."""
    say(f"{name} ...")
    started = time.monotonic()
    yield
    took[name] = time.monotonic() - started
    say(f"{name}: {took[name]:.0f} s")


def names_of(days: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in days]


def span(days: Sequence[str]) -> dict[str, str]:
    return {RANGE_START: days[0], RANGE_END: days[-1]}


def night_after(day: str) -> float:
    """When the night ticks that makes a day."""
    closed = date.fromisoformat(day) + timedelta(days=1)
    return datetime(closed.year, closed.month, closed.day, 2, 30, tzinfo=UTC).timestamp()


def learn(console: Console, records: Recorder, days: Sequence[str]) -> None:
    """The first days and an encoder, without which two of the daily assets cannot be made."""
    for assets, tags in ((DAILY_HEAD, span(days)), (LEARNING, {})):
        run = console.run(FIRST, assets, tags=tags)
        until(", ".join(assets), lambda run=run: records.ended([run]), PATIENCE)


def rest(records: Recorder) -> None:
    """Wait until nothing is at work and nothing will be by itself."""
    until("rest", lambda: not records.unrest(), PATIENCE, every=15)
    assert not (failed := records.failures()), f"at rest with failures: {failed}"


def disturbed(home: Home, days: list[str]) -> dict[str, str]:
    history = days[LEARN_FROM:-NIGHTS]
    first, second, late, last = days[-NIGHTS:]
    home.enter()
    home.deliver(*days[:-NIGHTS])
    write_small_studio(home.data / "studio", days[-2])
    environment(settings())
    with open_instance() as instance:
        records = Recorder(instance)
        with server(settings()) as live:
            console = Console(live)
            with stage("first days and an encoder"):
                learn(console, records, days[:LEARN_FROM])
            backfill_history(console, records, history)
            follow_history(console, records, history)
            night_beside_backfills(home, console, records, history, first)
            killed_night(home, console, records, second, late)
        os.environ |= {"PLATFORM_NIGHT_CRON": "*/5 * * * *", "PLATFORM_DEADLINE_CRON": "0 * * * *"}
        home.deliver(last)
        with server(settings()) as live:
            console = Console(live)
            with stage("Dagster started anew; the daemon ticks a night by itself"):
                until(f"{last} is made", lambda: ticked(records, last), PATIENCE)
            late_feeds(home, console, records, history[CORRECTED], first, late)
            second_location(records)
            with stage("freshness"):
                fresh(console, records)
    return digests(home.data, [*DAILY, *LEARNING, *TAIL])


def backfill_history(console: Console, records: Recorder, history: list[str]) -> None:
    name = f"backfill of {len(history)} days"
    with stage(name):
        backfill = console.backfill(DAILY, history, "history")
        until(name, lambda: records.backfill_ended(backfill), PATIENCE)
    runs = [one.run_id for one in records.runs_of(backfill)]
    say(f"  in {len(runs)} runs; {records.start_seconds(runs):.1f} s a run beside its steps")
    for asset, seconds in sorted(records.step_seconds(runs).items()):
        say(f"  {asset}: {sum(seconds) / len(history):.2f} s a day")


def follow_history(console: Console, records: Recorder, days: list[str]) -> None:
    """The encoder is learned anew from the whole history; what it made before is out of date."""
    with stage("automation is switched on; vocabulary and encoder are learned anew"):
        since = time.time()
        for location in (FIRST, SECOND):
            schedules, sensors = ["night", "deadline"], ["follow"]
            console.switch_on(location, schedules=schedules, sensors=sensors)
        until("a new encoder", lambda: made_since(records, "dual_encoder", since), PATIENCE)
        stale = console.stale("product_embeddings", days)
        assert stale.keys() == {*days}, f"not stale: {sorted({*days} - stale.keys())}"
        assert all("dual_encoder" in why for why in stale.values()), stale
        assert not console.stale("vlm_attributes", days), "the encoder is no input of these"
        say(f"  stale by the new encoder: product_embeddings of all {len(stale)} days")
    with stage("one backfill makes all days by the new encoder"):
        (backfill,) = until("it follows", lambda: followed(records, "product_embeddings"), PATIENCE)
        until("its end", lambda: records.backfill_ended(backfill), PATIENCE)
    runs = [one.run_id for one in records.runs_of(backfill)]
    say(f"  product_embeddings: {spent(records, runs)}, in {len(runs)} run(s)")
    assert not console.stale("product_embeddings", days)


def followed(records: Recorder, asset: str) -> list[str]:
    """The backfills that automation launched of an asset."""
    return [
        one.backfill_id
        for one in records.instance.get_backfills()
        if one.tags.get("platform/follow") and asset in str(one.asset_selection)
    ]


def spent(records: Recorder, runs: Sequence[str]) -> str:
    computed = records.total(runs, "product_embeddings", "model_calls")
    reused = records.total(runs, "product_embeddings", "vectors_reused")
    return f"{computed} vectors computed, {reused} reused"


def made_since(records: Recorder, asset: str, since: float) -> bool:
    import dagster as dg

    event = records.instance.get_latest_materialization_event(dg.AssetKey(asset))
    return event is not None and event.timestamp > since


def night_beside_backfills(
    home: Home, console: Console, records: Recorder, history: list[str], day: str
) -> None:
    """Three backfills fill their part of the queue; the night passes them; one is cancelled."""
    third = len(history) // 3
    parts = [history[:third], history[third : 2 * third], history[2 * third :]]
    with stage("a night beside three backfills, one of which is cancelled and resumed"):
        backfills = [console.backfill(DAILY, part, f"again, {part[0]}") for part in parts]
        until(
            "a backfill's run waits",
            lambda: any(
                one.status.value == "QUEUED" and len(records.backfills_at_work(backfills)) > 1
                for backfill in backfills
                for one in records.runs_of(backfill)
            ),
            PATIENCE,
        )
        home.deliver(day)
        nights, _ = console.tick(FIRST, "night", night_after(day))
        (night,) = [one for one in nights if records.run(one).tags[RANGE_END] == day]
        console.cancel(backfills[2])
        until("it is cancelled", lambda: records.status(backfills[2]) == "CANCELED", PATIENCE)
        resumed = console.resume(backfills[2])
        until("the night", lambda: records.ended([night]), PATIENCE)
        left = [one for one in (*backfills[:2], resumed) if records.status(one) == "REQUESTED"]
        assert left, "the night was no faster than the backfills"
        say(f"  the night is done, {len(left)} backfills are not")
        for one in (*backfills[:2], resumed):
            until("the backfills", lambda one=one: records.backfill_ended(one), PATIENCE)
    runs = [one.run_id for backfill in (*backfills, resumed) for one in records.runs_of(backfill)]
    assert records.total(runs, "product_embeddings", "model_calls") == 0
    assert records.total(runs, "vlm_attributes", "model_calls") == 0
    say(f"  the history again, in {len(runs)} runs: {spent(records, runs)}, no image asked about")


def killed_night(home: Home, console: Console, records: Recorder, missed: str, late: str) -> None:
    """The next night was missed, and the one after finds a feed missing and is killed."""
    with stage("the night after a missed one, killed in mid-step"):
        home.deliver(missed)  # and nobody ticked
        runs, _ = console.tick(FIRST, "night", night_after(late))
        asked = {one: records.run(one) for one in runs}
        head = [one for one, run in asked.items() if len(run.asset_selection or ()) > 1]
        assert [asked[one].tags[RANGE_END] for one in head] == [missed], "the late day waits"
        process = records.kill_in(head[0], "vlm_attributes")
        say(f"  process {process} of the run was killed in vlm_attributes of {missed}")
        until("Dagster notices", lambda: records.run(head[0]).is_failure, PATIENCE)
        retry = until("Dagster retries", lambda: records.retry_of(head[0]), PATIENCE)
        until("the retry", lambda: records.ended([retry]), PATIENCE)
        until("the others", lambda: records.ended([one for one in runs if one != head[0]]), 900)
        console.tick(SECOND, "night", night_after(late))


def ticked(records: Recorder, day: str) -> bool:
    """Whether the daemon's own tick of the night has made a day."""
    found = [one for one in records.tagged(NIGHT) if one.tags.get("dagster/schedule_name")]
    return any(one.tags[RANGE_END] == day and one.is_success for one in found)


def late_feeds(
    home: Home, console: Console, records: Recorder, corrected: str, withdrawn: str, late: str
) -> None:
    with stage("a late, a corrected and a withdrawn feed, to the publication"):
        home.correct(corrected)
        home.withdraw(withdrawn)
        home.deliver(late)
        console.switch_on(FIRST, sensors=["late_feeds", "late_search_logs"])
        console.switch_on(SECOND, sensors=["late_ratings"])
        wanted = {(corrected, "changed"), (withdrawn, "withdrawn")}
        until("two days are made again", lambda: seen_late(records) >= wanted, PATIENCE)
        # by the sensor or by the night, whichever comes first
        until(f"{late} is made", lambda: late in records.days_of("product_attributes"), PATIENCE)
        rest(records)
    twice = [one.run_id for one in records.tagged(LATE) if one.tags[LATE] == "changed"]
    say(f"  the corrected day: {spent(records, twice)}")
    _, why = console.tick(FIRST, "night", time.time())
    assert "complete" in why, f"the night finds more to do: {why}"


def seen_late(records: Recorder) -> set[tuple[str, str]]:
    return {
        (one.tags[RANGE_START], one.tags[LATE]) for one in records.tagged(LATE) if one.is_success
    }


def second_location(records: Recorder) -> None:
    """What a night of the second location does, and what none does."""
    nights = [
        one for one in records.tagged(NIGHT) if "preference_pairs" in str(one.asset_selection)
    ]
    assert nights, "no night of the second location"
    made = {key.to_user_string() for key in records.instance.all_asset_keys()}
    assert {"prompt_sets", "base_diffusion", "preference_pairs"} <= made, made
    started = {
        key.to_user_string()
        for one in records.instance.get_runs()
        for key in one.asset_selection or ()
    }
    assert not (trained := started & TRAINED), f"trained by accident: {trained}"
    say(f"  second location: {len(nights)} night runs of preference_pairs, nothing was trained")


def fresh(console: Console, records: Recorder) -> None:
    (run,), _ = console.tick(FIRST, "deadline", time.time())
    until("the checks", lambda: records.run(run).is_finished, PATIENCE)
    red = records.red_checks(run)
    assert not red, red


def undisturbed(home: Home, days: list[str]) -> dict[str, str]:
    history = days[LEARN_FROM:-NIGHTS]
    withdrawn = days[-NIGHTS]
    home.enter()
    home.deliver(*days)
    home.correct(history[CORRECTED])
    home.withdraw(withdrawn)
    environment(settings())
    with open_instance() as instance, server(settings()) as live:
        console, records = Console(live), Recorder(instance)
        with stage("second home: first days and an encoder"):
            learn(console, records, days[:LEARN_FROM])
        name = f"{len(history)} single-day runs"
        with stage(name):
            runs = [console.run(FIRST, DAILY, tags={"dagster/partition": day}) for day in history]
            until(name, lambda: records.ended(runs), PATIENCE)
        say(f"  {records.start_seconds(runs):.1f} s a run beside its steps")
        for asset, seconds in sorted(records.step_seconds(runs).items()):
            say(f"  {asset}: {median(seconds):.2f} s a day")
        with stage("second home: last days, learning, all days by the new encoder, publication"):
            empty = {"raw_catalog": {"withdrawn": [withdrawn]}}
            for assets, tags, config in (
                (["raw_catalog"], {"dagster/partition": withdrawn}, empty),
                (DAILY_HEAD, span(days[-NIGHTS:]), {}),
                (LEARNING, {}, {}),
                (DAILY_TAIL, span(days), {}),
                (TAIL, {}, {}),
            ):
                run = console.run(FIRST, assets, tags=tags, config=config)
                until(", ".join(assets), lambda run=run: records.ended([run]), PATIENCE)
    return digests(home.data, [*DAILY, *LEARNING, *TAIL])


LIVES = {"disturbed": disturbed, "undisturbed": undisturbed}


def result(name: str, world: World, days: list[str], *, keep: bool) -> dict[str, str]:
    """What a home comes to, or came to in an earlier call where it is kept.

    Raises:
        SystemExit: what is to be kept is not there, or of another world.
    """
    kept = FOLDER / f"{name}.json"
    if keep:
        known = json.loads(kept.read_text()) if kept.exists() else {}
        if known.get("world") != world.root.name:
            sys.exit(f"--keep {name}: it has not come to its end in {world.root.name}")
        took.update(known["took"])
        return known["digests"]
    kept.unlink(missing_ok=True)
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    before = {*took}
    reached = LIVES[name](Home(FOLDER / name, world), days)
    its = {stage: seconds for stage, seconds in took.items() if stage not in before}
    body = {"world": world.root.name, "took": its, "digests": reached}
    kept.write_text(json.dumps(body))
    return reached


Life = StrEnum("Life", list(LIVES))


def main(
    history: Annotated[int, typer.Option("--days", min=1, help="Days of the backfill.")] = 30,
    products: Annotated[int, typer.Option(min=1, help="New ones a day.")] = 10,
    keep: Annotated[list[Life], typer.Option(help="A home that is not made again.")] = [],  # noqa: B006
) -> None:
    """Prove nights, backfills and late feeds, live."""
    now = datetime.now(UTC)
    if now.hour >= 22:
        sys.exit("start it before 22:00 UTC: a day that closes meanwhile would be missing its feed")
    today = now.date()
    count = LEARN_FROM + history + NIGHTS
    dates = [today - timedelta(days=count - number) for number in range(count)]
    days = names_of(dates)
    os.environ |= {"PLATFORM_START_DATE": days[0], "PLATFORM_AUTOMATION": ""}
    world = World(FOLDER / f"world-{days[0]}-{count}-{products}", dates)
    with stage(f"feeds of {count} days, {products} new products a day"):
        world.write(products * count)
    found = [result(name, world, days, keep=Life(name) in keep) for name in LIVES]
    say(f"{len(found[0])} and {len(found[1])} things compared")
    failures = differences(*found)
    print("\n".join(failures[:50]))
    ratio = took[f"backfill of {history} days"] / took[f"{history} single-day runs"]
    print("\nseconds")
    for name, seconds in took.items():
        print(f"{seconds:8.0f}  {name}")
    print(f"\nthe backfill took {ratio:.2f} of the single-day runs (at most {FRACTION:.2f})")
    if failures:
        sys.exit(f"{len(failures)} differences between the disturbed and the undisturbed home")
    if ratio > FRACTION:
        sys.exit("the backfill took too long")
    print("lake and site are identical")


if __name__ == "__main__":
    typer.run(main)
