"""The second system through Dagster: from rated pictures to tuned, judged and promoted weights."""

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

from operations.instance import environment, only_one, open_instance, server
from operations.launch import Follower, Launcher
from operations.report import write_rl_report
from resources.profiles import REPOSITORY, Settings, code_version, resources, settings

LOCATION = "rl_diffusion_assets"
REWARDS = ("preference", "person", "objects", "judge")
COVERS = ("collection_covers", "published_collections")
SANDBOX_DAYS = 14
STATE = "rl.json"  # what the last finished runs were made from


@dataclass(frozen=True)
class Plan:
    """A run to be made, and what of it is there.

    Attributes:
        objective, seed: Of the run.
        days: That ratings exist for.
        fingerprint: Of everything that reward models and runs are made from.
        state: What was made last: its fingerprint, and the seed of each objective's run.
    """

    objective: str
    seed: int
    days: list[str]
    fingerprint: dict[str, str]
    state: dict[str, Any]

    @property
    def prepared(self) -> bool:
        """Whether prompts, pairs, base and reward models are up to date."""
        return self.state.get("fingerprint") == self.fingerprint

    @property
    def finished(self) -> bool:
        """Whether the run itself is, too."""
        return self.prepared and self.state["runs"].get(self.objective) == self.seed


def rl() -> None:
    """Tune the base model to OBJECTIVE (default joint) with SEED (default 0), and judge it."""
    started = time.monotonic()
    objective, seed = os.environ.get("OBJECTIVE") or "joint", int(os.environ.get("SEED") or 0)
    chosen = settings()
    environment(chosen)
    with only_one(chosen):
        if chosen.truth:
            write_studio(chosen)
        due = plan(chosen, objective, seed)
        with open_instance() as instance:
            follower = Follower(instance, started)
            if due.finished:
                follower.say(f"{objective}, seed {seed}: everything is up to date")
            else:
                with server(chosen) as live:
                    tune(Launcher(live, follower, LOCATION), chosen, due)
            write_rl_report(chosen, objective, time.monotonic() - started)


def write_studio(chosen: Settings) -> None:
    """The sandbox's rated and labelled pictures; days that are there are kept."""
    command = [sys.executable, "-m", "sandbox.studio", str(chosen.studio.parent)]
    command += ["--days", str(SANDBOX_DAYS)]
    subprocess.run(command, check=True, cwd=REPOSITORY)


def plan(chosen: Settings, objective: str = "joint", seed: int = 0) -> Plan:
    """What a run needs, by the files of the studio and the code.

    Raises:
        SystemExit: there are no ratings to learn from.
    """
    studio = resources()["studio"]
    days = studio.days()
    if not days:
        raise SystemExit(f"{chosen.studio}: no ratings were found for any day")
    files = [studio.provenance(), *(studio.provenance(day) for day in days)]
    path = chosen.data / STATE
    fingerprint = {
        "code": code_version(LOCATION, "resources"),
        "settings": f"{chosen.profile} {hashlib.sha256(chosen.studio.read_bytes()).hexdigest()}",
        "files": hashlib.sha256(json.dumps(files).encode()).hexdigest(),
    }
    state = json.loads(path.read_text()) if path.exists() else {}
    return Plan(objective, seed, days, fingerprint, state)


def tune(launcher: Launcher, chosen: Settings, due: Plan) -> None:
    """Materialize what the run needs and is not up to date, then the run, its evaluation, and, for
    the joint objective, the promotion."""
    path, runs = chosen.data / STATE, dict(due.state.get("runs", {}))
    if not due.prepared:
        launcher.run(("prompt_sets",))
        launcher.backfill(("preference_pairs",), due.days)
        launcher.run(("base_diffusion",))
        launcher.backfill(("reward_models",), REWARDS)
        runs = {}
        path.write_text(json.dumps({"fingerprint": due.fingerprint, "runs": runs}))
    config = {"rl_diffusion_weights": {"seed": due.seed}}
    launcher.run(("rl_diffusion_weights",), partition=due.objective, config=config)
    launcher.run(("rl_evaluation",), partition=due.objective)
    if due.objective == "joint":
        launcher.run(("promoted_diffusion_weights",))
        if resources()["lake"].manifest("collections"):
            replace(launcher, location="pinlanding_assets").run(COVERS)
    runs[due.objective] = due.seed
    path.write_text(json.dumps({"fingerprint": due.fingerprint, "runs": runs}))
