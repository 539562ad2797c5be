"""Answers held to a JSON schema while they are generated, by xgrammar."""

from typing import Any


def grammar(tokenizer: Any, width: int, ends: list[int], schema: str) -> Any:
    """What a model of a tokenizer may say, so that it keeps to a JSON schema (for xgrammar).

    Args:
        tokenizer: Of transformers.
        width: Of the logits, which may be more than the tokenizer has tokens.
        ends: Tokens that end an answer.
        schema: As JSON.
    """
    import xgrammar

    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=width, stop_token_ids=ends)
    return xgrammar.GrammarCompiler(info).compile_json_schema(
        schema, any_whitespace=False, separators=(",", ":")
    )


class KeptTo:
    """A logits processor of transformers: in one call of `generate`, every row keeps to a grammar.

    `xgrammar.contrib.hf` fills the mask of one row after the other, which took a tenth of the
    processor time of the sandbox's model; here all rows are filled at once.
    """

    def __init__(self, grammar: Any) -> None:
        self._grammar, self._ends = grammar, set(grammar.tokenizer_info.stop_token_ids)
        self._matchers: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores ``[rows, tokens]`` of what may come next; the others at minus infinity.

        Raises:
            RuntimeError: a row said what the grammar forbids.
        """
        import xgrammar

        if not self._matchers:
            self._matchers = [xgrammar.GrammarMatcher(self._grammar) for _ in scores]
            self._open = list(range(len(scores)))
            self._mask = xgrammar.allocate_token_bitmask(*scores.shape)
            self._batch = xgrammar.BatchGrammarMatcher()
        else:
            said = input_ids[:, -1].tolist()
            for row in self._open:
                if not self._matchers[row].accept_token(said[row]):
                    raise RuntimeError("the model said what its grammar forbids")
            self._open = [row for row in self._open if said[row] not in self._ends]
        if self._open:
            matchers = [self._matchers[row] for row in self._open]
            self._batch.batch_fill_next_token_bitmask(matchers, self._mask, self._open)
        masked = scores if scores.is_cuda else scores.cpu()  # xgrammar knows these two
        xgrammar.apply_token_bitmask_inplace(masked, self._mask.to(masked.device))
        return masked.to(scores.device)
