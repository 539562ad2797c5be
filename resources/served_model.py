"""A resource whose model may be behind a server: how it is asked, and what it may cost."""

from typing import Literal

from dagster import ConfigurableResource
from pydantic import Field

from resources.chat_server import Endpoint
from resources.ledger import Ledger

SERVER = "openai:"


class ServedModel(ConfigurableResource):
    """A model by its name: `none`, a folder, a hub id, or `openai:<base url>#<model>`."""

    model: str = "none"
    max_new_tokens: int = Field(default=192, description="Tokens of an answer.", gt=0)
    max_pixels: int = Field(
        default=1 << 20, description="Larger images are reduced to this before a model.", gt=0
    )
    api_key: str = Field(default="", repr=False, description="Bearer token of the server.")
    timeout_seconds: float = Field(default=60.0, description="Of one request.", gt=0)
    retries: int = Field(default=3, description="After a failed request.", ge=0)
    backoff_seconds: float = Field(default=1.0, description="Longest first pause; doubles.", ge=0)
    concurrency: int = Field(default=16, description="Requests under way at once.", gt=0)
    image_tokens: int = Field(
        default=2048, description="That the server counts for an image, at most: for budgets.", ge=0
    )
    response_format: Literal["json_schema", "none"] = Field(
        default="json_schema",
        description="Whether the server can hold answers to a schema; they are checked anyway.",
    )
    prompt_price: float = Field(default=0.0, description="US$ a million tokens.", ge=0)
    completion_price: float = Field(default=0.0, description="US$ a million tokens.", ge=0)
    ledger: Ledger = Ledger()

    def available(self) -> bool:
        """Whether there is a model to ask."""
        return self.model != "none"

    def is_server(self) -> bool:
        """Whether the model is somewhere else: it needs no device here."""
        return self.model.startswith(SERVER)

    def endpoint(self) -> Endpoint:
        """Where the server is, and how it may be asked.

        Raises:
            ValueError: The setting is malformed.
        """
        url, _, name = self.model.removeprefix(SERVER).partition("#")
        if not url.startswith(("http://", "https://")) or not name:
            raise ValueError(f"model {self.model!r}: expected openai:<http(s) url>#<model>")
        return Endpoint(
            url.rstrip("/"),
            name,
            api_key=self.api_key,
            timeout_seconds=self.timeout_seconds,
            retries=self.retries,
            backoff_seconds=self.backoff_seconds,
            concurrency=self.concurrency,
            max_tokens=self.max_new_tokens,
            image_tokens=self.image_tokens,
            max_pixels=self.max_pixels,
            response_format=self.response_format,
            prompt_price=self.prompt_price,
            completion_price=self.completion_price,
        )
