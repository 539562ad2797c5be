"""The colors of what a photo shows: a histogram in CIE Lab of its foreground.

A network that was trained to name objects is trained to look past color. On sports apparel
(`benchmarks/real`, magento_luma_men, five splits) logistic regression on its features finds .04 of
the colors of hidden styles at a precision of .95, on this histogram .68.
"""

import numpy as np
from PIL import Image

from resources.encoders import decode_image

SIDE = 48  # px of the thumbnail that is counted
LEVELS = (4, 10, 10)  # bins of L, a and b
BINS = 400
REACH = 60.0  # of a and b, either way; more saturated ones fall into the outermost bins
APART = 8.0  # Lab distance from the background, about what anybody sees at a glance
_TO_XYZ = np.array(
    [[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]]
) / np.array([[0.9505], [1.0], [1.0888]])


def palette(image: "Image.Image | bytes") -> np.ndarray:
    """Square roots of the shares ``[400]`` float32 of the colors of what is shown.

    The background is what most of the edge is near to; where the edge has no such color, all
    pixels count. Pixels of the middle weigh more, and each is shared between its nearest bins.

    Raises:
        ValueError: The bytes are no image that is read.
    """
    small = decode_image(image).copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    pixels = _lab(np.asarray(small, np.float32) / 255.0)
    high, wide, _ = pixels.shape
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ground = np.median(edge, axis=0)
    shown = np.ones((high, wide), dtype=bool)
    if (np.linalg.norm(edge - ground, axis=1) < APART).mean() > 0.5:
        shown = np.linalg.norm(pixels - ground, axis=2) >= APART
        if shown.mean() < 0.03:  # a white shirt on white
            shown[:] = True
    down, across = np.mgrid[0:high, 0:wide]
    middle = ((down + 0.5) / high - 0.5) ** 2 + ((across + 0.5) / wide - 0.5) ** 2
    counted = _shared(pixels[shown], np.exp(-middle[shown] / 0.245))
    return np.sqrt(counted / counted.sum()).astype(np.float32)


def _lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab (D65) of sRGB in 0..1."""
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ _TO_XYZ.T
    bent = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = bent[..., 0], bent[..., 1], bent[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _shared(pixels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Histogram ``[400]`` with each pixel shared between the bins beside it."""
    scaled = np.stack(
        [pixels[:, 0] / 100, *((pixels[:, 1:] + REACH) / (2 * REACH)).T], axis=1
    ) * np.array(LEVELS)
    place = np.clip(scaled - 0.5, 0, np.array(LEVELS) - 1)
    low = np.floor(place).astype(np.int64)
    rest = place - low
    counted = np.zeros(BINS)
    for corner in np.ndindex(2, 2, 2):
        at = np.minimum(low + corner, np.array(LEVELS) - 1)
        part = np.where(np.array(corner) == 1, rest, 1 - rest).prod(axis=1)
        counted += np.bincount(
            np.ravel_multi_index(tuple(at.T), LEVELS), weights=part * weight, minlength=BINS
        )
    return counted
