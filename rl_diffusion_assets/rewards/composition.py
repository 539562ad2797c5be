"""What a caption of objects asks for, and how much of it a detector found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

# Where the second object may lie, seen from the first: (columns to the right, rows down).
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
RELATIONS = {
    "to the left of": SIDES[:1],
    "to the right of": SIDES[1:2],
    "above": SIDES[2:3],
    "on top of": SIDES[2:3],
    "below": SIDES[3:],
    "under": SIDES[3:],
    "next to": SIDES[:2],
    "beside": SIDES[:2],
    "on side of": SIDES[:2],
}


@dataclass(frozen=True)
class Wanted:
    """Objects that a picture should show, as (name, colour or ""), and their relation or ""."""

    objects: tuple[tuple[str, str], ...]
    relation: str = ""

    @property
    def sides(self) -> tuple[tuple[int, int], ...]:
        """Where the second may lie; anywhere for "and", "near" and what is not known."""
        return RELATIONS.get(self.relation, SIDES)


def read_caption(caption: str, names: Sequence[str], colours: Sequence[str]) -> Wanted:
    """What a caption of one or two known objects asks for; nothing if it does not name them.

    Each side of the relation has to name an object; a colour beside it is its colour.
    """
    known = sorted((*RELATIONS, "and", "near"), key=len, reverse=True)
    relation = next((one for one in known if f" {one} " in caption), "")
    objects = []
    for part in caption.split(f" {relation} ", 1) if relation else [caption]:
        padded = f" {part} "
        name = next((one for one in names if f" {one} " in padded), "")
        colour = next((one for one in colours if f" {one} " in padded), "")
        if not name:
            return Wanted(())
        objects.append((name, colour))
    return Wanted(tuple(objects), relation)


@dataclass
class Detections:
    """Confidence of every object and colour in every cell of n pictures.

    Attributes:
        names: The detector's objects.
        colours: Its colours.
        objects: ``[n, rows, columns, names]``, probabilities.
        paints: ``[n, rows, columns, colours]``, probabilities.
    """

    names: tuple[str, ...]
    colours: tuple[str, ...]
    objects: Array
    paints: Array

    def confidence(self, row: int, name: str, colour: str) -> Array:
        """Of one object, in its colour if it has one, ``[rows, columns]``; 0 if unknown."""
        if name not in self.names or (colour and colour not in self.colours):
            return np.zeros(self.objects.shape[1:3], np.float32)
        found = self.objects[row, :, :, self.names.index(name)]
        return found * self.paints[row, :, :, self.colours.index(colour)] if colour else found


def _together(first: Array, second: Array, sides: Sequence[tuple[int, int]]) -> float:
    """Best product of the confidences of two cells that lie as they should."""
    rows, columns = np.indices(first.shape)
    down = rows.ravel()[None] - rows.ravel()[:, None]
    right = columns.ravel()[None] - columns.ravel()[:, None]
    if set(sides) == set(SIDES):  # anywhere, diagonals too
        fits = np.maximum(np.abs(right), np.abs(down)) >= 2
        return float(np.where(fits, np.outer(first, second), 0.0).max())
    fits = np.zeros(down.shape, bool)
    for dx, dy in sides:
        along = right * dx + down * dy
        across = np.abs(right * dy) + np.abs(down * dx)
        fits |= (along >= 2) & (along > across)
    return float(np.where(fits, np.outer(first, second), 0.0).max())


def _both(found: Detections, row: int, want: Wanted) -> float:
    """How surely the two objects of a caption are both there, and in their relation."""
    first, second = (found.confidence(row, *one) for one in want.objects)
    return _together(first, second, want.sides)


def mean_confidence(found: Detections, wanted: Sequence[Wanted]) -> Array:
    """The paper's composition reward (section 4.3): mean over the objects that the caption names
    of the detector's confidence, ``[n]``. NaN for a caption that names none."""
    out = np.full(len(wanted), np.nan)
    for row, want in enumerate(wanted):
        if want.objects:
            out[row] = np.mean([found.confidence(row, *one).max() for one in want.objects])
    return out


def composition_rewards(found: Detections, wanted: Sequence[Wanted], relation: float) -> Array:
    """The paper's reward, and how surely the two objects are both there and in their relation.

    Args:
        found: Of n pictures.
        wanted: Of n captions.
        relation: Share of the second part; 0 is the paper's reward.
    """
    out = mean_confidence(found, wanted)
    for row, want in enumerate(wanted):
        if len(want.objects) == 2:
            out[row] = (1 - relation) * out[row] + relation * _both(found, row, want)
    return out


def fully_right(found: Detections, wanted: Sequence[Wanted], least: float = 0.25) -> Array:
    """Whether both objects are there in their colours and in their relation, bool ``[n]``.

    `least` is for the product of two confidences, each of an object and its colour: 0.5 each.
    """
    out = np.zeros(len(wanted), bool)
    for row, want in enumerate(wanted):
        if len(want.objects) == 2:
            out[row] = _both(found, row, want) >= least
        elif len(want.objects) == 1:
            out[row] = found.confidence(row, *want.objects[0]).max() >= 0.5
    return out
