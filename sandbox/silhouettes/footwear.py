"""Sneakers and boots, seen from the side."""

from collections.abc import Mapping

import numpy as np

from sandbox.silhouettes.sketch import DARK, METAL, RUBBER, Array, Sketch, curve


def draw_sneakers(_values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch(grounded=True)
    high = 0.06 * style[0]
    upper = curve(
        [
            (-0.40, 0.70),
            (-0.41, 0.56),
            (-0.385, 0.40 - high),
            (-0.385, 0.40 - high),
            (-0.29, 0.43 - high),
            (-0.16, 0.365 - high),
            (-0.16, 0.365 - high),
            (-0.02, 0.475),
            (0.16, 0.545),
            (0.33, 0.575),
            (0.415, 0.64),
            (0.42, 0.70),
            (0.42, 0.70),
            (-0.40, 0.70),
        ],
        closed=True,
    )
    sketch.part(upper)
    sketch.part(
        curve(
            [
                (-0.385, 0.40 - high),
                (-0.29, 0.435 - high),
                (-0.16, 0.365 - high),
                (-0.27, 0.385 - high),
            ],
            True,
        ),
        0.45,
    )
    sketch.seam(curve([(0.22, 0.555), (0.17, 0.62), (0.19, 0.70)]), 0.011)
    sketch.hem(curve([(0.20, 0.555), (0.15, 0.62), (0.17, 0.70)]))
    sketch.seam(curve([(-0.25, 0.43 - high), (-0.20, 0.58), (-0.26, 0.70)]), 0.009)
    sketch.hem(curve([(-0.27, 0.45 - high), (-0.22, 0.58), (-0.28, 0.70)]))
    sketch.seam(curve([(-0.13, 0.40 - high), (-0.06, 0.54), (0.14, 0.60)]), 0.008)
    sketch.trim(
        "polygon",
        curve(
            [
                (-0.425, 0.68),
                (-0.425, 0.68),
                (0.0, 0.705),
                (0.44, 0.68),
                (0.44, 0.68),
                (0.43, 0.755),
                (0.40, 0.765),
                (-0.40, 0.765),
                (-0.43, 0.74),
            ],
            True,
        ),
        RUBBER,
    )
    sketch.trim("line", [(-0.425, 0.735), (0.435, 0.735)], (206, 204, 198), 0.012)
    for t in np.linspace(0, 1, 5):
        x, y = -0.11 + 0.22 * t, 0.385 - high * (1 - t) + 0.135 * t
        sketch.trim("line", [(x, y), (x + 0.035 - 0.11 * (1 - t * 0.3), y + 0.075)], RUBBER, 0.019)
    return sketch


def draw_boots(_values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch(grounded=True)
    top = 0.20 - 0.08 * style[0]
    outline = curve(
        [
            (-0.22, top),
            (0.055, top + 0.012),
            (0.055, top + 0.012),
            (0.05, 0.40),
            (0.075, 0.55),
            (0.20, 0.645),
            (0.32, 0.70),
            (0.355, 0.785),
            (0.35, 0.80),
            (0.35, 0.80),
            (-0.235, 0.80),
            (-0.235, 0.80),
            (-0.25, 0.68),
            (-0.215, 0.50),
            (-0.225, 0.35),
            (-0.22, top),
        ],
        True,
    )
    sketch.part(outline)
    sketch.part(
        curve(
            [(-0.22, top), (-0.08, top - 0.018), (0.055, top + 0.012), (-0.08, top + 0.03)], True
        ),
        0.45,
    )
    sketch.seam(curve([(-0.225, 0.62), (-0.08, 0.66), (0.09, 0.58)]), 0.010)
    sketch.hem(curve([(-0.225, 0.60), (-0.08, 0.64), (0.07, 0.56)]))
    sketch.hem([(-0.215, top + 0.035), (0.05, top + 0.045)])
    heel = 0.86 + 0.02 * style[1]
    sketch.trim("polygon", [(-0.245, 0.79), (-0.08, 0.79), (-0.09, heel), (-0.235, heel)], DARK)
    sketch.trim(
        "polygon",
        curve(
            [
                (-0.245, 0.785),
                (-0.245, 0.785),
                (0.36, 0.785),
                (0.36, 0.785),
                (0.35, 0.83),
                (0.12, 0.832),
                (-0.02, 0.812),
                (-0.10, 0.82),
                (-0.245, 0.82),
            ],
            True,
        ),
        DARK,
    )
    if style[2] < 0.5:
        for t in np.linspace(0, 1, 6):
            y = top + 0.09 + t * (0.53 - top - 0.09)
            sketch.trim("line", [(-0.045, y), (0.052 + 0.02 * t**3, y + 0.022)], RUBBER, 0.015)
    else:
        sketch.seam([(-0.10, top + 0.02), (-0.10, 0.62)], 0.009)
        sketch.trim("line", [(-0.10, top + 0.03), (-0.10, 0.60)], METAL, 0.013)
    return sketch
