"""Trains the tiny Idefics3 on rendered products: `python -m sandbox.train.vlm`.

Stops and resumes at any time: the state is in `.data/train/vlm`. Photos come from
`sandbox.train.data`, made beforehand or meanwhile; titles are written anew for every step.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from sandbox.titles import write_title
from sandbox.train import evaluate_vlm
from sandbox.train.data import ROOT, held_out, make_photos, read_shards, training_shards
from sandbox.train.shipping import CARD_HEAD, ship
from sandbox.train.tokenizers import answer_of
from sandbox.train.vlm_model import (
    END,
    PROMPT,
    ReadOut,
    Size,
    build_model,
    build_processor,
    build_tokenizer,
    labels_of,
    pixel_values,
    prompt_text,
    whiten_patches,
)
from sandbox.vocabulary import KEYS, REQUIRED

FOLDER = ROOT / "vlm"
BATCH = 64
PEAK, WARMUP = 2.5e-3, 100
EMA = 0.998
READ_OUT = 1.0  # weight of the vision tower's own loss
LONGEST_VALUE = 24  # letters; bounds what a constrained answer can cost


def schema() -> dict[str, Any]:
    """JSON schema of an answer: the keys in the order the model writes them, open values."""
    return {
        "type": "object",
        "properties": {
            key: {"type": "string", "minLength": 1, "maxLength": LONGEST_VALUE} for key in KEYS
        },
        "required": list(REQUIRED),
        "additionalProperties": False,
    }


def training_title(truth: dict[str, str], other: dict[str, str], rng: np.random.Generator) -> str:
    """A title that is worse than the world's: the photo has to win against it."""
    way = rng.random()
    if way < 0.12:
        return ""
    if way < 0.22:
        return write_title(other, rng)
    return write_title(truth, rng, wrong_rate=0.25 if way < 0.4 else 0.05)


class Batches:
    """Random batches from the shards on disk, taking in new ones as they appear."""

    def __init__(self, tokenizer: Any, seed: int) -> None:
        self.tokenizer, self.rng = tokenizer, np.random.default_rng([seed, 61])
        self.known: list[Path] = []
        self.parts: list[tuple[np.ndarray, list[dict[str, str]]]] = []
        self.refresh()

    def refresh(self) -> None:
        for path in training_shards():
            if path not in self.known:
                self.parts.append(read_shards([path]))
                self.known.append(path)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        rng = self.rng
        while True:
            chosen, truths = [], []
            for _ in range(BATCH):
                photos, known = self.parts[rng.integers(len(self.parts))]
                row = int(rng.integers(len(known)))
                for _ in range(2):  # few products have the smallest detail: they come oftener
                    if "neck" not in known[row] and rng.random() < 0.8:
                        row = int(rng.integers(len(known)))
                photo = photos[row]
                # Garments are symmetric; moving by a pixel keeps the patch grid from being learnt.
                photo = photo[:, ::-1] if rng.random() < 0.5 else photo
                chosen.append(np.roll(photo, tuple(rng.integers(-1, 2, 2)), (0, 1)))
                truths.append(known[row])
            prompts = [
                prompt_text(training_title(truth, truths[i - 1], rng))
                for i, truth in enumerate(truths)
            ]
            head = self.tokenizer(prompts, padding=True, return_tensors="pt")
            tail = self.tokenizer(
                [answer_of(truth) + END for truth in truths],
                padding=True,
                padding_side="right",
                return_tensors="pt",
            )
            targets = tail["input_ids"].masked_fill(tail["attention_mask"] == 0, -100)
            yield {
                "pixel_values": pixel_values(np.stack(chosen)),
                "input_ids": torch.cat([head["input_ids"], tail["input_ids"]], 1),
                "attention_mask": torch.cat([head["attention_mask"], tail["attention_mask"]], 1),
                "targets": targets,
                "labels": labels_of(truths),
            }


def loss_of(model: Any, read_out: ReadOut, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the answer, and that of the vision tower's read-out."""
    targets = batch["targets"]
    seen = model.model.get_image_features(batch["pixel_values"], return_dict=True)
    hidden = model.model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        mm_encoder_outputs={"image": seen},
        use_cache=False,
    ).last_hidden_state[:, -targets.shape[1] - 1 : -1]
    logits = model.lm_head(hidden).flatten(0, 1)
    answer = torch.nn.functional.cross_entropy(logits, targets.flatten(), ignore_index=-100)
    return answer + READ_OUT * read_out(seen.last_hidden_state, batch["labels"])


def save_state(
    model: Any, average: Any, read_out: Any, optimizer: Any, progress: dict[str, float]
) -> None:
    """Writes everything that resuming needs, as safetensors and JSON; never a pickle."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    tensors |= {f"read_out.{k}": v for k, v in read_out.state_dict().items()}
    for index, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in entry.items()}
    temporary = FOLDER / "state.tmp"
    save_file(
        {k: v.clone().contiguous() for k, v in tensors.items()},
        temporary,
        metadata={"progress": json.dumps(progress)},
    )
    temporary.replace(FOLDER / "state.safetensors")
    (FOLDER / "progress.json").write_text(json.dumps(progress))


def load_state(model: Any, average: Any, read_out: Any, optimizer: Any) -> dict[str, float]:
    """Continues where `save_state` left off; a fresh start when there is nothing."""
    path = FOLDER / "state.safetensors"
    if not path.exists():
        return {"step": 0, "seconds": 0.0, "cpu_seconds": 0.0}
    tensors = load_file(path)

    def part(name: str) -> dict[str, torch.Tensor]:
        return {k[len(name) :]: v for k, v in tensors.items() if k.startswith(name)}

    model.load_state_dict(part("model."))
    average.load_state_dict(part("average."))
    read_out.load_state_dict(part("read_out."))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in part("optimizer.").items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return json.loads((FOLDER / "progress.json").read_text())


def card(
    scores: dict[str, evaluate_vlm.Score], progress: dict[str, float], parameters: int, n: int
) -> str:
    """The model card."""
    return f"""{CARD_HEAD}# Sandbox vision-language model

A tiny Idefics3 ({parameters / 1e6:.2f} M parameters) that writes a product's attributes as JSON
from a 64 px photo and a seller's title. It stands in for a hub model where there is no network.

- **Data**: photos and titles of `sandbox.renderer` and `sandbox.titles` only, labelled with the
  renderer's own parameters. No real photo, no person, no third-party data.
- **Input**: `prompt.txt` after one image, through the processor's chat template. Photos must be
  64 x 64 (BOX reduction). **Output**: `attributes.schema.json`, in that order of keys.
- **Configuration**: patch 8, pixel shuffle 2 (16 image tokens), width 128, 3 vision and 2 text
  layers, byte-level BPE of 1,500; AdamW, peak {PEAK}, cosine, batch {BATCH}, average {EMA};
  patch embedding started as a whitening, and a read-out of the vision tower as a second
  loss (weight {READ_OUT}; not shipped).
- **Command**: `python -m sandbox.train.data`, then `python -m sandbox.train.vlm`.
- **Spent**: {progress["step"]:.0f} steps ({progress["step"] * BATCH / 1000:.0f}k photos seen),
  {progress["seconds"]:.0f} s wall, {progress["cpu_seconds"]:.0f} s of one CPU core.

Held out, {n} products as frequent as in the catalogue, greedy decoding:

{evaluate_vlm.table(scores)}

**Limits**: renders only. On real photos its answers are meaningless; it must not be used there.
"""


def ship_vlm(model: Any, processor: Any, text: str) -> None:
    """Replaces the shipped folder."""

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        (folder / "prompt.txt").write_text(PROMPT)
        (folder / "attributes.schema.json").write_text(json.dumps(schema(), indent=2) + "\n")
        (folder / "README.md").write_text(text)

    ship(evaluate_vlm.WEIGHTS, write)


def train(minutes: float, checkpoint_minutes: float, seed: int = 0) -> None:
    """Trains for `minutes` of wall clock in all, shipping the best checkpoint on the way."""
    torch.manual_seed(seed)
    FOLDER.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(Size(), seed)
    processor = build_processor(tokenizer)
    model = build_model(Size(), tokenizer)
    batches = Batches(tokenizer, seed)
    whiten_patches(model, batches.parts[0][0][:1_000])
    average = copy.deepcopy(model).eval()
    read_out = ReadOut(Size().width)
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *read_out.parameters()],
        lr=PEAK,
        betas=(0.9, 0.98),
        weight_decay=0.02,
        fused=True,
    )
    progress = load_state(model, average, read_out, optimizer)
    batches.rng = np.random.default_rng([seed, 61, int(progress["step"])])
    photos, truths = held_out(2_000)
    titles = evaluate_vlm.held_out_titles(truths)
    best = progress.get("best", 0.0)
    parameters = sum(value.numel() for value in model.parameters())
    clock, cpu, saved, recent = time.time(), time.process_time(), time.time(), []
    for batch in batches:
        spent = progress["seconds"] + time.time() - clock
        done = spent / (60 * minutes)
        step = int(progress["step"])
        rate = PEAK * min((step + 1) / WARMUP, 0.5 * (1 + np.cos(np.pi * min(done, 1.0))) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(model, read_out, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        keep = min(EMA, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), model.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
        progress["step"] = step + 1
        recent.append(loss.item())
        if step % 50 == 0:
            seen = (step + 1) * BATCH
            print(
                f"step {step} loss {np.mean(recent[-50:]):.4f}, {seen} photos, "
                f"{seen / spent:.0f}/s, {100 * done:.0f}%, {len(batches.known)} shards",
                flush=True,
            )
        if step % 400 == 399:
            batches.refresh()
        if done < 1.0 and time.time() - saved < 60 * checkpoint_minutes:
            continue
        progress |= {
            "seconds": spent,
            "cpu_seconds": progress["cpu_seconds"] + time.process_time() - cpu,
        }
        n = len(photos) if done >= 1.0 else 512
        raw = evaluate_vlm.answer(average, processor, photos[:n], titles[:n], PROMPT)
        scores = evaluate_vlm.score(truths[:n], evaluate_vlm.parsed(raw))
        print(evaluate_vlm.table(scores), flush=True)
        reached = min(scores["micro"].precision, scores["micro"].recall)
        if reached >= best or done >= 1.0:
            best = max(best, reached)
            ship_vlm(average, processor, card(scores, progress, parameters, n))
        save_state(model, average, read_out, optimizer, {**progress, "best": best})
        clock, cpu, saved = time.time(), time.process_time(), time.time()
        if done >= 1.0:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--checkpoint-minutes", type=float, default=8.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not training_shards():
        make_photos()
    train(arguments.minutes, arguments.checkpoint_minutes)


if __name__ == "__main__":
    main()
