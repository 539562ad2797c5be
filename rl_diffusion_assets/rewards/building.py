"""Builds and examines the reward models from what the studio has: pairs, labels, captions.

The judge is built of other data, seeds and architectures than the models that are trained on: no
picture is seen by both (`places`), so that what fools one does not fool the other by descent.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rl_diffusion_assets.rewards import training
from rl_diffusion_assets.rewards.composition import Wanted, fully_right
from rl_diffusion_assets.rewards.models import (
    CONFIG,
    ClipScorer,
    Ensemble,
    FeatureScorer,
    JudgeReader,
    JudgeScorer,
    ObjectDetector,
    PersonClassifier,
    Reader,
    open_reward,
)
from rl_diffusion_assets.rewards.training import Fit, Pairs

Array = np.ndarray
REWARDS = ("preference", "person", "objects", "judge")
TONES = ("light", "medium", "tan", "dark")
GENDERS = ("man", "woman")
MONK_BUCKETS = ((1, 2, 3), (4, 5), (6, 7), (8, 9, 10))
JUDGE_SHARE = 0.4
EXAMINED = 6  # one of so many labels, or of the judge's pairs, is kept for examination
LEAST_PAIRS = 20  # to examine a scorer with
CELL = 8  # pixels of a detector's cell


@dataclass
class People:
    """Labelled pictures of people: tone bucket and perceived gender, ints ``[n]``."""

    pictures: Array
    tone: Array
    gender: Array


@dataclass
class Objects:
    """Labelled pictures of objects: (name, colour, x, y) of each, places as fractions."""

    pictures: Array
    objects: list[list[tuple[str, str, float, float]]]
    wanted: list[Wanted]


@dataclass
class Material:
    """Everything that reward models are made of.

    Attributes:
        pairs: Rated pictures.
        held_out: Which pairs have a caption that nothing is trained on, bool ``[k]``.
        people, objects, captioned: Labelled and captioned pictures.
        decode: Pictures as the base model's autoencoder renders them.
        device: Where to train.
        tell: Takes a line of progress.
    """

    pairs: Pairs
    held_out: Array
    people: People
    objects: Objects
    captioned: tuple[Array, list[str]]
    decode: Callable[[Array], Array]
    device: str
    tell: Callable[[str], None]


def bucket_of(monk: int) -> int:
    """Tone bucket (0 to 3) of a place on the Monk scale (1 to 10)."""
    return next(bucket for bucket, members in enumerate(MONK_BUCKETS) if monk in members)


def places(first: Sequence[str], second: Sequence[str]) -> Array:
    """A place in [0, 1) for each pair, float ``[k]``, by a hash: one for all pairs that share a
    picture, through any number of others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = sorted({*first, *second})
    place = {name: at for at, name in enumerate(names)}
    rows, columns = [place[name] for name in first], [place[name] for name in second]
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    _, group = connected_components(graph, directed=False)
    least: dict[int, str] = {}
    for name, member in zip(names, group.tolist(), strict=True):
        least.setdefault(member, name)
    of_group = {
        member: int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8
        for member, name in least.items()
    }
    return np.array([of_group[int(group[row])] for row in rows])


def take_pairs(pairs: Pairs, rows: Array) -> Pairs:
    """Some of the pairs, and only the pictures that they are about."""
    used = np.unique(np.concatenate([pairs.first[rows], pairs.second[rows]]))
    place = np.full(len(pairs.pictures), -1)
    place[used] = np.arange(len(used))
    return Pairs(
        pictures=pairs.pictures[used],
        captions=[pairs.captions[row] for row in used],
        first=place[pairs.first[rows]],
        second=place[pairs.second[rows]],
        share=pairs.share[rows],
        votes=pairs.votes[rows],
    )


def half(n: int, judge: bool) -> tuple[Array, Array]:
    """Rows of one side to learn from and to examine with."""
    rows = np.arange(n)[np.arange(n) % 2 == int(judge)]
    kept = np.arange(len(rows)) % EXAMINED == 0
    return rows[~kept], rows[kept]


def _captions(material: Material, judge: bool) -> tuple[Array, list[str]]:
    """One side's captioned pictures."""
    pictures, captions = material.captioned
    return pictures[int(judge) :: 2], captions[int(judge) :: 2]


def _ruined(pictures: Array, rng: np.random.Generator) -> Array:
    """People nobody could find any more: the middle faded, scattered or blurred away."""
    out = pictures.copy()
    side = out.shape[1]
    box = np.s_[side // 8 : side * 5 // 8, side // 4 : side * 3 // 4]
    for row, way in enumerate(rng.integers(3, size=len(out))):
        face = out[row][box]
        if way == 0:
            mean = face.mean((0, 1)) + rng.normal(0, 20, 3)
            out[row][box] = np.clip(0.12 * face + 0.88 * mean, 0, 255)
        elif way == 1:
            flat = face.reshape(-1, 3)
            out[row][box] = flat[rng.permutation(len(flat))].reshape(face.shape)
        else:
            coarse = face[:: side // 8, :: side // 8]
            grown = coarse.repeat(side // 8, 0).repeat(side // 8, 1)
            out[row][box] = grown[: face.shape[0], : face.shape[1]]
    return out


def build_preference(
    material: Material, start: Path, fits: Mapping[str, Fit], target: Path
) -> list[dict[str, Any]]:
    """Two scorers of the pairs that are not the judge's, and their mean: a tuned CLIP with a tower,
    and a head on ImageNet features. What one of them overlooks seldom pleases both."""
    rows = np.flatnonzero(split_pairs(material, judge=False)[0])
    pairs, captioned = take_pairs(material.pairs, rows), _captions(material, judge=False)
    side = material.pairs.pictures.shape[1]
    made = training.fit_clip_scorer(
        *(start, pairs, captioned, fits["preference"]), device=material.device, tell=material.tell
    )
    config: dict[str, Any] = {"kind": "clip", "side": side, "temperature": 1.0}
    training.write_clip_scorer(*made, config, _folder(target / "clip"))
    head = training.fit_head(
        *(pairs, captioned, Reader(side, material.device).read, fits["features"]),
        name="features",
        device=material.device,
        tell=material.tell,
    )
    own = {"kind": "features", "side": side, "temperature": 1.0}
    training.write_network(head, own, _folder(target / "features"))
    both = {"kind": "ensemble", "members": ["clip", "features"], "temperature": 1.0}
    return [
        *named("clip", _examine_scorer(material, target / "clip", config, ClipScorer)),
        *named("features", _examine_scorer(material, target / "features", own, FeatureScorer)),
        *_examine_scorer(material, target, both, Ensemble),
    ]


def build_judge_scorer(material: Material, fit: Fit, target: Path) -> list[dict[str, Any]]:
    """The judge's scorer, fitted to its own pairs; its detector and classifier lie beside it."""
    rows = np.flatnonzero(split_pairs(material, judge=True)[0])
    side = material.pairs.pictures.shape[1]
    module = training.fit_head(
        take_pairs(material.pairs, rows),
        _captions(material, judge=True),
        JudgeReader(target.parent, side, material.device).read,
        fit,
        device=material.device,
        tell=material.tell,
    )
    config = {"kind": "judge", "side": side, "temperature": 1.0}
    training.write_network(module, config, target)
    return _examine_scorer(material, target, config, JudgeScorer, judge=True)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def named(part: str, figures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figures of a part of a model."""
    return [figure | {"name": f"{part}.{figure['name']}"} for figure in figures]


def split_pairs(material: Material, *, judge: bool) -> tuple[Array, Array]:
    """Pairs of one side to learn from and to examine with, bool ``[k]`` each.

    A scorer is examined with captions that nothing is trained on. The judge is asked about those:
    it has to have learned what people think of them, and is examined with pictures of its own.
    """
    pairs = material.pairs
    names = [f"{row}" for row in range(len(pairs.pictures))]
    at = places([names[i] for i in pairs.first], [names[i] for i in pairs.second])
    mine = (at < JUDGE_SHARE) == judge
    kept = at < JUDGE_SHARE / EXAMINED if judge else material.held_out
    return mine & ~kept, mine & kept


def _examine_scorer(
    material: Material, target: Path, config: dict[str, Any], kind: Any, *, judge: bool = False
) -> list[dict[str, Any]]:
    """Calibrates the scale on one half of the side's held-out pairs, examines on the other."""
    (target / CONFIG).write_text(json.dumps(config))
    difference, share = _differences(kind(target, material.device), material, judge)
    half = np.arange(len(share)) % 2 == 0
    config["temperature"] = training.pair_temperature(difference[half], share[half])
    (target / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return [
        *_agreement(difference / config["temperature"], share, ~half),
        _figure("temperature", config["temperature"], int(half.sum())),
    ]


def _differences(scorer: Any, material: Material, judge: bool) -> tuple[Array, Array]:
    """Of pairs kept for examination that a scorer has an answer to: how much more it gives the
    first, and the share of votes for that."""
    kept = np.flatnonzero(split_pairs(material, judge=judge)[1])
    pairs = take_pairs(material.pairs, kept)
    scores = scorer.score(pairs.pictures, pairs.captions) if len(kept) else np.zeros(0)
    difference = scores[pairs.first] - scores[pairs.second]
    known = np.isfinite(difference)
    if known.sum() < LEAST_PAIRS:
        raise ValueError(
            f"{known.sum()} kept pairs with an answer are too few to examine a scorer; "
            "rate more pictures"
        )
    return difference[known], pairs.share[known]


def _agreement(difference: Array, share: Array, unseen: Array) -> list[dict[str, Any]]:
    """How well differences in logits foretell votes; their loss on pairs that set no scale."""
    untied, clear = share != 0.5, np.abs(share - 0.5) >= 0.5
    agreed = (difference > 0) == (share > 0.5)
    said = 1 / (1 + np.exp(-difference))
    loss = -(share * np.log(said + 1e-9) + (1 - share) * np.log(1 - said + 1e-9))
    return [
        _figure("pairwise_accuracy", agreed[untied].mean(), int(untied.sum())),
        _figure("pairwise_accuracy_unanimous", agreed[clear].mean(), int(clear.sum())),
        _figure("pair_log_loss", loss[unseen].mean(), int(unseen.sum())),
    ]


def _figure(name: str, value: float, n: int) -> dict[str, Any]:
    return {"name": name, "value": float(value), "n": int(n)}


def build_person(
    material: Material, fit: Fit, target: Path, *, judge: bool
) -> list[dict[str, Any]]:
    """A classifier of tone and perceived gender, which says when it finds nobody."""
    people, rng = material.people, np.random.default_rng([fit.seed, 7])
    learn, examine = half(len(people.pictures), judge)
    drawn = people.pictures[learn]
    shown = np.concatenate([drawn, material.decode(drawn)])
    other_learn, _ = half(len(material.objects.pictures), judge)
    others = material.objects.pictures[other_learn]
    ruined = _ruined(shown[rng.permutation(len(shown))[: len(drawn)]], rng)
    nobody = np.concatenate([others, material.decode(others[::4]), ruined])
    architecture = "plain" if judge else "group"
    module = training.fit_person_classifier(
        shown,
        np.tile(people.tone[learn], 2),
        np.tile(people.gender[learn], 2),
        nobody,
        fit,
        architecture=architecture,
        device=material.device,
        tell=material.tell,
    )
    config = {
        "kind": "person",
        "architecture": architecture,
        "side": int(people.pictures.shape[1]),
        "tones": TONES,
        "genders": GENDERS,
        "temperature": {"tone": 1.0, "gender": 1.0},
    }
    training.write_network(module, config, target)
    reader = PersonClassifier(target, material.device)
    kept = people.pictures[examine]
    decoded = material.decode(kept)
    raw = reader._answers(decoded[::2]).numpy()
    config["temperature"] = {
        "tone": training.temperature(raw[:, :4], people.tone[examine][::2]),
        "gender": training.temperature(raw[:, 4:6], people.gender[examine][::2]),
    }
    (target / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return _examine_person(PersonClassifier(target, material.device), material, judge, rng)


def _examine_person(
    reader: Any, material: Material, judge: bool, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Asks about labelled people, as they are and as the base renders them, and about nobody."""
    people, examine = material.people, half(len(material.people.pictures), judge)[1]
    kept, figures = people.pictures[examine], []
    decoded = material.decode(kept)
    for name, pictures in (("drawn", kept), ("decoded", decoded)):
        seen = reader.read(pictures)
        for kind, labels, classes in (
            ("tone", people.tone[examine], TONES),
            ("gender", people.gender[examine], GENDERS),
        ):
            right = getattr(seen, kind).argmax(1) == labels
            figures.append(_figure(f"{kind}_accuracy_{name}", right.mean(), len(labels)))
            figures += [
                _figure(
                    f"{kind}_recall_{word}_{name}",
                    right[labels == at].mean(),
                    int((labels == at).sum()),
                )
                for at, word in enumerate(classes)
                if (labels == at).any()
            ]
        figures.append(_figure(f"found_{name}", (seen.found >= 0.5).mean(), len(kept)))
    empty = material.objects.pictures[half(len(material.objects.pictures), judge)[1]]
    broken = _ruined(decoded, rng)
    for name, pictures in (("objects", empty), ("ruined", broken)):
        wrong = reader.read(pictures).found >= 0.5
        figures.append(_figure(f"found_in_{name}", wrong.mean(), len(pictures)))
    return figures


def build_detector(
    material: Material, fit: Fit, target: Path, *, judge: bool
) -> list[dict[str, Any]]:
    """A detector of objects and their colours in a grid of cells."""
    labelled = material.objects
    names = sorted({name for each in labelled.objects for name, _, _, _ in each})
    colours = sorted({colour for each in labelled.objects for _, colour, _, _ in each})
    learn, examine = half(len(labelled.pictures), judge)
    drawn = labelled.pictures[learn]
    coded = [
        [(names.index(n), colours.index(c), x, y) for n, c, x, y in labelled.objects[row]]
        for row in learn
    ]
    empty = material.people.pictures[half(len(material.people.pictures), judge)[0]][:400]
    cells = drawn.shape[1] // CELL
    targets = training.cell_targets([*coded, *coded, *([[]] * len(empty))], cells, len(names))
    architecture = "plain" if judge else "group"
    module = training.fit_detector(
        np.concatenate([drawn, material.decode(drawn), empty]),
        targets,
        fit,
        (len(names), len(colours)),
        architecture=architecture,
        device=material.device,
        tell=material.tell,
    )
    config = {
        "kind": "objects",
        "architecture": architecture,
        "side": int(drawn.shape[1]),
        "names": names,
        "colours": colours,
        "temperature": {"objects": 1.0, "colours": 1.0},
    }
    training.write_network(module, config, target)
    decoded = material.decode(labelled.pictures[examine])
    config["temperature"] = _detector_temperature(
        ObjectDetector(target, material.device),
        decoded,
        [labelled.objects[r] for r in examine],
        names,
        colours,
    )
    (target / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return _examine_detector(ObjectDetector(target, material.device), material, judge)


def _examine_detector(detector: Any, material: Material, judge: bool) -> list[dict[str, Any]]:
    """Asks about labelled objects, as they are and as the base renders them."""
    labelled, examine = material.objects, half(len(material.objects.pictures), judge)[1]
    kept, wanted = labelled.pictures[examine], [labelled.wanted[row] for row in examine]
    names = sorted({name for each in labelled.objects for name, _, _, _ in each})
    figures = []
    for name, pictures in (("drawn", kept), ("decoded", material.decode(kept))):
        found = detector.detect(pictures)
        right = fully_right(found, wanted)
        figures.append(_figure(f"fully_right_{name}", right.mean(), len(wanted)))
        turned = fully_right(found, wanted[1:] + wanted[:1])
        figures.append(_figure(f"fully_right_wrong_caption_{name}", turned.mean(), len(wanted)))
        for word in names:
            rows = [r for r, want in enumerate(wanted) if word in [n for n, _ in want.objects]]
            confidence = [found.confidence(r, word, "").max() for r in rows]
            if rows:
                value = float(np.mean(np.array(confidence) >= 0.5))
                figures.append(_figure(f"recall_{word}_{name}", value, len(rows)))
    return figures


def _detector_temperature(
    detector: ObjectDetector,
    pictures: Array,
    objects: list[list[tuple[str, str, float, float]]],
    names: list[str],
    colours: list[str],
) -> dict[str, float]:
    coded = [[(names.index(n), colours.index(c), x, y) for n, c, x, y in each] for each in objects]
    kind, _, paint = training.cell_targets(coded, pictures.shape[1] // CELL, len(names))
    raw = detector._answers(pictures).permute(0, 2, 3, 1).numpy()
    known, painted = kind >= 0, paint >= 0
    return {
        "objects": training.temperature(raw[known][:, : len(names) + 1], kind[known]),
        "colours": training.temperature(raw[painted][:, len(names) + 1 :], paint[painted]),
    }


def build(
    name: str, material: Material, start: Path, fits: Mapping[str, Fit], target: Path
) -> list[dict[str, Any]]:
    """Build the reward model `name` of `REWARDS` into an empty folder; returns its figures."""
    if name == "preference":
        return build_preference(material, start, fits, target)
    if name == "person":
        return build_person(material, fits["person"], target, judge=False)
    if name == "objects":
        return build_detector(material, fits["objects"], target, judge=False)
    figures = []
    for part, make in (
        ("person", lambda to: build_person(material, _other(fits["person"]), to, judge=True)),
        ("objects", lambda to: build_detector(material, _other(fits["objects"]), to, judge=True)),
        ("preference", lambda to: build_judge_scorer(material, fits["judge"], to)),
    ):
        figures += named(part, make(_folder(target / part)))
    return figures


def examine(name: str, material: Material, folder: Path) -> list[dict[str, Any]]:
    """Figures of the reward model `name` of `REWARDS` that lies in a folder as somebody else made
    it; scores count as logits.

    Raises:
        ValueError: a folder holds none.
    """
    judge = name == "judge"

    def scorer(model: Any) -> list[dict[str, Any]]:
        difference, share = _differences(model, material, judge)
        return _agreement(difference, share, np.ones(len(share), bool))

    parts: dict[str, Callable[[Any], list[dict[str, Any]]]] = {
        "person": lambda model: _examine_person(model, material, judge, np.random.default_rng(7)),
        "objects": lambda model: _examine_detector(model, material, judge),
        "preference": scorer,
    }
    if not judge:
        return parts[name](open_reward(folder, material.device))
    return [
        figure
        for part, asked in parts.items()
        for figure in named(part, asked(open_reward(folder / part, material.device)))
    ]


def _other(fit: Fit) -> Fit:
    return Fit(fit.steps, fit.batch, fit.peak, fit.seed + 1_000)
