"""Puts a finished model folder in the place of the shipped one, whole or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

CARD_HEAD = "---\nlicense: apache-2.0\n---\n\n"


def ship(folder: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` with an empty folder beside `folder`, then swaps the two.

    A reader sees the old or the new files, never a mixture; between the two renames there is an
    instant without a folder, which a reader that loads once does not meet in practice.
    """
    fresh, old = (folder.with_name(f".{folder.name}.{name}") for name in ("new", "old"))
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    write(fresh)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
