"""YAML files that people write, read within bounds, and what is wrong with them in words."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

MOST_BYTES = 16 << 20
MOST_VALUES = 1_000_000
DEEPEST = 50
LONGEST_NUMBER = 2**63
SHOWN = 200  # characters of a message that may hold a text of the file


class UnusableYaml(ValueError):
    """A file that cannot be read; the message says where and why, and shows nothing of it."""


def read_yaml(path: Path) -> Any:
    """The content of a file: mappings, lists, texts, numbers, dates and nothing.

    Raises:
        UnusableYaml: it is missing or not YAML, or holds what no settings hold: anchors that grow
            without end, numbers and texts that nothing can print.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UnusableYaml(f"larger than {MOST_BYTES >> 20} MiB")
        body = yaml.safe_load(path.read_bytes().decode("utf-8-sig"))
    except yaml.YAMLError as error:  # as text it would show the line, which may hold a secret
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise UnusableYaml(where + shown(problem or "no YAML")) from None
    except OSError as error:
        raise UnusableYaml(error.strerror or type(error).__name__) from None
    except UnusableYaml:
        raise
    except Exception as error:  # what tags and brackets let through: `!!int x`, `[[[...`
        raise UnusableYaml(f"no YAML ({type(error).__name__})") from None
    _check(body)
    return body


def _check(body: Any) -> None:
    """Refuses what could be no setting. Values that anchors repeat count each time."""
    open_values, values = [("", body, 0)], 0
    while open_values:
        where, value, depth = open_values.pop()
        values += 1
        if values > MOST_VALUES:
            raise UnusableYaml(f"more than {MOST_VALUES:,} values")
        if depth > DEEPEST:
            raise UnusableYaml(f"{shown(where)}: more than {DEEPEST} levels deep")
        if fault := _fault(value):
            raise UnusableYaml(f"{shown(where) or 'the file'}: {fault}")
        if isinstance(value, dict):
            for key, inner in value.items():
                if fault := _fault(key):
                    raise UnusableYaml(f"{shown(where) or 'the file'}: a key is {fault}")
                open_values.append((_below(where, key), inner, depth + 1))
        elif isinstance(value, list | set | tuple):
            inside = enumerate(value)
            open_values += [(_below(where, at), inner, depth + 1) for at, inner in inside]


def _below(where: str, key: Any) -> str:
    return f"{where}.{shown(key)}" if where else shown(key)


def _fault(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= LONGEST_NUMBER:
        return "a number of more than 18 digits (in quotes it is a text)"
    if isinstance(value, str) and re.search("[\0\ud800-\udfff]", value):
        return "a text with a sign that no text has"
    return ""


def wrong_keys(error: ValidationError) -> list[str]:
    """A line for every key that is wrong."""
    return [f"  {key_of(one['loc'])}: {shown(one['msg'])}" for one in error.errors()]


def key_of(location: Iterable[Any]) -> str:
    """The name of a key as people look for it: `columns.id.0`."""
    return ".".join(map(shown, location)) or "the file"


def shown(text: Any) -> str:
    """A text of a file as a message may hold it: short, on one line, without control characters."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in str(text)[: SHOWN + 1])
    return plain if len(plain) <= SHOWN else f"{plain[:SHOWN]}..."
