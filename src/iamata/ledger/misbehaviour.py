"""What consensus has seen of a validator that broke its rules: an event, and a proposal to suspend.

Nobody submits it and nobody can leave it out: every replica finds the same evidence in the same block.
"""

import enum
import hashlib
from typing import Final

import msgspec

from iamata.ledger.entries import MemberStatus, Tally
from iamata.ledger.events import ValidatorAccused
from iamata.ledger.tables import Tables
from iamata.ledger.transactions.proposals import SuspendMember
from iamata.model.canonical import encode_struct
from iamata.model.ids import (
    RANDOM_ID_BYTES,
    KeyId,
    MemberId,
    ProposalId,
    TxId,
    compute_random_id,
    decode_digest,
    encode_digest,
)
from iamata.model.instants import Day, Instant, compute_day

ADDRESS_BYTES: Final = 20
_PREFIX: Final = b"iamata/1/evidence\x00"


class MisbehaviourKind(enum.StrEnum):
    """How a validator broke the rules of consensus."""

    DUPLICATE_VOTE = "duplicate-vote"
    LIGHT_CLIENT_ATTACK = "light-client-attack"


class Misbehaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One piece of evidence, as consensus hands it to every replica."""

    kind: MisbehaviourKind
    key: KeyId
    """The consensus key that broke the rules."""
    height: int
    time_ms: Instant


def compute_address(key: KeyId) -> bytes:
    """Compute the address by which consensus names a key: 20 bytes of its SHA-256."""
    return hashlib.sha256(decode_digest(key)).digest()[:ADDRESS_BYTES]


def compute_evidence_id(misbehaviour: Misbehaviour) -> TxId:
    """Name a piece of evidence in the log, where it stands like a transaction."""
    return TxId(encode_digest(_hash(misbehaviour)))


def accuse(misbehaviour: Misbehaviour, state: Tables, *, time_ms: int) -> ValidatorAccused:
    """Ask the members to suspend whose key it is, and say so in the log.

    The proposal carries no vote yet: the evidence speaks, the members decide. A member that is not active
    is named and no more.
    """
    owner = state.keys.find(misbehaviour.key)
    member = None if owner is None else MemberId(owner.owner)
    is_active = member is not None and state.members[member].status is MemberStatus.ACTIVE
    proposal: ProposalId | msgspec.UnsetType = msgspec.UNSET
    if member is not None and is_active:
        action = msgspec.json.encode(SuspendMember(member=member), order="sorted")
        proposal = _choose_proposal(misbehaviour, member, action, state)
        if proposal not in state.proposals:
            state.proposals[proposal] = Tally(
                action=msgspec.Raw(action),
                opener=member,
                until_day=Day(compute_day(time_ms) + state.parameters.proposal_days_max),
                approvals=(),
            )
    return ValidatorAccused(
        member=msgspec.UNSET if member is None else member,
        key=misbehaviour.key,
        kind=misbehaviour.kind,
        height=misbehaviour.height,
        proposal=proposal,
    )


def _choose_proposal(
    misbehaviour: Misbehaviour, member: MemberId, action: bytes, state: Tables
) -> ProposalId:
    """Name the vote by its evidence; the next name where somebody has opened another one under that.

    Whoever misbehaves knows the evidence first, and could be there before it. A vote that a person
    opened begins with the approval of the opener's member.
    """
    digest = _hash(misbehaviour)
    while True:
        proposal = ProposalId(compute_random_id(digest[:RANDOM_ID_BYTES]))
        tally = state.proposals.find(proposal)
        if tally is None:
            return proposal
        is_by_evidence = tally.opener == member and tally.approvals[:1] != (member,)
        if is_by_evidence and bytes(tally.action) == action:
            return proposal
        digest = hashlib.sha256(_PREFIX + digest).digest()


def _hash(misbehaviour: Misbehaviour) -> bytes:
    return hashlib.sha256(_PREFIX + encode_struct(misbehaviour)).digest()
