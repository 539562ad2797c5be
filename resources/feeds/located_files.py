"""The files that a settings file names: by a path relative to it, or by a URI."""

import contextlib
import fnmatch
import functools
import glob
import hashlib
import os
import re
import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.zip import ZipFileSystem

from resources.feeds.formats import is_feed
from resources.feeds.image_fetch import (
    MAX_IMAGE_BYTES,
    ImageUnavailable,
    read_local,
    read_stored,
)
from resources.feeds.parquet import ParquetBytes
from resources.feeds.rows import FeedError

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
DAY_FORMS = ("%Y-%m-%d", "%Y%m%d", "%Y_%m_%d")  # of `{day}`; `{day:%d.%m.%y}` names another
_IN_PATTERN = re.compile(r"\{day(?::([^{}]+))?\}")
_DIGITS = {"%Y": r"\d{4}", "%y": r"\d{2}", "%m": r"\d{2}", "%d": r"\d{2}", "%j": r"\d{3}"}
_HTTP_SECONDS = 3600  # for one feed over HTTP as a whole
MARKS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "updated", "created")


class LocatedFile(NamedTuple):
    """A file: its name in tables (relative to the settings file, or a URI), and where it is."""

    name: str
    filesystem: fsspec.AbstractFileSystem
    path: str


def has_day(pattern: str) -> bool:
    """Whether a pattern says where the day stands in a path."""
    return _IN_PATTERN.search(pattern) is not None


def any_day(pattern: str) -> str:
    """The pattern with every day; of a form with slashes, as many levels."""
    found = _IN_PATTERN.sub(lambda m: re.sub(r"[^/]+", "*", m[1] or "*"), pattern)
    return re.sub(r"\*{2,}(?!/)", "*", found)  # `x_{day}*` has one star, not two


def of_day(pattern: str, day: str) -> list[str]:
    """The pattern for one day (YYYY-MM-DD), in each form that the day may have."""
    moment = date.fromisoformat(day)
    forms = (_IN_PATTERN.search(pattern) or [None, None])[1]
    return list(
        dict.fromkeys(
            _IN_PATTERN.sub(lambda m, form=form: moment.strftime(m[1] or form), pattern)
            for form in ([forms] if forms else DAY_FORMS)
        )
    )


def _days_in(path: str, pattern: str) -> set[str]:
    """The days that a path may be of."""
    forms = {m[1] for m in _IN_PATTERN.finditer(pattern) if m[1]} or set(DAY_FORMS)
    found = set()
    for form in forms:
        digits = re.sub(r"%[a-zA-Z]", lambda m: _DIGITS.get(m[0], r"\w+"), re.escape(form))
        for match in re.finditer(f"(?=({digits}))", path):
            with contextlib.suppress(ValueError):
                found.add(datetime.strptime(match[1], form).date().isoformat())  # noqa: DTZ007
    return found


class LocatedFiles:
    """The files that the settings file at `config_path` can name."""

    def __init__(self, config_path: str):
        self._folder = Path(config_path).absolute().parent

    def matching(self, pattern: str, day: str | None = None) -> list[LocatedFile]:
        """The files of a glob pattern (of a day), in order of their paths; of a zip its members."""
        found: dict[str, LocatedFile] = {}
        for one in of_day(pattern, day) if day else [any_day(pattern)]:
            filesystem, path = self._locate(one, as_pattern=True)
            local = "://" not in one
            for hit in sorted(filesystem.glob(path)):
                if filesystem.isfile(hit):
                    name = (
                        os.path.relpath(hit, self._folder)
                        if local
                        else filesystem.unstrip_protocol(hit)
                    )
                    found |= {f.name: f for f in _members(LocatedFile(name, filesystem, hit))}
        return [found[name] for name in sorted(found)]

    def days(self, pattern: str) -> set[str]:
        """The days (YYYY-MM-DD) that have a file where the pattern says `{day}`."""
        return set(self.stamps(pattern))

    def stamps(self, pattern: str) -> dict[str, str]:
        """Day -> what the store says of its files without reading them: another stamp, other files.

        The day is `{day}` in the pattern; without, all files are those of the day "".
        """
        filesystem, globbed = self._locate(any_day(pattern), as_pattern=True)
        dated = self._locate(pattern, as_pattern=True)[1]
        found: dict[str, list[str]] = {}
        for path, about in sorted(filesystem.glob(globbed, detail=True).items()):
            if about.get("type") != "file":
                continue
            for day in _days_in(path, dated) if has_day(pattern) else {""}:
                if not day or any(fnmatch.fnmatchcase(path, one) for one in of_day(dated, day)):
                    mark = next((str(about[key]) for key in MARKS if about.get(key)), "")
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
        if location.startswith(("http://", "https://")):
            import aiohttp

            limit = aiohttp.ClientTimeout(total=_HTTP_SECONDS)
            return fsspec.core.url_to_fs(location, client_kwargs={"timeout": limit})
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


def read_cell(cells: ParquetBytes, file: LocatedFile, reference: str) -> bytes:
    """The bytes of an image that lie in a cell (`column:row`) of a Parquet file.

    Raises:
        ImageUnavailable: there are none, or too many; the message is the reason.
    """
    try:
        opened = functools.partial(file.filesystem.open, file.path, "rb")
        found = cells.read(opened, file.name, reference)
    except Exception as error:  # OSError, ArrowException, a cell that is not there
        raise ImageUnavailable(f"cannot be read: {type(error).__name__}") from None
    if not found:
        raise ImageUnavailable("no bytes in this cell")
    if len(found) > MAX_IMAGE_BYTES:
        raise ImageUnavailable(f"larger than {MAX_IMAGE_BYTES} bytes: {len(found)} bytes")
    return found


def _members(file: LocatedFile) -> list[LocatedFile]:
    """The feed files in a zip, as files of their own; any other file is itself."""
    if not file.path.lower().endswith(".zip"):
        return [file]
    try:
        inside = ZipFileSystem(cast(Any, file.filesystem.open(file.path, "rb")))
        members = sorted(path for path in inside.find("") if is_feed(path))
    except (OSError, zipfile.BadZipFile) as error:
        raise FeedError(f"{file.name}: cannot be read: {error}") from error
    if not members:
        raise FeedError(f"{file.name}: holds no feed file")
    return [LocatedFile(f"{file.name}/{path}", inside, path) for path in members]


def folder_of(name: str) -> str:
    """The folder of a file by its name; of a member of a zip, that of the zip."""
    outer, _, inner = name.partition(".zip/")
    return (outer if inner else name).rpartition("/")[0] or "."
