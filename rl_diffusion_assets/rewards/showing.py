"""Reward models for people to look at: pictures that none was trained on, under what it says."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rl_diffusion_assets.rewards.building import (
    GENDERS,
    TONES,
    Material,
    half,
    split_pairs,
    take_pairs,
)
from rl_diffusion_assets.rewards.composition import fully_right
from rl_diffusion_assets.rewards.models import open_reward

Array = np.ndarray
Sheet = tuple[Array, list[str]]  # pictures, uint8 [n, h, w, 3], and captions
SHOWN = 24


def sheets(name: str, folder: Path, material: Material) -> Mapping[str, Sheet]:
    """Pictures by kind (`pairs`, `people`, `objects`) of the reward model `name` in `folder`.

    Half of a sheet are the model's errors, the surest first; the rest is what it gets right. A
    judge has all three.
    """
    judge = name == "judge"
    makers = {"preference": _pairs, "person": _people, "objects": _objects}
    names = {"preference": "pairs", "person": "people", "objects": "objects"}
    return {
        names[part]: makers[part](folder / part if judge else folder, material, judge)
        for part in (makers if judge else [name])
    }


def _errors_first(wrong: Array, sureness: Array, count: int) -> Array:
    """Rows to show: at most half of them wrong ones, the surest first, then right ones."""
    order = np.argsort(-sureness, kind="stable")
    errors = order[wrong[order]][: count // 2]
    return np.concatenate([errors, order[~wrong[order]][: count - len(errors)]]).astype(int)


def _pairs(folder: Path, material: Material, judge: bool) -> Sheet:
    """Pairs kept for examination, what people chose left of the other, with votes and scores."""
    kept = np.flatnonzero(split_pairs(material, judge=judge)[1])
    pairs = take_pairs(material.pairs, kept)
    scores = open_reward(folder, material.device).score(pairs.pictures, pairs.captions)
    chosen = np.where(pairs.share >= 0.5, pairs.first, pairs.second)
    other = np.where(pairs.share >= 0.5, pairs.second, pairs.first)
    share = np.maximum(pairs.share, 1 - pairs.share)
    lead = scores[chosen] - scores[other]
    rows = _errors_first(lead < 0, np.abs(lead) * (share > 0.5), SHOWN // 2)
    pictures, captions = [], []
    for row in rows:
        for at, votes in ((chosen[row], share[row]), (other[row], 1 - share[row])):
            pictures.append(pairs.pictures[at])
            said = f"votes {votes:.0%}, score {scores[at]:.1f}"
            captions.append(f"{said}\n{pairs.captions[at]}")
    return np.array(pictures), captions


def _people(folder: Path, material: Material, judge: bool) -> Sheet:
    """Labelled people as the base's autoencoder renders them: the label, and what is read."""
    people = material.people
    kept = half(len(people.pictures), judge)[1]
    pictures = material.decode(people.pictures[kept])
    seen = open_reward(folder, material.device).read(pictures)
    tone, gender = seen.tone.argmax(1), seen.gender.argmax(1)
    wrong = (tone != people.tone[kept]) | (gender != people.gender[kept])
    rows = _errors_first(wrong, seen.tone.max(1) * seen.gender.max(1), SHOWN)
    return pictures[rows], [
        f"{TONES[people.tone[kept[row]]]} {GENDERS[people.gender[kept[row]]]}\n"
        f"read: {TONES[tone[row]]} {GENDERS[gender[row]]}"
        for row in rows
    ]


def _objects(folder: Path, material: Material, judge: bool) -> Sheet:
    """Labelled pictures likewise: the objects of the caption, and how surely each is found."""
    labelled = material.objects
    kept = half(len(labelled.pictures), judge)[1]
    wanted = [labelled.wanted[row] for row in kept]
    pictures = material.decode(labelled.pictures[kept])
    found = open_reward(folder, material.device).detect(pictures)
    confidence = [
        [float(found.confidence(row, *one).max()) for one in want.objects]
        for row, want in enumerate(wanted)
    ]
    doubt = np.array([-min(several, default=0.0) for several in confidence])
    wrong = ~fully_right(found, wanted)
    rows = _errors_first(wrong, np.where(wrong, doubt, -doubt), SHOWN)
    captions = []
    for row in rows:
        lines = [
            f"{sure:.2f} {colour} {name}"
            for (name, colour), sure in zip(wanted[row].objects, confidence[row], strict=True)
        ]
        captions.append("\n".join(lines))
    return pictures[rows], captions
