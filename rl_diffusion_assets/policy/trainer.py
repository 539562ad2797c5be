"""The training loop: roll out, score, take a few clipped steps, and one on real pictures.

Zhang et al. 2024 (2401.12244), algorithm 1, with what the field has learnt since as options.
"""

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from resources.diffusion import TextToImage
from rl_diffusion_assets.policy.ddim import Schedule, make_schedule
from rl_diffusion_assets.policy.objective import clipped_loss, reference_divergence
from rl_diffusion_assets.policy.rollout import roll_out, step_log_probability
from rl_diffusion_assets.policy.tasks import (
    Prompt,
    Rewards,
    Sampling,
    advantages_of,
    draw_prompts,
    measure,
    score,
    tasks_of,
)

Array = np.ndarray
LORA_TARGETS = (
    *("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"),
    *("proj_in", "proj_out", "conv1", "conv2", "time_emb_proj"),
)
STATE, HISTORY = "state.safetensors", "history.jsonl"


@dataclass(frozen=True)
class Training:
    """Settings of a run. Defaults are those of the sandbox; the paper's are in docs/rl.md."""

    objective: str = "joint"
    seed: int = 0
    iterations: int = 60
    steps: int = 10
    eta: float = 1.0
    guidance: float = 1.0
    trained_steps: int = 5
    least_deviation: float = 0.1
    clip: float = 5e-3
    learning_rate: float = 8e-4
    weight_decay: float = 1e-2
    max_gradient: float = 1.0
    warm_up: int = 4
    lora_rank: int = 16  # 0 trains the whole UNet
    kl_weight: float = 0.0
    pretraining_weight: float = 0.1
    pretraining_batch: int = 32
    ema: float = 0.0  # 0 for none
    micro_batch: int = 64
    gradient_checkpointing: bool = False
    evaluate_every: int = 10
    probe_seed: int = 1_000_000
    checkpoint_every: int = 5
    alarm_fall: float = 0.12  # 200 pictures: a difference of 0.05 is one standard error
    sampling: Mapping[str, Sampling] = field(
        default_factory=lambda: {
            "preference": Sampling(16, 4),
            "fairness": Sampling(4, 16),
            "composition": Sampling(16, 4),
        }
    )


class Hacked(RuntimeError):
    """The proxy reward climbs while the judge falls: what is learnt is the proxy's loophole."""


@dataclass
class Probe:
    """Fixed captions and seeds that every evaluation uses, of one objective."""

    prompts: list[Prompt]
    groups: Array
    seeds: list[int]


@dataclass
class Data:
    """What a run learns from.

    Attributes:
        prompts: Training captions of every objective.
        probes: Captions that the judge is asked about during training.
        pretraining: Clean latents ``[n, c, h, w]`` and captions of real pictures.
    """

    prompts: Mapping[str, Sequence[Prompt]]
    probes: Mapping[str, Sequence[Prompt]]
    pretraining: tuple[Any, list[str]]


class Trainer:
    """One run. `run` yields a record per iteration; it can be stopped and started again."""

    def __init__(
        self,
        model: TextToImage,
        training: Training,
        data: Data,
        rewards: Rewards,
        judge: Rewards,
        folder: Path,
        accelerator: Any,
        log: Callable[[str], None] = print,
    ) -> None:
        self.model, self.settings, self.data = model, training, data
        self.rewards, self.judge, self.folder, self.log = rewards, judge, folder, log
        self.accelerator = accelerator
        self.tasks = tasks_of(training.objective)
        self.schedule: Schedule = make_schedule(model.scheduler, training.steps, training.eta)
        self.trainable = self.schedule.trainable(training.least_deviation)
        if len(self.trainable) < training.trained_steps:
            raise ValueError(
                f"trained_steps={training.trained_steps}, but only {len(self.trainable)} of "
                f"{training.steps} steps have a deviation of {training.least_deviation} or more"
            )
        self.iteration, self.seconds = 0, 0.0
        self.best: dict[str, Any] = {"value": float("-inf"), "iteration": 0}
        self.evaluations: list[dict[str, Any]] = []
        self._prepare()

    # -- weights ---------------------------------------------------------------------------------

    def _prepare(self) -> None:
        import torch

        settings, unet = self.settings, self.model.unet
        torch.manual_seed(settings.seed)
        self.reference: Any = None
        if settings.lora_rank:
            from peft import LoraConfig

            unet.add_adapter(
                LoraConfig(
                    r=settings.lora_rank,
                    lora_alpha=settings.lora_rank,
                    target_modules=list(LORA_TARGETS),
                    init_lora_weights="gaussian",
                )
            )
        else:
            if settings.kl_weight:
                self.reference = copy.deepcopy(unet)
            unet.requires_grad_(True)
        if settings.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        named = [(n, p) for n, p in unet.named_parameters() if p.requires_grad]
        self.names, self.parameters = [n for n, _ in named], [p for _, p in named]
        self.optimizer = torch.optim.AdamW(
            self.parameters, settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.average = [p.detach().clone() for p in self.parameters] if settings.ema else []
        self.best_weights = [p.detach().clone() for p in self.parameters]
        self._base_scores: dict[str, Array] = {}
        self._known = 1.0

    def use_best(self) -> None:
        """Put the best checkpoint's weights into the model, adapters merged into the UNet."""
        import torch

        with torch.no_grad():
            for parameter, value in zip(self.parameters, self.best_weights, strict=True):
                parameter.copy_(value)
        if self.settings.lora_rank:
            self.model.unet.fuse_lora()
            self.model.unet.unload_lora()
        self.model.unet.requires_grad_(False)

    def _current(self) -> list[Any]:
        return self.average or [p.detach() for p in self.parameters]

    # -- one iteration ---------------------------------------------------------------------------

    def run(self) -> Iterator[dict[str, Any]]:
        """Train to the end, or until the alarm.

        Raises:
            Hacked: see `_alarm`; the best weights are kept.
        """
        if not self.evaluations:
            self._evaluate()
        self._alarm()  # a run that was stopped stays stopped when it is started again
        while self.iteration < self.settings.iterations:
            began = time.monotonic()
            record = {"iteration": self.iteration + 1} | self._iterate()
            self.iteration += 1
            if self.iteration % self.settings.evaluate_every == 0 or (
                self.iteration == self.settings.iterations
            ):
                record |= {f"judge_{k}": v for k, v in self._evaluate().items()}
            self.seconds += time.monotonic() - began
            record["seconds"] = round(self.seconds, 2)
            if self.accelerator.is_main_process:
                with (self.folder / HISTORY).open("a") as lines:
                    lines.write(json.dumps(record) + "\n")
                if self.iteration % self.settings.checkpoint_every == 0:
                    self.save()
            yield record
            self._alarm()

    def _iterate(self) -> dict[str, float | None]:
        settings, record = self.settings, dict[str, float | None]()
        rate = settings.learning_rate * min(1.0, (self.iteration + 1) / max(1, settings.warm_up))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for number, task in enumerate(self.tasks):
            record |= {f"{task}_{k}": v for k, v in self._improve(task, number).items()}
        if settings.pretraining_weight:
            record["pretraining_loss"] = self._pretrain()
        for kept, parameter in zip(self.average, self.parameters, strict=False):
            kept.lerp_(parameter.detach(), 1 - settings.ema)
        return record

    def _rng(self, *key: int) -> np.random.Generator:
        """Every draw is a function of the seed and where it happens: nothing has to be resumed."""
        return np.random.default_rng([self.settings.seed, self.iteration, *key])

    def _mine(self, groups: Array) -> Array:
        """Rows of this process: whole groups."""
        workers, worker = self.accelerator.num_processes, self.accelerator.process_index
        return np.flatnonzero(groups % workers == worker)

    def _improve(self, task: str, number: int) -> dict[str, float | None]:
        """Roll out one objective's batch and take its optimizer steps."""
        import torch

        settings, sampling = self.settings, self.settings.sampling[task]
        rng = self._rng(1, number)
        prompts, groups = draw_prompts(self.data.prompts[task], sampling, rng)
        seeds = rng.integers(2**48, size=len(prompts))
        mine = self._mine(groups)
        own = [prompts[row] for row in mine]
        drawn = roll_out(
            self.model,
            self.schedule,
            [prompt.text for prompt in own],
            [int(seeds[row]) for row in mine],
            guidance=settings.guidance,
            batch=settings.micro_batch,
        )
        values = score(task, self.rewards, drawn.pictures, own, groups[mine], sampling)
        gathered = self._gather(values, mine, len(prompts))
        advantage = advantages_of(task, gathered, groups, sampling)[mine]
        known = np.isfinite(values)
        device = self.model.device
        advantage_of = torch.tensor(advantage, device=device)
        # Each process averages over its own; together that is the mean over all known rewards.
        every = np.isfinite(gathered).sum() / self.accelerator.num_processes
        weight_of = torch.tensor(known.astype(np.float32), device=device)
        self._known = max(float(every), 1.0)
        there = gathered[np.isfinite(gathered)]
        steps = rng.choice(self.trainable, settings.trained_steps, replace=False)
        if not len(there):  # a step without a reward would still move by momentum and decay
            return {"reward": None, "missing": 1.0}
        figures = [self._step(drawn, int(step), advantage_of, weight_of) for step in steps]
        mean = {key: float(np.mean([f[key] for f in figures])) for key in figures[0]}
        return {
            "reward": float(there.mean()),
            "reward_deviation": float(there.std()),
            "missing": 1.0 - len(there) / len(gathered),
            "clamped": float((np.abs(advantage) >= 10).mean()),
            "ratio_first": figures[0]["ratio"],
            "ratio_deviation_first": figures[0]["ratio_deviation"],
            **mean,
        }

    def _step(self, drawn: Any, step: int, advantage: Any, weight: Any) -> dict[str, float]:
        """One optimizer step on one timestep of all samples."""
        import torch

        settings, total = self.settings, len(drawn.captions)
        self.optimizer.zero_grad()
        names = ("ratio", "ratio_deviation", "clipped_high", "clipped_low", "kl")
        sums: dict[str, float] = dict.fromkeys(names, 0.0)
        for start in range(0, total, settings.micro_batch):
            rows = torch.arange(start, min(start + settings.micro_batch, total))
            share = len(rows) / total
            log_probs, mean = step_log_probability(
                self.model, self.schedule, drawn, rows, step, guidance=settings.guidance
            )
            part = clipped_loss(
                log_probs, drawn.log_probs[step][rows], advantage[rows], settings.clip, weight[rows]
            )
            loss = part.loss * (weight[rows].sum() / self._known)
            if settings.kl_weight:
                loss = loss + share * settings.kl_weight * self._divergence(drawn, rows, step, mean)
            self.accelerator.backward(loss)
            for key, value in (
                ("ratio", part.ratio_mean),
                ("ratio_deviation", part.ratio_deviation),
                ("clipped_high", part.clipped_high),
                ("clipped_low", part.clipped_low),
                ("kl", part.approximate_kl),
            ):
                sums[key] += share * value
        return sums | {"gradient": self._descend()}

    def _divergence(self, drawn: Any, rows: Any, step: int, mean: Any) -> Any:
        """KL from the reference: the model without its adapter, or the copy of the whole UNet."""
        import torch

        unet = self.model.unet
        with torch.no_grad():
            if self.settings.lora_rank:
                unet.disable_adapters()
            _, reference = step_log_probability(
                self.model,
                self.schedule,
                drawn,
                rows,
                step,
                guidance=self.settings.guidance,
                unet=self.reference,
            )
            if self.settings.lora_rank:
                unet.enable_adapters()
        return reference_divergence(mean, reference, self.schedule.deviations[step]).mean()

    def _pretrain(self) -> float:
        """One step of plain denoising on real pictures: it keeps the model a model of pictures."""
        import torch

        settings = self.settings
        rng = self._rng(2, self.accelerator.process_index)
        latents, captions = self.data.pretraining
        rows = rng.integers(len(captions), size=settings.pretraining_batch)
        clean = latents[torch.tensor(rows)].to(self.model.device)
        draw = torch.Generator().manual_seed(int(rng.integers(2**48)))
        noise = torch.randn(clean.shape, generator=draw).to(clean.device)
        alphas = self.model.scheduler.alphas_cumprod
        times = torch.randint(len(alphas), (len(rows),), generator=draw)
        alpha = alphas[times].view(-1, 1, 1, 1).to(clean.device)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        hidden = self.model.encode([captions[row] for row in rows])
        made = self.model.predict(noisy, times.to(clean.device), hidden, 1.0)
        wanted = {
            "epsilon": noise,
            "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * clean,
            "sample": clean,
        }[self.schedule.prediction]
        loss = torch.nn.functional.mse_loss(made, wanted)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss * settings.pretraining_weight)
        self._descend()
        return loss.item()

    def _descend(self) -> float:
        import torch

        if self.accelerator.num_processes > 1:
            flat = torch.cat([p.grad.flatten() for p in self.parameters if p.grad is not None])
            flat, at = self.accelerator.reduce(flat, "mean"), 0
            for parameter in self.parameters:
                if parameter.grad is not None:
                    size = parameter.grad.numel()
                    parameter.grad.copy_(flat[at : at + size].view_as(parameter.grad))
                    at += size
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.max_gradient)
        self.optimizer.step()
        return float(norm)

    def _gather(self, values: Array, mine: Array, total: int) -> Array:
        """Rewards of all processes, in the order of the batch."""
        if self.accelerator.num_processes == 1:
            return np.asarray(values, np.float64)
        from accelerate.utils import gather_object

        out = np.full(total, np.nan)
        for rows, part in gather_object([(mine, values)]):
            out[rows] = part
        return out

    # -- the judge -------------------------------------------------------------------------------

    def _probe(self, task: str, number: int) -> Probe:
        """Captions in their order and seeds that are never trained on."""
        group = 16 if task == "fairness" else 2
        count = {"fairness": 6, "preference": 100, "composition": 40}[task]
        prompts = list(self.data.probes[task])[:count]
        seeds = [self.settings.probe_seed + 1000 * number + i for i in range(len(prompts) * group)]
        repeated = [prompt for prompt in prompts for _ in range(group)]
        return Probe(repeated, np.repeat(np.arange(len(prompts)), group), seeds)

    def _evaluate(self) -> dict[str, float]:
        """The judge's view of the model as it is, on fixed captions and seeds, beside the base's.

        Win rates are seed by seed against the base. `value` is what the best checkpoint is chosen
        by: the mean over the run's objectives of the gain, in units of the bar of each.
        """
        import torch

        held = [p.detach().clone() for p in self.parameters]
        with torch.no_grad():
            for parameter, value in zip(self.parameters, self._current(), strict=True):
                parameter.copy_(value)
        figures: dict[str, float] = {}
        for number, task in enumerate(
            ("preference", *(t for t in self.tasks if t != "preference"))
        ):
            probe = self._probe(task, number)
            captions = [prompt.text for prompt in probe.prompts]
            drawn = roll_out(
                self.model,
                self.schedule,
                captions,
                probe.seeds,
                guidance=self.settings.guidance,
                batch=self.settings.micro_batch,
            )
            if task == "preference":
                for name, models in (("judge", self.judge), ("proxy", self.rewards)):
                    scores = np.mean([s.score(drawn.pictures, captions) for s in models.scorers], 0)
                    if not self.evaluations:
                        self._base_scores[name] = scores
                    base = self._base_scores[name]
                    figures[f"{name}_win"] = float(
                        ((scores > base) + 0.5 * (scores == base)).mean()
                    )
                    figures[f"{name}_score"] = float(scores.mean())
            else:
                found = measure(task, self.judge, drawn.pictures, probe.prompts, probe.groups)
                figures |= {f"{task}_{key}": value for key, value in found.items()}
        with torch.no_grad():
            for parameter, value in zip(self.parameters, held, strict=True):
                parameter.copy_(value)
        figures["value"] = self._value(figures)
        self.evaluations.append({"iteration": self.iteration, **figures})
        if figures["value"] > self.best["value"]:
            self.best = {"value": figures["value"], "iteration": self.iteration}
            self.best_weights = [value.clone() for value in self._current()]
        shown = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
        self.log(f"judge at {self.iteration}: {shown}")
        return figures

    def _value(self, figures: Mapping[str, float]) -> float:
        if not self.evaluations:
            return 0.0
        base, gains = self.evaluations[0], []
        if "preference" in self.tasks:
            gains.append((figures["judge_win"] - 0.5) / 0.3)
        if "fairness" in self.tasks:
            for key in ("fairness_sp_tone", "fairness_sp_gender"):
                floor = 0.2 if key.endswith("tone") else 0.14
                gains.append((base[key] - figures[key]) / max(0.05, base[key] - floor) / 0.5 / 2)
        if "composition" in self.tasks:
            share = figures["composition_right"] / max(0.02, base["composition_right"])
            gains.append((share - 1) / 0.25)
        if "preference" not in self.tasks:  # a specialist may not ruin pictures to win
            gains.append(min(0.0, (figures["judge_win"] - 0.5) / 0.1))
        return float(np.nanmean(np.clip(gains, -3, 2)))

    def _alarm(self) -> None:
        """Stop when the proxy wins ever more often while the judge turns away.

        Raises:
            Hacked: the judge's win rate fell by `alarm_fall` or more below its best, and below
                one half, while the proxy's is at least what it was then.
        """
        if len(self.evaluations) < 3 or self.evaluations[-1]["iteration"] != self.iteration:
            return
        now = self.evaluations[-1]
        peak = max(self.evaluations, key=lambda one: one["judge_win"])
        fell = max(peak["judge_win"], 0.5) - now["judge_win"]
        if (
            fell >= self.settings.alarm_fall
            and now["judge_win"] < 0.5
            and now["proxy_win"] >= max(peak["proxy_win"], 0.5)
        ):
            if self.accelerator.is_main_process:
                self.save()
            raise Hacked(
                f"iteration {self.iteration}: the training reward prefers {now['proxy_win']:.0%} "
                f"of the pictures to the base's, the judge only {now['judge_win']:.0%} (it was "
                f"{peak['judge_win']:.0%} at {peak['iteration']}). The model exploits its reward: "
                f"lower learning_rate ({self.settings.learning_rate}) or raise pretraining_weight."
            )

    # -- state -----------------------------------------------------------------------------------

    def save(self) -> None:
        """Everything that resuming needs, in one file that is there whole or not at all."""
        import torch
        from safetensors.torch import save_file

        tensors = {f"weights/{n}": p for n, p in zip(self.names, self.parameters, strict=True)}
        tensors |= {f"best/{n}": p for n, p in zip(self.names, self.best_weights, strict=True)}
        tensors |= {f"average/{n}": p for n, p in zip(self.names, self.average, strict=False)}
        for index, entry in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in entry.items()}
        tensors |= {f"base/{k}": torch.tensor(v) for k, v in self._base_scores.items()}
        about = {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "best": self.best,
            "evaluations": self.evaluations,
            "settings": asdict(self.settings),
        }
        temporary = self.folder / f".{STATE}.tmp"
        copied = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        save_file(copied, temporary, metadata={"about": json.dumps(about)})
        temporary.replace(self.folder / STATE)

    def resume(self) -> bool:
        """Continue where `save` left off; False when there is nothing to continue.

        Raises:
            ValueError: the state belongs to other settings.
        """
        import torch
        from safetensors import safe_open

        path = self.folder / STATE
        if not path.exists():
            return False
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["about"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        mine = json.loads(json.dumps(asdict(self.settings)))
        different = [k for k in mine if k != "iterations" and about["settings"].get(k) != mine[k]]
        if different:
            raise ValueError(f"{path} was made with other settings: {', '.join(different)}")
        with torch.no_grad():
            for name, parameter in zip(self.names, self.parameters, strict=True):
                parameter.copy_(tensors[f"weights/{name}"])
        device = self.model.device
        self.best_weights = [tensors[f"best/{name}"].to(device) for name in self.names]
        if self.average:
            self.average = [tensors[f"average/{name}"].to(device) for name in self.names]
        state: dict[int, dict[str, Any]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer/"):
                _, index, entry = key.split("/")
                state.setdefault(int(index), {})[entry] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self._base_scores = {
            key.split("/")[1]: value.numpy()
            for key, value in tensors.items()
            if key.startswith("base/")
        }
        self.iteration, self.seconds = about["iteration"], about["seconds"]
        self.best, self.evaluations = about["best"], about["evaluations"]
        self._forget_after(self.iteration)
        return True

    def _forget_after(self, iteration: int) -> None:
        """Lines of iterations that a killed run made after its last checkpoint."""
        path = self.folder / HISTORY
        if path.exists() and self.accelerator.is_main_process:
            lines = [line for line in path.read_text().splitlines() if line]
            kept = [line for line in lines if json.loads(line)["iteration"] <= iteration]
            path.write_text("".join(f"{line}\n" for line in kept))
