"""Which collections a text-to-image model can draw, and what it is asked for."""

import io
from collections.abc import Mapping

import numpy as np
import polars as pl
from PIL import Image

SIDE = 256  # px of a cover on the site


def cover_captions(
    collections: pl.DataFrame, words: pl.DataFrame, type_key: str | None
) -> dict[str, str]:
    """topic_id -> caption, for accepted collections all of whose attributes the model knows.

    Args:
        collections: of the asset `collections`.
        words: what the model was taught: columns word, role (object or quality), plural.
        type_key: key of the product type; its value is the object.
    """
    objects = dict(words.filter(pl.col("role") == "object").select("word", "plural").iter_rows())
    qualities = set(words.filter(pl.col("role") == "quality")["word"])
    found: dict[str, str] = {}
    for row in collections.filter(pl.col("accepted")).iter_rows(named=True):
        pairs = [entry.split("=", 1) for entry in row["entries"]]
        kinds = [value for key, value in pairs if key == type_key]
        others = [value for key, value in pairs if key != type_key]
        if len(kinds) == 1 and kinds[0] in objects and others and qualities.issuperset(others):
            found[row["topic_id"]] = _phrase(kinds[0], others, objects)
    return found


def _phrase(kind: str, others: list[str], objects: Mapping[str, bool]) -> str:
    words = " ".join([*others, kind])
    if objects[kind]:
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def cover_jpeg(pixels: np.ndarray) -> bytes:
    """A drawn picture, uint8 ``[h, w, 3]``, as the site shows it."""
    image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
