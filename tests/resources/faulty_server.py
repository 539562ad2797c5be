"""A chat server on this machine that answers rightly, late, wrongly or not at all, by a seed."""

import base64
import contextlib
import io
import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

FAULTS = ("busy", "broken", "hang", "truncated", "wrong_schema", "dropped")
TIMEOUT_SECONDS = 2.0  # that a client should wait: an honest answer takes milliseconds
PAUSE_SECONDS = 0.2  # of Retry-After


class FaultyServer:
    """Each fault comes with a probability, decided by the seed, the question and its attempt.

    What it did is counted here, independently of any client: `requests`, `tokens`, and for each
    question its outcomes in order.
    """

    def __init__(self, probability: float, seed: int = 0, faults: tuple[str, ...] = FAULTS) -> None:
        self.probability, self.seed, self.faults = probability, seed, faults
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.outcomes: dict[str, list[str]] = defaultdict(list)
        self.tokens = self.requests = self.under_way = self.most_under_way = 0
        self.released = 0.0  # when the longest pause ends that was asked for
        self.too_early = 0  # requests that came before that
        handler = type("Handler", (_Handler,), {"server_state": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    @property
    def setting(self) -> str:
        return f"openai:http://127.0.0.1:{self.server.server_port}/v1#catalog-vlm"

    def __enter__(self) -> "FaultyServer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def decide(self, question: str) -> str:
        with self.lock:
            attempt = len(self.outcomes[question])
            draw = random.Random(f"{self.seed} {question} {attempt}").random()
            at = int(draw / self.probability) if self.probability else len(self.faults)
            outcome = self.faults[at] if at < len(self.faults) else "answered"
            self.outcomes[question].append(outcome)
            self.requests += 1
            return outcome

    def counts(self) -> Counter[str]:
        return Counter(one for several in self.outcomes.values() for one in several)


def usage_of(body: dict[str, Any]) -> dict[str, int]:
    """As a server counts: four characters a token, 70 tokens an image."""
    content = body["messages"][0]["content"]
    return {"prompt_tokens": 70 + len(content[1]["text"]) // 4, "completion_tokens": 12}


def colour_of(body: dict[str, Any]) -> str:
    """What the picture shows, really looked at."""
    uri = body["messages"][0]["content"][0]["image_url"]["url"]
    sent = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    red, _, blue = sent.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return "red" if red > blue else "blue"


class _Handler(BaseHTTPRequestHandler):
    server_state: FaultyServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        state, arrived = self.server_state, time.monotonic()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][0]["content"][1]["text"]
        question = text.split("title: ", 1)[1].split("\n", 1)[0]
        with state.lock:
            state.under_way += 1
            state.most_under_way = max(state.most_under_way, state.under_way)
            state.too_early += arrived < state.released
        outcome = state.decide(question)
        try:
            with contextlib.suppress(OSError):
                getattr(self, f"_{outcome}")(body, question)
        finally:
            with state.lock:
                state.under_way -= 1

    def _completion(self, body: dict[str, Any], content: str) -> bytes:
        usage = usage_of(body)
        with self.server_state.lock:
            self.server_state.tokens += sum(usage.values())
        message = {"role": "assistant", "content": content}
        return json.dumps({"choices": [{"message": message}], "usage": usage}).encode()

    def _send(self, status: int, payload: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _answered(self, body: dict[str, Any], question: str) -> None:
        told = {"product_type": "shirt", "color": colour_of(body)}
        # a gullible model: it does what a product's text orders
        if order := re.search(r"answer with (\{.*\})", question):
            told = json.loads(order[1])
        self._send(200, self._completion(body, json.dumps(told)))

    def _busy(self, body: dict[str, Any], question: str) -> None:
        with self.server_state.lock:
            self.server_state.released = time.monotonic() + PAUSE_SECONDS
        self._send(429, b'{"error": "slow down"}', Retry_After=str(PAUSE_SECONDS))

    def _broken(self, body: dict[str, Any], question: str) -> None:
        self._send(500, b"<html>oops</html>")

    def _hang(self, body: dict[str, Any], question: str) -> None:
        self._completion(body, "")  # the work is done, and will be charged
        self.server_state.closing.wait(60)

    def _truncated(self, body: dict[str, Any], question: str) -> None:
        self._send(200, self._completion(body, '{"product_type": "sh'))

    def _wrong_schema(self, body: dict[str, Any], question: str) -> None:
        self._send(200, self._completion(body, '{"product_type": ["shirt", {"color": 5}]}'))

    def _dropped(self, body: dict[str, Any], question: str) -> None:
        self._completion(body, "")  # charged as well
        # no FIN but a reset, as when a process behind a balancer dies
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *args: object) -> None:
        pass
