import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pinlanding_assets.topics.phrasing import Phraser, write_titles
from resources.language import Language, SentenceEncoder
from tests.resources.test_image_text_to_text import write_tokenizer


def test_vectors_are_unit_length_and_mean_something() -> None:
    vectors = SentenceEncoder().encode(["gray", "grey", "wooden table", "grey"])
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.8 > 0.5 > vectors[0] @ vectors[2]
    np.testing.assert_allclose(vectors[1], vectors[3], atol=1e-5)


def test_a_vector_does_not_depend_on_the_texts_beside_it() -> None:
    encoder = SentenceEncoder()
    alone = encoder.encode(["linen shirt"])
    among = encoder.encode([f"text {n} " * (n % 9) for n in range(70)] + ["linen shirt"])
    np.testing.assert_allclose(alone[0], among[-1], atol=1e-5)


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


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained Llama with a chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(9)
    folder = tmp_path_factory.mktemp("writer")
    tokenizer = write_tokenizer(["<pad>", "<s>", "</s>"], ["Red dresses with short sleeves"])
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}{% endfor %}"
        "{% if add_generation_prompt %} assistant:{% endif %}"
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_language_model_answers_in_order_whatever_the_batch(writer: Path) -> None:
    prompts = [f"title {n} " * (n % 5 + 1) for n in range(9)]
    one = Language(model=str(writer), batch_size=1, max_new_tokens=8).complete(prompts)
    many = Language(model=str(writer), batch_size=9, max_new_tokens=8).complete(prompts)
    assert one == many
    assert len(set(one)) > 1


def test_a_language_model_is_held_to_a_schema_where_one_is_given(writer: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"score": {"enum": [1, 2, 3]}},
        "required": ["score"],
        "additionalProperties": False,
    }
    for answer in Language(model=str(writer)).complete(["a </s>", "b"], schema=schema):
        assert json.loads(answer)["score"] in (1, 2, 3)


def test_titles_survive_a_model_that_writes_nonsense(writer: Path) -> None:
    entries = pl.DataFrame(
        {
            "entry_id": ["colour=red", "type=dress"],
            "key": ["colour", "type"],
            "value": ["red", "dress"],
        }
    )
    keys = pl.DataFrame({"key": ["type", "colour"], "role": ["product_type", "attribute"]})
    topics = pl.DataFrame({"entries": [["colour=red", "type=dress"], ["type=dress"]]})
    titles = write_titles(topics, Phraser(entries, keys, {}), Language(model=str(writer)))
    assert titles["title"].to_list() == ["Red dresses", "Dresses"]
    assert titles["faithful"].all()
    assert not titles["written"].any()


def test_no_language_model_and_a_missing_one_are_named() -> None:
    assert not Language().available()
    with pytest.raises(RuntimeError, match="'none'"):
        Language().complete(["a"])
    with pytest.raises(FileNotFoundError, match="no_such_thing"):
        Language(model="package:no_such_thing").complete(["a"])
