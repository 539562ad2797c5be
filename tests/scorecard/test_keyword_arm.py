import polars as pl

from pinlanding_assets.collections.gates import COLLECTIONS_SCHEMA, Gates
from pinlanding_assets.collections.matching import Arrangement
from pinlanding_assets.embeddings.assignment import ASSIGNMENT_SCHEMA
from pinlanding_assets.scorecard.keyword_arm import keyword_assignments, keyword_collections
from pinlanding_assets.scorecard.naming import naming
from pinlanding_assets.topics.demand import DEMAND_SCHEMA
from pinlanding_assets.topics.phrasing import Phraser

ENTRIES = pl.DataFrame(
    [(f"{k}={v}", k, v, v, 20, 20, 5.0, 4.0) for k, v in (("type", "dress"), ("color", "red"))],
    schema=[
        *("entry_id", "key", "value", "phrase", "products", "mentions"),
        *("searchability", "coherence"),
    ],
    orient="row",
)
KEYS = pl.DataFrame(
    {"key": ["type", "color"], "multi": [False, False], "role": ["product_type", "attribute"]}
)
ALIASES = pl.DataFrame(schema={"key": pl.String, "raw_value": pl.String, "entry_id": pl.String})
LEXICON = {"type": {"dress": ["frock"]}, "color": {"red": ["crimson"], "gold": []}}


def shop(*titles, attributes=()):
    return pl.DataFrame(
        {
            "product_id": [f"p{n:02}" for n in range(len(titles))],
            "operation": ["upsert"] * len(titles),
            "title": list(titles),
            "description": [""] * len(titles),
            "images": [[f"h{n}"] for n in range(len(titles))],
            "seller": [f"s{n % 4}" for n in range(len(titles))],
            "availability": ["in_stock"] * len(titles),
            "attributes": [list(attributes)] * len(titles),
        },
        schema_overrides={"attributes": pl.List(pl.Struct({"key": pl.String, "value": pl.String}))},
    )


def test_synonyms_are_read_and_the_catalog_goes_before_the_title():
    names = naming(ENTRIES, ALIASES)
    found = keyword_assignments(shop("Crimson frock", "gold"), ENTRIES, KEYS, names, LEXICON)
    assert found.schema == pl.Schema(ASSIGNMENT_SCHEMA)
    # the vocabulary knows no gold
    assert found.select("product_id", "entry_id", "source").rows() == [
        ("p00", "color=red", "title"),
        ("p00", "type=dress", "title"),
    ]
    stated = [{"key": "color", "value": "red"}]
    both = keyword_assignments(
        shop("crimson frock", attributes=stated), ENTRIES, KEYS, names, LEXICON
    )
    assert both.filter(key="color")["source"].to_list() == ["catalog"]


def test_words_alone_make_collections():
    products = shop(*["crimson frock"] * 12, *["dress"] * 12)
    collections, items = keyword_collections(
        products,
        ENTRIES,
        KEYS,
        naming(ENTRIES, ALIASES),
        LEXICON,
        pl.DataFrame(schema=DEMAND_SCHEMA),
        Phraser(ENTRIES, KEYS, {}),
        arrangement=Arrangement(),
        gates=Gates(min_products=10, min_sellers=2),
    )
    assert collections.schema == pl.Schema(COLLECTIONS_SCHEMA)
    page = collections.filter(title="Red dresses", accepted=True)
    assert page["products"].to_list() == [12]
    assert items.filter(topic_id=page["topic_id"].item())["product_id"].max() == "p11"
