"""What the product would say of products whose labels are hidden, and how much of it is right.

Every fold of the labelled products is treated as products without labels are: experts that did not
see it read it; the blend, the calibration, the thresholds and the trust in titles come from the
other folds, and the rule of the assignment decides. Titles are not hidden. The catalog's fields and
what the VLM saw are; they are the truth that the statements are held against. A value that the
vocabulary lacks makes every statement of its key wrong. A product that is silent about a key counts
as far as its silence says that it has none (`silence.py`): a statement of it is wrong with that
weight. What silence means is learned from all folds, and so is the vocabulary.

Folds share no photo, text or parent (`folds.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from pinlanding_assets.embeddings.assignment import Readings, assign
from pinlanding_assets.encoder.calibration import calibrate
from pinlanding_assets.encoder.hearing import hear
from pinlanding_assets.encoder.reader import fit_blend, mix, packed
from pinlanding_assets.encoder.targets import Targets, Told

ESTIMATES_SCHEMA = {
    "key": pl.String,
    "labelled": pl.Int64,
    "labels": pl.Int64,
    "entries": pl.Int64,
    "never": pl.Int64,
    "stated": pl.Float64,
    "right": pl.Float64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "coverage": pl.Float64,
    "said": pl.Float64,
    "gap": pl.Float64,
}


@dataclass(frozen=True)
class Rule:
    """What the assignment needs beside readings and their calibration.

    Attributes:
        keys: The ``keys`` table of the vocabulary.
        titles: ``product_id, source, key, entry_id``: what titles say.
        target_precision: Aim of the thresholds, 0..1.
        crossed: Whether thresholds are set by cross-fitting.
    """

    keys: pl.DataFrame
    titles: pl.DataFrame
    target_precision: float
    crossed: bool


def estimate(
    log_odds: Mapping[str, np.ndarray],
    targets: Targets,
    told: Told,
    fold: np.ndarray,
    calibration: pl.DataFrame,
    rule: Rule,
) -> pl.DataFrame:
    """The ``estimates`` table, a row a key; empty where one fold has all products.

    Args:
        log_odds: ``[n, e]`` by kind, of products that the experts were not trained on.
        targets: Of these products.
        told: Of these products.
        fold: ``[n]``, products that are hidden together.
        calibration: The encoder's, which says what it never assigns.
        rule: The rest of it.

    Returns:
        ``key``; ``labelled``: products whose labels speak of it; ``labels``: entries that they say;
        ``entries`` of the vocabulary, and ``never``: those that the encoder never assigns;
        ``stated``: weight of the statements about hidden labels; ``right``: of the right ones;
        ``precision``: right of stated; ``recall``: right of labels; ``coverage``: share of the
        labelled products of which something is stated; ``said``: mean probability of the
        statements; ``gap``: said less precision. A share of nothing is null.
    """
    if len(np.unique(fold)) < 2:
        return pl.DataFrame(schema=ESTIMATES_SCHEMA)
    p = np.zeros(targets.positive.shape)
    for number in np.unique(fold):
        p += said_of(number, log_odds, targets, told, fold, rule)
    never = dict(calibration.select("entry_id", pl.col("threshold") > 1).iter_rows())
    names = targets.entries["entry_id"].to_list()
    rows = []
    for number, span in enumerate(targets.spans):
        block = slice(span.start, span.stop)
        true, labelled = told.true[:, block], targets.stated[:, number]
        chosen, weight = p[:, block] > 0, told.sure[:, number, None]
        rows.append(
            {
                "key": span.key,
                "labelled": int(labelled.sum()),
                "labels": int(true.sum()),
                "entries": span.stop - span.start,
                "never": sum(never[name] for name in names[block]),
                "stated": float((chosen * weight).sum()),
                "right": float((chosen & true).sum()),
                "covered": float((chosen.any(axis=1) & labelled).sum()),
                "claimed": float((p[:, block] * weight).sum()),
            }
        )
    return (
        pl.DataFrame(rows)
        .with_columns(
            precision=share_of("right", "stated"),
            recall=share_of("right", "labels"),
            coverage=share_of("covered", "labelled"),
            said=share_of("claimed", "stated"),
        )
        .with_columns(gap=pl.col("said") - pl.col("precision"))
        .select(list(ESTIMATES_SCHEMA))
        .cast(ESTIMATES_SCHEMA)  # type: ignore[arg-type]
    )


def share_of(part: str, whole: str) -> pl.Expr:
    """One column as a share of another; null where that is 0."""
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))


def said_of(
    number: int,
    log_odds: Mapping[str, np.ndarray],
    targets: Targets,
    told: Told,
    fold: np.ndarray,
    rule: Rule,
) -> np.ndarray:
    """Probabilities ``[n, e]`` of what is stated of one fold, by what the others taught; 0 where
    nothing is. Arguments as of `estimate`."""
    inside, kinds = fold != number, tuple(log_odds)
    positive, weight = targets.positive[inside], targets.weight[inside]
    names = targets.entries["entry_id"].to_list()
    seen = {kind: values[inside] for kind, values in log_odds.items()}
    readings = mix(log_odds, *fit_blend(seen, positive, weight, targets.spans, kinds), kinds)
    others = fold[inside] if rule.crossed and len(np.unique(fold[inside])) > 1 else None
    calibration = calibrate(
        readings[inside],
        positive,
        weight,
        names,
        targets.spans,
        target_precision=rule.target_precision,
        fold=others,
    )
    products = pl.Series("product_id", targets.product_ids)
    hidden = products.filter(pl.Series(~inside))
    found = assign(
        hidden,
        Readings(packed(readings[~inside]), names, np.ones(len(hidden), dtype=bool)),
        targets.entries.select("entry_id", "key", value="phrase"),
        calibration=calibration,
        keys=rule.keys,
        statements=rule.titles,
        title_trust=hear(
            readings[inside],
            calibration,
            told.of(np.flatnonzero(inside)),
            fold[inside],
            targets.entries["entry_id"],
            targets.spans,
        ),
    )
    row = dict(zip(targets.product_ids, range(len(products)), strict=True))
    column = dict(zip(names, range(len(names)), strict=True))
    p = np.zeros(targets.positive.shape)
    at = [row[name] for name in found["product_id"]], [column[name] for name in found["entry_id"]]
    p[at] = found["p"].to_numpy()
    return p
