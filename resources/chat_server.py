"""A client of OpenAI-compatible chat servers (vLLM, TGI, a vendor), for work by the thousand.

Requests run side by side up to a limit; what passes is tried again with jitter, a `Retry-After`
holds everybody back, an answer is checked against its JSON schema, every request is in the ledger,
and a spent budget ends the work without an error: what was not asked says why.
"""

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

from resources.ledger import BudgetSpent, Call, Ledger, Reservation
from resources.network import client, within
from resources.pictures import data_uri

if TYPE_CHECKING:
    import httpx
    from jsonschema.protocols import Validator

ERROR = "error: "
"""An answer that starts with this is none: the rest says why the model could not answer."""

UNREADABLE = f"{ERROR}the image cannot be read"
OUT_OF_BUDGET = f"{ERROR}not asked, the budget"
"""What was not asked because the budget is spent starts with this."""

_MAX_BYTES = 4 << 20  # of a response
_MAX_PAUSE = 60.0  # s that a request waits because the server asks for it; longer is a failure
_LONGEST_BACKOFF = 30.0  # s
_GIVE_UP_AFTER = 8  # questions that failed in a row, after which the server counts as down
_DOWN_SECONDS = 30.0  # for which it is not asked then
_TEMPLATE_TOKENS = 64  # of the chat template around a prompt, at most


@dataclass(frozen=True)
class Endpoint:
    """Where the model is, and how it may be asked; `VisionLanguage` describes the fields."""

    url: str
    model: str
    api_key: str = field(default="", repr=False)
    timeout_seconds: float = 60.0
    retries: int = 3
    backoff_seconds: float = 1.0
    concurrency: int = 16
    max_tokens: int = 192
    image_tokens: int = 2048
    max_pixels: int = 1 << 20
    response_format: str = "json_schema"
    prompt_price: float = 0.0
    completion_price: float = 0.0

    def dollars(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost, US$."""
        prompt = prompt_tokens * self.prompt_price
        return (prompt + completion_tokens * self.completion_price) / 1e6


@dataclass(frozen=True)
class Question:
    """A prompt, with or without an image."""

    text: str
    image: bytes | Image.Image | None = None


Usage = tuple[int, int] | None
"""Tokens of prompt and answer as the server counts them, or None where it does not say."""


class _Fault(Exception):
    """A request without a usable answer.

    Attributes:
        reason: Why. What is before ": " goes to the ledger as the outcome.
        again: Whether asking again may help.
        answer: What the model said instead.
        usage: What it took all the same.
    """

    def __init__(
        self, reason: str, *, again: bool = True, answer: str | None = None, usage: Usage = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.again, self.answer, self.usage = reason, again, answer, usage


@lru_cache(maxsize=8)
def chat_server(endpoint: Endpoint) -> "ChatServer":
    """The client of an endpoint, one a process: it keeps connections, and knows who is down."""
    return ChatServer(endpoint)


class ChatServer:
    """Asks a model behind `<url>/chat/completions`; safe for many threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._settled = threading.Condition()
        self._in_flight = 0
        self._failures, self._down_until, self._resume_at = 0, 0.0, 0.0

    @cached_property
    def _client(self) -> "httpx.Client":
        import httpx

        key = self.endpoint.api_key
        return client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=self.endpoint.timeout_seconds,
            limits=httpx.Limits(max_connections=self.endpoint.concurrency),
        )

    def ask(
        self,
        questions: Sequence[Question],
        schema: dict[str, Any] | None,
        ledger: Ledger,
        purpose: str,
    ) -> list[str]:
        """One answer a question, in order; see ERROR.

        An answer that keeps breaking the schema comes back as it is: the caller says what is wrong
        with it.

        Args:
            questions: Texts are sent as they are.
            schema: JSON schema that answers have to keep to; None: any text will do.
            ledger: Where calls are written down, and the budget they are paid from.
            purpose: Who asks, for the ledger.
        """
        from jsonschema.validators import validator_for

        checker = validator_for(schema)(schema) if schema is not None else None
        work = _Work(schema, checker, ledger, purpose)
        with ThreadPoolExecutor(self.endpoint.concurrency) as threads:
            return list(threads.map(lambda question: self._answer(question, work), questions))

    def _answer(self, question: Question, work: "_Work") -> str:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt
        from tenacity.wait import wait_random_exponential

        text = question.text.encode("utf-8", "replace").decode()  # a lone surrogate is no UTF-8
        content: Any = text
        if question.image is not None:
            uri = data_uri(question.image, self.endpoint.max_pixels)
            if uri is None:
                return UNREADABLE
            content = [
                {"type": "image_url", "image_url": {"url": uri}},
                {"type": "text", "text": text},
            ]
        retrying = Retrying(
            stop=stop_after_attempt(self.endpoint.retries + 1),
            wait=wait_random_exponential(self.endpoint.backoff_seconds, _LONGEST_BACKOFF),
            retry=retry_if_exception(lambda error: isinstance(error, _Fault) and error.again),
            reraise=True,
        )
        try:
            answer = retrying(self._attempt, question, content, work)
        except BudgetSpent as spent:
            work.spent = str(spent)
            return f"{ERROR}not asked, {spent}"
        except _Fault as fault:
            self._note(failed=fault.answer is None)
            return f"{ERROR}{fault.reason}" if fault.answer is None else fault.answer
        self._note(failed=False)
        return answer

    def _attempt(self, question: Question, content: Any, work: "_Work") -> str:
        """One request, held back, paid for, made, and written down."""
        if work.spent:
            raise BudgetSpent(work.spent)
        self._hold_back()
        prompt_most = len(question.text.encode("utf-8", "replace")) + _TEMPLATE_TOKENS
        prompt_most += self.endpoint.image_tokens if question.image is not None else 0
        held = self._reserve(prompt_most, work)
        started, clock = datetime.now(UTC), time.monotonic()
        usage: Usage = None
        outcome = "interrupted"
        try:
            usage, answer = self._request(content, work)
            outcome = "answered"
            return answer
        except _Fault as fault:
            usage, outcome = fault.usage, fault.reason
            raise
        finally:
            tokens = (prompt_most, self.endpoint.max_tokens) if usage is None else usage
            call = Call(
                started=started.isoformat(timespec="milliseconds"),
                model=self.endpoint.model,
                purpose=work.purpose,
                outcome=outcome.split(": ")[0],
                prompt_tokens=tokens[0],
                completion_tokens=tokens[1],
                assumed=usage is None,
                dollars=self.endpoint.dollars(*tokens),
                seconds=time.monotonic() - clock,
            )
            try:
                work.ledger.settle(held, call)
            finally:  # or the others would wait for ever
                with self._settled:
                    self._in_flight -= 1
                    self._settled.notify_all()

    def _reserve(self, prompt_most: int, work: "_Work") -> Reservation:
        """Money for one call. Others under way may give some back: only then is it spent."""
        most = prompt_most, self.endpoint.max_tokens
        with self._settled:
            while True:
                try:
                    held = work.ledger.reserve(sum(most), self.endpoint.dollars(*most))
                    self._in_flight += 1
                    return held
                except BudgetSpent:
                    if not self._in_flight:
                        raise
                    self._settled.wait()

    def _request(self, content: Any, work: "_Work") -> tuple[Usage, str]:
        """What the request took, and the checked answer."""
        import httpx

        body: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": self.endpoint.max_tokens,
        }
        if work.schema is not None and self.endpoint.response_format == "json_schema":
            named = {"name": "answer", "schema": work.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        received = bytearray()
        try:
            url = f"{self.endpoint.url}/chat/completions"
            with (
                within(self.endpoint.timeout_seconds),
                self._client.stream("POST", url, json=body) as response,
            ):
                for part in response.iter_bytes():
                    received += part
                    if len(received) > _MAX_BYTES:
                        raise _Fault("the response is too long")
        except httpx.HTTPError as error:
            raise _Fault(type(error).__name__) from error
        if response.status_code != 200:
            raise self._refusal(response, bytes(received))
        return _completion(bytes(received), work.checker)

    def _refusal(self, response: "httpx.Response", body: bytes) -> _Fault:
        status = response.status_code
        text = body.decode("utf-8", "replace")
        if self.endpoint.api_key:  # "incorrect API key provided: ..."
            text = text.replace(self.endpoint.api_key, "***")
        told = " ".join(text[:200].split())
        fault = _Fault(
            f"HTTP {status}: {told}" if told else f"HTTP {status}",
            again=status >= 500 or status in (408, 409, 425, 429),
            usage=(0, 0),  # a refusal is a call, but takes no tokens
        )
        pause = _retry_after(response.headers.get("Retry-After", ""))
        if pause > _MAX_PAUSE:
            fault.again = False
            fault.reason = f"HTTP {status}: to be asked again in {pause:,.0f} s"
            self._down_until = time.monotonic() + pause
        elif pause:
            self._resume_at = max(self._resume_at, time.monotonic() + pause)
        return fault

    def _hold_back(self) -> None:
        """Wait as the server has asked; refuse while it counts as down."""
        if time.monotonic() < self._down_until:
            raise _Fault("not asked, the requests before it failed", again=False)
        while (pause := self._resume_at - time.monotonic()) > 0:
            time.sleep(pause)

    def _note(self, *, failed: bool) -> None:
        with self._settled:
            self._failures = self._failures + 1 if failed else 0
            if self._failures >= _GIVE_UP_AFTER and time.monotonic() >= self._down_until:
                self._down_until = time.monotonic() + _DOWN_SECONDS
                self._failures = _GIVE_UP_AFTER - 1  # the first failure afterwards is enough


@dataclass
class _Work:
    """What all questions of one call of `ask` share."""

    schema: dict[str, Any] | None
    checker: "Validator | None"
    ledger: Ledger
    purpose: str
    spent: str = ""


def _completion(body: bytes, checker: "Validator | None") -> tuple[Usage, str]:
    """Tokens and text of a chat completion whose text keeps to the schema."""
    try:
        found = json.loads(body)
        answer = found["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _Fault("the response is no chat completion") from error
    usage = _usage(found.get("usage"))
    if not isinstance(answer, str) or not answer.strip():
        raise _Fault("the response has no text", usage=usage)
    if checker is not None and (wrong := _breach(answer, checker)):
        raise _Fault(wrong, answer=answer, usage=usage)
    return usage, answer


def _usage(told: Any) -> Usage:
    try:
        counts = told["prompt_tokens"], told["completion_tokens"]
    except (LookupError, TypeError):
        return None
    return counts if all(type(count) is int and 0 <= count < 1 << 40 for count in counts) else None


def _breach(answer: str, checker: "Validator") -> str:
    """How an answer breaks its schema; empty where it does not."""
    try:
        value = json.loads(unfenced(answer))
    except (ValueError, RecursionError):
        return "the answer is not JSON"
    error = next(iter(checker.iter_errors(value)), None)
    return f"the answer breaks its schema: {error.message[:200]}" if error else ""


def unfenced(answer: str) -> str:
    """An answer without the code fence that models like to set around JSON."""
    text = answer.strip()
    if text.startswith("```"):
        text = text[3:].removeprefix("json").removesuffix("```").strip()
    return text


def _retry_after(header: str) -> float:
    """Seconds of a Retry-After header (a number or a date); 0 where there is none."""
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
