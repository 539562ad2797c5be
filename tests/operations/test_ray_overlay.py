"""Production on a Ray cluster: the overlay's settings are ones that dagster-ray takes."""

from pathlib import Path

import pytest
import yaml

from resources.profiles import executor

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_the_overlay_is_the_production_instance_with_a_launcher(monkeypatch):
    base, overlay = (
        yaml.safe_load((DEPLOY / name).read_text()) for name in ("dagster.yaml", "ray/dagster.yaml")
    )
    launcher = overlay.pop("run_launcher")
    assert overlay == base
    pytest.importorskip("dagster_ray", reason="extra 'ray' not installed")
    from dagster._core.launcher import RunLauncher
    from dagster._serdes import ConfigurableClassData

    monkeypatch.setenv("PLATFORM_RAY_JOBS", "http://head:8265")
    settings = yaml.safe_dump(launcher["config"])
    data = ConfigurableClassData(launcher["module"], launcher["class"], settings)
    made = data.rehydrate(as_type=RunLauncher)
    assert made.address == "http://head:8265"
    assert "PLATFORM_LAKE" in made.env_vars


def test_the_executor_is_the_profiles_or_the_one_that_is_named(monkeypatch):
    assert executor().name == "in_process"
    monkeypatch.setenv("PLATFORM_PROFILE", "production")
    assert executor().name == "multiprocess"
    monkeypatch.setenv("PLATFORM_EXECUTOR", "in-process")
    assert executor().name == "in_process"
    monkeypatch.setenv("PLATFORM_EXECUTOR", "kubernetes")
    with pytest.raises(ValueError, match="in-process, processes or ray"):
        executor()


def test_steps_on_ray_need_the_address_of_the_job_server(monkeypatch):
    pytest.importorskip("dagster_ray", reason="extra 'ray' not installed")
    monkeypatch.setenv("PLATFORM_EXECUTOR", "ray")
    monkeypatch.delenv("PLATFORM_RAY_JOBS", raising=False)
    with pytest.raises(ValueError, match="PLATFORM_RAY_JOBS is not set"):
        executor()
    monkeypatch.setenv("PLATFORM_RAY_JOBS", "http://head:8265")
    assert executor().name == "ray"
