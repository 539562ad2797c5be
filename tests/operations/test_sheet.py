"""What a rater of collections may see, and what an answer leaves behind."""

import hashlib
import io
import json
import re

import numpy as np
import polars as pl
import pytest
from PIL import Image
from starlette.testclient import TestClient

from operations.rating import application
from operations.sheet import Sheet, take_items
from pinlanding_assets.collections.gates import COLLECTIONS_SCHEMA, ITEMS_SCHEMA
from pinlanding_assets.scorecard.assets import ARMS
from resources.lake import Lake
from resources.ratings import Ratings

ORIGIN = "http://127.0.0.1:3001"
HOSTILE = "<script>alert(1)</script> {{ 7*7 }} hats"


def name_of(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


def jpeg(seed: int) -> bytes:
    drawn = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def lake(tmp_path) -> Lake:
    """Three arms with one topic each of two products; the last arm shows what the first does."""
    found = Lake(root=str(tmp_path / "lake"))
    products = pl.DataFrame(
        {
            "product_id": ["p0", "p1", "p2"],
            "operation": ["upsert"] * 3,
            "snapshot": [False] * 3,
            "title": ["Red hat", HOSTILE, "No picture"],
            "images": [[name_of(jpeg(0))], [name_of(jpeg(1))], []],
        },
        schema_overrides={"images": pl.List(pl.String)},
    )
    found.commit("catalog", {"products": products}, partition="2026-11-01")
    for seed in (0, 1):
        found.put_image(name_of(jpeg(seed)), jpeg(seed))
    for asset, topic in zip(ARMS.values(), ("t0", "t1", "t0"), strict=True):
        page = (topic, topic, f"Hats {topic}", ["type=hat"], 3, 1, 0.9, True, "", None, 3)
        rows = [(topic, rank, f"p{rank - 1}", 0.0, ["type=hat"]) for rank in (1, 2, 3)]
        found.commit(
            asset,
            {
                "collections": pl.DataFrame([page], schema=COLLECTIONS_SCHEMA, orient="row"),
                "items": pl.DataFrame(rows, schema=ITEMS_SCHEMA, orient="row"),
            },
        )
    return found


def sheet(lake: Lake, tmp_path) -> Sheet:
    return Sheet(lake, Ratings(root=str(tmp_path / "ratings")), take_items(lake, 2))


def browser(used: Sheet, name: str) -> TestClient:
    client = TestClient(application(used), base_url=ORIGIN, headers={"Origin": ORIGIN})
    assert client.post("/name", data={"name": name}).status_code == 200
    return client


def test_items_of_all_arms_once_and_only_with_a_picture(lake):
    found = [(item.topic_id, item.product_id) for item in take_items(lake, 2)]
    assert found == [("t0", "p0"), ("t0", "p1"), ("t1", "p0"), ("t1", "p1")]


def test_of_two_servers_one_answer_of_a_rater_is_written(lake, tmp_path):
    one, other = sheet(lake, tmp_path), sheet(lake, tmp_path)
    for asked in one.shown("ana"):
        one.vote("ana", asked.key, "yes")
        other.vote("ana", asked.key, "no")
    other.vote("bo", other.shown("bo")[0].key, "no")
    one.vote("bo", one.shown("bo")[1].key, "no")
    (path,) = (tmp_path / "ratings").glob("*.jsonl")
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["choice"] for row in written] == ["yes"] * 4 + ["no"] * 2
    assert one.result() == sheet(lake, tmp_path).result()


def test_a_sheet_is_rated_blind_to_its_end(lake, tmp_path):
    used = sheet(lake, tmp_path)
    client = browser(used, "ana")
    for number in range(4):
        html = client.get("/").text
        assert f"{number + 1} of 4" in html
        assert "<script>alert" not in html
        assert not re.search(r"search_log|keyword|judge|p0\b|p1\b|t0\.|rank", html)
        key = re.search(r'name="pair" value="([0-9a-f]+)"', html)
        assert key
        picture = client.get(f"/picture/{key[1]}/product")
        assert picture.headers["content-type"] == "image/jpeg"
        assert client.get(f"/picture/{key[1]}/left").status_code == 404
        assert client.post("/vote", data={"pair": key[1], "choice": "maybe"}).status_code == 400
        choice = "yes" if number else "no"
        assert client.post("/vote", data={"pair": key[1], "choice": choice}).status_code == 200
    assert "75.0 %" in client.get("/result").text
    (path,) = (tmp_path / "ratings").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["choice"] for row in rows] == ["no", "yes", "yes", "yes"]
    again = sheet(lake, tmp_path)  # a restart remembers
    assert again.remaining("ana") == []
    assert len(again.remaining("bo")) == 4
    assert [a.key for a in again.shown("bo")] != [a.key for a in again.shown("ana")]


def test_three_raters_decide(lake, tmp_path):
    used = sheet(lake, tmp_path)
    for rater, choice in (("a", "yes"), ("b", "yes"), ("c", "no")):
        used.vote(rater, used.shown(rater)[0].key, "unsure")
        for asked in used.remaining(rater):
            used.vote(rater, asked.key, choice)
    found = used.result()
    assert (found.answers, found.raters) == (12, 3)
    assert found.decided <= 4
    assert found.kappa is not None
    assert "3 raters" in str(found)
    ratings, _ = Ratings(root=str(tmp_path / "ratings")).read()
    assert ratings.height == 12
