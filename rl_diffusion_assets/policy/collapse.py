"""What no reward asks for, and tuning may not cost: sharpness, colours, diversity."""

from collections.abc import Callable

import numpy as np

Array = np.ndarray
AT_ONCE = 64  # pictures, as floats four to eight times as large


def sharpness(pictures: Array) -> Array:
    """Mean brightness step between neighbouring pixels, of 255, ``[n]``."""

    def of(part: Array) -> Array:
        light = part.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        across, down = np.abs(np.diff(light, axis=2)), np.abs(np.diff(light, axis=1))
        return across.mean((1, 2)) + down.mean((1, 2))

    return _in_parts(of, pictures)


def saturation(pictures: Array) -> Array:
    """Mean saturation of the colours (HSV's: range of the channels / the greatest), ``[n]``."""

    def of(part: Array) -> Array:
        greatest = part.max(-1).astype(np.float32)
        return ((greatest - part.min(-1)) / np.maximum(greatest, 1)).mean((1, 2))

    return _in_parts(of, pictures)


def drift(base: Array, tuned: Array) -> Array:
    """How far the picture of a seed has moved: root mean square difference of the pixels, in units
    of the full range, ``[n]``."""

    def of(before: Array, after: Array) -> Array:
        moved = after.astype(np.float32) - before
        return np.sqrt(np.square(moved).mean((1, 2, 3))) / 255

    return _in_parts(of, base, tuned)


def diversity(pictures: Array, groups: Array) -> Array:
    """Mean difference between two pictures of one caption, at a quarter of the resolution, in
    units of the full range; one value per caption."""

    def of(part: Array) -> Array:
        n, h, w, c = part.shape
        small = part.reshape(n, h // 4, 4, w // 4, 4, c).mean((2, 4)) / 255
        return small.reshape(n, -1)

    return _spread(_in_parts(of, pictures), groups)


def background_diversity(pictures: Array, groups: Array) -> Array:
    """The same of the two upper corners: where portraits show their wall."""
    side = pictures.shape[1] // 5
    corners = np.concatenate([pictures[:, :side, :side], pictures[:, :side, -side:]], 2)
    return _spread(corners.mean((1, 2)) / 255, groups)


def _in_parts(of: Callable[..., Array], *pictures: Array) -> Array:
    """`of` pictures (or of as many of each of several), some at a time."""
    starts = range(0, len(pictures[0]), AT_ONCE)
    return np.concatenate([of(*(one[at : at + AT_ONCE] for one in pictures)) for at in starts])


def _spread(vectors: Array, groups: Array) -> Array:
    values = []
    for group in np.unique(groups):
        rows = vectors[groups == group]
        if len(rows) > 1:
            variance = rows.var(0, ddof=1).mean()  # half the mean squared distance of two
            values.append(np.sqrt(2 * variance))
    return np.array(values)
