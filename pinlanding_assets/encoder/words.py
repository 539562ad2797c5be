"""Words and word pairs of a text as TF-IDF: what a sentence vector blurs, a rare word says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

MOST = 20_000  # terms that are kept, the most frequent ones


@dataclass(frozen=True)
class Words:
    """Terms with their inverse document frequency, in the order of the columns."""

    terms: tuple[str, ...]
    idf: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Words":
        """The terms of these texts; equal texts count once."""
        distinct = sorted({text for text in texts if text})
        try:
            found = _vectorizer().fit(distinct)
        except ValueError:  # no text, or texts without a word
            return cls((), np.zeros(0))
        return cls(tuple(found.get_feature_names_out().tolist()), found.idf_)

    def matrix(self, texts: Sequence[str]) -> "sparse.csr_array":
        """Rows ``[n, terms]`` of length 1; a text of unknown words has an empty row."""
        from scipy import sparse

        if not self.terms:
            return sparse.csr_array((len(texts), 0))
        ready = _vectorizer(vocabulary={term: at for at, term in enumerate(self.terms)})
        ready.idf_ = self.idf
        return sparse.csr_array(ready.transform(texts))


def _vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=r"[^\W_]+[+#]*",
        max_features=MOST if "vocabulary" not in options else None,
        **options,
    )
