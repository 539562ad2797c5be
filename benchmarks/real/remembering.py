"""A backbone that computes each image and text once a process: five splits, one extraction."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from resources.encoders import EncoderBackbone


class Remembering(EncoderBackbone):
    """The features of a frozen backbone, kept by what they were computed from."""

    def __init__(self, inner: EncoderBackbone) -> None:
        self.__dict__.update(inner.__dict__)
        self.inner = inner
        self.image_dim, self.text_dim = inner.image_dim, inner.text_dim
        self.known: dict[Any, np.ndarray] = {}

    def image_features(self, images: Sequence[Any]) -> np.ndarray:
        """Features ``[n, image_dim]``."""
        return self._kept(list(images), self.inner.image_features, self.image_dim)

    def text_features(self, texts: Sequence[str]) -> np.ndarray:
        """Features ``[n, text_dim]``."""
        return self._kept(list(texts), self.inner.text_features, self.text_dim)

    def _kept(self, items: list[Any], compute: Any, width: int) -> np.ndarray:
        missing = list(dict.fromkeys(item for item in items if item not in self.known))
        if missing:
            self.known.update(zip(missing, compute(missing), strict=True))
        return np.array([self.known[item] for item in items], np.float32).reshape(-1, width)

    def prepare_images(self, images: Sequence[Any]) -> Any:
        """As the inner one."""
        return self.inner.prepare_images(images)

    def prepare_texts(self, texts: Sequence[str]) -> Any:
        """As the inner one."""
        return self.inner.prepare_texts(texts)

    def forward_images(self, pixels: Any) -> Any:
        """As the inner one."""
        return self.inner.forward_images(pixels)

    def forward_texts(self, tokens: Any) -> Any:
        """As the inner one."""
        return self.inner.forward_texts(tokens)
