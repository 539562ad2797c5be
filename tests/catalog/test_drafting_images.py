"""Images as bytes, beside their feed, and in folders of their own."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from operations.mapping import map_files
from tests.catalog.feed_files import columns, csv, mapped, products, written


def parquet(table: dict) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(table), stream)
    return stream.getvalue()


def images_column(*paths: str | None) -> pa.Array:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array(
        [{"bytes": b"\xff\xd8\x00" + bytes([i]), "path": p} for i, p in enumerate(paths)], kind
    )


def test_images_lie_below_the_feed_or_in_a_folder_of_images(tmp_path):
    text = csv("id,name,photo", "1,Cup,a.jpg", "2,Hat,b.jpg")
    below = {"p.csv": text, "photos/big/a.jpg": b"x", "photos/big/b.jpg": b"x"}
    assert mapped(tmp_path / "1", below).draft.settings["images_from"] == "photos/big"
    beside = {"feeds/p.csv": text, "images/a.jpg": b"x", "images/b.jpg": b"x"}
    assert mapped(tmp_path / "2", beside).draft.settings["images_from"] == "images"
    others = {"feeds/p.csv": text, "other/a.jpg": b"x", "other/b.jpg": b"x"}
    mapping = map_files(
        [str(written(tmp_path / "3", others) / "feeds")], tmp_path / "3/feeds/c.yaml"
    )
    assert "images_from" not in mapping.draft.settings
    assert "columns.images" in mapping.draft.unsure
    names = csv("id,name,photo", "1,Cup,IMG_1", "2,Hat,IMG_2")
    mapping = mapped(tmp_path / "4", {"p.csv": names})
    assert "name no file" in mapping.draft.unsure["columns.images"][0]


def test_images_as_bytes_with_and_without_a_path(tmp_path):
    files = {
        "train-00000-of-00002.parquet": parquet(
            {"image": images_column("a.jpg", "b.jpg"), "text": ["a red cup", "a blue cup"]}
        ),
        "train-00001-of-00002.parquet": parquet(
            {"image": images_column("c.jpg", "d.jpg"), "text": ["a red hat", "a blue hat"]}
        ),
    }
    mapping = mapped(tmp_path / "1", files)
    assert mapping.draft.settings["feeds"] == ["train-*.parquet"]
    assert columns(mapping) == {"id": "image.path", "title": "text", "images": "image"}
    assert len(products(mapping)) == 4
    files = {
        "train.parquet": parquet({"image": images_column(None, None), "label": ["cup", "hat"]})
    }
    mapping = mapped(tmp_path / "2", files)
    assert len(products(mapping)) == 2
    assert "place of the row" in mapping.draft.unsure["columns.id"][0]
    assert mapping.draft.settings["product_type"] == "label"


def test_folder_of_images_with_captions(tmp_path):
    text = csv("file_name,text", "1.jpg,a red box", "2.jpg,a blue box")
    mapping = mapped(tmp_path, {"metadata.csv": text, "1.jpg": b"x", "2.jpg": b"x"})
    assert columns(mapping) == {"id": "file_name", "title": "text", "images": "file_name"}
    assert mapping.draft.unsure == {}


def test_a_media_library_on_windows(tmp_path):
    text = csv(
        "File Name,Path,Caption,Keywords",
        'A.jpg,export\\2026\\A.jpg,Red box,"Places|Europe|Paris, box"',
        "B.jpg,export\\2026\\B.jpg,Blue box,box",
    )
    files = {"dam.csv": text, "export/2026/A.jpg": b"x", "export/2026/B.jpg": b"x"}
    mapping = mapped(tmp_path, files)
    assert columns(mapping) == {"id": "File Name", "title": "Caption", "images": "Path"}
    assert products(mapping)["A.jpg"]["attributes"]["keyword"] == ["Places|Europe|Paris", "box"]
    assert "columns.images" not in mapping.draft.unsure


def test_the_mapping_may_lie_in_a_folder_that_is_not_there_yet(tmp_path):
    text = csv("id,name,photo", "1,Cup,a.jpg", "2,Hat,b.jpg")
    files = {"shop/p.csv": text, "shop/media/a.jpg": b"x", "shop/media/b.jpg": b"x"}
    folder = written(tmp_path, files)
    found = map_files([str(folder / "shop/p.csv")], folder / "data/new/catalog.yaml").draft
    assert found.settings["feeds"] == ["../../shop/p.csv"]
    assert found.settings["images_from"] == "../../shop/media"
