import gzip
import hashlib
import io
import json
import shutil
import zipfile
from datetime import date, timedelta

import fsspec
import polars as pl
import pytest
import yaml
from fsspec.implementations.local import LocalFileSystem

from resources.feeds.catalog_config import CatalogConfigError
from resources.feeds.catalog_source import CatalogSource, feed_version
from resources.feeds.image_fetch import ImageUnavailable
from resources.feeds.rows import FeedError

RECORD_COLUMNS = {
    **{"file": pl.String, "row": pl.Int64, "record": pl.String},
    **{"size": pl.Int64, "error": pl.String},
}


def source(folder, settings: dict | None = None, files: dict | None = None) -> CatalogSource:
    """A catalog.yaml and its files, in `folder`."""
    for name, content in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = {"feeds": ["feed.csv"], "columns": {"id": "sku"}} | (settings or {})
    (folder / "catalog.yaml").write_text(yaml.safe_dump(settings))
    return CatalogSource(config_path=str(folder / "catalog.yaml"))


def ids(found: CatalogSource, day: str) -> list:
    return [json.loads(text)["sku"] for text in found.read_records(day)["record"]]


def test_a_feed_without_days_is_of_the_constant_day(tmp_path):
    found = source(tmp_path, files={"feed.csv": "sku,name\n1,a\n2,b\n"})
    assert found.days() == ["2026-11-01"]
    records = found.read_records("2026-11-01")
    assert records.schema == RECORD_COLUMNS
    assert records.row(0) == ("feed.csv", 1, '{"sku":"1","name":"a"}', 4, None)
    assert found.read_records("2026-11-02").height == 0
    dated = source(tmp_path, {"day": "2026-12-24"})
    assert dated.days() == ["2026-12-24"]
    assert ids(dated, "2026-12-24") == ["1", "2"]


def test_days_in_paths_with_globs_and_compression(tmp_path):
    # a folder named like a pattern and like a day must not confuse
    folder = tmp_path / "shop [1]* 2020-01-01"
    files = {
        "in/2026-11-01/b.jsonl": '{"sku":"b"}\n',
        "in/2026-11-01/a.jsonl.gz": gzip.compress(b'{"sku":"a"}\n'),
        "in/2026-11-03/c.jsonl": '{"sku":"c"}\n',
        "in/2026-13-45/d.jsonl": "{}",
        "in/other/2026-11-07.jsonl": "{}",
    }
    found = source(folder, {"feeds": ["in/{day}/*.jsonl*"]}, files)
    assert found.days() == ["2026-11-01", "2026-11-03"]
    assert ids(found, "2026-11-01") == ["a", "b"]
    names = found.read_records("2026-11-01")["file"].to_list()
    assert names == ["in/2026-11-01/a.jsonl.gz", "in/2026-11-01/b.jsonl"]


def test_days_in_a_column_and_nothing_is_lost(tmp_path):
    lines = [
        '{"sku":"1","day":"2026-11-02"}',
        '{"sku":"2","day":"2026-11-03T23:30:00-02:00"}',
        '{"sku":"3","day":"soon"}',
        '{"sku":"4"}',
        "broken",
        '{"sku":"5","day":"2026-11-02T08:00:00Z"}',
    ]
    settings = {"feeds": ["feed.jsonl"], "columns": {"id": "sku", "day": "day"}}
    found = source(tmp_path, settings, {"feed.jsonl": "\n".join(lines)})
    assert found.days() == ["2026-11-02", "2026-11-04"]
    first, second = (found.read_records(day) for day in found.days())
    assert first["row"].to_list() == [1, 3, 4, 5, 6]
    assert [str(error).split(":")[0] for error in first["error"]] == [
        *("None", "unreadable day", "unreadable day", "not JSON", "None")
    ]
    assert second["row"].to_list() == [2]
    assert found.read_records("2026-11-03").height == 0
    constant = source(tmp_path, settings | {"day": "2026-11-01"})
    assert constant.days() == ["2026-11-01", "2026-11-02", "2026-11-04"]
    assert constant.read_records("2026-11-01")["row"].to_list() == [3, 4, 5]


def test_parquet_and_a_remote_file_system(tmp_path):
    pl.DataFrame({"sku": [1, 2], "name": ["a", None]}).write_parquet(tmp_path / "feed.parquet")
    store = fsspec.filesystem("memory")
    store.pipe_file("/catalog_source/2026-11-01.jsonl", b'{"sku":"m"}\n')
    store.pipe_file("/catalog_source/a.jpg", b"picture")
    feeds = ["memory://catalog_source/{day}.jsonl", "feed.parquet"]
    found = source(tmp_path, {"feeds": feeds})
    assert found.days() == ["2026-11-01"]
    assert ids(found, "2026-11-01") == [1, 2, "m"]
    remote = found.read_records("2026-11-01")["file"].to_list()[-1]
    assert remote == "memory:///catalog_source/2026-11-01.jsonl"
    assert found.fetch_image(remote, "a.jpg") == b"picture"


def test_a_missing_or_unreadable_feed_stops_the_day_and_is_named(tmp_path):
    settings = {"feeds": ["a/{day}.jsonl", "b/{day}.jsonl.gz"]}
    good = {"a/2026-11-01.jsonl": "{}", "a/2026-11-02.jsonl": "{}"}
    bad = {"b/2026-11-02.jsonl.gz": gzip.compress(b"{}" * 100)[:-12]}
    found = source(tmp_path, settings, good | bad)
    with pytest.raises(FeedError, match=r"b/2026-11-01\.jsonl\.gz: no such feed.*feeds\.1"):
        found.read_records("2026-11-01")
    with pytest.raises(FeedError, match=r"b/2026-11-02\.jsonl\.gz: cannot be read"):
        found.read_records("2026-11-02")
    with pytest.raises(FeedError, match=r"b/2026-11-01"):
        found.provenance("2026-11-01")
    broken = source(tmp_path, {"feeds": ["x.parquet"]}, {"x.parquet": "PAR1 nothing"})
    with pytest.raises(FeedError, match=r"x\.parquet: cannot be read"):
        broken.read_records("2026-11-01")
    with pytest.raises(ValueError, match="not a day"):
        found.read_records("../2026")


def test_a_mapped_column_that_no_file_has_is_an_error_with_its_setting(tmp_path):
    settings = {"columns": {"id": "sku", "title": "nmae"}}
    found = source(tmp_path, settings, {"feed.csv": "sku,name\n1,a\n"})
    with pytest.raises(
        FeedError, match=r"feed\.csv.*'nmae' \(columns\.title in.*it has: name, sku"
    ):
        found.read_records("2026-11-01")


def test_provenance_is_of_the_files_contents(tmp_path):
    found = source(tmp_path, files={"feed.csv": "sku\n1\n"})
    first = found.provenance("2026-11-01")
    digest = hashlib.sha256(b"sku\n1\n").hexdigest()
    assert first == [{"file": "feed.csv", "size": 6, "sha256": digest}]
    assert found.provenance("2026-11-02") == []
    version = feed_version(first)
    assert feed_version(found.provenance("2026-11-01")) == version
    (tmp_path / "feed.csv").write_text("sku\n2\n")
    assert feed_version(found.provenance("2026-11-01")) != version


def test_images_come_from_the_feeds_folder_or_from_their_own(tmp_path):
    files = {
        "feeds/1/feed.csv": "sku\n1\n",
        "feeds/1/a.jpg": "beside",
        "images/a.jpg": "base",
        "feeds/secret.jpg": "secret",
    }
    found = source(tmp_path, {"feeds": ["feeds/*/feed.csv"]}, files)
    [name] = found.read_records("2026-11-01")["file"].unique()
    assert found.fetch_image(name, "a.jpg") == b"beside"
    with pytest.raises(ImageUnavailable, match="outside"):
        found.fetch_image(name, "../secret.jpg")
    with pytest.raises(ImageUnavailable, match="not public"):
        found.fetch_image(name, "http://127.0.0.1:1/a.jpg")
    based = source(tmp_path, {"feeds": ["feeds/*/feed.csv"], "images_from": "images"})
    assert based.fetch_image(name, "a.jpg") == b"base"


def test_names_and_bytes_do_not_depend_on_where_the_catalog_lies(tmp_path):
    folder = tmp_path / "one" / "yaml"
    folder.mkdir(parents=True)
    feeds = {"feeds": ["../shop/in/feed.csv"]}
    one = source(folder, feeds, {"../shop/in/feed.csv": "sku\n1\n"})
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    two = CatalogSource(config_path=str(tmp_path / "two" / "yaml" / "catalog.yaml"))
    records = one.read_records("2026-11-01")
    assert records["file"].to_list() == ["../shop/in/feed.csv"]
    assert two.read_records("2026-11-01").equals(records)


def test_the_search_log_is_cleaned_and_summed(tmp_path):
    lines = [
        {"q": " red   shirt ", "n": 3},
        {"q": "red shirt", "n": "2"},
        {"q": "", "n": 5},
        {"q": "x" * 201, "n": 5},
        {"q": "none", "n": 0},
        {"q": "neg", "n": -1},
        {"q": "nan", "n": "?"},
        {"q": ["list"], "n": 1},
        {"q": "bad\x00", "n": 1},
        {"q": "blue shirt", "n": 1},
    ]
    files = {
        "feed.csv": "sku\n1\n",
        "log/2026-11-02.jsonl": "\n".join([*map(json.dumps, lines), "broken"]),
        "log.csv": "query\nred\nred\nblue\n",
    }
    log = {"path": "log/{day}.jsonl", "query": "q", "count": "n"}
    found = source(tmp_path, {"search_log": log}, files)
    assert found.search_log("2026-11-02").rows() == [("blue shirt", 1), ("red shirt", 5)]
    empty = found.search_log("2026-11-01")
    assert empty.schema == {"query": pl.String, "count": pl.Int64}
    assert empty.height == 0
    uncounted = source(tmp_path, {"search_log": {"path": "log.csv"}})
    assert uncounted.search_log("2026-11-01").rows() == [("blue", 1), ("red", 2)]
    assert uncounted.search_log("2026-11-02").height == 0
    assert source(tmp_path).search_log("2026-11-01").height == 0


def test_a_wrong_catalog_is_reported_when_it_is_used(tmp_path):
    found = CatalogSource(config_path=str(tmp_path / "none.yaml"))
    with pytest.raises(CatalogConfigError, match=r"none\.yaml"):
        found.config()


def test_a_feed_with_a_day_column_is_read_once(tmp_path, monkeypatch):
    first = date(2026, 2, 1)
    days = [(first + timedelta(days=at)).isoformat() for at in range(280)]
    rows = "".join(f"{at},{day}\n" for at, day in enumerate(days))
    settings = {"columns": {"id": "sku", "day": "day"}}
    found = source(tmp_path, settings, {"feed.csv": f"sku,day\n{rows}"})
    opened = []
    read = LocalFileSystem.open

    def counted(self, path, *args, **kwargs):
        opened.append(path)
        return read(self, path, *args, **kwargs)

    monkeypatch.setattr(LocalFileSystem, "open", counted)
    assert found.days() == days
    for at, day in enumerate(days):
        assert ids(found, day) == [str(at)]
        assert found.provenance(day)[0]["file"] == "feed.csv"
    assert len(opened) == 2  # once for its rows, once for its hash
    (tmp_path / "feed.csv").write_text("sku,day\n1,2026-02-01\n")
    assert ids(found, "2026-02-01") == ["1"]
    assert len(opened) == 3
    assert found.days() == ["2026-02-01"]


@pytest.mark.parametrize(
    ("written", "form"),
    [
        *(("2026-11-02", None), ("20261102", None), ("2026-11-02 23:30:00 UTC", None)),
        *(("1793619000", None), ("1793619000000", None), (1793619000, None), (1793619000.0, None)),
        *(("2026-11-02T10:00:00.123456789", None), ("Mon, 02 Nov 2026 10:00:00 GMT", None)),
        *(("2026-11-03 00:30:00 Europe/Berlin", None), ("02.11.2026", "%d.%m.%Y")),
        ("11/02/26", "%m/%d/%y"),
    ],
)
def test_days_in_any_form(tmp_path, written, form):
    settings = {"feeds": ["f.jsonl"], "columns": {"id": "sku", "day": "day"}}
    settings |= {"day_format": form} if form else {}
    found = source(tmp_path, settings, {"f.jsonl": json.dumps({"sku": "1", "day": written})})
    assert found.days() == ["2026-11-02"]


@pytest.mark.parametrize("written", ["02/11/2026", "soon", "", True, "99999999", "20261345"])
def test_a_day_that_is_not_clear_is_none(tmp_path, written):
    settings = {"feeds": ["f.jsonl"], "columns": {"id": "sku", "day": "day"}}
    found = source(tmp_path, settings, {"f.jsonl": json.dumps({"sku": "1", "day": written})})
    assert found.days() == ["2026-11-01"]
    assert "unreadable day" in found.read_records("2026-11-01")["error"][0]


@pytest.mark.parametrize(
    ("feed", "names"),
    [
        ("in/products_{day}.csv", ["in/products_20261102.csv"]),
        ("in/{day}.csv", ["in/2026-11-02.csv"]),
        ("in/{day:%d.%m.%y}/*.csv", ["in/02.11.26/a.csv", "in/02.11.26/b.csv"]),
        ("in/{day:%Y/%m/%d}.csv", ["in/2026/11/02.csv"]),
    ],
)
def test_days_of_paths_in_any_form(tmp_path, feed, names):
    found = source(tmp_path, {"feeds": [feed]}, dict.fromkeys(names, "sku\n1\n"))
    assert found.days() == ["2026-11-02"]
    assert ids(found, "2026-11-02") == ["1"] * len(names)
    assert set(found.stamps([])) == {"2026-11-02"}
    assert found.has_feed("2026-11-02")
    assert not found.has_feed("2026-11-03")


def test_the_feeds_in_a_zip_are_read_one_by_one(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("b/two.csv", "sku\n2\n")
        packed.writestr("one.jsonl", '{"sku":"1"}\n')
        packed.writestr("readme.md", "no feed")
    found = source(tmp_path, {"feeds": ["feed.zip"]}, {"feed.zip": buffer.getvalue(), "a.jpg": "x"})
    records = found.read_records("2026-11-01")
    assert records["file"].to_list() == ["feed.zip/b/two.csv", "feed.zip/one.jsonl"]
    assert len(found.provenance("2026-11-01")) == 2
    assert found.fetch_image("feed.zip/b/two.csv", "a.jpg") == b"x"
    broken = source(tmp_path, {"feeds": ["x.zip"]}, {"x.zip": "no zip"})
    with pytest.raises(FeedError, match=r"x\.zip: cannot be read"):
        broken.read_records("2026-11-01")


def test_tables_are_joined_by_their_key(tmp_path):
    files = {
        "objects.csv": "id,title\n1,Vase\n2,Bowl\n",
        "images.csv": "object,url\n1,a.jpg\n1,b.jpg\n3,c.jpg\n",
    }
    table = {"photos": {"path": "images.csv", "key": "object", "of": "id"}}
    settings = {"feeds": ["objects.csv"], "columns": {"id": "id"}, "tables": table}
    found = source(tmp_path, settings, files)
    values = [json.loads(text) for text in found.read_records("2026-11-01")["record"]]
    photos = [{"object": "1", "url": "a.jpg"}, {"object": "1", "url": "b.jpg"}]
    assert values == [
        {"id": "1", "title": "Vase", "photos": photos},
        {"id": "2", "title": "Bowl", "photos": []},
    ]
    assert [file["file"] for file in found.provenance("2026-11-01")] == [
        "images.csv",
        "objects.csv",
    ]
    wrong = {"photos": {"path": "images.csv", "key": "objekt", "of": "id"}}
    with pytest.raises(FeedError, match=r"no column 'objekt' \(tables\.photos\.key"):
        source(tmp_path, settings | {"tables": wrong}).read_records("2026-11-01")


def test_a_column_may_come_later_but_not_go(tmp_path):
    settings = {"feeds": ["{day}.csv"], "columns": {"id": "sku", "title": "name"}}
    files = {"2026-11-01.csv": "sku\n1\n", "2026-11-02.csv": "sku,name\n1,a\n"}
    found = source(tmp_path, settings, files)
    assert ids(found, "2026-11-01") == ["1"]
    (tmp_path / "2026-11-03.csv").write_text("sku,product_name\n1,a\n")
    gone = source(tmp_path, settings)
    with pytest.raises(FeedError, match="'name' any more, which 2026-11-02 had"):
        gone.read_records("2026-11-03")
    both = {"id": "sku", "title": ["name", "product_name"]}
    assert ids(source(tmp_path, settings | {"columns": both}), "2026-11-03") == ["1"]
    until = {"id": "sku", "title": {"column": "name", "until": "2026-11-02"}}
    assert ids(source(tmp_path, settings | {"columns": until}), "2026-11-03") == ["1"]


def test_images_in_cells_and_at_an_address(tmp_path):
    buffer = io.BytesIO()
    pl.DataFrame({"sku": [1, 2], "image": [b"\xff\xd8one", b"\xff\xd8two"]}).write_parquet(buffer)
    found = source(tmp_path, {"feeds": ["f.parquet"]}, {"f.parquet": buffer.getvalue()})
    assert found.fetch_image("f.parquet", "bytes:image:1") == b"\xff\xd8two"
    for file, reference in (("f.parquet", "bytes:image:9"), ("g.parquet", "bytes:image:0")):
        with pytest.raises(ImageUnavailable):
            found.fetch_image(file, reference)
    served = source(tmp_path, {"feeds": ["f.parquet"], "images_from": "http://127.0.0.1:1/media"})
    with pytest.raises(ImageUnavailable, match="not public"):
        served.fetch_image("f.parquet", "/m/a.jpg")


def test_a_search_log_with_counts_of_a_data_frame(tmp_path):
    files = {"feed.csv": "sku\n1\n", "log.csv": "q,n\nred cup,12.0\nblue cup,7.0\nx,\n"}
    log = {"path": "log.csv", "query": "q", "count": "n"}
    found = source(tmp_path, {"search_log": log}, files)
    assert found.search_log("2026-11-01").rows() == [("blue cup", 7), ("red cup", 12)]
    none = source(tmp_path, {"search_log": log}, {"log.csv": "q,n\nred cup,many\n"})
    with pytest.raises(FeedError, match=r"log\.csv: none of its 1 rows has a query"):
        none.search_log("2026-11-01")


@pytest.mark.parametrize("path", ["https://me:pass@shop.example/f.csv", "s3://b/f.csv?token=abc"])
def test_an_address_with_a_secret_is_refused(tmp_path, path):
    with pytest.raises(CatalogConfigError, match=r"feeds\.0"):
        source(tmp_path, {"feeds": [path]}).config()
    assert source(tmp_path, {"feeds": ["https://shop.example/f?format=csv"]}).config()
