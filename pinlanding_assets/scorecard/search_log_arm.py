"""The baseline arm: topics out of the search log, products by keywords of titles and descriptions.

What a shop without content understanding does, done well: cleaned and spell-checked frequent
queries, every word of the query in the product's text, BM25 by tantivy, and the same gates as the
other arm.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
import tantivy

from pinlanding_assets.collections.gates import Gates
from pinlanding_assets.collections.matching import Arrangement, Page, Shelf, fill_pages
from pinlanding_assets.topics.demand import QueryParser, merge_queries
from pinlanding_assets.topics.phrasing import slugs, topic_id
from pinlanding_assets.topics.words import content

TITLE_BOOST = 2.0  # a word of the title says more than one of the description
MOST_HITS = 2_000  # products looked at for one page; a page has room for some dozens
FIELDS = ("title", "description")


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
    shelf = Shelf(products, (arrangement or Arrangement()).shared_by(limit))
    described = pl.DataFrame({"product_id": shelf.ids}).join(
        products.select("product_id", "description"), on="product_id", maintain_order="left"
    )
    index = TextIndex(shelf.titles.to_list(), described["description"].fill_null("").to_list())
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

    def pages() -> Iterator[Page]:
        for query in names:
            every, scores = index.search(query)
            rows, scores = shelf.one_a_family(every, scores)
            relevance = scores / max(scores.max(initial=0.0), 1e-9)
            best = shelf.best_first(rows, scores)
            yield shelf.page(rows[best], scores[best], relevance[best], variants=every)

    return fill_pages(topics, pages(), gates or Gates.for_catalog(products))


def terms(text: str) -> list[str]:
    """Stems to search by; a single letter is one word with what follows ("t-shirt", "v neck")."""
    found: list[str] = []
    letter = ""
    for word in content(text):
        if len(word) == 1 and word.isalpha():
            letter += word
        else:
            found.append(letter + word)
            letter = ""
    return found + ([letter] if letter else [])


def read_again(
    arm: tuple[pl.DataFrame, pl.DataFrame], entries: pl.DataFrame, aliases: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The arm with what its queries mean to somebody who knows more words; for the scorecard.

    Args:
        arm: Of `search_log_collections`.
        entries: `attribute_vocabulary.entries`.
        aliases: `attribute_vocabulary.aliases`, and what the truth adds.
    """
    collections, items = arm
    parser = QueryParser.of(entries, aliases)
    meant = [parser.parse(title)[0] for title in collections["title"]]
    read = collections.with_columns(pl.Series("entries", meant, dtype=pl.List(pl.String)))
    shown = items.drop("entries").join(
        read.select("topic_id", "entries"), on="topic_id", maintain_order="left"
    )
    return read, shown.select(items.columns)


class TextIndex:
    """Titles and descriptions, for queries whose every word must stand in one of the two.

    Attributes:
        words: Stem -> number of titles that have it; rare ones, mostly typos, are left out.
    """

    def __init__(self, titles: Sequence[str], descriptions: Sequence[str]):
        stems = [list(content(title)) for title in titles]
        counted = pl.Series("word", stems, dtype=pl.List(pl.String)).list.unique().explode()
        counts = counted.drop_nulls().value_counts().sort("word")
        common = max(2, len(titles) // 1_000)
        self.words = dict(counts.filter(pl.col("count") >= common).iter_rows())
        builder: Any = tantivy.SchemaBuilder()
        for field in FIELDS:  # stemmed here, so that all arms read words alike
            builder.add_text_field(field, tokenizer_name="whitespace")
        builder.add_unsigned_field("row", stored=True)
        self._index = tantivy.Index(builder.build())
        writer = self._index.writer(num_threads=1)
        for row, (title, description) in enumerate(zip(titles, descriptions, strict=True)):
            texts = {"title": " ".join(terms(title)), "description": " ".join(terms(description))}
            writer.add_document(tantivy.Document(row=row, **texts))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def search(self, query: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows of products with every word of the query, rising, and their BM25 scores."""
        wanted = sorted(set(terms(query)))
        if not wanted:
            return np.empty(0, dtype=np.int64), np.empty(0)
        every = tantivy.Query.boolean_query(
            [(tantivy.Occur.Must, self._anywhere(term)) for term in wanted]
        )
        hits = self._searcher.search(every, limit=MOST_HITS).hits
        rows = np.array([self._searcher.doc(at)["row"][0] for _, at in hits], dtype=np.int64)
        scores = np.array([score for score, _ in hits], dtype=np.float64)
        order = np.argsort(rows)
        return rows[order], scores[order]

    def _anywhere(self, term: str) -> tantivy.Query:
        schema = self._index.schema
        title, description = (tantivy.Query.term_query(schema, field, term) for field in FIELDS)
        return tantivy.Query.boolean_query(
            [
                (tantivy.Occur.Should, tantivy.Query.boost_query(title, TITLE_BOOST)),
                (tantivy.Occur.Should, description),
            ]
        )
