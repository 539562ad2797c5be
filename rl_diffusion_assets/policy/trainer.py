"""The training loop: roll out, score, take a few clipped steps, and one on real pictures.

Zhang et al. 2024 (2401.12244), algorithm 1, with what the field has learnt since as options.
"""

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from resources.diffusion import TextToImage
from rl_diffusion_assets.policy.adapter import MergedAdapter
from rl_diffusion_assets.policy.ddim import Schedule, make_schedule
from rl_diffusion_assets.policy.gradients import differentiable, directions
from rl_diffusion_assets.policy.judging import Hacked, Judging
from rl_diffusion_assets.policy.objective import (
    clipped_loss,
    forward_loss,
    reference_divergence,
)
from rl_diffusion_assets.policy.parts import cut, side_by_side
from rl_diffusion_assets.policy.rollout import roll_out, step_log_probability
from rl_diffusion_assets.policy.settings import Training
from rl_diffusion_assets.policy.tasks import (
    Prompt,
    Rewards,
    advantages_of,
    combined,
    draw_prompts,
    score,
    tasks_of,
)

Array = np.ndarray
LORA_TARGETS = (
    *("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"),
    *("proj_in", "proj_out", "conv1", "conv2", "time_emb_proj"),  # of a UNet
    *("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"),  # of a transformer's captions
)
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")  # of a CLIP's words
STATE, HISTORY = "state.safetensors", "history.jsonl"


@dataclass
class Data:
    """What a run learns from.

    Attributes:
        prompts: Training captions of every objective.
        probes: Captions that the judge is asked about during training.
        pretraining: Clean latents ``[n, c, h, w]`` and captions of real pictures.
        chances: To draw each of these, float ``[n]``; None for all alike.
    """

    prompts: Mapping[str, Sequence[Prompt]]
    probes: Mapping[str, Sequence[Prompt]]
    pretraining: tuple[Any, list[str]]
    chances: Array | None = None


def _without_nan(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as JSON has it: what is not a number, as when nobody was found, is null."""
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in record.items()
    }


def _optimizer(name: str) -> Any:
    """The class of an optimizer.

    Raises:
        ValueError: it is bitsandbytes', which is not installed.
    """
    if name == "adamw":
        from torch.optim import AdamW

        return AdamW
    try:
        from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            f"optimizer={name!r}: bitsandbytes is not installed; it is the extra `tuning`, or "
            "choose 'adamw'"
        ) from error
    return AdamW8bit


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's state of a weight; bitsandbytes wraps a part of it in a mapping."""
    parts = (part if isinstance(part, Mapping) else {key: part} for key, part in entry.items())
    return {key: value for part in parts for key, value in part.items()}


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
        threads: int = 1,
    ) -> None:
        self.model, self.settings, self.data = model, training, data
        model.precision = training.precision
        # A text encoder that learns reads its captions anew: its tokenizer serves one at a time.
        self.threads = 1 if training.text_encoder else threads
        self.rewards, self.folder, self.log = rewards, folder, log
        self.accelerator = accelerator
        self.tasks = tasks_of(training.objective)
        self.schedule: Schedule = make_schedule(model.scheduler, training.steps, training.eta)
        self.trainable = self.schedule.trainable(training.least_deviation)
        if len(self.trainable) < training.trained_steps:
            raise ValueError(
                f"trained_steps={training.trained_steps}, but only {len(self.trainable)} of "
                f"{training.steps} steps have a deviation of {training.least_deviation} or more"
            )
        for task in self.tasks:
            if training.method_of(task) == "reward-gradient":
                differentiable(task, rewards)
        self.iteration, self.seconds = 0, 0.0
        self.judging = Judging(training, data.probes, rewards, judge, self._draw, self.threads)
        self._prepare()

    def _check_captions(self, task: str) -> None:
        """Refuse an objective that a process would have nothing of.

        Raises:
            ValueError: it has no captions, or fewer than there are processes.
        """
        workers, drawn = self.accelerator.num_processes, self.settings.sampling[task].prompts
        asked = len(np.unique(self.judging.probe(task, 0).groups))
        if not self.data.prompts[task] or not asked:
            raise ValueError(f"{task}: there are no captions to train on")
        if min(drawn, asked) < workers:
            raise ValueError(
                f"{task}: {drawn} captions an iteration, and {asked} that the judge is asked about,"
                f" for {workers} processes; raise sampling.{task}.prompts, or start fewer"
            )

    # -- weights ---------------------------------------------------------------------------------

    def _prepare(self) -> None:
        import torch

        settings, denoiser = self.settings, self.model.denoiser
        torch.manual_seed(settings.seed)
        self.adapter: MergedAdapter | None = None
        self.reference: Any = None
        self.learning, targets = self._learning()
        if settings.lora_rank:
            self.adapter = MergedAdapter(self.learning, targets, settings.lora_rank, settings.seed)
            self.names, self.parameters = self.adapter.names, self.adapter.parameters
        else:
            if settings.kl_weight:
                self.reference = copy.deepcopy(denoiser)
            self.learning.requires_grad_(True)
            named = list(self.learning.named_parameters())
            self.names, self.parameters = [n for n, _ in named], [p for _, p in named]
        if settings.gradient_checkpointing:
            denoiser.enable_gradient_checkpointing()
        # Each has moments of its own: the larger gradient would set the other's pace.
        kind = _optimizer(settings.optimizer)
        self.optimizers = {
            name: kind(self.parameters, settings.learning_rate, weight_decay=settings.weight_decay)
            for name in (*self.tasks, "pretraining")
        }
        self.average = [p.detach().clone() for p in self.parameters] if settings.ema else []
        self.best_weights = [p.detach().clone() for p in self.parameters]
        whole = not self.adapter and settings.interpolation < 1
        self.base = [p.detach().clone() for p in self.parameters] if whole else []

    def _learning(self) -> tuple[Any, tuple[str, ...]]:
        """The module that learns, and the names of the layers in it that an adapter changes."""
        import torch

        if not self.settings.text_encoder:
            return self.model.denoiser, LORA_TARGETS
        encoder = self.model.text_encoder
        if encoder is None:
            raise ValueError("text_encoder: it can learn in a pipeline that has one only")
        if self.settings.kl_weight and not self.settings.lora_rank:
            raise ValueError("text_encoder: the reference of kl_weight has none; set lora_rank")
        self.model.text_learns = True
        both = torch.nn.ModuleDict({"denoiser": self.model.denoiser, "text_encoder": encoder})
        return both, LORA_TARGETS + TEXT_TARGETS

    def use_best(self) -> None:
        """Put the best checkpoint's weights into the model."""
        self._put(self.best_weights)
        self.learning.requires_grad_(False)
        self.model.text_learns = False

    def _put(self, values: Sequence[Any]) -> None:
        """Make these the weights that are trained."""
        import torch

        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)
        if self.adapter:
            self.adapter.merge()

    def _current(self) -> list[Any]:
        """The weights that would be kept now: between the base's and the (averaged) tuned ones."""
        values = self.average or [p.detach() for p in self.parameters]
        share = self.settings.interpolation
        if self.adapter:  # of W + B A, so a share of B is that share of the way
            return [
                value * share if name.endswith(".B") else value
                for name, value in zip(self.names, values, strict=True)
            ]
        if share == 1:
            return values
        return [base.lerp(value, share) for base, value in zip(self.base, values, strict=True)]

    # -- one iteration ---------------------------------------------------------------------------

    def run(self) -> Iterator[dict[str, Any]]:
        """Train to the end, or until the alarm.

        Raises:
            Hacked: see `Judging.alarm`; the best weights are kept.
            ValueError: an objective has too few captions.
        """
        for task in self.tasks:
            self._check_captions(task)
        if not self.judging.evaluations:
            self._evaluate()
        self._listen()  # a run that was stopped stays stopped when it is started again
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
                    lines.write(json.dumps(_without_nan(record)) + "\n")
                if self.iteration % self.settings.checkpoint_every == 0:
                    self.save()
            yield record
            self._listen()

    def _iterate(self) -> dict[str, float | None]:
        settings, record = self.settings, dict[str, float | None]()
        rate = settings.learning_rate * min(1.0, (self.iteration + 1) / max(1, settings.warm_up))
        if settings.cool_down:
            rate *= min(1.0, (1 - self.iteration / settings.iterations) / settings.cool_down)
        for name, optimizer in self.optimizers.items():
            pretraining = name == "pretraining"
            share = settings.pretraining_weight if pretraining else settings.sampling[name].pace
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        for number, task in enumerate(self.tasks):
            record |= {f"{task}_{k}": v for k, v in self._improve(task, number).items()}
        if settings.pretraining_weight:
            losses = [self._pretrain(step) for step in range(settings.pretraining_steps)]
            record["pretraining_loss"] = float(np.mean(losses))
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
        prompts, groups = draw_prompts(
            self.data.prompts[task], sampling, (settings.seed, 5, number), self.iteration
        )
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
            threads=self.threads,
        )
        method = settings.method_of(task)
        if method == "reward-gradient":
            values, record = self._gradient_steps(task, drawn, own, groups[mine], number)
            there = self._gather(values, mine, len(prompts))
            return record | {"reward": float(there.mean()), "reward_deviation": float(there.std())}
        values = score(task, self.rewards, drawn.pictures, own, groups[mine], sampling)
        parts = self._gather(np.asarray(values, np.float64), mine, len(prompts))
        gathered = combined(parts, sampling)
        advantage = advantages_of(task, gathered, groups, sampling)[mine]
        known = np.isfinite(gathered[mine])
        device = self.model.device
        advantage_of = torch.tensor(advantage, device=device)
        # Each process averages over its own; together that is the mean over all known rewards.
        every = max(float(np.isfinite(gathered).sum()) / self.accelerator.num_processes, 1.0)
        weight_of = torch.tensor(known.astype(np.float32), device=device)
        there = gathered[np.isfinite(gathered)]
        if not len(there):  # a step without a reward would still move by momentum and decay
            return {"reward": None, "missing": 1.0}
        record: dict[str, float | None] = {
            "reward": float(there.mean()),
            "reward_deviation": float(there.std()),
            "missing": 1.0 - len(there) / len(gathered),
            "clamped": float((np.abs(advantage) >= 10).mean()),
        }
        if method == "forward":
            return record | self._forward_steps(task, drawn, advantage_of, weight_of, every, number)
        steps = rng.choice(self.trainable, settings.trained_steps, replace=False)
        figures = [
            self._step(task, drawn, int(step), advantage_of, weight_of, every) for step in steps
        ]
        record |= {f"{key}_first": figures[0][key] for key in ("ratio", "ratio_deviation")}
        return record | {key: float(np.mean([f[key] for f in figures])) for key in figures[0]}

    def _forward_steps(
        self, task: str, drawn: Any, advantage: Any, weight: Any, known: float, number: int
    ) -> dict[str, float]:
        """Optimizer steps on the samples as clean latents, at fresh times and noises."""
        import torch

        settings, clean = self.settings, drawn.latents[-1]
        draw = torch.Generator().manual_seed(
            int(self._rng(3, number, self.accelerator.process_index).integers(2**48))
        )
        parts = cut(len(clean), settings.micro_batch)

        def answer(p: slice, noisy: Any, times: Any) -> Any:
            hidden = self.model.encode(drawn.captions[p])
            return self.model.predict(noisy[p], times[p], hidden, 1.0)

        def answer_as_now(p: slice, noisy: Any, times: Any) -> Any:
            with torch.no_grad():
                return answer(p, noisy, times)

        tasks = []  # with the answers of the weights that drew the samples, before any step
        for _ in range(settings.trained_steps):
            noise = torch.randn(clean.shape, generator=draw).to(clean.device)
            noisy, times, wanted = self.schedule.noised(clean, noise, draw)
            asked = partial(answer_as_now, noisy=noisy, times=times)
            before = side_by_side(asked, parts, self.threads)
            tasks.append((noisy, times, wanted, before))

        def loss_of(part: tuple[slice, Any], noisy: Any, times: Any, wanted: Any) -> Any:
            p, old = part
            made = answer(p, noisy, times)
            loss = forward_loss(made, old, wanted[p], advantage[p], weight[p])
            return loss * (weight[p].sum() / known)

        gradients = []
        for noisy, times, wanted, before in tasks:
            self._forget_gradients()
            loss = partial(loss_of, noisy=noisy, times=times, wanted=wanted)
            self._differentiate(loss, list(zip(parts, before, strict=True)))
            gradients.append(self._descend(task))
        return {"gradient": float(np.mean(gradients))}

    def _gradient_steps(
        self, task: str, drawn: Any, prompts: Sequence[Prompt], groups: Array, number: int
    ) -> tuple[Array, dict[str, float | None]]:
        """Optimizer steps that move the answers where the rewards' own gradient points, each on
        one timestep of every sample. Returns the rewards, too."""
        import torch

        settings, total = self.settings, len(prompts)
        sampling, size = settings.sampling[task], settings.micro_batch
        way, values = directions(
            *(task, self.model, self.rewards, drawn.latents[-1], prompts, groups, sampling, size),
            self.threads,
        )
        rng, gradients = self._rng(4, number, self.accelerator.process_index), []

        def loss_of(part: slice, steps: Any) -> Any:
            rows = torch.arange(total)[part]
            at = steps[rows]
            hidden = self.model.encode([drawn.captions[row] for row in rows.tolist()])
            made = self.model.predict(
                drawn.latents[at, rows], self.schedule.timesteps[at], hidden, settings.guidance
            )
            # Adam is blind to the size of a step: this loss has the gradient that is wanted.
            wanted = made.detach() + self.schedule.led(way[rows], at)
            return torch.nn.functional.mse_loss(made, wanted) * (len(rows) / total)

        for _ in range(settings.trained_steps):
            self._forget_gradients()
            steps = torch.from_numpy(rng.integers(len(self.schedule), size=total))
            self._differentiate(partial(loss_of, steps=steps), cut(total, size))
            gradients.append(self._descend(task))
        return values, {"gradient": float(np.mean(gradients))}

    def _differentiate(self, loss_of: Callable[[Any], Any], parts: Sequence[Any]) -> list[float]:
        """Add the gradients of the loss of every part to the weights'; returns the losses.

        On a processor parts are computed side by side, and added in their order.
        """
        import torch

        if self.model.device != "cpu":
            losses = []
            for part in parts:
                losses.append(loss_of(part))
                self.accelerator.backward(losses[-1])
            return [loss.item() for loss in losses]
        leaves = self.adapter.weights if self.adapter else self.parameters

        def gradients(part: Any) -> tuple[float, tuple[Any, ...]]:
            with torch.enable_grad():
                loss = loss_of(part)
                return loss.item(), torch.autograd.grad(loss, leaves, allow_unused=True)

        found = side_by_side(gradients, parts, self.threads)
        for _, those in found:
            both = [(w, g) for w, g in zip(leaves, those, strict=True) if g is not None]
            torch.autograd.backward([w for w, _ in both], [g for _, g in both])
        return [loss for loss, _ in found]

    def _step(
        self, task: str, drawn: Any, step: int, advantage: Any, weight: Any, known: float
    ) -> dict[str, float]:
        """One optimizer step on one timestep of all samples, `known` of which count."""
        import torch

        settings, total = self.settings, len(drawn.captions)
        self._forget_gradients()
        deviation = self.schedule.deviations[step]
        figures: dict[int, Any] = {}

        def loss_of(part: tuple[Any, Any]) -> Any:
            rows, reference = part
            log_probs, mean = step_log_probability(
                self.model, self.schedule, drawn, rows, step, guidance=settings.guidance
            )
            found = clipped_loss(
                log_probs, drawn.log_probs[step][rows], advantage[rows], settings.clip, weight[rows]
            )
            figures[int(rows[0])] = found
            loss = found.loss * (weight[rows].sum() / known)
            if reference is not None:
                divergence = reference_divergence(mean, reference, deviation)
                loss = loss + len(rows) / total * settings.kl_weight * divergence.mean()
            return loss

        parts = [torch.arange(total)[part] for part in cut(total, settings.micro_batch)]
        # before the losses: the weights are as they were for as long as it takes
        references = [
            self._reference_mean(drawn, rows, step) if settings.kl_weight else None
            for rows in parts
        ]
        self._differentiate(loss_of, list(zip(parts, references, strict=True)))
        names = {
            "ratio": "ratio_mean",
            "ratio_deviation": "ratio_deviation",
            "clipped_high": "clipped_high",
            "clipped_low": "clipped_low",
            "kl": "approximate_kl",
        }
        shares = [(figures[int(rows[0])], len(rows) / total) for rows in parts]
        sums = {
            key: float(sum(share * getattr(found, name) for found, share in shares))
            for key, name in names.items()
        }
        return sums | {"gradient": self._descend(task)}

    def _reference_mean(self, drawn: Any, rows: Any, step: int) -> Any:
        """The step's mean under the model as it was: without its adapter, or its copy."""
        import torch

        with torch.no_grad(), self.adapter.removed() if self.adapter else nullcontext():
            _, mean = step_log_probability(
                self.model,
                self.schedule,
                drawn,
                rows,
                step,
                guidance=self.settings.guidance,
                denoiser=self.reference,
            )
        return mean

    def _pretrain(self, step: int = 0) -> float:
        """One step of plain denoising on real pictures: it keeps the model a model of pictures.

        A model that was distilled from guidance would unlearn it; its target is led away from its
        own answer to no caption, which on average over the noise is guidance's (Chen et al. 2025,
        2501.15420).
        """
        import torch

        settings = self.settings
        rng = self._rng(2, step, self.accelerator.process_index)
        latents, captions = self.data.pretraining
        rows = rng.choice(len(captions), settings.pretraining_batch, p=self.data.chances)
        clean = latents[torch.tensor(rows)].to(self.model.device)
        draw = torch.Generator().manual_seed(int(rng.integers(2**48)))
        noise = torch.randn(clean.shape, generator=draw).to(clean.device)
        noisy, times, wanted = self.schedule.noised(clean, noise, draw, settings.noise_bias)
        said = [captions[row] for row in rows]
        if not settings.text_encoder:
            self.model.encode(said)  # here, for a tokenizer serves one thread at a time
            self.model.encode([""])

        def loss_of(part: slice) -> Any:
            given, goal = said[part], wanted[part]
            if settings.pretraining_guidance != 1.0:
                with torch.no_grad():
                    empty = self.model.encode([""] * len(given))
                    free = self.model.predict(noisy[part], times[part], empty, 1.0)
                goal = free + settings.pretraining_guidance * (goal - free)
            made = self.model.predict(noisy[part], times[part], self.model.encode(given), 1.0)
            return torch.nn.functional.mse_loss(made, goal) * (len(goal) / len(rows))

        self._forget_gradients()
        losses = self._differentiate(loss_of, cut(len(rows), settings.micro_batch))
        self._descend("pretraining")
        return sum(losses)

    def _forget_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def _descend(self, optimizer: str) -> float:
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
        self.optimizers[optimizer].step()
        if self.adapter:
            self.adapter.merge()
        return float(norm)

    # -- the judge -------------------------------------------------------------------------------

    def _draw(self, captions: list[str], seeds: list[int], groups: Array) -> Array:
        """Pictures, each process drawing its own groups."""
        mine = self._mine(groups)
        drawn = roll_out(
            self.model,
            self.schedule,
            [captions[row] for row in mine],
            [seeds[row] for row in mine],
            guidance=self.settings.guidance,
            batch=self.settings.micro_batch,
            threads=self.threads,
        )
        return self._gather(drawn.pictures, mine, len(captions))

    def _evaluate(self) -> dict[str, float]:
        """Ask the judge about the weights that would be kept now."""
        held = [p.detach().clone() for p in self.parameters]
        self._put(self._current())
        figures, better = self.judging.evaluate(self.iteration)
        self._put(held)
        if better:
            self.best_weights = [value.clone() for value in self._current()]
        shown = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
        self.log(f"judge at {self.iteration}: {shown}")
        return figures

    def _listen(self) -> None:
        try:
            self.judging.alarm(self.iteration)
        except Hacked:
            if self.accelerator.is_main_process:
                self.save()
            raise

    def _gather(self, values: Array, mine: Array, total: int) -> Array:
        """What all processes have of each sample, in the order of the batch."""
        if self.accelerator.num_processes == 1:
            return np.asarray(values)
        from accelerate.utils import gather_object

        out = np.zeros((total, *values.shape[1:]), values.dtype)
        for rows, part in gather_object([(mine, values)]):
            out[rows] = part
        return out

    # -- state -----------------------------------------------------------------------------------

    def save(self) -> None:
        """Everything that resuming needs, in one file that is there whole or not at all."""
        import torch
        from safetensors.torch import save_file

        tensors = {f"weights/{n}": p for n, p in zip(self.names, self.parameters, strict=True)}
        tensors |= {f"best/{n}": p for n, p in zip(self.names, self.best_weights, strict=True)}
        tensors |= {f"average/{n}": p for n, p in zip(self.names, self.average, strict=False)}
        for name, optimizer in self.optimizers.items():
            for index, entry in optimizer.state_dict()["state"].items():
                tensors |= {
                    f"{name}/{index}/{k}": torch.as_tensor(v) for k, v in _flat(entry).items()
                }
        tensors |= {f"base/{k}": torch.tensor(v) for k, v in self.judging.base_scores.items()}
        about = {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "best": self.judging.best,
            "evaluations": self.judging.evaluations,
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
            self._forget_after(0)
            return False
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["about"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        mine = json.loads(json.dumps(asdict(self.settings)))
        different = [k for k in mine if k != "iterations" and about["settings"].get(k) != mine[k]]
        if different:
            raise ValueError(f"{path} was made with other settings: {', '.join(different)}")
        self._put([tensors[f"weights/{name}"] for name in self.names])
        device = self.model.device
        self.best_weights = [tensors[f"best/{name}"].to(device) for name in self.names]
        if self.average:
            self.average = [tensors[f"average/{name}"].to(device) for name in self.names]
        for name, optimizer in self.optimizers.items():
            state: dict[int, dict[str, Any]] = {}
            for key, value in tensors.items():
                if key.startswith(f"{name}/"):
                    _, index, entry = key.split("/")
                    # a step that bitsandbytes counts in a number, and torch in a float tensor
                    whole = value.dtype == torch.int64
                    state.setdefault(int(index), {})[entry] = value.item() if whole else value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.judging.base_scores = {
            key.split("/")[1]: value.numpy()
            for key, value in tensors.items()
            if key.startswith("base/")
        }
        self.iteration, self.seconds = about["iteration"], about["seconds"]
        self.judging.best, self.judging.evaluations = about["best"], about["evaluations"]
        self._forget_after(self.iteration)
        return True

    def _forget_after(self, iteration: int) -> None:
        """Lines of iterations that a killed run made after its last checkpoint."""
        path = self.folder / HISTORY
        if path.exists() and self.accelerator.is_main_process:
            # One line an iteration; a last one that a kill cut off ends without its newline.
            lines = path.read_text().splitlines(keepends=True)[:iteration]
            temporary = path.with_suffix(".tmp")
            temporary.write_text("".join(lines))
            temporary.replace(path)
