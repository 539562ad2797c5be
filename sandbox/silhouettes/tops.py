"""Dresses, t-shirts, sweaters and shirts."""

from collections.abc import Mapping

import numpy as np

from sandbox.silhouettes.bodice import bodice, buttons, collar, ribs
from sandbox.silhouettes.sketch import DARK, HORN, Array, Sketch, curve


def draw_dress(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"mini": 0.60, "midi": 0.765, "maxi": 0.945}[values["length"]]
    flare = 0.6 + 0.7 * style[0]
    width = 0.125 + flare * 0.17 * (hem - 0.36)
    waist = 0.115
    bodice(
        sketch,
        values,
        top=0.115,
        neck=0.066,
        shoulder=0.15,
        arm=(0.135, 0.25),
        reach=0.40,
        rest=[
            (waist, 0.385),
            (waist, 0.385),
            (waist + 0.35 * (width - waist) + 0.02, 0.47),
            (width, hem),
            (width, hem),
            (width * 0.5, hem + 0.012),
            (0.0, hem + 0.016),
        ],
    )
    sketch.seam(curve([(-waist, 0.385), (0, 0.395), (waist, 0.385)]), 0.011)
    for x in (-0.55, -0.15, 0.25, 0.6):
        sketch.seam(
            curve([(x * waist, 0.40), (x * width * 0.8, 0.5), (x * width, hem - 0.01)]), 0.006
        )
    sketch.hem(curve([(-width, hem - 0.02), (0, hem - 0.006), (width, hem - 0.02)]))
    if style[1] < 0.35:
        sketch.part([(-waist, 0.372), (waist, 0.372), (waist, 0.40), (-waist, 0.40)], 0.72)
    return sketch


def draw_tshirt(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.19 + 0.012 * style[0]
    hem = 0.80 + 0.03 * style[1]
    bodice(
        sketch,
        values,
        top=0.15,
        neck=0.082,
        shoulder=0.20,
        arm=(0.185, 0.35),
        reach=0.47,
        rest=[(w - 0.012, 0.55), (w, hem), (w, hem), (w * 0.5, hem + 0.008), (0.0, hem + 0.01)],
    )
    sketch.hem([(-w, hem - 0.022), (w, hem - 0.022)])
    sketch.seam([(-w, hem - 0.022), (w, hem - 0.022)], 0.006)
    return sketch


def draw_sweater(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.205 + 0.015 * style[0]
    hem = 0.735 + 0.02 * style[1]
    bodice(
        sketch,
        values,
        top=0.16,
        neck=0.08,
        shoulder=0.205,
        arm=(0.19, 0.375),
        reach=0.46,
        rest=[(w, 0.56), (w + 0.008, hem), (w - 0.01, hem), (0.0, hem + 0.006)],
    )
    ribs(sketch, 0.012 - w, w - 0.012, hem - 0.01, hem + 0.062)
    return sketch


def draw_shirt(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.185 + 0.012 * style[0]
    hem = 0.80
    bodice(
        sketch,
        values,
        top=0.155,
        neck=0.078,
        shoulder=0.20,
        arm=(0.18, 0.35),
        reach=0.48,
        rest=[
            (w - 0.015, 0.55),
            (w, hem - 0.03),
            (w, hem - 0.03),
            (w * 0.6, hem + 0.03),
            (0.0, hem + 0.04),
        ],
    )
    collar(sketch, 0.078, 0.155, 0.095, 0.10)
    for x in (-0.022, 0.022):
        sketch.seam([(x, 0.225), (x, hem + 0.03)], 0.006)
    dark = style[2] < 0.25
    buttons(sketch, 0.0, np.linspace(0.27, hem - 0.02, 6), DARK if dark else HORN)
    sketch.hem([(-w, hem - 0.04), (-w * 0.6, hem + 0.012), (0, hem + 0.02)])
    sketch.hem([(w, hem - 0.04), (w * 0.6, hem + 0.012), (0, hem + 0.02)])
    if style[1] < 0.6:
        box = [(0.055, 0.36), (0.135, 0.36), (0.135, 0.44), (0.095, 0.455), (0.055, 0.44)]
        sketch.seam([*box, box[0]], 0.007)
        sketch.hem(box[:2])
    return sketch
