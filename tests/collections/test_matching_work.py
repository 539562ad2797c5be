"""What an engine runs for matching reads the lake in parts, and gives what `match` gives."""

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from pinlanding_assets.catalog.live import with_looks
from pinlanding_assets.collections import work
from pinlanding_assets.collections.gates import Gates
from pinlanding_assets.collections.matching import Arrangement, fill_pages, match
from pinlanding_assets.embeddings import assets as embeddings_assets
from resources.engine import InProcess
from resources.gpu import Session
from resources.lake import Lake

OPEN = Gates(min_products=1, min_sellers=1)
ENTRIES = [f"{key}={value}" for key in ("type", "color", "size") for value in ("a", "b", "c")]
DAYS = ("2026-11-01", "2026-11-02")


def products(ids: list[str], **columns: list) -> pl.DataFrame:
    count = len(ids)
    base = {
        "product_id": ids,
        "operation": ["upsert"] * count,
        "snapshot": [False] * count,
        "title": [f"thing {at % 7}" for at in range(count)],
        "images": [[f"hash{at % 50}"] for at in range(count)],
        "seller": [f"s{at % 5}" if at % 4 else None for at in range(count)],
        "availability": ["out_of_stock" if at % 9 == 0 else "in_stock" for at in range(count)],
    }
    return pl.DataFrame(base | columns)


def assigned(ids: list[str], seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (product, entry, entry.split("=")[0], entry.split("=")[1], float(rng.uniform(0.5, 1)), by)
        for product in ids
        for entry in ENTRIES
        for by in ("vlm", "encoder")
        if rng.random() < 0.4
    ]
    columns = ["product_id", "entry_id", "key", "value", "p", "source"]
    return pl.DataFrame(rows, schema=columns, orient="row").sort("product_id", "entry_id")


def test_pages_from_the_lake_are_those_from_frames(tmp_path, monkeypatch):
    lake, old = Lake(root=str(tmp_path)), [f"p{n:03}" for n in range(120)]
    changed, gone = old[10:40], old[40:45]
    operations = ["upsert"] * len(changed) + ["delete"] * len(gone)
    feeds = [products(old), products(changed + gone, operation=operations)]
    given = [assigned(old, 0), assigned(changed, 1)]
    rng = np.random.default_rng(2)
    embeddings = []
    for day, feed, found in zip(DAYS, feeds, given, strict=True):
        ids = feed.filter(pl.col("operation") == "upsert")["product_id"]
        vectors = rng.normal(size=(len(ids), 4)).astype(np.float32)
        vectors[::3] = vectors[0]  # twins
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        embeddings.append(pl.DataFrame({"product_id": ids, "vector": vectors}))
        # the photos 3 and 4 are one, saved twice
        looks = [f"{5 * max(n, 4):02x}" * 56 for n in range(50)]
        seen = pl.DataFrame({"image_hash": [f"hash{n}" for n in range(50)], "look": looks})
        lake.commit("catalog", {"products": feed, "images": seen}, partition=day)
        lake.commit("product_attributes", {"assignments": found}, partition=day)
        lake.commit("product_embeddings", {"embeddings": embeddings[-1]}, partition=day)
    topics = pl.DataFrame(
        [
            {
                "topic_id": " ".join(entries),
                "slug": "-".join(entries).replace("=", "-"),
                "title": " ".join(entries),
                "entries": list(entries),
                "demand": 0.0,
                "accepted": True,
            }
            for entries in (ENTRIES[:1], ENTRIES[1:2], ENTRIES[:4:3], ["type=none"], ENTRIES[2::3])
        ]
    )
    replaced = pl.col("product_id").is_in(changed + gone)
    wanted = match(
        topics,
        pl.concat([given[0].filter(~replaced), given[1]]),
        with_looks(
            pl.concat([feeds[0].filter(~replaced), feeds[1]]).lazy(),
            lake.scan("catalog", "images"),
        ).collect(),
        pl.concat([embeddings[0].filter(~replaced), embeddings[1]]),
        arrangement=Arrangement(max_products=20),
        gates=OPEN,
    )
    monkeypatch.setattr(embeddings_assets, "ROWS", 50)
    running = InProcess(Session("cpu", "float32", 0))
    job = work.Match(lake, Arrangement(max_products=20))
    pages = running.map_batches(job, topics["entries"].to_list(), 2)
    found = fill_pages(topics, pages, OPEN)
    assert wanted[1].height > 60
    for one, other in zip(found, wanted, strict=True):
        assert_frame_equal(one, other, abs_tol=1e-5)  # products of other shapes
