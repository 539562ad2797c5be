import hashlib
import io
import struct
import zlib

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pinlanding_assets.catalog.images import BadImage, normalise, normalise_all


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def gradient(width: int = 64, height: int = 48) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_becomes_an_rgb_jpeg_named_by_its_bytes(kind):
    result = normalise(encoded(gradient(), kind))
    image = decoded(result.data)
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 48))
    assert (result.width, result.height) == (64, 48)
    assert result.image_hash == hashlib.sha256(result.data).hexdigest()[:32]
    error = np.abs(np.asarray(image, float) - np.asarray(gradient(), float)).mean()
    assert error < (8 if kind == "GIF" else 4)  # a palette has 256 colours


def test_equal_pixels_give_equal_bytes_whatever_surrounds_them():
    plain = normalise(encoded(gradient(), "PNG"))
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    loaded = encoded(gradient(), "PNG", exif=exif, compress_level=1) + b"trailing"
    assert normalise(loaded).data == plain.data
    comment = normalise(encoded(gradient(), "JPEG", comment=b"secret", exif=exif))
    assert b"secret" not in comment.data
    assert not decoded(comment.data).getexif()


def test_large_images_shrink_to_the_longest_side_and_keep_their_received_size():
    for kind in ("JPEG", "PNG"):
        result = normalise(encoded(gradient(1600, 800), kind), longest_side=200)
        assert decoded(result.data).size == (200, 100)
        assert (result.width, result.height) == (1600, 800)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation):
    upright = Image.new("RGB", (40, 24), "white")
    upright.paste("red", (0, 0, 20, 12))  # upper left
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # its inverse, as PIL numbers them
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = normalise(encoded(stored, "PNG", exif=exif))
    image = decoded(result.data)
    assert image.size == (result.width, result.height) == (40, 24)
    red, _, blue = image.getpixel((5, 5))
    assert red > 200 > blue
    assert min(image.getpixel((35, 20))) > 200


def test_transparency_lies_on_white():
    clear = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    palette = Image.new("P", (32, 32), 0)
    palette.putpalette([0, 0, 0] * 256)
    for data in (
        encoded(clear),
        encoded(clear, "WEBP", lossless=True),
        encoded(palette, "GIF", transparency=0),
        encoded(Image.new("LA", (32, 32), (0, 0))),
    ):
        assert min(decoded(normalise(data).data).getpixel((9, 9))) > 250


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16"])
def test_other_modes_keep_their_grey(mode):
    if mode == "I;16":
        image, kind = Image.new(mode, (32, 32), 100 * 256), "PNG"
    else:
        image, kind = Image.new("L", (32, 32), 100).convert(mode, dither=0), "TIFF"
    expected = 0 if mode == "1" else 100
    assert abs(decoded(normalise(encoded(image, kind)).data).getpixel((3, 3))[0] - expected) < 3


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    red, _, blue = decoded(normalise(data).data).getpixel((9, 9))
    assert red > 200 > blue


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + head + struct.pack(">I", 0) + b"IDAT" + b"\0" * 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an image"),
        (b"<html>404</html>" * 100, "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not an image"),
        (encoded(gradient(), "ICO"), "not an image"),
        (encoded(gradient(), "JPEG")[:-200], "cannot be decoded"),
        (encoded(gradient(), "PNG")[:100], "cannot be decoded"),
        (encoded(gradient(15, 200)), "too small"),
        (encoded(gradient(1700, 17)), "too narrow"),
        (png_header(10_000, 4_001), "too large"),
        (png_header(60_000, 60_000), "too large"),
    ],
)
def test_what_is_no_usable_image_is_refused_with_a_reason(data, reason):
    with pytest.raises(BadImage, match=reason):
        normalise(data)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on broken metadata
def test_random_damage_never_raises_anything_else():
    generator = np.random.default_rng(7)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        whole = np.frombuffer(encoded(gradient(), kind), np.uint8)
        for _ in range(30):
            damaged = whole.copy()
            at = generator.integers(0, len(whole), 8)
            damaged[at] = generator.integers(0, 256, 8)
            try:
                result = normalise(damaged.tobytes())
            except BadImage:
                continue
            assert decoded(result.data).format == "JPEG"


def test_each_reference_is_fetched_once_in_order_and_faults_become_reasons():
    stored = {"a.png": encoded(gradient()), "broken.png": b"nothing"}
    fetched: list[str] = []

    def fetch(file: str, source: str) -> bytes:
        fetched.append(source)
        if source not in stored:
            raise OSError("no such file")
        return stored[source]

    kept: dict[str, bytes] = {}
    sources = ["missing.png", "a.png", "broken.png", "a.png"]
    references = pl.DataFrame({"file": ["f"] * 4, "source": sources})
    results = list(normalise_all(references, fetch, kept.__setitem__))
    assert [result.source for result in results] == ["missing.png", "a.png", "broken.png"]
    assert sorted(fetched) == ["a.png", "broken.png", "missing.png"]
    missing, good, broken = results
    assert missing.reason == "no such file"
    assert broken.reason is not None
    assert broken.reason.startswith("not an image")
    assert (good.reason, good.width, good.height, good.bytes) == (
        None,
        64,
        48,
        len(stored["a.png"]),
    )
    assert list(kept) == [good.image_hash]
