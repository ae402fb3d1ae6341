"""An honest attack: join one patient's pseudonyms at two custodians from an export of the ledger alone.

The attacker knows how wallets work, so it practises on a ledger of its own making where it knows the
answers: it learns how likely each visible difference is between siblings and between strangers, and then
matches the pseudonyms of a real export by likelihood.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from iamata.ledger.envelope import read_transaction
from iamata.ledger.events import AccessDisclosed, ConsentGranted, ConsentWithdrawn, PatientEnrolled
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.transactions.consents import GrantConsent
from iamata.model.ids import decode_digest
from iamata.model.instants import MS_PER_DAY, MS_PER_MINUTE
from iamata.testing.engine import MemoryBlock

SMOOTHING: Final = 1.0


@dataclasses.dataclass(slots=True)
class Trace:
    """All that the ledger shows of one pseudonym."""

    patient: str
    custodian: str
    enrolled_ms: int = 0
    granted_ms: int = 0
    grant_height: int = 0
    grant_bytes: int = 0
    until_day: int = 0
    key: bytes = b""
    disclosures: int = 0
    withdrawn_ms: int = 0

    @property
    def day(self) -> int:
        """The UTC day of the grant: public by design, so it names the crowd in which the patient hides."""
        return self.granted_ms // MS_PER_DAY


def read_traces(blocks: Iterable[MemoryBlock], leaves: Iterable[bytes]) -> list[Trace]:
    """Gather what an export shows of each pseudonym that granted a consent."""
    raws = [(height, raw) for height, block in enumerate(blocks, start=1) for raw in block.transactions]
    traces: dict[str, Trace] = {}
    for (height, raw), raw_leaf in zip(raws, leaves, strict=True):
        leaf, event = decode_leaf(raw_leaf), decode_leaf(raw_leaf).event
        if isinstance(event, PatientEnrolled):
            traces[event.patient] = Trace(event.patient, event.custodian, enrolled_ms=leaf.time_ms)
        elif isinstance(event, ConsentGranted):
            _read_grant(traces[event.patient], raw, leaf.time_ms, height)
        elif isinstance(event, AccessDisclosed):
            traces[event.patient].disclosures += 1
        elif isinstance(event, ConsentWithdrawn):
            traces[event.patient].withdrawn_ms = leaf.time_ms
    return [trace for trace in traces.values() if trace.granted_ms]


def _read_grant(trace: Trace, raw: bytes, time_ms: int, height: int) -> None:
    body = read_transaction(raw).body
    if isinstance(body, GrantConsent):
        trace.granted_ms, trace.grant_height, trace.grant_bytes = time_ms, height, len(raw)
        trace.until_day, trace.key = body.grant.payload.until_day, decode_digest(body.grant.key)


def compare(one: Trace, other: Trace) -> dict[str, int]:
    """Describe two pseudonyms by every difference that the ledger shows, in coarse steps."""
    both_withdrew = bool(one.withdrawn_ms and other.withdrawn_ms)
    return {
        "grants apart": _step(abs(one.granted_ms - other.granted_ms) // MS_PER_MINUTE),
        "blocks apart": _step(abs(one.grant_height - other.grant_height)),
        "enrolments apart": _step(abs(one.enrolled_ms - other.enrolled_ms) // MS_PER_MINUTE),
        "time of day": _step(
            abs(one.enrolled_ms % MS_PER_DAY - other.enrolled_ms % MS_PER_DAY) // MS_PER_MINUTE
        ),
        "sizes apart": abs(one.grant_bytes - other.grant_bytes),
        "terms apart": abs((one.until_day - one.day) - (other.until_day - other.day)),
        "last days apart": abs(one.until_day - other.until_day),
        "key bits apart": (int.from_bytes(one.key) ^ int.from_bytes(other.key)).bit_count() // 8,
        "disclosures apart": abs(one.disclosures - other.disclosures),
        "withdrawals apart": _step(abs(one.withdrawn_ms - other.withdrawn_ms) // MS_PER_MINUTE)
        if both_withdrew
        else -1,
    }


def _step(number: int) -> int:
    return number.bit_length()


class Attacker:
    """Learns from ledgers of its own, then matches the pseudonyms of another's export."""

    def __init__(self) -> None:
        self._siblings: Counter[tuple[str, int]] = Counter()
        self._strangers: Counter[tuple[str, int]] = Counter()
        self._pairs = [0, 0]

    def practise(self, traces: list[Trace], owners: Mapping[str, str]) -> None:
        """Learn from a ledger of which it knows whose pseudonyms are whose."""
        for one in traces:
            for other in traces:
                if one.custodian < other.custodian and one.day == other.day:
                    is_sibling = owners[one.patient] == owners[other.patient]
                    self._pairs[is_sibling] += 1
                    (self._siblings if is_sibling else self._strangers).update(compare(one, other).items())

    def weigh(self, one: Trace, other: Trace) -> float:
        """Compute the logarithm of how much likelier siblings show these differences than strangers."""
        total = 0.0
        for difference in compare(one, other).items():
            as_sibling = (self._siblings[difference] + SMOOTHING) / (self._pairs[1] + SMOOTHING)
            as_stranger = (self._strangers[difference] + SMOOTHING) / (self._pairs[0] + SMOOTHING)
            total += math.log(as_sibling / as_stranger)
        return total

    def match(self, ones: list[Trace], others: list[Trace]) -> list[tuple[Trace, Trace]]:
        """Pair pseudonyms of two custodians, the likeliest first, each once."""
        ranked = sorted(
            (
                (self.weigh(one, other), one.patient, other.patient, one, other)
                for one in ones
                for other in others
            ),
            key=lambda entry: entry[:3],
            reverse=True,
        )
        taken: set[str] = set()
        pairs = []
        for _, _, _, one, other in ranked:
            if one.patient not in taken and other.patient not in taken:
                taken.update((one.patient, other.patient))
                pairs.append((one, other))
        return pairs


Live = Callable[[str], tuple[list[Trace], dict[str, str]]]
"""Lets patients live on a ledger of its own that a seed decides: what it shows, and whose it is."""


def attack(live: Live, custodians: Sequence[str], *, practice: int, exports: int) -> tuple[int, float]:
    """Return how many pairs the attacker finds in some exports, and how many chance would.

    The day of a transaction is public by design, so chance is one in the crowd of that day.
    """
    attacker, hits, expected = Attacker(), 0, 0.0
    for number in range(practice):
        attacker.practise(*live(f"practice {number}"))
    for number in range(exports):
        traces, owners = live(f"export {number}")
        for day in dict.fromkeys(trace.day for trace in traces):
            crowds = [
                [one for one in traces if one.day == day and one.custodian == name] for name in custodians
            ]
            for ones, others in itertools.combinations(crowds, 2):
                pairs = attacker.match(ones, others)
                hits += sum(owners[one.patient] == owners[other.patient] for one, other in pairs)
                siblings = {owners[one.patient] for one in ones} & {owners[one.patient] for one in others}
                expected += len(siblings) / max(len(ones), len(others), 1)
    return hits, expected
