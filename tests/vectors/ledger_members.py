"""Cases of members: invited, admitted, leaving, rotating keys."""

from typing import Any

from iamata.ledger.entries import OwnerKind
from iamata.ledger.entries import MemberKind
from iamata.ledger.envelope import sign_transaction
from iamata.ledger.transactions.members import (
    Application,
    ApplyAsMember,
    InviteMember,
    LeaveNetwork,
    RotateSealingKey,
    RotateSigningKey,
)
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, SuspendMember
from iamata.model.ids import MemberId, Nonce, encode_digest
from iamata.model.instants import MS_PER_DAY, MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import World
from iamata.workflows.author import Author, await_finality

CASES = Cases("members")
WEAK_KEY = encode_digest(bytes([1, *bytes(31)]))
"""The neutral element: a signature that holds for every message is easily found."""


def invite(world: World, **changes: Any) -> dict[str, Any]:
    """Describe an invitation of a laboratory."""
    return {
        "invitation": world.derive_id("invitation"),
        "key": world.stranger("invitation").key.key_id,
        "member": "laboratory",
        "name": "Laboratory",
        "kind": MemberKind.LABORATORY,
        "until_day": world.today + 7,
    } | changes


def write_invitation(world: World, author: Author | None = None, **changes: Any) -> bytes:
    """Let hospital A, or whoever it is, offer the place."""
    signer = author or world.node("hospital-a").author
    body = InviteMember(
        network=world.engine.network,
        nonce=Nonce(signer.make_id()),
        expires_ms=Instant(world.clock() + MS_PER_MINUTE),
        **invite(world, **changes),
    )
    return sign_transaction(body, signer.key)


def submit_invitation(world: World, **changes: Any) -> None:
    """Let hospital A offer the place, successfully."""
    await_finality(world.engine, write_invitation(world, **changes))


def apply_with(world: World, **changes: Any) -> dict[str, Any]:
    """Let the laboratory sign its application with the invitation's key."""
    fields = {
        "invitation": world.derive_id("invitation"),
        "signing_key": world.stranger("laboratory").key.key_id,
        "sealing_key": world.derive_sealing_key("laboratory"),
    }
    return {"application": world.stranger("invitation").state(Application, **(fields | changes))}


def suspend(world: World, member: str) -> None:
    """Let hospital B, the regulator and one more suspend a member."""
    others = [name for name in world.founders if name != member]
    proposal = world.derive_id("suspend", member)
    first, action = world.administrator(others[0]).author, SuspendMember(member=MemberId(member))
    first.submit(OpenProposal, proposal=proposal, action=action, until_day=world.today + 1)
    for name in others[1:]:
        world.administrator(name).author.submit(CastVote, proposal=proposal, is_approval=True)


@CASES.add("member.invited", "LED-MEM-3", why="An active member may offer a place.")
def accepts_member_invite(world: World) -> bytes:
    return write_invitation(world)


@CASES.add(Reason.NOT_A_MEMBER, "LED-MEM-1", why="A person's key cannot act for the organisation.")
def invite_by_a_person(world: World) -> bytes:
    return write_invitation(world, world.administrator("hospital-a").author)


@CASES.add(
    Reason.MEMBER_NOT_ACTIVE, "LED-MEM-2", "LED-PRO-10", why="Suspension takes effect with its block."
)
def invite_by_a_suspended_member(world: World) -> bytes:
    suspend(world, "hospital-a")
    return write_invitation(world)


@CASES.add(Reason.INVITATION_EXPIRED, "LED-MEM-4", why="An invitation cannot outlast what was agreed.")
def invite_for_too_long(world: World) -> bytes:
    return write_invitation(world, until_day=world.today + 31)


@CASES.add(Reason.MEMBER_ALREADY_EXISTS, "LED-MEM-5", why="A name names one organisation for ever.")
def invite_a_member_that_exists(world: World) -> bytes:
    return write_invitation(world, member="hospital-b")


@CASES.add(Reason.INVITATION_ALREADY_EXISTS, "LED-MEM-6", why="An invitation's id is used once.")
def invite_with_a_used_id(world: World) -> bytes:
    submit_invitation(world)
    return write_invitation(world, key=world.stranger("another").key.key_id)


@CASES.add(Reason.WEAK_KEY, "LED-KEY-1", why="A small-order key would let anybody apply.")
def invite_with_a_weak_key(world: World) -> bytes:
    return write_invitation(world, key=WEAK_KEY)


@CASES.add(Reason.KEY_ALREADY_USED, "LED-KEY-2", why="One key speaks for one owner, for ever.")
def invite_with_a_members_key(world: World) -> bytes:
    return write_invitation(world, key=world.node("hospital-b").author.key.key_id)


@CASES.add("member.applied", "LED-MEM-7", "LED-ENV-14", why="Who holds the invitation's key may apply.")
def accepts_member_apply(world: World) -> bytes:
    submit_invitation(world)
    return world.stranger("laboratory").write(ApplyAsMember, **apply_with(world))


@CASES.add(Reason.UNKNOWN_INVITATION, "LED-MEM-7", why="Nobody applies uninvited.")
def apply_without_an_invitation(world: World) -> bytes:
    return world.stranger("laboratory").write(ApplyAsMember, **apply_with(world))


@CASES.add(Reason.UNKNOWN_INVITATION, "LED-MEM-7", why="An invitation admits once.")
def apply_twice(world: World) -> bytes:
    submit_invitation(world)
    world.stranger("laboratory").submit(ApplyAsMember, **apply_with(world))
    other = world.stranger("other")
    return other.write(ApplyAsMember, **apply_with(world, signing_key=other.key.key_id))


@CASES.add(
    Reason.INVITATION_EXPIRED, "LED-MEM-8", "LED-TIME-4", why="A place is held through its last day only."
)
def apply_too_late(world: World) -> bytes:
    submit_invitation(world)
    world.clock.advance(8 * MS_PER_DAY)
    return world.stranger("laboratory").write(ApplyAsMember, **apply_with(world))


@CASES.add(
    Reason.MEMBER_ALREADY_EXISTS, "LED-MEM-9", why="Of two invitations to one name the first taken counts."
)
def apply_for_a_place_that_was_taken(world: World) -> bytes:
    submit_invitation(world)
    submit_invitation(world, invitation=world.derive_id("2"), key=world.stranger("2").key.key_id)
    world.stranger("laboratory").submit(ApplyAsMember, **apply_with(world))
    latecomer = world.stranger("latecomer")
    application = world.stranger("2").state(
        Application,
        invitation=world.derive_id("2"),
        signing_key=latecomer.key.key_id,
        sealing_key=world.derive_sealing_key("laboratory"),
    )
    return latecomer.write(ApplyAsMember, application=application)


@CASES.add(
    Reason.BAD_PROOF_OF_POSSESSION, "LED-MEM-10", why="Nobody applies with a key that another holds."
)
def apply_with_anothers_signing_key(world: World) -> bytes:
    submit_invitation(world)
    return world.stranger("thief").write(ApplyAsMember, **apply_with(world))


@CASES.add(Reason.MEMBER_NOT_ACTIVE, "LED-MEM-2", "LED-MEM-11", why="Having applied is not being a member.")
def invite_by_an_applicant(world: World) -> bytes:
    submit_invitation(world)
    world.stranger("laboratory").submit(ApplyAsMember, **apply_with(world))
    applicant = world.stranger("laboratory")
    return write_invitation(world, applicant, member="friend", invitation=world.derive_id("2"))


@CASES.add("member.left", "LED-MEM-12", why="A member leaves of its own will.")
def accepts_member_leave(world: World) -> bytes:
    return world.node("hospital-a").author.write(LeaveNetwork)


@CASES.add("member.left", "LED-MEM-12", why="A suspended member need not stay.")
def leave_while_suspended(world: World) -> bytes:
    suspend(world, "hospital-a")
    return world.node("hospital-a").author.write(LeaveNetwork)


@CASES.add(Reason.MEMBER_NOT_ACTIVE, "LED-MEM-12", why="Who has left is gone.")
def leave_twice(world: World) -> bytes:
    world.node("hospital-a").author.submit(LeaveNetwork)
    return world.node("hospital-a").author.write(LeaveNetwork)


@CASES.add(Reason.LAST_MEMBER, "LED-MEM-13", why="A network without members could never decide again.")
def leave_as_the_last(world: World) -> bytes:
    for member in ("hospital-a", "hospital-b", "hospital-c"):
        world.node(member).author.submit(LeaveNetwork)
    return world.node("regulator").author.write(LeaveNetwork)


@CASES.add("member.key-rotated", "LED-MEM-14", why="Old and new key agree on the change.")
def accepts_member_rotate_signing_key(world: World) -> bytes:
    possession = world.stranger("new").prove_possession(OwnerKind.MEMBER, "hospital-a", member=MemberId("hospital-a"))
    return world.node("hospital-a").author.write(RotateSigningKey, possession=possession)


@CASES.add(Reason.UNKNOWN_SIGNER, "LED-MEM-14", "LED-KEY-7", why="The old key signs nothing any more.")
def sign_with_a_rotated_key(world: World) -> bytes:
    possession = world.stranger("new").prove_possession(OwnerKind.MEMBER, "hospital-a", member=MemberId("hospital-a"))
    world.node("hospital-a").author.submit(RotateSigningKey, possession=possession)
    return world.node("hospital-a").author.write(LeaveNetwork)


@CASES.add(Reason.BAD_PROOF_OF_POSSESSION, "LED-KEY-3", why="A proof for one owner is none for another.")
def rotate_to_a_key_proved_for_another(world: World) -> bytes:
    possession = world.stranger("new").prove_possession(OwnerKind.MEMBER, "hospital-b", member=MemberId("hospital-b"))
    return world.node("hospital-a").author.write(RotateSigningKey, possession=possession)


@CASES.add(Reason.KEY_ALREADY_USED, "LED-KEY-2", "LED-MEM-14", why="A retired key never comes back.")
def rotate_back(world: World) -> bytes:
    old, new = world.node("hospital-a").author, world.stranger("new")
    old.submit(RotateSigningKey, possession=new.prove_possession(OwnerKind.MEMBER, "hospital-a", member=MemberId("hospital-a")))
    return new.write(RotateSigningKey, possession=old.prove_possession(OwnerKind.MEMBER, "hospital-a", member=MemberId("hospital-a")))


@CASES.add("member.key-rotated", "LED-MEM-15", why="Records can be sealed to another key from now on.")
def accepts_member_rotate_sealing_key(world: World) -> bytes:
    sealing_key = world.derive_sealing_key("new")
    return world.node("hospital-a").author.write(RotateSealingKey, sealing_key=sealing_key)


@CASES.add(Reason.WEAK_KEY, "LED-KEY-8", why="To a low-order point everybody can open what is sealed.")
def rotate_to_a_weak_sealing_key(world: World) -> bytes:
    return world.node("hospital-a").author.write(RotateSealingKey, sealing_key=encode_digest(bytes(32)))


@CASES.add(Reason.WEAK_KEY, "LED-KEY-8", why="A key has one spelling.")
def rotate_to_a_sealing_key_beyond_the_field(world: World) -> bytes:
    beyond = (2**255 - 19 + 9).to_bytes(32, "little")
    return world.node("hospital-a").author.write(RotateSealingKey, sealing_key=encode_digest(beyond))


@CASES.add(Reason.WEAK_KEY, "LED-KEY-8", why="An applicant brings a key that records can be sealed to.")
def apply_with_a_weak_sealing_key(world: World) -> bytes:
    submit_invitation(world)
    weak = apply_with(world, sealing_key=encode_digest(bytes(32)))
    return world.stranger("laboratory").write(ApplyAsMember, **weak)
