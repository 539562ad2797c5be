import numpy as np
import polars as pl
import pytest

from pinlanding_assets.clusters.clustering import (
    CLUSTERS_SCHEMA,
    MEMBERS_SCHEMA,
    cluster,
    product_vectors,
)
from pinlanding_assets.clusters.review import REVIEW_SCHEMA, for_review

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


def test_a_name_says_what_only_a_part_of_a_group_is():
    blue = [product for product, kind in zip(IDS, KINDS, strict=True) if kind == "coat"][:9]
    some = pl.DataFrame({"product_id": blue}).with_columns(
        entry_id=pl.lit("color=blue"), key=pl.lit("color"), value=pl.lit("blue")
    )
    clusters, _ = cluster(EMBEDDINGS, pl.concat([ASSIGNMENTS, some]), clusters=3)
    assert set(clusters["label"]) == {"dress", "coat, partly blue", "hat"}


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


def test_numbers_and_names_stay_from_night_to_night():
    random = np.random.default_rng(5)
    kinds, colours = random.integers(0, 8, 3_000), random.integers(0, 5, 3_000)
    basis = np.eye(16)
    vectors = basis[kinds] + 0.6 * basis[8 + colours] + random.normal(0, 0.12, (3_000, 16))
    ids = [f"p{n}" for n in range(3_000)]
    embeddings = pl.DataFrame({"product_id": ids, "vector": vectors.tolist()})
    named = [("kind", f"k{k}") for k in kinds] + [("colour", f"c{c}") for c in colours]
    assignments = pl.DataFrame(
        {
            "product_id": ids * 2,
            "entry_id": [f"{key}={value}" for key, value in named],
            "key": [key for key, _ in named],
            "value": [value for _, value in named],
        }
    )
    tonight, tomorrow = (
        cluster(embeddings.filter(pl.col("product_id").is_in(some)), assignments)
        for some in (ids[:2_900], ids[60:])
    )
    both = tonight[1].join(tomorrow[1], on="product_id", suffix="_next")
    assert (both["cluster_id"] == both["cluster_id_next"]).mean() > 0.85
    names = tonight[0].join(tomorrow[0], on="cluster_id", suffix="_next")
    assert names.height >= 0.9 * tonight[0].height
    assert (names["label"] == names["label_next"]).mean() > 0.9


@pytest.mark.parametrize("named", [True, False])
def test_a_group_that_attributes_do_not_explain_is_for_review(named):
    """30 hats, half of them with an anchor that the vocabulary knows or not."""
    ids = [f"p{n:02}" for n in range(90)]
    kind = [("dress", "coat", "hat")[n // 30] for n in range(90)]
    anchored = [n >= 75 for n in range(90)]
    pairs = [(p, "type", k) for p, k in zip(ids, kind, strict=True)]
    # the colours of the anchored ones are those of all others
    pairs += [(p, "color", ("red", "blue", "grey")[n % 3]) for n, p in enumerate(ids)]
    if named:
        pairs += [(p, "print", "anchor") for p, anchor in zip(ids, anchored, strict=True) if anchor]
    assignments = pl.DataFrame(
        [(p, f"{key}={value}", key, value) for p, key, value in pairs],
        schema=["product_id", "entry_id", "key", "value"], orient="row",
    )  # fmt: skip
    titles = pl.DataFrame(
        {
            "product_id": ids,
            "title": [f"{'anchor ' * a}{k} for you" for k, a in zip(kind, anchored, strict=True)],
        }
    )
    aliases = pl.DataFrame({"raw_value": sorted({value for _, _, value in pairs})})
    # groups by hand: what is explained does not depend on how they were found
    group = [3 if anchor else n // 30 for n, anchor in enumerate(anchored)]
    members = pl.DataFrame({"product_id": ids, "cluster_id": group, "similarity": [0.9] * 90})
    labels = [("dress", ["type=dress"]), ("coat", ["type=coat"]), ("hat", ["type=hat"])]
    labels.append(("anchor", ["type=hat", "print=anchor"]) if named else ("red", ["color=red"]))
    clusters = pl.DataFrame(
        [(n, group.count(n), label, entries) for n, (label, entries) in enumerate(labels)],
        schema=CLUSTERS_SCHEMA, orient="row",
    )  # fmt: skip
    found = for_review(clusters, members, assignments, titles, aliases)
    assert found.schema == pl.Schema(REVIEW_SCHEMA)
    if named:
        assert found.is_empty()
        return
    row = found.row(0, named=True)
    assert (found.height, row["cluster_id"], row["words"]) == (1, 3, ["anchor"])
    # 5 of 15 are red, of 30 red ones in all
    assert row["explained"] == pytest.approx(2 * 5 / (15 + 30), abs=1e-6)
    assert row["explanation"] == ["color=red"]
