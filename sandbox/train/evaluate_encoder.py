"""Zero-shot attribute recall of the base encoder on held-out products."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sandbox.train.data import held_out
from sandbox.train.encoder_model import WEIGHTS, pixel_values
from sandbox.train.evaluate_vlm import held_out_titles
from sandbox.vocabulary import KEYS, PHRASES, VALUES

PAIRS = tuple((key, value) for key in KEYS for value in VALUES[key])
NAMES = [PHRASES.get(key, "{value}").format(value=value) for key, value in PAIRS]


def embed_texts(model: Any, tokenizer: Any, texts: Sequence[str], batch: int = 500) -> np.ndarray:
    """Unit vectors, float32 (n, dimension)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch):
            tokens = tokenizer(list(texts[start : start + batch]))
            parts.append(model.encode_text(tokens, normalize=True).float().numpy())
    return np.concatenate(parts)


def embed_photos(model: Any, photos: np.ndarray, batch: int = 500) -> np.ndarray:
    """Unit vectors of uint8 photos (n, 64, 64, 3), float32 (n, dimension)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(photos), batch):
            pixels = pixel_values(photos[start : start + batch])
            parts.append(model.encode_image(pixels, normalize=True).float().numpy())
    return np.concatenate(parts)


def recalls(
    products: np.ndarray, attributes: np.ndarray, truths: Sequence[Mapping[str, str]]
) -> dict[str, float]:
    """Share of a product's true attributes among its nearest ones, and per key the best value."""
    similarity = products @ attributes.T
    rank = (-similarity).argsort(axis=1).argsort(axis=1)
    true = np.array([[truth.get(k) == v for k, v in PAIRS] for truth in truths])
    out = {f"recall@{n}": float((true & (rank < n)).sum() / true.sum()) for n in (1, 10)}
    out["recall@1"] = float((true & (rank < 1)).sum() / len(truths))  # share whose first is true
    for key in KEYS:
        columns = [i for i, (k, _) in enumerate(PAIRS) if k == key]
        rows = [i for i, truth in enumerate(truths) if key in truth]
        best = similarity[np.ix_(rows, columns)].argmax(axis=1)
        right = [PAIRS[columns[b]][1] == truths[i][key] for i, b in zip(rows, best, strict=True)]
        out[key] = float(np.mean(right))
    return out


def evaluate(
    model: Any, tokenizer: Any, photos: np.ndarray, truths: Sequence[Mapping[str, str]]
) -> dict[str, dict[str, float]]:
    """Figures with the photo alone, the noisy title alone, and both."""
    attributes = embed_texts(model, tokenizer, NAMES)
    images = embed_photos(model, photos)
    titles = embed_texts(model, tokenizer, held_out_titles(truths))
    together = images + 0.3 * titles  # titles are the noisy side
    return {
        "photo": recalls(images, attributes, truths),
        "title": recalls(titles, attributes, truths),
        "photo + 0.3 title": recalls(together, attributes, truths),
    }


def table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table."""
    names = ("recall@1", "recall@10", *KEYS)
    rows = [f"| from | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    rows += [
        f"| {source} | {' | '.join(f'{values[name]:.3f}' for name in names)} |"
        for source, values in figures.items()
    ]
    return "\n".join(rows)


def load(folder: Path = WEIGHTS) -> tuple[Any, Any]:
    """The shipped model and tokenizer, as open_clip loads any local folder."""
    import open_clip

    name = f"local-dir:{folder}"
    model, _ = open_clip.create_model_from_pretrained(name)
    return model.eval(), open_clip.get_tokenizer(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--products", type=int, default=2_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load(arguments.weights)
    photos, truths = held_out(arguments.products)
    print(table(evaluate(model, tokenizer, photos, truths)))


if __name__ == "__main__":
    main()
