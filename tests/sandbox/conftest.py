"""A small world, written once for all tests of the sandbox."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.world import write_world

SMALL = {"days": 3, "products": 45, "seed": 5, "image_size": 64, "huge_title": 50_000}


@dataclass(frozen=True)
class Written:
    """Folders of a world on disk."""

    root: Path
    truth: Path


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("world")
    written = Written(folder / "shop", folder / "truth")
    write_world(written.root, truth=written.truth, **SMALL)
    return written
