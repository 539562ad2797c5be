"""Training and held-out photos of the rendered world, made once and kept as arrays."""

import argparse
import json
from pathlib import Path

import numpy as np

from sandbox.photos import MODEL_SIZE, as_model_sees
from sandbox.products import draw_attributes
from sandbox.renderer import render

ROOT = Path(".data/train")
SHARD = 4_000
PHOTOS = 120_000
TRAIN_SEED = 1_000_003
HELD_OUT_SEED = 2_000_003  # photos and truths that no training shard shares


def make_example(seed: int, index: int, balanced: bool) -> tuple[np.ndarray, dict[str, str]]:
    """A photo as a model sees it, uint8 (64, 64, 3), and its truth."""
    rng = np.random.default_rng([seed, 31, index])
    attributes = draw_attributes(rng, balanced=balanced)
    view = int(rng.integers(1, 4)) if rng.random() < 0.25 else 0
    look = int(rng.integers(2**40))
    return as_model_sees(render(attributes, look, view, size=2 * MODEL_SIZE)), attributes


def write_shard(path: Path, seed: int, start: int, count: int, balanced: float) -> None:
    """Writes examples start .. start + count; `balanced` of them draw every value equally often."""
    photos = np.empty((count, MODEL_SIZE, MODEL_SIZE, 3), np.uint8)
    truths = []
    for row in range(count):
        index = start + row
        photos[row], attributes = make_example(seed, index, (index % 100) < 100 * balanced)
        truths.append(attributes)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, photos=photos, truths=np.array(json.dumps(truths)))
    temporary.replace(path)


def read_shards(paths: list[Path]) -> tuple[np.ndarray, list[dict[str, str]]]:
    """All photos (n, 64, 64, 3) uint8 and truths of the shards."""
    photos, truths = [], []
    for path in paths:
        with np.load(path) as shard:
            photos.append(shard["photos"])
            truths += json.loads(str(shard["truths"]))
    return np.concatenate(photos), truths


def held_out(count: int = 2_000, root: Path = ROOT) -> tuple[np.ndarray, list[dict[str, str]]]:
    """Products as frequent as in the catalogue, never trained on."""
    path = root / f"held_out_{count}.npz"
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        write_shard(path, HELD_OUT_SEED, 0, count, 0.0)
    return read_shards([path])


def training_shards(root: Path = ROOT) -> list[Path]:
    """The shards on disk, in order."""
    return sorted(root.glob("train_*.npz"))


def make_photos(count: int = PHOTOS, part: int = 0, parts: int = 1, root: Path = ROOT) -> None:
    """Makes the training shards that do not exist yet; one part of them, if there are several."""
    root.mkdir(parents=True, exist_ok=True)
    for shard in range(part, -(-count // SHARD), parts):
        path = root / f"train_{shard:04d}.npz"
        if not path.exists():
            write_shard(path, TRAIN_SEED, shard * SHARD, SHARD, 0.6)
            print(f"{path.name} written", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=PHOTOS)
    parser.add_argument("--part", default="0/1", help="this process of how many, as 0/2 and 1/2")
    arguments = parser.parse_args()
    part, parts = (int(text) for text in arguments.part.split("/"))
    make_photos(arguments.photos, part, parts)


if __name__ == "__main__":
    main()
