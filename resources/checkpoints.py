"""Model checkpoints: safetensors folders named by their content."""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from resources.manifests import sealed, unsealed
from resources.object_store import open_store
from resources.unfinished import held, sweep

MANIFEST = "manifest.json"
STAGING = ".staging-"  # prefix of folders that are being written


class Checkpoints(dg.ConfigurableResource):
    """Folders under `root/<name>/<version>/`, each with a manifest: sha256 of every file, what it
    was made from, configuration and metrics. A version is the hash of its files: the same weights
    are the same version, and a killed writer leaves nothing under a version's name. What it leaves
    beside it goes with the next version; one that was damaged since is replaced by saving it again.

    `shared`, if set, is a URI (`s3://bucket/checkpoints`) that every version is sent to, the
    manifest last, and fetched from where this machine does not have it. Training and loading
    always work on the folder.
    """

    root: str
    shared: str = ""

    def save(
        self, name: str, write: Callable[[Path], None], *, about: Mapping[str, Any] | None = None
    ) -> str:
        """Let `write` fill a folder, then move it into place. Returns the version."""
        with self._staging(name) as staging:
            write(staging)
            files = {
                str(path.relative_to(staging)): _sha256(path)
                for path in sorted(staging.rglob("*"))
                if path.is_file()
            }
            version = _version(files)
            body = {"about": dict(about or {}), "files": files, "name": name, "version": version}
            (staging / MANIFEST).write_bytes(sealed(body))
            _move(staging, Path(self.root) / name / version)
        if self.shared:
            self._send(name, version)
        return version

    @contextmanager
    def _staging(self, name: str) -> Iterator[Path]:
        """A folder to write a version in, gone after the block. Killed writers' go first."""
        base = Path(self.root) / name
        sweep(base.glob(f"{STAGING}*"))
        staging = base / f"{STAGING}{uuid.uuid4().hex}"
        staging.mkdir(parents=True)
        with held(staging):
            yield staging

    def _send(self, name: str, version: str) -> None:
        store, folder = open_store(self.shared), Path(self.root) / name / version
        for file in _files(folder):
            store.create(f"{name}/{version}/{file}", (folder / file).read_bytes())
        store.create(f"{name}/{version}/{MANIFEST}", (folder / MANIFEST).read_bytes())

    def _fetch(self, name: str, version: str) -> None:
        """Bring a version here, if it was sent; what came is verified by whoever opens it."""
        store = open_store(self.shared)
        try:
            manifest, _ = store.get(f"{name}/{version}/{MANIFEST}")
        except FileNotFoundError:
            return
        with self._staging(name) as staging:
            (staging / MANIFEST).write_bytes(manifest)
            for file in _files(staging):
                if not (staging / file).resolve().is_relative_to(staging.resolve()):
                    raise dg.Failure(f"checkpoint {name}/{version}: {file!r} leads out of it")
                (staging / file).parent.mkdir(parents=True, exist_ok=True)
                (staging / file).write_bytes(store.get(f"{name}/{version}/{file}")[0])
            _move(staging, Path(self.root) / name / version)

    def about(self, name: str, version: str) -> dict[str, Any]:
        """What was told of a version when it was saved first.

        Raises:
            dg.Failure: see `path`.
        """
        return unsealed((self.path(name, version) / MANIFEST).read_bytes())["about"]

    def workspace(self, name: str, job: Mapping[str, Any]) -> Path:
        """A folder for work that may be killed: the same job finds what it had done before."""
        digest = hashlib.sha256(json.dumps(job, sort_keys=True, default=str).encode()).hexdigest()
        folder = Path(self.root) / ".work" / f"{name}-{digest[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def path(self, name: str, version: str) -> Path:
        """The folder of a version.

        Raises:
            dg.Failure: it is not there, or a file is not the one that was saved.
        """
        folder = Path(self.root) / name / version
        fault = _fault(folder)
        if fault and self.shared:
            self._fetch(name, version)
            fault = _fault(folder)
        if not (folder / MANIFEST).exists():
            raise dg.Failure(f"checkpoint {name}/{version} is missing; materialize {name} again")
        if fault:
            raise dg.Failure(f"checkpoint {name}/{version}: {fault}; materialize {name} again")
        return folder

    def damage(self) -> Iterator[str]:
        """What is wrong with each damaged version here. All of them are read for it."""
        for manifest in sorted(Path(self.root).glob(f"*/*/{MANIFEST}")):
            name, version = manifest.parts[-3:-1]
            if not version.startswith(STAGING) and (fault := _fault(manifest.parent)):
                yield f"checkpoint {name}/{version}: {fault}; materialize {name} again"


def _move(staging: Path, target: Path) -> None:
    """Moves a version to its place, unless it is there, whole."""
    if target.exists():
        if not _fault(target):
            return
        target.replace(target.with_name(f"{STAGING}{uuid.uuid4().hex}"))  # the next writer sweeps
    staging.replace(target)


def _fault(folder: Path) -> str:
    """What is wrong with a version's folder, or nothing."""
    try:
        for file, digest in _files(folder).items():
            if _sha256(folder / file) != digest:
                return f"{folder / file} is damaged: it holds other bytes than were written"
    except ValueError as error:
        return f"{folder / MANIFEST} is damaged: it {error}"
    except OSError as error:
        return f"{error.filename} cannot be read ({error.strerror})"
    return ""


def _files(folder: Path) -> dict[str, str]:
    """Name -> sha256 of a version's files, by its manifest."""
    files = unsealed((folder / MANIFEST).read_bytes()).get("files")
    if not isinstance(files, dict):
        raise ValueError("is no manifest of a checkpoint")
    return files


def _version(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
