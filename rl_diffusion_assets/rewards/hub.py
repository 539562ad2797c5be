"""Reward models of the hub, opened through their transformers classes.

A reward folder need hold no weights: its `reward.json` names a model by a hub id and revision, or
by a folder (a relative one lies in the reward folder). Only safetensors are read, no code of a
repository is run, and with HF_HUB_OFFLINE nothing is fetched.

What a detector or classifier says of pictures has the form of the small networks' answers:
`Detections` in a grid of cells, `People` with tone, gender and whether there is anybody.
"""

import importlib.util
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image, ImageColor
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from resources.model_folder import model_folder, weights_variant
from rl_diffusion_assets.rewards.composition import Detections
from rl_diffusion_assets.rewards.heads import CropFeatures, load_head
from rl_diffusion_assets.rewards.models import CONFIG, ClipScorer, People, reward_settings

Array = np.ndarray
SHADES = {  # of things in pictures: CSS's own red and blue are those of a lamp
    "red": ("#e02020", "#b81c2e", "#8a1420"),
    "orange": ("#f08020",),
    "yellow": ("#f0d830",),
    "green": ("#2f8f3f", "#1f5a2f", "#80c060"),
    "blue": ("#2850c8", "#1c2f6e", "#70a8e0"),
    "purple": ("#7a2f9a", "#a070c8"),
    "pink": ("#f0a0b8", "#e0508a"),
    "brown": ("#7a4a2a", "#a0703f", "#4a2c1a"),
    "black": ("#151515",),
    "white": ("#f4f4f2",),
    "grey": ("#808080", "#b8b8b8", "#505050"),
}
COLOUR_WIDTH = 10.0  # CIE76 units by which a farther colour is e times less likely

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Positive = Annotated[float, Field(gt=0)]


# -- settings ------------------------------------------------------------------------------------


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Source(_Form):
    """A model: a hub id (`owner/model`) with its revision, or a folder."""

    model: Name
    revision: str = ""


class _Batched(Source):
    batch: Annotated[int, Field(ge=1, le=1_024)] = 8  # pictures that it reads at once


class PickSettings(Source):
    """A CLIP tuned to preferences: PickScore, or HPS in transformers' form.

    Attributes:
        processor: Where the tokenizer and image processor are, if not beside the model.
        temperature: Scores are divided by it, to make them logits of being preferred.
    """

    kind: Literal["pickscore"]
    processor: str = ""
    temperature: Positive = 1.0


class BlipSettings(_Batched):
    """ImageReward: a BLIP and a head.

    Attributes:
        head: Its linear layers, safetensors in the reward folder.
        length: Tokens of a caption that are read.
        mean, deviation: Of raw scores, as ImageReward normalises them.
        temperature: Scores are divided by it, to make them logits of being preferred.
    """

    kind: Literal["image-reward"]
    head: Name = "head.safetensors"
    length: Annotated[int, Field(ge=3, le=512)] = 35
    mean: float = 0.16717
    deviation: Positive = 1.03334
    temperature: Positive = 1.0


class BoxSettings(_Batched):
    """A detector of named objects.

    Attributes:
        kind: ``owlv2`` and ``grounding-dino`` find what a text says; ``detr`` what it was trained
            on (any `AutoModelForObjectDetection`), so that `names` are labels of the model;
            ``mtcnn`` faces, whatever the one name is.
        prompt: Text of a name, for the first two; by default the one that each was trained with.
        least: The detector's own confidence that is worth 0.5 here: what it takes to believe it.
    """

    kind: Literal["owlv2", "grounding-dino", "detr", "mtcnn"]
    names: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1_000)]
    prompt: str = ""
    least: Annotated[float, Field(gt=0, lt=1)] = 0.3

    @field_validator("names")
    @classmethod
    def _differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len({name.lower() for name in names}) < len(names):
            raise ValueError("a name is there twice")
        return names

    @model_validator(mode="after")
    def _prompts_name(self) -> "BoxSettings":
        if self.prompt and self.prompt.count("{}") != 1:
            raise ValueError("prompt: needs one {} for the name")
        if self.kind == "grounding-dino" and "." in "".join((*self.names, self.prompt)):
            raise ValueError("names, prompt: a full stop parts the names for grounding-dino")
        return self


class ObjectSettings(BoxSettings):
    """A detector of objects and colours.

    Attributes:
        colours: Name -> its shades, as CSS writes colours; a list of names that `SHADES` or CSS
            knows will do.
        cells: Rows and columns of the grid that boxes are sorted into by their middle.
    """

    colours: Annotated[dict[Name, tuple[str, ...]], Field(min_length=1)] = SHADES
    cells: Annotated[int, Field(ge=2, le=64)] = 8

    @field_validator("colours", mode="before")
    @classmethod
    def _named(cls, colours: Any) -> Any:
        if isinstance(colours, list) and all(isinstance(name, str) for name in colours):
            return {name: SHADES.get(name, (name,)) for name in colours}
        return colours

    @field_validator("colours")
    @classmethod
    def _known(cls, colours: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, shades in colours.items():
            if not shades:
                raise ValueError(f"{name} has no shade")
            for shade in shades:
                ImageColor.getrgb(shade)
        return colours


class HeadSettings(_Batched):
    """An image classifier.

    Attributes:
        kind: ``classifier`` is any `AutoModelForImageClassification`, ``features`` a folder of
            `heads.fit_head`.
        classes: Labels of the model that make up each class; what other labels get is left out.
    """

    kind: Literal["classifier", "features"] = "classifier"
    classes: Annotated[tuple[tuple[str, ...], ...], Field(min_length=2)]


class FaceSettings(_Form):
    """A detector of faces, and classifiers of what is in its best box.

    Attributes:
        detector: Of one name, a face.
        tone: Four classes, lightest first.
        gender: Perceived as man, woman.
        margin: Share of the box by which it grows on every side before it is cut out.
    """

    kind: Literal["face"]
    detector: BoxSettings
    tone: HeadSettings
    gender: HeadSettings
    margin: Annotated[float, Field(ge=0, le=2)] = 0.2

    @model_validator(mode="after")
    def _sizes(self) -> "FaceSettings":
        if len(self.detector.names) != 1:
            raise ValueError("detector.names: one name, that of a face")
        if len(self.tone.classes) != 4 or len(self.gender.classes) != 2:
            raise ValueError("tone.classes and gender.classes: four and two")
        return self


# -- opening -------------------------------------------------------------------------------------


def _folder(folder: Path, name: str, revision: str = "") -> Path:
    """Where a model's files are; see `model_folder`."""
    return folder / name if (folder / name).is_dir() else model_folder(name, revision)


def _open_model(kind: Any, where: Path, device: str, unused: tuple[str, ...] = ()) -> Any:
    """A model of a transformers class, in float32 whatever it was saved in.

    Args:
        kind: The class.
        where: Folder of the model.
        device: Where it computes.
        unused: Parts of the class that are never asked, and need have no weights.

    Raises:
        OSError: the folder holds no such model in safetensors.
        ValueError: weights are missing, and transformers would draw them at random; or they are
            there only as several variants.
    """
    import torch

    model, about = kind.from_pretrained(
        where,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=torch.float32,
        variant=weights_variant([where]),
        output_loading_info=True,
    )
    missing = sorted(key for key in about["missing_keys"] if not key.startswith(unused))
    if missing:
        raise ValueError(
            f"{where}: {len(missing)} weights of {type(model).__name__} are not there, such as "
            f"{missing[0]}: this is a model of another kind"
        )
    return model.to(device).eval()


def _open_processor(kind: Any, where: Path) -> Any:
    return kind.from_pretrained(where, local_files_only=True, trust_remote_code=False)


def _shown(pictures: Array | Sequence[Array]) -> list[Image.Image]:
    """As PIL images: of an array a processor has to guess which side the channels are on."""
    return [Image.fromarray(picture) for picture in pictures]


# -- preferences ---------------------------------------------------------------------------------


class PickScorer(ClipScorer):
    """PickScore v1 (Kirstain et al. 2023, 2305.01569) and other CLIPs tuned to preferences."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import CLIPModel, CLIPProcessor

        settings = reward_settings(folder, PickSettings)
        where = _folder(folder, settings.model, settings.revision)
        beside = _folder(folder, settings.processor) if settings.processor else where
        self.config, self.device, self.tower = settings.model_dump(), device, None
        self.model = _open_model(CLIPModel, where, device)
        self.processor = _open_processor(CLIPProcessor, beside)


class BlipScorer:
    """ImageReward (Xu et al. 2023, 2304.05977): a BLIP's text encoder looks at the picture while
    it reads the caption, and linear layers turn its first state into a score."""

    def __init__(self, folder: Path, device: str) -> None:
        from safetensors.torch import load_file
        from transformers import BlipForImageTextRetrieval, BlipProcessor

        self.settings, self.device = reward_settings(folder, BlipSettings), device
        where = _folder(folder, self.settings.model, self.settings.revision)
        unused = ("itm_head", "vision_proj", "text_proj")
        self.model: Any = _open_model(BlipForImageTextRetrieval, where, device, unused)
        self.processor: Any = _open_processor(BlipProcessor, where)
        path = folder / self.settings.head
        if not path.is_file():
            raise ValueError(f"{folder / CONFIG}: head: there is no {path}")
        width = self.model.config.text_config.hidden_size
        self.head = _linear_layers(load_file(path), width, path)

    def score(self, pictures: Array, captions: Sequence[str]) -> Array:
        """float32 ``[n]``; uint8 ``[n, h, w, 3]`` in."""
        import torch

        step, parts = self.settings.batch, [np.zeros(0, np.float32)]
        with torch.inference_mode():
            for at in range(0, len(pictures), step):
                raw = self._raw(pictures[at : at + step], captions[at : at + step])
                parts.append(raw.cpu().numpy())
        scores = (np.concatenate(parts) - self.settings.mean) / self.settings.deviation
        return (scores / self.settings.temperature).astype(np.float32)

    def _raw(self, pictures: Array, captions: Sequence[str]) -> Any:
        from torch.nn import functional

        images = self.processor.image_processor(_shown(pictures), return_tensors="pt")
        texts = self.processor.tokenizer(
            list(captions),
            padding="max_length",
            truncation=True,
            max_length=self.settings.length,
            return_tensors="pt",
        )
        seen = self.model.vision_model(pixel_values=images["pixel_values"].to(self.device))
        read = self.model.text_encoder(
            input_ids=texts["input_ids"].to(self.device),
            attention_mask=texts["attention_mask"].to(self.device),
            encoder_hidden_states=seen.last_hidden_state,
        )
        state = read.last_hidden_state[:, 0]
        for weight, bias in self.head:
            state = functional.linear(state, weight.to(self.device), bias.to(self.device))
        return state[:, 0]


def _linear_layers(tensors: dict[str, Any], width: int, path: Path) -> list[tuple[Any, Any]]:
    """Weights and biases of a stack of linear layers, by the number in their names
    (`layers.0.weight`, ...; dropout between them leaves gaps).

    Raises:
        ValueError: they do not lead from `width` to one number.
    """
    try:
        numbers = sorted(int(name.split(".")[-2]) for name in tensors if name.endswith(".weight"))
        stem = next(iter(tensors)).rsplit(".", 2)[0]
        layers = [
            (tensors[f"{stem}.{at}.weight"].float(), tensors[f"{stem}.{at}.bias"].float())
            for at in numbers
        ]
    except (StopIteration, LookupError, ValueError):
        raise ValueError(f"{path}: no linear layers, layers.<number>.weight and .bias") from None
    widths = [weight.shape[1] for weight, _ in layers] + [1]
    if [width, *(weight.shape[0] for weight, _ in layers)] != widths:
        raise ValueError(f"{path}: layers of widths {widths} do not lead from {width} to 1")
    return layers


# -- objects -------------------------------------------------------------------------------------


def even_odds(confidence: Array, least: float) -> Array:
    """Confidences with their odds divided by those of `least`, which so becomes 0.5."""
    return confidence * (1 - least) / (confidence * (1 - least) + least * (1 - confidence))


class BoxFinder(ABC):
    """A detector of named objects."""

    prompt = "{}"

    def __init__(self, folder: Path, settings: BoxSettings, device: str) -> None:
        self.settings, self.device = settings, device
        self.names = settings.names
        self.texts = [(settings.prompt or self.prompt).replace("{}", name) for name in self.names]
        self._open(self._where(folder))

    def _where(self, folder: Path) -> Path:
        return _folder(folder, self.settings.model, self.settings.revision)

    def find(self, pictures: Array) -> tuple[Array, Array]:
        """Confidence of every name in every box, float32 ``[n, boxes, names]``, with `least` at
        0.5; and the boxes' left, top, right and bottom, ``[n, boxes, 4]`` as fractions of the
        picture. uint8 ``[n, h, w, 3]`` in."""
        import torch

        step = self.settings.batch
        with torch.inference_mode():
            parts = [
                [part.float().cpu() for part in self._find(pictures[at : at + step])]
                for at in range(0, len(pictures), step)
            ]
        if not parts:
            return np.zeros((0, 0, len(self.names)), np.float32), np.zeros((0, 0, 4), np.float32)
        scores, boxes = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        return even_odds(scores, self.settings.least), boxes.clip(0, 1)

    @abstractmethod
    def _open(self, where: Path) -> None: ...

    @abstractmethod
    def _find(self, pictures: Array) -> tuple[Any, Any]:
        """Tensors of raw confidences and boxes of a batch."""

    def _pixels(self, pictures: Array) -> dict[str, Any]:
        inputs = self.images(images=_shown(pictures), return_tensors="pt")
        return {key: value.to(self.device) for key, value in inputs.items()}

    images: Any  # the image processor


class Owlv2Finder(BoxFinder):
    """OWLv2 (Minderer et al. 2023, 2306.09683)."""

    prompt = "a photo of a {}"

    def _open(self, where: Path) -> None:
        import torch
        from transformers import Owlv2ForObjectDetection, Owlv2Processor

        self.model: Any = _open_model(Owlv2ForObjectDetection, where, self.device)
        processor = _open_processor(Owlv2Processor, where)
        self.images = processor.image_processor
        length = self.model.config.text_config.max_position_embeddings
        inputs = processor.tokenizer(
            self.texts,
            padding="max_length",
            truncation=True,
            max_length=length,
            return_tensors="pt",
        ).to(self.device)
        with torch.inference_mode():  # the names are the same for all pictures
            read = self.model.owlv2.get_text_features(inputs["input_ids"], inputs["attention_mask"])
        self.queries = read.pooler_output

    def _find(self, pictures: Array) -> tuple[Any, Any]:
        from transformers.image_transforms import center_to_corners_format

        grid = self.model.image_embedder(self._pixels(pictures)["pixel_values"])[0]
        features = grid.flatten(1, 2)
        queries = self.queries.expand(len(pictures), -1, -1)
        logits = self.model.class_predictor(features, queries)[0]
        boxes: Any = center_to_corners_format(self.model.box_predictor(features, grid))
        height, width = pictures.shape[1:3]  # what it saw was padded to a square
        sides = boxes.new_tensor([width, height, width, height])
        return logits.sigmoid(), boxes * max(height, width) / sides


class GroundingDinoFinder(BoxFinder):
    """Grounding DINO (Liu et al. 2023, 2303.05499): a name is found as surely as its tokens are,
    on average."""

    def _open(self, where: Path) -> None:
        import torch
        from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

        self.model: Any = _open_model(GroundingDinoForObjectDetection, where, self.device)
        processor = _open_processor(GroundingDinoProcessor, where)
        self.images = processor.image_processor
        texts = [text.strip().lower() for text in self.texts]
        read = processor.tokenizer(
            "".join(f"{text}. " for text in texts).strip(),
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        places = read.pop("offset_mapping")[0]
        if len(places) > self.model.config.max_text_len:
            raise ValueError(
                f"names: {len(places)} tokens of text, but {where} reads only "
                f"{self.model.config.max_text_len}"
            )
        ends = np.cumsum([len(text) + 2 for text in texts]) - 2
        own = torch.stack(
            [
                (places[:, 0] >= end - len(text)) & (places[:, 1] <= end) & (places[:, 1] > 0)
                for text, end in zip(texts, ends.tolist(), strict=True)
            ]
        ).float()
        if not own.any(1).all():
            raise ValueError(
                f"names: {where} reads no word in {texts[int(own.any(1).int().argmin())]!r}"
            )
        self.share = (own / own.sum(1, keepdim=True)).to(self.device)  # [names, tokens]
        self.words = {key: value.to(self.device) for key, value in read.items()}

    def _find(self, pictures: Array) -> tuple[Any, Any]:
        from transformers.image_transforms import center_to_corners_format

        words = {key: value.expand(len(pictures), -1) for key, value in self.words.items()}
        seen = self.model(**self._pixels(pictures), **words)
        tokens = seen.logits[..., : self.share.shape[1]].sigmoid()
        return tokens @ self.share.T, center_to_corners_format(seen.pred_boxes)


class DetrFinder(BoxFinder):
    """Any detector of a fixed list of labels, as DETR (Carion et al. 2020, 2005.12872) or YOLOS."""

    def _open(self, where: Path) -> None:
        import torch
        from transformers import AutoImageProcessor, AutoModelForObjectDetection

        self.model: Any = _open_model(AutoModelForObjectDetection, where, self.device)
        self.images = _open_processor(AutoImageProcessor, where)
        self.labels = torch.tensor(
            [_label(_labels(self.model), name, where) for name in self.names]
        )

    def _find(self, pictures: Array) -> tuple[Any, Any]:
        import torch

        seen = self.model(**self._pixels(pictures))
        # Each family has its own way from logits to confidences, which its processor knows.
        found = self.images.post_process_object_detection(seen, threshold=-1.0)
        scores = torch.stack([one["scores"] for one in found])
        labels = torch.stack([one["labels"] for one in found])
        mine = labels[..., None] == self.labels.to(labels.device)
        return scores[..., None] * mine, torch.stack([one["boxes"] for one in found])


class MtcnnFinder(BoxFinder):
    """Faces by a cascade of three small networks, MTCNN (Zhang et al. 2016, 1604.02878), with the
    weights of the package facenet-pytorch (2 MB)."""

    source = "package:facenet-pytorch"
    thresholds = (0.4, 0.4, 0.05)  # of the stages; the last is for `least` to judge
    margin = 0.25  # of a side, added around: the cascade misses faces that fill a picture
    least_side = 96  # px of the shorter side; smaller pictures are enlarged
    boxes = 16  # of a picture that are told, the surest

    def _where(self, folder: Path) -> Path:
        if self.settings.model != self.source:
            raise ValueError(f"{folder / CONFIG}: model: mtcnn is {self.source!r} alone")
        found = importlib.util.find_spec("facenet_pytorch")
        if not found or not found.origin:
            raise FileNotFoundError(
                f"model {self.source!r}: not installed; it asks for an older torch than it needs: "
                "pip install --no-deps -c constraints.txt facenet-pytorch"
            )
        return Path(found.origin).parent

    def _open(self, where: Path) -> None:
        del where
        from facenet_pytorch import MTCNN  # pyright: ignore[reportMissingImports]

        self.model: Any = MTCNN(
            thresholds=list(self.thresholds), select_largest=False, device=self.device
        ).eval()

    def _find(self, pictures: Array) -> tuple[Any, Any]:
        import torch

        n, height, width = pictures.shape[:3]
        larger = max(1.0, self.least_side / min(height, width))
        size = (round(width * larger), round(height * larger))
        drawn = [np.asarray(one.resize(size, Image.Resampling.BICUBIC)) for one in _shown(pictures)]
        across, down = (round(self.margin * side) for side in size)
        around = ((0, 0), (down, down), (across, across), (0, 0))
        places, sures = self.model.detect(np.pad(np.stack(drawn), around, mode="edge"))
        scores = torch.zeros((n, self.boxes, 1))
        boxes = torch.zeros((n, self.boxes, 4))
        for row, (place, sure) in enumerate(zip(places, sures, strict=True)):
            if place is not None:
                best = np.argsort(-sure.astype(np.float32), kind="stable")[: self.boxes]
                scores[row, : len(best), 0] = torch.tensor(sure[best].astype(np.float32))
                corners = place[best].astype(np.float32) - (across, down, across, down)
                boxes[row, : len(best)] = torch.tensor(corners / (size + size))
        return scores, boxes


FINDERS = {
    "owlv2": Owlv2Finder,
    "grounding-dino": GroundingDinoFinder,
    "detr": DetrFinder,
    "mtcnn": MtcnnFinder,
}


def _labels(model: Any) -> dict[str, int]:
    return {label: int(number) for number, label in model.config.id2label.items()}


def _label(labels: Mapping[str, int], name: str, where: Path) -> int:
    """Number of a label of a model.

    Raises:
        ValueError: it has no such label.
    """
    if name not in labels:
        raise ValueError(f"{where}: there is no label {name!r} among {sorted(labels)[:20]}")
    return labels[name]


class HubDetector:
    """Objects by a detector of boxes, and their colours by the pixels in the middle of a box."""

    def __init__(self, folder: Path, device: str) -> None:
        self.settings = reward_settings(folder, ObjectSettings)
        self.finder = FINDERS[self.settings.kind](folder, self.settings, device)
        self.colours = [
            lab(np.array([ImageColor.getrgb(shade)[:3] for shade in shades]))
            for shades in self.settings.colours.values()
        ]

    def detect(self, pictures: Array) -> Detections:
        """What is in which cell: a box is in that of its middle, and gives the cell the colour of
        its most certain box. uint8 ``[n, h, w, 3]`` in."""
        scores, boxes = self.finder.find(pictures)
        cells, names = self.settings.cells, self.settings.names
        objects = np.zeros((len(pictures), cells, cells, len(names)), np.float32)
        paints = np.zeros((len(pictures), cells, cells, len(self.colours)), np.float32)
        for at, picture in enumerate(pictures):
            objects[at], best = _sorted_into(cells, scores[at], boxes[at])
            there = best >= 0
            seen = [middle_colour(picture, boxes[at, box]) for box in best[there]]
            if seen:
                paints[at, there] = named_colours(np.array(seen), self.colours)
        return Detections(tuple(names), tuple(self.settings.colours), objects, paints)


def _sorted_into(cells: int, scores: Array, boxes: Array) -> tuple[Array, Array]:
    """Best confidence of each name in each cell, ``[cells, cells, names]``, and the cell's most
    certain box, ``[cells, cells]``, -1 for none; of one picture."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    column, row = np.clip((middle * cells).astype(int), 0, cells - 1).T
    objects = np.zeros((cells, cells, scores.shape[1]), np.float32)
    np.maximum.at(objects, (row, column), scores)
    best, order = np.full((cells, cells), -1), np.argsort(scores.max(1), kind="stable")
    best[row[order], column[order]] = order  # of several in a cell the last stays
    return objects, best


def middle_colour(picture: Array, box: Array) -> Array:
    """Median colour of the middle half of a box, sRGB in 0 to 255, ``[3]``: what is around an
    object fills a box's edges."""
    height, width = picture.shape[:2]
    left, right = box[0] + (box[2] - box[0]) * np.array([0.25, 0.75])
    top, bottom = box[1] + (box[3] - box[1]) * np.array([0.25, 0.75])
    x, y = min(int(left * width), width - 1), min(int(top * height), height - 1)
    part = picture[y : max(y + 1, round(bottom * height)), x : max(x + 1, round(right * width))]
    return np.median(part.reshape(-1, 3), 0)


def lab(colours: Array) -> Array:
    """CIE L*a*b* (D65) of sRGB colours in 0 to 255, ``[n, 3]``."""
    share = np.asarray(colours, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(  # IEC 61966-2-1
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ to_xyz.T / to_xyz.sum(1)  # beside white
    bent = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = bent.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def named_colours(seen: Array, shades: Sequence[Array]) -> Array:
    """Probability of each named colour, ``[n, colours]``, of sRGB colours ``[n, 3]``: the nearer
    its nearest shade, the likelier, by `COLOUR_WIDTH`. `shades` are in L*a*b*, ``[k, 3]`` each."""
    places = lab(seen)[:, None]
    far = np.stack([np.linalg.norm(places - own, axis=-1).min(1) for own in shades], 1)
    odds = np.exp((far.min(1, keepdims=True) - far) / COLOUR_WIDTH)
    return odds / odds.sum(1, keepdims=True)


# -- people --------------------------------------------------------------------------------------


def _numbers(settings: HeadSettings, labels: Mapping[str, int], where: Path) -> list[list[int]]:
    """The labels of each class, by number."""
    return [[_label(labels, name, where) for name in names] for names in settings.classes]


class _ClassifierHead:
    """Probabilities of classes that a classifier's labels make up."""

    def __init__(self, folder: Path, settings: HeadSettings, device: str) -> None:
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        self.settings, self.device = settings, device
        where = _folder(folder, settings.model, settings.revision)
        self.model: Any = _open_model(AutoModelForImageClassification, where, device)
        self.images: Any = _open_processor(AutoImageProcessor, where)
        self.classes = _numbers(settings, _labels(self.model), where)

    def read(self, crops: Sequence[Array]) -> Array:
        """float32 ``[n, classes]``, of which each row sums to 1."""
        import torch

        step, parts = self.settings.batch, [torch.zeros((0, len(self.classes)))]
        with torch.inference_mode():
            for at in range(0, len(crops), step):
                images = self.images(_shown(crops[at : at + step]), return_tensors="pt")
                logits = self.model(images["pixel_values"].to(self.device)).logits.float()
                each = [logits[:, labels].logsumexp(1) for labels in self.classes]
                parts.append(torch.stack(each, 1).softmax(1).cpu())
        return torch.cat(parts).numpy()


class _FeatureHead:
    """The same by a head on ImageNet features."""

    def __init__(self, folder: Path, settings: HeadSettings, device: str) -> None:
        where = _folder(folder, settings.model, settings.revision)
        self.weight, self.bias, labels = load_head(where)
        self.classes = _numbers(settings, {name: at for at, name in enumerate(labels)}, where)
        self.features = CropFeatures(device, settings.batch)

    def read(self, crops: Sequence[Array]) -> Array:
        """float32 ``[n, classes]``, of which each row sums to 1."""
        logits = self.features(crops).astype(np.float64) @ self.weight.T + self.bias
        chances = np.exp(logits - logits.max(1, keepdims=True))
        each = np.stack([chances[:, labels].sum(1) for labels in self.classes], 1)
        return (each / each.sum(1, keepdims=True)).astype(np.float32)


HEADS = {"classifier": _ClassifierHead, "features": _FeatureHead}


class FaceReader:
    """Tone and perceived gender of the surest face of a picture."""

    def __init__(self, folder: Path, device: str) -> None:
        self.settings = reward_settings(folder, FaceSettings)
        detector = self.settings.detector
        self.finder = FINDERS[detector.kind](folder, detector, device)
        self.tone, self.gender = (
            HEADS[head.kind](folder, head, device)
            for head in (self.settings.tone, self.settings.gender)
        )

    def read(self, pictures: Array) -> People:
        """`found` is the face's confidence; where it is below one half there is nobody, and tone
        and gender are NaN. uint8 ``[n, h, w, 3]`` in."""
        scores, boxes = self.finder.find(pictures)
        n, each = len(pictures), np.arange(len(pictures))
        best = scores[..., 0].argmax(1) if n else each
        found = scores[each, best, 0]
        rows = np.flatnonzero(found >= 0.5)
        crops = [
            cut_out(pictures[row], boxes[row, best[row]], self.settings.margin) for row in rows
        ]
        tone, gender = np.full((n, 4), np.nan, np.float32), np.full((n, 2), np.nan, np.float32)
        tone[rows], gender[rows] = self.tone.read(crops), self.gender.read(crops)
        return People(tone, gender, found)


def cut_out(picture: Array, box: Array, margin: float) -> Array:
    """The pixels of a box that grew by `margin` of its sides, at least one."""
    height, width = picture.shape[:2]
    grown = margin * np.array([box[2] - box[0], box[3] - box[1]])
    left, top = np.clip(box[:2] - grown, 0, 1) * (width, height)
    right, bottom = np.clip(box[2:] + grown, 0, 1) * (width, height)
    x, y = min(int(left), width - 1), min(int(top), height - 1)
    return picture[y : max(y + 1, round(bottom)), x : max(x + 1, round(right))]


# -- all -----------------------------------------------------------------------------------------

KINDS: dict[str, Any] = {
    "pickscore": PickScorer,
    "image-reward": BlipScorer,
    "owlv2": HubDetector,
    "grounding-dino": HubDetector,
    "detr": HubDetector,
    "face": FaceReader,
}


def open_hub_reward(folder: Path, device: str) -> Any:
    """The reward model that a folder's `reward.json` names; its `kind` is one of `KINDS`.

    Raises:
        ValueError: a setting is wrong, or does not fit the model.
        FileNotFoundError: a model is neither a folder nor a hub id that can be had.
    """
    return KINDS[json.loads((folder / CONFIG).read_text())["kind"]](folder, device)
