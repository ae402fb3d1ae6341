"""When a wallet sends transactions that say the same thing to several custodians.

Sent together, they would tell every reader of the ledger that their pseudonyms are one patient. So each
goes at an instant of its own, drawn from the whole of a day that has not begun yet: then all that a
reader learns is the day, which the ledger's periods name anyway. A withdrawal never waits, and one
transaction alone, with nothing at another custodian shortly before it, has no sibling.

The ledger also shows a grant's last day. Terms name the patient's own choice, which only patient and
custodian see; sibling grants show a last day that is the same for everybody who sends on that day.
"""

from collections.abc import Sequence
from typing import Final

from iamata.model.instants import MS_PER_DAY, MS_PER_MINUTE, Day

SPACING_MS: Final = 10 * MS_PER_MINUTE
"""The least time between two siblings."""
SPAN_MS: Final = MS_PER_DAY
"""Siblings are spread over one UTC day, the next."""
RECENT_MS: Final = MS_PER_DAY
"""What was sent to another custodian less than this ago is a sibling still."""
SIBLINGS_MAX: Final = 48
"""More than this many would leave too little room for chance between them."""
ENTROPY_BYTES: Final = 8
"""Chance that one sibling uses."""
COMMON_DAYS: Final = 366
"""How long every sibling grant stands on the ledger; its terms may end sooner."""


def schedule_siblings(
    count: int, *, now_ms: int, entropy: bytes, taken: Sequence[int] = ()
) -> tuple[int, ...]:
    """Return how long to wait before sending each of `count` siblings, in the order given.

    `taken` are the instants of what was sent, or waits, at other custodians. Each sibling in turn, and
    whose turn it is decides chance, gets any instant of the next UTC day that keeps its distance.
    """
    _check(count, entropy)
    if count <= 1 and not taken:
        return (0,) * count
    draws = [
        int.from_bytes(entropy[at : at + ENTROPY_BYTES]) for at in range(0, len(entropy), ENTROPY_BYTES)
    ]
    instants: dict[int, int] = {}
    for index in sorted(range(count), key=lambda index: (draws[count + index], index)):
        instants[index] = _choose(draws[index], after_ms=now_ms, taken=(*taken, *instants.values()))
    return tuple(instants[index] - now_ms for index in range(count))


def compute_common_last_day(sent_day: int) -> Day:
    """Return the last day that a sibling grant shows when it is sent on this day."""
    return Day(sent_day + COMMON_DAYS)


def _check(count: int, entropy: bytes) -> None:
    if not 0 <= count <= SIBLINGS_MAX:
        message = f"from 0 to {SIBLINGS_MAX} siblings can be scheduled, not {count}"
        raise ValueError(message)
    if len(entropy) != 2 * count * ENTROPY_BYTES:
        message = f"{count} siblings need {2 * count * ENTROPY_BYTES} random bytes, not {len(entropy)}"
        raise ValueError(message)


def _choose(draw: int, *, after_ms: int, taken: Sequence[int]) -> int:
    """Choose an instant of the next UTC day by chance; of the day after, where that one is full."""
    begins_ms = (after_ms // MS_PER_DAY + 1) * MS_PER_DAY
    blocked = _block(taken, begins_ms=begins_ms)
    room_ms = SPAN_MS - sum(end - start for start, end in blocked)
    if room_ms == 0:
        return _choose(draw, after_ms=begins_ms, taken=taken)
    instant = begins_ms + draw % room_ms
    for start, end in blocked:
        if instant >= start:
            instant += end - start
    return instant


def _block(taken: Sequence[int], *, begins_ms: int) -> list[tuple[int, int]]:
    """List the stretches of a day that are too near to what is taken, apart from each other, in order."""
    blocked: list[tuple[int, int]] = []
    free_from = begins_ms
    for instant in sorted(taken):
        start = max(instant - SPACING_MS + 1, free_from)
        end = min(instant + SPACING_MS, begins_ms + SPAN_MS)
        if start < end:
            blocked.append((start, end))
            free_from = end
    return blocked
