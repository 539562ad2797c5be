"""Topics in words: a faithful template, its parser, and a slot for a language model.

A title states every entry of its topic and nothing else; `Phraser.parse_back` proves it, whoever
wrote the title (round-trip fidelity, PinLanding section 4).
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import polars as pl

from pinlanding_assets.attributes.normalisation import FUNCTION_WORDS, is_audience
from pinlanding_assets.attributes.normalisation import words as tokens
from pinlanding_assets.attributes.themes import THEME
from pinlanding_assets.attributes.vocabulary import EXISTING
from pinlanding_assets.topics.words import content, normal_form, plural, stems

MAX_TITLE = 120  # characters
_YES, _NO = frozenset({"yes", "true"}), frozenset({"no", "false"})
# English order of adjectives, by common names of keys; other keys stand before "material".
_ORDER = ("condition", "size", "length", "height", "age", "shape", "color", "pattern", "flavor")
_MARKUP = re.compile(r"[<>{}\[\]\\`|^]|://")


class LanguageModel(Protocol):
    """Anything that answers prompts; `resources` has the implementations."""

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """One answer a prompt, in order."""
        ...


def topic_id(entries: Iterable[str]) -> str:
    """Stable id of a set of entries: 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest()[:16]


def is_safe_title(title: str) -> bool:
    """Whether a title is short, names something, and carries no markup or control characters."""
    return (
        len(title) <= MAX_TITLE
        and any(c.isalpha() for c in title)
        and not any(unicodedata.category(c).startswith("C") for c in title)
        and not _MARKUP.search(title)
    )


def is_safe_slug(slug: str) -> bool:
    """Whether a slug is one plain segment of a path, as `slugs` makes them."""
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) is not None and len(slug) <= 96


def slugs(titles: Sequence[str], topic_ids: Sequence[str]) -> list[str]:
    """ASCII slugs of titles, unique.

    A slug that leaves out letters, digits, "+" or "#" of its title ends in its topic's id, whatever
    the other titles are, so that it is the same every night; of equal slugs those from the second
    on.
    """
    used: set[str] = set()
    made = []
    for title, topic in zip(titles, topic_ids, strict=True):
        plain = unicodedata.normalize("NFKD", title)
        ascii_title = plain.encode("ascii", "ignore").decode()
        slug = re.sub(r"[^a-z0-9]+", "-", ascii_title.lower()).strip("-")[:80].strip("-")
        told = sum(c.isalnum() or c in "+#" for c in plain)  # "C++" is not "C"
        whole = told == sum(map(str.isalnum, slug))
        if not whole or not slug or slug in used:
            slug = f"{slug or 'topic'}-{topic[:8]}"
        used.add(slug)
        made.append(slug)
    return made


class Phraser:
    """Writes titles from entries and reads them back, for one vocabulary.

    Args:
        entries: entry_id, key, value, products, label (`attribute_vocabulary.entries`).
        keys: key, role (`attribute_vocabulary.keys`), in the order adjectives should stand.
        phrases: How values of a key read, as `{key: pattern}` with `{value}` in the pattern. A
            pattern that begins with the value stands before the noun, any other one after it
            ("with {value} sleeves", "for {value}").
        noun: What the items are, in the plural: the noun of topics without a product type.
    """

    def __init__(
        self,
        entries: pl.DataFrame,
        keys: pl.DataFrame,
        phrases: Mapping[str, str],
        noun: str = "products",
    ):
        for key, pattern in phrases.items():
            if "{value}" not in pattern:
                raise ValueError(f"phrases: pattern {pattern!r} of key {key!r} lacks {{value}}")
        self._patterns = {THEME: "{value}", **phrases}
        self._noun = noun
        roles = dict(keys.select("key", "role").iter_rows())
        self._product_type = next((k for k, role in roles.items() if role == "product_type"), None)
        self._given = {key for key, role in roles.items() if role == EXISTING}
        self._positions = {key: at for at, key in enumerate(roles)}
        shown = "label" if "label" in entries.columns else "value"
        self._entries = {
            entry_id: (key, value)
            for entry_id, key, value in entries.select("entry_id", "key", shown)
            .sort("entry_id")
            .iter_rows()
        }
        wide = entries.select("entry_id", "products") if "products" in entries.columns else None
        self._products = dict(wide.iter_rows()) if wide is not None else {}
        # Stems of every wording -> entry; a wording that could mean two entries means neither.
        self._meaning: dict[tuple[str, ...], str | None] = {}
        for wording in (self._natural, self._explicit):
            taken: dict[tuple[str, ...], set[str]] = {}
            for entry_id in self._entries:
                taken.setdefault(content(wording(entry_id)[1]), set()).add(entry_id)
            for words, meant in taken.items():
                # "Oranges" are the fruit, even where orange is a colour too.
                nouns = {e for e in meant if self._entries[e][0] == self._product_type}
                likely = nouns or meant
                self._meaning.setdefault(words, min(likely) if len(likely) == 1 else None)
        # The noun of the items says nothing, unless it is a product type as well.
        self._idle = content(noun)
        typed = self._meaning.get(self._idle) or ""
        if self._entries.get(typed, ("", ""))[0] == self._product_type:
            self._idle = ()
        self._longest = max((len(words) for words in self._meaning), default=1)

    def phrase(self, entries: Collection[str]) -> str:
        """Title of a topic: "Red striped dresses with short sleeves".

        Where that could be read as other entries ("Gold watches": colour or metal?), the keys are
        named: "Watches with gold color".

        Raises:
            KeyError: An entry is not in the vocabulary.
        """
        natural = self._write(entries, self._natural)
        if self.parse_back(natural) == frozenset(entries):
            return natural
        return self._write(entries, self._explicit)

    def parse_back(self, title: str) -> frozenset[str]:
        """Entries that a title states; empty where it says anything else, or is ambiguous."""
        words, idle = content(title), len(self._idle)
        if idle and words[-idle:] == self._idle:
            words = words[:-idle]
        elif idle and words[:idle] == self._idle:
            words = words[idle:]
        # Fewest phrases that cover the words: best[i] covers words[:i].
        best: list[frozenset[str] | None] = [frozenset(), *[None] * len(words)]
        cost = [0.0, *[float("inf")] * len(words)]
        for end in range(1, len(words) + 1):
            for start in range(max(0, end - self._longest), end):
                before, entry_id = best[start], self._meaning.get(words[start:end])
                if before is not None and entry_id is not None and cost[start] + 1 < cost[end]:
                    best[end], cost[end] = before | {entry_id}, cost[start] + 1
        found = best[-1]
        return frozenset() if found is None or len(found) != cost[-1] else found

    def _write(self, entries: Collection[str], wording: Callable[[str], tuple[str, str]]) -> str:
        said: dict[str, list[str]] = {"before": [], "noun": [], "after": []}
        # Of two product types the wider one is the noun: "europe flags".
        types = [e for e in entries if self._is_noun(*self._entries[e])]
        noun = min(types, key=lambda e: (-self._products.get(e, 0), e), default=None)
        for entry_id in sorted(entries, key=lambda e: (self._place(self._entries[e][0]), e)):
            place, words = wording(entry_id)
            if place == "noun" and entry_id != noun:
                place, words = "before", self._entries[entry_id][1]
            elif (
                place == "before"
                and noun
                and set(stems(words)) & set(stems(self._entries[noun][1]))
            ):
                place, words = self._explicit(entry_id)  # not "hoodie hoodies"
            said[place].append(words)
        if said["noun"]:
            title = " ".join([*said["before"], *said["noun"]])
        elif said["before"] and all(self._entries[e][0] in self._patterns for e in entries):
            title = " ".join([*said["before"], self._noun])
        elif said["before"]:
            title = f"{self._noun} in {_enumerate(said['before'])}"
        else:
            title = self._noun
        title = " ".join([title, *_merge_prepositions(said["after"])])
        return title[:1].upper() + title[1:]

    def _is_type(self, key: str, value: str) -> bool:
        """Whether a value is what things are; "women" is for whom they are."""
        return key == self._product_type and not is_audience(value)

    def _is_noun(self, key: str, value: str) -> bool:
        """Whether a value can be what a title is about: a type, or the name of a collection."""
        return key in self._given or self._is_type(key, value)

    def _place(self, key: str) -> tuple[int, int]:
        """Where an adjective stands: by the English order, then by the order of the keys."""
        return _adjective_place(key), self._positions.get(key, len(self._positions))

    def _natural(self, entry_id: str) -> tuple[str, str]:
        """Place and words of an entry, as one would say it."""
        key, value = self._entries[entry_id]
        if key in self._given:
            return "noun", value
        if self._is_type(key, value):
            return "noun", plural(value)
        if key in self._patterns:
            pattern = self._patterns[key]
            place = "before" if pattern.lstrip().startswith("{value}") else "after"
            return place, pattern.replace("{value}", value).strip()
        if is_audience(value):
            return "after", f"for {plural(value)}"
        name = _readable(key)
        if value in _YES:
            return "before", name
        if value in _NO:
            return "after", f"without {name}"
        if not any(c.isalpha() for c in value):
            return "after", f"with {name} {value}"
        if len(value.split()) <= 2:
            return "before", value
        return "after", f"with {value}"

    def _explicit(self, entry_id: str) -> tuple[str, str]:
        """Place and words of an entry with its key named."""
        key, value = self._entries[entry_id]
        if self._is_type(key, value):
            return "noun", plural(value)
        if is_audience(value):
            return "after", f"for {plural(value)}"
        name = _readable(key)
        if stems(name)[-1:] and stems(name)[-1] in stems(value):  # "v-neck", not "v-neck neck"
            return "after", f"with {value}"
        return "after", f"with {value} {name}"


def write_titles(
    topics: pl.DataFrame, phraser: Phraser, model: LanguageModel | None = None
) -> pl.DataFrame:
    """Adds topic_id, slug, title, faithful (the title says the entries and no more) and written
    (by the model) to topics.

    A title of the language model is taken only where it is safe and parses back to the topic's
    entries; the template stands in otherwise.

    Args:
        topics: A frame with `entries`, best topics first (they get the plain slugs).
    """
    wanted = [frozenset(entries) for entries in topics["entries"].to_list()]
    titles = [phraser.phrase(entries) for entries in wanted]
    plain = list(titles)
    if model is not None and titles:
        prompts = [
            "Write the title of a shop's collection page. Use only these attributes, all of them: "
            f"{', '.join(sorted(entries))}. Answer with the title only, like: {title}"
            for entries, title in zip(wanted, titles, strict=True)
        ]
        answers = [answer.strip().strip('"') for answer in model.complete(prompts)]
        titles = [
            answer if is_safe_title(answer) and phraser.parse_back(answer) == entries else title
            for answer, entries, title in zip(answers, wanted, titles, strict=True)
        ]
    ids = [topic_id(entries) for entries in wanted]
    faithful = [phraser.parse_back(t) == e for t, e in zip(titles, wanted, strict=True)]
    return topics.with_columns(
        pl.Series("topic_id", ids, dtype=pl.String),
        pl.Series("slug", slugs(titles, ids), dtype=pl.String),
        pl.Series("title", titles, dtype=pl.String),
        pl.Series("faithful", faithful, dtype=pl.Boolean),
        pl.Series(
            "written", [a != b for a, b in zip(titles, plain, strict=True)], dtype=pl.Boolean
        ),
    )


def retitled(topics: pl.DataFrame, titles: Mapping[str, str], phraser: Phraser) -> pl.DataFrame:
    """Topics with the titles that were decided, where these are safe and still say the topic's
    entries; their addresses stay.

    Args:
        topics: What `write_titles` gives.
        titles: Topic -> its title.
        phraser: Reads them back.
    """
    rows = topics.select("topic_id", "title", "entries").iter_rows()
    chosen = [
        titles[topic]
        if topic in titles
        and is_safe_title(titles[topic])
        and phraser.parse_back(titles[topic]) == frozenset(entries)
        else title
        for topic, title, entries in rows
    ]
    faithful = pl.Series([a != b for a, b in zip(chosen, topics["title"], strict=True)])
    return topics.with_columns(
        pl.Series("title", chosen, dtype=pl.String), faithful=pl.col("faithful") | faithful
    )


def _adjective_place(key: str) -> int:
    form = normal_form(key)
    if form in ("material", "fabric"):
        return len(_ORDER) + 1
    return next((at for at, name in enumerate(_ORDER) if name in form.split()), len(_ORDER))


def _readable(key: str) -> str:
    return " ".join(tokens(key))


def _enumerate(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _merge_prepositions(phrases: Sequence[str]) -> list[str]:
    """ "with a", "with b" -> "with a", "and b": a preposition is said once where it repeats."""
    merged: list[str] = []
    last = None
    for text in phrases:
        first, _, rest = text.partition(" ")
        merged.append(f"and {rest}" if first == last and first in FUNCTION_WORDS else text)
        last = first
    return merged
