from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from pinlanding_assets.attributes.extraction import MENTIONS_SCHEMA
from pinlanding_assets.attributes.judging import Candidate, Verdict
from pinlanding_assets.attributes.vocabulary import (
    ALIASES_SCHEMA,
    ENTRIES_SCHEMA,
    KEYS_SCHEMA,
    Vocabulary,
    VocabularySettings,
    build_vocabulary,
    second_values_lost,
    vocabulary_figures,
)

Said = tuple[str, str, int]  # key, value, products


def mentions(*said: Said, source: str = "catalog", first: int = 0) -> pl.DataFrame:
    """Each value on products of its own, counted up from `first` for every key."""
    rows, at = [], {}
    for key, value, count in said:
        start = at.get(key, first)
        rows += [
            (f"p{product:06}", None, source, "test", key, value, None)
            for product in range(start, start + count)
        ]
        at[key] = start + count
    return pl.DataFrame(rows, schema=MENTIONS_SCHEMA, orient="row")


def embedding(*alike: Sequence[str]):
    """Texts of one group are the same direction; all others are orthogonal."""

    def embed(texts: list[str]) -> np.ndarray:
        out = np.zeros((len(texts), 400))
        for row, text in enumerate(texts):
            group = next((n for n, texts in enumerate(alike) if text in texts), None)
            axis = group if group is not None else 50 + sum(map(ord, text)) % 350
            out[row, axis] = 1
        return out

    return embed


def build(frame: pl.DataFrame, products: int = 100, **changes) -> Vocabulary:
    options = {"embed": embedding(), "product_type": "kind", **changes}
    return build_vocabulary(frame, products=products, **options)


def fate(found: Vocabulary, key: str, value: str) -> tuple[str | None, str, str]:
    row = found.aliases.filter((pl.col("key") == key) & (pl.col("raw_value") == value))
    return row.select("entry_id", "action", "reason").row(0)


def test_tables_keep_the_contract_and_every_raw_value_is_there_once() -> None:
    frame = pl.concat(
        [
            mentions(("kind", "cup", 30), ("kind", "bowl", 20), ("color", "red", 25)),
            mentions(("color", "123", 5), ("color", "red", 5), source="vlm", first=60),
        ]
    )
    found = build(frame)
    assert found.entries.schema == ENTRIES_SCHEMA
    assert found.aliases.schema == ALIASES_SCHEMA
    assert found.keys.schema == KEYS_SCHEMA
    raw = frame.select("key", pl.col("value").alias("raw_value")).unique().sort("key", "raw_value")
    assert found.aliases.select("key", "raw_value").equals(raw)
    assert found.aliases.filter(
        pl.col("entry_id").is_null() != (pl.col("action") == "drop")
    ).is_empty()
    cup = found.entries.filter(pl.col("value") == "cup").row(0, named=True)
    assert (cup["entry_id"], cup["products"], cup["phrase"]) == ("kind=cup", 30, "cup")
    assert found.keys.row(1, named=True) == {
        **{"key": "kind", "coverage": 0.5, "values": 2, "multi": False, "role": "product_type"}
    }


def test_the_order_of_mentions_does_not_matter() -> None:
    frame = mentions(
        *(("color", "grey", 9), ("color", "gray", 9), ("kind", "cup", 9), ("kind", "cups", 4))
    )
    one, other = build(frame), build(frame.sample(fraction=1, shuffle=True, seed=5))
    for name in ("entries", "aliases", "keys"):
        assert getattr(one, name).equals(getattr(other, name))


def test_spellings_merge_into_the_most_frequent() -> None:
    found = build(
        mentions(
            *(("color", "grey", 9), ("color", "gray", 4), ("colour", "grey", 3)),
            *(("kind", "dresses", 20), ("kind", "dress", 5), ("kind", "glasses", 9)),
        )
    )
    assert found.entries["entry_id"].to_list() == ["color=grey", "kind=dresses", "kind=glasses"]
    assert fate(found, "color", "grey") == ("color=grey", "keep", "canonical")
    assert fate(found, "color", "gray") == ("color=grey", "merge", "spelling")
    assert fate(found, "colour", "grey") == ("color=grey", "merge", "spelling")


@pytest.mark.parametrize(
    ("rare", "frequent", "merged"),
    [
        *(("stripd", "striped", True), ("strpied", "striped", True), ("strioed", "striped", True)),
        *(("shirt", "short", False), ("midi", "mini", False), ("mini", "maxi", False)),
        *(("256gb", "128gb", False), ("pink", "mink", False)),
        *(("nature gear", "nature gnaws", False), ("natur gnaws", "nature gnaws", True)),
    ],
)
def test_slips(rare: str, frequent: str, merged: bool) -> None:
    found = build(mentions(("k", frequent, 60), ("k", rare, 2)))
    assert fate(found, "k", rare)[1] == ("merge" if merged else "keep")


def test_a_word_that_other_values_use_is_no_slip() -> None:
    found = build(mentions(("k", "leather strap", 60), ("k", "leather strip", 2)))
    assert fate(found, "k", "leather strip")[1] == "keep"
    said = [("k", "canvas coaster", 60), ("k", "canvas coater", 2), ("k", "paint coater", 9)]
    assert fate(build(mentions(*said)), "k", "canvas coater")[1] == "keep"
    assert fate(build(mentions(*said[:2])), "k", "canvas coater")[1] == "merge"


def test_signs_make_another_value() -> None:
    found = build(mentions(("k", "c", 9), ("k", "c++", 7), ("k", "c#", 5), ("k", "a+", 5)))
    assert found.entries["value"].to_list() == ["a+", "c", "c#", "c++"]


@pytest.mark.parametrize(("twice", "multi"), [(0, False), (2, False), (3, True), (9, True)])
def test_second_values_that_the_catalog_states_are_not_lost(twice: int, multi: bool) -> None:
    said = pl.concat([mentions(("k", "red", 200)), mentions(("k", "blue", twice), first=0)])
    said = pl.concat([said, mentions(("k", "blue", 50), first=300)])
    found = build(said, products=350)
    assert found.keys["multi"].to_list() == [multi]
    assert second_values_lost(said, found) == (0 if multi else twice)
    seen = said.with_columns(source=pl.lit("vlm"))
    assert build(seen, products=350).keys["multi"].to_list() == [False], "others may err"


def test_what_other_sources_say_decides_about_a_slip() -> None:
    said = mentions(("k", "coral", 60), ("k", "moral", 2))
    agree = mentions(("k", "coral", 62), source="vlm")
    against = mentions(("k", "coral", 60), ("k", "stone", 20), source="vlm")
    assert fate(build(pl.concat([said, agree])), "k", "moral")[0] == "k=coral"
    striped = mentions(("k", "striped", 60), ("k", "stripd", 2))
    against = mentions(("k", "striped", 60), ("k", "solid", 20), source="vlm")
    assert fate(build(pl.concat([striped, against])), "k", "stripd")[1] != "merge"


def test_near_meanings_merge_only_where_the_data_allow() -> None:
    embed = embedding(["navy", "blue", "bluish"], ["short", "long"], ["cotton", "cotton fabric"])
    frame = mentions(
        *(("color", "blue", 40), ("color", "navy", 30), ("color", "bluish", 3)),
        *(("length", "long", 50), ("length", "short", 4)),
        *(("material", "cotton", 40), ("material", "cotton fabric", 4)),
    )
    found = build(frame, embed=embed)
    assert fate(found, "color", "navy") == ("color=navy", "keep", "canonical")
    assert fate(found, "color", "bluish") == ("color=blue", "merge", "cosine 1.00")
    assert fate(found, "length", "short")[1] == "keep"
    assert fate(found, "material", "cotton fabric")[0] == "material=cotton"
    # never across keys
    assert fate(build(mentions(("a", "navy", 9), ("b", "blue", 9)), embed=embed), "a", "navy")[
        1
    ] == ("keep")


def test_values_of_one_product_by_one_source_are_two_things() -> None:
    embed = embedding(["nylon", "polyamide"])
    apart = mentions(("m", "nylon", 40), ("m", "polyamide", 4))
    assert fate(build(apart, embed=embed), "m", "polyamide")[0] == "m=nylon"
    together = pl.concat([apart, mentions(("m", "polyamide", 4))]).unique()
    assert fate(build(together, embed=embed), "m", "polyamide")[0] == "m=polyamide"


def test_shared_words_do_not_make_a_meaning() -> None:
    embed = embedding(["vanilla yoghurt", "berry yoghurt"])
    found = build(mentions(("k", "vanilla yoghurt", 40), ("k", "berry yoghurt", 4)), embed=embed)
    assert fate(found, "k", "berry yoghurt")[1] == "keep"


def test_no_merging_along_a_chain() -> None:
    def embed(texts: list[str]) -> np.ndarray:
        angle = {"aaaa": 0.0, "bbbb": 0.35, "cccc": 0.7}  # neighbours 0.94, ends 0.76
        return np.array([[np.cos(angle[t]), np.sin(angle[t])] for t in texts])

    found = build(mentions(("k", "aaaa", 80), ("k", "bbbb", 9), ("k", "cccc", 2)), embed=embed)
    assert fate(found, "k", "bbbb")[0] == "k=aaaa"
    assert fate(found, "k", "cccc")[0] == "k=cccc"


@pytest.mark.parametrize(
    ("products", "count", "kept"),
    [(40, 2, True), (40, 1, False), (5_000, 2, False), (5_000, 3, True), (1_000_000, 9, False)],
)
def test_floor_follows_the_catalog(products: int, count: int, kept: bool) -> None:
    found = build(mentions(("k", "oak", count), ("k", "pine", 30)), products=products)
    assert (fate(found, "k", "oak")[1] == "keep") is kept


def test_what_everything_has_is_dropped_but_not_the_product_type() -> None:
    frame = mentions(("kind", "watch", 99), ("kind", "strap", 1), ("shop", "gear", 100))
    found = build(frame)
    assert found.entries["entry_id"].to_list() == ["kind=watch"]
    assert fate(found, "shop", "gear")[2] == "on 100 of the 100 products with shop"
    # on the few products that have the key at all, it does tell something
    assert build(mentions(("kind", "cup", 90), ("eco", "organic", 9))).entries.height == 2


def test_yes_and_no() -> None:
    found = build(mentions(("kind", "cup", 90), ("is_vegan", "yes", 9), ("is_vegan", "no", 40)))
    entry = found.entries.filter(pl.col("key") == "is_vegan").row(0, named=True)
    assert (entry["entry_id"], entry["phrase"], entry["products"]) == ("is_vegan=yes", "vegan", 9)
    assert fate(found, "is_vegan", "no") == (None, "drop", "absence is no attribute")


def test_multi_is_what_one_source_says_of_one_product() -> None:
    several = pl.concat([mentions(("m", "oak", 20)), mentions(("m", "brass", 5))])
    assert build(several).keys["multi"].to_list() == [True]
    sources = pl.concat([mentions(("m", "oak", 40)), mentions(("m", "brass", 5), source="vlm")])
    sources = pl.concat([sources, mentions(("m", "brass", 30), first=50)])
    assert build(sources).keys["multi"].to_list() == [False]


def test_product_type_falls_back_to_the_widest_key() -> None:
    frame = mentions(("color", "red", 30), ("color", "blue", 30), ("kind", "cup", 20))
    for wanted, key in (("kind", "kind"), ("Kinds", "kind"), ("nothing", "color"), (None, "color")):
        keys = build(frame, product_type=wanted).keys
        assert keys.filter(pl.col("role") == "product_type")["key"].to_list() == [key]


def test_phrases() -> None:
    titles = mentions(("sleeve", "puff", 9), ("color", "red", 9), source="title")
    titles = titles.with_columns(
        pl.when(pl.col("key") == "sleeve")
        .then(pl.lit("red puff sleeve"))
        .otherwise(pl.lit("a red puff"))
        .alias("evidence")
    )
    frame = mentions(
        *(("sleeve", "long", 9), ("sleeve", "sleeveless", 9), ("length", "mini", 9)),
        *(("kind", "cup", 9), ("kind", "orange", 9), ("color", "orange", 9), ("grade", "a", 9)),
        first=20,
    )
    found = build(pl.concat([titles, frame]))
    assert dict(found.entries.select("entry_id", "phrase").rows()) == {
        "color=orange": "orange color",
        "color=red": "red",
        "grade=a": "a grade",
        "kind=cup": "cup",
        "kind=orange": "orange",
        "length=mini": "mini length",
        "sleeve=long": "long sleeve",
        "sleeve=puff": "puff sleeve",
        "sleeve=sleeveless": "sleeveless sleeve",
    }


def test_a_value_that_other_sources_deny_is_dropped() -> None:
    frame = pl.concat(
        [
            mentions(("k", "oak", 40), ("k", "pine", 20)),
            mentions(("k", "pine", 20), first=0, source="title"),  # these are oak
            mentions(("k", "oak", 40), ("k", "elm", 20), source="vlm"),
        ]
    )
    entry_id, action, reason = fate(build(frame), "k", "elm")
    assert (entry_id, action) == (None, "drop")
    assert "sources agree on 0 of 20" in reason


def test_searches_lift_searchability() -> None:
    frame = mentions(("kind", "cup", 9), ("kind", "espresso machine with grinder", 9))
    demand = pl.DataFrame({"query": ["red cups", "x" * 9_999], "count": [5, 1]})
    before = build(frame).entries["searchability"].to_list()
    after = build(frame, demand=demand).entries["searchability"].to_list()
    assert before == [5.0, 3.5]
    assert after == [5.0, 3.0]


def test_a_judge_can_be_given() -> None:
    def judge(candidates: Sequence[Candidate], /) -> list[Verdict]:
        return [Verdict(1.5 if c.value == "cup" else 4, 4, "no cups") for c in candidates]

    found = build(mentions(("kind", "cup", 9), ("kind", "bowl", 9)), judge=judge)
    assert found.entries["value"].to_list() == ["bowl"]
    assert fate(found, "kind", "cup")[2] == "searchability 1.5, coherence 4: no cups"


def test_nothing_said_gives_empty_tables() -> None:
    found = build(mentions())
    assert found.entries.schema == ENTRIES_SCHEMA
    assert (found.entries.height, found.aliases.height, found.keys.height) == (0, 0, 0)
    only_rare = build(mentions(("kind", "cup", 1)))
    assert (only_rare.entries.height, only_rare.aliases.height, only_rare.keys.height) == (0, 1, 0)


def test_settings_can_be_changed() -> None:
    frame = mentions(("k", "oak", 5), ("k", "pine", 30))
    found = build(frame, settings=VocabularySettings(floor=6))
    assert fate(found, "k", "oak")[2] == "on 5 products, the floor is 6"


def seen(word: str, shown: dict[str, int], key: str = "kind") -> pl.DataFrame:
    """Products that sellers call `word`, and how many of them the model calls what."""
    looked = [(key, value, count) for value, count in shown.items()]
    return pl.concat(
        [
            mentions((key, word, sum(shown.values())), first=500),
            mentions(*looked, source="vlm", first=500),
        ]
    )


CUPS = mentions(("kind", "cup", 60), ("kind", "bowl", 40), source="vlm")


def test_a_sellers_word_for_what_the_images_show() -> None:
    found = build(pl.concat([CUPS, seen("mug", {"cup": 9, "bowl": 1})]))
    assert fate(found, "kind", "mug") == (
        *("kind=cup", "merge", "the images show cup on 9 of 10 products"),
    )
    assert found.entries.filter(value="cup")["products"].item() == 70


@pytest.mark.parametrize(
    "shown",
    [
        {"cup": 7, "bowl": 3},  # sometimes this, sometimes that
        {"cup": 2},  # too few to tell
        {"cup": 9, "mug": 1},  # the model knows the word itself
    ],
)
def test_a_word_that_may_be_a_thing_of_its_own_is_not_merged(shown) -> None:
    found = build(pl.concat([CUPS, seen("mug", shown)]))
    assert fate(found, "kind", "mug")[1] != "merge"


def test_two_products_are_enough_where_the_words_mean_nearly_the_same() -> None:
    frame = pl.concat([CUPS, seen("mug", {"cup": 2})])

    def nearly(texts: list[str]) -> np.ndarray:
        angle = {"cup": 0.0, "mug": 0.9}  # cosine 0.62: no merge by meaning alone
        return np.array([[np.cos(a), np.sin(a)] for a in (angle.get(t, 2.5) for t in texts)])

    assert fate(build(frame, embed=nearly), "kind", "mug") == (
        *("kind=cup", "merge", "the images show cup on 2 of 2 products"),
    )


def test_words_of_a_key_with_several_values_are_not_merged_by_what_is_shown() -> None:
    several = pl.concat(
        [
            mentions(("tag", "warm", 60), source="vlm"),
            mentions(("tag", "soft", 60), source="vlm"),
            seen("cosy", {"warm": 10}, key="tag"),
        ]
    )
    assert fate(build(several), "tag", "cosy")[1] == "keep"


def test_a_person_has_the_last_word() -> None:
    frame = pl.concat([CUPS, seen("mug", {"cup": 10}), mentions(("kind", "junk", 30), first=900)])
    overrides = {"Kind": {"Mugs": "mugs", "bowl": "cup", "junk": None, "gone": "cup"}}
    found = build(frame, overrides=overrides)
    assert fate(found, "kind", "mug")[1:] == ("keep", "canonical")
    assert fate(found, "kind", "bowl") == ("kind=cup", "merge", "override")
    assert fate(found, "kind", "junk") == (None, "drop", "override")
    assert found.aliases.height == 4
    frame = mentions(("kind", "cup", 60), ("kind", "urn", 1))
    assert "kind=urn" not in build(frame).entries["entry_id"].to_list()
    kept = build(frame, overrides={"kind": {"urn": "urn"}})
    assert "kind=urn" in kept.entries["entry_id"].to_list()


def test_compression_is_told() -> None:
    figures = vocabulary_figures(
        build(pl.concat([CUPS, mentions(("kind", "bowls", 1), first=300)]))
    )
    assert figures == {
        **{"raw_values": 3.0, "compression": 1.5, "raw_singletons": 1.0, "singletons": 0.0}
    }


def test_names_keep_their_capitals_and_columns_their_style() -> None:
    def label(key: str, *written: str) -> list[str]:
        rows = [
            (f"p{n}-{m}", None, "catalog", "t", key, text.lower(), None if text.islower() else text)
            for n, text in enumerate(written)
            for m in range(4)
        ]
        frame = pl.DataFrame(rows, schema=MENTIONS_SCHEMA, orient="row")
        return sorted(build(frame, products=len(rows)).entries["label"])

    assert label("brand", "Danny Allen", "acme") == ["Danny Allen", "acme"]
    assert label("color", "Red", "Light Blue", "Navy") == ["light blue", "navy", "red"]
    assert label("keyword", "flag", "icon", "Europe") == ["Europe", "flag", "icon"]
    assert label("port", "Wireless", "Wired", "USB") == ["USB", "wired", "wireless"]
    assert label("brand", "ACME TOOLS", "GLOBEX") == ["acme tools", "globex"]


def test_collections_that_people_made_keep_apart_and_are_no_product_type() -> None:
    said = mentions(("collection", "summer sale 2025", 40), ("collection", "summer sale 2026", 40))
    alike = embedding(["summer sale 2025", "summer sale 2026"])
    found = build_vocabulary(
        said, products=100, embed=alike, product_type=None, existing="Collection"
    )
    assert found.keys.select("key", "multi", "role").rows() == [("collection", True, "collection")]
    assert found.entries["value"].to_list() == ["summer sale 2025", "summer sale 2026"]
