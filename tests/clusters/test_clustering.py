import numpy as np
import polars as pl

from pinlanding_assets.clusters.clustering import (
    CLUSTERS_SCHEMA,
    MEMBERS_SCHEMA,
    cluster,
    product_vectors,
)

RANDOM = np.random.default_rng(0)
IDS = [f"p{n:03}" for n in range(90)]
KINDS = [("dress", "coat", "hat")[n % 3] for n in range(90)]
CENTRES = {"dress": [1, 0, 0, 0], "coat": [0, 1, 0, 0], "hat": [0, 0, 1, 0]}


def embedded():
    vectors = np.array([CENTRES[kind] for kind in KINDS]) + RANDOM.normal(0, 0.05, (90, 4))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return pl.DataFrame(
        {"product_id": IDS, "vector": pl.Series(unit, dtype=pl.Array(pl.Float64, 4))}
    ).cast({"vector": pl.Array(pl.Float32, 4)})


EMBEDDINGS = embedded()
ASSIGNMENTS = pl.DataFrame(
    {
        "product_id": IDS * 2,
        "entry_id": [f"type={kind}" for kind in KINDS] + ["color=red"] * 90,
        "key": ["type"] * 90 + ["color"] * 90,
        "value": KINDS + ["red"] * 90,
    }
)


def test_groups_are_found_and_named_by_what_sets_them_apart():
    clusters, members = cluster(EMBEDDINGS, ASSIGNMENTS, clusters=3)
    assert clusters.schema == pl.Schema(CLUSTERS_SCHEMA)
    assert members.schema == pl.Schema(MEMBERS_SCHEMA)
    assert clusters["size"].to_list() == [30, 30, 30]
    assert set(clusters["label"]) == {"dress", "coat", "hat"}  # all are red: that names none
    assert members["product_id"].to_list() == IDS
    assert members["similarity"].min() > 0.95
    found = members.with_columns(kind=pl.Series(KINDS)).group_by("cluster_id").agg("kind")
    assert all(len(set(kinds)) == 1 for kinds in found["kind"])


def test_the_same_whatever_the_order_of_rows():
    shuffled = EMBEDDINGS.sample(fraction=1.0, shuffle=True, seed=3)
    one, other = cluster(EMBEDDINGS, ASSIGNMENTS), cluster(shuffled, ASSIGNMENTS.reverse())
    assert one[0].equals(other[0])
    assert one[1].equals(other[1])


def test_small_and_empty_catalogs():
    clusters, members = cluster(EMBEDDINGS.head(1), ASSIGNMENTS)
    assert clusters["size"].to_list() == [1]
    assert clusters["label"].item()
    assert cluster(EMBEDDINGS.head(2), ASSIGNMENTS.clear(), clusters=9)[1].height == 2
    clusters, members = cluster(EMBEDDINGS.clear(), ASSIGNMENTS)
    assert clusters.is_empty()
    assert members.is_empty()


def test_vectors_of_a_product_are_averaged_and_bad_ones_left_out():
    frame = pl.DataFrame(
        {
            "product_id": ["b", "a", "b", "zero", "nan"],
            "vector": [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0], [float("nan"), 1.0]],
        }
    )
    ids, vectors = product_vectors(frame)
    assert ids == ["a", "b"]
    np.testing.assert_allclose(vectors, [[0, 1], [0.5**0.5, 0.5**0.5]], atol=1e-6)
