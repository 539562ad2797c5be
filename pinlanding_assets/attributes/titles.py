"""What titles say in the vocabulary's own words, once there is one.

While a day is read, titles are searched for values that the catalog's fields show. Keys that only
the vision-language model names (it looks at a sample) are found in titles afterwards, with what it
called them and with what titles call the same things ("gingham" where it sees checks): so that
titles label products that it never looked at. A word counts where the model, on products that it
has seen, says what the title says: "short" in front of a sleeve is trusted, in "shorts" it is not.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import pairwise

import polars as pl

from pinlanding_assets.attributes.extraction import (
    MAX_TEXT_WORDS,
    TEXT_EXTRACTOR,
    Keywords,
    mentions_frame,
)
from pinlanding_assets.attributes.normalisation import FUNCTION_WORDS, fold_words, words

WORDS_SCHEMA = {"entry_id": pl.String, "key": pl.String, "value": pl.String, "word": pl.String}
LEAST = 5  # products that the model has looked at and whose titles have the word
AGREED = 0.9  # of them: the model says the same of the product
BY_CHANCE = 1e-6  # how probable that may be for a word that says nothing, on a frequent value


def trusted_words(
    products: pl.DataFrame, mentions: pl.DataFrame, entries: pl.DataFrame, aliases: pl.DataFrame
) -> pl.DataFrame:
    """Words for the entries of keys that no field of the catalog states, as titles use them.

    Args:
        products: product_id, title.
        mentions: Table `mentions`, of all sources.
        entries: `attribute_vocabulary.entries`.
        aliases: `attribute_vocabulary.aliases`.

    Returns:
        `WORDS_SCHEMA`, by entry and word.
    """
    stated = mentions.filter(pl.col("source") == "catalog")["key"].unique()
    unstated = entries.filter(~pl.col("key").is_in(stated.implode()))
    own = {e: (k, v) for e, k, v in unstated.select("entry_id", "key", "value").iter_rows()}
    spelt = pl.concat(
        [
            entries.select("entry_id", word="value"),
            entries.select("entry_id", word="phrase"),
            aliases.drop_nulls("entry_id").select("entry_id", word="raw_value"),
        ]
    )
    known = Keywords()
    for entry, word in spelt.unique().sort("entry_id", "word").iter_rows():
        if entry in own:
            known.add(*own[entry], word)
    looked = mentions.filter(pl.col("source") == "vlm").join(
        aliases.select("key", "entry_id", value="raw_value"), on=["key", "value"], how="left"
    )
    seen: dict[str, set[str]] = defaultdict(set)
    for product, entry in looked.select("product_id", "entry_id").iter_rows():
        seen[product].add(entry or "")
    titles = products.select("product_id", "title").unique("product_id", keep="last")
    read = {
        product: words(title or "")[:MAX_TEXT_WORDS]
        for product, title in titles.sort("product_id").iter_rows()
        if product in seen
    }
    named = set(known.meanings)
    _keep_trusted(known, read, seen)
    for word, entry in _learnt(read, seen, own.keys(), known, named):
        known.add(*own[entry], word)
    _keep_trusted(known, read, seen)
    entry_of = {pair: entry for entry, pair in own.items()}
    rows = [
        (entry_of[meaning], *meaning, folded)
        for folded in known.meanings
        if (meaning := known.meaning(folded)) is not None
    ]
    return pl.DataFrame(rows, schema=WORDS_SCHEMA, orient="row").sort("entry_id", "word")


def _keep_trusted(
    known: Keywords, read: Mapping[str, Sequence[str]], seen: Mapping[str, Set[str]]
) -> None:
    """Leaves out the words of too few products, and those that the model does not agree with."""
    met, agreed = Counter[str](), Counter[str]()
    for product, tokens in read.items():
        for _, _, folded in known.scan(tokens):
            meaning = known.meaning(folded)
            met[folded] += 1
            agreed[folded] += meaning is not None and "=".join(meaning) in seen[product]
    for folded in list(known.meanings):
        if met[folded] < LEAST or agreed[folded] < AGREED * met[folded]:
            del known.meanings[folded]


def _learnt(
    read: Mapping[str, Sequence[str]],
    seen: Mapping[str, Set[str]],
    wanted: Set[str],
    known: Keywords,
    named: Set[str],
) -> list[tuple[str, str]]:
    """(words of a title, entry): one or two words whose products the model calls so.

    They are sought between the words that are known already, and are none that the vocabulary
    itself uses (`named`).
    """
    from scipy.special import bdtrc

    together: dict[str, Counter[str]] = defaultdict(Counter)
    met, carried = Counter[str](), Counter[str]()
    for product, tokens in read.items():
        carried.update(seen[product] & wanted)
        phrases = {
            phrase
            for run in _between(tokens, known)
            for phrase in (*run, *(f"{one} {two}" for one, two in pairwise(run)))
        }
        for phrase in phrases - FUNCTION_WORDS:
            met[phrase] += 1
            together[phrase].update(seen[product] & wanted)
    learnt: dict[str, tuple[str, str]] = {}
    for phrase in sorted(met, key=lambda phrase: (phrase.count(" "), phrase)):
        entry, both = max(together[phrase].items(), key=lambda c: (c[1], c[0]), default=("", 0))
        folds = {fold_words([word]) for word in phrase.split(" ")} | {fold_words(phrase.split(" "))}
        if both < max(LEAST, AGREED * met[phrase]) or folds & learnt.keys():
            continue  # or a word of it says as much
        usual = carried[entry] / len(read)
        if bdtrc(both - 1, met[phrase], usual) <= BY_CHANCE:
            learnt[fold_words(phrase.split(" "))] = phrase, entry
    return [found for fold, found in learnt.items() if fold not in named]


def _between(tokens: Sequence[str], known: Keywords) -> Iterator[Sequence[str]]:
    """What of a title is not known yet."""
    start = 0
    for first, end, _ in known.scan(tokens):
        yield tokens[start:first]
        start = end
    yield tokens[start:]


def read_titles(products: pl.DataFrame, title_words: pl.DataFrame) -> pl.DataFrame:
    """`mentions` (source `title`) by the words of `trusted_words`; evidence is the word with its
    neighbours.

    Args:
        products: product_id, operation, title.
        title_words: Of `trusted_words`.
    """
    known = Keywords()
    for key, value, word in title_words.select("key", "value", "word").iter_rows():
        known.add(key, value, word)
    rows = []
    live = products.filter(pl.col("operation") == "upsert").select("product_id", "title")
    for product, title in live.iter_rows():
        tokens = words(title or "")[:MAX_TEXT_WORDS]
        for start, end, folded in known.scan(tokens):
            meaning = known.meaning(folded)
            if meaning is not None:
                around = " ".join(tokens[max(0, start - 1) : end + 1])[:120]
                rows.append((product, None, "title", TEXT_EXTRACTOR, *meaning, around))
    return mentions_frame(rows)
