import polars as pl

from pinlanding_assets.catalog.live import live

VERSIONS = pl.LazyFrame(
    {
        "product_id": ["b", "a", "c", "a", "b", "c", "d"],
        "date": [f"2026-11-0{day}" for day in (1, 1, 1, 2, 3, 2, 3)],
        "operation": ["upsert", "upsert", "upsert", "upsert", "delete", "delete", "delete"],
        "title": ["b1", "a1", "c1", "a2", "", "", ""],
        "availability": ["in_stock"] * 3 + ["out_of_stock"] + ["unknown"] * 3,
    }
)


def titles(versions: pl.LazyFrame) -> list[str]:
    return live(versions).collect()["title"].to_list()


def test_the_last_version_counts_and_deletions_are_dropped():
    assert titles(VERSIONS) == ["a2"]
    assert live(VERSIONS).collect_schema() == VERSIONS.collect_schema()


def test_the_catalog_of_an_earlier_day_is_a_filter():
    assert titles(VERSIONS.filter(pl.col("date") <= "2026-11-02")) == ["a2", "b1"]
    assert titles(VERSIONS.filter(pl.col("date") <= "2026-11-01")) == ["a1", "b1", "c1"]


def test_a_product_that_returns_is_live_again():
    back = VERSIONS.filter(pl.col("title") == "c1").with_columns(date=pl.lit("2026-11-05"))
    assert titles(pl.concat([VERSIONS, back])) == ["a2", "c1"]
    assert titles(VERSIONS.clear()) == []
