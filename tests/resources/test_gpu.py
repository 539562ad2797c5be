"""Devices: refused where they are missing, leased to one process, batches halved on no memory."""

import os
import signal
import subprocess
import sys
import time

import pytest

from resources.gpu import Gpu, NoDevice, Session


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
