"""Rows of rating files become votes: our own pairs, AGIQA's opinion scores, ImageReward's rankings.

AGIQA gives each image a mean opinion of quality and one of alignment with the prompt, each with
its standard deviation over people. We take an image's score as the sum of both, with variance the
sum of both. Two images of a prompt then make a pair, and by Thurstone's model a person prefers the
first with probability Phi((score_1 - score_2) / sqrt(variance_1 + variance_2)). Where that is
closer to a half than `CLEAR` (60 of 100 people), the pair is a tie.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import NormalDist
from typing import Any, NamedTuple

from resources.feeds.rows import Row
from rl_diffusion_assets.prompts.prompts import BadText, Reject, prompt_id, read_text

CHOICES = ("a", "b", "tie")
CLEAR = 0.6
MAX_RATER = 64  # characters
MAX_RATED_PROMPT = 2_000  # people rated images of longer prompts than we would draw
_MAX_REFERENCE = 500
_MAX_IMAGES = 100  # of one prompt or ranking: pairs grow with the square
_CLEAR_Z = NormalDist().inv_cdf(CLEAR)


class Vote(NamedTuple):
    """One judgement. `a` was shown first, where `shown`; images are references as received."""

    prompt: str
    a: str
    b: str
    choice: str
    rater: str | None
    file: str
    row: int
    shown: bool


class _BadField(ValueError):
    def __init__(self, field: str, reason: str, value: Any):
        super().__init__(reason)
        self.field, self.value = field, value


def read_votes(rows: Iterable[Row], *, file: str, format: str) -> tuple[list[Vote], list[Reject]]:
    """The votes of a file, and the rows that hold none.

    Args:
        rows: as received.
        file: its name, for the tables.
        format: pairs, agiqa or imagereward.
    """
    votes: list[Vote] = []
    rejects: list[Reject] = []
    rated: dict[str, list[_Rated]] = defaultdict(list)
    for row in rows:
        try:
            if row.value is None:
                raise _BadField("record", row.error or "broken", row.record)
            prompt = _prompt(row.value)
            if format == "pairs":
                votes.append(_pair(row.value, prompt, file, row.row))
            elif format == "imagereward":
                votes += _ranking(row.value, prompt, file, row.row)
            else:
                group = rated[prompt_id(prompt)]
                if len(group) == _MAX_IMAGES:
                    raise _BadField("prompt", f"more than {_MAX_IMAGES} images of it", prompt)
                group.append(_opinion(row.value, prompt, row.row))
        except _BadField as error:
            rejects.append(Reject.of(file, row.row, error.field, str(error), error.value))
    for group in rated.values():
        for first, second in itertools.combinations(group, 2):
            gap = (first.score - second.score) / math.sqrt(first.variance + second.variance)
            choice = "tie" if abs(gap) < _CLEAR_Z else "a" if gap > 0 else "b"
            votes.append(
                Vote(first.prompt, first.name, second.name, choice, None, file, second.row, False)
            )
    return votes, rejects


class _Rated(NamedTuple):
    prompt: str
    name: str
    score: float
    variance: float
    row: int


def _pair(value: dict[str, Any], prompt: str, file: str, row: int) -> Vote:
    choice, rater = value.get("choice"), value.get("rater")
    if not isinstance(choice, str) or choice not in CHOICES:
        raise _BadField("choice", f"none of {', '.join(CHOICES)}", choice)
    if rater is not None:
        rater = str(rater) if isinstance(rater, int) else rater
        if not isinstance(rater, str) or not rater.strip() or not rater[:MAX_RATER].isprintable():
            raise _BadField("rater", "no printable text", rater)
        rater = rater.strip()[:MAX_RATER]
    a, b = _reference(value, "a"), _reference(value, "b")
    return Vote(prompt, a, b, choice, rater, file, row, True)


def _ranking(value: dict[str, Any], prompt: str, file: str, row: int) -> list[Vote]:
    names, ranks = value.get("generations"), value.get("ranking")
    if not isinstance(names, list) or not 2 <= len(names) <= _MAX_IMAGES:
        raise _BadField("generations", f"not a list of 2 to {_MAX_IMAGES} images", names)
    if not isinstance(ranks, list) or len(ranks) != len(names):
        raise _BadField("ranking", "not one rank an image", ranks)
    ranked = []
    for name, rank in zip(names, ranks, strict=True):
        ranked.append((_reference({"generations": name}, "generations"), rank))
        if isinstance(rank, bool) or not isinstance(rank, int | float) or not math.isfinite(rank):
            raise _BadField("ranking", "a rank is no number", ranks)
    return [
        Vote(prompt, a, b, "tie" if i == j else "a" if i < j else "b", None, file, row, False)
        for (a, i), (b, j) in itertools.combinations(ranked, 2)
    ]


def _opinion(value: dict[str, Any], prompt: str, row: int) -> _Rated:
    numbers = []
    for field in ("mos_quality", "mos_align", "std_quality", "std_align"):
        try:
            number = float(value.get(field) or "")
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not -1e6 < number < 1e6 or (field.startswith("std") and number <= 0):
            raise _BadField(field, "no usable number", value.get(field))
        numbers.append(number)
    quality, alignment, *deviations = numbers
    variance = sum(deviation**2 for deviation in deviations)
    return _Rated(prompt, _reference(value, "name"), quality + alignment, variance, row)


def _prompt(value: dict[str, Any]) -> str:
    try:
        return read_text(value.get("prompt"), MAX_RATED_PROMPT)
    except BadText as error:
        raise _BadField("prompt", str(error), value.get("prompt")) from None


def _reference(value: dict[str, Any], field: str) -> str:
    text = value.get(field)
    if not isinstance(text, str) or not text.strip():
        raise _BadField(field, "missing", text)
    if len(text) > _MAX_REFERENCE or not text.isprintable():
        raise _BadField(field, f"not 1 to {_MAX_REFERENCE} printable characters", text)
    return text
