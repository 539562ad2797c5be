"""Which products a model is asked about when it cannot be asked about all of them.

D² seeding (k-means++, Arthur and Vassilvitskii 2007) on cheap features that need no model: every
pick is drawn in proportion to its squared distance from all earlier picks, so near-duplicates are
asked about once and rare looks are reached early.
"""

import io
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pinlanding_assets.attributes.normalisation import words

THUMBNAIL = 8  # px
TITLE_BUCKETS = 64
_POOL_FACTOR = 8  # candidates looked at for every pick
_POOL_FLOOR = 20_000  # up to here every product is a candidate
_ROUNDS = 256  # above this budget several picks share a round (k-means||, Bahmani 2012)


def diverse_sample(features: NDArray, budget: int, seed: int) -> NDArray[np.int64]:
    """Sorted indices of `budget` rows of `features` that differ from each other.

    Cost is bounded: at most max(20,000, 8 x budget) random candidates, 256 rounds, O(pool x d)
    memory beside them. Exact duplicates are taken only when nothing else is left.

    Args:
        features: [n, d] finite numbers.
        budget: Rows wanted; all rows come back if there are no more.
        seed: Same seed, same sample.

    Raises:
        ValueError: Features are not a matrix of finite numbers; names the first bad row.
    """
    if features.ndim != 2:
        raise ValueError(f"features must be [n, d], got shape {features.shape}")
    count = len(features)
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise ValueError(f"features: row {bad[0]} is not finite")
    if budget >= count:
        return np.arange(count, dtype=np.int64)
    if budget <= 0:
        return np.empty(0, np.int64)
    rng = np.random.default_rng(seed)
    size = min(count, max(_POOL_FLOOR, _POOL_FACTOR * budget))
    pool = np.sort(rng.choice(count, size, replace=False)) if size < count else np.arange(count)
    points = np.ascontiguousarray(features[pool], dtype=np.float32)
    # from the mean, so that squared norms are small and float32 does not cancel
    points -= points.mean(axis=0)
    norms = np.einsum("nd,nd->n", points, points)

    distance = np.full(size, np.inf, np.float32)
    picked = np.array([rng.integers(size)])
    chosen = np.zeros(size, bool)
    per_round = -(-budget // _ROUNDS)
    while True:
        chosen[picked] = True
        for block in np.array_split(picked, -(-len(picked) // 64)):
            to_block = norms[:, None] + norms[block] - 2 * points @ points[block].T
            np.minimum(distance, to_block.min(axis=1), out=distance)
        distance[distance < 1e-6 * (norms + 1e-6)] = 0  # a duplicate, up to rounding
        distance[chosen] = 0
        left = budget - int(chosen.sum())
        if left == 0:
            return np.sort(pool[chosen]).astype(np.int64)
        # smallest of Exp(1)/d² = drawing without replacement in proportion to d² (Efraimidis 2006)
        draws = rng.exponential(size=size)
        keys = np.full(size, np.inf)
        np.divide(draws, distance, out=keys, where=distance > 0)
        # only duplicates of earlier picks left: any of them, after everything else
        keys[(distance <= 0) & ~chosen] = 1e30 * (1 + draws[(distance <= 0) & ~chosen])
        picked = np.argsort(keys, kind="stable")[: min(per_round, left)]


def thumbnail_features(
    images: Sequence[bytes | Image.Image | None], titles: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """Model-free features: an 8 x 8 RGB thumbnail and, with titles, hashed title words.

    Args:
        images: Encoded or decoded images; None or an undecodable one counts as mid-grey.
        titles: One for every image; adds 64 numbers of unit length.

    Returns:
        [n, 192] or [n, 256] float32; the picture part is in 0..1 scaled by 1/8, so that the
        distance of two pictures and that of two titles are of one magnitude.
    """
    pictures = np.full((len(images), THUMBNAIL * THUMBNAIL * 3), 0.5, np.float32)
    for row, image in enumerate(images):
        pixels = _thumbnail(image)
        if pixels is not None:
            pictures[row] = pixels
    pictures /= THUMBNAIL
    if titles is None:
        return pictures
    if len(titles) != len(images):
        raise ValueError(f"{len(images)} images but {len(titles)} titles")
    hashed = np.zeros((len(titles), TITLE_BUCKETS), np.float32)
    for row, title in enumerate(titles):
        for word in words(title[:1000]):
            code = zlib.crc32(word.encode())
            hashed[row, code % TITLE_BUCKETS] += 1 if code & 0x10000 else -1
    hashed /= np.maximum(np.linalg.norm(hashed, axis=1, keepdims=True), 1)
    return np.hstack([pictures, hashed])


def _thumbnail(image: bytes | Image.Image | None) -> NDArray[np.float32] | None:
    if image is None:
        return None
    try:
        opened = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image
        opened.draft("RGB", (4 * THUMBNAIL, 4 * THUMBNAIL))  # JPEG decodes at an eighth
        small = opened.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return (np.asarray(small, np.float32) / np.float32(255)).reshape(-1)
