"""Attribute retrieval: does a product find its attributes, and a combination its products.

"Recall@k" is used for several things (spec/pinlanding.md 6.1), so each is named here:
``recall_at_k`` is the share of all true attributes that are among the k best of their product
(micro), ``recall_at_k_macro`` the mean of that share over entries, ``recall_at_k_product`` the mean
over products, and ``hit_at_k`` the share of products with any true attribute among the k best.
"""

import numpy as np
import polars as pl

from pinlanding_assets.encoder.targets import KeySpan

REPORT_SCHEMA = {
    "modality": pl.String,
    "method": pl.String,
    "figure": pl.String,
    "value": pl.Float64,
    "n": pl.Int64,
}


def attribute_recall(
    scores: np.ndarray, truth: np.ndarray, ks: tuple[int, ...] = (1, 5, 10)
) -> dict[str, float]:
    """Recall figures of scores ``[n, e]`` against truth ``[n, e]`` (bool); products without a true
    attribute are left out, and an entry of score -inf is never found."""
    rows = truth.any(axis=1)
    scores, truth = scores[rows], truth[rows]
    figures: dict[str, float] = {}
    if not len(truth):
        return figures
    order = np.argsort(-scores, axis=1, kind="stable")
    per_entry, per_product = truth.sum(axis=0), truth.sum(axis=1)
    for k in ks:
        top = np.zeros_like(truth)
        np.put_along_axis(top, order[:, :k], True, axis=1)
        hits = top & truth & np.isfinite(scores)
        figures[f"recall_at_{k}"] = float(hits.sum() / truth.sum())
        figures[f"recall_at_{k}_macro"] = float(
            (hits.sum(axis=0)[per_entry > 0] / per_entry[per_entry > 0]).mean()
        )
        figures[f"recall_at_{k}_product"] = float((hits.sum(axis=1) / per_product).mean())
        figures[f"hit_at_{k}"] = float(hits.any(axis=1).mean())
    return figures


def composed_precision(
    scores: np.ndarray,
    truth: np.ndarray,
    known: np.ndarray,
    spans: list[KeySpan],
    *,
    size: int = 2,
    k: int = 10,
    queries: int = 200,
    seed: int = 0,
) -> tuple[float, int]:
    """Mean precision of the k best products for combinations of attributes.

    Queries are combinations of ``size`` keys drawn from products that have them, kept when at
    least k products are right. A product's score is the sum of its log-probabilities. Products
    about which any attribute of the query is unknown are not ranked.

    Returns:
        The mean precision, and the number of queries (0, 0 if there are none).
    """
    rng = np.random.default_rng(seed)
    log_p = -np.logaddexp(0.0, -scores)
    key_of = np.zeros(truth.shape[1], dtype=int)
    for number, span in enumerate(spans):
        key_of[span.start : span.stop] = number
    seen: set[tuple[int, ...]] = set()
    found: list[float] = []
    candidates = rng.permutation(np.flatnonzero(truth.any(axis=1)))[: 20 * queries]
    for row in candidates.tolist():
        held = rng.permutation(np.flatnonzero(truth[row]))
        _, first = np.unique(key_of[held], return_index=True)
        columns = tuple(sorted(held[np.sort(first)][:size].tolist()))
        if len(columns) < size or columns in seen:
            continue
        seen.add(columns)
        wanted = list(columns)
        right = np.asarray(truth[:, wanted].all(axis=1))
        wrong = (known[:, wanted] & ~truth[:, wanted]).any(axis=1)
        if right.sum() < k or not wrong.any():
            continue
        ranked = np.where(right | wrong, log_p[:, wanted].sum(axis=1), -np.inf)
        best = np.argsort(-ranked, kind="stable")[:k]
        found.append(float(right[best].mean()))
        if len(found) == queries:
            break
    return (float(np.mean(found)), len(found)) if found else (0.0, 0)


def retrieval_report(
    scores: dict[str, np.ndarray],
    there: dict[str, np.ndarray],
    positive: np.ndarray,
    weight: np.ndarray,
    spans: list[KeySpan],
    seed: int = 0,
) -> pl.DataFrame:
    """Recall figures by modality, beside two baselines that look at no product.

    Args:
        scores: Log-odds ``[n, e]`` by modality (``both``, ``image``, ``text``).
        there: By modality which products have it, bool ``[n]``: only these are asked about.
        positive: ``[n, e]`` 1 where the entry holds.
        weight: ``[n, e]``, 0 where nothing is known.
        spans: Columns of each key.
        seed: Of the random baseline and of the queries.

    Returns:
        ``modality, method, figure, value, n``; methods ``encoder``, ``frequency``, ``random``.
    """
    every, labelled = (positive > 0) & (weight > 0), weight > 0
    rng = np.random.default_rng(seed)
    methods = [(modality, "encoder", values) for modality, values in scores.items()]
    methods += [
        ("none", "frequency", np.tile(every.sum(axis=0).astype(float), (len(every), 1))),
        ("none", "random", rng.random(every.shape)),
    ]
    rows: list[dict] = []
    for modality, method, values in methods:
        has = there[modality][:, None] if modality in there else True
        truth, known = every & has, labelled & has
        figures = attribute_recall(values, truth)
        n = int(truth.any(axis=1).sum())
        rows += [
            {"modality": modality, "method": method, "figure": name, "value": value, "n": n}
            for name, value in figures.items()
        ]
        for size in (1, 2, 3):
            value, queries = composed_precision(values, truth, known, spans, size=size, seed=seed)
            if queries:
                name = "p_at_10" if size == 1 else f"p_at_10_of_{size}"
                rows.append(
                    {
                        "modality": modality,
                        "method": method,
                        "figure": name,
                        "value": value,
                        "n": queries,
                    }
                )
    return pl.DataFrame(rows, schema=REPORT_SCHEMA)
