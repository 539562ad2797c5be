"""Products for topics: those that surely carry every attribute, without twins, in a good order.

Attribute overlap through an inverted index, scored by the sum of log p (PinLanding section 5).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from pinlanding_assets.catalog.live import sellable
from pinlanding_assets.clusters.clustering import product_vectors
from pinlanding_assets.collections.gates import (
    ITEMS_SCHEMA,
    Gates,
    apply_gates,
)
from pinlanding_assets.collections.twins import Looks
from pinlanding_assets.topics.mining import combine_sources

_SAME_TITLE = 90.0  # rapidfuzz token-set ratio from which two titles name one product
_BLOCK = 65_536  # vectors put in their place at once
_SCAN = 10  # candidates looked at for one place on a page


@dataclass(frozen=True)
class Arrangement:
    """How a page is filled.

    Attributes:
        max_products: Most products on a page.
        min_p: Products that carry all of a topic with less than this probability stay out.
        twin_cosine: Vectors at least this close, under much the same title, are one product.
            (So are products with one photo, or two that look the same: `twins`.)
        seller_share: Most of a page that one seller gets while others have products for it.
        diversified: How many of the first products are put in a diverse order.
        relevance: Weight of relevance against diversity in that order (maximal marginal
            relevance, Carbonell and Goldstein 1998).
    """

    max_products: int = 48
    min_p: float = 0.5
    twin_cosine: float = 0.995
    seller_share: float = 0.4
    diversified: int = 50
    relevance: float = 0.9


def match(
    topics: pl.DataFrame,
    assignments: pl.DataFrame,
    products: pl.DataFrame,
    embeddings: pl.DataFrame | None = None,
    *,
    arrangement: Arrangement | None = None,
    gates: Gates | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accepted topics -> (collections, items).

    An item's score is the sum of log p over the topic's entries, sources that agree being surer;
    a collection's score is the mean probability of being right over its first ten products. Items
    are those of accepted collections.

    Args:
        topics: `topics.topics`.
        assignments: `product_attributes.assignments`.
        products: `catalog.products` as of now; only those on sale are matched. With a column
            `look` (`live.with_looks`), near-duplicate photos are found.
        embeddings: `product_embeddings.embeddings`, for twins and diversity.
        arrangement: How pages are filled.
        gates: What a page needs; None: `Gates.for_catalog(products)`.
    """
    arrangement = arrangement or Arrangement()
    shelf = Shelf(products, embeddings, arrangement)
    postings = _postings(assignments, shelf.ids)
    chosen = topics.filter(pl.col("accepted"))
    least = np.log(arrangement.min_p)

    def candidates() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for entries in chosen["entries"].to_list():
            rows, scores = _carriers(entries, postings)
            sure = scores >= least
            yield rows[sure], scores[sure], np.exp(scores[sure])

    return fill_pages(chosen, candidates(), shelf, gates or Gates.for_catalog(products))


def fill_pages(
    topics: pl.DataFrame,
    candidates: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]],
    shelf: "Shelf",
    gates: Gates,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Arranges each topic's candidates and applies the gates -> (collections, items).

    Args:
        topics: topic_id, slug, title, entries, demand.
        candidates: For each topic rows of the shelf, their scores, their relevance from 0 to 1.
        shelf: The products.
        gates: What a page needs.
    """
    columns = topics.select("topic_id", "slug", "title", "entries", "demand")
    filled = [shelf.arrange(*found) for found in candidates]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *(page[0] for page in filled)])
    scores = np.concatenate([np.empty(0), *(page[1] for page in filled)])
    sizes = np.array([len(page[0]) for page in filled], dtype=np.int64)
    topic_of = np.repeat(np.arange(len(filled)), sizes)
    items = pl.DataFrame(
        {
            "topic_id": columns["topic_id"].gather(topic_of),
            "rank": np.arange(len(rows)) - np.repeat(sizes.cumsum() - sizes, sizes) + 1,
            "product_id": shelf.ids.gather(rows),
            "score": scores.round(6),
            "entries": columns["entries"].gather(topic_of),
        },
        schema=ITEMS_SCHEMA,
    )
    pages = columns.with_columns(
        products=pl.Series(sizes, dtype=pl.Int64),
        sellers=pl.Series(
            [len(set(shelf.sellers[page].tolist()) - {-1}) for page, _, _ in filled], dtype=pl.Int64
        ),
        score=pl.Series(
            [float(likely[:10].mean().round(6)) if len(likely) else 0.0 for _, _, likely in filled],
            dtype=pl.Float64,
        ),
    )
    return apply_gates(pages, items, gates)


class Shelf:
    """The products on sale as arrays, one row each in the order of their ids.

    Args:
        products: `catalog.products`.
        embeddings: `product_embeddings.embeddings`; None: no twins by vector, no diversity.
        arrangement: How pages are filled.
    """

    def __init__(
        self, products: pl.DataFrame, embeddings: pl.DataFrame | None, arrangement: Arrangement
    ):
        live = sellable(products).unique("product_id", keep="last", maintain_order=True)
        live = live.sort("product_id")
        self.ids = live["product_id"]
        self.titles = live["title"].fill_null("").to_list()
        self.sellers = _codes(live["seller"])
        self.images = _codes(live["images"].list.first())
        self.looks = Looks(live["look"]) if "look" in live.columns else None
        self.arrangement = arrangement
        self.vectors = np.zeros((live.height, 1), dtype=np.float32)
        if embeddings is not None:
            ids, vectors = product_vectors(embeddings)
            self.vectors = np.zeros((live.height, vectors.shape[1]), dtype=np.float32)
            place = pl.DataFrame({"product_id": ids}, schema={"product_id": pl.String})
            found = (
                live.select("product_id")
                .with_row_index("row")
                .join(place.with_row_index("vector"), on="product_id")
            )
            for part in found.iter_slices(_BLOCK):  # indexing copies what it takes
                self.vectors[part["row"].to_numpy()] = vectors[part["vector"].to_numpy()]

    def arrange(
        self, rows: np.ndarray, scores: np.ndarray, relevance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The best rows without twins, at most a page of them, in the order they are shown."""
        order = self._best_first(rows, scores)
        picked = order[self._without_twins(rows[order])]
        head = picked[: self.arrangement.diversified]
        shown = np.concatenate(
            [head[self._diversify(rows[head], relevance[head])], picked[len(head) :]]
        )
        return rows[shown], scores[shown], relevance[shown]

    def _best_first(self, rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Positions by score, then products with a picture, then by id; a scan's length of them."""
        rounded = scores.round(6)
        most = _SCAN * self.arrangement.max_products
        near = np.arange(len(rows))
        if len(rows) > most:  # sorting the few best is enough, with all that tie with the last
            near = np.flatnonzero(rounded >= np.partition(rounded, len(rows) - most)[-most])
        order = np.lexsort((rows[near], self.images[rows[near]] < 0, -rounded[near]))
        return near[order][:most]

    def _without_twins(self, rows: np.ndarray) -> np.ndarray:
        """Positions of a page's products: no twins, no seller above its share while others wait."""
        most = self.arrangement.max_products
        cap = max(1, round(self.arrangement.seller_share * most))
        kept: list[int] = []
        waiting: list[int] = []
        images: set[int] = set()
        sold: dict[int, int] = {}
        seen = np.empty((min(most, len(rows)) + 1, self.vectors.shape[1]), dtype=np.float32)

        def take(at: int) -> None:
            row = rows[at]
            image = int(self.images[row])
            if image in images:
                return
            if self.looks and self.looks.alike(row, rows[kept]).any():
                return
            close = seen[: len(kept)] @ self.vectors[row] >= self.arrangement.twin_cosine
            if any(self._same_title(row, rows[kept[i]]) for i in close.nonzero()[0]):
                return
            if image >= 0:
                images.add(image)
            seen[len(kept)] = self.vectors[row]
            kept.append(at)

        for at in range(len(rows)):
            if len(kept) >= most:
                break
            seller = int(self.sellers[rows[at]])
            if seller >= 0 and sold.get(seller, 0) >= cap:
                waiting.append(at)
                continue
            before = len(kept)
            take(at)
            sold[seller] = sold.get(seller, 0) + len(kept) - before
        for at in waiting:
            if len(kept) >= most:
                break
            take(at)
        return np.array(sorted(kept), dtype=np.int64)

    def _same_title(self, one: int, other: int) -> bool:
        from rapidfuzz import fuzz

        a, b = self.titles[one], self.titles[other]
        return not a or not b or fuzz.token_set_ratio(a.lower(), b.lower()) >= _SAME_TITLE

    def _diversify(self, rows: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        """Order by relevance against likeness to what is shown above, in looks and in seller."""
        weight = self.arrangement.relevance
        vectors = self.vectors[rows]
        # Rounded, so that the last bit of a sum, which depends on the machine, decides nothing.
        alike = (vectors @ vectors.T).round(4)
        sellers = self.sellers[rows]
        same_seller = (sellers[:, None] == sellers[None, :]) & (sellers >= 0)[:, None]
        nearest = np.zeros(len(rows))
        from_seller = np.zeros(len(rows))
        value = weight * relevance.round(6)
        left = np.ones(len(rows), dtype=bool)
        order = np.empty(len(rows), dtype=np.int64)
        for place in range(len(rows)):
            novelty = nearest + from_seller / max(1, place)
            worth = np.where(left, value - (1.0 - weight) * novelty, -np.inf)
            best = int(worth.argmax())
            order[place] = best
            left[best] = False
            np.maximum(nearest, alike[best], out=nearest)
            from_seller += same_seller[best]
        return order


def _codes(values: pl.Series) -> np.ndarray:
    """Small integers for equal values, -1 for null and empty text."""
    codes = values.replace("", None).rank("dense").cast(pl.Int64)
    return codes.fill_null(-1).to_numpy()


def _postings(
    assignments: pl.DataFrame, ids: pl.Series
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Entry -> rows of the products that carry it, rising, and their log p."""
    place = pl.DataFrame({"product_id": ids}).with_row_index("row")
    evidence = (
        combine_sources(assignments)
        .filter(pl.col("p") > 0)
        .join(place, on="product_id")
        .sort("entry_id", "row")
    )
    if evidence.is_empty():
        return {}
    rows = evidence["row"].to_numpy().astype(np.int64)
    log_p = np.log(evidence["p"].to_numpy())
    runs = evidence["entry_id"].rle().struct.unnest()
    ends = runs["len"].cum_sum().to_list()
    starts = [0, *ends[:-1]]
    return {
        entry: (rows[start:end], log_p[start:end])
        for entry, start, end in zip(runs["value"], starts, ends, strict=True)
    }


def _carriers(
    entries: list[str], postings: dict[str, tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that carry every entry, rising, and the sum of their log p."""
    empty = (np.empty(0, dtype=np.int64), np.empty(0))
    lists = sorted((postings.get(entry, empty) for entry in entries), key=lambda p: len(p[0]))
    if not lists or not len(lists[0][0]):
        return empty
    rows, scores = lists[0]
    for other, log_p in lists[1:]:
        at = np.searchsorted(other, rows).clip(max=len(other) - 1)
        both = other[at] == rows
        rows, scores = rows[both], scores[both] + log_p[at[both]]
    return rows, scores
