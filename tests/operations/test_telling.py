"""What a person sees on the console while assets are made."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from operations.telling import Teller, spans


@pytest.fixture
def teller():
    return Teller(console=Console(file=io.StringIO(), width=40))


@pytest.fixture
def terminal():
    teller = Teller(console=Console(file=io.StringIO(), force_terminal=True, width=120))
    yield teller
    teller.rest()


def said(teller):
    return [line.partition("] ")[2] for line in teller.console.file.getvalue().splitlines()]


def test_where_there_is_no_terminal_progress_is_said_now_and_then(teller, monkeypatch):
    for step in range(1, 121):
        teller.tell(f"dual_encoder: {step}/120 steps loss 3.14")
    teller.tell("catalog 2026-11-01: 5/319 images, 54.7/s, 6 s left")  # another has its turn later
    teller.tell("catalog 2026-11-01: 44 products, 0 rejects")  # is in the step's log
    teller.made("dual_encoder", {"": 70}, 12.34)
    assert said(teller) == ["dual_encoder: 1/120 steps loss 3.14", "dual_encoder: 70 rows, 12.3 s"]
    monkeypatch.setattr("operations.telling.QUIET_SECONDS", 0.0)
    teller.tell("catalog 2026-11-01: 5/319 images, 54.7/s, 6 s left")
    assert said(teller)[2:] == ["catalog 2026-11-01: 5/319 images, 54.7/s, 6 s left"]


def test_a_terminal_has_one_live_place(terminal):
    terminal.tell("dual_encoder")
    for step in range(1, 121):
        terminal.tell(f"dual_encoder: {step}/120 steps")
    terminal.rest()
    terminal.made("dual_encoder", {"": 70}, 12.34)
    shown = terminal.console.file.getvalue()
    assert shown.count("[00:00]") == 1
    last = shown.splitlines()[-1]
    assert last.endswith("[00:00] dual_encoder: 70 rows, 12.3 s")
    assert "120/120" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back


def test_what_says_no_rate_gets_one(terminal):
    texts = []
    terminal._show = lambda text, _: texts.append(text)
    terminal.tell("person: 100/500 steps, loss 0.5", 1000.0)
    terminal.tell("person: 200/500 steps, loss 0.4", 1020.0)
    terminal.tell("person: 300/500 steps, loss 0.3, 9.0/s, 22 s left", 1040.0)
    terminal.tell("studio: 1/14 days rated", 1060.0)
    terminal.tell("studio: 2/14 days rated", 1084.0)
    assert texts == [
        "person: 100/500 steps, loss 0.5",
        "person: 200/500 steps, loss 0.4, 5.0/s, 60 s left",
        "person: 300/500 steps, loss 0.3, 9.0/s, 22 s left",
        "studio: 1/14 days rated",
        "studio: 2/14 days rated, 2.5/min, 288 s left",
    ]


def test_what_models_and_sellers_wrote_is_no_markup(teller, terminal):
    text = "FAILED catalog: [red]no such file[/red] [link=x]"
    teller.say(text)
    assert said(teller) == [text]
    terminal.tell(text)
    terminal.rest()
    assert text in terminal.console.file.getvalue()


@pytest.mark.parametrize(
    ("partitions", "named"),
    [
        ([], ""),
        (["2026-11-03"], "2026-11-03"),
        (["2026-11-02", "2026-11-01", "2026-10-31"], "2026-10-31 to 2026-11-02"),
        (["2026-11-01", "2026-11-03", "2026-11-04"], "2026-11-01, 2026-11-03 to 2026-11-04"),
        (["person", "judge"], "judge, person"),
    ],
)
def test_days_are_named_as_ranges(partitions, named):
    assert spans(partitions) == named


def test_an_asset_is_one_line(teller):
    teller.made("catalog", {"2026-11-01": 1000, "2026-11-02": 234}, 3.0)
    teller.made("model_ledger", {"": None}, 0.0)
    assert said(teller) == ["catalog 2026-11-01 to 2026-11-02: 1,234 rows, 3.0 s",
                            "model_ledger: done"]  # fmt: skip


def test_a_program_tells_its_progress_and_why_it_failed(teller):
    lines = "print('studio: 1/3 days rated'); print('studio: 2/3 days rated')"
    teller.program("studio", [sys.executable, "-c", lines])
    assert said(teller)[0] == "studio: 1/3 days rated"
    assert said(teller)[1].startswith("studio: done, ")
    with pytest.raises(subprocess.CalledProcessError):
        teller.program("studio", [sys.executable, "-c", "raise OSError('disk full')"])
    assert said(teller)[-1] == "OSError: disk full"


def test_a_program_is_at_work_before_it_says_so(terminal):
    terminal.program("studio", [sys.executable, "-c", ""])
    shown = terminal.console.file.getvalue()
    assert "studio" in shown
    assert "[00:00]" not in shown


def test_a_program_without_work_says_nothing(teller):
    teller.program("studio", [sys.executable, "-c", ""])
    assert said(teller) == []
