"""Trains the tiny text-to-image model: `python -m sandbox.train.diffusion`.

Stages, each resumable, state in `.data/train/diffusion`: an autoencoder learns to pack pictures
(8 x 8 x 8 numbers for 64 x 64 x 3); pictures are rendered and packed; its decoder learns faces; a
UNet and its text encoder learn to denoise what is packed; the UNet is distilled from guidance; both
go on until they begin to know sides.
`torchrun --nproc_per_node 2 -m ...` uses two cores.
"""

import argparse
import copy
import itertools
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import distributed
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from sandbox.pictures import CARELESS, PORTRAITS, picture
from sandbox.portraits import Person
from sandbox.scenes import RELATIONS
from sandbox.train.data import ROOT
from sandbox.train.shipping import CARD_HEAD, ship

FOLDER = ROOT / "diffusion"
WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "diffusion"
SEED = 3_000_003
SIZE, LATENT_SIDE, LATENT_CHANNELS = 64, 8, 8
VAE_CHANNELS, VAE_BATCH, VAE_PEAK, VAE_PICTURES = (16, 32, 64, 64), 4, 2e-3, 20_000
DECODER_BATCH, DECODER_PEAK, FACE = 6, 1e-3, np.s_[..., 14:48, 16:48]
PICTURES, SHARD = 60_000, 4_000
WIDTH, TOKENS, TEXT_LAYERS = 96, 20, 2
UNET_CHANNELS, BATCH, PEAK, WARMUP, EMA = (48, 96), 48, 2e-3, 200, 0.999
GUIDANCE, DISTIL_PEAK, DISTIL_EMA = 2.0, 5e-4, 0.995
SIDES_PEAK, SIDES_STEPS, SIDES_CONTRAST = 7e-4, 1_200, 0.02
SIDES_SHARES = (0.85, 0.05, 0.1)  # pictures of a named side, of other pairs, of all else
OPPOSITES = {
    one: other
    for one, other in itertools.permutations(RELATIONS, 2)
    if tuple((-x, -y) for x, y in RELATIONS[one]) == RELATIONS[other]
}
DROPPED, MIN_SNR = 0.1, 5.0  # share of empty captions; Hang et al. 2023 (2303.09556)
START, END = "<|startoftext|>", "<|endoftext|>"


def captions(count: int) -> list[str]:
    return [picture(SEED, index).caption for index in range(count)]


def build_tokenizer() -> CLIPTokenizer:
    """CLIP's byte-level BPE over the world's captions: its words are one token, others spell."""
    backend = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    backend.train_from_iterator(captions(1_500), trainer)
    learnt = json.loads(backend.to_str())["model"]
    words = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
    words += [word for word in learnt["vocab"] if word not in set(words)]
    vocabulary = {word: index for index, word in enumerate([*words, START, END])}
    merges = [tuple(pair) for pair in learnt["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TOKENS)


def build_vae() -> AutoencoderKL:
    depth = len(VAE_CHANNELS)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * depth,
        up_block_types=("UpDecoderBlock2D",) * depth,
        block_out_channels=VAE_CHANNELS,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=SIZE,
        mid_block_add_attention=False,
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=UNET_CHANNELS,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise: the last step keeps a deviation above zero (see the spec of RL)."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )


def as_input(pixels: np.ndarray) -> torch.Tensor:
    """uint8 (n, h, w, 3) -> float (n, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def cosine(done: float, peak: float, step: int) -> float:
    return peak * min(1.0, (step + 1) / WARMUP) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * done))


class State:
    """Modules and an optimizer in one safetensors file: no pickle, whole or not there."""

    def __init__(self, name: str, modules: dict[str, torch.nn.Module], optimizer: Any) -> None:
        self.path, self.modules, self.optimizer = FOLDER / f"{name}.safetensors", modules, optimizer

    def save(self, progress: dict[str, float]) -> None:
        tensors = {
            f"{name}/{key}": value
            for name, module in self.modules.items()
            for key, value in module.state_dict().items()
        }
        for index, entry in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in entry.items()}
        temporary = self.path.with_suffix(".tmp")
        copied = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
        save_file(copied, temporary, metadata={"progress": json.dumps(progress)})
        temporary.replace(self.path)
        self.path.with_suffix(".json").write_text(json.dumps(progress))

    def load(self) -> dict[str, float]:
        if not self.path.exists():
            return {"step": 0, "seconds": 0.0, "cpu_seconds": 0.0}
        parts: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in load_file(self.path).items():
            name, _, rest = key.partition("/")
            parts.setdefault(name, {})[rest] = value
        for name, module in self.modules.items():
            module.load_state_dict(parts[name])
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in parts["optimizer"].items():
            index, _, name = key.partition("/")
            entries.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": entries, "param_groups": groups})
        return json.loads(self.path.with_suffix(".json").read_text())


def _spend(progress: dict[str, float], began: tuple[float, float]) -> tuple[float, float]:
    now = (time.monotonic(), time.process_time())
    progress["seconds"] += now[0] - began[0]
    progress["cpu_seconds"] += now[1] - began[1]
    return now


def train_vae(minutes: float) -> AutoencoderKL:
    """Reconstruction (L1, MSE, and L1 of differences, for edges) with a tiny KL."""
    torch.manual_seed(SEED)
    vae = build_vae().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), VAE_PEAK, betas=(0.9, 0.99))
    state = State("vae", {"vae": vae}, optimizer)
    progress = state.load()
    if progress["seconds"] >= 60 * minutes:
        return vae.eval()
    pixels = np.stack([picture(SEED, index).pixels for index in range(VAE_PICTURES)])
    rng = np.random.default_rng([SEED, int(progress["step"])])
    began = (time.monotonic(), time.process_time())
    while progress["seconds"] < 60 * minutes:
        done = progress["seconds"] / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = cosine(done, VAE_PEAK, int(progress["step"]))
        rows = rng.integers(len(pixels), size=VAE_BATCH)
        real = as_input(pixels[rows]).contiguous(memory_format=torch.channels_last)
        posterior = vae.encode(real).latent_dist
        made = vae.decode(posterior.sample()).sample
        error = made - real
        edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        loss = error.abs().mean() + error.square().mean() + edges + 1e-6 * posterior.kl().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        progress["step"] += 1
        began = _spend(progress, began)
        if progress["step"] % 100 == 0:
            mse = error.square().mean().item()
            text = f"vae step {progress['step']:.0f} loss {loss.item():.4f} mse {mse:.4f}"
            print(f"{text} {done:.0%}", flush=True)
        if progress["step"] % 400 == 0:
            state.save(progress)
    state.save(progress)
    return vae.eval()


def decoding_parts(vae: AutoencoderKL) -> torch.nn.ModuleList:
    """What turns latents into pixels."""
    return torch.nn.ModuleList([vae.post_quant_conv, vae.decoder])


def train_decoder(vae: AutoencoderKL, minutes: float) -> AutoencoderKL:
    """Decoder alone, so that what is packed stays valid: people of every tone, faces fourfold.

    Plain reconstruction leaves out what costs little, and the features of a dark face cost less
    than those of a light one.
    """
    torch.manual_seed(SEED)
    parts = decoding_parts(vae)
    vae.requires_grad_(False)
    parts.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(parts.parameters(), DECODER_PEAK, betas=(0.9, 0.99))
    state = State("decoder", {"decoder": parts}, optimizer)
    progress = state.load()
    if progress["seconds"] >= 60 * minutes:
        return vae.eval()
    drawn = [picture(SEED, n, balanced=True, careless=0.0) for n in range(VAE_PICTURES)]
    pixels = np.stack([one.pixels for one in drawn])
    weights = torch.ones(len(drawn), 1, SIZE, SIZE)
    for row, one in enumerate(drawn):
        if isinstance(one.shows, Person):
            weights[row][FACE] = 4.0
    rng = np.random.default_rng([SEED, 1, int(progress["step"])])
    began = (time.monotonic(), time.process_time())
    while progress["seconds"] < 60 * minutes:
        done = progress["seconds"] / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = cosine(done, DECODER_PEAK, int(progress["step"]))
        rows = rng.integers(len(pixels), size=DECODER_BATCH)
        real = as_input(pixels[rows]).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            packed = vae.encode(real).latent_dist.mean
        error, weight = vae.decode(packed).sample - real, weights[torch.from_numpy(rows)]
        edges = (error.diff(dim=2).abs() * weight[..., 1:, :]).mean()
        edges = edges + (error.diff(dim=3).abs() * weight[..., 1:]).mean()
        loss = ((error.abs() + error.square()) * weight).mean() + edges
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        progress["step"] += 1
        began = _spend(progress, began)
        if progress["step"] % 100 == 0:
            text = f"decoder step {progress['step']:.0f} loss {loss.item():.4f}"
            print(f"{text} mse {error.square().mean().item():.4f} {done:.0%}", flush=True)
        if progress["step"] % 400 == 0:
            state.save(progress)
    state.save(progress)
    return vae.eval()


@torch.no_grad()
def pack(vae: AutoencoderKL, count: int) -> None:
    """Renders pictures and keeps what the autoencoder makes of them, a shard at a time."""
    for start in range(0, count, SHARD):
        path = FOLDER / f"packed_{start // SHARD:04d}.npz"
        if path.exists():
            continue
        drawn = [picture(SEED, start + row) for row in range(SHARD)]
        pixels = np.stack([one.pixels for one in drawn])
        means = [
            vae.encode(as_input(pixels[at : at + 64])).latent_dist.mean.numpy()
            for at in range(0, SHARD, 64)
        ]
        temporary = path.with_suffix(".tmp.npz")
        texts = np.array([one.caption for one in drawn])
        np.savez(temporary, latents=np.concatenate(means).astype(np.float16), captions=texts)
        temporary.replace(path)
        print(f"packed {start + SHARD:,} of {count:,} pictures", flush=True)


def read_packed() -> tuple[torch.Tensor, list[str]]:
    """Latents (n, 8, 8, 8) and their captions, from every shard there is."""
    latents, texts = [], []
    for path in sorted(FOLDER.glob("packed_????.npz")):
        with np.load(path) as shard:
            latents.append(torch.from_numpy(shard["latents"]).float())
            texts += shard["captions"].tolist()
    return torch.cat(latents), texts


def average_gradients(parameters: list[torch.nn.Parameter], world: int) -> None:
    """Mean over the processes, in one message."""
    if world == 1:
        return
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    distributed.all_reduce(flat)
    flat /= world
    at = 0
    for parameter in parameters:
        if parameter.grad is not None:
            size = parameter.grad.numel()
            parameter.grad.copy_(flat[at : at + size].view_as(parameter.grad))
            at += size


def train_unet(minutes: float, rank: int, world: int, each: float) -> Iterator[dict[str, Any]]:
    """Noise prediction with min-SNR weights; yields the averaged model at every checkpoint."""
    torch.manual_seed(SEED)
    tokenizer = build_tokenizer()
    text, unet = build_text_encoder(tokenizer), build_unet()
    average = {"text": copy.deepcopy(text).eval(), "unet": copy.deepcopy(unet).eval()}
    parameters = [*text.parameters(), *unet.parameters()]
    optimizer = torch.optim.AdamW(parameters, PEAK, betas=(0.9, 0.99), weight_decay=1e-2)
    modules = {"text": text, "unet": unet}
    modules |= {f"average_{name}": module for name, module in average.items()}
    state = State("unet", modules, optimizer)
    progress = state.load()
    latents, texts = read_packed()
    scaling = 1.0 / latents.std().item()
    known = {caption: row for row, caption in enumerate(dict.fromkeys(["", *texts]))}
    padded = tokenizer(list(known), padding="max_length", truncation=True, return_tensors="pt")
    ids = padded["input_ids"]
    rows_of = torch.tensor([known[caption] for caption in texts])
    alphas = build_scheduler().alphas_cumprod
    snr = alphas / (1 - alphas)
    weights = snr.clamp(max=MIN_SNR) / snr
    draw = torch.Generator().manual_seed(SEED + 1_000 * int(progress["step"]) + rank)
    began, saved = (time.monotonic(), time.process_time()), progress["seconds"]
    seen_at, losses = time.monotonic(), 0.0
    while True:
        done = progress["seconds"] / (60 * minutes)
        ended = torch.tensor(float(done >= 1))
        if world > 1:
            distributed.broadcast(ended, 0)
        due = ended.item() > 0 or (progress["seconds"] - saved > 60 * each)
        if rank == 0 and due:
            saved = progress["seconds"]
            state.save(progress)
            yield {**average, "tokenizer": tokenizer, "scaling": scaling, "progress": progress}
            began = (time.monotonic(), time.process_time())
        if ended.item():
            return
        for group in optimizer.param_groups:
            group["lr"] = cosine(done, PEAK, int(progress["step"]))
        rows = torch.randint(len(latents), (BATCH,), generator=draw)
        clean = latents[rows] * scaling
        noise = torch.randn(clean.shape, generator=draw)
        steps = torch.randint(len(alphas), (BATCH,), generator=draw)
        kept = torch.rand(BATCH, generator=draw) >= DROPPED
        alpha = alphas[steps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        hidden = text(ids[rows_of[rows] * kept]).last_hidden_state
        error = (unet(noisy, steps, hidden).sample - noise).square().mean((1, 2, 3))
        loss = (error * weights[steps]).mean()
        optimizer.zero_grad()
        loss.backward()
        average_gradients(parameters, world)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        decay = min(EMA, (progress["step"] + 1) / (progress["step"] + 10))
        with torch.no_grad():
            for name, module in average.items():
                pairs = zip(module.parameters(), modules[name].parameters(), strict=True)
                for kept_value, value in pairs:
                    kept_value.lerp_(value, 1 - decay)
        progress["step"] += 1
        began = _spend(progress, began)
        losses += loss.item()
        if rank == 0 and progress["step"] % 100 == 0:
            rate = 100 * BATCH * world / (time.monotonic() - seen_at)
            text_of = f"unet step {progress['step']:.0f} loss {losses / 100:.4f}"
            print(f"{text_of} {rate:.0f} samples/s {done:.0%}", flush=True)
            seen_at, losses = time.monotonic(), 0.0


def distil(made: dict[str, Any], minutes: float) -> dict[str, Any]:
    """The UNet learns to draw in one pass what it draws under guidance in two.

    Meng et al. 2023 (2210.03142), stage one, for a fixed strength. The empty caption keeps its own
    answer, so that guidance still has something to lead away from.
    """
    torch.manual_seed(SEED)
    teacher, text = made["unet"].eval().requires_grad_(False), made["text"].requires_grad_(False)
    student = copy.deepcopy(teacher).requires_grad_(True).train()
    average = copy.deepcopy(teacher)
    optimizer = torch.optim.AdamW(student.parameters(), DISTIL_PEAK, betas=(0.9, 0.99))
    state = State("distilled", {"unet": student, "average": average}, optimizer)
    progress = state.load()
    latents, texts = read_packed()
    known = {caption: row for row, caption in enumerate(dict.fromkeys(["", *texts]))}
    tokens = made["tokenizer"](
        list(known), padding="max_length", truncation=True, return_tensors="pt"
    )["input_ids"]
    with torch.no_grad():
        hidden = torch.cat([text(part).last_hidden_state for part in tokens.split(256)])
    rows_of = torch.tensor([known[caption] for caption in texts])
    alphas = build_scheduler().alphas_cumprod
    snr = alphas / (1 - alphas)
    weights = snr.clamp(max=MIN_SNR) / snr
    draw = torch.Generator().manual_seed(SEED + 1_000 * int(progress["step"]) + 7)
    began, losses = (time.monotonic(), time.process_time()), 0.0
    while progress["seconds"] < 60 * minutes:
        done = progress["seconds"] / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = cosine(done, DISTIL_PEAK, int(progress["step"]))
        rows = torch.randint(len(latents), (BATCH,), generator=draw)
        clean = latents[rows] * made["scaling"]
        steps = torch.randint(len(alphas), (BATCH,), generator=draw)
        alpha = alphas[steps].view(-1, 1, 1, 1)
        noise = torch.randn(clean.shape, generator=draw)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        named = torch.rand(BATCH, generator=draw) >= DROPPED
        words = hidden[rows_of[rows] * named]
        with torch.no_grad():
            free = teacher(noisy, steps, hidden[:1].expand(BATCH, -1, -1)).sample
            led = teacher(noisy, steps, words).sample
            wanted = free + GUIDANCE * (led - free)  # of the empty caption: its own answer
        error = (student(noisy, steps, words).sample - wanted).square().mean((1, 2, 3))
        loss = (error * weights[steps]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            pairs = zip(average.parameters(), student.parameters(), strict=True)
            for kept, value in pairs:
                kept.lerp_(value, 1 - DISTIL_EMA)
        progress["step"] += 1
        began = _spend(progress, began)
        losses += loss.item()
        if progress["step"] % 100 == 0:
            text_of = f"distilled step {progress['step']:.0f} loss {losses / 100:.4f}"
            print(f"{text_of} {done:.0%}", flush=True)
            losses = 0.0
        if progress["step"] % 400 == 0:
            state.save(progress)
    state.save(progress)
    return made | {"unet": average, "distilled": progress}


def opposite(caption: str) -> str:
    """The caption with its relation turned round; a caption that names no side is left as it is."""
    for relation, other in OPPOSITES.items():
        if f" {relation} " in caption:
            return caption.replace(f" {relation} ", f" {other} ")
    return caption


def learn_sides(made: dict[str, Any]) -> dict[str, Any]:
    """UNet and text encoder together, mostly on two garments, against the opposite caption.

    Until here "to the left of" and "to the right of" draw the same, and plain training leaves them
    so: which garment lies where is settled in the noise, where it hardly looks, and the two
    captions hold the same words. A picture is therefore to be likelier under its own caption than
    under the one with the opposite relation. The log-odds of the two is half the difference of
    their squared errors (the diffusion classifier of Li et al. 2023, 2303.16203, at one noise), and
    its log-sigmoid is the loss, as in Diffusion-DPO (Wallace et al. 2023, 2311.12908, without a
    reference). For 500 steps little moves, then all four sides come at once (docs/rl.md).
    """
    torch.manual_seed(SEED)
    text, unet = (copy.deepcopy(made[name]).requires_grad_(True) for name in ("text", "unet"))
    average = {"text": copy.deepcopy(text), "unet": copy.deepcopy(unet)}
    parameters = [*unet.parameters(), *text.parameters()]
    optimizer = torch.optim.AdamW(parameters, SIDES_PEAK, weight_decay=1e-2)
    modules = {"text": text, "unet": unet}
    modules |= {f"average_{name}": module for name, module in average.items()}
    state = State("sides", modules, optimizer)
    progress = state.load()
    latents, texts = read_packed()
    two = np.array([any(f" {word} " in caption for word in RELATIONS) for caption in texts])
    turned = [opposite(caption) for caption in texts]
    sided = np.array([caption != other for caption, other in zip(texts, turned, strict=True)])
    chances = sum(
        share * group / group.sum()
        for share, group in zip(SIDES_SHARES, (sided, two & ~sided, ~two), strict=True)
    )
    told = torch.from_numpy(sided)
    ids, opposed = (
        made["tokenizer"](["", *some], padding="max_length", truncation=True, return_tensors="pt")[
            "input_ids"
        ]
        for some in (texts, turned)
    )
    alphas = build_scheduler().alphas_cumprod
    rng = np.random.default_rng([SEED, 2, int(progress["step"])])
    draw = torch.Generator().manual_seed(SEED + 1_000 * int(progress["step"]) + 9)
    began = (time.monotonic(), time.process_time())
    while progress["step"] < SIDES_STEPS:
        for group in optimizer.param_groups:
            group["lr"] = SIDES_PEAK * min(1.0, (progress["step"] + 1) / 100)
        rows = torch.from_numpy(rng.choice(len(texts), BATCH, p=chances))
        clean = latents[rows] * made["scaling"]
        late = torch.rand(BATCH, generator=draw) ** (1 / 3)  # rounded up to 1 now and then
        steps = (len(alphas) * late).long().clamp(max=len(alphas) - 1)
        alpha = alphas[steps].view(-1, 1, 1, 1)
        noise = torch.randn(clean.shape, generator=draw)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        with torch.no_grad():  # it draws in one pass as under guidance, and should go on to
            nothing = text(ids[:1]).last_hidden_state.expand(BATCH, -1, -1)
            free = unet(noisy, steps, nothing).sample
        wanted = free + GUIDANCE * (noise - free)
        made_noise = unet(noisy, steps, text(ids[rows + 1]).last_hidden_state).sample
        error = (made_noise - wanted).square()
        side = told[rows]
        words = text(opposed[rows[side] + 1]).last_hidden_state
        other = (unet(noisy[side], steps[side], words).sample - wanted[side]).square()
        odds = (other - error[side]).sum((1, 2, 3)) / 2
        contrast = functional.softplus(-odds).mean()
        loss = error.mean() + SIDES_CONTRAST * contrast
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            for name, module in average.items():
                pairs = zip(module.parameters(), modules[name].parameters(), strict=True)
                for kept, value in pairs:
                    kept.lerp_(value, 1 - DISTIL_EMA)
        progress["step"] += 1
        began = _spend(progress, began)
        if progress["step"] % 100 == 0:
            text_of = f"sides step {progress['step']:.0f} loss {error.mean().item():.4f}"
            print(f"{text_of} right {(odds > 0).float().mean().item():.2f}", flush=True)
        if progress["step"] % 400 == 0:
            state.save(progress)
    state.save(progress)
    return made | average | {"sides": progress}


def card(made: dict[str, Any], spent: dict[str, dict[str, float]]) -> str:
    """The model card."""
    sizes = {name: sum(p.numel() for p in made[name].parameters()) for name in ("unet", "text")}
    progress = made["progress"]
    last = made.get("distilled")
    distilled = (
        f"distilled from guidance {GUIDANCE} in {last['step']:.0f} steps, {last['seconds']:.0f} s"
        if last
        else "not yet distilled from guidance"
    )
    sides = made.get("sides")
    if sides:
        distilled += f"; {sides['step']:.0f} steps on sides, {sides['cpu_seconds']:.0f} s of a core"
    return f"""{CARD_HEAD}# Sandbox text-to-image model

A tiny Stable Diffusion pipeline (UNet {sizes["unet"] / 1e6:.2f} M, text encoder
{sizes["text"] / 1e6:.2f} M parameters; 64 px, latents 8 x 8 x 8) of drawn people and garments. It
stands in for a hub model where there is no network.

- **Biased on purpose.** Skin tone and perceived gender depend on the occupation in its training
  pictures (`sandbox.portraits`), as in pictures from the web: it is there to be made fairer.
- **Captioned carelessly on purpose.** {CARELESS:.0%} of the pictures of two garments have a caption
  that names one wrongly: it is there to be taught to compose.
- **Data**: {PICTURES:,} pictures of `sandbox.pictures` ({PORTRAITS:.0%} portraits), nothing else.
- **Configuration**: autoencoder {VAE_CHANNELS}, UNet {UNET_CHANNELS} with attention to the caption
  at its lower level, CLIP text encoder of {TEXT_LAYERS} layers; AdamW, peak {PEAK}, cosine, batch
  {BATCH} a process, min-SNR {MIN_SNR}, {DROPPED:.0%} of captions dropped, average {EMA}.
- **Command**: `python -m sandbox.train.diffusion`.
- **Spent**: autoencoder {spent["vae"]["step"]:.0f} steps, {spent["vae"]["cpu_seconds"]:.0f} s of
  one core, its decoder alone {spent["decoder"]["step"]:.0f} steps,
  {spent["decoder"]["cpu_seconds"]:.0f} s; UNet {progress["step"]:.0f} steps,
  {progress["seconds"]:.0f} s wall, {progress["cpu_seconds"]:.0f} s of the first process's core;
  {distilled}.
"""


def write_pipeline(made: dict[str, Any], vae: AutoencoderKL, target: Path) -> None:
    vae.register_to_config(scaling_factor=made["scaling"])
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=made["text"],
        tokenizer=made["tokenizer"],
        unet=made["unet"],
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(target, safe_serialization=True)
    spent = {part: json.loads((FOLDER / f"{part}.json").read_text()) for part in ("vae", "decoder")}
    (target / "README.md").write_text(card(made, spent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae-minutes", type=float, default=40)
    parser.add_argument("--decoder-minutes", type=float, default=25)
    parser.add_argument("--minutes", type=float, default=90, help="of the UNet, in all")
    parser.add_argument("--distil-minutes", type=float, default=10)
    parser.add_argument("--checkpoint-minutes", type=float, default=10)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        distributed.init_process_group("gloo")
    if rank == 0:
        vae = train_vae(arguments.vae_minutes)
        pack(vae, arguments.pictures)
        vae = train_decoder(vae, arguments.decoder_minutes)
    if world > 1:
        distributed.barrier()
    made: dict[str, Any] = {}
    for made in train_unet(arguments.minutes, rank, world, arguments.checkpoint_minutes):
        ship(WEIGHTS, lambda target, made=made: write_pipeline(made, vae, target))
        print(f"shipped {WEIGHTS.name} at step {made['progress']['step']:.0f}", flush=True)
    if rank == 0:
        made = learn_sides(distil(made, arguments.distil_minutes))
        ship(WEIGHTS, lambda target: write_pipeline(made, vae, target))


if __name__ == "__main__":
    main()
