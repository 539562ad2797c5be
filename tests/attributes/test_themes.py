import numpy as np
import polars as pl

from pinlanding_assets.attributes.extraction import MENTIONS_SCHEMA
from pinlanding_assets.attributes.themes import (
    ALONE,
    THEME,
    are_wanted,
    find_themes,
    theme_words,
    with_coherence,
)
from pinlanding_assets.attributes.titles import read_titles
from pinlanding_assets.attributes.vocabulary import build_vocabulary

NOUNS = ("image viewer", "mail server", "lamp", "parser")


def catalog() -> pl.DataFrame:
    titles = [f"a {('nice', 'fast')[n % 3 == 0]} {NOUNS[n % 4]} {n}" for n in range(48)]
    titles += ["the one and only thing"] * 9  # variants of one product
    titles += ["", None]
    return pl.DataFrame(
        {"product_id": [f"p{n:02}" for n in range(len(titles))], "title": titles}
    ).with_columns(operation=pl.lit("upsert"))


def embed(texts: list[str]) -> np.ndarray:
    """Titles of one noun mean the same; nothing else does."""
    vectors = np.zeros((len(texts), len(NOUNS) + 1))
    for row, text in enumerate(texts):
        vectors[row, next((at for at, noun in enumerate(NOUNS) if noun in text), -1)] = 1.0
    return vectors


def test_themes_are_what_titles_are_about() -> None:
    found, coherence = find_themes(catalog(), embed, floor=5)
    assert found.schema == MENTIONS_SCHEMA
    # "nice" is on too many titles, and those with "fast" are about anything
    assert set(found["value"]) == set(NOUNS)
    assert all(coherence[noun] >= ALONE for noun in NOUNS)
    assert found.filter(value="image viewer").height == 12
    assert found.equals(find_themes(catalog().reverse(), embed, floor=5)[0])


def test_themes_are_an_open_key_that_titles_are_read_by() -> None:
    found, _ = find_themes(catalog(), embed, floor=5)
    made = build_vocabulary(found, products=59, embed=embed, product_type=None)
    assert made.keys.select("key", "multi", "role").rows() == [(THEME, True, "attribute")]
    entries = with_coherence(made.entries, dict.fromkeys(NOUNS, 1.5))
    assert entries["coherence"].to_list() == [1.5] * 4
    read = read_titles(catalog(), theme_words(made.entries, made.aliases))
    assert read.select("product_id", "value").equals(found.select("product_id", "value"))


def test_themes_are_wanted_where_attributes_say_little() -> None:
    said = [(f"p{n}", None, "catalog", "t", "k", "v", None) for n in range(4)]
    few = pl.DataFrame(said, schema=MENTIONS_SCHEMA, orient="row")
    assert are_wanted(few, 10)
    assert not are_wanted(few, 6)
    assert not are_wanted(few.with_columns(source=pl.lit("vlm")), 10)
    assert are_wanted(few.clear(), 10)


def test_no_titles_no_themes_and_hostile_ones_are_cheap() -> None:
    products = catalog().with_columns(title=pl.lit(None, pl.String))
    found, coherence = find_themes(products, embed, floor=5)
    assert found.is_empty()
    assert coherence == {}
    hostile = products.with_columns(title=pl.lit("<b>" + "a b" * 1_000_000))
    assert find_themes(hostile, embed, floor=5)[0].is_empty()
