"""Training of the dual encoder on the labels that the catalog, titles and the VLM gave.

Two stages (linear probing, then fine-tuning: Kumar et al. 2022). The heads are trained on features
computed once, which takes seconds. Backbones that can be tuned are then trained together with the
heads at a lower rate, and the result is interpolated with its start (WiSE-FT, Wortsman et al.
2022); the held-out products choose how far to go.

Held-out products serve early stopping, calibration and the metrics. Without tuning every labelled
product is held out once (cross-fitting), so that the calibration sees all labels and the final
heads are trained on all of them; tuned towers have one held-out fold.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from pinlanding_assets.encoder.calibration import calibrate, reliability, reliability_curve
from pinlanding_assets.encoder.features import (
    FrozenFeatures,
    LiveTowers,
    Sides,
    compute_features,
    product_inputs,
)
from pinlanding_assets.encoder.fitting import Fit, Progress, TrainingSettings
from pinlanding_assets.encoder.model import (
    DualEncoder,
    HeadShape,
)
from pinlanding_assets.encoder.retrieval import retrieval_report
from pinlanding_assets.encoder.targets import (
    build_targets,
    group_folds,
    image_signature,
    near_duplicates,
)
from resources.encoders import EncoderBackbone

HELD_OUT = 2_000
"""Products whose held-out log-odds are kept, to be measured against what training never sees."""
HELD_OUT_SCHEMA = {
    "product_id": pl.String,
    "modality": pl.String,
    "log_odds": pl.List(pl.Float32),
}


@dataclass(frozen=True)
class TrainedEncoder:
    """What training gives.

    Attributes:
        model: The encoder, ready to embed.
        metrics: Held-out figures by name.
        calibration: The ``calibration`` table.
        retrieval: Held-out attribute retrieval by modality and method.
        held_out: ``product_id, modality, log_odds``: what a model that was not trained on the
            product says of every entry, in the order of the vocabulary; ``HELD_OUT`` products.
            A side that the product lacks has no row.
        reliability: ``key, stated, observed, n``: how far the probabilities hold.
    """

    model: DualEncoder
    metrics: dict[str, float]
    calibration: pl.DataFrame
    retrieval: pl.DataFrame
    held_out: pl.DataFrame
    reliability: pl.DataFrame


def train(
    backbone: EncoderBackbone,
    products: pl.DataFrame,
    labels: pl.DataFrame,
    entries: pl.DataFrame,
    keys: pl.DataFrame,
    *,
    load_image: Callable[[str], bytes],
    settings: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> TrainedEncoder:
    """Train and calibrate an encoder for this vocabulary.

    Args:
        backbone: What to start from; it is not changed.
        products: Catalog rows, one a product (``product_inputs`` says which columns count).
            Products without a label, or with neither image nor text, take no part.
        labels: ``product_id, entry_id, weight`` with weights in 0..1.
        entries: The ``entries`` table of the vocabulary.
        keys: The ``keys`` table of the vocabulary.
        load_image: Bytes of an image by its hash.
        settings: Defaults when None.
        progress: Told about every epoch.

    Raises:
        ValueError: an empty vocabulary, too few labelled products, or inconsistent labels.
    """
    import torch

    settings = settings or TrainingSettings()
    report = progress or (lambda *_: None)
    torch.set_flush_denormal(True)
    products = (
        product_inputs(products)
        .filter((pl.col("text") != "") | pl.col("image_hash").is_not_null())
        .join(labels.select("product_id").unique(), on="product_id", how="semi")
        .sort("product_id")
    )
    if entries.is_empty():
        raise ValueError("the vocabulary has no entries: there is nothing to train on")
    if products.height < 2 * settings.folds:
        raise ValueError(
            f"{products.height} labelled products: at least {2 * settings.folds} are needed"
        )
    targets = build_targets(products["product_id"].to_list(), labels, entries, keys)
    phrases = targets.entries["phrase"].to_list()
    texts = products["text"].to_list()
    hashes = products["image_hash"].to_list()

    images = {name: load_image(name) for name in sorted({name for name in hashes if name})}
    sides = compute_features(backbone, texts, hashes, images)
    fold = group_folds(
        _photo_groups(targets.product_ids, hashes, images), settings.folds, settings.seed
    )
    phrase_features = torch.from_numpy(backbone.text_features(phrases)).to(backbone.device)
    frozen = FrozenFeatures(sides, phrase_features)
    shape = HeadShape(
        backbone.image_dim,
        backbone.text_dim,
        backbone.text_dim if backbone.aligned else settings.dim,
        backbone.aligned,
    )
    fit = Fit(targets, settings, shape, report)

    if backbone.trainable and settings.tower_samples:
        inside, outside = np.flatnonzero(fold != 0), np.flatnonzero(fold == 0)
        fit.steps_total = settings.epochs + fit.tower_epochs(len(inside))
        start, _ = fit.heads(frozen, inside, outside)
        tuned = backbone.clone()
        live = LiveTowers(tuned, sides, texts, lambda row: images[hashes[row]], phrases)
        heads = fit.towers(live, start, inside, outside)
        model = DualEncoder(
            tuned, shape, targets.entries["entry_id"].to_list(), heads, backbone.version
        )
        held = outside
        subset = [texts[row] for row in held], [hashes[row] for row in held]
        held_sides = compute_features(tuned, *subset, images)
        vectors = {m: _embed(model, held_sides, m) for m in ("both", "image", "text")}
        known = model.entry_vectors(model.entry_ids, phrases)
        scores = {m: model.logits(vectors[m], known) for m in vectors}
    else:
        fit.steps_total = settings.epochs * (settings.folds + 1)
        held = np.arange(products.height)
        scores = {
            m: np.zeros((products.height, entries.height), dtype=np.float32)
            for m in ("both", "image", "text")
        }
        stopped = []
        for number in range(settings.folds):
            inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            heads, epochs = fit.heads(frozen, inside, outside)
            stopped.append(epochs)
            for modality in scores:
                with torch.inference_mode():
                    logits, _, _ = fit.logits(frozen, heads, outside, sides.hidden(modality))
                scores[modality][outside] = logits.cpu().numpy()
        heads, _ = fit.heads(frozen, held, None, epochs=int(np.median(stopped)))
        model = DualEncoder(backbone, shape, targets.entries["entry_id"].to_list(), heads)

    ids = targets.entries["entry_id"].to_list()
    positive, weight = targets.positive[held], targets.weight[held]
    calibration = calibrate(
        scores["both"],
        positive,
        weight,
        ids,
        targets.spans,
        target_precision=settings.target_precision,
    )
    there = {
        "both": np.ones(len(held), dtype=bool),
        "image": (sides.has_image > 0).cpu().numpy()[held],
        "text": (sides.has_text > 0).cpu().numpy()[held],
    }
    both = there["image"] & there["text"]
    retrieval = retrieval_report(
        scores if both.any() else {"both": scores["both"]}, there, positive, weight, targets.spans
    )
    metrics = {
        "products": float(products.height),
        "held_out": float(len(held)),
        "entries": float(entries.height),
        **fit.figures,
        **reliability(scores["both"], positive, weight, ids, targets.spans, calibration),
        **_headline(retrieval),
    }
    names = [targets.product_ids[row] for row in held]
    order = [ids.index(entry_id) for entry_id in entries["entry_id"]]
    shown = {modality: values[:, order] for modality, values in scores.items()}
    held_out = _held_out(names, shown, there)
    curve = reliability_curve(scores["both"], positive, weight, ids, targets.spans)
    return TrainedEncoder(model, metrics, calibration, retrieval, held_out, curve)


def _held_out(
    names: list[str], scores: dict[str, np.ndarray], there: dict[str, np.ndarray]
) -> pl.DataFrame:
    """Log-odds of held-out products by modality, where they have what is shown (``there``); of
    many products an arbitrary, fixed choice."""
    chosen = sorted(sorted(names, key=_shuffled)[:HELD_OUT])
    row_of = {name: row for row, name in enumerate(names)}
    parts = []
    for modality, values in sorted(scores.items()):
        having = [name for name in chosen if there[modality][row_of[name]]]
        rows = [row_of[name] for name in having]
        parts.append(
            pl.DataFrame(
                {
                    "product_id": having,
                    "modality": [modality] * len(having),
                    "log_odds": list(values[rows].astype(np.float32)),
                },
                schema=HELD_OUT_SCHEMA,
            )
        )
    return pl.concat(parts).sort("product_id", "modality")


def _shuffled(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _photo_groups(
    product_ids: list[str], hashes: list[str | None], images: dict[str, bytes]
) -> list[str]:
    """Products that show the same photo under one name: the first of them."""
    names = sorted(images)
    signatures = [image_signature(images[name]) for name in names]
    found = near_duplicates(np.array(signatures)) if names else np.zeros(0, dtype=np.int64)
    first = {}
    for name, group in zip(names, found.tolist(), strict=True):
        first.setdefault(group, name)
    group_of = dict(zip(names, (first[group] for group in found.tolist()), strict=True))
    return [
        f"image {group_of[name]}" if name else f"product {product_id}"
        for name, product_id in zip(hashes, product_ids, strict=True)
    ]


def _embed(model: DualEncoder, sides: Sides, modality: str) -> np.ndarray:
    """Held-out vectors by modality; where the only side is hidden, the vector is zero."""
    shown = sides.hidden(modality)
    arrays = [side.cpu().numpy() for side in (shown.image, shown.text)]
    flags = [side.cpu().numpy() for side in (shown.has_image, shown.has_text)]
    seen = (flags[0] > 0) | (flags[1] > 0)
    out = np.zeros((len(seen), model.shape.dim), dtype=np.float32)
    out[seen] = model.product_vectors(
        *(array[seen] for array in arrays), *(flag[seen] > 0 for flag in flags)
    )
    return out


def _headline(retrieval: pl.DataFrame) -> dict[str, float]:
    chosen = retrieval.filter(pl.col("method") == "encoder")
    return {
        f"{row['modality']}_{row['figure']}": row["value"]
        for row in chosen.iter_rows(named=True)
        if row["figure"] in ("recall_at_1", "recall_at_10", "hit_at_1", "p_at_10_of_2")
    }
