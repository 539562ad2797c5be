"""Writes what a studio gets every day: `python -m sandbox.studio FOLDER --days 14`.

`studio.yaml`, a folder of pictures that models drew, the choices of five raters between them, day
by day, and labelled pictures of people and of objects. A day that is written is skipped. What the
raters think a picture is worth stays with them: no file holds it.
"""

import argparse
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from PIL import Image

from sandbox.candidates import BASE, candidate
from sandbox.days import first_day
from sandbox.pictures import picture
from sandbox.portraits import OCCUPATIONS, THINGS, Person, draw_person, portrait
from sandbox.raters import RATERS, Eye, choose, qualities
from sandbox.scenes import (
    HELD_OUT_OBJECTS,
    OBJECTS,
    PLURAL,
    RELATIONS,
    SCENE_COLOURS,
    Scene,
    draw,
    draw_scene,
)

FIRST_DAY, DAYS = date(2026, 11, 1), 14
PROMPTS_A_DAY, PICTURES_A_PROMPT, VOTES_A_PAIR = 240, 4, 2
LABELLED, CAPTIONED = 4_800, 6_000
HELD_OUT_OCCUPATIONS = ("architect", "hairdresser", "soldier", "judge")


@dataclass(frozen=True)
class Maker:
    """Where a rated picture comes from.

    Attributes:
        share: Of all pictures.
        steps, guidance, eta: Of the sampler; no step at all is a real picture.
        damaged: Whether its latents are damaged before they are decoded.
        candidate: A tuned model of `sandbox.candidates`; without a name the base.
    """

    share: float
    steps: int = 10
    guidance: float = 1.0
    eta: float = 1.0
    damaged: bool = False
    candidate: str = ""


# Of several strengths, as in the sets that people rate: a scorer that has only ever seen one model
# has nothing to tell a good picture by.
MAKERS = (
    Maker(0.22),
    Maker(0.06, steps=20),
    Maker(0.06, guidance=2.0),
    Maker(0.06, eta=0.0),
    Maker(0.06, steps=6),
    Maker(0.12, damaged=True),
    Maker(0.06, steps=0),
    Maker(0.12, candidate="preference-6"),
    Maker(0.12, candidate="joint-0"),
    Maker(0.12, candidate="joint-5"),
)
DONE = ".done"

CONFIG: dict[str, Any] = {
    "name": "sandbox",
    "templates": {
        "occupations": list(OCCUPATIONS),
        "held_out_occupations": list(HELD_OUT_OCCUPATIONS),
        "people_with": list(THINGS),
        "objects": [name for name in OBJECTS if name not in HELD_OUT_OBJECTS],
        "held_out_objects": list(HELD_OUT_OBJECTS),
        "plural_objects": list(PLURAL),
        "colours": list(SCENE_COLOURS),
        "relations": list(RELATIONS),
    },
    "ratings": [{"path": "ratings/{day}.jsonl", "format": "pairs"}],
    "images": "images",
    "people": "people.parquet",
    "objects": "objects.parquet",
    "captioned": "captioned.parquet",
}


@dataclass(frozen=True)
class Studio:
    """A seeded studio."""

    seed: int = 0
    first_day: date = FIRST_DAY
    days: int = DAYS


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    _replace(path, buffer.getvalue())


def write_labelled(root: Path, seed: int) -> None:
    """Pictures that annotators have labelled, and captioned ones to keep a model honest."""
    if not (root / "people.parquet").exists() or not (root / "objects.parquet").exists():
        people: list[dict[str, Any]] = []
        objects: list[dict[str, Any]] = []
        for index in range(LABELLED):
            pixels, caption, shows = picture(seed + 11, index, balanced=True, careless=0.0)
            row = {"image": _png(pixels), "caption": caption}
            if isinstance(shows, Person):
                people.append(row | {"monk": shows.tone + 1, "gender": shows.gender})
                continue
            dx, dy = shows.offset
            places = [(-dx, -dy), (dx, dy)] if len(shows.things) == 2 else [(0, 0)]
            objects.append(
                row
                | {
                    "relation": shows.relation,
                    "objects": [
                        {
                            "name": thing.name,
                            "colour": thing.colour,
                            "x": 0.5 + 0.25 * x,
                            "y": 0.5 + 0.25 * y,
                        }
                        for thing, (x, y) in zip(shows.things, places, strict=True)
                    ],
                }
            )
        _parquet(root / "people.parquet", people)
        _parquet(root / "objects.parquet", objects)
    if not (root / "captioned.parquet").exists():
        drawn = (picture(seed + 12, index) for index in range(CAPTIONED))
        rows = [{"image": _png(one.pixels), "caption": one.caption} for one in drawn]
        _parquet(root / "captioned.parquet", rows)


def asked_for(rng: np.random.Generator, count: int) -> list[Person | Scene]:
    """What people ask for, as what the caption is true of: portraits, and somewhat fewer scenes.

    Ratings of captions that are kept for the final test are nothing to train on, and what a judge
    learns from (`rl_diffusion_assets.rewards.building`).
    """
    return [draw_person(rng) if rng.random() < 0.55 else draw_scene(rng) for _ in range(count)]


def load_base(folder: Path = BASE) -> Any:
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    torch.set_num_threads(1)
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, requires_safety_checker=False
    )
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(pipeline: Any, prompts: Sequence[str], maker: Maker, seed: int) -> np.ndarray:
    """One picture a prompt, uint8 ``[n, 64, 64, 3]``."""
    import torch

    from sandbox.damage import damaged

    draw = torch.Generator().manual_seed(seed)
    with candidate(pipeline.unet, maker.candidate):
        latents = pipeline(
            list(prompts),
            num_inference_steps=maker.steps,
            guidance_scale=maker.guidance,
            eta=maker.eta,
            generator=draw,
            output_type="latent",
        ).images
    return decode(pipeline, damaged(latents, draw) if maker.damaged else latents)


def decode(pipeline: Any, latents: Any) -> np.ndarray:
    """uint8 ``[n, 64, 64, 3]`` of scaled latents."""
    import torch

    with torch.inference_mode():
        made = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    made = ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return made.permute(0, 2, 3, 1).numpy()


def photograph(pipeline: Any, subjects: Sequence[Person | Scene], seed: int) -> np.ndarray:
    """Real pictures, as the autoencoder keeps them, uint8 ``[n, 64, 64, 3]``."""
    import torch

    real = np.stack(
        [
            portrait(one, seed + n) if isinstance(one, Person) else draw(one, seed + n)
            for n, one in enumerate(subjects)
        ]
    )
    pixels = torch.from_numpy(real).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        latents = pipeline.vae.encode(pixels).latent_dist.mean
    return decode(pipeline, latents * pipeline.vae.config.scaling_factor)


def write_day(root: Path, studio: Studio, number: int, pipeline: Any, eye: Eye) -> None:
    """A day's pictures and the raters' choices between those of one prompt."""
    rng = np.random.default_rng([studio.seed, 81, number])
    day = (studio.first_day + timedelta(days=number)).isoformat()
    asked = asked_for(rng, PROMPTS_A_DAY)
    subjects = [one for one in asked for _ in range(PICTURES_A_PROMPT)]
    wanted = [one.caption for one in subjects]
    makers = rng.choice(len(MAKERS), len(wanted), p=[maker.share for maker in MAKERS])
    drawn = np.zeros((len(wanted), 64, 64, 3), np.uint8)
    for at, maker in enumerate(MAKERS):
        rows, seed = np.flatnonzero(makers == at), int(rng.integers(2**40))
        if not len(rows):
            continue
        if maker.steps:
            drawn[rows] = generate(pipeline, [wanted[row] for row in rows], maker, seed)
        else:
            drawn[rows] = photograph(pipeline, [subjects[row] for row in rows], seed)
    worth = qualities(drawn, wanted, eye)
    names = []
    for pixels in drawn:
        data = _png(pixels)
        names.append(f"{sha256(data).hexdigest()[:20]}.png")
        _replace(root / "images" / names[-1], data)
    votes = []
    for start in range(0, len(wanted), PICTURES_A_PROMPT):
        for i in range(start, start + PICTURES_A_PROMPT):
            for j in range(i + 1, start + PICTURES_A_PROMPT):
                for rater in rng.choice(len(RATERS), VOTES_A_PAIR, replace=False):
                    a, b = (i, j) if rng.random() < 0.5 else (j, i)
                    choice = choose(RATERS[rater], worth[a], worth[b], rng)
                    votes.append(
                        {
                            "rater": RATERS[rater].name,
                            "prompt": wanted[i],
                            "a": names[a],
                            "b": names[b],
                            "choice": choice,
                        }
                    )
    votes += [  # what a form lets through now and then
        {"rater": "bo", "prompt": wanted[0], "a": names[0], "b": names[0], "choice": "a"},
        {
            "rater": "emre",
            "prompt": wanted[0],
            "a": names[0],
            "b": "no-such-picture.png",
            "choice": "b",
        },
        {"rater": "emre", "prompt": "", "a": names[0], "b": names[1], "choice": "perhaps"},
    ]
    lines = "\n".join(json.dumps(vote) for vote in votes) + "\n"
    _replace(root / "ratings" / f"{day}.jsonl", lines.encode())


def write_studio(
    root: Path, studio: Studio | None = None, progress: Callable[[int, int], None] | None = None
) -> None:
    """Everything in `root`; what is there already is kept."""
    studio = studio or Studio()
    root.mkdir(parents=True, exist_ok=True)
    _replace(root / "studio.yaml", yaml.safe_dump(CONFIG, sort_keys=False).encode())
    write_labelled(root, studio.seed)
    days = [(studio.first_day + timedelta(days=n)).isoformat() for n in range(studio.days)]
    missing = [n for n, day in enumerate(days) if not (root / "ratings" / f"{day}.jsonl").exists()]
    if missing:
        pipeline, eye = load_base(), Eye()
        for done, number in enumerate(missing, 1):
            write_day(root, studio, number, pipeline, eye)
            if progress:
                progress(done, len(missing))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    def tell(done: int, total: int) -> None:
        print(f"studio: {done}/{total} days rated", flush=True)

    start = first_day(arguments.folder / "ratings", arguments.days)
    write_studio(arguments.folder, Studio(arguments.seed, start, arguments.days), tell)


if __name__ == "__main__":
    main()
