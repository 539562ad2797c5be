"""Seeded mutations of the files that people edit, and what must come of each.

Each gives a valid configuration, or an error that names the file, and the key where the file could
be read: never a traceback of another kind.
"""

import copy
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import yaml

from resources import profiles
from resources.feeds.catalog_config import CatalogConfig, CatalogConfigError, load_overrides
from resources.feeds.studio_config import StudioConfig, StudioConfigError
from resources.platform_settings import SettingsError, load
from resources.profiles import REPOSITORY

LONGEST_MESSAGE = 50_000

CATALOG = """
name: shop
feeds: ["feeds/{day}/*.csv", more.jsonl]
format: {kind: csv, encoding: utf-8, separator: ";", header: 1}
tables: {photos: {path: photos.csv, key: sku, of: id}}
only: {country: [SE, ""], state: live}
rows: joined
snapshot: full
columns:
  id: {column: sku, since: 2026-11-01}
  title: [name, {column: titel, until: 2026-11-05}]
  images: {column: photos, split: "|"}
  price: price.amount
  seller: shop
  day: updated
defaults: {currency: SEK, seller: me}
attributes:
  colour: {column: color, split: "/", values: {rd: red, x: ""}}
  "*": {column: "value{n}", names: "key{n}", keys: {b: brand}}
decimal: ","
day_format: "%d.%m.%Y"
nulls: [none, "-"]
words: {availability: {"yes": in_stock}, operation: {drop: delete}}
product_type: colour
noun: lamp
phrases: {colour: "in {value}"}
lexicon: {size: [38, XL], colour: {red: [crimson]}}
images_from: photos
day: 2026-11-05
search_log: {path: "log/{day}.csv", query: q, count: n}
models: {vision_language: none, device: cpu}
vlm_budget: 100
collections: {min_products: 4, min_sellers: 1, max_products: 50}
limits: {reject_rate: 0.1}
site: {title: Shop, tagline: All of it, base_url: "https://shop.example/"}
"""
STUDIO = """
name: mine
templates: {occupations: [doctor, nurse], objects: [cup], colours: [red], scenes: 4}
prompts: [{path: prompts.txt, format: lines, objective: preference, held_out: true}]
ratings:
  - {path: "ratings/{day}.jsonl", format: pairs, pixels: true, words: {l: a}}
  - {path: r.csv, columns: {prompt: p, a: one, b: two, choice: c, rater: who}}
images: images
people: people/*.parquet
rewards: {preference: models/preference}
day: 2026-11-05
"""
PLATFORM = """
profile: gpu
catalog: shop/catalog.yaml
studio: studio.yaml
data: data
lake: s3://bucket/shop/lake
models: {vision_language: "openai:http://vlm:8000/v1#tiny", language: none}
vision_language: {concurrency: 64, response_format: none, prompt_price: 0.4, retries: 2}
language: {max_new_tokens: 20}
hardware: {device: "cuda:1", required: false, precision: bfloat16, price_per_hour: 2.49}
budget: {calls_a_day: 1000, dollars_a_day: 5}
engine: {kind: ray, workers: 2, gpus_per_worker: 0.5}
steps: {executor: processes}
vector_index: {url: "http://qdrant:6333"}
pools: {gpu: 3}
days: {start_date: 2026-10-01, chunk_days: 3}
automation: {running: true, night_cron: "1 1 * * *", objectives: [fairness]}
limits: {reject_rate: 0.1}
"""
VOCABULARY = """
colour: {jet: black, crimson: crimson, junk: null, 7: seven}
size: {xl: extra large}
"""
NESTED: list[Any] = ["deep"]
for _ in range(70):
    NESTED = [NESTED]
# what stands where something else belongs
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 10**9, 2**63, -(10**40), 0.5, -0.0, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
    *("", " ", "x", "x" * 300, "y" * 200_000, "{", "{day}", "{value}", "{value.x}", "{day:%"),
    *(
        "\t",
        "\n",
        "\x1b[2J",
        "\x85",
        "‮",
        "é",
        "赤",
        "😀",
        "../../up",
        "/",
        "~",
        "*",
        "[",
        "a[",
        "**",
    ),
    *("http://", "https://[", "http://me:pw@h/", "s3://", "%", "%Y", "%d.%m.%Y", "* * * * *", "no"),
    *("\\", "$(x)", "None", "__class__", "a.b.c", "a[", "`", "2026-13-45", "2026-02-30"),
    *([], {}, [[]], [{}], [None], {"": ""}, {"x": {"x": {"x": {}}}}, ["a"] * 2_000, NESTED),
    *({1: 2}, {None: None}, {True: "x"}, {"x" * 5_000: 1}, {0.5: []}, {"{": "}"}),
]
TEXTS = [  # what YAML makes of signs
    *("\0", "\t", ":", ": ", "- ", "#", "'", '"', "{", "}", "[", "]", "&a ", "*a", "!!int ", "!x "),
    *(
        "|\n",
        ">\n",
        "%YAML",
        "---\n",
        "...\n",
        "? ",
        "<<: ",
        "\ufeff",
        "\x07",
        "!!binary ",
        "0x",
        "~",
    ),
    *(
        '"\\ud800"',
        '"\\0"',
        "!!python/name:os.system ",
        "2026-99-99",
        "[" * 3_000,
        "0x" + "f" * 9_000,
    ),
    *("!!set {a, b}", "!!timestamp x", "!!float ''", "!!omap [a: 1]", "!!pairs [a: 1]", "é"),
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{n}: &{n} [{', '.join([f'*{chr(ord(n) - 1)}'] * 9)}]\n" for n in "bcdefghi"),
    "a: &a [*a]\n",
    "x: &x {x: *x}\n",
]


class Kind(NamedTuple):
    """A file that people edit: its name, a valid one, what reads it, and the error that it has."""

    file: str
    valid: str
    read: Callable[[Path], Any]
    error: type[Exception]
    expected: type


KINDS = (
    Kind("catalog.yaml", CATALOG, CatalogConfig.load, CatalogConfigError, CatalogConfig),
    Kind("studio.yaml", STUDIO, StudioConfig.load, StudioConfigError, StudioConfig),
    Kind("platform.yaml", PLATFORM, load, SettingsError, object),
    Kind("vocabulary.yaml", VOCABULARY, load_overrides, CatalogConfigError, dict),
)


def examples() -> Iterator[tuple[Kind, str]]:
    """Every kind with its valid files: those above, and those of the repository."""
    yield from ((kind, kind.valid) for kind in KINDS)
    for path in sorted((REPOSITORY / "examples").rglob("*.yaml")):
        kind = KINDS[2] if path.name == "platform.yaml" else KINDS[0]
        yield kind, path.read_text()


def try_many(first: int, count: int, folder: Path) -> tuple[list[str], int]:
    """What went wrong with so many mutations, and how many were refused."""
    valid, faults, refused = list(examples()), [], 0
    for seed in range(first, first + count):
        kind, text = valid[seed % len(valid)]
        fault, was_refused = try_file(kind, mutated(text, random.Random(seed)), folder)
        faults += [f"seed {seed}, {kind.file}: {fault}"] if fault else []
        refused += was_refused
    return faults, refused


def mutated(text: str, draw: random.Random) -> bytes:
    """A file that somebody has edited badly: its values, its text, or both."""
    if draw.random() < 0.7:
        body = yaml.safe_load(text)
        for _ in range(draw.choice((1, 1, 1, 2, 5))):
            body = _changed(body, draw)
        text = yaml.dump(body, allow_unicode=draw.random() < 0.5, sort_keys=False)
    else:
        for _ in range(draw.choice((1, 1, 2, 4))):
            at = draw.randrange(len(text) + 1)
            end = min(len(text), at + draw.choice((0, 0, 1, 1, 5, 40)))
            text = text[:at] + draw.choice((*TEXTS, "", "", " ", "\n")) + text[end:]
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    if data and draw.random() < 0.1:
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def _changed(body: Any, draw: random.Random) -> Any:
    """The content with one place of it changed."""
    body = copy.deepcopy(body)
    places = list(_places(body))
    if not places or draw.random() < 0.02:
        return copy.deepcopy(draw.choice(VALUES))
    holder, key = draw.choice(places)
    match draw.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):  # under another name
            holder[draw.choice((f"{key}s", "", "x" * 500, "\x1b", 7, None, "feeds"))] = holder.pop(
                key
            )
        case 2:  # a list where a value belongs, and the other way round
            value = holder[key]
            turned = list(value.values()) if isinstance(value, dict) else {"x": value}
            holder[key] = value[0] if isinstance(value, list) and value else turned
        case 3:
            holder[key] = [holder[key]]
        case 4:  # what belongs somewhere else
            other, name = draw.choice(places)
            holder[key] = copy.deepcopy(other[name]) if _has(other, name) else None
        case _:
            holder[key] = copy.deepcopy(draw.choice(VALUES))
    return body


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _places(body: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(body, dict | list):
        for key, value in list(body.items()) if isinstance(body, dict) else list(enumerate(body)):
            yield body, key
            yield from _places(value)


def try_file(kind: Kind, data: bytes, folder: Path) -> tuple[str, bool]:
    """What is wrong with how a file was taken, or nothing; and whether it was refused."""
    path = folder / kind.file
    path.write_bytes(data)
    try:
        found = kind.read(path)
    except kind.error as error:
        return _fault_of(str(error), path, data), True
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]} of {data[:300]!r}", True
    if not isinstance(found, kind.expected):
        return f"gives {type(found)}", False
    return _used(kind, path), False


def _fault_of(message: str, path: Path, data: bytes) -> str:
    if str(path) not in message:
        return f"does not name the file: {message[:300]}"
    if len(message) > LONGEST_MESSAGE:
        return f"says {len(message):,} characters"
    if any(not letter.isprintable() for letter in message.replace("\n", "")):
        return f"cannot be printed: {message[:300]!r}"
    if "cannot be read" in message or "holds no settings" in message:
        return ""
    lines = message.splitlines()[1:]
    named = [line for line in lines if line.startswith("  ") and ": " in line.removeprefix("  ")]
    return "" if named and len(named) == len(lines) else f"names no key: {message[:300]}"


def _used(kind: Kind, path: Path) -> str:
    """What goes wrong when the platform is set up by a valid file; no other error than of values,
    each of which says where it is from."""
    name = {"catalog.yaml": "CATALOG", "platform.yaml": "SETTINGS"}.get(kind.file)
    if name is None:
        return ""
    with alone(**{f"PLATFORM_{name}": str(path)}):
        for use in (profiles.settings, profiles.automation, profiles.engine, profiles.resources):
            try:
                use()
            except ValueError as error:
                if path.name not in str(error) and "PLATFORM_" not in str(error):
                    return f"{use.__name__} does not name the file: {str(error)[:300]}"
            except Exception as error:
                return f"{use.__name__}: {type(error).__name__}: {str(error)[:300]}"
    return ""


@contextmanager
def alone(**variables: str) -> Iterator[None]:
    """The environment without any setting of the platform but these."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith("PLATFORM_")}
    with mock.patch.dict(os.environ, kept | variables, clear=True):
        yield
