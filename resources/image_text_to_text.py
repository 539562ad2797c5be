"""A vision-language model in this process: any `AutoModelForImageTextToText` of transformers.

Greedy, in batches that keep to a budget of tokens and pixels, held to a JSON schema by xgrammar.
Weights are read from safetensors alone, and no code that comes with a model is run.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from resources.chat_server import UNREADABLE
from resources.grammar import KeptTo, grammar
from resources.pictures import decode, reduced

MAX_TITLE_CHARS = 200
_TOKEN_BUCKET = 32  # prompts are padded to a multiple of this


@dataclass(frozen=True)
class BatchLimits:
    """How much goes through the model at once: items, tokens with the answers', pixels."""

    items: int = 64
    tokens: int = 1 << 16
    pixels: int = 1 << 25


def batches(
    tokens: Sequence[int], pixels: Sequence[int], new_tokens: int, limits: BatchLimits
) -> Iterator[list[int]]:
    """Groups of rows that keep to the limits; rows of about one length are together.

    A row that is over a limit by itself is alone.

    Args:
        tokens: Length of every row's prompt.
        pixels: That every row puts into the vision tower.
        new_tokens: Of an answer, at most.
        limits: Of a group; all its rows are padded to its longest prompt.
    """
    batch: list[int] = []
    total = 0
    for row in sorted(range(len(tokens)), key=lambda row: (tokens[row], row)):
        padded = -(-tokens[row] // _TOKEN_BUCKET) * _TOKEN_BUCKET
        if batch and (
            len(batch) >= limits.items
            or (len(batch) + 1) * (padded + new_tokens) > limits.tokens
            or total + pixels[row] > limits.pixels
        ):
            yield batch
            batch, total = [], 0
        batch.append(row)
        total += pixels[row]
    if batch:
        yield batch


def without_control(text: str, tokens: Sequence[str]) -> str:
    """A text from outside without a model's own tokens, whatever is left when one is taken out."""
    while found := [token for token in tokens if token in text]:
        for token in found:
            text = text.replace(token, " ")
    return text


class ImageTextToText:
    """The model of a folder on a device.

    Args:
        folder: What `from_pretrained` opens.
        prompt: With a {title} placeholder, and perhaps the model's own image token.
        schema: JSON schema that answers are held to.
        device: Torch device.
        dtype: Torch precision, by name.
        limits: Of a batch.
        max_pixels: To which an image is reduced before the model's own processing.
        max_new_tokens: Of an answer.
    """

    def __init__(
        self,
        folder: Path,
        prompt: str,
        schema: dict[str, Any],
        *,
        device: str,
        dtype: str,
        limits: BatchLimits,
        max_pixels: int,
        max_new_tokens: int,
    ) -> None:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self._prompt, self._limits, self._max_pixels = prompt, limits, max_pixels
        self._device, self._dtype = device, getattr(torch, dtype)
        self._max_new_tokens = max_new_tokens
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self._processor: Any = AutoProcessor.from_pretrained(folder, **local)
        self._model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=self._dtype, use_safetensors=True, **local
        )
        self._model.to(device).eval()
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = "left"  # the answer follows the prompt directly
        ends = self._model.generation_config.eos_token_id
        ends = tokenizer.eos_token_id if ends is None else ends
        self._ends: list[int] = ends if isinstance(ends, list) else [ends]
        pad = tokenizer.pad_token_id
        self._pad: int = self._ends[0] if pad is None else pad
        if pad is None:
            tokenizer.pad_token_id = self._pad
        # logits can be wider than the tokenizer: their width is what the mask must have
        width = self._model.get_output_embeddings().weight.shape[0]
        self._grammar = grammar(tokenizer, width, self._ends, json.dumps(schema))
        tokens = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
        self._control = sorted((t for t in tokens if t.strip()), key=lambda t: (-len(t), t))
        self._square = _square_size(folder, self._processor)
        self._cost = lru_cache(maxsize=4096)(self._cost_of_size)

    def describe(self, images: Sequence[bytes | Image.Image], titles: Sequence[str]) -> list[str]:
        """One raw answer for every image with its title, in order."""
        answers = [UNREADABLE] * len(images)
        ready: list[tuple[int, Image.Image, str]] = []
        for row, (image, title) in enumerate(zip(images, titles, strict=True)):
            decoded = decode(image)
            if decoded is not None:
                ready.append((row, self._fit(decoded), self._question(title)))
        costs = [self._cost(image.size) for _, image, _ in ready]
        lengths = self._lengths([text for _, _, text in ready], [tokens for tokens, _ in costs])
        pixels = [pixels for _, pixels in costs]
        for batch in batches(lengths, pixels, self._max_new_tokens, self._limits):
            texts = self._generate([ready[at][1] for at in batch], [ready[at][2] for at in batch])
            for at, text in zip(batch, texts, strict=True):
                answers[ready[at][0]] = text
        return answers

    def _lengths(self, texts: list[str], image_tokens: list[int]) -> list[int]:
        """Tokens of every prompt with its image; an upper bound where that is enough for one batch.

        A token is a byte or more; half of the limit is left to padding. Counting took a hundredth
        of the processor time of the sandbox's answers.
        """
        most = [len(text.encode()) + n for text, n in zip(texts, image_tokens, strict=True)]
        if len(most) * (max(most, default=0) + self._max_new_tokens) <= self._limits.tokens // 2:
            return most
        words = self._processor.tokenizer(texts).input_ids
        return [len(own) + n for own, n in zip(words, image_tokens, strict=True)]

    def _cost_of_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Tokens that an image of a size (px) adds to a prompt, and pixels that the model sees.

        The processor is asked, with a blank image: every family of models counts in its own way.
        """
        text = self._question("")
        inputs = self._processor(
            text=[text], images=[[Image.new("RGB", size)]], return_tensors="pt"
        )
        alone = len(self._processor.tokenizer(text).input_ids)
        return inputs["input_ids"].shape[1] - alone, inputs["pixel_values"].numel() // 3

    def _generate(self, images: list[Image.Image], texts: list[str]) -> list[str]:
        import torch

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
                logits_processor=[KeptTo(self._grammar)],  # good for one call only
            )
        new = tokens[:, inputs["input_ids"].shape[1] :]
        return self._processor.tokenizer.batch_decode(new, skip_special_tokens=True)

    def _question(self, title: str) -> str:
        clean = without_control(title[: 4 * MAX_TITLE_CHARS], self._control)
        text = self._prompt.replace("{title}", " ".join(clean.split())[:MAX_TITLE_CHARS])
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
            return reduced(image, self._max_pixels)
        side = max(image.size)
        if image.size != (side, side):
            image = ImageOps.pad(image, (side, side), color="white")
        return image.resize((self._square, self._square), Image.Resampling.BOX)


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
