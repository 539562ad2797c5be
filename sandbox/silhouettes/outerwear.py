"""Hoodies, jackets and coats."""

from collections.abc import Mapping

import numpy as np

from sandbox.silhouettes.bodice import bodice, buttons, ribs
from sandbox.silhouettes.sketch import (
    DARK,
    GOLD,
    METAL,
    RUBBER,
    Array,
    Sketch,
    both,
    curve,
    mirrored,
)


def draw_hoodie(_values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.205
    hem = 0.735
    hood = curve([(0.10, 0.25), (0.125, 0.17), (0.10, 0.085), (0.0, 0.05)])
    sketch.part(both(hood[::-1]), 0.84)
    bodice(
        sketch,
        {"sleeve": "long"},
        top=0.205,
        neck=0.085,
        shoulder=0.205,
        arm=(0.19, 0.40),
        reach=0.42,
        rest=[(w, 0.56), (w + 0.004, hem), (w - 0.01, hem), (0.0, hem + 0.006)],
    )
    opening = curve([(0.0, 0.095), (0.068, 0.13), (0.06, 0.215), (0.0, 0.275)])
    sketch.part(both(opening), 0.36)
    sketch.seam(both(opening), 0.018)
    ribs(sketch, 0.012 - w, w - 0.012, hem - 0.01, hem + 0.05)
    pouch = [
        (-0.075, 0.54),
        (0.075, 0.54),
        (0.125, 0.66),
        (0.125, 0.715),
        (-0.125, 0.715),
        (-0.125, 0.66),
    ]
    sketch.part(pouch, 1.03)
    sketch.seam([*pouch, pouch[0]], 0.01)
    sketch.hem(pouch[1:4])
    for x, drop in ((-0.035, 0.13), (0.035, 0.11 + 0.04 * style[1])):
        sketch.trim("line", [(x, 0.262), (x * 1.15, 0.262 + drop)], RUBBER, 0.013)
    if style[0] < 0.4:
        sketch.trim("line", [(0.0, 0.275), (0.0, 0.54)], METAL, 0.012)
    return sketch


def draw_jacket(_values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.20
    hem = 0.70
    bodice(
        sketch,
        {"sleeve": "long"},
        top=0.175,
        neck=0.085,
        shoulder=0.215,
        arm=(0.192, 0.38),
        reach=0.45,
        rest=[(w, 0.55), (w, hem), (w - 0.012, hem), (0.0, hem + 0.004)],
    )
    sketch.part([(-0.085, 0.165), (0.085, 0.165), (0.05, 0.215), (-0.05, 0.215)], 0.4)
    stand = np.array([(0.062, 0.125), (0.10, 0.175), (0.072, 0.235), (0.012, 0.262), (0.02, 0.21)])
    for side in (stand, mirrored(stand)):
        sketch.part(side, 0.9)
        sketch.seam(np.concatenate([side, side[:1]]), 0.007)
    band = [
        (-w + 0.01, hem - 0.012),
        (w - 0.01, hem - 0.012),
        (w - 0.018, hem + 0.045),
        (-w + 0.018, hem + 0.045),
    ]
    sketch.part(band, 0.84)
    sketch.seam([band[0], band[1]], 0.009)
    sketch.hem([band[0], band[1]])
    for x in (-1, 1):
        welt = [(x * 0.075, 0.60), (x * 0.13, 0.535)]
        sketch.seam(welt, 0.018)
        sketch.hem(np.array(welt) + np.array((0.014 * x, 0.01)))
        sketch.seam([(x * 0.2, 0.30), (x * 0.03, 0.32)], 0.006)
    if style[0] < 0.65:
        sketch.trim("line", [(0.0, 0.25), (0.0, hem + 0.04)], METAL, 0.016)
        sketch.seam([(-0.018, 0.255), (-0.018, hem + 0.04)], 0.006)
        sketch.seam([(0.018, 0.255), (0.018, hem + 0.04)], 0.006)
    else:
        sketch.seam([(0.024, 0.25), (0.024, hem + 0.04)], 0.008)
        buttons(sketch, 0.0, np.linspace(0.29, hem + 0.02, 6), METAL)
    return sketch


def draw_coat(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"mini": 0.62, "midi": 0.775, "maxi": 0.94}[values["length"]]
    width = 0.17 + 0.11 * (hem - 0.45) + 0.02 * style[0]
    bodice(
        sketch,
        {"sleeve": "long"},
        top=0.115,
        neck=0.075,
        shoulder=0.18,
        arm=(0.162, 0.30),
        reach=0.40,
        rest=[(0.145, 0.43), (width, hem), (width, hem), (0.0, hem + 0.008)],
    )
    sketch.part([(-0.07, 0.105), (0.07, 0.105), (0.0, 0.30)], 0.42)
    lapel = np.array(
        [(0.06, 0.08), (0.095, 0.125), (0.125, 0.215), (0.10, 0.235), (0.0, 0.36), (0.03, 0.21)]
    )
    for side in (lapel, mirrored(lapel)):
        sketch.part(side, 0.95)
        sketch.seam(np.concatenate([side, side[:1]]), 0.008)
    sketch.seam([(0.0, 0.36), (0.01, hem)], 0.01)
    double = style[1] < 0.55
    ys = np.arange(0.385, min(hem - 0.06, 0.66), 0.085)
    for x in (-0.05, 0.05) if double else (0.03,):
        buttons(sketch, x, ys, DARK if style[2] < 0.6 else GOLD)
    for x in (-1, 1):
        sketch.seam([(x * 0.09, 0.555), (x * 0.15, 0.535)], 0.016)
    sketch.hem([(-width, hem - 0.022), (width, hem - 0.022)])
    if style[1] > 0.75:
        sketch.part([(-0.148, 0.43), (0.148, 0.43), (0.15, 0.462), (-0.15, 0.462)], 0.8)
        sketch.trim(
            "polygon", [(-0.022, 0.425), (0.022, 0.425), (0.022, 0.467), (-0.022, 0.467)], GOLD
        )
    return sketch
