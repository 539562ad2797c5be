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

from sandbox.pictures import picture
from sandbox.portraits import OCCUPATIONS, THINGS, Person
from sandbox.raters import RATERS, Eye, choose, qualities
from sandbox.scenes import HELD_OUT_OBJECTS, OBJECTS, PLURAL, RELATIONS, SCENE_COLOURS, draw_scene

FIRST_DAY, DAYS = date(2026, 11, 1), 14
PROMPTS_A_DAY, PICTURES_A_PROMPT, VOTES_A_PAIR = 42, 4, 2
LABELLED, CAPTIONED = 4_800, 2_400
HELD_OUT_OCCUPATIONS = ("architect", "hairdresser", "soldier", "judge")
# Pictures come from models of several strengths, as they do in the sets people rate:
# (sampler steps, guidance, eta) and how often.
MAKERS = ((10, 1.0, 1.0), (20, 1.0, 1.0), (10, 2.0, 1.0), (10, 1.0, 0.0), (5, 1.0, 1.0))
MAKER_WEIGHTS = (0.4, 0.15, 0.2, 0.15, 0.1)
BASE = Path(__file__).resolve().parent / "weights" / "diffusion"
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


def rated_prompts(rng: np.random.Generator, count: int) -> list[str]:
    """What people ask for: portraits and scenes, never of what is kept for the final test."""
    trades = [name for name in OCCUPATIONS if name not in HELD_OUT_OCCUPATIONS]
    out = []
    while len(out) < count:
        if rng.random() < 0.55:
            trade = str(rng.choice(trades))
            out.append(f"a portrait of {'an' if trade[0] in 'aeiou' else 'a'} {trade}")
        else:
            out.append(draw_scene(rng).caption)
    return out


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


def generate(
    pipeline: Any, prompts: Sequence[str], maker: tuple[int, float, float], seed: int
) -> np.ndarray:
    """One picture a prompt, uint8 ``[n, 64, 64, 3]``."""
    import torch

    steps, guidance, eta = maker
    made = pipeline(
        list(prompts),
        num_inference_steps=steps,
        guidance_scale=guidance,
        eta=eta,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).images
    return (made * 255).round().astype(np.uint8)


def write_day(root: Path, studio: Studio, number: int, pipeline: Any, eye: Eye) -> None:
    """A day's pictures and the raters' choices between those of one prompt."""
    rng = np.random.default_rng([studio.seed, 81, number])
    day = (studio.first_day + timedelta(days=number)).isoformat()
    prompts = rated_prompts(rng, PROMPTS_A_DAY)
    wanted = [prompt for prompt in prompts for _ in range(PICTURES_A_PROMPT)]
    makers = rng.choice(len(MAKERS), len(wanted), p=MAKER_WEIGHTS)
    drawn = np.zeros((len(wanted), 64, 64, 3), np.uint8)
    for maker, how in enumerate(MAKERS):
        rows = np.flatnonzero(makers == maker)
        if len(rows):
            texts = [wanted[row] for row in rows]
            drawn[rows] = generate(pipeline, texts, how, int(rng.integers(2**40)))
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
        print(f"studio: day {done} of {total} has been rated", flush=True)

    write_studio(arguments.folder, Studio(arguments.seed, days=arguments.days), tell)


if __name__ == "__main__":
    main()
