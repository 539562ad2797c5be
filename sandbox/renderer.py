"""Product photos: a sketch cut from cloth, lit from one side, before a light studio wall."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from sandbox import fabrics
from sandbox.silhouettes import DRAW
from sandbox.silhouettes.sketch import Sketch
from sandbox.vocabulary import COLOURS

Array = np.ndarray
STITCH = (216, 158, 84)  # the tan thread of denim
# Per material: strength of its relief, of soft folds, and of light and shade on its volume.
LOOK = {
    "cotton": (0.035, 0.07, 0.55),
    "denim": (0.125, 0.05, 0.50),
    "wool": (0.165, 0.05, 0.60),
    "leather": (0.05, 0.12, 0.95),
    "linen": (0.125, 0.04, 0.45),
    "silk": (0.19, 0.06, 0.60),
}
WALLS = (
    (244, 243, 241),
    (238, 241, 245),
    (246, 240, 234),
    (240, 244, 239),
    (245, 240, 244),
    (233, 235, 237),
)


class _Pose:
    """Where the sketch lands on the canvas: mirrored, turned, scaled, shifted."""

    def __init__(self, rng: np.random.Generator, side: int, view: int, grounded: bool) -> None:
        turn = rng.normal(0.0, 0.022) + (rng.choice((-1, 1)) * 0.07 if view else 0.0)
        turn = turn * 0.3 if grounded else turn
        scale = rng.uniform(0.95, 1.03) * (1.0 if view == 0 else 0.94)
        squeeze = 1.0 if view == 0 else 0.93  # a second photo is taken a little from the side
        flip = -1.0 if rng.random() < 0.5 else 1.0
        cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
        self.matrix = side * np.array([[cos * flip * squeeze, sin * flip], [-sin, cos]])
        shift = rng.uniform(-0.015, 0.015, 2)
        self.offset = side * (np.array([0.5, 0.5]) + shift)
        self.scale = side * scale

    def __call__(self, lines: list[Array]) -> list[list[float]]:
        """Places many lines at once; each comes back flat, as x0, y0, x1, y1 ..."""
        if not lines:
            return []
        moved = (np.concatenate(lines) - (0.0, 0.5)) @ self.matrix + self.offset
        flat, out, start = moved.ravel().tolist(), [], 0
        for line in lines:
            out.append(flat[start : start + 2 * len(line)])
            start += 2 * len(line)
        return out

    def width(self, width: float) -> int:
        return max(round(width * self.scale), 1)


@lru_cache(maxsize=4)
def _vignette(size: int) -> Array:
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    return 1.0 - 0.035 * (x**2 + (y + 0.2) ** 2) - 0.03 * np.clip(y - 0.45, 0, 1)


@lru_cache(maxsize=4)
def _grain(size: int) -> Array:
    rng = np.random.default_rng(75)
    return rng.normal(0.0, 1.2, (2 * size, 2 * size)).astype(np.float32)


def _crop(field: Array, rng: np.random.Generator, size: int) -> Array:
    y, x = rng.integers(0, field.shape[0] - size, 2)
    return field[y : y + size, x : x + size]


def _blurred(image: Image.Image, radius: float) -> Array:
    return np.asarray(image.filter(ImageFilter.BoxBlur(radius)), np.float32) / 255.0


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    return image.reduce(factor) if factor > 1 else image


def _draw(sketch: Sketch, pose: _Pose, side: int, factor: int) -> tuple[Image.Image, Image.Image]:
    """Cloth coverage and relief (level of each part, dark along its edges and seams)."""
    cover = Image.new("L", (side, side), 0)
    relief = Image.new("L", (side, side), 0)
    on_cover, on_relief = ImageDraw.Draw(cover), ImageDraw.Draw(relief)
    placed = pose(
        [line for line, _, _ in sketch.straps]
        + [outline for outline, _ in sketch.parts]
        + [line for line, _ in sketch.seams]
    )
    outlines, seams = placed[len(sketch.straps) :], placed[len(sketch.straps) + len(sketch.parts) :]
    for points, (_, width, level) in zip(placed, sketch.straps, strict=False):
        on_cover.line(points, 255, pose.width(width), "curve")
        on_relief.line(points, int(190 * level), pose.width(width), "curve")
    edge = pose.width(0.010)
    for points, (_, level) in zip(outlines, sketch.parts, strict=False):
        on_cover.polygon(points, 255)
        on_relief.polygon(points, int(190 * level))
        on_relief.line(points + points[:2], int(136 * level), edge)
    for points, (_, width) in zip(seams, sketch.seams, strict=True):
        on_relief.line(points, 124, pose.width(width))
    return _reduced(cover, factor), _reduced(relief, factor)


def _trims(
    sketch: Sketch, pose: _Pose, side: int, factor: int, stitched: bool
) -> Image.Image | None:
    """What is not cloth, as an RGBA layer: soles, buttons, zips, and the thread of denim."""
    if not sketch.trims and not stitched:
        return None
    layer = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    if stitched:
        for hem in pose(sketch.hems):
            draw.line(hem, (*STITCH, 215), pose.width(0.0125))
    placed = pose([points for _, points, _, _ in sketch.trims])
    for points, (kind, _, colour, width) in zip(placed, sketch.trims, strict=True):
        if kind == "polygon":
            draw.polygon(points, (*colour, 255))
        elif kind == "line":
            draw.line(points, (*colour, 255), pose.width(width))
        else:
            (x, y), r = points, width * pose.scale
            draw.ellipse((x - r * 1.2, y - r * 1.2, x + r * 1.2, y + r * 1.3), (30, 26, 26, 120))
            draw.ellipse((x - r, y - r, x + r, y + r), (*colour, 255))
    return _reduced(layer, factor)


def _accents(base: Array, pattern: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Colours of a print's two accents, chosen to show on the ground colour."""
    light = float(base @ (0.3, 0.59, 0.11))
    if pattern == "camouflage":
        if light < 75:
            return base + 48, base * 0.45
        return base * 0.5, np.minimum(base * 0.72 + (8, 14, 0), 255)
    if pattern == "leopard":
        spot = np.array((62, 40, 26.0)) if light > 95 else np.array((205, 168, 112.0))
        heart = base * 0.8 if light > 95 else base * 0.6 + (66, 46, 20)
        return spot, heart
    if pattern == "floral":
        bloom = np.array((250, 244, 240.0)) if light < 195 else np.array((214, 84, 120.0))
        return bloom, np.array((238, 190, 60.0) if light < 150 else (70, 120, 66.0))
    if light > 165:
        dark = ((38, 46, 92.0), (50, 46, 48.0), (120, 36, 48.0))[rng.integers(3)]
        return np.array(dark), base
    return np.array((246, 244, 238.0)), base


def _cloth(
    attributes: Mapping[str, str], rng: np.random.Generator, size: int, height: Image.Image
) -> Array:
    """Colour of the cloth under the lamp, (3, size, size) in 0 to 255, before cutting out.

    Planes and not pixels: numpy is three times as fast over a plane.
    """
    material, pattern = attributes["material"], attributes["pattern"]
    base = np.array(COLOURS[attributes["colour"]], float)
    base = np.clip(base * (1 + rng.normal(0.0, 0.04)) + rng.normal(0.0, 2.0, 3), 22, 246)
    ground = base.astype(np.float32)[:, None, None]
    colour: Array = ground
    if pattern != "plain":
        tile = fabrics.patterns(size)[pattern][rng.integers(fabrics.VARIANTS)]
        first, second = _accents(base, pattern, rng)
        y, x = rng.integers(0, size, 2)
        window = np.s_[y : y + size, x : x + size]
        first, second = (np.asarray(c, np.float32)[:, None, None] for c in (first, second))
        colour = ground + tile.first[window] * (first - ground)
        if tile.second is not None:
            colour += tile.second[window] * (second - colour)
    texture, fold, volume = LOOK[material]
    weave = _crop(fabrics.materials(size)[material][rng.integers(fabrics.VARIANTS)], rng, size)
    drape = _crop(fabrics.folds(size)[rng.integers(8)], rng, size)
    from_left = 1.0 if rng.random() < 0.5 else -1.0
    relief = np.asarray(height, np.float32) / 209.0
    soft = _blurred(height, size * 0.03) * (255 / 209)
    slope = np.zeros((size, size), np.float32)
    step = max(size // 64, 1)
    slope[:, step:-step] = from_left * (soft[:, 2 * step :] - soft[:, : -2 * step])
    slope[step:-step] += 0.7 * (soft[2 * step :] - soft[: -2 * step])
    shade = 0.42 + 0.78 * relief + volume * slope + fold * drape + texture * weave
    # Relief also adds light of its own: a factor alone would not show on black cloth.
    lift = 95.0 * texture * weave + 40.0 * fold * drape
    if material == "leather":
        ridge = _crop(fabrics.creases(size)[rng.integers(8)], rng, size)
        gloss = ridge * np.clip(0.5 + 3.0 * slope + 0.7 * drape, 0, 1)
        lift = lift + 92.0 * gloss
        side = max(size // 32, 1)  # a dark valley beside each ridge, for skins too light to shine
        shade = shade - 0.06
        shade[side:, side:] -= 0.16 * ridge[:-side, :-side]
    elif material == "silk":
        lift = lift + 46.0 * np.clip(weave, 0, 1) ** 3
    return colour * shade + lift


def _shadow(cover: Image.Image, size: int, grounded: bool) -> Array:
    """Darkness of the shadow on the wall, (size, size) in about [0, 1]."""
    cast = _blurred(cover, size * 0.045)
    if not grounded:
        drop = max(round(size * 0.03), 1)
        shifted = np.zeros_like(cast)
        shifted[drop:, drop // 2 :] = cast[:-drop, : size - drop // 2]
        return shifted
    left, _, right, bottom = cover.getbbox() or (0, 0, size, size)
    pool = Image.new("L", (size, size), 0)
    thick = size * 0.028
    box = (left + thick, bottom - thick, right - thick, bottom + thick)
    ImageDraw.Draw(pool).ellipse(box, 255)
    return 0.35 * cast + 1.1 * _blurred(pool, size * 0.03)


def render(attributes: Mapping[str, str], seed: int, view: int = 0, size: int = 128) -> Array:
    """The photo of a product.

    Args:
        attributes: Value of each key that applies to the category (`sandbox.vocabulary`).
        seed: Of the product: its cut and cloth are the same in every view.
        view: Which of its photos: 0 is the front; others turn it and change the wall.
        size: Side in pixels, 64 or more.

    Returns:
        uint8 (size, size, 3).
    """
    cut = np.random.default_rng([seed, 11])
    shot = np.random.default_rng([seed, 12, view])
    sketch = DRAW[attributes["category"]](attributes, cut.random(3))
    factor = 2
    side = size * factor
    pose = _Pose(shot, side, view, sketch.grounded)
    cover, relief = _draw(sketch, pose, side, factor)
    alpha = np.asarray(cover, np.float32) / 255.0
    height = np.asarray(relief, np.float32) / 190.0
    cloth = _cloth(attributes, cut, size, relief)

    wall = np.array(WALLS[shot.integers(len(WALLS))], np.float32) - shot.uniform(0, 8)
    cast = _shadow(cover, size, sketch.grounded)
    picture = wall[:, None, None] * (_vignette(size) * (1.0 - 0.30 * cast))
    picture += alpha * (cloth - picture)

    layer = _trims(sketch, pose, side, factor, attributes["material"] == "denim")
    if layer is not None:
        over = np.asarray(layer).transpose(2, 0, 1).astype(np.float32)
        lit = np.clip(0.62 + 0.42 * height, 0.75, 1.06)
        picture += over[3] / 255.0 * (over[:3] * lit - picture)
    picture += _crop(_grain(size), shot, size)
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))
