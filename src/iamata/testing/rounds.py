"""A round of secure sums among sites with keys from a seed, and a relay that can be told whom to lose."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.learning.secure_sum.encoding import Floats, Integers, Part
from iamata.learning.secure_sum.messages import PHASES
from iamata.learning.secure_sum.plans import Attempt, Plan, Seat, compute_threshold
from iamata.learning.secure_sum.relay import Relay
from iamata.learning.secure_sum.site import Site, Sum
from iamata.model.ids import Digest, MemberId, NetworkId, Nonce, compute_random_id, encode_digest
from iamata.model.reasons import Refused

PART: Final = Part(length=4, scale_bits=20, magnitude_max=1_000)


def make_seed(number: int, *, label: int = 0) -> bytes:
    """Make 32 bytes that look like nobody else's."""
    return bytes([label, number % 256, number // 256]) + bytes(29)


def make_keys(count: int) -> list[SigningKey]:
    """Make the members' signing keys."""
    return [SigningKey.from_seed(make_seed(number, label=1)) for number in range(count)]


def make_plan(sites: int, *, parts: Sequence[Part] = (PART,), nonce: int = 0, query: int = 0) -> Plan:
    """Plan a round among members site-000, and so on."""
    seats = [Seat(MemberId(f"site-{at:03d}"), key.key_id) for at, key in enumerate(make_keys(sites))]
    return Plan(
        network=NetworkId(encode_digest(bytes(32))),
        run=compute_random_id(bytes(16)),
        nonce=Nonce(compute_random_id(nonce.to_bytes(16, "big"))),
        query=Digest(encode_digest(query.to_bytes(32, "big"))),
        parts=tuple(parts),
        seats=tuple(seats),
        threshold=compute_threshold(sites),
    )


def enter(
    plan: Plan,
    values: Sequence[Floats | Integers],
    *,
    rows: Sequence[int] = (),
    earlier: Mapping[int, Sequence[Attempt]] = {},
) -> list[Site]:
    """Let every site of a plan enter the round."""
    return [
        Site.start(
            plan,
            key,
            seed=make_seed(at, label=2),
            rows=rows[at] if rows else 1,
            values=[values[at]],
            earlier=earlier.get(at, ()),
        )
        for at, key in enumerate(make_keys(len(plan.seats)))
    ]


@dataclass
class Round:
    """Some sites, an honest relay, and who has been lost."""

    plan: Plan
    sites: list[Site]
    relay: Relay

    @classmethod
    def open(cls, sites: list[Site]) -> "Round":
        """Open a round among sites that have entered it."""
        plan = sites[0].plan
        return cls(plan, sites, Relay.start(plan))

    def collect(self, *, lost: Collection[int] = ()) -> None:
        """Bring every site's answer to the relay but those of the lost, and close the phase."""
        before = self.relay.phase
        for at, site in enumerate(self.sites):
            if at not in lost:
                self.relay.receive(site.answer)
        if self.relay.phase == before:
            self.relay.close_phase()

    def deliver(self, *, lost: Collection[int] = ()) -> None:
        """Bring the last phase's messages to every site but the lost."""
        delivery = self.relay.find_delivery(self.relay.phase - 1) or ()
        for at, site in enumerate(self.sites):
            if at not in lost:
                site.receive(delivery)

    def advance(self, phases: int, *, lost: Mapping[int, int] = {}) -> None:
        """Go through some phases; `lost` says for a site in which phase its message does not come."""
        for phase in range(self.relay.phase, self.relay.phase + phases):
            gone = [at for at, since in lost.items() if since <= phase]
            self.collect(lost=gone)
            self.deliver(lost=gone)

    def finish(self, *, lost: Mapping[int, int] = {}) -> list[Sum]:
        """Go to the end, and return the sum of each site that is there."""
        self.advance(len(PHASES) - self.relay.phase, lost=lost)
        return [
            total for at, site in enumerate(self.sites) if at not in lost and (total := site.find_sum())
        ]


def read_refusal(site: Site, delivery: Sequence[bytes]) -> Refused | None:
    """Show a site a delivery, and return the refusal if it refuses."""
    try:
        site.receive(delivery)
    except Refused as refusal:
        return refusal
    return None


def rewrite(plan: Plan, **changes: object) -> Plan:
    """Change a plan."""
    return msgspec.structs.replace(plan, **changes)
