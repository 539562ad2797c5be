"""The optimisation of the dual encoder: heads on fixed features, then towers and heads together."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pinlanding_assets.encoder.features import FrozenFeatures, LiveTowers, Sides
from pinlanding_assets.encoder.model import HeadShape, attribute_vectors, build_heads, fuse
from pinlanding_assets.encoder.objective import attribute_loss, column_weights, composition_loss
from pinlanding_assets.encoder.targets import Targets

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int, dict[str, float]], None]
"""Called with (steps done, steps in all, figures so far)."""


@dataclass(frozen=True)
class TrainingSettings:
    """How the encoder is trained; most defaults were measured on `clothing_cc0`.

    Attributes:
        dim: Width of the space for backbones that are not aligned; aligned ones keep their own.
        epochs: Most passes over the labelled products for the heads.
        batch: Products a step.
        learning_rate: Peak rate of the heads (AdamW, cosine).
        weight_decay: Of the heads.
        dropout: Share of feature dimensions dropped in a step, for spaces that are not aligned
            (wide pretrained features overfit; an aligned space is narrow and starts right).
        drop_image: Share of products whose image is hidden in a step.
        drop_text: Share of products whose text is hidden in a step.
        smoothing: Label smoothing within a key.
        sigmoid: Weight of the sigmoid over the vocabulary.
        ranking: Weight of the softmax over the values of a key.
        composition: Weight of the contrast of products against combinations of their attributes.
        hard_negatives: How many times a product counts in that contrast that lacks one attribute
            of the combination and has the others; 1 is off.
        balance: Exponent of the inverse frequency that weighs rare entries up; 0 is off.
        patience: Epochs without a better held-out loss before stopping.
        folds: Parts that the labelled products are split into; one is held out at a time. From
            1,000 products on frozen towers make do with three.
        tower_samples: Products that a trainable backbone sees at least while it is tuned, rounded
            to whole passes; 0 leaves it frozen.
        tower_passes: Passes that it makes if they need at most three times as many (36,000: three
            minutes of one core for the sandbox's).
        tower_rate: Peak rate of the towers.
        interpolations: Steps from the start (0) to the tuned weights (1) to choose from.
        target_precision: What the calibrated thresholds aim at.
        seed: Everything random follows from it.
    """

    dim: int = 128
    epochs: int = 20
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    dropout: float = 0.7
    drop_image: float = 0.15
    drop_text: float = 0.4
    smoothing: float = 0.05
    sigmoid: float = 1.0
    ranking: float = 1.0
    composition: float = 0.25
    hard_negatives: float = 1.0
    balance: float = 0.3
    patience: int = 6
    folds: int = 5
    tower_samples: int = 12_000
    tower_passes: int = 8
    tower_rate: float = 5e-4
    interpolations: tuple[float, ...] = (0.0, 0.5, 1.0)
    target_precision: float = 0.95
    seed: int = 0


class Fit:
    """The optimisation: one object holds what every run over the same targets shares."""

    def __init__(
        self, targets: Targets, settings: TrainingSettings, shape: HeadShape, report: Progress
    ) -> None:
        import torch

        self.targets, self.settings, self.shape, self.report = targets, settings, shape, report
        self.positive = torch.from_numpy(targets.positive)
        self.weight = torch.from_numpy(targets.weight) * torch.from_numpy(
            column_weights(targets, settings.balance)
        )
        self.dropout = 0.0 if shape.aligned else settings.dropout
        self.figures: dict[str, float] = {}
        self.steps_done, self.steps_total = 0, settings.epochs

    def heads(
        self,
        features: FrozenFeatures,
        rows: np.ndarray,
        held_out: np.ndarray | None,
        epochs: int | None = None,
    ) -> "tuple[torch.nn.ModuleDict, int]":
        """Fresh heads trained on ``rows``; the best epoch on ``held_out`` counts, if given."""
        settings = self.settings
        heads = build_heads(self.shape, len(self.targets.entries), settings.seed)
        heads = heads.to(features.phrases.device)
        if not self.shape.aligned:
            _fit_standardisation(heads, features.sides, rows)
        return self._run(
            features,
            heads,
            [{"params": list(heads.parameters()), "lr": settings.learning_rate}],
            rows,
            held_out,
            # The schedule is always the full one: stopping early must mean the same everywhere.
            stop=epochs or settings.epochs,
            total=settings.epochs,
        )

    def tower_epochs(self, products: int) -> int:
        """Passes over this many products that the settings ask for."""
        least, wanted = self.settings.tower_samples, self.settings.tower_passes * products
        return max(1, round(min(max(least, wanted), 3 * least) / products))

    def towers(
        self,
        features: LiveTowers,
        start: "torch.nn.ModuleDict",
        rows: np.ndarray,
        held_out: np.ndarray,
    ) -> "torch.nn.ModuleDict":
        """Tune towers and heads together, then walk back as far as the held-out loss wants."""
        settings = self.settings
        module = features.backbone.module
        base = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        heads = copy.deepcopy(start)
        module.train().requires_grad_(True)
        groups = [
            {"params": list(heads.parameters()), "lr": settings.learning_rate / 4},
            {"params": list(module.parameters()), "lr": settings.tower_rate},
        ]
        epochs = self.tower_epochs(len(rows))
        heads, _ = self._run(features, heads, groups, rows, None, stop=epochs, total=epochs)
        module.eval().requires_grad_(False)
        tuned = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        losses: dict[float, float] = {}
        for step in settings.interpolations:
            features.backbone.module.load_state_dict(_between(base, tuned, step))
            mixed = copy.deepcopy(heads)
            mixed.load_state_dict(_between(start.state_dict(), heads.state_dict(), step))
            losses[step] = self.held_out_loss(features, mixed, held_out)
            self.figures[f"loss_interpolation_{step:g}"] = losses[step]
        best = min(losses, key=lambda step: (losses[step], step))
        self.figures["interpolation"] = best
        features.backbone.load_weights(_between(base, tuned, best))
        heads.load_state_dict(_between(start.state_dict(), heads.state_dict(), best))
        return heads

    def logits(
        self,
        features: FrozenFeatures | LiveTowers,
        heads: "torch.nn.ModuleDict",
        rows: np.ndarray,
        sides: Sides | None = None,
    ) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        """Log-odds ``[rows, e]`` with the product and entry vectors they come from."""
        import torch

        index = torch.from_numpy(rows)
        sides = sides or features.sides
        image, text, phrases = features(index)
        vectors = fuse(heads, image, text, sides.has_image[index], sides.has_text[index])
        known = attribute_vectors(heads, phrases, heads.residual)  # type: ignore[arg-type]
        return heads.log_scale.exp() * vectors @ known.T + heads.bias, vectors, known  # type: ignore[operator]

    def held_out_loss(
        self,
        features: FrozenFeatures | LiveTowers,
        heads: "torch.nn.ModuleDict",
        rows: np.ndarray,
    ) -> float:
        """Mean loss of single attributes on held-out products; without one, of combinations."""
        import torch

        settings, total = self.settings, 0.0
        generator = torch.Generator().manual_seed(settings.seed)
        with torch.inference_mode():
            for part in np.array_split(rows, -(-len(rows) // 512)):
                logits, vectors, known = self.logits(features, heads, part)
                if settings.sigmoid or settings.ranking:
                    loss = self._loss(logits, torch.from_numpy(part))
                else:
                    loss = self._contrast(heads, vectors, known, torch.from_numpy(part), generator)
                total += len(part) * float(loss)
        return total / len(rows)

    def _run(
        self,
        features: FrozenFeatures | LiveTowers,
        heads: "torch.nn.ModuleDict",
        groups: list[dict[str, Any]],
        rows: np.ndarray,
        held_out: np.ndarray | None,
        *,
        stop: int,
        total: int,
    ) -> "tuple[torch.nn.ModuleDict, int]":
        import torch

        settings = self.settings
        generator = torch.Generator().manual_seed(settings.seed)
        torch.manual_seed(settings.seed)  # dropout draws from the global generator
        optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, eps=1e-6)
        steps = max(1, -(-len(rows) // settings.batch))
        peaks = [group["lr"] for group in groups]
        best, best_epoch, best_state = float("inf"), stop, None
        first_epoch = self.steps_done
        for epoch in range(stop):
            heads.train()
            order = torch.from_numpy(rows)[torch.randperm(len(rows), generator=generator)]
            running = 0.0
            for step in range(steps):
                at = (epoch * steps + step) / (total * steps)
                rate = min(1.0, 20 * at + 0.05) * 0.5 * (1 + np.cos(np.pi * at))
                for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                    group["lr"] = peak * rate
                batch = order[step * settings.batch : (step + 1) * settings.batch]
                loss = self._step_loss(features, heads, batch, generator)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(heads.parameters(), 1.0)
                optimizer.step()
                running += float(loss.detach()) / steps
            heads.eval()
            self.steps_done += 1
            figures = {"loss": running}
            if held_out is not None:
                figures["held_out_loss"] = self.held_out_loss(features, heads, held_out)
                if figures["held_out_loss"] < best:
                    best, best_epoch = figures["held_out_loss"], epoch + 1
                    best_state = copy.deepcopy(heads.state_dict())
            self.report(self.steps_done, self.steps_total, figures)
            if held_out is not None and epoch + 1 - best_epoch >= settings.patience:
                break
        self.steps_done = first_epoch + (total if stop == total else stop)
        if best_state is not None:
            heads.load_state_dict(best_state)
        return heads.eval(), best_epoch

    def _step_loss(
        self,
        features: FrozenFeatures | LiveTowers,
        heads: "torch.nn.ModuleDict",
        rows: "torch.Tensor",
        generator: "torch.Generator",
    ) -> "torch.Tensor":
        import torch

        settings, sides = self.settings, features.sides
        image, text, phrases = features(rows)
        has_image, has_text = sides.has_image[rows], sides.has_text[rows]
        draw = torch.rand(len(rows), generator=generator).to(has_image.device)
        paired = has_image * has_text
        hide_image = paired * (draw < settings.drop_image)
        hide_text = paired * (draw > 1 - settings.drop_text)
        vectors = fuse(
            heads, image, text, has_image - hide_image, has_text - hide_text, self.dropout
        )
        known = attribute_vectors(heads, phrases, heads.residual)  # type: ignore[arg-type]
        scale: Any = heads.log_scale.exp()  # type: ignore[operator]
        loss = self._loss(scale * vectors @ known.T + heads.bias, rows)  # type: ignore[operator]
        if settings.composition:
            contrast = self._contrast(heads, vectors, known, rows, generator)
            loss = loss + settings.composition * contrast
        return loss

    def _contrast(
        self,
        heads: "torch.nn.ModuleDict",
        vectors: "torch.Tensor",
        known: "torch.Tensor",
        rows: "torch.Tensor",
        generator: "torch.Generator",
    ) -> "torch.Tensor":
        return composition_loss(
            vectors,
            known,
            heads.log_scale.exp(),  # type: ignore[operator]
            self.positive[rows],
            self.weight[rows],
            generator,
            hard_negatives=self.settings.hard_negatives,
        )

    def _loss(self, logits: "torch.Tensor", rows: "torch.Tensor") -> "torch.Tensor":
        return attribute_loss(
            logits,
            self.positive[rows].to(logits.device),
            self.weight[rows].to(logits.device),
            self.targets.spans,
            sigmoid=self.settings.sigmoid,
            ranking=self.settings.ranking,
            smoothing=self.settings.smoothing,
        )


def _fit_standardisation(heads: "torch.nn.ModuleDict", sides: Sides, rows: np.ndarray) -> None:
    import torch
    from torch.nn import functional

    index = torch.from_numpy(rows)
    for side, features, present in (
        ("image", sides.image, sides.has_image),
        ("text", sides.text, sides.has_text),
    ):
        seen = functional.normalize(features[index][present[index] > 0], dim=1)
        if len(seen) > 1:
            getattr(heads, f"{side}_mean").copy_(seen.mean(0))
            getattr(heads, f"{side}_std").copy_(seen.std(0) + 1e-3)


def _between(
    start: "dict[str, torch.Tensor]", end: "dict[str, torch.Tensor]", step: float
) -> "dict[str, torch.Tensor]":
    """Weights a share ``step`` of the way; whole numbers (counters) are taken from the end."""
    return {
        name: start[name].lerp(tensor, step) if tensor.is_floating_point() else tensor
        for name, tensor in end.items()
    }
