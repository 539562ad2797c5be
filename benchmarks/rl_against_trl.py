r"""Cost of a trained sample, and what it buys: our RL trainer against TRL's DDPOTrainer.

The peer is no dependency: the last TRL that has a DDPOTrainer gets an environment of its own. Make
it outside the repository, then run from the repository:

    python -m venv PEER
    PEER/bin/pip install trl==0.23.1 "transformers<5" "diffusers<0.36" peft accelerate \
        torch==2.14.1 torchvision==0.29.1
    OMP_NUM_THREADS=1 python -m benchmarks.rl_against_trl --peer PEER/bin/python --out FILE.json

Both sides tune the sandbox's pipeline with the reward `trl_peer.compressibility`. Equal in every
run: weights, tokens and schedule, 16 captions with 4 pictures each an iteration, 10 steps, eta 1,
guidance 2 differentiated through both branches, clips of ratio, advantage and gradient, weight
decay, AdamW, float32, one thread, no checkpoint, no judge. Seconds are the process's own, of CPU,
after a first iteration that only warms up.

Costs are medians over iterations, the sides taking turns. "Equal" trains all 10 timesteps with the
same adapter (or the whole UNet), rewards normalised over the batch, the same 64 pictures in a pass
of the UNet. TRL then takes one optimizer step over all timesteps, ours one each: TRL has no other
way. Our default is, with guidance, the policy gradient on 3 of the 10 timesteps, compared within
captions; pretraining, which TRL has not, is left out. TRL's other choices (its own adapter, smaller
passes, half of the timesteps) are measured too.

Rewards are those of held-out seeds after equal CPU-seconds. Both sides may choose their learning
rate, TRL also its adapter, on a seed that does not count; TRL takes four optimizer steps an
iteration and compares every picture with others of its caption.

Finished runs are kept in --out: started again, the benchmark goes on.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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

BASE = Path(__file__).resolve().parents[1] / "sandbox" / "weights" / "diffusion"
PROMPTS, GROUP, HELD_OUT = 16, 4, 8  # captions, pictures of each an iteration and at the end
NEVER = 1_000_000
PICTURES = [picture(0, index) for index in range(256)]
CAPTIONS = list(dict.fromkeys(one.caption for one in PICTURES))[:PROMPTS]
DEFAULT = Training(
    objective="preference",
    guidance=2.0,
    iterations=NEVER,
    evaluate_every=NEVER,
    checkpoint_every=NEVER,
    pretraining_weight=0.0,
    sampling={"preference": Sampling(PROMPTS, GROUP)},
)
EQUAL = replace(
    DEFAULT,
    method="policy-gradient",
    trained_steps=DEFAULT.steps,
    least_deviation=0.0,
    micro_batch=PROMPTS * GROUP,
    sampling={"preference": Sampling(PROMPTS, GROUP, normalise="batch")},
)
SAME = {
    "r": DEFAULT.lora_rank,
    "lora_alpha": DEFAULT.lora_rank,
    "target_modules": list(LORA_TARGETS),
    "init_lora_weights": "gaussian",
}
OWN: dict[str, Any] = {}  # TRL's: rank 4, attention alone
LEARNING = {"train_batch_size": 16, "per_prompt_stat_tracking": True}
OURS = {
    "equal, adapter": EQUAL,
    "equal, whole UNet": replace(EQUAL, lora_rank=0),
    "default": DEFAULT,
}
THEIRS: dict[str, tuple[dict[str, Any] | None, dict[str, Any]]] = {
    "equal, adapter": (SAME, {}),
    "equal, whole UNet": (None, {}),
    "its own adapter": (OWN, {}),
    "passes of 32": (SAME, {"train_batch_size": 32}),
    "half of the timesteps": (SAME, {"train_timestep_fraction": 0.5}),
}
OUR_RATES, THEIR_RATES = (8e-4, 1.6e-3, 3.2e-3, 6.4e-3), (1e-3, 3e-3, 1e-2, 3e-2)


class Compressibility:
    """The shared reward as a scorer of ours."""

    def score(self, pictures: np.ndarray, captions: Sequence[str]) -> np.ndarray:  # noqa: ARG002
        """Of every picture, whatever its caption."""
        return compressibility(pictures)


def held_out(model: TextToImage) -> float:
    """Mean reward of seeds that no run trains on, drawn in the same way whoever trained."""
    drawn = roll_out(
        model,
        make_schedule(model.scheduler, DEFAULT.steps, DEFAULT.eta),
        [caption for caption in CAPTIONS for _ in range(HELD_OUT)],
        range(NEVER, NEVER + PROMPTS * HELD_OUT),
        guidance=DEFAULT.guidance,
    )
    return float(compressibility(drawn.pictures).mean())


def run_ours(settings: Training, seconds: float) -> dict[str, Any]:
    """Train for so many CPU-seconds.

    Returns:
        Of every iteration after the first, the CPU-seconds since then and the mean reward; and
        the reward of held-out seeds in the end.
    """
    model, prompts = load_text_to_image(str(BASE)), [Prompt(text, Wanted(())) for text in CAPTIONS]
    pixels = np.stack([one.pixels for one in PICTURES])
    data = Data(
        prompts={"preference": prompts},
        probes={"preference": prompts[:1]},
        pretraining=(model.pack(pixels), [one.caption for one in PICTURES]),
    )
    rewards = Rewards([Compressibility()], None, None)
    with tempfile.TemporaryDirectory() as folder:
        accelerator, quiet = Accelerator(cpu=True), lambda line: None  # noqa: ARG005
        trainer = Trainer(model, settings, data, rewards, rewards, Path(folder), accelerator, quiet)
        records = trainer.run()
        next(records)
        began, spent, found = time.process_time(), list[float](), list[float]()
        while not spent or spent[-1] < seconds:
            found.append(next(records)["preference_reward"])
            spent.append(time.process_time() - began)
    return {"seconds": spent, "rewards": found, "held_out": held_out(model)}


def run_theirs(
    peer: str, lora: Mapping[str, Any] | None, config: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """The same, of TRL; `config` changes what `DDPOConfig` gets, `lora` see `open_pipeline`."""
    pictures = PROMPTS * GROUP
    same = {
        "mixed_precision": "no",
        "save_freq": NEVER,
        "sample_num_steps": DEFAULT.steps,
        "sample_eta": DEFAULT.eta,
        "sample_guidance_scale": DEFAULT.guidance,
        "sample_batch_size": pictures,
        "sample_num_batches_per_epoch": 1,
        "train_batch_size": pictures,
        "train_learning_rate": DEFAULT.learning_rate,
        "train_adam_weight_decay": DEFAULT.weight_decay,
        "train_max_grad_norm": DEFAULT.max_gradient,
        "train_adv_clip_max": 10.0,
        "train_clip_range": DEFAULT.clip,
        "per_prompt_stat_tracking": False,
        "seed": 0,
    }
    with tempfile.TemporaryDirectory() as folder:
        job, weights = Path(folder, "job.json"), Path(folder, "unet.safetensors")
        about = {
            "base": str(BASE),
            "lora": lora,
            "prompts": CAPTIONS,
            "group": GROUP,
            "seconds": seconds,
            "weights": str(weights),
            "config": same | dict(config),
        }
        job.write_text(json.dumps(about))
        script = Path(__file__).with_name("trl_peer.py")
        said = subprocess.run([peer, script, job], stdout=subprocess.PIPE, text=True, check=True)
        model = load_text_to_image(str(BASE))
        model.pipeline.unet.load_state_dict(load_file(weights))
    return json.loads(said.stdout.splitlines()[-1]) | {"held_out": held_out(model)}


class Runs:
    """Runs by name, kept in a file: one that is there is not done again."""

    def __init__(self, path: Path, peer: str) -> None:
        self.path, self.peer = path, peer
        self.done: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def keep(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returns, or returned the last time."""
        if name not in self.done:
            self.done[name] = make()
            self.path.write_text(json.dumps(self.done, indent=1) + "\n")
            print(f"  {name}", flush=True)
        return self.done[name]

    def ours(self, name: str, settings: Training, seconds: float) -> dict[str, Any]:
        """A run of ours."""
        return self.keep(f"ours: {name}", lambda: run_ours(settings, seconds))

    def theirs(self, name: str, lora: Any, config: Any, seconds: float) -> dict[str, Any]:
        """A run of TRL."""
        return self.keep(f"TRL: {name}", lambda: run_theirs(self.peer, lora, config, seconds))


def cost(runs: Sequence[Mapping[str, Any]]) -> float:
    """CPU-seconds of a trained sample: the median over iterations."""
    spent = [np.diff(run["seconds"], prepend=0.0) for run in runs]
    return float(np.median(np.concatenate(spent)) / (PROMPTS * GROUP))


def compare_costs(runs: Runs, seconds: float, repeats: int) -> dict[str, float]:
    """Every setting of either side, taking turns."""
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(repeats):
        for name in dict.fromkeys([*OURS, *THEIRS]):
            title = f"{name}, {number}"
            if name in OURS:
                settings = replace(OURS[name], seed=number)
                found.setdefault(f"ours, {name}", []).append(runs.ours(title, settings, seconds))
            if name in THEIRS:
                lora, config = THEIRS[name]
                config = config | {"seed": number}
                found.setdefault(f"TRL, {name}", []).append(
                    runs.theirs(title, lora, config, seconds)
                )
    return {name: cost(several) for name, several in found.items()}


def compare_rewards(runs: Runs, seconds: float, seeds: int) -> dict[str, list[float]]:
    """Held-out rewards of every seed, at the learning rate that is best on another one."""

    def ours(rate: float, seed: int) -> float:
        settings = replace(DEFAULT, learning_rate=rate, seed=seed)
        return runs.ours(f"rate {rate:g}, seed {seed}", settings, seconds)["held_out"]

    def theirs(adapter: str, rate: float, seed: int) -> float:
        config = LEARNING | {"train_learning_rate": rate, "seed": seed}
        lora = {"same": SAME, "own": OWN}[adapter]
        title = f"{adapter} adapter, rate {rate:g}, seed {seed}"
        return runs.theirs(title, lora, config, seconds)["held_out"]

    chosen = max(OUR_RATES, key=lambda rate: ours(rate, seeds))
    choices = [(adapter, rate) for adapter in ("same", "own") for rate in THEIR_RATES]
    peers = max(choices, key=lambda choice: theirs(*choice, seeds))
    pairs = [(ours(chosen, seed), theirs(*peers, seed)) for seed in range(seeds)]
    return {
        f"ours, default, rate {chosen:g}": [first for first, _ in pairs],
        f"TRL, {peers[0]} adapter, rate {peers[1]:g}": [second for _, second in pairs],
    }


def main() -> None:
    """Run what is not there yet, and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peer", required=True, help="Python with trl 0.23.1")
    parser.add_argument("--out", required=True, type=Path, help="JSON of all runs")
    parser.add_argument("--part", choices=("cost", "reward", "all"), default="all")
    parser.add_argument("--cost-seconds", type=float, default=40, help="CPU of a run for its cost")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=240, help="CPU of a run for its reward")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs = Runs(given.out, given.peer)
    if given.part != "reward":
        costs = compare_costs(runs, given.cost_seconds, given.repeats)
        equal = costs["TRL, equal, adapter"]
        cheapest = min(value for name, value in costs.items() if name.startswith("TRL"))
        print(f"{'CPU-seconds a sample':32}{'':8}{'/ TRL equal':>14}{'/ TRL cheapest':>16}")
        for name, value in costs.items():
            print(f"{name:32}{value:8.4f}{value / equal:14.2f}{value / cheapest:16.2f}")
        whole = costs["ours, equal, whole UNet"] / costs["TRL, equal, whole UNet"]
        print(f"whole UNet, ours / TRL: {whole:.2f}")
    if given.part != "cost":
        base = runs.keep("base", lambda: held_out(load_text_to_image(str(BASE))))
        print(f"held-out reward after {given.seconds:g} CPU-seconds (the base's: {base:.3f})")
        for name, values in compare_rewards(runs, given.seconds, given.seeds).items():
            each = ", ".join(f"{value:.3f}" for value in values)
            print(f"{name:40}{np.mean(values):8.3f}   ({each})")


if __name__ == "__main__":
    main()
