"""Reads one image that a feed names: from the feed's own folder, or from a public address."""

import ipaddress
import socket
import stat
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

if TYPE_CHECKING:
    import httpx

MAX_IMAGE_BYTES = 20_000_000
_MAX_REFERENCE = 2048  # characters
_MAX_REDIRECTS = 3
_MAX_SECONDS = 60  # for one download as a whole; the client's timeouts are for one read


class ImageUnavailable(OSError):
    """An image that cannot be had; the message is the reason, without any machine's path."""


def is_url(reference: str) -> bool:
    """Whether a reference is to be fetched over the network."""
    return reference.lower().startswith(("http://", "https://"))


def relative_path(reference: str) -> PurePosixPath:
    """The path of a reference below its folder.

    Raises:
        ImageUnavailable: it is no plain relative path (absolute, with `..`, another scheme).
    """
    if not reference.strip() or len(reference) > _MAX_REFERENCE or not reference.isprintable():
        raise ImageUnavailable("not a path: empty, too long, or with control characters")
    path = PurePosixPath(reference)
    if "://" in reference or reference.lower().startswith(("data:", "file:")):
        raise ImageUnavailable("scheme not allowed: only paths, http:// and https://")
    if path.is_absolute() or ".." in path.parts or "\\" in reference or reference.startswith("~"):
        raise ImageUnavailable("path outside the feed's folder")
    return path


def read_local(folder: Path, reference: str) -> bytes:
    """Reads a file below a folder; links are followed only to where the folder still holds them.

    Raises:
        ImageUnavailable: not below the folder, missing, no file, or too large.
    """
    path = relative_path(reference)
    try:
        real = (folder / path).resolve(strict=True)
        if not real.is_relative_to(folder.resolve()):
            raise ImageUnavailable("path outside the feed's folder")
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageUnavailable("not a file")
        if status.st_size > MAX_IMAGE_BYTES:
            raise ImageUnavailable(f"larger than {MAX_IMAGE_BYTES} bytes: {status.st_size} bytes")
        with real.open("rb") as file:
            return file.read(MAX_IMAGE_BYTES)
    except ImageUnavailable:
        raise
    except FileNotFoundError:
        raise ImageUnavailable("no such file") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise ImageUnavailable(f"cannot be read: {type(error).__name__}") from None


def read_stored(filesystem: Any, folder: str, reference: str) -> bytes:
    """Reads an object below a prefix of an fsspec file system.

    Raises:
        ImageUnavailable: not below the prefix, missing, or too large.
    """
    path = f"{folder.rstrip('/')}/{relative_path(reference)}"
    try:
        size = filesystem.size(path)
        if size is not None and size > MAX_IMAGE_BYTES:
            raise ImageUnavailable(f"larger than {MAX_IMAGE_BYTES} bytes: {size} bytes")
        with filesystem.open(path, "rb") as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except ImageUnavailable:
        raise
    except FileNotFoundError:
        raise ImageUnavailable("no such file") from None
    except Exception as error:  # whatever a remote store's own client raises
        raise ImageUnavailable(f"cannot be read: {type(error).__name__}") from None
    if len(data) > MAX_IMAGE_BYTES:
        raise ImageUnavailable(f"larger than {MAX_IMAGE_BYTES} bytes")
    return data


def new_client(*, allow_private: bool) -> "httpx.Client":
    """An HTTP client for `read_url`; safe to share between threads."""
    import httpx

    # A proxy resolves names itself and hides the peer, so without trust none is used.
    return httpx.Client(timeout=10, follow_redirects=False, trust_env=allow_private)


def read_url(client: "httpx.Client", url: str, *, allow_private: bool) -> bytes:
    """Downloads an image, following at most three redirects.

    Unless `allow_private`, the host must be a public address, at each redirect and again on the
    open connection: a feed must not be able to read what only this machine can reach.

    Raises:
        ImageUnavailable: refused, failed, slow, or too large.
    """
    import httpx

    if len(url) > _MAX_REFERENCE:
        raise ImageUnavailable("address too long")
    deadline = time.monotonic() + _MAX_SECONDS
    try:
        for _ in range(_MAX_REDIRECTS + 1):
            if not is_url(url):
                raise ImageUnavailable("redirected to another scheme")
            if not allow_private:
                _check_host(httpx.URL(url).host)
            with client.stream("GET", url) as response:
                if response.has_redirect_location:
                    url = urljoin(url, response.headers["location"])
                    continue
                if not allow_private:
                    _check_peer(response)
                if response.status_code != 200:
                    raise ImageUnavailable(f"HTTP {response.status_code}")
                return _bounded_body(response, deadline)
    except ImageUnavailable:
        raise
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError, ValueError) as error:
        raise ImageUnavailable(f"download failed: {type(error).__name__}") from None
    raise ImageUnavailable(f"more than {_MAX_REDIRECTS} redirects")


def _bounded_body(response: "httpx.Response", deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes(1 << 16):
        body += chunk
        if len(body) > MAX_IMAGE_BYTES:
            raise ImageUnavailable(f"larger than {MAX_IMAGE_BYTES} bytes")
        if time.monotonic() > deadline:
            raise ImageUnavailable(f"not complete after {_MAX_SECONDS} s")
    return bytes(body)


def _check_host(host: str) -> None:
    for family, _, _, _, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        if family in (socket.AF_INET, socket.AF_INET6):
            _check_address(str(address[0]))


def _check_peer(response: "httpx.Response") -> None:
    # The name may have resolved to something else by the time the connection was made.
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if peer is not None:
        _check_address(str(peer[0]))


def _check_address(text: str) -> None:
    address = ipaddress.ip_address(text.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if not address.is_global or address.is_multicast:
        raise ImageUnavailable("address not allowed: the host is not public")
