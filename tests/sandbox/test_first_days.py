from datetime import date

import pytest

from sandbox.days import first_day

TODAY = date(2026, 12, 24)


def test_a_new_world_ends_yesterday(tmp_path):
    assert first_day(tmp_path / "feeds", 14, TODAY) == date(2026, 12, 10)


@pytest.mark.parametrize("names", [["2026-11-02", "2026-11-01"], ["2026-11-01.jsonl"]])
def test_a_world_that_is_there_keeps_its_days(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / "prompts").mkdir()
    assert first_day(tmp_path, 14, TODAY) == date(2026, 11, 1)


def test_no_day_is_made_before_it_is_over(tmp_path):
    (tmp_path / "2026-12-20.jsonl").touch()  # of a shorter world
    assert first_day(tmp_path, 14, TODAY) == date(2026, 12, 10)
