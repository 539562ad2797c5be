"""Photos as files: what a feed holds, and what a model sees of it."""

import io

import numpy as np
from PIL import Image

QUALITY = 95
MODEL_SIZE = 64


def encode_jpeg(pixels: np.ndarray) -> bytes:
    """JPEG of quality 95 without chroma subsampling, uint8 (h, w, 3) in."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def decode_jpeg(data: bytes) -> np.ndarray:
    """uint8 (h, w, 3) of a JPEG file's bytes."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def as_model_sees(pixels: np.ndarray, size: int = MODEL_SIZE) -> np.ndarray:
    """The photo after feed, catalogue and model input: two JPEG passes and a BOX reduction."""
    stored = decode_jpeg(encode_jpeg(decode_jpeg(encode_jpeg(pixels))))
    return np.asarray(Image.fromarray(stored).resize((size, size), Image.Resampling.BOX))
