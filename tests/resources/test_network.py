"""One limit for a whole request, against peers that are slow in every way there is."""

import contextlib
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest

from resources import network
from resources.feeds import image_fetch
from resources.network import Unavailable, check_public, download, within

LIMIT = 0.7  # seconds
LONG = 30.0  # seconds: far more than the limit, whatever else this machine does


class Peer:
    """Accepts connections and treats each as `behave` says, until it is closed."""

    def __init__(self, behave: Callable[["Peer", socket.socket], None]) -> None:
        self.behave, self.closing = behave, threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/a"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._treat, args=(connection,), daemon=True).start()

    def _treat(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the other side has had enough
            self.behave(self, connection)

    def drip(self, connection: socket.socket, text: bytes) -> None:
        """One byte now and then, each long before any limit of a single read."""
        for at in range(len(text)):
            if self.closing.wait(0.05):
                return
            connection.sendall(text[at : at + 1])


def asked(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(1 << 16)
    return request


def drip_headers(peer: Peer, connection: socket.socket) -> None:
    asked(connection)
    peer.drip(connection, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000)


def drip_status(peer: Peer, connection: socket.socket) -> None:
    asked(connection)
    for _ in range(1000):
        peer.drip(connection, b"HTTP/1.1 100 Continue\r\n\r\n")


def drip_body(peer: Peer, connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    peer.drip(connection, b"x" * 10_000)


def drip_chunks(peer: Peer, connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.drip(connection, b"1\r\nx\r\n" * 2_000)


def drip_gzip(peer: Peer, connection: socket.socket) -> None:
    asked(connection)  # of a header of gzip nothing can be decoded, and no chunk is passed on
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10000\r\n\r\n"
        b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"
    )
    peer.drip(connection, b"n" * 9_000)


def say_nothing(peer: Peer, connection: socket.socket) -> None:
    peer.closing.wait(LONG)


def redirect(peer: Peer, connection: socket.socket) -> None:
    asked(connection)
    peer.drip(connection, b"HTTP/1")  # a hop is in time, four of them are not
    connection.sendall(
        b".1 302 Found\r\nLocation: /b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )


WAYS = [drip_headers, drip_status, drip_body, drip_chunks, drip_gzip, say_nothing, redirect]


@pytest.fixture
def peer(request) -> Iterator[Peer]:
    made = Peer(request.param)
    yield made
    made.closing.set()
    made.listening.close()


def fetched(url: str, seconds: float = LIMIT) -> bytes:
    body = io.BytesIO()
    with network.client(timeout=LONG) as client:
        download(client, url, body, seconds=seconds, most=1 << 20, public_only=False)
    return body.getvalue()


@pytest.mark.parametrize("peer", WAYS, indirect=True, ids=lambda way: way.__name__)
def test_a_slow_peer_is_left_in_time(peer):
    started = time.monotonic()
    with pytest.raises(Unavailable, match=f"not complete after {LIMIT} s"):
        fetched(peer.url)
    assert time.monotonic() - started < LONG


@pytest.mark.parametrize("peer", [say_nothing], indirect=True)
def test_a_handshake_has_to_end_too(peer):
    with pytest.raises(Unavailable, match="not complete"):
        fetched(peer.url.replace("http:", "https:"))


def test_a_peer_that_takes_nothing_is_left(monkeypatch):
    peer = Peer(say_nothing)
    with (
        network.client(timeout=LONG) as client,
        within(LIMIT),
        pytest.raises(httpx.TimeoutException),
    ):
        client.post(peer.url, content=bytes(64 << 20))
    peer.closing.set()
    peer.listening.close()


def test_a_resolver_that_does_not_answer_is_left(monkeypatch):
    closing = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: closing.wait(LONG))
    with pytest.raises(Unavailable, match="not complete"):
        fetched("http://shop.example/a")
    closing.set()


@pytest.mark.parametrize("peer", [drip_body], indirect=True)
def test_every_reader_of_a_network_has_one_limit(peer, monkeypatch, tmp_path):
    """Images, model servers and remote rewards."""
    from resources.chat_server import ChatServer, Endpoint, Question
    from resources.ledger import Ledger
    from rl_diffusion_assets.rewards.remote import RemoteScorer

    started = time.monotonic()
    monkeypatch.setattr(image_fetch, "_MAX_SECONDS", LIMIT)
    with (
        image_fetch.new_client(allow_private=True) as client,
        pytest.raises(image_fetch.ImageUnavailable, match="not complete"),
    ):
        image_fetch.read_url(client, peer.url, allow_private=True)

    server = ChatServer(Endpoint(peer.url, "m", timeout_seconds=LIMIT, retries=0))
    assert server.ask([Question("a")], None, Ledger(), "test") == ["error: ReadTimeout"]

    (tmp_path / "reward.json").write_text(
        f'{{"kind": "remote", "url": "{peer.url}", "timeout": {LIMIT}, "retries": 0}}'
    )
    scores = RemoteScorer(tmp_path).score(np.zeros((1, 8, 8, 3), np.uint8), ["a"])
    assert np.isnan(scores).all()
    assert time.monotonic() - started < LONG


def answer(peer: Peer, connection: socket.socket) -> None:
    while asked(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npicture")


@pytest.mark.parametrize("peer", [answer], indirect=True)
def test_a_limit_is_that_of_its_block_alone(peer):
    """The connection is kept, and the next request on it has a limit of its own."""
    with network.client() as client:
        for _ in range(3):
            with within(LIMIT), within(LONG):
                assert client.get(peer.url).content == b"picture"
            time.sleep(LIMIT / 2)
        assert client.get(peer.url).content == b"picture"
        with within(0), pytest.raises(httpx.TimeoutException):
            client.get(peer.url)
    assert fetched(peer.url, LONG) == b"picture"


def test_a_certificate_is_held_against_the_name_and_not_the_address(monkeypatch):
    """What is connected to is an address; the handshake asks for the name."""
    names = []
    context = ssl.create_default_context()

    class Recording:
        def connect_tcp(self, host, *args):
            assert host == "127.0.0.1"
            return self

        def start_tls(self, context, server_hostname, timeout):
            names.append((server_hostname, context.check_hostname))
            raise ssl.SSLError("enough seen")

        def close(self):
            pass

        def get_extra_info(self, info):
            return None

    with network.client(verify=context) as client:
        client._transport._pool._network_backend._inner = Recording()
        monkeypatch.setattr(network, "_resolve", lambda *_: ["127.0.0.1"])
        with pytest.raises(ssl.SSLError, match="enough"):
            client.get("https://shop.example/a")
    assert names == [("shop.example", True)]


def test_proxies_of_the_environment_are_bounded_too(monkeypatch):
    peer = Peer(drip_headers)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{peer.port}")
    with (
        network.client(timeout=LONG) as client,
        within(LIMIT),
        pytest.raises(httpx.TimeoutException),
    ):
        client.get("http://shop.example/a")
    peer.closing.set()
    peer.listening.close()


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "64:ff9b::5db8:d70e"])
def test_public_addresses(address):
    check_public(address)
    check_public(str(ipaddress.ip_address(address)))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1"),
        *("fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::1"),
        *(
            "2002:7f00:1::",
            "2002:0a00:0001::1",
            "2002:5db8:d70e::",
            "::127.0.0.1",
            "::93.184.215.14",
        ),
        *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "100::1"),
        *("192.0.0.8", "192.88.99.1", "3fff::1", "64:ff9b::192.0.0.8"),
    ],
)
def test_addresses_that_are_not_public(address):
    with pytest.raises(Unavailable, match="not public"):
        check_public(address)
