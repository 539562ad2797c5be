"""The baseline arm: topics out of the search log, products by keywords in titles.

What a shop without content understanding does, done well: cleaned and spell-checked frequent
queries, every word of the query in the title, BM25 ranking, and the same gates as the other arm.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from pinlanding_assets.collections.gates import Gates
from pinlanding_assets.collections.matching import Arrangement, Shelf, fill_pages
from pinlanding_assets.topics.demand import QueryParser, merge_queries
from pinlanding_assets.topics.phrasing import slugs, topic_id
from pinlanding_assets.topics.words import content

_K1, _B = 1.2, 0.75  # usual BM25 constants (Robertson and Zaragoza 2009)


def search_log_collections(
    queries: pl.DataFrame,
    products: pl.DataFrame,
    entries: pl.DataFrame,
    aliases: pl.DataFrame,
    *,
    floor: int = 3,
    limit: int = 5_000,
    arrangement: Arrangement | None = None,
    gates: Gates | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Search logs of many days -> (collections, items) with the columns of `collections`.

    An item's score is BM25; a collection's score is the mean of its first ten, relative to its
    best. `entries` is what the vocabulary reads in the query: for the scorecard only, nothing
    here is chosen by it.

    Args:
        queries: day, query, count; cleaned by `demand.clean_queries`.
        products: `catalog.products` as of now.
        entries: `attribute_vocabulary.entries`.
        aliases: `attribute_vocabulary.aliases`.
        floor: Fewest searches of a topic.
        limit: Most topics, the most searched first.
        arrangement: How pages are filled.
        gates: What a page needs; None: `Gates.for_catalog(products)`.
    """
    shelf = Shelf(products, None, arrangement or Arrangement())
    index = TitleIndex(shelf.titles)
    frequent = merge_queries(queries, index.words).filter(pl.col("count") >= floor).head(limit)
    parser = QueryParser.of(entries, aliases)
    names = frequent["query"].to_list()
    ids = [topic_id([f"query: {query}"]) for query in names]
    titles = [query[:1].upper() + query[1:] for query in names]
    topics = pl.DataFrame(
        {
            "topic_id": ids,
            "slug": slugs(titles, ids),
            "title": titles,
            "entries": [parser.parse(query)[0] for query in names],
            "demand": frequent["count"].cast(pl.Float64),
        },
        schema_overrides={
            "topic_id": pl.String,
            "slug": pl.String,
            "title": pl.String,
            "entries": pl.List(pl.String),
        },
    )

    def candidates() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for query in names:
            rows, scores = index.search(query)
            yield rows, scores, scores / max(scores.max(initial=0.0), 1e-9)

    return fill_pages(topics, candidates(), shelf, gates or Gates.for_catalog(products))


class TitleIndex:
    """Inverted index over titles, for queries whose every word must be there.

    Attributes:
        words: Stem -> number of titles that have it; rare ones, mostly typos, are left out.
    """

    def __init__(self, titles: Sequence[str]):
        spelt = pl.DataFrame(
            {"words": [list(content(title)) for title in titles]},
            schema={"words": pl.List(pl.String)},
        ).with_row_index("row")
        self._lengths = spelt["words"].list.len().to_numpy().astype(np.float64)
        self._mean = max(1.0, float(self._lengths.mean())) if len(titles) else 1.0
        counted = (
            spelt.explode("words", empty_as_null=False)
            .group_by("words", "row")
            .agg(times=pl.len())
            .sort("words", "row")
        )
        runs = counted["words"].rle().struct.unnest()
        ends = runs["len"].cum_sum().to_list()
        rows = counted["row"].to_numpy().astype(np.int64)
        times = counted["times"].to_numpy().astype(np.float64)
        self._postings = {
            word: (rows[end - size : end], times[end - size : end])
            for word, size, end in zip(runs["value"], runs["len"], ends, strict=True)
        }
        common = max(2, len(titles) // 1_000)
        self.words = {w: len(p[0]) for w, p in self._postings.items() if len(p[0]) >= common}

    def search(self, query: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows of titles with every word of the query, rising, and their BM25 scores."""
        terms = sorted(set(content(query)))
        rows = np.empty(0, dtype=np.int64)
        if not terms or any(term not in self._postings for term in terms):
            return rows, np.empty(0)
        lists = sorted((self._postings[term] for term in terms), key=lambda p: len(p[0]))
        rows = lists[0][0]
        for other, _ in lists[1:]:
            at = np.searchsorted(other, rows).clip(max=len(other) - 1)
            rows = rows[other[at] == rows]
        scores = np.zeros(len(rows))
        norm = _K1 * (1 - _B + _B * self._lengths[rows] / self._mean)
        for other, times in lists:
            found = len(other)
            rarity = math.log(1 + (len(self._lengths) - found + 0.5) / (found + 0.5))
            frequency = times[np.searchsorted(other, rows)]
            scores += rarity * frequency * (_K1 + 1) / (frequency + norm)
        return rows, scores
