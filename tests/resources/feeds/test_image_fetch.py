import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import fsspec
import httpx
import pytest

from resources.feeds.image_fetch import (
    MAX_IMAGE_BYTES,
    ImageUnavailable,
    fetched_from,
    is_url,
    new_client,
    read_local,
    read_stored,
    read_url,
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    inside = tmp_path / "shop"
    (inside / "images").mkdir(parents=True)
    (inside / "images" / "a b.jpg").write_bytes(b"picture")
    return inside


def test_a_path_below_the_folder_is_read(folder):
    assert read_local(folder, "images/a b.jpg") == b"picture"
    assert read_local(folder, "./images//a b.jpg") == b"picture"


@pytest.mark.parametrize(
    ("received", "fetched", "url"),
    [
        ("images/a.jpg", "images/a.jpg", False),
        (r"images\2026\a.jpg", "images/2026/a.jpg", False),
        (r"\images\a.jpg", "images/a.jpg", False),
        ("/m/b/a.jpg", "m/b/a.jpg", False),
        ("//m/b/a.jpg", "m/b/a.jpg", False),
        ("//cdn.example/a.jpg?v=1", "https://cdn.example/a.jpg?v=1", True),
        ("//cdn.example:8443", "https://cdn.example:8443", True),
        ("HTTPS://cdn.example/a.jpg", "HTTPS://cdn.example/a.jpg", True),
        (r"http://cdn.example/a\b.jpg", r"http://cdn.example/a\b.jpg", True),
        (r"C:\images\a.jpg", r"C:\images\a.jpg", False),
        (r"\\server\share\a.jpg", r"\\server\share\a.jpg", False),
        ("s3://bucket/a.jpg", "s3://bucket/a.jpg", False),
    ],
)
def test_what_a_reference_stands_for(received, fetched, url):
    assert fetched_from(received) == fetched
    assert is_url(received) == url
    assert fetched_from(fetched) == fetched


def test_paths_of_windows_and_from_a_root_are_read_below_the_folder(folder):
    for reference in (
        r"images\a b.jpg",
        r".\images\a b.jpg",
        r"\images\a b.jpg",
        "/images/a b.jpg",
    ):
        assert read_local(folder, reference) == b"picture"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (r"C:\images\a b.jpg", "drive or a share"),
        ("c:images/a b.jpg", "drive or a share"),
        ("D:/images/a b.jpg", "drive or a share"),
        (r"\\server\images\a b.jpg", "drive or a share"),
        (r"\..\secret.jpg", "outside"),
        (r"images\..\..\secret.jpg", "outside"),
        ("/../secret.jpg", "outside"),
        ("//../secret.jpg", "outside"),
        ("/etc/passwd", "no such file"),
        ("s3://bucket/a.jpg", "scheme"),
        ("file:///etc/passwd", "scheme"),
    ],
)
def test_the_reason_is_true(folder, reference, reason):
    with pytest.raises(ImageUnavailable, match=reason):
        read_local(folder, reference)


@pytest.mark.parametrize(
    "reference",
    [
        *("../secret.jpg", "images/../../secret.jpg", "/etc/passwd", "~/.profile", ".."),
        *("file:///etc/passwd", "ftp://host/a.jpg", "s3://bucket/a.jpg", "data:image/png;base64,"),
        *("images\\..\\..\\secret.jpg", "", " ", "a\x00b", "x" * 3000, "images/" + "y" * 300),
        *("images", ".", "none.jpg", "link.jpg", "linked/secret.jpg", "loop", "pipe"),
    ],
)
def test_nothing_else_is_read(folder, reference):
    (folder / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "linked").symlink_to(folder.parent)
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    with pytest.raises(ImageUnavailable) as caught:
        read_local(folder, reference)
    assert str(folder.parent) not in str(caught.value)


def test_a_link_that_stays_inside_is_followed(folder):
    (folder / "link.jpg").symlink_to(folder / "images" / "a b.jpg")
    assert read_local(folder, "link.jpg") == b"picture"


def test_a_large_file_is_not_read(folder):
    with (folder / "large.jpg").open("wb") as file:
        file.truncate(MAX_IMAGE_BYTES + 1)
    with pytest.raises(ImageUnavailable, match="larger than"):
        read_local(folder, "large.jpg")


def test_objects_below_a_prefix_are_read():
    store = fsspec.filesystem("memory")
    store.pipe_file("/test_image_fetch/shop/a.jpg", b"picture")
    store.pipe_file("/test_image_fetch/secret.jpg", b"secret")
    assert read_stored(store, "/test_image_fetch/shop", "a.jpg") == b"picture"
    assert read_stored(store, "/test_image_fetch/shop", r"\a.jpg") == b"picture"
    with pytest.raises(ImageUnavailable, match="outside"):
        read_stored(store, "/test_image_fetch/shop", "../secret.jpg")
    for reference in ("none.jpg", "/test_image_fetch/secret.jpg"):  # which is below the prefix
        with pytest.raises(ImageUnavailable, match="no such file"):
            read_stored(store, "/test_image_fetch/shop", reference)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        match self.path:
            case "/a.jpg":
                self.reply(200, b"picture")
            case "/to-a":
                self.reply(302, b"", location="/a.jpg")
            case "/to-private":
                port = self.server.server_port
                self.reply(
                    302, b"", location=f"http://shop.example:{port}/a.jpg", connection="close"
                )
            case "/round":
                self.reply(302, b"", location="/round")
            case "/to-file":
                self.reply(302, b"", location="file:///etc/passwd")
            case "/large":
                self.send_response(200)
                self.end_headers()
                try:
                    for _ in range(25):
                        self.wfile.write(b"x" * 1_000_000)
                except OSError:
                    pass
            case _:
                self.reply(404, b"none")

    def reply(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fetch(url: str, *, allow_private: bool) -> bytes:
    with new_client(allow_private=allow_private) as client:
        return read_url(client, url, allow_private=allow_private)


def test_urls_are_read_and_redirects_followed(server):
    assert fetch(f"{server}/a.jpg", allow_private=True) == b"picture"
    assert fetch(f"{server}/to-a", allow_private=True) == b"picture"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/none.jpg", "HTTP 404"),
        ("/round", "redirects"),
        ("/to-file", "scheme"),
        ("/large", "larger than"),
        ("/" + "x" * 3000, "too long"),
    ],
)
def test_bad_downloads_have_a_reason(server, path, reason):
    with pytest.raises(ImageUnavailable, match=reason):
        fetch(server + path, allow_private=True)


def test_hosts_of_the_own_network_are_refused(server):
    port = server.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433"):
        with pytest.raises(ImageUnavailable):
            fetch(f"http://{host}:{port}/a.jpg", allow_private=False)
    for host in ("169.254.169.254", "10.0.0.1", "192.168.1.1", "224.0.0.1", "100.64.0.1"):
        with pytest.raises(ImageUnavailable, match="not public"):
            fetch(f"http://{host}/a.jpg", allow_private=False)


def test_a_public_host_cannot_redirect_to_the_own_network():
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "93.184.215.14"
        return httpx.Response(302, headers={"location": "http://127.0.0.1/a.jpg"})

    with (
        httpx.Client(transport=httpx.MockTransport(answer)) as client,
        pytest.raises(ImageUnavailable, match="not public"),
    ):
        read_url(client, "http://93.184.215.14/a.jpg", allow_private=False)


def named(monkeypatch, *addresses: str) -> list[str]:
    """Makes `shop.example` resolve to these, one after the other; returns where is connected to.

    What is public is connected to the loopback, as there is no other network here."""
    real, connect, connected = socket.getaddrinfo, socket.create_connection, []
    answers = iter(addresses)

    def resolve(host, port, *args, **options):
        if host in ("shop.example", b"shop.example"):
            host = next(answers)
        return real(host, port, *args, **options)

    def record(address, *args, **options):
        connected.append(address[0])
        return connect(("127.0.0.1", address[1]), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", record)
    return connected


def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(server, monkeypatch):
    connected = named(monkeypatch, "93.184.215.14", "127.0.0.1")
    port = server.rpartition(":")[2]
    assert fetch(f"http://shop.example:{port}/a.jpg", allow_private=False) == b"picture"
    assert connected == ["93.184.215.14"]


def test_a_redirect_is_checked_anew_and_a_private_host_hears_nothing(server, monkeypatch):
    connected = named(monkeypatch, "93.184.215.14", "127.0.0.1")
    port = server.rpartition(":")[2]
    with pytest.raises(ImageUnavailable, match="not public"):
        fetch(f"http://shop.example:{port}/to-private", allow_private=False)
    assert connected == ["93.184.215.14"]
