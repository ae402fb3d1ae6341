"""LED-VAL-6: what consensus has seen becomes a leaf and a proposal, at every replica the same."""

import msgspec
import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.ledger.entries import MemberStatus, Tally
from iamata.ledger.events import ValidatorAccused
from iamata.ledger.leaves import Leaf, decode_leaf
from iamata.ledger.misbehaviour import Misbehaviour, MisbehaviourKind, compute_address
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.state import LedgerState
from iamata.ledger.tables import MEMBERS, PROPOSALS
from iamata.ledger.transactions.members import LeaveNetwork
from iamata.ledger.transactions.proposals import (
    CastVote,
    OpenProposal,
    SetParameters,
    SuspendMember,
)
from iamata.model.ids import KeyId, MemberId
from iamata.model.instants import Day, Instant, compute_day
from iamata.testing.world import World

ALL = ("hospital-a", "hospital-b", "hospital-c")


def observe(world: World, key: KeyId, *, seen_ms: int | None = None) -> tuple[Leaf, list[bytes]]:
    """Put evidence against a key into a block that also holds a transaction."""
    state = world.memory.state
    evidence = Misbehaviour(
        kind=MisbehaviourKind.DUPLICATE_VOTE, key=key, height=5, time_ms=Instant(seen_ms or world.clock())
    )
    position = state.place(world.clock())
    outcome = state.run(position, [], [evidence])
    state.install(position, [], outcome)
    world.memory.leaves.extend(outcome.leaves)
    return decode_leaf(outcome.leaves[0]), list(outcome.leaves)


def find_tally(state: LedgerState, event: ValidatorAccused) -> Tally | None:
    """Find the proposal that an accusation opened."""
    return PROPOSALS.find(state.entries, str(event.proposal))


def test_evidence_opens_a_vote_that_suspends() -> None:
    world = World.found("evidence", validators=ALL)
    leaf, leaves = observe(world, world.memory.state.genesis.validators[1].key)
    event: ValidatorAccused = leaf.event
    assert (event.member, leaf.reason, len(leaves)) == ("hospital-b", 0, 1)
    tally = find_tally(world.memory.state, event)
    assert tally is not None
    assert tally.approvals == ()

    for member in ("hospital-a", "hospital-c", "regulator"):
        world.administrator(member).author.submit(CastVote, proposal=event.proposal, is_approval=True)

    accused = MEMBERS.find(world.memory.state.entries, "hospital-b")
    assert accused is not None
    assert accused.status is MemberStatus.SUSPENDED


def test_the_same_evidence_twice_opens_one_vote() -> None:
    world = World.found("twice", validators=ALL)
    key = world.memory.state.genesis.validators[1].key
    first, _ = observe(world, key)
    before = find_tally(world.memory.state, first.event)

    second, _ = observe(world, key)

    assert (second.id, second.event) == (first.id, first.event)
    assert find_tally(world.memory.state, second.event) == before


@pytest.mark.parametrize("kind", ["another action", "its own suspension"])
def test_the_accused_cannot_be_there_before_the_vote(kind: str) -> None:
    world = World.found("before", validators=ALL)
    key = world.memory.state.genesis.validators[1].key
    seen_ms = world.clock()
    expected, _ = observe(World.found("before", validators=ALL), key, seen_ms=seen_ms)
    taken = expected.event.proposal
    own = SuspendMember(member=MemberId("hospital-b"))
    world.administrator("hospital-b").author.submit(
        OpenProposal,
        proposal=taken,
        action=own if kind == "its own suspension" else SetParameters(parameters=DEFAULT_PARAMETERS),
        until_day=Day(compute_day(world.clock())),
    )

    first, _ = observe(world, key, seen_ms=seen_ms)
    second, _ = observe(world, key, seen_ms=seen_ms)

    assert first.id == expected.id
    assert first.event.proposal != taken
    tally = find_tally(world.memory.state, first.event)
    assert tally is not None
    assert tally.approvals == ()
    assert second.event == first.event


def test_a_member_that_left_is_named_and_no_more() -> None:
    world = World.found("left", validators=ALL)
    key = world.memory.state.genesis.validators[1].key
    world.node("hospital-b").author.submit(LeaveNetwork)

    leaf, _ = observe(world, key)

    assert (leaf.event.member, leaf.event.proposal) == (MemberId("hospital-b"), msgspec.UNSET)


def test_a_key_that_nobody_registered_is_recorded_as_nobodys() -> None:
    world = World.found("stranger", validators=ALL)

    leaf, _ = observe(world, world.stranger("nobody").key.key_id)

    assert (leaf.event.member, leaf.event.proposal) == (msgspec.UNSET, msgspec.UNSET)


def test_an_address_is_the_first_bytes_of_the_keys_hash() -> None:
    """CometBFT's address of RFC 8032's first test key."""
    key = SigningKey.from_seed(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )

    assert compute_address(key.key_id).hex() == "21fe31dfa154a261626bf854046fd2271b7bed4b"
