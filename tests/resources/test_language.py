from pathlib import Path

import numpy as np
import pytest

from resources.language import SentenceEncoder


def test_vectors_are_unit_length_and_mean_something() -> None:
    vectors = SentenceEncoder().encode(["gray", "grey", "wooden table", "grey"])
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.8 > 0.5 > vectors[0] @ vectors[2]
    assert (vectors[1] == vectors[3]).all()


def test_a_vector_does_not_depend_on_the_texts_beside_it() -> None:
    encoder = SentenceEncoder()
    alone = encoder.encode(["linen shirt"])
    among = encoder.encode([f"text {n} " * (n % 9) for n in range(70)] + ["linen shirt"])
    assert (alone[0] == among[-1]).all()


def test_edges() -> None:
    encoder = SentenceEncoder()
    assert encoder.encode([]).shape == (0, 384)
    odd = encoder.encode(["", "\x00\ud7ff" * 3, "long " * 20_000])
    assert np.isfinite(odd).all()


def test_version_names_the_files() -> None:
    assert SentenceEncoder().version == SentenceEncoder(device="cpu").version
    assert len(SentenceEncoder().version) > 64


@pytest.mark.parametrize("model", ["package:no_such_thing", "package:../x", "/no/such/folder"])
def test_a_missing_model_is_named(model: str) -> None:
    with pytest.raises(FileNotFoundError, match=Path(model).name):
        SentenceEncoder(model=model).encode(["a"])
