"""A wallet's outbox: what its owner has decided, and what waits for its time, as values.

What waits is the intent with all that makes it one and the same whenever it is sent: the consent's id, the
salt of its terms, the new key. The transaction is signed when it goes, because none lives longer than
minutes. `siblings` says when; who sends it, and forgets it only once the ledger has it, is `node.outbox`.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, NewType, TypeAlias

import msgspec

from iamata.consent.terms import Terms
from iamata.ledger.entries import RESTRICTIONS_MAX
from iamata.model.ids import Commitment, ConsentId, DigestText, MemberId, NetworkId, RandomText
from iamata.model.instants import Day, Instant, compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows.siblings import (
    ENTROPY_BYTES,
    RECENT_MS,
    SIBLINGS_MAX,
    SPACING_MS,
    schedule_siblings,
)
from iamata.workflows.wallets import Identity, KeptTerms

WAITING_MAX: Final = 256
SENT_MAX: Final = 1_024
RETRY_MS: Final = 6 * SPACING_MS
"""How long an act rests when its custodian could not answer."""
FOLDER_LENGTH_MAX: Final = 4_096
CODE_LENGTH_MAX: Final = 8_192

ActId = NewType("ActId", RandomText)


class GrantAct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="grant"):
    """Terms that the patient agreed to, with the salt of their commitment."""

    consent: ConsentId
    terms: Terms
    salt: DigestText
    last_day: Day
    """The patient's own choice: sent later than this, the grant would mean nothing."""
    replaces: ConsentId | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return f"GrantAct({self.consent})"


class EnrolAct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="enrol"):
    """A key of the patient's own for one custodian, and the code by which the custodian lets it in."""

    identity: Identity
    code: Annotated[str, msgspec.Meta(min_length=1, max_length=CODE_LENGTH_MAX)]
    until_ms: Instant
    """The code's own end: sent later than this, it would be refused."""

    def __repr__(self) -> str:
        return f"EnrolAct({self.identity})"


class AddDeviceAct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="add-device"):
    """A key for another device, and the folder of its wallet, which gets the key when the ledger does."""

    identity: Identity
    folder: Annotated[str, msgspec.Meta(min_length=1, max_length=FOLDER_LENGTH_MAX)]


class ConfirmAct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="confirm"):
    """A consent that the custodian signed, to be made the patient's own."""

    kept: KeptTerms


class LiftAct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="lift"):
    """Restrictions by the custodian, to be undone."""

    consent: ConsentId
    restrictions: Annotated[tuple[Commitment, ...], msgspec.Meta(max_length=RESTRICTIONS_MAX)]


Act: TypeAlias = GrantAct | EnrolAct | AddDeviceAct | ConfirmAct | LiftAct


class Waiting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An act at one custodian, and when it goes."""

    id: ActId
    network: NetworkId
    member: MemberId
    due_ms: Instant
    act: Act
    refused: Annotated[int, msgspec.Meta(ge=0, le=999)] = 0
    """The reason for which it was refused when it was sent: it is not sent again."""


class Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That something went to a custodian, and when: what is decided next may be its sibling."""

    network: NetworkId
    member: MemberId
    at_ms: Instant


class Outbox(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What waits, and what went shortly before."""

    waiting: Annotated[tuple[Waiting, ...], msgspec.Meta(max_length=WAITING_MAX)] = ()
    sent: Annotated[tuple[Sent, ...], msgspec.Meta(max_length=SENT_MAX)] = ()


def put_in(
    outbox: Outbox,
    decided: Sequence[Waiting],
    *,
    now_ms: int,
    entropy: Callable[[int], bytes],
    is_now: bool = False,
) -> Outbox:
    """Return the outbox with the acts of one decision, each with its time: now, or as the rule says."""
    require(len(outbox.waiting) + len(decided) <= WAITING_MAX, Reason.TOO_LARGE, "the outbox is full")
    members = tuple(dict.fromkeys(one.member for one in decided))
    require(len(members) <= SIBLINGS_MAX, Reason.TOO_LARGE, f"{SIBLINGS_MAX} custodians at once at most")
    delays = (0,) * len(members) if is_now else _draw_delays(outbox, members, now_ms, entropy)
    due = {member: now_ms + delay for member, delay in zip(members, delays, strict=True)}
    timed = tuple(msgspec.structs.replace(one, due_ms=Instant(due[one.member])) for one in decided)
    for one in timed:
        _check_end(one)
    return msgspec.structs.replace(outbox, waiting=(*outbox.waiting, *timed))


def list_siblings(outbox: Outbox, members: tuple[MemberId, ...], *, now_ms: int) -> tuple[MemberId, ...]:
    """List the custodians that one decision concerns, or that it follows: none where it stands alone."""
    others = [member for member, _ in _list_instants(outbox, now_ms)]
    concerned = tuple(dict.fromkeys((*members, *others)))
    return concerned if len(concerned) > 1 else ()


def list_due(outbox: Outbox, *, network: NetworkId, now_ms: int) -> tuple[Waiting, ...]:
    """List what can go to a network now, the longest due first."""
    due = [one for one in outbox.waiting if one.network == network and one.due_ms <= now_ms]
    return tuple(sorted((one for one in due if not one.refused), key=lambda one: one.due_ms))


def is_crowded(outbox: Outbox, waiting: Waiting, *, now_ms: int) -> bool:
    """Tell whether something went to another custodian too short a time ago for this to follow.

    So it is when the wallet could not send for a while, and several acts are due at once.
    """
    return any(now_ms - one.at_ms < SPACING_MS for one in outbox.sent if one.member != waiting.member)


def put_off(
    outbox: Outbox, waiting: Waiting, *, now_ms: int, entropy: Callable[[int], bytes]
) -> tuple[Outbox, Waiting]:
    """Return the outbox with a new time, of the next day, for one act."""
    without = take_out(outbox, waiting.id)
    (delay,) = _draw_delays(without, (waiting.member,), now_ms, entropy)
    later = msgspec.structs.replace(waiting, due_ms=Instant(now_ms + delay))
    return _replace(outbox, later), later


def try_later(outbox: Outbox, waiting: Waiting, *, now_ms: int) -> Outbox:
    """Return the outbox with an act whose custodian could not answer.

    Tried every minute, it would keep all that waits for other custodians from being sent.
    """
    return _replace(outbox, msgspec.structs.replace(waiting, due_ms=Instant(now_ms + RETRY_MS)))


def take_out(outbox: Outbox, act: ActId) -> Outbox:
    """Return the outbox without one act."""
    remaining = tuple(one for one in outbox.waiting if one.id != act)
    return msgspec.structs.replace(outbox, waiting=remaining)


def mark_refused(outbox: Outbox, waiting: Waiting, reason: Reason) -> Outbox:
    """Return the outbox with an act that stays to be seen, and is not sent again."""
    return _replace(outbox, msgspec.structs.replace(waiting, refused=int(reason)))


def mark_sent(outbox: Outbox, *, network: NetworkId, member: MemberId, now_ms: int) -> Outbox:
    """Return the outbox that remembers that something went; what is no sibling any more is forgotten."""
    recent = [one for one in outbox.sent if now_ms - one.at_ms < RECENT_MS]
    here = Sent(network=network, member=member, at_ms=Instant(now_ms))
    return msgspec.structs.replace(outbox, sent=(*recent[1 - SENT_MAX :], here))


def get_waiting(outbox: Outbox, act: ActId) -> Waiting:
    """Return what waits under an id, or refuse."""
    for one in outbox.waiting:
        if one.id == act:
            return one
    raise Refused(Reason.FILE_NOT_FOUND, f"nothing waits as {act}")


def find_grant(outbox: Outbox, consent: ConsentId) -> Waiting | None:
    """Return what would grant a consent, where it waits."""
    for one in outbox.waiting:
        if isinstance(one.act, GrantAct) and one.act.consent == consent:
            return one
    return None


def list_drawn(outbox: Outbox) -> tuple[Identity, ...]:
    """List who the wallet will be to custodians who do not have its key yet."""
    return tuple(one.act.identity for one in outbox.waiting if isinstance(one.act, EnrolAct))


def follow(outbox: Outbox, *, before: NetworkId, after: NetworkId) -> Outbox:
    """Return the outbox where a network goes on under another id: what waits is intents, signed when sent.

    But for a custodian's code of before, which is the custodian's word and will be refused.
    """

    def rename(waiting: Waiting) -> Waiting:
        if waiting.network != before:
            return waiting
        act = waiting.act
        if isinstance(act, EnrolAct | AddDeviceAct):
            identity = msgspec.structs.replace(act.identity, network=after)
            act = msgspec.structs.replace(act, identity=identity)
        return msgspec.structs.replace(waiting, network=after, act=act)

    sent = tuple(
        msgspec.structs.replace(one, network=after) if one.network == before else one for one in outbox.sent
    )
    return Outbox(waiting=tuple(map(rename, outbox.waiting)), sent=sent)


def _check_end(timed: Waiting) -> None:
    """Refuse an act that would mean nothing any more when it is sent."""
    act, detail = timed.act, "it would end before it is sent; --now does not wait"
    if isinstance(act, GrantAct):
        require(act.last_day >= compute_day(timed.due_ms), Reason.CONSENT_ALREADY_EXPIRED, detail)
    if isinstance(act, EnrolAct):
        require(act.until_ms >= timed.due_ms, Reason.EXPIRED, f"the code: {detail}")


def _draw_delays(
    outbox: Outbox, members: tuple[MemberId, ...], now_ms: int, entropy: Callable[[int], bytes]
) -> tuple[int, ...]:
    is_alone = len(members) == 1
    instants = _list_instants(outbox, now_ms)
    taken = [at_ms for member, at_ms in instants if not is_alone or member != members[0]]
    chance = entropy(2 * len(members) * ENTROPY_BYTES)
    return schedule_siblings(len(members), now_ms=now_ms, entropy=chance, taken=taken)


def _list_instants(outbox: Outbox, now_ms: int) -> list[tuple[MemberId, int]]:
    """List when something goes, or went shortly before, and to whom."""
    recent = [one for one in outbox.sent if now_ms - one.at_ms < RECENT_MS]
    return [
        *((one.member, one.due_ms) for one in outbox.waiting if not one.refused),
        *((one.member, one.at_ms) for one in recent),
    ]


def _replace(outbox: Outbox, changed: Waiting) -> Outbox:
    waiting = tuple(changed if one.id == changed.id else one for one in outbox.waiting)
    return msgspec.structs.replace(outbox, waiting=waiting)
