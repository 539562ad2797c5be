"""A catalog.yaml may hold anything: what cannot be used is said with the file and the key."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.feeds.catalog_config import CatalogConfig, CatalogConfigError
from tests.catalog.feed_files import mapped

PIECES = (
    *(b"\t", b"\x00", b"\xff", b"- ", b": ", b"{", b"]", b'"', b"&a ", b"*a", b"!!x ", b"|\n"),
    *(b"\n", b"<<: ", b"? ", b"%", b"@", b"!!timestamp ", b"!!int ", b"!!binary ", b"---\n"),
    *(b"2026-99-99 ", b"0o9 ", b"1:99:99 ", b"[" * 2000, b"? [a]\n: 1\n", b"!!set ", b"!!bool "),
    *(b"!!float ", b"!!null ", b"!!omap ", b"!!pairs "),
)
ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))
VALUES = (
    *(None, "", " ", "x" * 5000, "\x00", "\ud800", "赤", -1, 0, 10**30, 1.5, float("nan"), True),
    *([], {}, [[]], [None], {"a": {}}, {"column": 3}, [{"column": None}], "{n}", "{day", "{day:%}"),
    *("a[", "a[].b", "https://u:p@h/x?api_key=1", "%d", "%", "%d.%m.%Y", "2026-13-45", "utf-99"),
    *("full", "../../x", "file:///etc/passwd", "{value}", "{value!r:>{w}}", {1: 2}, {None: None}),
    *({"x": [1, {"y": 2}]}, float("inf"), "!!python/object:os.system", "csv", "*", b"bytes"),
)


def sources(folder: Path) -> list[str]:
    """catalog.yaml files that are right: the examples, drafted ones, and one with every setting."""
    examples = [path.read_text() for path in EXAMPLES if "columns:" in path.read_text()]
    table = "id;title;price;availability;image\n" + "".join(
        f"{n};Shirt {n};{n},90 EUR;auf Lager;https://a.example/{n}.jpg\n" for n in range(20)
    )
    lines = "\n".join(
        json.dumps({"sku": f"a{n}", "name": f"Cup {n}", "offer": {"price": n, "currency": "EUR"}})
        for n in range(20)
    )
    files = {"products.csv": table, "products.jsonl": lines}
    drafted = [mapped(folder / name, {name: text}).text for name, text in files.items()]
    return [*examples, *drafted, FULL]


FULL = """
name: full
feeds: ["feeds/{day}.csv.gz"]
format: {kind: csv, encoding: cp1252, separator: ";", quote: "'", escape: "\\\\", header: 2}
tables: {stock: {path: stock.csv, key: sku, of: id, format: {kind: csv}}}
only: {view: [""], store: de}
rows: joined
snapshot: full
missing_day: empty
columns:
  id: [sku, {column: code, since: 2026-11-02, until: 2026-11-05}]
  parent: parent
  parent_key: code
  operation: op
  title: name
  images: [{column: photos, split: "|"}, "media[].url"]
  price: offer.price
  day: day
defaults: {currency: EUR, seller: shop}
attributes:
  color: {column: color, split: /, values: {rot: red}}
  "*": {column: "Attribute {n} value", names: "Attribute {n} name", keys: {farbe: color}}
decimal: ","
day_format: "%d.%m.%Y"
nulls: ["?"]
words: {availability: {bald: preorder}, operation: {weg: delete}}
product_type: color
phrases: {color: "in {value}"}
lexicon: {color: [red], size: {big: [large, xl]}}
images_from: images
day: 2026-11-01
search_log: {path: log.csv, query: q, count: n}
models: {encoder: x}
vlm_budget: 5
collections: {min_products: 3}
limits: {rejected_share: 0.5}
site: {title: Shop, base_url: "https://shop.example"}
"""


def _places(value: Any, place: tuple = ()) -> list[tuple]:
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, part in parts:
        found.append((*place, key))
        if isinstance(part, dict | list):
            found += _places(part, (*place, key))
    return found


def changed_settings(draw: random.Random, text: str) -> str:
    """Settings of which one or two are another, gone, or under another name."""
    settings = yaml.safe_load(text)
    for _ in range(draw.choice([1, 1, 2])):
        places = _places(settings)
        if not places:
            break
        *outer, last = draw.choice(places)
        inner = settings
        for part in outer:
            inner = inner[part]
        match draw.randrange(4):
            case 0:
                del inner[last]
            case 1 if isinstance(inner, dict):
                inner[draw.choice(["x", "", None, 7, True, "colums", "id "])] = inner.pop(last)
            case _:
                inner[last] = draw.choice(VALUES)
    return yaml.safe_dump(settings, allow_unicode=draw.random() < 0.5)


def changed_text(draw: random.Random, text: str) -> bytes:
    """The text with pieces of it cut, repeated, or replaced."""
    content = bytearray(text.encode())
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(content))
        piece = draw.choice(PIECES)
        match draw.randrange(3):
            case 0:
                content[at:at] = piece
            case 1:
                content[at : at + len(piece)] = piece
            case _:
                del content[at : at + draw.randint(1, 40)]
    return bytes(content)


def try_settings(seed: int, count: int, folder: Path) -> tuple[int, int]:
    """How many of so many changed files are refused, and how many can be used."""
    draw, texts, refused = random.Random(seed), sources(folder), 0
    path = folder / "catalog.yaml"
    for number in range(count):
        text = draw.choice(texts)
        if draw.random() < 0.6:
            path.write_bytes(changed_settings(draw, text).encode("utf-8", "surrogatepass"))
        else:
            path.write_bytes(changed_text(draw, text))
        try:
            CatalogConfig.load(path).model_dump()
        except CatalogConfigError as error:
            refused += 1
            message = str(error.description or error)
            assert str(path) in message, (seed, number, message)
            named = any(part in message for part in ("cannot be read", "holds no settings", "  "))
            assert named, (seed, number, message)
        except Exception as error:
            content = path.read_bytes()
            raise AssertionError(f"{seed} {number}: {error!r:.300}\n{content!r:.3000}") from error
    return refused, count - refused


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_catalog_yaml_is_used_or_refused_by_file_and_key(seed, tmp_path):
    refused, used = try_settings(seed, 100, tmp_path)
    assert refused > 20
    assert used > 10


@pytest.mark.longer
def test_ten_thousand_changed_catalog_yaml_files(tmp_path):
    refused, used = try_settings(1_000, 10_000, tmp_path)
    print(refused, "refused,", used, "used")
