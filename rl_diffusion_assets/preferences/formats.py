"""Rows of rating files become votes: pairs and what was chosen, rankings, and opinion scores.

What a file is, its columns say (`shapes.py`): our own pairs, Pick-a-Pic, HPD, ImageReward, AGIQA,
exports of rating pages. The `format:` of studio.yaml only counts where they say nothing.

AGIQA gives each image a mean opinion of quality and one of alignment with the prompt, each with
its standard deviation over people. We take an image's score as the sum of both, with variance the
sum of both. Two images of a prompt then make a pair, and by Thurstone's model a person prefers the
first with probability Phi((score_1 - score_2) / sqrt(variance_1 + variance_2)). Where that is
closer to a half than `CLEAR` (60 of 100 people), the pair is a tie.
"""

import ast
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

from resources.feeds.column_names import is_image, plain
from resources.feeds.parquet import BYTES, CELL
from resources.feeds.rows import Row, at, parse_json
from rl_diffusion_assets.preferences.shapes import Shape, shape_of
from rl_diffusion_assets.preferences.words import ChoiceWords, UnknownWord
from rl_diffusion_assets.prompts.prompts import BadText, Reject, prompt_id, read_text

CLEAR = 0.6
MAX_RATER = 64  # characters
MAX_RATED_PROMPT = 2_000  # people rated images of longer prompts than we would draw
_MAX_REFERENCE = 500
_MAX_IMAGES = 100  # of one prompt or ranking: pairs grow with the square
_WHOLE = re.compile(r"\d{1,15}\.0")
_CLEAR_Z = NormalDist().inv_cdf(CLEAR)


class Vote(NamedTuple):
    """One judgement. `a` was shown first, where `shown`; images are references as received, those
    in cells of the file `bytes:column:row`."""

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


def read_votes(
    rows: Iterable[Row],
    *,
    file: str,
    format: str = "pairs",
    columns: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
) -> tuple[list[Vote], list[Reject]]:
    """The votes of a file, and the rows that hold none.

    Args:
        rows: as received.
        file: its name, for the tables.
        format: pairs, agiqa or imagereward; what the columns say goes before.
        columns: prompt, a, b, choice, rater -> its column, or the path to it; others are found.
        words: What words of choice mean: word -> a, b or tie.
    """
    votes: list[Vote] = []
    rejects: list[Reject] = []
    received: list[tuple[int, dict[str, Any]]] = []
    for row in rows:
        value = row.value
        if value is None:
            rejects.append(Reject.of(file, row.row, "record", row.error or "broken", row.record))
        else:
            received.append((row.row, value))
    reader = _Reader([value for _, value in received], file, format, columns, words)
    for number, value in received:
        try:
            votes += reader.read(value, number)
        except _BadField as error:
            rejects.append(Reject.of(file, number, error.field, str(error), error.value))
    return votes + reader.compared(), sorted(rejects, key=lambda reject: reject.row)


class _Rated(NamedTuple):
    prompt: str
    name: str
    score: float
    variance: float
    row: int
    rater: str | None = None


class _Reader:
    """Reads the rows of one file."""

    def __init__(
        self,
        values: Sequence[dict[str, Any]],
        file: str,
        format: str,
        columns: Mapping[str, str] | None,
        words: Mapping[str, str] | None,
    ):
        self._shape: Shape = shape_of(values, format, columns)
        self._columns, self._file = self._shape.columns, file
        self._there = ", ".join(dict.fromkeys(name for value in values[:100] for name in value))
        self._absent = {
            field
            for field, column in (columns or {}).items()
            if all(at(value, column) is None for value in values)
        }
        choice = self._columns.get("choice", "choice")
        self._words = ChoiceWords((at(value, choice) for value in values), words)
        self._rated: dict[Any, list[_Rated]] = defaultdict(list)

    def read(self, value: dict[str, Any], row: int) -> list[Vote]:
        """The votes of a row.

        Raises:
            _BadField: it has none.
        """
        prompt = self._prompt(value)
        match self._shape.kind:
            case "imagereward":
                return self._ranking(value, prompt, row)
            case "agiqa" | "ranked":
                ranked = self._shape.kind == "ranked"
                rated = self._place(value, prompt, row) if ranked else _opinion(value, prompt, row)
                place = at(value, self._columns["group"]) if ranked else None
                key = prompt_id(prompt) if place is None else f"{place}\n{prompt_id(prompt)}"
                if len(self._rated[key]) == _MAX_IMAGES:
                    raise _BadField("prompt", f"more than {_MAX_IMAGES} images of it", prompt)
                self._rated[key].append(rated)
                return []
        a, b = self._reference(value, "a"), self._reference(value, "b")
        if self._shape.kind == "decided":
            choice = "a"
        elif "score_a" in self._columns:
            choice = self._scored(value)
        else:
            choice = self._choice(value, a, b)
        rater = self._rater(value)
        return [Vote(prompt, a, b, choice, rater, self._file, row, self._shape.shown)]

    def compared(self) -> list[Vote]:
        """The votes of rows with one image each, once all are read."""
        votes = []
        for group in self._rated.values():
            for first, second in itertools.combinations(group, 2):
                if first.rater != second.rater:
                    continue
                gap = first.score - second.score
                if spread := math.sqrt(first.variance + second.variance):
                    gap /= spread
                tie = abs(gap) < _CLEAR_Z if spread else not gap
                choice = "tie" if tie else "a" if gap > 0 else "b"
                names, rater = (first.name, second.name), second.rater
                votes.append(
                    Vote(first.prompt, *names, choice, rater, self._file, second.row, False)
                )
        return votes

    def _at(self, value: dict[str, Any], field: str) -> Any:
        column = self._columns.get(field)
        if column is None:
            raise _BadField(
                field, f"no column says it: name one under `columns:`, of {self._there}", None
            )
        if field in self._absent:
            raise _BadField(field, f"no row has {column!r}, which `columns:` names", None)
        return at(value, column)

    def _prompt(self, value: dict[str, Any]) -> str:
        text = self._at(value, "prompt")
        try:
            return read_text(text, MAX_RATED_PROMPT)
        except BadText as error:
            raise _BadField("prompt", str(error), text) from None

    def _reference(self, value: dict[str, Any], field: str) -> str:
        return _reference(self._at(value, field), field)

    def _rater(self, value: dict[str, Any]) -> str | None:
        rater = at(value, self._columns["rater"]) if "rater" in self._columns else None
        if rater is None or rater == "":
            return None
        if _WHOLE.fullmatch(str(rater)):
            rater = int(float(rater))  # of a data frame with a rater missing
        rater = str(rater) if isinstance(rater, int) else rater
        if not isinstance(rater, str) or not rater.strip() or not rater[:MAX_RATER].isprintable():
            raise _BadField("rater", "no printable text", rater)
        return rater.strip()[:MAX_RATER]

    def _choice(self, value: dict[str, Any], a: str, b: str) -> str:
        choice = self._at(value, "choice")
        numbers = _numbers(choice)
        if numbers and len(numbers) == 2:  # what each of both got
            return _higher(*numbers)
        sides = [(a, b), *((at(value, x), at(value, y)) for x, y in self._shape.names)]
        names = ([], [])
        for pair in sides:
            for found, name in zip(names, pair, strict=True):
                if isinstance(name, str) and not name.strip().replace(".", "", 1).isdigit():
                    found.append(name.strip())
        try:
            return self._words.read(choice, names)
        except UnknownWord as error:
            raise _BadField("choice", str(error), choice) from None

    def _scored(self, value: dict[str, Any]) -> str:
        """What two columns say, one of each image: label_0 and label_1."""
        if "has_label" in self._columns:
            said = at(value, self._columns["has_label"])
            if said is not None and str(said).strip().casefold() in ("false", "0", "0.0"):
                raise _BadField("choice", "nobody has chosen: has_label is false", said)
        both = [self._at(value, field) for field in ("score_a", "score_b")]
        first, second = (_finite(score) for score in both)
        if first is None or second is None or not (first or second):
            shown = " and ".join(self._columns[field] for field in ("score_a", "score_b"))
            raise _BadField("choice", f"{shown} say nothing", both)
        return _higher(first, second)

    def _ranking(self, value: dict[str, Any], prompt: str, row: int) -> list[Vote]:
        """The votes of a row with a list of images, and their ranks or what was chosen."""
        images = _listed(self._at(value, "images"))
        if not isinstance(images, list) or not 2 <= len(images) <= _MAX_IMAGES:
            raise _BadField("generations", f"not a list of 2 to {_MAX_IMAGES} images", images)
        names = [_reference(image, "generations") for image in images]
        rater, ranks = self._rater(value), None
        if "choice" in self._columns:
            scores, chosen = self._chosen(value, names)
        else:
            ranks, chosen = self._ranks(value, names), None
            scores = [[-rank for rank in one] for one in ranks]
        return [
            Vote(prompt, names[i], names[j], _higher(one[i], one[j]), rater, self._file, row, False)
            for one in scores
            for i, j in itertools.combinations(range(len(names)), 2)
            if chosen is None or chosen in (i, j)
        ]

    def _ranks(self, value: dict[str, Any], names: list[str]) -> list[list[float]]:
        """The ranks of the images, 1 the best: everybody's where each annotator's are there."""
        given = self._at(value, "ranks")
        ranks = _numbers(given)
        if not isinstance(_listed(given), list) or len(_listed(given)) != len(names):
            raise _BadField("ranking", "not one rank an image", given)
        if ranks is None:
            raise _BadField("ranking", "a rank is no number", given)
        if "annotations" in self._columns:
            each = [_numbers(one) for one in _listed(at(value, self._columns["annotations"])) or []]
            whole = [one for one in each if one and len(one) == len(names)]
            if whole and len(whole) == len(each) and _agree(whole, ranks):
                return whole
        return [ranks]

    def _chosen(
        self, value: dict[str, Any], names: list[str]
    ) -> tuple[list[list[float]], int | None]:
        """What each image got, and which one was chosen where nothing is said of the others."""
        said = _listed(self._at(value, "choice"))
        if isinstance(said, list):
            numbers = _numbers(said)
            if numbers is None or len(numbers) != len(names):
                raise _BadField("choice", "not one number an image", said)
            best = max(numbers)
            alone = numbers.count(best) == 1 and not any(n for n in numbers if n != best)
            return [numbers], numbers.index(best) if alone else None
        index = None
        if said in names:
            index = names.index(said)
        elif plain(self._columns["choice"]) == "human preference":  # of HPD v1: from 0
            number = _finite(said)
            index = int(number) if number is not None and number.is_integer() else None
        elif len(names) == 2:
            choice = self._choice(value, *names)
            scores = {"a": [1.0, 0.0], "b": [0.0, 1.0], "tie": [0.5, 0.5]}[choice]
            return [scores], None
        if index is None or not 0 <= index < len(names):
            raise _BadField("choice", "names none of the images", said)
        return [[float(i == index) for i in range(len(names))]], index

    def _place(self, value: dict[str, Any], prompt: str, row: int) -> _Rated:
        rank = _finite(self._at(value, "rank"))
        if rank is None:
            raise _BadField("rank", "no number", self._at(value, "rank"))
        name, rater = self._reference(value, "image"), self._rater(value)
        return _Rated(prompt, name, -rank, 0.0, row, rater)


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
    return _Rated(prompt, _reference(value.get("name"), "name"), quality + alignment, variance, row)


def _reference(value: Any, field: str) -> str:
    """An image as it is named: by a text, or by where its bytes are in the file."""
    if is_image(value):
        inside = value if BYTES in value else value["bytes"] or {}
        if isinstance(inside, dict) and inside.get(BYTES):
            return f"{CELL}{inside[BYTES]}"
        value = value.get("path")
    if value is None or (isinstance(value, str) and not value.strip()):
        raise _BadField(field, "missing", value)
    if not isinstance(value, str):
        raise _BadField(field, "no text that names an image", value)
    if len(value) > _MAX_REFERENCE or not value.isprintable():
        raise _BadField(field, f"not 1 to {_MAX_REFERENCE} printable characters", value)
    return value


def _listed(value: Any) -> Any:
    """A list that may be written as text, as JSON or as Python prints it."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        for read in (parse_json, ast.literal_eval):
            try:
                return read(value.strip())
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    return value


def _finite(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _numbers(value: Any) -> list[float] | None:
    """A list of numbers; None where it is none."""
    listed = _listed(value)
    if not isinstance(listed, list):
        return None
    found = [
        float(one)
        for one in listed
        if isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one)
    ]
    return found if len(found) == len(listed) else None


def _higher(first: float, second: float) -> str:
    return "tie" if first == second else "a" if first > second else "b"


def _agree(each: Sequence[Sequence[float]], ranks: Sequence[float]) -> bool:
    """Whether annotators' numbers are ranks of the images too, not the images in their order."""
    sums = [sum(one) for one in zip(*each, strict=True)]
    pairs = itertools.combinations(range(len(ranks)), 2)
    return sum((sums[i] - sums[j]) * (ranks[i] - ranks[j]) for i, j in pairs) > 0
