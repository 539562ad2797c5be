"""HTTP clients whose requests end in time, and that go only where they may.

The time limits of httpx are those of single reads: a peer that sends a byte now and then holds a
request for days. Here every operation on a socket, from the look-up of the name on, gets what is
left of the time of the whole.
"""

import ipaddress
import math
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urljoin

if TYPE_CHECKING:
    import httpx

_DEADLINE: ContextVar[float] = ContextVar("deadline", default=math.inf)  # of time.monotonic
_PIECE = 4096  # bytes of a write: so much goes at once, or not at all
_REDIRECTS = 3
_GLOBAL = ipaddress.ip_network("2000::/3")  # all of IPv6 that is given out
# given to nobody, which the list of Python 3.11 does not know: protocols, relays, examples
_RESERVED = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an IPv4 address, in its last 32 bits


class Unavailable(OSError):
    """What cannot be had from a network; the message is the reason, without the address."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Ends what the clients of `client` do in this block when it has taken so many seconds, all
    together: connections, redirects, headers and bodies. They raise `httpx.TimeoutException`."""
    token = _DEADLINE.set(min(_DEADLINE.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def client(*, public_only: bool = False, **options: Any) -> "httpx.Client":
    """An `httpx.Client` that keeps to `within`; safe to share between threads.

    Args:
        public_only: Whether it connects to public addresses alone. A name is resolved once, and
            the connection goes to what was checked. Leave out proxies then (`trust_env=False`):
            they resolve names themselves.
        options: Of `httpx.Client`.
    """
    import httpx

    made = httpx.Client(**options)
    for transport in (made._transport, *made._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            pool: Any = transport._pool
            pool._network_backend = _Backend(pool._network_backend, public_only)
    return made


def download(
    client: "httpx.Client",
    url: str,
    into: BinaryIO,
    *,
    seconds: float,
    most: int,
    public_only: bool,
) -> None:
    """Writes what is at an address, following at most three redirects.

    Args:
        client: Of `client`.
        url: http or https.
        into: Where the body goes; a part of it may be there after an error.
        seconds: For all of it.
        most: Bytes of the body, decompressed.
        public_only: Refuses addresses that say themselves that they are not public, before the
            client, which has to be of the same kind, looks at what names resolve to.

    Raises:
        Unavailable: Refused, failed, too slow, or too large.
    """
    import httpx

    ends = time.monotonic() + seconds
    try:
        with within(seconds):
            for _ in range(_REDIRECTS + 1):
                if not url.lower().startswith(("http://", "https://")):
                    raise Unavailable("redirected to another scheme")
                host = httpx.URL(url).host
                if public_only and _is_address(host):
                    check_public(host)
                with client.stream("GET", url) as response:
                    if response.has_redirect_location:
                        url = urljoin(url, response.headers["location"])
                        continue
                    if response.status_code != 200:
                        raise Unavailable(f"HTTP {response.status_code}")
                    received = 0
                    for chunk in response.iter_bytes(1 << 16):
                        received += len(chunk)
                        if received > most:
                            raise Unavailable(f"larger than {most} bytes")
                        into.write(chunk)
                    return
    except Unavailable:
        raise
    except httpx.TimeoutException as error:
        over = time.monotonic() >= ends
        reason = f"not complete after {seconds:g} s" if over else type(error).__name__
        raise Unavailable(f"download failed: {reason}") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError, ValueError) as error:
        raise Unavailable(f"download failed: {type(error).__name__}") from None
    raise Unavailable(f"more than {_REDIRECTS} redirects")


def check_public(address: str) -> None:
    """Refuses addresses that only this machine or its network can reach, and those of IPv6 that
    stand for one of IPv4 that is not public.

    Raises:
        Unavailable: The address is not public.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        # 6to4, Teredo and ::a.b.c.d are given up, and lead who knows where
        if inner is None and (found not in _GLOBAL or found.sixtofour or found.teredo):
            raise Unavailable("address not allowed: the host is not public")
        found = inner or found
    reserved = any(found in network for network in _RESERVED)
    if not found.is_global or found.is_multicast or reserved:
        raise Unavailable("address not allowed: the host is not public")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _left(limit: float | None, error: str) -> float | None:
    """Seconds for the next operation: `limit`, or what is left of the whole."""
    left = _DEADLINE.get() - time.monotonic()
    if left <= 0:
        import httpcore

        raise getattr(httpcore, error)("the time of the whole is over")
    if math.isinf(left):
        return limit
    return left if limit is None else min(limit, left)


class _Backend:
    """Opens connections as httpcore does, in time, and only where they may go."""

    def __init__(self, inner: Any, public_only: bool) -> None:
        self._inner, self._public_only = inner, public_only

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> "_Stream":
        import httpcore

        addresses = _resolve(host, port, _left(timeout, "ConnectTimeout"))
        if self._public_only:
            for address in addresses:
                check_public(address)
        failed: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses:
            left = _left(timeout, "ConnectTimeout")
            try:
                return _Stream(
                    self._inner.connect_tcp(address, port, left, local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    def connect_unix_socket(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("only TCP")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _Stream:
    """A connection whose operations end with the block of `within` that they are in."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, "ReadTimeout"))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], _left(timeout, "WriteTimeout"))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        left = _left(timeout, "ConnectTimeout")
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _resolve(host: str, port: int, seconds: float | None) -> list[str]:
    """The addresses of a name, in the order to try them. The resolver of the system knows no time
    limit, so it is left behind when it takes too long."""
    import httpcore

    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except queue.Empty:
        raise httpcore.ConnectTimeout("the name was not resolved in time") from None
    if isinstance(found, Exception):
        raise httpcore.ConnectError(f"{type(found).__name__}: {found}") from None
    usable = [row for row in found if row[0] in (socket.AF_INET, socket.AF_INET6)]
    return list(dict.fromkeys(str(row[4][0]) for row in usable))
