"""Simulated people who compare pictures: five tastes, five error rates, one hidden quality.

What a picture is worth is hidden from the platform, as it is in life: it sees choices only. The
quality comes from an eye (`Eye`), a network that was shown pictures with known damage and known
contents, and from plain measurements of the pixels. Broken and fading faces are damage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sandbox.portraits import OCCUPATIONS, THINGS
from sandbox.scenes import OBJECTS, RELATIONS, SCENE_COLOURS, SCENE_PATTERNS

if TYPE_CHECKING:
    import torch

Array = np.ndarray
WEIGHTS = Path(__file__).resolve().parent / "weights" / "raters"
SUBJECTS = (*OCCUPATIONS, *THINGS)
SLOTS = ((-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))  # left, right, above, below, alone
# Sizes of the eye's answers: subject or nobody, object and colour in each slot, pattern, damage.
HEADS = {
    "subject": len(SUBJECTS) + 1,
    "objects": len(SLOTS) * (len(OBJECTS) + 1),
    "colours": len(SLOTS) * (len(SCENE_COLOURS) + 1),
    "pattern": len(SCENE_PATTERNS) + 1,
    "damage": 1,
}
CHANNELS = (24, 48, 72, 96)


def make_eye() -> "torch.nn.Module":
    """A small convolutional network over 64 px pictures in [-1, 1]; answers `HEADS` in a row."""
    from torch import nn

    layers: list[nn.Module] = []
    before = 3
    for width in CHANNELS:
        layers += [
            nn.Conv2d(before, width, 3, stride=2, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
        ]
        before = width
    width = before * 16
    head = [nn.Flatten(), nn.Linear(width, 192), nn.SiLU(), nn.Linear(192, sum(HEADS.values()))]
    return nn.Sequential(*layers, *head)


@dataclass
class Sight:
    """What the eye sees in n pictures: probabilities, and damage in [0, 1]."""

    subject: Array  # [n, subjects + 1]
    objects: Array  # [n, slots, objects + 1]
    colours: Array  # [n, slots, colours + 1]
    pattern: Array  # [n, patterns + 1]
    damage: Array  # [n]


class Eye:
    """The network of `WEIGHTS`, applied to uint8 pictures ``[n, 64, 64, 3]``."""

    def __init__(self, folder: Path = WEIGHTS) -> None:
        from safetensors.torch import load_file

        self.network: Any = make_eye().eval()
        self.network.load_state_dict(load_file(folder / "model.safetensors"))

    def see(self, pictures: Array) -> Sight:
        import torch

        answers = []
        with torch.inference_mode():
            for at in range(0, len(pictures), 64):
                part = torch.from_numpy(np.ascontiguousarray(pictures[at : at + 64]))
                answers.append(self.network(part.permute(0, 3, 1, 2).float() / 127.5 - 1))
        return read_answers(torch.cat(answers))


def split_answers(answers: "torch.Tensor") -> dict[str, "torch.Tensor"]:
    """The raw answers by head, slots unfolded."""
    parts = dict(zip(HEADS, answers.split(list(HEADS.values()), 1), strict=True))
    for head in ("objects", "colours"):
        parts[head] = parts[head].unflatten(1, (len(SLOTS), -1))
    return parts


def read_answers(answers: "torch.Tensor") -> Sight:
    parts = split_answers(answers)
    probabilities = {
        head: parts[head].softmax(-1).numpy()
        for head in ("subject", "objects", "colours", "pattern")
    }
    return Sight(**probabilities, damage=parts["damage"][:, 0].sigmoid().numpy())


def understand(caption: str) -> tuple[str, list[tuple[str, str, str]], str]:
    """Subject, things as (object, colour, pattern) and relation of a caption of this world.

    Words that the raters do not know are passed over.
    """
    for subject in sorted(SUBJECTS, key=len, reverse=True):
        if f" {subject} " in f" {caption} ":
            return subject, [], ""
    relation = next(
        (r for r in sorted(RELATIONS, key=len, reverse=True) if f" {r} " in caption), ""
    )
    parts = caption.split(f" {relation} ") if relation else [caption]
    things = []
    for part in parts[:2]:
        words = part.split()
        name = next((o for o in OBJECTS if o in words), "")
        colour = next((c for c in SCENE_COLOURS if c in words), "")
        pattern = next((p for p in SCENE_PATTERNS if p in words), "")
        if name:
            things.append((name, colour, pattern))
    return "", things, relation if len(things) == 2 else ""


def prompt_match(sight: Sight, captions: Sequence[str]) -> Array:
    """How much of a caption each picture shows, float ``[n]`` in [0, 1]; 0.5 if not understood."""
    return np.array([_match(sight, row, caption) for row, caption in enumerate(captions)])


def _match(sight: Sight, row: int, caption: str) -> float:
    subject, things, relation = understand(caption)
    if subject:
        return float(sight.subject[row, SUBJECTS.index(subject)])
    if not things:
        return 0.5
    objects, colours = sight.objects[row], sight.colours[row]

    def shown(thing: tuple[str, str, str], slot: int) -> float:
        name, colour, _ = thing
        found = float(objects[slot, OBJECTS.index(name)])
        return found * (float(colours[slot, SCENE_COLOURS.index(colour)]) if colour else 1.0)

    if len(things) == 1:
        pattern = things[0][2]
        right = float(sight.pattern[row, SCENE_PATTERNS.index(pattern)]) if pattern else 1.0
        return shown(things[0], SLOTS.index((0, 0))) * (0.5 + 0.5 * right)
    best = 0.0
    for dx, dy in RELATIONS.get(relation, RELATIONS["and"]):
        first, second = SLOTS.index((-dx, -dy)), SLOTS.index((dx, dy))
        each = shown(things[0], first), shown(things[1], second)
        best = max(best, 0.3 * sum(each) + 0.4 * each[0] * each[1])
    return best


def sharpness(pictures: Array) -> Array:
    """Mean step between neighbouring pixels' brightness, in units of the full range, ``[n]``."""
    light = pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    return np.abs(np.diff(light, axis=2)).mean((1, 2)) + np.abs(np.diff(light, axis=1)).mean((1, 2))


def graininess(pictures: Array) -> Array:
    """Mean difference from a 3 x 3 mean in the flattest half of each picture, ``[n]``: noise that
    is not edges."""
    light = pictures.astype(np.float32).mean(3) / 255
    windows = np.lib.stride_tricks.sliding_window_view(light, (3, 3), (1, 2))
    rest = np.abs(light[:, 1:-1, 1:-1] - windows.mean((3, 4))).reshape(len(pictures), -1)
    half = np.partition(rest, rest.shape[1] // 2, axis=1)[:, : rest.shape[1] // 2]
    return half.mean(1)


def garishness(pictures: Array) -> Array:
    """Mean distance of a pixel's strongest from its weakest colour, of the full range, ``[n]``."""
    return (np.ptp(pictures.astype(np.float32), axis=3) / 255).mean((1, 2))


def qualities(pictures: Array, captions: Sequence[str], eye: Eye) -> Array:
    """What every picture has of each quality, float ``[n, 4]``: match, wholeness, sharpness, calm.

    About 0 for a poor picture and 1 for a good one; the world's own pictures reach 0.8 of the
    sharpness, and all of the calm: they are without grain, and hardly one is more garish than 0.28.
    Nobody likes a dark or a light background better: a taste like that would make all backgrounds
    one.
    """
    sight = eye.see(pictures)
    sharp = np.clip((sharpness(pictures) - 0.015) / 0.05, 0, 1)
    grain = np.clip((graininess(pictures) - 0.004) / 0.02, 0, 1)
    loud = np.clip((garishness(pictures) - 0.28) / 0.15, 0, 1)
    return np.stack(
        [prompt_match(sight, captions), 1.0 - sight.damage, sharp, 1.0 - np.maximum(grain, loud)], 1
    )


@dataclass(frozen=True)
class Rater:
    """One person: how much each quality counts, and how often the choice is careless."""

    name: str
    taste: tuple[float, float, float, float]
    careless: float
    undecided: float  # a difference smaller than this is called a tie


RATERS = (
    Rater("amara", (3.5, 7.0, 2.0, 1.2), 0.03, 0.10),
    Rater("bo", (2.5, 9.0, 1.2, 1.5), 0.05, 0.15),
    Rater("chidi", (5.0, 5.5, 1.0, 1.0), 0.06, 0.05),
    Rater("dalia", (3.0, 6.0, 3.5, 1.2), 0.10, 0.20),
    Rater("emre", (3.2, 6.5, 1.6, 2.5), 0.15, 0.10),
)


def choose(rater: Rater, first: Array, second: Array, rng: np.random.Generator) -> str:
    """ "a", "b" or "tie": Bradley-Terry over the rater's own sum of two pictures' qualities."""
    difference = float((first - second) @ np.array(rater.taste))
    if rng.random() < rater.careless:
        return "a" if rng.random() < 0.5 else "b"
    if abs(difference) < rater.undecided:
        return "tie"
    return "a" if rng.random() < 1 / (1 + np.exp(-2.0 * difference)) else "b"
