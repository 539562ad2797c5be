import io
import json
import tracemalloc
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from resources.feeds.feed_files import MAX_RECORD_BYTES, FeedError, FeedReader, Row, file_format


def rows(content: bytes | str, path: str = "feed.jsonl") -> list[Row]:
    data = content.encode() if isinstance(content, str) else content
    return list(FeedReader(io.BytesIO(data), path).rows)


def brief(found: list[Row]) -> list[tuple]:
    return [(row.row, row.value, row.error and row.error.split(":")[0]) for row in found]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("a.JSONL", "jsonl"), ("b.csv.gz", "csv"), ("s3://x/c.parquet", "parquet")],
)
def test_the_ending_says_the_format(path, kind):
    assert file_format(path) == kind


def test_another_ending_is_an_error_that_names_the_file():
    with pytest.raises(FeedError, match=r"feeds/a\.xml"):
        file_format("feeds/a.xml")


def test_json_lines_are_kept_as_received():
    line = '{ "id":1,  "t": "é" }'
    found = rows(f"\ufeff{line}\r\n\n{line}")
    assert [(row.row, row.record, row.error) for row in found] == [(1, line, None), (3, line, None)]
    assert found[1].size == len(line.encode())


def test_broken_lines_are_rows_with_an_error():
    content = b'{"id":1}\n{"id":\n[1]\n{"id":"\xff"}\n' + b"[" * 50_000 + b'\n{"id":2}'
    found = rows(content)
    assert brief(found) == [
        (1, {"id": 1}, None),
        (2, None, "not JSON"),
        (3, None, "not a JSON object"),
        (4, None, "not UTF-8 at byte 7"),
        (5, None, "not JSON"),
        (6, {"id": 2}, None),
    ]
    assert found[1].record == '{"id":'


class _Lines(io.RawIOBase):
    """A stream that makes up its bytes, so that only the reader can hold them."""

    def __init__(self, parts):
        self.parts, self.left = iter(parts), b""

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.left:
            self.left = next(self.parts, b"")
        size = min(len(buffer), len(self.left))
        buffer[:size], self.left = self.left[:size], self.left[size:]
        return size


@pytest.mark.parametrize(
    ("path", "head", "tail", "after"),
    [
        ("f.jsonl", b'{"id":1,"t":"', b'"}\n', b'{"id":"2","t":"b"}\n'),
        ("f.csv", b"id,t\n1,", b"\n", b"2,b\n"),
        ("f.csv", b'id,t\n1,"', b'"\n', b"2,b\n"),
        ("f.csv", b'id,t\n1,"a\nb', b'"\n', b"2,b\n"),
    ],
)
def test_an_oversize_record_is_measured_and_never_held(path, head, tail, after):
    parts = [head, *[b"x" * 100_000] * 400, tail, after]
    tracemalloc.start()
    stream = io.BufferedReader(_Lines(parts))
    found = list(FeedReader(stream, path).rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.row for row in found] == [1, 2]
    assert str(found[0].error).startswith(f"larger than {MAX_RECORD_BYTES} bytes: 40000")
    assert 40_000_000 < found[0].size < 40_000_100
    assert len(found[0].record) <= 201
    assert found[1].value == {"id": "2", "t": "b"}
    assert peak < 8 * MAX_RECORD_BYTES


def test_csv_rows_become_objects_of_their_columns():
    found = rows('\ufeffid, name\n1,"a, ""b""\nc"\n\n2,\n', "f.csv")
    assert brief(found) == [
        (1, {"id": "1", "name": 'a, "b"\nc'}, None),
        (2, {"id": "2", "name": ""}, None),
    ]
    assert json.loads(found[0].record) == found[0].value


def test_broken_csv_rows_do_not_take_others_with_them():
    content = b'id,t\n1,a\n2\n3,b,c\n4,"a"b\n5,\xff\n6,d\n7,"open\n8,e\n'
    assert brief(rows(content, "f.csv")) == [
        (1, {"id": "1", "t": "a"}, None),
        (2, None, "not CSV"),
        (3, None, "not CSV"),
        (4, None, "not CSV"),
        (5, None, "not UTF-8 at byte 2"),
        (6, {"id": "6", "t": "d"}, None),
        (7, None, "not CSV"),
    ]


def test_a_csv_record_of_many_lines_is_bounded_too():
    x, y = ((letter * 99 + "\n") * 6_000 for letter in "xy")
    content = f'id,t,u\n1,"{x}","{y}"\n2,a,b\n'
    found = rows(content, "f.csv")
    assert brief(found) == [
        (1, None, f"larger than {MAX_RECORD_BYTES} bytes"),
        (2, {"id": "2", "t": "a", "u": "b"}, None),
    ]


@pytest.mark.parametrize("content", ["", "id,id\n1,2\n", '"open\n', b"\xff\xfe\n"])
def test_a_csv_without_a_usable_header_is_an_error(content):
    with pytest.raises(FeedError, match=r"f\.csv"):
        rows(content, "f.csv")


def test_parquet_types_become_json():
    frame = pl.DataFrame(
        {
            "id": [1],
            "price": [Decimal("1.50")],
            "weight": [float("nan")],
            "day": [date(2026, 11, 2)],
            "images": [["a", "b"]],
            "attributes": [{"colour": "red"}],
            "picture": [b"123"],
        }
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    assert rows(buffer.getvalue(), "f.parquet")[0].value == {
        **{"id": 1, "price": "1.50", "weight": None, "day": "2026-11-02", "images": ["a", "b"]},
        **{"attributes": {"colour": "red"}, "picture": "(3 bytes)"},
    }
