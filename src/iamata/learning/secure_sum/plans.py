"""What one round sums, and who takes part: each site writes the plan, and its digest is in everything.

Nobody is sent a plan. A site derives it from the ledger (members, keys) and from the reviewed code (the
query), and a message of any other plan is refused; so the relay cannot choose a query.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from iamata.learning.secure_sum.encoding import ROWS, SUM_MAX, VALUES_MAX, Part
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, KeyId, MemberId, NetworkId, Nonce, RandomText
from iamata.model.reasons import Reason, require

SITES_MIN: Final = 3
"""Of two, each would learn the other's vector."""
SITES_MAX: Final = 256
PARTS_MAX: Final = 256
DELIVERY_VALUES_MAX: Final = 11 * 2**20
"""Values that one delivery brings, of all sites together: 88 MiB, and in base64 still what a node reads."""

_CONTEXT: Final = b"iamata/1/secure-sum.plan\x00"


class Seat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A site of the round, and the key with which its member signs, as the ledger has it."""

    member: MemberId
    key: KeyId


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One round: whose it is, what it sums, and how many must remain."""

    network: NetworkId
    run: RandomText
    """The run on the ledger, or whatever else authorises the round."""
    nonce: Nonce
    """Never twice: a site remembers those it has begun."""
    query: Digest
    """Names the statistic and everything public that it depends on, down to the coefficients so far."""
    parts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1, max_length=PARTS_MAX)]
    seats: Annotated[tuple[Seat, ...], msgspec.Meta(min_length=SITES_MIN, max_length=SITES_MAX)]
    """In the order of the members' names."""
    threshold: int
    """Sites that must remain to the end, and shares that restore a secret."""

    @property
    def layout(self) -> tuple[Part, ...]:
        """The parts of the vector that travels: the number of rows, then the statistic."""
        return (ROWS, *self.parts)

    @property
    def length(self) -> int:
        """Values in the vector that travels."""
        return sum(part.length for part in self.layout)

    def compute_digest(self) -> bytes:
        """Name the plan: SHA-256 of its canonical JSON."""
        return hashlib.sha256(_CONTEXT + encode_struct(self)).digest()

    def find_seat(self, member: MemberId) -> int | None:
        """Find a member's number in the round."""
        return next((number for number, seat in enumerate(self.seats) if seat.member == member), None)


class Attempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a site remembers of a round: kept from before its first message, and again before it reveals."""

    nonce: Nonce
    query: Digest
    revealed: tuple[MemberId, ...] = ()
    """Over whom the site helped to unmask a sum; empty while it has not."""


def compute_threshold(sites: int) -> int:
    """Compute the least threshold: two thirds, and one more."""
    return 2 * sites // 3 + 1


def check_plan(plan: Plan) -> None:
    """Refuse a plan that no site may follow."""
    members = [seat.member for seat in plan.seats]
    require(len(members) >= SITES_MIN, Reason.TOO_FEW_SITES, "a sum over fewer than three")
    require(len(members) <= SITES_MAX, Reason.TOO_LARGE, "sites")
    require(members == sorted(dict.fromkeys(members)), Reason.NOT_CANONICAL, "order of sites")
    keys = dict.fromkeys(seat.key for seat in plan.seats)
    require(len(keys) == len(members), Reason.KEY_ALREADY_USED, "two sites sign with one key")
    is_enough = compute_threshold(len(members)) <= plan.threshold <= len(members)
    require(is_enough, Reason.TOO_FEW_SITES, "threshold")
    require(0 < len(plan.parts) <= PARTS_MAX and plan.length <= VALUES_MAX, Reason.TOO_LARGE, "values")
    is_readable = plan.length * len(members) <= DELIVERY_VALUES_MAX
    require(is_readable, Reason.TOO_LARGE, "values of all sites together")
    is_safe = all(part.bound * len(members) <= SUM_MAX for part in plan.layout)
    require(is_safe, Reason.VALUE_NOT_ENCODABLE, "the sum could overflow")


def check_attempt(plan: Plan, earlier: Sequence[Attempt]) -> None:
    """Refuse a nonce that was used, and a query that was answered, unless over the very same sites.

    Two sums of one query over different sites differ by the vectors of those who are in one of them
    only. So whoever could have learned the first is not helped to the second.
    """
    require(all(one.nonce != plan.nonce for one in earlier), Reason.QUERY_ALREADY_ANSWERED, plan.nonce)
    members = tuple(seat.member for seat in plan.seats)
    for one in earlier:
        if one.query == plan.query and one.revealed:
            is_same = one.revealed == members and plan.threshold == len(members)
            require(is_same, Reason.QUERY_ALREADY_ANSWERED, one.nonce)
