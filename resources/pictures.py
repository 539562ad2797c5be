"""Pictures as models get them: upright, RGB on white, in sRGB, whatever they came as."""

import base64
import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms

# Of single pictures, and with a signature of their own. Not what runs a program (EPS), holds
# several pictures (ICO), or is taken from any bytes (TGA). The last two need a plugin of Pillow.
_ALLOWED = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "PSD", "QOI", "SGI"),
    *("HEIF", "JXL"),
)
_TURNED = {  # EXIF's value of orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # of profiles, as modes
_MAX_PROFILE = 4 << 20  # bytes; one of a printing press has 2
_SAME = 2  # levels: a profile that changes no colour by more is one of sRGB


@lru_cache(maxsize=1)
def formats() -> tuple[str, ...]:
    """The formats that are read, as Pillow names them: those of a list that the installed one
    knows."""
    Image.init()
    return tuple(name for name in _ALLOWED if name in Image.OPEN)


def open_picture(data: bytes) -> Image.Image:
    """A picture whose header is read, and whose pixels are not yet.

    Raises:
        PIL.UnidentifiedImageError: It is in none of `formats`.
    """
    image = Image.open(io.BytesIO(data), formats=formats())
    clear = image.info.get("transparency")
    depth = image.tile[0].args if image.format == "PNG" and image.tile else None
    # Pillow scales the levels of a PNG to 8 bits, but not the one that is transparent
    if depth in ("L;2", "L;4") and isinstance(clear, int):
        image.info["transparency"] = clear * {"L;2": 85, "L;4": 17}[depth]
    elif depth == "RGB;16B" and isinstance(clear, tuple):
        image.info["transparency"] = tuple(level >> 8 for level in clear)
    return image


def upright_rgb(image: Image.Image, longest_side: int | None = None) -> Image.Image:
    """An RGB image in sRGB, upright and on white, with nothing of the received one but its pixels.

    A broken colour profile or orientation is passed over.

    Args:
        image: As Pillow opened it; it may be changed.
        longest_side: Px that it is reduced to, before anything else where that is cheaper.

    Raises:
        Exception: Whatever a decoder raises on bytes that were made to break it.
    """
    size = None if longest_side is None else (longest_side, longest_side)
    jpeg = image.format in ("JPEG", "MPO")  # decodes at a fraction of its size (Image.draft)
    if size and jpeg:
        image.thumbnail(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image.load()
    turned = _TURNED.get(_orientation(image))  # a TIFF has turned itself by now
    profile = image.info.get("icc_profile")
    colours, alpha = _without_alpha(image)
    rgb = _in_srgb(colours, profile if isinstance(profile, bytes) else b"")
    if alpha is not None:
        white = Image.new("RGB", rgb.size, "white")
        white.paste(rgb, mask=alpha)
        rgb = white
    if size and not jpeg:
        rgb.thumbnail(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if turned is not None:
        rgb = rgb.transpose(turned)
    rgb = rgb.copy() if rgb is image else rgb
    rgb.info.clear()  # or an encoder would carry a comment over
    return rgb


def lies_on_its_side(image: Image.Image) -> bool:
    """Whether a picture whose pixels have been read is upright only when it is turned a quarter."""
    return 5 <= _orientation(image) <= 8


def decode(image: bytes | Image.Image) -> Image.Image | None:
    """As `upright_rgb`, or None for bytes that are no image."""
    try:
        return upright_rgb(open_picture(image) if isinstance(image, bytes) else image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def reduced(image: Image.Image, max_pixels: int) -> Image.Image:
    """The image, or a smaller one of the same shape with at most `max_pixels` pixels."""
    width, height = image.size
    if width * height <= max_pixels:
        return image
    scale = (max_pixels / (width * height)) ** 0.5
    size = max(1, int(width * scale)), max(1, int(height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def data_uri(image: bytes | Image.Image, max_pixels: int) -> str | None:
    """The image as a JPEG `data:` URI, or None for bytes that are no image."""
    decoded = decode(image)
    if decoded is None:
        return None
    encoded = io.BytesIO()
    reduced(decoded, max_pixels).save(encoded, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF does not make the pixels bad
        return 1


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The image in a mode of 8 bits that has colours alone, and its opacity where it has one."""
    clear = image.info.get("transparency")
    if image.mode[0] in "IF":  # more than 8 bits, which convert() would clip
        levels = np.asarray(image)
        alpha = None if clear is None else Image.fromarray(np.uint8(255) * (levels != clear))
        return Image.fromarray(_in_8_bits(levels, image.mode)), alpha
    if image.mode == "1":
        image = image.convert("L") if clear is None else image.convert("LA")
    elif image.mode in ("P", "PA", "RGBa", "RGBX"):
        opaque = image.mode == "RGBX" or (image.mode == "P" and clear is None)
        image = image.convert("RGB" if opaque else "RGBA")
    elif image.mode == "La":
        image = image.convert("LA")
    elif clear is not None and image.mode in ("L", "RGB"):
        return image, image.convert(f"{image.mode}A").getchannel("A")
    if image.mode in ("LA", "RGBA"):
        return image.convert(image.mode[:-1]), image.getchannel("A")
    return image, None


def _in_8_bits(levels: np.ndarray, mode: str) -> np.ndarray:
    """Levels 0 to 255. Integers of a picture have 16 bits, or 32 where they are larger; floats go
    to 1, or as far as their kind of numbers does."""
    if mode.startswith("I;16"):
        return (levels.astype(np.uint16) >> 8).astype(np.uint8)
    found = np.nan_to_num(levels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(found.max(initial=0.0))
    tops = (1.0, 255.0, 65535.0) if mode == "F" else (65535.0, float(2**31 - 1))
    top = next((top for top in tops if largest <= top), largest)
    return (found.clip(0) * (255.999 / top)).astype(np.uint8)


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The colours that a profile means; those of an image without one are taken for sRGB."""
    if image.mode == "LAB" and not profile:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    if 0 < len(profile) <= _MAX_PROFILE:
        mode, transform = _transform(profile)
        if mode == "RGB" and image.mode in ("L", "YCbCr"):
            image = image.convert(mode)
        if transform is not None and mode == image.mode:
            return ImageCms.applyTransform(image, transform) or image
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=8)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The mode that a profile is of, and the way to sRGB; None where the profile is broken, or is
    one of sRGB itself: then equal pixels stay equal bytes, with a profile or without."""
    try:
        source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _SPACES[source.profile.xcolor_space.strip()]
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode in ("RGB", "L"):
            level = np.arange(0, 256, 15, dtype=np.uint8)
            cube = np.stack(np.meshgrid(level, level, level), -1).reshape(-1, 1, 3)
            probe = Image.fromarray(cube if mode == "RGB" else level[:, None])
            made = np.asarray(ImageCms.applyTransform(probe, transform), int)
            if np.abs(made - np.asarray(probe.convert("RGB"), int)).max() <= _SAME:
                return mode, None
        return mode, transform
    except Exception:  # lcms raises many things on bytes made to break it
        return "", None
