"""Which attributes a product gets: what was stated, what the encoder sees, and both together.

The rule, in log-odds:

* The catalog's word stands: where it states a key of a product, nobody else speaks for that key,
  even where the vocabulary has no entry for what it says.
* Else the calibrated log-odds of what the product shows (its readings) is the start.
* A source that states an entry adds its trust, ``logit(trust)``; a title's was learned, entry by
  entry. For a single-valued key it takes the same from the key's other values: stating one value
  denies the others. The VLM sees what the encoder has seen: where that looked, it adds ``BESIDE``
  of it. How far the encoder and a title, whose words it has read, count together was learned
  (`hearing.py`).
* Of a single-valued key the entry with the highest sum wins. A winner that the VLM or a title that
  is right nine times of ten states is assigned when its probability reaches ``ACCEPT``; one that
  only the encoder sees when it reaches its calibrated threshold. Otherwise the key stays empty:
  sources that contradict each other and an encoder that cannot settle it mean abstention.
* Of a multi-valued key every entry is judged by itself in the same way.
* What the catalog itself states is kept whatever the encoder thinks, but at the probability that
  all of them together give it: a seller's slip stays his attribute, and heads no page.
* An entry that the encoder was never calibrated on counts only when stated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pinlanding_assets.encoder.calibration import BOUND, Calibrator
from pinlanding_assets.encoder.hearing import BESIDE, USUAL
from pinlanding_assets.encoder.reader import unpacked
from pinlanding_assets.encoder.targets import key_spans

TRUST: dict[str, float] = {"catalog": 0.99, "vlm": 0.92, "title": 0.92}
"""How often a statement of a source is right, before the encoder is asked; a title's where nothing
was learned of the entry."""
ACCEPT = 0.5
"""Probability from which a statement of a title or of the VLM is accepted: rather true than not."""
SURE = float(np.log(9.0))
"""Log-odds of a title's trust from which it is a witness of its own: right nine times of ten."""
CELLS = 16_000_000
"""Product-entry pairs scored at once (float32: 64 MB a matrix)."""

ASSIGNMENT_SCHEMA = {
    "product_id": pl.String,
    "entry_id": pl.String,
    "key": pl.String,
    "value": pl.String,
    "p": pl.Float64,
    "source": pl.String,
}


@dataclass(frozen=True)
class Readings:
    """What products show, before calibration.

    Attributes:
        steps: ``[n, r]`` int8, packed log-odds (`reader.packed`).
        entry_ids: The columns.
        seen: ``[n]`` bool; a product that was not encoded has only what is stated.
    """

    steps: np.ndarray
    entry_ids: Sequence[str]
    seen: np.ndarray

    @classmethod
    def of(cls, column: pl.Series, entry_ids: Sequence[str]) -> "Readings":
        """From the ``readings`` of products, null where there are none."""
        seen = column.is_not_null().to_numpy()
        nothing = bytes(len(entry_ids))
        joined = b"".join(found if found is not None else nothing for found in column)
        steps = np.frombuffer(joined, np.int8).reshape(len(column), len(entry_ids))
        return cls(steps, entry_ids, seen)


def assign(
    product_ids: pl.Series,
    readings: Readings,
    entries: pl.DataFrame,
    *,
    calibration: pl.DataFrame,
    keys: pl.DataFrame,
    statements: pl.DataFrame,
    title_trust: pl.DataFrame | None = None,
    trust: Mapping[str, float] = TRUST,
    cells: int = CELLS,
) -> pl.DataFrame:
    """The ``assignments`` table.

    Args:
        product_ids: ``[n]``, one a row of the readings.
        readings: What the products show.
        entries: ``entry_id, key, value``.
        calibration: The ``calibration`` table.
        keys: The ``keys`` table.
        statements: ``product_id, source, key, entry_id``: what catalog, title and VLM stated, with
            ``entry_id`` null where the vocabulary has none. Statements about other products or
            other entries are ignored.
        title_trust: ``entry_id, trust, slope, share, shift`` (`hearing.hear`): how often a title
            that names the entry is right, and how far it counts beside the encoder.
        trust: Precision of each source, in (0.5, 1).
        cells: Product-entry pairs in memory at once; does not change the result.

    Raises:
        ValueError: lengths that do not fit, a product twice, or a source without a trust.
    """
    if len(product_ids) != len(readings.steps):
        raise ValueError(f"{len(product_ids)} products for {len(readings.steps)} readings")
    if product_ids.is_duplicated().any():
        twice = product_ids.filter(product_ids.is_duplicated())
        raise ValueError(f"product {twice[0]!r} is listed twice")
    strangers = set(statements["source"].unique()) - set(trust)
    if strangers:
        raise ValueError(f"source {sorted(strangers)[0]!r} has no trust")
    if entries.is_empty() or len(product_ids) == 0:
        return pl.DataFrame(schema=ASSIGNMENT_SCHEMA)
    order = entries.sort("key", "entry_id")
    curve = Calibrator.of(order["entry_id"].to_list(), calibration, key_spans(order, keys))
    scorer = _Scorer(curve, readings, order["entry_id"].to_list(), title_trust)
    told = _statements(product_ids, statements, order, trust, title_trust)
    closed = _closed(product_ids, statements, curve)
    step = max(1, cells // entries.height)
    parts = []
    for start in range(0, len(product_ids), step):
        rows = slice(start, start + step)
        stated = told.filter(pl.col("row").is_between(start, start + step - 1))
        chosen, p = scorer.decide(rows, stated, closed[rows])
        row, column = np.nonzero(chosen)
        parts.append(
            pl.DataFrame(
                {
                    "row": (row + start).astype(np.uint32),
                    "column": column.astype(np.uint32),
                    "p": p[row, column].astype(np.float64),
                }
            )
        )
    by_others = pl.col("source") != "catalog"  # sorts behind the catalog's own word
    strongest = told.sort(
        "row",
        "column",
        by_others,
        "llr",
        "source",
        descending=[False, False, False, True, False],
    ).unique(["row", "column"], keep="first", maintain_order=True)
    names = pl.DataFrame({"product_id": product_ids}).with_row_index("row")
    return (
        pl.concat(parts)
        .join(strongest.select("row", "column", "source"), on=["row", "column"], how="left")
        .join(names, on="row")
        .join(order.select("entry_id", "key", "value").with_row_index("column"), on="column")
        .with_columns(pl.col("source").fill_null("encoder"))
        .select(list(ASSIGNMENT_SCHEMA))
        .cast(ASSIGNMENT_SCHEMA)  # type: ignore[arg-type]
        .sort("product_id", "entry_id")
    )


class _Scorer:
    """The readings and the vocabulary side of the decision, prepared once."""

    def __init__(
        self,
        curve: Calibrator,
        readings: Readings,
        entry_ids: list[str],
        title_trust: pl.DataFrame | None,
    ) -> None:
        column = {entry_id: at for at, entry_id in enumerate(readings.entry_ids)}
        self.readings = readings
        self.column = np.array([column.get(entry_id, -1) for entry_id in entry_ids])
        self.curve = curve
        self.known = curve.known & (self.column >= 0)
        self.threshold = curve.threshold.astype(np.float32)
        self.heard = _heard(title_trust, entry_ids)

    def decide(
        self, rows: slice, stated: pl.DataFrame, closed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which entries ``[n, e]`` a block of products gets, and their probabilities."""
        start = rows.start
        steps = self.readings.steps[rows]
        z = np.zeros((len(steps), len(self.column)), dtype=np.float32)
        z[:, self.known] = unpacked(steps[:, self.column[self.known]])
        z = np.clip(self.curve.log_odds(z), -BOUND, BOUND)
        row = stated["row"].to_numpy().astype(np.int64) - start
        column = stated["column"].to_numpy().astype(np.int64)
        source = stated["source"].to_numpy()
        from_catalog = source == "catalog"
        titled = source == "title"
        # A title of words that are often wrong is no witness: the encoder's threshold decides.
        doubted = titled & (stated["llr"].to_numpy() < SURE)
        blind = ~self.readings.seen[rows, None] | ~self.known
        # An entry that the encoder never dares to say is left to those who do.
        left = titled & (self.threshold[column] > 1)
        blind[row[left], column[left]] = True
        z[blind] = 0.0  # only statements count
        alone = from_catalog | blind[row, column]
        beside = titled & ~alone
        llr = stated["llr"].to_numpy() * np.where(alone, 1.0, BESIDE)
        slope, share, shift = self.heard[:, column]
        llr = np.where(beside, share * stated["llr"].to_numpy() + shift, llr).astype(np.float32)
        denied = np.maximum(llr, 0.0)
        by_catalog = np.zeros(z.shape, dtype=bool)
        by_catalog[row[from_catalog], column[from_catalog]] = True
        claimed = np.zeros(z.shape, dtype=bool)
        claimed[row, column] = True
        for span in self.curve.spans:
            inside = (column >= span.start) & (column < span.stop)
            read = inside & beside
            if span.multi:
                z[row[read], column[read]] *= slope[read]
            else:
                z[row[read], span.start : span.stop] *= slope[read, None]
                against = np.zeros(len(z), dtype=np.float32)
                np.add.at(against, row[inside], denied[inside])
                z[:, span.start : span.stop] -= against[:, None]
                np.add.at(z, (row[inside], column[inside]), denied[inside])
            np.add.at(z, (row[inside], column[inside]), llr[inside])
        p = 1.0 / (1.0 + np.exp(-z))
        by_others = np.zeros(z.shape, dtype=bool)
        by_others[row[~doubted], column[~doubted]] = True
        needed = np.where(by_others, np.float32(ACCEPT), self.threshold)
        chosen = (p >= needed) & (claimed | ~blind)
        for number, span in enumerate(self.curve.spans):
            block = slice(span.start, span.stop)
            if not span.multi:
                winner = z[:, block].argmax(axis=1)
                only = np.zeros((len(z), span.stop - span.start), dtype=bool)
                only[np.arange(len(z)), winner] = True
                chosen[:, block] &= only
            stands = closed[:, number, None]
            chosen[:, block] = np.where(stands, by_catalog[:, block], chosen[:, block])
        return chosen, p


def _heard(title_trust: pl.DataFrame | None, entry_ids: list[str]) -> np.ndarray:
    """Slope, share and shift ``[3, e]``; as usual where nothing was learned."""
    heard = np.repeat(np.array(USUAL)[:, None], len(entry_ids), axis=1)
    if title_trust is not None:
        asked = pl.DataFrame({"entry_id": entry_ids}, schema={"entry_id": pl.String})
        found = asked.join(title_trust, on="entry_id", how="left", maintain_order="left")
        learnt = found.select("slope", "share", "shift").to_numpy().T
        heard = np.where(np.isnan(learnt), heard, learnt)
    return heard


def _closed(product_ids: pl.Series, statements: pl.DataFrame, curve: Calibrator) -> np.ndarray:
    """Keys ``[n, keys]`` that the catalog states of a product."""
    closed = np.zeros((len(product_ids), len(curve.spans)), dtype=bool)
    rows = pl.DataFrame({"product_id": product_ids}).with_row_index("row")
    number = pl.DataFrame(
        {"key": [span.key for span in curve.spans], "number": range(len(curve.spans))},
        schema={"key": pl.String, "number": pl.Int64},
    )
    found = statements.filter(source="catalog").join(rows, on="product_id").join(number, on="key")
    closed[found["row"].to_numpy(), found["number"].to_numpy()] = True
    return closed


def _statements(
    product_ids: pl.Series,
    statements: pl.DataFrame,
    table: pl.DataFrame,
    trust: Mapping[str, float],
    title_trust: pl.DataFrame | None,
) -> pl.DataFrame:
    """``row, column, source, llr``, each statement of a source once, in stable order; without those
    that were learned to be rather false than true."""
    rows = pl.DataFrame({"product_id": product_ids}).with_row_index("row")
    of_title = pl.DataFrame(schema={"entry_id": pl.String, "trust": pl.Float64})
    if title_trust is not None:
        of_title = title_trust.select("entry_id", "trust")
    usual = pl.col("source").replace_strict(dict(trust), return_dtype=pl.Float64)
    learnt = pl.when(pl.col("source") == "title").then(pl.col("trust")).fill_null(usual)
    return (
        statements.select("product_id", "entry_id", "source")
        .drop_nulls("entry_id")
        .unique()
        .join(rows, on="product_id")
        .join(table.select("entry_id").with_row_index("column"), on="entry_id")
        .join(of_title, on="entry_id", how="left")
        .with_columns(learnt.clip(upper_bound=0.999).alias("sure"))
        .filter(pl.col("sure") > 0.5)
        .select(
            "row", "column", "source", (pl.col("sure") / (1 - pl.col("sure"))).log().alias("llr")
        )
        .sort("row", "column", "source")
    )
