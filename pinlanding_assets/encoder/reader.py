"""Which attributes a product shows: linear experts on its words, photo and colors, and the encoder.

The dual encoder has one space for everything; it ranks, clusters and searches well, and knows a
product it has never seen the words of. For a single key a linear model on the right features is
hard to beat (`benchmarks/real`): colors want the palette, keywords the words. So each key has an
expert on each kind of features, and hears them and the encoder as far as cross-fitting says: the
*blend*, weights from 0 up, fitted on products that none of them was trained on.

A reading is the blended log-odds of an entry, before calibration. A side that a product lacks
leaves its experts at their base rate.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pinlanding_assets.encoder.features import Sides
from pinlanding_assets.encoder.logistic import Matrix, compacted, fit_logistic, log_loss
from pinlanding_assets.encoder.targets import KeySpan, Targets
from pinlanding_assets.encoder.words import Words

RIDGE = {"words": 0.03, "photo": 0.01, "palette": 0.1}
"""Penalty of the experts, chosen on two splits of `magento_luma_men` (`benchmarks/real`)."""
COMPONENTS = 256
"""Directions of the photo's features that its expert looks at."""
MOST = 3_000
"""Labelled products that an expert is trained on; of more, a fixed and arbitrary choice."""
ENCODER = "encoder"
STEP = 1 / 8
"""Log-odds are kept in these steps, one byte an entry, up to 127 of them either way."""
BLEND_RIDGE = 1.0
"""Pull of the weights of a blend to their even share."""


@dataclass(frozen=True)
class Scaling:
    """Mean, spread and directions of features in training: rows come out at a length of about 1."""

    mean: np.ndarray
    spread: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, components: int | None = None) -> "Scaling":
        """From rows ``[n, d]`` of training; of many rows with the strongest directions alone."""
        unit = _unit(features)
        mean, spread = unit.mean(axis=0), unit.std(axis=0) + 1e-3
        directions = np.eye(0)
        if components is not None:
            scaled = (unit - mean) / spread
            _, _, rows = np.linalg.svd(scaled, full_matrices=False)
            directions = rows[:components].T
        return cls(mean, spread, directions)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Scaled rows."""
        scaled = (_unit(features) - self.mean) / self.spread / np.sqrt(features.shape[1])
        return scaled @ self.directions if self.directions.size else scaled


@dataclass(frozen=True)
class Lens:
    """How features are made of a product's sides; fitted on the products of training."""

    words: Words
    text: Scaling | None
    photo: Scaling | None

    @classmethod
    def of(cls, sides: Sides, rows: np.ndarray) -> "Lens":
        """From the products at ``rows``."""
        image, text, seen, read = _arrays(sides, rows)
        return cls(
            Words.of([sides.documents[row] for row in rows.tolist()]),
            Scaling.of(text[read]) if read.sum() > 1 else None,
            Scaling.of(image[seen], COMPONENTS) if seen.sum() > 1 else None,
        )

    def features(self, sides: Sides, rows: np.ndarray) -> dict[str, Matrix]:
        """``[n, *]`` by kind; zeros for a side that is not there."""
        from scipy import sparse

        image, text, seen, read = _arrays(sides, rows)
        found: dict[str, Matrix] = {}
        if self.text is not None:
            known = zip(rows.tolist(), read.tolist(), strict=True)
            documents = [sides.documents[row] if has else "" for row, has in known]
            meaning = self.text(text) * read[:, None]
            found["words"] = sparse.csr_array(
                sparse.hstack([self.words.matrix(documents), sparse.csr_array(meaning)])
            )
        if self.photo is not None:
            found["photo"] = self.photo(image) * seen[:, None]
            found["palette"] = sides.palette[rows] * seen[:, None]
        return found


@dataclass(frozen=True)
class Experts:
    """Coefficients ``[d, e]`` and intercepts ``[e]`` by kind of features."""

    lens: Lens
    weights: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @classmethod
    def fit(cls, sides: Sides, rows: np.ndarray, targets: Targets) -> "Experts":
        """Experts of all keys on the products at ``rows``."""
        lens = Lens.of(sides, rows)
        chosen = rows if len(rows) <= MOST else _sample(rows)
        positive, weight = targets.positive[chosen], targets.weight[chosen]
        weights = {}
        for kind, matrix in lens.features(sides, chosen).items():
            compact, lift = compacted(matrix)
            slopes = np.zeros((compact.shape[1], len(targets.entries)))
            own = np.zeros(len(targets.entries))
            for span in targets.spans:
                block = slice(span.start, span.stop)
                slopes[:, block], own[block] = fit_logistic(
                    compact,
                    positive[:, block],
                    weight[:, block],
                    ridge=RIDGE[kind],
                    exclusive=not span.multi,
                )
            weights[kind] = lift(slopes).astype(np.float32), own.astype(np.float32)
        return cls(lens, weights)

    def log_odds(self, sides: Sides, rows: np.ndarray) -> dict[str, np.ndarray]:
        """``[n, e]`` float32 by kind, of the products at ``rows``."""
        features = self.lens.features(sides, rows)
        return {
            kind: np.asarray(features[kind] @ slopes + own, np.float32)
            for kind, (slopes, own) in self.weights.items()
        }


@dataclass(frozen=True)
class Reader:
    """Experts, and what each key makes of them.

    Attributes:
        experts: Trained on all labelled products.
        blend: ``[kinds, e]`` by `kinds`: the weight of each expert, the same within a key.
        offset: ``[e]``.
        kinds: The order of the rows of `blend`; the last one is the encoder.
        known: Unit vectors ``[e, dim]`` of the entries, which the encoder compares products with.
    """

    experts: Experts
    blend: np.ndarray
    offset: np.ndarray
    kinds: tuple[str, ...]
    known: np.ndarray

    def readings(self, sides: Sides, encoder: np.ndarray) -> np.ndarray:
        """Blended log-odds ``[n, e]`` float32, rounded as they are kept.

        Args:
            sides: The products.
            encoder: The dual encoder's log-odds ``[n, e]`` of them.
        """
        rows = np.arange(len(encoder))
        return self.mixed(self.experts.log_odds(sides, rows) | {ENCODER: encoder})

    def mixed(self, log_odds: Mapping[str, np.ndarray]) -> np.ndarray:
        """Blended log-odds of the experts' ``[n, e]``."""
        return mix(log_odds, self.blend, self.offset, self.kinds)

    def state(self) -> dict[str, np.ndarray]:
        """All arrays by name, to be kept and to tell readers apart."""
        lens = self.experts.lens
        found = {"blend": self.blend, "offset": self.offset, "known": self.known}
        found["idf"] = lens.words.idf
        for side, scaling in (("text", lens.text), ("photo", lens.photo)):
            if scaling is not None:
                found |= {f"{side}.{name}": value for name, value in vars(scaling).items()}
        for kind, (slopes, own) in self.experts.weights.items():
            found |= {f"{kind}.slopes": slopes, f"{kind}.own": own}
        return {name: np.ascontiguousarray(value, np.float32) for name, value in found.items()}

    def fingerprint(self) -> bytes:
        """sha256 of everything that a reading depends on."""
        digest = hashlib.sha256(json.dumps([self.kinds, self.experts.lens.words.terms]).encode())
        for name, value in sorted(self.state().items()):
            digest.update(f"{name} {value.shape}".encode())
            digest.update(value.data)
        return digest.digest()

    def save(self, folder: Path) -> None:
        """Write ``reader.json`` (the words) and ``reader.safetensors``."""
        from safetensors.numpy import save_file

        told = {"kinds": self.kinds, "terms": self.experts.lens.words.terms}
        text = json.dumps(told, ensure_ascii=False, indent=0)
        (folder / "reader.json").write_text(text + "\n", encoding="utf-8")
        save_file(self.state(), folder / "reader.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Reader":
        """What ``save`` wrote."""
        from safetensors.numpy import load_file

        told = json.loads((folder / "reader.json").read_text(encoding="utf-8"))
        state = load_file(folder / "reader.safetensors")
        scaling = {
            side: Scaling(*(state[f"{side}.{part}"] for part in ("mean", "spread", "directions")))
            for side in ("text", "photo")
            if f"{side}.mean" in state
        }
        lens = Lens(
            Words(tuple(told["terms"]), state["idf"]), scaling.get("text"), scaling.get("photo")
        )
        weights = {
            kind: (state[f"{kind}.slopes"], state[f"{kind}.own"])
            for kind in RIDGE
            if f"{kind}.own" in state
        }
        kinds = tuple(told["kinds"])
        experts = Experts(lens, weights)
        return cls(experts, state["blend"], state["offset"], kinds, state["known"])


def mix(
    log_odds: Mapping[str, np.ndarray],
    blend: np.ndarray,
    offset: np.ndarray,
    kinds: Sequence[str],
) -> np.ndarray:
    """Blended log-odds ``[n, e]`` of the experts', rounded as they are kept."""
    total = offset + sum(blend[at] * log_odds[kind] for at, kind in enumerate(kinds))
    return unpacked(packed(total))


def fit_blend(
    log_odds: Mapping[str, np.ndarray],
    positive: np.ndarray,
    weight: np.ndarray,
    spans: Sequence[KeySpan],
    kinds: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``[kinds, e]``, one a key and kind, and offsets ``[e]`` from held-out log-odds.

    Args:
        log_odds: ``[n, e]`` by kind, of products that the experts were not trained on.
        positive: ``[n, e]``, 1 where the entry holds.
        weight: ``[n, e]``, how far that is known.
        spans: Columns of each key.
        kinds: Order of the rows.
    """
    blend = np.zeros((len(kinds), positive.shape[1]), dtype=np.float32)
    offset = np.zeros(positive.shape[1], dtype=np.float32)
    for span in spans:
        block = slice(span.start, span.stop)
        parts = np.stack([log_odds[kind][:, block] for kind in kinds]).astype(np.float64)
        own = _fit_blend(parts, positive[:, block], weight[:, block], exclusive=not span.multi)
        blend[:, block], offset[block] = own[0][:, None], own[1]
    return blend, offset


def _fit_blend(
    parts: np.ndarray, positive: np.ndarray, weight: np.ndarray, *, exclusive: bool
) -> tuple[np.ndarray, float]:
    """Weights ``[kinds]`` from 0 up and an offset of one key that minimize the held-out loss."""
    from scipy.optimize import minimize

    known = weight.max(axis=1) > 0
    parts, truth, trust = parts[:, known], positive[known], weight[known].astype(np.float64)
    even = 1.0 / len(parts)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        z = np.tensordot(x[:-1], parts, axes=1) + x[-1]
        fit, error = log_loss(z, truth, trust, exclusive=exclusive)
        pull = np.append(BLEND_RIDGE * (x[:-1] - even), 1e-2 * x[-1])
        gradient = np.append((parts * error).sum(axis=(1, 2)), error.sum()) + pull
        return fit + (pull[:-1] @ (x[:-1] - even) + pull[-1] * x[-1]) / 2, gradient

    # Where no product is known to have none, nothing says how far none is off: no offset.
    none = not exclusive or bool((truth.max(axis=1) == 0).any())
    bounds = [(0.0, 3.0)] * len(parts) + [(-5.0, 5.0) if none else (0.0, 0.0)]
    start = np.append(np.full(len(parts), even), 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:-1], float(found[-1])


def _sample(rows: np.ndarray) -> np.ndarray:
    return np.sort(np.random.default_rng(0).choice(rows, MOST, replace=False))


def packed(log_odds: np.ndarray) -> np.ndarray:
    """Log-odds as int8 steps of `STEP`."""
    return np.clip(np.rint(log_odds / STEP), -127, 127).astype(np.int8)


def unpacked(steps: np.ndarray) -> np.ndarray:
    """Log-odds float32 of `packed` ones."""
    return steps.astype(np.float32) * np.float32(STEP)


def _unit(features: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, 1e-9)


def _arrays(
    sides: Sides, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Image and text features of the products at ``rows``, and which of them are there."""
    image, text, seen, read = (
        side.detach().cpu().numpy()[rows]
        for side in (sides.image, sides.text, sides.has_image, sides.has_text)
    )
    return image, text, seen > 0, read > 0
