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
                "patch_size": 16,
                "layers": 3,
                "width": 128,
                "head_width": 32,
                "mlp_ratio": 2.0,
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
