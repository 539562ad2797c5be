"""Products for topics: those that surely carry every attribute, without twins, in a good order.

Of the variants of one parent (`live.with_family`) a page has one, the best for its topic.

Attribute overlap through an inverted index, scored by the sum of log p (PinLanding section 5).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl

from pinlanding_assets.catalog.live import seen, sellable, with_family
from pinlanding_assets.clusters.clustering import product_vectors
from pinlanding_assets.collections.gates import (
    ITEMS_SCHEMA,
    Gates,
    apply_gates,
)
from pinlanding_assets.collections.twins import Looks
from pinlanding_assets.topics.mining import combine_sources
from pinlanding_assets.topics.phrasing import topic_id

_SAME_TITLE = 90.0  # rapidfuzz token-set ratio from which two titles name one product
_SCAN = 10  # candidates looked at for one of the first places
_MOST = 1_000  # products of a page
_PLACES = 1_000_000  # on all pages together: what a site of thousands of pages can hold


@dataclass(frozen=True)
class Arrangement:
    """How a page is filled.

    Attributes:
        max_products: Most products of a page; it is shown in parts. None: all that belongs there,
            up to 1,000, and to fewer where there are thousands of pages (`shared_by`).
        first: The first products, in a diverse order: without twins, and without a seller above
            its share while others wait. Behind them stand the others, the surest first; of these
            only those with one photo, to the bit or to the eye's hash, count as twins.
        min_p: Products stay out that carry all of a topic with less than this probability, the
            product of its attributes' own, which holds on pages (docs/benchmarks.md). The surest
            come first, and a page may end with a few that are a toss-up: that keeps small topics.
        twin_cosine: Vectors at least this close, under much the same title, are one product.
            (So are products with one photo, or two that look the same: `twins`.)
        seller_share: Most of the first products that one seller gets while others have some.
        relevance: Weight of relevance against diversity in that order (maximal marginal
            relevance, Carbonell and Goldstein 1998).
    """

    max_products: int | None = None
    first: int = 48
    min_p: float = 0.25
    twin_cosine: float = 0.995
    seller_share: float = 0.4
    relevance: float = 0.9

    def shared_by(self, pages: int) -> "Arrangement":
        """With the most products of each of so many pages: together they have a million places,
        and each has at least the first ones."""
        fair = max(self.first, min(_MOST, _PLACES // max(1, pages)))
        return replace(self, max_products=self.max_products or fair)


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
    chosen = topics.filter(pl.col("accepted"))
    shelf = Shelf(products, (arrangement or Arrangement()).shared_by(chosen.height))
    if embeddings is None:
        matcher = Matcher(shelf, [assignments], None)
    else:
        matcher = Matcher(
            shelf,
            [assignments],
            lambda ids: embeddings.filter(pl.col("product_id").is_in(ids.implode())),
        )
    pages = matcher.pages(chosen["entries"].to_list())
    return fill_pages(chosen, pages, gates or Gates.for_catalog(products))


class Page(NamedTuple):
    """What stands on a page, in order: products, what each and its variants for the page show (a
    list of `live.seen`), their scores, how likely each is right (0 to 1), the number of their
    sellers, and how many products there are for it, with those left out. Variants of one parent are
    one product."""

    product_ids: pl.Series
    seen: pl.Series
    scores: np.ndarray
    likely: np.ndarray
    sellers: int
    matches: int


class Matcher:
    """Fills the pages of any topics from one catalog.

    Vectors are fetched for the products that pages look at, never for all: they are what does not
    fit the memory.

    Args:
        shelf: The products.
        assignments: `product_attributes.assignments`, in parts that split no product.
        embeddings: Product ids to their rows of `product_embeddings.embeddings`; None: no twins by
            vector, no diversity.
        hidden: Topic -> products that its page does not show.
    """

    def __init__(
        self,
        shelf: "Shelf",
        assignments: Iterable[pl.DataFrame],
        embeddings: Callable[[pl.Series], pl.DataFrame] | None,
        hidden: Mapping[str, Collection[str]] | None = None,
    ):
        self.shelf, self.embeddings, self.hidden = shelf, embeddings, hidden or {}
        self.postings = _postings(assignments, shelf.ids)

    def pages(self, topics: Sequence[list[str]]) -> list[Page]:
        """The pages of topics with these entries, before the gates."""
        least = np.log(self.shelf.arrangement.min_p)
        found = []
        for entries in topics:
            rows, scores = self._shown(entries, *_carriers(entries, self.postings))
            sure = scores >= least
            every = rows[sure]
            rows, scores = self.shelf.one_a_family(every, scores[sure])
            best = self.shelf.best_first(rows, scores)
            variants = self.shelf.variants_of(rows[best], every)
            found.append((rows[best], scores[best], len(rows), variants))
        near = self.shelf.near
        looked = [rows[:near] for rows, *_ in found]
        needed = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *looked]))
        vectors = self._vectors(needed)
        return [
            self.shelf.page(
                *(rows, scores, np.exp(scores), vectors[np.searchsorted(needed, rows[:near])]),
                matches=matches,
                variants=variants,
            )
            for rows, scores, matches, variants in found
        ]

    def _shown(
        self, entries: list[str], rows: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows without those that the topic's page is not to show."""
        hidden = self.hidden.get(topic_id(entries)) if self.hidden else None
        if not hidden:
            return rows, scores
        kept = ~self.shelf.ids.gather(rows).is_in(list(hidden)).to_numpy()
        return rows[kept], scores[kept]

    def _vectors(self, rows: np.ndarray) -> np.ndarray:
        """Unit vectors ``[n, d]`` of rows; zeros where a product has none."""
        if self.embeddings is None:
            return np.zeros((len(rows), 1), dtype=np.float32)
        ids = self.shelf.ids.gather(rows)
        names, known = product_vectors(self.embeddings(ids))
        vectors = np.zeros((len(rows), known.shape[1]), dtype=np.float32)
        at = pl.DataFrame({"product_id": ids}).with_row_index("row")
        place = pl.DataFrame({"product_id": names}, schema={"product_id": pl.String})
        both = at.join(place.with_row_index("vector"), on="product_id")
        vectors[both["row"].to_numpy()] = known[both["vector"].to_numpy()]
        return vectors


def fill_pages(
    topics: pl.DataFrame, pages: Iterable[Page], gates: Gates
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Applies the gates -> (collections, items).

    Args:
        topics: topic_id, slug, title, entries, demand.
        pages: One for each topic.
        gates: What a page needs.
    """
    columns = topics.select("topic_id", "slug", "title", "entries", "demand")
    filled = list(pages)
    sizes = np.array([len(page.scores) for page in filled], dtype=np.int64)
    topic_of = np.repeat(np.arange(len(filled)), sizes)
    nobody = pl.Series("product_id", [], dtype=pl.String)
    nothing = pl.Series("seen", [], dtype=pl.List(pl.Int64))
    items = pl.DataFrame(
        {
            "topic_id": columns["topic_id"].gather(topic_of),
            "rank": np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes) + 1,
            "product_id": pl.concat([nobody, *(page.product_ids for page in filled)]),
            "score": np.concatenate([np.empty(0), *(page.scores for page in filled)]).round(6),
            "entries": columns["entries"].gather(topic_of),
            "seen": pl.concat([nothing, *(page.seen for page in filled)]),
        },
        schema={**ITEMS_SCHEMA, "seen": nothing.dtype},
    )
    found = columns.with_columns(
        products=pl.Series(sizes, dtype=pl.Int64),
        sellers=pl.Series([page.sellers for page in filled], dtype=pl.Int64),
        matches=pl.Series([page.matches for page in filled], dtype=pl.Int64),
        score=pl.Series(
            [float(p.likely[:10].mean().round(6)) if len(p.likely) else 0.0 for p in filled],
            dtype=pl.Float64,
        ),
    )
    return apply_gates(found, items, gates)


def shelf_columns(products: pl.LazyFrame) -> pl.LazyFrame:
    """What a `Shelf` needs of `catalog.products` (and `date`, if there), of those on sale.

    Sellers and first images become small numbers, equal for equal ones, -1 for none. `look` is null
    where it is not given (`live.with_looks`).
    """
    products = with_family(products)
    given = products.collect_schema()
    columns = [name for name in ("product_id", "date") if name in given]
    return sellable(products).select(
        *columns,
        pl.col("title").fill_null(""),
        _code(pl.col("seller")).alias("seller"),
        _code(pl.col("images").list.first()).alias("image"),
        pl.col("look") if "look" in given else pl.lit(None, pl.String).alias("look"),
        "family",
        seen(),
    )


def _code(text: pl.Expr) -> pl.Expr:
    code = (text.hash(seed=0) // 2).cast(pl.Int64)
    return pl.when(text.fill_null("") == "").then(pl.lit(-1, pl.Int64)).otherwise(code)


class Shelf:
    """The products on sale as columns, one row each in the order of their ids.

    Args:
        products: `catalog.products`, or what `shelf_columns` makes of it.
        arrangement: How pages are filled.
    """

    def __init__(self, products: pl.DataFrame, arrangement: Arrangement):
        if "image" not in products.columns:
            products = shelf_columns(products.lazy()).collect()
        live = products.unique("product_id", keep="last", maintain_order=True).sort("product_id")
        self.ids, self.titles = live["product_id"], live["title"]
        self.sellers, self.images = live["seller"].to_numpy(), live["image"].to_numpy()
        self.families, self.seen = live["family"].to_numpy(), live["seen"].to_numpy()
        self.has_variants = live["family"].n_unique() < live.height
        self.looks = Looks(live["look"])
        self.arrangement = arrangement
        self.most = arrangement.max_products or _MOST
        self.first = min(arrangement.first, self.most)
        self.near = _SCAN * self.first

    def page(
        self,
        rows: np.ndarray,
        scores: np.ndarray,
        relevance: np.ndarray,
        vectors: np.ndarray | None = None,
        *,
        matches: int = 0,
        variants: np.ndarray | None = None,
    ) -> Page:
        """Rows without twins, at most a page of them, in the order they are shown.

        Args:
            rows: Of the shelf, the best first.
            scores: One a row.
            relevance: One a row, from 0 to 1.
            vectors: One for each of the first `near` rows, of length 1 or 0; None: no twins by
                vector, no diversity.
            matches: Rows that there are, where these are the best of more.
            variants: Rows with the other variants that are for the page; None: these.
        """
        if vectors is None:
            vectors = np.zeros((min(len(rows), self.near), 1), dtype=np.float32)
        head, twins = self._without_twins(rows[: self.near], vectors)
        order = self._diversify(rows[head], relevance[head], vectors[head])
        behind = self._behind(rows, head, twins)
        shown = np.concatenate([head[order], behind[: self.most - len(head)]])
        left = matches - len(rows) if matches else 0
        left += len(head) + len(behind) - len(shown)
        sellers = set(self.sellers[rows[shown]].tolist()) - {-1}
        ids, size = self.ids.gather(rows[shown]), len(shown)
        looks = self._looks_of(rows[shown], rows if variants is None else variants)
        return Page(ids, looks, scores[shown], relevance[shown], len(sellers), size + left)

    def _looks_of(self, rows: np.ndarray, variants: np.ndarray) -> pl.Series:
        """Of each row, what the variants of its family show."""
        tiles = pl.DataFrame({"family": self.families[rows], "seen": self.seen[rows]})
        if not self.has_variants:
            return tiles.select(pl.concat_list("seen"))["seen"]
        there = pl.DataFrame({"family": self.families[variants], "seen": self.seen[variants]})
        looks = there.unique().group_by("family").agg(pl.col("seen").sort())
        return tiles.select("family").join(looks, on="family", maintain_order="left")["seen"]

    def _behind(self, rows: np.ndarray, head: np.ndarray, twins: list[int]) -> np.ndarray:
        """Positions of the products behind the first, in order; of one photo, the first."""
        waiting = np.ones(len(rows), dtype=bool)
        waiting[head] = waiting[twins] = False
        left = np.concatenate([head, waiting.nonzero()[0]])
        at = rows[left]
        for photo, there in (
            (self.images[at], self.images[at] >= 0),
            (self.looks.bits[at], self.looks.there[at]),
        ):
            again = np.ones(len(at), dtype=bool)
            again[np.unique(photo, return_index=True)[1]] = False
            waiting[left[again & there]] = False
        return waiting.nonzero()[0]

    def one_a_family(self, rows: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows, rising, and their scores, with the best variant of each parent alone: by score,
        then one with a picture, then by id."""
        if not self.has_variants:
            return rows, scores
        order = np.lexsort((rows, self.images[rows] < 0, -scores.round(6)))
        best = np.sort(order[np.unique(self.families[rows[order]], return_index=True)[1]])
        return rows[best], scores[best]

    def variants_of(self, rows: np.ndarray, every: np.ndarray) -> np.ndarray:
        """Those of `every` that are of the families of `rows`."""
        if not self.has_variants:
            return rows
        return every[np.isin(self.families[every], self.families[rows])]

    def best_first(self, rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Positions by score, then products with a picture, then by id; as many as a page may
        look at."""
        rounded = scores.round(6)
        most = max(self.near, self.most)
        near = np.arange(len(rows))
        if len(rows) > most:  # sorting the few best is enough, with all that tie with the last
            near = np.flatnonzero(rounded >= np.partition(rounded, len(rows) - most)[-most])
        order = np.lexsort((rows[near], self.images[rows[near]] < 0, -rounded[near]))
        return near[order][:most]

    def _without_twins(self, rows: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Positions of a page's first products: no twins, no seller above its share while others
        wait; and the positions of twins."""
        most = self.first
        cap = max(1, round(self.arrangement.seller_share * most))
        kept: list[int] = []
        waiting: list[int] = []
        twins: list[int] = []
        images: set[int] = set()
        sold: dict[int, int] = {}
        seen = np.empty((min(most, len(rows)) + 1, vectors.shape[1]), dtype=np.float32)

        def is_twin(at: int, image: int) -> bool:
            row = rows[at]
            if image in images or self.looks.alike(row, rows[kept]).any():
                return True
            close = seen[: len(kept)] @ vectors[at] >= self.arrangement.twin_cosine
            return any(self._same_title(row, int(rows[kept[i]])) for i in close.nonzero()[0])

        def take(at: int) -> None:
            image = int(self.images[rows[at]])
            if is_twin(at, image):
                twins.append(at)
                return
            if image >= 0:
                images.add(image)
            seen[len(kept)] = vectors[at]
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
        return np.array(sorted(kept), dtype=np.int64), twins

    def _same_title(self, one: int, other: int) -> bool:
        from rapidfuzz import fuzz

        a, b = self.titles[int(one)], self.titles[int(other)]
        return not a or not b or fuzz.token_set_ratio(a.lower(), b.lower()) >= _SAME_TITLE

    def _diversify(
        self, rows: np.ndarray, relevance: np.ndarray, vectors: np.ndarray
    ) -> np.ndarray:
        """Order by relevance against likeness to what is shown above, in looks and in seller."""
        weight = self.arrangement.relevance
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


Posting = tuple[np.ndarray, np.ndarray]


def _postings(parts: Iterable[pl.DataFrame], ids: pl.Series) -> dict[str, Posting]:
    """Entry -> rows of the products that carry it, rising, and their log p."""
    found: dict[str, list[Posting]] = {}
    for assignments in parts:
        if assignments.is_empty() or ids.is_empty():
            continue
        # the ids of the part lie between two rows: a join with all of them would cost as many
        first = int(ids.search_sorted(assignments["product_id"].min(), "left"))  # type: ignore[arg-type]
        last = int(ids.search_sorted(assignments["product_id"].max(), "right"))  # type: ignore[arg-type]
        place = pl.DataFrame({"product_id": ids[first:last]}).with_row_index("row", first)
        evidence = (
            combine_sources(assignments)
            .filter(pl.col("p") > 0)
            .join(place, on="product_id")
            .select("entry_id", "row", "p")
            .sort("entry_id", "row")
        )
        rows, log_p = evidence["row"].to_numpy(), np.log(evidence["p"].to_numpy())
        runs = evidence["entry_id"].rle().struct.unnest()
        ends = runs["len"].cum_sum().to_list()
        for entry, start, end in zip(runs["value"], [0, *ends[:-1]], ends, strict=True):
            found.setdefault(entry, []).append((rows[start:end].copy(), log_p[start:end].copy()))
    return {entry: _rising(pieces) for entry, pieces in found.items()}


def _rising(pieces: list[Posting]) -> Posting:
    rows = np.concatenate([piece[0] for piece in pieces]).astype(np.int64)
    log_p = np.concatenate([piece[1] for piece in pieces])
    if (np.diff(rows) > 0).all():
        return rows, log_p
    order = rows.argsort(kind="stable")
    return rows[order], log_p[order]


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
