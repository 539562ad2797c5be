"""Which products are held out together: folds that no photo, text, parent or source leaks across.

Held-out figures say something about products without labels only if the two are as far apart as
those are from the labelled ones. Variants share texts, copies share photos; and where the products
without labels come from other sellers than the labelled ones, sellers are held out as a whole.
"""

import hashlib
import io
from collections.abc import Sequence

import numpy as np

NEAR_LEVELS = 3.0
"""Mean difference of two thumbnails (of 255) up to which they are one photo: copies at half size
and JPEG quality 60 stay under 3.2, different photos of real clothes over 9."""
LARGEST = 0.4
"""Share of the products up to which a group may grow; beyond, what joins it is no sign of a copy
(one title for all)."""


def joined(parts: Sequence[Sequence[str | None]], folds: int) -> list[str]:
    """Group names of ``n`` products that share a name in one of the ``parts``, each ``[n]``.

    Parts are taken in their order as long as at least ``folds`` groups stay and none grows beyond
    ``LARGEST``; a part that would join more than that is left out.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(parts[0])
    group = np.arange(n)
    rows, columns = [np.arange(n)], [np.arange(n)]
    for names in parts:
        first: dict[str, int] = {}
        links = [(row, first.setdefault(name, row)) for row, name in enumerate(names) if name]
        found = np.array(links, dtype=np.int64).reshape(-1, 2)
        tried = [*rows, found[:, 0]], [*columns, found[:, 1]]
        at = tuple(np.concatenate(side) for side in tried)
        graph = coo_array((np.ones(len(at[0]), dtype=bool), at), shape=(n, n))
        count, labels = connected_components(graph, directed=False)
        if count >= min(folds, n) and np.bincount(labels).max() <= max(1, LARGEST * n):
            rows, columns, group = *map(list, tried), labels
    return [f"group {number}" for number in group.tolist()]


def photo_names(hashes: Sequence[str | None], images: dict[str, bytes]) -> list[str | None]:
    """The first of the photos that look the same, for each product; None without a photo."""
    names = sorted(images)
    signatures = [image_signature(images[name]) for name in names]
    found = near_duplicates(np.array(signatures)) if names else np.zeros(0, dtype=np.int64)
    first: dict[int, str] = {}
    for name, group in zip(names, found.tolist(), strict=True):
        first.setdefault(group, name)
    group_of = dict(zip(names, (first[group] for group in found.tolist()), strict=True))
    return [group_of[name] if name else None for name in hashes]


def image_signature(data: bytes) -> np.ndarray:
    """An 8 x 8 colour thumbnail ``[192]`` uint8: what stays of a photo rescaled and saved again."""
    from PIL import Image

    small = Image.open(io.BytesIO(data)).convert("RGB").resize((8, 8), Image.Resampling.BOX)
    return np.asarray(small).reshape(-1)


def near_duplicates(signatures: np.ndarray) -> np.ndarray:
    """Group number of each signature ``[n, 192]``; near ones share it (``NEAR_LEVELS``)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    n = len(signatures)
    fine = signatures.astype(np.float32)
    # Quadrant means differ no more than the thumbnails do: an exact and cheap first sieve.
    coarse = fine.reshape(n, 2, 4, 2, 4, 3).mean(axis=(2, 4)).reshape(n, 12)
    pairs = KDTree(coarse).query_pairs(NEAR_LEVELS * 12, p=1, output_type="ndarray")
    near = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), 100_000):
        a, b = pairs[start : start + 100_000].T
        near[start : start + len(a)] = np.abs(fine[a] - fine[b]).mean(axis=1) <= NEAR_LEVELS
    rows, columns = pairs[near].T
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def group_folds(groups: list[str], folds: int, seed: int) -> np.ndarray:
    """Fold number of each row; rows of one group share a fold. Seeded and order-free.

    Raises:
        ValueError: fewer groups than folds.
    """
    names, inverse, counts = np.unique(
        np.asarray(groups, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    if len(names) < folds:
        raise ValueError(f"{len(names)} distinct products cannot be split in {folds} folds")
    shuffled = sorted(
        range(len(names)), key=lambda g: hashlib.sha256(f"{seed}|{names[g]}".encode()).digest()
    )
    fold_of, sizes = np.zeros(len(names), dtype=np.int64), np.zeros(folds, dtype=np.int64)
    for group in shuffled:
        fold = int(sizes.argmin())
        fold_of[group] = fold
        sizes[fold] += counts[group]
    return fold_of[inverse]
