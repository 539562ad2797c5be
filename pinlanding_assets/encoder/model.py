"""The dual encoder: products and attribute phrases as unit vectors in one space.

A product's vector comes from its image and its text; an attribute's from its phrase. Their scaled
and shifted cosine is the log-odds that the product has the attribute, one sigmoid an attribute
(SigLIP, Zhai et al. 2023), because attributes are not exclusive.

Image and text are fused as two noisy measurements of the same thing: a mean in which each side
weighs every dimension by a precision that it predicts from itself. A plain sum let noisy titles
spoil what the image said clearly (composed queries fell from .997 to .282 at rank 1 in the trial);
a missing side simply has no weight.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pinlanding_assets.encoder.features import Sides
from pinlanding_assets.encoder.reader import Reader
from resources.encoders import EncoderBackbone

if TYPE_CHECKING:
    import torch

CHUNK = 256
"""Rows a pass through the heads; fixed, so that a vector does not depend on its neighbours."""
FORMAT = 1


@dataclass(frozen=True)
class HeadShape:
    """Sizes of the trained part; ``aligned`` starts the heads as the identity (zero-shot)."""

    image_dim: int
    text_dim: int
    dim: int
    aligned: bool


def build_heads(shape: HeadShape, entries: int, seed: int) -> "torch.nn.ModuleDict":
    """Fresh heads for ``entries`` vocabulary entries, reproducible from the seed."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)

    def linear(inputs: int, outputs: int, bias: bool, kind: str) -> nn.Linear:
        layer = nn.Linear(inputs, outputs, bias=bias)
        with torch.no_grad():
            if kind == "identity":
                nn.init.eye_(layer.weight)
            elif kind == "zero":
                nn.init.zeros_(layer.weight)
            else:
                layer.weight.normal_(std=inputs**-0.5, generator=generator)
            if bias:
                nn.init.zeros_(layer.bias)
        return layer

    start = "identity" if shape.aligned else "random"
    heads = nn.ModuleDict(
        {
            "image": linear(shape.image_dim, shape.dim, True, start),
            "text": linear(shape.text_dim, shape.dim, True, start),
            "attribute": linear(shape.text_dim, shape.dim, False, start),
            "image_precision": linear(shape.dim, shape.dim, True, "zero"),
            "text_precision": linear(shape.dim, shape.dim, True, "zero"),
        }
    )
    # What a phrase cannot say: a learned correction for each entry seen in training.
    heads.register_parameter("residual", nn.Parameter(torch.zeros(entries, shape.dim)))
    heads.register_parameter("log_scale", nn.Parameter(torch.tensor(np.log(10.0)).float()))
    heads.register_parameter("bias", nn.Parameter(torch.tensor(-3.0)))
    for side, width in (("image", shape.image_dim), ("text", shape.text_dim)):
        heads.register_buffer(f"{side}_mean", torch.zeros(width))
        heads.register_buffer(f"{side}_std", torch.ones(width))
    return heads


def fuse(
    heads: "torch.nn.ModuleDict",
    image: "torch.Tensor",
    text: "torch.Tensor",
    has_image: "torch.Tensor",
    has_text: "torch.Tensor",
    dropout: float = 0.0,
) -> "torch.Tensor":
    """Unit product vectors ``[n, dim]`` from features ``[n, *]`` and presence flags ``[n]``."""
    import torch
    from torch.nn import functional

    total = weights = torch.zeros(())
    for side, features, present in (("image", image, has_image), ("text", text, has_text)):
        scaled = standardise(heads, side, features)
        if dropout:
            scaled = functional.dropout(scaled, dropout)
        position = heads[side](scaled)
        precision = functional.softplus(heads[f"{side}_precision"](position) + 1.0)
        precision = precision * present.unsqueeze(1)
        total = total + precision * position
        weights = weights + precision
    return functional.normalize(total / (weights + 1e-6), dim=1)


def standardise(
    heads: "torch.nn.ModuleDict", side: str, features: "torch.Tensor"
) -> "torch.Tensor":
    """Features at unit length, then with the training set's mean and spread removed."""
    from torch.nn import functional

    unit = functional.normalize(features, dim=1)
    return (unit - getattr(heads, f"{side}_mean")) / getattr(heads, f"{side}_std")


def attribute_vectors(
    heads: "torch.nn.ModuleDict", phrases: "torch.Tensor", residual: "torch.Tensor"
) -> "torch.Tensor":
    """Unit attribute vectors ``[e, dim]`` from phrase features and their corrections."""
    from torch.nn import functional

    return functional.normalize(
        heads["attribute"](functional.normalize(phrases, dim=1)) + residual, dim=1
    )


class DualEncoder:
    """A backbone with trained heads.

    Attributes:
        backbone: The towers; fine-tuned ones when ``tuned``.
        base_version: Version of the backbone that training started from.
        shape: Sizes of the heads.
        entry_ids: Entries with a learned correction, in row order.
        reader: What reads attributes from the encoder and its experts; None: nothing does.
        version: sha256 of everything a vector depends on.
    """

    def __init__(
        self,
        backbone: EncoderBackbone,
        shape: HeadShape,
        entry_ids: Sequence[str],
        heads: "torch.nn.ModuleDict",
        base_version: str | None = None,
        reader: Reader | None = None,
    ) -> None:
        self.backbone = backbone
        self.base_version = base_version or backbone.version
        self.shape = shape
        self.entry_ids = list(entry_ids)
        self.heads = heads.eval().to(backbone.device)
        self.reader = reader
        self.version = self._fingerprint()

    @property
    def tuned(self) -> bool:
        """Whether the towers differ from the base."""
        return self.backbone.version != self.base_version

    @property
    def scale(self) -> float:
        """Slope of the log-odds in the cosine."""
        return float(self.heads.log_scale.detach().exp())  # type: ignore[operator]

    @property
    def bias(self) -> float:
        """Log-odds at cosine zero."""
        return float(self.heads.bias.detach())  # type: ignore[operator]

    def product_vectors(
        self,
        image: np.ndarray,
        text: np.ndarray,
        has_image: np.ndarray,
        has_text: np.ndarray,
    ) -> np.ndarray:
        """Unit vectors ``[n, dim]`` float32 of products.

        Args:
            image: Backbone features ``[n, image_dim]``; the row of a missing image is ignored.
            text: Backbone features ``[n, text_dim]``; the row of a missing text is ignored.
            has_image: ``[n]`` bool.
            has_text: ``[n]`` bool.

        Raises:
            ValueError: a product has neither image nor text.
        """
        import torch

        neither = ~(has_image.astype(bool) | has_text.astype(bool))
        if neither.any():
            raise ValueError(f"product in row {int(neither.argmax())} has neither image nor text")
        out = np.zeros((len(image), self.shape.dim), dtype=np.float32)
        device = self.backbone.device
        for start in range(0, len(image), CHUNK):
            rows = np.arange(start, start + CHUNK).clip(max=len(image) - 1)
            sides = (image[rows], text[rows], has_image[rows], has_text[rows])
            tensors = [torch.from_numpy(side.astype(np.float32)).to(device) for side in sides]
            with torch.inference_mode():
                image_t, text_t, seen, read = tensors
                vectors = fuse(self.heads, image_t, text_t, seen, read).float().cpu().numpy()
            out[rows[: len(image) - start]] = vectors[: len(image) - start]
        return out

    def entry_vectors(self, entry_ids: Sequence[str], phrases: Sequence[str]) -> np.ndarray:
        """Unit vectors ``[e, dim]`` float32; an entry not seen in training has its phrase alone."""
        import torch

        features = torch.from_numpy(self.backbone.text_features(phrases)).to(self.backbone.device)
        row_of = {entry_id: row for row, entry_id in enumerate(self.entry_ids)}
        residual = torch.zeros(len(entry_ids), self.shape.dim, device=self.backbone.device)
        with torch.inference_mode():
            for row, entry_id in enumerate(entry_ids):
                if entry_id in row_of:
                    residual[row] = self.heads.residual[row_of[entry_id]]  # type: ignore[index]
            return attribute_vectors(self.heads, features, residual).float().cpu().numpy()

    def logits(self, products: np.ndarray, entries: np.ndarray) -> np.ndarray:
        """Uncalibrated log-odds ``[n, e]`` of product vectors against entry vectors."""
        return self.scale * (products @ entries.T) + self.bias

    def readings(self, sides: Sides, vectors: np.ndarray) -> np.ndarray:
        """Uncalibrated log-odds ``[n, e]`` of products with the vectors ``[n, dim]``, by all that
        they show; columns in the order of ``entry_ids``, none without a reader."""
        if self.reader is None:
            return np.zeros((len(vectors), 0), dtype=np.float32)
        return self.reader.readings(sides, self.logits(vectors, self.reader.known))

    def save(self, folder: Path) -> None:
        """Write ``config.json``, ``heads.safetensors`` and, if tuned, ``towers.safetensors``."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "format": FORMAT,
            "version": self.version,
            "base_version": self.base_version,
            "backbone_version": self.backbone.version,
            "shape": asdict(self.shape),
            "entry_ids": self.entry_ids,
        }
        text = json.dumps(config, indent=1, ensure_ascii=False, sort_keys=True)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")
        save_file(_tensors(self.heads), folder / "heads.safetensors")
        if self.tuned:
            save_file(_tensors(self.backbone.module), folder / "towers.safetensors")
        if self.reader is not None:
            self.reader.save(folder)

    @classmethod
    def load(cls, folder: Path, backbone: EncoderBackbone) -> "DualEncoder":
        """Read a checkpoint that ``save`` wrote, on the backbone it was trained from.

        Raises:
            FileNotFoundError: the folder holds no checkpoint.
            ValueError: another format, another backbone, or content that is not what was saved.
        """
        from safetensors.torch import load_file

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config.get("format") != FORMAT:
            raise ValueError(f"{folder}: encoder checkpoint format {config.get('format')!r}")
        if config["base_version"] != backbone.version:
            raise ValueError(
                f"{folder}: trained from base {config['base_version'][:12]}, "
                f"the configured encoder base is {backbone.version[:12]}"
            )
        if config["backbone_version"] != backbone.version:
            backbone = backbone.clone()
            backbone.load_weights(load_file(folder / "towers.safetensors"))
        shape = HeadShape(**config["shape"])
        heads = build_heads(shape, len(config["entry_ids"]), seed=0)
        heads.load_state_dict(load_file(folder / "heads.safetensors"))
        reader = Reader.load(folder) if (folder / "reader.json").exists() else None
        model = cls(backbone, shape, config["entry_ids"], heads, config["base_version"], reader)
        if model.version != config["version"]:
            raise ValueError(f"{folder}: content does not match the version in config.json")
        return model

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(self.backbone.version.encode())
        digest.update(json.dumps([asdict(self.shape), self.entry_ids]).encode())
        for name, tensor in sorted(self.heads.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.float().cpu().numpy()).data)
        digest.update(self.reader.fingerprint() if self.reader else b"")
        return digest.hexdigest()


def model_of(folder: Path) -> tuple[str, int]:
    """Version and length of the vectors of the checkpoint in a folder, without loading it."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(config["version"]), HeadShape(**config["shape"]).dim


def _tensors(module: "torch.nn.Module") -> "dict[str, torch.Tensor]":
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
