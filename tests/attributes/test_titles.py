import polars as pl

from pinlanding_assets.attributes.titles import WORDS_SCHEMA, read_titles, trusted_words

ENTRIES = pl.DataFrame(
    {
        "entry_id": ["type=shirt", "pattern=checked", "pattern=plain", "sleeve=short"],
        "key": ["type", "pattern", "pattern", "sleeve"],
        "value": ["shirt", "checked", "plain", "short"],
        "phrase": ["shirt", "checked", "plain", "short sleeve"],
    }
)
ALIASES = ENTRIES.select("key", "entry_id", raw_value="value")


def world(*groups: tuple[int, str, dict[str, str]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Products and mentions: (how many, their title, what the model says of them)."""
    titles, said = [], []
    for count, title, attributes in groups:
        for _ in range(count):
            product = f"p{len(titles):03}"
            titles.append((product, "upsert", title))
            said.append((product, "catalog", "type", "shirt"))
            said += [(product, "vlm", key, value) for key, value in attributes.items()]
    products = pl.DataFrame(titles, schema=["product_id", "operation", "title"], orient="row")
    return products, pl.DataFrame(said, schema=["product_id", "source", "key", "value"],
                                  orient="row")  # fmt: skip


def words_of(*groups: tuple[int, str, dict[str, str]]) -> dict[str, str]:
    products, mentions = world(*groups)
    found = trusted_words(products, mentions, ENTRIES, ALIASES)
    assert found.schema == pl.Schema(WORDS_SCHEMA)
    return dict(found.select("word", "entry_id").iter_rows())


def test_a_word_counts_where_the_model_agrees():
    plain, checked = {"pattern": "plain"}, {"pattern": "checked"}
    found = words_of(
        (20, "checked shirt", checked),
        (1, "checked shirt", plain),
        (40, "plain shirt", checked),  # here the word means something else
        (200, "shirt", plain),
    )
    # the type is stated by the catalog: its words were read with the day's feed
    assert found == {"checked": "pattern=checked"}
    assert words_of((4, "checked shirt", checked), (100, "shirt", plain)) == {}


def test_words_are_learnt_that_the_vocabulary_lacks():
    plain, checked = {"pattern": "plain"}, {"pattern": "checked"}
    groups = [(8, "gingham shirt", checked), (12, "polka dot shirt", checked),
              (500, "lovely shirt", plain), (20, "lovely shirt", checked),
              (9, "lovely dot shirt", plain)]  # fmt: skip
    found = words_of(*groups)
    # "lovely" stands with plain in 96 of 100, as nearly all do; "dot" stands with both
    assert found == {"gingham": "pattern=checked", "polka": "pattern=checked"}
    products, mentions = world(*groups)
    unseen = pl.DataFrame(
        [("q1", "upsert", "A Gingham shirt"), ("q2", "upsert", "polka-dot"),
         ("q3", "upsert", "dot"), ("q4", "delete", "gingham")],
        schema=["product_id", "operation", "title"], orient="row",
    )  # fmt: skip
    read = read_titles(unseen, trusted_words(products, mentions, ENTRIES, ALIASES))
    assert read.select("product_id", "source", "key", "value").rows() == [
        ("q1", "title", "pattern", "checked"),
        ("q2", "title", "pattern", "checked"),
    ]
    assert read["evidence"][0] == "a gingham shirt"


def test_a_word_that_only_its_neighbour_makes_true():
    short = {"sleeve": "short"}
    found = words_of(
        (10, "shirt short sleeve", short),
        (30, "short coat", {"pattern": "plain"}),
        (60, "shirt", {"pattern": "checked"}),
    )
    assert "short" not in found
    assert found["shortsleeve"] == "sleeve=short"


def test_no_model_no_words():
    products, mentions = world((30, "checked shirt", {}))
    assert trusted_words(products, mentions, ENTRIES, ALIASES).is_empty()
    nothing = pl.DataFrame(schema=WORDS_SCHEMA)
    assert read_titles(products, nothing).is_empty()
