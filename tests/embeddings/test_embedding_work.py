"""What an engine runs of the stage: blocks of a day are the day, and bad items are rejected."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pinlanding_assets.attributes.titles import WORDS_SCHEMA
from pinlanding_assets.embeddings import work
from pinlanding_assets.embeddings.encode import embed
from pinlanding_assets.encoder.calibration import CALIBRATION_SCHEMA
from pinlanding_assets.encoder.reader import packed
from pinlanding_assets.encoder.vectors import Encoded
from resources.engine import InProcess, Rejected
from resources.gpu import Session
from resources.lake import Lake

DAY = "2026-11-01"
ENTRIES = ["colour=blue", "colour=red", "use=run", "use=swim"]


def shop(lake: Lake, products: int) -> None:
    rng = np.random.default_rng(0)
    ids = [f"p{n:02}" for n in rng.permutation(products)]
    keys, values = zip(*(entry.split("=") for entry in ENTRIES), strict=True)
    entries = pl.DataFrame({"entry_id": ENTRIES, "key": keys, "value": values})
    aliases = pl.DataFrame({"key": keys, "raw_value": values, "entry_id": ENTRIES})
    aliases = aliases.with_columns(action=pl.lit("keep"), reason=pl.lit("canonical"))
    roles = pl.DataFrame({"key": ["colour", "use"], "multi": [False, True]})
    word = (ENTRIES[0], *ENTRIES[0].split("="), "scarlet")
    read = pl.DataFrame([word], schema=WORDS_SCHEMA, orient="row")
    tables = {"entries": entries, "aliases": aliases, "keys": roles, "title_words": read}
    lake.commit("attribute_vocabulary", tables)
    calibration = pl.DataFrame(
        [(e, 1.0, 0.0, 0.6, 0.95, 0.8, 50) for e in ENTRIES], CALIBRATION_SCHEMA, orient="row"
    )
    trust = pl.DataFrame({"entry_id": ENTRIES, "trust": [0.95] * 4, "said": [9] * 4}).with_columns(
        slope=1.0, share=0.25, shift=0.0
    )
    lake.commit(
        "dual_encoder",
        {
            "calibration": calibration,
            "read_entries": pl.DataFrame({"entry_id": ENTRIES}),
            "title_trust": trust,
        },
    )
    feed = pl.DataFrame(
        {
            "product_id": ids,
            "operation": ["delete" if n % 10 == 0 else "upsert" for n in range(products)],
            "title": ["scarlet thing" if n % 2 else "thing" for n in range(products)],
            "images": [[f"h{n}"] for n in range(products)],
        }
    )
    lake.commit("catalog", {"products": feed}, partition=DAY)
    shown = packed(4 * rng.normal(size=(products, 4)))
    readings = pl.Series("readings", [row.tobytes() for row in shown], dtype=pl.Binary)
    made = pl.DataFrame({"product_id": ids, "readings": readings}).filter(
        pl.col("product_id") != ids[5]  # one that was not encoded
    )
    lake.commit("product_embeddings", {"embeddings": made}, partition=DAY)
    stated = pl.DataFrame(
        [
            (ids[n], f"h{n}" if by == "vlm" else None, by, *ENTRIES[n % 4].split("="))
            for n in range(products)
            for by in ("title", "vlm")
            if n % 3 == (by == "vlm")
        ],
        schema=["product_id", "image_hash", "source", "key", "value"],
        orient="row",
    )
    lake.commit("vlm_attributes", {"mentions": stated}, partition=DAY)


def test_blocks_of_a_day_are_assigned_as_the_day(tmp_path, monkeypatch):
    lake, running = Lake(root=str(tmp_path)), InProcess(Session("cpu", "float32", 0))
    shop(lake, 40)
    (whole,) = running.map_batches(work.Assign(lake), work.blocks(lake, DAY), 1)
    monkeypatch.setattr(work, "BLOCK", 7)
    blocks = work.blocks(lake, DAY)
    assert len(blocks) == 6
    parts = running.map_batches(work.Assign(lake), blocks, 1)
    assert whole["product_id"].n_unique() > 20
    assert set(whole["source"]) == {"encoder", "title", "vlm"}
    assert_frame_equal(pl.concat(parts), whole, abs_tol=1e-5)  # products of other shapes


def test_a_day_without_products_has_an_empty_table(tmp_path):
    lake, running = Lake(root=str(tmp_path)), InProcess(Session("cpu", "float32", 0))
    shop(lake, 10)
    nothing = lake.read("catalog", "products", DAY).clear()
    lake.commit("catalog", {"products": nothing}, partition=DAY)
    found = pl.concat(running.map_batches(work.Assign(lake), work.blocks(lake, DAY), 1))
    assert found.height == 0
    assert "p" in found.columns


def test_what_cannot_be_encoded_is_listed_with_its_reason():
    products = pl.DataFrame(
        {
            "product_id": ["a", "b", "c", "d"],
            "title": ["one", "two", "two", "three"],
            "description": [""] * 4,
            "images": [["h1"], ["h2"], ["h2"], []],
        },
        schema_overrides={"images": pl.List(pl.String)},
    )

    def encode(rows):
        return [
            Rejected("image h2: broken")
            if row["image_hash"] == "h2"
            else Encoded(np.ones(2, np.float32), b"x")
            for row in rows
        ]

    found = embed("v", 2, products, None, encode)
    assert found.embeddings["product_id"].to_list() == ["a", "d"]
    assert found.rejects.rows() == [
        ("b", "h2", "image h2: broken"),
        ("c", "h2", "image h2: broken"),
    ]
    assert found.computed == 2
    with pytest.raises(ValueError, match="'a' is listed twice"):
        embed("v", 2, products[[0, 0]], None, encode)
