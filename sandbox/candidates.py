"""Models that the studio had tuned before: each is what it changed of the base's denoiser.

People rate what all kinds of models draw, tuned ones among them; a reward model that has never seen
such pictures cannot tell what tuning does to them. A candidate is made of any tuned pipeline:
`python -m sandbox.candidates NAME FOLDER`, where FOLDER is a checkpoint of `rl_diffusion_weights`.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WEIGHTS = Path(__file__).resolve().parent / "weights"
BASE, CANDIDATES = WEIGHTS / "diffusion", WEIGHTS / "candidates"
UNET = Path("unet") / "diffusion_pytorch_model.safetensors"
RANK = 16  # of the adapter that tuned them, so that nothing is lost but half precision


def write_candidate(tuned: Path, target: Path) -> int:
    """The low-rank difference between a tuned denoiser and the base's; how many tensors changed."""
    import torch
    from safetensors.torch import load_file, save_file

    before, after = load_file(BASE / UNET), load_file(tuned / UNET)
    parts = {}
    for name, weight in before.items():
        change = after[name] - weight
        if not change.any():
            continue
        left, sizes, right = torch.linalg.svd(change.flatten(1), full_matrices=False)
        root = sizes[:RANK].sqrt()
        parts[f"{name}/up"] = (left[:, :RANK] * root).half().contiguous()
        parts[f"{name}/down"] = (root[:, None] * right[:RANK]).half().contiguous()
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(parts, target)
    return len(parts) // 2


@contextmanager
def candidate(unet: Any, name: str) -> Iterator[None]:
    """The base's denoiser as a candidate has it; without a name, as it is."""
    import torch
    from safetensors.torch import load_file

    parts = load_file(CANDIDATES / f"{name}.safetensors") if name else {}
    kept = {}
    with torch.no_grad():
        for key in {part.rpartition("/")[0] for part in parts}:
            weight = unet.get_parameter(key)
            kept[key] = weight.clone()
            weight += (parts[f"{key}/up"].float() @ parts[f"{key}/down"].float()).view_as(weight)
    try:
        yield
    finally:
        with torch.no_grad():
            for key, weight in kept.items():
                unet.get_parameter(key).copy_(weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    count = write_candidate(arguments.folder, CANDIDATES / f"{arguments.name}.safetensors")
    print(f"{arguments.name}: {count} tensors of the denoiser changed")


if __name__ == "__main__":
    main()
