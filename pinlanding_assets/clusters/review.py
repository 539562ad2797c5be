"""Groups that no combination of attributes explains: what the vocabulary has no word for yet.

Such a group may be a topic of its own, or show a key that nobody has named. People decide: each is
named by what sets it apart, with the words that its titles have more of and the vocabulary lacks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
import polars as pl

from pinlanding_assets.attributes.normalisation import FUNCTION_WORDS, fold_word, words

REVIEW_SCHEMA = {
    "cluster_id": pl.Int64,
    "label": pl.String,
    "size": pl.Int64,
    "similarity": pl.Float64,
    "explained": pl.Float64,
    "explanation": pl.List(pl.String),
    "words": pl.List(pl.String),
}
MIN_SIZE = 10  # products of a page
EXPLAINED = 0.5  # F1 of the best combination from which a group is that combination
MAX_ENTRIES = 4  # as topics have
WORDS = 5
COMMON = 0.2  # share of a group's titles that have a word, and
LIFT = 3.0  # how many times more often than all titles, for the word to tell of the group


def for_review(
    clusters: pl.DataFrame,
    members: pl.DataFrame,
    assignments: pl.DataFrame,
    titles: pl.DataFrame,
    aliases: pl.DataFrame,
) -> pl.DataFrame:
    """Coherent clusters that attributes do not explain, the least explained first.

    Coherent: products as near to their centre as those of the median cluster.

    Args:
        clusters, members: Of `clustering.cluster`.
        assignments: `product_attributes.assignments`.
        titles: product_id, title.
        aliases: `attribute_vocabulary.aliases`: the words that the vocabulary knows.

    Returns:
        `REVIEW_SCHEMA`: `explained` is the F1 of the best combination of up to four of the
        cluster's entries against its products, `explanation` that combination, `words` those of
        its titles.
    """
    near = members.group_by("cluster_id").agg(pl.col("similarity").mean().round(6))
    found = clusters.join(near, on="cluster_id", maintain_order="left")
    typical = found["similarity"].median()
    coherent = found.filter(pl.col("size") >= MIN_SIZE, pl.col("similarity") >= typical)
    products = members.select("product_id").unique().sort("product_id").with_row_index("row")
    sets = _ProductSets(products, members, assignments)
    rows = []
    known = {fold_word(word) for raw in aliases["raw_value"] for word in words(raw)}
    spoken = _TitleWords(titles.join(products, on="product_id"), known)
    for cluster_id, label, size, similarity, entries in coherent.select(
        "cluster_id", "label", "size", "similarity", "entries"
    ).iter_rows():
        explained, explanation = sets.explain(cluster_id, entries)
        if explained < EXPLAINED:
            own = members.filter(pl.col("cluster_id") == cluster_id)["product_id"]
            fit = (round(explained, 6), explanation)
            rows.append((cluster_id, label, size, similarity, *fit, spoken.of(own)))
    table = pl.DataFrame(rows, schema=REVIEW_SCHEMA, orient="row")
    return table.sort(["explained", "size", "cluster_id"], descending=[False, True, False])


class _ProductSets:
    """Products of entries and clusters as bits: an intersection of a million costs microseconds."""

    def __init__(self, products: pl.DataFrame, members: pl.DataFrame, assignments: pl.DataFrame):
        self.n = products.height
        carried = assignments.select("product_id", "entry_id").unique()
        self.entries = self._packed(carried.join(products, on="product_id"), "entry_id")
        self.clusters = self._packed(members.join(products, on="product_id"), "cluster_id")

    def _packed(self, rows: pl.DataFrame, by: str) -> dict:
        return {
            name: np.packbits(np.bincount(part["row"].to_numpy(), minlength=self.n) > 0)
            for (name,), part in rows.partition_by(by, as_dict=True).items()
        }

    def explain(self, cluster_id: int, entries: Sequence[str]) -> tuple[float, list[str]]:
        """F1 of the combination of entries, one a key, that fits the cluster best; the shortest."""
        wanted = self.clusters[cluster_id]
        best: tuple[float, list[str]] = (0.0, [])
        for combination in _combinations(entries):
            carried = np.bitwise_and.reduce([self.entries[entry] for entry in combination])
            both = _count(carried & wanted)
            f1 = 2 * both / max(1, _count(carried) + _count(wanted))
            if f1 > best[0] + 1e-9:
                best = f1, list(combination)
        return best


def _combinations(entries: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, MAX_ENTRIES + 1):
        for combination in combinations(entries, size):
            if len({entry.partition("=")[0] for entry in combination}) == size:
                yield combination


def _count(bits: np.ndarray) -> int:
    return int(np.bitwise_count(bits).sum())


class _TitleWords:
    """Words of titles that the vocabulary does not know, and in how many titles each stands."""

    def __init__(self, titles: pl.DataFrame, known: set[str]):
        self.known = known
        self.words = {
            product: self._unknown(title)
            for product, title in titles.select("product_id", "title").iter_rows()
        }
        self.everywhere = Counter(word for found in self.words.values() for word in found)

    def _unknown(self, title: str | None) -> frozenset[str]:
        stems = {fold_word(w) for w in words((title or "")[:200]) if w not in FUNCTION_WORDS}
        return frozenset(w for w in stems if len(w) > 2 and w.isalpha() and w not in self.known)

    def of(self, products: Iterable[str]) -> list[str]:
        """The words that most set these products apart, by how much more often they have them."""
        own = [self.words.get(product, frozenset()) for product in products]
        here = Counter(word for found in own for word in found)
        share = len(own) / max(1, len(self.words))
        lift = {
            word: count / (share * self.everywhere[word])
            for word, count in here.items()
            if count >= max(3, COMMON * len(own))
        }
        telling = [word for word in lift if lift[word] >= LIFT]
        return sorted(telling, key=lambda word: (-lift[word], -here[word], word))[:WORDS]
