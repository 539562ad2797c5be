"""How the stages read what was decided: a facet each, from the table of its asset.

Without decisions every function here gives back what it got.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.decisions.operations import (
    FeedMap,
    FeedValue,
    ItemHide,
    KeyMerge,
    KeySet,
    LabelSet,
    Operation,
    SourceDistrust,
    TopicAdd,
    TopicRefuse,
    TopicTitle,
    TopicWindow,
    WordDrop,
    WordKeep,
    WordMerge,
    WordMove,
    parse,
)
from pinlanding_assets.decisions.state import Decision

DECISIONS_SCHEMA = {
    "proposal": pl.String,
    "actor": pl.String,
    "operation": pl.String,
    "arguments": pl.String,
}
"""Columns of the tables of decisions: `arguments` is the operation's JSON."""
DECIDED = "decision"
"""Source of a label that somebody has set."""
_SURE = 0.999  # probability of a label that somebody has set
Words = Mapping[str, Mapping[str, str | None]]


def table_of(decisions: list[Decision]) -> pl.DataFrame:
    """The table of a facet (`State.of`)."""
    rows = []
    for one in decisions:
        told = one.operation.model_dump(mode="json")
        name = told.pop("operation")
        rows.append((one.proposal, one.actor, name, json.dumps(told, sort_keys=True)))
    return pl.DataFrame(rows, schema=DECISIONS_SCHEMA, orient="row")


def operations_of(table: pl.DataFrame) -> list[Operation]:
    """The operations of a facet's table."""
    rows = table.select("operation", "arguments").iter_rows()
    return [parse({"operation": name, **json.loads(told)}) for name, told in rows]


@dataclass(frozen=True)
class WordDecisions:
    """What was decided on words, keys and sources.

    Attributes:
        words: Key -> word -> what it is, as in a vocabulary.yaml.
        moved: (folded key, folded word) -> the key that it belongs to.
        keys: Folded key -> the key that it is.
        multi: Folded key -> whether products have several values of it.
        product_type: The key that products are called by; None: nobody has said.
        distrusted: (seller, folded key) whose statements do not count.
    """

    words: Words = field(default_factory=dict)
    moved: Mapping[tuple[str, str], str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    multi: Mapping[str, bool] = field(default_factory=dict)
    product_type: str | None = None
    distrusted: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, table: pl.DataFrame) -> "WordDecisions":
        words: dict[str, dict[str, str | None]] = {}
        moved, keys, multi, role = {}, {}, {}, None
        distrusted = set()
        for one in operations_of(table):
            if isinstance(one, WordMerge):
                words.setdefault(one.key, {})[one.word] = one.into
            elif isinstance(one, WordKeep):
                words.setdefault(one.key, {})[one.word] = one.word
            elif isinstance(one, WordDrop):
                words.setdefault(one.key, {})[one.word] = None
            elif isinstance(one, WordMove):
                moved[fold(one.key), fold(one.word)] = one.to_key
            elif isinstance(one, KeyMerge):
                keys[fold(one.key)] = one.into
            elif isinstance(one, KeySet) and one.role:
                role = one.key
            elif isinstance(one, KeySet) and one.multi is not None:
                multi[fold(one.key)] = one.multi
            elif isinstance(one, SourceDistrust):
                distrusted.add((one.seller, fold(one.key)))
        return cls(words, moved, keys, multi, role, frozenset(distrusted))

    def overrides(self, written: Words) -> dict[str, dict[str, str | None]]:
        """What a vocabulary.yaml says, and what was decided where it says nothing."""
        told: dict[str, dict[str, str | None]] = {}
        silent = {(fold(key), fold(word)) for key, words in written.items() for word in words}
        for key, words in self.words.items():
            # a word that was moved or whose key was merged is known by its new key
            for word, value in words.items():
                if (fold(key), fold(word)) not in silent:
                    told.setdefault(self._key(key, word), {})[word] = value
        for key, words in written.items():
            told.setdefault(key, {}).update(words)
        return told

    def heard(self, mentions: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
        """What is said, without those who are not listened to, under the keys that were decided.

        Args:
            mentions: `vlm_attributes.mentions`, of products in any order.
            products: product_id and seller of these products.
        """
        if self.distrusted:
            pairs = [{"seller": seller, "folded": key} for seller, key in sorted(self.distrusted)]
            of = products.select("product_id", "seller")
            folded = {key: fold(key) for key in mentions["key"].unique()}
            deaf = (
                mentions.with_row_index("row")
                .filter(pl.col("source") != "vlm")
                .join(of, on="product_id")
                .with_columns(folded=pl.col("key").replace_strict(folded, return_dtype=pl.String))
                .join(pl.DataFrame(pairs), on=["seller", "folded"], how="semi")
            )
            mentions = mentions.with_row_index("row").join(deaf, on="row", how="anti").drop("row")
        if not self.moved and not self.keys:
            return mentions
        said = mentions.select("key", "value").unique()
        names = [self._key(key, value) for key, value in said.iter_rows()]
        known = said.with_columns(pl.Series("now", names, dtype=pl.String))
        renamed = mentions.join(known, on=["key", "value"], how="left", maintain_order="left")
        return renamed.with_columns(key=pl.col("now")).drop("now")

    def _key(self, key: str, word: str) -> str:
        key = self.moved.get((fold(key), fold(word)), key)
        seen = set()
        while fold(key) in self.keys and fold(key) not in seen:
            seen.add(fold(key))
            key = self.keys[fold(key)]
        return key


@dataclass(frozen=True)
class LabelDecisions:
    """Labels that somebody has set: (product, entry) -> whether it holds."""

    labels: Mapping[tuple[str, str], bool] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pl.DataFrame) -> "LabelDecisions":
        found = (one for one in operations_of(table) if isinstance(one, LabelSet))
        return cls({(one.product, one.entry): one.holds for one in found})

    def over(
        self, assignments: pl.DataFrame, products: pl.DataFrame, several: Iterable[str]
    ) -> pl.DataFrame:
        """Assignments with these labels in place of what was there.

        Of a key with one value a product, a label that holds stands before every other value.

        Args:
            assignments: `product_attributes.assignments`, or columns of it.
            products: product_id of those that they are about; labels of others are left out.
            several: Keys of which a product may have several values.
        """
        if not self.labels:
            return assignments
        told = pl.DataFrame(
            [(product, entry, holds) for (product, entry), holds in self.labels.items()],
            schema={"product_id": pl.String, "entry_id": pl.String, "holds": pl.Boolean},
            orient="row",
        ).join(products.select("product_id").unique(), on="product_id", how="semi")
        named = pl.col("entry_id").str.splitn("=", 2)
        holding = told.filter("holds").with_columns(
            key=named.struct[0], value=named.struct[1], p=pl.lit(_SURE), source=pl.lit(DECIDED)
        )
        kept = assignments.join(told, on=["product_id", "entry_id"], how="anti")
        single = holding.filter(~pl.col("key").is_in(list(several)))
        kept = kept.join(single, on=["product_id", "key"], how="anti")
        added = holding.select(pl.col(c).cast(assignments.schema[c]) for c in assignments.columns)
        order = [c for c in ("product_id", "entry_id", "source") if c in assignments.columns]
        return pl.concat([kept, added]).sort(order)


@dataclass(frozen=True)
class PageDecisions:
    """What was decided on topics and their pages.

    Attributes:
        added: Sets of entries that are topics whether they were mined or not.
        refused: Topics without a page.
        titles: Topic -> its title.
        windows: Topic -> first and last day of the catalog on which it has a page.
        hidden: Topic -> products that its page does not show.
    """

    added: tuple[tuple[str, ...], ...] = ()
    refused: frozenset[str] = frozenset()
    titles: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    hidden: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pl.DataFrame) -> "PageDecisions":
        found = operations_of(table)
        hidden: dict[str, set[str]] = {}
        for one in found:
            if isinstance(one, ItemHide):
                hidden.setdefault(one.topic, set()).add(one.product)
        return cls(
            tuple(one.entries for one in found if isinstance(one, TopicAdd)),
            frozenset(one.topic for one in found if isinstance(one, TopicRefuse)),
            {one.topic: one.title for one in found if isinstance(one, TopicTitle)},
            {one.topic: (one.first, one.last) for one in found if isinstance(one, TopicWindow)},
            {topic: frozenset(products) for topic, products in hidden.items()},
        )

    def added_of(self, entries: pl.DataFrame) -> list[tuple[str, ...]]:
        """The added topics whose words still are the vocabulary's: one may be merged later on.

        Args:
            entries: `attribute_vocabulary.entries`.
        """
        known = set(entries["entry_id"])
        return [topic for topic in self.added if known.issuperset(topic)]

    def closed(self, newest: str) -> dict[str, str]:
        """Topic -> why it has no page now.

        Args:
            newest: The newest day of the catalog.
        """
        closed = dict.fromkeys(self.refused, "refused by a decision")
        for topic, (first, last) in self.windows.items():
            if not first <= newest <= last:
                closed.setdefault(topic, f"its page is for {first} to {last}")
        return closed


def read_feeds(mapping: dict[str, Any], table: pl.DataFrame) -> dict[str, Any]:
    """The mapping of a catalog.yaml with what was decided on fields and values.

    Args:
        mapping: `CatalogConfig.model_dump()`.
        table: Of `feed_decisions`.

    Raises:
        ValueError: there is no such field.
    """
    fields = {name: list(columns or []) for name, columns in mapping["columns"].items()}
    attributes = {name: [*columns] for name, columns in mapping["attributes"].items()}
    for one in operations_of(table):
        if isinstance(one, FeedMap):
            of_attribute = one.field.startswith("attributes.")
            name = one.field.removeprefix("attributes.")
            named = {"column": one.column, "since": _day(one.since), "until": None}
            if of_attribute:
                attributes.setdefault(name, []).append(
                    named | {"split": None, "values": {}, "names": None, "keys": {}}
                )
            elif name in fields:
                fields[name].append(named | ({"split": None} if name == "images" else {}))
            else:
                raise ValueError(f"there is no field {name!r}; there are {', '.join(fields)}")
        elif isinstance(one, FeedValue):
            if one.attribute not in attributes:
                raise ValueError(f"catalog.yaml reads no attribute {one.attribute!r}")
            attributes[one.attribute] = [
                column | {"values": {**column["values"], one.value: one.means}}
                for column in attributes[one.attribute]
            ]
    return {**mapping, "columns": fields, "attributes": attributes}


def _day(text: str | None) -> Any:
    return date.fromisoformat(text) if text else None
