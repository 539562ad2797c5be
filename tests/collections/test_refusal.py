"""Publication verifies in its own body: a backfill ends here, whatever other runs' checks said."""

import dagster as dg
import polars as pl
import pytest

from pinlanding_assets.collections.assets import published_collections
from resources.feeds.catalog_source import CatalogSource
from resources.lake import Lake
from resources.quality import Limits
from resources.site import SiteStore

DAY, IDS = "2026-11-01", ["p0", "p1"]
COLLECTIONS = {
    "collections": pl.DataFrame(
        {
            **{"topic_id": ["t"], "slug": ["red-hats"], "title": ["Red hats"]},
            **{"entries": [["kind=hat"]], "accepted": [True]},
        }
    ),
    "items": pl.DataFrame({"topic_id": ["t", "t"], "rank": [1, 2], "product_id": IDS}),
}


def vectors(first: float) -> dict[str, pl.DataFrame]:
    schema = {"product_id": pl.String, "vector": pl.Array(pl.Float32, 2)}
    rows = {"product_id": IDS, "vector": [[first, 0.0], [0.0, 1.0]]}
    return {"embeddings": pl.DataFrame(rows, schema=schema)}


def score(lake: Lake, p_at_10: float) -> None:
    made_of = lake.manifest("collections")
    assert made_of is not None
    figures = pl.DataFrame({"name": ["collections.p_at_10"], "value": [p_at_10], "n": [50]})
    lake.commit("scorecard", {"figures": figures}, versions={"collections": made_of.data_version})


@pytest.fixture
def lake(tmp_path) -> Lake:
    """A shop of two products with one page, and a live site."""
    lake = Lake(root=str(tmp_path / "lake"))
    products = pl.DataFrame({"product_id": IDS, "seller": IDS, "images": [[one] for one in IDS]})
    stated = {"operation": pl.lit("upsert"), "availability": pl.lit("in_stock")}
    stated |= {"snapshot": pl.lit(False)}
    lake.commit("catalog", {"products": products.with_columns(**stated)}, partition=DAY)
    found = pl.DataFrame({"product_id": IDS, "entry_id": "kind=hat", "source": "title"})
    lake.commit("product_attributes", {"assignments": found}, partition=DAY)
    version = {"checkpoint": "c"}
    lake.commit("dual_encoder", {"calibration": found}, versions=version)
    lake.commit("product_embeddings", vectors(1.0), partition=DAY, versions=version)
    lake.commit("collections", COLLECTIONS)
    score(lake, 0.9)
    return lake


def published(lake: Lake, tmp_path) -> tuple[dg.ExecuteInProcessResult, str | None, str | None]:
    """Materialize the publication alone, as a run of a backfill does; the site before and after."""
    (tmp_path / "shop.yaml").write_text(
        "feeds: [x.csv]\ncolumns: {id: id, title: t, seller: s}\n"
        "collections: {min_products: 2, min_sellers: 2}\n"
    )
    site = SiteStore(root=str(tmp_path / "site"))
    site.publish([("index.html", b"what is live")])
    before = site.current()
    used = {
        "source": CatalogSource(config_path=str(tmp_path / "shop.yaml")),
        "lake": lake,
        "site": site,
        "limits": Limits(),
    }
    done = dg.materialize([published_collections], resources=used, raise_on_error=False)
    return done, before, site.current()


def broken_vectors(lake: Lake) -> None:
    version = {"checkpoint": "c"}
    lake.commit("product_embeddings", vectors(float("nan")), partition=DAY, versions=version)


def sold_out(lake: Lake) -> None:
    gone = lake.read("catalog", "products", DAY).with_columns(availability=pl.lit("out_of_stock"))
    lake.commit("catalog", {"products": gone}, partition=DAY)


def no_pages(lake: Lake) -> None:
    lake.commit("collections", {name: table.head(0) for name, table in COLLECTIONS.items()})
    score(lake, 0.9)


def most_pages_gone(lake: Lake) -> None:
    pages = pl.DataFrame({"topic_id": ["t", "u", "v"]})
    lake.commit("published_collections", {"pages": pages})


def no_attributes(lake: Lake) -> None:
    none = lake.read("product_attributes", "assignments", DAY).head(0)
    lake.commit("product_attributes", {"assignments": none}, partition=DAY)


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (broken_vectors, "vectors"),
        (sold_out, "gates"),
        (no_pages, "not_empty"),
        (most_pages_gone, "pages_kept"),
        (no_attributes, "coverage"),
        (lambda lake: score(lake, 0.3), "p_at_10"),
    ],
    ids=["vectors", "gates", "not_empty", "pages_kept", "coverage", "p_at_10"],
)
def test_what_is_bad_in_the_lake_is_not_published(lake, tmp_path, fault, check):
    fault(lake)
    done, before, after = published(lake, tmp_path)
    assert not done.success
    assert after == before
    red = {one.check_name for one in done.get_asset_check_evaluations() if not one.passed}
    assert check in red
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    message = failure.step_failure_data.user_failure_data.description
    assert f"{check}: " in message
    assert "What to do: " in message


def test_a_scorecard_of_other_collections_vouches_for_nothing(lake, tmp_path):
    other = COLLECTIONS["collections"].with_columns(title=pl.lit("Blue hats"))
    lake.commit("collections", COLLECTIONS | {"collections": other})
    done, before, after = published(lake, tmp_path)
    assert not done.success
    assert after == before
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    assert "materialize scorecard first" in failure.step_failure_data.error.to_string()
