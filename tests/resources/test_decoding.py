"""Pictures of every origin come out upright, on white and in sRGB."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pinlanding_assets.catalog.images import BadImage, normalise
from resources.encoders import decode_image
from resources.pictures import decode, formats, open_picture
from rl_diffusion_assets.preferences.pairs import normalise_image

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "feeds"
RED = (200, 30, 40)
SIZE = (48, 32)
# what red, green and blue of a colour space are in XYZ under D50, and its gamma
SRGB = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]
SPACES = {
    "ProPhoto": (
        [(0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491)],
        1.8,
    ),
    "Adobe RGB": (
        [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)],
        2.2,
    ),
    "Display P3": (
        [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)],
        2.2,
    ),
}


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def icc(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of version 2."""
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    head += fixed(0.9642, 1.0, 0.8249) + b"\0" * 48
    return head + struct.pack(">I", len(tags)) + table + body


def curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + fixed(*values)


def rgb_profile(name: str) -> bytes:
    colours, gamma = SPACES[name]
    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249)}
    for letter, values in zip((b"r", b"g", b"b"), colours, strict=True):
        tags |= {letter + b"XYZ": xyz(*values), letter + b"TRC": curve(gamma)}
    return icc(b"RGB ", b"XYZ ", b"mntr", tags)


def gray_profile(gamma: float) -> bytes:
    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249), b"kTRC": curve(gamma)}
    return icc(b"GRAY", b"XYZ ", b"mntr", tags)


def cmyk_profile() -> bytes:
    """Of a press whose cyan ink is red: what is only read as CMYK comes out in another colour."""
    white, red, black = (255, 128, 128), (136, 208, 195), (0, 128, 128)  # of Lab, as bytes
    table = b"".join(
        bytes(black if at & 1 else red if at & 8 else white) for at in range(16)
    )  # the first ink is the slowest
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return icc(b"CMYK", b"Lab ", b"prtr", {b"A2B0": lut + ramp * 4 + table + ramp * 3})


def in_space(name: str, colour: tuple[int, int, int]) -> tuple[int, ...]:
    """How a colour of sRGB is written in another space."""
    colours, gamma = SPACES[name]
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    there = np.linalg.solve(np.array(colours).T, np.array(SRGB).T @ linear)
    return tuple(int(level) for level in (255 * there.clip(0, 1) ** (1 / gamma)).round())


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stored(data: bytes) -> list[tuple[int, ...]]:
    """The colour in the middle, by every way that received pictures take."""
    ways = [
        Image.open(io.BytesIO(normalise(data).data)),
        Image.open(io.BytesIO(normalise_image(data)[1])),
        decode_image(data),
        decode(data),
    ]
    return [way.getpixel((way.width // 2, way.height // 2)) for way in ways]


def near(data: bytes, colour: tuple[int, ...], most: int = 4) -> None:
    for found in stored(data):
        assert np.abs(np.array(found) - colour).max() <= most, found


# -- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["AVIF", "WEBP", "JPEG2000", "PPM", "QOI", "SGI", "TIFF", "BMP"])
def test_formats_of_pillow_are_read(kind):
    if kind not in formats() or kind not in Image.SAVE:
        pytest.skip(f"this Pillow has no {kind}")
    near(encoded(Image.new("RGB", SIZE, RED), kind), RED, 8)


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "ICNS", "TGA", "PCX", "DDS"])
def test_others_are_not(kind):
    data = encoded(Image.new("RGB", SIZE, RED), kind)
    with pytest.raises(BadImage, match="not an image"):
        normalise(data)
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode_image(data)
    assert decode(data) is None
    assert not {"EPS", "WMF", "MPEG", "FLI", "HDF5", "GRIB", "BUFR"} & set(formats())


# -- colours -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("space", SPACES)
def test_wide_gamuts_become_srgb(space, kind):
    image = Image.new("RGB", SIZE, in_space(space, RED))
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind != "TIFF" else {}
    near(encoded(image, kind, icc_profile=rgb_profile(space), **options), RED, 6)
    near(encoded(Image.new("RGB", SIZE, RED), kind, **options), RED, 6)  # and nothing else moves


def test_transparency_and_palettes_have_a_profile_too():
    colour, profile = in_space("ProPhoto", RED), rgb_profile("ProPhoto")
    see_through = Image.new("RGBA", SIZE, (*colour, 255))
    near(encoded(see_through, icc_profile=profile), RED)
    see_through.putalpha(0)
    near(encoded(see_through, icc_profile=profile), (255, 255, 255), 0)
    palette = Image.new("P", SIZE, 1)
    palette.putpalette([0, 0, 0, *colour])
    near(encoded(palette, icc_profile=profile), RED)
    near(encoded(palette, icc_profile=profile, transparency=1), (255, 255, 255), 0)


def test_gray_of_another_gamma():
    linear = round(255 * ((128 / 255 + 0.055) / 1.055) ** 2.4)
    profile = gray_profile(1.0)
    near(encoded(Image.new("L", SIZE, linear), icc_profile=profile), (128,) * 3)
    near(encoded(Image.new("LA", SIZE, (linear, 255)), icc_profile=profile), (128,) * 3)
    near(encoded(Image.new("I;16", SIZE, linear * 257), icc_profile=profile), (128,) * 3)
    near(encoded(Image.new("L", SIZE, linear), "JPEG", icc_profile=profile, quality=95), (128,) * 3)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_are_those_of_their_profile(kind):
    image = Image.new("CMYK", SIZE, (255, 0, 0, 0))
    for red, green, blue in stored(encoded(image, kind, icc_profile=cmyk_profile())):
        assert red > 200 > 80 > max(green, blue)
    for red, _, blue in stored(encoded(image, kind)):
        assert red < 50 < 200 < blue


def test_gray_with_a_profile_of_colours_and_the_other_way_round():
    near(encoded(Image.new("L", SIZE, 255), icc_profile=rgb_profile("ProPhoto")), (255,) * 3, 1)
    near(encoded(Image.new("RGB", SIZE, RED), icc_profile=gray_profile(1.0)), RED)
    near(encoded(Image.new("RGB", SIZE, RED), icc_profile=cmyk_profile()), RED)


@pytest.mark.parametrize("cut", [0, 1, 60, 127, 140, 200, 300])
def test_a_broken_profile_does_not_lose_the_picture(cut):
    whole = rgb_profile("ProPhoto")
    for profile in (whole[:cut] + b"x", whole[:cut] + bytes(len(whole) - cut), b"\xff" * cut):
        assert len(stored(encoded(Image.new("RGB", SIZE, RED), "JPEG", icc_profile=profile))) == 4
    near(encoded(Image.new("RGB", SIZE, RED), "JPEG", icc_profile=b"no profile", quality=95), RED)


def test_equal_pixels_give_equal_bytes_with_a_profile_of_srgb_or_without():
    x, y = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 48))
    image = Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("PNG", "JPEG"):
        plain, tagged = encoded(image, kind), encoded(image, kind, icc_profile=srgb)
        assert normalise(plain).data == normalise(tagged).data
        assert normalise_image(plain) == normalise_image(tagged)
    wide = encoded(image, icc_profile=rgb_profile("ProPhoto"))
    assert normalise(wide).data == normalise(wide).data != normalise(encoded(image)).data
    assert b"ICC" not in normalise(wide).data
    assert open_picture(normalise_image(wide)[1]).info == {}


# -- orientation ---------------------------------------------------------------------------------


def half_red() -> Image.Image:
    image = Image.new("RGB", (48, 24), "white")
    image.paste("red", (0, 0, 24, 12))  # upper left
    return image


def turned(kind: str, orientation: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(half_red(), kind, exif=exif)


@pytest.mark.parametrize("orientation", [0, 9, 57, 65535])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_an_orientation_that_there_is_not_turns_nothing(kind, orientation):
    found = normalise(turned(kind, orientation))
    assert (found.width, found.height) == (48, 24)
    red, _, blue = Image.open(io.BytesIO(found.data)).getpixel((4, 4))
    assert red > 200 > blue


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_every_format_is_turned_once(kind):
    data = turned(kind, 6)  # a quarter to the right makes it upright
    found = normalise(data)
    assert (found.width, found.height) == (24, 48)
    pictures = [
        Image.open(io.BytesIO(found.data)),
        Image.open(io.BytesIO(normalise_image(data)[1])),
    ]
    for picture in (*pictures, decode_image(data), decode(data)):
        assert picture.size == (24, 48)
        assert min(picture.getpixel((4, 4))) > 200
        red, _, blue = picture.getpixel((20, 4))
        assert red > 200 > 60 > blue


# -- levels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("top", "level"), [(1.0, 0.5), (255.0, 128.0), (65535.0, 32896.0)])
def test_floats_are_as_bright_as_their_numbers_go(top, level):
    pixels = np.full(SIZE[::-1], level, np.float32)
    pixels[0, 0], pixels[0, 1], pixels[0, 2] = top, np.nan, -top
    near(encoded(Image.fromarray(pixels), "TIFF"), (128,) * 3, 3)


def test_floats_beyond_every_number_are_a_picture_all_the_same():
    for value in (np.nan, np.inf, -np.inf, 0.0, 1e30):
        data = encoded(Image.fromarray(np.full(SIZE[::-1], value, np.float32)), "TIFF")
        assert len(stored(data)) == 4


def png(depth: int, kind: int, levels: list[int], clear: bytes) -> bytes:
    """A PNG whose columns have these levels, of which one is transparent."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    repeated = [level for level in levels for _ in range(64 // len(levels))]
    bits = "".join(f"{level:0{depth}b}" for level in repeated)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8)
    head = struct.pack(
        ">IIBBBBB", len(bits) // depth // (3 if kind == 2 else 1), 32, depth, kind, 0, 0, 0
    )
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"tRNS", clear)
        + chunk(b"IDAT", zlib.compress(row * 32))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_gray_of_a_png_is_hidden(depth):
    top = 2**depth - 1
    hidden = min(top, 1)  # black but for a shade: of the lower byte where there are two
    data = png(depth, 0, [0, hidden], struct.pack(">H", hidden))
    for picture in (
        decode(data),
        decode_image(data),
        Image.open(io.BytesIO(normalise_image(data)[1])),
    ):
        assert picture.getpixel((5, 5)) == (0, 0, 0)
        assert picture.getpixel((picture.width - 5, 5)) == (255, 255, 255)


def test_the_transparent_colour_of_a_png_of_16_bits_is_hidden():
    data = png(16, 2, [1000, 2000, 3000] * 20, struct.pack(">3H", 1000, 2000, 3000))
    assert decode(data).getpixel((5, 5)) == (255, 255, 255)
    data = png(16, 2, [1000, 2000, 3000] * 20, struct.pack(">3H", 1000, 2000, 9000))
    assert decode(data).getpixel((5, 5)) == (3, 7, 11)


# -- the handed cases ----------------------------------------------------------------------------


@pytest.mark.skipif(not CASES.is_dir(), reason="the handed cases are not here")
def test_the_handed_pictures():
    for path in sorted((CASES / "icc_profiles" / "img").iterdir()):
        near(path.read_bytes(), RED)
    for path in sorted((CASES / "avif_images" / "img").iterdir()):
        normalise(path.read_bytes())
