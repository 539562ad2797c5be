"""Extractors: products in, `mentions` rows out (docs/architecture.md, table mentions).

In the order in which they are trusted: the catalog's own structured fields, keywords of the title
and the description, the answers of a vision-language model. Every rule is linear in the length of
the text, so hostile text costs no more than honest text.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from pinlanding_assets.attributes.normalisation import (
    as_written,
    clean_key,
    clean_value,
    fold,
    fold_inner,
    fold_word,
    fold_words,
    is_audience,
    is_other_word,
    join_fold,
    words,
)

CATALOG_EXTRACTOR = "catalog-fields-1"
TEXT_EXTRACTOR = "keywords-1"
MAX_RAW_CHARS = 4096
MAX_PAIRS = 32
MAX_PHRASE_WORDS = 6
MAX_TEXT_WORDS = 400  # words of a title or description that are read
_EMPTY_VALUES = frozenset({"", "n/a", "na", "none", "null", "unknown", "unspecified", "-", "other"})
_AUDIENCE_KEYS = ("audience", "gender", "sex", "target_gender")
# Between parts of a path, and not before a bound: ">10 kg", "size>38", "A -> B" are none.
_ARROWS = re.compile(r"(?<=[^\s<>›-])\s+[>›]+\s+(?=\S)|(?<=[^\W\d_])[>›]+(?=[^\W\d_])")
_SLASHES = re.compile(r"(?<=[^\W\d])\s*/\s*(?=[^\W\d])")
_MAX_PATH = 500  # characters
_MIN_TYPO_CHARS = 5
_RARE = 20  # times as many titles that the right word has, where a slip is in several texts

Lexicon = Mapping[str, Sequence[str] | Mapping[str, Sequence[str]]]
"""Key -> values, or key -> value -> other words for it."""

MENTIONS_SCHEMA = {
    "product_id": pl.String,
    "image_hash": pl.String,
    "source": pl.String,
    "extractor": pl.String,
    "key": pl.String,
    "value": pl.String,
    "evidence": pl.String,
}
ANSWERS_SCHEMA = {
    "product_id": pl.String,
    "image_hash": pl.String,
    "extractor": pl.String,
    "raw": pl.String,
    "valid": pl.Boolean,
    "reason": pl.String,
    "pairs": pl.Int64,
}


def clean_pair(key: str, value: str) -> tuple[str, str] | None:
    """A storable (key, value), or None where either is no attribute."""
    clean = clean_key(key), clean_value(value)
    if clean[0] is None or clean[1] is None or clean[1] in _EMPTY_VALUES:
        return None
    return clean[0], clean[1]


def from_catalog(products: pl.DataFrame) -> pl.DataFrame:
    """Mentions from the structured fields of a `products` table; deleted products are left out.

    Evidence is the value with its capitals, where it has any.
    """
    rows = [
        (product_id, None, "catalog", CATALOG_EXTRACTOR, *pair, as_written(value, pair[1]))
        for product_id, pair, value in _catalog_pairs(products)
    ]
    return mentions_frame(rows)


def _catalog_pairs(products: pl.DataFrame) -> Iterator[tuple[str, tuple[str, str], str]]:
    """Product, clean key and value, and the value as it stands in the field.

    A path ("Men > Tops > Jackets") states each of its parts; those that say for whom things are
    ("Men") are values of the key that the catalog has for that, else of `audience`.
    """
    pairs = products["attributes"].drop_nulls().explode().struct
    keys = {clean_key(key) for key in pairs.field("key").drop_nulls().unique()}
    audience = next((key for key in _AUDIENCE_KEYS if key in keys), _AUDIENCE_KEYS[0])
    live = products.filter(pl.col("operation") == "upsert").select("product_id", "attributes")
    for product_id, attributes in live.iter_rows():
        for attribute in attributes or ():
            key, value = attribute["key"] or "", attribute["value"] or ""
            parts = path_parts(value)
            for part in parts:
                own = audience if len(parts) > 1 and is_audience(part) else key
                pair = clean_pair(own, part)
                if pair is not None:
                    yield product_id, pair, part


def path_parts(value: str) -> list[str]:
    """Parts of a path of categories, the widest first; the value alone where it is none."""
    if "://" in value or len(value) > _MAX_PATH:
        return [value]
    if ">" in value or "›" in value:
        found = _ARROWS.split(value)
    else:
        found = _SLASHES.split(value)
        found = found if len(found) > 2 else [value]  # "s/m" is one size
    return [part for part in map(str.strip, found) if part] or [value]


@dataclass
class Keywords:
    """Fold of a phrase -> its (key, value), with how often each was added."""

    meanings: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    prefixes: set[str] = field(default_factory=set)  # of the phrases

    def add(self, key: str, value: str, phrase: str) -> None:
        tokens = words(phrase)
        if sum(c.isalpha() for t in tokens for c in t) < 3:
            return  # "xl", "10", "f": too short to be found in running text
        folded = fold_words(tokens)
        self.meanings[folded][key, value] += 1
        self.prefixes.update(folded[:size] for size in range(1, len(folded) + 1))

    def meaning(self, folded: str) -> tuple[str, str] | None:
        """What a phrase means, in its most frequent spelling; None where it has two meanings."""
        found = self.meanings.get(folded, {})
        # the same value in several spellings is one meaning; in several keys it is none
        if len({(key, fold(value)) for key, value in found}) != 1:
            return None
        return min(found, key=lambda pair: (-found[pair], pair))

    def scan(self, tokens: Sequence[str]) -> Iterator[tuple[int, int, str]]:
        """(start, end, fold) of known phrases, longest first, none overlapping another.

        A phrase may be written apart or together ("t shirt", "tshirt"). Most words begin nothing
        that is known, and are left after one look-up.
        """
        start = 0
        while start < len(tokens):
            best, before = None, ""
            for end in range(start, min(start + MAX_PHRASE_WORDS, len(tokens))):
                folded = join_fold(before, fold_word(tokens[end]))
                if folded in self.meanings and (end == start or len(folded) >= 5):
                    best = (start, end + 1, folded)
                before = join_fold(before, fold_inner(tokens[end]))
                if before not in self.prefixes:
                    break
            if best is not None:
                yield best
            start = best[1] if best is not None else start + 1


def from_text(
    products: pl.DataFrame, lexicon: Lexicon, *, silent: str | None = None
) -> pl.DataFrame:
    """Mentions that the title (and for lexicon values the description) spells out.

    Known values are those of `lexicon` and those that the structured fields of the same products
    show. A learned value is left out where titles that name it mostly disagree with the field
    (a brand called "black"). Words are matched whole, longest phrase first, in any plural and
    British or American spelling; a rare word of a title one slip away from a much more frequent
    value counts as that value. A phrase that belongs to two keys says nothing. Of a text that
    several products share, a word of a key in which such products differ (the colors of variants)
    speaks of none of them.

    Args:
        products: Rows of the `products` table.
        lexicon: Key -> values, or key -> value -> other words for it.
        silent: Key of which titles say nothing, whatever their words: what people put together.

    Returns:
        `mentions`; evidence is the match with one word of context on either side.

    Raises:
        ValueError: A lexicon key or value is no attribute.
    """
    config, known = Keywords(), Keywords()
    silent = clean_key(silent) if silent else None
    for raw_key, values in lexicon.items():
        synonyms = values if isinstance(values, Mapping) else dict.fromkeys(values, ())
        for raw_value, others in synonyms.items():
            pair = clean_pair(raw_key, raw_value)
            if pair is None:
                raise ValueError(f"lexicon: {raw_key!r} = {raw_value!r} is not an attribute")
            for phrase in (raw_value, *others):
                config.add(*pair, phrase)
                known.add(*pair, phrase)
    fields: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for product_id, (key, value), _ in _catalog_pairs(products):
        if key == silent:
            continue
        known.add(key, value, value)
        fields[product_id][key].add(fold(value))

    live = products.filter(pl.col("operation") == "upsert")
    titles = {
        product_id: words(title or "")[:MAX_TEXT_WORDS]
        for product_id, title in live.select("product_id", "title").iter_rows()
    }
    for folded in _unreliable(titles, known, fields) - config.meanings.keys():
        del known.meanings[folded]
    slips = _slips(titles, live["description"], known)

    apart = _differing(titles, fields)
    rows = []
    for product_id, tokens in titles.items():
        corrected = [slips.get(token, token) for token in tokens]
        rows += _found(product_id, tokens, corrected, known, apart.get(product_id, ()))
    if config.meanings:
        texts = {
            product_id: words(text or "")[:MAX_TEXT_WORDS]
            for product_id, text in live.select("product_id", "description").iter_rows()
        }
        apart = _differing(texts, fields)
        for product_id, tokens in texts.items():
            rows += _found(product_id, tokens, tokens, config, apart.get(product_id, ()))
    return mentions_frame(rows)


def _differing(
    texts: Mapping[str, list[str]], fields: Mapping[str, Mapping[str, set[str]]]
) -> dict[str, set[str]]:
    """For products that share their text with others: the keys in which most products that share
    one differ, by their own fields."""
    sharing: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for product_id, tokens in texts.items():
        if tokens:
            sharing[tuple(tokens)].append(product_id)
    groups = [group for group in sharing.values() if len(group) > 1]
    met, differ = Counter[str](), Counter[str]()
    for group in groups:
        stated: dict[str, list[set[str]]] = defaultdict(list)
        for product_id in group:
            for key, values in fields.get(product_id, {}).items():
                stated[key].append(values)
        for key, values in stated.items():
            met[key] += len(values) > 1
            differ[key] += any(one != values[0] for one in values)
    keys = {key for key, n in differ.items() if n and n >= 0.5 * met[key]}
    return {product_id: keys for group in groups for product_id in group} if keys else {}


def _found(
    product_id: str,
    tokens: list[str],
    corrected: list[str],
    keywords: Keywords,
    unheard: Collection[str],
) -> Iterator[tuple]:
    for start, end, folded in keywords.scan(corrected):
        meaning = keywords.meaning(folded)
        if meaning is not None and meaning[0] not in unheard:
            around = " ".join(tokens[max(0, start - 1) : end + 1])[:120]
            yield (product_id, None, "title", TEXT_EXTRACTOR, *meaning, around)


def _unreliable(
    titles: Mapping[str, list[str]],
    keywords: Keywords,
    fields: Mapping[str, Mapping[str, set[str]]],
) -> set[str]:
    """Phrases whose products' own field says something else more often than not."""
    said, agreed = Counter[str](), Counter[str]()
    for product_id, tokens in titles.items():
        for _, _, folded in keywords.scan(tokens):
            meaning = keywords.meaning(folded)
            if meaning is not None and (shown := fields.get(product_id, {}).get(meaning[0])):
                said[folded] += 1
                agreed[folded] += fold(meaning[1]) in shown
    return {folded for folded, n in said.items() if n >= 3 and agreed[folded] < 0.5 * n}


def _slips(
    titles: Mapping[str, list[str]], descriptions: pl.Series, keywords: Keywords
) -> dict[str, str]:
    """Misspelt title word -> the known word it stands for.

    Candidates come from a table of known words with one letter left out, so the cost is linear in
    the number of distinct words. Guards: same first letter, no digits, one candidate only, and
    the known word is at least five times as frequent in the titles. Words that differ in their
    ending alone ("drive", "driver"), or in one letter of a short word ("short", "shirt"), are two
    words; so is one that several titles or descriptions use, unless it is rare beside the other.
    """
    from rapidfuzz.distance import OSA

    counts = Counter(token for tokens in titles.values() for token in set(tokens))
    frequent = Counter[str]()
    for token, n in counts.items():
        frequent[fold_word(token)] += n
    targets = {t for t in keywords.meanings if len(t) >= _MIN_TYPO_CHARS and t.isalpha()}
    shortened: dict[str, set[str]] = defaultdict(set)
    for target in sorted(targets):
        for form in _without_one(target):
            shortened[form].add(target)
    slips = {}
    for token, n in counts.items():
        folded = fold_word(token)
        if len(folded) < _MIN_TYPO_CHARS or not folded.isalpha() or folded in keywords.meanings:
            continue
        near = {
            target
            for form in _without_one(folded)
            for target in shortened.get(form, ())
            if target[0] == folded[0]
            and frequent[target] >= 5 * n
            and OSA.distance(target, folded, score_cutoff=1) <= 1
            and not is_other_word(folded, target)
            and not _differ_in_ending(folded, target)
        }
        if len(near) == 1:
            slips[token] = near.pop()
    if slips:
        # "libray" in any word counts: it can only save a word from being corrected
        used = descriptions.str.extract_many([*slips], ascii_case_insensitive=True)
        found = used.list.eval(pl.element().str.to_lowercase().unique()).explode()
        for token, n in found.drop_nulls().value_counts().iter_rows():
            counts[token] += n
    return {
        token: target
        for token, target in slips.items()
        if counts[token] == 1 or frequent[target] >= _RARE * counts[token]
    }


def _differ_in_ending(a: str, b: str) -> bool:
    """Words of one root that are one letter apart: "drive" and "driver", "driven" and "driver"."""
    return a[:-1] in (b, b[:-1]) or a == b[:-1]


def _without_one(word: str) -> set[str]:
    word = word[:40]
    return {word} | {word[:i] + word[i + 1 :] for i in range(len(word))}


def parse_answer(raw: str) -> tuple[list[tuple[str, str]], bool, str | None]:
    """Pairs of a model's answer.

    Args:
        raw: The answer: one JSON object of strings, a code fence around it is tolerated.

    Returns:
        (pairs, valid, reason): cleaned pairs in the order of the answer, whether the whole answer
        kept to the form, and why not. An invalid answer yields no pairs: a model that left the
        form in one place is not to be trusted in the next.
    """
    text = raw.strip()
    if text.startswith("error: "):  # written by the resource where the model gave no answer
        return [], False, text[:200]
    if len(text) > MAX_RAW_CHARS:
        return [], False, f"longer than {MAX_RAW_CHARS} characters"
    if text.startswith("```"):
        text = text[3:].removeprefix("json").removesuffix("```").strip()
    try:
        members = json.loads(text, object_pairs_hook=list, parse_constant=_reject)
    except (ValueError, RecursionError):
        return [], False, "not JSON"
    # json gives objects as lists of tuples (the hook keeps duplicate keys), arrays as plain lists
    if not isinstance(members, list) or not text.startswith("{"):
        return [], False, "not an object"
    if len(members) > MAX_PAIRS:
        return [], False, f"more than {MAX_PAIRS} pairs"
    pairs: dict[str, str] = {}
    for key, value in members:
        if not isinstance(value, str):
            return [], False, f"{key[:40]!r} is not a string"
        if len(value) > 4 * MAX_PAIRS:
            return [], False, f"{key[:40]!r} is longer than {4 * MAX_PAIRS} characters"
        pair = clean_pair(key, value)
        if pair is None:
            continue
        if pairs.setdefault(*pair) != pair[1]:
            return [], False, f"two values for {pair[0]!r}"
    return list(pairs.items()), True, None


def _reject(constant: str) -> None:
    raise ValueError(constant)


def mentions_from_answers(
    asked: pl.DataFrame, raw: Sequence[str], extractor: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The `mentions` and `answers` tables of one batch of a vision-language model.

    Args:
        asked: product_id, image_hash of each question, in the order of `raw`.
        raw: One answer a question.
        extractor: Version of the model, its prompt and its schema.

    Raises:
        ValueError: Not one answer a question.
    """
    if asked.height != len(raw):
        raise ValueError(f"{asked.height} questions but {len(raw)} answers")
    mentions, answers = [], []
    for (product_id, image_hash), text in zip(
        asked.select("product_id", "image_hash").iter_rows(), raw, strict=True
    ):
        pairs, valid, reason = parse_answer(text)
        kept = text[:MAX_RAW_CHARS].encode("utf-8", "replace").decode()
        answers.append((product_id, image_hash, extractor, kept, valid, reason, len(pairs)))
        mentions += [(product_id, image_hash, "vlm", extractor, *pair, None) for pair in pairs]
    return mentions_frame(mentions), pl.DataFrame(
        answers, schema=ANSWERS_SCHEMA, orient="row"
    ).sort("product_id", "image_hash")


def mentions_frame(rows: Sequence[tuple]) -> pl.DataFrame:
    """Distinct mentions in a fixed order; of equal mentions the first evidence is kept."""
    order = ["product_id", "image_hash", "source", "extractor", "key", "value"]
    frame = pl.DataFrame(rows, schema=MENTIONS_SCHEMA, orient="row")
    return frame.unique(order, keep="first", maintain_order=True).sort(order)
