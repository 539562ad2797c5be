"""Handbags and backpacks."""

from collections.abc import Mapping

import numpy as np

from sandbox.silhouettes.sketch import GOLD, METAL, STEPS, Array, Sketch, curve


def draw_handbag(_values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch(grounded=True)
    w = 0.30 + 0.03 * style[0]
    top = 0.46
    rise = 0.17 + 0.06 * style[1]
    handle = curve(
        [
            (-0.17, top + 0.03),
            (-0.15, rise + 0.06),
            (0.0, rise),
            (0.15, rise + 0.06),
            (0.17, top + 0.03),
        ]
    )
    sketch.straps.append((handle, 0.034, 0.88))
    body = curve(
        [
            (-w * 0.85, top),
            (-w * 0.85, top),
            (0.0, top - 0.012),
            (w * 0.85, top),
            (w * 0.85, top),
            (w, 0.70),
            (w * 0.98, 0.82),
            (w * 0.9, 0.845),
            (0, 0.85),
            (-w * 0.9, 0.845),
            (-w * 0.98, 0.82),
            (-w, 0.70),
        ],
        True,
    )
    sketch.part(body)
    if style[2] < 0.6:
        flap = curve(
            [
                (-w * 0.86, top),
                (-w * 0.86, top),
                (w * 0.86, top),
                (w * 0.86, top),
                (w * 0.8, 0.60),
                (0.0, 0.68),
                (-w * 0.8, 0.60),
            ],
            True,
        )
        sketch.part(flap, 1.06)
        sketch.seam(np.concatenate([flap, flap[:1]]), 0.011)
        sketch.hem(curve([(-w * 0.8, 0.585), (0.0, 0.655), (w * 0.8, 0.585)]))
        sketch.trim("polygon", [(-0.03, 0.645), (0.03, 0.645), (0.03, 0.70), (-0.03, 0.70)], GOLD)
    else:
        sketch.seam([(-w * 0.87, top + 0.05), (w * 0.87, top + 0.05)], 0.01)
        sketch.trim("line", [(-w * 0.8, top + 0.022), (w * 0.8, top + 0.022)], GOLD, 0.014)
        sketch.hem([(-w * 0.9, top + 0.07), (w * 0.9, top + 0.07)])
    sketch.hem(curve([(-w * 0.9, 0.82), (0, 0.826), (w * 0.9, 0.82)]))
    for x in (-0.17, 0.17):
        sketch.trim("dot", [(x, top + 0.028)], GOLD, 0.02)
    return sketch


def draw_backpack(_values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch(grounded=True)
    for x in (-1, 1):
        strap = curve([(x * 0.19, 0.26), (x * 0.315, 0.40), (x * 0.30, 0.66), (x * 0.22, 0.78)])
        sketch.straps.append((strap, 0.04, 0.68))
    sketch.straps.append(
        (curve([(-0.06, 0.175), (-0.045, 0.105), (0.045, 0.105), (0.06, 0.175)]), 0.026, 0.78)
    )
    body = curve(
        [
            (-0.20, 0.24),
            (-0.12, 0.16),
            (0.12, 0.16),
            (0.20, 0.24),
            (0.245, 0.52),
            (0.25, 0.82),
            (0.21, 0.875),
            (-0.21, 0.875),
            (-0.25, 0.82),
            (-0.245, 0.52),
        ],
        True,
    )
    sketch.part(body)
    sketch.seam(
        curve([(-0.225, 0.36), (-0.19, 0.25), (0.0, 0.205), (0.19, 0.25), (0.225, 0.36)]), 0.009
    )
    pocket = curve(
        [
            (-0.175, 0.56),
            (-0.175, 0.56),
            (0.175, 0.56),
            (0.175, 0.56),
            (0.18, 0.79),
            (0.15, 0.825),
            (-0.15, 0.825),
            (-0.18, 0.79),
        ],
        True,
    )
    sketch.part(pocket, 1.06)
    sketch.seam(np.concatenate([pocket, pocket[:1]]), 0.012)
    sketch.hem(pocket[STEPS:-STEPS] * (0.93, 1.0))
    sketch.trim("line", [(-0.155, 0.592), (0.155, 0.592)], METAL, 0.014)
    sketch.trim("line", [(0.12, 0.592), (0.125, 0.64)], METAL, 0.014)
    if style[0] < 0.5:
        patch = [(-0.05, 0.395), (0.05, 0.395), (0.05, 0.455), (-0.05, 0.455)]
        sketch.trim("polygon", patch, (150, 104, 64))
    sketch.hem(curve([(-0.215, 0.40), (-0.175, 0.27), (0.0, 0.23), (0.175, 0.27), (0.215, 0.40)]))
    return sketch
