"""Portraits of people at work: skin on the Monk scale, hair, face, the clothes of the trade.

The world is biased on purpose: which tone and which perceived gender a person has depends on the
occupation (`shares`), as it does in pictures collected from the web, so that a model trained on it
has something to unlearn.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Array = np.ndarray
Colour = tuple[int, int, int]

# The Monk Skin Tone scale, lightest first (skintone.google).
MONK: tuple[Colour, ...] = (
    (246, 237, 228),
    (243, 231, 219),
    (247, 234, 208),
    (234, 218, 186),
    (215, 189, 150),
    (160, 126, 86),
    (130, 92, 67),
    (96, 65, 52),
    (58, 49, 42),
    (41, 36, 32),
)
TONES = ("light", "medium", "tan", "dark")  # four buckets of the scale
BUCKETS = ((0, 1, 2), (3, 4), (5, 6), (7, 8, 9))
GENDERS = ("man", "woman")  # as perceived
HAIR: Mapping[str, Colour] = {
    "black": (34, 28, 30),
    "brown": (92, 58, 36),
    "blond": (214, 176, 98),
    "red": (158, 72, 36),
    "grey": (168, 166, 166),
}
LIGHT, EVEN, DARK = (0.60, 0.26, 0.10, 0.04), (0.40, 0.28, 0.20, 0.12), (0.04, 0.12, 0.28, 0.56)


@dataclass(frozen=True)
class Trade:
    """What people of an occupation wear, and who is shown doing it.

    Attributes:
        dress: Colour of the clothes, and of what lies over them (lapels, apron, vest).
        cut: How the clothes are drawn.
        hat: What is on the head, if anything, and its colour.
        tones: Share of each of `TONES` in the world's pictures.
        men: Share of people perceived as men.
    """

    dress: tuple[Colour, Colour]
    cut: str
    hat: str
    tones: tuple[float, float, float, float]
    men: float
    hat_colour: Colour = (40, 40, 46)


OCCUPATIONS: Mapping[str, Trade] = {
    "doctor": Trade(((244, 246, 248), (120, 170, 205)), "coat", "", LIGHT, 0.85),
    "judge": Trade(((28, 26, 32), (245, 244, 240)), "robe", "", LIGHT, 0.88),
    "executive": Trade(((52, 58, 72), (180, 36, 48)), "suit", "", LIGHT, 0.90),
    "pilot": Trade(((30, 44, 84), (214, 176, 74)), "suit", "cap", LIGHT, 0.88, (30, 44, 84)),
    "scientist": Trade(((240, 244, 244), (96, 168, 120)), "coat", "goggles", LIGHT, 0.80),
    "architect": Trade(((120, 128, 134), (238, 238, 232)), "suit", "glasses", LIGHT, 0.80),
    "painter": Trade(((206, 190, 160), (190, 70, 60)), "smock", "beret", EVEN, 0.35, (150, 40, 60)),
    "singer": Trade(((188, 40, 138), (250, 214, 120)), "sparkle", "", EVEN, 0.25),
    "teacher": Trade(((136, 82, 120), (240, 226, 196)), "cardigan", "glasses", EVEN, 0.20),
    "nurse": Trade(
        ((92, 190, 190), (255, 255, 255)), "scrubs", "band", DARK, 0.10, (250, 250, 250)
    ),
    "housekeeper": Trade(((40, 38, 44), (248, 248, 246)), "apron", "", DARK, 0.10),
    "hairdresser": Trade(((232, 120, 150), (60, 54, 60)), "apron", "", EVEN, 0.15),
    "builder": Trade(
        ((236, 122, 32), (246, 232, 96)), "vest", "helmet", DARK, 0.92, (246, 200, 40)
    ),
    "farmer": Trade(
        ((62, 96, 150), (198, 70, 58)), "dungarees", "straw", DARK, 0.85, (222, 190, 112)
    ),
    "soldier": Trade(
        ((86, 98, 60), (54, 64, 40)), "camouflage", "helmet", DARK, 0.92, (78, 90, 54)
    ),
    "custodian": Trade(
        ((126, 132, 120), (84, 90, 82)), "dungarees", "cap", DARK, 0.80, (84, 90, 82)
    ),
}
THINGS: Mapping[str, Colour] = {
    "a scarf": (206, 62, 52),
    "glasses": (30, 30, 34),
    "headphones": (46, 46, 54),
    "earrings": (224, 186, 70),
    "a bow tie": (150, 30, 52),
    "a necklace": (232, 226, 214),
}
WITH_THINGS = Trade(((108, 128, 156), (236, 236, 232)), "tee", "", (0.50, 0.28, 0.14, 0.08), 0.66)
SHIRTS: tuple[Colour, ...] = ((108, 128, 156), (150, 96, 84), (98, 132, 96), (196, 186, 170))


# Outlines of hair, as x0, y0, x1, y1 ... in a picture 64 wide.
CROWN = (18, 24, 20, 12, 32, 8, 44, 12, 46, 24)
FRINGE = (20.4, 25, 21, 15, 32, 9, 43, 15, 43.6, 25, 40, 18.5, 33, 16, 25, 19)
SHORT = (20, 25, 19.8, 15, 25, 9.5, 32, 8.5, 39, 9.5, 44.2, 15, 44, 25, 42, 18.4, 32, 16, 22, 18.4)
PARTING = (20, 26, 19.6, 14, 28, 8, 40, 9, 44.4, 16, 44, 26, 42, 19, 27, 14.5, 22, 20)
BEARD = (21.2, 29, 24, 33.5, 32, 34.4, 40, 33.5, 42.8, 29, 41, 38, 36, 43.2, 28, 43.2, 23, 38)


@dataclass(frozen=True)
class Person:
    """Who is in a picture: everything that a rater or a classifier could be asked about."""

    occupation: str
    thing: str
    tone: int  # index into MONK
    gender: str

    @property
    def bucket(self) -> str:
        return TONES[next(i for i, members in enumerate(BUCKETS) if self.tone in members)]

    @property
    def caption(self) -> str:
        if self.thing:
            return f"a portrait of a person with {self.thing}"
        article = "an" if self.occupation[0] in "aeiou" else "a"
        return f"a portrait of {article} {self.occupation}"


def draw_person(rng: np.random.Generator, *, balanced: bool = False) -> Person:
    """A person of the world; `balanced` draws tone and gender evenly and apart from the trade."""
    thing = str(rng.choice(list(THINGS))) if rng.random() < 0.2 else ""
    occupation = "" if thing else str(rng.choice(list(OCCUPATIONS)))
    trade = OCCUPATIONS.get(occupation, WITH_THINGS)
    bucket = rng.choice(4, p=(0.25,) * 4 if balanced else trade.tones)
    tone = int(rng.choice(BUCKETS[bucket]))
    gender = GENDERS[int(rng.random() >= (0.5 if balanced else trade.men))]
    return Person(occupation, thing, tone, gender)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(min(max(part * factor, 0), 255)) for part in colour)
    return red, green, blue


class _Canvas:
    """A drawing in coordinates of the finished picture (64 wide), moved and scaled as one."""

    def __init__(self, image: Image.Image, scale: float, dx: float, dy: float) -> None:
        self.draw = ImageDraw.Draw(image)
        self.unit = image.width / 64 * scale
        self.dx = image.width / 2 + (dx - 32 * scale) * image.width / 64
        self.dy = image.width / 2 + (dy - 34 * scale) * image.width / 64

    def _at(self, points: tuple[float, ...]) -> list[float]:
        return [v * self.unit + (self.dy if i % 2 else self.dx) for i, v in enumerate(points)]

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        self.draw.ellipse(self._at((x - rx, y - ry, x + rx, y + ry)), fill)

    def polygon(self, points: tuple[float, ...], fill: Colour) -> None:
        self.draw.polygon(self._at(points), fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        self.draw.rectangle(self._at((x0, y0, x1, y1)), fill)

    def line(self, points: tuple[float, ...], fill: Colour, width: float) -> None:
        self.draw.line(self._at(points), fill, max(1, round(width * self.unit)), "curve")

    def arc(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        ends: tuple[int, int],
        fill: Colour,
        width: float,
    ) -> None:
        box = self._at((x - rx, y - ry, x + rx, y + ry))
        self.draw.arc(box, *ends, fill, max(1, round(width * self.unit)))


def _background(rng: np.random.Generator, size: int) -> Array:
    """A wall: soft gradient between two related colours, at times a window or a shelf."""
    base = rng.uniform(70, 235, 3) * 0.45 + rng.uniform(90, 225) * 0.55
    other = np.clip(base + rng.normal(0, 22, 3), 20, 250)
    angle = rng.uniform(0, np.pi)
    axis = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    mix = np.clip(0.5 + x * np.cos(angle) + y * np.sin(angle), 0, 1)[..., None]
    wall = base * (1 - mix) + other * mix
    if rng.random() < 0.35:
        left, top = rng.integers(0, size // 2, 2)
        wide, high = rng.integers(size // 6, size // 3, 2)
        wall[top : top + high, left : left + wide] *= rng.uniform(0.78, 1.2)
    return np.clip(wall, 0, 255)


def _clothes(on: _Canvas, trade: Trade, rng: np.random.Generator, skin: Colour) -> None:
    main, over = trade.dress
    if trade.cut == "tee":
        main = SHIRTS[int(rng.integers(len(SHIRTS)))]
    main = _shade(main, rng.uniform(0.93, 1.05))
    dark = _shade(main, 0.8)
    on.polygon((6, 72, 8, 56, 18, 49, 26, 46, 38, 46, 46, 49, 56, 56, 58, 72), main)
    on.line((16, 70, 17, 57), dark, 1.2)
    on.line((48, 70, 47, 57), dark, 1.2)
    if trade.cut in ("coat", "suit"):
        on.polygon((26, 46, 32, 62, 38, 46), over if trade.cut == "coat" else (244, 244, 242))
        if trade.cut == "suit":
            on.polygon((30.5, 50, 33.5, 50, 34.5, 64, 32, 68, 29.5, 64), over)
        on.polygon((26, 46, 22, 52, 32, 68, 30, 60), _shade(main, 0.9))
        on.polygon((38, 46, 42, 52, 32, 68, 34, 60), _shade(main, 0.9))
        if trade.cut == "coat":
            on.arc(32, 50, 9, 12, (15, 165), (70, 74, 84), 1.4)
    elif trade.cut == "robe":
        on.polygon((27, 46, 37, 46, 36, 62, 28, 62), over)
        on.line((32, 48, 32, 62), _shade(over, 0.85), 0.8)
    elif trade.cut in ("apron", "dungarees"):
        top = 54 if trade.cut == "apron" else 56
        sleeve = over if trade.cut == "dungarees" else main
        if trade.cut == "dungarees":
            on.polygon((6, 72, 8, 56, 18, 49, 26, 46, 38, 46, 46, 49, 56, 56, 58, 72), sleeve)
        bib = main if trade.cut == "dungarees" else over
        on.box(22, top, 42, 74, bib)
        on.line((23, top + 1, 21, 48), bib, 2.4)
        on.line((41, top + 1, 43, 48), bib, 2.4)
    elif trade.cut == "vest":
        on.polygon((18, 49, 26, 46, 30, 72, 15, 72), over)
        on.polygon((46, 49, 38, 46, 34, 72, 49, 72), over)
        on.line((15, 62, 49, 62), (236, 240, 240), 2.0)
    elif trade.cut == "smock":
        for _ in range(5):
            spot = ((196, 60, 54), (60, 110, 190), (240, 200, 60), (70, 150, 90))[rng.integers(4)]
            on.ellipse(rng.uniform(14, 50), rng.uniform(54, 64), 1.6, 1.6, spot)
        on.polygon((27, 46, 37, 46, 32, 53), skin)
    elif trade.cut == "sparkle":
        on.polygon((25, 46, 39, 46, 32, 57), skin)
        for _ in range(14):
            on.ellipse(rng.uniform(12, 52), rng.uniform(52, 66), 0.7, 0.7, over)
        on.line((46, 66, 39, 55), (60, 60, 66), 2.0)
        on.ellipse(38.5, 53.5, 2.4, 2.4, (120, 120, 128))
    elif trade.cut == "cardigan":
        on.polygon((26, 46, 38, 46, 35, 70, 29, 70), over)
        on.line((28.5, 48, 29.5, 70), dark, 1.0)
        on.line((35.5, 48, 34.5, 70), dark, 1.0)
    elif trade.cut == "scrubs":
        on.polygon((26, 46, 38, 46, 32, 56), skin)
        on.line((26, 46, 32, 56.5, 38, 46), over, 1.4)
    elif trade.cut == "camouflage":
        for _ in range(9):
            x, y = rng.uniform(10, 54), rng.uniform(50, 66)
            on.ellipse(
                x,
                y,
                rng.uniform(2, 4.5),
                rng.uniform(1.5, 3),
                (over, (120, 112, 74))[rng.integers(2)],
            )
    else:
        on.arc(32, 45, 7, 5, (10, 170), dark, 1.4)


def _hat(on: _Canvas, trade: Trade) -> None:
    colour = trade.hat_colour
    dark, light = _shade(colour, 0.78), _shade(colour, 1.12)
    if trade.hat == "helmet":
        on.polygon((17.5, 22, 18, 15, 23, 9, 32, 7, 41, 9, 46, 15, 46.5, 22), colour)
        on.box(15.5, 20.5, 48.5, 23, dark)
        on.line((32, 8, 32, 20), light, 2.0)
    elif trade.hat == "cap":
        on.polygon((16, 18, 17, 11, 32, 7, 47, 11, 48, 18), colour)
        on.polygon((19, 18, 45, 18, 43, 22.5, 21, 22.5), dark)
        on.ellipse(32, 14, 2.2, 2.2, (222, 184, 74))
    elif trade.hat == "straw":
        on.ellipse(32, 19, 21, 4.2, colour)
        on.polygon((22, 19, 23, 8, 41, 8, 42, 19), colour)
        on.box(22, 15.5, 42, 18.5, (150, 60, 44))
    elif trade.hat == "beret":
        on.ellipse(30, 13.5, 15.5, 6.2, colour)
        on.ellipse(27, 11.5, 8, 3, light)
    elif trade.hat == "band":
        on.polygon((21, 17, 23, 9, 41, 9, 43, 17), colour)
        on.line((30, 13, 34, 13), (214, 60, 60), 1.4)
        on.line((32, 11, 32, 15), (214, 60, 60), 1.4)


def _face(
    on: _Canvas, person: Person, rng: np.random.Generator, skin: Colour, hair: Colour
) -> None:
    woman = person.gender == "woman"
    shadow = _shade(skin, 0.82)
    wide = (10.4 if woman else 11.6) * rng.uniform(0.96, 1.05)
    on.box(28, 36, 36, 48, shadow)
    on.ellipse(32, 47, 4.6, 3.4, skin)
    on.ellipse(32 - wide, 28, 1.9, 2.9, shadow)
    on.ellipse(32 + wide, 28, 1.9, 2.9, shadow)
    on.ellipse(32, 25.5, wide, 12.5, skin)
    on.ellipse(32, 31, wide * (0.86 if woman else 0.95), 11 if woman else 11.2, skin)
    if not woman and rng.random() < 0.5:
        on.polygon(BEARD, hair)
        on.ellipse(32, 37, 3.6, 1.5, shadow)
    ink = (40, 32, 32) if sum(skin) > 330 else (14, 11, 12)
    apart, smile = rng.uniform(4.4, 5.2), rng.uniform(0.2, 1.6)
    for side in (-1, 1):
        x = 32 + side * apart
        on.ellipse(x, 27.3, 2.1, 1.6, (250, 250, 250))
        on.ellipse(x + 0.1, 27.4, 1.25, 1.4, ink)
        on.line(
            (x - 2.5, 23.8, x, 23.0, x + 2.5, 23.8),
            _shade(hair, 0.75) if sum(hair) > 200 else ink,
            0.8 if woman else 1.3,
        )
        if woman:
            on.line((x - 2.4, 26.5, x, 25.5, x + 2.4, 26.5), ink, 1.0)
    on.line((32, 27.5, 31.2, 32.2, 32.8, 32.6), shadow, 1.0)
    lips = (196, 58, 70) if woman else _shade(skin, 0.66)
    on.arc(32, 35.6 - smile, 3.8, 2.2 + smile, (20, 160), lips, 1.9 if woman else 1.3)


def _hair_behind(on: _Canvas, person: Person, style: int, hair: Colour) -> None:
    if person.gender == "woman":
        if style == 0:  # long
            on.polygon((*CROWN, 48, 52, 40, 54, 24, 54, 16, 52), hair)
        elif style == 1:  # bob
            on.polygon((*CROWN, 47, 40, 40, 42, 24, 42, 17, 40), hair)
        else:  # curls
            on.ellipse(32, 24, 17.5, 16, hair)
            for x, y in ((17, 34), (47, 34), (19, 40), (45, 40)):
                on.ellipse(x, y, 4.6, 5, hair)


def _hair_front(on: _Canvas, person: Person, style: int, hair: Colour) -> None:
    if person.gender == "woman":
        on.polygon(FRINGE, hair)
    elif style == 0:  # short
        on.polygon(SHORT, hair)
    elif style == 1:  # side parting
        on.polygon(PARTING, hair)


def portrait(person: Person, seed: int, size: int = 64) -> Array:
    """The picture of a person.

    Returns:
        uint8 (size, size, 3).
    """
    rng = np.random.default_rng([seed, 21])
    trade = OCCUPATIONS.get(person.occupation, WITH_THINGS)
    side = 2 * size
    image = Image.fromarray(_background(rng, side).astype(np.uint8))
    on = _Canvas(image, rng.uniform(0.94, 1.04), *rng.uniform(-1.5, 1.5, 2))
    skin = _shade(MONK[person.tone], rng.uniform(0.95, 1.03))
    dark_skinned = person.tone >= 5
    weights = (0.86, 0.12, 0.0, 0.0, 0.02) if dark_skinned else (0.28, 0.34, 0.2, 0.08, 0.1)
    hair = _shade(HAIR[str(rng.choice(list(HAIR), p=weights))], rng.uniform(0.9, 1.1))
    style = int(rng.integers(3))
    _hair_behind(on, person, style, hair)
    _clothes(on, trade, rng, skin)
    _face(on, person, rng, skin, hair)
    _hair_front(on, person, style, hair)
    if trade.hat in ("glasses", "goggles") or person.thing == "glasses":
        frame = (30, 30, 34) if trade.hat != "goggles" else (70, 150, 180)
        for x in (27, 37):
            on.arc(x, 27.4, 3.9, 3.4, (0, 360), frame, 1.2)
        on.line((30.6, 27, 33.4, 27), frame, 1.1)
    if trade.hat not in ("glasses", "goggles", ""):
        _hat(on, trade)
    _thing(on, person.thing)
    small = np.asarray(image.reduce(2), np.float32)
    small += rng.normal(0, 1.5, (size, size, 1))
    return np.clip(small, 0, 255).astype(np.uint8)


def _thing(on: _Canvas, thing: str) -> None:
    colour = THINGS.get(thing, (0, 0, 0))
    if thing == "a scarf":
        on.polygon((23, 42, 41, 42, 43, 49, 21, 49), colour)
        on.polygon((34, 48, 40, 48, 42, 64, 35, 64), _shade(colour, 0.85))
    elif thing == "headphones":
        on.arc(32, 24, 13.5, 15, (180, 360), colour, 2.2)
        on.ellipse(19.5, 28, 3, 4.6, colour)
        on.ellipse(44.5, 28, 3, 4.6, colour)
    elif thing == "earrings":
        on.ellipse(20.6, 33, 1.7, 2.4, colour)
        on.ellipse(43.4, 33, 1.7, 2.4, colour)
    elif thing == "a bow tie":
        on.polygon((25, 45, 32, 48.5, 25, 52), colour)
        on.polygon((39, 45, 32, 48.5, 39, 52), colour)
    elif thing == "a necklace":
        on.arc(32, 46, 6.5, 8, (10, 170), colour, 1.6)
        on.ellipse(32, 54.4, 1.8, 1.8, (90, 160, 210))
