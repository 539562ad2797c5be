"""How many unlabelled products get the right label: the dual encoder against a linear probe.

Products are split by contributor (no one is in both halves); one half keeps its labels. Both
methods see the same frozen features. Prints accuracy of the best value, and coverage and precision
at the calibrated thresholds. Run from the repository:

    OMP_NUM_THREADS=1 python -m benchmarks.label_spreading [folder of clothing_cc0] [--seeds 3]
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pinlanding_assets.embeddings.assignment import assign
from pinlanding_assets.embeddings.encode import encode_products, vector_matrix
from pinlanding_assets.encoder.training import TrainingSettings, train
from resources.encoders import EncoderBackbone, load_backbone

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data" / "clothing_cc0"


class Remembered(EncoderBackbone):
    """A frozen backbone whose image features were computed before: one extraction, many seeds."""

    def __init__(self, inner: EncoderBackbone, images: dict[bytes, np.ndarray]) -> None:
        self.__dict__.update(inner.__dict__)
        self.inner, self.images = inner, images
        self.image_dim, self.text_dim = inner.image_dim, inner.text_dim
        self.prepare_images, self.prepare_texts = inner.prepare_images, inner.prepare_texts
        self.forward_images, self.forward_texts = inner.forward_images, inner.forward_texts

    prepare_images = prepare_texts = forward_images = forward_texts = None  # type: ignore[assignment]

    def image_features(self, images):
        """Remembered features, in order."""
        return np.stack([self.images[image] for image in images])

    def text_features(self, texts):
        """Features of the inner backbone."""
        return self.inner.text_features(texts)


def split_by_contributor(senders: list[str], seed: int) -> np.ndarray:
    """True for about half of the rows; a contributor's rows stay together."""
    names, counts = np.unique(senders, return_counts=True)
    chosen, total = set(), 0
    for at in np.random.default_rng(seed).permutation(len(names)):
        if total + counts[at] <= 0.5 * len(senders) + 20:
            chosen.add(names[at])
            total += counts[at]
    return np.array([sender in chosen for sender in senders])


def main() -> None:
    """Parse arguments, extract features once, compare on every seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with (arguments.folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = {row["image"]: (arguments.folder / row["image"]).read_bytes() for row in rows}
    start = time.perf_counter()
    inner = load_backbone("pretrained-features")
    distinct = list(images.values())
    features = inner.image_features(distinct)
    backbone = Remembered(inner, dict(zip(distinct, features, strict=True)))
    print(f"{len(rows)} images, features in {time.perf_counter() - start:.0f} s", flush=True)

    ids = [row["image"] for row in rows]
    entry_ids = [f"class={row['label'].lower()}" for row in rows]
    products = pl.DataFrame(
        {"product_id": ids, "title": "", "description": "", "images": [[name] for name in ids]}
    )
    names = sorted(set(entry_ids))
    values = [name.partition("=")[2] for name in names]
    entries = pl.DataFrame({"entry_id": names, "key": "class", "value": values, "phrase": values})
    keys = pl.DataFrame({"key": ["class"], "multi": [False], "role": ["product_type"]})
    labels = pl.DataFrame({"product_id": ids, "entry_id": entry_ids, "weight": 1.0})
    truth = np.array([names.index(entry_id) for entry_id in entry_ids])
    nothing = pl.DataFrame(
        schema={"product_id": pl.String, "entry_id": pl.String, "source": pl.String}
    )
    table = []
    for seed in range(arguments.seeds):
        known = split_by_contributor([row["sender_id"] for row in rows], seed)
        start = time.perf_counter()
        trained = train(
            backbone,
            products,
            labels.filter(pl.Series(known)),
            entries,
            keys,
            load_image=images.__getitem__,
            settings=TrainingSettings(seed=seed),
        )
        seconds = time.perf_counter() - start
        model = trained.model
        encoded = encode_products(model, products.filter(pl.Series(~known)), images.__getitem__)
        vectors = vector_matrix(encoded.embeddings)
        order = {name: at for at, name in enumerate(ids)}
        right = truth[[order[name] for name in encoded.embeddings["product_id"]]]
        entry_vectors = model.entry_vectors(names, values)
        best = (vectors @ entry_vectors.T).argmax(axis=1)
        given = assign(
            encoded.embeddings["product_id"],
            vectors,
            entries,
            entry_vectors,
            scale=model.scale,
            bias=model.bias,
            calibration=trained.calibration,
            keys=keys,
            observed=nothing,
        )
        correct = given.join(labels, on=["product_id", "entry_id"], how="semi").height
        raw = np.stack([backbone.images[images[name]] for name in ids])
        scaler = StandardScaler().fit(raw[known])
        probe = LogisticRegression(C=0.01, max_iter=300)
        probe.fit(scaler.transform(raw[known]), truth[known])
        figures = {
            "seed": seed,
            "labelled": int(known.sum()),
            "unlabelled": int((~known).sum()),
            "encoder": float((best == right).mean()),
            "linear_probe": float(probe.score(scaler.transform(raw[~known]), truth[~known])),
            "coverage": given.height / len(right),
            "precision": correct / max(given.height, 1),
            "seconds": seconds,
        }
        table.append(figures)
        print({k: round(v, 4) for k, v in figures.items()}, flush=True)
    means = ("encoder", "linear_probe", "coverage", "precision")
    print({name: round(float(np.mean([row[name] for row in table])), 4) for name in means})


if __name__ == "__main__":
    main()
