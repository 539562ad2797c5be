"""The words steward: words that images, or other keys, contradict.

The vision-language model looks at images without knowing what sellers write, so its words for the
same products are evidence. Where it has not looked, nothing is said.
"""

from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from pinlanding_assets.attributes.normalisation import fold
from pinlanding_assets.curation.cases import AGREED, Case, Witness
from pinlanding_assets.decisions.operations import (
    KeyMerge,
    SourceDistrust,
    WordDrop,
    WordKeep,
    WordMerge,
    WordMove,
)
from resources.intervals import wilson

AGENT = "agent:words"
_LOOKED = 3  # fewest products of a word that the images have to have shown
_ITSELF = 0.6  # lower end of the share of its products that images call by the word itself
_JUNK = 10  # fewest looks before a word can be called junk
_SPREAD = 0.5  # a word whose products images call by one word at most so often says nothing
_WIDER = 3  # how many times as common a word has to be under the other key
_TWINS = 0.8  # share of the words of the narrower of two keys that are one
_STATED = 5  # fewest products on which a seller's field was looked at
_WRONG = 0.5  # lower end of the share of them on which images contradict it


def words_against_images(
    mentions: pl.DataFrame, entries: pl.DataFrame, aliases: pl.DataFrame, keys: pl.DataFrame
) -> Iterator[Case]:
    """Words of keys with one value, said by sellers of products that images call otherwise.

    Args:
        mentions: Of the catalog as it stands, heard as the vocabulary was.
        entries, aliases, keys: Of `attribute_vocabulary`.
    """
    single = keys.filter(~pl.col("multi"))["key"].to_list()
    meaning = {
        (key, raw): entry
        for key, raw, entry in aliases.select("key", "raw_value", "entry_id").iter_rows()
    }
    known = set(entries["entry_id"])
    met = _met(mentions, single)
    # a word that means something under another key is no junk: see `words_under_two_keys`
    homes: dict[str, set[str]] = {}
    for entry in known:
        home, _, value = entry.partition("=")
        homes.setdefault(value, set()).add(home)
    shown_itself = set(mentions.filter(source="vlm").select("key", "value").unique().iter_rows())
    for (key, word), seen in met.items():
        looked = sum(len(products) for products in seen.values())
        if looked < _LOOKED:
            continue
        now = meaning.get((key, word))
        if (key, word) in shown_itself:  # images know the word: it is one, whatever was decided
            alike = sorted(seen.get(word, []))
            likely = wilson(len(alike), looked)[0] >= _ITSELF
            if now != f"{key}={word}" and likely:
                why = f"images call {len(alike)} of {looked} products {word}, too"
                witness = Witness("images", looked, len(alike))
                operation = WordKeep(key=key, word=word)
                yield Case(AGENT, operation, why, looked, looked, (witness,), alike[:12])
            continue
        called: dict[str, list[str]] = {}
        for other, products in seen.items():
            entry = meaning.get((key, other))
            if entry is not None:
                called.setdefault(entry, []).extend(products)
        if not called:
            continue
        best = max(called, key=lambda entry: (len(called[entry]), entry))
        examples, agrees = sorted(called[best])[:12], len(called[best])
        witness = Witness("images", looked, agrees)
        said = f"images call {agrees} of {looked} products {best.partition('=')[2]}"
        if agrees >= AGREED * looked and best != now and best in known:
            into = best.partition("=")[2]
            operation = WordMerge(key=key, word=word, into=into)
            yield Case(AGENT, operation, said, looked, looked, (witness,), examples)
        elif looked >= _JUNK and agrees <= _SPREAD * looked and homes.get(word, {key}) <= {key}:
            own = now in (None, f"{key}={word}")
            operation = WordDrop(key=key, word=word) if own else WordKeep(key=key, word=word)
            yield Case(AGENT, operation, said, looked, looked, (witness,), examples)


def _met(
    mentions: pl.DataFrame, single: list[str]
) -> Mapping[tuple[str, str], dict[str, list[str]]]:
    """(key, seller's word) -> the images' word -> products."""
    spoken = mentions.filter(pl.col("key").is_in(single)).select(
        "product_id", "key", "value", "source"
    )
    seen = spoken.filter(source="vlm").select("product_id", "key", shown="value").unique()
    said = spoken.filter(source="catalog").select("product_id", "key", "value").unique()
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    rows = said.join(seen, on=["product_id", "key"]).sort("product_id", "shown")
    for product, key, word, shown in rows.select("product_id", "key", "value", "shown").iter_rows():
        found.setdefault((key, word), {}).setdefault(shown, []).append(product)
    return found


def words_under_two_keys(
    entries: pl.DataFrame,
    aliases: pl.DataFrame,
    mentions: pl.DataFrame,
    twins: Iterable[Case] = (),
) -> Iterator[Case]:
    """A word under a key where it is rare, that is common under another: red as a material.

    Args:
        entries, aliases: Of `attribute_vocabulary`.
        mentions: Of the catalog as it stands.
        twins: Keys that are one (`twin_keys`): their words need not be moved one by one.
    """
    one = {frozenset((case.operation.key, case.operation.into)) for case in twins}  # type: ignore[attr-defined]
    counts: dict[str, dict[str, tuple[int, str]]] = {}
    for key, raw, count in aliases.select("key", "raw_value", "count").iter_rows():
        counts.setdefault(fold(raw), {})[key] = (count, raw)
    looks = mentions.filter(source="vlm")
    shown = set(looks.select("key", "value").unique().iter_rows())
    values = set(entries["entry_id"])
    for of_key in counts.values():
        if len(of_key) < 2:
            continue
        home = max(of_key, key=lambda key: (of_key[key][0], key))
        most, spelt = of_key[home]
        if f"{home}={spelt}" not in values:
            continue
        for key, (count, raw) in of_key.items():
            if key == home or count * _WIDER > most or (key, raw) in shown:
                continue
            if frozenset((key, home)) in one:
                continue
            operation = WordMove(key=key, word=raw, to_key=home)
            why = f"{most} products have it under {home}, {count} under {key}"
            theirs = mentions.filter(pl.col("source") != "vlm", key=key, value=raw)
            seen = looks.join(theirs, on="product_id", how="semi").filter(key=home)
            products = seen["product_id"].n_unique()
            agrees = seen.filter(value=spelt)["product_id"].n_unique()
            witnesses = (
                Witness("sellers", most + count, most),
                Witness("images", products, agrees),
            )
            yield Case(AGENT, operation, why, count, count, witnesses)


def twin_keys(mentions: pl.DataFrame, keys: pl.DataFrame) -> Iterator[Case]:
    """Two keys that no product has both of, or has alike, the words of one being words of the
    other."""
    said = mentions.filter(source="catalog").select("product_id", "key", "value").unique()
    folded = {value: fold(value) for value in said["value"].unique()}
    said = said.with_columns(word=pl.col("value").replace_strict(folded, return_dtype=pl.String))
    words = {
        key: set(found)
        for key, found in said.group_by("key").agg(pl.col("word").unique()).iter_rows()
    }
    carried = {
        key: dict(zip(rows["product_id"], rows["word"], strict=True))
        for (key,), rows in said.sort("product_id", "word").group_by("key")
    }
    wide = dict(keys.select("key", "coverage").iter_rows())
    names = sorted(key for key in words if len(words[key]) >= 3)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            both, fewer = words[one] & words[other], min(len(words[one]), len(words[other]))
            if len(both) < _TWINS * fewer:
                continue
            shared = carried[one].keys() & carried[other].keys()
            alike = sum(carried[one][p] == carried[other][p] for p in shared)
            if alike < 0.95 * len(shared):
                continue
            small, large = sorted((one, other), key=lambda key: (wide.get(key, 0.0), key))
            count = len(carried[small])
            why = f"{len(both)} of the {fewer} words of the narrower are words of the other"
            witness = Witness("sellers", fewer, len(both))
            yield Case(AGENT, KeyMerge(key=small, into=large), why, count, count, (witness,))


def wrong_sources(
    mentions: pl.DataFrame, aliases: pl.DataFrame, keys: pl.DataFrame, products: pl.DataFrame
) -> Iterator[Case]:
    """Sellers whose field says as a rule what images contradict."""
    single = keys.filter(~pl.col("multi"))["key"].to_list()
    meaning = aliases.select("key", "entry_id", value="raw_value").drop_nulls("entry_id")
    spoken = mentions.filter(pl.col("key").is_in(single)).join(meaning, on=["key", "value"])
    seen = spoken.filter(source="vlm").select("product_id", "key", shown="entry_id").unique()
    said = spoken.filter(source="catalog").select("product_id", "key", "entry_id").unique()
    held = said.join(seen, on=["product_id", "key"]).join(
        products.select("product_id", "seller"), on="product_id"
    )
    looked = (
        held.drop_nulls("seller")
        .group_by("seller", "key")
        .agg(
            looked=pl.col("product_id").n_unique(),
            wrong=pl.col("product_id").filter(pl.col("entry_id") != pl.col("shown")).n_unique(),
            examples=pl.col("product_id").filter(pl.col("entry_id") != pl.col("shown")).sort(),
        )
        .filter(pl.col("looked") >= _STATED)
        .sort("seller", "key")
    )
    for seller, key, count, wrong, examples in looked.iter_rows():
        witness = Witness("images", count, wrong)
        if wilson(wrong, count)[0] < _WRONG:
            continue
        operation = SourceDistrust(seller=seller, key=key)
        why = f"images contradict {wrong} of the {count} products that they show"
        yield Case(AGENT, operation, why, wrong, wrong, (witness,), examples[:12])
