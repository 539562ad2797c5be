"""The second system through Dagster: from rated pictures to tuned, judged and promoted weights."""

import hashlib
import json
import os
import subprocess
import sys
import time
from typing import Any

from operations.instance import environment, only_one, open_instance, server
from operations.launch import Follower, Launcher
from operations.report import write_rl_report
from resources.profiles import REPOSITORY, Settings, code_version, resources, settings

LOCATION = "rl_diffusion_assets"
REWARDS = ("preference", "person", "objects", "judge")
SANDBOX_DAYS = 14
STATE = "rl.json"  # what the last finished runs were made from


def rl() -> None:
    """Tune the base model to OBJECTIVE (default joint) with SEED (default 0), and judge it."""
    started = time.monotonic()
    objective, seed = os.environ.get("OBJECTIVE") or "joint", int(os.environ.get("SEED") or 0)
    chosen = settings()
    environment(chosen)
    with only_one(chosen):
        if chosen.truth:
            write_studio(chosen)
        with open_instance() as instance:
            follower = Follower(instance, started)
            with server(chosen) as live:
                tune(Launcher(live, follower, LOCATION), chosen, objective, seed)
            write_rl_report(chosen, objective, time.monotonic() - started)


def write_studio(chosen: Settings) -> None:
    """The sandbox's rated and labelled pictures; days that are there are kept."""
    command = [sys.executable, "-m", "sandbox.studio", str(chosen.studio.parent)]
    command += ["--days", str(SANDBOX_DAYS)]
    subprocess.run(command, check=True, cwd=REPOSITORY)


def tune(launcher: Launcher, chosen: Settings, objective: str, seed: int) -> None:
    """Materialize what a run needs and was not made from the same code and files, then the run."""
    days = resources()["studio"].days()
    if not days:
        raise SystemExit(f"{chosen.studio}: no ratings were found for any day")
    path = chosen.data / STATE
    state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    made_from = _made_from(chosen, days)
    if state.get("made_from") != made_from:
        launcher.run(("prompt_sets",))
        launcher.backfill(("preference_pairs",), days)
        launcher.run(("base_diffusion",))
        launcher.backfill(("reward_models",), REWARDS)
        state = {"made_from": made_from, "runs": {}}
        path.write_text(json.dumps(state))
    if state["runs"].get(objective) == seed:
        launcher.follower.say(f"{objective}, seed {seed}: everything is up to date")
        return
    config = {"rl_diffusion_weights": {"seed": seed}}
    launcher.run(("rl_diffusion_weights",), partition=objective, config=config)
    launcher.run(("rl_evaluation",), partition=objective)
    if objective == "joint":
        launcher.run(("promoted_diffusion_weights",))
    state["runs"][objective] = seed
    path.write_text(json.dumps(state))


def _made_from(chosen: Settings, days: list[str]) -> dict[str, str]:
    studio = resources()["studio"]
    files = [studio.provenance(), *(studio.provenance(day) for day in days)]
    return {
        "code": code_version(LOCATION, "resources"),
        "settings": f"{chosen.profile} {hashlib.sha256(chosen.studio.read_bytes()).hexdigest()}",
        "files": hashlib.sha256(json.dumps(files).encode()).hexdigest(),
    }
