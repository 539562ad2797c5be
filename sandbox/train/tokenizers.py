"""Small byte-level tokenizers, trained on what the sandbox's sellers and searchers write."""

import json
from collections.abc import Iterable, Iterator

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from sandbox.products import draw_attributes
from sandbox.titles import write_title
from sandbox.vocabulary import KEYS, REQUIRED, VALUES


def answer_of(attributes: dict[str, str]) -> str:
    """The answer a model is trained to give: compact JSON, keys in the order of the schema."""
    ordered = {key: attributes[key] for key in KEYS if key in attributes}
    return json.dumps(ordered, separators=(",", ":"))


# Pieces of the answer that carry no information, each one token: an answer of 27 tokens needs 15.
SKELETON = (
    *(f'{{"{key}":"' for key in KEYS[:1]),
    *(f'","{key}":"' for key in KEYS[1:]),
    '"}',
)


def corpus(seed: int, count: int) -> Iterator[str]:
    """Titles as the world's sellers write them, and every value as it stands in an answer."""
    rng = np.random.default_rng([seed, 41])
    for _ in range(count):
        yield write_title(draw_attributes(rng, balanced=True), rng)
    for _ in range(count // 40):
        for key in (*REQUIRED, *KEYS[len(REQUIRED) :]):
            yield from VALUES[key]


def train_bytes(lines: Iterable[str], size: int, special: list[str]) -> Tokenizer:
    """A byte-level BPE of `size` entries; the special ones come first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def add_pieces(tokenizer: Tokenizer, pieces: Iterable[str]) -> None:
    """Adds fixed strings as single tokens of ordinary text (they survive decoding)."""
    tokenizer.add_tokens([AddedToken(piece, normalized=False, special=False) for piece in pieces])
