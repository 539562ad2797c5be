"""Where bytes are kept: a local folder, or a bucket of an object store. Two classes, one interface.

Paths are relative to the store's root. A put is there whole or not at all. Where two writers may
meet, a write is conditional: `create` (If-None-Match), `replace` (If-Match) say whether they won.
The endpoint and the credentials of a bucket come from the environment, by the names that Polars
reads as well: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_ALLOW_HTTP, or the machine's role.
"""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from filelock import FileLock

from resources.unfinished import held, sweep


class Entry(NamedTuple):
    """A stored file: its path, and when it was written (seconds since 1970, UTC)."""

    path: str
    modified: float


class Store(Protocol):
    """What the lake needs of a place for bytes.

    Attributes:
        at_once: Files that are best asked for at the same time.
        excludes: Whether `exclusive` keeps other writers out.
        guards: Whether the store itself notices bytes that have changed, so that nobody has to
            read a file a second time for it.
    """

    at_once: int
    excludes: bool
    guards: bool

    def get(self, path: str) -> tuple[bytes, str]:
        """The bytes, and a tag that `replace` takes. Raises FileNotFoundError."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Write the file, whatever was there."""
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Write the file unless there is one; whether it was written."""
        ...

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        """Write the file if what is there still has this tag; whether it was written."""
        ...

    def delete(self, path: str) -> None:
        """Remove the file; one that is not there is no error."""
        ...

    def list(self, folder: str) -> list[Entry]:
        """All files below the folder, by path; none where there is no such folder."""
        ...

    def size(self, path: str) -> int:
        """Bytes of the file. Raises FileNotFoundError."""
        ...

    def sha256(self, path: str) -> str:
        """Of the file, which is never in memory as a whole. Raises FileNotFoundError."""
        ...

    def uri(self, path: str) -> str:
        """The file's address for other readers: Polars, DuckDB."""
        ...

    def exclusive(self, folder: str) -> AbstractContextManager[Any]:
        """Keep other writers out of the folder, where the store can; else `replace` decides."""
        ...


def open_store(root: str) -> Store:
    """The store of a folder, or of a URI: `s3://bucket/prefix`, also `gs://` and `az://`."""
    return BucketStore(root) if "://" in root else FolderStore(root)


class FolderStore:
    """A local folder. Files are written in `staging` beside it, synced, and moved into place; what
    killed writers left there goes with the first write of a process and with every lock."""

    at_once = 1  # sixteen threads took ten times the processor time of one
    excludes, guards = True, False

    def __init__(self, root: str) -> None:
        self._root = Path(root).absolute()
        self._staging = self._root.parent / "staging"
        self._swept = False

    def get(self, path: str) -> tuple[bytes, str]:
        data = (self._root / path).read_bytes()
        return data, _tag(data)

    def _sweep(self) -> None:
        self._staging.mkdir(parents=True, exist_ok=True)
        sweep(path for path in self._staging.iterdir() if path.suffix != ".lock")
        self._swept = True

    def put(self, path: str, data: bytes) -> None:
        target = self._root / path
        if not self._swept:
            self._sweep()
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._staging / uuid.uuid4().hex
        try:
            with temporary.open("xb") as file, held(temporary):
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                temporary.replace(target)
        except OSError as error:  # a full disk does not say which file it is about
            raise OSError(error.errno, error.strerror, str(target)) from error

    def create(self, path: str, data: bytes) -> bool:
        if (self._root / path).exists():
            return False
        self.put(path, data)
        return True

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        try:
            same = self.get(path)[1] == tag
        except FileNotFoundError:
            return False
        if same:
            self.put(path, data)
        return same

    def delete(self, path: str) -> None:
        (self._root / path).unlink(missing_ok=True)

    def list(self, folder: str) -> list[Entry]:
        found = []
        for path in sorted((self._root / folder).rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # removed since
                if path.is_file():
                    found.append(Entry(str(path.relative_to(self._root)), path.stat().st_mtime))
        return found

    def size(self, path: str) -> int:
        return (self._root / path).stat().st_size

    def sha256(self, path: str) -> str:
        with (self._root / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def uri(self, path: str) -> str:
        return str(self._root / path)

    @contextlib.contextmanager
    def exclusive(self, folder: str) -> Iterator[None]:
        self._sweep()
        with FileLock(self._staging / f"{_tag(str(self._root / folder).encode())}.lock"):
            yield


class BucketStore:
    """A bucket, or a prefix of one. The store's own put is atomic; there is no rename.

    Raises:
        ImportError: obstore is not installed; it comes with the extra `remote`.
    """

    at_once = 16  # a bucket answers each after some 20 ms
    excludes, guards = False, True

    def __init__(self, root: str) -> None:
        self._url = root.rstrip("/")

    @cached_property
    def _store(self) -> Any:
        from obstore.store import from_url

        return from_url(self._url)

    def get(self, path: str) -> tuple[bytes, str]:
        import obstore

        found = obstore.get(self._store, path)
        return bytes(found.bytes()), str(found.meta["e_tag"])

    def put(self, path: str, data: bytes) -> None:
        import obstore

        obstore.put(self._store, path, data)

    def create(self, path: str, data: bytes) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            obstore.put(self._store, path, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        return True

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        import obstore
        from obstore.exceptions import PreconditionError

        try:
            obstore.put(self._store, path, data, mode={"e_tag": tag}, use_multipart=False)
        except (PreconditionError, FileNotFoundError):
            return False
        return True

    def delete(self, path: str) -> None:
        import obstore

        with contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, path)

    def list(self, folder: str) -> list[Entry]:
        import obstore

        found = obstore.list(self._store, folder).collect()
        return sorted(Entry(str(o["path"]), o["last_modified"].timestamp()) for o in found)

    def size(self, path: str) -> int:
        import obstore

        return obstore.head(self._store, path)["size"]

    def sha256(self, path: str) -> str:
        import obstore

        digest = hashlib.sha256()
        for part in obstore.get(self._store, path):
            digest.update(part)
        return digest.hexdigest()

    def uri(self, path: str) -> str:
        return f"{self._url}/{path}"

    def exclusive(self, folder: str) -> AbstractContextManager[Any]:
        del folder
        return contextlib.nullcontext()


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
