"""The quorum is more than the agreed share of the members active now (LED-PRO-6, LED-PRO-9)."""

import msgspec
import pytest

from iamata.crypto.authmap import AuthMap
from iamata.ledger.context import Context
from iamata.ledger.entries import MemberKind, Roll, Tally
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.rules import NEWEST, RULES
from iamata.ledger.tables import PROPOSALS, Scratch, Tables
from iamata.ledger.transactions.members import LeaveNetwork
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, SetParameters, compute_quorum
from iamata.model.ids import KeyId, MemberId
from iamata.testing.world import World

ACTION = SetParameters(parameters=msgspec.structs.replace(DEFAULT_PARAMETERS, confirm_days=30))


@pytest.mark.parametrize(
    ("members", "numerator", "denominator", "quorum"),
    [
        (1, 1, 2, 1), (2, 1, 2, 2), (3, 1, 2, 2), (4, 1, 2, 3), (5, 1, 2, 3), (100, 1, 2, 51),
        (3, 2, 3, 3), (4, 2, 3, 3), (6, 2, 3, 5), (7, 2, 3, 5), (100, 99, 100, 100), (1, 99, 100, 1),
    ],
)  # fmt: skip
def test_the_quorum_is_more_than_the_share(
    members: int, numerator: int, denominator: int, quorum: int
) -> None:
    tables = Tables(Scratch(AuthMap()))
    tables.parameters = msgspec.structs.replace(
        DEFAULT_PARAMETERS, quorum_numerator=numerator, quorum_denominator=denominator
    )
    tables.roll = Roll(active=tuple(MemberId(f"m{number:03}") for number in range(members)))

    context = Context(state=tables, time_ms=0, key=KeyId("k"), signer=None, height=1, rules=RULES[NEWEST])
    assert compute_quorum(context) == quorum


def find_tally(world: World, proposal: str) -> Tally:
    tally = PROPOSALS.find(world.memory.state.entries, proposal)
    assert tally is not None
    return tally


def vote(world: World, proposal: str, member: str, *, is_approval: bool) -> Tally:
    world.administrator(member).author.submit(CastVote, proposal=proposal, is_approval=is_approval)
    return find_tally(world, proposal)


def found(*members: str) -> tuple[World, str]:
    """Found a network whose first member opens a proposal."""
    world = World.found(founders=dict.fromkeys(members, MemberKind.HOSPITAL))
    proposal = world.derive_id("proposal")
    world.administrator(members[0]).author.submit(
        OpenProposal, proposal=proposal, action=ACTION, until_day=world.today
    )
    return world, proposal


def test_the_vote_that_reaches_the_quorum_carries_the_proposal_out() -> None:
    world, proposal = found("aaa", "bbb", "ccc", "ddd")
    before = [
        vote(world, proposal, "bbb", is_approval=True).is_closed,
        world.memory.state.entries.get(b"network/current"),
    ]
    after = vote(world, proposal, "ccc", is_approval=True)

    assert before[0] is False
    assert after.is_closed
    assert world.memory.state.entries.get(b"network/current") != before[1]


def test_an_approval_of_a_member_that_left_does_not_count() -> None:
    world, proposal = found("aaa", "bbb", "ccc", "ddd", "eee")
    vote(world, proposal, "bbb", is_approval=True)
    world.node("bbb").author.submit(LeaveNetwork)

    assert not vote(world, proposal, "ccc", is_approval=True).is_closed
    assert vote(world, proposal, "ddd", is_approval=True).is_closed


def test_a_rejection_of_a_member_that_left_does_not_lose_a_proposal() -> None:
    world, proposal = found("aaa", "bbb", "ccc", "ddd", "eee")
    for member in ("bbb", "ccc"):
        vote(world, proposal, member, is_approval=False)
        world.node(member).author.submit(LeaveNetwork)

    assert not vote(world, proposal, "ddd", is_approval=False).is_closed
    assert vote(world, proposal, "eee", is_approval=True).is_closed


def test_a_proposal_is_lost_as_soon_as_the_rest_cannot_carry_it() -> None:
    world, proposal = found("aaa", "bbb", "ccc", "ddd")

    assert not vote(world, proposal, "bbb", is_approval=False).is_closed
    assert vote(world, proposal, "ccc", is_approval=False).is_closed
