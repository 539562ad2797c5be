"""Trains the simulated raters' eye: `python -m sandbox.train.raters` (after the autoencoder).

It is shown pictures with known contents, whole or damaged in the way that generated pictures are:
noise, patches of other pictures, blends and fades among the latents, blur and grain among the
pixels. Damage is measured, as the difference from the undamaged picture.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch.nn import functional

from sandbox.damage import damaged
from sandbox.pictures import Picture, picture
from sandbox.portraits import Person
from sandbox.raters import (
    OBJECTS,
    SCENE_COLOURS,
    SCENE_PATTERNS,
    SLOTS,
    SUBJECTS,
    WEIGHTS,
    make_eye,
    split_answers,
)
from sandbox.train.diffusion import FOLDER, as_input, build_vae, decoding_parts
from sandbox.train.shipping import CARD_HEAD, ship

SEED = 5_000_003
PICTURES, HELD_OUT, BATCH, PEAK = 24_000, 1_000, 64, 2e-3
FULL_DAMAGE = 0.22  # weighted root mean square difference (of a range of 2) that counts as broken


def load_vae() -> AutoencoderKL:
    """The autoencoder as `sandbox.train.diffusion` left it, its decoder tuned."""
    vae = build_vae()
    for name, module in (("vae", vae), ("decoder", decoding_parts(vae))):
        stored = load_file(FOLDER / f"{name}.safetensors")
        own = {k.removeprefix(f"{name}/"): v for k, v in stored.items() if k.startswith(f"{name}/")}
        module.load_state_dict(own)
    return vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def labels_of(pictures: list[Picture]) -> dict[str, torch.Tensor]:
    """What the eye has to say of each picture."""
    subject = torch.full((len(pictures),), len(SUBJECTS))
    objects = torch.full((len(pictures), len(SLOTS)), len(OBJECTS))
    colours = torch.full((len(pictures), len(SLOTS)), len(SCENE_COLOURS))
    pattern = torch.full((len(pictures),), len(SCENE_PATTERNS))
    for row, (_, _, shows) in enumerate(pictures):
        if isinstance(shows, Person):
            subject[row] = SUBJECTS.index(shows.thing or shows.occupation)
            continue
        dx, dy = shows.offset
        slots = [(-dx, -dy), (dx, dy)] if len(shows.things) == 2 else [(0, 0)]
        for thing, slot in zip(shows.things, slots, strict=True):
            objects[row, SLOTS.index(slot)] = OBJECTS.index(thing.name)
            colours[row, SLOTS.index(slot)] = SCENE_COLOURS.index(thing.colour)
        if len(shows.things) == 1:
            pattern[row] = SCENE_PATTERNS.index(shows.things[0].pattern)
    return {"subject": subject, "objects": objects, "colours": colours, "pattern": pattern}


def measured_damage(made: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Difference in [0, 1], the middle of the picture counting threefold: faces are there."""
    side = made.shape[-1]
    weight = torch.ones(side, side)
    weight[side // 5 : -side // 5, side // 4 : -side // 4] = 3.0
    error = ((made - whole).square().mean(1) * weight).mean((1, 2)) / weight.mean()
    return (error.sqrt() / FULL_DAMAGE).clamp(max=1.0)


def shown(
    pixels: torch.Tensor, vae: AutoencoderKL, draw: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures as the eye may meet them, and their damage: a quarter as drawn, the rest decoded."""
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist.mean
        keep = len(pixels) // 4
        rest = latents[keep:]
        whole = vae.decode(rest).sample
        made = vae.decode(damaged(rest, draw)).sample
        blur = torch.rand(len(made), generator=draw) < 0.12
        made[blur] = functional.avg_pool2d(made[blur], 5, stride=1, padding=2)
        grain = (torch.rand(len(made), generator=draw) < 0.12).float().view(-1, 1, 1, 1)
        made = made + grain * 0.12 * torch.randn(made.shape, generator=draw)
        damage = measured_damage(made, whole)
    return torch.cat([pixels[:keep], made]), torch.cat([torch.zeros(keep), damage])


def loss_of(
    answers: torch.Tensor, labels: dict[str, torch.Tensor], damage: torch.Tensor
) -> torch.Tensor:
    parts = split_answers(answers)
    legible = (damage < 0.7).float()  # nobody can say what a ruin shows
    loss = functional.binary_cross_entropy_with_logits(parts["damage"][:, 0], damage) * 2.0
    for head, wanted in labels.items():
        logits = parts[head].transpose(1, -1) if parts[head].ndim == 3 else parts[head]
        each = functional.cross_entropy(logits, wanted, reduction="none")
        each = each.sum(1) if each.ndim == 2 else each
        loss = loss + (each * legible).mean()
    return loss


def evaluate(eye: torch.nn.Module, vae: AutoencoderKL, pictures: list[Picture]) -> dict[str, float]:
    """On held-out pictures, rendered and through the autoencoder."""
    pixels, labels = as_input(np.stack([one.pixels for one in pictures])), labels_of(pictures)
    figures: dict[str, float] = {}
    with torch.no_grad():
        packed = torch.cat(
            [vae.decode(vae.encode(p).latent_dist.mean).sample for p in pixels.split(64)]
        )
        for name, shown_pixels in (("rendered", pixels), ("decoded", packed)):
            parts = split_answers(torch.cat([eye(part) for part in shown_pixels.split(64)]))
            for head, wanted in labels.items():
                found = parts[head].argmax(-1) == wanted
                figures[f"{name} {head}"] = (
                    (found.all(-1) if found.ndim == 2 else found).float().mean().item()
                )
        draw = torch.Generator().manual_seed(1)
        made, damage = zip(*(shown(part, vae, draw) for part in pixels.split(64)), strict=True)
        said = torch.cat([split_answers(eye(part))["damage"][:, 0].sigmoid() for part in made])
        figures["damage correlation"] = torch.corrcoef(torch.stack([said, torch.cat(damage)]))[
            0, 1
        ].item()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=17)
    parser.add_argument("--resume", action="store_true", help="start from the shipped weights")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    vae, eye = load_vae(), make_eye().to(memory_format=torch.channels_last)
    before = ""
    if arguments.resume:
        eye.load_state_dict(load_file(WEIGHTS / "model.safetensors"))
        before = (WEIGHTS / "README.md").read_text().partition("train.raters`; ")[2]
        before = f"{before.partition(' s of a core')[0]} s of a core, then ".replace("\n", " ")
    pictures = [picture(SEED, i, balanced=True, careless=0.0) for i in range(PICTURES + HELD_OUT)]
    kept, pictures = pictures[PICTURES:], pictures[:PICTURES]
    labels = labels_of(pictures)
    pixels = np.stack([one.pixels for one in pictures])
    peak = PEAK / 2 if arguments.resume else PEAK
    optimizer = torch.optim.AdamW(eye.parameters(), peak, weight_decay=1e-2)
    draw, step = torch.Generator().manual_seed(SEED), 0
    began, cpu = time.monotonic(), time.process_time()
    while (done := (time.monotonic() - began) / (60 * arguments.minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = peak * max(0.02, 0.5 + 0.5 * np.cos(np.pi * done))
        rows = torch.randint(len(pixels), (BATCH,), generator=draw)
        made, damage = shown(as_input(pixels[rows.numpy()]), vae, draw)
        loss = loss_of(eye(made), {head: wanted[rows] for head, wanted in labels.items()}, damage)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step} loss {loss.item():.3f} {done:.0%}", flush=True)
    eye.eval()
    figures = evaluate(eye, vae, kept)
    spent = time.process_time() - cpu
    print(json.dumps(figures, indent=2))

    def write(target: Path) -> None:
        save_file(
            {k: v.contiguous() for k, v in eye.state_dict().items()}, target / "model.safetensors"
        )
        rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in figures.items())
        (target / "README.md").write_text(f"""{CARD_HEAD}# The simulated raters' eye

What the sandbox's raters see in a picture: its contents, and how damaged it is. It is part of the
simulated world, like the truth of the catalog: no model of the platform may use it.

- **Data**: {PICTURES:,} pictures of `sandbox.pictures`, people balanced; a quarter as drawn, the
  rest decoded by the sandbox's autoencoder, damaged in latents or pixels.
- **Command**: `python -m sandbox.train.raters`; {before}{step} steps of {BATCH},
  {spent:.0f} s of a core.

Held out, {HELD_OUT} pictures:

| | accuracy or correlation |
|---|---|
{rows}
""")

    ship(WEIGHTS, write)


if __name__ == "__main__":
    main()
