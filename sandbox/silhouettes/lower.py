"""What has a waistband: trousers, shorts, skirts; and jumpsuits, which have legs too."""

from collections.abc import Mapping

import numpy as np

from sandbox.silhouettes.bodice import bodice, buttons
from sandbox.silhouettes.sketch import GOLD, METAL, RUBBER, Array, Sketch, both, curve, mirrored


def _legs(
    sketch: Sketch, waist: float, top: float, crotch: float, hem: float, leg: float, hip: float
) -> None:
    """Two legs from the waist; `leg` is the width of a hem."""
    outer = hip + 0.012
    centre = outer - leg * 0.55
    right = curve(
        [
            (0.0, top),
            (waist, top),
            (waist, top),
            (hip, top + 0.12),
            (outer, hem),
            (outer, hem),
            (outer - leg, hem + 0.006),
            (outer - leg, hem + 0.006),
            (0.006, crotch + 0.01),
            (0.0, crotch),
            (0.0, crotch),
        ]
    )
    sketch.part(mirrored(right), 0.96)
    sketch.part(right, 1.0)
    for side in (1, -1):
        sketch.seam([(side * centre, top + 0.17), (side * centre, hem)], 0.005)
        sketch.hem([(side * outer, hem - 0.022), (side * (outer - leg), hem - 0.018)])
    sketch.seam([(0.0, top), (0.0, crotch)], 0.009)


def _waistband(sketch: Sketch, waist: float, top: float, buttoned: bool) -> None:
    band = [
        (-waist, top - 0.012),
        (waist, top - 0.012),
        (waist + 0.004, top + 0.034),
        (-waist - 0.004, top + 0.034),
    ]
    sketch.part(band, 0.9)
    sketch.seam([band[2], band[3]], 0.009)
    sketch.hem(np.array([band[3], band[2]]) + np.array((0.0, 0.012)))
    if buttoned:
        buttons(sketch, 0.0, np.array([top + 0.011]), METAL)


def _pockets(sketch: Sketch, waist: float, top: float) -> None:
    for x in (-1, 1):
        slash = curve(
            [
                (x * waist * 0.5, top + 0.035),
                (x * waist * 0.72, top + 0.085),
                (x * (waist + 0.012), top + 0.105),
            ]
        )
        sketch.seam(slash, 0.008)
        sketch.hem(slash + np.array((0.0, 0.014)))


def draw_trousers(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"cropped": 0.70, "full-length": 0.945}[values["length"]]
    wide = style[0]
    _legs(sketch, 0.135, 0.09, 0.36, hem, 0.10 + 0.075 * wide, 0.158 + 0.03 * wide)
    _waistband(sketch, 0.137, 0.09, True)
    _pockets(sketch, 0.137, 0.09)
    sketch.seam(curve([(0.0, 0.285), (0.035, 0.25), (0.038, 0.13)]), 0.006)
    sketch.hem(curve([(0.0, 0.285), (0.035, 0.25), (0.038, 0.13)]))
    return sketch


def draw_shorts(_values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    _legs(sketch, 0.195, 0.22, 0.53, 0.68 + 0.05 * style[1], 0.225, 0.235 + 0.02 * style[0])
    _waistband(sketch, 0.197, 0.22, style[0] < 0.6)
    _pockets(sketch, 0.197, 0.22)
    if style[0] >= 0.6:
        for x in (-0.02, 0.02):
            sketch.trim("line", [(0.0, 0.245), (x, 0.345)], RUBBER, 0.011)
    return sketch


def draw_skirt(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"mini": 0.52, "midi": 0.715, "maxi": 0.93}[values["length"]]
    top, waist = 0.15, 0.135
    width = waist + (0.16 + 0.22 * style[0]) * (hem - top) + 0.03
    right = curve(
        [
            (0.0, top),
            (waist, top),
            (waist, top),
            (waist + 0.45 * (width - waist) + 0.012, top + 0.4 * (hem - top)),
            (width, hem),
            (width, hem),
            (width * 0.5, hem + 0.018),
            (0.0, hem + 0.024),
        ]
    )
    sketch.part(both(right))
    count = 3 + int(style[1] * 4)
    for x in np.linspace(-0.7, 0.7, count):
        sketch.seam(
            curve([(x * waist, top + 0.03), (x * width * 0.82, (top + hem) / 2), (x * width, hem)]),
            0.007,
        )
    _waistband(sketch, waist + 0.002, top, style[2] < 0.4)
    sketch.hem(curve([(-width, hem - 0.02), (0, hem + 0.002), (width, hem - 0.02)]))
    return sketch


def draw_jumpsuit(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"cropped": 0.745, "full-length": 0.95}[values["length"]]
    _legs(sketch, 0.108, 0.36, 0.55, hem, 0.105 + 0.06 * style[0], 0.14 + 0.03 * style[0])
    bodice(
        sketch,
        values,
        top=0.108,
        neck=0.06,
        shoulder=0.14,
        arm=(0.125, 0.225),
        reach=0.34,
        rest=[(0.108, 0.365), (0.108, 0.365), (0.0, 0.372)],
    )
    sketch.part([(-0.112, 0.35), (0.112, 0.35), (0.113, 0.388), (-0.113, 0.388)], 0.78)
    if style[1] < 0.5:
        sketch.trim("polygon", [(-0.02, 0.347), (0.02, 0.347), (0.02, 0.391), (-0.02, 0.391)], GOLD)
    for x in (-1, 1):
        sketch.seam([(x * 0.06, 0.40), (x * 0.12, 0.47)], 0.008)
    return sketch
