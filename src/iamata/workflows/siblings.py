"""When a wallet sends transactions that say the same thing to several custodians.

Sent together, they would tell every reader of the ledger that their pseudonyms are one patient. So each
goes at an instant of its own, drawn from the whole of a day that has not begun yet: then all that a
reader learns is the day, which the ledger's periods name anyway. A withdrawal never waits, and one
transaction alone has no sibling.

The ledger also shows a grant's last day. Terms name the patient's own choice, which only patient and
custodian see; sibling grants show a last day that is the same for everybody who sends on that day.
"""

from typing import Final

from iamata.model.instants import MS_PER_DAY, MS_PER_MINUTE, Day

SPACING_MS: Final = 10 * MS_PER_MINUTE
"""The least time between two siblings."""
SPAN_MS: Final = MS_PER_DAY
"""Siblings are spread over one UTC day, the next."""
SIBLINGS_MAX: Final = 48
"""More than this many would leave too little room for chance between them."""
ENTROPY_BYTES: Final = 8
"""Chance that one sibling uses."""
COMMON_DAYS: Final = 366
"""How long every sibling grant stands on the ledger; its terms may end sooner."""


def schedule_siblings(count: int, *, now_ms: int, entropy: bytes) -> tuple[int, ...]:
    """Return how long to wait before sending each of `count` siblings, in the order given.

    Instants and order are uniform over the next UTC day, among all instants that keep their distance.
    """
    _check(count, entropy)
    if count <= 1:
        return (0,) * count
    draws = [
        int.from_bytes(entropy[at : at + ENTROPY_BYTES]) for at in range(0, len(entropy), ENTROPY_BYTES)
    ]
    room_ms = SPAN_MS - (count - 1) * SPACING_MS
    begins_ms = (now_ms // MS_PER_DAY + 1) * MS_PER_DAY
    offsets = sorted(draw % room_ms for draw in draws[:count])
    instants = [begins_ms + offset + place * SPACING_MS for place, offset in enumerate(offsets)]
    order = sorted(range(count), key=lambda index: (draws[count + index], index))
    delays = dict(zip(order, instants, strict=True))
    return tuple(delays[index] - now_ms for index in range(count))


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
