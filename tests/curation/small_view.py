"""A small catalog as operations see it."""

import polars as pl

from pinlanding_assets.topics.phrasing import topic_id

ENTRIES = pl.DataFrame(
    {
        "entry_id": ["color=blue", "color=navy", "color=red", "type=shirt", "type=hat"],
        "key": ["color", "color", "color", "type", "type"],
        "value": ["blue", "navy", "red", "shirt", "hat"],
    }
)
SHIRTS = topic_id(["color=blue", "type=shirt"])


class SmallView:
    """Fifteen products, two keys, one topic with a page of two products."""

    entries = ENTRIES
    aliases = pl.DataFrame(
        {
            "key": ["color", "color", "color", "color", "type", "type", "shade"],
            "raw_value": ["blue", "navy", "red", "crimson", "shirt", "hat", "blue"],
            "entry_id": [*ENTRIES["entry_id"][:3], None, *ENTRIES["entry_id"][3:], None],
        }
    )
    keys = pl.DataFrame({"key": ["color", "type"]})
    topics = pl.DataFrame({"topic_id": [SHIRTS], "entries": [["color=blue", "type=shirt"]]})
    items = pl.DataFrame({"topic_id": [SHIRTS, SHIRTS], "product_id": ["p1", "p2"]})
    products = pl.DataFrame({"product_id": [f"p{n}" for n in range(15)]})
    columns = frozenset({"Farbe", "Name"})

    def says(self, title):
        words = {"Blue": "color=blue", "shirts": "type=shirt", "Red": "color=red"}
        return frozenset(words.get(word, word) for word in title.split())

    def statements_of(self, seller, key):
        return 6 if (seller, key) == ("acme", "color") else 2

    def fault_of(self, operation):
        return None
