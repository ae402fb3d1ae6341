"""What an auditor can check of a site whose round is opened: that it summed what it says it summed.

A site lies within range as it likes, and the sum does not show it. But it has signed a commitment to
its vector, and the vector under its masks. Whoever is given salt and vector checks the one; whoever is
given the round's seed too checks that the same vector went into the sum. Then only that site's own
vector is known to the auditor. A node destroys its seed when the run is over, and so far nothing opens a
round before that: who asks for openings of finished runs has to have salts kept first (decision 29).
"""

from collections.abc import Sequence

from iamata.crypto.commitments import compute_commitment
from iamata.learning.secure_sum.material import COMMITMENT_KIND, Material
from iamata.learning.secure_sum.messages import (
    AnyMessage,
    Keys,
    Masked,
    Signed,
    extend_transcript,
    read_message,
)
from iamata.learning.secure_sum.plans import Plan
from iamata.learning.secure_sum.progress import PeerKeys, Progress
from iamata.learning.secure_sum.steps import compute_masked
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require


def check_commitment(
    plan: Plan, keys: Sequence[bytes], member: MemberId, *, salt: bytes, vector: bytes
) -> None:
    """Refuse a vector that is not the one to which a member committed among the round's first messages."""
    message = _find(_read(plan, keys), plan, member)
    commitment = compute_commitment(COMMITMENT_KIND, salt, vector)
    is_opening = isinstance(message, Keys) and message.vector == commitment
    require(is_opening, Reason.FAULT_FOUND, f"{member}: commitment")


def check_contribution(
    plan: Plan, deliveries: Sequence[Sequence[bytes]], member: MemberId, *, seed: bytes, vector: bytes
) -> None:
    """Refuse a vector that is not what a member summed; `deliveries` are the round's first three."""
    keys, shares, masked = (_read(plan, delivery) for delivery in deliveries[:3])
    seat = plan.find_seat(member)
    if seat is None:
        raise Refused(Reason.UNKNOWN_MEMBER, member)
    digest = plan.compute_digest()
    material = Material(seed, plan_digest=digest)
    is_own = _find(keys, plan, member) == material.write_keys(sender=seat, vector=vector)
    require(is_own, Reason.FAULT_FOUND, f"{member}: keys")
    first = extend_transcript(digest, 0, keys)
    seen = (digest, first, extend_transcript(first, 1, shares))
    announced = {
        one.message.sender: PeerKeys(one.message.channel, one.message.masking, one.message.self_mask)
        for one in keys
        if isinstance(one.message, Keys)
    }
    progress = Progress(plan=plan, seat=seat, seed=seed, vector=vector, sent=b"", seen=seen, keys=announced)
    expected = compute_masked(progress, material, [one.message.sender for one in shares])
    message = _find(masked, plan, member)
    is_summed = isinstance(message, Masked) and message.vector == expected
    require(is_summed, Reason.FAULT_FOUND, f"{member}: masked vector")


def _read(plan: Plan, delivery: Sequence[bytes]) -> list[Signed]:
    digest = plan.compute_digest()
    return [read_message(raw, plan, plan_digest=digest) for raw in delivery]


def _find(messages: Sequence[Signed], plan: Plan, member: MemberId) -> AnyMessage | None:
    found = (one.message for one in messages if plan.seats[one.message.sender].member == member)
    return next(found, None)
