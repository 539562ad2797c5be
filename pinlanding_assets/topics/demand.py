"""Demand: what people search for, cleaned, repaired and parsed into the vocabulary's entries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from pinlanding_assets.attributes.normalisation import FUNCTION_WORDS, fold_word
from pinlanding_assets.attributes.normalisation import words as tokens
from pinlanding_assets.topics.words import normal_form, stems

MAX_QUERY = 200  # characters
MAX_COUNT = 1_000_000_000  # a day's searches for one query; more is a broken log
QUERIES_SCHEMA = {"query": pl.String, "count": pl.Int64}
DEMAND_SCHEMA = {
    "query": pl.String,
    "count": pl.Int64,
    "days": pl.Int64,
    "entries": pl.List(pl.String),
    "parsed": pl.Float64,
}


def clean_queries(queries: pl.DataFrame) -> pl.DataFrame:
    """A day's search log as received -> query (NFKC, lower, at most 200 characters) and count.

    Rows without a query or with a count that is no positive integer are left out; equal queries
    are added up. An empty log gives an empty frame.

    Raises:
        ValueError: A log that has rows lacks the column `query` or `count`.
    """
    if queries.is_empty():
        return pl.DataFrame(schema=QUERIES_SCHEMA)
    for column in QUERIES_SCHEMA:
        if column not in queries.columns:
            raise ValueError(f"search log: no column {column!r}, found {queries.columns}")
    text = (
        pl.col("query")
        .cast(pl.String, strict=False)
        .str.slice(0, 5 * MAX_QUERY)  # bounds the work on a hostile row; normalising may shorten
        .str.normalize("NFKC")
        .str.to_lowercase()
        .str.replace_all(r"[\p{C}\s]+", " ")
        .str.strip_chars()
        .str.slice(0, MAX_QUERY)
        .str.strip_chars()
    )
    count = pl.col("count").cast(pl.Float64, strict=False)
    return (
        queries.select(query=text, count=count)
        .filter(
            (pl.col("query").str.len_chars() > 0)
            & pl.col("count").is_finite()
            & (pl.col("count") >= 1)
            & (pl.col("count") == pl.col("count").floor())
        )
        .group_by("query")
        .agg(pl.col("count").clip(upper_bound=MAX_COUNT).cast(pl.Int64).sum())
        .sort("query")
    )


def demand(
    queries: pl.DataFrame, entries: pl.DataFrame, aliases: pl.DataFrame, *, floor: int = 3
) -> pl.DataFrame:
    """Search logs of many days -> `demand.queries`, most searched first.

    Args:
        queries: day, query, count; cleaned by `clean_queries`.
        entries: `attribute_vocabulary.entries`.
        aliases: `attribute_vocabulary.aliases`.
        floor: Privacy floor: a query searched for fewer times in all is dropped.
    """
    parser = QueryParser.of(entries, aliases)
    merged = merge_queries(queries, parser.words).filter(pl.col("count") >= floor)
    parsed = [parser.parse(query) for query in merged["query"]]
    return merged.with_columns(
        pl.Series("entries", [found for found, _ in parsed], dtype=pl.List(pl.String)),
        pl.Series("parsed", [share for _, share in parsed], dtype=pl.Float64),
    ).select(*DEMAND_SCHEMA)


def merge_queries(queries: pl.DataFrame, words: Mapping[str, int]) -> pl.DataFrame:
    """Queries (day, query, count) -> query, count, days, with spellings of one query merged.

    As-you-type prefixes go to the most searched query that completes them, misspelt words to the
    known word they most resemble, and singular and plural are one query.

    Args:
        queries: day, query, count.
        words: Known words with their weight (how many products they are about).
    """
    if queries.is_empty():
        return pl.DataFrame(schema={**QUERIES_SCHEMA, "days": pl.Int64})
    counts: dict[str, int] = dict(
        queries.group_by("query").agg(pl.col("count").sum()).sort("query").iter_rows()
    )
    completed = _complete(counts, words)
    repair = _Repair(words, _word_counts(counts))
    repaired = {query: repair(completed.get(query, query)) for query in counts}
    # Shown as it is searched most, before any spelling that nobody typed.
    shown: dict[str, str] = {}
    for query in sorted(counts, key=lambda q: (repaired[q] != " ".join(tokens(q)), -counts[q], q)):
        shown.setdefault(normal_form(repaired[query]), repaired[query])
    spelt = {query: shown[normal_form(text)] for query, text in repaired.items()}
    return (
        queries.with_columns(pl.col("query").replace_strict(spelt, return_dtype=pl.String))
        .filter(pl.col("query") != "")
        .group_by("query")
        .agg(pl.col("count").sum(), days=pl.col("day").n_unique().cast(pl.Int64))
        .sort(["count", "query"], descending=[True, False])
    )


def _complete(counts: Mapping[str, int], words: Mapping[str, int]) -> dict[str, str]:
    """Prefix -> the most searched completed query that starts with it.

    A query is a prefix when its last word is unknown, never stands inside another query, and some
    query goes on from it.
    """
    inside = {word for query in counts for word in tokens(query)[:-1]}

    def open_ended(query: str) -> bool:
        last = tokens(query)[-1:]
        return not last or (last[0] not in inside and fold_word(last[0]) not in words)

    prefixes = {query for query in counts if open_ended(query)}
    best: dict[str, str] = {}
    for only_known in (True, False):  # a query of known words, if one completes the prefix
        # From the most searched on, so that the first to claim a prefix keeps it.
        for query in sorted(counts, key=lambda q: (-counts[q], len(q), q)):
            if (query not in prefixes) == only_known:
                for end in range(1, len(query)):
                    if query[:end] in prefixes:
                        best.setdefault(query[:end], query)
    return {prefix: _last(best, prefix) for prefix in best}


def _last(chain: Mapping[str, str], query: str) -> str:
    while query in chain:  # each step is longer than the one before, so this ends
        query = chain[query]
    return query


def _word_counts(counts: Mapping[str, int]) -> dict[str, int]:
    seen: dict[str, int] = defaultdict(int)
    for query, count in counts.items():
        for word in tokens(query):
            seen[fold_word(word)] += count
    return seen


@dataclass
class _Repair:
    """Replaces misspelt words by known ones (optimal string alignment distance 1, or 2 from 8)."""

    words: Mapping[str, int]
    searched: Mapping[str, int]
    memory: dict[str, str] = field(default_factory=dict)
    by_letter: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for word in sorted(self.words):
            if len(word) >= 3:
                self.by_letter[word[0]].append(word)

    def __call__(self, query: str) -> str:
        return " ".join(self._word(word) for word in tokens(query))

    def _word(self, word: str) -> str:
        if fold_word(word) in self.words or word in FUNCTION_WORDS or len(word) < 4:
            return word
        if word not in self.memory:
            self.memory[word] = (self._nearest(word) or word) if word.isalpha() else word
        return self.memory[word]

    def _nearest(self, word: str) -> str | None:
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        # People rarely miss a word's first letter, but they swap the first two.
        choices = self.by_letter[word[0]] + [
            choice for choice in self.by_letter[word[1]] if choice[1] == word[0] != word[1]
        ]
        cutoff = 2 if len(word) >= 8 else 1
        form = fold_word(word)
        likely = [
            (distance, -self.words[choice], choice)
            for text in dict.fromkeys((word, form))
            for choice, distance, _ in process.extract(
                text, choices, scorer=OSA.distance, score_cutoff=cutoff, limit=None
            )
            # A mistake is rarer than what was meant, where that is searched at all.
            if self.searched.get(form, 0) <= self.searched.get(choice, 1 << 62)
        ]
        return min(likely)[2] if likely else None


@dataclass(frozen=True)
class QueryParser:
    """Finds the vocabulary's entries in a query by their values, phrases and aliases.

    Attributes:
        phrases: Written-together stems ("vneck") -> (products, entry id, key), best first.
        words: Every word of the vocabulary with the number of products it is about.
        longest: Words of the longest phrase.
    """

    phrases: Mapping[str, tuple[tuple[int, str, str], ...]]
    words: Mapping[str, int]
    longest: int

    @classmethod
    def of(cls, entries: pl.DataFrame, aliases: pl.DataFrame) -> "QueryParser":
        """Parser of a vocabulary (`attribute_vocabulary.entries` and `.aliases`)."""
        phrases: dict[str, dict[str, tuple[int, str, str]]] = defaultdict(dict)
        words: dict[str, int] = defaultdict(int)
        longest = 1
        for text, entry_id, key, products in _spellings(entries, aliases):
            form = stems(text)
            if not form:
                continue
            longest = max(longest, len(form))
            phrases["".join(form)][entry_id] = (products, entry_id, key)
            for word in {*form, "".join(form)}:
                words[word] += products + 1
        best = {
            form: tuple(sorted(found.values(), key=lambda f: (-f[0], f[1])))
            for form, found in phrases.items()
        }
        return cls(best, dict(words), min(longest, 6))

    def parse(self, query: str) -> tuple[list[str], float]:
        """Entry ids named by a query, sorted, and the share of its words that were understood.

        Longest phrases first, from the left; of several entries that a phrase can mean, the one
        whose key has no entry yet, then the one with the most products.
        """
        words = tokens(query)
        forms = [fold_word(word) for word in words]
        found: dict[str, str] = {}  # entry id -> key
        understood, at = 0, 0
        while at < len(words):
            for size in range(min(self.longest, len(words) - at), 0, -1):
                meanings = self.phrases.get("".join(forms[at : at + size]))
                if meanings:
                    free = [m for m in meanings if m[2] not in found.values()]
                    _, entry_id, key = (free or meanings)[0]
                    found[entry_id] = key
                    understood += sum(w not in FUNCTION_WORDS for w in words[at : at + size])
                    at += size
                    break
            else:
                at += 1
        total = sum(word not in FUNCTION_WORDS for word in words)
        return sorted(found), (understood / total if total else 0.0)


def _spellings(entries: pl.DataFrame, aliases: pl.DataFrame) -> Iterable[tuple[str, str, str, int]]:
    """(text, entry id, key, products) of everything that names an entry."""
    known = {}
    for entry_id, key, value, phrase, products in entries.select(
        "entry_id", "key", "value", "phrase", "products"
    ).iter_rows():
        known[entry_id] = (key, products)
        for text in (value, phrase, f"{value} {key}"):
            yield text or "", entry_id, key, products
    named = aliases.filter(pl.col("entry_id").is_in(list(known)))
    for raw, entry_id in named.select("raw_value", "entry_id").iter_rows():
        key, products = known[entry_id]
        yield raw, entry_id, key, products
