"""Small files that commands keep for their next call."""

import json
from pathlib import Path
from typing import Any


def read_state(path: Path) -> dict[str, Any]:
    """What was written last; nothing where nothing was.

    Raises:
        SystemExit: the file is damaged.
    """
    try:
        body = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise SystemExit(f"{path} is damaged: remove it, and what it knew is found out anew")
    return body


def write_state(path: Path, body: dict[str, Any]) -> None:
    """Writes all of it or, where the disk is full or the command is killed, leaves what was."""
    temporary = path.with_name(f".{path.name}.tmp")  # whoever comes next writes over it
    temporary.write_text(json.dumps(body, indent=2) + "\n")
    temporary.replace(path)
