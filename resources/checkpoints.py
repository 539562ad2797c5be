"""Model checkpoints: safetensors folders named by their content."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

MANIFEST = "manifest.json"


class Checkpoints(dg.ConfigurableResource):
    """Folders under `root/<name>/<version>/`, each with a manifest: sha256 of every file, what it
    was made from, configuration and metrics. A version is the hash of its files: the same weights
    are the same version, and a killed writer leaves nothing under a version's name.
    """

    root: str

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
        return version

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
        if not (folder / MANIFEST).exists():
            raise dg.Failure(f"checkpoint {name}/{version} is missing; materialize {name} again")
        for file, digest in json.loads((folder / MANIFEST).read_text())["files"].items():
            if hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
                raise dg.Failure(f"checkpoint {name}/{version}: {file} is damaged")
        return folder
