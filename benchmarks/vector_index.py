"""Qdrant Edge, as the vector index uses it, against hnswlib and faiss: build, and 200 queries.

Vectors are clustered and of length 1. Recall is against an exact scan. Run from the repository:

    OMP_NUM_THREADS=1 python -m benchmarks.vector_index [--points 10000 100000] [--runs 3]
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import hnswlib
import numpy as np

from benchmarks.results import Figure, record, timed
from resources.vector_index import VectorIndex

DIM, QUERIES, LIMIT = 128, 200, 10


def clustered(points: int, seed: int = 0) -> np.ndarray:
    """Unit vectors around one centre in a hundred points."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, points // 100), DIM), dtype=np.float32)
    found = centres[rng.integers(len(centres), size=points)]
    found = found + 0.7 * rng.standard_normal((points, DIM), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def edge(vectors: np.ndarray, folder: Path) -> Callable[[np.ndarray], Any]:
    """The index of the platform, published; what answers queries."""
    index = VectorIndex(location=str(folder))
    index.publish("v1", [str(n) for n in range(len(vectors))], vectors)
    return lambda queries: [
        [int(hit.product_id) for hit in row] for row in index.search(queries, LIMIT)
    ]


def hnsw(vectors: np.ndarray, folder: Path) -> Callable[[np.ndarray], Any]:
    """hnswlib with the usual graph."""
    del folder
    index = hnswlib.Index("ip", DIM)
    index.init_index(len(vectors), M=16, ef_construction=100, random_seed=0)
    index.add_items(vectors, num_threads=1)
    index.set_ef(64)
    return lambda queries: index.knn_query(queries, LIMIT, num_threads=1)[0]


def flat(vectors: np.ndarray, folder: Path) -> Callable[[np.ndarray], Any]:
    """faiss, exact."""
    del folder
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)  # type: ignore[call-arg]
    return lambda queries: index.search(queries, LIMIT)[1]  # type: ignore[call-arg]


def measure(points: int, runs: int) -> list[Figure]:
    """Build and query, each peer beside ours."""
    vectors = clustered(points)
    queries = clustered(points, seed=1)[:QUERIES]
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :LIMIT]
    builds: dict[str, list[float]] = {}
    asked: dict[str, list[float]] = {}
    recall: dict[str, float] = {}
    for _ in range(runs):
        for name, build in (("edge", edge), ("hnswlib", hnsw), ("faiss flat", flat)):
            with tempfile.TemporaryDirectory() as folder:
                made: list[Any] = []
                builds.setdefault(name, []).append(
                    timed(lambda build=build, f=folder, m=made: m.append(build(vectors, Path(f))))
                )
                answers: list[Any] = []
                asked.setdefault(name, []).append(
                    timed(lambda m=made, a=answers: a.append(m[0](queries)))
                )
                hits = [len(set(a) & set(e)) for a, e in zip(answers[0], exact, strict=True)]
                recall[name] = float(np.mean(hits)) / LIMIT
    figures = []
    for peer in ("hnswlib", "faiss flat"):
        note = f"recall@10 {recall['edge']:.3f}, peer {recall[peer]:.3f}"
        for what, seconds, scale, unit in (
            ("build", builds, 1.0, "CPU-s"),
            ("query", asked, 1e3 / QUERIES, "CPU-ms"),
        ):
            ratios = [a / b for a, b in zip(seconds["edge"], seconds[peer], strict=True)]
            name = f"vector index, {what}, {points:,} points, over {peer}"
            ours, theirs = (median(seconds[who]) * scale for who in ("edge", peer))
            figures.append(Figure(name, ours, theirs, median(ratios), unit, peer, runs, note=note))
    return figures


def main() -> None:
    """Parse arguments, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    for points in arguments.points:
        record(measure(points, arguments.runs))


if __name__ == "__main__":
    main()
