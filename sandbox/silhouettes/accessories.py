"""Hats and scarves."""

from collections.abc import Mapping

import numpy as np

from sandbox.silhouettes.sketch import DARK, Array, Sketch, curve


def draw_hat(_values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    wide = 0.38 + 0.05 * style[0]
    brim = curve(
        [
            (-wide, 0.625),
            (-0.25, 0.575),
            (0.0, 0.565),
            (0.25, 0.575),
            (wide, 0.625),
            (0.24, 0.71),
            (0.0, 0.735),
            (-0.24, 0.71),
        ],
        True,
    )
    sketch.part(brim, 0.92)
    dent = 0.03 * style[1]
    crown = curve(
        [
            (-0.235, 0.635),
            (-0.235, 0.635),
            (-0.225, 0.47),
            (-0.17, 0.33),
            (-0.06, 0.30),
            (0.0, 0.30 + dent),
            (0.06, 0.30),
            (0.17, 0.33),
            (0.225, 0.47),
            (0.235, 0.635),
            (0.235, 0.635),
            (0.0, 0.675),
        ],
        True,
    )
    sketch.part(crown, 1.02)
    band = np.concatenate(
        [
            curve([(-0.236, 0.585), (0.0, 0.625), (0.236, 0.585)]),
            curve([(0.237, 0.64), (0.0, 0.68), (-0.237, 0.64)]),
        ]
    )
    if style[2] < 0.7:
        sketch.trim("polygon", band, DARK if style[2] < 0.4 else (150, 104, 64))
    else:
        sketch.part(band, 0.72)
    sketch.hem(
        curve(
            [(-wide * 0.9, 0.64), (-0.22, 0.695), (0.0, 0.715), (0.22, 0.695), (wide * 0.9, 0.64)]
        )
    )
    sketch.hem(curve([(-0.23, 0.56), (0.0, 0.60), (0.23, 0.56)]))
    return sketch


def draw_scarf(_values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    longer = 0.83 + 0.05 * style[0]
    shorter = 0.74 + 0.05 * style[1]
    tails = (
        [
            (-0.02, 0.30),
            (0.15, 0.30),
            (0.185, 0.55),
            (0.19, longer),
            (0.03, longer + 0.005),
            (0.02, 0.55),
        ],
        [
            (-0.15, 0.30),
            (0.03, 0.30),
            (0.0, 0.55),
            (-0.01, shorter),
            (-0.185, shorter + 0.008),
            (-0.18, 0.55),
        ],
    )
    for tail, level, end in ((tails[0], 0.9, longer), (tails[1], 1.0, shorter)):
        sketch.part(tail, level)
        left, right = tail[4][0], tail[3][0]
        for x in np.linspace(left + 0.012, right - 0.012, 9):
            sketch.straps.append((np.array([(x, end - 0.01), (x, end + 0.06)]), 0.011, 0.85))
        sketch.seam([(left, end - 0.01), (right, end - 0.01)], 0.008)
        sketch.seam(
            [(tail[0][0], 0.3), tail[5], tail[4]] if level > 0.95 else [tail[1], tail[2], tail[3]],
            0.006,
        )
    loop = curve(
        [
            (-0.20, 0.20),
            (-0.10, 0.135),
            (0.10, 0.135),
            (0.20, 0.20),
            (0.215, 0.30),
            (0.12, 0.405),
            (0.0, 0.43),
            (-0.12, 0.405),
            (-0.215, 0.30),
        ],
        True,
    )
    sketch.part(loop, 1.05)
    sketch.part(curve([(-0.135, 0.20), (0.0, 0.165), (0.135, 0.20), (0.0, 0.255)], True), 0.4)
    sketch.seam(np.concatenate([loop, loop[:1]]), 0.009)
    for dy in (0.05, 0.10):
        sketch.seam(
            curve([(-0.2, 0.25 + dy * 0.6), (0.0, 0.285 + dy), (0.2, 0.25 + dy * 0.6)]), 0.008
        )
    return sketch
