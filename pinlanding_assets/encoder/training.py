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
from pinlanding_assets.encoder.estimates import Rule, estimate
from pinlanding_assets.encoder.features import (
    FrozenFeatures,
    LiveTowers,
    Sides,
    compute_features,
    product_inputs,
)
from pinlanding_assets.encoder.fitting import Fit, Progress, TrainingSettings
from pinlanding_assets.encoder.folds import group_folds, joined, photo_names
from pinlanding_assets.encoder.hearing import hear
from pinlanding_assets.encoder.model import (
    DualEncoder,
    HeadShape,
)
from pinlanding_assets.encoder.reader import ENCODER, Experts, Reader, fit_blend
from pinlanding_assets.encoder.retrieval import retrieval_report
from pinlanding_assets.encoder.targets import KeySpan
from pinlanding_assets.encoder.trust import learn_targets
from pinlanding_assets.encoder.vectors import content_hash, encode_sides, vector_frame
from resources.encoders import EncoderBackbone

MANY = 1_000
"""Labelled products from which three folds say as much as five."""
MODALITIES = ("both", "image", "text")
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
        title_trust: How far a title that names the entry counts (`hear`).
        estimates: What it would say of products whose labels are hidden, by key (`estimate`).
        vectors: ``content_hash, vector, readings`` of the products that it was trained on.
    """

    model: DualEncoder
    metrics: dict[str, float]
    calibration: pl.DataFrame
    retrieval: pl.DataFrame
    held_out: pl.DataFrame
    reliability: pl.DataFrame
    title_trust: pl.DataFrame
    estimates: pl.DataFrame
    vectors: pl.DataFrame


def train(
    backbone: EncoderBackbone,
    products: pl.DataFrame,
    labels: pl.DataFrame,
    entries: pl.DataFrame,
    keys: pl.DataFrame,
    *,
    statements: pl.DataFrame | None = None,
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
        statements: ``product_id, source, key, entry_id`` of all that was said, `entry_id` null
            where the vocabulary has no entry for it. None: the labels, as the catalog's word.
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
    if statements is None:
        statements = labels.select("product_id", "entry_id", source=pl.lit("catalog")).join(
            entries.select("entry_id", "key"), on="entry_id"
        )
    described = pl.concat([labels.select("product_id"), statements.select("product_id")]).unique()
    known = (
        product_inputs(products)
        .filter((pl.col("text") != "") | pl.col("image_hash").is_not_null())
        .join(described, on="product_id", how="semi")
        .sort("product_id")
    )
    if entries.is_empty():
        raise ValueError("the vocabulary has no entries: there is nothing to train on")
    if known.height < 2 * settings.folds:
        raise ValueError(
            f"{known.height} labelled products: at least {2 * settings.folds} are needed"
        )
    ids, texts, hashes, documents = (
        known[name].to_list() for name in ("product_id", "text", "image_hash", "document")
    )
    images = {name: load_image(name) for name in sorted({name for name in hashes if name})}
    sides = compute_features(backbone, texts, documents, hashes, images)
    kin = [photo_names(hashes, images), *_kin(products, known)]
    tuning = backbone.trainable and bool(settings.tower_samples)
    folds = settings.folds if tuning or known.height < MANY else min(3, settings.folds)
    groups = joined(kin, folds)
    fold = group_folds(groups, folds, settings.seed)
    group = np.unique(groups, return_inverse=True)[1]
    learnt = learn_targets(ids, labels, statements, entries, keys, sides, fold, group)
    targets = learnt.targets
    phrases = targets.entries["phrase"].to_list()
    phrase_features = torch.from_numpy(backbone.text_features(phrases)).to(backbone.device)
    frozen = FrozenFeatures(sides, phrase_features)
    shape = HeadShape(
        backbone.image_dim,
        backbone.text_dim,
        backbone.text_dim if backbone.aligned else settings.dim,
        backbone.aligned,
    )
    fit = Fit(targets, settings, shape, report)
    names = targets.entries["entry_id"].to_list()

    everything = np.arange(known.height)
    parts: dict[str, dict[str, np.ndarray]]
    if tuning:
        inside, held = np.flatnonzero(fold != 0), np.flatnonzero(fold == 0)
        fit.steps_total = settings.epochs + fit.tower_epochs(len(inside))
        start, _ = fit.heads(frozen, inside, held)
        tuned = backbone.clone()
        live = LiveTowers(tuned, sides, texts, lambda row: images[hashes[row]], phrases)
        heads = fit.towers(live, start, inside, held)
        towers, base = tuned, backbone.version
        model = DualEncoder(towers, shape, names, heads, base)
        sides = compute_features(tuned, texts, documents, hashes, images)
        known_vectors = model.entry_vectors(names, phrases)
        experts = Experts.fit(sides, inside, targets)
        parts = {}
        for modality in MODALITIES:
            vectors = _embed(model, sides, modality, held)
            odds = model.logits(vectors, known_vectors)
            parts[modality] = experts.log_odds(sides.hidden(modality), held) | {ENCODER: odds}
    else:
        towers, base, held = backbone, None, everything
        fit.steps_total = settings.epochs * (folds + 1)
        parts = {modality: {} for modality in MODALITIES}
        stopped = []
        for number in range(folds):
            inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            heads, epochs = fit.heads(frozen, inside, outside)
            stopped.append(epochs)
            experts = Experts.fit(sides, inside, targets)
            for modality, found in parts.items():
                hidden = sides.hidden(modality)
                with torch.inference_mode():
                    logits, _, _ = fit.logits(frozen, heads, outside, hidden)
                odds = experts.log_odds(hidden, outside) | {ENCODER: logits.cpu().numpy()}
                for kind, values in odds.items():
                    shaped = (known.height, len(names))
                    whole = found.setdefault(kind, np.zeros(shaped, dtype=np.float32))
                    whole[outside] = values
        heads, _ = fit.heads(frozen, held, None, epochs=int(np.median(stopped)))

    positive, weight = targets.positive[held], targets.weight[held]
    kinds = tuple(parts["both"])
    # What a title named is judged without the title, or not at all: it would prove itself.
    blindly = _blindly(parts, learnt.by_title[held], sides, held, targets.spans)
    judged = np.where(_read_alone(learnt.by_title[held], sides, held, targets.spans), 0.0, weight)
    blend, offset = fit_blend(blindly, positive, judged, targets.spans, kinds)
    entry_vectors = DualEncoder(towers, shape, names, heads, base).entry_vectors(names, phrases)
    final = Experts.fit(sides, everything, targets)
    reader = Reader(final, blend, offset, kinds, entry_vectors)
    scores = {modality: reader.mixed(odds) for modality, odds in parts.items()}
    model = DualEncoder(towers, shape, names, heads, base, reader)

    apart = fold[held]
    crossed = len(np.unique(apart)) > 1
    calibration = calibrate(
        reader.mixed(blindly),
        positive,
        judged,
        names,
        targets.spans,
        fold=apart if crossed else None,
        target_precision=settings.target_precision,
    )
    within = apart if crossed else _folds_within([groups[row] for row in held], settings)
    told = learnt.told.of(held)
    heard = hear(
        reader.mixed(blindly), calibration, told, within, targets.entries["entry_id"], targets.spans
    )
    estimates = estimate(
        blindly,
        targets.of(held),
        told,
        within,
        calibration,
        Rule(keys, statements.filter(source="title"), settings.target_precision, crossed),
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
        "products": float(known.height),
        "held_out": float(len(held)),
        "entries": float(entries.height),
        **fit.figures,
        **reliability(scores["both"], positive, weight, names, targets.spans, calibration),
        **_headline(retrieval),
    }
    order = [names.index(entry_id) for entry_id in entries["entry_id"]]
    shown = {modality: values[:, order] for modality, values in scores.items()}
    held_out = _held_out([ids[row] for row in held], shown, there)
    curve = reliability_curve(scores["both"], positive, weight, names, targets.spans)
    contents = [
        {"content_hash": content_hash(model.version, image, text, document)}
        for image, text, document in zip(hashes, texts, documents, strict=True)
    ]
    return TrainedEncoder(
        model,
        metrics,
        calibration,
        retrieval,
        held_out,
        curve,
        heard,
        estimates,
        vector_frame(contents, encode_sides(model, sides)).unique("content_hash"),
    )


def _blindly(
    parts: dict[str, dict[str, np.ndarray]],
    by_title: np.ndarray,
    sides: Sides,
    held: np.ndarray,
    spans: list[KeySpan],
) -> dict[str, np.ndarray]:
    """Log-odds by kind, from the photo alone for the keys ``[held, keys]`` that only the title
    states, where there is a photo."""
    seen = (sides.has_image > 0).cpu().numpy()[held]
    found = {kind: values.copy() for kind, values in parts["both"].items()}
    for number, span in enumerate(spans):
        rows = np.flatnonzero(by_title[:, number] & seen)
        for kind, values in found.items():
            block = slice(span.start, span.stop)
            values[rows, block] = parts["image"][kind][rows, block]
    return found


def _read_alone(
    by_title: np.ndarray, sides: Sides, held: np.ndarray, spans: list[KeySpan]
) -> np.ndarray:
    """Where ``[held, e]`` there is nothing but the title's words to judge what they say."""
    unseen = by_title & (sides.has_image <= 0).cpu().numpy()[held, None]
    return np.repeat(unseen, [span.stop - span.start for span in spans], axis=1)


def _folds_within(groups: list[str], settings: TrainingSettings) -> np.ndarray:
    """Folds of products that were held out as one; fewer than asked for where groups are few."""
    return group_folds(groups, min(settings.folds, len(set(groups))), settings.seed)


def _kin(products: pl.DataFrame, known: pl.DataFrame) -> list[list[str | None]]:
    """What products share beside a photo: the parent, the whole text and, where the products
    without labels mostly come from others, the seller."""
    there = [name for name in ("parent", "seller") if name in products.columns]
    told = known.join(products.select("product_id", *there), on="product_id", maintain_order="left")
    kin = [told["parent"].to_list()] if "parent" in there else []
    kin.append([document or None for document in told["document"]])
    if "seller" in there:
        others = products.join(known, on="product_id", how="anti")["seller"].drop_nulls()
        met = others.is_in(told["seller"].drop_nulls().unique().to_list()).mean()
        if met is not None and float(met) < 0.5:  # type: ignore[arg-type]
            kin.append(told["seller"].to_list())
    return kin


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


def _embed(model: DualEncoder, sides: Sides, modality: str, rows: np.ndarray) -> np.ndarray:
    """Vectors of some products by modality; where the only side is hidden, the vector is zero."""
    shown = sides.hidden(modality)
    arrays = [side.cpu().numpy()[rows] for side in (shown.image, shown.text)]
    flags = [side.cpu().numpy()[rows] for side in (shown.has_image, shown.has_text)]
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
