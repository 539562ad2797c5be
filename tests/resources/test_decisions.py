"""The log of decisions: kept whole, in order, and seen through where it was changed."""

import json
import sqlite3
import subprocess
import sys

import pytest

from resources.decisions import DecisionLog, LogBroken, LogMoved


@pytest.fixture
def log(tmp_path):
    return DecisionLog(url=f"sqlite:///{tmp_path / 'log.sqlite'}", catalog="shop")


def test_events_come_back_in_order(log):
    log.add("propose", "p" * 16, "agent:words", {"b": 1, "a": "ä"})
    log.add("apply", "p" * 16, "person:ann", {})
    first, second = log.events()
    assert (first.seq, first.event, first.body) == (1, "propose", {"a": "ä", "b": 1})
    assert (second.seq, second.actor) == (2, "person:ann")
    assert [json.loads(line)["seq"] for line in log.export().splitlines()] == [1, 2]


def test_the_head_is_another_whenever_something_was_added(log):
    heads = [log.head()]
    for number in range(3):
        log.add("propose", str(number), "person:ann", {})
        assert log.head() == log.events()[-1].hash
        heads.append(log.head())
    assert heads[0] == ""
    assert len(set(heads)) == 4
    assert DecisionLog(url=log.url, catalog="other").head() == ""


def test_catalogs_of_one_database_have_logs_of_their_own(log):
    log.add("propose", "p", "person:ann", {})
    assert DecisionLog(url=log.url, catalog="other").events() == []


@pytest.mark.parametrize(
    "change",
    [
        "update curation_log set actor = 'person:eve' where seq = 2",
        "update curation_log set body = '{\"n\":9}' where seq = 1",
        "delete from curation_log where seq = 2",
        "update curation_log set seq = 9 where seq = 3",
    ],
)
def test_a_log_that_was_changed_is_not_used(log, change, tmp_path):
    for number in range(3):
        log.add("propose", str(number), "person:ann", {"n": number})
    with sqlite3.connect(tmp_path / "log.sqlite") as database:
        database.execute(change)
    with pytest.raises(LogBroken, match=r"event [123] of the log"):
        log.events()


def test_who_read_an_older_log_does_not_write(log):
    log.add("propose", "1", "person:ann", {})
    with pytest.raises(LogMoved, match="1 events, not 0"):
        log.add("apply", "1", "person:ann", {}, after=0)
    assert len(log.events()) == 1


def test_several_events_are_written_together_or_not_at_all(log):
    with pytest.raises(ValueError, match="none of"):
        log.add_all([("revert", "1", "person:ann", {}), ("destroy", "2", "person:ann", {})])
    assert log.events() == []


@pytest.mark.parametrize("body", [{"text": "x" * 20_001}])
def test_an_event_is_bounded(log, body):
    with pytest.raises(ValueError, match="20000 are allowed"):
        log.add("propose", "1", "person:ann", body)


def test_many_processes_write_one_chain(log):
    code = (
        "import sys; from resources.decisions import DecisionLog\n"
        f"log = DecisionLog(url={log.url!r}, catalog='shop')\n"
        "for n in range(10): log.add('propose', sys.argv[1], 'agent:words', {'n': n})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    events = log.events()
    assert [event.seq for event in events] == list(range(1, 41))
    for writer in "0123":
        assert [e.body["n"] for e in events if e.proposal == writer] == list(range(10))
