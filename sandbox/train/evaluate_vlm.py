"""Held-out precision and recall of a vision-language model, decoding freely and constrained."""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from sandbox.titles import write_title
from sandbox.train.data import held_out
from sandbox.vocabulary import KEYS

WEIGHTS = Path(__file__).parents[1] / "weights" / "vlm"


@dataclass(frozen=True)
class Score:
    """Precision and recall over products, for one key or for all pairs together (micro)."""

    precision: float
    recall: float
    count: int


def held_out_titles(truths: Sequence[Mapping[str, str]], seed: int = 5) -> list[str]:
    """A title for each held-out product, as noisy as in the world's feeds."""
    return [
        write_title(truth, np.random.default_rng([seed, 51, row]))
        for row, truth in enumerate(truths)
    ]


def grammar_of(tokenizer: Any, vocabulary: int, schema: str) -> Any:
    """The compiled JSON schema; a logits processor is made of it anew for every batch."""
    import xgrammar

    info = xgrammar.TokenizerInfo.from_huggingface(
        tokenizer, vocab_size=vocabulary, stop_token_ids=[tokenizer.eos_token_id]
    )
    compiler = xgrammar.GrammarCompiler(info)
    return compiler.compile_json_schema(schema, any_whitespace=False, separators=(",", ":"))


def answer(
    model: Any,
    processor: Any,
    photos: np.ndarray,
    titles: Sequence[str],
    prompt: str,
    grammar: Any = None,
    batch: int = 64,
) -> list[str]:
    """The raw answer for each photo, uint8 (n, 64, 64, 3), and its title."""
    out: list[str] = []
    for start in range(0, len(photos), batch):
        texts, images = [], []
        for photo, title in zip(
            photos[start : start + batch], titles[start : start + batch], strict=True
        ):
            content = [{"type": "image"}, {"type": "text", "text": prompt.format(title=title)}]
            texts.append(
                processor.apply_chat_template(
                    [{"role": "user", "content": content}], add_generation_prompt=True
                )
            )
            images.append([Image.fromarray(photo)])
        inputs = processor(text=texts, images=images, padding=True, return_tensors="pt")
        extra = {}
        if grammar is not None:
            import xgrammar

            extra["logits_processor"] = [xgrammar.contrib.hf.LogitsProcessor(grammar)]
        with torch.inference_mode():
            tokens = model.generate(**inputs, do_sample=False, max_new_tokens=48, **extra)
        fresh = tokens[:, inputs["input_ids"].shape[1] :]
        out += processor.tokenizer.batch_decode(fresh, skip_special_tokens=True)
    return out


def parsed(answers: Sequence[str]) -> list[dict[str, str]]:
    """The pairs of each answer; an answer that is no JSON object has none."""
    out = []
    for text in answers:
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = {}
        out.append(value if isinstance(value, dict) else {})
    return out


def score(
    truths: Sequence[Mapping[str, str]], answers: Sequence[Mapping[str, str]]
) -> dict[str, Score]:
    """Score of each key, and of all pairs under "micro"."""
    hits, said, true = dict.fromkeys(KEYS, 0), dict.fromkeys(KEYS, 0), dict.fromkeys(KEYS, 0)
    for truth, guess in zip(truths, answers, strict=True):
        for key in KEYS:
            said[key] += key in guess
            true[key] += key in truth
            hits[key] += key in guess and guess[key] == truth.get(key)
    out = {
        key: Score(hits[key] / max(said[key], 1), hits[key] / max(true[key], 1), true[key])
        for key in KEYS
    }
    total = sum(hits.values())
    micro = Score(
        total / max(sum(said.values()), 1), total / sum(true.values()), sum(true.values())
    )
    return {**out, "micro": micro}


def table(scores: Mapping[str, Score]) -> str:
    """A Markdown table of the scores."""
    rows = ["| field | precision | recall | pairs |", "|---|---|---|---|"]
    rows += [f"| {k} | {s.precision:.3f} | {s.recall:.3f} | {s.count} |" for k, s in scores.items()]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--products", type=int, default=2_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    processor = AutoProcessor.from_pretrained(arguments.weights)
    model = AutoModelForImageTextToText.from_pretrained(arguments.weights).eval()
    prompt = (arguments.weights / "prompt.txt").read_text()
    schema = (arguments.weights / "attributes.schema.json").read_text()
    grammar = grammar_of(processor.tokenizer, model.config.text_config.vocab_size, schema)
    photos, truths = held_out(arguments.products)
    titles = held_out_titles(truths)
    blank = np.full_like(photos, 240)
    for name, pixels, words, rule in (
        ("constrained by the schema", photos, titles, grammar),
        ("free", photos, titles, None),
        ("photo only", photos, [""] * len(titles), None),
        ("wrong titles", photos, [*titles[1:], titles[0]], None),
        ("title only", blank, titles, None),
    ):
        started = time.process_time()
        raw = answer(model, processor, pixels, words, prompt, rule)
        rate = len(raw) / (time.process_time() - started)
        valid = sum(bool(value) for value in parsed(raw))
        print(f"\n{name}: {valid} of {len(raw)} valid, {rate:.0f} products per CPU second")
        print(table(score(truths, parsed(raw))), flush=True)


if __name__ == "__main__":
    main()
