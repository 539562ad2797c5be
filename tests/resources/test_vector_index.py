"""Both engines of the vector index answer alike, and a bad build never takes over.

No package holds a Qdrant server, so `server` is qdrant-client's own in-memory implementation behind
the same calls. Lost and refused requests are shown on a small HTTP server that speaks the routes.
"""

import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from resources.qdrant_engines import UPSERT_BYTES, EdgeEngine, ServerEngine
from resources.vector_index import IndexUnfit, VectorIndex


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
    assert sorted(index._engine.versions()) == ["v2", "v3"]
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
    index._engine.create("v1", 16, [])
    index._engine.add("v1", 0, ["stale"] * 20, data, {})
    index.publish("v1", [f"p{i}" for i in range(20)], data)
    assert index.search(data[:1], 1)[0][0].product_id == "p0"


def test_a_search_asks_for_what_a_point_carries(index):
    data, ids = vectors(60), [f"p{i}" for i in range(60)]
    payload = {
        "availability": ["in_stock", "out_of_stock", "preorder"] * 20,
        "seller": ["a", "b"] * 30,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Payload indexes have no effect")
        index.publish("v1", ids, data, payload=payload)
    for where, step, start in (
        ({"availability": "in_stock"}, 3, 0),
        ({"availability": "preorder", "seller": "a"}, 6, 2),
    ):
        fit = np.arange(start, 60, step)
        nearest = fit[np.argsort(-(data[fit] @ data[7]), kind="stable")]
        found = index.search(data[7:8], 60, where)[0]
        assert [hit.product_id for hit in found] == [ids[i] for i in nearest]
        np.testing.assert_allclose([hit.score for hit in found], data[nearest] @ data[7], atol=1e-5)
    assert index.search(data[:1], 5, {"seller": "nobody"}) == [[]]


def test_points_may_be_written_twice_and_a_version_switched_back(index):
    engine, data = index._engine, vectors(10)
    index.publish("v1", [f"one-{i}" for i in range(10)], data)
    engine.create("v2", 16, [])
    for _ in range(2):
        engine.add("v2", 0, [f"two-{i}" for i in range(10)], data, {})
    engine.finish("v2")
    assert engine.count("v2") == 10
    assert engine.alias() == "v1"
    engine.switch("v2")
    assert index.search(data[:1], 1)[0][0].product_id == "two-0"
    engine.switch("v1")
    assert index.search(data[:1], 1)[0][0].product_id == "one-0"
    assert sorted(engine.versions()) == ["v1", "v2"]
    engine.drop("v2")
    assert engine.versions() == ["v1"]


def test_an_index_without_points_is_an_index(index):
    assert index.publish("v1", [], np.zeros((0, 16), np.float32))["points"] == 0
    assert index.search(vectors(1), 3) == [[]]


class Faulty(ThreadingHTTPServer):
    """Answers the routes of an upload and a count; every first try of a request goes wrong."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FaultyHandler)
        self.tries: dict[str, int] = {}
        self.points: dict[int, dict] = {}
        self.largest = 0
        self.faults = ["busy", "broken", "dropped", "half"]


class FaultyHandler(BaseHTTPRequestHandler):
    server: Faulty

    def log_message(self, *_): ...

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.largest = max(self.server.largest, len(body))
        request = f"{self.command} {self.path} {hash(body)}"
        tries = self.server.tries[request] = self.server.tries.get(request, 0) + 1
        if "/points" in self.path and tries <= len(self.server.faults):
            return self.fail(self.server.faults[tries - 1])
        result: object = {"operation_id": 1, "status": "completed"}
        if self.path.endswith("/points/count"):
            result = {"count": len(self.server.points)}
        elif "/points" in self.path:
            self.server.points |= {point["id"]: point for point in json.loads(body)["points"]}
        return self.send(200, json.dumps({"result": result, "status": "ok", "time": 0.0}))

    do_GET = do_PUT = do_POST = answer

    def fail(self, fault: str) -> None:
        if fault == "busy":
            self.send(429, "{}", {"Retry-After": "0"})
        elif fault == "broken":
            self.send(503, "overloaded")
        elif fault == "wrong":
            self.send(400, "no such vector")
        elif fault == "half":
            self.send(200, '{"result": {"operation')
        else:
            self.connection.close()

    def send(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def faulty():
    pytest.importorskip("qdrant_client", reason="extra 'remote' not installed")
    server = Faulty()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def engine_of(faulty: Faulty) -> ServerEngine:
    from qdrant_client import QdrantClient

    url = f"http://127.0.0.1:{faulty.server_port}"
    client = QdrantClient(url, timeout=60, check_compatibility=False)
    return ServerEngine(client, "products", backoff_seconds=0.001)


def test_requests_that_get_lost_or_refused_are_sent_again_in_bounded_parts(faulty):
    wide = np.ones((2_000, 2_048), np.float32)
    engine_of(faulty).add("v1", 0, [f"p{i}" for i in range(2_000)], wide, {})
    assert sorted(faulty.points) == list(range(2_000))
    assert engine_of(faulty).count("v1") == 2_000
    assert faulty.largest < UPSERT_BYTES


def test_a_server_that_stays_away_and_a_wrong_request_are_errors(faulty):
    from qdrant_client.http.exceptions import UnexpectedResponse

    faulty.faults = ["broken"] * 100
    with pytest.raises(UnexpectedResponse, match="503"):
        engine_of(faulty).count("v1")
    assert max(faulty.tries.values()) == 6
    faulty.faults = ["wrong"]
    with pytest.raises(UnexpectedResponse, match="400"):
        engine_of(faulty).count("v2")
    assert faulty.tries[next(k for k in faulty.tries if "v2" in k)] == 1
