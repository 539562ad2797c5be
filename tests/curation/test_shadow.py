"""What words become in a preview, in whatever spelling they are said."""

import polars as pl
import pytest

from pinlanding_assets.curation.shadow import renames
from pinlanding_assets.decisions.operations import parse

ALIASES = pl.DataFrame(
    [
        ("color", "navy", "color=navy"),
        ("color", "Navy", "color=navy"),
        ("color", "blue", "color=blue"),
        ("color", "Zinnober", None),
        ("shade", "blue", "shade=blue"),
    ],
    schema=["key", "raw_value", "entry_id"],
    orient="row",
)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (
            {"operation": "word.merge", "key": "Color", "word": "NAVY", "into": "Blue"},
            {("color", "color=navy"): "color=blue"},
        ),
        (
            {"operation": "word.merge", "key": "color", "word": "zinnober", "into": "blue"},
            {("color", "color=Zinnober"): "color=blue"},
        ),
        ({"operation": "word.drop", "key": "color", "word": "blue"},
         {("color", "color=blue"): None}),
        (
            {"operation": "word.move", "key": "color", "word": "blue", "to_key": "shade"},
            {("color", "color=blue"): "shade=blue"},
        ),
        ({"operation": "key.merge", "key": "shade", "into": "color"},
         {("shade", "shade=blue"): "color=blue"}),
        ({"operation": "word.keep", "key": "color", "word": "navy"}, {}),
    ],
)  # fmt: skip
def test_words_become_what_was_decided(told, found):
    assert renames([parse(told)], ALIASES) == found
