"""Devices: refused where they are missing, leased to one process, batches halved on no memory."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from resources.gpu import Gpu, NoDevice, Session, only


def test_a_missing_device_is_refused_and_never_replaced_by_the_cpu():
    with pytest.raises(NoDevice, match="no such device"), Gpu(device="cuda:7").session():
        pass
    with pytest.raises(NoDevice, match="required"), Gpu(device="cpu", required=True).session():
        pass
    with pytest.raises(NoDevice, match="unknown device"), Gpu(device="toaster").session():
        pass


def test_out_of_memory_halves_the_batch_and_keeps_the_order():
    session, sizes = Session("cpu", "float32", 0), []

    def run(batch):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise MemoryError
        return [item * 2 for item in batch]

    assert session.map_batches(run, list(range(10)), 8) == [i * 2 for i in range(10)]
    assert sizes == [8, 4, 2, 2, 2, 2, 2]
    assert session.halvings == 2


class Device:
    """A device of limited memory: an item takes a unit, and what a batch leaves behind stays."""

    def __init__(self, units: int, leak: int = 0):
        self.units, self.leak, self.taken, self.emptied = units, leak, 0, 0

    def run(self, batch):
        if self.taken + len(batch) > self.units:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 units.")
        self.taken += self.leak
        return [-item for item in batch]

    def empty_cache(self, _device):
        self.taken, self.emptied = 0, self.emptied + 1


def test_a_device_that_runs_full_on_the_way_goes_on_with_smaller_batches(monkeypatch):
    device, seen = Device(units=8, leak=1), []
    monkeypatch.setattr("resources.gpu._empty_cache", device.empty_cache)
    session = Session("cpu", "float32", 0)
    answers = session.map_batches(
        device.run, list(range(40)), 6, on_batch=lambda items, found: seen.append(len(items))
    )
    assert answers == [-item for item in range(40)], "every item once, in order"
    assert sum(seen) == 40
    assert seen[0] == 6
    assert seen[-1] < 6
    assert device.emptied == session.halvings == session.metadata()["batch_halvings"] > 0


def test_a_device_that_is_too_small_for_one_item_says_so():
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        Session("cpu", "float32", 0).map_batches(Device(units=0).run, [1, 2, 3], 2)


def test_an_item_that_never_fits_is_an_error_and_other_errors_are_not_swallowed():
    session = Session("cpu", "float32", 0)

    def never(_batch):
        raise MemoryError

    def broken(_batch):
        raise RuntimeError("shape")

    with pytest.raises(MemoryError):
        session.map_batches(never, [1, 2], 2)
    with pytest.raises(RuntimeError, match="shape"):
        session.map_batches(broken, [1, 2], 2)


def test_a_lease_excludes_other_processes_and_dies_with_its_holder(tmp_path):
    program = (
        "import sys, time\n"
        "from resources.gpu import Gpu\n"
        f"with Gpu(lease_dir={str(tmp_path)!r})._lease(['cuda:0']) as device:\n"
        "    print(device, flush=True)\n"
        "    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == b"cuda:0"
    gpu = Gpu(lease_dir=str(tmp_path), lease_timeout_seconds=0)
    with pytest.raises(NoDevice, match="leased"), gpu._lease(["cuda:0"]):
        pass
    with gpu._lease(["cuda:0", "cuda:1"]) as other:
        assert other == "cuda:1"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    time.sleep(0.1)
    with gpu._lease(["cuda:0"]) as device:
        assert device == "cuda:0"


def hold(folder, seconds, number):
    """Leases one of two devices some times; notes when it had which."""
    gpu = Gpu(lease_dir=str(folder), lease_timeout_seconds=120)
    for _ in range(3):
        with gpu._lease(["cuda:0", "cuda:1"]) as device:
            start = time.monotonic()
            time.sleep(seconds)
            line = f"{device} {start} {time.monotonic()}\n"
        with (folder / f"{number}.txt").open("a") as notes:
            notes.write(line)


def test_processes_that_want_two_devices_never_share_one(tmp_path):
    context = multiprocessing.get_context("fork")
    users = [context.Process(target=hold, args=(tmp_path, 0.05, number)) for number in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join(120)
    assert [user.exitcode for user in users] == [0] * 4
    lines = [line.split() for path in tmp_path.glob("*.txt") for line in path.open()]
    assert len(lines) == 12
    for device in ("cuda:0", "cuda:1"):
        held = sorted((float(start), float(end)) for name, start, end in lines if name == device)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(held))


def killed_run(folder, held):
    """A run with a step that holds the device for long; the run is killed, the step is not."""

    def step():
        with Gpu(lease_dir=str(folder))._lease(["cuda:0"]):
            held.set()
            time.sleep(600)

    multiprocessing.get_context("fork").Process(target=step).start()
    time.sleep(600)


def test_a_step_whose_run_was_killed_gives_the_device_back(tmp_path):
    context = multiprocessing.get_context("fork")
    held = context.Event()
    run = context.Process(target=killed_run, args=(tmp_path, held))
    run.start()
    assert held.wait(60)
    gpu = Gpu(lease_dir=str(tmp_path), lease_timeout_seconds=0)
    with pytest.raises(NoDevice, match="leased"), gpu._lease(["cuda:0"]):
        pass
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    with Gpu(lease_dir=str(tmp_path), lease_timeout_seconds=60)._lease(["cuda:0"]) as device:
        assert device == "cuda:0"


@pytest.mark.parametrize(
    ("device", "visible", "found"),
    [("cpu", None, None), ("cuda:1", None, "1"), ("cuda:1", "2,5", "5"), ("mps", "0", None)],
)
def test_a_program_finds_the_leased_device_alone(monkeypatch, device, visible, found):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert only(device) == ({"CUDA_VISIBLE_DEVICES": found} if found else {})
