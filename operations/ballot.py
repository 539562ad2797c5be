"""What people rate: pairs of a base and a tuned model's pictures, with the sides hidden.

A pair is two pictures of one prompt and one seed. Votes are appended to the studio's own file of
ratings of the day, so that `preference_pairs` receives them as it does all others; what has been
voted is read back from there, and no other state is kept.
"""

import fcntl
import glob
import hashlib
import io
import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from resources.feeds.studio import Studio
from resources.feeds.studio_config import StudioConfig
from resources.intervals import wilson
from resources.lake import Lake
from rl_diffusion_assets.preferences.formats import MAX_RATED_PROMPT, MAX_RATER, read_votes
from rl_diffusion_assets.preferences.pairs import normalise_image
from rl_diffusion_assets.prompts.prompts import BadText, read_text

CHOICES = {"left": "a", "right": "b", "neither": "tie"}  # what is pressed -> what is written
SEED = 0


class Pair(NamedTuple):
    """Two pictures of one prompt, by their names in the studio's folder of images."""

    prompt: str
    base: str
    tuned: str
    judge_gain: float  # what the judge gives the tuned picture more than the base's


class Shown(NamedTuple):
    """A pair as one rater sees it. `key` stands for exactly these sides, and tells nothing."""

    key: str
    left: str
    right: str
    pair: Pair

    @property
    def pictures(self) -> dict[str, str]:
        return {"left": self.left, "right": self.right}


@dataclass(frozen=True)
class Result:
    """Who was preferred. Votes count as independent of each other."""

    tuned: int
    base: int
    undecided: int
    raters: int
    judge_agrees: int  # of the decided votes

    @property
    def decided(self) -> int:
        return self.tuned + self.base

    @property
    def votes(self) -> int:
        return self.decided + self.undecided

    @property
    def share(self) -> float:
        """Of the decided votes, those for the tuned model."""
        return self.tuned / self.decided

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.tuned, self.decided)

    def __str__(self) -> str:
        people = f"{self.raters} {'person' if self.raters == 1 else 'people'}"
        if not self.decided:
            return f"no decided vote yet ({self.undecided} could not say; {people})"
        low, high = self.interval
        return (
            f"the tuned model was preferred in {self.tuned} of {self.decided} decided votes: "
            f"{self.share:.1%} (95 % interval {low:.1%} to {high:.1%}); "
            f"{self.undecided} could not say; {people}; "
            f"the judge agrees with {self.judge_agrees} of {self.decided}"
        )


def read_rater(value: str) -> str:
    """A rater's name with its spaces folded.

    Raises:
        ValueError: empty, too long, or not printable; the message says so.
    """
    name = " ".join(value.split())
    if not 0 < len(name) <= MAX_RATER or not name.isprintable():
        raise ValueError(f"A name has 1 to {MAX_RATER} printable characters.")
    return name


def destination(studio: Path) -> tuple[str, Path]:
    """Where votes go: the path of the first fitting `ratings`, with {day}, and the images' folder.

    Raises:
        SystemExit: studio.yaml has no place for votes; the message says what to add.
    """
    config = StudioConfig.load(studio)
    folder = studio.absolute().parent
    for file in config.ratings:
        path = file.path
        plain = path.endswith(".jsonl") and "://" not in path and not set(path) & set("*?[")
        if plain and "{day}" in path and file.format == "pairs" and file.pixels:
            break
    else:
        raise SystemExit(
            f"{studio} has no local file for votes; add under `ratings:`\n"
            '  - {path: "ratings/{day}.jsonl", format: pairs}'
        )
    if config.images is None or "://" in config.images:
        raise SystemExit(f"{studio} names no local folder of images; add `images: images`")
    return os.path.join(folder, path), folder / config.images


def take_pairs(
    lake: Lake, objective: str, images: Path, count: int, seed: int = SEED
) -> list[Pair]:
    """Draws pairs of an evaluation, and writes their pictures as PNG where a studio serves them.

    Pairs that a person cannot compare are passed over: the same picture twice, or unequal sizes,
    which would tell one model from the other. A larger `count` only adds to a smaller one.

    Raises:
        MissingPartition: nothing of this objective has been evaluated.
    """
    samples = lake.read("rl_evaluation", "samples", objective)
    rows = samples.sort("prompt", "seed", "base_image", "tuned_image").to_dicts()
    random.Random(f"pairs {seed}").shuffle(rows)
    taken: dict[tuple[str, str, str], Pair] = {}
    for row in rows:
        if len(taken) == count:
            break
        try:
            prompt = read_text(row["prompt"], MAX_RATED_PROMPT)
        except BadText:
            continue  # preference_pairs would refuse votes on it
        pictures = [normalise_image(lake.image(row[f"{m}_image"]))[1] for m in ("base", "tuned")]
        sizes = {Image.open(io.BytesIO(data)).size for data in pictures}
        if len(sizes) > 1 or pictures[0] == pictures[1]:
            continue
        base, tuned = (_write_picture(images, data) for data in pictures)
        gain = row["judge_tuned"] - row["judge_base"]
        taken.setdefault((prompt, base, tuned), Pair(prompt, base, tuned, gain))
    return list(taken.values())


def _write_picture(images: Path, data: bytes) -> str:
    """Writes a picture once, under its content hash; returns its name."""
    name = f"{hashlib.sha256(data).hexdigest()[:20]}.png"
    if not (images / name).exists():
        images.mkdir(parents=True, exist_ok=True)
        temporary = images / f".{name}.tmp"
        temporary.write_bytes(data)
        temporary.replace(images / name)
    return name


class Ballot:
    """The pairs to rate, in each rater's own order and sides, and the votes on them."""

    template, media = "pair.html", "image/png"

    def __init__(self, studio: Path, pairs: list[Pair], seed: int = SEED):
        self._studio = Studio(config_path=str(studio))
        self._path, _ = destination(studio)
        self._pairs, self._seed = pairs, seed
        self._written = sizes(self._path)
        self._choices = dict(self._read_back())

    def shown(self, rater: str) -> list[Shown]:
        """All pairs as this rater sees them: the same at every call, unlike any other rater's."""
        found = []
        for pair in self._pairs:
            text = "\n".join((str(self._seed), rater, pair.prompt, pair.base, pair.tuned))
            left, right = pair.base, pair.tuned
            if random.Random(f"sides {text}").random() < 0.5:
                left, right = right, left
            key = hashlib.sha256(f"{text}\n{left}".encode()).hexdigest()[:20]
            found.append(Shown(key, left, right, pair))
        random.Random(f"order {self._seed} {rater}").shuffle(found)
        return found

    def remaining(self, rater: str) -> list[Shown]:
        """The pairs that this rater has not voted on."""
        return [shown for shown in self.shown(rater) if (rater, shown.pair) not in self._choices]

    def find(self, rater: str, key: str) -> Shown:
        """One of the rater's pairs.

        Raises:
            KeyError: the key is none of them.
        """
        return {shown.key: shown for shown in self.shown(rater)}[key]

    def picture(self, name: str) -> bytes:
        """The PNG of a picture, as preference_pairs will read it."""
        return self._studio.image(name)

    def vote(self, rater: str, key: str, choice: str) -> None:
        """Writes a vote; a second one on the same pair is left out.

        Raises:
            KeyError: the pair is none of the rater's, or the choice none of CHOICES.
            OSError: it could not be written; the file is as it was.
        """
        shown, letter = self.find(rater, key), CHOICES[choice]
        row = {
            **{"rater": rater, "prompt": shown.pair.prompt},
            **{"a": shown.left, "b": shown.right, "choice": letter},
        }
        path = Path(self._path.replace("{day}", datetime.now(UTC).date().isoformat()))
        with alone_in(path.parent):
            self._catch_up()
            if (rater, shown.pair) in self._choices:
                return
            append(path, json.dumps(row, ensure_ascii=False))
            self._written = sizes(self._path)
        self._choices[rater, shown.pair] = _winner(letter, shown.left, shown.right)

    def _catch_up(self) -> None:
        """Reads votes that another server has written, or this one before it was started."""
        if self._written != (written := sizes(self._path)):
            self._choices = dict(self._read_back())
            self._written = written

    def result(self) -> Result:
        """Who was preferred so far, in all votes on these pairs."""
        votes = [(pair, won) for (_, pair), won in self._choices.items()]
        tuned = sum(won == pair.tuned for pair, won in votes)
        base = sum(won == pair.base for pair, won in votes)
        return Result(
            tuned=tuned,
            base=base,
            undecided=len(votes) - tuned - base,
            raters=len({rater for rater, _ in self._choices}),
            judge_agrees=sum(
                won == (pair.tuned if pair.judge_gain > 0 else pair.base) for pair, won in votes
            ),
        )

    def _read_back(self) -> Iterator[tuple[tuple[str, Pair], str | None]]:
        """((rater, pair), name of the preferred picture) of each earlier vote on these pairs."""
        pairs = {(p.prompt, frozenset((p.base, p.tuned))): p for p in self._pairs}
        studio = Studio(config_path=self._studio.config_path)  # one that has not read them yet
        for day in studio.days():
            for received in studio.ratings(day):
                if received.format != "pairs":
                    continue
                votes, _ = read_votes(received.rows, file=received.file, format="pairs")
                for vote in votes:
                    pair = pairs.get((vote.prompt, frozenset((vote.a, vote.b))))
                    if pair and vote.rater:
                        yield (vote.rater, pair), _winner(vote.choice, vote.a, vote.b)


def _winner(choice: str, a: str, b: str) -> str | None:
    return {"a": a, "b": b}.get(choice)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other servers from answering meanwhile: of two answers of a rater one counts."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sizes(path: str) -> dict[str, int]:
    """Bytes of the files of all days at a path with {day}: others once somebody has answered."""
    pattern = "*".join(map(glob.escape, path.split("{day}")))
    return {name: os.path.getsize(name) for name in glob.glob(pattern)}


def append(path: Path, line: str) -> None:
    """Appends a line that is there whole, on disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(file).st_size
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"  # whoever wrote it was killed
        data = (f"\n{line}\n" if torn else f"{line}\n").encode()
        try:
            if os.write(file, data) < len(data):
                raise OSError("the disk is full")
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)
