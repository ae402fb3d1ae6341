"""What an auditor can check of a site whose round is opened: that it summed what it says it summed.

A site lies within range as it likes, and the sum does not show it. But it has signed a commitment to
its vector, and the vector under its masks. Whoever is given the round's seed and the vector checks both
against the round's transcript, which all sites attest on the ledger; with a seed they learn that one
site's own vector, and of no other's more than its sums show anyway.
"""

from typing import Final

from iamata.learning.secure_sum.material import Material
from iamata.learning.secure_sum.messages import PHASES, Masked, digest_message, extend_transcript
from iamata.learning.secure_sum.plans import Plan
from iamata.learning.secure_sum.progress import Progress, Record
from iamata.learning.secure_sum.steps import compute_masked
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require

_SHARED: Final = PHASES.index("shares")
_MASKED: Final = PHASES.index("masked")
_COUNTED: Final = PHASES.index("sums")
"""Phases on which a sum rests: all but the last, in which sites say what they came to."""


def check_contribution(
    plan: Plan, record: Record, member: MemberId, *, seed: bytes, vector: bytes
) -> bytes:
    """Return the transcript of a round in which a member committed to a vector, and summed just this one.

    Refuses where it did not.
    """
    seat = plan.find_seat(member)
    if seat is None:
        raise Refused(Reason.UNKNOWN_MEMBER, member)
    digest = plan.compute_digest()
    material = Material(seed, plan_digest=digest)
    keys = {one.sender: one for one in record.keys}
    is_own = keys.get(seat) == material.write_keys(sender=seat, vector=vector)
    require(is_own, Reason.FAULT_FOUND, f"{member}: keys")
    heard = (tuple((one.sender, digest_message(one)) for one in record.keys), *record.heard)
    require(len(heard) == _COUNTED, Reason.FAULT_FOUND, f"{member}: phases")
    seen = [digest]
    for phase, said in enumerate(heard):
        seen.append(extend_transcript(seen[-1], phase, said))
    progress = Progress(
        plan=plan, seat=seat, seed=seed, vector=vector, sent=b"", seen=tuple(seen), keys=keys
    )
    masked = compute_masked(progress, material, [sender for sender, _ in heard[_SHARED]])
    message = Masked(plan=digest, sender=seat, seen=seen[_MASKED], vector=masked)
    is_summed = (seat, digest_message(message)) in heard[_MASKED]
    require(is_summed, Reason.FAULT_FOUND, f"{member}: masked vector")
    return seen[-1]
