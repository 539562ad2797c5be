"""What garments of the upper body share: torso, sleeves, necks, collars, bands."""

from collections.abc import Mapping

import numpy as np

from sandbox.silhouettes.sketch import RUBBER, STEPS, Array, Points, Sketch, both, curve, mirrored


def _sleeve(
    sketch: Sketch,
    kind: str,
    shoulder: tuple[float, float],
    armpit: tuple[float, float],
    reach: float,
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
            [
                tuple(s),
                tuple(s),
                tuple(s + np.array((0.05, 0.03))),
                tuple(root + np.array((0.068, 0.02))),
                tuple(a),
                tuple(a),
            ]
        )
        cuff = outline[STEPS:-STEPS]
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
        tag = [
            (-0.016, top + 0.014),
            (0.016, top + 0.014),
            (0.016, top + 0.036),
            (-0.016, top + 0.036),
        ]
        sketch.trim("polygon", tag, RUBBER)


def _neck_half(kind: str, half: float, shoulder: float) -> float:
    wide = {"boat-neck": shoulder * 0.86, "square-neck": half * 1.15, "v-neck": half * 1.08}
    return wide.get(kind, half)


def bodice(
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
        [
            (half, top),
            (half, top),
            tip,
            tip,
            ((shoulder + arm[0]) / 2 - 0.006, (tip[1] + arm[1]) / 2),
            arm,
            arm,
            *rest,
        ]
    )
    sketch.part(both(right))
    if kind:
        _neck(sketch, kind, half, top)


def buttons(sketch: Sketch, x: float, ys: Array, colour: tuple[int, int, int]) -> None:
    for y in ys:
        sketch.trim("dot", [(x, y)], colour, 0.0125)


def ribs(sketch: Sketch, left: float, right: float, top: float, bottom: float) -> None:
    """A knitted band with its vertical ribs."""
    sketch.part([(left, top), (right, top), (right * 0.97, bottom), (left * 0.97, bottom)], 0.86)
    for x in np.linspace(left * 0.93, right * 0.93, max(int((right - left) / 0.035), 3)):
        sketch.seam([(x, top + 0.004), (x, bottom)], 0.008)


def collar(sketch: Sketch, half: float, top: float, spread: float, depth: float) -> None:
    """A turned-down collar: the dark inside of the neck and two wings."""
    sketch.part(
        [
            (-half, top - 0.005),
            (half, top - 0.005),
            (half * 0.5, top + 0.05),
            (0, top + 0.07),
            (-half * 0.5, top + 0.05),
        ],
        0.42,
    )
    wing = np.array(
        [
            (half * 0.86, top - 0.035),
            (half * 1.3, top + 0.025),
            (spread, top + depth),
            (0.004, top + 0.062),
            (half * 0.62, top + 0.008),
        ]
    )
    for side in (wing, mirrored(wing)):
        sketch.part(side, 0.97)
        sketch.seam(np.concatenate([side, side[:1]]), 0.007)
