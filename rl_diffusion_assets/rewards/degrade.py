"""Pictures made worse on purpose: which of the two is better needs no rater.

Learning from such ranks before there are votes enough: RankIQA, Liu et al. 2017 (1707.08347).
"""

import numpy as np

Array = np.ndarray
WAYS = ("blur", "grain", "patch", "fade", "blend", "scatter")


def degrade(pictures: Array, rng: np.random.Generator) -> Array:
    """Every picture damaged in one of `WAYS`, from a third to the whole of it.

    Args:
        pictures: uint8 ``[n, h, w, 3]``, at least two.
        rng: Of the ways, places and strengths.

    Returns:
        uint8, the same shape.
    """
    out = pictures.astype(np.float32)
    others = np.roll(out, 1, 0)
    height, width = out.shape[1:3]
    ways, strengths = rng.integers(len(WAYS), size=len(out)), rng.uniform(0.3, 1.0, len(out))
    for row, (way, much) in enumerate(zip(ways, strengths, strict=True)):
        picture, name = out[row], WAYS[way]
        tall, wide = (int(side * rng.uniform(0.25, 0.5)) for side in (height, width))
        top, left = rng.integers(height - tall), rng.integers(width - wide)
        box = np.s_[top : top + tall, left : left + wide]
        if name == "blur":
            out[row] = picture + much * (_box_mean(picture, 5) - picture)
        elif name == "grain":
            out[row] = picture + rng.normal(0, 25 * much, picture.shape)
        elif name == "patch":
            picture[box] += much * (others[row][box] - picture[box])
        elif name == "fade":
            picture[box] += much * (picture[box].mean((0, 1)) - picture[box])
        elif name == "blend":
            out[row] = picture + 0.5 * much * (others[row] - picture)
        else:
            part = picture[box].reshape(-1, 3)
            mixed = part[rng.permutation(len(part))].reshape(picture[box].shape)
            picture[box] += much * (mixed - picture[box])
    return np.clip(out, 0, 255).astype(np.uint8)


def _box_mean(picture: Array, size: int) -> Array:
    """Mean over squares of `size` pixels; edges repeat."""
    reach = size // 2
    padded = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
    return windows.mean((3, 4))
