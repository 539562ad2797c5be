"""What people rate of collections: whether a product belongs under a title, arm unseen.

The sheet is a sample of the topics of every arm, large, middling and small ones, with the first ten
products of each. Answers go to `ratings/<day>.jsonl` in the catalog's data, from where the asset
`collection_ratings` reads them; what has been answered is read back from there.
"""

import hashlib
import json
import os
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from operations.ballot import alone_in, append, sizes
from pinlanding_assets.catalog.live import live
from pinlanding_assets.scorecard.assets import ARMS
from pinlanding_assets.scorecard.judging import sample_topics, sampled_items
from pinlanding_assets.scorecard.people import fleiss_kappa, majority
from resources.lake import Lake
from resources.ratings import CHOICES, Ratings

RATERS = 3  # people who should answer, for a majority


class Item(NamedTuple):
    """A product under a title."""

    topic_id: str
    title: str
    product_id: str
    image: str
    text: str


class Asked(NamedTuple):
    """An item as one rater sees it. `key` stands for it, and tells nothing."""

    key: str
    item: Item

    @property
    def pictures(self) -> dict[str, str]:
        return {"product": self.item.image}


@dataclass(frozen=True)
class Outcome:
    """All answers on the sheet, added up."""

    answers: int
    items: int
    raters: int
    decided: int
    right: int
    kappa: float | None

    def __str__(self) -> str:
        if not self.decided:
            return f"{self.answers} answers, nothing decided yet"
        agreement = "" if self.kappa is None else f"; Fleiss' kappa {self.kappa:.2f}"
        return (
            f"{self.right} of {self.decided} decided products belong where they are shown "
            f"({self.right / self.decided:.1%}); {self.answers} answers of {self.raters} raters, "
            f"{RATERS} are wanted{agreement}"
        )


def take_items(lake: Lake, topics: int, seed: int = 0) -> list[Item]:
    """The first ten products with a picture of so many topics of each arm.

    Raises:
        MissingPartition: an arm has not been made.
    """
    arms = {arm: (lake.read(a, "collections"), lake.read(a, "items")) for arm, a in ARMS.items()}
    titles = pl.concat([found.select("topic_id", "title") for found, _ in arms.values()])
    products = live(lake.scan("catalog", "products")).filter(pl.col("images").list.len() > 0)
    rows = (
        sampled_items(arms, sample_topics(arms, topics, seed))
        .join(titles.unique("topic_id", maintain_order=True), on="topic_id")
        .join(
            products.select(
                "product_id", image=pl.col("images").list.first(), text=pl.col("title")
            ).collect(),
            on="product_id",
        )
        .select(*Item._fields)
        .unique(["topic_id", "product_id"], maintain_order=True)
        .sort("topic_id", "product_id")
    )
    return [Item(*row) for row in rows.iter_rows()]


class Sheet:
    """The items to rate, in each rater's own order, and the answers on them."""

    template, media = "item.html", "image/jpeg"

    def __init__(self, lake: Lake, ratings: Ratings, items: list[Item]):
        self._lake, self._ratings, self._items = lake, ratings, items
        self._path = os.path.join(ratings.root, "{day}.jsonl")
        self._written = sizes(self._path)
        self._answers = self._read_back()

    def _read_back(self) -> dict[tuple[str, str, str], str]:
        """(rater, topic, product) -> the answer that was written."""
        known = {(item.topic_id, item.product_id) for item in self._items}
        return {
            (rater, topic, product): choice
            for topic, product, rater, choice in self._ratings.read()[0]
            .select("topic_id", "product_id", "rater", "choice")
            .iter_rows()
            if (topic, product) in known
        }

    def _catch_up(self) -> None:
        """Reads answers that another server has written."""
        if self._written != (written := sizes(self._path)):
            self._answers, self._written = self._read_back(), written

    def shown(self, rater: str) -> list[Asked]:
        """All items as this rater sees them: the same at every call, unlike any other rater's."""
        found = [Asked(_key(rater, item), item) for item in self._items]
        random.Random(f"items {rater}").shuffle(found)
        return found

    def remaining(self, rater: str) -> list[Asked]:
        """The items that this rater has not answered."""
        return [
            asked
            for asked in self.shown(rater)
            if (rater, asked.item.topic_id, asked.item.product_id) not in self._answers
        ]

    def find(self, rater: str, key: str) -> Asked:
        """One of the rater's items.

        Raises:
            KeyError: the key is none of them.
        """
        return {asked.key: asked for asked in self.shown(rater)}[key]

    def picture(self, name: str) -> bytes:
        """The JPEG of a product."""
        return self._lake.image(name)

    def vote(self, rater: str, key: str, choice: str) -> None:
        """Writes an answer; a second one on the same item is left out.

        Raises:
            KeyError: the item is none of the rater's, or the choice none of CHOICES.
            OSError: it could not be written; the file is as it was.
        """
        if choice not in CHOICES:
            raise KeyError(choice)
        item = self.find(rater, key).item
        answer = rater, item.topic_id, item.product_id
        row = {
            **{"topic_id": item.topic_id, "title": item.title, "product_id": item.product_id},
            **{"rater": rater, "choice": choice},
        }
        path = Path(self._path.replace("{day}", datetime.now(UTC).date().isoformat()))
        with alone_in(path.parent):
            self._catch_up()
            if answer in self._answers:
                return
            append(path, json.dumps(row, ensure_ascii=False))
            self._written = sizes(self._path)
        self._answers[answer] = choice

    def result(self) -> Outcome:
        """All answers so far."""
        rows = [(*key, choice) for key, choice in self._answers.items()]
        columns = ["rater", "topic_id", "product_id", "choice"]
        ratings = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
        decided = majority(ratings)
        return Outcome(
            answers=ratings.height,
            items=len(self._items),
            raters=ratings["rater"].n_unique(),
            decided=decided.height,
            right=int(decided["correct"].sum()),
            kappa=fleiss_kappa(ratings)[0],
        )


def _key(rater: str, item: Item) -> str:
    text = f"{rater}\n{item.topic_id}\n{item.product_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]
