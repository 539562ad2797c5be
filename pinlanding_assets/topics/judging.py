"""A statistical judge of topics: would people search for this, and is it one thing?

Stands where PinLanding asks a language model (section 4, steps 4 and 5): two scores from 1 to 5
with a reason, and one topic of several that say or hold the same.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pinlanding_assets.attributes.normalisation import words as tokens
from pinlanding_assets.attributes.themes import ALONE
from pinlanding_assets.topics.mining import SKETCH
from pinlanding_assets.topics.phrasing import is_safe_title
from pinlanding_assets.topics.words import content

TOPICS_SCHEMA = {
    "topic_id": pl.String,
    "slug": pl.String,
    "title": pl.String,
    "entries": pl.List(pl.String),
    "support": pl.Int64,
    "lift": pl.Float64,
    "demand": pl.Float64,
    "searchability": pl.Float64,
    "coherence": pl.Float64,
    "accepted": pl.Boolean,
    "reason": pl.String,
}
_BASE = 3.5  # an ordinary topic
_EASY_WORDS = 6  # words of a title that people still type


@dataclass(frozen=True)
class Judging:
    """What a topic needs.

    Attributes:
        min_searchability, min_coherence: Lowest scores that pass, from 1 to 5.
        min_alone: Lowest coherence of an entry that is a topic by itself.
        max_overlap: Jaccard overlap of product sets from which two topics are the same.
    """

    min_searchability: float = 3.0
    min_coherence: float = 3.0
    min_alone: float = ALONE
    max_overlap: float = 0.8


def judge(
    candidates: pl.DataFrame,
    entries: pl.DataFrame,
    judging: Judging | None = None,
    *,
    closed: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Mined and titled candidates, best first -> `topics.topics` in the same order.

    Args:
        candidates: Columns of `mining.mine` and of `phrasing.write_titles`.
        entries: `attribute_vocabulary.entries`, for the scores of the single entries.
        judging: Lowest scores and greatest overlap.
        closed: Topic -> why it has no page, where that was decided.
    """
    judging, closed = judging or Judging(), closed or {}
    of_entry = {
        entry_id: (searchability, coherence)
        for entry_id, searchability, coherence in entries.select(
            "entry_id", "searchability", "coherence"
        ).iter_rows()
    }
    rows = list(candidates.iter_rows(named=True))
    searchability = [_searchability(row, of_entry) for row in rows]
    coherence = [_coherence(row, of_entry) for row in rows]
    alone = [_mean_of_entries(row["entries"], of_entry, 1) for row in rows]
    twins = _overlapping(candidates["sketch"].to_list(), judging.max_overlap)
    refusals: list[str | None] = []
    said: dict[tuple[str, ...], str] = {}
    for at, row in enumerate(rows):
        words = tuple(sorted(content(row["title"])))
        twin = next((other for other in twins[at] if refusals[other] is None), None)
        if row["topic_id"] in closed:
            refusal = closed[row["topic_id"]]
        elif not is_safe_title(row["title"]):
            refusal = "the title is empty, too long or carries markup"
        elif not row["faithful"]:
            refusal = "the title does not say exactly the topic's attributes"
        elif searchability[at] < judging.min_searchability:
            refusal = f"searchability {searchability[at]:.1f} is below {judging.min_searchability}"
        elif coherence[at] < judging.min_coherence:
            refusal = f"coherence {coherence[at]:.1f} is below {judging.min_coherence}"
        elif len(row["entries"]) == 1 and alone[at] < judging.min_alone:
            refusal = (
                f"coherence {alone[at]:.1f} of its only attribute is below {judging.min_alone}"
            )
        elif words in said:
            refusal = f"says the same as “{said[words]}”"
        elif twin is not None:
            refusal = f"holds the same products as “{rows[twin]['title']}”"
        else:
            refusal = None
            said[words] = row["title"]
        refusals.append(refusal)
    return candidates.with_columns(
        pl.Series("searchability", searchability, dtype=pl.Float64),
        pl.Series("coherence", coherence, dtype=pl.Float64),
        pl.Series("accepted", [refusal is None for refusal in refusals], dtype=pl.Boolean),
        pl.Series(
            "reason",
            [refusal or _evidence(row) for refusal, row in zip(refusals, rows, strict=True)],
            dtype=pl.String,
        ),
    ).select(*TOPICS_SCHEMA)


def _searchability(row: dict, of_entry: dict[str, tuple[float, float]]) -> float:
    """People search for few words about things they know; that somebody did is the best proof."""
    known = _mean_of_entries(row["entries"], of_entry, 0)
    demand = min(1.0, 0.4 * float(np.log10(1.0 + row["demand"])))
    too_long = 0.3 * max(0, len(tokens(row["title"])) - _EASY_WORDS)
    return _scale(_BASE + 0.25 * (known - 3.0) + demand - too_long)


def _coherence(row: dict, of_entry: dict[str, tuple[float, float]]) -> float:
    """One intent: attributes that belong together, on products that carry them and look alike."""
    known = _mean_of_entries(row["entries"], of_entry, 1)
    together = 0.5 * float(np.clip(np.log2(max(row["lift"], 1e-9)), -2.0, 1.0))
    doubtful = 2.0 * max(0.0, 0.9 - row["precision"])
    alike = 0.5 * (row["focus"] or 0.0)
    return _scale(_BASE + 0.25 * (known - 3.0) + together - doubtful + alike)


def _mean_of_entries(
    entries: Sequence[str], of_entry: dict[str, tuple[float, float]], which: int
) -> float:
    scores = [of_entry[entry][which] for entry in entries if entry in of_entry]
    return sum(scores) / len(scores) if scores else 3.0


def _scale(score: float) -> float:
    return round(min(5.0, max(1.0, score)), 3)


def _evidence(row: dict) -> str:
    searched = f"searched {row['demand']:.0f} times, " if row["demand"] else ""
    return (
        f"{searched}{row['support']} products, lift {row['lift']:.2f}, "
        f"expected precision {row['precision']:.2f}"
    )


def _overlapping(sketches: Sequence[Sequence[int]], least: float) -> list[list[int]]:
    """For every topic the earlier ones whose product sets overlap by at least `least`.

    The Jaccard overlap is estimated on the smallest hashes of the union (bottom-k sketch), and
    is exact for sets of fewer than `SKETCH` products.
    """
    holders: dict[int, list[int]] = defaultdict(list)
    for topic, sketch in enumerate(sketches):
        # The smallest hashes are enough to meet: sets that overlap by 0.8 share most of them.
        for product in sketch[: SKETCH // 2]:
            holders[product].append(topic)
    sets = [frozenset(sketch) for sketch in sketches]
    found: list[list[int]] = []
    for topic, sketch in enumerate(sketches):
        meets: dict[int, int] = defaultdict(int)
        for product in sketch[: SKETCH // 2]:
            for other in holders[product]:
                if other < topic:
                    meets[other] += 1
        found.append(
            [
                other
                for other in sorted(meets)
                if 2 * meets[other] >= least * min(len(sketch), SKETCH // 2)
                and _jaccard(sets[topic], sets[other]) >= least
            ]
        )
    return found


def _jaccard(a: frozenset[int], b: frozenset[int]) -> float:
    complete = max(len(a), len(b)) < SKETCH
    smallest = sorted(a | b)[: None if complete else SKETCH]
    return sum(h in a and h in b for h in smallest) / len(smallest) if smallest else 0.0
