"""Members: invited by one, admitted by many, free to leave, with keys that change."""

from typing import ClassVar

import msgspec

from iamata.crypto.hpke import check_sealing_key
from iamata.ledger import keyring
from iamata.ledger.context import Context
from iamata.ledger.entries import Invitation, KeyOwner, Member, MemberKind, MemberStatus, OwnerKind, Roll
from iamata.ledger.events import MemberApplied, MemberInvited, MemberKeyRotated, MemberLeft
from iamata.ledger.transaction import DisplayName, Possession, Signed, Statement, Transaction
from iamata.ledger.validators import check_dismissal
from iamata.model.ids import InvitationId, KeyId, MemberId, SealingKey
from iamata.model.instants import Day
from iamata.model.reasons import Reason, require


class Application(Statement):
    """Take an invitation: who holds its key names the keys of the new member."""

    typ: ClassVar[str] = "iamata-application+jwt"

    invitation: InvitationId
    signing_key: KeyId
    sealing_key: SealingKey


class InviteMember(Transaction, tag="member.invite"):
    """Offer an organisation a place, to be taken with the key that it was handed."""

    invitation: InvitationId
    key: KeyId
    member: MemberId
    name: DisplayName
    kind: MemberKind
    until_day: Day


class ApplyAsMember(Transaction, tag="member.apply"):
    """Show the keys of an invited organisation; the members then vote."""

    application: Signed[Application]


class LeaveNetwork(Transaction, tag="member.leave"):
    """End one's own membership; what the ledger holds stays."""


class RotateSigningKey(Transaction, tag="member.rotate-signing-key"):
    """Sign with another key from now on; the old one verifies the past and nothing else."""

    possession: Signed[Possession]


class RotateSealingKey(Transaction, tag="member.rotate-sealing-key"):
    """Receive records under another key from now on."""

    sealing_key: SealingKey


def invite_member(tx: InviteMember, ctx: Context) -> MemberInvited:
    """Offer a place for as long as the parameters allow."""
    inviter = ctx.member
    days_max = ctx.state.parameters.invitation_days_max
    require(ctx.block_day <= tx.until_day <= ctx.block_day + days_max, Reason.INVITATION_EXPIRED)
    require(tx.member not in ctx.state.members, Reason.MEMBER_ALREADY_EXISTS)
    require(tx.invitation not in ctx.state.invitations, Reason.INVITATION_ALREADY_EXISTS)
    keyring.check_new_key(tx.key, ctx)

    ctx.state.invitations[tx.invitation] = Invitation(
        member=tx.member, name=tx.name, kind=tx.kind, inviter=inviter, until_day=tx.until_day
    )
    keyring.register_key(tx.key, kind=OwnerKind.INVITATION, owner=tx.invitation, ctx=ctx)

    return MemberInvited(member=tx.member, inviter=inviter, invitation=tx.invitation)


def apply_as_member(tx: ApplyAsMember, ctx: Context) -> MemberApplied:
    """Take a place that was offered, with a signing key that signs this very transaction."""
    application = tx.application.payload
    invitation = ctx.state.invitations[application.invitation]
    require(
        ctx.state.keys[tx.application.key]
        == KeyOwner(kind=OwnerKind.INVITATION, owner=application.invitation),
        Reason.UNKNOWN_INVITATION,
    )
    require(not invitation.is_used, Reason.UNKNOWN_INVITATION)
    require(ctx.block_day <= invitation.until_day, Reason.INVITATION_EXPIRED)
    require(invitation.member not in ctx.state.members, Reason.MEMBER_ALREADY_EXISTS)
    require(application.signing_key == ctx.key, Reason.BAD_PROOF_OF_POSSESSION)
    check_sealing_key(application.sealing_key)
    keyring.check_new_key(ctx.key, ctx)

    ctx.state.members[invitation.member] = Member(
        name=invitation.name,
        kind=invitation.kind,
        status=MemberStatus.APPLIED,
        signing_key=application.signing_key,
        sealing_key=application.sealing_key,
    )
    ctx.state.invitations[application.invitation] = msgspec.structs.replace(invitation, is_used=True)
    keyring.retire_key(tx.application.key, ctx)
    keyring.register_key(ctx.key, kind=OwnerKind.MEMBER, owner=invitation.member, ctx=ctx)

    return MemberApplied(member=invitation.member)


def leave_network(tx: LeaveNetwork, ctx: Context) -> MemberLeft:  # noqa: ARG001  its type says all
    """End the signer's membership, suspended or not, unless nobody else would be left."""
    member_id, member = ctx.find_member_signer()
    require(member.status in (MemberStatus.ACTIVE, MemberStatus.SUSPENDED), Reason.MEMBER_NOT_ACTIVE)
    remaining = remove_from_roll(member_id, ctx)
    require(bool(remaining.active), Reason.LAST_MEMBER)
    dismiss = check_dismissal(member_id, ctx)

    ctx.state.members[member_id] = msgspec.structs.replace(member, status=MemberStatus.LEFT)
    ctx.state.roll = remaining
    dismiss()

    return MemberLeft(member=member_id)


def rotate_signing_key(tx: RotateSigningKey, ctx: Context) -> MemberKeyRotated:
    """Replace the key that signs, proved by both the old and the new one."""
    member_id = ctx.member
    keyring.check_possession(
        tx.possession, kind=OwnerKind.MEMBER, owner=member_id, member=member_id, ctx=ctx
    )

    member = ctx.state.members[member_id]
    ctx.state.members[member_id] = msgspec.structs.replace(member, signing_key=tx.possession.key)
    keyring.retire_key(ctx.key, ctx)
    keyring.register_key(tx.possession.key, kind=OwnerKind.MEMBER, owner=member_id, ctx=ctx)

    return MemberKeyRotated(member=member_id, key=tx.possession.key)


def rotate_sealing_key(tx: RotateSealingKey, ctx: Context) -> MemberKeyRotated:
    """Replace the key that records are sealed to."""
    member_id = ctx.member
    check_sealing_key(tx.sealing_key)

    member = ctx.state.members[member_id]
    ctx.state.members[member_id] = msgspec.structs.replace(member, sealing_key=tx.sealing_key)

    return MemberKeyRotated(member=member_id, key=tx.sealing_key)


def remove_from_roll(member_id: MemberId, ctx: Context) -> Roll:
    """Return the electorate without one member."""
    return Roll(active=tuple(other for other in ctx.state.roll.active if other != member_id))


def add_to_roll(member_id: MemberId, ctx: Context) -> Roll:
    """Return the electorate with one member more."""
    return Roll(active=tuple(sorted((*ctx.state.roll.active, member_id))))
