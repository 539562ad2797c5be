"""The shape of each product: outlines, seams, hems and trims, as a pattern cutter draws them.

Coordinates are fractions of the picture: x from the middle axis (-0.5 to 0.5), y from the top
(0 to 1). The renderer turns a `Sketch` into pixels; nothing here knows about pixels or cloth.
"""

from collections.abc import Callable, Mapping
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
    padded = (
        np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    )
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


def _sleeve(
    sketch: Sketch, kind: str, shoulder: tuple[float, float], armpit: tuple[float, float], reach: float
) -> None:
    """Draws both sleeves; `reach` is the length of a long one."""
    s, a = np.array(shoulder), np.array(armpit)
    root = (s + a) / 2
    spread = 0.36 if kind != "cap" else 0.6
    d = np.array([np.sin(spread), np.cos(spread)])
    n = np.array([d[1], -d[0]])
    w = max(float(np.hypot(*(s - a))) / 2, 0.055)
    if kind == "cap":
        outline = curve(
            [tuple(s), tuple(s), tuple(s + (0.05, 0.03)), tuple(root + (0.068, 0.02)), tuple(a), tuple(a)]
        )
        cuff = outline[STEPS : -STEPS]
    elif kind == "puff":
        end = root + d * 0.2
        outline = curve(
            [
                tuple(s),
                tuple(s),
                tuple(s + n * 0.055 + d * 0.0),
                tuple(s + n * 0.085 + d * 0.1),
                tuple(end + n * 0.055),
                tuple(end + n * 0.055),
                tuple(end - n * 0.055),
                tuple(end - n * 0.055),
                tuple(end - n * 0.085 - d * 0.06),
                tuple(a),
                tuple(a),
            ]
        )
        cuff = np.array([end + n * 0.055, end - n * 0.055])
        for offset in (-0.03, 0.0, 0.03, 0.06):
            line = np.array([end + n * offset * 0.9, end - d * 0.09 + n * offset * 1.7])
            sketch.seam(line, 0.006)
            sketch.seam(mirrored(line), 0.006)
    else:
        length = {"short": 0.17, "long": reach, "bell": reach * 0.96}[kind]
        end = root + d * length
        wide = {"short": w * 0.95, "long": 0.046, "bell": 0.105}[kind]
        middle = root + d * length * 0.6
        half = {"short": w, "long": (w + 0.05) / 2, "bell": 0.048}[kind]
        outline = curve(
            [
                tuple(s),
                tuple(s),
                tuple(root + d * length * 0.2 + n * w * 1.02),
                tuple(middle + n * half),
                tuple(end + n * wide),
                tuple(end + n * wide),
                tuple(end + d * 0.012),
                tuple(end - n * wide),
                tuple(end - n * wide),
                tuple(middle - n * half),
                tuple(a),
                tuple(a),
            ]
        )
        cuff = np.array([end + n * wide, end - n * wide]) - d * 0.022
    for outline_side, cuff_side in ((outline, cuff), (mirrored(outline), mirrored(cuff))):
        sketch.part(outline_side, 0.9)
        sketch.hem(cuff_side)
        sketch.seam(cuff_side, 0.006)


def _neck(sketch: Sketch, kind: str, half: float, top: float) -> None:
    """The opening of a garment without collar, or the tube of a high one."""
    if kind == "high-neck":
        w = half * 0.92
        tube = [(-w * 0.94, top - 0.066), (w * 0.94, top - 0.066), (w * 1.1, top + 0.03)]
        sketch.part(np.array([*tube, (0.0, top + 0.05), (-w * 1.1, top + 0.03)]), 0.93)
        sketch.seam(curve([(-w * 1.1, top + 0.03), (0, top + 0.05), (w * 1.1, top + 0.03)]), 0.01)
        sketch.seam([(-w, top - 0.02), (w, top - 0.02)], 0.007)
        return
    depth = {"crew-neck": 0.06, "v-neck": 0.19, "square-neck": 0.115, "boat-neck": 0.034}[kind]
    w = half
    if kind == "v-neck":
        front = np.array([(w, top), (w * 0.5, top + depth * 0.54), (0, top + depth)])
    elif kind == "square-neck":
        front = np.array([(w * 1.02, top), (w * 0.95, top + depth), (0, top + depth * 1.03)])
    else:
        front = curve([(w, top), (w * 0.72, top + depth * 0.72), (0.0, top + depth)])
    rim = np.concatenate([front, mirrored(front)[::-1]])
    sketch.part(np.concatenate([rim, [(-w * 0.5, top + 0.012), (w * 0.5, top + 0.012)]]), 0.42)
    sketch.seam(rim, 0.012)
    band = rim + np.where(np.abs(rim) < 2, (0.0, 0.026), 0.0)
    sketch.seam(band, 0.005)
    if kind != "boat-neck":
        tag = [(-0.016, top + 0.014), (0.016, top + 0.014), (0.016, top + 0.036), (-0.016, top + 0.036)]
        sketch.trim("polygon", tag, RUBBER)


def _neck_half(kind: str, half: float, shoulder: float) -> float:
    wide = {"boat-neck": shoulder * 0.86, "square-neck": half * 1.15, "v-neck": half * 1.08}
    return wide.get(kind, half)


def _bodice(
    sketch: Sketch,
    values: Mapping[str, str],
    *,
    top: float,
    neck: float,
    shoulder: float,
    arm: tuple[float, float],
    rest: Points,
    reach: float,
) -> None:
    """Torso with sleeves: shoulder line, armpit, then the points in `rest` down to the hem."""
    kind = values.get("neck", "")
    half = _neck_half(kind, neck, shoulder)
    tip = (shoulder, top + 0.035)
    if values.get("sleeve"):
        _sleeve(sketch, values["sleeve"], tip, arm, reach)
    right = curve(
        [(half, top), (half, top), tip, tip, ((shoulder + arm[0]) / 2 - 0.006, (tip[1] + arm[1]) / 2),
         arm, arm, *rest]
    )
    sketch.part(both(right))
    if kind:
        _neck(sketch, kind, half, top)


def _buttons(sketch: Sketch, x: float, ys: Array, colour: tuple[int, int, int]) -> None:
    for y in ys:
        sketch.trim("dot", [(x, y)], colour, 0.0125)


def _dress(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"mini": 0.60, "midi": 0.765, "maxi": 0.945}[values["length"]]
    flare = 0.6 + 0.7 * style[0]
    width = 0.125 + flare * 0.17 * (hem - 0.36)
    waist = 0.115
    _bodice(
        sketch, values, top=0.115, neck=0.066, shoulder=0.15, arm=(0.135, 0.25), reach=0.40,
        rest=[(waist, 0.385), (waist, 0.385), (waist + 0.35 * (width - waist) + 0.02, 0.47),
              (width, hem), (width, hem), (width * 0.5, hem + 0.012), (0.0, hem + 0.016)],
    )
    sketch.seam(curve([(-waist, 0.385), (0, 0.395), (waist, 0.385)]), 0.011)
    for x in (-0.55, -0.15, 0.25, 0.6):
        sketch.seam(curve([(x * waist, 0.40), (x * width * 0.8, 0.5), (x * width, hem - 0.01)]), 0.006)
    sketch.hem(curve([(-width, hem - 0.02), (0, hem - 0.006), (width, hem - 0.02)]))
    if style[1] < 0.35:
        sketch.part([(-waist, 0.372), (waist, 0.372), (waist, 0.40), (-waist, 0.40)], 0.72)
    return sketch


def _tshirt(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.19 + 0.012 * style[0]
    hem = 0.80 + 0.03 * style[1]
    _bodice(
        sketch, values, top=0.15, neck=0.082, shoulder=0.20, arm=(0.185, 0.35), reach=0.47,
        rest=[(w - 0.012, 0.55), (w, hem), (w, hem), (w * 0.5, hem + 0.008), (0.0, hem + 0.01)],
    )
    sketch.hem([(-w, hem - 0.022), (w, hem - 0.022)])
    sketch.seam([(-w, hem - 0.022), (w, hem - 0.022)], 0.006)
    return sketch


def _ribs(sketch: Sketch, left: float, right: float, top: float, bottom: float) -> None:
    """A knitted band with its vertical ribs."""
    sketch.part([(left, top), (right, top), (right * 0.97, bottom), (left * 0.97, bottom)], 0.86)
    for x in np.linspace(left * 0.93, right * 0.93, max(int((right - left) / 0.035), 3)):
        sketch.seam([(x, top + 0.004), (x, bottom)], 0.008)


def _sweater(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.205 + 0.015 * style[0]
    hem = 0.735 + 0.02 * style[1]
    _bodice(
        sketch, values, top=0.16, neck=0.08, shoulder=0.205, arm=(0.19, 0.375), reach=0.46,
        rest=[(w, 0.56), (w + 0.008, hem), (w - 0.01, hem), (0.0, hem + 0.006)],
    )
    _ribs(sketch, 0.012 - w, w - 0.012, hem - 0.01, hem + 0.062)
    return sketch


def _collar(sketch: Sketch, half: float, top: float, spread: float, depth: float) -> None:
    """A turned-down collar: the dark inside of the neck and two wings."""
    sketch.part([(-half, top - 0.005), (half, top - 0.005), (half * 0.5, top + 0.05), (0, top + 0.07),
                 (-half * 0.5, top + 0.05)], 0.42)
    wing = np.array([(half * 0.86, top - 0.035), (half * 1.3, top + 0.025), (spread, top + depth),
                     (0.004, top + 0.062), (half * 0.62, top + 0.008)])
    for side in (wing, mirrored(wing)):
        sketch.part(side, 0.97)
        sketch.seam(np.concatenate([side, side[:1]]), 0.007)


def _shirt(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.185 + 0.012 * style[0]
    hem = 0.80
    _bodice(
        sketch, values, top=0.155, neck=0.078, shoulder=0.20, arm=(0.18, 0.35), reach=0.48,
        rest=[(w - 0.015, 0.55), (w, hem - 0.03), (w, hem - 0.03), (w * 0.6, hem + 0.03),
              (0.0, hem + 0.04)],
    )
    _collar(sketch, 0.078, 0.155, 0.095, 0.10)
    for x in (-0.022, 0.022):
        sketch.seam([(x, 0.225), (x, hem + 0.03)], 0.006)
    dark = style[2] < 0.25
    _buttons(sketch, 0.0, np.linspace(0.27, hem - 0.02, 6), DARK if dark else HORN)
    sketch.hem([(-w, hem - 0.04), (-w * 0.6, hem + 0.012), (0, hem + 0.02)])
    sketch.hem([(w, hem - 0.04), (w * 0.6, hem + 0.012), (0, hem + 0.02)])
    if style[1] < 0.6:
        box = [(0.055, 0.36), (0.135, 0.36), (0.135, 0.44), (0.095, 0.455), (0.055, 0.44)]
        sketch.seam([*box, box[0]], 0.007)
        sketch.hem(box[:2])
    return sketch


def _hoodie(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.205
    hem = 0.735
    hood = curve([(0.10, 0.25), (0.125, 0.17), (0.10, 0.085), (0.0, 0.05)])
    sketch.part(both(hood[::-1]), 0.84)
    _bodice(
        sketch, {"sleeve": "long"}, top=0.205, neck=0.085, shoulder=0.205, arm=(0.19, 0.40),
        reach=0.42, rest=[(w, 0.56), (w + 0.004, hem), (w - 0.01, hem), (0.0, hem + 0.006)],
    )
    opening = curve([(0.0, 0.095), (0.068, 0.13), (0.06, 0.215), (0.0, 0.275)])
    sketch.part(both(opening), 0.36)
    sketch.seam(both(opening), 0.018)
    _ribs(sketch, 0.012 - w, w - 0.012, hem - 0.01, hem + 0.05)
    pouch = [(-0.075, 0.54), (0.075, 0.54), (0.125, 0.66), (0.125, 0.715), (-0.125, 0.715), (-0.125, 0.66)]
    sketch.part(pouch, 1.03)
    sketch.seam([*pouch, pouch[0]], 0.01)
    sketch.hem(pouch[1:4])
    for x, drop in ((-0.035, 0.13), (0.035, 0.11 + 0.04 * style[1])):
        sketch.trim("line", [(x, 0.262), (x * 1.15, 0.262 + drop)], RUBBER, 0.013)
    if style[0] < 0.4:
        sketch.trim("line", [(0.0, 0.275), (0.0, 0.54)], METAL, 0.012)
    return sketch


def _jacket(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    w = 0.20
    hem = 0.70
    _bodice(
        sketch, {"sleeve": "long"}, top=0.175, neck=0.085, shoulder=0.215, arm=(0.192, 0.38),
        reach=0.45, rest=[(w, 0.55), (w, hem), (w - 0.012, hem), (0.0, hem + 0.004)],
    )
    sketch.part([(-0.085, 0.165), (0.085, 0.165), (0.05, 0.215), (-0.05, 0.215)], 0.4)
    stand = np.array([(0.062, 0.125), (0.10, 0.175), (0.072, 0.235), (0.012, 0.262), (0.02, 0.21)])
    for side in (stand, mirrored(stand)):
        sketch.part(side, 0.9)
        sketch.seam(np.concatenate([side, side[:1]]), 0.007)
    band = [(-w + 0.01, hem - 0.012), (w - 0.01, hem - 0.012), (w - 0.018, hem + 0.045), (-w + 0.018, hem + 0.045)]
    sketch.part(band, 0.84)
    sketch.seam([band[0], band[1]], 0.009)
    sketch.hem([band[0], band[1]])
    for x in (-1, 1):
        welt = [(x * 0.075, 0.60), (x * 0.13, 0.535)]
        sketch.seam(welt, 0.018)
        sketch.hem(np.array(welt) + (0.014 * x, 0.01))
        sketch.seam([(x * 0.2, 0.30), (x * 0.03, 0.32)], 0.006)
    if style[0] < 0.65:
        sketch.trim("line", [(0.0, 0.25), (0.0, hem + 0.04)], METAL, 0.016)
        sketch.seam([(-0.018, 0.255), (-0.018, hem + 0.04)], 0.006)
        sketch.seam([(0.018, 0.255), (0.018, hem + 0.04)], 0.006)
    else:
        sketch.seam([(0.024, 0.25), (0.024, hem + 0.04)], 0.008)
        _buttons(sketch, 0.0, np.linspace(0.29, hem + 0.02, 6), METAL)
    return sketch


def _coat(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"mini": 0.62, "midi": 0.775, "maxi": 0.94}[values["length"]]
    width = 0.17 + 0.11 * (hem - 0.45) + 0.02 * style[0]
    _bodice(
        sketch, {"sleeve": "long"}, top=0.115, neck=0.075, shoulder=0.18, arm=(0.162, 0.30),
        reach=0.40,
        rest=[(0.145, 0.43), (width, hem), (width, hem), (0.0, hem + 0.008)],
    )
    sketch.part([(-0.07, 0.105), (0.07, 0.105), (0.0, 0.30)], 0.42)
    lapel = np.array([(0.06, 0.08), (0.095, 0.125), (0.125, 0.215), (0.10, 0.235), (0.0, 0.36), (0.03, 0.21)])
    for side in (lapel, mirrored(lapel)):
        sketch.part(side, 0.95)
        sketch.seam(np.concatenate([side, side[:1]]), 0.008)
    sketch.seam([(0.0, 0.36), (0.01, hem)], 0.01)
    double = style[1] < 0.55
    ys = np.arange(0.385, min(hem - 0.06, 0.66), 0.085)
    for x in (-0.05, 0.05) if double else (0.03,):
        _buttons(sketch, x, ys, DARK if style[2] < 0.6 else GOLD)
    for x in (-1, 1):
        sketch.seam([(x * 0.09, 0.555), (x * 0.15, 0.535)], 0.016)
    sketch.hem([(-width, hem - 0.022), (width, hem - 0.022)])
    if style[1] > 0.75:
        sketch.part([(-0.148, 0.43), (0.148, 0.43), (0.15, 0.462), (-0.15, 0.462)], 0.8)
        sketch.trim("polygon", [(-0.022, 0.425), (0.022, 0.425), (0.022, 0.467), (-0.022, 0.467)], GOLD)
    return sketch


def _legs(sketch: Sketch, waist: float, top: float, crotch: float, hem: float, leg: float, hip: float) -> None:
    """Two legs from the waist; `leg` is the width of a hem."""
    outer = hip + 0.012
    centre = outer - leg * 0.55
    right = curve([(0.0, top), (waist, top), (waist, top), (hip, top + 0.12), (outer, hem), (outer, hem),
                   (outer - leg, hem + 0.006), (outer - leg, hem + 0.006), (0.006, crotch + 0.01),
                   (0.0, crotch), (0.0, crotch)])
    sketch.part(mirrored(right), 0.96)
    sketch.part(right, 1.0)
    for side in (1, -1):
        sketch.seam([(side * centre, top + 0.17), (side * centre, hem)], 0.005)
        sketch.hem([(side * outer, hem - 0.022), (side * (outer - leg), hem - 0.018)])
    sketch.seam([(0.0, top), (0.0, crotch)], 0.009)


def _waistband(sketch: Sketch, waist: float, top: float, buttoned: bool) -> None:
    band = [(-waist, top - 0.012), (waist, top - 0.012), (waist + 0.004, top + 0.034), (-waist - 0.004, top + 0.034)]
    sketch.part(band, 0.9)
    sketch.seam([band[2], band[3]], 0.009)
    sketch.hem(np.array([band[3], band[2]]) + (0, 0.012))
    if buttoned:
        _buttons(sketch, 0.0, np.array([top + 0.011]), METAL)


def _pockets(sketch: Sketch, waist: float, top: float) -> None:
    for x in (-1, 1):
        slash = curve([(x * waist * 0.5, top + 0.035), (x * waist * 0.72, top + 0.085), (x * (waist + 0.012), top + 0.105)])
        sketch.seam(slash, 0.008)
        sketch.hem(slash + (0.0, 0.014))


def _trousers(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"cropped": 0.70, "full-length": 0.945}[values["length"]]
    wide = style[0]
    _legs(sketch, 0.135, 0.09, 0.36, hem, 0.10 + 0.075 * wide, 0.158 + 0.03 * wide)
    _waistband(sketch, 0.137, 0.09, True)
    _pockets(sketch, 0.137, 0.09)
    sketch.seam(curve([(0.0, 0.285), (0.035, 0.25), (0.038, 0.13)]), 0.006)
    sketch.hem(curve([(0.0, 0.285), (0.035, 0.25), (0.038, 0.13)]))
    return sketch


def _shorts(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    _legs(sketch, 0.195, 0.22, 0.53, 0.68 + 0.05 * style[1], 0.225, 0.235 + 0.02 * style[0])
    _waistband(sketch, 0.197, 0.22, style[0] < 0.6)
    _pockets(sketch, 0.197, 0.22)
    if style[0] >= 0.6:
        for x in (-0.02, 0.02):
            sketch.trim("line", [(0.0, 0.245), (x, 0.345)], RUBBER, 0.011)
    return sketch


def _skirt(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"mini": 0.52, "midi": 0.715, "maxi": 0.93}[values["length"]]
    top, waist = 0.15, 0.135
    width = waist + (0.16 + 0.22 * style[0]) * (hem - top) + 0.03
    right = curve([(0.0, top), (waist, top), (waist, top), (waist + 0.45 * (width - waist) + 0.012, top + 0.4 * (hem - top)),
                   (width, hem), (width, hem), (width * 0.5, hem + 0.018), (0.0, hem + 0.024)])
    sketch.part(both(right))
    count = 3 + int(style[1] * 4)
    for x in np.linspace(-0.7, 0.7, count):
        sketch.seam(curve([(x * waist, top + 0.03), (x * width * 0.82, (top + hem) / 2), (x * width, hem)]), 0.007)
    _waistband(sketch, waist + 0.002, top, style[2] < 0.4)
    sketch.hem(curve([(-width, hem - 0.02), (0, hem + 0.002), (width, hem - 0.02)]))
    return sketch


def _jumpsuit(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    hem = {"cropped": 0.745, "full-length": 0.95}[values["length"]]
    _legs(sketch, 0.108, 0.36, 0.55, hem, 0.105 + 0.06 * style[0], 0.14 + 0.03 * style[0])
    _bodice(
        sketch, values, top=0.108, neck=0.06, shoulder=0.14, arm=(0.125, 0.225), reach=0.34,
        rest=[(0.108, 0.365), (0.108, 0.365), (0.0, 0.372)],
    )
    sketch.part([(-0.112, 0.35), (0.112, 0.35), (0.113, 0.388), (-0.113, 0.388)], 0.78)
    if style[1] < 0.5:
        sketch.trim("polygon", [(-0.02, 0.347), (0.02, 0.347), (0.02, 0.391), (-0.02, 0.391)], GOLD)
    for x in (-1, 1):
        sketch.seam([(x * 0.06, 0.40), (x * 0.12, 0.47)], 0.008)
    return sketch


def _sneakers(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch(grounded=True)
    high = 0.06 * style[0]
    upper = curve([(-0.40, 0.70), (-0.41, 0.56), (-0.385, 0.40 - high), (-0.385, 0.40 - high), (-0.29, 0.43 - high),
                   (-0.16, 0.365 - high), (-0.16, 0.365 - high), (-0.02, 0.475), (0.16, 0.545), (0.33, 0.575), (0.415, 0.64),
                   (0.42, 0.70), (0.42, 0.70), (-0.40, 0.70)], closed=True)
    sketch.part(upper)
    sketch.part(curve([(-0.385, 0.40 - high), (-0.29, 0.435 - high), (-0.16, 0.365 - high), (-0.27, 0.385 - high)], True), 0.45)
    sketch.seam(curve([(0.22, 0.555), (0.17, 0.62), (0.19, 0.70)]), 0.011)
    sketch.hem(curve([(0.20, 0.555), (0.15, 0.62), (0.17, 0.70)]))
    sketch.seam(curve([(-0.25, 0.43 - high), (-0.20, 0.58), (-0.26, 0.70)]), 0.009)
    sketch.hem(curve([(-0.27, 0.45 - high), (-0.22, 0.58), (-0.28, 0.70)]))
    sketch.seam(curve([(-0.13, 0.40 - high), (-0.06, 0.54), (0.14, 0.60)]), 0.008)
    sketch.trim("polygon", curve([(-0.425, 0.68), (-0.425, 0.68), (0.0, 0.705), (0.44, 0.68), (0.44, 0.68), (0.43, 0.755),
                                  (0.40, 0.765), (-0.40, 0.765), (-0.43, 0.74)], True), RUBBER)
    sketch.trim("line", [(-0.425, 0.735), (0.435, 0.735)], (206, 204, 198), 0.012)
    for t in np.linspace(0, 1, 5):
        x, y = -0.11 + 0.22 * t, 0.385 - high * (1 - t) + 0.135 * t
        sketch.trim("line", [(x, y), (x + 0.035 - 0.11 * (1 - t * 0.3), y + 0.075)], RUBBER, 0.019)
    return sketch


def _boots(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch(grounded=True)
    top = 0.20 - 0.08 * style[0]
    outline = curve([(-0.22, top), (0.055, top + 0.012), (0.055, top + 0.012), (0.05, 0.40), (0.075, 0.55), (0.20, 0.645), (0.32, 0.70),
                     (0.355, 0.785), (0.35, 0.80), (0.35, 0.80), (-0.235, 0.80), (-0.235, 0.80), (-0.25, 0.68), (-0.215, 0.50), (-0.225, 0.35),
                     (-0.22, top)], True)
    sketch.part(outline)
    sketch.part(curve([(-0.22, top), (-0.08, top - 0.018), (0.055, top + 0.012), (-0.08, top + 0.03)], True), 0.45)
    sketch.seam(curve([(-0.225, 0.62), (-0.08, 0.66), (0.09, 0.58)]), 0.010)
    sketch.hem(curve([(-0.225, 0.60), (-0.08, 0.64), (0.07, 0.56)]))
    sketch.hem([(-0.215, top + 0.035), (0.05, top + 0.045)])
    heel = 0.86 + 0.02 * style[1]
    sketch.trim("polygon", [(-0.245, 0.79), (-0.08, 0.79), (-0.09, heel), (-0.235, heel)], DARK)
    sketch.trim("polygon", curve([(-0.245, 0.785), (-0.245, 0.785), (0.36, 0.785), (0.36, 0.785), (0.35, 0.83), (0.12, 0.832), (-0.02, 0.812), (-0.10, 0.82), (-0.245, 0.82)], True), DARK)
    if style[2] < 0.5:
        for t in np.linspace(0, 1, 6):
            y = top + 0.09 + t * (0.53 - top - 0.09)
            sketch.trim("line", [(-0.045, y), (0.052 + 0.02 * t**3, y + 0.022)], RUBBER, 0.015)
    else:
        sketch.seam([(-0.10, top + 0.02), (-0.10, 0.62)], 0.009)
        sketch.trim("line", [(-0.10, top + 0.03), (-0.10, 0.60)], METAL, 0.013)
    return sketch


def _handbag(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch(grounded=True)
    w = 0.30 + 0.03 * style[0]
    top = 0.46
    rise = 0.17 + 0.06 * style[1]
    handle = curve([(-0.17, top + 0.03), (-0.15, rise + 0.06), (0.0, rise), (0.15, rise + 0.06), (0.17, top + 0.03)])
    sketch.straps.append((handle, 0.034, 0.88))
    body = curve([(-w * 0.85, top), (-w * 0.85, top), (0.0, top - 0.012), (w * 0.85, top), (w * 0.85, top), (w, 0.70), (w * 0.98, 0.82),
                  (w * 0.9, 0.845), (0, 0.85), (-w * 0.9, 0.845), (-w * 0.98, 0.82), (-w, 0.70)], True)
    sketch.part(body)
    if style[2] < 0.6:
        flap = curve([(-w * 0.86, top), (-w * 0.86, top), (w * 0.86, top), (w * 0.86, top), (w * 0.8, 0.60), (0.0, 0.68), (-w * 0.8, 0.60)], True)
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


def _backpack(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch(grounded=True)
    for x in (-1, 1):
        strap = curve([(x * 0.19, 0.26), (x * 0.315, 0.40), (x * 0.30, 0.66), (x * 0.22, 0.78)])
        sketch.straps.append((strap, 0.04, 0.68))
    sketch.straps.append((curve([(-0.06, 0.175), (-0.045, 0.105), (0.045, 0.105), (0.06, 0.175)]), 0.026, 0.78))
    body = curve([(-0.20, 0.24), (-0.12, 0.16), (0.12, 0.16), (0.20, 0.24), (0.245, 0.52), (0.25, 0.82), (0.21, 0.875), (-0.21, 0.875), (-0.25, 0.82), (-0.245, 0.52)], True)
    sketch.part(body)
    sketch.seam(curve([(-0.225, 0.36), (-0.19, 0.25), (0.0, 0.205), (0.19, 0.25), (0.225, 0.36)]), 0.009)
    pocket = curve([(-0.175, 0.56), (-0.175, 0.56), (0.175, 0.56), (0.175, 0.56), (0.18, 0.79), (0.15, 0.825), (-0.15, 0.825), (-0.18, 0.79)], True)
    sketch.part(pocket, 1.06)
    sketch.seam(np.concatenate([pocket, pocket[:1]]), 0.012)
    sketch.hem(pocket[STEPS : -STEPS] * (0.93, 1.0))
    sketch.trim("line", [(-0.155, 0.592), (0.155, 0.592)], METAL, 0.014)
    sketch.trim("line", [(0.12, 0.592), (0.125, 0.64)], METAL, 0.014)
    if style[0] < 0.5:
        patch = [(-0.05, 0.395), (0.05, 0.395), (0.05, 0.455), (-0.05, 0.455)]
        sketch.trim("polygon", patch, (150, 104, 64))
    sketch.hem(curve([(-0.215, 0.40), (-0.175, 0.27), (0.0, 0.23), (0.175, 0.27), (0.215, 0.40)]))
    return sketch


def _hat(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    wide = 0.38 + 0.05 * style[0]
    brim = curve([(-wide, 0.625), (-0.25, 0.575), (0.0, 0.565), (0.25, 0.575), (wide, 0.625), (0.24, 0.71), (0.0, 0.735), (-0.24, 0.71)], True)
    sketch.part(brim, 0.92)
    dent = 0.03 * style[1]
    crown = curve([(-0.235, 0.635), (-0.235, 0.635), (-0.225, 0.47), (-0.17, 0.33), (-0.06, 0.30), (0.0, 0.30 + dent), (0.06, 0.30), (0.17, 0.33),
                   (0.225, 0.47), (0.235, 0.635), (0.235, 0.635), (0.0, 0.675)], True)
    sketch.part(crown, 1.02)
    band = np.concatenate([curve([(-0.236, 0.585), (0.0, 0.625), (0.236, 0.585)]), curve([(0.237, 0.64), (0.0, 0.68), (-0.237, 0.64)])])
    if style[2] < 0.7:
        sketch.trim("polygon", band, DARK if style[2] < 0.4 else (150, 104, 64))
    else:
        sketch.part(band, 0.72)
    sketch.hem(curve([(-wide * 0.9, 0.64), (-0.22, 0.695), (0.0, 0.715), (0.22, 0.695), (wide * 0.9, 0.64)]))
    sketch.hem(curve([(-0.23, 0.56), (0.0, 0.60), (0.23, 0.56)]))
    return sketch


def _scarf(values: Mapping[str, str], style: Array) -> Sketch:
    sketch = Sketch()
    longer = 0.83 + 0.05 * style[0]
    shorter = 0.74 + 0.05 * style[1]
    tails = (
        [(-0.02, 0.30), (0.15, 0.30), (0.185, 0.55), (0.19, longer), (0.03, longer + 0.005), (0.02, 0.55)],
        [(-0.15, 0.30), (0.03, 0.30), (0.0, 0.55), (-0.01, shorter), (-0.185, shorter + 0.008), (-0.18, 0.55)],
    )
    for tail, level, end in ((tails[0], 0.9, longer), (tails[1], 1.0, shorter)):
        sketch.part(tail, level)
        left, right = tail[4][0], tail[3][0]
        for x in np.linspace(left + 0.012, right - 0.012, 9):
            sketch.straps.append((np.array([(x, end - 0.01), (x, end + 0.06)]), 0.011, 0.85))
        sketch.seam([(left, end - 0.01), (right, end - 0.01)], 0.008)
        sketch.seam([(tail[0][0], 0.3), tail[5], tail[4]] if level > 0.95 else [tail[1], tail[2], tail[3]], 0.006)
    loop = curve([(-0.20, 0.20), (-0.10, 0.135), (0.10, 0.135), (0.20, 0.20), (0.215, 0.30), (0.12, 0.405), (0.0, 0.43), (-0.12, 0.405), (-0.215, 0.30)], True)
    sketch.part(loop, 1.05)
    sketch.part(curve([(-0.135, 0.20), (0.0, 0.165), (0.135, 0.20), (0.0, 0.255)], True), 0.4)
    sketch.seam(np.concatenate([loop, loop[:1]]), 0.009)
    for dy in (0.05, 0.10):
        sketch.seam(curve([(-0.2, 0.25 + dy * 0.6), (0.0, 0.285 + dy), (0.2, 0.25 + dy * 0.6)]), 0.008)
    return sketch


DRAW: Mapping[str, Callable[[Mapping[str, str], Array], Sketch]] = {
    "dress": _dress,
    "t-shirt": _tshirt,
    "sweater": _sweater,
    "shirt": _shirt,
    "skirt": _skirt,
    "trousers": _trousers,
    "jacket": _jacket,
    "coat": _coat,
    "hoodie": _hoodie,
    "shorts": _shorts,
    "jumpsuit": _jumpsuit,
    "sneakers": _sneakers,
    "boots": _boots,
    "handbag": _handbag,
    "backpack": _backpack,
    "hat": _hat,
    "scarf": _scarf,
}
