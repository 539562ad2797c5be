"""What the platform makes of a set of half-hidden labels, stage by stage, without Dagster."""

import time
from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.real.pages import JudgedPages, judged_pages
from benchmarks.real.sets import RealSet
from pinlanding_assets.attributes.extraction import clean_pair, from_catalog, from_text
from pinlanding_assets.attributes.labels import resolve_labels
from pinlanding_assets.attributes.statements import resolver
from pinlanding_assets.attributes.titles import read_titles, trusted_words
from pinlanding_assets.attributes.vocabulary import build_vocabulary
from pinlanding_assets.embeddings.assignment import Readings, assign
from pinlanding_assets.embeddings.encode import encode_products
from pinlanding_assets.encoder.calibration import Calibrator
from pinlanding_assets.encoder.reader import unpacked
from pinlanding_assets.encoder.targets import KeySpan, key_spans
from pinlanding_assets.encoder.training import train
from resources.encoders import EncoderBackbone
from resources.language import SentenceEncoder


@dataclass(frozen=True)
class Outcome:
    """What was stated of every item.

    Attributes:
        entry_ids: Columns.
        spans: Columns of each key.
        truth: ``[n, e]`` bool, what people say, hidden or not.
        scores: ``[n, e]`` probabilities of what the items show.
        given: ``[n, e]`` probabilities of what is stated, 0 elsewhere.
        contradictions: Statements of others on keys that the catalog states of the item.
        cpu_seconds: All stages of the attributes together.
        pages: What topics and pages come of it.
    """

    entry_ids: list[str]
    spans: list[KeySpan]
    truth: np.ndarray
    scores: np.ndarray
    given: np.ndarray
    contradictions: int
    cpu_seconds: float
    pages: JudgedPages


def run(real: RealSet, shown: np.ndarray, backbone: EncoderBackbone) -> Outcome:
    """The attribute stages on a set of which the ``shown`` items keep their labels."""
    start = time.process_time()
    products = real.products(shown)
    mentions = pl.concat([from_catalog(products), from_text(products, {})])
    vocabulary = build_vocabulary(
        mentions,
        products=products.height,
        embed=SentenceEncoder().encode,
        product_type=real.type_key,
    )
    entries, aliases, keys = vocabulary.entries, vocabulary.aliases, vocabulary.keys
    words = trusted_words(products, mentions, entries, aliases)
    said = pl.concat([mentions, read_titles(products, words)])
    statements = resolver(aliases, entries)(said)
    trained = train(
        backbone,
        products,
        resolve_labels(said, aliases, keys),
        entries,
        keys,
        statements=statements,
        load_image=real.image,
    )
    encoded = encode_products(trained.model, products, real.image).embeddings
    column = products.select("product_id").join(
        encoded, on="product_id", how="left", maintain_order="left"
    )["readings"]
    names = trained.model.entry_ids
    readings = Readings.of(column, names)
    found = assign(
        products["product_id"],
        readings,
        entries,
        calibration=trained.calibration,
        keys=keys,
        statements=statements,
        title_trust=trained.title_trust,
    )
    seconds = time.process_time() - start
    spans = key_spans(entries.sort("key", "entry_id"), keys)
    curve = Calibrator.of(names, trained.calibration, spans)
    given = np.zeros(readings.steps.shape)
    row_of = {name: row for row, name in enumerate(products["product_id"])}
    column_of = {name: at for at, name in enumerate(names)}
    for product, entry, p in found.select("product_id", "entry_id", "p").iter_rows():
        given[row_of[product], column_of[entry]] = p
    stated = statements.filter(source="catalog").select("product_id", "key").unique()
    others = found.filter(pl.col("source") != "catalog")
    truth = _truth(real, aliases, column_of)
    at, which = truth.nonzero()
    true = pl.DataFrame(
        {
            "product_id": products["product_id"].gather(at),
            "entry_id": pl.Series(names, dtype=pl.String).gather(which),
        }
    )
    pages = judged_pages(
        *(products, found, encoded, vocabulary, true),
        products.filter(pl.Series(shown)).select("product_id"),
    )
    return Outcome(
        names,
        spans,
        truth,
        curve.probabilities(unpacked(readings.steps)),
        given,
        others.join(stated, on=["product_id", "key"], how="semi").height,
        seconds,
        pages,
    )


def _truth(real: RealSet, aliases: pl.DataFrame, column_of: dict[str, int]) -> np.ndarray:
    entry_of = {
        (key, value): entry
        for key, value, entry in aliases.select("key", "raw_value", "entry_id").iter_rows()
    }
    truth = np.zeros((len(real.items), len(column_of)), dtype=bool)
    for row, item in enumerate(real.items):
        for key, values in item.labels.items():
            for value in values:
                pair = clean_pair(key, value)
                entry = entry_of.get(pair) if pair else None
                if entry in column_of:
                    truth[row, column_of[entry]] = True
    return truth
