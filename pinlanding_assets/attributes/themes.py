"""Themes: phrases of titles that say what a catalog is about where it states no attributes.

Words that enough titles have, and runs of up to three, become values of the key `theme`. A run has
to hold together: its words stand beside each other far more often than by chance. And its titles
have to be about one thing, closer in meaning than any titles of the catalog are: those with
"viewer" are, those with "using" are not.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pinlanding_assets.attributes.extraction import (
    MAX_TEXT_WORDS,
    TEXT_EXTRACTOR,
    Keywords,
    mentions_frame,
)
from pinlanding_assets.attributes.merging import Embed
from pinlanding_assets.attributes.normalisation import (
    FUNCTION_WORDS,
    fold_words,
    words,
)

THEME = "theme"
"""The key of themes: open, with several values a product, and never the product type."""
ALONE = 2.0
"""Coherence of a theme that is a topic by itself; below, its titles share the word only."""
_PART = re.compile(r"[:;,.!?|/\n–—]+(?=\s|$)|\s[-–—|/]\s|[()\[\]{}]")  # between parts of a title
_MAX_TITLE = 2_000  # characters that are read


@dataclass(frozen=True)
class ThemeSettings:
    """Thresholds, `alike` chosen on a catalog whose tags were hidden, for pages right by them.

    Attributes:
        described: Share of the products that attributes describe, from which there are enough.
        max_words: Words of a theme.
        titles: Fewest different titles of a theme: variants of one product have the same.
        widest: Share of the products above which a word says nothing.
        together: Least normalized pointwise mutual information of the halves of a run, from 0 (by
            chance) to 1 (always together).
        alike: Least mean cosine of the titles of a theme that is a topic by itself, where any
            titles of the catalog are at 0 and equal ones at 1.
        beside: The same of a theme that makes topics beside others only.
        sample: Titles of a theme that `alike` looks at.
        most: Themes kept, the most frequent first.
    """

    described: float = 0.5
    max_words: int = 3
    titles: int = 3
    widest: float = 0.5
    together: float = 0.3
    alike: float = 0.25
    beside: float = 0.0
    sample: int = 8
    most: int = 2_000


def are_wanted(
    mentions: pl.DataFrame, products: int, settings: ThemeSettings | None = None
) -> bool:
    """Whether attributes describe too few of the products to make pages of.

    Args:
        mentions: Table `mentions`. A model that looks at images looks at a sample, and the encoder
            spreads what it says: with one, attributes are enough.
        products: Size of the catalog.
    """
    settings = settings or ThemeSettings()
    looked = "vlm" in mentions["source"]
    return not looked and mentions["product_id"].n_unique() < settings.described * products


def find_themes(
    products: pl.DataFrame, embed: Embed, *, floor: int, settings: ThemeSettings | None = None
) -> tuple[pl.DataFrame, dict[str, float]]:
    """`mentions` (source `title`) of the themes that titles have, and their coherence from 1 to 5:
    from `ALONE` on a theme is a topic by itself.

    Args:
        products: product_id, title.
        embed: Texts to unit vectors [n, d].
        floor: Fewest products of a theme.
        settings: Thresholds.
    """
    settings = settings or ThemeSettings()
    counted = products["title"].fill_null("").value_counts(name="n").sort("title")
    titles, sizes = counted["title"].to_list(), counted["n"].to_list()
    parts = [[words(part) for part in _PART.split(title[:_MAX_TITLE])] for title in titles]
    rows: dict[str, list[int]] = defaultdict(list)
    spelt: dict[str, Counter[str]] = defaultdict(Counter)
    for row, said in enumerate(parts):
        for folded, run in _runs(said, settings).items():
            rows[folded].append(row)
            spelt[folded][run] += 1
    frequent = [
        folded
        for folded, found in rows.items()
        if len(found) >= settings.titles
        and floor <= sum(sizes[row] for row in found) <= settings.widest * products.height
        and _holds_together(folded, spelt, rows, len(titles)) >= settings.together
    ]
    frequent = sorted(frequent, key=lambda f: (-len(rows[f]), f))[: settings.most]
    alike = _alike(titles, {folded: rows[folded] for folded in frequent}, embed, settings.sample)
    themes = {
        min(spelt[folded], key=lambda run, said=spelt[folded]: (-said[run], run)): round(
            min(1 + (ALONE - 1) * alike[folded] / settings.alike, 5.0), 3
        )
        for folded in frequent
        if alike[folded] >= settings.beside
    }
    return _mentions(products, [*themes], floor, settings.titles), themes


def _runs(parts: Sequence[Sequence[str]], settings: ThemeSettings) -> dict[str, str]:
    """Fold -> words of the runs of a title that may be themes."""
    found: dict[str, str] = {}
    for tokens in parts:
        for start in range(min(len(tokens), MAX_TEXT_WORDS)):
            for end in range(start + 1, min(start + settings.max_words, len(tokens)) + 1):
                word = tokens[end - 1]
                if word in FUNCTION_WORDS or not any(map(str.isalpha, word)):
                    break
                run = tokens[start:end]
                if sum(c.isalpha() for w in run for c in w) > 2:
                    found.setdefault(fold_words(run), " ".join(run))
    return found


def _holds_together(
    folded: str,
    spelt: Mapping[str, Counter[str]],
    rows: Mapping[str, Sequence[int]],
    titles: int,
) -> float:
    """Normalized pointwise mutual information of the halves of a run, of those that hold least;
    1 of a single word."""
    both, least = len(rows[folded]), 1.0
    for run in spelt[folded]:
        tokens = run.split(" ")
        for at in range(1, len(tokens)):
            one, other = (len(rows.get(fold_words(t), ())) for t in (tokens[:at], tokens[at:]))
            if one and other and both < titles:  # a half of too few letters is no run
                chance = both * titles / (one * other)
                least = min(least, math.log(chance) / -math.log(both / titles))
    return least


def _alike(
    titles: Sequence[str], rows: Mapping[str, Sequence[int]], embed: Embed, sample: int
) -> dict[str, float]:
    """Mean cosine of the titles of each theme, where any titles are at 0 and equal ones at 1."""
    spread = {folded: _spread(found, sample) for folded, found in rows.items()}
    anywhere = _spread(range(len(titles)), 32 * sample)
    looked = sorted({*anywhere, *(row for found in spread.values() for row in found)})
    if not looked:
        return {}
    vectors = np.asarray(embed([titles[row] for row in looked]), np.float64)
    place = {row: at for at, row in enumerate(looked)}

    def mean_cosine(found: Sequence[int]) -> float:
        total = vectors[[place[row] for row in found]].sum(axis=0)
        n = len(found)
        return float((total @ total - n) / (n * (n - 1))) if n > 1 else 0.0

    usual = min(mean_cosine(anywhere), 0.99)
    # rounded, so that no theme hangs on the last bit
    return {f: round((mean_cosine(found) - usual) / (1 - usual), 4) for f, found in spread.items()}


def _spread(rows: Sequence[int], sample: int) -> Sequence[int]:
    """At most `sample` of the rows, evenly spread."""
    if len(rows) <= sample:
        return rows
    return [rows[at * len(rows) // sample] for at in range(sample)]


def _mentions(
    products: pl.DataFrame, themes: Sequence[str], floor: int, least: int
) -> pl.DataFrame:
    """What titles say of these themes, the longest first, without those that remain on fewer than
    `floor` products or in fewer than `least` titles."""
    known = Keywords()
    for theme in themes:
        known.add(THEME, theme, theme)
    by_title = products.select("product_id", pl.col("title").fill_null("")).group_by("title")
    holders = sorted(by_title.agg(pl.col("product_id").sort()).iter_rows())
    while True:
        rows, titles, held = [], Counter[str](), Counter[str]()
        for title, ids in holders:
            tokens = words(title)[:MAX_TEXT_WORDS]
            said = {}
            for start, end, folded in known.scan(tokens):
                around = " ".join(tokens[max(0, start - 1) : end + 1])[:120]
                said.setdefault(folded, (*(known.meaning(folded) or ()), around))
            titles.update(said.keys())
            held.update(dict.fromkeys(said, len(ids)))
            rows += [
                (product, None, "title", TEXT_EXTRACTOR, *pair)
                for pair in said.values()
                for product in ids
            ]
        few = [f for f in known.meanings if held[f] < floor or titles[f] < least]
        if not few:
            return mentions_frame(rows)
        for folded in few:
            del known.meanings[folded]


def with_coherence(entries: pl.DataFrame, coherence: Mapping[str, float]) -> pl.DataFrame:
    """`attribute_vocabulary.entries` with the coherence of themes as `find_themes` has it."""
    of_theme = pl.col("value").replace_strict(coherence, default=None, return_dtype=pl.Float64)
    scored = pl.when(pl.col("key") == THEME).then(of_theme)
    return entries.with_columns(coherence=pl.coalesce(scored, "coherence"))


def theme_words(entries: pl.DataFrame, aliases: pl.DataFrame) -> pl.DataFrame:
    """What titles are read by: `entry_id, key, value, word` of the themes and their spellings.

    Args:
        entries: `attribute_vocabulary.entries`.
        aliases: `attribute_vocabulary.aliases`.
    """
    spelt = aliases.filter(key=THEME).select("entry_id", word="raw_value").drop_nulls()
    themes = entries.filter(key=THEME).select("entry_id", "key", "value")
    return themes.join(spelt, on="entry_id").sort("entry_id", "word")
