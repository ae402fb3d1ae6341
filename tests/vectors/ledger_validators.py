"""Cases of validators: appointed, weighed, replaced and dismissed by vote."""

from typing import Any

from iamata.ledger.transactions.members import LeaveNetwork
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, SetValidator, SuspendMember
from iamata.model.ids import KeyId, MemberId, encode_digest
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import World
from ledger_members import suspend
from ledger_proposals import open_one, propose

ALL = ("hospital-a", "hospital-b", "hospital-c")
CASES = Cases("validators", rules=2, validators=ALL)
ONE = Cases("validators-one", rules=2, validators=("hospital-a",))
NONE = Cases("validators-none", rules=2)
A, B, D = MemberId("hospital-a"), MemberId("hospital-b"), MemberId("regulator")


def key_of(world: World, member: str) -> KeyId:
    """Return a founder's consensus key."""
    genesis = world.memory.state.genesis
    return next(one.key for one in genesis.validators if one.member == member)


def fresh(world: World) -> KeyId:
    """Return a key that nobody has."""
    return world.stranger("consensus").key.key_id


def open_with(world: World, action: Any) -> bytes:
    """Let hospital A ask for a change of validators."""
    return world.administrator("hospital-a").author.write(OpenProposal, **propose(world, action))


@CASES.add("proposal.opened", "LED-VAL-1", why="A member that orders no blocks yet is to do so.")
def accepts_a_fourth_validator(world: World) -> bytes:
    return open_with(world, SetValidator(member=D, key=fresh(world), power=1))


@CASES.add("proposal.voted", "LED-VAL-1", "LED-VAL-5", why="The vote that decides replaces a key.")
def accepts_another_key(world: World) -> bytes:
    vote = open_one(world, SetValidator(member=B, key=fresh(world), power=1))
    world.administrator("hospital-b").author.submit(CastVote, **vote)
    return world.administrator("hospital-c").author.write(CastVote, **vote)


@CASES.add("proposal.opened", "LED-VAL-1", why="A weight changes, the key stays.")
def accepts_another_weight(world: World) -> bytes:
    return open_with(world, SetValidator(member=B, key=key_of(world, "hospital-b"), power=7))


@CASES.add("proposal.opened", "LED-VAL-2", why="A member stops ordering and stays a member.")
def accepts_a_dismissal(world: World) -> bytes:
    return open_with(world, SetValidator(member=B, key=key_of(world, "hospital-b"), power=0))


@CASES.add("member.left", "LED-VAL-3", why="Who leaves orders no more.")
def accepts_leaving_as_a_validator(world: World) -> bytes:
    return world.node("hospital-b").author.write(LeaveNetwork)


@CASES.add(Reason.MEMBER_NOT_ACTIVE, "LED-VAL-1", why="A suspended member is not appointed.")
def appoint_a_suspended_member(world: World) -> bytes:
    suspend(world, "regulator")
    return open_with(world, SetValidator(member=D, key=fresh(world), power=1))


@CASES.add(Reason.KEY_ALREADY_USED, "LED-VAL-1", why="A consensus key is one member's for ever.")
def appoint_with_anothers_key(world: World) -> bytes:
    return open_with(world, SetValidator(member=D, key=key_of(world, "hospital-b"), power=1))


@CASES.add(Reason.WEAK_KEY, "LED-VAL-1", why="Anyone can sign for a key of low order.")
def appoint_with_a_weak_key(world: World) -> bytes:
    return open_with(world, SetValidator(member=D, key=KeyId(encode_digest(bytes(32))), power=1))


@CASES.add(Reason.PARAMETER_OUT_OF_RANGE, "LED-VAL-1", why="No weight outweighs all others by far.")
def appoint_with_too_much_weight(world: World) -> bytes:
    return open_with(world, SetValidator(member=D, key=fresh(world), power=1001))


@CASES.add(Reason.PROPOSAL_NOT_APPLICABLE, "LED-VAL-2", why="The key that is dismissed must be the one.")
def dismiss_another_key(world: World) -> bytes:
    return open_with(world, SetValidator(member=B, key=fresh(world), power=0))


@CASES.add(Reason.UNKNOWN_SIGNER, "LED-VAL-5", why="A consensus key that was replaced signs nothing.")
def sign_with_a_replaced_consensus_key(world: World) -> bytes:
    own = world.stranger("consensus")
    for key in (own.key.key_id, world.stranger("next").key.key_id):
        fields = propose(world, SetValidator(member=B, key=key, power=1))
        fields["proposal"] = world.derive_id("proposal", key)
        world.administrator("hospital-a").author.submit(OpenProposal, **fields)
        vote = {"proposal": fields["proposal"], "is_approval": True}
        for member in ("hospital-b", "hospital-c"):
            world.administrator(member).author.submit(CastVote, **vote)
    return own.write(LeaveNetwork)


@ONE.add(Reason.LAST_VALIDATOR, "LED-VAL-4", why="Without validators no block would ever follow.")
def dismiss_the_last_validator(world: World) -> bytes:
    return open_with(world, SetValidator(member=A, key=key_of(world, "hospital-a"), power=0))


@ONE.add(Reason.LAST_VALIDATOR, "LED-VAL-4", why="The last validator is not suspended either.")
def suspend_the_last_validator(world: World) -> bytes:
    return open_with(world, SuspendMember(member=A))


@NONE.add(Reason.PROPOSAL_NOT_APPLICABLE, "LED-VAL-1", why="One signer orders here: others cannot join in.")
def appoint_where_one_signer_orders(world: World) -> bytes:
    return open_with(world, SetValidator(member=B, key=fresh(world), power=1))


CASES.all += ONE.all + NONE.all
