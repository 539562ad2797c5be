"""Votes on pairs of images become one row a pair, whichever image was shown first."""

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl
from PIL import Image

from resources.feeds.parquet import CELL
from resources.pictures import open_picture, upright_rgb
from rl_diffusion_assets.preferences.formats import Vote
from rl_diffusion_assets.prompts.prompts import REJECTS, Reject, prompt_id, side

MAX_PIXELS = 40_000_000
MIN_SIDE, MAX_SIDE = 16, 512  # px, as received and as kept
VOTES = {
    **{"pair_id": pl.String, "rater": pl.String, "choice": pl.String},
    **{"file": pl.String, "row": pl.Int64},
}
PAIRS = {
    **{"pair_id": pl.String, "prompt_id": pl.String, "prompt": pl.String},
    **{"image_a": pl.String, "image_b": pl.String, "name_a": pl.String, "name_b": pl.String},
    **{"votes_a": pl.Int64, "votes_b": pl.Int64, "ties": pl.Int64, "share_a": pl.Float64},
    **{"split": pl.String, "source": pl.String},
}
_FLIPPED = {"a": "b", "b": "a", "tie": "tie"}
_FACTS = ["prompt_id", "prompt", "image_a", "image_b", "name_a", "name_b"]


class BadImage(ValueError):
    """Bytes that are no usable image; the message is the reason."""


def normalise_image(data: bytes) -> tuple[str, bytes]:
    """A received image as (sha256, PNG): upright, sRGB on white, at most MAX_SIDE px a side.

    PNG, because a scorer is trained on these pixels and must not learn JPEG's. Nothing of the
    received file but its pixels is left. The pixel count is checked on the header, before anything
    is decoded.

    Raises:
        BadImage: not an image of a known format, truncated, too large or too small.
    """
    try:
        image = open_picture(data)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise BadImage(f"too large: {width} x {height} px, at most {MAX_PIXELS} in all")
        image = upright_rgb(image)
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
        if min(*image.size, width, height) < MIN_SIDE:
            raise BadImage(f"too small: {width} x {height} px, at least {MIN_SIDE} a side")
    except BadImage:
        raise
    except Image.DecompressionBombError:
        raise BadImage(f"too large: over {MAX_PIXELS} px") from None
    except Exception as error:  # decoders raise anything on bytes made to break them
        raise BadImage(f"cannot be decoded: {str(error)[:120] or type(error).__name__}") from None
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return hashlib.sha256(buffer.getvalue()).hexdigest(), buffer.getvalue()


@dataclass(frozen=True)
class Preferences:
    """The tables of a day, and what was noticed on the way.

    `repeated` are votes that a later one of the same rater on the same pair replaced,
    `contradictions` those of them that said something else. `first_shown_wins` is the share of the
    votes with a winner that went to the image shown first, None where no order is known.
    """

    pairs: pl.DataFrame
    votes: pl.DataFrame
    rejects: pl.DataFrame
    repeated: int
    contradictions: int
    first_shown_wins: float | None


def build_pairs(
    votes: Iterable[Vote],
    rejects: Iterable[Reject],
    keep: Callable[[str, str], str | None],
    splits: Mapping[str, str] = MappingProxyType({}),
) -> Preferences:
    """Pairs with their votes counted. The vote of a rater that comes last on a pair stands.

    Args:
        votes: as read, in order of file and row.
        rejects: rows that were refused before.
        keep: gives the content hash of (file, reference), None where ratings come without pixels;
            raises BadImage. Called once for each.
        splits: prompt_id -> train or held_out; the text decides about any other prompt.
    """
    known: dict[tuple[str, str], str | BadImage | None] = {}
    refused = list(rejects)
    standing: dict[tuple, tuple] = {}  # who voted on what -> the vote
    repeated = contradictions = 0
    for vote in votes:
        images = []
        for field, reference in (("a", vote.a), ("b", vote.b)):
            image = _kept(known, keep, vote.file, reference)
            if isinstance(image, BadImage):
                refused.append(Reject.of(vote.file, vote.row, field, str(image), reference))
                break
            name = _name(vote.file, reference)
            images.append((image or name, image, name))
        if len(images) < 2:
            continue
        if images[0][0] == images[1][0]:
            refused.append(Reject.of(vote.file, vote.row, "b", "the same image twice", vote.b))
            continue
        swapped = images[0][0] > images[1][0]
        (id_a, image_a, name_a), (id_b, image_b, name_b) = sorted(images, key=lambda i: i[0])
        choice = _FLIPPED[vote.choice] if swapped else vote.choice
        prompt = prompt_id(vote.prompt)
        pair = hashlib.sha256("\n".join([prompt, id_a, id_b]).encode()).hexdigest()[:16]
        facts = (prompt, vote.prompt, image_a, image_b, name_a, name_b)
        first_won = None if not vote.shown or choice == "tie" else vote.choice == "a"
        # nobody in particular may vote as often as it likes
        key = (pair, vote.rater) if vote.rater else (pair, None, vote.file, vote.row)
        if earlier := standing.get(key):
            repeated += 1
            contradictions += earlier[2] != choice
        standing[key] = (pair, vote.rater, choice, vote.file, vote.row, *facts, first_won)
    schema = {**VOTES, **dict.fromkeys(_FACTS, pl.String), "first_won": pl.Boolean}
    frame = pl.DataFrame(list(standing.values()), schema=schema, orient="row")
    frame = frame.sort("pair_id", "file", "row")
    won = frame["first_won"].mean()
    return Preferences(
        pairs=_count(frame, splits),
        votes=frame.select(list(VOTES)),
        rejects=pl.DataFrame(refused, schema=REJECTS, orient="row"),
        repeated=repeated,
        contradictions=contradictions,
        first_shown_wins=won if isinstance(won, float) else None,
    )


def _name(file: str, reference: str) -> str:
    """What an image is called in the tables: a cell of a file, with the file."""
    return f"{file}:{reference}" if reference.startswith(CELL) else reference


def _kept(
    known: dict[tuple[str, str], str | BadImage | None],
    keep: Callable[[str, str], str | None],
    file: str,
    reference: str,
) -> str | BadImage | None:
    key = (file, reference)
    if key not in known:
        try:
            known[key] = keep(file, reference)
        except BadImage as error:
            known[key] = error.with_traceback(None)
    return known[key]


def _count(votes: pl.DataFrame, splits: Mapping[str, str]) -> pl.DataFrame:
    choice = pl.col("choice")
    counted = votes.group_by("pair_id", maintain_order=True).agg(
        *(pl.col(name).first() for name in _FACTS),
        (choice == "a").sum().cast(pl.Int64).alias("votes_a"),
        (choice == "b").sum().cast(pl.Int64).alias("votes_b"),
        (choice == "tie").sum().cast(pl.Int64).alias("ties"),
        pl.format("{}:{}", pl.col("file").first(), pl.col("row").first()).alias("source"),
        pl.len().alias("all"),
    )
    sides = [splits.get(i) or side(i) for i in counted["prompt_id"]]
    return counted.with_columns(
        ((pl.col("votes_a") + pl.col("ties") / 2) / pl.col("all")).alias("share_a"),
        pl.Series("split", sides, dtype=pl.String),
    ).select(list(PAIRS))
