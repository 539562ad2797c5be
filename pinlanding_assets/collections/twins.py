"""Photos that look the same: one photo scaled or compressed again, which a page shows once.

Two looks (`catalog.images.look_of`) are of one photo when their perceptual hashes differ in few
bits and their thumbnails in few levels. Measured on 1,500 rendered photos: copies at half size and
JPEG quality 60 differ by at most 6 bits and 1.9 levels; of the 1,318 pairs of different photos
within 6 bits none comes under 3.0 levels.
"""

import numpy as np
import polars as pl

MAX_BITS = 6  # of 64
MAX_LEVELS = 2.5  # of 255, mean over the thumbnail
_HASH = 16  # hexadecimal digits of the perceptual hash


class Looks:
    """Looks of products as arrays, one row each."""

    def __init__(self, looks: pl.Series):
        """Args: looks: hexadecimal, null where a product has no photo."""
        given = looks.drop_nulls()
        width = (len(given[0]) - _HASH) // 2 if len(given) else 1
        known = looks.fill_null("0" * (_HASH + 2 * width))
        octets = np.frombuffer(bytes.fromhex("".join(known)), dtype=np.uint8)
        octets = octets.reshape(len(looks), _HASH // 2 + width)
        self.bits = octets[:, : _HASH // 2].copy().view(np.uint64).ravel()
        self.thumbnails = octets[:, _HASH // 2 :].copy()
        self.there = looks.is_not_null().to_numpy()

    def alike(self, row: int, others: np.ndarray) -> np.ndarray:
        """Whether each of the rows `others` looks the same as `row`."""
        if not self.there[row] or not len(others):
            return np.zeros(len(others), dtype=bool)
        bits = np.bitwise_count(self.bits[others] ^ self.bits[row])
        near = self.there[others] & (bits <= MAX_BITS)
        if near.any():
            mine = self.thumbnails[row].astype(np.int16)
            apart = np.abs(self.thumbnails[others[near]] - mine).mean(axis=1)
            near[near] = apart <= MAX_LEVELS
        return near
