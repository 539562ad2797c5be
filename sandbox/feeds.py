"""A day's feed: what is new, changed, deleted and broken, without looking at other days' feeds."""

import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from sandbox.breakage import HUGE_KIND, KINDS, Broken, spoil, spoil_image
from sandbox.photos import encode_jpeg
from sandbox.products import Product, hashed, product, sku_of
from sandbox.renderer import render

CHANGE_RATE = 0.12
DELETE_RATE = 0.04
LONGEST_WAIT = 9  # days between listing and change or deletion
CHANGES = ("price", "title", "availability", "image")
BROKEN_BASE = 10_000_000_000  # numbers of products that exist in broken rows only
NEW_PHOTO = 7  # view of a replaced photo


@dataclass(frozen=True)
class World:
    """What a world is a function of; products and days only say how much of it is written.

    `told_as` is the day that the first one is told as: the same days, told as the same, have the
    same feeds and searches whenever they are. None: as itself.
    """

    first_day: date
    days: int
    products: int
    seed: int
    image_size: int
    huge_title: int
    told_as: date | None = None

    def ordinal(self, day: int) -> int:
        """Number of a day that its random draws begin with."""
        return (self.told_as or self.first_day).toordinal() + day

    def share(self, day: int) -> range:
        """Numbers of the products that are new on a day: contiguous, in equal shares."""
        return range(day * self.products // self.days, (day + 1) * self.products // self.days)


@dataclass
class Feed:
    """A day's rows, in feed order, and the truth about them."""

    rows: list[dict[str, Any] | Broken] = field(default_factory=list)
    photos: dict[str, tuple[Product, int]] = field(default_factory=dict)  # path -> product, view
    truths: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    rejects: list[tuple[int, str, str, str | None]] = field(default_factory=list)


def _row(item: Product, operation: str = "upsert") -> dict[str, Any]:
    row: dict[str, Any] = {
        "sku": item.sku,
        "op": operation,
        "title": item.title,
        "description": item.description,
        "images": [f"images/{item.sku}-{view}.jpg" for view in range(item.views)],
        "price": item.price,
        "currency": item.currency,
        "seller": item.seller,
        "availability": item.availability,
    }
    if item.product_type:
        row["product_type"] = item.product_type
    if item.color:
        row["color"] = item.color
    return row


def _due(world: World, day: int, salt: int, rate: float) -> list[int]:
    """Products of earlier days whose change or deletion, drawn once per product, falls on `day`."""
    due: list[int] = []
    for earlier in range(max(day - LONGEST_WAIT, 0), day):
        numbers = np.arange(world.share(earlier).start, world.share(earlier).stop)
        chosen = hashed(world.seed, salt, numbers) < rate
        wait = 1 + (hashed(world.seed, salt + 1, numbers) * LONGEST_WAIT).astype(int)
        due += numbers[chosen & (wait == day - earlier)].tolist()
    return due


def _gone(world: World, number: int, day: int) -> bool:
    """Whether a product was deleted before `day`, or is on it."""
    start = next(d for d in range(world.days) if number in world.share(d))
    one = np.array([number])
    wait = 1 + int(hashed(world.seed, 95, one)[0] * LONGEST_WAIT)
    return bool(hashed(world.seed, 94, one)[0] < DELETE_RATE and start + wait <= day)


def _changed(world: World, number: int, feed: Feed) -> dict[str, Any]:
    before = product(world.seed, number)
    after = product(world.seed, number, version=1)
    row = _row(before)
    kind = CHANGES[int(hashed(world.seed, 92, np.array([number]))[0] * len(CHANGES))]
    if kind == "price":
        row["price"] = after.price
    elif kind == "title":
        row["title"], row["description"] = after.title, after.description
    elif kind == "availability":
        flip = {"in stock": "out of stock", "out of stock": "in stock"}
        row["availability"] = flip[before.availability]
    views = range(before.views)
    if kind == "image":
        row["images"] = [f"images/{before.sku}-v2.jpg"]
        views = range(NEW_PHOTO, NEW_PHOTO + 1)
    for path, view in zip(row["images"], views, strict=True):
        feed.photos[path] = (before, view)
    return row


def make_feed(world: World, day: int) -> Feed:
    """The rows, photos and truth of day number `day`."""
    feed = Feed()
    good: list[dict[str, Any]] = []
    for number in world.share(day):
        item = product(world.seed, number)
        good.append(_row(item))
        feed.truths.append((item.sku, dict(item.attributes)))
        feed.photos |= {path: (item, view) for view, path in enumerate(good[-1]["images"])}
    changes = [n for n in _due(world, day, 90, CHANGE_RATE) if not _gone(world, n, day)]
    good += [_changed(world, number, feed) for number in changes]
    good += [{"sku": sku_of(n), "op": "delete"} for n in _due(world, day, 94, DELETE_RATE)]
    broken: list[Broken] = []
    for place, kind in enumerate(KINDS):
        if kind == HUGE_KIND and day != min(1, world.days - 1):
            continue  # one in the whole world is enough, on the second day
        number = BROKEN_BASE + world.ordinal(day) * 100 + place
        item = product(world.seed, number)
        row = {**_row(item), "images": [f"images/{item.sku}-0.jpg"]}
        feed.photos[row["images"][0]] = (item, 0)
        broken.append(spoil(kind, row, json.dumps(row), world.huge_title))
        if broken[-1].sku:
            feed.truths.append((item.sku, dict(item.attributes)))
    mixed = [*good, *broken]
    order = np.random.default_rng([world.seed, 91, world.ordinal(day)])
    feed.rows = [mixed[i] for i in order.permutation(len(mixed))]
    feed.rejects = [
        (number, row.kind, row.field, row.sku)
        for number, row in enumerate(feed.rows)
        if isinstance(row, Broken)
    ]
    return feed


def write_feed(world: World, feed: Feed, folder: Path) -> None:
    """Writes `feed.jsonl` and the photos into a folder that nobody reads yet."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for path, (item, view) in feed.photos.items():
        pixels = render(item.attributes, item.look, view, world.image_size)
        (folder / path).write_bytes(encode_jpeg(pixels))
    with (folder / "feed.jsonl").open("w", encoding="utf-8") as file:
        for row in feed.rows:
            line = row.line if isinstance(row, Broken) else row
            file.write(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False))
            file.write("\n")
            if isinstance(row, Broken) and isinstance(row.line, dict):
                for path in row.line["images"] if isinstance(row.line.get("images"), list) else []:
                    if (folder / path).parent == folder / "images":
                        spoil_image(row.kind, folder / path)
