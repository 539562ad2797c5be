"""The instance: its first start, its pools, and what production does otherwise."""

import os
import subprocess
import sys

import dagster as dg
import pytest
import yaml

from operations.instance import environment, open_instance, set_pools
from resources.profiles import REPOSITORY, settings

STARTS = 4


def slots(instance) -> dict[str, int]:
    return {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}


def test_processes_that_start_together_on_a_fresh_folder_all_find_its_tables(instance_environment):
    program = (
        "import sys\n"
        "from operations.instance import environment, open_instance\n"
        "from resources.profiles import settings\n"
        "environment(settings())\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "with open_instance() as instance:\n"
        "    print(len(instance.get_runs()), len(instance.all_instigator_state()))\n"
    )
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(STARTS)
    ]
    for start in starts:
        assert start.stdout.readline() == "ready\n", start.stderr.read()
    for start in starts:
        start.stdin.write("go\n")
        start.stdin.flush()
    ended = [(start.communicate(timeout=300), start.returncode) for start in starts]
    assert [(out, code) for (out, _), code in ended] == [("0 0\n", 0)] * STARTS, ended
    environment(settings())
    with open_instance() as instance:
        assert slots(instance) == {"gpu": 1, "gpu_train": 1}


def test_libraries_draw_no_bars(instance_environment):
    """Not over the live place of a command, and not into its logs."""
    program = (
        "from tqdm.auto import tqdm\n"
        "from transformers.utils import logging\n"
        "from diffusers.utils import logging as of_diffusers\n"
        "for bar in (tqdm, logging.tqdm, of_diffusers.tqdm):\n"
        "    print(list(bar(range(3))))\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(settings()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (made.stdout, made.stderr) == ("[0, 1, 2]\n" * 3, "")


def test_pools_come_from_the_settings_once_and_an_operator_has_the_last_word(
    instance_environment, monkeypatch
):
    monkeypatch.setenv("PLATFORM_POOLS", "gpu=2")
    environment(settings())
    with open_instance() as instance:
        assert slots(instance) == {"gpu": 2, "gpu_train": 1}
        instance.event_log_storage.set_concurrency_slots("gpu", 0)  # paused for repairs
    monkeypatch.setenv("PLATFORM_POOLS", "gpu=4,gpu_train=2")
    with open_instance() as instance:
        assert slots(instance) == {"gpu": 0, "gpu_train": 1}
        assert set_pools(instance, settings().pools) == {"gpu": 0, "gpu_train": 1}


def test_a_limit_that_dagster_took_from_its_default_is_nobodys_choice(instance_environment):
    environment(settings())
    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default("gpu")
        assert slots(instance) == {"gpu": 1}
        set_pools(instance, {"gpu": 3})
        assert slots(instance) == {"gpu": 3}


@pytest.mark.parametrize("pools", ["gpu", "gpu=0", "gpu=two", "cpu=1", "gpu=-1"])
def test_pools_that_make_no_sense_are_refused_by_name(pools, monkeypatch):
    monkeypatch.setenv("PLATFORM_POOLS", f"gpu_train=1,{pools}")
    with pytest.raises(ValueError, match=f"PLATFORM_POOLS=.*'{pools}' is not a pool"):
        settings()


def test_production_differs_from_one_machine_in_its_storage_alone():
    machine, production = (
        yaml.safe_load((REPOSITORY / folder / "dagster.yaml").read_text())
        for folder in ("", "deploy")
    )
    assert machine.pop("storage").keys() == {"sqlite"}
    assert production.pop("storage").keys() == {"postgres"}
    assert machine == production
    # a training, and what it waits for a device, end before they are ended
    assert machine["run_monitoring"]["max_runtime_seconds"] >= 4 * 3600
    assert machine["run_retries"] == {
        **{"enabled": True, "max_retries": 1},
        "retry_on_asset_or_op_failure": False,
    }
    assert machine["concurrency"]["pools"] == {"granularity": "run", "default_limit": 1}
    assert machine["telemetry"] == {"enabled": False}


def test_every_storage_is_where_the_environment_says(instance_environment):
    environment(settings())
    with open_instance() as instance:
        kinds = {
            type(storage).__name__
            for storage in (
                instance.run_storage,
                instance.event_log_storage,
                instance.schedule_storage,
            )
        }
        expected = "Postgres" if os.environ.get("DAGSTER_PG_URL") else "Sqlite"
        assert all(kind.startswith(expected) for kind in kinds), kinds
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1
        assert not instance.telemetry_enabled


def test_a_busy_code_server_has_time_to_start_a_run(instance_environment):
    unit = (REPOSITORY / "deploy" / "systemd" / "platform.env").read_text().splitlines()
    seconds = environment(settings())["DAGSTER_GRPC_TIMEOUT_SECONDS"]
    assert f"DAGSTER_GRPC_TIMEOUT_SECONDS={seconds}" in unit
    assert int(seconds) > 60


def test_an_url_that_leaves_the_driver_open_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path))
    monkeypatch.setenv("DAGSTER_PG_URL", "postgresql://somewhere/platform")
    with pytest.raises(SystemExit, match=r"DAGSTER_PG_URL has to begin with postgresql\+psycopg2"):
        environment(settings())
