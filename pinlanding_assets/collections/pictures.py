"""Product pictures on the site: how each looks, and which ones stand for a collection."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pinlanding_assets.collections.navigation import Section

SAMPLE = 24  # px a side of the copy of a picture that is looked at
STUDIO = 248  # median brightness of a picture's border (0-255) from which it is one on white
MOSAIC_CHOICE = 15  # best pictures of a collection that its card chooses from


@dataclass(frozen=True)
class Picture:
    """A published image: its path in the site, its size in px, and whether it is on white.

    A picture on white is shown whole, its background taking the colour of the tile; any other
    fills its tile and may lose its edges.
    """

    path: str
    width: int
    height: int
    studio: bool

    @property
    def shape(self) -> float:
        return self.height / self.width


def read_picture(image: str, data: bytes) -> Picture:
    """Where an image goes and how it looks.

    Raises:
        ValueError: the hash is none (it names a file), or the bytes are no JPEG.
    """
    if not (image.isascii() and image.isalnum()):
        raise ValueError(f"not an image hash: {image[:100]!r}")
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as opened:
            width, height = opened.size
            opened.draft("L", (SAMPLE, SAMPLE))  # decodes at a fraction of the size
            sample = np.asarray(opened.convert("L").resize((SAMPLE, SAMPLE)), dtype=float)
    except OSError as error:
        raise ValueError(f"image {image[:100]!r} is not a JPEG: {error}") from error
    border = np.concatenate([sample[0], sample[-1], sample[:, 0], sample[:, -1]])
    return Picture(f"images/{image}.jpg", width, height, bool(np.median(border) >= STUDIO))


def choose_mosaics(
    sections: Sequence[Section], photos: Mapping[str, Sequence[Picture]]
) -> dict[str, list[Picture]]:
    """topic_id -> three pictures for its card; neighbours show different ones where they can."""
    mosaics: dict[str, list[Picture]] = {}
    for section in sections:
        shown: set[Picture] = set()
        for page in section.pages:
            best = photos[page.topic_id][:MOSAIC_CHOICE]
            mosaics[page.topic_id] = sorted(best, key=lambda picture: picture in shown)[:3]
            shown.update(mosaics[page.topic_id])
    return mosaics
