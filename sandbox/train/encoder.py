"""Trains the tiny base encoder on rendered products: `python -m sandbox.train.encoder`.

Photos against captions, contrastively: half of the captions are sellers' titles, half name a few
true attributes. A caption that is true of several photos of a batch has all of them as positives.
Beside it each photo is asked for the true value of every key (`readings`).
The vision tower starts as that of the shipped vision-language model, so train that one first.
Stops and resumes at any time: the state is in `.data/train/encoder`.
"""

import argparse
import copy
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from sandbox.titles import spoken, write_title
from sandbox.train.data import ROOT, held_out, make_photos, read_shards, training_shards
from sandbox.train.encoder_model import WEIGHTS, pixel_values, vision_of, write_folder
from sandbox.train.evaluate_encoder import NAMES, PAIRS, evaluate, table
from sandbox.train.evaluate_vlm import WEIGHTS as VLM
from sandbox.train.shipping import CARD_HEAD, ship
from sandbox.vocabulary import PHRASES

FOLDER = ROOT / "encoder"
BATCH = 256
PEAK, WARMUP = 1e-3, 60
EMA = 0.99
FROZEN = 0.15  # share of the time in which the vision tower stands still
READINGS = 0.5  # weight of the second loss
ORDER = ("length", "colour", "pattern", "material", "neck", "category", "sleeve")


def caption(truth: dict[str, str], rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A phrase of some true attributes, and which ones."""
    keys = [key for key in ORDER if key in truth]
    # Few attributes at a time: zero-shot questions ask for one.
    count = min(int(rng.choice((1, 2, 3, 4, 7), p=(0.3, 0.3, 0.2, 0.1, 0.1))), len(keys))
    chosen = set(rng.choice(len(keys), count, replace=False))
    said = {key: truth[key] for index, key in enumerate(keys) if index in chosen}
    words = []
    for key, value in said.items():
        plain = PHRASES.get(key, "{value}").format(value=value)
        words.append(spoken(key, value, rng, 1.0) if rng.random() < 0.15 else plain)
    return " ".join(words), said


def matches(said: list[dict[str, str] | None], truths: list[dict[str, str]]) -> torch.Tensor:
    """1 where a caption (row) is true of a photo (column); a title is true of its own only."""
    out = torch.eye(len(truths))
    keys = ORDER
    table_ = np.array([[truth.get(key, "") for key in keys] for truth in truths])
    for row, pairs in enumerate(said):
        if pairs is None:
            continue
        wanted = np.ones(len(truths), bool)
        for key, value in pairs.items():
            wanted &= table_[:, keys.index(key)] == value
        out[row] = torch.from_numpy(wanted.astype(np.float32))
    return out


def readings(
    images: torch.Tensor, names: torch.Tensor, scale: Any, truths: list[dict[str, str]]
) -> torch.Tensor:
    """Each photo against the phrases of all values of a key, of which one is true: cross-entropy,
    summed over the keys that the product has, mean over the photos.

    Captions alone taught what a batch tells apart, which is colours and types: of necks, small and
    named seldom, the nearest phrase was the true one for 0.61 of the photos.
    """
    logits = scale * images @ names.T
    total = logits.new_zeros(())
    for key in ORDER:
        columns = [at for at, (k, _) in enumerate(PAIRS) if k == key]
        row_of = {PAIRS[at][1]: row for row, at in enumerate(columns)}
        rows = [row for row, truth in enumerate(truths) if key in truth]
        wanted = torch.tensor([row_of[truths[row][key]] for row in rows], dtype=torch.long)
        among = logits[rows][:, columns]
        total = total + torch.nn.functional.cross_entropy(among, wanted, reduction="sum")
    return total / len(truths)


def shifted(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The photo, perhaps mirrored, moved by up to two pixels."""
    photo = photo[:, ::-1] if rng.random() < 0.5 else photo
    return np.roll(photo, tuple(rng.integers(-2, 3, 2)), (0, 1))


def batch_of(
    parts: list[tuple[np.ndarray, list[dict[str, str]]]], rng: np.random.Generator
) -> tuple[np.ndarray, list[str], torch.Tensor, list[dict[str, str]]]:
    """Photos or their vectors, captions, which caption is true of which photo, and the truths."""
    photos, truths, texts, said = [], [], [], []
    for _ in range(BATCH):
        some, known = parts[rng.integers(len(parts))]
        row = int(rng.integers(len(known)))
        photos.append(shifted(some[row], rng) if some.ndim == 4 else some[row])
        truths.append(known[row])
        if rng.random() < 0.5:
            texts.append(write_title(known[row], rng))
            said.append(None)
        else:
            text, pairs = caption(known[row], rng)
            texts.append(text)
            said.append(pairs)
    return np.stack(photos), texts, matches(said, truths), truths


def contrast(images: torch.Tensor, texts: torch.Tensor, scale: Any, true: torch.Tensor) -> Any:
    """Softmax over the batch both ways, the mass of a row spread over all that is true of it."""
    logits = scale * texts @ images.T
    rows = -(true / true.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
    # A photo is asked for its captions one at a time: all that are true of it share the mass.
    columns = -(true / true.sum(0, keepdim=True) * logits.log_softmax(0)).sum(0).mean()
    return (rows + columns) / 2


def pooled(model: Any, photos: np.ndarray) -> np.ndarray:
    """What the vision tower gives before its projection, float32 (n, width)."""
    projection, model.visual.proj = model.visual.proj, None
    with torch.inference_mode():
        parts = [
            model.encode_image(pixel_values(photos[start : start + 500])).numpy()
            for start in range(0, len(photos), 500)
        ]
    model.visual.proj = projection
    return np.concatenate(parts)


def card(figures: dict[str, dict[str, float]], progress: dict[str, float], size: int) -> str:
    """The model card."""
    return f"""{CARD_HEAD}# Sandbox base encoder

A tiny open_clip model ({size / 1e6:.2f} M parameters): ViT of 64 px, patch 8, 3 layers of width
128; text tower of 2 layers with its own lower-casing byte-level BPE of 1,500. It stands in for a
hub CLIP where there is no network; the pipeline fine-tunes it on its own catalogue.

- **Load**: `open_clip.create_model_and_transforms("local-dir:sandbox/weights/encoder")` and
  `open_clip.get_tokenizer(...)` of the same name. Photos of 64 x 64 (BOX reduction).
- **Data**: photos and titles of `sandbox.renderer` and `sandbox.titles` only. No real photo.
- **Start**: the vision tower of the sandbox's vision-language model (same photos, same labels);
  the text tower starts from nothing.
- **Command**: `python -m sandbox.train.encoder --minutes 60`, and again with 120, which goes on
  from there at half the rate; batch {BATCH}, AdamW, peak {PEAK}, cosine;
  contrast of photos and captions, and {READINGS} times the cross-entropy of each key's values.
- **Spent**: {progress["step"]:.0f} steps ({progress["step"] * BATCH / 1000:.0f}k pairs),
  {progress["seconds"]:.0f} s wall, {progress["cpu_seconds"]:.0f} s of one CPU core.

Zero-shot on 2,000 held-out products: share whose nearest attribute is true (recall@1), share of
true attributes among the 10 nearest of all values (recall@10), and per key the share where the
nearest value of the key is the true one.

{table(figures)}

**Limits**: renders only. On real photos its vectors are meaningless.
"""


def train(minutes: float, checkpoint_minutes: float, seed: int = 0) -> None:
    """Trains for `minutes` of wall clock in all, shipping every checkpoint."""
    import open_clip

    torch.manual_seed(seed)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as start:
        write_folder(Path(start), None, "")
        name = f"local-dir:{start}"
        model = open_clip.create_model(name)
        tokenizer = open_clip.get_tokenizer(name)
    seeing = vision_of(load_file(VLM / "model.safetensors"))
    unknown = model.load_state_dict(seeing, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"the vision towers do not match: {unknown}")
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0.05, fused=True
    )
    progress: dict[str, float] = {"step": 0, "seconds": 0.0, "cpu_seconds": 0.0}
    state = FOLDER / "state.safetensors"
    if state.exists():  # the optimizer starts afresh: its moments are back within 50 steps
        tensors = load_file(state)
        model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        average.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("average.")})
        progress = json.loads((FOLDER / "progress.json").read_text())
    rng = np.random.default_rng([seed, 62, int(progress["step"])])
    parts = [read_shards([path]) for path in training_shards()]
    vectors = [(pooled(model, parts[0][0]), parts[0][1])] if progress["step"] == 0 else []
    photos, known = held_out(2_000)
    size = sum(value.numel() for value in model.parameters())
    clock, cpu, saved, recent = time.time(), time.process_time(), time.time(), []
    done = 0.0
    while done < 1.0:
        spent = progress["seconds"] + time.time() - clock
        done = spent / (60 * minutes)
        step = int(progress["step"])
        shape = 0.5 * (1 + np.cos(np.pi * min(done, 1.0))) + 0.01
        for group in optimizer.param_groups:
            group["lr"] = PEAK * min((step + 1) / WARMUP, shape)
        # First only the text tower and the projection learn, from vectors: ten times as fast.
        frozen = bool(vectors) and done < FROZEN
        shown, texts, true, truths = batch_of(vectors if frozen else parts, rng)
        if frozen:
            images = torch.from_numpy(shown) @ model.visual.proj
            images = torch.nn.functional.normalize(images, dim=-1)
        else:
            images = model.encode_image(pixel_values(shown), normalize=True)
        words = model.encode_text(tokenizer(texts + NAMES), normalize=True)
        scale = model.logit_scale.exp()
        loss = contrast(images, words[: len(texts)], scale, true)
        loss = loss + READINGS * readings(images, words[len(texts) :], scale, truths)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(100))
            keep = min(EMA, (step + 1) / (step + 10))
            for mean, value in zip(average.parameters(), model.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
        progress["step"] = step + 1
        recent.append(loss.item())
        if step % 25 == 0:
            print(f"step {step} loss {np.mean(recent[-25:]):.3f} {100 * done:.0f}%", flush=True)
        if done >= 1.0 or time.time() - saved > 60 * checkpoint_minutes:
            used = progress["cpu_seconds"] + time.process_time() - cpu
            progress |= {"seconds": spent, "cpu_seconds": used}
            figures = evaluate(average, tokenizer, photos, known)
            print(table(figures), flush=True)
            text = card(figures, progress, size)
            weights = average.state_dict()
            ship(WEIGHTS, lambda folder, w=weights, t=text: write_folder(folder, w, t))
            tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
            tensors |= {f"average.{k}": v for k, v in weights.items()}
            save_file({k: v.clone().contiguous() for k, v in tensors.items()}, state)
            (FOLDER / "progress.json").write_text(json.dumps(progress))
            clock, cpu, saved = time.time(), time.process_time(), time.time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--checkpoint-minutes", type=float, default=4.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not training_shards():
        make_photos()
    train(arguments.minutes, arguments.checkpoint_minutes)


if __name__ == "__main__":
    main()
