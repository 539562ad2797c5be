"""Who convinces the policy, and of what."""

import pytest

from pinlanding_assets.curation.cases import Case, Policy, Witness, ranked
from pinlanding_assets.decisions.operations import OPERATIONS, parse

NAVY = parse({"operation": "word.merge", "key": "color", "word": "navy", "into": "blue"})
SIX = Witness("images", 6, 6)


def case(*witnesses, operation=NAVY, touched=3, weight=1.0):
    return Case("agent:words", operation, "why", weight, touched, witnesses)


@pytest.mark.parametrize(
    ("asked", "agrees", "convinced"), [(6, 6, True), (5, 5, False), (20, 17, False), (40, 38, True)]
)
def test_a_witness_is_convinced_by_enough_of_enough(asked, agrees, convinced):
    assert Witness("images", asked, agrees).convinced is convinced
    assert not Witness("images", 0, 0).convinced


def test_two_witnesses_are_needed():
    policy = Policy(products=1_000)
    assert policy.verdict(case(SIX, Witness("encoder", 9, 9)))[0] == "auto"
    assert policy.verdict(case(SIX, Witness("encoder", 9, 5)))[0] == "approve"
    assert policy.verdict(case())[0] == "approve"


def test_much_at_once_is_for_a_person():
    both = (SIX, Witness("encoder", 9, 9))
    assert Policy(products=1_000).verdict(case(*both, touched=11))[0] == "approve"


def test_every_operation_has_a_mode_and_what_has_none_is_forbidden():
    from pinlanding_assets.curation.cases import POLICY

    assert POLICY.keys() == OPERATIONS.keys()
    assert Policy(10, modes={}).verdict(case(SIX))[0] == "forbid"


def test_of_cases_on_one_target_the_weightiest_counts():
    drop = parse({"operation": "word.drop", "key": "color", "word": "navy"})
    found = ranked([case(weight=2.0), case(operation=drop, weight=5.0)])
    assert [one.operation for one in found] == [drop]
    assert len(ranked([case()] * 3, most=1)) == 1
