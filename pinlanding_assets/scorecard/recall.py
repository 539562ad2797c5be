"""Does a product find its attributes, and a query of several attributes its products?

Protocol A of PinLanding 6.1: the whole vocabulary is ranked for a product, and the share of its
true attributes among the k best counts. Products are those that the encoder was not trained on; a
true attribute that the vocabulary lacks is missed. A product counts where it has what is shown: for
"image + text" it has both, and `.every_product` says what became of all of them, those without a
photo too. Beside it stand what costs nothing (how frequent an attribute is, chance, sentence
vectors of the text), and whether the text gives the answer away.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import polars as pl

from pinlanding_assets.encoder.calibration import Calibrator
from pinlanding_assets.encoder.retrieval import attribute_recall
from pinlanding_assets.encoder.targets import key_spans
from pinlanding_assets.scorecard.figures import Figure, frame, mean, share
from pinlanding_assets.topics.demand import QueryParser

KS = (1, 5, 10)
MAX_CHARS = 1_000  # of a product's text; more is terms of trade
QUERIES = 500  # most of one combination of keys
WIDESPREAD = 0.5  # share of products that have a key, for it to be asked for in composed queries
SHOWN = {
    "": ("both", ("image", "text")),
    ".image_only": ("image", ("image",)),
    ".text_only": ("text", ("text",)),
    ".every_product": ("both", ()),
}
"""Suffix of the figures -> what is shown of a product, and the sides that it must have."""


def retrieval_figures(
    held_out: pl.DataFrame,
    calibration: pl.DataFrame,
    entries: pl.DataFrame,
    aliases: pl.DataFrame,
    keys: pl.DataFrame,
    texts: Mapping[str, str],
    holds: pl.DataFrame | None,
    embed: Callable[[list[str]], np.ndarray],
    *,
    seed: int = 0,
) -> pl.DataFrame:
    """The figures `recall_at_*`, `composed.*` and `leak.*`; none without truth.

    Args:
        held_out: `dual_encoder.held_out`: product_id, modality, log_odds in the order of `entries`;
            no row of a side that the product lacks.
        calibration: `dual_encoder.calibration`.
        entries: `attribute_vocabulary.entries`.
        aliases: `attribute_vocabulary.aliases`.
        keys: `attribute_vocabulary.keys`; composed queries always name the product type's.
        texts: What is written about a product, by its id.
        holds: product_id, key, entry_id of what is true.
        embed: Texts to unit vectors, of a sentence model that has seen no product.
        seed: Of chance and of the choice of queries.
    """
    if holds is None or held_out.is_empty():
        return frame([Figure(f"recall_at_{k}{of}", None) for of in SHOWN for k in KS])
    ids = held_out["product_id"].unique().sort()
    ids = ids.filter(ids.is_in(holds["product_id"].unique().to_list()))
    true = holds.filter(pl.col("product_id").is_in(ids.to_list())).select("product_id", "entry_id")
    missing = true.filter(~pl.col("entry_id").is_in(entries["entry_id"].to_list()))
    columns = [*entries["entry_id"], *sorted(set(missing["entry_id"]))]
    truth = _matrix(ids, columns, true)
    scores, there = dict[str, np.ndarray](), dict[str, np.ndarray]()
    for suffix, (modality, sides) in SHOWN.items():
        has = np.ones(len(ids), dtype=bool)
        for side in sides:
            having = held_out.filter(modality=side)["product_id"]
            has &= ids.is_in(having.to_list()).to_numpy()
        odds = _scores(held_out, modality, ids.filter(pl.Series(has)), calibration, entries, keys)
        scores[suffix], there[suffix] = _padded(odds, len(columns)), has
    written = [texts.get(product, "") for product in ids]
    rng = np.random.default_rng(seed)
    peers = {
        "frequency": np.tile(entries["products"].to_numpy().astype(float), (len(ids), 1)),
        "random": rng.random((len(ids), entries.height)),
        "zero_shot_text": _zero_shot(written, entries["phrase"].to_list(), embed),
    }
    figures: list[Figure] = []
    for suffix, values in scores.items():
        figures += _recalls(values, truth[there[suffix]], suffix)
    for method, values in peers.items():
        figures += _recalls(_padded(values, len(columns)), truth, f".{method}")
    said = _said(written, entries, aliases, columns)
    figures += _leak(scores, there, truth, said)
    key_of = [column.partition("=")[0] for column in columns]
    product_type = dict(keys.select("role", "key").iter_rows()).get("product_type")
    if product_type is not None and product_type in key_of:
        for suffix, values in scores.items():
            asked = truth[there[suffix]]
            figures += _composed(values, asked, key_of, product_type, suffix, seed)
    return frame(figures)


def written(products: pl.DataFrame) -> dict[str, str]:
    """Product -> its title and description."""
    columns = pl.concat_str(
        pl.col("title").fill_null(""), pl.col("description").fill_null(""), separator=" "
    )
    return dict(products.select("product_id", columns.str.slice(0, MAX_CHARS)).iter_rows())


def _scores(
    held_out: pl.DataFrame,
    modality: str,
    ids: pl.Series,
    calibration: pl.DataFrame,
    entries: pl.DataFrame,
    keys: pl.DataFrame,
) -> np.ndarray:
    """Calibrated log-odds ``[n, e]``, as the assignment sees them."""
    rows = pl.DataFrame({"product_id": ids}).join(
        held_out.filter(modality=modality), on="product_id", how="left", maintain_order="left"
    )
    z = np.array(rows["log_odds"].to_list(), dtype=np.float64).reshape(len(ids), entries.height)
    by_key = entries.with_row_index("at").sort("key", "entry_id")
    at = by_key["at"].to_numpy()
    curve = Calibrator.of(by_key["entry_id"].to_list(), calibration, key_spans(by_key, keys))
    z[:, at] = curve.log_odds(z[:, at])
    return z


def _matrix(ids: pl.Series, columns: Sequence[str], pairs: pl.DataFrame) -> np.ndarray:
    """True where a product (row) has an entry (column); pairs of other entries are left out."""
    row_of = {product: row for row, product in enumerate(ids)}
    column_of = {entry: column for column, entry in enumerate(columns)}
    found = np.zeros((len(ids), len(columns)), dtype=bool)
    for product, entry in pairs.select("product_id", "entry_id").iter_rows():
        if product in row_of and entry in column_of:
            found[row_of[product], column_of[entry]] = True
    return found


def _padded(scores: np.ndarray, columns: int) -> np.ndarray:
    """Attributes outside the vocabulary are never found."""
    return np.pad(scores, ((0, 0), (0, columns - scores.shape[1])), constant_values=-np.inf)


def _recalls(scores: np.ndarray, truth: np.ndarray, suffix: str) -> Iterator[Figure]:
    found = attribute_recall(scores, truth, KS)
    n = int(truth.any(axis=1).sum())
    for k in KS:
        yield Figure(f"recall_at_{k}{suffix}", found.get(f"recall_at_{k}"), n=n)
        yield Figure(f"recall_at_{k}_macro{suffix}", found.get(f"recall_at_{k}_macro"), n=n)
    yield Figure(f"hit_at_1{suffix}", found.get("hit_at_1"), n=n)


def _zero_shot(
    texts: Sequence[str], phrases: Sequence[str], embed: Callable[[list[str]], np.ndarray]
) -> np.ndarray:
    return np.asarray(embed(list(texts))) @ np.asarray(embed(list(phrases))).T


def _said(
    texts: Sequence[str], entries: pl.DataFrame, aliases: pl.DataFrame, columns: Sequence[str]
) -> np.ndarray:
    """True where the words of a product's text name an entry."""
    parser = QueryParser.of(entries, aliases)
    column_of = {entry: column for column, entry in enumerate(columns)}
    said = np.zeros((len(texts), len(columns)), dtype=bool)
    for row, text in enumerate(texts):
        said[row, [column_of[entry] for entry in parser.parse(text)[0]]] = True
    return said


def _leak(
    scores: Mapping[str, np.ndarray],
    there: Mapping[str, np.ndarray],
    truth: np.ndarray,
    said: np.ndarray,
) -> Iterator[Figure]:
    """How much of the truth the text spells out, and the recall of what it does not."""
    yield share("leak.named_in_text", int((truth & said).sum()), int(truth.sum()))
    for suffix, values in scores.items():
        unsaid = (truth & ~said)[there[suffix]]
        top = np.zeros_like(unsaid)
        best = np.argsort(-values, axis=1, kind="stable")[:, : KS[-1]]
        np.put_along_axis(top, best, True, axis=1)
        yield share(
            f"leak.recall_at_10_unnamed{suffix}", int((top & unsaid).sum()), int(unsaid.sum())
        )


def _composed(
    scores: np.ndarray,
    truth: np.ndarray,
    keys: Sequence[str],
    product_type: str,
    suffix: str,
    seed: int,
) -> Iterator[Figure]:
    """Queries of the product type and two more attributes: is the best product right (Hit@1), is
    one of the ten best (Hit@10)? Products are ranked by the sum of log-probabilities."""
    if not len(truth):
        return
    key_of = np.array(keys)
    common = [
        key
        for key in sorted(set(keys) - {product_type})
        if truth[:, key_of == key].any(axis=1).mean() >= WIDESPREAD
    ]
    log_p = -np.logaddexp(0.0, -scores)
    for pair in combinations(common, 2):
        wanted = np.isin(key_of, (product_type, *pair))
        asked = truth & wanted
        queries = np.unique(asked[asked.sum(axis=1) == 3], axis=0)
        chosen = np.random.default_rng(seed).permutation(len(queries))[:QUERIES]
        first, ten = [], []
        for query in queries[np.sort(chosen)]:
            right = np.asarray(truth[:, query].all(axis=1))
            best = np.argsort(-log_p[:, query].sum(axis=1), kind="stable")[:10]
            first.append(bool(right[best[0]]))
            ten.append(bool(right[best].any()))
        name = "+".join((product_type, *pair))
        yield mean(f"composed.hit_at_1.{name}{suffix}", first, seed)
        yield mean(f"composed.hit_at_10.{name}{suffix}", ten, seed)
