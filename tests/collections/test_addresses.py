"""From night to night: topics and slugs stay, and addresses of pages that went lead on."""

import polars as pl
import pytest

from pinlanding_assets.collections.addresses import (
    FORMER_SCHEMA,
    REDIRECTS_SCHEMA,
    former_addresses,
    redirects,
    redirects_table,
)
from pinlanding_assets.collections.pages import Page
from pinlanding_assets.topics.judging import judge
from pinlanding_assets.topics.mining import Mining, mine
from pinlanding_assets.topics.phrasing import Phraser, topic_id, write_titles

ALIASES = pl.DataFrame(
    {
        "key": ["colour", "colour", "kind"],
        "raw_value": ["Gray", "grey", "dress"],
        "entry_id": ["colour=grey", "colour=grey", "kind=dress"],
    }
)
NO_COLLECTIONS = pl.DataFrame(
    schema={"topic_id": pl.String, "slug": pl.String, "duplicate_of": pl.String}
)


def page(slug: str, *entries: str) -> Page:
    return Page(topic_id(entries), slug, slug, entries, [], 10)


def frame(*pages: Page) -> pl.DataFrame:
    rows = [(page.slug, page.topic_id, list(page.entries)) for page in pages]
    return pl.DataFrame(rows, schema=FORMER_SCHEMA, orient="row")


DRESSES = page("dresses", "kind=dress")
GREY = page("grey-dresses", "kind=dress", "colour=grey")
GREY_STRIPED = page("grey-striped-dresses", "kind=dress", "colour=grey", "pattern=striped")
HATS = page("hats", "kind=hat")


def publish(pages: list[Page], before: pl.DataFrame, left: pl.DataFrame) -> pl.DataFrame:
    return redirects_table(NO_COLLECTIONS, pages, former_addresses(before, left, ALIASES))


def test_an_address_leads_to_the_nearest_wider_page_and_comes_back_with_its_topic():
    none = pl.DataFrame(schema=REDIRECTS_SCHEMA)
    first = publish([HATS, DRESSES, GREY, GREY_STRIPED], frame(), none)
    assert first.is_empty()
    second = publish([HATS, DRESSES, GREY], frame(HATS, DRESSES, GREY, GREY_STRIPED), first)
    assert dict(second.select("slug", "path").iter_rows()) == {
        "grey-striped-dresses": "collections/grey-dresses.html"
    }
    third = publish([HATS, DRESSES], frame(HATS, DRESSES, GREY), second)
    assert dict(third.select("slug", "path").iter_rows()) == {
        "grey-dresses": "collections/dresses.html",
        "grey-striped-dresses": "collections/dresses.html",
    }
    assert publish([HATS, DRESSES], frame(HATS, DRESSES), third).equals(third)  # run again
    # nothing wider is left: remembered, but a page about hats is no answer
    fourth = publish([HATS], frame(HATS, DRESSES), third)
    assert set(fourth["slug"]) == {"dresses", "grey-dresses", "grey-striped-dresses"}
    assert fourth["path"].null_count() == 3
    fifth = publish([HATS, GREY], frame(HATS), fourth)
    assert dict(fifth.select("slug", "path").iter_rows()) == {
        "dresses": None,
        "grey-striped-dresses": "collections/grey-dresses.html",
    }


def test_a_value_that_got_another_name_and_a_topic_that_got_another_title():
    old = page("gray-dresses", "kind=dress", "colour=gray")
    assert publish([HATS, DRESSES, GREY], frame(old), frame().clear())["path"].to_list() == [
        "collections/grey-dresses.html"
    ]
    retitled = Page(GREY.topic_id, "dresses-in-grey", "", GREY.entries, [], 10)
    found = redirects(NO_COLLECTIONS, [DRESSES, retitled], frame(GREY))
    assert found == [("grey-dresses", retitled)]


def test_what_is_now_a_duplicate_leads_to_its_page_rather_than_to_a_wider_one():
    duplicate = pl.DataFrame([(GREY_STRIPED.topic_id, GREY_STRIPED.slug, HATS.topic_id)],
                             schema=NO_COLLECTIONS.schema, orient="row")  # fmt: skip
    assert redirects(duplicate, [GREY, HATS], frame(GREY_STRIPED)) == [
        ("grey-striped-dresses", HATS)
    ]


def test_an_unsafe_old_slug_is_an_error():
    with pytest.raises(ValueError, match="unsafe slug"):
        redirects(NO_COLLECTIONS, [DRESSES], frame(page("../up", "kind=dress", "colour=red")))


def night(products: range) -> dict[str, str]:
    """topic_id -> slug of the topics of a catalog of these products."""
    values = {"kind": ("dress", "coat", "hat"), "colour": ("red", "grey"), "fit": ("slim", "wide")}
    rows = [
        (f"p{n}", f"{key}={found}", key, found, 0.95, "catalog")
        for n in products
        for place, (key, of_key) in enumerate(values.items())
        for found in [of_key[(n // 3**place) % len(of_key)]]
    ]
    columns = ["product_id", "entry_id", "key", "value", "p", "source"]
    assigned = pl.DataFrame(rows, schema=columns, orient="row")
    entries = assigned.select("entry_id", "key", "value").unique().sort("entry_id")
    entries = entries.with_columns(searchability=pl.lit(4.0), coherence=pl.lit(4.0))
    keys = pl.DataFrame({"key": list(values), "role": ["product_type", "attribute", "attribute"]})
    demand = pl.DataFrame(
        schema={"query": pl.String, "count": pl.Int64, "days": pl.Int64,
                "entries": pl.List(pl.String), "parsed": pl.Float64}
    )  # fmt: skip
    mining = Mining(min_support=8)
    candidates = mine([assigned], keys, demand, products=len(products), mining=mining)
    found = judge(write_titles(candidates, Phraser(entries, keys, {})), entries)
    return dict(found.filter("accepted").select("topic_id", "slug").iter_rows())


def test_ids_and_slugs_stay_from_night_to_night():
    tonight, tomorrow = night(range(120)), night(range(15, 170))
    both = tonight.keys() & tomorrow.keys()
    assert len(both) >= 20
    assert {topic: tonight[topic] for topic in both} == {topic: tomorrow[topic] for topic in both}
    assert tonight[topic_id(["kind=dress", "colour=red"])] == "red-dresses"
