"""A feed that arrives late, is sent again or is withdrawn; the store that is only gone is not."""

import json
import os
from pathlib import Path

import dagster as dg
import pytest
import yaml

from pinlanding_assets.catalog.assets import catalog, raw_catalog
from resources.event_log import RANGE_END, RANGE_START
from resources.feeds.catalog_source import NO_FEED, CatalogSource, feed_version
from resources.feeds.studio import Studio
from resources.lake import Lake
from resources.nights import MAX_LATE_DAYS, Late, late_days, late_requests
from resources.quality import Limits
from tests.automation.small_platform import DAILY

DAYS = [f"2026-11-{day:02d}" for day in range(1, 13)]


def write_feed(folder: Path, day: str, *ids: str) -> None:
    path = folder / "feeds" / f"{day}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"id": one, "title": f"a {one}"}) + "\n" for one in ids))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    body = {"feeds": ["feeds/{day}.jsonl"], "columns": {"id": "id", "title": "title"}}
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(body))
    for day in DAYS[:3]:
        write_feed(tmp_path, day, "hat", "shoe")
    return tmp_path


def source_of(shop: Path) -> CatalogSource:
    return CatalogSource(config_path=str(shop / "catalog.yaml"))


def lake_of(shop: Path) -> Lake:
    return Lake(root=str(shop / "lake"))


def read(shop: Path, *days: str, withdrawn: tuple[str, ...] = ()) -> bool:
    """Make days that follow each other, in one run."""
    return dg.materialize(
        [raw_catalog, catalog],
        tags={RANGE_START: days[0], RANGE_END: days[-1]},
        resources={"source": source_of(shop), "lake": lake_of(shop), "limits": Limits()},
        run_config={"ops": {"raw_catalog": {"config": {"withdrawn": list(withdrawn)}}}},
        raise_on_error=False,
    ).success


def look(shop: Path, known: dict[str, str], **changes) -> Late:
    source, lake = source_of(shop), lake_of(shop)
    return late_days(
        "raw_catalog",
        known,
        source.stamps(lake.partitions("raw_catalog")),
        lake,
        lambda day: feed_version(source.provenance(day)),
        **{"closed": DAYS, "held": set(), **changes},
    )


def test_what_was_read_is_not_late_and_a_new_day_has_arrived(shop):
    assert read(shop, *DAYS[:2])
    seen = look(shop, {})
    assert seen.days == {DAYS[2]: "arrived"}
    assert look(shop, seen.known).days == {}  # requested once


def test_a_feed_sent_again_counts_when_its_content_is_another(shop):
    assert read(shop, *DAYS[:3])
    known = look(shop, {}).known
    os.utime(shop / "feeds" / f"{DAYS[1]}.jsonl", (1, 1))
    touched = look(shop, known)
    assert (touched.days, touched.known != known) == ({}, True)
    write_feed(shop, DAYS[1], "hat", "boot")
    assert look(shop, touched.known).days == {DAYS[1]: "changed"}


def test_a_withdrawn_feed_leaves_an_empty_day_and_no_stale_one(shop):
    assert read(shop, *DAYS[:3])
    known = look(shop, {}).known
    (shop / "feeds" / f"{DAYS[1]}.jsonl").unlink()
    gone = look(shop, known)
    assert gone.days == {DAYS[1]: "withdrawn"}
    assert look(shop, gone.known).days == gone.days  # until it is done
    assert not read(shop, DAYS[1])  # nobody said that the feed may be missing
    assert read(shop, DAYS[1], withdrawn=(DAYS[1],))
    lake = lake_of(shop)
    manifest = lake.manifest("raw_catalog", DAYS[1])
    assert manifest
    assert manifest.versions["feed"] == NO_FEED
    assert lake.read("catalog", "products", DAYS[1]).height == 0
    settled = look(shop, gone.known)
    assert settled.days == {}
    assert read(shop, DAYS[1])  # a later backfill leaves it empty
    write_feed(shop, DAYS[1], "hat")
    assert look(shop, settled.known).days == {DAYS[1]: "changed"}  # it is back
    assert read(shop, DAYS[1])
    assert lake.read("catalog", "products", DAYS[1]).height == 1


def test_a_day_that_never_had_a_feed_is_not_emptied(shop):
    assert not read(shop, DAYS[5])
    assert look(shop, {}).days.keys() == set(DAYS[:3])


def test_a_store_that_is_gone_empties_no_day(shop):
    many = DAYS[: MAX_LATE_DAYS + 1]
    for day in many:
        write_feed(shop, day, "hat")
    assert read(shop, *many)
    for day in many:
        (shop / "feeds" / f"{day}.jsonl").unlink()
    with pytest.raises(LookupError, match=f"the feeds of {len(many)} days are gone"):
        look(shop, {})


def test_a_tick_reads_so_many_feeds_and_goes_on_in_the_next(shop):
    for day in DAYS:
        write_feed(shop, day, "hat")
    first = look(shop, {})
    assert list(first.days) == DAYS[:MAX_LATE_DAYS]
    assert list(look(shop, first.known).days) == DAYS[MAX_LATE_DAYS:]


def test_a_day_under_way_and_a_day_that_is_not_closed_are_left_for_later(shop):
    seen = look(shop, {}, held={DAYS[0]}, closed=DAYS[:2])
    assert seen.days == {DAYS[1]: "arrived"}
    assert look(shop, seen.known, closed=DAYS[:2]).days == {DAYS[0]: "arrived"}


def test_a_late_day_is_requested_with_everything_daily_below_that_can_run(platform):
    closed = platform.closed()
    days = {closed[0]: "changed", closed[1]: "withdrawn", closed[3]: "arrived"}

    def requests() -> list[dg.RunRequest]:
        root, known = dg.AssetKey("feed"), dict.fromkeys(closed, "stamp")
        return late_requests(
            platform.records(), root, DAILY, Late(days, {}), known, lambda gone: {"gone": gone}
        )

    first, second = requests()
    assert (first.tags[RANGE_START], first.tags[RANGE_END]) == (closed[0], closed[1])
    assert (first.run_config, second.run_config) == ({"gone": [closed[1]]}, {})
    assert [key.to_user_string() for key in first.asset_selection] == ["feed", "answers"]
    assert [one.run_key for one in requests()] == [first.run_key, second.run_key]
    platform.run("feed", "answers", days=(closed[0], closed[3]))
    platform.follow()
    assert dg.AssetKey("vectors") in requests()[0].asset_selection  # there is an encoder now


def test_ratings_and_search_logs_have_stamps_by_day(tmp_path, shop):
    (tmp_path / "studio.yaml").write_text(
        "name: mine\nratings: [{path: 'votes/{day}.jsonl', format: pairs}]\n"
    )
    (tmp_path / "votes").mkdir()
    votes = tmp_path / "votes" / f"{DAYS[0]}.jsonl"
    votes.write_text("{}\n")
    studio = Studio(config_path=str(tmp_path / "studio.yaml"))
    before = studio.stamps()
    votes.write_text("{}\n{}\n")
    assert before.keys() == {DAYS[0]}
    assert studio.stamps() != before
    assert source_of(shop).log_stamps() == {}
