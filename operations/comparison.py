"""What it means that two runs of the first system came to the same result.

Identical are: every manifest of the lake (which tables a day has, with rows, columns and sha256,
and which feed and models made them), the bytes of every table that a manifest names, of every image
that the catalog names, and of every file of the live site. Not compared is what a reader cannot
reach: images of products that were withdrawn since, earlier versions of the site, caches, and
Dagster's own records with their times and run ids. Nor are old addresses that lead on to a page:
they tell what was published between, so the manifest that names them counts by its other tables.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path

from resources.lake import MANIFEST, Lake, Manifest
from resources.site import SiteStore

HISTORY = {"redirects"}  # tables that follow from what was published before
LEADS_ON = b'http-equiv="refresh"'


def digests(folder: Path, assets: Collection[str]) -> dict[str, str]:
    """Everything that is compared, by name; its content as a hash.

    Args:
        folder: Data of a catalog, with `lake` and `site` below it.
        assets: Whose tables are looked at.
    """
    return dict(_digests(folder, assets))


def _digests(folder: Path, assets: Collection[str]) -> Iterator[tuple[str, str]]:
    lake = folder / "lake"
    for asset in sorted(assets):
        for path in sorted((lake / asset).rglob(MANIFEST)):
            manifest = Manifest.from_json(path.read_bytes())
            past = manifest.tables.keys() & HISTORY
            yield str(path.relative_to(lake)), _facts(path) if past else _hash(path)
            for name, table in manifest.tables.items():
                if name in HISTORY:
                    continue
                file = path.parent / table.file
                yield str(file.relative_to(lake)), _hash(file)
    images = Lake(root=str(lake)).scan("catalog", "images").select("image_hash").unique().collect()
    for name in images["image_hash"].sort():
        path = lake / "images" / name[:2] / f"{name}.jpg"
        yield str(path.relative_to(lake)), _hash(path)
    live = SiteStore(root=str(folder / "site")).current_folder()
    for path in sorted(live.rglob("*")) if live else []:
        if path.is_file() and LEADS_ON not in path.read_bytes():
            yield f"site/{path.relative_to(live)}", _hash(path)


def _facts(path: Path) -> str:
    """A manifest without what its history gives it: those tables, the hash of all, the site's."""
    found = json.loads(path.read_bytes())
    tables = {name: table for name, table in found["tables"].items() if name not in HISTORY}
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "is missing"


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """A line for each thing that is not the same in both; empty where they are identical."""
    return [
        f"{name}: {one.get(name, 'not there')[:12]} / {other.get(name, 'not there')[:12]}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]
