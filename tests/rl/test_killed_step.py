"""A training ends with the step that started it, also when the step is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from resources.profiles import REPOSITORY

# a step that starts the training through Pipes, as the asset does
STEP = """
import os, sys
from pathlib import Path
import dagster as dg
from rl_diffusion_assets.policy.jobs import train_command

@dg.asset
def weights(context, pipes: dg.PipesSubprocessClient) -> None:
    command = train_command(Path(sys.argv[1]), 1, os.getpid())
    launcher = "import subprocess, sys; subprocess.run(sys.argv[1:], check=True)"
    if sys.argv[2] == "through a launcher":
        command = [sys.executable, "-c", launcher, *command]
    pipes.run(command=command, context=context).get_results()

dg.materialize([weights], resources={"pipes": dg.PipesSubprocessClient()})
"""


@pytest.mark.parametrize("how", ["directly", "through a launcher"])
def test_a_training_whose_step_was_killed_ends(how: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "job.json")  # the program waits for its job, as it would train for hours
    step = subprocess.Popen([sys.executable, "-c", STEP, tmp_path, how], cwd=REPOSITORY)
    writer = (tmp_path / "job.json").open("w")  # returns when the program reads
    below = psutil.Process(step.pid).children(recursive=True)
    training = [one for one in below if "--end-with" in one.cmdline() and "-m" in one.cmdline()]
    assert training
    try:
        time.sleep(1.5)
        assert all(one.is_running() for one in below)  # with its step at work it works
        os.kill(step.pid, signal.SIGKILL)
        step.wait()
        gone, alive = psutil.wait_procs(below, timeout=60)
        assert not alive, [one.cmdline() for one in alive]
        assert {*training} <= {*gone}
    finally:
        writer.close()
        for one in below:
            if one.is_running():
                one.kill()
