"""What people said of collections: whether a product belongs under a title."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

CHOICES = ("yes", "no", "unsure")
RATINGS_SCHEMA = {
    **dict.fromkeys(("topic_id", "title", "product_id", "rater", "choice", "file"), pl.String),
    "row": pl.Int64,
}
REJECTS_SCHEMA = {"file": pl.String, "row": pl.Int64, "reason": pl.String}
MAX_CHARS = {"topic_id": 64, "title": 200, "product_id": 200, "rater": 64}


class Ratings(dg.ConfigurableResource):
    """A folder of JSONL files, a day each: an answer a line, as `operations.sheet` writes them."""

    root: str

    def read(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """All answers, a rater's first one on each product and topic, and the lines that hold none
        -> (ratings, rejects)."""
        rows, rejects = [], []
        for path in sorted(Path(self.root).glob("*.jsonl")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            for number, line in enumerate(lines, 1):
                try:
                    rows.append((*_answer(line), path.name, number))
                except ValueError as error:
                    rejects.append((path.name, number, str(error)))
        ratings = pl.DataFrame(rows, schema=RATINGS_SCHEMA, orient="row")
        ratings = ratings.unique(
            ["topic_id", "product_id", "rater"], keep="first", maintain_order=True
        )
        return ratings, pl.DataFrame(rejects, schema=REJECTS_SCHEMA, orient="row")


def _answer(line: str) -> tuple[str, ...]:
    """The fields of a line.

    Raises:
        ValueError: what is wrong with it.
    """
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(record, dict):
        raise ValueError("not an object")
    for field, longest in MAX_CHARS.items():
        value = record.get(field)
        if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
            raise ValueError(f"{field}: not 1 to {longest} printable characters")
    if record.get("choice") not in CHOICES:
        raise ValueError(f"choice: not one of {', '.join(CHOICES)}")
    return tuple(record[field] for field in (*MAX_CHARS, "choice"))
