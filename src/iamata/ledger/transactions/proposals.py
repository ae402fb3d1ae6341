"""Proposals: what no member may decide alone, carried out by the vote that reaches the quorum."""

from collections.abc import Callable
from typing import Any, Final, Union, dataclass_transform

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import MemberStatus, Parameters, Quantity, Role, Tally, Upgrade
from iamata.ledger.events import ProposalOpened, ProposalVoted
from iamata.ledger.parameters import check_parameters, count_deciding
from iamata.ledger.transaction import Count, Transaction
from iamata.ledger.transactions.members import add_to_roll, remove_from_roll
from iamata.ledger.validators import check_appointment, check_dismissal
from iamata.model.ids import KeyId, MemberId, PersonId, ProposalId
from iamata.model.instants import Day
from iamata.model.reasons import Reason, require


@dataclass_transform(frozen_default=True)
class Action(msgspec.Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    """What is to be decided."""


class AdmitMember(Action, tag="admit"):
    """Let an organisation that applied take part."""

    member: MemberId


class SuspendMember(Action, tag="suspend"):
    """Let a member take part no more, until it is reinstated."""

    member: MemberId


class ReinstateMember(Action, tag="reinstate"):
    """Let a suspended member take part again."""

    member: MemberId


class SetParameters(Action, tag="set-parameters"):
    """Change what the members have agreed on."""

    parameters: Parameters


class RestorePrivilege(Action, tag="restore-privilege"):
    """Let a person break the glass again after an unjustified emergency."""

    person: PersonId


class SetValidator(Action, tag="set-validator"):
    """Let a member order blocks with this consensus key and weight, or, with weight 0, no more."""

    member: MemberId
    key: KeyId
    power: Quantity


class UpgradeRules(Action, tag="upgrade-rules"):
    """Let other rules hold from a block on; a node that does not know them stops there."""

    version: Count
    height: Count


AnyAction = (
    AdmitMember
    | SuspendMember
    | ReinstateMember
    | SetParameters
    | RestorePrivilege
    | SetValidator
    | UpgradeRules
)


class OpenProposal(Transaction, tag="proposal.open"):
    """Ask the members to decide; opening counts as the opener's approval."""

    proposal: ProposalId
    action: AnyAction
    until_day: Day


class CastVote(Transaction, tag="proposal.vote"):
    """Vote on a proposal on behalf of one's member."""

    proposal: ProposalId
    is_approval: bool


def open_proposal(tx: OpenProposal, ctx: Context) -> ProposalOpened:
    """Open a proposal that could be carried out now."""
    _, person = ctx.require_person(Role.ADMINISTRATOR)
    days_max = ctx.state.parameters.proposal_days_max
    require(tx.proposal not in ctx.state.proposals, Reason.PROPOSAL_ALREADY_EXISTS)
    require(ctx.block_day <= tx.until_day <= ctx.block_day + days_max, Reason.PROPOSAL_CLOSED)
    carry_out = check_action(tx.action, ctx)
    tally = Tally(
        action=msgspec.Raw(msgspec.json.encode(tx.action, order="sorted")),
        opener=person.member,
        until_day=tx.until_day,
        approvals=(person.member,),
    )

    is_executed = settle(tx.proposal, tally, carry_out, ctx)

    return ProposalOpened(proposal=tx.proposal, opener=person.member, is_executed=is_executed)


def cast_vote(tx: CastVote, ctx: Context) -> ProposalVoted:
    """Count a member's vote, and carry the proposal out when it is the one that decides."""
    _, person = ctx.require_person(Role.ADMINISTRATOR)
    tally = ctx.state.proposals[tx.proposal]
    require(not tally.is_closed and ctx.block_day <= tally.until_day, Reason.PROPOSAL_CLOSED)
    require(person.member not in (*tally.approvals, *tally.rejections), Reason.ALREADY_VOTED)
    carry_out = check_action(_ACTIONS.decode(tally.action), ctx)
    field = "approvals" if tx.is_approval else "rejections"
    counted = msgspec.structs.replace(tally, **{field: (*getattr(tally, field), person.member)})

    is_executed = settle(tx.proposal, counted, carry_out, ctx)

    return ProposalVoted(
        proposal=tx.proposal, member=person.member, is_approval=tx.is_approval, is_executed=is_executed
    )


def settle(proposal: ProposalId, tally: Tally, carry_out: Callable[[], None], ctx: Context) -> bool:
    """Write the tally; at quorum carry the proposal out and close it, and close it when it is lost."""
    is_carried = count_active(tally.approvals, ctx) >= compute_quorum(ctx)
    is_lost = len(ctx.state.roll.active) - count_active(tally.rejections, ctx) < compute_quorum(ctx)
    ctx.state.proposals[proposal] = msgspec.structs.replace(tally, is_closed=is_carried or is_lost)
    if is_carried:
        carry_out()
    return is_carried


def count_active(voters: tuple[MemberId, ...], ctx: Context) -> int:
    """Count the votes of those who are members now: who left or is suspended has no say."""
    return sum(member in ctx.state.roll.active for member in voters)


def compute_quorum(ctx: Context) -> int:
    """Compute how many approvals decide: more than the agreed share of the active members."""
    return count_deciding(len(ctx.state.roll.active), ctx.state.parameters)


def check_action(action: AnyAction, ctx: Context) -> Callable[[], None]:
    """Refuse what could not be carried out now; return what carries it out."""
    if isinstance(action, SetParameters):
        return check_new_parameters(action, ctx)
    if isinstance(action, RestorePrivilege):
        return check_restoring(action, ctx)
    if isinstance(action, SetValidator):
        return check_validator(action, ctx)
    if isinstance(action, UpgradeRules):
        return check_upgrade(action, ctx)
    return check_status_change(action, ctx)


def check_new_parameters(action: SetParameters, ctx: Context) -> Callable[[], None]:
    """Refuse parameters out of their ranges."""
    check_parameters(action.parameters)

    def carry_out() -> None:
        ctx.state.parameters = action.parameters

    return carry_out


def check_restoring(action: RestorePrivilege, ctx: Context) -> Callable[[], None]:
    """Refuse to restore what was not taken."""
    person = ctx.state.persons[action.person]
    require(person.is_privilege_suspended, Reason.PROPOSAL_NOT_APPLICABLE)

    def carry_out() -> None:
        ctx.state.persons[action.person] = msgspec.structs.replace(person, is_privilege_suspended=False)

    return carry_out


def check_validator(action: SetValidator, ctx: Context) -> Callable[[], None]:
    """Refuse a change of validators that cannot be made."""
    if action.power == 0:
        return check_dismissal(action.member, ctx, key=action.key)
    return check_appointment(action.member, action.key, action.power, ctx)


def check_upgrade(action: UpgradeRules, ctx: Context) -> Callable[[], None]:
    """Refuse rules that are not newer than all that were agreed on, and a height that is not ahead."""
    planned = (Upgrade(height=ctx.height, version=ctx.rules.version), *ctx.state.upgrades)
    is_next = all(action.version > one.version and action.height > one.height for one in planned)
    require(is_next, Reason.PROPOSAL_NOT_APPLICABLE)

    def carry_out() -> None:
        fresh = Upgrade(height=action.height, version=action.version)
        ctx.state.upgrades = (*ctx.state.upgrades, fresh)

    return carry_out


def check_status_change(
    action: AdmitMember | SuspendMember | ReinstateMember, ctx: Context
) -> Callable[[], None]:
    """Refuse a change that the member's present status does not allow, or that leaves no electorate."""
    before, after = _STATUS_CHANGES[type(action)]
    member = ctx.state.members[action.member]
    require(member.status is before, Reason.PROPOSAL_NOT_APPLICABLE)
    is_joining = after is MemberStatus.ACTIVE
    roll = add_to_roll(action.member, ctx) if is_joining else remove_from_roll(action.member, ctx)
    require(bool(roll.active), Reason.LAST_MEMBER)
    dismiss = None if is_joining else check_dismissal(action.member, ctx)

    def carry_out() -> None:
        ctx.state.members[action.member] = msgspec.structs.replace(member, status=after)
        ctx.state.roll = roll
        if dismiss is not None:
            dismiss()

    return carry_out


_STATUS_CHANGES: Final[dict[type[Action], tuple[MemberStatus, MemberStatus]]] = {
    AdmitMember: (MemberStatus.APPLIED, MemberStatus.ACTIVE),
    SuspendMember: (MemberStatus.ACTIVE, MemberStatus.SUSPENDED),
    ReinstateMember: (MemberStatus.SUSPENDED, MemberStatus.ACTIVE),
}
_ACTIONS: Final["msgspec.json.Decoder[Any]"] = msgspec.json.Decoder(Union[AnyAction])  # noqa: UP007  one type
