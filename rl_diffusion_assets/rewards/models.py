"""Reward models, opened from their checkpoints: pictures in, numbers out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from zlib import crc32

import numpy as np
from pydantic import BaseModel, ValidationError

from resources.encoders import load_efficientnet
from rl_diffusion_assets.rewards.composition import (
    Detections,
    composition_rewards,
    mean_confidence,
    read_caption,
)
from rl_diffusion_assets.rewards.networks import (
    FEATURES,
    as_pixels,
    make_classifier,
    make_grid_detector,
    make_head,
    picture_features,
)

if TYPE_CHECKING:
    import torch

Array = np.ndarray
WORDS, LENGTH = 2048, 24  # buckets of the judge's words; words of a caption that it reads
BATCH = 64
TOKENIZING = Lock()  # a tokenizer serves one thread at a time
FIGURES = 6  # that the judge's scorer is told by its detector and its classifier
CONFIG, TOWER = "reward.json", "tower.safetensors"
Settings = TypeVar("Settings", bound=BaseModel)


class PreferenceScorer(Protocol):
    """How much a picture pleases as an answer to a caption."""

    def score(self, pictures: Array, captions: Sequence[str]) -> Array:
        """float32 ``[n]``, in units of the logit of being preferred; uint8 ``[n, h, w, 3]`` in."""
        ...


@dataclass
class People:
    """Whom a classifier sees: probabilities, and whether there is anybody."""

    tone: Array  # [n, 4], lightest first
    gender: Array  # [n, 2]: perceived as man, woman
    found: Array  # [n]

    def table(self, kind: str, least: float = 0.5) -> Array:
        """Probabilities of `tone`, `gender` or the `joint` table (8), NaN where nobody is found."""
        if kind == "joint":
            each = self.tone[:, :, None] * self.gender[:, None, :]
            table = each.reshape(len(each), each.shape[1] * each.shape[2])
        elif kind in ("tone", "gender"):
            table = getattr(self, kind).copy()
        else:
            raise ValueError(f"{kind!r}: tone, gender or joint")
        table[self.found < least] = np.nan
        return table


def word_ids(captions: Sequence[str]) -> Any:
    """Words as numbers by a hash, int64 ``[n, LENGTH]``, 0 where there is none."""
    import torch

    out = torch.zeros((len(captions), LENGTH), dtype=torch.long)
    for row, caption in enumerate(captions):
        for at, word in enumerate(caption.lower().split()[:LENGTH]):
            out[row, at] = crc32(word.encode()) % (WORDS - 1) + 1
    return out


class _Network:
    """A network of a checkpoint folder and the configuration that it was saved with."""

    def __init__(self, folder: Path, device: str) -> None:
        from safetensors.torch import load_file

        self.config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        self.device = device
        self.module = self._make().to(device).eval().requires_grad_(False)
        self.module.load_state_dict(load_file(folder / "model.safetensors"))

    def _make(self) -> Any:
        raise NotImplementedError

    def _answers(self, pictures: Array) -> Any:
        import torch

        side = self.config["side"]
        if pictures.shape[1:] != (side, side, 3):
            raise ValueError(
                f"pictures are {pictures.shape[1:]}, this model reads {(side, side, 3)}"
            )
        with torch.inference_mode():
            parts = [
                self.module(as_pixels(pictures[at : at + BATCH], self.device)).float()
                for at in range(0, len(pictures), BATCH)
            ]
        return torch.cat(parts).cpu()


class PersonClassifier(_Network):
    """Skin tone in four buckets and perceived gender, with calibrated probabilities."""

    def _make(self) -> Any:
        return make_classifier(7, self.config["side"], self.config["architecture"])

    def rate(self, pixels: "torch.Tensor") -> dict[str, "torch.Tensor"]:
        """Log-probabilities of pictures ``[n, 3, h, w]`` in [-1, 1], with gradients: `tone`
        ``[n, 4]``, `gender` ``[n, 2]``, `joint` ``[n, 8]``, and `found` ``[n]``."""
        from torch.nn import functional

        answers, heat = self.module(pixels), self.config["temperature"]
        tone = (answers[:, :4] / heat["tone"]).log_softmax(1)
        gender = (answers[:, 4:6] / heat["gender"]).log_softmax(1)
        return {
            "tone": tone,
            "gender": gender,
            "joint": (tone[:, :, None] + gender[:, None]).flatten(1),
            "found": functional.logsigmoid(answers[:, 6]),
        }

    def read(self, pictures: Array) -> People:
        answers = self._answers(pictures)
        heat = self.config["temperature"]
        return People(
            tone=(answers[:, :4] / heat["tone"]).softmax(1).numpy(),
            gender=(answers[:, 4:6] / heat["gender"]).softmax(1).numpy(),
            found=answers[:, 6].sigmoid().numpy(),
        )


class ObjectDetector(_Network):
    """Objects and their colours in a grid of cells."""

    def _make(self) -> Any:
        outputs = len(self.config["names"]) + 1 + len(self.config["colours"])
        return make_grid_detector(outputs, self.config["architecture"])

    def detect(self, pictures: Array) -> Detections:
        answers, names = self._answers(pictures), self.config["names"]
        heat = self.config["temperature"]
        cells = answers.permute(0, 2, 3, 1)
        objects, colours = cells[..., : len(names) + 1], cells[..., len(names) + 1 :]
        return Detections(
            names=tuple(names),
            colours=tuple(self.config["colours"]),
            objects=(objects / heat["objects"]).softmax(-1)[..., :-1].numpy(),
            paints=(colours / heat["colours"]).softmax(-1).numpy(),
        )


class FeatureScorer(_Network):
    """A small head on ImageNet features of the picture and the words of the caption."""

    def __init__(self, folder: Path, device: str) -> None:
        super().__init__(folder, device)
        self.reader = self._reader(folder, self.config["side"], device)

    def _make(self) -> Any:
        return make_head(WORDS, FEATURES, 0)

    def _reader(self, _folder: Path, side: int, device: str) -> "Reader":
        return Reader(side, device)

    def rate(self, pixels: "torch.Tensor", captions: Sequence[str]) -> "torch.Tensor":
        """Scores ``[n]`` of pictures ``[n, 3, h, w]`` in [-1, 1], with gradients."""
        seen = picture_features(self.reader.net, self.reader.lite, pixels)
        words = word_ids(captions).to(self.device)
        scores = self.module(seen, words, seen.new_zeros((len(seen), 0)))
        return scores.float() / self.config["temperature"]

    def score(self, pictures: Array, captions: Sequence[str]) -> Array:
        import torch

        seen, said = self.reader.read(pictures, captions)
        with torch.inference_mode():
            words = word_ids(captions).to(self.device)
            scores = self.module(seen, words, said).float() / self.config["temperature"]
        return scores.cpu().numpy()


class JudgeScorer(FeatureScorer):
    """The judge's: features of another network, and besides them what the judge's own detector and
    classifier, which lie beside its folder, find there."""

    def _make(self) -> Any:
        return make_head(WORDS, FEATURES, FIGURES)

    def _reader(self, folder: Path, side: int, device: str) -> "Reader":
        return JudgeReader(folder.parent, side, device)


class Reader:
    """What a `FeatureScorer` reads of pictures: frozen, so that it is computed once to learn from.

    Args:
        side: Of the pictures, in pixels.
        device: Where to compute.
    """

    lite = 1  # which EfficientNet-Lite sees

    def __init__(self, side: int, device: str) -> None:
        self.device = device
        self.net = load_efficientnet(side, self.lite).to(device).requires_grad_(False)

    def read(
        self, pictures: Array, captions: Sequence[str]
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Features ``[n, FEATURES]``, and figures ``[n, k]`` that others say of pictures uint8
        ``[n, h, w, 3]`` and their captions."""
        import torch

        with torch.inference_mode():
            parts = [
                picture_features(
                    self.net, self.lite, as_pixels(pictures[at : at + BATCH], self.device)
                )
                for at in range(0, len(pictures), BATCH)
            ]
        said = torch.from_numpy(self.said(pictures, captions)).to(self.device)
        return torch.cat(parts).clone(), said

    def said(self, pictures: Array, captions: Sequence[str]) -> Array:  # noqa: ARG002
        """What others say of them, float32 ``[n, k]``: here nothing."""
        return np.zeros((len(pictures), 0), np.float32)


class JudgeReader(Reader):
    """What a `JudgeScorer` reads: `FIGURES` of the judge's `objects` and `person` in a folder."""

    lite = 0

    def __init__(self, folder: Path, side: int, device: str) -> None:
        super().__init__(side, device)
        self.detector = ObjectDetector(folder / "objects", device)
        self.person = PersonClassifier(folder / "person", device)

    def said(self, pictures: Array, captions: Sequence[str]) -> Array:
        found, people = self.detector.detect(pictures), self.person.read(pictures)
        wanted = [read_caption(caption, found.names, found.colours) for caption in captions]
        surest = np.clip(found.objects.max(-1), 1e-6, 1.0)
        return np.stack(
            [
                np.nan_to_num(mean_confidence(found, wanted)),
                np.nan_to_num(composition_rewards(found, wanted, 1.0)),
                -(surest * np.log(surest)).mean((1, 2)),  # how undecided the cells are
                *(people.found, people.tone.max(1), people.gender.max(1)),
            ],
            1,
        ).astype(np.float32)


class Ensemble:
    """The mean of scorers that lie in a folder, each in the logits that it was calibrated to."""

    def __init__(self, folder: Path, device: str) -> None:
        self.config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        self.members = [open_reward(folder / name, device) for name in self.config["members"]]

    def rate(self, pixels: "torch.Tensor", captions: Sequence[str]) -> "torch.Tensor":
        """Scores ``[n]`` of pictures ``[n, 3, h, w]`` in [-1, 1], with gradients."""
        import torch

        scores = [member.rate(pixels, captions) for member in self.members]
        return torch.stack(scores).mean(0) / self.config["temperature"]

    def score(self, pictures: Array, captions: Sequence[str]) -> Array:
        scores = [member.score(pictures, captions) for member in self.members]
        return np.mean(scores, 0) / self.config["temperature"]


class ClipScorer:
    """A CLIP that was tuned to preferences, as PickScore (Kirstain et al. 2023, 2305.01569): the
    scaled similarity of picture and caption; and what a tower beside it says of the picture, where
    the folder has one."""

    def __init__(self, folder: Path, device: str) -> None:
        from safetensors.torch import load_file
        from transformers import CLIPModel, CLIPProcessor

        self.config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        self.device = device
        model: Any = CLIPModel.from_pretrained(folder, use_safetensors=True)
        self.model: Any = model.to(device).eval().requires_grad_(False)
        self.processor: Any = CLIPProcessor.from_pretrained(folder)
        self.tower: Any = None
        if (folder / TOWER).exists():
            self.tower = make_classifier(1, self.config["side"], "group").to(device).eval()
            self.tower.requires_grad_(False)
            self.tower.load_state_dict(load_file(folder / TOWER))

    def rate(self, pixels: "torch.Tensor", captions: Sequence[str]) -> "torch.Tensor":
        """Scores ``[n]`` of square pictures ``[n, 3, h, w]`` in [-1, 1], with gradients: resized
        and normalised as the processor does it."""
        import torch
        from torch.nn import functional

        reader, side = self.processor.image_processor, self.model.config.vision_config.image_size
        inputs = clip_texts(self.processor, captions)
        shown = pixels
        if pixels.shape[-1] != side:
            shown = functional.interpolate(pixels, (side, side), mode="bicubic", antialias=True)
        mean, deviation = (
            torch.tensor(of, device=self.device).view(3, 1, 1)
            for of in (reader.image_mean, reader.image_std)
        )
        inputs["pixel_values"] = (shown * 0.5 + 0.5 - mean) / deviation
        scores = clip_scores(self.model, {k: v.to(self.device) for k, v in inputs.items()})
        if self.tower is not None:
            scores = scores + self.tower(pixels)[:, 0]
        return scores.float() / self.config["temperature"]

    def score(self, pictures: Array, captions: Sequence[str]) -> Array:
        import torch

        parts = []
        with torch.inference_mode():
            for at in range(0, len(pictures), BATCH):
                shown = pictures[at : at + BATCH]
                inputs = clip_inputs(self.processor, shown, captions[at : at + BATCH])
                scores = clip_scores(self.model, {k: v.to(self.device) for k, v in inputs.items()})
                if self.tower is not None:
                    scores = scores + self.tower(as_pixels(shown, self.device))[:, 0]
                parts.append(scores.float().cpu())
        return torch.cat(parts).numpy() / self.config["temperature"]


def clip_inputs(processor: Any, pictures: Array, captions: Sequence[str]) -> dict[str, Any]:
    """What a CLIP reads of n pictures and their captions."""
    images = processor.image_processor(list(pictures), return_tensors="pt")
    return clip_texts(processor, captions) | {"pixel_values": images["pixel_values"]}


def clip_texts(processor: Any, captions: Sequence[str]) -> dict[str, Any]:
    """What a CLIP reads of n captions."""
    with TOKENIZING:
        texts = processor.tokenizer(
            list(captions), padding="max_length", truncation=True, return_tensors="pt"
        )
    return {"input_ids": texts["input_ids"], "attention_mask": texts["attention_mask"]}


def clip_towers(model: Any, inputs: dict[str, Any]) -> tuple[Any, Any]:
    """Unit vectors of pictures and captions, ``[n, width]``; carry gradients when enabled."""
    from torch.nn import functional

    seen = model.vision_model(pixel_values=inputs["pixel_values"]).pooler_output
    text = model.text_model(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
    ).pooler_output
    return (
        functional.normalize(model.visual_projection(seen), dim=-1),
        functional.normalize(model.text_projection(text), dim=-1),
    )


def clip_scores(model: Any, inputs: dict[str, Any]) -> Any:
    """Scaled similarity, ``[n]``; carries gradients when enabled."""
    images, texts = clip_towers(model, inputs)
    return (images * texts).sum(-1) * model.logit_scale.exp()


def reward_settings(folder: Path, form: type[Settings]) -> Settings:
    """What stands in the `reward.json` of a folder that a person wrote.

    Raises:
        ValueError: a setting is wrong; names the file and the setting, and repeats no value.
    """
    path = folder / CONFIG
    try:
        return form.model_validate_json(path.read_bytes())
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError("\n".join([f"{path}: wrong settings:", *lines])) from None


def _remote(folder: Path, _device: str) -> Any:
    from rl_diffusion_assets.rewards.remote import RemoteScorer

    return RemoteScorer(folder)


def _hub(folder: Path, device: str) -> Any:
    from rl_diffusion_assets.rewards.hub import open_hub_reward

    return open_hub_reward(folder, device)


READERS: dict[str, Any] = {
    "clip": ClipScorer,
    "features": FeatureScorer,
    "ensemble": Ensemble,
    "judge": JudgeScorer,
    "person": PersonClassifier,
    "objects": ObjectDetector,
    "remote": _remote,
    "pickscore": _hub,
    "image-reward": _hub,
    "owlv2": _hub,
    "grounding-dino": _hub,
    "detr": _hub,
    "face": _hub,
}


def open_reward(folder: Path, device: str = "cpu") -> Any:
    """The reward model of a checkpoint folder; which one stands in its `reward.json`.

    Raises:
        ValueError: the folder holds none, or one of an unknown kind.
    """
    path = Path(folder) / CONFIG
    if not path.exists():
        raise ValueError(f"{folder}: no {CONFIG}; this is not a reward model")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    kind = config.get("kind") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in READERS:
        raise ValueError(f"{path}: kind {kind!r} is not one of {', '.join(READERS)}")
    return READERS[kind](Path(folder), device)
