"""Seeded mutations of valid feeds in every format, and what may become of each.

A file has some forty rows; half of them are changed. What a changed value may become stands beside
the change (`Said`), from how the value was made, never from the code under test: the right value,
or a refusal that names the row and the field. All other rows have to come out as they went in.
"""

import csv
import io
import json
import math
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pinlanding_assets.catalog.feed import finish, parse_records
from resources.feeds.catalog_config import CatalogConfig
from resources.feeds.formats import Format, open_feed

FORMATS = ("csv", "jsonl", "json", "nested", "parquet", "typed parquet", "excel", "xml")
COLUMNS = (
    *("sku", "op", "name", "body", "cost", "code", "shop", "stock", "link", "photos"),
    *("color", "size", "more", "remark"),  # the last one is mapped to nothing
)
_PATHS = {  # column -> where it stands in the nested document
    **{"name": "text.name", "body": "text.body", "cost": "offer.cost", "code": "offer.code"},
    **{"shop": "offer.shop", "stock": "offer.stock", "photos": "media.photos", "sku": "sku"},
    **{"color": "props.color", "size": "props.size", "op": "op", "link": "link"},
    **{"more": "props.more", "remark": "remark"},
}
_MORE = (("fit", "slim fit"), ("care", "wash"), ("care", "iron"))
# ---- what is written, and what it is

WORDS = (
    *("shirt", "Linen", "blue", "Größe", "café", "naïve", "crème", "Señor", "100%", "(new)"),
    *("кружка", "Синяя", "赤い靴", "木の椅子", "セーター", "الكتاب", "ספר", "ψωμί", "한국어"),
    *("ไทย", "हिन्दी", "Straße", "ŁÓDŹ", "it's", "A/B", "x=y", "50 cm", "#1", "Überzug", "😀"),
)
# hostile or untidy pieces of texts, and what is left of each
PIECES = (
    *(("<b>bold</b>", "bold"), ("<p>one</p><p>two</p>", " one two "), ("<br/>", " ")),
    *(("<script>alert(1)</script>", ""), ("&amp;", "&"), ("&lt;b&gt;x", "x"), ("&eacute;", "é")),
    *(("\x00", ""), ("\x07", ""), ("\x7f", ""), ("\x1b[31m", "[31m"), ("\u200b", "")),
    *(("\u202e", ""), ("\ufeff", ""), ("\u00ad", ""), ("\ud800", ""), ("\udfff", "")),
    *(("\t", " "), ("\n", " "), ("\r\n", " "), ("\r", " "), ("\x0b", " "), ("\x85", " ")),
    *(("\u2028", " "), ("\u00a0", " "), ("\u3000", " "), ("     ", " "), ("ﬁn", "fin")),
    *(("Ａ１", "A1"), ("e\u0301", "é"), ("½", "1⁄2"), ('"', '"'), ('""', '""'), ("'", "'")),
    *((";", ";"), (",", ","), ("|", "|"), ("\\", "\\"), ('",\n"', '", "'), (';"', ';"')),
    *(("'; DROP TABLE p;--", "'; DROP TABLE p;--"), ("../../etc/passwd", "../../etc/passwd")),
    *(("{{7*7}}", "{{7*7}}"), ("${x}", "${x}"), ("!!python/object:os", "!!python/object:os")),
    *(('{"a": [1]}', '{"a": [1]}'), ("[1, 2]", "[1, 2]"), ("%00", "%00"), ("a" * 400, "a" * 400)),
    *(("\u0301", "\u0301"), ("𝓗", "H"), ("\ue000", ""), ("<a href='x'>y</a>", "y"), ("< 5", "< 5")),
)
NOTHING = (
    *("", "NULL", "null", "None", "N/A", "n/a", "nan", "NaN", "-", "--", "#N/A", "NA", "(null)"),
    *("<NA>", "\\N", "undefined", "  ", "—"),
)
STOCK = {
    "in stock": "in_stock",
    "In Stock": "in_stock",
    "https://schema.org/InStock": "in_stock",
    "auf Lager": "in_stock",
    "disponible": "in_stock",
    "в наличии": "in_stock",
    "在庫あり": "in_stock",
    "12": "in_stock",
    "yes": "in_stock",
    "sold out": "out_of_stock",
    "OUT_OF_STOCK": "out_of_stock",
    "Temporarily out of stock": "out_of_stock",
    "nicht lieferbar": "out_of_stock",
    "nicht" + " " * 90 + "lieferbar": "out_of_stock",
    "not\tavailable": "out_of_stock",
    "agotado": "out_of_stock",
    "нет в наличии": "out_of_stock",
    "売り切れ": "out_of_stock",
    "0": "out_of_stock",
    "-3": "out_of_stock",
    "no": "out_of_stock",
    "preorder": "preorder",
    "Pre-Order": "preorder",
    "vorbestellbar": "preorder",
    "予約": "preorder",
}
UNKNOWN_STOCK = (
    "maybe",
    "???",
    "ask us",
    "lieferbar ab 12.12.",
    "x" * 300,
    "'; DROP TABLE p",
    "七",
)
SIGNS = {"EUR": "€", "GBP": "£", "USD": "US$", "PLN": "zł", "INR": "₹"}
NO_PRICE = (
    *("free", "-5", "-5,00", "1e5", "12/kg", "10-20", "12 12", "1.2.3", "1,2,3", "１２", "9" * 50),
    *("1.299.99.9", "12 EUR/USD", "<b>12</b>", "$", "EUR", "++5", "0x10", "1_000", "12;50", "٣"),
    *("1'2'3", "1,23,4", "12..5", "(12)", "inf", "Infinity", "5 5 5", "3/4", "12 $ 13", "1.29.9"),
)


@dataclass(frozen=True)
class Said:
    """What may become of a value: one of `values`, or, if `refused`, a reject of its row that
    names one of `fields`."""

    values: tuple[Any, ...] = ()
    refused: bool = False
    fields: tuple[str, ...] = ()


@dataclass
class Row:
    """A row of a file.

    Attributes:
        written: Column -> value.
        said: Field of the product -> what may become of it.
        raw: The row as bytes instead, where the format has rows of bytes.
        changes: What was done to it.
        shifts: It may be read as several rows, so that those behind it have other numbers.
        replaced: A later row of the same product counts.
    """

    written: dict[str, Any]
    said: dict[str, Said]
    raw: bytes | None = None
    changes: list[str] = field(default_factory=list)
    shifts: bool = False
    replaced: bool = False


@dataclass(frozen=True)
class Kind:
    """How a file is written."""

    name: str
    encoding: str = "utf-8"
    separator: str = ","
    mark: str = "."
    decimal: str | None = None  # what catalog.yaml says
    types: tuple[Any, ...] = ()  # of Parquet: those of sku, cost, photos, color, size

    @property
    def typed(self) -> bool:
        """Whether a value of JSON's types may stand anywhere."""
        return self.name in ("jsonl", "json", "nested")

    @property
    def numbered(self) -> bool:
        """Whether ids are numbers in the file."""
        return bool(self.types) and self.types[0] not in (pa.large_string(), pa.binary())

    @property
    def by_line(self) -> bool:
        return self.name in ("csv", "jsonl")


def kind_of(draw: random.Random, name: str) -> Kind:
    mark = draw.choice(".,")
    decimal = draw.choice([None, None, mark])
    if name == "csv":
        return Kind(
            name,
            draw.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
            draw.choice(";,\t|"),
            mark,
            decimal,
        )
    if name == "typed parquet":
        types = (
            draw.choice([pa.int64(), pa.uint64(), pa.float64(), pa.large_string(), pa.binary()]),
            draw.choice([pa.float64(), pa.float32(), pa.decimal128(18, 2), pa.decimal128(38, 10)]),
            draw.choice([pa.list_(pa.string()), pa.large_list(pa.string())]),
            draw.choice(
                [pa.dictionary(pa.int32(), pa.string()), pa.binary(), pa.list_(pa.string())]
            ),
            draw.choice([pa.int32(), pa.float64(), pa.float32(), pa.string(), pa.bool_()]),
        )
        return Kind(name, types=types)
    return Kind(name, mark=mark, decimal=decimal)


def mapping_of(kind: Kind, draw: random.Random) -> dict[str, Any]:
    def at(column: str) -> str:
        return _PATHS[column] if kind.name == "nested" else column

    settings = {
        "name": "fuzz",
        "feeds": ["feed"],
        "columns": {
            **{"id": at("sku"), "operation": at("op"), "title": at("name")},
            **{"description": at("body"), "price": at("cost"), "currency": at("code")},
            **{"seller": at("shop"), "availability": at("stock"), "url": at("link")},
            "images": {"column": at("photos"), "split": "|"},
        },
        "attributes": {"color": {"column": at("color"), "split": "/"}, "size": at("size")}
        | {"*": {"column": at("more")}},
        "decimal": kind.decimal,
        "rows": draw.choice(["last", "auto"]),
        "snapshot": draw.choice(["changes", "full"]),
    }
    return CatalogConfig.model_validate(settings).model_dump()


def _written(value: Any, kind: Kind) -> bool:
    """Whether a format can hold a value."""
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if not isinstance(text, str):
            continue
        if kind.name == "xml" and not all(
            c in "\t\n" or "\x20" <= c < "\ud800" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
            for c in text
        ):
            return False
        control = any(c < " " and c not in "\n\t" for c in text)
        if kind.name == "excel" and (control or text.startswith("=") or len(text) > 32_000):
            return False
        if not kind.typed:
            try:
                text.encode(kind.encoding)
            except UnicodeEncodeError:
                return False
    return True


def text_of(draw: random.Random, kind: Kind, least: int = 1, most: int = 5) -> str:
    words = [word for word in WORDS if _written(word, kind)]
    return " ".join(draw.choices(words, k=draw.randint(least, most)))


def _price_text(cents: int, mark: str, group: str = "") -> str:
    whole = f"{cents // 100:,}".replace(",", group)
    return f"{whole}{mark}{cents % 100:02d}"


def valid_row(draw: random.Random, kind: Kind, number: int) -> Row:
    """A row that is right, and the product that it is."""
    sku = (
        str(10_000 + number)
        if kind.numbered
        else f"{draw.choice(['A', 'SKU ', 'ж-', 'x/'])}{number}"
    )
    sku = sku if _written(sku, kind) else f"A{number}"
    if draw.random() < 0.08:
        said = {name: Said((value,)) for name, value in _blank().items()}
        said |= {"product_id": Said((sku,)), "operation": Said(("delete",))}
        written = dict.fromkeys(COLUMNS) | {"sku": sku, "op": draw.choice(["delete", "D", "x"])}
        return Row(written | {"remark": "r"}, said)
    cents, code = draw.randint(1, 300_000), draw.choice(sorted(SIGNS))
    title, body = text_of(draw, kind), text_of(draw, kind, 0, 20)
    shop, stock = text_of(draw, kind, 1, 2), draw.choice([s for s in STOCK if _written(s, kind)])
    photos = [f"images/{number}-{i}.jpg" for i in range(draw.randint(0, 3))]
    colors = draw.sample(["red", "blue", "Größe", "off white"], draw.randint(0, 2))
    size: Any = draw.choice(["S", "XL", "38"])
    cost: Any = _price_text(cents, kind.mark)
    if kind.typed and draw.random() < 0.5:
        cost = cents / 100
    if kind.name == "excel" and draw.random() < 0.5:
        cost = cents / 100
    color: Any = "/".join(colors)
    if kind.types:
        cost = cents / 100
        color = colors if pa.types.is_list(kind.types[3]) else color
        match kind.types[4]:
            case t if pa.types.is_boolean(t):
                size = draw.random() < 0.5
            case t if not pa.types.is_string(t):
                size = draw.randint(1, 60)
    shown = str(size)
    listed = kind.types or (kind.typed and draw.random() < 0.5)
    if kind.types and kind.types[1] == pa.float32():
        cost = cents / 100 if cents < 100_000 else float(cents // 100)  # seven digits
        cents = round(cost * 100)
    more = draw.choice(["", "", '{"Fit": "slim fit", "care": ["wash", "iron"]}'])
    link = (
        f"https://shop.example/{number}?a=1&b=ü" if draw.random() < 0.3 else f"http://x.y/{number}"
    )
    written = dict(
        zip(
            COLUMNS,
            (
                *(sku, draw.choice(["upsert", "U", "update", ""]), title, body, cost, code, shop),
                *(stock, link, photos if listed else "|".join(photos), color, size),
                json.loads(more) if more and kind.typed and draw.random() < 0.5 else more,
                draw.choice(["", "remark", 'a "quoted" word' if draw.random() < 0.2 else "r"]),
            ),
            strict=True,
        )
    )
    said = {
        **{"product_id": sku, "operation": "upsert", "title": title, "description": body},
        **{"price": cents / 100, "currency": code, "seller": shop, "availability": STOCK[stock]},
        **{"url": link, "images": tuple(photos)},
        "attributes": (*(("color", c) for c in colors), ("size", shown), *(_MORE if more else ())),
    }
    return Row(written, {name: Said((value,)) for name, value in said.items()})


def _blank() -> dict[str, Any]:
    return {
        **{"title": "", "description": "", "price": None, "currency": None, "seller": None},
        **{"availability": "unknown", "url": None, "images": (), "attributes": ()},
    }


# ---- changes of one value: (column, field) -> what is written instead, and what it may become


def untidy(draw: random.Random, kind: Kind) -> tuple[str, str]:
    """A text with hostile pieces, and what is left of it when it is clean."""
    pieces = [piece for piece in PIECES if _written(piece[0], kind)]
    pairs = [(w, w) for w in (text_of(draw, kind, 1, 1) for _ in range(draw.randint(1, 6)))]
    pairs += draw.choices(pieces, k=draw.randint(1, 4))
    draw.shuffle(pairs)
    pairs = [(pad, pad) for pad in ("q",)] + pairs  # so that it is no other thing: no list, no null
    raw = " ".join(raw for raw, _ in pairs)
    return raw, " ".join(" ".join(left for _, left in pairs).split())


def _cut(text: str, limit: int) -> str:
    return text[:limit].rstrip()


def change_title(draw: random.Random, kind: Kind, _row: Row) -> tuple[Any, Said]:
    return _text_change(draw, kind, "title", 300)


def change_body(draw: random.Random, kind: Kind, _row: Row) -> tuple[Any, Said]:
    return _text_change(draw, kind, "description", 5_000)


def _text_change(draw: random.Random, kind: Kind, name: str, limit: int) -> tuple[Any, Said]:
    choice = draw.randrange(9 if kind.typed else 5)
    if choice == 0:
        return draw.choice(NOTHING), Said(("",))
    if choice == 1:  # long, in scripts of several bytes a character
        word = draw.choice([w for w in ("赤い靴", "я", "ab ", "é") if _written(w, kind)])
        text = "q" + word * draw.choice([limit // 3, limit, 2_000])
        if name == "title" and len(text) > 10_000:
            return text, Said((), True, (name,))
        return text, Said((_cut(" ".join(text.split()), limit),))
    if choice < 5:
        raw, left = untidy(draw, kind)
        return raw, Said((_cut(left, limit),))
    return draw.choice(
        [
            (None, Said(("",))),
            (17, Said(("17",))),
            (38.0, Said(("38",))),
            (0.1, Said(("0.1",))),
            (math.nan, Said(("",))),
            (True, Said((), True, (name,))),
            ({"en": "Shirt"}, Said((), True, (name,))),
            ([["a"]], Said(("a",), True, (name,))),
            (["Red", None, "shirt"], Said(("Red shirt",))),
            ([], Said(("",))),
            (deep(draw), Said((), True, (name, "record"))),
        ]
    )


def deep(draw: random.Random) -> Any:
    value: Any = {"a": 1}
    for _ in range(draw.choice([3, 70, 400, 900])):
        value = [value] if draw.random() < 0.5 else {"a": value}
    return value


def change_id(draw: random.Random, kind: Kind, row: Row) -> tuple[Any, Said]:
    sku, refused = row.written["sku"], Said((), True, ("id",))
    if kind.numbered:
        number = int("".join(filter(str.isdigit, sku)))
        big = number + 2**40
        return draw.choice([(None, refused), (big, Said((str(big),)))])
    texts = [
        *((f" {sku}\t", Said((sku,))), (f"{sku}{'x' * 100}", Said((f"{sku}{'x' * 100}",)))),
        *((f"{sku}{'é' * 128}", refused), (draw.choice(NOTHING), refused)),
        *((f"{sku}\x00", refused), (f"{sku}\u200b!", refused), (f"a\n{sku}", refused)),
        *((f"{sku}\ud800", refused), (f"{sku}'; DROP", Said((f"{sku}'; DROP",)))),
        *((f"../{sku}", Said((f"../{sku}",))), (f'"{sku}"', Said((f'"{sku}"',)))),
        *((f"<b>{sku}", Said((f"<b>{sku}",))), (f"0{sku}", Said((f"0{sku}",)))),
        (f"靴{sku}", Said((f"靴{sku}",))),
    ]
    number = int("".join(filter(str.isdigit, sku)))
    typed = [
        *((None, refused), (True, refused), ([sku], refused), ({"id": sku}, refused)),
        *((10**9 + number, Said((str(10**9 + number),))), (1e300, refused), (math.nan, refused)),
        (float(10**7 + number), Said((str(10**7 + number),))),
        (float(10**15 + number), Said((str(10**15 + number),))),
        (10**25 + number, Said((str(10**25 + number),))),
        (2**63 + number, Said((str(2**63 + number),))),
        (-number, Said((str(-number),))),
    ]
    if kind.name == "excel":
        typed = [(float(10**7 + number), Said((str(10**7 + number),))), (None, refused)]
        return draw.choice(texts + typed)
    return draw.choice(texts + typed if kind.typed else texts)


def change_price(draw: random.Random, kind: Kind, row: Row) -> tuple[Any, Said]:
    code = row.said["currency"].values[0]
    refused = Said((), True, ("price",))
    cents = draw.randint(1, 90_000_000)
    mark = draw.choice(".,")
    other = "," if mark == "." else "."
    group = draw.choice(["", "", other, " ", "'", "\u202f", "\u00a0", "’"])
    text = _price_text(cents, mark, group)
    # a row may be refused where catalog.yaml says another mark
    maybe = Said((cents / 100,), kind.decimal not in (None, mark), ("price",))
    sign = SIGNS[code]
    choices: list[tuple[Any, Said]] = [
        (text, maybe),
        (f"{text} {sign}", maybe),
        (f"{sign}{text}", maybe),
        (f"{code} {text}", maybe),
        (f"  {text}\u00a0{code.lower()} ", maybe),
        (draw.choice(NOTHING), Said((None,))),
        (draw.choice(NO_PRICE), refused),
        (f"{text} JPY", Said((), True, ("price", "currency"))),
        ambiguous(draw, kind),
        ambiguous(draw, kind),
    ]
    if kind.typed or kind.name == "excel":
        choices += [
            *((cents / 100, Said((cents / 100,))), (cents, Said((float(cents),)))),
            *((-1, refused), (2e9, refused), (-0.01, refused)),
        ]
    if kind.typed:
        choices += [
            *(
                (True, refused),
                (math.nan, Said((None,))),
                (math.inf, Said((None,), True, ("price",))),
                (10**400, refused),
            ),
            *((None, Said((None,))), ({}, refused), ([], Said((None,), True, ("price",)))),
            *(([1, 2], refused), ([cents / 100], Said((cents / 100,)))),
            ({"amount": cents / 100, "currency": code}, Said((cents / 100,))),
            ({"centAmount": cents, "currencyCode": code}, Said((cents / 100,))),
            (deep(draw), Said((), True, ("price", "record"))),
        ]
    if kind.types:
        choices = [
            *((None, Said((None,))), (-1.0, refused), (2e9, refused), (math.nan, Said((None,)))),
            *((12.25, Said((12.25,))), (math.inf, Said((None,), True, ("price",)))),
        ]
    return draw.choice(choices)


@dataclass(frozen=True)
class Either:
    """A price that may be read in two ways: by what the other prices of its file show."""

    dot: float
    comma: float


def ambiguous(draw: random.Random, kind: Kind) -> tuple[Any, Said]:
    whole, rest = draw.randint(1, 999), draw.randint(0, 999)
    mark = draw.choice(".,")
    fraction, grouped = round(whole + rest / 1000, 3), float(whole * 1000 + rest)
    both = Either(fraction, grouped) if mark == "." else Either(grouped, fraction)
    return f"{whole}{mark}{rest:03d}", Said((both,), True, ("price",))


def change_code(draw: random.Random, kind: Kind, row: Row) -> tuple[Any, Said]:
    code = row.said["currency"].values[0]
    refused = Said((), True, ("currency",))
    texts = [
        *((f" {code.lower()} ", Said((code,))), (SIGNS[code], Said((code,)))),
        *(("dollars", refused), ("12", refused), ("E\x00R", refused), (draw.choice(NOTHING), None)),
        *(("ЕUR", refused), ("", None)),
    ]
    typed = [(12, refused), (True, refused), ([code], refused), ({}, refused), (None, None)]
    raw, said = draw.choice(texts + typed if kind.typed else texts)
    return raw, said or Said((None,))


def change_shop(draw: random.Random, kind: Kind, row: Row) -> tuple[Any, Said]:
    raw, said = _text_change(draw, kind, "seller", 300)
    values = tuple(value or None for value in said.values)
    return raw, Said(values, said.refused, said.fields)


def change_stock(draw: random.Random, kind: Kind, _row: Row) -> tuple[Any, Said]:
    word = draw.choice(sorted(STOCK))
    typed = [
        *((True, "in_stock"), (False, "out_of_stock"), (0, "out_of_stock"), (7.0, "in_stock")),
        *((-2, "out_of_stock"), (None, "unknown")),
    ]
    if (kind.typed or kind.name == "excel") and draw.random() < 0.3:
        raw, value = draw.choice(typed)
        return raw, Said((value,))
    if kind.typed and draw.random() < 0.1:
        return draw.choice([[], {}, ["in stock"]]), Said((), True, ("availability",))
    raw, value = draw.choice(
        [
            *((word, STOCK[word]), (f" {word.upper()}\t", STOCK[word])),
            *((draw.choice(UNKNOWN_STOCK), "out_of_stock"), (draw.choice(NOTHING), "unknown")),
            (f"{word}\x00", STOCK[word]),
        ]
    )
    # what is not understood is never sold
    return raw, Said((value, "out_of_stock") if "\x00" in raw or "://" in raw else (value,))


def change_link(draw: random.Random, kind: Kind, _row: Row) -> tuple[Any, Said]:
    texts = [
        *(
            (" https://a.example/x ", "https://a.example/x"),
            ("HTTPS://A.example", "https://A.example"),
        ),
        *(("//cdn.example/1", "https://cdn.example/1"), ("javascript:alert(1)", None)),
        *(("/p/1", None), ("https://", None), ("https://a b", None), ("https://a\nb", None)),
        *(("https://a\x00", None), ("https://" + "a" * 3000, None), (draw.choice(NOTHING), None)),
        *(("https://ü.example/靴", "https://ü.example/靴"), ("data:text/html,x", None)),
        *(("https://a\u202eb", None), ("ftp://a.example", None), ("https://a\ud800", None)),
        ('https://a.example/"<script>', 'https://a.example/"<script>'),
    ]
    typed = [(17, None), (True, None), ([], None), ({}, None), (None, None)]
    raw, value = draw.choice(texts + typed if kind.typed else texts)
    return raw, Said((value,))


def change_photos(draw: random.Random, kind: Kind, row: Row) -> tuple[Any, Said]:
    many = tuple(f"{i}.jpg" for i in range(60))
    texts = [
        *(("a.jpg|b.jpg|a.jpg", ("a.jpg", "b.jpg")), (" a.jpg | ", ("a.jpg",))),
        *(("../../etc/passwd", ("../../etc/passwd",)), (draw.choice(NOTHING), ())),
        *(("a\x00.jpg|b.jpg", ("b.jpg",)), ("|".join(many), many[:20]), ("靴.jpg", ("靴.jpg",))),
        *(('["a.jpg", "b,c.jpg"]', ("a.jpg", "b,c.jpg")), ("x" * 3000, ()), ("||", ())),
        ("a.jpg\ud800|b", ("b",)),
    ]
    lists: list[tuple[Any, tuple[str, ...]]] = [
        *((["a.jpg", "a.jpg", "b.jpg"], ("a.jpg", "b.jpg")), ([], ()), ([""], ()), (None, ())),
        *((["a.jpg", None, "NULL"], ("a.jpg",)), (list(many), many[:20])),
    ]
    typed = [
        *((17, ()), (True, ()), ({"src": "a.jpg"}, ("a.jpg",)), ([{"url": "a"}, 3], ("a",))),
        *(([["a"]], ()), ({}, ())),
    ]
    choices = lists if kind.types else [*texts, *lists, *typed] if kind.typed else texts
    raw, value = draw.choice(choices)
    return raw, Said((value,))


def change_color(draw: random.Random, kind: Kind, row: Row) -> tuple[Any, Said]:
    others = tuple(pair for pair in row.said["attributes"].values[0] if pair[0] != "color")
    raw, left = untidy(draw, kind)
    clean = "/" not in raw and len(left) <= 80
    texts = [
        *((draw.choice(NOTHING), ()), ("red/ blue /red", ("red", "blue")), ("x" * 81, ())),
        *(('["red", "blue"]', ("red", "blue")), ("a=b,c=d", ("a=b,c=d",)), ("靴", ("靴",))),
        (raw, (left,)) if clean else ("Red", ("Red",)),
    ]
    typed: list[tuple[Any, tuple[str, ...]]] = [
        *((7, ("7",)), (38.0, ("38",)), (True, ("True",)), (["a", None, "b"], ("a", "b"))),
        *(([{}], ()), (None, ()), (deep(draw), ())),
    ]
    value, colors = draw.choice(texts + typed if kind.typed else texts)
    if kind.types and pa.types.is_list(kind.types[3]):
        value, colors = draw.choice([(["a", None, "NULL", "b"], ("a", "b")), (None, ()), ([], ())])
    refused = isinstance(value, list | dict) and json.dumps(value).count("[") > 20
    pairs = (*(("color", color) for color in colors), *others)
    return value, Said((pairs,), refused or isinstance(value, dict), ("record",))


def change_more(draw: random.Random, kind: Kind, row: Row) -> tuple[Any, Said]:
    pairs = row.said["attributes"].values[0]
    own = tuple(pair for pair in pairs if pair[0] in ("color", "size"))
    many = {f"k{n}": "v" for n in range(80)}
    texts = [
        *(("{broken", None), ("[1", None), ("{'a': 1", None), ("no pairs at all", None)),
        *(("[" * 900 + "]" * 900, None), ("{}", ()), (draw.choice(NOTHING), ())),
        *(("Fit=slim fit;care=wash|iron", _MORE), ("Fit: slim fit\ncare: wash|iron", _MORE)),
        *(('{"Fit": {"a": {"b": 1}}}', ()), ('{"Fit": "' + "x" * 90 + '"}', ())),
        *(('{"a\\u0000b": "c\\ud800d"}', (("ab", "cd"),)), ('{"Größe": 38.0}', (("größe", "38"),))),
        *((json.dumps(many), tuple(many.items())), ("{" * 2000, None)),
        ('{"<b>A</b>": "<i>x</i> &amp; y"}', (("a", "x & y"),)),
        ('{"a": true, "b": null, "c": 7}', (("a", "True"), ("c", "7"))),
    ]
    typed = [
        *((None, ()), ([], ()), ({}, ()), (7, None), (True, None), ([7], None)),
        *(({"Fit": "slim fit", "care": ["wash", "iron"]}, _MORE), ({"": "x"}, ())),
        ([{"key": "Fit", "value": "slim fit"}, {"name": "care", "value": "wash"}], _MORE[:2]),
        *(({"a\ud800": "b"}, (("a", "b"),)), (many, tuple(many.items()))),
    ]
    raw, found = draw.choice(texts + typed if kind.typed else texts)
    if found is None:
        return raw, Said((), True, ("attributes",))
    return raw, Said(((*own, *found)[:50],))  # the most that a product has


def change_op(draw: random.Random, kind: Kind, row: Row) -> tuple[Any, Said]:
    refused = Said((), True, ("operation",))
    texts = [
        *((" UPDATE ", "upsert"), ("I", "upsert"), ("+", "upsert"), ("NULL", "upsert")),
        *(
            ("explode", None),
            ("de\x00lete", None),
            ("'; DROP", None),
            ("x" * 500, None),
            ("удалить", None),
        ),
    ]
    typed = [(True, None), (7, None), ([], None), ({}, None), (None, "upsert")]
    raw, value = draw.choice(texts + typed if kind.typed else texts)
    return raw, Said((value,)) if value else refused


Change = Callable[[random.Random, Kind, Row], tuple[Any, Said]]
CHANGES: dict[str, tuple[str, Change]] = {
    **{"sku": ("product_id", change_id), "name": ("title", change_title)},
    **{"body": ("description", change_body), "cost": ("price", change_price)},
    **{"code": ("currency", change_code), "shop": ("seller", change_shop)},
    **{"stock": ("availability", change_stock), "link": ("url", change_link)},
    **{"photos": ("images", change_photos), "color": ("attributes", change_color)},
    **{"op": ("operation", change_op), "more": ("attributes", change_more)},
}


def change_value(draw: random.Random, kind: Kind, row: Row) -> None:
    """One value of a row becomes another."""
    deleted = row.said["operation"].values == ("delete",)
    columns = [c for c in (["sku"] if deleted else CHANGES) if c not in row.changes]
    if {"cost", "code"} & set(row.changes):  # a price may name its currency itself
        columns = [c for c in columns if c not in ("cost", "code")]
    if {"color", "more"} & set(row.changes):  # both are attributes
        columns = [c for c in columns if c not in ("color", "more")]
    if not columns:
        return
    column = draw.choice(columns)
    name, change = CHANGES[column]
    raw, said = change(draw, kind, row)
    if not _written(raw, kind) or not _fits(raw, column, kind):
        return
    row.written[column], row.said[name] = raw, said
    row.changes.append(column)


_TYPED = ("sku", "cost", "photos", "color", "size")


def _fits(value: Any, column: str, kind: Kind) -> bool:
    if kind.name not in ("parquet", "typed parquet"):
        return True
    try:
        _array([value], column, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return False
    return True


# ---- changes of a whole row


def change_row(draw: random.Random, kind: Kind, rows: list[Row], place: int) -> None:
    """A row as a whole is broken, repeated or taken back."""
    row, options = rows[place], ["again", "delete", "extra"]
    refused = dict.fromkeys(row.said, Said((), True, ("record",)))
    if kind.by_line:
        options += ["bytes", "garbage", "fields", "huge"]
    if kind.name == "csv":
        options += ["quote", "stray"]
    if kind.name in ("jsonl", "json", "nested"):
        options += ["missing", "twice"]
    match draw.choice(options):
        case "again":  # the last row of a product counts
            later = Row(dict(row.written), dict(row.said), changes=["again"])
            title = text_of(draw, kind)
            if row.said["operation"].values != ("delete",):
                later.written["name"], later.said["title"] = title, Said((title,))
            row.replaced = True
            rows.insert(draw.randint(place + 1, len(rows)), later)
        case "delete":
            later = Row(dict(row.written), dict(row.said), changes=["delete"])
            later.written["op"] = "delete"
            blank = {name: Said((value,)) for name, value in _blank().items()}
            later.said |= blank | {"operation": Said(("delete",))}
            row.replaced = True
            rows.insert(draw.randint(place + 1, len(rows)), later)
        case "extra":
            if kind.name in ("jsonl", "json", "nested"):
                row.written["surplus"] = draw.choice([deep(draw), "x", None, 3, {"$": 1}])
                row.said["title"] = Said(row.said["title"].values, True, ("record",))  # if deep
            elif kind.name == "csv":
                row.raw = (
                    _csv_line(row, kind)
                    + kind.separator.encode(_plain(kind))
                    + b"x\0"[: 1 + kind.encoding.startswith("utf-16")]
                )
                row.said = refused
            else:
                return
            row.changes.append("extra")
        case "bytes":
            line = _line(row, kind)
            at = draw.randrange(len(line) // 2) * 2
            bad = {"utf-16": b"\x00\xd8", "utf-16-le": b"\x00\xd8", "cp1252": b"\x81"}
            row.raw = (
                line[:at] + bad.get(kind.encoding, draw.choice([b"\xe9", b"\xff", b"\xc3"])) + b""
            )
            rest = line[at:]
            if kind.encoding.startswith("utf-16"):
                rest = "q".encode("utf-16-le") + rest
            elif kind.encoding.startswith("utf-8"):
                rest = b"q" + rest
            row.raw += rest
            row.said, row.shifts = refused, True
            row.changes.append("bytes")
        case "garbage":
            text = draw.choice(["}{", "garbage", "\x00", "{", "[]", "3", "null", '{"sku": '])
            row.raw = text.encode(_plain(kind))
            row.said = refused
            row.changes.append("garbage")
        case "fields":
            line = _line(row, kind)
            if kind.name == "csv":
                cells = draw.randint(1, len(COLUMNS) - 1)
                row.raw = _cells([_cell(row.written[c]) for c in COLUMNS[:cells]], kind)
                row.shifts = True  # of one with a line break in a cell
            else:
                row.raw = line[: draw.randint(1, len(line) - 1)]
            row.said = refused
            row.changes.append("fields")
        case "huge":
            if draw.random() > 0.01:
                return
            row.written["body"] = "q " * 600_000
            row.said, row.shifts = refused, kind.name == "csv"
            row.changes.append("huge")
        case "quote":  # one that opens a cell and closes none
            cells = [_cell(row.written[c]) for c in COLUMNS]
            if any("\n" in cell or '"' in cell or kind.separator in cell for cell in cells):
                return
            if draw.random() < 0.3 and place + 1 < len(rows):  # what comes next seems to close it
                later = rows[place + 1]
                if not later.changes and later.said["operation"].values != ("delete",):
                    later.written["body"] = f"{kind.separator}x"
                    later.said["description"] = Said((f"{kind.separator}x".strip(),))
                    later.changes.append("separator first")
            at = draw.randrange(len(cells))
            cells[at] = '"' + cells[at]
            row.raw = kind.separator.join(cells).encode(_plain(kind))
            row.said, row.shifts = refused, True
            row.changes.append("quote")
        case "stray":  # quotes that are not doubled
            cells = [_cells([_cell(row.written[c])], kind).decode(_plain(kind)) for c in COLUMNS]
            at = draw.randrange(len(cells))
            cells[at] = (
                '"' + draw.choice(['a "b" c', 'a "b', 'a\nb "c" d', '"a" b', '12" x 5"']) + '"'
            )
            row.raw = kind.separator.join(cells).encode(_plain(kind))
            row.said, row.shifts = refused, True
            row.changes.append("stray")
        case "missing":
            column = draw.choice(["body", "link", "photos"])
            name = {"body": "description", "link": "url", "photos": "images"}[column]
            row.written.pop(column)
            row.said[name] = Said((_blank()[name],))
            row.changes.append("missing")
        case "twice":  # a key stands twice: the last counts
            text = json.dumps(_nested(row.written) if kind.name == "nested" else row.written)
            row.raw = ('{"link": "https://first.example", ' + text[1:]).encode()
            row.changes.append("twice")


def _plain(kind: Kind) -> str:
    """The encoding without its mark."""
    return {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(kind.encoding, kind.encoding)


# ---- files


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _cells(cells: list[str], kind: Kind) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=kind.separator).writerow(cells)
    return out.getvalue().removesuffix("\r\n").encode(_plain(kind))


def _csv_line(row: Row, kind: Kind) -> bytes:
    return _cells([_cell(row.written[column]) for column in COLUMNS], kind)


def _line(row: Row, kind: Kind) -> bytes:
    return _csv_line(row, kind) if kind.name == "csv" else _json(row, row.written)


def _json(row: Row, written: dict[str, Any]) -> bytes:
    style = len(row.written["remark"] or "") % 3  # three ways to write the same
    marks = [(", ", ": "), (",", ":"), (" , ", " : ")][style]
    text = json.dumps(written, ensure_ascii=style == 0, separators=marks)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(written).encode()


def _nested(written: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column, value in written.items():
        inner, (*outer, last) = found, _PATHS.get(column, column).split(".")
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return found


def _array(values: list[Any], column: str, kind: Kind) -> Any:
    if column not in _TYPED or not kind.types:
        return pa.array(values, pa.string())
    dtype = kind.types[_TYPED.index(column)]
    if pa.types.is_integer(dtype):
        values = [int(v) if isinstance(v, str) else v for v in values]
    elif pa.types.is_floating(dtype):
        values = [float(v) if isinstance(v, str) else v for v in values]
    elif pa.types.is_decimal(dtype):
        values = [None if v is None else pa.scalar(repr(v)).cast(dtype).as_py() for v in values]
    elif pa.types.is_binary(dtype):
        values = [v if v is None else v.encode() for v in values]
    return pa.array(values, dtype)


def file_of(rows: list[Row], kind: Kind, cut: bool) -> tuple[str, bytes]:
    """The name and the bytes of a file."""
    match kind.name:
        case "csv":
            head = kind.separator.join(COLUMNS).encode(_plain(kind))
            end = "\n".encode(_plain(kind))
            mark = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}.get(kind.encoding, b"")
            lines = [row.raw if row.raw is not None else _csv_line(row, kind) for row in rows]
            return "feed.csv", mark + end.join([head, *lines]) + (b"" if cut else end)
        case "jsonl":
            lines = [row.raw if row.raw is not None else _line(row, kind) for row in rows]
            return "feed.jsonl", b"\n".join(lines) + (b"" if cut else b"\n")
        case "json" | "nested":
            nested = kind.name == "nested"
            texts = [
                row.raw
                if row.raw is not None
                else _json(row, _nested(row.written) if nested else row.written)
                for row in rows
            ]
            body = b"[" + b",\n".join(texts) + b"]"
            return "feed.json", b'{"ok": 1, "data": {"all": ' + body + b"}}" if nested else body
        case "excel":
            import openpyxl

            book = openpyxl.Workbook()
            sheet = book.active
            assert sheet is not None
            sheet.append(COLUMNS)
            for row in rows:
                sheet.append([row.written[column] for column in COLUMNS])
            out = io.BytesIO()
            book.save(out)
            return "feed.xlsx", out.getvalue()
        case "xml":
            items = [
                f"<item ref={quoteattr(str(n))}>"
                + "".join(f"<{c}>{escape(_cell(row.written[c]))}</{c}>" for c in COLUMNS)
                + "</item>"
                for n, row in enumerate(rows)
            ]
            text = "<?xml version='1.0' encoding='utf-8'?><feed>" + "\n".join(items) + "</feed>"
            return "feed.xml", text.encode()
        case _:
            columns = {c: _array([r.written[c] for r in rows], c, kind) for c in COLUMNS}
            out = io.BytesIO()
            pq.write_table(pa.table(columns), out, row_group_size=7)
            return "feed.parquet", out.getvalue()


# ---- one file, and what is wrong with what became of it


@dataclass
class Outcome:
    changes: int
    refused: int
    rows: int
    faults: list[str]


def try_file(seed: int, name: str, folder: Path, rows: int = 40) -> Outcome:
    """A file with changed rows is read; what came out otherwise than it may is a fault."""
    draw = random.Random(f"{seed} {name}")
    kind = kind_of(draw, name)
    made = [valid_row(draw, kind, seed % 1000 * 1000 + number) for number in range(rows)]
    for row in [row for row in made if draw.random() < 0.5]:
        if draw.random() < 0.2:
            change_row(draw, kind, made, next(i for i, one in enumerate(made) if one is row))
        else:
            for _ in range(draw.choice([1, 1, 1, 2])):
                change_value(draw, kind, row)
    cut = kind.by_line and draw.random() < 0.3
    file, content = file_of(made, kind, cut)
    if cut and draw.random() < 0.5 and not made[-1].changes:  # the file ends within its last row
        last = made[-1]
        length = len(_line(last, kind))
        step = 2 if kind.encoding.startswith("utf-16") else 1
        tail = len((_cell(last.written["remark"]) + kind.separator).encode(_plain(kind)))
        taken = draw.randrange(tail if kind.name == "csv" else 1, max(length - 2, 2)) // step * step
        if taken and taken >= tail and length - taken > 2:
            content = content[:-taken]
            last.said = dict.fromkeys(last.said, Said((), True, ("record",)))
            last.changes, last.shifts = ["cut"], True
            for row in made[:-1]:  # no row of the same product counts instead
                row.replaced = row.replaced and row.written["sku"] != last.written["sku"]
    path = folder / file
    path.write_bytes(content)
    changes = sum(len(row.changes) for row in made)
    where = f"seed {seed}, {name} ({kind.encoding} {kind.separator!r} {kind.mark!r})"
    mapping = mapping_of(kind, draw)
    try:
        with open_feed(fsspec.filesystem("file"), str(path), file, Format()) as opened:
            blocks = [b.select(pl.lit(file).alias("file"), pl.all()) for b in opened.blocks]
        parsed = parse_records(blocks, mapping)
        day = finish(parsed, [])
    except Exception as error:  # the day is lost
        return Outcome(changes, 0, rows, [f"{where}: {type(error).__name__}: {str(error)[:300]}"])
    received = sum(block.height for block in blocks)
    faults = [f"{where}: {fault}" for fault in _judge(made, kind, parsed, day, received)]
    refused = len({*day.rejects["row"]} - {*day.products["row"]})
    return Outcome(changes, refused, len(made), faults)


def _judge(made: list[Row], kind: Kind, parsed: Any, day: Any, received: int) -> list[str]:
    faults = []
    rejects = day.rejects.select("row", "product_id", "field", "reason").rows()
    every = {product["product_id"]: product for product in parsed.products.to_dicts()}
    products = {name: one for name, one in every.items() if one["operation"] != "keep"}
    told = {product for _, product, _, _ in rejects}
    unread = every.keys() - products.keys() - told  # a full export keeps what it cannot read
    faults += [f"{name} is kept, but no row of it was refused" for name in sorted(unread)]
    images: dict[str, list[str]] = {}
    for product, source in parsed.image_references.select("product_id", "source").rows():
        images.setdefault(product, []).append(source)
    kept_rows = {product["row"] for product in products.values()}
    refused_rows = {row for row, *_ in rejects} - kept_rows
    counted = len(products) + parsed.superseded + parsed.parts + parsed.left_out + len(refused_rows)
    if counted != received:
        faults.append(
            f"{received} rows in, but {len(products)} products, {parsed.superseded} replaced, "
            f"{parsed.parts} parts, {len(refused_rows)} refused"
        )
    shifted = any(row.shifts for row in made)
    if received != len(made) and not shifted:
        faults.append(f"{len(made)} rows written, {received} read")
    marks = _marks(made, kind)
    for number, row in enumerate(made, start=1):
        if row.replaced:
            continue
        ids = row.said["product_id"].values
        found = next((products[value] for value in ids if value in products), None)
        if found is None:
            fields = {name for said in row.said.values() if said.refused for name in said.fields}
            told = [
                field
                for at, product, field, _ in rejects
                if at == number or (product is not None and product in ids)
            ]
            if shifted:
                told += [field for *_, field, _ in rejects]
            if not fields:
                why = [r for r in rejects if r[0] == number]
                faults.append(f"row {number} is lost: {row.changes} {row.written!r:.600}: {why}")
            elif not fields & set(told):
                faults.append(f"row {number} {row.changes} is refused without a word of {fields}")
            continue
        if not shifted and found["row"] != number:
            faults.append(f"row {number} is said to be row {found['row']}")
        got = {
            **found,
            "images": tuple(images.get(found["product_id"], ())),
            "attributes": tuple((p["key"], p["value"]) for p in found["attributes"]),
        }
        if got["price"] is None:
            got["currency"] = None
        for name, said in row.said.items():
            allowed = [v for value in said.values for v in _ways(value, kind, marks)]
            if name == "currency" and got["price"] is None:
                continue
            if got[name] not in allowed:
                column = next((c for c, (n, _) in CHANGES.items() if n == name), "")
                faults.append(
                    f"row {number} {row.changes}: {name} is {got[name]!r:.300}, "
                    f"not {allowed!r:.300} (written: {row.written.get(column)!r:.300})"
                )
    known = {value for row in made for value in row.said["product_id"].values}
    strange = sorted(products.keys() - known)
    return [*faults, *(f"a product that nobody wrote: {product!r:.300}" for product in strange)]


def _marks(made: list[Row], kind: Kind) -> set[str]:
    """The marks before the cents that any price of a file shows."""
    marks = set()
    for row in made:
        cost = row.written.get("cost")
        if isinstance(cost, str):
            shown = {c for c in cost if c in ".,"}
            marks |= shown
    return marks


def _ways(value: Any, kind: Kind, marks: set[str]) -> list[Any]:
    """What a price may be: of one that may be read in two ways, what the file's mark makes it."""
    if not isinstance(value, Either):
        return [value]
    by_mark = {".": value.dot, ",": value.comma}
    if kind.decimal:
        return [by_mark[kind.decimal]]
    if kind.name in ("csv", "xml"):  # whose other prices all show it
        return [by_mark[kind.mark]]
    return [by_mark[mark] for mark in sorted(marks)]


def try_many(seed: int, changes: int, rows: int = 40) -> Outcome:
    """Files of all formats in turn, until so many values and rows have been changed."""
    total = Outcome(0, 0, 0, [])
    with tempfile.TemporaryDirectory() as folder:
        while total.changes < changes and len(total.faults) < 200:
            name = FORMATS[seed % len(FORMATS)]
            outcome = try_file(seed, name, Path(folder), rows)
            total.changes += outcome.changes
            total.refused += outcome.refused
            total.rows += outcome.rows
            total.faults += outcome.faults
            seed += 1
    return total
