import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pinlanding_assets.catalog.images import normalise
from pinlanding_assets.catalog.live import with_looks
from pinlanding_assets.collections.gates import (
    COLLECTIONS_SCHEMA,
    ITEMS_SCHEMA,
    Gates,
    verify_gates,
)
from pinlanding_assets.collections.matching import Arrangement, match

OPEN = Gates(min_products=1, min_sellers=1)


def catalog(n=30, **columns):
    base = {
        "product_id": [f"p{at:02}" for at in range(n)],
        "operation": ["upsert"] * n,
        "title": [f"thing number {at}" for at in range(n)],
        "images": [[f"hash{at}"] for at in range(n)],
        "seller": [f"s{at % 5}" for at in range(n)],
        "availability": ["in_stock"] * n,
    }
    return pl.DataFrame(base | columns)


def assigned(products, entries=("type=hat",), p=0.9, source="vlm"):
    rows = [
        (product, entry, *entry.split("="), p, source) for product in products for entry in entries
    ]
    return pl.DataFrame(
        rows, schema=["product_id", "entry_id", "key", "value", "p", "source"], orient="row"
    )


def topic(*entries, **other):
    row = {
        "topic_id": " ".join(entries),
        "slug": "-".join(entries).replace("=", "-"),
        "title": " ".join(entries).replace("=", " "),
        "entries": list(entries),
        "demand": 0.0,
        "accepted": True,
    }
    return row | other


def shown(items, topic_id="type=hat"):
    return items.filter(pl.col("topic_id") == topic_id).sort("rank")["product_id"].to_list()


def test_only_products_with_every_entry_and_only_accepted_topics():
    products = catalog()
    found = pl.concat([assigned(products["product_id"]), assigned(["p03", "p07"], ["color=red"])])
    topics = pl.DataFrame(
        [topic("type=hat"), topic("type=hat", "color=red"), topic("color=red", accepted=False)]
    )
    collections, items = match(topics, found, products, gates=OPEN)
    assert collections.schema == pl.Schema(COLLECTIONS_SCHEMA)
    assert items.schema == pl.Schema(ITEMS_SCHEMA)
    assert collections["topic_id"].to_list() == ["type=hat", "type=hat color=red"]
    assert collections["products"].to_list() == [30, 2]
    assert collections["sellers"].to_list() == [5, 2]
    assert set(shown(items, "type=hat color=red")) == {"p03", "p07"}
    both = items.filter(pl.col("topic_id") == "type=hat color=red")
    assert both["score"].to_list() == pytest.approx([2 * np.log(0.9)] * 2, abs=1e-5)
    assert both["entries"][0].to_list() == ["type=hat", "color=red"]
    assert collections["score"][1] == pytest.approx(0.81)
    verify_gates(collections, items, products, OPEN)


def test_products_off_sale_or_unlikely_stay_out():
    products = catalog(
        6,
        availability=["in_stock", "out_of_stock", "preorder", "unknown", "in_stock", "in_stock"],
        operation=["upsert"] * 4 + ["delete", "upsert"],
    )
    found = pl.concat([assigned([f"p0{n}" for n in range(5)]), assigned(["p05", "gone"], p=0.2)])
    _, items = match(pl.DataFrame([topic("type=hat")]), found, products, gates=OPEN)
    assert set(shown(items)) == {"p00", "p02", "p03"}


def test_sources_that_agree_come_first():
    products = catalog(6, seller=[None] * 6).cast({"seller": pl.String})
    found = pl.concat(
        [assigned([f"p0{n}" for n in range(6)]), assigned(["p04"], p=0.8, source="encoder")]
    )
    _, items = match(pl.DataFrame([topic("type=hat")]), found, products, gates=OPEN)
    assert shown(items)[0] == "p04"


def test_twins_by_image_and_by_vector_are_shown_once():
    titles = ["blue hat", "red hat", "Red hat!", "green scarf", "tall lamp", "old chair"]
    products = catalog(6, title=titles, images=[["a"], ["b"], ["c"], ["d"], ["a"], []])
    vectors = np.eye(6)
    vectors[2] = vectors[3] = vectors[1]  # p02 repeats p01; p03 only looks like it
    embeddings = pl.DataFrame({"product_id": products["product_id"], "vector": vectors.tolist()})
    found = assigned(products["product_id"])
    topics = pl.DataFrame([topic("type=hat")])
    _, items = match(topics, found, products, embeddings, gates=OPEN)
    assert set(shown(items)) == {"p00", "p01", "p03", "p05"}
    _, items = match(topics, found, products, gates=OPEN)
    assert set(shown(items)) == {"p00", "p01", "p02", "p03", "p05"}


def photo(seed, quality=95, side=96, tint=0):
    """A drawn photo (the seed) as a JPEG of this quality and size, its look, and its hash."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 200, (6, 6, 3)) + np.array([tint, 0, 0])
    picture = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    found = normalise(buffer.getvalue())
    return found.image_hash, found.look


def test_a_photo_saved_again_is_a_twin_and_another_colour_is_none():
    photos = [photo(1), photo(1, 60, 48), photo(1, tint=40), photo(2), photo(3, 60), (None, None)]
    assert len({name for name, _ in photos}) == 6
    products = catalog(
        6, images=[[name] if name else [] for name, _ in photos], seller=list("abcdef")
    )
    images = pl.DataFrame(photos, schema=["image_hash", "look"], orient="row").drop_nulls()
    seen = with_looks(products.lazy(), images.lazy()).collect()
    assert seen.drop("look").equals(products)
    found, topics = assigned(products["product_id"]), pl.DataFrame([topic("type=hat")])
    _, items = match(topics, found, seen, gates=OPEN)
    assert set(shown(items)) == {"p00", "p02", "p03", "p04", "p05"}
    _, items = match(topics, found, products, gates=OPEN)
    assert len(shown(items)) == 6
    none = products.with_columns(images=pl.lit([], pl.List(pl.String)))
    none = with_looks(none.lazy(), images.lazy()).collect()
    _, items = match(topics, found, none, gates=OPEN)
    assert len(shown(items)) == 6


def test_no_seller_fills_a_page_while_others_wait():
    products = catalog(30, seller=["big"] * 25 + ["a", "b", "c", "d", "e"])
    found = pl.concat(
        [
            assigned([f"p{n:02}" for n in range(25)]),
            assigned([f"p{n}" for n in range(25, 30)], p=0.7),
        ]
    )
    arrangement = Arrangement(max_products=10)
    topics = pl.DataFrame([topic("type=hat")])
    _, items = match(topics, found, products, arrangement=arrangement, gates=OPEN)
    page = shown(items)
    assert len(page) == 10
    assert {"p25", "p26", "p27", "p28", "p29"} <= set(page)
    alone = products.with_columns(seller=pl.lit("big"))
    _, items = match(topics, found, alone, arrangement=arrangement, gates=OPEN)
    assert len(shown(items)) == 10  # its only seller may fill it


def test_a_page_holds_all_that_belongs_there_or_says_how_many_do():
    products = catalog(200, seller=["big"] * 150 + ["small"] * 50)
    products = products.with_columns(
        images=pl.Series([[f"{n % 190}"] for n in range(200)]), title=pl.lit("hat")
    )
    topics = pl.DataFrame([topic("type=hat")])
    sure = assigned(products["product_id"])
    found, items = match(topics, sure, products, gates=OPEN)
    assert items["product_id"].n_unique() == 190, "of one photo the first"
    assert found.select("products", "matches").row(0) == (190, 190)
    assert items["rank"].to_list() == list(range(1, 191))
    short = Arrangement(max_products=60)
    found, items = match(topics, sure, products, arrangement=short, gates=OPEN)
    assert found.select("products", "matches").row(0) == (60, 190)
    assert Arrangement().shared_by(10).max_products == 1_000
    assert Arrangement().shared_by(5_000).max_products == 200
    assert short.shared_by(5_000).max_products == 60


def test_the_first_products_differ_in_looks():
    products = catalog(4, seller=[None] * 4).cast({"seller": pl.String})
    vectors = [[1.0, 0.0], [0.99, 0.14], [0.98, 0.2], [0.0, 1.0]]
    embeddings = pl.DataFrame({"product_id": products["product_id"], "vector": vectors})
    topics = pl.DataFrame([topic("type=hat")])
    _, items = match(topics, assigned(products["product_id"]), products, embeddings, gates=OPEN)
    assert shown(items)[:2] == ["p00", "p03"]


def test_row_order_does_not_matter_and_empty_input_is_fine():
    products = catalog()
    found = assigned(products["product_id"], ["type=hat", "color=red"])
    topics = pl.DataFrame([topic("type=hat"), topic("color=red")])
    one = match(topics, found, products)
    other = match(topics, found.reverse(), products.reverse())
    assert one[0].equals(other[0])
    assert one[1].equals(other[1])
    collections, items = match(topics, found.clear(), products.clear())
    assert collections["accepted"].to_list() == [False, False]
    assert items.is_empty()
    assert match(topics.clear(), found, products)[0].is_empty()
