"""Images of any origin become small JPEG files of one kind, named by their content."""

import hashlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl
from PIL import Image

from resources.pictures import formats, lies_on_its_side, open_picture, upright_rgb

MAX_PIXELS = 40_000_000
MIN_SIDE = 16  # px; smaller are tracking pixels and placeholders
JPEG_QUALITY = 95
LOOK_SIDE = 4  # px of the thumbnail that stands beside the perceptual hash
_BATCH = 16  # images held in memory at a time by `normalise_all`


class BadImage(ValueError):
    """Bytes that are no usable image; the message is the reason."""


@dataclass(frozen=True)
class NormalisedImage:
    """A JPEG in `data`, its content hash, width and height (px) of the image as received, and its
    `look` (`look_of`)."""

    image_hash: str
    data: bytes
    width: int
    height: int
    look: str


@dataclass(frozen=True)
class ImageResult:
    """What became of one image reference: a hash, its size as received and its look, or a
    reason."""

    file: str
    source: str
    image_hash: str | None
    width: int
    height: int
    bytes: int
    reason: str | None
    look: str | None = None


def normalise(data: bytes, *, longest_side: int = 512) -> NormalisedImage:
    """Decodes an image and encodes it anew: upright, sRGB on white, at most `longest_side` px.

    Nothing of the received file but its pixels is left (no metadata, no trailing data), and equal
    pixels give equal bytes. Of an animation the first frame is taken. The pixel count is checked
    on the header, before anything is decoded.

    Raises:
        BadImage: not an image of a known format, truncated, too large, too small or too narrow.
    """
    try:
        received = open_picture(data)
        width, height = received.size
        if width * height > MAX_PIXELS:
            raise BadImage(f"too large: {width} x {height} px, at most {MAX_PIXELS} in all")
        if min(width, height) < MIN_SIDE:
            raise BadImage(f"too small: {width} x {height} px, at least {MIN_SIDE} a side")
        image = upright_rgb(received, longest_side)
    except BadImage:
        raise
    except Image.DecompressionBombError:
        raise BadImage(f"too large: over {MAX_PIXELS} px") from None
    except Image.UnidentifiedImageError:
        raise BadImage(f"not an image ({', '.join(formats())})") from None
    except Exception as error:  # decoders raise anything on bytes made to break them
        raise BadImage(f"cannot be decoded: {str(error)[:120] or type(error).__name__}") from None
    if lies_on_its_side(received):
        width, height = height, width
    if min(image.size) < MIN_SIDE:
        raise BadImage(f"too narrow: {width} x {height} px")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    encoded = buffer.getvalue()
    digest = hashlib.sha256(encoded).hexdigest()[:32]
    return NormalisedImage(digest, encoded, width, height, look_of(image))


def look_of(image: Image.Image) -> str:
    """What stays of an RGB image that is scaled and compressed again, in 112 hexadecimal digits:
    pHash (64 bits of the low frequencies of its brightness) and, as that knows no colour, a
    thumbnail of `LOOK_SIDE` by `LOOK_SIDE` pixels."""
    import imagehash

    small = image.resize((LOOK_SIDE, LOOK_SIDE), Image.Resampling.BOX)
    return f"{imagehash.phash(image)}{small.tobytes().hex()}"


def normalise_all(
    references: pl.DataFrame,
    fetch: Callable[[str, str], bytes],
    keep: Callable[[str, bytes], None],
    *,
    longest_side: int = 512,
    threads: int = 8,
) -> Iterator[ImageResult]:
    """Fetches, normalises and keeps images, each (file, source) once, in a stable order.

    Args:
        references: frame with `file` (of the feed) and `source` (what it says).
        fetch: gives the bytes of (file, source), raises OSError with a reason; called in threads.
        keep: stores (image_hash, JPEG bytes); called in this thread.
        longest_side: px, see `normalise`.
        threads: downloads at a time.

    Yields:
        One result a reference. A bad image is a result with a reason, never an error.
    """

    def received(reference: tuple[str, str]) -> bytes | str:
        try:
            return fetch(*reference)
        except OSError as error:
            return str(error) or type(error).__name__

    distinct = references.select("file", "source").unique(maintain_order=True).rows()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(distinct), _BATCH):
            batch = distinct[start : start + _BATCH]
            for (file, source), data in zip(batch, pool.map(received, batch), strict=True):
                if isinstance(data, str):
                    yield ImageResult(file, source, None, 0, 0, 0, data)
                    continue
                try:
                    image = normalise(data, longest_side=longest_side)
                except BadImage as error:
                    yield ImageResult(file, source, None, 0, 0, len(data), str(error))
                    continue
                keep(image.image_hash, image.data)
                size = (image.width, image.height, len(data))
                yield ImageResult(file, source, image.image_hash, *size, None, image.look)
