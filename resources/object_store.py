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


class Entry(NamedTuple):
    """A stored file: its path, and when it was written (seconds since 1970, UTC)."""

    path: str
    modified: float


class Store(Protocol):
    """What the lake needs of a place for bytes.

    Attributes:
        at_once: Files that are best asked for at the same time.
    """

    at_once: int

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
    """A local folder. Files are written in `staging` beside it, synced, and moved into place."""

    at_once = 1  # sixteen threads took ten times the processor time of one

    def __init__(self, root: str) -> None:
        self._root = Path(root).absolute()
        self._staging = self._root.parent / "staging"

    def get(self, path: str) -> tuple[bytes, str]:
        data = (self._root / path).read_bytes()
        return data, _tag(data)

    def put(self, path: str, data: bytes) -> None:
        self._staging.mkdir(parents=True, exist_ok=True)
        (self._root / path).parent.mkdir(parents=True, exist_ok=True)
        temporary = self._staging / uuid.uuid4().hex
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._root / path)

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

    def uri(self, path: str) -> str:
        return str(self._root / path)

    @contextlib.contextmanager
    def exclusive(self, folder: str) -> Iterator[None]:
        self._staging.mkdir(parents=True, exist_ok=True)
        with FileLock(self._staging / f"{_tag(str(self._root / folder).encode())}.lock"):
            yield


class BucketStore:
    """A bucket, or a prefix of one. The store's own put is atomic; there is no rename.

    Raises:
        ImportError: obstore is not installed; it comes with the extra `remote`.
    """

    at_once = 16  # a bucket answers each after some 20 ms

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

    def uri(self, path: str) -> str:
        return f"{self._url}/{path}"

    def exclusive(self, folder: str) -> AbstractContextManager[Any]:
        del folder
        return contextlib.nullcontext()


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
