"""A night of the agents: what waits, what is tried together, and what is called harm."""

import pytest

from pinlanding_assets.curation.agenda import batch_of, doubted_entries, harm_of, propose_all
from pinlanding_assets.curation.cases import Case, Policy, Witness
from pinlanding_assets.curation.desk import Desk, open_proposals
from pinlanding_assets.curation.shadow import Pages
from pinlanding_assets.decisions.operations import parse
from resources.decisions import DecisionLog
from tests.curation.small_view import SmallView

SURE = (Witness("images", 9, 9), Witness("encoder", 9, 9))
NOBODY = ()


def case(witnesses=SURE, **told):
    return Case("agent:words", parse(told), "why", 2.0, 1, witnesses)


LABEL = case(operation="label.set", product="p1", entry="color=red", holds=True)
ADD = case(operation="topic.add", entries=["color=red", "type=hat"])
KEEP = case(operation="word.keep", key="color", word="red")


class NoShadow:
    """Pages that are what they are."""

    def __init__(self, titles, after=0.5, precision=0.9):
        self.titles, self.after, self.precision = titles, after, precision

    def pages(self, operations):
        class Found(Pages):
            accepted = self.titles

        return Found(None, None)

    def preview(self, operations):
        return {
            **{"searches_before": 0.5, "searches_after": self.after},
            **{"precision_before": 0.9, "precision_after": self.precision},
        }


@pytest.fixture
def desk(tmp_path):
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    return Desk(DecisionLog(url=url, catalog="shop"), SmallView())


def waiting(desk):
    return open_proposals(desk._log.events())


def test_a_topic_is_proposed_where_its_page_would_pass(desk):
    shadow = NoShadow({ADD.operation.topic: "Red hats"})
    table = propose_all([ADD], Policy(1_000), desk, shadow)
    assert table["outcome"].to_list() == ["waits for an answer"]
    assert [one.preview for one in waiting(desk)] == [{"title": "Red hats"}]
    other = propose_all(
        [case(operation="topic.add", entries=["type=hat"])], Policy(9), desk, shadow
    )
    assert other["outcome"].to_list() == ["its page would not pass the gates"]


def test_what_stands_on_a_doubted_word_waits_for_the_answer(desk):
    shadow = NoShadow({ADD.operation.topic: "Red hats"})
    table = propose_all([KEEP, LABEL, ADD], Policy(1_000), desk, shadow)
    assert [one.operation for one in waiting(desk)] == [KEEP.operation]
    assert table["verdict"].to_list()[1:] == ["forbid", "forbid"]
    assert "color=red" in table["outcome"][1]
    assert doubted_entries([LABEL], desk.view) == set()


def test_what_cannot_be_done_is_said_and_not_proposed(desk):
    gone = case(operation="label.set", product="p99", entry="color=red", holds=True)
    table = propose_all([gone], Policy(1_000), desk, NoShadow({}))
    assert table["outcome"].to_list() == ["the catalog has no product 'p99'"]
    assert waiting(desk) == []


def test_only_what_the_policy_lets_agents_do_is_in_a_batch(desk):
    cases = [
        case(operation="label.set", product=f"p{n}", entry="color=red", holds=True)
        for n in range(12)
    ]
    doubtful = case(NOBODY, operation="label.set", product="p13", entry="color=red", holds=True)
    table = propose_all([*cases, doubtful], Policy(1_000), desk, NoShadow({}))
    desk.propose(parse({"operation": "word.drop", "key": "color", "word": "navy"}), "person:ann",
                 evidence={"auto": True})  # fmt: skip
    batch = batch_of(waiting(desk), table, NoShadow({}))
    assert len(batch.proposals) + batch.control == 12
    assert {one.actor for one in batch.proposals} == {"agent:words"}
    assert batch.harm == ""
    # what a later look doubts waits, though it was proposed as ready before
    later = propose_all([KEEP, *cases], Policy(1_000), desk, NoShadow({}))
    assert batch_of(waiting(desk), later, NoShadow({})).proposals == []


@pytest.mark.parametrize(
    ("after", "precision", "harm"),
    [
        (0.49, 0.9, "fewer searches would meet a page"),
        (0.5, 0.89, "fewer products on pages would be right"),
        (0.51, 0.897, ""),
    ],
)
def test_harm_is_seen_before_anything_is_done(after, precision, harm):
    assert harm_of(NoShadow({}, after, precision).preview([])) == harm
