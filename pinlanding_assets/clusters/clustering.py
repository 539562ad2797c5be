"""Groups of products that look and read alike, named by the attributes they stand out by.

A group is known by the product that it grew from. These seeds are chosen by a hash of their ids, so
that a night's new and withdrawn products move few of them: numbers and names stay, without memory
of the night before.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

CLUSTERS_SCHEMA = {
    "cluster_id": pl.Int64,
    "size": pl.Int64,
    "label": pl.String,
    "entries": pl.List(pl.String),
}
MEMBERS_SCHEMA = {"product_id": pl.String, "cluster_id": pl.Int64, "similarity": pl.Float64}
_SAMPLE = 20_000  # products that the centres are found on, chosen by hash as the seeds are
_BLOCK = 65_536  # products whose vectors are averaged at once
_SURE = 1.0  # standard errors from which an entry counts as over-represented
_LABELS = 5  # entries kept a cluster
_COMMON = 1 / 3  # share of a cluster from which an entry is said of it as a whole
_PRIOR = 10.0  # pseudo-mentions, spread over the entries as the whole catalog has them


def cluster(
    embeddings: pl.DataFrame,
    assignments: pl.DataFrame,
    *,
    clusters: int | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Spherical k-means from fixed seeds over product vectors -> (clusters, members).

    Args:
        embeddings: product_id, vector (array of d floats); several rows of a product (one an
            image) are averaged.
        assignments: `product_attributes.assignments`, for the labels.
        clusters: How many; None: about sqrt(products / 2), at most 500.

    Returns:
        Clusters, largest first, and members with their cosine similarity to the centre.
        `cluster_id` follows from the product that the cluster grew from.
    """
    ids, vectors = product_vectors(embeddings)
    if not ids:
        return pl.DataFrame(schema=CLUSTERS_SCHEMA), pl.DataFrame(schema=MEMBERS_SCHEMA)
    wanted = clusters or min(500, max(1, round(math.sqrt(len(ids) / 2))))
    numbers, labels = _k_means(ids, vectors, min(wanted, len(ids)))
    centres = np.zeros((len(numbers), vectors.shape[1]))
    np.add.at(centres, labels, vectors)
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    similarity = np.einsum("ij,ij->i", vectors, centres[labels])
    members = pl.DataFrame(
        {"product_id": ids, "cluster_id": numbers[labels], "similarity": similarity.round(6)},
        schema=MEMBERS_SCHEMA,
    )
    sizes = members.group_by("cluster_id").agg(size=pl.len().cast(pl.Int64)).sort("cluster_id")
    named = sizes.join(_over_represented(members, assignments), on="cluster_id", how="left")
    described = named.with_columns(
        pl.col("entries").fill_null([]),
        label=pl.coalesce("label", pl.format("cluster {}", pl.col("cluster_id"))),
    )
    ordered = described.sort(["size", "cluster_id"], descending=[True, False])
    return ordered.select(*CLUSTERS_SCHEMA), members


def product_vectors(embeddings: pl.DataFrame) -> tuple[list[str], np.ndarray]:
    """Sorted product ids and their unit vectors (n, d) float32, images of a product averaged.

    Vectors that are not finite or have no length are left out.
    """
    given = embeddings.select("product_id", "vector").drop_nulls()
    if given.is_empty():
        return [], np.zeros((0, 1), dtype=np.float32)
    width = len(given["vector"][0])
    ordered = given.select("product_id").with_row_index("row").sort("product_id", "row")
    ids, order = ordered["product_id"], ordered["row"]
    starts = np.flatnonzero((ids != ids.shift()).fill_null(True).to_numpy())
    unit = np.empty((len(starts), width), dtype=np.float32)
    usable = np.empty(len(starts), dtype=bool)
    for first in range(0, len(starts), _BLOCK):  # a million vectors in float64 are a gigabyte
        block = starts[first : first + _BLOCK]
        end = starts[first + _BLOCK] if first + _BLOCK < len(starts) else len(ids)
        rows = given["vector"].gather(order[int(block[0]) : int(end)])
        vectors = rows.cast(pl.Array(pl.Float64, width)).to_numpy()
        means = np.add.reduceat(vectors, block - block[0], axis=0)
        norms = np.linalg.norm(means, axis=1)
        found = np.isfinite(norms) & (norms > 1e-9)
        norms[~found] = 1.0
        unit[first : first + len(block)] = means / norms[:, None]
        usable[first : first + len(block)] = found
    names = ids.gather(starts)
    if usable.all():
        return names.to_list(), unit
    return names.filter(pl.Series(usable)).to_list(), unit[usable]


def _k_means(
    ids: Sequence[str], vectors: np.ndarray, clusters: int
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the clusters, and for every row which of them it is in; the same on every run and
    machine load."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    hashes = np.array([_hash(product_id) for product_id in ids])
    sample = np.argsort(hashes, kind="stable")[:_SAMPLE]
    _, first = np.unique(vectors[sample], axis=0, return_index=True)
    seeds = sample[np.sort(first)][:clusters]  # equal ones would be one centre
    with threadpool_limits(1):  # threads would add in another order every time
        options: dict[str, Any] = {"init": vectors[seeds], "n_init": 1, "max_iter": 50}
        model = KMeans(len(seeds), **options)
        labels = model.fit(vectors[sample]).predict(vectors)
    used, labels = np.unique(labels, return_inverse=True)
    return hashes[seeds][used], labels


def _hash(product_id: str) -> int:
    """A number of at most 52 bits, so that it survives JSON and JavaScript."""
    return int(hashlib.sha256(product_id.encode()).hexdigest()[:13], 16)


def _over_represented(members: pl.DataFrame, assignments: pl.DataFrame) -> pl.DataFrame:
    """cluster_id, entries, label: the entries a cluster has more of than the other products.

    Log-odds ratio with an informative Dirichlet prior, in standard errors (Monroe, Colaresi and
    Quinn 2008, "Fightin' Words").
    """
    sizes = members.group_by("cluster_id").agg(size=pl.len())
    labelled = (
        assignments.select("product_id", "entry_id", "key", "value")
        .unique(["product_id", "entry_id"])
        .join(members.select("product_id", "cluster_id"), on="product_id")
    )
    counts = labelled.group_by("cluster_id", "entry_id").agg(
        pl.col("key").min(), pl.col("value").min(), here=pl.len().cast(pl.Float64)
    )
    here, everywhere, prior = pl.col("here"), pl.col("everywhere"), pl.col("prior")
    elsewhere = everywhere - here
    in_cluster, in_all = here.sum().over("cluster_id"), here.sum()
    rest = in_all - in_cluster - elsewhere
    scored = (
        counts.with_columns(everywhere=here.sum().over("entry_id"))
        .with_columns(prior=_PRIOR * everywhere / in_all)
        .with_columns(
            odds=((here + prior) / (in_cluster - here + _PRIOR - prior)).log()
            - ((elsewhere + prior) / (rest + _PRIOR - prior)).log(),
            variance=1.0 / (here + prior) + 1.0 / (elsewhere + prior),
        )
        .with_columns(z=(pl.col("odds") / pl.col("variance").sqrt()).round(6))
        .join(sizes, on="cluster_id")
        .with_columns(carried=here / pl.col("size"))
        .filter(pl.col("z") > _SURE)
        .sort(["cluster_id", "z", "entry_id"], descending=[False, True, False])
        .group_by("cluster_id", maintain_order=True)
        .agg(pl.col("entry_id", "key", "value", "carried").head(_LABELS))
    )
    return scored.select(
        "cluster_id",
        entries="entry_id",
        label=pl.struct("key", "value", "carried").map_elements(
            lambda row: _label(row["key"], row["value"], row["carried"]), return_dtype=pl.String
        ),
    )


def _label(keys: Sequence[str], values: Sequence[str], carried: Sequence[float]) -> str:
    """Up to three values, the strongest of each key: those that many of its products carry, then,
    said to be of a part, the others. "hoodie, partly navy": more are navy than elsewhere, not many.
    """
    strongest: dict[str, int] = {}
    for at, key in enumerate(keys):
        strongest.setdefault(key, at)
    named = list(strongest.values())[:3]
    many = [values[at] for at in named if carried[at] >= _COMMON]
    some = [values[at] for at in named if carried[at] < _COMMON]
    return ", ".join([*many, f"partly {', '.join(some)}"] if some else many)
