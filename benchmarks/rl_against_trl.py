"""Cost of a trained sample, and what it buys: our RL trainer against TRL's DDPOTrainer.

The peer is no dependency: it has an environment of its own, with the last TRL that has a
DDPOTrainer. Make it outside the repository, then run from the repository:

    python -m venv PEER
    PEER/bin/pip install trl==0.23.1 "transformers<5" "diffusers<0.36" torch==2.14.1 \
        torchvision==0.29.1 peft accelerate
    OMP_NUM_THREADS=1 python -m benchmarks.rl_against_trl --peer PEER/bin/python --out FILE.json

Both sides tune the sandbox's pipeline on one thread, with the reward `trl_peer.compressibility`,
the same 16 captions, 64 pictures an iteration, 10 steps, eta 1, guidance 2 through both branches,
and the same clip of the ratio, float32, AdamW, no checkpoints and no judge. Seconds are those of
the process's CPU, after a first iteration that only warms up.
"""

import argparse
import itertools
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from benchmarks.trl_peer import compressibility
from resources.diffusion import TextToImage, load_text_to_image
from rl_diffusion_assets.policy.ddim import make_schedule
from rl_diffusion_assets.policy.rollout import roll_out
from rl_diffusion_assets.policy.settings import Training
from rl_diffusion_assets.policy.tasks import Prompt, Rewards, Sampling
from rl_diffusion_assets.policy.trainer import LORA_TARGETS, Data, Trainer
from rl_diffusion_assets.rewards.composition import Wanted
from sandbox.pictures import picture

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "sandbox" / "weights" / "diffusion"
PROMPTS, GROUP, HELD_OUT = 16, 4, 8  # captions, pictures of each an iteration, and in the end
NEVER = 1_000_000
DEFAULT = Training(
    objective="preference",
    guidance=2.0,
    iterations=NEVER,
    evaluate_every=NEVER,
    checkpoint_every=NEVER,
)


@dataclass(frozen=True)
class Run:
    """CPU-seconds and mean reward after every iteration, and the reward on held-out seeds."""

    seconds: list[float]
    rewards: list[float]
    held_out: float

    @property
    def cost(self) -> float:
        """CPU-seconds of a trained sample."""
        return self.seconds[-1] / len(self.seconds) / (PROMPTS * GROUP)


class Compressibility:
    """The shared reward as a scorer of ours."""

    def score(self, pictures: np.ndarray, captions: Sequence[str]) -> np.ndarray:
        """Of every picture, whatever its caption."""
        return compressibility(pictures)
