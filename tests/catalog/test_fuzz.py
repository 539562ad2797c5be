"""Nothing is silently wrong: seeded mutations of feeds, and two ways to read the same."""

import json
import random

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinlanding_assets.catalog import schema
from pinlanding_assets.catalog.cells import PLAIN, Block, column_of
from pinlanding_assets.catalog.feed import finish, parse_records
from pinlanding_assets.catalog.price_rows import PriceReader
from pinlanding_assets.catalog.rows import RowReader
from pinlanding_assets.catalog.values import (
    read_attribute,
    read_id,
    read_images,
    read_text,
    read_url,
)
from pinlanding_assets.catalog.words import NULLS
from resources.feeds import delimited
from resources.feeds.delimited import open_delimited
from resources.feeds.formats import Format, open_feed
from resources.feeds.rows import block_of, row_of_text
from tests.catalog.feed_fuzz import FORMATS, NOTHING, PIECES, WORDS, try_file, try_many
from tests.catalog.test_feed import MAPPING, mapping, records

FILES = fsspec.filesystem("file")
NULL_WORDS = frozenset(("strasse", "https://none.example", "kein wert", "ohne"))


@pytest.mark.parametrize("name", FORMATS)
def test_changed_values_come_out_right_or_are_refused(name, tmp_path):
    outcomes = [try_file(seed, name, tmp_path) for seed in range(6)]
    assert [fault for outcome in outcomes for fault in outcome.faults] == []
    assert sum(outcome.changes for outcome in outcomes) > 50


@pytest.mark.longer
def test_a_hundred_thousand_changes_and_nothing_silently_wrong():
    outcome = try_many(1_000_000, 100_000)
    print(outcome.changes, "changes,", outcome.rows, "rows,", outcome.refused, "refused")
    assert outcome.faults == []


# ---- the fast ways to read say what the slow ones say


def _cell(draw: random.Random, *, quotes: bool) -> str:
    """A cell of a CSV without quotes (or with them), of letters that readers might stumble over."""
    letters = [
        "a",
        "é",
        "赤",
        " ",
        "\t",
        "\x0b",
        "\x00",
        "\\",
        "\u2028",
        "\x85",
        "'",
        "\ufeff",
        "0",
    ]
    letters += ['""', "\n"] if quotes else []
    text = "".join(draw.choices(letters, k=draw.randint(0, 4)))
    return f'"{text}"' if quotes else text


def _csv(draw: random.Random) -> bytes:
    separator = ";"
    lines = ["id;name;p"]
    end = draw.choice(["\n", "\r\n"])
    for _ in range(draw.randint(1, 12)):
        width = draw.choice([3, 3, 3, 3, 3, 2, 4, 0]) if draw.random() < 0.3 else 3
        quotes = draw.random() < 0.1
        lines.append(separator.join(_cell(draw, quotes=quotes) for _ in range(width)))
    return (end.join(lines) + draw.choice(["", end])).encode()


def test_polars_splits_a_csv_as_the_csv_module_does(tmp_path, monkeypatch):
    draw, fast_blocks = random.Random(11), 0
    plain_block = delimited._plain_block

    def read(content: bytes) -> list[tuple]:
        with (tmp_path / "f").open("rb") as stream:
            opened = open_delimited(stream, "f", delimited.Dialect(";"), "csv")
            return [(row.row, row.value or row.record, row.error) for row in opened.rows]

    def counted(*arguments):
        nonlocal fast_blocks
        found = plain_block(*arguments)
        fast_blocks += found is not None
        return found

    for _ in range(400):
        content = _csv(draw)
        (tmp_path / "f").write_bytes(content)
        monkeypatch.setattr(delimited, "_CHUNK_BYTES", draw.choice([1, 30, 2 << 20]))
        monkeypatch.setattr(delimited, "_plain_block", counted)
        fast = read(content)
        monkeypatch.setattr(delimited, "_plain_block", lambda *_: None)
        slow = read(content)
        different = [pair for pair in zip(fast, slow, strict=False) if pair[0] != pair[1]]
        assert different == [], content
        assert len(fast) == len(slow)
    assert fast_blocks > 100


def _texts(draw: random.Random, count: int) -> list[str]:
    """Texts of the letters that are plain, and of those beside them."""
    every = pl.Series([chr(code) for code in range(33, 0xA000)])
    plain = every.filter(every.str.contains(PLAIN)).to_list()
    short = [raw for raw, _ in PIECES if len(raw) < 20]
    other = [*short, *" []{}", "ß", "İ"]
    words = [*NOTHING, *NULL_WORDS, *NULLS, *WORDS, "Straße", "NA", "Kein Wert", "[]", "a|b", "a/b"]
    texts = []
    for _ in range(count):
        kind = draw.random()
        if kind < 0.2:
            word = draw.choice(words)
            texts.append(draw.choice([word, word.upper(), f" {word}", word.title()]))
        else:
            letters = plain if kind < 0.6 else other + plain[:90]
            texts.append("".join(draw.choices(letters, k=draw.choice([1, 2, 3, 5, 79, 81, 130]))))
    return [text.encode("utf-8", "ignore").decode() for text in texts]


def test_texts_that_are_plain_are_what_they_would_be_read_as():
    draw = random.Random(12)
    texts = [*_texts(draw, 3_000), *(c for c in map(chr, range(33, 0x3100)))]
    texts += [f"https://a.example/{text}" for text in texts[:500]] + ["https://none.example"]
    reader = RowReader({"columns": {}, "nulls": sorted(NULL_WORDS)})
    rows = [json.dumps({"v": text}) for text in texts]
    frame = records(*rows).with_columns(record=pl.Series(rows))
    block, column = Block(frame, ["v"]), column_of(texts)
    for name, limit, read in (
        ("id", schema.MAX_ID, lambda v: read_id(v, NULL_WORDS)),
        ("title", schema.MAX_TITLE, lambda v: read_text("title", schema.MAX_TITLE, v, NULL_WORDS)),
    ):
        fast = block.read(column, read, plain=reader._plain(limit))
        slow = block.read(column, read)
        different = [(t, f, s) for t, f, s in zip(texts, fast, slow, strict=True) if f != s]
        assert different == [], name
    columns = {"id": "i", "url": "v", "title": "t", "images": {"column": "v", "split": "|"}}
    settings = mapping(
        columns=columns,
        attributes={"k": {"column": "v", "split": "/"}},
        nulls=sorted(NULL_WORDS),
    )
    whole = [{"i": str(n), "t": "x", "v": text} for n, text in enumerate(texts)]
    found = parse_records(records(*whole), settings)
    products = {int(row["product_id"]): row for row in found.products.to_dicts()}
    images: dict[str, list[str]] = {}
    for product, source in found.image_references.select("product_id", "source").rows():
        images.setdefault(product, []).append(source)

    def kept(values: tuple) -> list[str]:
        return [value for value in values if isinstance(value, str)]

    for n, text in enumerate(texts):
        url = read_url(text, NULL_WORDS)
        assert products[n]["url"] == (url if isinstance(url, str) else None), text
        assert images.get(str(n), []) == kept(read_images(text, "|", NULL_WORDS))[:20], text
        attributes = [pair["value"] for pair in products[n]["attributes"]]
        assert attributes == kept(read_attribute("k", text, "/", {}, NULL_WORDS)), text


@pytest.mark.parametrize("decimal", [None, ".", ","])
def test_plain_prices_are_read_as_one_by_one(decimal):
    draw = random.Random(13)
    texts = [
        "".join(draw.choices("0123456789", k=draw.randint(1, 10)))
        + draw.choice(["", ".", ","])
        + "".join(draw.choices("0123456789", k=draw.randint(0, 4)))
        for _ in range(3_000)
    ] + ["0", "00", "007.50", "1.", ".5", "99999999.99", "999999999", "1000000000", "1\n", "1.5\n"]
    reader = PriceReader(decimal, None, frozenset())
    block = Block(records(*({} for _ in texts)), [])
    slow = [reader._price(text) for text in texts]
    fast = reader._amounts(block, column_of(texts)).to_dicts()
    for text, one, other in zip(texts, slow, fast, strict=True):
        assert other == (one if isinstance(one, dict) else dict.fromkeys(other)), text


def _values(draw: random.Random, texts_only: bool) -> str:
    """A row as JSON text, written in one of the ways that JSON allows."""
    values: dict = {}
    for name in ("sku", "name", "Name", "d", "p", "a", "u", 'q"x', "o.p", "s"):
        if draw.random() < 0.8:
            text = draw.choice([*WORDS, *(raw for raw, _ in PIECES), '":1', '" : [', "{}", "null"])
            other = draw.choice([1, 1.5, 101.0, True, None, [1, "x"], {"a": "b"}, 2**70, -0.0, ""])
            values[name] = text if texts_only or draw.random() < 0.7 else other
    marks = draw.choice([(",", ":"), (", ", ": "), (" ,\t", " :\t")])
    text = json.dumps(values, ensure_ascii=draw.random() < 0.5, separators=marks)
    text = text if draw.random() < 0.9 else text.replace("{", '{"sku":"first","name" : 1,', 1)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(values)
    return text.replace(",}", "}")


def test_columns_are_the_same_whichever_way_they_are_taken_out():
    draw = random.Random(14)
    names = ["sku", "name", "Name", "d", "p", "a", 'q"x', "missing"]
    for _ in range(150):
        texts_only = draw.random() < 0.5
        rows = [row_of_text(n, _values(draw, texts_only), 1) for n in range(1, 9)]
        frame = block_of(rows).with_columns(file=pl.lit("f"))
        wanted = draw.sample(names, draw.randint(1, len(names)))
        block = Block(frame, wanted)
        for name in wanted:
            expected = [_readable(json.loads(row.record).get(name)) for row in rows]
            got = [_readable(value) for value in block.column(name).values()]
            assert got == expected, (name, [row.record for row in rows])


def _readable(value: object) -> str:
    """With its type; half a character is nothing in a text, or a mark of that."""
    return f"{type(value).__name__} {value!r}".replace("\\ud800", "\\x00").replace(
        "\\udfff", "\\x00"
    )


def test_one_block_is_as_its_parts(tmp_path):
    draw = random.Random(15)
    for seed in range(3):
        try_file(seed * 8 + 1, "jsonl", tmp_path)
        with open_feed(FILES, str(tmp_path / "feed.jsonl"), "feed.jsonl", Format()) as opened:
            whole = pl.concat(opened.blocks).select(pl.lit("f").alias("file"), pl.all())
        settings = mapping(
            columns={"id": "sku", "operation": "op", "title": "name", "price": "cost"}
            | {"images": "photos", "currency": "code", "availability": "stock"},
            attributes={"color": "color", "size": "size"},
        )
        once, parts = (
            finish(parse_records(frames, settings), [])
            for frames in (whole, whole.iter_slices(draw.randint(1, 9)))
        )
        assert parts.products.equals(once.products)
        assert parts.rejects.equals(once.rejects)


# ---- faults that were found, one by one


def test_half_a_character_at_a_path_costs_nothing_but_itself():
    columns = {"id": "sku", "title": "t.a", "description": ["d", "e"]}
    rows = [r'{"sku":"1","t":{"a":"x\ud800"},"d":"y\udfff"}', '{"sku":"2","t":{"a":"z"}}']
    found = parse_records(
        records(*rows, '{"sku":"3\\ud800","t":{"a":"z"}}'), mapping(columns=columns)
    )
    assert found.products.select("product_id", "title").rows() == [("1", "x"), ("2", "z")]
    assert found.rejects.select("row", "field").rows() == [(3, "id")]


def test_columns_whose_names_differ_in_their_case_are_two():
    columns = {"id": "sku", "title": "name", "description": "Name"}
    row = '{"sku":"1","name":"A","Name":"B"}'
    found = parse_records(records(row), mapping(columns=columns, attributes={}))
    assert found.products.select("title", "description").rows() == [("A", "B")]


def test_a_float_of_sixteen_digits_keeps_them():
    found = parse_records(records('{"sku":1234567890123456.0,"name":"A"}'), MAPPING)
    assert found.products["product_id"].to_list() == ["1234567890123456"]


def test_a_row_that_is_nested_too_deep_is_refused_alone(tmp_path):
    lines = ['{"sku":"1","name":"A"}', '{"sku":"2","name":' + "[" * 900 + "]" * 900 + "}"]
    (tmp_path / "f.jsonl").write_text("\n".join(lines))
    with open_feed(FILES, str(tmp_path / "f.jsonl"), "f", Format()) as opened:
        rows = list(opened.rows)
    assert [row.error for row in rows] == [None, "nested more than 60 deep"]


def rows_of(folder, name: str, content: bytes) -> list:
    (folder / name).write_bytes(content)
    with open_feed(FILES, str(folder / name), name, Format()) as opened:
        return list(opened.rows)


@pytest.mark.parametrize("first", [r'"sku" : "1", "price" :1.5', '"sku":"0","price":1.5,"sku":"1"'])
def test_a_json_line_is_read_as_by_any_parser(first, tmp_path):
    rows = rows_of(tmp_path, "f.jsonl", b'{"t":"x",' + first.encode() + b"}\n")
    block = Block(block_of(rows).with_columns(file=pl.lit("f")), ["sku", "price"])
    assert [block.column(name).values() for name in ("sku", "price")] == [["1"], [1.5]]


def test_a_line_separator_in_a_cell_ends_no_line(tmp_path):
    rows = rows_of(tmp_path, "f.csv", "id;name\n1;a\u2028b\n2;\x0bc\n3;d\x85\n".encode())
    assert [row.value["id"] for row in rows if row.value] == ["1", "2", "3"]


def test_a_byte_that_a_code_page_lacks_costs_one_row(tmp_path):
    lines = [f"{n};café".encode("cp1252") for n in range(20)]
    rows = rows_of(tmp_path, "f.csv", b"id;name\n" + b"\n".join([*lines, b"20;caf\x81"]))
    assert [row.error for row in rows] == [None] * 20 + ["not cp1252"]
    assert rows[3].value == {"id": "3", "name": "café"}


def test_apostrophes_and_an_open_quote_do_not_make_apostrophes_quotes(tmp_path):
    lines = [b"1;it's;x", b'2;"open;x', b"3;'s;y", b'4;"a ""b""";z']
    rows = rows_of(tmp_path, "f.csv", b"id;name;p\n" + b"\n".join(lines))
    names = [row.value and row.value["name"] for row in rows]
    assert names == ["it's", None, "'s", 'a "b"']


@pytest.mark.parametrize("next_row", [b'2;";x";6', b'2;";x";"6\ny"', b'2;x;";6"', b"2;x;6"])
def test_an_open_quote_that_a_later_one_seems_to_close_costs_its_row_alone(next_row, tmp_path):
    rows = rows_of(tmp_path, "f.csv", b'id;name;p\n1;"open;5\n' + next_row + b"\n3;y;z\n")
    assert [row.value and row.value["id"] for row in rows] == [None, "2", "3"]


def test_the_rest_of_a_broken_record_is_no_product(tmp_path):
    rows = rows_of(tmp_path, "f.csv", b'id;name\n"a\nb "c" d";shirt\n2;cup\n')
    assert [row.value and row.value["id"] for row in rows] == [None, None, "2"]


def test_single_broken_values_of_bytes_do_not_make_a_column_of_texts_one_of_bytes(tmp_path):
    values = [*(b"a%d" % n for n in range(10)), b"nul\0", b"\xff\xd8"]
    table = pa.table({"id": pa.array(values), "file_row_number": ["x"] * 12})
    pq.write_table(table.select(["id"]), tmp_path / "f.parquet")
    found = [
        row.value["id"] for row in rows_of(tmp_path, "f.parquet", _bytes(tmp_path)) if row.value
    ]
    assert found[:1] + found[-2:] == ["a0", "nul\0", {"$bytes": "id:11"}]
    pq.write_table(table.select(["file_row_number"]), tmp_path / "f.parquet")
    assert rows_of(tmp_path, "f.parquet", _bytes(tmp_path))[0].value == {"file_row_number": "x"}


def _bytes(folder) -> bytes:
    return (folder / "f.parquet").read_bytes()


def test_a_part_of_a_word_of_availability_is_not_taken_for_the_whole():
    words = [
        "nicht" + " " * 90 + "lieferbar",
        "sold\tout",
        "not for sale at all, " * 20 + "in stock",
    ]
    rows = [{"sku": str(n), "name": "x", "a": word} for n, word in enumerate(words)]
    found = parse_records(records(*rows), MAPPING)
    assert found.products["availability"].to_list() == ["out_of_stock"] * 3
