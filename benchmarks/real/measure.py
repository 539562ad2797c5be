"""How good are statements about items, by what people say of them."""

from dataclasses import dataclass

import numpy as np

from pinlanding_assets.encoder.targets import KeySpan


@dataclass(frozen=True)
class Judged:
    """Figures of one method on one key.

    Attributes:
        recall_95: Largest share of the true statements that is found at a precision of .95.
        recall_90: The same at .90.
        stated: Statements that the product makes; None for peers, which only rank.
        said: Mean probability of these.
        precision: Share of these that are right.
        coverage: Share of the items that have the key stated.
    """

    recall_95: float
    recall_90: float
    stated: int | None = None
    said: float | None = None
    precision: float | None = None
    coverage: float | None = None


def best_of_key(scores: np.ndarray, spans: list[KeySpan]) -> np.ndarray:
    """Scores ``[n, e]``, with all but the best value of a single-valued key at -inf."""
    out = scores.astype(np.float64).copy()
    for span in spans:
        if not span.multi:
            block = out[:, span.start : span.stop]
            keep = block.argmax(axis=1)[:, None] == np.arange(block.shape[1])
            block[~keep] = -np.inf
    return out


def recall_at(scores: np.ndarray, truth: np.ndarray, precision: float) -> float:
    """Largest recall of the pairs ``[n, e]`` in the order of their scores at this precision; pairs
    of -inf are never stated, equal scores are stated together."""
    flat, right = scores.ravel(), truth.ravel()
    order = np.argsort(-flat, kind="stable")
    order = order[np.isfinite(flat[order])]
    if not len(order) or not right.any():
        return 0.0
    found = np.cumsum(right[order])
    last = np.append(flat[order][1:] != flat[order][:-1], True)
    reached = last & (found / np.arange(1, len(order) + 1) >= precision)
    return float(found[reached].max() / right.sum()) if reached.any() else 0.0


def judge(
    scores: np.ndarray, truth: np.ndarray, spans: list[KeySpan], given: np.ndarray | None = None
) -> dict[str, Judged]:
    """Figures by key, and of all keys together under ``*``.

    Args:
        scores: ``[n, e]`` of items whose labels were hidden.
        truth: ``[n, e]`` bool, what people say of them. Of an item that people described, what
            they left out counts as wrong.
        spans: Columns of each key.
        given: ``[n, e]`` probabilities of what the product states, 0 elsewhere.
    """
    chosen = best_of_key(scores, spans)
    whole = KeySpan("*", 0, truth.shape[1], True)
    found = {}
    for span in [*spans, whole]:
        block = slice(span.start, span.stop)
        if not truth[:, block].any():
            continue
        high, low = (recall_at(chosen[:, block], truth[:, block], at) for at in (0.95, 0.90))
        if given is None:
            found[span.key] = Judged(high, low)
            continue
        p = given[:, block]
        stated = p > 0
        found[span.key] = Judged(
            high,
            low,
            int(stated.sum()),
            float(p[stated].mean()) if stated.any() else None,
            float(truth[:, block][stated].mean()) if stated.any() else None,
            float(stated.any(axis=1).mean()),
        )
    return found
