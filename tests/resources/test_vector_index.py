"""Both engines of the vector index answer alike, and a bad build never takes over."""

import warnings

import numpy as np
import pytest

from resources.vector_index import EdgeEngine, IndexUnfit, ServerEngine, VectorIndex


def vectors(count: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(params=["edge", "server"])
def index(request, tmp_path):
    found = VectorIndex(location=str(tmp_path))
    if request.param == "edge":
        engine = EdgeEngine(tmp_path / "products")
    else:
        qdrant_client = pytest.importorskip("qdrant_client", reason="extra 'remote' not installed")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            engine = ServerEngine(qdrant_client.QdrantClient(":memory:"), "products")
    found.__dict__["_engine"] = engine
    return found


def test_it_finds_what_an_exact_scan_finds(index):
    data, ids = vectors(300), [f"p{i}" for i in range(300)]
    assert index.publish("v1", ids, data) == {"points": 300, "recall_at_10": 1.0}
    found = [hit.product_id for hit in index.search(data[:1], 5)[0]]
    assert found == [ids[i] for i in np.argsort(-(data @ data[0]))[:5]]


def test_a_new_version_takes_over_and_old_ones_go(index):
    for number in range(4):
        data = vectors(50, seed=number)
        index.publish(f"v{number}", [f"{number}-{i}" for i in range(50)], data)
        assert index.search(data[:1], 1)[0][0].product_id == f"{number}-0"
    assert len(index._engine.versions()) == index.keep
    assert index._engine.alias() == "v3"


def test_an_index_that_lost_points_does_not_take_over(index, monkeypatch):
    data = vectors(50)
    index.publish("good", [f"p{i}" for i in range(50)], data)
    monkeypatch.setattr(index._engine, "add", lambda *_: None)
    with pytest.raises(IndexUnfit, match="0 of 50 points"):
        index.publish("bad", [f"p{i}" for i in range(50)], data)
    assert index._engine.alias() == "good"


def test_a_build_that_was_killed_is_made_anew(index):
    data = vectors(20)
    index._engine.create("v1", 16)
    index._engine.add("v1", 0, ["stale"] * 20, data)
    index.publish("v1", [f"p{i}" for i in range(20)], data)
    assert index.search(data[:1], 1)[0][0].product_id == "p0"
