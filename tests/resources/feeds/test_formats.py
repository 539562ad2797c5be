import io
import json
import math
import tracemalloc
import uuid
from datetime import date, datetime
from decimal import Decimal

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.feeds import documents
from resources.feeds.delimited import Dialect, open_delimited
from resources.feeds.documents import open_json_lines
from resources.feeds.formats import Format, open_feed
from resources.feeds.parquet import ParquetBytes
from resources.feeds.rows import MAX_RECORD_BYTES, FeedError, Opened, Row


def opened(content: bytes | str, path: str = "feed.jsonl", **format) -> tuple[Opened, list[Row]]:
    store = fsspec.filesystem("memory")
    data = content.encode() if isinstance(content, str) else content
    store.pipe_file(f"/formats/{path}", data)
    with open_feed(store, f"/formats/{path}", path, Format(**format)) as found:
        return found, list(found.rows)


def rows(content: bytes | str, path: str = "feed.jsonl", **format) -> list[Row]:
    return opened(content, path, **format)[1]


def values(content: bytes | str, path: str, **format) -> list:
    found = rows(content, path, **format)
    assert [row.error for row in found] == [None] * len(found)
    return [row.value for row in found]


def brief(found: list[Row]) -> list[tuple]:
    return [(row.row, row.value, row.error and row.error.split(":")[0]) for row in found]


@pytest.mark.parametrize(
    ("content", "path", "kind"),
    [
        *(
            ('{"id":1}\n{"id":2}', "a.JSONL", "json lines"),
            ("id\n1\n", "b.csv", "csv, separator ','"),
        ),
        *(
            ('[{"id":1}]', "a.json", "json, records at the top"),
            ('{"id":1}\n', "a.json", "json, one object"),
        ),
        (
            '{"data":{"meta":[{"n":0}],"items":[{"id":1},{"id":2}]}}',
            "a.json",
            "json, records at data.items",
        ),
        ('{"id":\n1}', "a.json", "json, one object"),
        *(
            ("id\tt\n1\ta\n", "export", "csv, separator tab"),
            ("id;t\n1;a\n", "a.txt", "csv, separator ';'"),
        ),
        ("<rss><channel><item><id>1</id></item></channel></rss>", "a.php", "xml, records <item>"),
    ],
)
def test_a_file_is_what_its_content_is(content, path, kind):
    found, read = opened(content, path)
    assert found.read_as == kind
    assert read[0].error is None


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        *(
            ("<!DOCTYPE html><p>Log in", "a.csv", "web page"),
            ("nothing", "a.parquet", "no Parquet"),
        ),
        *(
            ("{}{", "a.json", "not JSON"),
            ("[1, 2", "a.json", "not JSON"),
            ("soon", "a.json", "no JSON"),
        ),
        ("<a><b><c/></b>", "a.xml", "not XML"),
        ("<a>text</a>", "a.xml", "no element with children"),
        ("PK\x03\x04 no zip", "a.xlsx", "cannot be read"),
        ("[" * 100_000, "a.json", "not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(content, path, message):
    with pytest.raises(FeedError, match=rf"^{path}.*{message}"):
        rows(content, path)


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


def test_a_record_of_many_long_cells_is_one_reject_in_bounded_memory():
    cell = b'"' + b"x" * 300_000 + b"\n" + b"y" * 300_000 + b'",'
    stream = io.BufferedReader(_Lines([b"id,t\n1,", *[cell] * 80, b"z\n2,b\n"]))
    tracemalloc.start()
    found = list(open_delimited(stream, "f", Dialect(), "").rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.row for row in found] == [1, 2]
    assert found[0].size > 80 * 600_000
    assert str(found[0].error).startswith("larger than")
    assert found[1].value == {"id": "2", "t": "b"}
    assert peak < 60 * MAX_RECORD_BYTES


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
    if path.endswith("jsonl"):
        found = list(open_json_lines(stream, "").rows)
    else:
        found = list(open_delimited(stream, path, Dialect(), "").rows)
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
    content = b'id,t\n1,a\n2\n3,b,c\n4,"a"b\n5,\xff\n6,\xc3\xa9\n7,"open\n8,e\n'
    assert brief(rows(content, "f.csv")) == [
        (1, {"id": "1", "t": "a"}, None),
        (2, None, "not CSV"),
        (3, None, "not CSV"),
        (4, None, "not CSV"),
        (5, None, "not UTF-8 at byte 2"),
        (6, {"id": "6", "t": "é"}, None),
        (7, None, "not CSV"),
        (8, {"id": "8", "t": "e"}, None),  # an open quote costs its own line alone
    ]


def test_a_csv_record_of_many_lines_is_bounded_too():
    x, y = ((letter * 99 + "\n") * 6_000 for letter in "xy")
    content = f'id,t,u\n1,"{x}","{y}"\n2,a,b\n'
    found = rows(content, "f.csv")
    assert brief(found) == [
        (1, None, f"larger than {MAX_RECORD_BYTES} bytes"),
        (2, {"id": "2", "t": "a", "u": "b"}, None),
    ]


@pytest.mark.parametrize("content", ["", '"open\n', " \n"])
def test_a_csv_without_a_usable_header_is_an_error(content):
    with pytest.raises(FeedError, match=r"f\.csv"):
        rows(content, "f.csv")


DIALECTS = {
    "semicolons, and commas before the cents": "id;t;p\n1;A;4,50\n2;B;5,50\n",
    "one row": "id;t;p\n1;A;4,50\n",
    "commas in texts": "id;t;p\n1;A, b;one, two\n2;C, d;three, four\n3;E, f;five, six\n",
    "tabs": "id\tt\tp\n1\tA, b\t4,50\n",
    "bars": "id|t|p\n1|A; b|4,50\n2|B|3\n",
    "a line for Excel": "sep=;\nid;t;p\n1;A;4,50\n",
    "junk above the header": "My shop\nof 2026-11-01\n\nid;t;p\n1;A;4,50\n2;B;5,50\n",
    "a comment above the header": "# Required | an id,# Required | a title,# x\nid,t,p\n1,A,4\n",
    "Amazon's template": "TemplateType=x\tVersion=1\t\nSKU\tTitle\tPrice\nid\tt\tp\n1\tA\t4\n",
    "single quotes": "id,t,p\n1,'A, b',4\n2,'C, d',5\n",
    "escaped quotes": 'id,t,p\n1,"A \\"b\\", c",4\n2,"d",5\n',
    "old Mac": "id,t,p\r1,A,4\r2,B,5\r",
}


@pytest.mark.parametrize("name", DIALECTS)
def test_the_dialect_of_a_csv_file_is_found_out(name):
    found, read = opened(DIALECTS[name], "f.csv")
    assert found.columns == ["id", "t", "p"], found.read_as
    assert read[0].error is None
    assert (read[0].value or {})["id"] == "1"
    assert str((read[0].value or {})["t"]).startswith("A")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("path", ["f.csv", "f.jsonl"])
def test_the_encoding_of_a_text_is_found_out(encoding, path):
    if (encoding, path) == ("cp1252", "f.jsonl"):
        pytest.skip("JSON is UTF-8, or has a mark")
    text = 'id,t\n1,"grünes Sofa, größer"\n2,Café\n'
    if path == "f.jsonl":
        text = '{"id":"1","t":"grünes Sofa, größer"}\n{"id":"2","t":"Café"}\n'
    found = values(text.encode(encoding), path)
    assert [value["t"] for value in found] == ["grünes Sofa, größer", "Café"]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Кружка красная керамическая, объём триста миллилитров, подарочная упаковка"),
        (
            "shift_jis",
            "赤い陶器のマグカップ、容量は三百ミリリットル、贈り物にも最適です。日本製の食器",
        ),
        ("cp1250", "Červený hrníček, dárkové balení, příjemný žluťoučký kůň úpěl ďábelské ódy"),
    ],
)
def test_other_code_pages_are_found_out_from_longer_texts(encoding, text):
    content = "id;t\n" + "".join(f"{i};{text} {i}\n" for i in range(30))
    assert values(content.encode(encoding), "f.csv")[0]["t"] == f"{text} 0"
    # and can be said
    assert values(content.encode(encoding), "f.csv", encoding=encoding)[29]["t"] == f"{text} 29"


def test_what_cannot_be_decoded_is_a_row_with_an_error():
    content = "id,t\n1,a\n2,é\n".encode("utf-16") + b"\x00\xd8\n\x00"
    assert brief(rows(content, "f.csv"))[:2] == [
        *((1, {"id": "1", "t": "a"}, None), (2, {"id": "2", "t": "é"}, None))
    ]
    assert rows(b"id,t\n1,a\x81\n", "f.csv", encoding="cp1252")[0].error == "not cp1252"
    with pytest.raises(FeedError, match="no encoding 'klingon'"):
        rows("id\n1\n", "f.csv", encoding="klingon")


def test_repeated_columns_are_lists_and_blank_ones_are_none():
    found, read = opened("id,Image,Image,,\n1,a,b,,\n2,c,,,\n3,d,d,,x\n", "f.csv")
    assert found.columns == ["id", "Image", "column 4", "column 5"]
    assert [row.value for row in read] == [
        *({"id": "1", "Image": ["a", "b"]}, {"id": "2", "Image": ["c"]}),
        {"id": "3", "Image": ["d"], "column 5": "x"},
    ]


def test_an_open_quote_costs_one_row_however_large_the_file_is():
    lines = [f"{i},t{i}" for i in range(200_000)]
    lines[7] = '7,"open'
    found = rows("id,t\n" + "\n".join(lines) + "\n", "f.csv")
    assert len(found) == 200_000
    assert [row.row for row in found if row.error] == [8]
    assert str(found[7].error) == "not CSV: a quote that is never closed"


def test_a_whole_cell_of_many_lines_that_is_too_large_costs_its_row_alone():
    cell = "a text, like a row\n" * 80_000
    found = rows(f'id,t\n1,"{cell}"\n2,b\n3,"c, d"\n', "f.csv")
    assert [row.error and row.error.split(":")[0] for row in found] == [
        *(f"larger than {MAX_RECORD_BYTES} bytes", None, None)
    ]
    assert found[2].value == {"id": "3", "t": "c, d"}


@pytest.mark.parametrize("number", ["12345678901234567890123", "-9223372036854775809"])
def test_a_long_integer_keeps_its_digits(number):
    assert values(f'{{"id":{number}}}', "f.jsonl") == [{"id": int(number)}]
    assert values(f'[{{"id":{number}}}]', "f.json") == [{"id": int(number)}]


def test_python_s_own_json_is_read():
    (value,) = values('{"a":NaN,"b":"\\ud800"}', "f.jsonl")
    assert math.isnan(value["a"])


def test_a_large_document_is_read_as_a_stream(monkeypatch):
    content = '\ufeff{"meta":{"n":[{"x":1}]},"data":{"items":[{"id":1,"p":1.5},{"id":2,"t":[{}]}]}}'
    whole = values(content, "f.json")
    monkeypatch.setattr(documents, "WHOLE_BYTES", 10)
    assert values(content, "f.json") == whole == [{"id": 1, "p": 1.5}, {"id": 2, "t": [{}]}]
    assert values(content, "f.json", records="meta.n") == [{"x": 1}]
    for broken, message in (
        ("[" * 5000, "deep"),
        (content[:-9], "not JSON"),
        ("[" + " " * 20 + "]", "no list"),
    ):
        with pytest.raises(FeedError, match=message):
            rows(broken, "f.json")


def test_objects_under_their_ids_are_records_wherever_they_lie():
    products = '{"p1":{"title":"Lamp","photos":["a","b"]},"p2":{"title":"Desk","photos":["c"]}}'
    expected = [
        {"key": "p1", "title": "Lamp", "photos": ["a", "b"]},
        {"key": "p2", "title": "Desk", "photos": ["c"]},
    ]
    assert values(products, "f.json") == expected
    nested = f'{{"meta":{{"n":2}},"shop":{{"items":{products}}}}}'
    assert values(nested, "f.json") == expected
    assert values(nested, "f.json", records="shop.items") == expected
    whole = f'{{"id":1,"title":"Set","parts":{products}}}'  # a product of parts is one
    assert len(values(whole, "f.json")) == 1


def test_the_list_of_a_document_can_be_said():
    content = '{"a":[{"id":1},{"id":2}],"b":{"c":[{"id":3}]},"e":[]}'
    assert values(content, "f.json", records="b.c") == [{"id": 3}]
    assert values(content, "f.json", records="e") == []
    for wrong in ("b", "b.d", "a.c", ""):
        with pytest.raises(FeedError, match="has no list"):
            rows(content, "f.json", records=wrong)


def test_xml_records_and_their_columns():
    feed = """<?xml version="1.0"?>
    <rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>
    <item><g:id>1</g:id><title>A &amp; b</title><g:additional_image_link>x</g:additional_image_link>
    <g:additional_image_link>y</g:additional_image_link><link href="https://a/1"/></item>
    <item><g:id>2</g:id><g:shipping><g:country>DE</g:country></g:shipping></item>
    </channel></rss>"""
    assert values(feed, "f.xml") == [
        {"g:id": "1", "title": "A & b", "g:additional_image_link": ["x", "y"]}
        | {"link": {"@href": "https://a/1"}},
        {"g:id": "2", "g:shipping": {"g:country": "DE"}},
    ]
    parts = "<PARAM><N>c</N><V>r</V></PARAM><PARAM><N>d</N><V>s</V></PARAM>"
    shop = f"<S><ITEM id='7'><P>1</P>{parts}</ITEM></S>"
    assert values(shop, "f.xml", records="ITEM") == [
        {"@id": "7", "P": "1", "PARAM": [{"N": "c", "V": "r"}, {"N": "d", "V": "s"}]}
    ]
    with pytest.raises(FeedError, match="no element <item>"):
        rows(shop, "f.xml", records="item")


def test_xml_that_declares_entities_is_refused():
    feed = '<!DOCTYPE a [<!ENTITY e "x">]><a><i><id>&e;</id></i><i><id>2</id></i></a>'
    with pytest.raises(FeedError, match="entities"):
        rows(feed, "f.xml")


def test_a_spreadsheet_is_read_from_its_header_on(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Cover"
    sheet = book.create_sheet("Products")
    for row in (
        ["My shop", None, None],
        [],
        ["Artikelnr", "Preis", "Ab", None],
        [100, 4.5, datetime.fromisoformat("2026-11-01")],
        ["A-7", 12, "bald"],
        [None, None, None],
        [102.0, None, datetime.fromisoformat("2026-11-01T12:30")],
    ):
        sheet.append(row)
    book.save(tmp_path / "f.xlsx")
    data = (tmp_path / "f.xlsx").read_bytes()
    found, read = opened(data, "f.xlsx")
    assert found.read_as == "excel, sheet 'Products', header in row 3"
    assert [row.value for row in read] == [
        {"Artikelnr": 100, "Preis": 4.5, "Ab": "2026-11-01"},
        {"Artikelnr": "A-7", "Preis": 12, "Ab": "bald"},
        {"Artikelnr": 102, "Preis": None, "Ab": "2026-11-01T12:30:00"},
    ]
    with pytest.raises(FeedError, match=r"no sheet 'Prices'; it has: Cover, Products"):
        rows(data, "f.xlsx", sheet="Prices")


def parquet(table: pa.Table | dict) -> bytes:
    table = table if isinstance(table, pa.Table) else pa.table(table)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def test_parquet_types_become_what_people_wrote():
    identity = uuid.UUID(int=7)
    columns = {
        "id": pa.array([1, None], pa.int32()),
        "price": pa.array([Decimal("19.9"), None], pa.decimal128(38, 9)),
        "key": pa.array([10**20, None], pa.decimal128(38, 0)),
        "weight": pa.array([12.7, float("nan")], pa.float32()),
        "sizes": pa.array([[0.1, 16.2], None], pa.list_(pa.float32())),
        "half": pa.array([1.5, float("inf")], pa.float64()),
        "big": pa.array([2**64 - 1, None], pa.uint64()),
        "day": pa.array([date(2026, 11, 2), None]),
        "at": pa.array([1_777_000_000_123_456_789, None], pa.timestamp("ns")),
        "utc": pa.array([1_777_000_000, None], pa.timestamp("s", "Europe/Berlin")),
        "clock": pa.array([1, None], pa.time64("ns")),
        "text": pa.array([b"caf\xc3\xa9", None], pa.binary()),
        "uuid": pa.array([identity.bytes, None], pa.binary(16)),
        "map": pa.array([[("color", "red")], None], pa.map_(pa.string(), pa.string())),
        "kind": pa.array(["a", None]).dictionary_encode(),
        "deep": pa.array(
            [[{"n": "x", "w": 12.7}], []],
            pa.list_(pa.struct({"n": pa.string(), "w": pa.float32()})),
        ),
        "it's": pa.array(["quoted", '"']),
        "image": pa.array([{"bytes": b"\xff\xd8", "path": "a.jpg"}, None]),
    }
    first, second = values(parquet(columns), "f.parquet")
    assert first == {
        **{
            "id": 1,
            "price": 19.9,
            "key": 10**20,
            "weight": 12.7,
            "sizes": [0.1, 16.2],
            "half": 1.5,
        },
        **{"big": str(2**64 - 1), "day": "2026-11-02", "at": "2026-04-24T03:06:40.123456789"},
        **{"utc": "2026-04-24T03:06:40Z", "clock": "00:00:00.000000001", "text": "café"},
        **{"uuid": str(identity), "map": {"color": "red"}, "kind": "a", "it's": "quoted"},
        "deep": [{"n": "x", "w": 12.7}],
        "image": {"bytes": {"$bytes": "image.bytes:0"}, "path": "a.jpg"},
    }
    assert {name for name, value in second.items() if value is not None} == {"deep", "it's"}


def test_two_parquet_columns_of_one_name_are_an_error():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["id", "id"])
    with pytest.raises(FeedError, match=r"f\.parquet: columns named twice: 'id'"):
        rows(parquet(table), "f.parquet")
    cut = parquet({"id": [1, 2, 3]})
    with pytest.raises(FeedError, match=r"f\.parquet: cannot be read"):
        rows(cut[:-20], "f.parquet")


def test_the_bytes_of_cells_are_read_where_they_are():
    data = [f"picture {i}".encode() + b"\xff" for i in range(10)]
    buffer = io.BytesIO()
    nested = pa.array([{"bytes": d, "path": None} for d in data])
    pq.write_table(pa.table({"image": nested, "jpg": data}), buffer, row_group_size=3)
    cells = ParquetBytes()
    for place in ("image.bytes", "jpg"):
        for row in (0, 2, 3, 9, 1):
            found = cells.read(lambda: io.BytesIO(buffer.getvalue()), place, f"{place}:{row}")
            assert found == data[row]
    for wrong in ("image.bytes:10", "jpg:x", "other:1", "jpg"):
        with pytest.raises((ValueError, KeyError, IndexError)):
            cells.read(lambda: io.BytesIO(buffer.getvalue()), wrong, wrong)
