"""Both engines give the same answers, reject the same items, and lose nothing with a worker."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from resources.engine import BatchWork, Engine, InProcess, Rejected, Sent
from resources.gpu import Session
from resources.lake import ComputeCache


class Squares(BatchWork[int, int]):
    """Squares numbers; 13 cannot be read, 17 not squared, and a process may be killed at 40.

    What happens is written down in files, because it happens in other processes.
    """

    def __init__(self, folder: Path, *, kill: bool = False) -> None:
        self.folder, self.kill = str(folder), kill

    def note(self, what: str) -> None:
        with (Path(self.folder) / what).open("a") as file:
            file.write(f"{os.getpid()}\n")

    def open(self, device: str, precision: str) -> None:
        self.device = device
        self.note("opened")

    def read(self, items):
        self.note("readers")
        if 13 in items:
            raise FileNotFoundError("13")
        return [str(item) for item in items]

    def decode(self, inputs):
        self.note("decoded")
        return inputs

    def run(self, items, inputs):
        if 17 in items:
            raise ValueError("no 17")
        if self.kill and 40 in items and not (Path(self.folder) / "killed").exists():
            self.note("killed")
            os.kill(os.getpid(), signal.SIGKILL)
        for item in items:
            self.note(f"run-{item}")
        return [int(text) ** 2 for text in inputs]

    def keep(self, items, results):
        for item, result in zip(items, results, strict=True):
            (Path(self.folder) / f"kept-{item}").write_text(str(result))


BAD = {13: "FileNotFoundError: 13", 17: "ValueError: no 17"}
WANTED = [Rejected(BAD[n]) if n in BAD else n * n for n in range(60)]


def here() -> InProcess:
    return InProcess(Session("cpu", "float32", 0))


def test_items_come_back_in_order_and_bad_ones_alone_are_rejected(tmp_path):
    seen = []
    work = Squares(tmp_path)
    found = here().map_batches(work, range(60), 8, lambda batch, made: seen.append(len(batch)))
    assert found == WANTED
    assert seen == [8] * 7 + [4]
    kept = {int(p.name[5:]): int(p.read_text()) for p in tmp_path.glob("kept-*")}
    assert kept == {n: n * n for n in range(60) if n not in BAD}


def test_a_model_is_loaded_once_for_all_calls_and_never_for_nothing(tmp_path):
    running, work = here(), Squares(tmp_path)
    assert running.map_batches(work, [], 8) == []
    assert not (tmp_path / "opened").exists()
    for start in (0, 20):
        running.map_batches(work, range(start, start + 8), 4)
    assert len((tmp_path / "opened").read_text().split()) == 1


def test_work_that_rejects_nothing_fails(tmp_path):
    work = Squares(tmp_path)
    work.rejects = False
    with pytest.raises(ValueError, match="no 17"):
        here().map_batches(work, range(14, 20), 8)


def test_a_batch_that_does_not_fit_is_halved_and_the_size_remembered():
    sizes = []

    class Small(BatchWork[int, int]):
        def run(self, items, inputs):
            sizes.append(len(items))
            if len(items) > 2:
                raise MemoryError
            return list(items)

    assert here().map_batches(Small(), list(range(16)), 8) == list(range(16))
    assert sizes == [8, 4] + [2] * 8


def test_a_resource_inside_of_work_is_made_anew_elsewhere(tmp_path):
    import pickle

    cache = ComputeCache(root=str(tmp_path))
    sent = Sent(cache)
    assert sent.resource is cache
    again = pickle.loads(pickle.dumps(sent)).resource
    assert (type(again), again.root) == (ComputeCache, str(tmp_path))


def test_settings_of_an_engine_are_checked(monkeypatch):
    from resources.profiles import resources

    monkeypatch.setenv("PLATFORM_ENGINE", "{kind: ray, workers: 2, gpus_per_worker: 0.5}")
    assert resources()["engine"].gpus_per_worker == 0.5
    for wrong in ("{kind: spark}", "{workers: 0}", "{worker: 2}", "[1]", "{"):
        monkeypatch.setenv("PLATFORM_ENGINE", wrong)
        with pytest.raises(ValueError, match="PLATFORM_ENGINE="):
            resources()


@pytest.fixture
def ray_engine(monkeypatch):
    pytest.importorskip("ray", reason="extra 'ray' not installed")
    for name, value in {
        "RAY_worker_register_timeout_seconds": "600",
        "RAY_raylet_start_wait_time_s": "600",
        "RAY_worker_niceness": "0",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(Path(__file__).parent)]),
    }.items():
        monkeypatch.setenv(name, value)
    return lambda **settings: Engine(kind="ray", **settings)


@pytest.mark.longer
def test_ray_gives_what_this_process_gives(ray_engine, tmp_path):
    """Two workers, one reader, memory for little: the same results in the same order."""
    seen = Counter()
    engine = ray_engine(workers=2, readers=1, cpus_per_worker=0.5, memory_gib=0.25)
    with engine.session() as running:
        work = Squares(tmp_path)
        found = running.map_batches(work, range(60), 8, lambda batch, _: seen.update(batch))
        assert running.map_batches(work, [], 8) == []
    assert found == WANTED
    assert seen == Counter(range(60))
    kept = {int(p.name[5:]): int(p.read_text()) for p in tmp_path.glob("kept-*")}
    assert kept == {n: n * n for n in range(60) if n not in BAD}
    opened, readers = (set((tmp_path / n).read_text().split()) for n in ("opened", "readers"))
    assert len(opened) == 2
    assert not opened & readers
    assert set((tmp_path / "decoded").read_text().split()) == readers
    assert str(os.getpid()) not in opened | readers


@pytest.mark.longer
def test_a_killed_worker_of_ray_loses_nothing(ray_engine, tmp_path):
    with ray_engine(workers=2, cpus_per_worker=0.5).session() as running:
        found = running.map_batches(Squares(tmp_path, kill=True), range(60), 4)
    assert (tmp_path / "killed").exists()
    assert found == WANTED
    again = {p.name for p in tmp_path.glob("run-*") if len(p.read_text().split()) > 1}
    # only what the dead worker had under way, and what was taken apart for a bad item
    assert len(again) <= 12


@pytest.mark.longer
def test_an_error_of_the_work_itself_ends_the_run(ray_engine, tmp_path):
    work = Squares(tmp_path)
    work.rejects = False
    with (
        ray_engine(cpus_per_worker=0.5).session() as running,
        pytest.raises(Exception, match="no 17"),
    ):
        running.map_batches(work, range(14, 20), 8)
