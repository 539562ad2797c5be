"""What several machines share in Dagster's PostgreSQL: a budget, and the log of decisions."""

from concurrent.futures import ThreadPoolExecutor

from resources.decisions import DecisionLog
from resources.ledger import BudgetSpent, Call, Ledger


def test_caps_hold_in_postgresql(postgres_url):
    ledgers = [Ledger(url=postgres_url, calls_a_day=30, dollars_a_day=0.5) for _ in range(2)]

    def spend(at: int) -> bool:
        try:
            held = ledgers[at % 2].reserve(100, 0.01)
        except BudgetSpent:
            return False
        call = Call("now", "m", "test", "answered", 7, 3, False, 0.002, 0.5)
        ledgers[at % 2].settle(held, call)
        return True

    with ThreadPoolExecutor(8) as threads:
        made = sum(threads.map(spend, range(50)))
    assert made == 30
    assert ledgers[0].spent() == {"calls": 30, "tokens": 300, "dollars": 0.06}
    (row,) = ledgers[1].usage().rows(named=True)
    assert (row["calls"], row["outcome"], row["dollars"]) == (30, "answered", 0.06)


def test_many_write_one_log_of_decisions_in_postgresql(postgres_url):
    logs = [DecisionLog(url=postgres_url, catalog=name) for name in ("shop", "other")]
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(lambda n: logs[n % 2].add("propose", str(n), "agent:words", {}), range(80))
        )
    for place, log in enumerate(logs):
        events = log.events()  # checks the chain
        assert [event.seq for event in events] == list(range(1, 41))
        assert {int(event.proposal) % 2 for event in events} == {place}
