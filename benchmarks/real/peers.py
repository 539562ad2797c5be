"""What thirty lines with a kept library do on the same split: the platform's peers."""

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.real.sets import RealSet
from pinlanding_assets.attributes.extraction import Keywords
from pinlanding_assets.attributes.normalisation import words
from pinlanding_assets.encoder.palette import palette
from pinlanding_assets.encoder.targets import KeySpan
from resources.encoders import EncoderBackbone

NEIGHBOURS = 10


def peers(
    real: RealSet,
    shown: np.ndarray,
    truth: np.ndarray,
    entry_ids: list[str],
    spans: list[KeySpan],
    backbone: EncoderBackbone,
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Name, scores ``[n, e]`` and CPU seconds of each peer that the set has the input for."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import StandardScaler

    texts = [f"{item.title}. {item.description}".strip(" .") for item in real.items]
    if any(texts):
        start = time.process_time()
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        vectorizer.fit([text for text, known in zip(texts, shown, strict=True) if known])
        scores = _logistic(vectorizer.transform(texts), shown, truth, spans, c=10.0)
        yield "TF-IDF + LR", scores, time.process_time() - start
        yield "keywords", _keywords(texts, entry_ids), 0.0
    if all(item.image for item in real.items):
        start = time.process_time()
        images = [real.image(str(item.image)) for item in real.items]
        features = backbone.image_features(images)
        spent = time.process_time() - start
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        scaled = StandardScaler().fit(unit[shown]).transform(unit)
        yield "linear probe", _logistic(scaled, shown, truth, spans, c=0.01), spent
        yield "kNN", _neighbours(unit, shown, truth), spent
        start = time.process_time()
        colors = np.stack([palette(image) for image in images])
        scores = _logistic(colors, shown, truth, spans, c=10.0)
        yield "histogram + LR", scores, time.process_time() - start


def _logistic(features, shown: np.ndarray, truth: np.ndarray, spans: list[KeySpan], *, c: float):
    """Logistic regression: of a single-valued key among its values and none, else by entry."""
    from sklearn.linear_model import LogisticRegression

    scores = np.full(truth.shape, -np.inf)
    for span in spans:
        block = slice(span.start, span.stop)
        known = truth[shown, block]
        if span.multi:
            for column in range(span.start, span.stop):
                if 0 < truth[shown, column].sum() < shown.sum():
                    fitted = LogisticRegression(C=c).fit(features[shown], truth[shown, column])
                    scores[:, column] = fitted.predict_proba(features)[:, 1]
            continue
        value = np.where(known.any(axis=1), known.argmax(axis=1), -1)
        if len(set(value)) > 1:
            fitted = LogisticRegression(C=c).fit(features[shown], value)
            p = fitted.predict_proba(features)
            for at, which in enumerate(fitted.classes_):
                if which >= 0:
                    scores[:, span.start + which] = p[:, at]
    return scores


def _neighbours(unit: np.ndarray, shown: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Share of the nearest labelled items that have the entry."""
    near = unit @ unit[shown].T
    nearest = np.argsort(-near, axis=1)[:, :NEIGHBOURS]
    return truth[shown][nearest].mean(axis=1)


def _keywords(texts: list[str], entry_ids: list[str]) -> np.ndarray:
    """1 where the text names the value."""
    known = Keywords()
    for entry in entry_ids:
        key, _, value = entry.partition("=")
        known.add(key, value, value)
    column = {entry: at for at, entry in enumerate(entry_ids)}
    scores = np.full((len(texts), len(entry_ids)), -np.inf)
    for row, text in enumerate(texts):
        for _, _, folded in known.scan(words(text)[:400]):
            for pair in known.meanings[folded]:
                scores[row, column["=".join(pair)]] = 1.0
    return scores
