"""Answers held to a schema: row by row what `xgrammar.contrib.hf` allows."""

import json

import pytest
import torch
from transformers import AutoTokenizer
from xgrammar.contrib.hf import LogitsProcessor

from resources.grammar import KeptTo, grammar
from resources.profiles import WEIGHTS

SCHEMA = json.loads((WEIGHTS / "vlm" / "attributes.schema.json").read_text())


@pytest.fixture(scope="module")
def compiled():
    """The grammar of the sandbox's schema, and the width of its model's logits."""
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS / "vlm", local_files_only=True)
    width = len(tokenizer)
    return grammar(tokenizer, width, [tokenizer.eos_token_id], json.dumps(SCHEMA)), width


def test_rows_of_a_batch_are_held_as_they_are_one_by_one(compiled):
    held, width = compiled
    ours, peer = KeptTo(held), LogitsProcessor(held)
    draw = torch.Generator().manual_seed(1)
    said = torch.zeros(6, 1, dtype=torch.long)
    ended = set()
    for _ in range(60):
        scores = torch.randn(6, width, generator=draw)
        kept = ours(said, scores.clone())
        assert torch.equal(kept, peer(said, scores.clone()))
        assert torch.isfinite(kept).any(1).all()
        ended.add(sum(matcher.is_terminated() for matcher in ours._matchers))
        said = torch.cat([said, kept.argmax(1, keepdim=True)], 1)
    assert ended & {1, 2, 3, 4, 5}  # some rows went on while others had ended


def test_what_the_grammar_forbids_is_an_error(compiled):
    held, width = compiled
    ours = KeptTo(held)
    said = torch.zeros(2, 1, dtype=torch.long)
    allowed = torch.isfinite(ours(said, torch.zeros(2, width)))
    forbidden = int((~allowed[1]).nonzero()[0])
    said = torch.tensor([[0, int(allowed[0].nonzero()[0])], [0, forbidden]])
    with pytest.raises(RuntimeError, match="forbids"):
        ours(said, torch.zeros(2, width))
