"""Pictures for people: before and after, the same captions and seeds side by side."""

import hashlib
import io
import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TILE, GAP, TEXT = 96, 6, 28
LETTERS = 34  # of a line below a pair


def encode(pixels: np.ndarray, put: Callable[[str, bytes], None]) -> str:
    """Store a picture, uint8 ``[h, w, 3]``, as PNG under its content hash, which is returned."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    put(digest, buffer.getvalue())
    return digest


def before_after(
    base: np.ndarray, tuned: np.ndarray, captions: Sequence[str], count: int = 24
) -> Image.Image:
    """Base on the left, tuned on the right of each pair; captions spread over all there are."""
    rows = np.linspace(0, len(captions) - 1, min(count, len(captions))).round().astype(int)
    columns = 4
    high = -(-len(rows) // columns)
    cell = 2 * TILE + 2 * GAP
    sheet = Image.new("RGB", (columns * cell + GAP, high * (TILE + TEXT) + GAP), "white")
    on, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for at, row in enumerate(rows):
        x, y = GAP + at % columns * cell, GAP + at // columns * (TILE + TEXT)
        for place, pixels in enumerate((base[row], tuned[row])):
            picture = Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x + place * TILE, y))
        said = textwrap.wrap(str(captions[row]), LETTERS)[:2]
        on.multiline_text((x, y + TILE + 1), "\n".join(said), "black", font, spacing=1)
    return sheet
