"""Model checkpoints: safetensors folders named by their content."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from resources.object_store import open_store

MANIFEST = "manifest.json"


class Checkpoints(dg.ConfigurableResource):
    """Folders under `root/<name>/<version>/`, each with a manifest: sha256 of every file, what it
    was made from, configuration and metrics. A version is the hash of its files: the same weights
    are the same version, and a killed writer leaves nothing under a version's name.

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
        base = Path(self.root) / name
        staging = base / f".staging-{uuid.uuid4().hex}"
        staging.mkdir(parents=True)
        try:
            write(staging)
            files = {
                str(path.relative_to(staging)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(staging.rglob("*"))
                if path.is_file()
            }
            version = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
            body = {"name": name, "version": version, "files": files, "about": dict(about or {})}
            text = json.dumps(body, indent=2, sort_keys=True, default=str)
            (staging / MANIFEST).write_text(text + "\n")
            if not (base / version).exists():
                staging.replace(base / version)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        if self.shared:
            self._send(name, version)
        return version

    def _send(self, name: str, version: str) -> None:
        store, folder = open_store(self.shared), Path(self.root) / name / version
        for file in json.loads((folder / MANIFEST).read_text())["files"]:
            store.create(f"{name}/{version}/{file}", (folder / file).read_bytes())
        store.create(f"{name}/{version}/{MANIFEST}", (folder / MANIFEST).read_bytes())

    def _fetch(self, name: str, version: str) -> None:
        """Bring a version here, if it was sent; what came is verified by whoever opens it."""
        store, base = open_store(self.shared), Path(self.root) / name
        try:
            manifest, _ = store.get(f"{name}/{version}/{MANIFEST}")
        except FileNotFoundError:
            return
        staging = base / f".staging-{uuid.uuid4().hex}"
        try:
            for file in json.loads(manifest)["files"]:
                if not (staging / file).resolve().is_relative_to(staging.resolve()):
                    raise dg.Failure(f"checkpoint {name}/{version}: {file!r} leads out of it")
                (staging / file).parent.mkdir(parents=True, exist_ok=True)
                (staging / file).write_bytes(store.get(f"{name}/{version}/{file}")[0])
            (staging / MANIFEST).write_bytes(manifest)
            if not (base / version).exists():
                staging.replace(base / version)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def about(self, name: str, version: str) -> dict[str, Any]:
        """What was told of a version when it was saved first.

        Raises:
            dg.Failure: see `path`.
        """
        return json.loads((self.path(name, version) / MANIFEST).read_text())["about"]

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
        if self.shared and not (folder / MANIFEST).exists():
            self._fetch(name, version)
        if not (folder / MANIFEST).exists():
            raise dg.Failure(f"checkpoint {name}/{version} is missing; materialize {name} again")
        for file, digest in json.loads((folder / MANIFEST).read_text())["files"].items():
            if hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
                raise dg.Failure(f"checkpoint {name}/{version}: {file} is damaged")
        return folder
