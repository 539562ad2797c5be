"""Small heads on ImageNet features: what somebody labelled on a few hundred cut-out faces.

A head is a folder with `labels.json` and `head.safetensors` (`weight` ``[labels, FEATURES]`` and
`bias`). The features are those of an EfficientNet-Lite0 that pip carries, so nothing is fetched.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from resources.encoders import load_efficientnet
from rl_diffusion_assets.rewards.networks import FEATURES, as_pixels, picture_features

Array = np.ndarray
SIDE = 64  # px that a crop is drawn to, whatever its shape
LABELS, HEAD = "labels.json", "head.safetensors"


class CropFeatures:
    """What the network sees of cut-out pictures."""

    def __init__(self, device: str = "cpu", batch: int = 32) -> None:
        self.device, self.batch = device, batch
        self.net = load_efficientnet(SIDE).to(device).requires_grad_(False)

    def __call__(self, crops: Sequence[Array]) -> Array:
        """float32 ``[n, FEATURES]`` of uint8 ``[h, w, 3]`` each."""
        import torch

        parts = [np.zeros((0, FEATURES), np.float32)]
        with torch.inference_mode():
            for at in range(0, len(crops), self.batch):
                drawn = [
                    Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                    for crop in crops[at : at + self.batch]
                ]
                pixels = as_pixels(np.stack([np.asarray(one) for one in drawn]), self.device)
                parts.append(picture_features(self.net, 0, pixels).cpu().numpy())
        return np.concatenate(parts)


def fit_head(features: Array, labels: Sequence[str], folder: Path) -> None:
    """A multinomial logistic regression, written to a folder.

    Args:
        features: Of `CropFeatures`, ``[n, FEATURES]``.
        labels: Of each row.
        folder: Where to; it is made.

    Raises:
        ValueError: there is only one label.
    """
    from safetensors.numpy import save_file
    from sklearn.linear_model import LogisticRegression

    mean, spread = features.mean(0), features.std(0) + 1e-3
    # many features, few faces: the strength was not searched for
    model = LogisticRegression(C=0.01, max_iter=1_000)
    model.fit((features - mean) / spread, list(labels))
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # it keeps the second's logit alone
        weight, bias = (np.concatenate([np.zeros_like(part), part]) for part in (weight, bias))
    weight = weight / spread
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"weight": weight, "bias": bias - weight @ mean}
    save_file(
        {name: np.ascontiguousarray(part, np.float32) for name, part in tensors.items()},
        folder / HEAD,
    )
    (folder / LABELS).write_text(json.dumps(list(model.classes_)) + "\n")


def load_head(folder: Path) -> tuple[Array, Array, list[str]]:
    """Weight ``[labels, FEATURES]``, bias ``[labels]`` and labels.

    Raises:
        ValueError: the folder holds no head, or one of other features.
    """
    from safetensors.numpy import load_file

    try:
        tensors = load_file(folder / HEAD)
        weight, bias, labels = (
            tensors["weight"],
            tensors["bias"],
            json.loads((folder / LABELS).read_text(encoding="utf-8")),
        )
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{folder}: no head ({HEAD}, {LABELS}): {error}") from None
    if weight.shape != (len(labels), FEATURES) or bias.shape != (len(labels),):
        raise ValueError(
            f"{folder}: a head of {weight.shape}, where {(len(labels), FEATURES)} is due"
        )
    return weight, bias, labels
