"""A site's side of one round: a state machine that is fed what the relay delivers and says what to send.

    keys → shares → masked → survivors → reveals → sums → the sum

Each answer is signed over the transcript of all that was accepted before it. What contradicts ends the
round for this site, for good: `receive` refuses, and refuses ever after. Keep `seal_state` durably
before an answer leaves; whoever restores the latest says the same again, and a delivery that was accepted
before gets the last answer once more.

A site reveals one share for each peer, never both: which one follows from the single set of survivors
that it signed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from iamata.crypto import aead
from iamata.crypto.ed25519 import SigningKey
from iamata.learning.secure_sum import steps
from iamata.learning.secure_sum.encoding import (
    ROWS,
    Floats,
    Integers,
    Residues,
    decode_floats,
    decode_integers,
    encode_values,
    read_residues,
    spell_residues,
    split_parts,
)
from iamata.learning.secure_sum.material import Material
from iamata.learning.secure_sum.messages import (
    PHASES,
    Signed,
    extend_transcript,
    list_heard,
    read_message,
    sign_message,
)
from iamata.learning.secure_sum.plans import Attempt, Plan, check_attempt, check_plan
from iamata.learning.secure_sum.progress import Progress, Record, open_progress, seal_progress
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require

_STEPS: Final[tuple[Callable[..., steps.Step], ...]] = (
    steps.take_keys,
    steps.take_shares,
    steps.take_masked,
    steps.take_survivors,
    steps.take_reveals,
    steps.take_sums,
)
_MASKED: Final = 2
_SUMS: Final = 5


@dataclass(frozen=True, slots=True)
class Sum:
    """What a round came to, the same at every site that finished it."""

    sites: tuple[MemberId, ...]
    """Whose vectors are in it."""
    rows: int
    """Over all of them, with whatever noise was added."""
    residues: tuple[Residues, ...]
    """Part by part, as the plan says."""
    plan: Plan
    transcript: bytes
    """What those who finished agree on: 32 bytes that stand for the plan and every message that the sum
    follows from. Whose word on the sum a site heard in the end changes nothing."""
    record: Record
    """What the transcript follows from."""

    @property
    def integers(self) -> tuple[Integers, ...]:
        """Part by part in units of the scale: exact."""
        return tuple(map(decode_integers, self.residues))

    @property
    def values(self) -> tuple[Floats, ...]:
        """Part by part as numbers."""
        return tuple(map(decode_floats, self.plan.parts, self.residues))


class Site:
    """One site in one round."""

    def __init__(self, progress: Progress, key: SigningKey) -> None:
        """Take up a round where it was left; `start` and `restore` are the ways to one."""
        self._progress = progress
        self._key = key
        self._material = Material(progress.seed, plan_digest=progress.seen[0])

    def __repr__(self) -> str:
        return f"Site({self.member})"

    @classmethod
    def start(  # noqa: PLR0913  what a site brings to a round, each by its name
        cls,
        plan: Plan,
        key: SigningKey,
        *,
        seed: bytes,
        rows: int,
        values: Sequence[Floats | Integers],
        noise: Integers | None = None,
        earlier: Sequence[Attempt] = (),
    ) -> "Site":
        """Enter a round with this site's own statistic; `seed` is 32 fresh random bytes.

        `noise` is this site's share of it, a whole number for the rows and for each value in the unit
        of its scale; it may take a value beyond its bound. `earlier` are all attempts that the site has
        kept. Refuses a plan that nobody may follow, one that does not name this key, a nonce or a query
        that is used up, and values that cannot be summed.
        """
        check_plan(plan)
        check_attempt(plan, earlier)
        seat = next((at for at, one in enumerate(plan.seats) if one.key == key.key_id), None)
        vector = spell_vector(plan, rows=rows, values=values, noise=noise)
        if seat is None:
            raise Refused(Reason.ANOTHER_ROUND, "this key has no seat in it")
        digest = plan.compute_digest()
        message = Material(seed, plan_digest=digest).write_keys(sender=seat, vector=vector)
        sent = sign_message(key, message)
        progress = Progress(plan=plan, seat=seat, seed=seed, vector=vector, sent=sent, seen=(digest,))
        return cls(progress, key)

    @classmethod
    def restore(cls, sealed: bytes, key: SigningKey, *, sealing: aead.Key) -> "Site":
        """Take up a round from its sealed state; refuse one that was changed or is another member's."""
        progress = open_progress(sealed, sealing)
        seat = progress.plan.seats[progress.seat]
        require(seat.key == key.key_id, Reason.ANOTHER_ROUND, seat.member)
        return cls(progress, key)

    def seal_state(self, sealing: aead.Key, *, nonce: bytes) -> bytes:
        """Spell the state for keeping, sealed under a key of the node's with a nonce never used again."""
        return seal_progress(self._progress, sealing, nonce=nonce)

    @property
    def plan(self) -> Plan:
        """What the site sums, and with whom."""
        return self._progress.plan

    @property
    def member(self) -> MemberId:
        """Who sits here."""
        return self._progress.plan.seats[self._progress.seat].member

    @property
    def answer(self) -> bytes:
        """What to send: the last message, the same however often one asks."""
        self._require_in_round()
        return self._progress.sent

    @property
    def phase(self) -> int:
        """Of which phase the next delivery must be; 6 once the sum is known."""
        return len(self._progress.present)

    @property
    def transcript(self) -> bytes:
        """Everything that was accepted, as the answer is signed over it."""
        return self._progress.last

    @property
    def attempt(self) -> Attempt:
        """What to remember of this round for ever: keep it with the state."""
        present = self._progress.present
        survivors = present[_MASKED] if len(present) > _MASKED else ()
        plan = self._progress.plan
        members = tuple(plan.seats[seat].member for seat in survivors)
        return Attempt(nonce=plan.nonce, query=plan.query, revealed=members)

    def find_sum(self) -> Sum | None:
        """Return the sum once the round is over."""
        progress = self._progress
        if not progress.is_final:
            return None
        plan = progress.plan
        residues = split_parts(plan.layout, read_residues(progress.total, plan.length))
        return Sum(
            sites=self.attempt.revealed,
            rows=int(decode_integers(residues[0])[0]),
            residues=residues[1:],
            plan=plan,
            transcript=progress.seen[_SUMS],
            record=Record(tuple(progress.keys.values()), progress.heard[1:_SUMS]),
        )

    def receive(self, delivery: Sequence[bytes]) -> bytes | None:
        """Accept one phase's messages and return this site's answer, None once the sum is known.

        A phase that was accepted changes nothing, and a later one than the next is refused without harm
        (OUT_OF_TURN). Every other refusal ends the round for this site.
        """
        self._require_in_round()
        try:
            messages = self._read(delivery)
            self._progress = self._advance(messages)
        except Refused as refusal:
            if refusal.reason is not Reason.OUT_OF_TURN:
                self._abort(refusal)
            raise
        return None if self._progress.is_final else self._progress.sent

    def _read(self, delivery: Sequence[bytes]) -> list[Signed]:
        """Read a delivery: one phase, ascending senders."""
        plan = self._progress.plan
        require(0 < len(delivery) <= len(plan.seats), Reason.TOO_FEW_SITES, "empty delivery")
        messages = [read_message(raw, plan, plan_digest=self._progress.seen[0]) for raw in delivery]
        phases = dict.fromkeys(one.message.phase for one in messages)
        require(len(phases) == 1, Reason.OUT_OF_TURN, "phases mixed")
        senders = [one.message.sender for one in messages]
        require(senders == sorted(dict.fromkeys(senders)), Reason.NOT_CANONICAL, "order of senders")
        return messages

    def _advance(self, messages: list[Signed]) -> Progress:
        progress = self._progress
        phase, due = messages[0].message.phase, self.phase
        require(phase <= due, Reason.OUT_OF_TURN, PHASES[phase])
        heard = list_heard(messages)
        seen = extend_transcript(progress.seen[phase], phase, heard)
        if phase < due:
            require(seen == progress.seen[phase + 1], Reason.VIEWS_DIFFER, f"{PHASES[phase]} once more")
            return progress
        self._check(messages, phase)
        counted = msgspec.structs.replace(
            progress, seen=(*progress.seen, seen), heard=(*progress.heard, heard)
        )
        step: Callable[[Progress, Material, list[Any]], steps.Step] = _STEPS[phase]
        changed, answer = step(counted, self._material, [one.message for one in messages])
        if answer is None:
            return changed
        return msgspec.structs.replace(changed, sent=sign_message(self._key, answer))

    def _check(self, messages: list[Signed], phase: int) -> None:
        """Refuse what a site may not go on with: too few, itself missing, another view."""
        progress = self._progress
        plan = progress.plan
        for one in messages:
            member = plan.seats[one.message.sender].member
            require(one.message.seen == progress.last, Reason.VIEWS_DIFFER, f"{PHASES[phase]} of {member}")
            is_known = phase == 0 or one.message.sender in progress.present[-1]
            require(is_known, Reason.OUT_OF_TURN, f"{member} had left")
        own = [one for one in messages if one.message.sender == progress.seat]
        require(bool(own), Reason.SITE_LEFT_OUT, PHASES[phase])
        is_own = sign_message(self._key, own[0].message) == progress.sent
        require(is_own, Reason.VIEWS_DIFFER, "this site's own message")
        require(len(messages) >= plan.threshold, Reason.TOO_FEW_SITES, PHASES[phase])

    def _abort(self, refusal: Refused) -> None:
        """Leave the round; what peers entrusted to this site is forgotten."""
        self._progress = msgspec.structs.replace(
            self._progress,
            refused=int(refusal.reason),
            detail=refusal.detail,
            sent=b"",
            shares={},
            total=b"",
        )

    def _require_in_round(self) -> None:
        refused = self._progress.refused
        if refused:
            raise Refused(Reason.ROUND_ABORTED, f"{Reason(refused).name} {self._progress.detail}".strip())


def spell_vector(
    plan: Plan, *, rows: int, values: Sequence[Floats | Integers], noise: Integers | None
) -> bytes:
    """Spell what a site sums: its rows, then its values, with its noise; refuse what cannot be summed."""
    require(len(values) == len(plan.parts), Reason.VALUE_NOT_ENCODABLE, "parts")
    count = encode_values(ROWS, np.array([rows], dtype=np.int64))
    encoded = [count, *map(encode_values, plan.parts, values)]
    return spell_residues(_add_noise(np.concatenate(encoded), noise))


def _add_noise(vector: Residues, noise: Integers | None) -> Residues:
    if noise is None:
        return vector
    is_whole = noise.dtype == np.int64 and noise.shape == vector.shape
    require(is_whole, Reason.VALUE_NOT_ENCODABLE, "noise")
    return vector + noise.view(np.uint64)
