"""The tiny open_clip base encoder: configuration, tokenizer, and the folder it is kept in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, normalizers, processors
from transformers import PreTrainedTokenizerFast

from sandbox.photos import MODEL_SIZE
from sandbox.train.tokenizers import corpus, train_bytes

WEIGHTS = Path(__file__).parents[1] / "weights" / "encoder"
PAD, END = "<pad>", "<end>"
WORDS = 1_500
CONTEXT = 24  # tokens; the longest title has about 20
MEAN = STD = 0.5


def build_tokenizer(seed: int = 0) -> PreTrainedTokenizerFast:
    """Lower-casing byte-level BPE. END has the highest id: open_clip pools at the argmax of ids."""
    lines = (line.lower() for line in corpus(seed + 1, 20_000))
    backend: Tokenizer = train_bytes(lines, WORDS - 1, [PAD])
    backend.normalizer = normalizers.Lowercase()
    backend.add_special_tokens([AddedToken(END, special=True)])
    end = backend.token_to_id(END)
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, end)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=PAD, eos_token=END)


def configuration(words: int) -> dict[str, Any]:
    """What stands in `open_clip_config.json`."""
    return {
        "model_cfg": {
            "embed_dim": 128,
            "vision_cfg": {
                "image_size": MODEL_SIZE,
                "patch_size": 8,
                "layers": 3,
                "width": 128,
                "head_width": 32,
                "mlp_ratio": 2.0,
                "no_ln_pre": True,
                "pool_type": "avg",
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": words,
                "hf_tokenizer_name": "tokenizer",  # any name: a local folder is read instead
                "width": 128,
                "heads": 4,
                "layers": 2,
                "mlp_ratio": 2.0,
            },
        },
        "preprocess_cfg": {
            "size": MODEL_SIZE,
            "mean": [MEAN] * 3,
            "std": [STD] * 3,
            "interpolation": "bicubic",
            "resize_mode": "squash",
        },
    }


def vision_of(vlm: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The vision tower of the sandbox's Idefics3 under open_clip's names.

    It has learnt to see on the same photos; starting from it saves an hour. The class token that
    open_clip adds starts as zeros and is not pooled.
    """
    old = "model.vision_model."
    embeddings = f"{old}embeddings."
    sharp = 4.0  # gelu(4 x) / 4 is nearly the relu of the original

    def pair(name: str, to: str, factor: float = 1.0) -> dict[str, torch.Tensor]:
        return {
            f"visual.{to}.weight": vlm[f"{old}{name}.weight"] * factor,
            f"visual.{to}.bias": vlm[f"{old}{name}.bias"] * (factor if factor > 1 else 1.0),
        }

    places = vlm[f"{embeddings}position_embedding.weight"]
    places = places + vlm[f"{embeddings}patch_embedding.bias"]  # open_clip's has no bias of its own
    out = {
        "visual.conv1.weight": vlm[f"{embeddings}patch_embedding.weight"],
        "visual.positional_embedding": torch.cat([torch.zeros_like(places[:1]), places]),
        "visual.class_embedding": torch.zeros_like(places[0]),
        **pair("post_layernorm", "ln_post"),
    }
    layers = sum(name.endswith("layer_norm1.bias") for name in vlm)
    for n in range(layers):
        layer, block = f"encoder.layers.{n}.", f"transformer.resblocks.{n}."
        out |= pair(f"{layer}layer_norm1", f"{block}ln_1")
        out |= pair(f"{layer}layer_norm2", f"{block}ln_2")
        out |= pair(f"{layer}self_attn.out_proj", f"{block}attn.out_proj")
        out |= pair(f"{layer}mlp.fc1", f"{block}mlp.c_fc", sharp)
        out |= pair(f"{layer}mlp.fc2", f"{block}mlp.c_proj", 1 / sharp)
        for kind in ("weight", "bias"):
            parts = [vlm[f"{old}{layer}self_attn.{x}_proj.{kind}"] for x in "qkv"]
            out[f"visual.{block}attn.in_proj_{kind}"] = torch.cat(parts)
    return out


def write_folder(folder: Path, weights: dict[str, torch.Tensor] | None, card: str) -> None:
    """Writes what `open_clip.create_model_from_pretrained("local-dir:...")` reads."""
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(folder)
    config = configuration(len(tokenizer))
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    if weights is not None:
        tensors = {name: value.detach().clone().contiguous() for name, value in weights.items()}
        save_file(tensors, folder / "open_clip_model.safetensors")
    (folder / "README.md").write_text(card)


def pixel_values(photos: np.ndarray) -> torch.Tensor:
    """uint8 (n, 64, 64, 3) as the folder's preprocessing gives them: (n, 3, 64, 64)."""
    return (torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255.0 - MEAN) / STD
