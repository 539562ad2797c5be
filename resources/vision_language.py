"""Vision-language models: an image and a title in, an answer in JSON out.

One interface, two implementations: a model in this process (any `AutoModelForImageTextToText`,
decoding held to a JSON schema by xgrammar) and an OpenAI-compatible server (vLLM and the like,
held to the same schema by the server).
"""

import base64
import hashlib
import io
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource
from PIL import Image, ImageOps
from pydantic import Field

from resources.model_folder import folder_version, model_folder

if TYPE_CHECKING:
    import httpx

PROMPT_FILE = "prompt.txt"
SCHEMA_FILE = "attributes.schema.json"
ERROR = "error: "
"""An answer that starts with this is none: the rest says why the model could not answer."""

DEFAULT_PROMPT = (
    "Describe the product in the picture for a shop's filters. Its title: {title}\n"
    "Answer with one JSON object of lower-case English strings. Always give product_type (the "
    "noun), then what can be seen or is said, such as color, pattern, material, shape, style, "
    "flavor or use. One short value for each key. Leave out what you do not know."
)
DEFAULT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 60},
    "minProperties": 1,
    "maxProperties": 12,
}
_MAX_TITLE_CHARS = 200
_TOKEN_BUCKET = 32  # prompts are padded to a multiple of this
_GIVE_UP_AFTER = 8  # consecutive failed items after which the rest of a call is not sent


class VisionLanguageModel(ABC):
    """What every implementation can do."""

    version: str
    """Hash of weights (or model name), prompt and schema: equal versions, equal answers."""

    @abstractmethod
    def describe(self, images: Sequence[bytes | Image.Image], titles: Sequence[str]) -> list[str]:
        """One raw answer for every image with its title, in order; see `ERROR`."""


class VisionLanguage(ConfigurableResource):
    """The vision-language model of a profile, or none.

    Loaded at the first call and kept for the life of the process.
    """

    model: str = Field(
        default="none",
        description="none; a local folder or hub id of an image-text-to-text model (which may "
        f"hold {PROMPT_FILE} with a {{title}} placeholder and {SCHEMA_FILE}); or "
        "openai:<base url>#<model> for an OpenAI-compatible server.",
    )
    revision: str = Field(default="", description="Branch, tag or commit of a hub id.")
    batch_size: int = Field(default=64, description="Products a forward pass.", gt=0)
    max_new_tokens: int = Field(default=192, description="Tokens of an answer.", gt=0)
    api_key: str = Field(default="", description="Bearer token of the server.")
    timeout_seconds: float = Field(default=60.0, description="Of one request.", gt=0)
    retries: int = Field(default=3, description="After a failed request.", ge=0)
    backoff_seconds: float = Field(default=1.0, description="First pause; doubles.", ge=0)
    concurrency: int = Field(default=16, description="Requests under way at once.", gt=0)

    def available(self) -> bool:
        """Whether there is a model to ask."""
        return self.model != "none"

    @property
    def version(self) -> str:
        """Hash of weights, prompt and schema; `none` without a model. Does not load the model."""
        if not self.available():
            return "none"
        if self.model.startswith("openai:"):
            return self._server().version
        return _local_version(model_folder(self.model, self.revision), self.max_new_tokens)

    def describe(
        self,
        images: Sequence[bytes | Image.Image],
        titles: Sequence[str],
        *,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> list[str]:
        """One raw answer for every image with its title, in order.

        An item that cannot be answered (unreadable image, a server that refuses) yields a text
        that starts with `error: `; the others are unharmed. Such an answer is not to be cached.

        Args:
            images: Encoded or decoded, as many as `titles`.
            titles: Untrusted; control tokens of the model are taken out.
            device: Torch device of a model in this process.
            dtype: Its precision, a torch name such as `bfloat16`.

        Raises:
            ValueError: Lengths differ, or the model setting is malformed.
            FileNotFoundError: The model is not there.
            RuntimeError: The setting is `none`.
        """
        if len(images) != len(titles):
            raise ValueError(f"{len(images)} images but {len(titles)} titles")
        if not self.available():
            raise RuntimeError("vision_language.model is 'none': there is no model to ask")
        if self.model.startswith("openai:"):
            return self._server().describe(images, titles)
        folder = model_folder(self.model, self.revision)
        precision = str(dtype).removeprefix("torch.")
        model = _load_local(folder, device, precision, self.batch_size, self.max_new_tokens)
        return model.describe(images, titles)

    def _server(self) -> "ServerModel":
        url, _, name = self.model.removeprefix("openai:").partition("#")
        if not url.startswith(("http://", "https://")) or not name:
            raise ValueError(
                f"vision_language.model={self.model!r}: expected openai:<http(s) url>#<model>"
            )
        return ServerModel(
            url.rstrip("/"),
            name,
            max_tokens=self.max_new_tokens,
            api_key=self.api_key,
            timeout_seconds=self.timeout_seconds,
            retries=self.retries,
            backoff_seconds=self.backoff_seconds,
            concurrency=self.concurrency,
        )


class LocalModel(VisionLanguageModel):
    """A transformers model in this process: batched, greedy, constrained to its schema."""

    def __init__(
        self, folder: Path, device: str, dtype: str, batch_size: int, max_new_tokens: int
    ) -> None:
        import torch
        import xgrammar
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.version = _local_version(folder, max_new_tokens)
        self._prompt, schema = _prompt_and_schema(folder)
        self._device, self._dtype = device, getattr(torch, dtype)
        self._batch_size, self._max_new_tokens = batch_size, max_new_tokens
        self._processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True)
        self._model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, local_files_only=True, dtype=self._dtype, use_safetensors=True
        )
        self._model.to(device).eval()
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = "left"  # the answer follows the prompt directly
        ends = self._model.generation_config.eos_token_id
        ends = tokenizer.eos_token_id if ends is None else ends
        self._ends: list[int] = ends if isinstance(ends, list) else [ends]
        pad = tokenizer.pad_token_id
        self._pad: int = self._ends[0] if pad is None else pad
        # logits can be wider than the tokenizer: their width is what the mask must have
        width = self._model.get_output_embeddings().weight.shape[0]
        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=width, stop_token_ids=self._ends
        )
        self._grammar = xgrammar.GrammarCompiler(info).compile_json_schema(
            json.dumps(schema), any_whitespace=False, separators=(",", ":")
        )
        tokens = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
        self._control = sorted((t for t in tokens if t.strip()), key=lambda t: (-len(t), t))
        self._square = _square_size(folder, self._processor)

    def describe(self, images: Sequence[bytes | Image.Image], titles: Sequence[str]) -> list[str]:
        answers = [f"{ERROR}the image cannot be read"] * len(images)
        ready: list[tuple[int, Image.Image, str]] = []
        for row, (image, title) in enumerate(zip(images, titles, strict=True)):
            decoded = _decode(image)
            if decoded is not None:
                ready.append((row, self._fit(decoded), self._question(title)))
        # prompts of about one length together: less padding, and an answer hardly feels its batch
        lengths = [len(self._processor.tokenizer(text).input_ids) for _, _, text in ready]
        order = sorted(range(len(ready)), key=lambda at: (lengths[at], at))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            texts = self._generate([ready[at][1] for at in batch], [ready[at][2] for at in batch])
            for at, text in zip(batch, texts, strict=True):
                answers[ready[at][0]] = text
        return answers

    def _generate(self, images: list[Image.Image], texts: list[str]) -> list[str]:
        import torch
        from xgrammar.contrib.hf import LogitsProcessor

        inputs = self._processor(
            text=texts,
            images=[[image] for image in images],  # Idefics3 wants one list an example
            padding=True,
            pad_to_multiple_of=_TOKEN_BUCKET,
            return_tensors="pt",
        ).to(self._device, dtype=self._dtype)
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs,
                do_sample=False,
                num_beams=1,
                max_new_tokens=self._max_new_tokens,
                eos_token_id=self._ends,
                pad_token_id=self._pad,
                logits_processor=[LogitsProcessor(self._grammar)],  # good for one call only
            )
        new = tokens[:, inputs["input_ids"].shape[1] :]
        return self._processor.tokenizer.batch_decode(new, skip_special_tokens=True)

    def _question(self, title: str) -> str:
        clean = title[: 4 * _MAX_TITLE_CHARS]
        for token in self._control:
            if token in clean:
                clean = clean.replace(token, " ")
        text = self._prompt.replace("{title}", " ".join(clean.split())[:_MAX_TITLE_CHARS])
        image_token = str(getattr(self._processor, "image_token", "<image>"))
        if image_token in text:
            return text
        if self._processor.chat_template:
            content = [{"type": "image"}, {"type": "text", "text": text}]
            return self._processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True
            )
        return image_token + text

    def _fit(self, image: Image.Image) -> Image.Image:
        if self._square is None:
            return image
        side = max(image.size)
        if image.size != (side, side):
            image = ImageOps.pad(image, (side, side), color="white")
        return image.resize((self._square, self._square), Image.Resampling.BOX)


class ServerModel(VisionLanguageModel):
    """A model behind an OpenAI-compatible chat endpoint."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        max_tokens: int,
        api_key: str,
        timeout_seconds: float,
        retries: int,
        backoff_seconds: float,
        concurrency: int,
    ) -> None:
        # the address is left out: the same model behind another door gives the same answers
        self.version = _digest("server", name, DEFAULT_PROMPT, DEFAULT_SCHEMA, max_tokens)
        self._url, self._name, self._max_tokens = url, name, max_tokens
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout, self._retries, self._backoff = timeout_seconds, retries, backoff_seconds
        self._concurrency = concurrency
        self._lock, self._failures = threading.Lock(), 0

    def describe(self, images: Sequence[bytes | Image.Image], titles: Sequence[str]) -> list[str]:
        import httpx

        self._failures = 0
        with (
            httpx.Client(headers=self._headers, timeout=self._timeout) as client,
            ThreadPoolExecutor(self._concurrency) as threads,
        ):
            return list(threads.map(partial(self._answer, client), images, titles))

    def _answer(self, client: "httpx.Client", image: bytes | Image.Image, title: str) -> str:
        import httpx

        if self._failures >= _GIVE_UP_AFTER:
            return f"{ERROR}not asked, the {_GIVE_UP_AFTER} requests before it failed"
        uri = _data_uri(image)
        if uri is None:
            return f"{ERROR}the image cannot be read"
        text = DEFAULT_PROMPT.replace("{title}", " ".join(title.split())[:_MAX_TITLE_CHARS])
        content = [
            {"type": "image_url", "image_url": {"url": uri}},
            {"type": "text", "text": text},
        ]
        body = {
            "model": self._name,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": self._max_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "attributes", "schema": DEFAULT_SCHEMA, "strict": True},
            },
        }
        reason = ""
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(min(self._backoff * 2 ** (attempt - 1), 30.0))
            try:
                response = client.post(f"{self._url}/chat/completions", json=body)
                if response.status_code == 200:
                    answer = response.json()["choices"][0]["message"]["content"]
                    self._note(failed=False)
                    return str(answer or "")
                reason = f"HTTP {response.status_code}"
                if response.status_code < 500 and response.status_code not in (408, 429):
                    break  # asking again would not help
            except httpx.HTTPError as error:
                reason = type(error).__name__
            except (ValueError, LookupError, TypeError):
                reason = "the response is no chat completion"
        self._note(failed=True)
        return f"{ERROR}{reason}"

    def _note(self, *, failed: bool) -> None:
        with self._lock:
            self._failures = self._failures + 1 if failed else 0


@lru_cache(maxsize=1)
def _load_local(
    folder: Path, device: str, dtype: str, batch_size: int, max_new_tokens: int
) -> LocalModel:
    return LocalModel(folder, device, dtype, batch_size, max_new_tokens)


def _prompt_and_schema(folder: Path) -> tuple[str, dict[str, Any]]:
    """The folder's own prompt and schema, or the generic ones."""
    prompt, schema = folder / PROMPT_FILE, folder / SCHEMA_FILE
    text = prompt.read_text(encoding="utf-8") if prompt.is_file() else DEFAULT_PROMPT
    if not schema.is_file():
        return text, DEFAULT_SCHEMA
    try:
        return text, json.loads(schema.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{schema}: not JSON: {error}") from error


def _local_version(folder: Path, max_new_tokens: int) -> str:
    return _digest(folder_version(folder), *_prompt_and_schema(folder), max_new_tokens)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(["describe-1", *parts], sort_keys=True).encode()).hexdigest()


def _square_size(folder: Path, processor: Any) -> int | None:
    """Side in px that images are reduced to, or None where the processor resizes by itself."""
    own = folder / "preprocess.json"
    if own.is_file():
        return int(json.loads(own.read_text())["size"])
    images = processor.image_processor
    if getattr(images, "do_resize", True):
        return None
    size = dict(images.size)
    side = size.get("longest_edge") or size.get("height") or size.get("shortest_edge")
    return int(side) if side else None


def _decode(image: bytes | Image.Image) -> Image.Image | None:
    """RGB on white, or None for bytes that are no image."""
    try:
        opened = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image
        opened.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if opened.mode in ("RGBA", "LA", "PA") or "transparency" in opened.info:
        rgba = opened.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return opened.convert("RGB")


def _data_uri(image: bytes | Image.Image) -> str | None:
    decoded = _decode(image)
    if decoded is None:
        return None
    encoded = io.BytesIO()
    decoded.save(encoded, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()
