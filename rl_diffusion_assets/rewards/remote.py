"""A reward model behind an HTTP endpoint, asked about several batches at once.

    POST url    {"captions": ["a red hat", ...], "pictures": ["<PNG, base64>", ...]}
    200         {"scores": [1.25, null, ...]}

An endpoint that is slow, busy or down costs scores and not the run: what could not be had is NaN,
which the trainer leaves out. One that refuses or answers something else is set up wrongly, and no
patience will mend that: it stops the run.
"""

import base64
import io
import json
import logging
import math
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import httpx
import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, field_validator

from resources import network
from rl_diffusion_assets.rewards.models import CONFIG, reward_settings

Array = np.ndarray
MAX_ANSWER = 1 << 20  # bytes
LARGEST = float(np.finfo(np.float32).max)
TRY_AGAIN = (408, 425, 429)  # and everything from 500
FIELDS = {401: "token_variable", 403: "token_variable", 413: "batch"}  # that a status is about

log = logging.getLogger(__name__)


class RemoteRewardError(ValueError):
    """The endpoint, or what is set about it, is wrong; the message names the URL and the field."""


class RemoteSettings(BaseModel):
    """The `reward.json` of a remote scorer.

    Attributes:
        url: http or https, without user and password; a query is left out of messages.
        token_variable: Environment variable with a bearer token; empty for none.
        batch: Pictures of a request.
        parallel: Requests in flight.
        timeout: Seconds that a request may take.
        retries: Of a request, after the first attempt.
        backoff: Seconds; a random share of it, doubled each time, is waited before a retry, on
            top of what the endpoint asks for by Retry-After.
        patience: Seconds that all requests of one call may take: nothing is begun after them.
        temperature: Scores are divided by it, to make them logits of being preferred.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["remote"]
    url: Annotated[str, Field(max_length=2_000)]
    token_variable: str = ""
    batch: Annotated[int, Field(ge=1, le=1_024)] = 8
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    timeout: Annotated[float, Field(gt=0)] = 30.0
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    backoff: Annotated[float, Field(ge=0)] = 0.5
    patience: Annotated[float, Field(gt=0)] = 120.0
    temperature: Annotated[float, Field(gt=0)] = 1.0

    @field_validator("url")
    @classmethod
    def _is_plain(cls, url: str) -> str:
        try:
            parts = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"not a URL: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ValueError("not an http or https URL")
        if parts.userinfo:
            raise ValueError("no user and password here: name a variable in token_variable")
        return url


class _NotNow(Exception):
    """An attempt failed in a way that another may not; `wait` seconds are asked for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class RemoteScorer:
    """A `PreferenceScorer` whose model is elsewhere.

    Raises:
        ValueError: a setting of the folder's `reward.json` is wrong, or the token is not there.
    """

    remote = True  # an ensemble asks it while other scorers compute

    def __init__(self, folder: Path) -> None:
        self.settings = reward_settings(folder, RemoteSettings)
        self.shown = str(httpx.URL(self.settings.url).copy_with(query=None, fragment=None))
        token = _token(folder / CONFIG, self.settings.token_variable)
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._jitter = random.Random()  # of its own: waiting must not move any seeded draw

    def score(self, pictures: Array, captions: Sequence[str]) -> Array:
        """float32 ``[n]``, NaN where the endpoint gave none; uint8 ``[n, h, w, 3]`` in.

        Raises:
            RemoteRewardError: the endpoint refuses the request, or its answer is malformed.
        """
        if len(pictures) != len(captions):
            raise ValueError(f"{len(pictures)} pictures, but {len(captions)} captions")
        starts = range(0, len(pictures), self.settings.batch)
        parts = [slice(start, start + self.settings.batch) for start in starts]
        until = time.monotonic() + self.settings.patience
        with (
            network.client(headers=self._headers, follow_redirects=False) as client,
            ThreadPoolExecutor(self.settings.parallel) as threads,
        ):
            answers = list(
                threads.map(
                    partial(self._scores, client, until),
                    [pictures[part] for part in parts],
                    [captions[part] for part in parts],
                )
            )
        self._report(answers, len(pictures))
        empty = np.zeros(0, np.float32)
        scores = np.concatenate([empty, *(scores for scores, _ in answers)])
        return scores / np.float32(self.settings.temperature)

    def _scores(
        self, client: httpx.Client, until: float, pictures: Array, captions: Sequence[str]
    ) -> tuple[Array, str]:
        """Scores of one batch, and why those that are NaN are missing."""
        if time.monotonic() >= until:
            return np.full(len(pictures), np.nan, np.float32), "patience was over"
        body, reason = _request(pictures, captions), ""
        for attempt in range(self.settings.retries + 1):
            try:
                content = self._post(client, body)
                return self._read(content, len(pictures)), "the endpoint had none"
            except _NotNow as problem:
                reason = str(problem)
                spread = self.settings.backoff * 2**attempt
                pause = problem.wait + spread * self._jitter.random()
            if attempt == self.settings.retries or time.monotonic() + pause >= until:
                break
            time.sleep(pause)
        return np.full(len(pictures), np.nan, np.float32), reason

    def _post(self, client: httpx.Client, body: bytes) -> bytes:
        """The body of a good answer.

        Raises:
            _NotNow: the endpoint is not there, not ready or too slow.
            RemoteRewardError: it refuses the request, or says too much.
        """
        timeout = self.settings.timeout
        try:
            with (
                network.within(timeout),
                client.stream("POST", self.settings.url, content=body, timeout=timeout) as response,
            ):
                self._check(response)
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > MAX_ANSWER:
                        raise self._wrong("scores", f"the answer is larger than {MAX_ANSWER} bytes")
                return bytes(content)
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            raise _NotNow(f"not complete after {timeout:g} s") from None
        except httpx.RequestError as error:
            raise _NotNow(" ".join(f"{type(error).__name__} {error}".split())) from None

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in TRY_AGAIN or status >= 500:
            raise _NotNow(f"HTTP {status}", retry_after(response.headers.get("Retry-After", "")))
        # What the endpoint says is not repeated: it may hold what was sent, the token with it.
        raise self._wrong(FIELDS.get(status, "url"), f"HTTP {status}")

    def _read(self, content: bytes, n: int) -> Array:
        """Scores ``[n]`` of an answer, NaN for null."""
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise self._wrong("scores", "the answer is not JSON") from None
        scores = answer.get("scores") if isinstance(answer, dict) else None
        if not isinstance(scores, list):
            raise self._wrong("scores", "the answer has no such list")
        if len(scores) != n:
            raise self._wrong("scores", f"{len(scores)} for {n} pictures")
        out = np.full(n, np.nan, np.float32)
        for at, value in enumerate(scores):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self._wrong(f"scores[{at}]", "neither a number nor null")
            if not abs(value) <= LARGEST:  # NaN too
                raise self._wrong(f"scores[{at}]", "not a finite number")
            out[at] = value
        return out

    def _wrong(self, field: str, problem: str) -> RemoteRewardError:
        return RemoteRewardError(f"remote reward {self.shown}: {field}: {problem}")

    def _report(self, answers: Sequence[tuple[Array, str]], n: int) -> None:
        """One line of how many scores are missing, and why."""
        reasons = Counter[str]()
        for scores, reason in answers:
            reasons[reason] += int(np.isnan(scores).sum())
        if missing := sum(reasons.values()):
            why = "; ".join(
                f"{count}: {reason}" for reason, count in reasons.most_common() if count
            )
            log.warning(
                "remote reward %s: %d of %d pictures have no score (%s)",
                self.shown,
                missing,
                n,
                why,
            )


def _token(path: Path, variable: str) -> str:
    """The token in an environment variable.

    Raises:
        ValueError: there is none, or it cannot be sent; names the variable.
    """
    if not variable:
        return ""
    token = os.environ.get(variable, "").strip()
    if not token:
        raise ValueError(f"{path}: token_variable: the environment has no {variable}")
    if any(not "!" <= letter <= "~" for letter in token):
        raise ValueError(f"{path}: token_variable: what {variable} holds is no bearer token")
    return token


def _request(pictures: Array, captions: Sequence[str]) -> bytes:
    body = {"captions": list(captions), "pictures": list(_encoded(pictures))}
    return json.dumps(body).encode()  # ASCII: a caption may hold half a surrogate pair


def _encoded(pictures: Array) -> Iterator[str]:
    for picture in pictures:
        png = io.BytesIO()
        Image.fromarray(picture).save(png, "PNG")
        yield base64.b64encode(png.getvalue()).decode()


def retry_after(header: str) -> float:
    """Seconds that a Retry-After header (RFC 9110, 10.2.3) asks for, as a number or as a date;
    0 for anything else."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            then = parsedate_to_datetime(header)
        except ValueError:
            return 0.0
        seconds = (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
