"""Pictures made worse and captions made wrong, on purpose: what is better needs no rater.

Ranks of pictures, before there are votes enough: RankIQA, Liu et al. 2017 (1707.08347). Wrong
captions, without which a scorer reads a bag of words: Yuksekgonul et al. 2023 (2210.01936).
"""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
WAYS = ("blur", "grain", "patch", "fade", "blend", "scatter")


def degrade(pictures: Array, rng: np.random.Generator) -> Array:
    """Every picture damaged in one of `WAYS`, from a third to the whole of it.

    Args:
        pictures: uint8 ``[n, h, w, 3]``, at least two.
        rng: Of the ways, places and strengths.

    Returns:
        uint8, the same shape.
    """
    out = pictures.astype(np.float32)
    others = np.roll(out, 1, 0)
    height, width = out.shape[1:3]
    ways, strengths = rng.integers(len(WAYS), size=len(out)), rng.uniform(0.3, 1.0, len(out))
    for row, (way, much) in enumerate(zip(ways, strengths, strict=True)):
        picture, name = out[row], WAYS[way]
        tall, wide = (int(side * rng.uniform(0.25, 0.5)) for side in (height, width))
        top, left = rng.integers(height - tall), rng.integers(width - wide)
        box = np.s_[top : top + tall, left : left + wide]
        if name == "blur":
            out[row] = picture + much * (_box_mean(picture, 5) - picture)
        elif name == "grain":
            out[row] = picture + rng.normal(0, 25 * much, picture.shape)
        elif name == "patch":
            picture[box] += much * (others[row][box] - picture[box])
        elif name == "fade":
            picture[box] += much * (picture[box].mean((0, 1)) - picture[box])
        elif name == "blend":
            out[row] = picture + 0.5 * much * (others[row] - picture)
        else:
            part = picture[box].reshape(-1, 3)
            mixed = part[rng.permutation(len(part))].reshape(picture[box].shape)
            picture[box] += much * (mixed - picture[box])
    return np.clip(out, 0, 255).astype(np.uint8)


def _box_mean(picture: Array, size: int) -> Array:
    """Mean over squares of `size` pixels; edges repeat."""
    reach = size // 2
    padded = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
    return windows.mean((3, 4))


class Misnamer:
    """Makes captions wrong with words that the corpus has at the same place.

    Knows no grammar: of captions of the same length, it has seen which words stand where.
    """

    def __init__(self, corpus: Sequence[str]) -> None:
        places: dict[tuple[int, int], set[str]] = {}
        for caption in corpus:
            words = caption.split()
            for at, word in enumerate(words):
                places.setdefault((len(words), at), set()).add(word)
        self.seen = {place: sorted(words) for place, words in places.items()}

    def misname(self, caption: str, rng: np.random.Generator) -> str:
        """A caption with two of its words exchanged, or one replaced; unchanged if none can be."""
        words = caption.split()
        length = len(words)
        options = [self.seen.get((length, at), []) for at in range(length)]
        exchanges = [
            (i, j)
            for i in range(length)
            for j in range(i)
            if words[i] != words[j] and words[i] in options[j] and words[j] in options[i]
        ]
        if exchanges and rng.random() < 0.5:
            i, j = exchanges[rng.integers(len(exchanges))]
            words[i], words[j] = words[j], words[i]
            return " ".join(words)
        places = [at for at in range(length) if set(options[at]) - {words[at]}]
        if places:
            at = places[rng.integers(len(places))]
            words[at] = str(rng.choice([word for word in options[at] if word != words[at]]))
        return " ".join(words)
