"""Where batches of work run: in this process, or on a Ray cluster. The asset does not know which.

Both engines cut the items into the same batches, so both give the same answers. A finished batch is
kept at once, by whoever computed it, in the content-addressed cache: what a crash loses is the
batches under way. Scheduling, retries of lost workers and back-pressure are Ray Data's.
"""

import contextlib
import math
import os
import pickle
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import dagster as dg
from pydantic import Field

from resources.gpu import Gpu, Session

Item = TypeVar("Item")
Result = TypeVar("Result")
Resource = TypeVar("Resource", bound=dg.ConfigurableResource)
MOST_BLOCKS = 4_096  # that Ray Data schedules one by one; beyond, a block has several batches


@dataclass(frozen=True)
class Rejected:
    """Stands for the result of an item that could not be worked on."""

    reason: str


class BatchWork(ABC, Generic[Item, Result]):
    """What is done with batches of items.

    An instance is sent to the workers: it holds settings, and loads its model in `open`, once a
    process. ValueError and FileNotFoundError speak of an item: where the work `rejects`, the batch
    is taken apart and the item `Rejected`. Every other error ends the run.
    """

    rejects = True

    def open(self, device: str, precision: str) -> None:
        """Load what `run` needs."""

    def read(self, items: Sequence[Item]) -> list[Any]:
        """What `run` is given for each item; input only."""
        return [None] * len(items)

    def decode(self, inputs: Sequence[Any]) -> list[Any]:
        """What was read, in the form that is larger. Only readers of Ray do this: in a
        worker `run` decodes a few at a time."""
        return list(inputs)

    @abstractmethod
    def run(self, items: Sequence[Item], inputs: Sequence[Any]) -> Sequence[Result]:
        """One result for each item; out of memory, it is called again with half of them."""

    def keep(self, items: Sequence[Item], results: Sequence[Result]) -> None:
        """Store the results of a finished batch, where they are worth it."""


class Sent(Generic[Resource]):
    """A resource inside of work: the very one in this process, made anew from its settings in a
    worker, because those of Dagster cannot be sent."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self.resource), self.resource.model_dump())


def _made(kind: type[Resource], settings: dict[str, Any]) -> Sent[Resource]:
    return Sent(kind(**settings))


class Running(ABC):
    """An engine that holds its hardware, for the length of a step."""

    @abstractmethod
    def map_batches(
        self,
        work: BatchWork[Item, Result],
        items: Sequence[Item],
        batch_size: int,
        on_batch: Callable[[Sequence[Item], Sequence[Result | Rejected]], None] | None = None,
    ) -> list[Result | Rejected]:
        """A result for each item, in order. `on_batch` sees finished batches in any order."""

    @abstractmethod
    def metadata(self) -> dict[str, Any]:
        """What the step took: seconds, MiB."""


class Engine(dg.ConfigurableResource):
    """Which engine, and how much hardware a worker of Ray gets."""

    kind: Literal["in-process", "ray"] = Field(default="in-process", description="Where it runs.")
    address: str = Field(default="", description="Of a Ray cluster; empty: one on this machine.")
    workers: int = Field(default=1, ge=1, description="Actors, each with a model of its own.")
    gpus_per_worker: float = Field(default=0.0, ge=0, description="Share of a GPU, or several.")
    cpus_per_worker: float = Field(default=1.0, gt=0, description="Cores.")
    readers: int = Field(
        default=0, ge=0, description="Actors that read and decode for them; 0: each worker itself."
    )
    batch_size: int = Field(default=0, ge=0, description="Items; 0: what suits the stage.")
    memory_gib: float = Field(
        default=0.0, ge=0, description="Of batches between stages before readers wait; 0: Ray's."
    )

    @contextlib.contextmanager
    def session(self, gpu: Gpu | None = None) -> Iterator[Running]:
        """Hold what is needed for a step: a device here, or a connection to the cluster.

        Args:
            gpu: Which device; None: the work needs none.

        Raises:
            NoDevice: there is no such device here (engine `in-process`).
            dg.Failure: the engine is `ray`, and it is not installed, or the cluster is not there.
        """
        if self.kind == "in-process":
            with gpu.session() if gpu else contextlib.nullcontext(_no_device()) as session:
                yield InProcess(session, self.batch_size)
            return
        with _cluster(self):
            yield RayData(self, gpu)


class InProcess(Running):
    """One batch after the other, by one model."""

    def __init__(self, session: Session, batch_size: int = 0) -> None:
        self.session, self.batch_size = session, batch_size
        self._opened: BatchWork[Any, Any] | None = None

    def map_batches(self, work, items, batch_size, on_batch=None):
        results: list[Any] = []
        size = self.batch_size or batch_size
        if len(items) and work is not self._opened:
            work.open(self.session.device, self.session.precision)
            self._opened = work
        for start in range(0, len(items), size):
            batch = items[start : start + size]
            answers = _work_on(work, self.session, batch, _read(work, batch))
            results += answers
            if on_batch:
                on_batch(batch, answers)
        return results

    def metadata(self) -> dict[str, Any]:
        return self.session.metadata()


class RayData(Running):
    """Ray Data: one actor a model; a worker that dies is replaced, and its batches done again."""

    def __init__(self, engine: Engine, gpu: Gpu | None) -> None:
        self.engine, self.gpu, self.started = engine, gpu, time.monotonic()

    def map_batches(self, work, items, batch_size, on_batch=None):
        import ray  # pyright: ignore[reportMissingImports]
        from ray.data import ActorPoolStrategy  # pyright: ignore[reportMissingImports]

        size = self.engine.batch_size or batch_size
        batches = [items[start : start + size] for start in range(0, len(items), size)]
        if not batches:
            return []
        rows = [{"at": at, "batch": pickle.dumps(batch)} for at, batch in enumerate(batches)]
        data = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS))
        if self.engine.readers:
            data = data.map_batches(
                _Reader,
                fn_constructor_args=(work,),
                batch_size=1,
                num_cpus=1,
                compute=ActorPoolStrategy(min_size=1, max_size=self.engine.readers),
            )
        share = self.engine.gpus_per_worker if self.gpu else 0.0
        settings = self.gpu.model_dump() if self.gpu else None
        data = data.map_batches(
            _Worker,
            fn_constructor_args=(work, settings, share > 0),
            batch_size=1,
            num_cpus=self.engine.cpus_per_worker,
            num_gpus=share,
            compute=ActorPoolStrategy(size=self.engine.workers),
        )
        answers: dict[int, list[Any]] = {}
        for row in data.iter_rows():
            at = int(row["at"])
            answers[at] = pickle.loads(row["results"])
            if on_batch:
                on_batch(batches[at], answers[at])
        return [result for at in range(len(batches)) for result in answers[at]]

    def metadata(self) -> dict[str, Any]:
        return {
            "engine": f"ray, {self.engine.workers} workers",
            "step_seconds": round(time.monotonic() - self.started, 3),
        }


class _Reader:
    """A stage of Ray Data: batches with what was read and decoded for them, on CPUs."""

    def __init__(self, work: BatchWork) -> None:
        self.work = work

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        batches = [pickle.loads(batch) for batch in rows["batch"]]
        inputs = [_read(self.work, batch, decoded=True) for batch in batches]
        return {**rows, "inputs": [pickle.dumps(read) for read in inputs]}


class _Worker:
    """A stage of Ray Data: batches to results, by one model."""

    def __init__(self, work: BatchWork, gpu: dict[str, Any] | None, on_gpu: bool) -> None:
        self.work, self.session = work, _no_device()
        if gpu:
            import torch

            torch.set_num_threads(int(gpu["threads"]))
            torch.manual_seed(int(gpu["seed"]))
            # Ray shows an actor its own devices only
            device = "cuda" if on_gpu else "cpu"
            self.session = Session(device, str(gpu["precision"]), int(gpu["seed"]))
        work.open(self.session.device, self.session.precision)

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        results = []
        for number, packed in enumerate(rows["batch"]):
            batch = pickle.loads(packed)
            inputs = (
                pickle.loads(rows["inputs"][number])
                if "inputs" in rows
                else _read(self.work, batch)
            )
            results.append(pickle.dumps(_work_on(self.work, self.session, batch, inputs)))
        return {"at": rows["at"], "results": results}


def _no_device() -> Session:
    return Session("cpu", "float32", 0)


def _read(work: BatchWork, items: Sequence[Any], *, decoded: bool = False) -> list[Any]:
    def read(part: Sequence[Any]) -> list[Any]:
        inputs = work.read(part)
        return work.decode(inputs) if decoded else inputs

    return _one_by_one(read, items) if work.rejects else read(items)


def _work_on(
    work: BatchWork, session: Session, items: Sequence[Any], inputs: Sequence[Any]
) -> list[Any]:
    """Results of a batch, kept; what could not be read or worked on is `Rejected`."""
    results = list(inputs)
    good = [row for row, read in enumerate(inputs) if not isinstance(read, Rejected)]

    def run(rows: Sequence[int]) -> Sequence[Any]:
        return work.run([items[row] for row in rows], [inputs[row] for row in rows])

    def halved(rows: Sequence[int]) -> Sequence[Any]:
        return session.map_batches(run, rows, len(rows))

    answers = _one_by_one(halved, good) if work.rejects else halved(good)
    for row, answer in zip(good, answers, strict=True):
        results[row] = answer
    done = [row for row, result in enumerate(results) if not isinstance(result, Rejected)]
    if done:
        work.keep([items[row] for row in done], [results[row] for row in done])
    return results


def _one_by_one(run: Callable[[Sequence[Any]], Any], items: Sequence[Any]) -> list[Any]:
    """Of the batch at once; if something in it is bad, of each item by itself."""
    try:
        return list(run(items)) if len(items) else []
    except (ValueError, FileNotFoundError) as error:
        if len(items) == 1:
            return [Rejected(f"{type(error).__name__}: {error}"[:500])]
        return [result for item in items for result in _one_by_one(run, [item])]


@contextlib.contextmanager
def _cluster(engine: Engine) -> Iterator[None]:
    """A connection to the cluster; one that is started here ends with the step."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise dg.Failure("engine 'ray': Ray is not installed; it is the extra `ray`") from error
    here = not ray.is_initialized()
    if here:
        # one logical core more than the actors hold, for Ray Data's own tasks
        cores = math.ceil(engine.workers * engine.cpus_per_worker) + engine.readers + 1
        started = {} if engine.address else {"num_cpus": cores, "include_dashboard": False}
        try:
            ray.init(engine.address or None, log_to_driver=False, **started)
        except ConnectionError as error:
            raise dg.Failure(
                f"engine.address={engine.address!r}: no Ray cluster: {error}"
            ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    if engine.memory_gib:
        options = context.execution_options
        options.resource_limits = options.resource_limits.copy(
            object_store_memory=engine.memory_gib * 2**30
        )
    try:
        yield
    finally:
        if here:
            ray.shutdown()
