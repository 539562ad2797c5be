"""The published site: whole versions beside each other, one of them live by an atomic switch.

    root/versions/<version>/...   a complete site; its name is the hash of its content
    root/current                  symlink to the live version: serve this folder
    root/history.json             the versions that led here, oldest first

A version is written under a temporary name, synced and renamed, and only then does the symlink
move, so whoever reads `current` sees the old site or the new one, and a killed publisher changes
nothing. The symlink alone says what is live; the history only gives it an order.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

STAGING = ".staging-"  # prefix of folders that are being written or removed
VERSION_LENGTH = 16  # hexadecimal digits of a sha256: 64 bits
MAX_NAME_BYTES = 255  # of one file or folder name, on every common file system


class SiteStore(dg.ConfigurableResource):
    """Versions of a static site under the local folder `root`; `root/current` is served."""

    root: str
    lock_timeout: float = 600.0  # seconds to wait while another process publishes

    def publish(self, files: Iterable[tuple[str, bytes]]) -> str:
        """Write a whole site, make it live and return its version.

        The same content has the same version and is stored once. Publishing after a rollback
        takes the rolled-back versions off the history, so that no later rollback leads to them.

        Raises:
            ValueError: a path that is unsafe or given twice, or no file at all.
            TimeoutError: another process held the lock for `lock_timeout` seconds.
        """
        with self._locked():
            self._sweep()
            staged = self._versions_folder / f"{STAGING}{uuid.uuid4().hex}"
            try:
                version = _write_tree(staged, files)
                target = self._versions_folder / version
                if target.exists() and _version_of(target) != version:  # damaged since
                    target.rename(self._versions_folder / f"{STAGING}{uuid.uuid4().hex}")
                if not target.exists():
                    staged.rename(target)
                    _sync_folder(self._versions_folder)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
            live = self.current()
            if version != live:
                line = self._line_to(live)
                # history first: a version behind the live one is merely not live yet
                self._write_history([*(v for v in line if v != version), version])
                self._switch(version)
            return version

    def rollback(self) -> str:
        """Make the version before the live one live again and return it.

        Raises:
            LookupError: there is no version to go back to.
        """
        with self._locked():
            previous = self._previous()
            if previous is None:
                raise LookupError(f"{self.root}: no version before {self.current()} to go back to")
            self._switch(previous)
            return previous

    def current(self) -> str | None:
        """The live version; None before the first publication."""
        try:
            return Path(os.readlink(self._current_link)).name
        except FileNotFoundError:
            return None

    def current_folder(self) -> Path | None:
        """The folder of the live version, for reading; None before the first publication."""
        live = self.current()
        return None if live is None else self._versions_folder / live

    def versions(self) -> list[str]:
        """The versions that led here, oldest first; those after the live one were rolled back.

        Raises:
            ValueError: `history.json` is damaged.
        """
        path = Path(self.root) / "history.json"
        try:
            return [str(version) for version in json.loads(path.read_bytes())["versions"]]
        except FileNotFoundError:
            return []
        except (ValueError, LookupError, TypeError):
            raise ValueError(
                f"{path} is damaged: remove it; the live version stays, the way back is forgotten"
            ) from None

    def damage(self) -> str:
        """What is wrong with the live version, or nothing. All of it is read for it."""
        live, folder = self.current(), self.current_folder()
        if live is None or folder is None or _version_of(folder) == live:
            return ""
        return f"{folder} is not what was published: materialize published_collections again"

    def prune(self, keep: int) -> list[str]:
        """Remove all but the newest `keep` versions and return what was removed, in order.

        The live version and the one before it always stay. Leftovers of killed publishers and
        versions that are no longer in the history go too.
        """
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        with self._locked():
            self._sweep()
            line = self.versions()
            stay = {*line[-keep:], self.current(), self._previous()}
            self._write_history([version for version in line if version in stay])
            found = sorted(p.name for p in self._versions_folder.iterdir() if p.is_dir())
            gone = [version for version in found if version not in stay]
            for version in gone:
                # renamed first: a killed removal must not leave half a version under its name
                doomed = self._versions_folder / f"{STAGING}{uuid.uuid4().hex}"
                (self._versions_folder / version).rename(doomed)
                shutil.rmtree(doomed)
            return gone

    @property
    def _versions_folder(self) -> Path:
        return Path(self.root) / "versions"

    @property
    def _current_link(self) -> Path:
        return Path(self.root) / "current"

    def _line_to(self, live: str | None) -> list[str]:
        """The history up to the live version."""
        if live is None:
            return []
        line = self.versions()
        return line[: line.index(live) + 1] if live in line else [live]

    def _previous(self) -> str | None:
        before = self._line_to(self.current())[:-1]
        return before[-1] if before else None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time; the lock falls with its process."""
        self._versions_folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(Path(self.root) / ".lock", timeout=self.lock_timeout):
                yield
        except Timeout as error:
            raise TimeoutError(
                f"{self.root}: another process has been publishing for {self.lock_timeout:g} s"
            ) from error

    def _sweep(self) -> None:
        """Remove what killed writers left; only under the lock, so nobody is writing it."""
        for leftover in self._versions_folder.glob(f"{STAGING}*"):
            shutil.rmtree(leftover)
        for leftover in Path(self.root).glob(f"{STAGING}*"):
            leftover.unlink()

    def _switch(self, version: str) -> None:
        temporary = Path(self.root) / f"{STAGING}{uuid.uuid4().hex}"
        temporary.symlink_to(Path("versions") / version, target_is_directory=True)
        os.replace(temporary, self._current_link)
        _sync_folder(Path(self.root))

    def _write_history(self, versions: list[str]) -> None:
        temporary = Path(self.root) / f"{STAGING}{uuid.uuid4().hex}"
        temporary.write_text(json.dumps({"versions": versions}, indent=2) + "\n")
        _sync_file(temporary)
        os.replace(temporary, Path(self.root) / "history.json")
        _sync_folder(Path(self.root))


def _write_tree(folder: Path, files: Iterable[tuple[str, bytes]]) -> str:
    """Write `files` into the new `folder`, sync them, and return the hash of paths and bytes."""
    digests: dict[str, str] = {}
    folder.mkdir()
    for path, data in files:
        _check_path(path)
        if path in digests:
            raise ValueError(f"site path given twice: {path!r}")
        digests[path] = hashlib.sha256(data).hexdigest()
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    if not digests:
        raise ValueError("a site without files is not published")
    # synced after all are written: the system flushes most of them on its own by then
    for path in digests:
        _sync_file(folder / path)
    for parent in {folder / parent for path in digests for parent in Path(path).parents}:
        _sync_folder(parent)
    return _version(digests)


def _version_of(folder: Path) -> str:
    """The version that the files of a folder have now."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return _version(
        {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }
    )


def _version(digests: Mapping[str, str]) -> str:
    listing = "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))
    return hashlib.sha256(listing.encode()).hexdigest()[:VERSION_LENGTH]


def _check_path(path: str) -> None:
    """Refuse a path that could leave the site's folder or that not every system can store."""
    for part in path.split("/"):
        if (
            part in ("", ".", "..")
            or len(part.encode()) > MAX_NAME_BYTES
            or not part.isprintable()
            or "\\" in part
            or ":" in part
        ):
            raise ValueError(f"unsafe path in a site: {path[:300]!r}")


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
