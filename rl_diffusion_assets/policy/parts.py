"""Batches in parts, side by side on a processor's cores.

One thread computes one part: torch leaves the interpreter free while it works. Its own threads
share every single operation, and wait for each other after each; where another program has a core
for a moment, all wait (two of them on two busy cores ran 5 to 17 times slower than one). How a
batch is cut depends on its size alone, so the number of threads changes no result.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

P = TypeVar("P")
R = TypeVar("R")


def threads_on(device: str, processes: int = 1) -> int:
    """Parts at a time on a device that `processes` share: one a core of a processor that this
    process may use, one on anything else."""
    if device != "cpu":
        return 1
    may_use = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(may_use(0)) if may_use else os.cpu_count() or 1
    return max(1, cores // processes)


def cut(total: int, most: int) -> list[slice]:
    """As few parts as there have to be for none to exceed `most`, of equal size but for one."""
    count = max(1, -(-total // most))
    edges = [total * at // count for at in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def side_by_side(function: Callable[[P], R], parts: Sequence[P], threads: int) -> list[R]:
    """`function` of every part, in their order. Whether gradients are recorded is a thread's own
    matter in torch, so the function has to say it."""
    if threads == 1 or len(parts) == 1:
        return [function(part) for part in parts]
    with ThreadPoolExecutor(threads, initializer=_one_thread) as pool:
        return list(pool.map(function, parts))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
