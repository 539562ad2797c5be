"""Files and folders that are being written, under a name of their own until they are whole.

Their writer holds a lock on them, which falls with its process. So what nobody holds was left by a
writer that was killed, and the next one sweeps it away; what a living one writes is never touched.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

GRACE_SECONDS = 60.0  # a writer needs far less from making a file to holding it


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds a file or folder while it is written. What of it is still there after the block, which
    has not moved it to its place, is removed."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        _remove(path)
        os.close(handle)


def sweep(paths: Iterable[Path]) -> None:
    """Removes what of unfinished files and folders no living process holds."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # finished, or swept, since
            if time.time() - path.stat().st_mtime >= GRACE_SECONDS:
                _remove_unless_held(path)


def _remove_unless_held(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path)
    except BlockingIOError:
        pass
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
