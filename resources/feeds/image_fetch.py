"""Reads one image that a feed names: from the feed's own folder, or from a public address."""

import io
import re
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from resources import network

if TYPE_CHECKING:
    import httpx

MAX_IMAGE_BYTES = 20_000_000
_MAX_REFERENCE = 2048  # characters
_MAX_SECONDS = 60  # for one download as a whole; the client's timeouts are for one read
_PROTOCOL_RELATIVE = re.compile(r"//[^/\\\s@]+\.[^/\\\s@]+(/|$)")  # `//m/b.jpg` is a path
_OF_ANOTHER_MACHINE = re.compile(r"[A-Za-z]:|\\\\")


class ImageUnavailable(OSError):
    """An image that cannot be had; the message is the reason, without any machine's path."""


def is_url(reference: str) -> bool:
    """Whether a reference is to be fetched over the network."""
    return fetched_from(reference).lower().startswith(("http://", "https://"))


def fetched_from(reference: str) -> str:
    """The address or the path that a reference as received stands for.

    An address without a scheme (`//cdn.example/a.jpg`, as shop templates write it) is one of https.
    A path with backslashes (of Windows) or from a root (`/m/b/a.jpg`, of a media folder) is one
    below the folder. Everything else stays as it is, for `relative_path` to judge.
    """
    if _PROTOCOL_RELATIVE.match(reference):
        return f"https:{reference}"
    if "://" in reference or _OF_ANOTHER_MACHINE.match(reference):
        return reference
    return reference.replace("\\", "/").lstrip("/")


def relative_path(reference: str) -> PurePosixPath:
    """The path of a reference below its folder; see `fetched_from`.

    Raises:
        ImageUnavailable: it is no path below the folder (`..`, a drive, a share, another scheme).
    """
    if not reference.strip() or len(reference) > _MAX_REFERENCE or not reference.isprintable():
        raise ImageUnavailable("not a path: empty, too long, or with control characters")
    if "://" in reference or reference.lower().startswith(("data:", "file:")):
        raise ImageUnavailable("scheme not allowed: only paths, http:// and https://")
    if _OF_ANOTHER_MACHINE.match(reference):
        raise ImageUnavailable("path on a drive or a share: only paths below the feed's folder")
    path = PurePosixPath(fetched_from(reference))
    if ".." in path.parts or reference.startswith("~"):
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
    # A proxy resolves names itself and hides the peer, so without trust none is used.
    return network.client(
        public_only=not allow_private,
        timeout=10,
        follow_redirects=False,
        trust_env=allow_private,
    )


def read_url(client: "httpx.Client", url: str, *, allow_private: bool) -> bytes:
    """Downloads an image, following at most three redirects, in 60 seconds as a whole.

    Args:
        client: Of `new_client`, with the same `allow_private`: unless that is set, it connects to
            public addresses alone, at each redirect anew. A feed must not be able to read what
            only this machine can reach.
        url: As `fetched_from` gives it, or as received.
        allow_private: Whether the host may be any.

    Raises:
        ImageUnavailable: refused, failed, slow, or too large.
    """
    if len(url) > _MAX_REFERENCE:
        raise ImageUnavailable("address too long")
    body = io.BytesIO()
    try:
        network.download(
            client,
            fetched_from(url),
            body,
            seconds=_MAX_SECONDS,
            most=MAX_IMAGE_BYTES,
            public_only=not allow_private,
        )
    except network.Unavailable as error:
        raise ImageUnavailable(str(error)) from None
    return body.getvalue()
