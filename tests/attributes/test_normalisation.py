import time

import pytest

from pinlanding_assets.attributes.normalisation import clean_key, clean_value, fold, fold_word


@pytest.mark.parametrize(
    "word",
    ["dress", "jeans", "leggings", "glass", "glasses", "swiss", "shorts", "canvas", "gas", "bus"],
)
def test_words_that_only_look_plural_stay(word: str) -> None:
    assert fold_word(word) == word


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("T-Shirts", "tshirt"), ("dresses", "dress"), ("grey", "Gray"), ("berries", "berry")),
        *(("hoodies", "hoodie"), ("shoes", "shoe"), ("tomatoes", "tomato"), ("boxes", "box")),
        *(("v neck", "V-neck"), ("men's", "men"), ("scarves", "scarf"), ("blouses", "blouse")),
        *(("colour", "color"), ("ＳＩＬＫ", "silk"), ("neck_line", "neckline")),
        *(("-Brown", "brown"), ("CoolTech™", "cooltech"), ("CoolTech(TM)", "cooltech®")),
        *(("1.5l", "1.5 l"), ("1,5 l", "1.5 l"), ("red+blue", "red + blue")),
    ],
)
def test_spellings_of_one_thing_meet(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("short", "shorts"), ("glass", "glasses"), ("1.5 l", "15 l"), ("shirt", "skirt")),
        *(("new", "news"), ("128 gb", "256 gb"), ("-", "+")),
        *(("C", "C++"), ("C++", "C#"), ("A", "A+"), ("A+", "A++"), ("net", ".NET"), ("16", "16+")),
        *(("-5 °C", "5 °C"), ("1/2 inch", "1.2 inch"), ("3-4 years", "3.4 years")),
    ],
)
def test_different_things_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_clean_key_is_snake_case() -> None:
    assert clean_key("Neck Line-Type") == "neck_line_type"
    assert clean_key("  __ ") is None
    assert clean_key("x" * 41) is None


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  Dark\u00a0 RED\n", "dark red"),
        ("x" * 61, None),
        ("<b>red</b>", None),
        ("https://example.org", None),
        ("a\x00b\u202e", "a b"),
        *(("-Brown", "brown"), ("CoolTech™", "cooltech"), (".NET", ".net"), ("red...", "red")),
        *(("-5 °C", "-5 °c"), ("... and more", "and more"), ("A+", "a+")),
        ("", None),
        ("x" * 10_000_000, None),
    ],
)
def test_clean_value(raw: str, clean: str | None) -> None:
    started = time.monotonic()
    assert clean_value(raw) == clean
    assert time.monotonic() - started < 1
