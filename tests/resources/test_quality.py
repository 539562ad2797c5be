"""Limits, findings and what becomes of them in Dagster."""

import dagster as dg
import polars as pl
import pytest

from resources.event_log import REFUSED
from resources.lake import Lake
from resources.profiles import resources
from resources.quality import (
    ROW_COUNT,
    SCHEMA,
    Check,
    Finding,
    Limits,
    against_days_before,
    at_least,
    at_most,
    check_results,
    stop,
)

STOPS = Check("stops", "It is right.", "mend it.", stops=True)
WARNS = Check("warns", "It is fine.", "look at it.")
CHECKS = {"thing": [STOPS, WARNS]}
DAYS = [f"2026-11-{day:02}" for day in range(1, 9)]


def results(**failures: str) -> dict[str | None, dg.AssetCheckResult]:
    found = {name: Finding(1.0, failures.get(name, "")) for name in ("stops", "warns")}
    return {one.check_name: one for one in check_results(CHECKS, "thing", {None: found})}


def test_a_failed_check_says_what_it_saw_and_what_to_do():
    red = results(stops="7 of 9 are gone")["stops"]
    assert not red.passed
    assert red.description == "7 of 9 are gone. What to do: mend it."
    assert results()["stops"].passed


def test_only_a_check_that_stops_fails_its_step():
    stop(results(warns="odd").values())
    with pytest.raises(dg.Failure, match=r"stops: gone\. What to do: mend it\.") as caught:
        stop(results(stops="gone", warns="odd").values())
    assert not caught.value.allow_retries
    assert caught.value.metadata[REFUSED].value == [None]
    assert REFUSED not in results(warns="odd")["warns"].metadata  # shown, not refused


def test_of_many_days_the_failed_ones_are_named():
    found = {day: {"stops": Finding(1.0, "gone" * (day < "2026-11-08")), "warns": Finding()}
             for day in DAYS}  # fmt: skip
    red, green = check_results(CHECKS, "thing", found)
    assert "2026-11-05: gone (and 2 more)" in str(red.description)
    assert green.passed
    assert red.metadata["partitions"].value == str(len(DAYS))


def test_a_check_that_nothing_was_found_for_is_an_error():
    with pytest.raises(KeyError, match="warns"):
        check_results(CHECKS, "thing", {None: {"stops": Finding()}})


def test_what_cannot_be_known_passes_and_what_is_no_number_does_not():
    assert at_least(None, 1, "x") == Finding(None)
    assert at_least(0.5, 0.6, "share").failure == "share: 0.5, at least 0.6 wanted"
    assert at_most(0.7, 0.6, "share").failure == "share: 0.7, at most 0.6 allowed"
    assert at_least(float("nan"), 0.6, "x").failure
    assert at_most(float("nan"), 0.6, "x").failure


def lake_of(tmp_path, rows: list[int], **last) -> Lake:
    lake = Lake(root=str(tmp_path))
    for day, count in zip(DAYS, rows, strict=False):
        table = {"id": list(range(count))} | (last if day == DAYS[len(rows) - 1] else {})
        lake.commit("feed", {"t": pl.DataFrame(table, schema_overrides={"id": pl.Int64})},
                    partition=day)  # fmt: skip
    return lake


@pytest.mark.parametrize(
    ("rows", "odd"),
    [
        ([100, 110, 90, 20], True),  # a sudden drop
        ([100, 110, 90, 500], True),  # a sudden rise
        ([100, 110, 90, 0], True),
        ([100, 0, 110, 90, 105], False),  # the day after an odd one is no odd one
        ([100, 110, 90, 60], False),
        ([1000, 10], False),  # too few days to say anything
        ([0, 0, 0, 0], False),
        ([2, 1, 3, 8], False),  # a handful
    ],
)
def test_rows_are_compared_with_the_days_before(tmp_path, rows, odd):
    lake, day = lake_of(tmp_path, rows), DAYS[len(rows) - 1]
    finding = against_days_before(lake, "feed", "t", [day], Limits())[day][ROW_COUNT.name]
    assert bool(finding.failure) == odd
    assert finding.value == rows[-1]


def test_a_changed_column_is_named(tmp_path):
    lake = lake_of(tmp_path, [2, 2], price=["1", "2"])
    found = against_days_before(lake, "feed", "t", DAYS[:2], Limits())
    assert not found[DAYS[0]][SCHEMA.name].failure
    assert found[DAYS[1]][SCHEMA.name].failure == f"t.price was None on {DAYS[0]}, is String"


def test_limits_come_from_the_environment_then_the_catalog(tmp_path, monkeypatch):
    catalog = tmp_path / "shop.yaml"
    monkeypatch.setenv("PLATFORM_CATALOG", str(catalog))
    catalog.write_text("limits: {reject_rate: 0.1, coverage: 0.4}\n")
    monkeypatch.setenv("PLATFORM_LIMITS", "{reject_rate: 0.05}")
    limits = resources()["limits"]
    assert (limits.reject_rate, limits.coverage, limits.p_at_10) == (0.05, 0.4, Limits().p_at_10)
    for text, message in [
        ("{reject_rat: 0.1}", r"no limits: \['reject_rat'\]; there are .*reject_rate"),
        ("{reject_rate: 2}", "reject_rate: Input should be less than or equal to 1"),
        ("0.1", "is no mapping"),
    ]:
        monkeypatch.setenv("PLATFORM_LIMITS", text)
        with pytest.raises(ValueError, match=message):
            resources()
