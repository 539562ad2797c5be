"""What the heads read: backbone features of products, computed once or by towers in training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pinlanding_assets.encoder.palette import BINS, palette
from resources.encoders import EncoderBackbone, decode_image

if TYPE_CHECKING:
    import torch
    from PIL import Image


DESCRIPTION_CHARS = 120
"""Of a description a sentence vector reads only the start: the rest is shipping terms more often
than product."""
DOCUMENT_CHARS = 1_000
"""Of a description the words that are counted: of a word that says nothing, that is learned."""


def product_inputs(products: pl.DataFrame) -> pl.DataFrame:
    """What the encoder reads of a catalog, sorted by product.

    Args:
        products: ``product_id, title, description, images`` and, if there, ``operation``: deleted
            products are left out. Rows must be one a product.

    Returns:
        ``product_id, text`` (the title and the start of the description), ``document`` (with more
        of it), ``image_hash`` (the first one).
    """
    if "operation" in products.columns:
        products = products.filter(pl.col("operation") == "upsert")

    def written(chars: int) -> pl.Expr:
        description = pl.col("description").fill_null("").str.slice(0, chars)
        text = pl.concat_str([pl.col("title").fill_null(""), description], separator=". ")
        return text.str.replace_all(r"\s+", " ").str.strip_chars(" .")

    return products.select(
        "product_id",
        written(DESCRIPTION_CHARS).alias("text"),
        written(DOCUMENT_CHARS).alias("document"),
        pl.col("images").list.first().alias("image_hash"),
    ).sort("product_id")


@dataclass
class Sides:
    """Inputs of the heads and the experts for all products: features and which of them exist."""

    image: "torch.Tensor"
    text: "torch.Tensor"
    has_image: "torch.Tensor"
    has_text: "torch.Tensor"
    palette: np.ndarray
    documents: list[str]

    def hidden(self, modality: str) -> "Sides":
        """The same products with one side hidden: ``both``, ``image`` (alone) or ``text``."""
        gone_image = self.has_image * (0.0 if modality == "text" else 1.0)
        gone_text = self.has_text * (0.0 if modality == "image" else 1.0)
        return replace(self, has_image=gone_image, has_text=gone_text)


class FrozenFeatures:
    """Features computed once."""

    def __init__(self, sides: Sides, phrases: "torch.Tensor") -> None:
        self.sides, self.phrases = sides, phrases

    def __call__(self, rows: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        return self.sides.image[rows], self.sides.text[rows], self.phrases


def jittered(pixels: "torch.Tensor") -> "torch.Tensor":
    """Photos ``[n, 3, s, s]``, half of them mirrored, all moved by up to a 32nd of their side: few
    labelled products are seen many times. Draws from torch's global generator."""
    import torch

    n, reach = len(pixels), max(1, pixels.shape[-1] // 32)
    mirrored = torch.where((torch.rand(n) < 0.5)[:, None, None, None], pixels.flip(3), pixels)
    moves = torch.randint(-reach, reach + 1, (n, 2)).tolist()
    rows = zip(mirrored, moves, strict=True)
    return torch.stack([photo.roll(tuple(move), (1, 2)) for photo, move in rows])


class LiveTowers:
    """Features from towers that are being tuned; decodes a batch at a time, and shows photos
    `jittered` while the towers are in training mode."""

    def __init__(
        self,
        backbone: EncoderBackbone,
        sides: Sides,
        texts: Sequence[str],
        load: Callable[[int], bytes],
        phrases: Sequence[str],
    ) -> None:
        self.backbone, self.sides = backbone, sides
        self.texts, self.load, self.phrases = texts, load, list(phrases)

    def __call__(self, rows: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        backbone, device = self.backbone, self.backbone.device
        image = self.sides.image[rows].clone()
        text = self.sides.text[rows].clone()
        seen = self.sides.has_image[rows].nonzero().flatten()
        if len(seen):
            loaded = [self.load(int(rows[i])) for i in seen]
            pixels = backbone.prepare_images(loaded)
            pixels = (jittered(pixels) if backbone.module.training else pixels).to(device)
            image[seen] = backbone.forward_images(pixels).float()
        read = self.sides.has_text[rows].nonzero().flatten()
        words = [self.texts[int(rows[i])] for i in read] + self.phrases
        encoded = backbone.forward_texts(backbone.prepare_texts(words).to(device)).float()
        text[read] = encoded[: len(read)]
        return image, text, encoded[len(read) :]


def compute_features(
    backbone: EncoderBackbone,
    texts: list[str],
    documents: list[str],
    hashes: list[str | None],
    images: "Mapping[str, bytes | Image.Image]",
) -> Sides:
    """Features of all products, each distinct image and text computed once."""
    import torch

    image = np.zeros((len(hashes), backbone.image_dim), dtype=np.float32)
    colors = np.zeros((len(hashes), BINS), dtype=np.float32)
    names = sorted({name for name in hashes if name})
    if names:
        try:
            computed = backbone.image_features([images[name] for name in names])
        except ValueError as error:
            raise ValueError(f"{_broken(names, images)}: {error}") from error
        shown = [palette(images[name]) for name in names]
        row_of = {name: row for row, name in enumerate(names)}
        for row, name in enumerate(hashes):
            if name:
                image[row], colors[row] = computed[row_of[name]], shown[row_of[name]]
    text = np.zeros((len(texts), backbone.text_dim), dtype=np.float32)
    words = sorted({word for word in texts if word})
    if words:
        computed = backbone.text_features(words)
        row_of = {word: row for row, word in enumerate(words)}
        for row, word in enumerate(texts):
            if word:
                text[row] = computed[row_of[word]]
    flags = [[bool(name) for name in hashes], [bool(word) for word in texts]]
    arrays = [image, text, *(np.asarray(flag, dtype=np.float32) for flag in flags)]
    seen, read, has_image, has_text = (
        torch.from_numpy(array).to(backbone.device) for array in arrays
    )
    return Sides(seen, read, has_image, has_text, colors, documents)


def _broken(names: list[str], images: "Mapping[str, bytes | Image.Image]") -> str:
    """The first image that cannot be decoded, for a message."""
    for name in names:
        try:
            decode_image(images[name])
        except ValueError:
            return f"image {name}"
    return "images"
