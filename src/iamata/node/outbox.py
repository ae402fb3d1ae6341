"""A wallet's outbox at work: what is decided goes in first, goes out when it is due, and then is forgotten.

Whatever happens in between, the outbox still names the act, and sending it again has no second effect
(`node.acts`): so nothing that was decided is lost, and nothing happens twice.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from iamata.model.ids import RANDOM_ID_BYTES, MemberId, compute_random_id
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.node import acts
from iamata.node.identities import UNDECIDED
from iamata.node.places import Place
from iamata.stores.outboxes import load_outbox, save_outbox
from iamata.workflows import outbox as outboxes
from iamata.workflows.outbox import Act, ActId, Outbox, Waiting

PASSING: Final = (
    *UNDECIDED,
    Reason.STORAGE_FULL,
    Reason.RULES_UNKNOWN,
    Reason.LEDGER_FORKED,
    Reason.FAULT_FOUND,
    Reason.NOT_SIGNED,
    Reason.TOO_MANY_REQUESTS,
    Reason.WRONG_NODE,
)
"""Refusals that are none for good: the act stays, and is sent again."""

UNDER_WAY: Final = (
    "it is not sent again, but its custodian was handed it without an answer, and may put it on the ledger "
    "for two more days: look with `wallet show`, and withdraw what has come to stand there"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an act: it was sent, or waits, or was refused."""

    waiting: Waiting
    is_sent: bool = False
    is_elsewhere: bool = False
    """Its custodian has no desk here, so it waits to be sent at the custodian's own home or node."""
    refused: Refused | None = None


def decide(
    place: Place, folder: Path, decided: Sequence[tuple[MemberId, Act]], *, is_now: bool = False
) -> list[Outcome]:
    """Take in what a patient has decided in one go; send what need not wait, and tell what waits."""
    now_ms = place.clock()
    fresh = [
        Waiting(
            id=ActId(compute_random_id(place.entropy(RANDOM_ID_BYTES))),
            network=place.engine.network,
            member=member,
            due_ms=Instant(now_ms),
            act=act,
        )
        for member, act in decided
    ]
    box = outboxes.put_in(load_outbox(folder), fresh, now_ms=now_ms, entropy=place.entropy, is_now=is_now)
    save_outbox(folder, box)
    timed = [outboxes.get_waiting(box, one.id) for one in fresh]
    return [_send_decided(place, folder, one, now_ms=now_ms) for one in timed]


def settle(outcomes: Sequence[Outcome]) -> None:
    """Raise the first refusal among outcomes."""
    for outcome in outcomes:
        if outcome.refused is not None:
            raise outcome.refused


def send_due(place: Place, folder: Path) -> list[Outcome]:
    """Send what is due; put off what would go too soon after something to another custodian.

    What is for a custodian who has no desk here stays: not even that it waits is this place's business.
    """
    due = outboxes.list_due(load_outbox(folder), network=place.engine.network, now_ms=place.clock())
    return [_send_in_turn(place, folder, waiting) for waiting in due]


def call_off(place: Place, folder: Path, act: ActId) -> Waiting:
    """Take an act out of the outbox, unless the ledger has it already.

    Where its custodian was handed it and gave no answer, say that it may bind all the same.
    """
    box = load_outbox(folder)
    waiting = outboxes.get_waiting(box, act)
    is_here = waiting.network == place.engine.network
    require(is_here, Reason.FOREIGN_NETWORK, "it waits for another network")
    check_desk(place, waiting)
    has_arrived = not waiting.refused and acts.has_arrived(place, waiting)
    is_under_way = not waiting.refused and acts.is_under_way(folder, waiting)
    if has_arrived:
        acts.deliver(place, folder, waiting)  # so that the wallet keeps what the ledger has
    save_outbox(folder, outboxes.take_out(box, act))
    require(not has_arrived, Reason.REPLAYED, "it was sent before it could be called off")
    require(not is_under_way, Reason.TOO_SLOW, UNDER_WAY)
    return waiting


def check_desk(place: Place, waiting: Waiting) -> None:
    """Refuse to ask here whether something has arrived that is another custodian's business."""
    member = waiting.member
    require(
        place.has_desk(member), Reason.UNKNOWN_MEMBER, f"it may have arrived: ask where {member} is served"
    )


def note_sent(place: Place, folder: Path, member: MemberId) -> tuple[MemberId, ...]:
    """Remember that something goes to a custodian at once: what follows elsewhere is its sibling.

    Return the custodians with which this instant may be joined.
    """
    box, now_ms = load_outbox(folder), place.clock()
    marked = outboxes.mark_sent(box, network=place.engine.network, member=member, now_ms=now_ms)
    save_outbox(folder, marked)
    return outboxes.list_siblings(box, (member,), now_ms=now_ms)


def _send_in_turn(place: Place, folder: Path, waiting: Waiting) -> Outcome:
    if not place.has_desk(waiting.member):
        return Outcome(waiting, is_elsewhere=True)
    box, now_ms = load_outbox(folder), place.clock()
    if outboxes.is_crowded(box, waiting, now_ms=now_ms):
        later, moved = outboxes.put_off(box, waiting, now_ms=now_ms, entropy=place.entropy)
        save_outbox(folder, later)
        return Outcome(moved)
    try:
        _send(place, folder, waiting)
    except Refused as refused:
        save_outbox(folder, _keep_for_later(load_outbox(folder), waiting, refused, now_ms=now_ms))
        return Outcome(waiting, refused=refused)
    return Outcome(waiting, is_sent=True)


def _keep_for_later(box: Outbox, waiting: Waiting, refused: Refused, *, now_ms: int) -> Outbox:
    if refused.reason in PASSING:
        return outboxes.try_later(box, waiting, now_ms=now_ms)
    return outboxes.mark_refused(box, waiting, refused.reason)


def _send_decided(place: Place, folder: Path, waiting: Waiting, *, now_ms: int) -> Outcome:
    """Send what goes at once: who decided it is there to hear of a refusal, so nothing of it stays."""
    is_elsewhere = not place.has_desk(waiting.member)
    if is_elsewhere or waiting.due_ms > now_ms:
        return Outcome(waiting, is_elsewhere=is_elsewhere)
    try:
        _send(place, folder, waiting)
    except Refused as refused:
        if refused.reason not in PASSING:
            save_outbox(folder, outboxes.take_out(load_outbox(folder), waiting.id))
        return Outcome(waiting, refused=refused)
    return Outcome(waiting, is_sent=True)


def _send(place: Place, folder: Path, waiting: Waiting) -> None:
    # Remembered before it is sent: a crash must not let a sibling follow at once.
    note_sent(place, folder, waiting.member)
    try:
        acts.deliver(place, folder, waiting)
    except Refused:
        if not acts.has_arrived(place, waiting):
            raise
        # What an earlier attempt sent became final meanwhile; the wallet keeps what the ledger has.
        acts.deliver(place, folder, waiting)
    save_outbox(folder, outboxes.take_out(load_outbox(folder), waiting.id))
