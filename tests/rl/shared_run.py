"""A short joint run on the tiny pipeline: `python -m tests.rl.shared_run PIPELINE FOLDER`.

Alone, or by torch.distributed in any number of processes.
"""

import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from accelerate import Accelerator

from resources.diffusion import load_text_to_image
from rl_diffusion_assets.policy import trainer as training
from rl_diffusion_assets.policy.trainer import Data, Trainer
from tests.rl.conftest import LATENT, PROMPTS, SMALL, rewards


def main(pipeline: str, folder: Path) -> None:
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    latents = torch.randn((16, *LATENT), generator=torch.Generator().manual_seed(5))
    data = Data(PROMPTS, PROMPTS, (latents, ["real"] * 16))
    settings = replace(
        SMALL, objective="joint", iterations=2, evaluate_every=1, pretraining_weight=0.0
    )
    seen: list[np.ndarray] = []
    plain = training.advantages_of

    def watched(*args):
        seen.append(plain(*args))
        return seen[-1]

    trainer = Trainer(
        load_text_to_image(pipeline),
        settings,
        data,
        rewards(),
        rewards(),
        folder,
        accelerator,
        str,
    )
    with patch.object(training, "advantages_of", watched):
        list(trainer.run())
    rank = accelerator.process_index
    weights = torch.cat([p.detach().flatten() for p in trainer.parameters]).numpy()
    np.savez(folder / f"rank{rank}.npz", advantages=np.concatenate(seen), weights=weights)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
