import polars as pl
import pytest

from pinlanding_assets.topics.judging import TOPICS_SCHEMA, judge

ENTRIES = pl.DataFrame(
    schema={"entry_id": pl.String, "searchability": pl.Float64, "coherence": pl.Float64}
)


def candidate(title, products=range(30), **other):
    row = {
        "topic_id": title,
        "slug": title.lower(),
        "title": title,
        "faithful": True,
        "entries": ["type=dress"],
        "support": len(products),
        "lift": 1.0,
        "expected": 27.0,
        "precision": 0.95,
        "demand": 0.0,
        "focus": None,
        "sketch": sorted(products),
    }
    return row | other


def judged(*rows):
    frame = pl.DataFrame(list(rows), schema_overrides={"focus": pl.Float64})
    topics = judge(frame, ENTRIES)
    assert topics.schema == pl.Schema(TOPICS_SCHEMA)
    return topics


def test_an_ordinary_topic_passes_with_its_evidence():
    topics = judged(candidate("Red dresses", demand=12.0))
    assert topics["accepted"].item()
    assert topics["reason"].item().startswith("searched 12 times, 30 products, lift 1.00")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"faithful": False}, "exactly"),
        ({"title": "<script>"}, "markup"),
        ({"lift": 0.3}, "coherence"),
        ({"precision": 0.3}, "coherence"),
        ({"title": "Red striped short cotton summer party dresses with long sleeves"}, "searchab"),
    ],
)
def test_refusals(change, reason):
    topics = judged(candidate("Red dresses") | change)
    assert not topics["accepted"].item()
    assert reason in topics["reason"].item()


def test_an_entry_of_little_coherence_is_no_topic_by_itself():
    weak = pl.DataFrame({"entry_id": ["theme=using"], "searchability": [5.0], "coherence": [1.5]})
    rows = [
        candidate("Using products", entries=["theme=using"]),
        candidate("Using parsers", range(50, 80), entries=["theme=using", "type=parser"]),
    ]
    topics = judge(pl.DataFrame(rows, schema_overrides={"focus": pl.Float64}), weak)
    assert topics["accepted"].to_list() == [False, True]
    assert "only attribute" in topics["reason"][0]


def test_demand_and_short_titles_are_searchable():
    topics = judged(
        candidate("Red dresses", demand=100.0),
        candidate("Blue dresses", range(50, 80)),
        candidate("Blue striped cotton dresses with long sleeves", range(90, 120)),
    )
    scores = topics["searchability"].to_list()
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3


def test_one_of_several_that_say_or_hold_the_same():
    topics = judged(
        candidate("Red dresses"),
        candidate("Dresses in red", range(100, 130)),
        candidate("Scarlet gowns", range(1, 31)),
        candidate("Blue gowns", range(20, 60)),
    )
    assert topics["accepted"].to_list() == [True, False, False, True]
    assert "says the same as “Red dresses”" in topics["reason"][1]
    assert "holds the same products as “Red dresses”" in topics["reason"][2]


def test_repeated_words_are_another_topic():
    topics = judged(
        candidate("Short dresses with short sleeves"),
        candidate("Dresses with short sleeves", range(100, 130)),
    )
    assert topics["accepted"].all()
