"""Decisions: proposed, approved as they were shown, refused, and taken back without a trace."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from pydantic import ValidationError

from pinlanding_assets.curation.desk import Desk, Refused, open_proposals, seen_of
from pinlanding_assets.decisions.facets import table_of
from pinlanding_assets.decisions.operations import FACETS, OPERATIONS, parse
from pinlanding_assets.decisions.state import dependants, fold
from resources.decisions import DecisionLog
from tests.curation.small_view import SHIRTS, SmallView

NAVY = parse({"operation": "word.merge", "key": "color", "word": "navy", "into": "blue"})
KEEP = parse({"operation": "word.keep", "key": "color", "word": "navy"})
ALL = [
    NAVY.model_dump(),
    {"operation": "word.keep", "key": "color", "word": "crimson"},
    {"operation": "word.drop", "key": "color", "word": "red"},
    {"operation": "word.move", "key": "type", "word": "hat", "to_key": "color"},
    {"operation": "key.merge", "key": "shade", "into": "color"},
    {"operation": "key.set", "key": "color", "multi": True},
    {"operation": "key.set", "key": "type", "role": "product_type"},
    {"operation": "source.distrust", "seller": "acme", "key": "color"},
    {"operation": "label.set", "product": "p3", "entry": "color=red", "holds": False},
    {"operation": "topic.add", "entries": ["color=red", "type=hat"]},
    {"operation": "topic.refuse", "topic": SHIRTS},
    {"operation": "topic.title", "topic": SHIRTS, "title": "shirts Blue"},
    {"operation": "topic.window", "topic": SHIRTS, "first": "2026-01-01", "last": "2026-02-01"},
    {"operation": "item.hide", "topic": SHIRTS, "product": "p2"},
    {"operation": "feed.map", "field": "title", "column": "Farbe"},
    {"operation": "feed.value", "attribute": "color", "value": "rot", "means": "red"},
]
IMPOSSIBLE = [
    ({"operation": "word.merge", "key": "color", "word": "navy", "into": "navy"}, "into itself"),
    ({"operation": "word.merge", "key": "color", "word": "navy", "into": "teal"}, "'teal'"),
    ({"operation": "word.drop", "key": "size", "word": "xl"}, "nothing in the catalog"),
    ({"operation": "word.move", "key": "type", "word": "hat", "to_key": "size"}, "no key 'size'"),
    ({"operation": "key.merge", "key": "color", "into": "Color"}, "into itself"),
    ({"operation": "source.distrust", "seller": "tiny", "key": "color"}, "fewer than 5"),
    ({"operation": "label.set", "product": "p99", "entry": "color=red", "holds": True}, "p99"),
    ({"operation": "label.set", "product": "p1", "entry": "color=teal", "holds": True}, "teal"),
    ({"operation": "topic.add", "entries": ["color=red", "color=blue"]}, "one value of a key"),
    ({"operation": "topic.refuse", "topic": "0" * 16}, "no topic"),
    ({"operation": "topic.title", "topic": SHIRTS, "title": "Red shirts"}, "does not say exactly"),
    ({"operation": "topic.title", "topic": SHIRTS, "title": "<b>Blue</b> shirts"}, "markup"),
    ({"operation": "item.hide", "topic": SHIRTS, "product": "p9"}, "not on the page"),
    ({"operation": "feed.map", "field": "title", "column": "Preis"}, "no column 'Preis'"),
]


@pytest.fixture
def desk(tmp_path):
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    return Desk(DecisionLog(url=url, catalog="shop"), SmallView())


def log_of(desk):
    return desk._log.events()


def test_every_operation_can_be_decided(desk):
    for told in ALL:
        desk.decide(parse(told), "person:ann")
    state = desk.state()
    assert {told["operation"] for told in ALL} == set(OPERATIONS)
    # of two decisions on one topic the later one counts
    assert sum(len(state.of(facet)) for facet in FACETS) == len(ALL)


@pytest.mark.parametrize(("told", "why"), IMPOSSIBLE)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(desk, told, why):
    for act in (desk.decide, desk.propose):
        with pytest.raises(Refused, match=why):
            act(parse(told), "person:ann")
    assert log_of(desk) == []


@pytest.mark.parametrize(
    "told",
    [
        {"operation": "run.shell", "command": "ls"},
        {**NAVY.model_dump(), "also": "x"},
        {"operation": "word.drop", "key": "color"},
        {"operation": "word.drop", "key": "color", "word": "x" * 201},
        {"operation": "label.set", "product": "p1", "entry": "color=red", "holds": "yes"},
        {"operation": "topic.refuse", "topic": "../../etc"},
        {"operation": "topic.add", "entries": []},
        {"operation": "key.set", "key": "color"},
        {"operation": "topic.window", "topic": SHIRTS, "first": "2026-02-01", "last": "2026-01-01"},
    ],
)
def test_what_is_no_operation_is_refused(told):
    with pytest.raises(ValidationError):
        parse(told)


def test_a_proposal_changes_nothing_until_it_is_approved(desk):
    found = desk.propose(NAVY, "agent:words", evidence={"products": 9, "weight": 9})
    assert desk.state().of("words") == []
    assert desk.propose(NAVY, "agent:words").id == found.id
    desk.approve(found.id, found.seen, "person:ann")
    assert [one.actor for one in desk.state().of("words")] == ["person:ann"]
    assert open_proposals(log_of(desk)) == []
    assert desk.propose(NAVY, "agent:words") is None  # it is in force


def test_an_approval_is_of_what_was_shown(desk):
    found = desk.propose(NAVY, "agent:words", evidence={"products": 9})
    with pytest.raises(Refused, match="look at it again"):
        desk.approve(found.id, "0" * 16, "person:ann")
    desk.decide(KEEP, "person:ben")  # about the same word
    with pytest.raises(Refused, match="decided otherwise"):
        desk.approve(found.id, found.seen, "person:ann")
    assert [one.operation for one in desk.state().of("words")] == [KEEP]


def test_proposals_are_approved_together_or_none_of_them(desk):
    one, other = (desk.propose(operation, "agent:words") for operation in (NAVY, parse(ALL[1])))
    with pytest.raises(Refused, match="look at it again"):
        desk.approve_all([(one.id, one.seen), (other.id, one.seen)], "person:ann")
    assert desk.state().decisions == {}
    desk.approve_all([(one.id, one.seen), (other.id, other.seen)], "person:ann")
    assert len(desk.state().of("words")) == 2


def test_an_operation_waits_once(desk):
    first = desk.propose(NAVY, "agent:words", evidence={"weight": 100})
    desk.decide(KEEP, "person:ben")
    again = desk.propose(NAVY, "person:eve", evidence={"weight": 200})
    assert again.id != first.id
    assert [one.id for one in open_proposals(log_of(desk))] == [again.id]
    with pytest.raises(Refused, match="no open proposal"):
        desk.approve(first.id, first.seen, "person:ann")
    made = desk.decide(NAVY, "person:ann")  # on her own: that answers it
    assert open_proposals(log_of(desk)) == []
    desk.revert(made.proposal, "person:ann")
    assert open_proposals(log_of(desk)) == []


@pytest.mark.parametrize("weight", ["<b>", None, [1], float("nan"), float("inf"), 10**400, True])
def test_a_weight_that_is_no_number_weighs_nothing(desk, weight):
    desk.propose(NAVY, "agent:words", evidence={"weight": weight})
    heavy = desk.propose(parse(ALL[1]), "agent:words", evidence={"weight": 2})
    assert open_proposals(log_of(desk))[0] == heavy
    assert desk.propose(NAVY, "agent:words", evidence={"weight": weight}) is not None


def test_what_was_refused_is_not_raised_again_on_the_same_evidence(desk):
    found = desk.propose(NAVY, "agent:words", evidence={"weight": 100})
    desk.refuse(found.id, "person:ann")
    assert desk.propose(NAVY, "agent:words", evidence={"weight": 105}) is None
    assert desk.propose(NAVY, "agent:words", evidence={"weight": 115}) is not None


def test_what_was_taken_back_is_not_raised_again_by_an_agent(desk):
    decision = desk.decide(NAVY, "agent:words")
    desk.revert(decision.proposal, "person:ann")
    assert desk.propose(NAVY, "agent:words") is None
    assert desk.propose(NAVY, "person:ben") is not None


def test_a_proposal_lapses(desk):
    desk.propose(NAVY, "agent:words")
    later = datetime.now(UTC) + timedelta(days=8)
    assert open_proposals(log_of(desk), later) == []


def test_an_agent_does_not_contradict_a_person(desk):
    desk.decide(KEEP, "person:ann")
    for act in (desk.propose, desk.decide):
        with pytest.raises(Refused, match="person:ann has decided"):
            act(NAVY, "agent:words")
    desk.decide(NAVY, "person:ben")  # another person may
    with pytest.raises(Refused, match="an agent cannot"):
        desk.revert(desk.state().of("words")[0].proposal, "agent:words")


def test_words_are_not_merged_in_a_circle(desk):
    desk.decide(NAVY, "person:ann")
    back = parse({"operation": "word.merge", "key": "color", "word": "blue", "into": "navy"})
    with pytest.raises(Refused, match="merged into itself"):
        desk.decide(back, "person:ann")


def test_what_stands_on_a_decision_goes_with_it_or_holds_it(desk):
    added = desk.decide(parse({"operation": "topic.add", "entries": ["color=red"]}), "person:ann")
    topic = added.operation.topic
    hidden = {"operation": "item.hide", "topic": topic, "product": "p1"}
    desk.view.items = pl.DataFrame({"topic_id": [topic], "product_id": ["p1"]})
    desk.decide(parse(hidden), "person:ann")
    with pytest.raises(Refused, match="1 decisions stand on it"):
        desk.revert(added.proposal, "person:ann")
    shown = seen_of(dependants(added.proposal, log_of(desk)))
    with pytest.raises(Refused, match="has changed since"):
        desk.revert(added.proposal, "person:ann", cascade=True, seen=seen_of([]))
    gone = desk.revert(added.proposal, "person:ann", cascade=True, seen=shown)
    assert [one.operation.operation for one in gone] == ["item.hide", "topic.add"]
    assert desk.state().decisions == {}


@pytest.mark.parametrize("seed", range(10))
def test_taking_back_is_as_if_it_had_never_been(desk, seed):
    draw = random.Random(seed)
    tables = {}
    for told in draw.sample(ALL, 6):
        desk.decide(parse(told), draw.choice(["person:ann", "person:ben"]))
    before = {facet: table_of(desk.state().of(facet)) for facet in FACETS}
    versions = {facet: desk.state().version(facet) for facet in FACETS}
    rest = [told for told in ALL if parse(told).target() not in desk.state().decisions]
    made = [desk.decide(parse(told), "person:eve") for told in draw.sample(rest, 5)]
    draw.shuffle(made)
    for decision in made:
        if decision.proposal in {one.proposal for one in desk.state().decisions.values()}:
            desk.revert(decision.proposal, "person:ann", cascade=True)
    tables = {facet: table_of(desk.state().of(facet)) for facet in FACETS}
    assert all(tables[facet].equals(before[facet]) for facet in FACETS)
    assert versions == {facet: desk.state().version(facet) for facet in FACETS}


def test_the_fold_does_not_depend_on_what_was_only_proposed(desk):
    decision = desk.decide(NAVY, "person:ann")
    before = fold(log_of(desk))
    found = desk.propose(parse(ALL[1]), "agent:words")
    desk.refuse(found.id, "person:ann", "no " * 500)
    assert fold(log_of(desk)) == before
    assert decision.proposal in {one.proposal for one in before.decisions.values()}
