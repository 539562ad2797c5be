"""The files that a settings file names: by a path relative to it, or by a URI."""

import fnmatch
import glob
import hashlib
import os
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from resources.feeds.feed_files import FeedError
from resources.feeds.image_fetch import read_local, read_stored

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MARKS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "updated", "created")


class LocatedFile(NamedTuple):
    """A file: its name in tables (relative to the settings file, or a URI), and where it is."""

    name: str
    filesystem: fsspec.AbstractFileSystem
    path: str


class LocatedFiles:
    """The files that the settings file at `config_path` can name."""

    def __init__(self, config_path: str):
        self._folder = Path(config_path).absolute().parent

    def matching(self, pattern: str) -> list[LocatedFile]:
        """The files of a glob pattern, in order of their paths."""
        filesystem, path = self._locate(pattern, as_pattern=True)
        local = "://" not in pattern
        return [
            LocatedFile(
                os.path.relpath(hit, self._folder) if local else filesystem.unstrip_protocol(hit),
                filesystem,
                hit,
            )
            for hit in sorted(filesystem.glob(path))
            if filesystem.isfile(hit)
        ]

    def days(self, pattern: str) -> set[str]:
        """The days (YYYY-MM-DD) that have a file where the pattern says `{day}`."""
        return set(self.stamps(pattern))

    def stamps(self, pattern: str) -> dict[str, str]:
        """Day -> what the store says of its files without reading them: another stamp, other files.

        The day is `{day}` in the pattern; without, all files are those of the day "".
        """
        filesystem, globbed = self._locate(pattern.replace("{day}", "*"), as_pattern=True)
        dated = self._locate(pattern, as_pattern=True)[1]
        found: dict[str, list[str]] = {}
        for path, about in sorted(filesystem.glob(globbed, detail=True).items()):
            if about.get("type") != "file":
                continue
            days = (
                {day for day in DAY.findall(path) if _is_day(day)} if "{day}" in pattern else [""]
            )
            for day in days:
                if fnmatch.fnmatchcase(path, dated.replace("{day}", day)):
                    mark = next((str(about[key]) for key in _MARKS if about.get(key)), "")
                    found.setdefault(day, []).append(f"{path} {about.get('size')} {mark}")
        return {
            day: hashlib.sha256("\n".join(files).encode()).hexdigest()[:16]
            for day, files in found.items()
        }

    def image(self, folder: str, reference: str) -> bytes:
        """The bytes of an image below a folder, and never outside it.

        Raises:
            ImageUnavailable: refused, missing or too large; the message is the reason.
        """
        filesystem, path = self._locate(folder)
        if isinstance(filesystem, LocalFileSystem):
            return read_local(Path(path), reference)
        return read_stored(filesystem, path, reference)

    def _locate(self, location: str, *, as_pattern: bool = False) -> tuple[Any, str]:
        """The file system and path of a location; `as_pattern`: what is matched by globbing."""
        if "://" in location:
            return fsspec.core.url_to_fs(location)
        base = glob.escape(str(self._folder)) if as_pattern else str(self._folder)
        return LocalFileSystem(), os.path.normpath(os.path.join(base, location))


def provenance(files: Iterable[LocatedFile]) -> list[dict[str, Any]]:
    """Name, size (bytes) and sha256 of each file.

    Raises:
        FeedError: a file cannot be read.
    """
    found = []
    for file in files:
        digest, size = hashlib.sha256(), 0
        try:
            with file.filesystem.open(file.path, "rb") as stream:
                while block := cast(IO[bytes], stream).read(1 << 20):
                    digest.update(block)
                    size += len(block)
        except OSError as error:
            raise FeedError(f"{file.name}: cannot be read: {error}") from error
        found.append({"file": file.name, "size": size, "sha256": digest.hexdigest()})
    return found


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
