"""Small networks that score pictures where no hub model is to be had.

Each comes in two architectures: one is trained on, the other, the judge's, is only asked.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

Array = np.ndarray
ARCHITECTURES = ("group", "plain")


def _block(before: int, after: int, stride: int, architecture: str) -> list[Any]:
    from torch import nn

    if architecture == "group":
        return [
            nn.Conv2d(before, after, 3, stride, 1),
            nn.GroupNorm(8, after),
            nn.SiLU(),
            nn.Conv2d(after, after, 3, 1, 1),
            nn.GroupNorm(8, after),
            nn.SiLU(),
        ]
    return [
        nn.Conv2d(before, after, 4 if stride == 2 else 3, stride, 1),
        nn.BatchNorm2d(after),
        nn.GELU(),
    ]


def trunk(widths: tuple[int, ...], architecture: str) -> "torch.nn.Sequential":
    """Halves a picture k times: ``[n, 3, h, w]`` -> ``[n, widths[-1], h / 2**k, w / 2**k]``."""
    from torch import nn

    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture {architecture!r}: one of {', '.join(ARCHITECTURES)}")
    layers, before = [], 3
    for width in widths:
        layers += _block(before, width, 2, architecture)
        if architecture == "plain":
            layers += _block(width, width, 1, architecture)
        before = width
    return nn.Sequential(*layers)


def make_classifier(outputs: int, side: int, architecture: str) -> "torch.nn.Module":
    """Pictures ``[n, 3, side, side]`` -> logits ``[n, outputs]``."""
    from torch import nn

    widths = (24, 48, 64, 96) if architecture == "group" else (20, 40, 80, 80)
    cells = (side // 16) ** 2 * widths[-1]
    return nn.Sequential(trunk(widths, architecture), nn.Flatten(), nn.Linear(cells, outputs))


def make_grid_detector(outputs: int, architecture: str) -> "torch.nn.Module":
    """Pictures ``[n, 3, s, s]`` -> logits of every cell, ``[n, outputs, s / 8, s / 8]``."""
    from torch import nn

    widths = (24, 48, 96) if architecture == "group" else (28, 56, 80)
    return nn.Sequential(
        trunk(widths, architecture),
        *_block(widths[-1], widths[-1], 1, architecture),
        *_block(widths[-1], widths[-1], 1, architecture),
        nn.Conv2d(widths[-1], outputs, 1),
    )


def make_head(tokens: int, features: int, figures: int, width: int = 192) -> "torch.nn.Module":
    """Scores what is seen in a picture, given a bag of words and what other models say of it.

    Few of its weights are fitted, so that some thousand choices are enough: the features of a
    picture come from a network that has seen a million photographs (`picture_features`).
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Head(nn.Module):
        mean: torch.Tensor
        deviation: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(features))
            self.register_buffer("deviation", torch.ones(features))
            self.picture = nn.Sequential(
                *(nn.Dropout(0.3), nn.Linear(features, width), nn.GELU()),
                *(nn.Dropout(0.3), nn.Linear(width, width)),
            )
            self.caption = nn.EmbeddingBag(tokens, width, mode="sum", padding_idx=0)
            self.position = nn.Parameter(0.1 * torch.randn(32, width))
            self.order = nn.Linear(width, width)
            self.worth = nn.Sequential(
                *(nn.Linear(2 * width + figures, width), nn.GELU()),
                *(nn.Dropout(0.3), nn.Linear(width, 1)),
            )
            self.scale = nn.Parameter(torch.tensor(2.3))

        def towers(
            self, seen: torch.Tensor, words: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            """Unit vectors of pictures and captions, ``[n, width]``."""
            there = (words > 0).float()
            each = functional.embedding(words, self.caption.weight) * there[..., None]
            # Products with the neighbour keep the order of words: "red hat, blue bag" is no set.
            pairs = each[:, :-1] * torch.roll(each, -1, 1)[:, :-1]
            placed = each * (1 + self.position[: words.shape[1]])
            text = self.order(placed.sum(1)) + pairs.sum(1)
            plain = ((seen - self.mean) / self.deviation).clamp(-5, 5)
            return (
                functional.normalize(self.picture(plain), dim=-1),
                functional.normalize(text, dim=-1),
            )

        def forward(
            self, seen: torch.Tensor, words: torch.Tensor, said: torch.Tensor
        ) -> torch.Tensor:
            picture, caption = self.towers(seen, words)
            match = (picture * caption).sum(-1) * self.scale.exp()
            both = torch.cat([picture * caption, picture, said], -1)
            return match + self.worth(both)[:, 0] * 4.0

    return Head()


FEATURES = 3096  # of `picture_features`


STAGES = ((0, 2, 4, 7, 10), (0, 3, 6, 10, 14))  # last blocks of the stages of Lite0, of Lite1


def picture_features(net: Any, lite: int, pixels: "torch.Tensor") -> "torch.Tensor":
    """What an EfficientNet-Lite sees at five depths, float32 ``[n, FEATURES]``: of each map the
    mean and the spread (what damage changes), and where things are, or the strongest answer.
    Carries gradients when enabled."""
    import torch
    from torch.nn import functional

    parts, stages = [], STAGES[lite]
    x = net._swish(net._bn0(net._conv_stem(pixels)))
    for number, block in enumerate(net._blocks[: stages[-1] + 1]):
        x = block(x)
        if number in stages:
            there = (
                functional.adaptive_avg_pool2d(x, 4).flatten(1)
                if number in (stages[2], stages[4])
                else x.amax((2, 3))
            )
            parts += [x.mean((2, 3)), x.std((2, 3)), there]
    return torch.cat(parts, 1)


def as_pixels(pictures: Array, device: str = "cpu") -> "torch.Tensor":
    """uint8 ``[n, h, w, 3]`` -> float32 ``[n, 3, h, w]`` in [-1, 1]."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).to(device)
    return tensor.permute(0, 3, 1, 2).float() / 127.5 - 1.0
