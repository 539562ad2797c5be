"""What is compared of two data folders, and what is not."""

import hashlib
from pathlib import Path

import polars as pl
import pytest

from operations.comparison import differences, digests
from resources.lake import Lake
from resources.site import SiteStore

IMAGE = hashlib.sha256(b"a hat").hexdigest()[:32]


def fill(folder: Path, *, price: float = 1.0, page: bytes = b"hats") -> dict[str, str]:
    lake, site = Lake(root=str(folder / "lake")), SiteStore(root=str(folder / "site"))
    lake.put_image(IMAGE, b"a hat")
    lake.commit(
        "catalog",
        {
            "products": pl.DataFrame({"price": [price]}),
            "images": pl.DataFrame({"image_hash": [IMAGE]}),
        },
        partition="2026-11-01",
    )
    site.publish([("index.html", page)])
    return digests(folder, ["catalog"])


def test_the_same_content_is_the_same_whatever_was_there_before(tmp_path):
    first = fill(tmp_path / "one")
    fill(tmp_path / "other", price=2.0, page=b"coats")
    Lake(root=str(tmp_path / "other" / "lake")).put_image("1" * 32, b"a withdrawn hat")
    again = fill(tmp_path / "other")
    assert differences(first, again) == []
    assert len(first) == 5  # a manifest, two tables, an image and a page


@pytest.mark.parametrize("change", [{"price": 2.0}, {"page": b"coats"}])
def test_another_table_or_page_is_a_difference(tmp_path, change):
    found = differences(fill(tmp_path / "one"), fill(tmp_path / "other", **change))
    assert any("products" in line or "index.html" in line for line in found)


def test_a_file_that_is_gone_is_a_difference(tmp_path):
    whole = fill(tmp_path / "one")
    fill(tmp_path / "other")
    (path,) = (tmp_path / "other" / "lake" / "images").rglob("*.jpg")
    path.unlink()
    assert [
        line.split(":")[0] for line in differences(whole, digests(tmp_path / "other", ["catalog"]))
    ] == [f"images/{IMAGE[:2]}/{IMAGE}.jpg"]


@pytest.mark.parametrize(("table", "same"), [("redirects", True), ("pages", False)])
def test_what_was_published_between_is_no_difference(tmp_path, table, same):
    found = []
    for name, slug in (("one", "hats"), ("other", "caps")):
        fill(tmp_path / name)
        lake = Lake(root=str(tmp_path / name / "lake"))
        tables = {"pages": pl.DataFrame({"slug": ["coats"]})}
        tables[table] = pl.DataFrame({"slug": [slug]})
        lake.commit("published_collections", tables, versions={"site": slug})
        site = SiteStore(root=str(tmp_path / name / "site"))
        leads_on = b'<meta http-equiv="refresh" content="0; url=coats.html">'
        site.publish([("index.html", b"coats"), (f"{slug}.html", leads_on)])
        found.append(digests(tmp_path / name, ["published_collections", "catalog"]))
    assert (differences(*found) == []) == same
