"""Hardware for compute steps: which device, held by whom, with how much memory."""

import contextlib
import functools
import multiprocessing
import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
from filelock import FileLock, Timeout

Item = TypeVar("Item")
Result = TypeVar("Result")


class NoDevice(dg.Failure):
    """The configured hardware is not there, or another process holds it."""


@dataclass
class Session:
    """One step's hold on a device, and what it cost."""

    device: str
    precision: str
    seed: int
    halvings: int = 0
    largest: int | None = None  # batch that fits the memory, once one did not
    started: float = field(default_factory=time.monotonic)

    def map_batches(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        items: Sequence[Item],
        batch_size: int,
        on_batch: Callable[[Sequence[Item], Sequence[Result]], None] | None = None,
    ) -> list[Result]:
        """Apply `run` to `items` in batches, in order.

        Out of memory halves the batch and tries again, down to one item; then the error is the
        caller's. `on_batch` sees every finished batch (progress, caching).
        """
        results: list[Result] = []
        at, size = 0, max(1, min(batch_size, self.largest or batch_size))
        while at < len(items):
            batch = items[at : at + size]
            try:
                answers = run(batch)
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error) or size == 1:
                    raise
                size, self.halvings = max(1, size // 2), self.halvings + 1
                self.largest = size
                _empty_cache(self.device)
                continue
            results.extend(answers)
            at += len(batch)
            if on_batch:
                on_batch(batch, answers)
        return results

    def metadata(self) -> dict[str, Any]:
        """What the step took, with all its partitions. Memory in MiB, time in seconds."""
        return {
            "device": self.device,
            "step_seconds": round(time.monotonic() - self.started, 3),
            "peak_memory_mib": round(_peak_memory(self.device), 1),
            "batch_halvings": self.halvings,
        }


class Gpu(dg.ConfigurableResource):
    """How a compute step gets hardware.

    `device`: `auto` (first free CUDA device, then MPS, then CPU), `cpu`, `cuda`, `cuda:N`, `mps`.
    `required`: refuse a fall-back to the CPU. A CUDA device is leased by a lock file in
    `lease_dir`, so that two processes never share one; a killed process gives its lease back, and
    a step whose run was killed ends with it.
    """

    device: str = "auto"
    required: bool = False
    precision: str = "float32"
    threads: int = 1  # two threads on two busy cores ran 5-17 times slower than one
    seed: int = 0
    lease_dir: str = ".data/leases"
    lease_timeout_seconds: float = 3600.0

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """Hold a device, seeded, for the length of the block.

        Raises:
            NoDevice: the device is missing, or still leased after `lease_timeout_seconds`.
        """
        import torch

        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        torch.set_num_threads(self.threads)
        random.seed(self.seed)
        torch.manual_seed(self.seed)
        with self._lease(self._candidates()) as device:
            if device.startswith("cuda"):
                torch.cuda.reset_peak_memory_stats(device)
            try:
                yield Session(device, self.precision, self.seed)
            finally:
                _empty_cache(device)

    def _candidates(self) -> list[str]:
        import torch

        cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        mps = ["mps"] if torch.backends.mps.is_available() else []
        if self.device == "auto":
            found = cuda or mps or ([] if self.required else ["cpu"])
        elif self.device == "cpu":
            found = [] if self.required else ["cpu"]
        elif self.device == "cuda":
            found = cuda
        elif re.fullmatch(r"cuda:\d+|mps", self.device):
            found = [name for name in cuda + mps if name == self.device]
        else:
            raise NoDevice(f"gpu.device: unknown device {self.device!r}")
        if not found:
            raise NoDevice(
                f"gpu.device={self.device!r}, gpu.required={self.required}: no such device here "
                f"(found: {cuda + mps or 'none'}). Free it, or set gpu.required to false."
            )
        return found

    @contextlib.contextmanager
    def _lease(self, candidates: Sequence[str]) -> Iterator[str]:
        if candidates[0] == "cpu":
            yield "cpu"  # the CPU is shared by the operating system
            return
        if multiprocessing.parent_process():  # a step, whose run may be killed
            end_with(os.getppid())
        folder = Path(self.lease_dir)
        folder.mkdir(parents=True, exist_ok=True)
        locks = {name: FileLock(folder / f"{name.replace(':', '-')}.lock") for name in candidates}
        deadline = time.monotonic() + self.lease_timeout_seconds
        while True:
            for name, lock in locks.items():
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                try:
                    yield name
                finally:
                    lock.release()
                return
            if time.monotonic() > deadline:
                raise NoDevice(f"every device is leased by another process: {list(locks)}")
            time.sleep(1.0)


def only(device: str) -> dict[str, str]:
    """Environment of a program that is to find this CUDA device alone; of another device empty."""
    if not device.startswith("cuda:"):
        return {}
    index, visible = int(device.removeprefix("cuda:")), os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[index] if visible else str(index)}


@functools.cache
def end_with(ancestor: int) -> None:
    """End this process by SIGKILL as soon as another, which started it or its parent, is gone.

    A step outlives its run when the run is killed, and a training its step: each would go on
    holding the device while the run's retry waits for it.

    Args:
        ancestor: Process id. One that is no ancestor of this process counts as gone.
    """

    def watch() -> None:
        import psutil  # tens of milliseconds, which only a step on a device has to pay

        own = psutil.Process()
        while any(parent.pid == ancestor for parent in own.parents()):
            time.sleep(0.5)
        os.kill(own.pid, signal.SIGKILL)

    threading.Thread(target=watch, name=f"end with {ancestor}", daemon=True).start()


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError)


def _empty_cache(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def _peak_memory(device: str) -> float:
    """Peak memory in MiB: of the device, or of this process on a CPU."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
