"""Scenes: two garments of the catalog in a named relation, or one alone, on a studio wall."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from sandbox.silhouettes import DRAW
from sandbox.silhouettes.sketch import Sketch
from sandbox.vocabulary import COLOURS

Array = np.ndarray

OBJECTS = (
    *("dress", "t-shirt", "trousers", "coat", "boots", "backpack", "scarf"),
    *("skirt", "handbag", "hat"),
)
HELD_OUT_OBJECTS = ("skirt", "handbag", "hat")  # the base model has seen them, RL must not
PLURAL = ("trousers", "boots")
SCENE_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "black", "white")
SCENE_PATTERNS = ("plain", "striped", "checked", "dotted")
# Where the second object may lie, seen from the first: (columns to the right, rows down).
RELATIONS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "to the left of": ((1, 0),),
    "to the right of": ((-1, 0),),
    "above": ((0, 1),),
    "below": ((0, -1),),
    "next to": ((1, 0), (-1, 0)),
    "and": ((1, 0), (-1, 0), (0, 1), (0, -1)),
}
WALLS = ((240, 239, 236), (228, 233, 240), (240, 230, 220), (224, 234, 226), (212, 210, 214))
_LOOK = {  # the rest of a garment's attributes, fixed: at this size nobody sees them
    "material": "cotton",
    "sleeve": "short",
    "neck": "crew-neck",
}


@dataclass(frozen=True)
class Thing:
    """One object of a scene."""

    name: str
    colour: str
    pattern: str = "plain"

    @property
    def phrase(self) -> str:
        """As it reads in a caption: "a red striped dress"."""
        pattern = "" if self.pattern == "plain" else f"{self.pattern} "
        words = f"{self.colour} {pattern}{self.name}"
        if self.name in PLURAL:
            return words
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


@dataclass(frozen=True)
class Scene:
    """One object, or two and where the second lies seen from the first."""

    things: tuple[Thing, ...]
    relation: str = ""
    offset: tuple[int, int] = (0, 0)

    @property
    def caption(self) -> str:
        return f" {self.relation} ".join(thing.phrase for thing in self.things)


def draw_scene(rng: np.random.Generator, *, single: float = 0.25) -> Scene:
    """A scene of the world; `single` is the share of pictures of one object."""
    if rng.random() < single:
        pattern = str(rng.choice(SCENE_PATTERNS, p=(0.4, 0.2, 0.2, 0.2)))
        return Scene((Thing(str(rng.choice(OBJECTS)), str(rng.choice(SCENE_COLOURS)), pattern),))
    names, colours = rng.choice(OBJECTS, 2, replace=False), rng.choice(SCENE_COLOURS, 2)
    first, second = (Thing(str(n), str(c)) for n, c in zip(names, colours, strict=True))
    relation = str(rng.choice(list(RELATIONS)))
    offsets = RELATIONS[relation]
    return Scene((first, second), relation, offsets[int(rng.integers(len(offsets)))])


def misread(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene as a careless caption has it: colours swapped, or one word wrong."""
    if len(scene.things) < 2:
        return scene
    first, second = scene.things
    way = rng.integers(3)
    if way == 0 and first.colour != second.colour:
        things = (Thing(first.name, second.colour), Thing(second.name, first.colour))
        return Scene(things, scene.relation, scene.offset)
    if way == 1:
        others = [name for name in OBJECTS if name not in (first.name, second.name)]
        wrong = Thing(str(rng.choice(others)), second.colour)
        return Scene((first, wrong), scene.relation, scene.offset)
    others = [colour for colour in SCENE_COLOURS if colour != first.colour]
    wrong = Thing(first.name, str(rng.choice(others)))
    return Scene((wrong, second), scene.relation, scene.offset)


@lru_cache(maxsize=8)
def _pattern(name: str, side: int) -> Array:
    """Coverage of the accent colour, (side, side) in {0, 1}."""
    y, x = np.mgrid[0:side, 0:side] / side
    if name == "striped":
        return (np.floor(y * 11) % 2).astype(np.float32)
    if name == "checked":
        return ((np.floor(x * 9) + np.floor(y * 9)) % 2).astype(np.float32)
    u, v = (x * 8) % 1 - 0.5, (y * 8 + 0.5 * (np.floor(x * 8) % 2)) % 1 - 0.5
    return (np.hypot(u, v) < 0.27).astype(np.float32)


def _place(picture: Image.Image, thing: Thing, box: tuple[float, float, float], cut: Array) -> None:
    """Draws an object into the square (centre x, centre y, side), in pixels of `picture`."""
    sketch: Sketch = DRAW[thing.name](
        {**_LOOK, "length": "full-length" if thing.name == "trousers" else "midi"}, cut
    )
    x, y, side = box
    offset = np.array([x, y - side / 2])

    def flat(points: Array) -> list[float]:
        return (points * side + offset).ravel().tolist()

    base = np.array(COLOURS[thing.colour], float)
    accent = (250, 248, 242) if base @ (0.3, 0.59, 0.11) < 190 else (70, 84, 120)
    cover = Image.new("L", picture.size, 0)
    cloth = Image.new("RGB", picture.size, tuple(int(c) for c in base))
    on_cover, on_cloth = ImageDraw.Draw(cover), ImageDraw.Draw(cloth)
    dark = tuple(int(c * 0.62 + 8) for c in base)
    edge = max(1, round(side * 0.022))
    for line, width, _ in sketch.straps:
        on_cover.line(flat(line), 255, max(2, round(width * side)), "curve")
    for outline, level in sketch.parts:
        points = flat(outline)
        on_cover.polygon(points, 255)
        on_cloth.polygon(points, tuple(int(min(c * (0.55 + 0.45 * level), 255)) for c in base))
    if thing.pattern != "plain":
        mask = Image.fromarray((_pattern(thing.pattern, picture.width) * 255).astype(np.uint8))
        cloth.paste(accent, None, mask)
    for outline, _ in sketch.parts:
        points = flat(outline)
        on_cloth.line(points + points[:2], dark, edge)
    for line, _ in sketch.seams:
        on_cloth.line(flat(line), dark, max(1, round(side * 0.012)))
    shadow = cover.filter(ImageFilter.BoxBlur(side * 0.035))
    drop = Image.new("L", picture.size, 0)
    drop.paste(shadow.point(lambda v: v * 0.28), (0, round(side * 0.03)))
    picture.paste((60, 58, 62), None, drop)
    picture.paste(cloth, None, cover)
    on = ImageDraw.Draw(picture)
    for kind, points, colour, width in sketch.trims:
        if kind == "polygon":
            on.polygon(flat(points), colour)
        elif kind == "line":
            on.line(flat(points), colour, max(1, round(width * side)))


def draw(scene: Scene, seed: int, size: int = 64) -> Array:
    """The picture of a scene.

    Returns:
        uint8 (size, size, 3).
    """
    rng = np.random.default_rng([seed, 22])
    side = 2 * size
    wall = np.array(WALLS[rng.integers(len(WALLS))], float) + rng.normal(0, 4, 3)
    fall = 1.0 - 0.12 * np.linspace(0, 1, side)[:, None, None] * rng.uniform(0, 1)
    field = np.broadcast_to(np.clip(wall * fall, 0, 255), (side, side, 3)).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(field))
    if len(scene.things) == 1:
        reach = side * rng.uniform(0.84, 0.94)
        centre = side / 2 + rng.uniform(-0.02, 0.02, 2) * side
        _place(picture, scene.things[0], (*centre, reach), rng.random(3))
    else:
        dx, dy = scene.offset
        for thing, sign in zip(scene.things, (-1, 1), strict=True):
            x = 0.5 + sign * 0.25 * dx + rng.uniform(-0.02, 0.02)
            y = 0.5 + sign * 0.25 * dy + rng.uniform(-0.02, 0.02)
            x += 0 if dx else rng.uniform(-0.09, 0.09)
            y += 0 if dy else rng.uniform(-0.09, 0.09)
            reach = side * rng.uniform(0.53, 0.58)
            _place(picture, thing, (x * side, y * side, reach), rng.random(3))
    small = np.asarray(picture.reduce(2), np.float32) + rng.normal(0, 1.5, (size, size, 1))
    return np.clip(small, 0, 255).astype(np.uint8)
