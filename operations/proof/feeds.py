"""A small rendered world, and data folders to which its feeds come day by day."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from resources.profiles import REPOSITORY, SANDBOX_WORLD
from sandbox.studio import CONFIG as STUDIO_CONFIG
from sandbox.world import write_world

# every day brings a broken row of each kind, which are many beside so few products; small pages
CATALOG = {
    "collections": {"min_products": 4, "min_sellers": 2},
    "limits": {"reject_rate": 0.95},
}


@dataclass(frozen=True)
class World:
    """Feeds that no platform has been given yet, and the truth about them."""

    root: Path
    days: Sequence[date]

    @property
    def feeds(self) -> Path:
        return self.root / "world"

    def write(self, products: int) -> None:
        """Render it, so many products in all; what is there stays."""
        write_world(
            self.feeds,
            truth=self.root / "truth",
            days=self.days,
            products=products,
            image_size=64,
            huge_title=100_000,
        )


@dataclass(frozen=True)
class Home:
    """A data folder of the sandbox, empty at first."""

    root: Path
    world: World

    @property
    def data(self) -> Path:
        """Lake, site and all else of the catalog."""
        return self.root / "sandbox"

    def enter(self) -> None:
        """Make it the one that this process and all that it starts work on."""
        folder = self.data / SANDBOX_WORLD
        folder.mkdir(parents=True)
        body = yaml.safe_load((self.world.feeds / "catalog.yaml").read_text())
        (folder / "catalog.yaml").write_text(yaml.safe_dump(body | CATALOG, sort_keys=False))
        shutil.copytree(self.world.root / "truth", self.data / "truth")
        os.environ |= {"PLATFORM_DATA": str(self.root), "PLATFORM_CATALOG": ""}

    def deliver(self, *days: str) -> None:
        """The feeds and search logs of days arrive, as a shop's upload does: whole, by a rename."""
        for day in days:
            for name in (f"feeds/{day}", f"search_log/{day}.jsonl"):
                arrived = self.data / SANDBOX_WORLD / name
                arrived.parent.mkdir(exist_ok=True)
                uploaded = self.root / "upload"
                given = self.world.feeds / name
                (shutil.copytree if given.is_dir() else shutil.copy)(given, uploaded)
                uploaded.rename(arrived)

    def correct(self, day: str) -> None:
        """A day's feed is sent again: half of its rows were wrong to be there."""
        feed = self.data / SANDBOX_WORLD / "feeds" / day / "feed.jsonl"
        lines = feed.read_text().splitlines(keepends=True)
        uploaded = self.root / "upload"
        uploaded.write_text("".join(lines[::2]))
        uploaded.rename(feed)

    def withdraw(self, day: str) -> None:
        """A day's feed is taken back."""
        (self.data / SANDBOX_WORLD / "feeds" / day).rename(self.root / f"withdrawn-{day}")


def write_small_studio(folder: Path, day: str) -> None:
    """Some rated pairs of images on one day: enough for a night of the second location."""
    (folder / "ratings").mkdir(parents=True)
    (folder / "images").mkdir()
    pictures = sorted(REPOSITORY.glob("docs/images/*.png"))
    votes = [
        {"prompt": f"a portrait, number {n}", "a": pictures[0].name, "b": pictures[1].name}
        | {"choice": "ab"[n % 2], "rater": f"rater {n % 3}"}
        for n in range(12)
    ]
    for picture in pictures[:2]:
        shutil.copy(picture, folder / "images")
    lines = "".join(json.dumps(vote) + "\n" for vote in votes)
    (folder / "ratings" / f"{day}.jsonl").write_text(lines)
    wanted = {"name", "templates", "ratings", "images"}
    body = {key: value for key, value in STUDIO_CONFIG.items() if key in wanted}
    (folder / "studio.yaml").write_text(yaml.safe_dump(body, sort_keys=False))
