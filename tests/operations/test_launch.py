"""What a person sees while assets are made."""

import io

import dagster as dg
import pytest
from rich.console import Console

from operations.launch import Follower


@pytest.fixture
def follower():
    with dg.DagsterInstance.ephemeral() as instance:
        yield Follower(instance, console=Console(file=io.StringIO(), width=40))


def said(follower):
    return [line.partition("] ")[2] for line in follower.console.file.getvalue().splitlines()]


def test_where_there_is_no_terminal_progress_is_said_now_and_then(follower):
    for step in range(1, 121):
        follower.tell(f"dual_encoder: {step}/120 steps loss 3.14")
    follower.tell("catalog 2026-11-01: 5/319 images, 54.7/s, 6 s left")
    follower.tell("dual_encoder: 70 rows")
    assert said(follower) == [
        "dual_encoder: 1/120 steps loss 3.14",
        "catalog 2026-11-01: 5/319 images, 54.7/s, 6 s left",
        "dual_encoder: 70 rows",
    ]


def test_a_terminal_has_one_live_line(follower):
    follower.console = Console(file=io.StringIO(), force_terminal=True, width=80)
    for step in range(1, 121):
        follower.tell(f"dual_encoder: {step}/120 steps")
    assert follower.live is not None
    follower.live.stop()
    follower.say("dual_encoder: 70 rows")
    assert follower.console.file.getvalue().count("[00:00]") == 1


def test_what_models_and_sellers_wrote_is_no_markup(follower):
    follower.say("FAILED catalog: [red]no such file[/red] [link=x]")
    assert said(follower) == ["FAILED catalog: [red]no such file[/red] [link=x]"]
