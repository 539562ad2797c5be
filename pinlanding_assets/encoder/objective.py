"""The losses: one sigmoid an attribute, a softmax within each key, contrast over combinations.

Plain contrastive loss is wrong for attributes: every red product of a batch answers "red". The
sigmoid over the vocabulary (SigLIP) sets thresholds well, the contrast ranks combinations well
(reference trial: 0.79 against 0.73 thresholded precision, but 0.72 against 0.91 Hit@1 on three
attributes), so both are used.
"""

from typing import TYPE_CHECKING

import numpy as np

from pinlanding_assets.encoder.targets import KeySpan, Targets

if TYPE_CHECKING:
    import torch


def attribute_loss(
    logits: "torch.Tensor",
    positive: "torch.Tensor",
    weight: "torch.Tensor",
    spans: list[KeySpan],
    *,
    ranking: float,
    smoothing: float,
    sigmoid: float = 1.0,
) -> "torch.Tensor":
    """Multi-positive sigmoid over all known entries plus a softmax over each known key's values.

    Args:
        logits: ``[n, e]`` log-odds.
        positive: ``[n, e]`` 1 where the entry holds.
        weight: ``[n, e]`` trust, 0 where unknown (masked out).
        spans: Columns of each key.
        ranking: Weight of the softmax.
        smoothing: Share of the softmax target spread over the key's known values.
        sigmoid: Weight of the sigmoid. Where a key is stated its other values are the negatives:
            these are the hard ones, and nearly all there are.
    """
    import torch
    from torch.nn import functional

    each = functional.binary_cross_entropy_with_logits(logits, positive, reduction="none")
    loss = sigmoid * (each * weight).sum() / len(logits)
    if not ranking:
        return loss
    ranked = logits.new_zeros(())
    for span in spans:
        block = slice(span.start, span.stop)
        holds, known = positive[:, block], weight[:, block] > 0
        count = holds.sum(1, keepdim=True)
        share = (1 - smoothing) * holds / count.clamp(min=1)
        share = share + smoothing * known / known.sum(1, keepdim=True).clamp(min=1)
        log_p = torch.where(known, logits[:, block], -1e4).log_softmax(1)
        sure = (weight[:, block] * holds).amax(1)  # 0 where the key is unknown
        ranked = ranked - ((torch.where(known, share * log_p, 0.0)).sum(1) * sure).sum()
    return loss + ranking * ranked / len(logits)


def composition_loss(
    vectors: "torch.Tensor",
    known: "torch.Tensor",
    scale: "torch.Tensor",
    positive: "torch.Tensor",
    weight: "torch.Tensor",
    generator: "torch.Generator",
    *,
    hard_negatives: float = 1.0,
) -> "torch.Tensor":
    """Each product against combinations of 1-3 attributes: the batch's products that have all of
    them are the answers, those that lack one the distractors, and unknown ones are left out.
    Distractors with all attributes but one (its key has another value) count ``hard_negatives``
    times, as if the batch held that many (Robinson et al. 2021)."""
    import torch
    from torch.nn import functional

    positive, weight = positive.to(vectors.device), weight.to(vectors.device)
    draw = torch.rand(positive.shape, generator=generator).to(vectors.device) * positive
    sizes = torch.randint(1, 4, (len(draw),), generator=generator).to(vectors.device)
    ranks = draw.argsort(1, descending=True).argsort(1)
    chosen = ((ranks < sizes.unsqueeze(1)) & (draw > 0)).to(vectors.dtype)  # [queries, e]
    queries = functional.normalize(chosen @ known, dim=1)
    size = chosen.sum(1, keepdim=True)
    lacks = chosen @ ((1 - positive) * (weight > 0)).T > 0
    carried = chosen @ positive.T
    has = (carried >= size) & (size > 0)
    hard = lacks & (size > 1) & (carried == size - 1)
    logits = scale * queries @ vectors.T + hard * float(np.log(hard_negatives))
    logits = torch.where(has | lacks, logits, -1e4)
    answer = torch.where(has, logits, -1e4).logsumexp(1) - has.sum(1).clamp(min=1).log()
    usable = has.any(1) & lacks.any(1)
    return ((logits.logsumexp(1) - answer) * usable).sum() / usable.sum().clamp(min=1)


def column_weights(targets: Targets, balance: float) -> np.ndarray:
    """Weight of each entry, rare ones up; whole columns, so that probabilities keep meaning."""
    count = (targets.positive * targets.weight).sum(axis=0)
    typical = np.median(count[count > 0]) if (count > 0).any() else 1.0
    return np.clip((typical / np.maximum(count, 1.0)) ** balance, 0.3, 3.0).astype(np.float32)
