"""What operations would do to the pages: today's catalog, mined and matched with and without them.

Nothing is trained and nothing is written. Words are renamed in what products carry and what people
search for; labels and pages are as the stages read them. So a preview costs seconds, and says what
the vocabulary and the encoder, learned anew, would say, as far as a change of names goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.catalog.live import sellable, with_family
from pinlanding_assets.collections.gates import Gates
from pinlanding_assets.collections.matching import Arrangement, Matcher, Shelf, fill_pages
from pinlanding_assets.curation.view import LakeView
from pinlanding_assets.decisions.facets import LabelDecisions, PageDecisions, table_of
from pinlanding_assets.decisions.operations import (
    KeyMerge,
    Operation,
    SourceDistrust,
    WordDrop,
    WordMerge,
    WordMove,
)
from pinlanding_assets.decisions.state import Decision
from pinlanding_assets.topics.judging import judge
from pinlanding_assets.topics.mining import Mining, candidates_of
from pinlanding_assets.topics.phrasing import Phraser, retitled, write_titles
from pinlanding_assets.topics.words import plural

_SAID = 0.92  # probability of what a seller's word says, once it means something
_SHOWN = 12  # titles of a preview


class Pages(NamedTuple):
    """Pages and what stands on them: `collections.collections` and `.items`."""

    collections: pl.DataFrame
    items: pl.DataFrame

    @property
    def accepted(self) -> dict[str, str]:
        """Topic -> title."""
        found = self.collections.filter(pl.col("accepted"))
        return dict(found.select("topic_id", "title").iter_rows())


@dataclass
class Shadow:
    """Today's tables, from which pages are made with and without operations.

    Attributes:
        view: The catalog.
        looks: The products on sale, with the `look` of their first image.
        embeddings: Of these products: product_id, vector.
        members: `product_clusters.members`.
        gates: What a page needs.
        arrangement: How pages are filled.
        mining: Bounds of the search for topics.
        decided: What was decided on pages.
    """

    view: LakeView
    looks: pl.DataFrame
    embeddings: pl.DataFrame
    members: pl.DataFrame
    gates: Gates
    arrangement: Arrangement
    mining: Mining
    decided: Sequence[Operation] = ()
    _before: Pages | None = field(default=None, repr=False)

    @property
    def before(self) -> Pages:
        """Without."""
        if self._before is None:
            self._before = self.pages(())
        return self._before

    def pages(self, operations: Sequence[Operation]) -> Pages:
        """The pages with these operations."""
        view = self.view
        on_sale = with_family(sellable(self.looks))
        ids = on_sale.select("product_id")
        shelf = view.assignments.join(ids, on="product_id", how="semi")
        carried, demand, entries = self._renamed(shelf, operations)
        told = [Decision("", 0, "", one) for one in [*self.decided, *operations]]
        labels = LabelDecisions.of(_table(told, "labels"))
        pages = PageDecisions.of(_table(told, "pages"))
        several = view.keys.filter("multi")["key"].to_list()
        carried = labels.over(carried, ids, several)
        candidates = candidates_of(
            lambda: [carried],
            view.keys,
            demand,
            pages.added_of(entries),
            products=on_sale["family"].n_unique(),
            families=on_sale.select("product_id", "family"),
            members=self.members,
            mining=self.mining,
        )
        config = view.config
        phraser = Phraser(entries, view.keys, config.phrases, plural(config.noun))
        titled = retitled(write_titles(candidates, phraser), pages.titles, phraser)
        newest = str(on_sale["date"].max() or "") if "date" in on_sale.columns else ""
        topics = judge(titled, entries, closed=pages.closed(newest)).filter(pl.col("accepted"))
        matcher = Matcher(
            Shelf(on_sale, self.arrangement.shared_by(topics.height)),
            [carried],
            lambda wanted: self.embeddings.filter(pl.col("product_id").is_in(wanted.implode())),
            pages.hidden,
        )
        return Pages(*fill_pages(topics, matcher.pages(topics["entries"].to_list()), self.gates))

    def preview(self, operations: Sequence[Operation]) -> dict[str, Any]:
        """What these operations together would change: pages won and lost, searches that are served
        more, items, and the expected share of right ones."""
        after = self.pages(operations)
        won = _order(after, after.accepted.keys() - self.before.accepted.keys())
        lost = _order(self.before, self.before.accepted.keys() - after.accepted.keys())
        return {
            "pages_won": len(won),
            "pages_lost": len(lost),
            "won": won[:_SHOWN],
            "lost": lost[:_SHOWN],
            "items": after.items.height - self.before.items.height,
            "precision_before": precision(self.before),
            "precision_after": precision(after),
            "searches_before": served(self.before, self.view.demand),
            "searches_after": served(after, self._renamed_demand(operations)),
        }

    def _renamed(
        self, shelf: pl.DataFrame, operations: Sequence[Operation]
    ) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Assignments, demand and entries with the words that the operations decide."""
        names = renames(operations, self.view.aliases)
        demand = self._renamed_demand(operations)
        silent = [one for one in operations if isinstance(one, SourceDistrust)]
        for one in silent:
            own = self.view.products.filter(seller=one.seller).select("product_id")
            deaf = (pl.col("key").is_in(_spelt(shelf, one.key))) & (pl.col("source") != "vlm")
            theirs = shelf.join(own, on="product_id", how="semi").filter(deaf)
            shelf = shelf.join(theirs, on=["product_id", "entry_id", "source"], how="anti")
        if not names:
            return shelf, demand, self.view.entries
        carried = pl.concat([shelf, self._unheard(shelf, names)])
        now = pl.col("entry_id").replace_strict(
            {entry: into for (_, entry), into in names.items()}, default=pl.col("entry_id")
        )
        carried = carried.with_columns(now).drop_nulls("entry_id")
        named = pl.col("entry_id").str.splitn("=", 2)
        carried = carried.with_columns(key=named.struct[0], value=named.struct[1])
        order = ["product_id", "entry_id", "source", "p"]
        carried = carried.sort(order).unique(order[:3], keep="last", maintain_order=True)
        gone = {entry for (_, entry) in names}
        return carried, demand, self.view.entries.filter(~pl.col("entry_id").is_in(list(gone)))

    def _unheard(
        self, shelf: pl.DataFrame, names: Mapping[tuple[str, str], str | None]
    ) -> pl.DataFrame:
        """What sellers said in words that meant nothing, and are decided to mean something."""
        known = set(self.view.entries["entry_id"])
        meant = [
            (key, entry.partition("=")[2], into)
            for (key, entry), into in names.items()
            if entry not in known and into is not None
        ]
        schema = {"key": pl.String, "value": pl.String, "into": pl.String}
        table = pl.DataFrame(meant, schema=schema, orient="row")
        said = self.view.mentions.filter(pl.col("source") == "catalog")
        found = said.join(table, on=["key", "value"]).select("product_id", entry_id="into").unique()
        found = found.join(shelf.select("product_id").unique(), on="product_id", how="semi")
        named = pl.col("entry_id").str.splitn("=", 2)
        return found.with_columns(
            key=named.struct[0],
            value=named.struct[1],
            p=pl.lit(_SAID),
            source=pl.lit("catalog"),
        ).select(*(pl.col(name).cast(kind) for name, kind in shelf.schema.items()))

    def _renamed_demand(self, operations: Sequence[Operation]) -> pl.DataFrame:
        names = {entry: into for (_, entry), into in renames(operations, self.view.aliases).items()}
        demand = self.view.demand
        if not names:
            return demand
        renamed = [
            sorted({names.get(entry, entry) for entry in entries} - {None})  # type: ignore[type-var]
            for entries in demand["entries"].to_list()
        ]
        return demand.with_columns(pl.Series("entries", renamed, dtype=pl.List(pl.String)))


def renames(
    operations: Sequence[Operation], aliases: pl.DataFrame
) -> dict[tuple[str, str], str | None]:
    """(key, entry) -> what it becomes; None: nothing. A word counts in whatever spelling, as it
    does in the vocabulary; the entry of a word that means nothing is its key and itself.
    """
    rows: list[tuple[str, str, str | None]] = aliases.select("key", "raw_value", "entry_id").rows()
    spelt: dict[tuple[str, str], str] = {}
    for key, raw, entry in rows:
        own = entry or ""
        known = fold(own.partition("=")[2]) == fold(raw)
        spelt.setdefault((fold(key), fold(raw)), own if known else f"{key}={raw}")

    def entry_of(key: str, word: str) -> str:
        return spelt.get((fold(key), fold(word)), f"{key}={word}")

    found: dict[tuple[str, str], str | None] = {}
    into: str | None
    for one in operations:
        if isinstance(one, KeyMerge):
            for key, raw, _ in rows:
                if fold(key) == fold(one.key):
                    found[key, entry_of(key, raw)] = entry_of(one.into, raw)
            continue
        if not isinstance(one, WordMerge | WordDrop | WordMove):
            continue
        into = None
        if isinstance(one, WordMerge):
            into = entry_of(one.key, one.into)
        elif isinstance(one, WordMove):
            into = entry_of(one.to_key, one.word)
        for key, raw, entry in rows:
            if (fold(key), fold(raw)) == (fold(one.key), fold(one.word)):
                found[key, entry_of(key, raw)] = into
                if entry is None:
                    found[key, f"{key}={raw}"] = into
    return found


def precision(pages: Pages) -> float:
    """The mean probability of the pages' items, each as sure as its score says."""
    if pages.items.is_empty():
        return 0.0
    return round(float(pages.items["score"].exp().mean()), 4)  # type: ignore[arg-type]


def served(pages: Pages, demand: pl.DataFrame) -> float:
    """Share of the searches that meet a page of exactly their attributes."""
    total = int(demand["count"].sum())
    accepted = pages.collections.filter(pl.col("accepted"))
    have = {frozenset(entries) for entries in accepted["entries"].to_list()}
    rows = demand.select("entries", "count").iter_rows()
    met = sum(count for entries, count in rows if entries and frozenset(entries) in have)
    return round(met / total, 4) if total else 0.0


def _order(pages: Pages, topics: Any) -> list[str]:
    """Titles of topics, those of the largest pages first."""
    found = pages.collections.filter(pl.col("topic_id").is_in(list(topics)))
    return found.sort(["products", "title"], descending=[True, False])["title"].to_list()


def _table(decisions: Sequence[Decision], facet: str) -> pl.DataFrame:
    return table_of([one for one in decisions if one.operation.facet == facet])


def _spelt(shelf: pl.DataFrame, key: str) -> list[str]:
    return [one for one in shelf["key"].unique() if fold(one) == fold(key)]
