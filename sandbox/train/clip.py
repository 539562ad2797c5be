"""Trains the tiny CLIP that preference scorers start from: `python -m sandbox.train.clip`.

A `transformers.CLIPModel` over captioned pictures of the world, as drawn and as the sandbox's
autoencoder decodes them. Captions repeat, so every picture with the same caption is a match.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPVisionConfig,
)

from sandbox.pictures import SIZE, picture
from sandbox.scenes import RELATIONS, Scene, misread
from sandbox.train.diffusion import TOKENS, as_input, build_tokenizer
from sandbox.train.raters import load_vae
from sandbox.train.shipping import CARD_HEAD, ship

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "clip"
SEED = 7_000_003
PICTURES, HELD_OUT, BATCH, PEAK = 24_000, 1_000, 96, 2e-3
WRONG = 4  # wrong captions of every picture of two things
WIDTH, PATCH = 96, 8


def build(tokenizer: object) -> CLIPModel:
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),  # type: ignore[arg-type]
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,  # type: ignore[attr-defined]
        eos_token_id=tokenizer.eos_token_id,  # type: ignore[attr-defined]
        pad_token_id=tokenizer.pad_token_id,  # type: ignore[attr-defined]
    )
    vision = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=PATCH,
    )
    config = CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH
    )
    return CLIPModel(config)


def embed(model: CLIPModel, pixels: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> tuple:
    images = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
    return functional.normalize(images, dim=-1), read(model, ids, mask)


def read(model: CLIPModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    pooled = model.text_model(input_ids=ids, attention_mask=mask).pooler_output
    return functional.normalize(model.text_projection(pooled), dim=-1)


def wrong(scene: Scene, rng: np.random.Generator) -> str:
    """A caption with the words of this one that is not true: a thing named wrongly, or the two in
    each other's place. Without such captions a CLIP reads a bag of words (Yuksekgonul et al. 2023,
    2210.01936)."""
    if len(RELATIONS[scene.relation]) == 1 and rng.random() < 0.5:
        return Scene(scene.things[::-1], scene.relation).caption
    return misread(scene, rng).caption


def loss_of(logits: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Cross-entropy both ways, spread over every match; columns beyond the square are wrong."""
    wanted = functional.pad(same.float(), (0, logits.shape[1] - same.shape[1]))
    rows = -(logits.log_softmax(1) * wanted / wanted.sum(1, keepdim=True)).sum(1).mean()
    logits, wanted = logits[:, : len(logits)], same.float()
    columns = -(logits.log_softmax(0) * wanted / wanted.sum(0, keepdim=True)).sum(0).mean()
    return (rows + columns) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--resume", action="store_true", help="start from the shipped weights")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    tokenizer, vae = build_tokenizer(), load_vae()
    model = CLIPModel.from_pretrained(WEIGHTS) if arguments.resume else build(tokenizer)
    drawn = [picture(SEED, i, careless=0.0) for i in range(PICTURES + HELD_OUT)]
    captions = [one.caption for one in drawn]
    coded = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
    rng = np.random.default_rng(SEED)
    pairs = [isinstance(one.shows, Scene) and len(one.shows.things) == 2 for one in drawn]
    hard = tokenizer(
        [
            wrong(one.shows, rng) if pair and isinstance(one.shows, Scene) else ""
            for one, pair in zip(drawn, pairs, strict=True)
            for _ in range(WRONG)
        ],
        padding="max_length",
        truncation=True,
        return_tensors="pt",
    )
    has_hard = torch.tensor(pairs)
    known = {caption: i for i, caption in enumerate(dict.fromkeys(captions))}
    caption_of = torch.tensor([known[caption] for caption in captions])
    pixels = np.stack([one.pixels for one in drawn])
    with torch.no_grad():  # half of them through the autoencoder, once
        for at in range(0, PICTURES, 128):
            rows = np.arange(at, at + 128, 2)
            made = vae.decode(vae.encode(as_input(pixels[rows])).latent_dist.mean).sample
            back = (made * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
            pixels[rows] = back.permute(0, 2, 3, 1).numpy()
    print("pictures are ready", flush=True)
    before = "on top of an earlier run, " if arguments.resume else ""
    optimizer = torch.optim.AdamW(model.parameters(), PEAK, weight_decay=0.05)
    draw, step = torch.Generator().manual_seed(SEED), 0
    began, cpu = time.monotonic(), time.process_time()
    while (done := (time.monotonic() - began) / (60 * arguments.minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = (
                PEAK * min(1, (step + 1) / 100) * max(0.02, 0.5 + 0.5 * np.cos(np.pi * done))
            )
        rows = torch.randint(PICTURES, (BATCH,), generator=draw)
        images, texts = embed(
            model,
            as_input(pixels[rows.numpy()]),
            coded["input_ids"][rows],
            coded["attention_mask"][rows],
        )
        some = rows[has_hard[rows]] * WRONG + int(torch.randint(WRONG, (1,), generator=draw))
        others = read(model, hard["input_ids"][some], hard["attention_mask"][some])
        logits = images @ torch.cat([texts, others]).T * model.logit_scale.exp().clamp(max=100)
        loss = loss_of(logits, caption_of[rows][:, None] == caption_of[rows][None])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step} loss {loss.item():.3f} {done:.0%}", flush=True)
    model.eval()
    with torch.no_grad():
        last = slice(PICTURES, PICTURES + HELD_OUT)
        images, texts = embed(
            model,
            as_input(pixels[last]),
            coded["input_ids"][last],
            coded["attention_mask"][last],
        )
    best = (images @ texts.T).argmax(1)
    right = (caption_of[last][best] == caption_of[last]).float().mean().item()
    spent = time.process_time() - cpu
    told = torch.arange(PICTURES, PICTURES + HELD_OUT)[has_hard[last]]
    with torch.no_grad():
        others = read(model, hard["input_ids"][told * WRONG], hard["attention_mask"][told * WRONG])
    own = images[told - PICTURES]
    apart = ((own * texts[told - PICTURES]).sum(1) > (own * others).sum(1)).float().mean().item()
    print(f"held-out Recall@1 among {HELD_OUT}: {right:.3f}; wrong captions told: {apart:.3f}")

    def write(target: Path) -> None:
        images = CLIPImageProcessor(
            size={"shortest_edge": SIZE},
            crop_size={"height": SIZE, "width": SIZE},
            image_mean=[0.5] * 3,
            image_std=[0.5] * 3,
        )
        model.save_pretrained(target)
        CLIPProcessor(images, tokenizer).save_pretrained(target)
        (target / "README.md").write_text(f"""{CARD_HEAD}# Sandbox CLIP

A tiny `CLIPModel` ({sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters) over the
sandbox's pictures and captions: what preference scorers start from where there is no network.

- **Data**: {PICTURES:,} pictures of `sandbox.pictures` with true captions, half of them decoded by
  the sandbox's autoencoder.
- **Command**: `python -m sandbox.train.clip`; {before}{step} steps of {BATCH},
  {spent:.0f} s of a core.
- **Held out**: right caption first among {HELD_OUT}: {right:.3f}; the right of two captions with
  the same words: {apart:.3f}.
""")

    ship(WEIGHTS, write)


if __name__ == "__main__":
    main()
