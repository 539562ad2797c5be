import json
import time
from collections.abc import Mapping, Sequence

import polars as pl
import pytest

from pinlanding_assets.attributes.extraction import (
    ANSWERS_SCHEMA,
    MENTIONS_SCHEMA,
    from_catalog,
    from_text,
    mentions_from_answers,
    parse_answer,
)

PRODUCTS = {
    "product_id": pl.String,
    "operation": pl.String,
    "title": pl.String,
    "description": pl.String,
    "attributes": pl.List(pl.Struct({"key": pl.String, "value": pl.String})),
}


def products(
    *titles: str,
    attributes: Sequence[Mapping[str, str]] = (),
    description: str = "",
    operation: str = "upsert",
) -> pl.DataFrame:
    rows = []
    for number, title in enumerate(titles):
        fields = attributes[number] if number < len(attributes) else {}
        pairs = [{"key": key, "value": value} for key, value in fields.items()]
        rows.append((f"p{number}", operation, title, description, pairs))
    return pl.DataFrame(rows, schema=PRODUCTS, orient="row")


def found(frame: pl.DataFrame) -> list[tuple[str, str, str]]:
    return frame.select("product_id", "key", "value").rows()


def test_catalog_fields_become_clean_mentions() -> None:
    frame = from_catalog(
        products(
            "a",
            "b",
            attributes=[
                {"Colour": " Dark RED ", "Note": "x" * 200, "Size": "n/a"},
                {"colour": "dark red", "": "y"},
            ],
        )
    )
    assert frame.schema == MENTIONS_SCHEMA
    assert found(frame) == [("p0", "colour", "dark red"), ("p1", "colour", "dark red")]
    assert frame["source"].unique().to_list() == ["catalog"]


def test_a_path_states_its_parts_and_for_whom() -> None:
    fields = [
        {"category": "Men > Tops > Jackets", "size": "S/M", "blend": "Wool/Silk/Linen"},
        {"category": "Kids & Baby/Toys/Puzzles", "page": "https://a.example/b/c", "gender": "men"},
    ]
    frame = from_catalog(products("a", "b", attributes=fields))
    assert found(frame) == [
        *(("p0", "blend", "linen"), ("p0", "blend", "silk")),
        *(("p0", "blend", "wool"), ("p0", "category", "jackets"), ("p0", "category", "tops")),
        *(("p0", "gender", "men"), ("p0", "size", "s/m"), ("p1", "category", "puzzles")),
        *(("p1", "category", "toys"), ("p1", "gender", "kids & baby"), ("p1", "gender", "men")),
    ]
    own = from_catalog(products("a", attributes=[{"category": "Men > Jackets"}]))
    assert found(own) == [("p0", "audience", "men"), ("p0", "category", "jackets")]
    assert frame.filter(value="jackets")["evidence"].item() == "Jackets"
    bounds = [{"load": ">10 kg", "fit": "size>38", "way": "A -> B", "kind": "Bags>Totes"}]
    assert found(from_catalog(products("a", attributes=bounds))) == [
        *(("p0", "kind", "bags"), ("p0", "kind", "totes"))
    ]  # a bound is none of a path: "10 kg" would say something else


def test_deleted_products_say_nothing() -> None:
    gone = products("red cup", attributes=[{"color": "red"}], operation="delete")
    assert from_catalog(gone).height == 0
    assert from_text(gone, {"color": ["red"]}).height == 0


def test_titles_name_values_in_any_spelling() -> None:
    lexicon = {"kind": ["t-shirt", "cup"], "color": {"gray": ["slate"]}, "shape": ["polka dot"]}
    frame = from_text(products("Grey T Shirts", "SLATE tshirt!", "polka-dots cups"), lexicon)
    assert found(frame) == [
        *(("p0", "color", "gray"), ("p0", "kind", "t-shirt")),
        *(("p1", "color", "gray"), ("p1", "kind", "t-shirt")),
        *(("p2", "kind", "cup"), ("p2", "shape", "polka dot")),
    ]
    assert frame["source"].unique().to_list() == ["title"]


def test_the_longest_phrase_wins_and_words_are_whole() -> None:
    lexicon = {"kind": ["cheese", "blue cheese"], "color": ["blue"], "material": ["oak"]}
    frame = from_text(products("blue cheese", "soaked blue towel"), lexicon)
    assert found(frame) == [("p0", "kind", "blue cheese"), ("p1", "color", "blue")]


def test_a_phrase_of_two_keys_says_nothing() -> None:
    lexicon = {"kind": ["orange", "juice"], "color": ["orange"]}
    assert found(from_text(products("orange juice"), lexicon)) == [("p0", "kind", "juice")]


def test_values_are_learned_from_fields_for_titles_only() -> None:
    frame = from_text(products("a walnut shelf", "shelf", attributes=[{}, {"wood": "walnut"}]), {})
    assert found(frame) == [("p0", "wood", "walnut")]
    described = products("a", "b", attributes=[{}, {"wood": "walnut"}], description="walnut oak")
    assert found(from_text(described, {"wood": ["oak"]})) == [
        ("p0", "wood", "oak"),
        ("p1", "wood", "oak"),
    ]


def test_a_learned_value_that_titles_contradict_is_not_used() -> None:
    # a brand "black": titles say the colour
    titles = ["black cup", "black bowl", "black jug", "black lid"]
    fields = [{"brand": "acme"}] * 3 + [{"brand": "black"}]
    assert found(from_text(products(*titles, attributes=fields), {})) == []


def test_a_rare_slip_counts_as_the_frequent_word() -> None:
    titles = ["striped cup"] * 6 + ["stripd cup", "strpied cup", "stroped cup", "sriped bowl"]
    frame = from_text(products(*titles), {"pattern": ["striped"]})
    assert frame.height == 10
    assert frame.filter(pl.col("product_id") == "p6")["evidence"].item() == "stripd cup"


def test_a_frequent_word_is_no_slip() -> None:
    titles = ["brown cup"] * 4 + ["brawn cup"] * 2 + ["crown cup"]
    assert from_text(products(*titles), {"color": ["brown"]}).height == 4


@pytest.mark.parametrize(
    ("value", "title", "description"),
    [
        *(("shirt", "short jacket", ""), ("driver", "drive shaft", ""), ("gnome", "gnote app", "")),
        ("opengl", "opencl tool", "runs on OpenCL"),
        ("striped", "stripd cup", ""),
    ],
)
def test_a_word_of_its_own_is_no_slip(value: str, title: str, description: str) -> None:
    titles = [f"{value} thing"] * 19 + [title]
    fields = [{"k": value}] * 19 + [{}]
    frame = from_text(products(*titles, attributes=fields, description=description), {})
    assert frame.height == (20 if value == "striped" else 19)


def test_titles_speak_in_the_most_frequent_spelling() -> None:
    fields = [{"color": "Grey"}] * 3 + [{"color": "Gray"}]
    frame = from_text(products(*["gray cup"] * 4, attributes=fields), {})
    assert frame["value"].unique().to_list() == ["grey"]


def test_evidence_shows_the_neighbours() -> None:
    (text,) = from_text(products("long puff sleeve top"), {"sleeve": ["puff"]})["evidence"]
    assert text == "long puff sleeve"


def test_hostile_text_is_cheap() -> None:
    lexicon = {"k": ["a" * 50, "aa " * 6, "red cup"]}
    title = "a" * 200_000 + " " + "red " * 50_000 + "\x00\u202e<script>"
    started = time.monotonic()
    from_text(products(title, description=title), lexicon)
    assert time.monotonic() - started < 2


def test_a_bad_lexicon_is_named() -> None:
    with pytest.raises(ValueError, match="'color' = '<red>'"):
        from_text(products("a"), {"color": ["<red>"]})


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ('{"Neck Line": " V-Neck "}', [("neck_line", "v-neck")]),
        ('```json\n{"color": "red"}\n```', [("color", "red")]),
        ('{"color": "", "size": "none", "kind": "cup"}', [("kind", "cup")]),
        ('{"color": "red", "Color": "RED"}', [("color", "red")]),
        ("{}", []),
        ('{"k": "\\ud800x"}', [("k", "x")]),
    ],
)
def test_valid_answers(raw: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_answer(raw) == (pairs, True, None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "not JSON"),
        ('{"color": "re', "not JSON"),
        ("red", "not JSON"),
        ("NaN", "not JSON"),
        ("[" * 4000, "not JSON"),
        ('[["color", "red"]]', "not an object"),
        ("[]", "not an object"),
        ('"red"', "not an object"),
        ('{"color": ["red"]}', "'color' is not a string"),
        ('{"color": {"a": "b"}}', "'color' is not a string"),
        ('{"n": 3}', "'n' is not a string"),
        ('{"n": null}', "'n' is not a string"),
        ('{"color": "red", "Color": "blue"}', "two values for 'color'"),
        (json.dumps({"k": "x" * 500}), "'k' is longer"),
        (json.dumps({f"k{i}": "x" for i in range(40)}), "more than 32 pairs"),
        ("{" + " " * 5000 + '"a": "b"}', "longer than 4096"),
        ("error: HTTP 500", "error: HTTP 500"),
    ],
)
def test_invalid_answers_yield_nothing(raw: str, reason: str) -> None:
    pairs, valid, why = parse_answer(raw)
    assert (pairs, valid) == ([], False)
    assert why is not None
    assert why.startswith(reason)


def test_answers_become_two_tables() -> None:
    asked = pl.DataFrame({"product_id": ["b", "a"], "image_hash": ["h2", "h1"], "title": ["", ""]})
    raw = ['{"color": "red", "kind": "cup"}', "\ud800" + "x" * 9000]
    mentions, answers = mentions_from_answers(asked, raw, "model-1")
    assert mentions.schema == MENTIONS_SCHEMA
    assert answers.schema == ANSWERS_SCHEMA
    assert found(mentions) == [("b", "color", "red"), ("b", "kind", "cup")]
    assert mentions["source"].unique().to_list() == ["vlm"]
    assert answers["product_id"].to_list() == ["a", "b"]
    assert answers["valid"].to_list() == [False, True]
    assert answers["pairs"].to_list() == [0, 2]
    assert answers["raw"].str.len_chars().to_list() == [4096, len(raw[0])]
    with pytest.raises(ValueError, match="2 questions but 1"):
        mentions_from_answers(asked, raw[:1], "model-1")


def test_a_word_of_what_variants_differ_in_speaks_of_none_of_them() -> None:
    """ "Gray wool shorts" is the title of the yellow and the orange ones as well."""
    stated = [{"color": "yellow", "fabric": "wool"}, {"color": "orange", "fabric": "wool"}, {}]
    titles = ["Gray wool shorts"] * 3 + ["Gray hat", "Gray cap", "Gray bag"]
    frame = from_text(products(*titles, attributes=[*stated, *[{"color": "gray"}] * 3]), {})
    assert found(frame.filter(product_id="p2")) == [("p2", "fabric", "wool")]
    assert found(frame.filter(product_id="p3")) == [("p3", "color", "gray")]
    lexicon = {"color": ["gray"], "kind": ["shorts"]}
    shared = products("a", "b", "c", attributes=stated, description="gray shorts")
    assert found(from_text(shared, lexicon)) == [(f"p{n}", "kind", "shorts") for n in range(3)]


def test_copies_that_agree_are_named_by_their_title() -> None:
    copies = products(*["red cup"] * 3, attributes=[{"color": "red"}, {"color": "red"}, {}])
    assert ("p2", "color", "red") in found(from_text(copies, {}))


def test_titles_do_not_say_what_people_put_together() -> None:
    told = products("new yoga mat", "x", attributes=[{}, {"Collection": "yoga", "use": "new"}])
    assert found(from_text(told, {}, silent="Collection")) == [("p0", "use", "new")]
