"""A consumer of published collections: what a shop's own page would show of one.

    python examples/consumer/show.py .data/sandbox/site/current/data [handle]

It needs Python alone. Without a handle it lists all collections.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

FORMAT = 1


def collections(folder: Path) -> Iterator[dict]:
    """The collections of a publication, after a look at its form and its hash."""
    about = json.loads((folder / "manifest.json").read_text("utf-8"))
    if about["format"] != FORMAT:
        sys.exit(f"this program reads format {FORMAT}, and the data has {about['format']}")
    data = (folder / "collections.jsonl").read_bytes()
    if hashlib.sha256(data).hexdigest() != about["files"]["collections.jsonl"]["sha256"]:
        sys.exit("collections.jsonl is not what was published; copy the folder again")
    yield from map(json.loads, data.splitlines())


def main(folder: str, handle: str = "") -> None:
    """Print all collections, or one with its products."""
    for found in collections(Path(folder)):
        if not handle:
            print(f"{found['handle']}: {found['title']} ({found['total']})")
        elif found["handle"] == handle:
            print(found["title"])
            for item in found["products"]:
                why = ", ".join(f"{one['value']} {one['p']:.0%}" for one in item["inferred"])
                print(f"{item['rank']:4} {item['product_id']}  {why}".rstrip())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
