"""The relay's side of one round: it collects, orders and delivers, and is trusted with nothing else.

It knows the plan's members and keys, so that it can keep out what would make every honest site leave.
When to stop waiting for somebody is for whoever runs it to say.
"""

from collections.abc import Sequence

import msgspec

from iamata.crypto.aead import TAG_BYTES
from iamata.crypto.shamir import SHARE_BYTES
from iamata.learning.secure_sum.encoding import VALUE_BYTES
from iamata.learning.secure_sum.messages import (
    PHASES,
    SEALED_SHARES_BYTES,
    AnyMessage,
    Masked,
    Reveals,
    Shares,
    extend_transcript,
    list_heard,
    read_message,
)
from iamata.learning.secure_sum.plans import Plan, check_plan
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, require


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A relay's state: nothing in it is secret."""

    plan: Plan
    seen: bytes
    expected: tuple[int, ...]
    waiting: dict[int, bytes] = {}
    delivered: tuple[tuple[bytes, ...], ...] = ()


class Relay:
    """Carries the messages of one round."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._digest = kept.plan.compute_digest()

    @classmethod
    def start(cls, plan: Plan) -> "Relay":
        """Open a round."""
        check_plan(plan)
        return cls(Kept(plan=plan, seen=plan.compute_digest(), expected=tuple(range(len(plan.seats)))))

    @classmethod
    def restore(cls, spelled: bytes) -> "Relay":
        """Take up a round from its spelled state."""
        return cls(msgspec.msgpack.decode(spelled, type=Kept))

    def spell_state(self) -> bytes:
        """Spell the state for keeping."""
        return msgspec.msgpack.encode(self._kept)

    @property
    def plan(self) -> Plan:
        """The round that it carries."""
        return self._kept.plan

    @property
    def phase(self) -> int:
        """Which phase's messages it collects; 6 when all are delivered."""
        return len(self._kept.delivered)

    def receive(self, raw: bytes) -> MemberId:
        """Take in a message, once or more often, and return who signed it; all that speak close a phase."""
        kept = self._kept
        signed = read_message(raw, kept.plan, plan_digest=self._digest)
        message: AnyMessage = signed.message
        member = MemberId(kept.plan.seats[message.sender].member)
        if message.phase < self.phase:
            is_same = raw in kept.delivered[message.phase]
            require(is_same, Reason.OUT_OF_TURN, f"{PHASES[message.phase]} of {member}")
            return member
        require(message.phase == self.phase, Reason.OUT_OF_TURN, f"{PHASES[message.phase]} of {member}")
        require(message.sender in kept.expected, Reason.OUT_OF_TURN, f"{member} had left")
        require(message.seen == kept.seen, Reason.VIEWS_DIFFER, member)
        require(
            kept.waiting.get(message.sender, raw) == raw, Reason.VIEWS_DIFFER, f"{member} said two things"
        )
        _check_shape(message, kept)
        waiting = {**kept.waiting, message.sender: raw}
        self._kept = msgspec.structs.replace(kept, waiting=waiting)
        if len(waiting) == len(kept.expected):
            self.close_phase()
        return member

    def close_phase(self) -> None:
        """Go on without those who have not spoken, or refuse because too few would be left."""
        kept = self._kept
        require(self.phase < len(PHASES), Reason.OUT_OF_TURN, "the round is over")
        require(len(kept.waiting) >= kept.plan.threshold, Reason.TOO_FEW_SITES, PHASES[self.phase])
        senders = tuple(sorted(kept.waiting))
        delivery = tuple(kept.waiting[sender] for sender in senders)
        messages = [read_message(raw, kept.plan, plan_digest=self._digest) for raw in delivery]
        self._kept = msgspec.structs.replace(
            kept,
            seen=extend_transcript(kept.seen, self.phase, list_heard(messages)),
            expected=senders,
            waiting={},
            delivered=(*kept.delivered, delivery),
        )

    def has_spoken(self, member: MemberId, phase: int) -> bool:
        """Tell whether a site's message in a phase has come, or is awaited no more."""
        seat = self._kept.plan.find_seat(member)
        if seat is None or phase > self.phase:
            return False
        return phase < self.phase or seat in self._kept.waiting

    def list_speakers(self) -> tuple[MemberId, ...]:
        """List who has spoken in this round, and has not left it."""
        seats = self._kept.expected if self._kept.delivered else sorted(self._kept.waiting)
        return tuple(MemberId(self._kept.plan.seats[seat].member) for seat in seats)

    def find_delivery(self, phase: int) -> Sequence[bytes] | None:
        """Return what a phase brought, if it is closed: however often, to whoever asks."""
        return self._kept.delivered[phase] if phase < len(self._kept.delivered) else None


def _check_shape(message: AnyMessage, kept: Kept) -> None:
    """Refuse what no honest site could go on with, though its signature holds."""
    member = kept.plan.seats[message.sender].member
    match message:
        case Shares():
            sizes = [0 if peer == message.sender else SEALED_SHARES_BYTES for peer in kept.expected]
            is_right = [len(one) for one in message.sealed] == sizes
        case Masked():
            is_right = len(message.vector) == VALUE_BYTES * kept.plan.length
        case Reveals():
            is_right = len(message.sealed) == len(kept.delivered[1]) * SHARE_BYTES + TAG_BYTES
        case _:
            is_right = True
    require(is_right, Reason.MALFORMED, member)
