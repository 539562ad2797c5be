"""JSON files that say what a folder holds, with a hash of themselves."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_SEAL = "sha256"


def sealed(body: Mapping[str, Any]) -> bytes:
    """A manifest's text with the hash of its content; what JSON has no form for becomes a text."""
    plain = json.loads(json.dumps(body, default=str))
    text = json.dumps(plain | {_SEAL: _digest(plain)}, indent=2, ensure_ascii=False)
    return f"{text}\n".encode()


def unsealed(data: bytes) -> dict[str, Any]:
    """The content of a manifest; those of earlier versions have no hash.

    Raises:
        ValueError: it is not what was written; the message says so after the name of a file.
    """
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("is no manifest") from None
    if not isinstance(body, dict):
        raise ValueError("is no manifest")
    if body.pop(_SEAL, None) not in (None, _digest(body)):
        raise ValueError("holds other bytes than were written")
    return body


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
