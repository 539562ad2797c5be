"""Where the partitions begin and end."""

import pytest

from resources.profiles import only_day, start_date


@pytest.fixture
def shop(tmp_path, monkeypatch):
    for name in ("PLATFORM_START_DATE", "PLATFORM_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path / "data"))

    def written(feeds, *more):
        path = tmp_path / "shop.yaml"
        path.write_text(f"feeds: [{feeds!r}]\ncolumns: {{id: sku}}\n" + "\n".join(more))
        monkeypatch.setenv("PLATFORM_CATALOG", str(path))

    return written


def test_a_file_without_a_day_has_one_day_and_waits_for_none(shop):
    shop("products.csv")
    assert only_day().isoformat() == "2026-11-01"
    shop("products.csv", "day: 2026-12-05")
    assert only_day().isoformat() == "2026-12-05"


def test_searches_of_many_days_keep_the_days(shop):
    shop("products.csv", "search_log: {path: 'searches/{day}.csv'}")
    assert only_day() is None


def test_feeds_called_after_their_day_begin_with_the_first(shop, tmp_path):
    shop("{day}.csv")
    assert only_day() is None
    assert start_date() == "2026-11-01"
    for day in ("2026-10-02", "2026-10-01"):
        (tmp_path / f"{day}.csv").write_text("sku\n1\n")
    assert start_date() == "2026-10-01"


def test_the_sandbox_begins_with_what_it_has_made(tmp_path, monkeypatch):
    for name in ("PLATFORM_START_DATE", "PLATFORM_SETTINGS", "PLATFORM_CATALOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path))
    assert (start_date(), only_day()) == ("2026-11-01", None)
    (tmp_path / "sandbox" / "world" / "feeds" / "2026-12-02").mkdir(parents=True)
    assert start_date() == "2026-12-02"
    monkeypatch.setenv("PLATFORM_START_DATE", "2026-12-01")
    assert start_date() == "2026-12-01"
