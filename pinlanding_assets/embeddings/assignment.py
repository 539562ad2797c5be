"""Which attributes a product gets: what was stated, what the encoder sees, and both together.

The rule, in log-odds:

* The encoder's calibrated log-odds of an entry is the start.
* A source that states an entry adds its trust, ``logit(trust)``. For a single-valued key it takes
  the same from the key's other values: stating one value denies the others. Titles and the VLM
  read what the encoder has seen, so where it looked they add ``BESIDE`` of it.
* Of a single-valued key the entry with the highest sum wins. A stated winner is assigned when its
  probability reaches ``ACCEPT``; a winner that only the encoder sees when it reaches its calibrated
  threshold. Otherwise the key stays empty: sources that contradict each other and an encoder that
  cannot settle it mean abstention.
* Of a multi-valued key every entry is judged by itself in the same way.
* What the catalog itself states is kept whatever the encoder thinks, but at the probability that
  all of them together give it: a seller's slip stays his attribute, and heads no page. Of several
  catalog values of a single-valued key the one with the highest sum is kept.
* An entry that the encoder was never calibrated on counts only when stated.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from pinlanding_assets.encoder.calibration import Calibrator
from pinlanding_assets.encoder.targets import key_spans

TRUST: dict[str, float] = {"catalog": 0.99, "vlm": 0.92, "title": 0.92}
"""How often a statement of a source is right, before the encoder is asked."""
BESIDE = 0.25
"""What a title or the VLM still adds where the encoder has seen the same words and photo: a title
that errs has misled it, too. Chosen on a world of the sandbox (docs/benchmarks.md)."""
ACCEPT = 0.5
"""Probability from which a statement of a title or of the VLM is accepted: rather true than not."""
BOUND = 6.0
"""Largest log-odds the encoder may claim: no picture is surer than 0.9975."""
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


def assign(
    product_ids: pl.Series,
    vectors: np.ndarray,
    entries: pl.DataFrame,
    entry_vectors: np.ndarray,
    *,
    scale: float,
    bias: float,
    calibration: pl.DataFrame,
    keys: pl.DataFrame,
    observed: pl.DataFrame,
    trust: Mapping[str, float] = TRUST,
    cells: int = CELLS,
) -> pl.DataFrame:
    """The ``assignments`` table.

    Args:
        product_ids: ``[n]``, one a vector.
        vectors: Unit product vectors ``[n, d]``.
        entries: ``entry_id, key, value``, one row an entry vector.
        entry_vectors: Unit entry vectors ``[e, d]``, in the order of ``entries``.
        scale: Slope of the encoder's log-odds.
        bias: Log-odds at cosine zero.
        calibration: The ``calibration`` table.
        keys: The ``keys`` table.
        observed: ``product_id, entry_id, source``: what catalog, title and VLM stated. Statements
            about other products or about entries outside the vocabulary are ignored. A product
            without a vector is handed in with a zero row: then only statements count.
        trust: Precision of each source, in (0.5, 1).
        cells: Product-entry pairs in memory at once; does not change the result.

    Raises:
        ValueError: lengths that do not fit, a product twice, or a source without a trust.
    """
    if len(product_ids) != len(vectors) or entries.height != len(entry_vectors):
        raise ValueError(
            f"{len(product_ids)} products for {len(vectors)} vectors, "
            f"{entries.height} entries for {len(entry_vectors)} vectors"
        )
    if product_ids.is_duplicated().any():
        twice = product_ids.filter(product_ids.is_duplicated())
        raise ValueError(f"product {twice[0]!r} is listed twice")
    strangers = set(observed["source"].unique()) - set(trust)
    if strangers:
        raise ValueError(f"source {sorted(strangers)[0]!r} has no trust")
    if entries.is_empty() or len(product_ids) == 0:
        return pl.DataFrame(schema=ASSIGNMENT_SCHEMA)
    order = entries.with_row_index("at").sort("key", "entry_id")
    curve = Calibrator.of(order["entry_id"].to_list(), calibration, key_spans(order, keys))
    scorer = _Scorer(curve, entry_vectors[order["at"].to_numpy()], scale, bias)
    statements = _statements(product_ids, observed, order, trust)
    step = max(1, cells // entries.height)
    parts = []
    for start in range(0, len(product_ids), step):
        rows = slice(start, start + step)
        stated = statements.filter(pl.col("row").is_between(start, start + step - 1))
        chosen, p = scorer.decide(vectors[rows], stated, start)
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
    strongest = statements.sort(
        "row", "column", "llr", "source", descending=[False, False, True, False]
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
    """The vocabulary side of the decision, prepared once."""

    def __init__(self, curve: Calibrator, vectors: np.ndarray, scale: float, bias: float) -> None:
        self.curve, self.vectors = curve, vectors.astype(np.float32)
        self.scale, self.bias = scale, bias
        self.threshold = curve.threshold.astype(np.float32)

    def decide(
        self, vectors: np.ndarray, stated: pl.DataFrame, start: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which entries ``[n, e]`` a block of products gets, and their probabilities."""
        cosines = vectors.astype(np.float32) @ self.vectors.T
        z = self.curve.log_odds(self.scale * cosines + self.bias)
        np.clip(z, -BOUND, BOUND, out=z)
        unseen = np.asarray(~vectors.any(axis=1))
        blind = unseen[:, None] | ~self.curve.known
        z[blind] = 0.0  # only statements count
        row = stated["row"].to_numpy().astype(np.int64) - start
        column = stated["column"].to_numpy().astype(np.int64)
        from_catalog = stated["source"].to_numpy() == "catalog"
        alone = from_catalog | blind[row, column]
        llr = (stated["llr"].to_numpy() * np.where(alone, 1.0, BESIDE)).astype(np.float32)
        by_catalog = np.zeros(z.shape, dtype=bool)
        by_catalog[row[from_catalog], column[from_catalog]] = True
        claimed = np.zeros(z.shape, dtype=bool)
        claimed[row, column] = True
        for span in self.curve.spans:
            inside = (column >= span.start) & (column < span.stop)
            if not span.multi:
                against = np.zeros(len(z), dtype=np.float32)
                np.add.at(against, row[inside], llr[inside])
                z[:, span.start : span.stop] -= against[:, None]
            np.add.at(z, (row[inside], column[inside]), llr[inside] * (1 if span.multi else 2))
        p = 1.0 / (1.0 + np.exp(-z))
        needed = np.where(claimed, np.float32(ACCEPT), self.threshold)
        chosen = (p >= needed) & (claimed | ~blind)
        for span in self.curve.spans:
            if span.multi:
                chosen[:, span.start : span.stop] |= by_catalog[:, span.start : span.stop]
                continue
            block = slice(span.start, span.stop)
            # Catalog values come first, then the highest sum; ties go to the first entry.
            rank = z[:, block] + 1e3 * by_catalog[:, block]
            winner = rank.argmax(axis=1)
            only = np.zeros((len(z), span.stop - span.start), dtype=bool)
            only[np.arange(len(z)), winner] = True
            chosen[:, block] = (chosen[:, block] | by_catalog[:, block]) & only
        return chosen, p


def _statements(
    product_ids: pl.Series,
    observed: pl.DataFrame,
    table: pl.DataFrame,
    trust: Mapping[str, float],
) -> pl.DataFrame:
    """``row, column, source, llr``, each statement of a source once, in stable order."""
    llr = {source: float(np.log(t / (1 - t))) for source, t in trust.items()}
    rows = pl.DataFrame({"product_id": product_ids}).with_row_index("row")
    return (
        observed.select("product_id", "entry_id", "source")
        .unique()
        .join(rows, on="product_id")
        .join(table.select("entry_id").with_row_index("column"), on="entry_id")
        .select(
            "row",
            "column",
            "source",
            pl.col("source").replace_strict(llr, return_dtype=pl.Float64).alias("llr"),
        )
        .sort("row", "column", "source")
    )
