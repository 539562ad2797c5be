"""What no reward asks for, and tuning may not cost: sharpness, colours, diversity."""

import numpy as np

Array = np.ndarray


def sharpness(pictures: Array) -> Array:
    """Mean brightness step between neighbouring pixels, of 255, ``[n]``."""
    light = pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    across, down = np.abs(np.diff(light, axis=2)), np.abs(np.diff(light, axis=1))
    return across.mean((1, 2)) + down.mean((1, 2))


def saturation(pictures: Array) -> Array:
    """Mean saturation of the colours (HSV's: range of the channels / the greatest), ``[n]``."""
    greatest = pictures.max(-1).astype(np.float32)
    return ((greatest - pictures.min(-1)) / np.maximum(greatest, 1)).mean((1, 2))


def diversity(pictures: Array, groups: Array) -> Array:
    """Mean difference between two pictures of one caption, at a quarter of the resolution, in
    units of the full range; one value per caption."""
    n, h, w, c = pictures.shape
    small = pictures.reshape(n, h // 4, 4, w // 4, 4, c).mean((2, 4)) / 255
    return _spread(small.reshape(n, -1), groups)


def background_diversity(pictures: Array, groups: Array) -> Array:
    """The same of the two upper corners: where portraits show their wall."""
    side = pictures.shape[1] // 5
    corners = np.concatenate([pictures[:, :side, :side], pictures[:, :side, -side:]], 2)
    return _spread(corners.mean((1, 2)) / 255, groups)


def _spread(vectors: Array, groups: Array) -> Array:
    values = []
    for group in np.unique(groups):
        rows = vectors[groups == group]
        if len(rows) > 1:
            variance = rows.var(0, ddof=1).mean()  # half the mean squared distance of two
            values.append(np.sqrt(2 * variance))
    return np.array(values)
