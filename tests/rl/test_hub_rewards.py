"""Reward models of the hub: tiny random ones of the real classes, opened from their folders."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor

from rl_diffusion_assets.policy.tasks import Prompt, Sampling, score
from rl_diffusion_assets.rewards.composition import Detections, Wanted
from rl_diffusion_assets.rewards.heads import CropFeatures, fit_head, load_head
from rl_diffusion_assets.rewards.hub import (
    SHADES,
    BlipSettings,
    FaceSettings,
    ObjectSettings,
    PickSettings,
    _sorted_into,
    cut_out,
    even_odds,
    lab,
    middle_colour,
    named_colours,
)
from rl_diffusion_assets.rewards.models import CONFIG, People, open_reward
from rl_diffusion_assets.rewards.networks import FEATURES
from rl_diffusion_assets.rewards.remote import RemoteSettings
from tests.rl.conftest import END, START, Brightness, rewards

NAMES = ["hat", "traffic light", "bag"]
CAPTIONS = ["a red hat", "a bag beside a hat", "", "traffic light, in the rain at night", "a hat"]
TONES = [["monk 1", "monk 2"], ["monk 3"], ["monk 4"], ["monk 5", "monk 6"]]
GENDERS = [["Male"], ["Female"]]


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)


def reward(folder: Path, **config: Any) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / CONFIG).write_text(json.dumps(config))
    return folder


# -- tiny models of the real classes -------------------------------------------------------------


def clip_tokenizer(length: int) -> Any:
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(f"{letter}</w>" for letter in alphabet), START, END]
    vocabulary = {word: index for index, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=length)


def bert_tokenizer() -> Any:
    """Spells; its special words have the numbers that Grounding DINO knows them by."""
    from transformers import BertTokenizer

    words = [f"[unused{at}]" for at in range(1100)]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789,-"
    words[200 : 200 + len(letters)] = letters
    words[300 : 300 + len(letters)] = [f"##{letter}" for letter in letters]
    known = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 400: "hat"}
    for at, word in (known | {401: "bag", 402: "traffic", 403: "light", 1012: "."}).items():
        words[at] = word
    return BertTokenizer(vocab={word: at for at, word in enumerate(words)}, model_max_length=512)


def clip_parts(tokenizer: Any, length: int, side: int, patch: int) -> dict[str, Any]:
    """Sizes of the two towers of CLIP and of OWLv2, which is one with more heads."""
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    words = {"vocab_size": len(tokenizer), "max_position_embeddings": length}
    words |= {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    heads = {"num_attention_heads": 2}
    return {
        "text_config": {**small, **heads, **words, "bos_token_id": tokenizer.bos_token_id},
        "vision_config": {**small, **heads, "image_size": side, "patch_size": patch},
        "projection_dim": 16,
    }


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    torch.manual_seed(0)
    folder, tokenizer = tmp_path_factory.mktemp("clip"), clip_tokenizer(24)
    CLIPModel(CLIPConfig(**clip_parts(tokenizer, 24, 32, 8))).save_pretrained(folder)
    side = {"height": 32, "width": 32}
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=side)
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def owl_folder(tmp_path_factory) -> Path:
    from transformers import (
        Owlv2Config,
        Owlv2ForObjectDetection,
        Owlv2ImageProcessor,
        Owlv2Processor,
    )

    torch.manual_seed(1)
    folder, tokenizer = tmp_path_factory.mktemp("owl"), clip_tokenizer(32)
    model = Owlv2ForObjectDetection(Owlv2Config(**clip_parts(tokenizer, 32, 48, 8)))
    # Drawn as small as they are, random weights would say the same of all pictures.
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    for head, value in ((model.class_head.logit_shift, -0.5), (model.class_head.logit_scale, 1)):
        head.weight.data.zero_()
        head.bias.data.fill_(value)
    model.save_pretrained(folder)
    images = Owlv2ImageProcessor(size={"height": 48, "width": 48})
    Owlv2Processor(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def dino_folder(tmp_path_factory) -> Path:
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    torch.manual_seed(2)
    folder, tokenizer = tmp_path_factory.mktemp("dino"), bert_tokenizer()
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    layers = {"encoder_layers": 1, "decoder_layers": 2, "num_queries": 12}
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=64,
            window_size=4,
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 1, 1, 1],
            out_indices=[2, 3, 4],
        ),
        text_config=BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
        ),
        d_model=64,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_text_len=64,
        **heads,
        **layers,
    )
    model = GroundingDinoForObjectDetection(config)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 64})
    GroundingDinoProcessor(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def blip_folder(tmp_path_factory) -> Path:
    """BLIP, and a reward folder with a head beside it."""
    from safetensors.torch import save_file
    from transformers import (
        BlipConfig,
        BlipForImageTextRetrieval,
        BlipImageProcessor,
        BlipProcessor,
    )

    torch.manual_seed(3)
    folder, tokenizer = tmp_path_factory.mktemp("blip"), bert_tokenizer()
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "initializer_range": 0.2}
    words = {"vocab_size": len(tokenizer), "bos_token_id": 101, "sep_token_id": 102}
    config = BlipConfig(
        text_config={**small, **heads, **words},
        vision_config={**small, **heads, "image_size": 32, "patch_size": 8},
        image_text_hidden_size=8,
    )
    BlipForImageTextRetrieval(config).save_pretrained(folder / "model")
    images = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(images, tokenizer).save_pretrained(folder / "model")
    widths = {0: (12, 16), 2: (4, 12), 10: (1, 4)}  # gaps as dropout leaves them
    head = {f"layers.{at}.weight": torch.randn(shape) for at, shape in widths.items()}
    head |= {f"layers.{at}.bias": torch.randn(shape[0]) for at, shape in widths.items()}
    save_file(head, folder / "head.safetensors")
    return reward(folder, kind="image-reward", model="model", length=20)


@pytest.fixture(scope="module")
def yolos_folder(tmp_path_factory) -> Path:
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    torch.manual_seed(4)
    folder = tmp_path_factory.mktemp("yolos")
    labels = {0: "N/A", 1: "face", 2: "hat"}
    config = YolosConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=[32, 32],
        patch_size=8,
        num_detection_tokens=6,
        id2label=labels,
        label2id={label: number for number, label in labels.items()},
        initializer_range=0.3,
    )
    model = YolosForObjectDetection(config)
    model.class_labels_classifier.layers[-1].bias.data[:3] = torch.tensor([-9.0, 1.0, -2.0])
    model.save_pretrained(folder)
    size = {"shortest_edge": 32, "longest_edge": 32}
    YolosImageProcessor(size=size, do_pad=False).save_pretrained(folder)
    return folder


def write_classifier(folder: Path, labels: list[str]) -> Path:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        initializer_range=0.5,
    )
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> dict[str, Any]:
    """Settings of the two classifiers of a face."""
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("heads")
    tones = [*(label for each in TONES for label in each), "unknown"]
    tone = write_classifier(folder / "tone", tones)
    gender = write_classifier(folder / "gender", ["Female", "Male"])
    return {
        "tone": {"model": str(tone), "classes": TONES},
        "gender": {"model": str(gender), "classes": GENDERS},
    }


# -- preferences ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["pickscore", "image-reward"])
def scorer_folder(request, tmp_path_factory) -> Path:
    if request.param == "image-reward":
        return request.getfixturevalue("blip_folder")
    folder = tmp_path_factory.mktemp("pickscore")
    return reward(folder, kind="pickscore", model=str(request.getfixturevalue("clip_folder")))


def test_a_scorer_says_the_same_alone_and_in_a_batch(scorer_folder, pictures):
    scorer = open_reward(scorer_folder)
    scores = scorer.score(pictures, CAPTIONS)
    assert scores.shape == (5,)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert len(np.unique(scores.round(6))) == 5
    alone = [scorer.score(pictures[at : at + 1], CAPTIONS[at : at + 1])[0] for at in range(5)]
    np.testing.assert_allclose(alone, scores, atol=1e-4)
    turned = scorer.score(pictures, CAPTIONS[1:] + CAPTIONS[:1])
    assert np.abs(turned - scores).max() > 1e-4  # captions count


def test_the_trainer_scores_with_it_beside_another(scorer_folder, pictures):
    prompts = [Prompt(text, Wanted(())) for text in CAPTIONS[:4]]
    scorer, groups = open_reward(scorer_folder), np.array([0, 0, 1, 1])
    models = rewards(Brightness(), scorer)
    found = score("preference", models, pictures[:4], prompts, groups, Sampling(2, 2))
    each = [Brightness().score(pictures[:4], []), scorer.score(pictures[:4], CAPTIONS[:4])]
    np.testing.assert_allclose(found[:, 0], np.mean(each, 0), rtol=1e-5)


def test_pickscore_is_the_scaled_cosine_of_clip(clip_folder, pictures, tmp_path):
    from transformers import CLIPModel, CLIPProcessor

    model, processor = (kind.from_pretrained(clip_folder) for kind in (CLIPModel, CLIPProcessor))
    inputs = processor(
        text=CAPTIONS,
        images=[Image.fromarray(one) for one in pictures],
        return_tensors="pt",
        padding="max_length",
        truncation=True,
    )
    with torch.inference_mode():
        wanted = model(**inputs).logits_per_image.diagonal().numpy()
    (tmp_path / "weights").symlink_to(clip_folder)
    config = {"kind": "pickscore", "model": "weights", "processor": str(clip_folder)}
    scorer = open_reward(reward(tmp_path, **config, temperature=2.0))
    np.testing.assert_allclose(scorer.score(pictures, CAPTIONS), wanted / 2, rtol=1e-4)


def test_image_reward_is_the_head_of_what_blip_reads(blip_folder, pictures):
    from safetensors.torch import load_file
    from transformers import BlipForImageTextRetrieval, BlipProcessor

    model = BlipForImageTextRetrieval.from_pretrained(blip_folder / "model").eval()
    processor = BlipProcessor.from_pretrained(blip_folder / "model")
    inputs = processor(
        text=CAPTIONS,
        images=[Image.fromarray(one) for one in pictures],
        return_tensors="pt",
        padding="max_length",
        truncation=True,
        max_length=20,
    )
    head = load_file(blip_folder / "head.safetensors")
    with torch.inference_mode():
        state = model(**inputs).question_embeds[:, 0]
        for at in (0, 2, 10):
            state = state @ head[f"layers.{at}.weight"].T + head[f"layers.{at}.bias"]
    wanted = (state[:, 0].numpy() - 0.16717) / 1.03334
    scores = open_reward(blip_folder).score(pictures, CAPTIONS)
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("what", ["nothing", "no layers", "wrong width", "no file"])
def test_a_head_that_does_not_fit_is_refused(blip_folder, tmp_path, what):
    from safetensors.torch import save_file

    tensors = {
        "nothing": {},
        "no layers": {"scale": torch.ones(1)},
        "wrong width": {"layers.0.weight": torch.ones(1, 7), "layers.0.bias": torch.ones(1)},
        "no file": None,
    }[what]
    if tensors is not None:
        save_file(tensors, tmp_path / "head.safetensors")
    config = {"kind": "image-reward", "model": str(blip_folder / "model")}
    with pytest.raises(ValueError, match="head"):
        open_reward(reward(tmp_path, **config))


# -- objects -------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["owlv2", "grounding-dino", "detr"])
def detector(request, tmp_path_factory) -> Any:
    source = {"owlv2": "owl_folder", "grounding-dino": "dino_folder", "detr": "yolos_folder"}
    names = ["hat", "face"] if request.param == "detr" else NAMES
    folder = tmp_path_factory.mktemp("objects")
    model = str(request.getfixturevalue(source[request.param]))
    settings = {"names": names, "colours": ["red", "blue", "grey"], "cells": 5, "batch": 2}
    return open_reward(reward(folder, kind=request.param, model=model, **settings))


def test_detections_are_probabilities_in_a_grid(detector, pictures):
    found = detector.detect(pictures)
    assert isinstance(found, Detections)
    assert found.objects.shape == (5, 5, 5, len(detector.settings.names))
    assert found.paints.shape == (5, 5, 5, 3)
    for part in (found.objects, found.paints):
        assert np.isfinite(part).all()
        assert (part >= 0).all()
        assert (part <= 1).all()
    there = found.paints.sum(-1)
    assert there.max() > 0.99
    np.testing.assert_allclose(there[there > 0], 1, rtol=1e-5)
    assert (found.objects[there == 0] == 0).all()  # no box, no object
    assert found.objects.max((1, 2)).std() > 0  # it does look


def test_a_detector_says_the_same_alone_and_in_a_batch(detector, pictures):
    scores, boxes = detector.finder.find(pictures)
    for at in range(5):
        own, places = detector.finder.find(pictures[at : at + 1])
        np.testing.assert_allclose(own[0], scores[at], atol=1e-4)
        np.testing.assert_allclose(places[0], boxes[at], atol=1e-4)
    assert (boxes[..., :2] <= boxes[..., 2:]).all()
    empty = detector.detect(pictures[:0])
    assert empty.objects.shape == (0, 5, 5, len(detector.settings.names))


def test_the_trainer_scores_compositions_with_it(detector, pictures):
    wanted = Wanted((("hat", "red"), ("face", "blue")), "next to")
    models = rewards()
    models.detector = detector
    prompts, groups = [Prompt("a red hat", wanted)] * 5, np.zeros(5, int)
    found = score("composition", models, pictures, prompts, groups, Sampling(1, 5))
    assert found.shape == (5, 1)
    assert ((found >= 0) & (found <= 1)).all()
    assert found.max() > 0


def test_owlv2_finds_what_its_own_processor_finds(owl_folder, pictures, tmp_path):
    from transformers import Owlv2ForObjectDetection, Owlv2Processor

    model = Owlv2ForObjectDetection.from_pretrained(owl_folder)
    processor = Owlv2Processor.from_pretrained(owl_folder)
    tall = pictures[:, :, :30]  # padded to a square
    images, texts = [Image.fromarray(one) for one in tall], [f"a photo of a {n}" for n in NAMES]
    inputs = processor(text=[texts] * 5, images=images, return_tensors="pt")
    with torch.inference_mode():
        said = processor.post_process_grounded_object_detection(
            model(**inputs), threshold=0.0, target_sizes=[(40, 30)] * 5
        )
    config = {"kind": "owlv2", "model": str(owl_folder), "names": NAMES, "least": 0.5}
    scores, boxes = open_reward(reward(tmp_path, **config)).finder.find(tall)
    for at, one in enumerate(said):
        np.testing.assert_allclose(scores[at].max(1), one["scores"], atol=1e-5)
        assert (scores[at].argmax(1) == one["labels"].numpy()).mean() > 0.99
        inside = (one["boxes"].numpy() / [30, 40, 30, 40]).clip(0, 1)
        np.testing.assert_allclose(boxes[at], inside, atol=1e-4)


def test_grounding_dino_finds_what_its_own_processor_finds(dino_folder, pictures, tmp_path):
    from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

    model = GroundingDinoForObjectDetection.from_pretrained(dino_folder).eval()
    processor = GroundingDinoProcessor.from_pretrained(dino_folder)
    images = [Image.fromarray(one) for one in pictures]
    inputs = processor(images=images, text=[NAMES] * 5, return_tensors="pt")
    words = ["[CLS]", "hat", ".", "traffic", "light", ".", "bag", ".", "[SEP]"]
    assert processor.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0]) == words
    with torch.inference_mode():
        seen = model(**inputs)
    said = processor.post_process_grounded_object_detection(
        seen, threshold=0.0, target_sizes=[(1, 1)] * 5
    )
    config = {"kind": "grounding-dino", "model": str(dino_folder), "names": NAMES, "least": 0.5}
    scores, boxes = open_reward(reward(tmp_path, **config)).finder.find(pictures)
    np.testing.assert_allclose(boxes, torch.stack([one["boxes"] for one in said]), atol=1e-4)
    tokens = seen.logits.sigmoid().numpy()
    wanted = np.stack([tokens[..., 1], tokens[..., 3:5].mean(-1), tokens[..., 6]], -1)
    np.testing.assert_allclose(scores, wanted, atol=1e-5)


def test_a_trained_detector_finds_what_its_own_processor_finds(yolos_folder, pictures, tmp_path):
    from transformers import YolosForObjectDetection, YolosImageProcessor

    model = YolosForObjectDetection.from_pretrained(yolos_folder)
    processor = YolosImageProcessor.from_pretrained(yolos_folder)
    inputs = processor([Image.fromarray(one) for one in pictures], return_tensors="pt")
    with torch.inference_mode():
        seen = model(inputs["pixel_values"])
    said = processor.post_process_object_detection(seen, 0.0, target_sizes=[(1, 1)] * 5)
    config = {"kind": "detr", "model": str(yolos_folder), "names": ["hat", "face"], "least": 0.5}
    scores, boxes = open_reward(reward(tmp_path, **config)).finder.find(pictures)
    for at, one in enumerate(said):
        for column, label in enumerate((2, 1)):
            wanted = one["scores"] * (one["labels"] == label)
            np.testing.assert_allclose(scores[at, :, column], wanted, atol=1e-5)
        np.testing.assert_allclose(boxes[at], one["boxes"].clip(0, 1), atol=1e-5)


def test_least_is_the_confidence_that_is_worth_a_half():
    confidence = np.array([0.0, 0.1, 0.3, 0.6, 1.0])
    np.testing.assert_allclose(even_odds(confidence, 0.5), confidence)
    shifted = even_odds(confidence, 0.3)
    assert shifted[2] == pytest.approx(0.5)
    assert (np.diff(shifted) > 0).all()
    assert shifted[[0, -1]].tolist() == [0, 1]


def test_boxes_are_sorted_into_the_cells_of_their_middles():
    boxes = np.array([[0, 0, 0.2, 0.2], [0.1, 0, 0.2, 0.1], [0.8, 0.4, 1, 0.6], [1, 1, 1, 1]])
    scores = np.array([[0.2, 0.7], [0.4, 0.1], [0.3, 0.3], [0.9, 0.0]])
    objects, best = _sorted_into(4, scores, boxes)
    np.testing.assert_allclose(objects[0, 0], [0.4, 0.7])
    np.testing.assert_allclose(objects[2, 3], [0.3, 0.3])  # y is the row
    np.testing.assert_allclose(objects[3, 3], [0.9, 0])
    assert (best[0, 0], best[2, 3], best[3, 3]) == (0, 2, 3)
    assert (best >= 0).sum() == 3
    assert objects.sum() == pytest.approx(2.6)


def test_a_box_has_the_colour_of_its_middle():
    picture = np.full((32, 32, 3), (250, 250, 250), np.uint8)
    picture[4:20, 8:24] = (180, 30, 30)
    picture[10:14, 14:18] = (0, 0, 0)  # a button
    assert middle_colour(picture, np.array([0.25, 0.125, 0.75, 0.625])).tolist() == [180, 30, 30]
    for box in ([1, 1, 1, 1], [0, 0, 0, 0], [0.99, 0, 1, 0.001]):  # of no size
        assert middle_colour(picture, np.array(box)).tolist() == [250, 250, 250]


def test_lab_is_that_of_the_standard():
    colours = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255], [119, 119, 119]])
    wanted = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86], [50.03, 0, 0]]
    np.testing.assert_allclose(lab(colours), wanted, atol=0.05)


def test_colours_of_things_have_their_names():
    seen = {
        "red": (200, 25, 35),
        "blue": (35, 60, 190),
        "green": (40, 120, 50),
        "yellow": (235, 215, 60),
        "black": (25, 25, 28),
        "white": (240, 240, 238),
        "grey": (125, 128, 126),
        "brown": (130, 70, 40),
        "orange": (240, 130, 30),
        "pink": (240, 150, 170),
        "purple": (110, 40, 130),
        "dark red": (120, 20, 30),
        "navy blue": (20, 30, 80),
        "dark green": (20, 60, 30),
    }
    shades = [lab(np.array([ImageColor.getrgb(one) for one in each])) for each in SHADES.values()]
    chances = named_colours(np.array(list(seen.values())), shades)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert [list(SHADES)[at] for at in chances.argmax(1)] == [name.split()[-1] for name in seen]


def test_colours_may_be_named_or_given():
    about: dict[str, Any] = {"kind": "owlv2", "model": "m", "names": ["hat"]}
    assert ObjectSettings(**about).colours == SHADES
    named = ObjectSettings(**about, colours=["red", "rebeccapurple"]).colours
    assert named == {"red": SHADES["red"], "rebeccapurple": ("rebeccapurple",)}
    own = {"wine": ["#722f37", "maroon"]}
    assert ObjectSettings(**about, colours=own).colours == {"wine": ("#722f37", "maroon")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": []}, "names"),
        ({"names": ["hat", "Hat"]}, "names: .*twice"),
        ({"names": [" "]}, "names"),
        ({"kind": "grounding-dino", "names": ["st. bernard"]}, "full stop"),
        ({"prompt": "a photo"}, "needs one {}"),
        ({"colours": ["reddish"]}, "colours: .*reddish"),
        ({"colours": {}}, "colours: "),
        ({"colours": {"red": []}}, "colours: .*red has no shade"),
        ({"least": 1}, "least"),
        ({"cells": 1}, "cells"),
        ({"threshold": 0.1}, "threshold: Extra"),
        ({"model": ""}, "model"),
    ],
)
def test_wrong_settings_are_named(tmp_path, changes, message):
    config = {"kind": "owlv2", "model": "owner/model", "names": ["hat"]} | changes
    with pytest.raises(ValueError, match=message) as wrong:
        open_reward(reward(tmp_path, **config))
    assert CONFIG in str(wrong.value)


def test_names_that_a_model_cannot_read_are_refused(dino_folder, yolos_folder, tmp_path):
    config: dict[str, Any] = {"kind": "grounding-dino", "model": str(dino_folder)}
    with pytest.raises(ValueError, match=r"names: .* reads only 64"):
        open_reward(reward(tmp_path, **config, names=[f"hat {at}" for at in range(40)]))
    with pytest.raises(ValueError, match=r"names: .* reads no word"):
        open_reward(reward(tmp_path, **config, names=["hat", "\u200b"]))
    with pytest.raises(ValueError, match=r"no label 'dog' among \['N/A', 'face', 'hat'\]"):
        open_reward(reward(tmp_path, kind="detr", model=str(yolos_folder), names=["dog"]))


# -- opening -------------------------------------------------------------------------------------


def test_the_documented_settings_are_right():
    forms = {
        "remote": RemoteSettings,
        "pickscore": PickSettings,
        "image-reward": BlipSettings,
        "owlv2": ObjectSettings,
        "face": FaceSettings,
    }
    text = Path("docs/rl.md").read_text(encoding="utf-8")
    shown = [block.split("```")[0] for block in text.split("```json\n")[1:]]
    kinds = [json.loads(block)["kind"] for block in shown]
    assert kinds == list(forms)
    for kind, block in zip(kinds, shown, strict=True):
        forms[kind].model_validate_json(block)


def test_a_model_that_is_not_there_is_not_fetched(tmp_path):
    config = {"kind": "pickscore", "model": "nobody/no-such-model", "revision": "abc"}
    with pytest.raises(FileNotFoundError, match="nobody/no-such-model"):
        open_reward(reward(tmp_path, **config))


def test_only_safetensors_are_read(clip_folder, tmp_path):
    from safetensors.torch import load_file

    model = tmp_path / "model"
    model.mkdir()
    for path in clip_folder.iterdir():
        if path.suffix == ".safetensors":
            torch.save(load_file(path), model / "pytorch_model.bin")
        else:
            (model / path.name).write_bytes(path.read_bytes())
    with pytest.raises(OSError, match="safetensors"):
        open_reward(reward(tmp_path, kind="pickscore", model="model"))


def test_a_model_that_is_there_only_as_a_variant_is_read(clip_folder, pictures, tmp_path):
    weights = tmp_path / "weights"
    shutil.copytree(clip_folder, weights)
    (weights / "model.safetensors").rename(weights / "model.fp16.safetensors")
    plain = open_reward(reward(tmp_path / "plain", kind="pickscore", model=str(clip_folder)))
    folder = reward(tmp_path / "variant", kind="pickscore", model=str(weights))
    captions = ["a hat"] * len(pictures)
    found = open_reward(folder).score(pictures, captions)
    assert np.array_equal(found, plain.score(pictures, captions))
    shutil.copy(weights / "model.fp16.safetensors", weights / "model.bf16.safetensors")
    with pytest.raises(ValueError, match=r"several are.*bf16, fp16"):
        open_reward(folder)


def test_a_model_that_lacks_weights_is_not_drawn_at_random(clip_folder, blip_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    def without(source: Path, start: str) -> Path:
        model = tmp_path / start
        model.mkdir()
        for path in source.iterdir():
            (model / path.name).write_bytes(path.read_bytes())
        tensors = load_file(model / "model.safetensors")
        kept = {name: value for name, value in tensors.items() if not name.startswith(start)}
        assert len(kept) < len(tensors)
        save_file(kept, model / "model.safetensors", metadata={"format": "pt"})
        return model

    model = str(without(clip_folder, "visual_projection"))
    with pytest.raises(ValueError, match=r"1 weights of CLIPModel .* visual_projection.weight"):
        open_reward(reward(tmp_path / "first", kind="pickscore", model=model))
    config = {"kind": "image-reward", "model": str(without(blip_folder / "model", "itm_head"))}
    folder = reward(tmp_path / "second", **config)
    (folder / "head.safetensors").write_bytes((blip_folder / "head.safetensors").read_bytes())
    open_reward(folder)  # which is not asked whether they match


# -- people --------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["detr", "owlv2"])
def face_detector(request) -> dict[str, Any]:
    source = {"owlv2": "owl_folder", "detr": "yolos_folder"}[request.param]
    return {
        "kind": request.param,
        "model": str(request.getfixturevalue(source)),
        "names": ["face"],
        "batch": 2,
    }


def people(folder: Path, detector: dict[str, Any], heads: dict[str, Any], least: float) -> Any:
    return open_reward(reward(folder, kind="face", detector=detector | {"least": least}, **heads))


def test_faces_are_found_and_read(tmp_path, face_detector, heads, pictures):
    reader = people(tmp_path, face_detector, heads, 1e-9)
    seen = reader.read(pictures)
    assert isinstance(seen, People)
    assert (seen.found >= 0.5).any()
    here = seen.found >= 0.5
    np.testing.assert_allclose(seen.tone[here].sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(seen.gender[here].sum(1), 1, rtol=1e-5)
    assert seen.table("joint").shape == (5, 8)
    for at in range(5):
        alone = reader.read(pictures[at : at + 1])
        for name in ("tone", "gender", "found"):
            np.testing.assert_allclose(getattr(alone, name)[0], getattr(seen, name)[at], atol=1e-4)


def test_nobody_is_found_where_no_face_is_sure_enough(tmp_path, face_detector, heads, pictures):
    seen = people(tmp_path, face_detector, heads, 1 - 1e-9).read(pictures)
    assert (seen.found < 0.5).all()
    for kind, width in (("tone", 4), ("gender", 2), ("joint", 8)):
        assert seen.table(kind).shape == (5, width)
        assert np.isnan(seen.table(kind)).all()
        assert np.isnan(seen.table(kind, least=0.0)).all()
    nobody = people(tmp_path, face_detector, heads, 0.3).read(pictures[:0])
    assert nobody.table("tone").shape == (0, 4)


def test_the_trainer_scores_fairness_with_some_faces(tmp_path, face_detector, heads, pictures):
    finder = people(tmp_path, face_detector, heads, 0.5).finder
    sure = finder.find(pictures)[0].max((1, 2))
    reader = people(tmp_path, face_detector, heads, float(np.median(sure)) - 1e-6)
    models = rewards()
    models.person = reader
    prompts, groups = [Prompt("a baker", Wanted(()))] * 5, np.zeros(5, int)
    found = score("fairness", models, pictures, prompts, groups, Sampling(1, 5))
    assert found.shape == (5, 2)
    assert np.isfinite(found).all(1).tolist() == (sure >= np.median(sure)).tolist()


def test_labels_are_summed_to_classes_and_others_left_out(tmp_path, heads, yolos_folder, pictures):
    from transformers import ViTForImageClassification, ViTImageProcessor

    detector = {"kind": "detr", "model": str(yolos_folder), "names": ["face"]}
    reader = people(tmp_path, detector, heads, 0.3)
    crops = [pictures[0], pictures[1, :7, :19], pictures[2, :3, :30]]  # 3 rows, or 3 channels?
    model = ViTForImageClassification.from_pretrained(heads["tone"]["model"])
    processor = ViTImageProcessor.from_pretrained(heads["tone"]["model"])
    inputs = processor([Image.fromarray(one) for one in crops], return_tensors="pt")
    with torch.inference_mode():
        chances = model(**inputs).logits.softmax(1).numpy()
    sums = np.stack([chances[:, :2].sum(1), chances[:, 2], chances[:, 3], chances[:, 4:6].sum(1)])
    np.testing.assert_allclose(reader.tone.read(crops), (sums / sums.sum(0)).T, atol=1e-5)
    model = ViTForImageClassification.from_pretrained(heads["gender"]["model"])
    with torch.inference_mode():
        chances = model(**inputs).logits.softmax(1).numpy()
    np.testing.assert_allclose(reader.gender.read(crops), chances[:, ::-1], atol=1e-5)


def test_heads_on_features_are_fitted_kept_and_read(tmp_path, yolos_folder, heads):
    """Colours stand for tones; a class may be of several labels."""
    rng, labels = np.random.default_rng(0), ["pale", "tan", "brown", "dark", "deep"]
    shades = np.array(
        [[240, 210, 190], [200, 150, 110], [150, 100, 70], [90, 60, 40], [50, 30, 20]]
    )
    truth = np.tile(np.arange(5), 12)
    crops = [
        np.clip(shades[at] + rng.integers(-8, 9, (20 + at, 24, 3)), 0, 255).astype(np.uint8)
        for at in truth
    ]
    features = CropFeatures(batch=7)(crops)
    assert features.shape == (60, FEATURES)
    np.testing.assert_allclose(CropFeatures()(crops[3:4])[0], features[3], rtol=1e-3, atol=1e-4)
    fit_head(features[:40], [labels[at] for at in truth[:40]], tmp_path / "tone")
    two = ["Female" if at > 1 else "Male" for at in truth]
    fit_head(features[:40], two[:40], tmp_path / "gender")
    weight, bias, known = load_head(tmp_path / "tone")
    assert (weight.shape, bias.shape, known) == ((5, FEATURES), (5,), sorted(labels))
    tones = [["pale"], ["tan"], ["brown"], ["dark", "deep"]]
    own = {
        "tone": {"kind": "features", "model": "tone", "classes": tones},
        "gender": {"kind": "features", "model": "gender", "classes": [["Male"], ["Female"]]},
    }
    detector = {"kind": "detr", "model": str(yolos_folder), "names": ["face"]}
    reader = people(tmp_path, detector, own, 0.3)
    chances = reader.tone.read(crops[40:])
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)
    assert (chances.argmax(1) == np.minimum(truth[40:], 3)).all()
    gender = reader.gender.read(crops[40:])
    assert (gender.argmax(1) == (truth[40:] > 1)).all()
    assert reader.tone.read([]).shape == (0, 4)
    own["tone"] |= {"classes": [["monk 1"], *tones[1:]]}
    with pytest.raises(ValueError, match="no label 'monk 1'"):
        people(tmp_path, detector, own, 0.3)
    (tmp_path / "tone" / "labels.json").write_text('["one"]')
    with pytest.raises(ValueError, match="a head of"):
        load_head(tmp_path / "tone")
    with pytest.raises(ValueError, match="no head"):
        load_head(tmp_path)


def test_mtcnn_is_of_its_package_alone(tmp_path, heads, monkeypatch):
    detector = {"kind": "mtcnn", "model": "package:facenet-pytorch", "names": ["face"]}
    with pytest.raises(ValueError, match="model: mtcnn is 'package:facenet-pytorch' alone"):
        people(tmp_path, detector | {"model": "owner/mtcnn"}, heads, 0.3)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"not installed.*--no-deps"):
        people(tmp_path, detector, heads, 0.3)


def test_a_face_is_cut_out_with_a_margin():
    picture = np.arange(20 * 40 * 3, dtype=np.uint8).reshape(20, 40, 3)
    cut = cut_out(picture, np.array([0.25, 0.2, 0.75, 0.6]), 0.5)
    np.testing.assert_array_equal(cut, picture[0:16, 0:40])
    np.testing.assert_array_equal(
        cut_out(picture, np.array([0.25, 0.2, 0.75, 0.6]), 0), picture[4:12, 10:30]
    )
    for box in ([0, 0, 0, 0], [1, 1, 1, 1]):
        assert cut_out(picture, np.array(box), 0.2).shape == (1, 1, 3)


def test_wrong_settings_of_faces_are_named(tmp_path, yolos_folder, heads):
    detector = {"kind": "detr", "model": str(yolos_folder), "names": ["face"]}
    for changes, message in (
        ({"detector": detector | {"names": ["face", "hat"]}}, "detector.names"),
        ({"gender": heads["tone"]}, "four and two"),
        ({"tone": heads["tone"] | {"classes": [["monk 9"], *TONES[1:]]}}, "no label 'monk 9'"),
        ({"margin": -1}, "margin"),
        ({"detector": detector | {"cells": 8}}, "detector.cells: Extra"),
    ):
        config = {"kind": "face", "detector": detector, **heads} | changes
        with pytest.raises(ValueError, match=message):
            open_reward(reward(tmp_path, **config))
