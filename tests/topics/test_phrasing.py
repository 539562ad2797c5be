from itertools import combinations

import polars as pl
import pytest

from pinlanding_assets.topics.phrasing import (
    Phraser,
    is_safe_slug,
    is_safe_title,
    slugs,
    topic_id,
    write_titles,
)

VALUES = {
    "type": ["dress", "watch", "jeans", "fitness equipment", "orange"],
    "color": ["red", "gold", "dark blue", "orange"],
    "metal": ["gold"],
    "pattern": ["striped"],
    "sleeve": ["short", "long"],
    "length": ["short"],
    "eco": ["yes"],
    "size": ["42"],
    "gender": ["women"],
    "care": ["wash by hand only"],
}
ENTRIES = pl.DataFrame(
    [(f"{key}={value}", key, value) for key, values in VALUES.items() for value in values],
    schema=["entry_id", "key", "value"],
    orient="row",
)
KEYS = pl.DataFrame(
    {"key": list(VALUES), "role": ["product_type"] + ["attribute"] * (len(VALUES) - 1)}
)
PHRASES = {"sleeve": "with {value} sleeves", "gender": "for {value}"}
PHRASER = Phraser(ENTRIES, KEYS, PHRASES)


@pytest.mark.parametrize(
    ("entries", "title"),
    [
        (
            "type=dress color=red pattern=striped sleeve=short",
            "Red striped dresses with short sleeves",
        ),
        ("type=dress length=short sleeve=short", "Short dresses with short sleeves"),
        ("type=dress gender=women", "Dresses for women"),
        ("type=jeans eco=yes", "Eco jeans"),
        ("type=jeans size=42", "Jeans with size 42"),
        ("type=fitness_equipment", "Fitness equipment"),
        ("color=red", "Products in red"),
        # "Gold watches" could be either
        ("type=watch color=gold", "Watches with gold color"),
        ("type=watch metal=gold", "Watches with gold metal"),
        ("type=orange", "Oranges"),
        ("type=orange color=orange", "Oranges with orange color"),
    ],
)
def test_titles(entries, title):
    assert PHRASER.phrase([entry.replace("_", " ") for entry in entries.split()]) == title


def test_every_title_says_exactly_its_entries():
    others = ENTRIES.filter(pl.col("key") != "type")
    for size in (1, 2, 3):
        for rows in combinations(others.iter_rows(), size):
            if len({key for _, key, _ in rows}) == size:
                entries = frozenset(["type=dress", *(entry for entry, _, _ in rows)])
                assert PHRASER.parse_back(PHRASER.phrase(entries)) == entries


def test_parse_back_refuses_what_it_cannot_account_for():
    assert PHRASER.parse_back("Red dresses") == {"type=dress", "color=red"}
    assert PHRASER.parse_back("Cheap red dresses") == frozenset()
    assert PHRASER.parse_back("Gold dresses") == frozenset()  # colour or metal
    assert PHRASER.parse_back("Red red dresses") == frozenset()
    assert PHRASER.parse_back("") == frozenset()


def test_a_pattern_without_value_is_refused():
    with pytest.raises(ValueError, match="sleeve"):
        Phraser(ENTRIES, KEYS, {"sleeve": "with sleeves"})


class Model:
    def __init__(self, *answers):
        self.answers = list(answers)

    def complete(self, prompts):
        assert len(prompts) == len(self.answers)
        return self.answers


def test_a_language_model_is_believed_only_when_faithful():
    topics = pl.DataFrame({"entries": [["type=dress", "color=red"]] * 3})
    titles = write_titles(
        topics, PHRASER, Model('"The red dresses"', "Lovely red dresses", "<b>Red dresses</b>")
    )
    assert titles["title"].to_list() == ["The red dresses", "Red dresses", "Red dresses"]
    assert titles["faithful"].all()


def test_slugs_are_ascii_unique_and_safe():
    titles = ["Crème brûlée", "Creme brulee", "日本", "Ünder £5 / ../x"]
    made = slugs(titles, [topic_id([title]) for title in titles])
    assert made[0] == "creme-brulee"
    assert len(set(made)) == 4
    assert all(is_safe_slug(slug) for slug in made)
    assert not is_safe_slug("../x")
    assert not is_safe_slug("")


def test_a_slug_does_not_depend_on_what_other_titles_there_are():
    titles = ["Rote Kleider 日本", "Rote Kleider 中国", "Red dresses", "x" * 100, "x" * 101]
    ids = [topic_id([title]) for title in titles]
    made = dict(zip(titles, slugs(titles, ids), strict=True))
    assert made["Red dresses"] == "red-dresses"
    assert dict(zip(titles[::-1], slugs(titles[::-1], ids[::-1]), strict=True)) == made
    assert {title: slugs([title], [topic_id([title])])[0] for title in titles} == made


@pytest.mark.parametrize(
    "title", ["", "   ", "12", "a<b>", "x" * 121, "line\nbreak", "bidi\u202etitle", "a http://b.c"]
)
def test_unsafe_titles(title):
    assert not is_safe_title(title)
    assert is_safe_title("Women's dresses & shoes (new)")


def test_topic_id_ignores_the_order_of_entries():
    assert topic_id(["a", "b"]) == topic_id(["b", "a"]) != topic_id(["ab"])


def test_of_two_types_the_wider_one_is_the_noun():
    entries = pl.DataFrame(
        [("keyword=flag", "keyword", "flag", 90), ("keyword=europe", "keyword", "europe", 40)],
        schema=["entry_id", "key", "value", "products"],
        orient="row",
    )
    phraser = Phraser(entries, pl.DataFrame({"key": ["keyword"], "role": ["product_type"]}), {})
    assert phraser.phrase(["keyword=flag", "keyword=europe"]) == "Europe flags"


SHELVES = {
    "kind": ["hoodies & sweatshirts", "women", "pant"],
    "style": ["hoodie"],
    "gender": ["men"],
    "weather": ["all-weather", "cold"],
    "theme": ["viewer"],
    "color": ["black"],
}


@pytest.mark.parametrize(
    ("entries", "title"),
    [
        (["kind=hoodies & sweatshirts", "style=hoodie"], "Hoodies & sweatshirts with hoodie style"),
        (["kind=pant", "gender=men"], "Pants for men"),
        (["kind=women", "color=black"], "Images in black for women"),
        (["kind=women"], "Images for women"),
        (["kind=pant", "weather=all-weather"], "All-weather pants"),
        (["theme=viewer"], "Viewer images"),
    ],
)
def test_titles_say_what_things_are_and_for_whom(entries, title):
    rows = [(f"{key}={value}", key, value) for key, values in SHELVES.items() for value in values]
    known = pl.DataFrame(rows, schema=["entry_id", "key", "value"], orient="row")
    roles = ["product_type"] + ["attribute"] * (len(SHELVES) - 1)
    phraser = Phraser(known, pl.DataFrame({"key": list(SHELVES), "role": roles}), {}, "images")
    assert phraser.phrase(entries) == title
    assert phraser.parse_back(title) == frozenset(entries)


def test_a_collection_that_people_made_keeps_its_name():
    entries = pl.DataFrame(
        {
            "entry_id": ["collection=erin recommends", "type=dress"],
            "key": ["collection", "type"],
            "label": ["Erin Recommends", "dress"],
        }
    )
    keys = pl.DataFrame({"key": ["type", "collection"], "role": ["product_type", "collection"]})
    phraser = Phraser(entries, keys, {})
    assert phraser.phrase(["collection=erin recommends"]) == "Erin Recommends"
    assert phraser.parse_back("Erin Recommends") == {"collection=erin recommends"}
