"""A sketch: outlines, seams, hems and trims of a product, as a pattern cutter draws them.

Coordinates are fractions of the picture: x from the middle axis (-0.5 to 0.5), y from the top
(0 to 1). The renderer turns a `Sketch` into pixels; nothing here knows about pixels or cloth.
"""

from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
Points = list[tuple[float, float]]

STEPS = 6  # points a curve segment is sampled at
_T = np.linspace(0.0, 1.0, STEPS, endpoint=False)
_WINDOW = np.arange(4)
_CATMULL_ROM = 0.5 * np.stack(
    [
        -_T + 2 * _T**2 - _T**3,
        2 - 5 * _T**2 + 3 * _T**3,
        _T + 4 * _T**2 - 3 * _T**3,
        -(_T**2) + _T**3,
    ],
    axis=1,
)


@dataclass
class Sketch:
    """What to draw, in this order: parts, then seams, hems and trims over them.

    Attributes:
        parts: (outline, level): cloth; level is its brightness, lower lies deeper.
        straps: (line, width, level): cloth drawn as a thick line.
        seams: (line, width): dark lines where parts meet.
        hems: Lines that carry visible stitching when the cloth is denim.
        trims: (kind, points, colour, width) of what is not cloth; kind is polygon, line or dot.
        grounded: Stands on a floor, so that its shadow lies under it.
    """

    parts: list[tuple[Array, float]] = field(default_factory=list)
    straps: list[tuple[Array, float, float]] = field(default_factory=list)
    seams: list[tuple[Array, float]] = field(default_factory=list)
    hems: list[Array] = field(default_factory=list)
    trims: list[tuple[str, Array, tuple[int, int, int], float]] = field(default_factory=list)
    grounded: bool = False

    def part(self, outline: Array | Points, level: float = 1.0) -> None:
        self.parts.append((np.asarray(outline, float), level))

    def seam(self, line: Array | Points, width: float = 0.008) -> None:
        self.seams.append((np.asarray(line, float), width))

    def hem(self, line: Array | Points) -> None:
        self.hems.append(np.asarray(line, float))

    def trim(
        self, kind: str, points: Points | Array, colour: tuple[int, int, int], width: float = 0.01
    ) -> None:
        self.trims.append((kind, np.asarray(points, float), colour, width))


METAL = (196, 190, 178)
GOLD = (206, 168, 88)
RUBBER = (238, 237, 232)
HORN = (232, 226, 214)
DARK = (52, 46, 44)


def curve(points: Points, closed: bool = False) -> Array:
    """A Catmull-Rom curve through the points; a repeated point is a corner."""
    p = np.asarray(points, float)
    padded = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    windows = padded[np.arange(len(padded) - 3)[:, None] + _WINDOW]
    windows = windows[(windows[:, 1] != windows[:, 2]).any(axis=1)]  # a corner has no inside
    sampled = (_CATMULL_ROM @ windows).reshape(-1, 2)
    return sampled if closed else np.concatenate([sampled, p[-1:]])


def mirrored(line: Array | Points) -> Array:
    """The same line on the other side of the middle axis."""
    return np.asarray(line, float) * (-1.0, 1.0)


def both(right: Array) -> Array:
    """A closed outline from its right half, listed from top to bottom."""
    return np.concatenate([right, mirrored(right)[::-1]])
