"""Published collections as data."""

import csv
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pinlanding_assets.collections.exporting import FORMAT, ITEMS_SCHEMA, export
from pinlanding_assets.collections.pages import Entry, Page, Product, Reason

VOCABULARY = {
    "kind=hat": Entry("kind", "hat", "hat"),
    "color=red": Entry("color", "red", "red"),
}
ADDRESSES = {"t": "https://shop.example/collections/red-hats.html"}
SHOW = Path(__file__).parents[2] / "examples" / "consumer" / "show.py"


def product(name, because=None, variants=()):
    return Product(
        *(name, name, None, None, None, "", "in_stock", None, (), 0),
        because=because or {},
        variants=variants,
    )


def exported(*products, title="Red hats"):
    page = Page("t", "red-hats", title, ("kind=hat", "color=red"), list(products), len(products))
    return dict(export([page], VOCABULARY, ADDRESSES))


STATED = {"kind=hat": Reason("catalog", 0.99), "color=red": Reason("encoder", 0.93)}


def test_the_three_forms_say_the_same():
    files = exported(product("a", STATED, (product("a2"),)), product("b"))
    (line,) = files["data/collections.jsonl"].splitlines()
    found = json.loads(line)
    assert (found["id"], found["handle"], found["url"]) == ("t", "red-hats", ADDRESSES["t"])
    assert found["attributes"] == [
        {"key": "kind", "value": "hat"},
        {"key": "color", "value": "red"},
    ]
    first, second = found["products"]
    assert first["inferred"] == [{"key": "color", "value": "red", "by": "encoder", "p": 0.93}]
    assert first["p"] == pytest.approx(0.99 * 0.93, abs=1e-4)
    assert (first["variants"], second["p"], second["inferred"]) == (["a2"], None, [])
    table = pl.read_parquet(io.BytesIO(files["data/items.parquet"]))
    assert table.schema == pl.Schema(ITEMS_SCHEMA)
    assert table["product_id"].to_list() == ["a", "b"]
    assert table["inferred"][0].to_list() == first["inferred"]
    rows = list(csv.reader(io.StringIO(files["data/collections.csv"].decode())))
    assert rows[1:] == [["red-hats", "Red hats", "1", "a"], ["red-hats", "Red hats", "2", "b"]]


def test_the_manifest_names_form_and_content():
    files = exported(product("a"))
    about = json.loads(files["data/manifest.json"])
    assert (about["format"], about["collections"], about["items"]) == (FORMAT, 1, 1)
    for name, told in about["files"].items():
        data = files[f"data/{name}"]
        assert told == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("begin", ["=1+1", "+1", "-1", "@x"])
def test_no_cell_is_a_formula(begin):
    files = exported(product(begin), title=begin)
    (row,) = list(csv.reader(io.StringIO(files["data/collections.csv"].decode())))[1:]
    assert row == ["red-hats", f"'{begin}", "1", f"'{begin}"]


def test_the_example_consumer_reads_it_and_refuses_what_was_changed(tmp_path):
    for path, data in exported(product("a", STATED)).items():
        (tmp_path / Path(path).name).write_bytes(data)

    def shown(*handle):
        command = [sys.executable, str(SHOW), str(tmp_path), *handle]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert shown().stdout == "red-hats: Red hats (1)\n"
    assert shown("red-hats").stdout == "Red hats\n   1 a  red 93%\n"
    lines = tmp_path / "collections.jsonl"
    lines.write_bytes(lines.read_bytes() + b"{}\n")
    assert "not what was published" in shown().stderr
