"""Days of a catalog through their assets: holes, exports that shrank, catalogs that are refused."""

import dagster as dg
import polars as pl
import pytest
import yaml

from pinlanding_assets.catalog.assets import catalog, raw_catalog
from pinlanding_assets.catalog.live import live
from resources.feeds.catalog_source import MISSING, NO_FEED, CatalogSource
from resources.lake import Lake
from resources.quality import Limits

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]


@pytest.fixture
def lake(tmp_path):
    return Lake(root=str(tmp_path / "lake"))


def run(tmp_path, lake, feeds: dict[str, str], *, days=DAYS, **settings):
    """Both assets over a range of days; the feeds are CSV."""
    for day, text in feeds.items():
        (tmp_path / f"{day}.csv").write_text(text)
    body = {"feeds": ["{day}.csv"], "columns": {"id": "sku", "title": "name"}, **settings}
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(body))
    source = CatalogSource(config_path=str(tmp_path / "catalog.yaml"))
    tags = {
        "dagster/asset_partition_range_start": days[0],
        "dagster/asset_partition_range_end": days[-1],
    }
    if len(days) == 1:
        tags = {"dagster/partition": days[0]}
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [raw_catalog, catalog],
            instance=instance,
            tags=tags,
            partition_key=days[0] if len(days) == 1 else None,
            resources={"source": source, "lake": lake, "limits": Limits()},
            raise_on_error=False,
        )


def failed_checks(result) -> set[str]:
    return {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}


def products(count: int, start: int = 0) -> str:
    rows = "".join(f"{at},Cup {at}\n" for at in range(start, start + count))
    return f"sku,name\n{rows}"


def test_a_day_without_a_feed_fails_alone(tmp_path, lake):
    feeds = {DAYS[0]: products(1), DAYS[2]: products(1, 7)}
    result = run(tmp_path, lake, feeds)
    assert result.success
    assert failed_checks(result) == {"feed_there"}
    assert [lake.rows("catalog", "products", day) for day in DAYS] == [1, 0, 1]
    manifest = lake.manifest("raw_catalog", DAYS[1])
    assert manifest is not None
    assert manifest.versions["feed"] == MISSING
    alone = run(tmp_path, lake, feeds, days=DAYS[1:2])
    assert not alone.success  # of a day that is asked for alone, the feed has to be there
    # when it comes, the day is made
    assert run(tmp_path, lake, {DAYS[1]: products(2)}, days=DAYS[1:2]).success
    assert lake.rows("catalog", "products", DAYS[1]) == 2


def test_a_day_without_a_feed_is_empty_where_that_is_usual(tmp_path, lake):
    feeds = {DAYS[0]: products(1), DAYS[2]: products(1, 7)}
    result = run(tmp_path, lake, feeds, missing_day="empty")
    assert result.success
    assert failed_checks(result) == set()
    manifest = lake.manifest("raw_catalog", DAYS[1])
    assert manifest is not None
    assert manifest.versions["feed"] == NO_FEED


def test_what_a_full_export_no_longer_has_is_gone_but_not_half_of_the_shop(tmp_path, lake):
    feeds = {DAYS[0]: products(10), DAYS[1]: products(9), DAYS[2]: products(3)}
    result = run(tmp_path, lake, feeds, snapshot="full")
    assert not result.success
    assert failed_checks(result) == {"whole_export"}
    assert lake.partitions("catalog") == DAYS[:2]  # the third was not kept
    shelf = live(lake.scan("catalog", "products")).collect()
    assert shelf["product_id"].to_list() == [str(at) for at in range(9)]
    allowed = run(tmp_path, lake, {}, snapshot="full", limits={"shrinks": 0.9})
    assert not allowed.success  # the limits are the resource's; catalog.yaml goes through settings


def test_a_catalog_that_is_refused_as_a_whole_stops(tmp_path, lake):
    result = run(tmp_path, lake, {DAYS[0]: "sku,name\n,A\n,B\n"}, days=DAYS[:1])
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    told = failure.step_failure_data.user_failure_data.description
    assert "none of 2 rows became a product: id: missing or blank (2 rows)" in told
    assert "python -m operations products" in told


def test_ids_in_another_spelling_stop(tmp_path, lake):
    feeds = {DAYS[0]: products(30), DAYS[1]: products(30).replace("\n", "\n00")[:-2]}
    result = run(tmp_path, lake, feeds, days=DAYS[:2])
    assert not result.success
    assert "ids" in failed_checks(result)


def test_a_feed_of_changes_that_is_a_full_export_is_noticed(tmp_path, lake):
    feeds = {DAYS[0]: products(40), DAYS[1]: products(39)}
    result = run(tmp_path, lake, feeds, days=DAYS[:2])
    assert result.success
    assert failed_checks(result) == {"changes"}
    said = run(tmp_path, lake, feeds, days=DAYS[:2], snapshot="changes")
    assert failed_checks(said) == set()


def test_rows_that_replace_each_other_stop_until_somebody_says_what_they_are(tmp_path, lake):
    languages = "sku,name\n" + "".join(f"{at},Cup\n{at},Tasse\n" for at in range(10))
    assert failed_checks(run(tmp_path, lake, {DAYS[0]: languages}, days=DAYS[:1])) == {
        "replaced_rows"
    }
    said = run(tmp_path, lake, {}, days=DAYS[:1], rows="last")
    assert said.success
    assert set(lake.read("catalog", "products", DAYS[0])["title"]) == {"Tasse"}
    assert lake.read("catalog", "products", DAYS[0]).filter(pl.col("snapshot")).height == 0
