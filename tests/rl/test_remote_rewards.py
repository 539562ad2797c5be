"""Remote scorers, against a real HTTP server, alone and in an ensemble."""

import base64
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from rl_diffusion_assets.policy.judging import Judging
from rl_diffusion_assets.policy.tasks import (
    Prompt,
    Sampling,
    answered_mean,
    ensemble_scores,
    score,
)
from rl_diffusion_assets.policy.trainer import HISTORY
from rl_diffusion_assets.rewards.composition import Wanted
from rl_diffusion_assets.rewards.models import CONFIG, open_reward
from rl_diffusion_assets.rewards.remote import (
    MAX_ANSWER,
    RemoteRewardError,
    RemoteScorer,
    retry_after,
)
from tests.rl.conftest import SMALL, Brightness, Missing, rewards

TOKEN = "top-secret-0123456789"
HOSTILE = [
    'quotes " and \\ and \\u0000 and {} and %s',
    "line\r\nContent-Length: 0\r\n\r\n{",
    "nul \x00 bell \x07 delete \x7f",
    "emoji 👩🏽‍🔧, right to left ‮abc, 全角, e\u0301",
    "half a surrogate pair \ud83d",
    '"], "pictures": [], "scores": [1',
    "<script>alert(1)</script>",
    "",
    "long " * 20_000,
]


class Server(ThreadingHTTPServer):
    """Answers as `reply(body, number)` says: (status, headers, bytes), or bytes for a good one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply: Callable[[Any, int], Any] = lambda body, number: brightness(body)
        self.lock = threading.Lock()
        self.bodies: list[Any] = []
        self.tokens: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}/score"

    def handle_error(self, request, client_address):
        pass  # a client that hung up


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.tokens.append(self.headers["Authorization"])
            number = len(self.server.bodies)
        answer = self.server.reply(body, number)
        status, headers, content = (200, {}, answer) if isinstance(answer, bytes) else answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def decoded(body: Any) -> list[np.ndarray]:
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one, validate=True))))
        for one in body["pictures"]
    ]


def brightness(body: Any) -> bytes:
    return json.dumps({"scores": [float(one.mean()) for one in decoded(body)]}).encode()


@pytest.fixture
def server():
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def remote(server, tmp_path) -> Callable[..., RemoteScorer]:
    """Opens a remote scorer through its folder; keywords are settings."""

    def make(**settings: Any) -> RemoteScorer:
        config = {"kind": "remote", "url": server.url, "batch": 3, "backoff": 0.01} | settings
        return open_reward(folder_of(tmp_path / "remote", config))

    return make


def folder_of(folder: Path, config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(config if isinstance(config, str) else json.dumps(config))
    return folder


def shown(n: int) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 8, 10, 3), dtype=np.uint8), [f"caption {at}" for at in range(n)]


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


# -- asking --------------------------------------------------------------------------------------


def test_scores_come_in_the_order_of_the_pictures(remote, server):
    pictures, captions = shown(10)

    def reply(body, number):
        if body["captions"][0] == "caption 0":
            time.sleep(0.2)  # the first batch is answered last
        return brightness(body)

    server.reply = reply
    scores = remote().score(pictures, captions)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, pictures.mean((1, 2, 3)), rtol=1e-6)
    assert sorted(len(body["captions"]) for body in server.bodies) == [1, 3, 3, 3]
    halved = remote(temperature=2.0).score(pictures, captions)
    np.testing.assert_allclose(halved, scores / 2, rtol=1e-6)


def test_pictures_and_hostile_captions_arrive_as_they_were(remote, server):
    pictures, _ = shown(len(HOSTILE))
    remote(batch=2, parallel=1).score(pictures, HOSTILE)
    assert [caption for body in server.bodies for caption in body["captions"]] == HOSTILE
    arrived = [picture for body in server.bodies for picture in decoded(body)]
    np.testing.assert_array_equal(np.stack(arrived), pictures)


def test_nothing_is_asked_about_no_pictures(remote, server):
    scores = remote().score(np.zeros((0, 8, 8, 3), np.uint8), [])
    assert scores.shape == (0,)
    assert scores.dtype == np.float32
    assert not server.bodies


def test_every_picture_has_a_caption(remote):
    with pytest.raises(ValueError, match="3 pictures, but 2 captions"):
        remote().score(shown(3)[0], ["a", "b"])


def test_requests_are_in_flight_together_and_no_more_than_allowed(remote, server):
    together = threading.Barrier(3)
    flying = {"now": 0, "most": 0}

    def reply(body, number):
        with server.lock:
            flying["now"] += 1
            flying["most"] = max(flying["most"], flying["now"])
        together.wait(10)  # breaks unless three are here at once
        with server.lock:
            flying["now"] -= 1
        return brightness(body)

    server.reply = reply
    scores = remote(batch=2, parallel=3, retries=0).score(*shown(12))
    assert np.isfinite(scores).all()
    assert flying["most"] == 3


def test_the_token_of_the_named_variable_is_sent(remote, server, monkeypatch):
    monkeypatch.setenv("MY_REWARD_TOKEN", f"{TOKEN}\n")  # as from a file
    remote(token_variable="MY_REWARD_TOKEN").score(*shown(1))
    remote().score(*shown(1))
    assert server.tokens == [f"Bearer {TOKEN}", None]


# -- what is missing -----------------------------------------------------------------------------


def test_null_is_a_missing_score(remote, server, caplog):
    server.reply = lambda body, number: json.dumps({"scores": [1.5, None, -2]}).encode()
    np.testing.assert_array_equal(remote().score(*shown(3)), [1.5, np.nan, -2])
    (line,) = caplog.messages
    assert "1 of 3 pictures have no score (1: the endpoint had none)" in line


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_endpoint_is_asked_again_when_it_says(remote, server, status, caplog):
    moments = []

    def reply(body, number):
        moments.append(time.monotonic())
        return (status, {"Retry-After": "1"}, b"busy") if number == 1 else brightness(body)

    server.reply = reply
    pictures, captions = shown(2)
    scores = remote().score(pictures, captions)
    np.testing.assert_allclose(scores, pictures.mean((1, 2, 3)), rtol=1e-6)
    assert 1.0 <= moments[1] - moments[0] < 3.0
    assert server.bodies[0] == server.bodies[1]
    assert not caplog.messages


def test_an_endpoint_that_stays_broken_costs_its_batch_alone(remote, server, caplog, monkeypatch):
    monkeypatch.setenv("MY_REWARD_TOKEN", TOKEN)

    def reply(body, number):
        broken = body["captions"][0] == "caption 3"
        return (500, {}, b"no") if broken else brightness(body)

    server.reply = reply
    with caplog.at_level(logging.INFO):
        scores = remote(retries=2, token_variable="MY_REWARD_TOKEN").score(*shown(8))
    assert np.isnan(scores).tolist() == [False] * 3 + [True] * 3 + [False] * 2
    assert sum(body["captions"][0] == "caption 3" for body in server.bodies) == 3
    mine = [one.getMessage() for one in caplog.records if "remote reward" in one.getMessage()]
    assert mine == [f"remote reward {server.url}: 3 of 8 pictures have no score (3: HTTP 500)"]
    assert TOKEN not in caplog.text


def test_an_endpoint_that_is_not_there_gives_no_score_and_no_error(remote, caplog):
    scorer = remote(url=f"http://127.0.0.1:{closed_port()}/", retries=1)
    assert np.isnan(scorer.score(*shown(7))).all()
    (line,) = caplog.messages
    assert "7 of 7" in line
    assert "ConnectError" in line


@pytest.mark.parametrize("way", ["silent", "trickling", "cut off"])
def test_an_endpoint_that_does_not_finish_gives_no_score(remote, server, way):
    late = threading.Event()

    def reply(body, number):
        if way == "silent":
            late.wait(5)
        return (200, {"Content-Length": "1000"}, b'{"scores": [')

    server.reply = reply
    if way == "trickling":
        server.RequestHandlerClass = Trickler
    began = time.monotonic()
    assert np.isnan(remote(timeout=0.3, retries=0).score(*shown(2))).all()
    late.set()
    assert time.monotonic() - began < 3


class Trickler(Handler):
    """Sends a byte every now and then, so that no single read takes long."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(40):
            self.wfile.write(b" ")
            time.sleep(0.05)


def test_patience_ends(remote, server):
    server.reply = lambda body, number: (503, {"Retry-After": "3600"}, b"")
    began = time.monotonic()
    assert np.isnan(remote(patience=5).score(*shown(2))).all()
    assert len(server.bodies) == 1
    slow = remote(batch=1, parallel=1, patience=0.3, retries=0)

    def reply(body, number):
        time.sleep(0.2)
        return brightness(body)

    server.reply = reply
    scores = slow.score(*shown(20))
    assert np.isfinite(scores[0])
    assert np.isnan(scores[5:]).all()
    assert time.monotonic() - began < 3


def test_retry_after_is_a_number_or_a_date():
    assert retry_after("7") == 7
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 <= retry_after(soon) <= 30
    for nothing in ("", "-3", "soon", "nan", "inf", "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert retry_after(nothing) == 0


# -- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ({"scores": [1, 2]}, "scores: 2 for 3 pictures"),
        ({"scores": [1, 2, 3, 4]}, "scores: 4 for 3 pictures"),
        ({"scores": {"0": 1}}, "scores: the answer has no such list"),
        ({"score": [1, 2, 3]}, "scores: the answer has no such list"),
        ([1, 2, 3], "scores: the answer has no such list"),
        ('{"scores": [1, NaN, 3]}', r"scores\[1\]: not a finite number"),
        ('{"scores": [1, 2, -Infinity]}', r"scores\[2\]: not a finite number"),
        ('{"scores": [1e39, 2, 3]}', r"scores\[0\]: not a finite number"),
        (f'{{"scores": [1{"0" * 400}, 2, 3]}}', r"scores\[0\]: not a finite number"),
        (f'{{"scores": [1{"0" * 9000}, 2, 3]}}', "scores: the answer is not JSON"),
        ({"scores": [1, "2", 3]}, r"scores\[1\]: neither a number nor null"),
        ({"scores": [True, 2, 3]}, r"scores\[0\]: neither a number nor null"),
        ("<html>", "scores: the answer is not JSON"),
        ("", "scores: the answer is not JSON"),
        ("[" * 100_000, "scores: the answer is not JSON"),
        (b"\xff\xfe\x00", "scores: the answer is not JSON"),
        (" " * (MAX_ANSWER + 1), "scores: the answer is larger"),
    ],
)
def test_a_malformed_answer_is_an_error_that_names_it(remote, server, answer, field):
    content = json.dumps(answer) if isinstance(answer, dict | list) else answer
    server.reply = lambda body, number: content if isinstance(content, bytes) else content.encode()
    with pytest.raises(RemoteRewardError, match=field) as wrong:
        remote().score(*shown(3))
    assert server.url in str(wrong.value)
    assert len(server.bodies) == 1  # asking again would not mend it
    assert len(str(wrong.value)) < 300


@pytest.mark.parametrize(
    ("status", "field"),
    [
        (401, "token_variable"),
        (403, "token_variable"),
        (404, "url"),
        (405, "url"),
        (413, "batch"),
        (422, "url"),
        (302, "url"),
        (204, "url"),
    ],
)
def test_a_refusal_is_an_error_that_keeps_the_secrets(
    remote, server, status, field, monkeypatch, caplog
):
    monkeypatch.setenv("MY_REWARD_TOKEN", TOKEN)
    said = f"what is Bearer {TOKEN}?".encode()
    other = {"Location": f"http://127.0.0.1:{server.server_port}/elsewhere"}
    server.reply = lambda body, number: (status, other, b"" if status == 204 else said)
    scorer = remote(url=f"{server.url}?key={TOKEN}", token_variable="MY_REWARD_TOKEN")
    with caplog.at_level(logging.WARNING), pytest.raises(RemoteRewardError) as wrong:
        scorer.score(*shown(2))
    assert f"remote reward {server.url}: {field}: HTTP {status}" in str(wrong.value)
    assert len(server.bodies) == 1  # not followed either
    assert TOKEN not in str(wrong.value) + caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "ftp://host/score"}, "url: .*not an http or https URL"),
        ({"url": "host/score"}, "url: .*not an http or https URL"),
        ({"url": f"https://user:{TOKEN}@host/"}, "url: .*token_variable"),
        ({"url": "http://[::1/"}, "url: .*not a URL"),
        ({"urls": "http://host"}, "urls: Extra"),
        ({"batch": 0}, "batch:"),
        ({"timeout": -1}, "timeout:"),
        ({"temperature": 0}, "temperature:"),
        ({"token_variable": "NO_SUCH_TOKEN"}, "token_variable: .*NO_SUCH_TOKEN"),
        ({"token_variable": "BROKEN_TOKEN"}, "token_variable: .*BROKEN_TOKEN"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_asked(remote, changes, message, monkeypatch):
    monkeypatch.setenv("BROKEN_TOKEN", f"{TOKEN}\nX-Other: 1")
    with pytest.raises(ValueError, match=message) as wrong:
        remote(**changes)
    assert CONFIG in str(wrong.value)
    assert TOKEN not in str(wrong.value)


@pytest.mark.parametrize("text", ["", "remote", "[]", '{"kind": ["remote"]}'])
def test_a_reward_folder_with_something_else_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=CONFIG):
        open_reward(folder_of(tmp_path / "odd", text))


# -- ensembles -----------------------------------------------------------------------------------


def test_local_scorers_compute_while_a_remote_one_is_waited_for(remote, server):
    asked, computing = threading.Event(), threading.Event()
    pictures, captions = shown(3)

    def reply(body, number):
        asked.set()
        computing.wait(10)
        return brightness(body)

    class Local:
        thread: Any = None

        def score(self, pictures, captions):
            self.thread = threading.current_thread()
            computing.set()
            assert asked.wait(10)
            return np.zeros(len(pictures), np.float32)

    server.reply, local = reply, Local()
    scores = ensemble_scores([local, remote(), local], pictures, captions)
    assert local.thread is threading.main_thread()
    np.testing.assert_allclose(scores[1], pictures.mean((1, 2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(scores[[0, 2]], 0)


def test_an_error_of_a_remote_scorer_reaches_the_trainer(remote, server):
    server.reply = lambda body, number: (404, {}, b"")
    prompts = [Prompt(text, Wanted(())) for text in ("a", "b")]
    with pytest.raises(RemoteRewardError, match="404"):
        score(
            "preference",
            rewards(Brightness(), remote()),
            shown(2)[0],
            prompts,
            np.zeros(2, int),
            Sampling(1, 2),
        )


def test_the_mean_of_an_ensemble_is_the_plain_mean_where_all_answered():
    scores = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    np.testing.assert_array_equal(answered_mean(scores), np.mean(list(scores), 0))


def test_a_missing_answer_neither_lifts_nor_lowers_a_picture():
    """One scorer's scale lies 20 above the other's, as PickScore's does."""
    worth = np.random.default_rng(1).normal(size=40)
    scores = np.stack([worth, 20 + worth])
    scores[1, :20] = np.nan
    mean = answered_mean(scores)
    assert np.isfinite(mean).all()
    assert abs((mean - worth)[:20].mean() - (mean - worth)[20:].mean()) < 1
    both = answered_mean(np.stack([worth, np.full(40, np.nan)]))
    np.testing.assert_allclose(both - both.mean(), worth - worth.mean())


def test_a_picture_that_nobody_scored_has_no_reward(recwarn):
    scores = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, 5.0]])
    assert np.isnan(answered_mean(scores)).tolist() == [False, True, False]
    assert np.isnan(answered_mean(np.full((2, 3), np.nan))).all()
    assert np.isnan(answered_mean(np.full((1, 3), np.nan))).all()
    assert not recwarn.list


def test_a_score_of_the_trainer_mixes_remote_and_local(remote):
    pictures, captions = shown(6)
    prompts = [Prompt(text, Wanted(())) for text in captions]
    models = rewards(Brightness(), remote(temperature=255), Missing(0.5))
    found = score("preference", models, pictures, prompts, np.arange(6) // 2, Sampling(3, 2))
    assert found.shape == (6, 1)
    assert np.isfinite(found).all()
    light = pictures.mean((1, 2, 3)) / 255
    np.testing.assert_allclose(np.argsort(found[3:, 0]), np.argsort(light[3:]))


def test_win_rates_are_of_the_pictures_that_were_scored(data):
    def judging(judge, proxy):
        return Judging(SMALL, data.probes, rewards(proxy), rewards(judge), lambda *a: np.zeros(0))

    dark, bright = (np.full((8, 4, 4, 3), value, np.uint8) for value in (50, 200))
    one = judging(Missing(0.5), Missing(1.0))
    one.evaluations.append({} | one._wins(dark, [""] * 8))
    figures = one._wins(bright, [""] * 8)
    assert figures["judge_win"] == 1.0
    assert figures["judge_score"] == pytest.approx(200 / 255)
    assert figures["proxy_win"] == 0.5
    assert "proxy_score" not in figures  # a NaN would not be JSON


def test_a_run_goes_on_without_its_endpoint(make_trainer, remote):
    down = remote(url=f"http://127.0.0.1:{closed_port()}/", retries=0)
    trainer = make_trainer(proxy=rewards(down), iterations=2)
    assert [record["preference_missing"] for record in trainer.run()] == [1.0, 1.0]
    history = pl.read_ndjson(trainer.folder / HISTORY, infer_schema_length=None)
    assert history.height == 2
    mixed = make_trainer(proxy=rewards(Brightness(), down), folder=trainer.folder / "mixed")
    assert [record["preference_missing"] for record in mixed.run()] == [0.0] * 3
