"""A random tiny open_clip checkpoint and a small world of coloured squares."""

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from resources.encoders import OpenClip

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220)}
SHAPES = ("box", "bar")


def write_tiny_open_clip(folder: Path) -> Path:
    """A loadable open_clip folder with random weights and a word-level tokenizer."""
    import open_clip
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder.mkdir(parents=True, exist_ok=True)
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789=.-&")
    words = ["<pad>", "<unk>", *COLOURS, *SHAPES, *letters, "<end>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    end = ("<end>", vocabulary["<end>"])
    tokenizer.post_processor = processors.TemplateProcessing("$A <end>", special_tokens=[end])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": "<end>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    vision = {"image_size": 32, "patch_size": 16, "layers": 1, "width": 32, "head_width": 16}
    text = {
        "context_length": 12,
        "vocab_size": len(words),
        "hf_tokenizer_name": "tokenizer",
        "width": 32,
        "heads": 2,
        "layers": 1,
    }
    config = {
        "model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(
        {name: tensor.clone() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return folder


def as_siglip(folder: Path) -> Path:
    """Make a checkpoint of `write_tiny_open_clip` one of FashionSigLIP's class: a timm tower with
    attention pooling, a text tower without a causal mask, and a bias."""
    import open_clip
    from safetensors.torch import save_file

    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    model = config["model_cfg"]
    model |= {"embed_dim": 96, "init_logit_bias": -10, "custom_text": True}
    model["vision_cfg"] = {
        "image_size": 160,  # that of the smallest tower of this kind
        "timm_model_name": "test_vit3",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    }
    model["text_cfg"] |= {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
    model["text_cfg"] |= {"tokenizer_kwargs": {"clean": "canonicalize"}}
    model["text_cfg"] |= {"norm_kwargs": {"eps": 1e-6}}
    config["preprocess_cfg"] |= {"size": 160, "resize_mode": "squash"}
    path.write_text(json.dumps(config))
    torch.manual_seed(0)
    made = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(
        {name: tensor.clone() for name, tensor in made.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return folder


def picture(colour: str, shape: str, seed: int) -> bytes:
    """A JPEG of a coloured box or bar on noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(190, 255, (40, 40, 3), dtype=np.uint8)
    high = slice(6, 34) if shape == "box" else slice(16, 24)
    pixels[high, 6:34] = np.clip(np.array(COLOURS[colour]) + rng.integers(-20, 20, 3), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    return write_tiny_open_clip(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def backbone(tiny_folder) -> OpenClip:
    return OpenClip(str(tiny_folder))


class World:
    """``n`` products: all have an image, titles name the colour of two thirds of them."""

    def __init__(self, n: int) -> None:
        colours, shapes = list(COLOURS), list(SHAPES)
        self.truth = [(colours[i % 3], shapes[(i // 3) % 2]) for i in range(n)]
        self.images = {f"h{i:03d}": picture(*self.truth[i], seed=i) for i in range(n)}
        ids = [f"p{i:03d}" for i in range(n)]
        self.products = pl.DataFrame(
            {
                "product_id": ids,
                "title": [c if i % 5 else "" for i, (c, _) in enumerate(self.truth)],
                "description": ["" for _ in ids],
                "images": [[f"h{i:03d}"] for i in range(n)],
            },
            schema_overrides={"images": pl.List(pl.String)},
        )
        self.entries = pl.DataFrame(
            {
                "entry_id": [f"colour={c}" for c in colours] + [f"shape={s}" for s in shapes],
                "key": ["colour"] * 3 + ["shape"] * 2,
                "value": colours + shapes,
                "phrase": colours + shapes,
            }
        )
        self.keys = pl.DataFrame(
            {"key": ["colour", "shape"], "multi": [False, False], "role": ["attribute"] * 2}
        )
        self.labels = pl.DataFrame(
            {
                "product_id": [i for i in ids for _ in range(2)],
                "entry_id": [e for c, s in self.truth for e in (f"colour={c}", f"shape={s}")],
                "weight": [1.0] * (2 * n),
            }
        )


@pytest.fixture(scope="session")
def world() -> World:
    return World(90)
