"""A low-rank adapter that is kept merged into the weights it adapts.

LoRA (Hu et al. 2022, 2106.09685): W + B A, with A of r rows and B of r columns. Computed beside
each layer, it adds a third to the work of a small model; here the sum is formed once an optimizer
step, the network runs as it is, and the chain rule takes the gradient of W to those of A and B.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class MergedAdapter:
    """Adapter of the linear and convolutional layers of a module whose names end with a target.

    It costs one more copy of the adapted weights. Of their gradients, one layer's is there at a
    time. Weights have to be float32: a small sum would be lost in half precision.

    Attributes:
        names: ``layer.A`` and ``layer.B``, in the order of `parameters`.
        parameters: A, normal with deviation 1 / r, and B, zero, of every layer.
    """

    def __init__(self, module: Any, targets: Sequence[str], rank: int, seed: int) -> None:
        import torch

        module.requires_grad_(False)
        draw = torch.Generator().manual_seed(seed)
        self.names: list[str] = []
        self.parameters: list[torch.nn.Parameter] = []
        self._layers: list[tuple[Any, torch.Tensor]] = []
        for name, layer in module.named_modules():
            if not isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
                continue
            if not any(name == target or name.endswith(f".{target}") for target in targets):
                continue
            weight = layer.weight
            if weight.dtype != torch.float32:
                raise ValueError(f"{name}: an adapter needs float32 weights, not {weight.dtype}")
            rows, columns = weight.shape[0], weight[0].numel()
            down = torch.randn((rank, columns), generator=draw).to(weight.device) / rank
            self.names += [f"{name}.A", f"{name}.B"]
            self.parameters.append(torch.nn.Parameter(down))
            self.parameters.append(torch.nn.Parameter(weight.new_zeros((rows, rank))))
            self._layers.append((weight, weight.detach().clone()))
            weight.requires_grad_(True)
            weight.register_post_accumulate_grad_hook(self._pass_on(len(self._layers) - 1))
        if not self._layers:
            raise ValueError(f"no layer of the model is named {', '.join(targets)}")

    def _pass_on(self, at: int) -> Any:
        """Hook that turns the gradient of a merged weight into those of its A and B."""

        def collect(weight: Any) -> None:
            down, up = self.parameters[2 * at], self.parameters[2 * at + 1]
            gradient = weight.grad.flatten(1)
            weight.grad = None
            for part, value in (
                (down, up.detach().T @ gradient),
                (up, gradient @ down.detach().T),
            ):
                part.grad = value if part.grad is None else part.grad + value

        return collect

    def merge(self) -> None:
        """Write W + B A into the layers; to be called whenever A or B have changed."""
        import torch

        with torch.no_grad():
            for at, (weight, base) in enumerate(self._layers):
                down, up = self.parameters[2 * at], self.parameters[2 * at + 1]
                weight.copy_(base + (up @ down).view_as(base))

    @property
    def weights(self) -> list[Any]:
        """The weights that are adapted; a gradient that reaches one is passed on to its A and B."""
        return [weight for weight, _ in self._layers]

    @contextmanager
    def removed(self) -> Iterator[None]:
        """The layers as they were before."""
        import torch

        with torch.no_grad():
            for weight, base in self._layers:
                weight.copy_(base)
        try:
            yield
        finally:
            self.merge()
