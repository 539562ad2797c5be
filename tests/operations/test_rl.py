"""What a run of the second system makes again, and what it leaves alone."""

import json

import pytest

from operations import rl
from resources.profiles import settings

VOTE = {"rater": "r", "prompt": "a red hat", "a": "a.png", "b": "b.png", "choice": "a"}


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    studio = tmp_path / "studio" / "studio.yaml"
    (studio.parent / "ratings").mkdir(parents=True)
    studio.write_text('name: mine\nratings: [{path: "ratings/{day}.jsonl", format: pairs}]\n')
    (studio.parent / "ratings" / "2026-11-01.jsonl").write_text(json.dumps(VOTE) + "\n")
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PLATFORM_STUDIO", str(studio))
    found = settings()
    found.data.mkdir(parents=True)
    return found


class Recorder:
    """Stands in for a worker: keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []

    def run(self, assets, partitions=(), *, config=None) -> None:
        self.asked.append((*assets, *partitions))


def test_a_run_is_prepared_once_and_made_once_for_every_objective_and_seed(chosen):
    first = Recorder()
    rl.tune(first, chosen, rl.plan(chosen, "joint", 0))
    assert [asked[0] for asked in first.asked] == [
        *("prompt_sets", "preference_pairs", "base_diffusion", "reward_models"),
        *("rl_diffusion_weights", "rl_evaluation", "promoted_diffusion_weights"),
    ]
    assert rl.plan(chosen, "joint", 0).finished
    assert not rl.plan(chosen, "joint", 1).finished
    other = Recorder()
    rl.tune(other, chosen, rl.plan(chosen, "fairness", 0))
    assert other.asked == [("rl_diffusion_weights", "fairness"), ("rl_evaluation", "fairness")]
    assert rl.plan(chosen, "joint", 0).finished


def test_new_votes_make_everything_again(chosen):
    rl.tune(Recorder(), chosen, rl.plan(chosen))
    votes = chosen.studio.parent / "ratings" / "2026-11-02.jsonl"
    votes.write_text(json.dumps(VOTE) + "\n")
    due = rl.plan(chosen)
    assert (due.prepared, due.days) == (False, ["2026-11-01", "2026-11-02"])


def test_a_run_that_was_cut_off_keeps_its_reward_models(chosen):
    class Cut(Recorder):
        def run(self, assets, partitions=(), **how) -> None:
            if assets == ("rl_evaluation",):
                raise SystemExit("killed")
            super().run(assets, partitions, **how)

    with pytest.raises(SystemExit):
        rl.tune(Cut(), chosen, rl.plan(chosen))
    again = rl.plan(chosen)
    assert (again.prepared, again.finished) == (True, False)


def test_a_studio_without_votes_says_so(chosen):
    (chosen.studio.parent / "ratings" / "2026-11-01.jsonl").unlink()
    with pytest.raises(SystemExit, match="no ratings were found"):
        rl.plan(chosen)
