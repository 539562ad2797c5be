"""RL samples a CPU-second: our trainer against a plain DDPO loop on the same pipeline.

The peer is DDPO (Black et al. 2023, arXiv 2305.13301, policy gradient with importance sampling) as
one writes it without a library: draw, score, compare within the batch, one clipped step a timestep.
Weights, adapter, captions, guidance 2 through both branches, 10 steps, eta 1, 64 pictures an
iteration and in a pass, reward and AdamW are the same. "Default" is our policy gradient on 3 of the
10 timesteps. Sides take turns. `rl_against_trl` compares with TRL. Run from the repository:

    OMP_NUM_THREADS=1 python -m benchmarks.ddpo [--seconds 30] [--runs 3]
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import torch
from diffusers import DDIMScheduler
from peft import LoraConfig

from benchmarks.results import Figure, record
from benchmarks.rl_against_trl import BASE, CAPTIONS, DEFAULT, EQUAL, GROUP, PROMPTS, SAME, run_ours
from benchmarks.trl_peer import compressibility
from resources.diffusion import load_text_to_image

PICTURES = PROMPTS * GROUP
CLAMP = 10.0  # of an advantage
OURS = {"equal settings": EQUAL, "default": DEFAULT}


def plain_loop(seed: int) -> Iterator[float]:
    """Mean reward of every iteration."""
    torch.manual_seed(seed)
    model = load_text_to_image(str(BASE))
    unet, vae = model.pipeline.unet, model.pipeline.vae
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(**SAME))
    weights = [weight for weight in unet.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        weights, lr=DEFAULT.learning_rate, weight_decay=DEFAULT.weight_decay
    )
    scheduler = DDIMScheduler.from_config(model.scheduler.config)
    scheduler.set_timesteps(DEFAULT.steps)
    stride = scheduler.config.num_train_timesteps // DEFAULT.steps
    alphas, last = scheduler.alphas_cumprod, scheduler.final_alpha_cumprod
    with torch.no_grad():
        captions = [caption for caption in CAPTIONS for _ in range(GROUP)]
        hidden = torch.cat([model.encode([""] * PICTURES), model.encode(captions)])

    def distribution(latents: torch.Tensor, time: int) -> tuple[torch.Tensor, torch.Tensor]:
        noise = unet(torch.cat([latents] * 2), time, hidden).sample
        without, given = noise.chunk(2)
        noise = without + DEFAULT.guidance * (given - without)
        alpha = alphas[time]
        after = alphas[time - stride] if time >= stride else last
        deviation = ((1 - after) / (1 - alpha) * (1 - alpha / after)).sqrt()
        clean = (latents - (1 - alpha).sqrt() * noise) / alpha.sqrt()
        mean = after.sqrt() * clean + (1 - after - deviation**2).clamp(min=0).sqrt() * noise
        return mean, deviation

    def log_probability(
        sample: torch.Tensor, mean: torch.Tensor, deviation: torch.Tensor
    ) -> torch.Tensor:
        density = -((sample - mean) ** 2) / (2 * deviation**2) - deviation.log()
        return density.mean(dim=(1, 2, 3))

    while True:
        states, before = [torch.randn(PICTURES, *model.latent_shape)], []
        with torch.no_grad():
            for at in scheduler.timesteps:
                mean, deviation = distribution(states[-1], int(at))
                states.append(mean + deviation * torch.randn_like(mean))
                before.append(log_probability(states[-1], mean, deviation))
            pixels = vae.decode(states[-1] / vae.config.scaling_factor).sample
        pixels = (pixels / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
        rewards = torch.tensor(compressibility(pixels.permute(0, 2, 3, 1).numpy()))
        advantages = ((rewards - rewards.mean()) / (rewards.std() + 1e-8)).clamp(-CLAMP, CLAMP)
        for step in torch.randperm(DEFAULT.steps).tolist():
            mean, deviation = distribution(states[step], int(scheduler.timesteps[step]))
            ratio = (log_probability(states[step + 1], mean, deviation) - before[step]).exp()
            clipped = ratio.clamp(1 - DEFAULT.clip, 1 + DEFAULT.clip)
            loss = torch.maximum(-advantages * ratio, -advantages * clipped).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, DEFAULT.max_gradient)
            optimizer.step()
            optimizer.zero_grad()
        yield float(rewards.mean())


def run_plain(seed: int, seconds: float) -> list[float]:
    """CPU-seconds of every iteration after the first."""
    loop, spent = plain_loop(seed), list[float]()
    next(loop)
    while sum(spent) < seconds:
        began = time.process_time()
        next(loop)
        spent.append(time.process_time() - began)
    return spent


def main() -> None:
    """Parse arguments, let the sides take turns, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="CPU of a side in a run")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)

    def run(side: str, seed: int) -> list[float]:
        if side == "plain":
            return run_plain(seed, given.seconds)
        ends = run_ours(replace(OURS[side], seed=seed), given.seconds)["seconds"]
        return [end - start for start, end in zip([0.0, *ends[:-1]], ends, strict=True)]

    sides = ["plain", *OURS]
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for seed in range(given.runs):
        for name in sides if seed % 2 else sides[::-1]:
            rates[name].append(PICTURES / median(run(name, seed)))
            print(seed, name, f"{rates[name][-1]:.2f} samples/CPU-s", flush=True)
    figures = [
        Figure(
            f"RL, {name}",
            median(rates[name]),
            median(rates["plain"]),
            median(own / plain for own, plain in zip(rates[name], rates["plain"], strict=True)),
            "samples/CPU-s",
            "a plain DDPO loop",
            given.runs,
            note=f"one thread, {PICTURES} pictures an iteration",
        )
        for name in OURS
    ]
    record(figures)


if __name__ == "__main__":
    main()
