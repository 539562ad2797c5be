"""What goes wrong in generated pictures, done to latents on purpose."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def damaged(latents: "torch.Tensor", draw: "torch.Generator") -> "torch.Tensor":
    """Latents ``[n, c, h, w]``, each damaged in one of five ways or left whole."""
    import torch

    n, _, h, w = latents.shape
    out, spread = latents.clone(), latents.std()
    other = latents[torch.randperm(n, generator=draw)]
    for row in range(n):
        way = int(torch.randint(6, (1,), generator=draw))
        much = float(torch.rand(1, generator=draw)) ** 1.5
        if way == 0:
            out[row] += much * 0.9 * spread * torch.randn(latents[row].shape, generator=draw)
        elif way == 1:
            out[row] = (1 - 0.6 * much) * latents[row] + 0.6 * much * other[row]
        elif way in (2, 3):
            size = torch.randint(2, 5, (2,), generator=draw).tolist()
            top = int(torch.randint(0, h - size[0] + 1, (1,), generator=draw))
            left = int(torch.randint(0, w - size[1] + 1, (1,), generator=draw))
            box = np.s_[:, top : top + size[0], left : left + size[1]]
            # A fade is towards the picture's own mean: what a face that dissolves turns into.
            to = other[row][box] if way == 2 else latents[row].mean((1, 2), keepdim=True)
            out[row][box] = (1 - much) * latents[row][box] + much * to
        elif way == 4:
            out[row] = latents[row] * (1 - 0.8 * much)
    return out
