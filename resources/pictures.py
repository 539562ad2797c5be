"""Pictures as models get them."""

import base64
import io

from PIL import Image


def decode(image: bytes | Image.Image) -> Image.Image | None:
    """RGB on white, or None for bytes that are no image."""
    try:
        opened = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image
        opened.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if opened.mode in ("RGBA", "LA", "PA") or "transparency" in opened.info:
        rgba = opened.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return opened.convert("RGB")


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
