"""Fits reward models: a preference scorer (Bradley-Terry), a person classifier, a detector."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rl_diffusion_assets.rewards.degrade import Misnamer, degrade
from rl_diffusion_assets.rewards.models import (
    CONFIG,
    TOWER,
    WORDS,
    clip_inputs,
    clip_towers,
    word_ids,
)
from rl_diffusion_assets.rewards.networks import (
    as_pixels,
    make_classifier,
    make_grid_detector,
    make_head,
)

Array = np.ndarray
TELL = 50  # steps between two lines of progress


@dataclass(frozen=True)
class Fit:
    """How long and how fast; one schedule for all: a cosine after a short warm-up."""

    steps: int
    batch: int
    peak: float
    seed: int


@dataclass
class Pairs:
    """Rated pictures and the choices between them.

    Attributes:
        pictures: uint8 ``[m, h, w, 3]``.
        captions: ``[m]``.
        first, second: Rows of the pictures of a pair, int ``[k]``.
        share: Of the votes that prefer the first, a tie counting half, float ``[k]``.
        votes: int ``[k]``.
    """

    pictures: Array
    captions: list[str]
    first: Array
    second: Array
    share: Array
    votes: Array


def _rates(fit: Fit) -> Iterator[float]:
    for step in range(fit.steps):
        warm = min(1.0, (step + 1) / 20)
        yield fit.peak * warm * max(0.02, 0.5 + 0.5 * np.cos(np.pi * step / fit.steps))


def _minimise(
    paces: Mapping[Any, float],
    fit: Fit,
    loss_of: Callable[[], Any],
    tell: Callable[[str], None],
    name: str,
) -> None:
    """Modules, each at its own share of the learning rate."""
    import torch

    groups = [{"params": list(module.parameters()), "pace": pace} for module, pace in paces.items()]
    optimizer = torch.optim.AdamW(groups, fit.peak, weight_decay=1e-2)
    for module in paces:
        module.train()
    recent = 0.0
    for step, rate in enumerate(_rates(fit), 1):
        for group in optimizer.param_groups:
            group["lr"] = rate * group["pace"]
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        for module in paces:
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        recent += loss.item()
        if step % TELL == 0:
            tell(f"{name}: {step}/{fit.steps} steps, loss {recent / TELL:.3f}")
            recent = 0.0
    for module in paces:
        module.eval()


def _groups(pairs: Pairs) -> list[Array]:
    """Pairs that share a caption, so that a picture is looked at once for all its pairs."""
    by_caption: dict[str, list[int]] = {}
    for row, first in enumerate(pairs.first):
        by_caption.setdefault(pairs.captions[first], []).append(row)
    return [np.array(rows) for rows in by_caption.values()]


def _preference_batches(pairs: Pairs, pictures: int, rng: np.random.Generator) -> Iterator[Array]:
    """Rows of pairs, about `pictures` different pictures in each batch."""
    groups = _groups(pairs)
    while True:
        chosen: list[Array] = []
        seen = 0
        for group in rng.permutation(len(groups)):
            chosen.append(groups[group])
            seen += len(np.unique([pairs.first[groups[group]], pairs.second[groups[group]]]))
            if seen >= pictures:
                yield np.concatenate(chosen)
                chosen, seen = [], 0
        if chosen:
            yield np.concatenate(chosen)


def _preference_loss(scores: Any, rows: Array, used: Array, pairs: Pairs) -> Any:
    """Bradley-Terry: cross-entropy of the share of votes, weighted by the root of their number."""
    import torch
    from torch.nn import functional

    place = {int(picture): at for at, picture in enumerate(used)}
    first = torch.tensor([place[int(p)] for p in pairs.first[rows]])
    second = torch.tensor([place[int(p)] for p in pairs.second[rows]])
    wanted = torch.tensor(pairs.share[rows], dtype=torch.float32).to(scores.device)
    weight = torch.tensor(np.sqrt(pairs.votes[rows]), dtype=torch.float32).to(scores.device)
    logits = scores[first] - scores[second]
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (each * weight).sum() / weight.sum()


def _rank_loss(better: Any, worse: Any) -> Any:
    """Bradley-Terry of pictures over what was made of them on purpose."""
    from torch.nn import functional

    return functional.softplus(worse - better).mean()


def _caption_loss(images: Any, texts: Any, captions: list[str], scale: Any) -> Any:
    """Which caption belongs to which picture; the same caption twice is a match twice.

    Texts beyond the pictures are wrong captions.
    """
    import torch

    known = {caption: i for i, caption in enumerate(dict.fromkeys(captions))}
    of = torch.tensor([known[caption] for caption in captions])
    same = (of[:, None] == of[None]).float().to(images.device)
    logits = images @ texts.T * scale
    own = logits.log_softmax(1)[:, : len(images)]
    rows = (own * same / same.sum(1, keepdim=True)).sum(1).mean()
    logits = logits[:, : len(images)]
    columns = (logits.log_softmax(0) * same / same.sum(0, keepdim=True)).sum(0).mean()
    return -(rows + columns) / 2


def _mirrored(pictures: Array, captions: list[str], rng: np.random.Generator) -> Array:
    """Half of them mirrored, but not where the caption speaks of a side."""
    out = pictures.copy()
    for row, caption in enumerate(captions):
        if not {"left", "right"} & set(caption.split()) and rng.random() < 0.5:
            out[row] = out[row][:, ::-1]
    return out


def fit_clip_scorer(
    start: Path,
    pairs: Pairs,
    captioned: tuple[Array, list[str]],
    fit: Fit,
    *,
    caption_weight: float = 0.3,
    rank_weight: float = 0.5,
    device: str = "cpu",
    tell: Callable[[str], None] = print,
) -> tuple[Any, Any, Any]:
    """Tune a CLIP folder to preferences, with a tower beside it that sees damage.

    CLIP knows what a picture shows, and was never asked how well; the tower, from scratch, learns
    that from the choices and from pictures made worse on purpose. True captions keep CLIP from
    forgetting what it reads.

    Returns:
        model, processor and tower; the scale of the similarity is learnt with the rest.
    """
    import torch
    from transformers import CLIPModel, CLIPProcessor

    torch.manual_seed(fit.seed)
    rng = np.random.default_rng([fit.seed, 1])
    model: Any = CLIPModel.from_pretrained(start, use_safetensors=True)
    model.to(device)
    processor: Any = CLIPProcessor.from_pretrained(start)
    tower: Any = make_classifier(1, pairs.pictures.shape[1], "group").to(device)
    batches = _preference_batches(pairs, fit.batch, rng)
    wrong = Misnamer(captioned[1])

    def worth(pictures: Array) -> Any:
        return tower(as_pixels(pictures, device))[:, 0]

    def look(pictures: Array, captions: list[str]) -> tuple[Any, Any]:
        inputs = clip_inputs(processor, pictures, captions)
        return clip_towers(model, {key: value.to(device) for key, value in inputs.items()})

    def loss_of() -> Any:
        rows = next(batches)
        used = np.unique(np.concatenate([pairs.first[rows], pairs.second[rows]]))
        texts_of = [pairs.captions[row] for row in used]
        shown = _mirrored(pairs.pictures[used], texts_of, rng)
        images, texts = look(shown, texts_of)
        scale = model.logit_scale.exp()
        whole = worth(shown)
        loss = _preference_loss((images * texts).sum(-1) * scale + whole, rows, used, pairs)
        loss = loss + rank_weight * _rank_loss(whole, worth(degrade(shown, rng)))
        if caption_weight and len(captioned[1]):
            some = rng.integers(len(captioned[1]), size=fit.batch // 2)
            words = [captioned[1][row] for row in some]
            told = words + [wrong.misname(caption, rng) for caption in words]
            images, texts = look(_mirrored(captioned[0][some], words, rng), told)
            loss = loss + caption_weight * _caption_loss(images, texts, words, scale)
        return loss

    # What is known already learns at a quarter of the pace of what starts from nothing.
    _minimise({tower: 1.0, model: 0.25}, fit, loss_of, tell, "preference")
    return model, processor, tower


def fit_head(
    pairs: Pairs,
    captioned: tuple[Array, list[str]],
    read: Callable[[Array, Sequence[str]], tuple[Any, Any]],
    fit: Fit,
    *,
    name: str = "judge",
    device: str = "cpu",
    tell: Callable[[str], None] = print,
) -> Any:
    """A scorer on frozen features: choices, pictures made worse, captions made wrong, and true
    captions to learn what pictures show.

    Args:
        pairs: Rated pictures.
        captioned: Others, and what they show.
        read: of a `Reader`; every picture is read once.
        fit: Schedule.
        name: In the lines of progress.
        device, tell: As everywhere.
    """
    import torch

    torch.manual_seed(fit.seed)
    rng = np.random.default_rng([fit.seed, 2])
    pictures, texts = captioned
    wrong = Misnamer(texts)
    misnamed = [wrong.misname(caption, rng) for caption in texts]
    rated = read(pairs.pictures, pairs.captions)
    true, worse = read(pictures, texts), read(degrade(pictures, rng), texts)
    mistold = read(pictures, misnamed)
    asked, told, lied = (word_ids(of).to(device) for of in (pairs.captions, texts, misnamed))
    module: Any = make_head(WORDS, true[0].shape[1], true[1].shape[1]).to(device)
    module.mean.copy_(true[0].mean(0))
    module.deviation.copy_(true[0].std(0) + 1e-3)
    batches = _preference_batches(pairs, fit.batch, rng)

    def loss_of() -> Any:
        rows = next(batches)
        used = np.unique(np.concatenate([pairs.first[rows], pairs.second[rows]]))
        loss = _preference_loss(
            module(rated[0][used], asked[used], rated[1][used]), rows, used, pairs
        )
        some = rng.integers(len(texts), size=fit.batch)
        good = module(true[0][some], told[some], true[1][some])
        for bad in (
            module(worse[0][some], told[some], worse[1][some]),
            module(mistold[0][some], lied[some], mistold[1][some]),
        ):
            loss = loss + 0.5 * _rank_loss(good, bad)
        images, words = module.towers(true[0][some], torch.cat([told[some], lied[some]]))
        named = [texts[row] for row in some]
        return loss + 0.5 * _caption_loss(images, words, named, module.scale.exp())

    _minimise({module: 1.0}, fit, loss_of, tell, name)
    return module


def fit_person_classifier(
    pictures: Array,
    tone: Array,
    gender: Array,
    nobody: Array,
    fit: Fit,
    *,
    architecture: str,
    device: str = "cpu",
    tell: Callable[[str], None] = print,
) -> Any:
    """Tone (0 to 3) and perceived gender (0, 1) of people; pictures of `nobody` to be refused."""
    import torch
    from torch.nn import functional

    torch.manual_seed(fit.seed)
    rng = np.random.default_rng([fit.seed, 3])
    module = make_classifier(7, pictures.shape[1], architecture).to(device)

    def loss_of() -> Any:
        rows = rng.integers(len(pictures), size=fit.batch * 3 // 4)
        none = rng.integers(len(nobody), size=fit.batch - len(rows))
        batch = np.concatenate([pictures[rows], nobody[none]])
        flips = rng.random(len(batch)) < 0.5
        batch[flips] = batch[flips, :, ::-1]
        answers = module(as_pixels(batch, device))
        people = answers[: len(rows)]
        found = torch.zeros(len(batch), device=device)
        found[: len(rows)] = 1.0
        return (
            functional.cross_entropy(people[:, :4], torch.tensor(tone[rows], device=device))
            + functional.cross_entropy(people[:, 4:6], torch.tensor(gender[rows], device=device))
            + functional.binary_cross_entropy_with_logits(answers[:, 6], found)
        )

    _minimise({module: 1.0}, fit, loss_of, tell, "person")
    return module


def fit_detector(
    pictures: Array,
    targets: tuple[Array, Array, Array],
    fit: Fit,
    outputs: tuple[int, int],
    *,
    architecture: str,
    device: str = "cpu",
    tell: Callable[[str], None] = print,
) -> Any:
    """Objects and colours of cells.

    Args:
        pictures: uint8 ``[n, h, w, 3]``.
        targets: of `cell_targets`, int ``[n, rows, columns]`` each.
        outputs: number of objects, number of colours.
    """
    import torch
    from torch.nn import functional

    torch.manual_seed(fit.seed)
    rng = np.random.default_rng([fit.seed, 4])
    names, colours = outputs
    module = make_grid_detector(names + 1 + colours, architecture).to(device)
    objects, rings, paints = (torch.tensor(part, device=device).long() for part in targets)
    weights = torch.ones(names + 1, device=device)
    weights[-1] = 0.3  # most cells are empty

    def loss_of() -> Any:
        rows = rng.integers(len(pictures), size=fit.batch)
        batch, flip = pictures[rows].copy(), rng.random(len(rows)) < 0.5
        batch[flip] = batch[flip, :, ::-1]
        answers = module(as_pixels(batch, device))
        turned = torch.tensor(flip, device=device)[:, None, None]
        wanted, ring, coloured = (
            torch.where(turned, part[rows].flip(-1), part[rows])
            for part in (objects, rings, paints)
        )
        logits = answers[:, : names + 1]
        loss = functional.cross_entropy(logits, wanted, weights, ignore_index=-1)
        loss = loss + functional.cross_entropy(answers[:, names + 1 :], coloured, ignore_index=-1)
        # Around an object a cell may see it or nothing, but not another object.
        chances = logits.log_softmax(1)
        own = torch.gather(chances, 1, ring.clamp(min=0)[:, None])[:, 0]
        allowed = torch.logaddexp(own, chances[:, names])
        return loss - 0.3 * (allowed * (ring >= 0)).sum() / (ring >= 0).sum().clamp(min=1)

    _minimise({module: 1.0}, fit, loss_of, tell, "objects")
    return module


def cell_targets(
    objects: list[list[tuple[int, int, float, float]]], cells: int, names: int
) -> tuple[Array, Array, Array]:
    """Targets of `fit_detector` from each picture's objects as (name, colour, x, y).

    Returns:
        object of a cell: its number within 0.8 of a cell's width of its centre, `names` beyond 2,
        else -1; the nearest object of the cells between, else -1; the nearest object's colour of
        all cells within 2, else -1.
    """
    kind = np.full((len(objects), cells, cells), names)
    ring, paint = np.full_like(kind, -1), np.full_like(kind, -1)
    down, right = (np.indices((cells, cells)) + 0.5) / cells
    for row, found in enumerate(objects):
        if not found:
            continue
        distances = np.stack([np.hypot(right - x, down - y) * cells for _, _, x, y in found])
        nearest, distance = distances.argmin(0), distances.min(0)
        name, colour = (np.array([one[at] for one in found])[nearest] for at in (0, 1))
        kind[row] = np.where(distance <= 0.8, name, np.where(distance <= 2.0, -1, names))
        ring[row] = np.where((distance > 0.8) & (distance <= 2.0), name, -1)
        paint[row] = np.where(distance <= 2.0, colour, -1)
    return kind, ring, paint


def temperature(logits: Array, labels: Array) -> float:
    """What logits ``[n, k]`` are divided by to calibrate their softmax (Guo et al. 2017)."""
    grid = np.geomspace(0.2, 8.0, 60)
    losses = []
    for value in grid:
        scaled = logits / value
        scaled = scaled - scaled.max(1, keepdims=True)
        log_total = np.log(np.exp(scaled).sum(1))
        losses.append((log_total - scaled[np.arange(len(labels)), labels]).mean())
    return float(grid[int(np.argmin(losses))])


def pair_temperature(differences: Array, share: Array) -> float:
    """What score differences are divided by so that their sigmoid is the share of votes."""
    grid = np.geomspace(0.2, 8.0, 60)
    scaled = differences[None] / grid[:, None]
    losses = np.logaddexp(0, -scaled) * share + np.logaddexp(0, scaled) * (1 - share)
    return float(grid[int(np.argmin(losses.mean(1)))])


def write_tensors(module: Any, path: Path) -> None:
    """A module's weights as safetensors."""
    from safetensors.torch import save_file

    tensors = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    save_file(tensors, path)


def write_clip_scorer(
    model: Any, processor: Any, tower: Any, config: dict[str, Any], folder: Path
) -> None:
    """A tuned CLIP and its tower, as `open_reward` reads them."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    write_tensors(tower, folder / TOWER)
    (folder / CONFIG).write_text(json.dumps(config))


def write_network(module: Any, config: dict[str, Any], folder: Path) -> None:
    """A network and the configuration that `open_reward` needs."""
    write_tensors(module, folder / "model.safetensors")
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
