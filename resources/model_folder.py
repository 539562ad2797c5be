"""Where a pretrained model's files are, and which version of them: a local folder or the hub."""

import hashlib
from functools import lru_cache
from pathlib import Path

# what from_pretrained reads; weights only as safetensors, never a pickle
_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def model_folder(name: str, revision: str = "") -> Path:
    """The folder of a model.

    Args:
        name: An existing local folder, or a hub id (`owner/model` or `owner/model@revision`;
            downloaded once, then read from the local cache, also without a network).
        revision: Branch, tag or commit of a hub id that names none; empty: the default branch.

    Raises:
        FileNotFoundError: `name` is neither a folder nor a hub id that can be had.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    hub_id, _, pinned = name.partition("@")
    if folder.is_absolute() or name.startswith(".") or hub_id.count("/") != 1:
        raise FileNotFoundError(
            f"model {name!r}: no such folder, and not a hub id (owner/model@revision)"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        # transfer problems fall back to the cache inside snapshot_download
        wanted = pinned or revision or None
        return Path(snapshot_download(hub_id, revision=wanted, allow_patterns=_PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(f"model {name!r}: not in the local cache and no hub") from error


@lru_cache(maxsize=8)
def folder_version(folder: Path) -> str:
    """sha256 over names and contents of the model files, or the commit of a hub snapshot.

    Gigabytes are hashed at disk speed, once a process.
    """
    if folder.parent.name == "snapshots":  # the hub's cache names the folder by its commit
        return f"{folder.parent.parent.name}@{folder.name}"
    digest = hashlib.sha256()
    files = {path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(files):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
