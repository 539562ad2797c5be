"""What people call the first picture, the second, and neither of both."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_MEANINGS = {
    **dict.fromkeys(("a", "left", "first", "1st"), "a"),
    **dict.fromkeys(("b", "right", "second", "2nd"), "b"),
}
_TIES = {
    *("tie", "tied", "draw", "equal", "equally", "same", "similar", "both"),
    *("neither", "bothbad", "bothgood", "indifferent"),
}
_BESIDE_TIES = _TIES | {"good", "bad"}
_TIE_PHRASES = ("no preference", "no difference", "no winner", "not different", "=")
_NOISE = {
    *("image", "img", "picture", "photo", "pic", "option", "model", "side"),
    *("candidate", "response", "output", "generation", "sample", "choice", "answer", "the"),
    *("one", "on", "is", "are", "was", "it", "better", "best"),
    *("wins", "won", "win", "winner", "preferred", "prefer", "prefers", "i"),
    *("much", "slightly", "significantly", "strongly", "clearly"),
}
_SIGNS = {  # of A and B with a sign between them
    **{"a>b": "a", "b<a": "a", "b>a": "b", "a<b": "b"},
    **{"a=b": "tie", "b=a": "tie", "a~b": "tie", "a≈b": "tie"},
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class UnknownWord(ValueError):
    """A choice that is not understood; the message is the reason."""


class ChoiceWords:
    """How the choices of a file are read.

    Numbers mean something only together: 1 and 2, or 0 and 1, are the first and the second picture.
    Of other sets nobody knows whether they count from 0 or from 1, and which number is a tie.

    Args:
        values: All choices of the file, as received.
        words: What the user says that words mean: word -> a, b or tie.
    """

    def __init__(self, values: Iterable[Any], words: Mapping[str, str] | None = None):
        self._own = {_plain(word): meaning for word, meaning in (words or {}).items()}
        self._numbers: set[float] = set()
        for value in values:
            if self._word(value) is None and (number := _number(value)) is not None:
                self._numbers.add(number)

    def read(self, value: Any, names: tuple[Iterable[str], Iterable[str]] = ((), ())) -> str:
        """`a`, `b` or `tie`.

        Args:
            value: The choice, as received.
            names: What each of the pictures is called in its row, if it may be named.

        Raises:
            UnknownWord: it is none of those.
        """
        if value is None or (isinstance(value, str) and not value.strip()):
            raise UnknownWord("missing")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UnknownWord("not a word or a number")
        if found := self._word(value):
            return found
        text = str(value).strip()
        of_a, of_b = (text in side for side in names)
        if of_a != of_b:
            return "a" if of_a else "b"
        number = _number(value)
        if number is None:
            shown = text[:60]
            raise UnknownWord(f"unknown word {shown!r}: `words:` can say what it means")
        if self._numbers not in ({0, 1}, {1, 2}):
            seen = ", ".join(f"{n:g}" for n in sorted(self._numbers)[:6])
            raise UnknownWord(
                f"{number:g} may mean either picture: neither 0 and 1, nor 1 and 2, are the "
                f"numbers of the file ({seen}). `words:` can say what it means"
            )
        return "a" if number == min(self._numbers) else "b"

    def _word(self, value: Any) -> str | None:
        """What the word alone means, numbers aside."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        plain = _plain(str(value))
        if plain in self._own:
            return self._own[plain]
        if plain in _TIE_PHRASES:
            return "tie"
        signs = re.sub(r"[\s\[\]]", "", re.sub(r"([<>=])\1+", r"\1", plain))
        if signs in _SIGNS:
            return _SIGNS[signs]
        tokens = _tokens(plain)
        if set(tokens) & _TIES and set(tokens) <= _BESIDE_TIES:
            return "tie"
        return _MEANINGS.get(tokens[0]) if len(tokens) == 1 else None


def _plain(word: str) -> str:
    return " ".join(re.sub(r"_+|-+(?!\d)", " ", word.casefold()).split()).strip(" .!")


def _tokens(plain: str) -> list[str]:
    """The words that say which: of "Image A is better" the `a`."""
    found = re.sub(r"[^\w.]+", " ", plain).split()
    return [token for token in found if token not in _NOISE]


def _number(value: Any) -> float | None:
    """The number that a choice is, or that it gives to a picture (`image 2`)."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, int | float):
        return float(value) if value == value and abs(value) < 1e9 else None
    if _NUMBER.fullmatch(value.strip()):
        return float(value)
    tokens = _tokens(re.sub(r"(?<=[a-z])(?=\d)", " ", _plain(value)))
    return float(tokens[0]) if len(tokens) == 1 and _NUMBER.fullmatch(tokens[0]) else None
