"""Which collections a model is asked to draw."""

import io

import numpy as np
import polars as pl
from PIL import Image

from pinlanding_assets.collections.covers import SIDE, cover_captions, cover_jpeg

WORDS = pl.DataFrame(
    {
        "word": ["dress", "boots", "red", "orange"],
        "role": ["object", "object", "quality", "quality"],
        "plural": [False, True, False, False],
    }
)


def asked(*entries: str, accepted: bool = True) -> dict[str, str]:
    table = pl.DataFrame({"topic_id": ["t"], "entries": [list(entries)], "accepted": [accepted]})
    return cover_captions(table, WORDS, "category")


def test_a_collection_is_drawn_when_the_model_knows_every_word_of_it():
    assert asked("category=dress", "colour=red") == {"t": "a red dress"}
    assert asked("category=dress", "colour=orange") == {"t": "an orange dress"}
    assert asked("category=boots", "colour=red") == {"t": "red boots"}


def test_other_collections_keep_their_photos():
    assert asked("category=dress", "colour=red", "material=silk") == {}
    assert asked("category=coat", "colour=red") == {}
    assert asked("category=dress") == {}
    assert asked("colour=red") == {}
    assert asked("category=dress", "colour=red", accepted=False) == {}


def test_a_cover_is_a_jpeg_of_the_sites_size():
    with Image.open(io.BytesIO(cover_jpeg(np.full((64, 64, 3), 200, np.uint8)))) as image:
        assert (image.format, image.size) == ("JPEG", (SIDE, SIDE))
