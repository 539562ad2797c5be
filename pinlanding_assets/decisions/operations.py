"""What a person or an agent may do to a catalog: typed operations, each with its preconditions.

An operation never writes a table of the pipeline. It is data: once decided, it is read by the
stages that it concerns (`facets.py`), and taking it back is leaving it out. Its arguments are ids
and words that exist; the only free text is a title, which must say exactly the topic's attributes.
"""

import json
from collections.abc import Collection
from typing import Annotated, Any, ClassVar, Literal, Protocol, get_args

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.topics.phrasing import is_safe_title, topic_id

Word = Annotated[str, Field(min_length=1, max_length=200)]
Id = Annotated[str, Field(min_length=1, max_length=500)]
Topic = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
LEAST_STATEMENTS = 5  # of a seller in a key, before one can say that he is wrong as a rule
Target = tuple[str, ...]


class View(Protocol):
    """What operations are checked against: tables of the lake as they are now (`view.py`)."""

    @property
    def entries(self) -> pl.DataFrame: ...
    @property
    def aliases(self) -> pl.DataFrame: ...
    @property
    def keys(self) -> pl.DataFrame: ...
    @property
    def topics(self) -> pl.DataFrame: ...
    @property
    def items(self) -> pl.DataFrame: ...
    @property
    def products(self) -> pl.DataFrame: ...
    @property
    def columns(self) -> Collection[str]: ...
    def says(self, title: str) -> frozenset[str]:
        """The entries that a title states."""
        ...

    def statements_of(self, seller: str, key: str) -> int:
        """How many products a seller states a key of."""
        ...

    def fault_of(self, operation: "FeedMap | FeedValue") -> str | None:
        """Why the feeds cannot be read that way."""
        ...


class Operation(BaseModel):
    """One act.

    Attributes:
        facet: The part of the state that it belongs to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    facet: ClassVar[str]

    def target(self) -> Target:
        """What it decides: of two decisions on one target the later one counts."""
        raise NotImplementedError

    def makes(self) -> set[str]:
        """Ids that there would not be without it."""
        return set()

    def needs(self) -> set[str]:
        """Ids that it names."""
        return set()

    def leads_to(self) -> Target | None:
        """The target of what it merges into."""
        return None

    def fault(self, view: View) -> str | None:
        """Why it cannot be done now; None where it can."""
        raise NotImplementedError


class WordMerge(Operation):
    """Another word for something: "navy" is said of what is blue."""

    operation: Literal["word.merge"] = "word.merge"
    facet = "words"
    key: Word
    word: Word
    into: Word

    def target(self) -> Target:
        return "word", fold(self.key), fold(self.word)

    def leads_to(self) -> Target:
        return "word", fold(self.key), fold(self.into)

    def needs(self) -> set[str]:
        return {_id(self.key, self.into)}

    def fault(self, view: View) -> str | None:
        if fold(self.word) == fold(self.into):
            return "a word cannot be merged into itself"
        return _unsaid(view, self.key, self.word) or _unsaid(view, self.key, self.into)


class WordKeep(Operation):
    """A value of its own, whatever the rules of the vocabulary say."""

    operation: Literal["word.keep"] = "word.keep"
    facet = "words"
    key: Word
    word: Word

    def target(self) -> Target:
        return "word", fold(self.key), fold(self.word)

    def makes(self) -> set[str]:
        return {_id(self.key, self.word)}

    def fault(self, view: View) -> str | None:
        return _unsaid(view, self.key, self.word)


class WordDrop(Operation):
    """No attribute at all."""

    operation: Literal["word.drop"] = "word.drop"
    facet = "words"
    key: Word
    word: Word

    def target(self) -> Target:
        return "word", fold(self.key), fold(self.word)

    def fault(self, view: View) -> str | None:
        return _unsaid(view, self.key, self.word)


class WordMove(Operation):
    """A word that is said under one key, and belongs to another."""

    operation: Literal["word.move"] = "word.move"
    facet = "words"
    key: Word
    word: Word
    to_key: Word

    def target(self) -> Target:
        return "word", fold(self.key), fold(self.word)

    def makes(self) -> set[str]:
        return {_id(self.to_key, self.word)}

    def fault(self, view: View) -> str | None:
        if fold(self.key) == fold(self.to_key):
            return "the word has that key already"
        return _unsaid(view, self.key, self.word) or _unknown_key(view, self.to_key)


class KeyMerge(Operation):
    """Two keys that are one: sellers say "colour" and "color"."""

    operation: Literal["key.merge"] = "key.merge"
    facet = "words"
    key: Word
    into: Word

    def target(self) -> Target:
        return "key", fold(self.key)

    def leads_to(self) -> Target:
        return "key", fold(self.into)

    def fault(self, view: View) -> str | None:
        if fold(self.key) == fold(self.into):
            return "a key cannot be merged into itself"
        return _unknown_key(view, self.key) or _unknown_key(view, self.into)


class KeySet(Operation):
    """What a key is: with one value a product or several, or what products are called by."""

    operation: Literal["key.set"] = "key.set"
    facet = "words"
    key: Word
    multi: bool | None = None
    role: Literal["product_type"] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "KeySet":
        if self.multi is None and self.role is None:
            raise ValueError("multi or role is needed")
        return self

    def target(self) -> Target:
        return ("role",) if self.role else ("multi", fold(self.key))

    def fault(self, view: View) -> str | None:
        return _unknown_key(view, self.key)


class SourceDistrust(Operation):
    """A seller's field that is wrong as a rule: nobody listens to it any more."""

    operation: Literal["source.distrust"] = "source.distrust"
    facet = "words"
    seller: Id
    key: Word

    def target(self) -> Target:
        return "source", self.seller, fold(self.key)

    def fault(self, view: View) -> str | None:
        stated = view.statements_of(self.seller, self.key)
        if stated < LEAST_STATEMENTS:
            return f"{self.seller!r} states {self.key!r} of {stated} products, fewer than 5"
        return None


class LabelSet(Operation):
    """Whether a product has an attribute."""

    operation: Literal["label.set"] = "label.set"
    facet = "labels"
    product: Id
    entry: Word
    holds: bool

    def target(self) -> Target:
        return "label", self.product, self.entry

    def needs(self) -> set[str]:
        return {self.entry}

    def fault(self, view: View) -> str | None:
        return _unknown_product(view, self.product) or _unknown_entry(view, self.entry)


class TopicAdd(Operation):
    """A topic that was not mined; it has to pass every gate like any other."""

    operation: Literal["topic.add"] = "topic.add"
    facet = "pages"
    entries: Annotated[tuple[Word, ...], Field(min_length=1, max_length=4)]

    def target(self) -> Target:
        return "topic", self.topic

    @property
    def topic(self) -> str:
        return topic_id(self.entries)

    def makes(self) -> set[str]:
        return {self.topic}

    def needs(self) -> set[str]:
        return set(self.entries)

    def fault(self, view: View) -> str | None:
        keys = [entry.partition("=")[0] for entry in self.entries]
        if len(set(keys)) < len(keys):
            return "a topic has one value of a key"
        unknown = (_unknown_entry(view, entry) for entry in self.entries)
        return next((fault for fault in unknown if fault), None)


class TopicRefuse(Operation):
    """A topic that gets no page."""

    operation: Literal["topic.refuse"] = "topic.refuse"
    facet = "pages"
    topic: Topic

    def target(self) -> Target:
        return "topic", self.topic

    def needs(self) -> set[str]:
        return {self.topic}

    def fault(self, view: View) -> str | None:
        return _unknown_topic(view, self.topic)


class TopicTitle(Operation):
    """Another title for a topic; its address stays."""

    operation: Literal["topic.title"] = "topic.title"
    facet = "pages"
    topic: Topic
    title: Annotated[str, Field(min_length=1, max_length=120)]

    def target(self) -> Target:
        return "title", self.topic

    def needs(self) -> set[str]:
        return {self.topic}

    def fault(self, view: View) -> str | None:
        if fault := _unknown_topic(view, self.topic):
            return fault
        if not is_safe_title(self.title):
            return "the title carries markup or control characters"
        row = view.topics.row(by_predicate=pl.col("topic_id") == self.topic, named=True)
        if view.says(self.title) != frozenset(row["entries"]):
            return f"the title does not say exactly {', '.join(row['entries'])}"
        return None


class TopicWindow(Operation):
    """The days of the catalog on which a topic has its page, the first and the last included."""

    operation: Literal["topic.window"] = "topic.window"
    facet = "pages"
    topic: Topic
    first: Day
    last: Day

    @model_validator(mode="after")
    def _in_order(self) -> "TopicWindow":
        if self.first > self.last:
            raise ValueError(f"first {self.first} is after last {self.last}")
        return self

    def target(self) -> Target:
        return "window", self.topic

    def needs(self) -> set[str]:
        return {self.topic}

    def fault(self, view: View) -> str | None:
        return _unknown_topic(view, self.topic)


class ItemHide(Operation):
    """A product that a topic's page does not show."""

    operation: Literal["item.hide"] = "item.hide"
    facet = "pages"
    topic: Topic
    product: Id

    def target(self) -> Target:
        return "item", self.topic, self.product

    def needs(self) -> set[str]:
        return {self.topic}

    def fault(self, view: View) -> str | None:
        shown = view.items.filter(topic_id=self.topic, product_id=self.product)
        return None if shown.height else f"{self.product!r} is not on the page of {self.topic}"


class FeedMap(Operation):
    """A column of the feeds that holds a field of the products, beside those of catalog.yaml."""

    operation: Literal["feed.map"] = "feed.map"
    facet = "feeds"
    field: Word
    column: Word
    since: Day | None = None

    def target(self) -> Target:
        return "field", self.field, self.column

    def fault(self, view: View) -> str | None:
        if self.column not in view.columns:
            return f"the newest feed has no column {self.column!r}"
        return view.fault_of(self)


class FeedValue(Operation):
    """What a value of an attribute means, as `values` of catalog.yaml says it."""

    operation: Literal["feed.value"] = "feed.value"
    facet = "feeds"
    attribute: Word
    value: Word
    means: Word

    def target(self) -> Target:
        return "value", self.attribute, self.value

    def fault(self, view: View) -> str | None:
        return view.fault_of(self)


Any_ = Annotated[
    WordMerge
    | WordKeep
    | WordDrop
    | WordMove
    | KeyMerge
    | KeySet
    | SourceDistrust
    | LabelSet
    | TopicAdd
    | TopicRefuse
    | TopicTitle
    | TopicWindow
    | ItemHide
    | FeedMap
    | FeedValue,
    Field(discriminator="operation"),
]
OPERATIONS: dict[str, type[Operation]] = {
    one.model_fields["operation"].default: one for one in get_args(get_args(Any_)[0])
}
FACETS = ("feeds", "words", "labels", "pages")
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Any_)


def parse(told: dict[str, Any] | str) -> Any:
    """An operation from its JSON.

    Args:
        told: ``{"operation": "word.merge", "key": ..., ...}``, as an object or as text.

    Raises:
        pydantic.ValidationError: it is none; the message names the field.
    """
    if isinstance(told, str):
        return _ADAPTER.validate_json(told)
    return _ADAPTER.validate_json(json.dumps(told))


def _id(key: str, word: str) -> str:
    return f"{key}={word}"


def _unsaid(view: View, key: str, word: str) -> str | None:
    said = view.aliases.filter(pl.col("key").map_elements(fold, pl.String) == fold(key))
    if any(fold(one) == fold(word) for one in said["raw_value"]):
        return None
    entry = view.entries.filter(key=key, value=word)
    return None if entry.height else f"nothing in the catalog is said to have {key!r} {word!r}"


def _unknown_key(view: View, key: str) -> str | None:
    known = {fold(one) for one in [*view.keys["key"], *view.aliases["key"].unique()]}
    return None if fold(key) in known else f"there is no key {key!r}"


def _unknown_entry(view: View, entry: str) -> str | None:
    known = entry in view.entries["entry_id"]
    return None if known else f"the vocabulary has no entry {entry!r}"


def _unknown_product(view: View, product: str) -> str | None:
    known = product in view.products["product_id"]
    return None if known else f"the catalog has no product {product!r}"


def _unknown_topic(view: View, topic: str) -> str | None:
    return None if topic in view.topics["topic_id"] else f"there is no topic {topic}"
