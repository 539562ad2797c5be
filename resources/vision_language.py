"""Vision-language models: an image and a title in, an answer in JSON out.

One interface, two implementations: a model in this process (`resources/image_text_to_text.py`) and
an OpenAI-compatible server (`resources/chat_server.py`).
"""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import Field

from resources.chat_server import ERROR as ERROR
from resources.chat_server import Question, chat_server
from resources.image_text_to_text import MAX_TITLE_CHARS, BatchLimits, ImageTextToText
from resources.model_folder import folder_version, model_folder
from resources.served_model import ServedModel

PROMPT_FILE = "prompt.txt"
SCHEMA_FILE = "attributes.schema.json"

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


class VisionLanguage(ServedModel):
    """The vision-language model of a profile, or none.

    Loaded at the first call and kept for the life of the process.
    """

    model: str = Field(
        default="none",
        description="none; a local folder or hub id (owner/model@revision) of an "
        f"image-text-to-text model, which may hold {PROMPT_FILE} with a {{title}} placeholder and "
        f"{SCHEMA_FILE}; or openai:<base url>#<model> for an OpenAI-compatible server.",
    )
    prompts: str = Field(
        default="",
        description=f"Folder with {PROMPT_FILE} and {SCHEMA_FILE}, where the model's own does not "
        "hold them (a server has no folder).",
    )
    batch_size: int = Field(default=64, description="Products a forward pass, at most.", gt=0)
    batch_tokens: int = Field(
        default=1 << 16, description="Tokens a forward pass, answers included, at most.", gt=0
    )
    batch_pixels: int = Field(
        default=1 << 25, description="Pixels a forward pass, as the model sees them.", gt=0
    )

    @property
    def at_once(self) -> int:
        """Products that a call of `describe` should get: enough to keep the model busy, few enough
        to be lost with a killed run."""
        return 4 * self.concurrency if self.is_server() else self.batch_size

    @property
    def version(self) -> str:
        """Hash of weights, prompt and schema; `none` without a model. Does not load the model."""
        if not self.available():
            return "none"
        if self.is_server():
            # the address is left out: the same model behind another door gives the same answers
            folder, weights = None, self.endpoint().model
        else:
            folder = model_folder(self.model)
            weights = folder_version(folder)
        words = self._prompt_and_schema(folder)
        parts = ["describe-2", weights, *words, self.max_new_tokens, self.max_pixels]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def describe(
        self,
        images: Sequence[bytes | Image.Image],
        titles: Sequence[str],
        *,
        device: str = "cpu",
        dtype: str = "float32",
        purpose: str = "describe",
    ) -> list[str]:
        """One raw answer for every image with its title, in order.

        An item that cannot be answered (unreadable image, a server that refuses, a spent budget)
        yields a text that starts with `error: `; the others are unharmed. Such an answer is not to
        be cached.

        Args:
            images: Encoded or decoded, as many as `titles`.
            titles: Untrusted; control tokens of a model in this process are taken out.
            device: Torch device of a model in this process.
            dtype: Its precision, a torch name such as `bfloat16`.
            purpose: Who asks, for the ledger.

        Raises:
            ValueError: Lengths differ, or the model setting is malformed.
            FileNotFoundError: The model is not there.
            RuntimeError: The setting is `none`.
        """
        if len(images) != len(titles):
            raise ValueError(f"{len(images)} images but {len(titles)} titles")
        if not self.available():
            raise RuntimeError("vision_language.model is 'none': there is no model to ask")
        if self.is_server():
            prompt, schema = self._prompt_and_schema(None)
            questions = [
                Question(
                    prompt.replace("{title}", " ".join(title.split())[:MAX_TITLE_CHARS]), image
                )
                for image, title in zip(images, titles, strict=True)
            ]
            return chat_server(self.endpoint()).ask(questions, schema, self.ledger, purpose)
        folder = model_folder(self.model)
        prompt, schema = self._prompt_and_schema(folder)
        model = _load(
            folder,
            prompt,
            json.dumps(schema),
            device,
            str(dtype).removeprefix("torch."),
            BatchLimits(self.batch_size, self.batch_tokens, self.batch_pixels),
            self.max_pixels,
            self.max_new_tokens,
        )
        return model.describe(images, titles)

    def _prompt_and_schema(self, folder: Path | None) -> tuple[str, dict[str, Any]]:
        """Those of the prompts' folder, of the model's, or the generic ones."""
        place = Path(self.prompts) if self.prompts else folder
        if self.prompts and not Path(self.prompts).is_dir():
            raise FileNotFoundError(f"vision_language.prompts={self.prompts!r}: no such folder")
        if place is None:
            return DEFAULT_PROMPT, DEFAULT_SCHEMA
        prompt, schema = place / PROMPT_FILE, place / SCHEMA_FILE
        text = prompt.read_text(encoding="utf-8") if prompt.is_file() else DEFAULT_PROMPT
        if not schema.is_file():
            return text, DEFAULT_SCHEMA
        try:
            return text, json.loads(schema.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{schema}: not JSON: {error}") from error


@lru_cache(maxsize=1)
def _load(
    folder: Path,
    prompt: str,
    schema: str,
    device: str,
    dtype: str,
    limits: BatchLimits,
    max_pixels: int,
    max_new_tokens: int,
) -> ImageTextToText:
    return ImageTextToText(
        folder,
        prompt,
        json.loads(schema),
        device=device,
        dtype=dtype,
        limits=limits,
        max_pixels=max_pixels,
        max_new_tokens=max_new_tokens,
    )
