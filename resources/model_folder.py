"""Where a pretrained model's files are, and which version of them: a local folder or the hub."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

# what from_pretrained reads; weights only as safetensors, never a pickle
_WEIGHTS = re.compile(  # as diffusers and transformers name them: plain, or of a variant
    r"(?:diffusion_pytorch_model|model)(?:\.(\w+))?(?:-\d{5}-of-\d{5})?\.safetensors"
)
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


def weights_variant(parts: Iterable[Path]) -> str | None:
    """The variant (`fp16`) of the weights that folders hold, where one of them has no others.

    Args:
        parts: Folders of a model, or of the parts of a pipeline; some may have no weights.

    Raises:
        ValueError: there are several, and nothing says which is meant; or no variant is in all of
            the folders that have no plain weights.
    """
    needed: dict[str, set[str]] = {}
    for part in parts:
        names = [path.name for path in part.glob("*.safetensors")]
        found = {match[1] for name in names if (match := _WEIGHTS.fullmatch(name))}
        if found and None not in found:
            needed[part.name] = {variant for variant in found if variant}
    if not needed:
        return None
    common = set.intersection(*needed.values())
    if len(common) == 1:
        return common.pop()
    there = "; ".join(f"{name}: {', '.join(sorted(found))}" for name, found in needed.items())
    raise ValueError(
        f"the weights are there only as variants, and {'several are' if common else 'none is'} in "
        f"each part ({there}): keep the files of one, or take its name out of theirs"
    )
