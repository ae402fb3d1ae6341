"""secure_sum.*: what one site works in a round, with masks and without, and how that grows with the sites.

Counted is for how long one of ten sites keeps a core at work (`time.process_time`), not what passes: from
its values to the sum of all, with everything that it encodes, signs, masks, shares out, verifies, adds up
and unmasks. The work of the other nine and of the relay, the network and every wait are not in it: what
they send was recorded before, and the site is run against it, the median of five times.

Without masks means as many exchanges, six, of signed messages over one transcript, and the vector in clear.
`secure_sum.overhead` is the ratio of the two at 10,000 values; `secure_sum.million_s` are the seconds with
masks at 1,000,000 values, beside those without.

How it grows is measured on a thousand values: all sites of a round run in this process once, and then one
of them again for its time (`sites_N_s`), with what it sends (`sites_N_sent_kb`) and what it is delivered
(`sites_N_received_kb`).
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from bench.harness import RUNS, Figure, compare
from iamata.learning.secure_sum.encoding import (
    Floats,
    Part,
    encode_values,
    read_residues,
    spell_residues,
)
from iamata.learning.secure_sum.messages import (
    PHASES,
    Masked,
    Survivors,
    extend_transcript,
    list_heard,
    read_message,
    sign_message,
)
from iamata.learning.secure_sum.plans import Plan
from iamata.learning.secure_sum.site import Site
from iamata.testing.rounds import Round, enter, make_keys, make_plan, make_seed

SITES: Final = 10
SITES_GROWING: Final = (10, 50, 100, 200)
VALUES: Final = 10_000
VALUES_MANY: Final = 1_000_000
VALUES_FEW: Final = 1_000

Deliveries = Sequence[Sequence[bytes]]
_MASKED: Final = PHASES.index("masked")


def measure() -> dict[str, Figure]:
    """Measure one site in small, long and ever wider rounds."""
    medium, long = (_Case(SITES, values) for values in (VALUES, VALUES_MANY))
    masked, clear = medium.time_site(), medium.time_clear()
    return {
        "secure_sum.overhead": Figure(value=masked / clear, unit="times"),
        "secure_sum.site_ms": Figure(
            value=masked * 1e3, unit="ms", floor=clear * 1e3, ratio=masked / clear
        ),
        "secure_sum.million_s": _compare(long),
        "secure_sum.sent_kb": compare(medium.count_sent() / 1e3, "kB", 8 * VALUES / 1e3),
        **_measure_growth(),
    }


def _measure_growth() -> dict[str, Figure]:
    """Measure one site of rounds with more and more others."""
    figures: dict[str, Figure] = {}
    for sites in SITES_GROWING:
        case, vector_kb = _Case(sites, VALUES_FEW), 8 * VALUES_FEW / 1e3
        key = f"secure_sum.sites_{sites}"
        figures[f"{key}_s"] = _compare(case)
        figures[f"{key}_sent_kb"] = compare(case.count_sent() / 1e3, "kB", vector_kb)
        figures[f"{key}_received_kb"] = compare(case.count_received() / 1e3, "kB", vector_kb)
    return figures


class _Case:
    """A round that was recorded."""

    def __init__(self, sites: int, values: int) -> None:
        chance = np.random.default_rng(0)
        self.plan = make_plan(sites, parts=[Part(length=values, scale_bits=20, magnitude_max=1_000)])
        self.values = [chance.uniform(-1_000, 1_000, values) for _ in range(sites)]
        opened = Round.open(enter(self.plan, self.values))
        opened.finish()
        self.deliveries = [opened.relay.find_delivery(phase) or () for phase in range(len(PHASES))]
        self.clear = _record_clear(self.plan, self.values)

    def time_site(self) -> float:
        """Time the first site from its values to the sum, in seconds of one core."""
        return _take_median(self._run_site)

    def time_clear(self) -> float:
        """Time the same without masks."""
        return _take_median(lambda: _run_clear(self.plan, self.values[0], self.clear))

    def count_sent(self) -> int:
        """Count the bytes that the first site sends."""
        return sum(len(delivery[0]) for delivery in self.deliveries)

    def count_received(self) -> int:
        """Count the bytes that are delivered to the first site."""
        return sum(len(message) for delivery in self.deliveries for message in delivery)

    def _run_site(self) -> None:
        site = Site.start(
            self.plan, make_keys(1)[0], seed=make_seed(0, label=2), rows=1, values=[self.values[0]]
        )
        for delivery in self.deliveries:
            site.receive(delivery)
        if site.find_sum() is None:
            message = "the round came to no sum"
            raise RuntimeError(message)


def _compare(case: _Case) -> Figure:
    masked, clear = case.time_site(), case.time_clear()
    return Figure(value=masked, unit="s", floor=clear, ratio=masked / clear)


def _record_clear(plan: Plan, values: Sequence[Floats]) -> Deliveries:
    keys, digest = make_keys(len(plan.seats)), plan.compute_digest()
    seen, deliveries = digest, []
    for phase in range(len(PHASES)):
        delivery = [
            _write_clear(plan, digest, seen, at, value if phase == _MASKED else None)
            for at, value in enumerate(values)
        ]
        deliveries.append([sign_message(keys[at], message) for at, message in enumerate(delivery)])
        seen = _advance(plan, digest, seen, phase, deliveries[-1])
    return deliveries


def _run_clear(plan: Plan, values: Floats, deliveries: Deliveries) -> None:
    key, digest = make_keys(1)[0], plan.compute_digest()
    seen = digest
    for phase, delivery in enumerate(deliveries):
        sign_message(key, _write_clear(plan, digest, seen, 0, values if phase == _MASKED else None))
        seen = _advance(plan, digest, seen, phase, delivery)


def _write_clear(
    plan: Plan, digest: bytes, seen: bytes, at: int, values: Floats | None
) -> Masked | Survivors:
    if values is None:
        return Survivors(plan=digest, sender=at, seen=seen)
    vector = spell_residues(encode_values(plan.parts[0], values))
    return Masked(plan=digest, sender=at, seen=seen, vector=vector)


def _advance(plan: Plan, digest: bytes, seen: bytes, phase: int, delivery: Sequence[bytes]) -> bytes:
    """Read a delivery, add up what it carries, and extend the transcript."""
    messages = [read_message(raw, plan, plan_digest=digest) for raw in delivery]
    total = np.zeros(plan.parts[0].length, dtype=np.uint64)
    for one in messages:
        if isinstance(one.message, Masked):
            total += read_residues(one.message.vector, len(total))
    return extend_transcript(seen, phase, list_heard(messages))


def _take_median(work: Callable[[], None]) -> float:
    seconds = []
    for _ in range(RUNS):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return statistics.median(seconds)
