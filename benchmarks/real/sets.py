"""Catalogs that we did not make, as the platform reads them, with the labels that people gave.

Each set is a `products` table, its pictures, and the groups that a split must not cut: variants of
one style, packages of one source, drawings of one artist, photos of one contributor.
"""

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SPLITS = 5
CHOSEN_ON = ("openclipart", "magento_luma_men")
"""Sets on whose first split choices were made; figures are reported on the others."""

PRODUCTS = {
    "product_id": pl.String,
    "operation": pl.String,
    "title": pl.String,
    "description": pl.String,
    "images": pl.List(pl.String),
    "attributes": pl.List(pl.Struct({"key": pl.String, "value": pl.String})),
    "parent": pl.String,
}


@dataclass(frozen=True)
class Item:
    """One item with the labels of people.

    Attributes:
        product_id: Its id.
        title: May be empty.
        description: May be empty.
        image: Path of its photo; None where there is none.
        labels: Key to values.
        group: Items of one group are never in both halves of a split.
        collections: Collections that people put it in.
    """

    product_id: str
    title: str
    description: str
    image: Path | None
    labels: Mapping[str, tuple[str, ...]]
    group: str
    collections: tuple[str, ...] = ()


@dataclass(frozen=True)
class RealSet:
    """A catalog of other people, item by item; `type_key` names the kind of an item, if any."""

    name: str
    items: tuple[Item, ...]
    type_key: str | None = None

    @property
    def keys(self) -> list[str]:
        """Keys that people labelled."""
        return sorted({key for item in self.items for key in item.labels})

    def image(self, name: str) -> bytes:
        """The bytes of a photo by its name in `products`."""
        return Path(name).read_bytes()

    def labelled(self, split: int) -> np.ndarray:
        """True for the items, about half, whose labels are shown in this split; seeded by it."""
        groups = sorted({item.group for item in self.items})
        count = dict.fromkeys(groups, 0)
        for item in self.items:
            count[item.group] += 1
        shown, total = set(), 0
        for at in np.random.default_rng(split).permutation(len(groups)):
            if total + count[groups[at]] <= 0.52 * len(self.items):
                shown.add(groups[at])
                total += count[groups[at]]
        return np.array([item.group in shown for item in self.items])

    def products(self, shown: Iterable[bool] | None = None) -> pl.DataFrame:
        """The `products` table; labels only of the items that are `shown`."""
        seen = list(shown) if shown is not None else [True] * len(self.items)
        rows = [
            {
                "product_id": item.product_id,
                "operation": "upsert",
                "title": item.title,
                "description": item.description,
                "images": [str(item.image)] if item.image else [],
                "attributes": [
                    {"key": key, "value": value}
                    for key, values in item.labels.items()
                    for value in values
                ]
                if show
                else [],
                "parent": item.group,
            }
            for item, show in zip(self.items, seen, strict=True)
        ]
        return pl.DataFrame(rows, schema=PRODUCTS)


def load(name: str, folder: Path = DATA) -> RealSet:
    """A set by its name.

    Raises:
        FileNotFoundError: The data are not there.
    """
    return _SETS[name](folder / name)


def names() -> list[str]:
    """All sets."""
    return list(_SETS)


def _magento(folder: Path) -> RealSet:
    facets = ("color", "material", "pattern", "climate", "style", "activity", "features", "strap")
    items = []
    for row in _csv(folder / "products.csv"):
        path = row["category_path"].split("/")
        labels = {"category": path[-1:], **{key: row[key].split("|") for key in facets}}
        if len(path) == 1:  # the gear has its categories elsewhere
            labels["category"] = row["all_categories"].split("|")[1:2]
        items.append(
            Item(
                row["product_id"],
                row["name"],
                row["description"],
                _there(folder / "images" / row["image"]),
                _labels(labels),
                row["parent_sku"],
                tuple(value for value in row["collections"].split("|") if value),
            )
        )
    return RealSet(folder.name, tuple(items), "category")


def _clothing(folder: Path) -> RealSet:
    items = (
        Item(
            *(Path(row["image"]).stem, "", "", folder / row["image"]),
            _labels({"class": [row["label"]]}),
            row["sender_id"],
        )
        for row in _csv(folder / "labels.csv")
    )
    return RealSet(folder.name, tuple(items), "class")


def _grocery(folder: Path) -> RealSet:
    items = (
        Item(
            *(Path(row["image"]).stem, "", "", folder / row["image"]),
            _labels({"class": [row["class_name"]], "kind": [row["coarse_name"]]}),
            row["image"],
        )
        for row in _csv(folder / "labels.csv")
    )
    return RealSet(folder.name, tuple(items), "kind")


def _debian(folder: Path) -> RealSet:
    with gzip.open(folder / "packages.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    told = ("id", "source", "title", "description", "section")
    items = (
        Item(
            *(row["id"], row["title"], row["description"], None),
            _labels({key: values for key, values in row.items() if key not in told}),
            row["source"],
        )
        for row in rows
    )
    return RealSet(folder.name, tuple(items))


def _openclipart(folder: Path) -> RealSet:
    rows = (folder / "drawings.jsonl").read_text(encoding="utf-8").splitlines()
    items = (
        Item(
            *(row["id"], row["title"], "", folder / row["image"]),
            _labels({"keyword": row["keywords"]}),
            row["artist"],
        )
        for row in map(json.loads, rows)
    )
    return RealSet(folder.name, tuple(items))


def _retail(folder: Path) -> RealSet:
    gender = {"F": ["women"], "M": ["men"], "": []}
    items = (
        Item(
            *(row["id"], row["name"], row["description"], None),
            _labels(
                {
                    "category": [row["category"]],
                    "style": [row["style"]],
                    "gender": gender[row["gender_affinity"]],
                }
            ),
            row["name"],
        )
        for row in _csv(folder / "products.csv")
    )
    return RealSet(folder.name, tuple(items), "style")


_SETS: dict[str, Callable[[Path], RealSet]] = {
    "magento_luma_men": _magento,
    "clothing_cc0": _clothing,
    "grocery_store": _grocery,
    "debian_packages": _debian,
    "openclipart": _openclipart,
    "retail_demo_store": _retail,
    "magento_luma_gear": _magento,
}


def _csv(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _labels(raw: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Keys with at least one value."""
    named = {key: tuple(value for value in values if value) for key, values in raw.items()}
    return {key: values for key, values in named.items() if values}
