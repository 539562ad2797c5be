import polars as pl

from pinlanding_assets.catalog.live import live, with_family

VERSIONS = pl.LazyFrame(
    {
        "product_id": ["b", "a", "c", "a", "b", "c", "d"],
        "date": [f"2026-11-0{day}" for day in (1, 1, 1, 2, 3, 2, 3)],
        "operation": ["upsert", "upsert", "upsert", "upsert", "delete", "delete", "delete"],
        "title": ["b1", "a1", "c1", "a2", "", "", ""],
        "availability": ["in_stock"] * 3 + ["out_of_stock"] + ["unknown"] * 3,
        "snapshot": [False] * 7,
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


def test_what_a_full_export_does_not_name_is_gone():
    full = pl.LazyFrame(
        {
            "product_id": ["a", "c", "e"],
            "date": ["2026-11-04"] * 3,
            "operation": ["upsert", "upsert", "keep"],
            "title": ["a4", "c4", ""],
            "availability": ["in_stock", "in_stock", "unknown"],
            "snapshot": [True] * 3,
        }
    )
    e1 = VERSIONS.filter(pl.col("title") == "b1").with_columns(product_id=pl.lit("e"))
    f1 = e1.with_columns(product_id=pl.lit("f"), title=pl.lit("f1"))
    # f is gone; e is named, and its last usable version stands
    assert titles(pl.concat([VERSIONS, e1, f1, full])) == ["a4", "c4", "b1"]
    # a change of a later day comes on top, an earlier day that comes late changes nothing
    later = f1.with_columns(date=pl.lit("2026-11-05"))
    assert titles(pl.concat([full, later, VERSIONS, e1])) == ["a4", "c4", "b1", "f1"]


def test_days_of_a_release_without_parents_have_families():
    old = VERSIONS.collect().with_columns(seller=pl.lit("s"))
    assert with_family(old)["family"].n_unique() == old["product_id"].n_unique()
    again = with_family(with_family(old.lazy())).collect()
    assert again.columns == [*old.columns, "family"]
