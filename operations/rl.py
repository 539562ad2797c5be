"""The second system through Dagster: from rated pictures to tuned, judged and promoted weights."""

import hashlib
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from operations.instance import environment, only_one, open_instance
from operations.launch import Follower, Worker
from operations.report import write_rl_report
from operations.state import read_state, write_state
from operations.telling import Teller
from resources.profiles import Settings, code_version, resources, settings

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


def make_rl(objective: str = "joint", seed: int = 0) -> None:
    """Tune the base model to an objective (`tasks.RUNS`), and judge it."""
    teller, started = Teller(), time.monotonic()
    chosen = settings()
    environment(chosen)
    with only_one(chosen):
        if chosen.truth:
            write_studio(chosen, teller)
        due = plan(chosen, objective, seed)
        with open_instance() as instance:
            follower = Follower(instance, teller)
            if due.finished:
                teller.say(f"{objective}, seed {seed}: everything is up to date")
            else:
                with Worker(LOCATION, follower, chosen.data / "logs" / "worker.log") as worker:
                    promoted = tune(worker, chosen, due)
                if promoted:
                    cover(follower, chosen)
            write_rl_report(chosen, objective, time.monotonic() - started)


def write_studio(chosen: Settings, teller: Teller) -> None:
    """The sandbox's rated and labelled pictures; days that are there are kept."""
    command = [sys.executable, "-m", "sandbox.studio", str(chosen.studio.parent)]
    command += ["--days", str(SANDBOX_DAYS)]
    teller.program("studio", command)


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
    state = read_state(path)
    return Plan(objective, seed, days, fingerprint, state)


def tune(worker: Worker, chosen: Settings, due: Plan) -> bool:
    """Materialize what the run needs and is not up to date, then the run, its evaluation, and, for
    the joint objective, the promotion, and say whether that was due."""
    path, runs = chosen.data / STATE, dict(due.state.get("runs", {}))
    if not due.prepared:
        worker.run(("prompt_sets",))
        worker.run(("preference_pairs",), due.days)
        worker.run(("base_diffusion",))
        worker.run(("reward_models",), REWARDS)
        runs = {}
        write_state(path, {"fingerprint": due.fingerprint, "runs": runs})
    config = {"rl_diffusion_weights": {"seed": due.seed}}
    worker.run(("rl_diffusion_weights",), [due.objective], config=config)
    worker.run(("rl_evaluation",), [due.objective])
    if due.objective == "joint":
        worker.run(("promoted_diffusion_weights",))
    runs[due.objective] = due.seed
    write_state(path, {"fingerprint": due.fingerprint, "runs": runs})
    return due.objective == "joint"


def cover(follower: Follower, chosen: Settings) -> None:
    """Let the promoted model illustrate the collections, where there are any."""
    if resources()["lake"].manifest("collections"):
        log = chosen.data / "logs" / "worker.log"
        with Worker("pinlanding_assets", follower, log) as worker:
            worker.run(COVERS)
