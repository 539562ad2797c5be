import time

import pytest

from pinlanding_assets.catalog.text import clean, excerpt


@pytest.mark.parametrize(
    ("received", "cleaned"),
    [
        ("  Red\t\n shirt ", "Red shirt"),
        ("<p>Soft<br/>wool</p><script>alert('x')</script>", "Soft wool"),
        ("extra<b>ordinary</b>", "extraordinary"),
        ("&lt;p&gt;Salt &amp;amp; pepper&lt;/p&gt;", "Salt &amp; pepper"),
        ("5 &lt; 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("ﬁne ｗｉｄｅ", "fine wide"),
        ("a\x00b\x1bc\u202ed\u200be\ud800f", "abcdef"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("caf\u0065\u0301", "café"),
        ("CoolTech&trade; ﬁt", "CoolTech™ fit"),
    ],
)
def test_text_is_plain_folded_and_printable(received, cleaned):
    assert clean(received, 100) == cleaned


def test_text_is_cut_to_its_limit():
    assert clean("word " * 1000, 12) == "word word wo"


@pytest.mark.parametrize("piece", ["<", "<a", "<script>", "&", "&#", "\u202e", "\ufdfa", "</"])
def test_hostile_text_costs_linear_time(piece):
    started = time.process_time()
    assert len(clean(piece * 500_000, 5_000)) <= 5_000
    assert time.process_time() - started < 0.5


def test_excerpt_shows_any_value_in_printable_characters():
    assert excerpt("a\nb" + "c" * 500, 10) == "a bccccccc"
    assert excerpt({"a": ["\ud800"]}, 50) == '{"a": ["\\ud800"]}'
    assert excerpt(float("nan"), 50) == "NaN"
