"""Nobody can join the pseudonyms of one patient at two custodians from the ledger: an attack that tries.

The day of a transaction is public by design, so chance is one in the crowd of that day. The same attacker
wins wherever wallets do not keep their rule, so what the rule protects from is real.
"""

import dataclasses
import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest

from iamata.ledger.bases import ConsentBasis
from iamata.ledger.transactions.access import Disclose
from iamata.ledger.transactions.consents import GrantConsent, WithdrawConsent
from iamata.model.ids import ConsentId
from iamata.model.instants import MS_PER_DAY, MS_PER_MINUTE
from iamata.testing import linkage
from iamata.testing.clock import FIRST_MS
from iamata.testing.linkage import Trace, read_traces
from iamata.testing.world import Party, World
from iamata.workflows.siblings import (
    ENTROPY_BYTES,
    SIBLINGS_MAX,
    SPACING_MS,
    compute_common_last_day,
    schedule_siblings,
)

CUSTODIANS = ("hospital-a", "hospital-b", "hospital-c")
PATIENTS = 72
DAYS = 3
PAIRS = PATIENTS * 3
SIGMAS = 3.0
"""Chance stays within three standard deviations 997 times in a thousand; seeds make it repeatable."""
PRACTICE = 3
"""Ledgers on which the attacker learns."""


@dataclasses.dataclass(frozen=True)
class Habits:
    """How wallets behave."""

    schedule: Callable[[int, int, random.Random], tuple[int, ...]]
    is_own_period_shown: bool = False
    is_withdrawn_everywhere: bool = False


def wait_as_the_rule_says(count: int, now_ms: int, rng: random.Random) -> tuple[int, ...]:
    return schedule_siblings(count, now_ms=now_ms, entropy=rng.randbytes(2 * count * ENTROPY_BYTES))


def wait_not_at_all(count: int, now_ms: int, rng: random.Random) -> tuple[int, ...]:  # noqa: ARG001  as above
    return tuple(range(0, 1000 * count, 1000))


def wait_ten_minutes_each(count: int, now_ms: int, rng: random.Random) -> tuple[int, ...]:  # noqa: ARG001  as above
    places = rng.sample(range(count), count)
    return tuple(place * SPACING_MS for place in places)


RULE = Habits(wait_as_the_rule_says)


def live(seed: str, habits: Habits) -> tuple[list[Trace], dict[str, str]]:
    """Let patients of three hospitals live some weeks; return what the export shows, and whose it is."""
    world, rng = World.found(seed), random.Random(seed)
    deeds: list[tuple[int, Callable[[], object]]] = []
    owners: dict[str, str] = {}
    for number in range(PATIENTS):
        name, parties = str(number), dict[str, Party]()
        for custodian in CUSTODIANS:
            at_ms = FIRST_MS + rng.randrange(30 * MS_PER_DAY) + 1
            deeds.append((at_ms, plan_enrolment(world, name, custodian, parties)))
            owners[world.derive_id("patient", custodian, name)] = name
        deeds += plan_consents(world, rng, name, parties, habits)
    for at_ms, deed in sorted(deeds, key=lambda one: one[0]):
        world.clock.now_ms = max(at_ms, world.clock.now_ms)
        deed()
    return read_traces(world.memory.blocks, world.memory.leaves), owners


def plan_enrolment(
    world: World, name: str, custodian: str, parties: dict[str, Party]
) -> Callable[[], object]:
    """Plan that a custodian enrols a patient, on a visit of its own."""

    def enrol() -> None:
        parties[custodian] = world.enrol_patient(name, custodian=custodian)

    return enrol


def plan_consents(
    world: World, rng: random.Random, name: str, parties: dict[str, Party], habits: Habits
) -> list[tuple[int, Callable[[], object]]]:
    """Plan when a patient decides, and what follows at each custodian."""
    decided_ms = FIRST_MS + (31 + rng.randrange(DAYS)) * MS_PER_DAY + rng.randrange(MS_PER_DAY)
    days = rng.choice([30, 90, 180, 365, rng.randrange(20, 366)])
    delays = habits.schedule(len(CUSTODIANS), decided_ms, rng)
    leaves_at = rng.choice(CUSTODIANS)
    gone_ms = decided_ms + (40 + rng.randrange(DAYS)) * MS_PER_DAY + rng.randrange(MS_PER_DAY)
    plans: list[tuple[int, Callable[[], object]]] = []
    for custodian, delay_ms in zip(CUSTODIANS, delays, strict=True):
        sent_ms = decided_ms + delay_ms
        sent_day = sent_ms // MS_PER_DAY
        until_day = sent_day + days if habits.is_own_period_shown else compute_common_last_day(sent_day)
        consent = ConsentId(world.derive_id("consent", custodian, name))

        def grant(c: str = custodian, u: int = until_day, k: ConsentId = consent) -> None:
            signed = world.state_grant(name, parties[c], consent=k, until_day=u)
            world.node(c).author.submit(GrantConsent, grant=signed)

        def disclose(c: str = custodian, k: ConsentId = consent) -> None:
            world.node(c).author.submit(
                Disclose,
                access=world.node(c).author.make_id(),
                patient=parties[c].id,
                basis=ConsentBasis(k),
                commitment=world.derive_commitment("x"),
            )

        def withdraw(c: str = custodian, k: ConsentId = consent) -> None:
            parties[c].author.submit(WithdrawConsent, consent=k)

        plans.append((sent_ms, grant))
        plans += [(sent_ms + 1 + rng.randrange(20 * MS_PER_DAY), disclose) for _ in range(rng.randrange(3))]
        if habits.is_withdrawn_everywhere or (custodian == leaves_at and rng.random() < 1 / 3):
            plans.append((gone_ms, withdraw))
    return plans


def attack(habits: Habits, *, exports: int) -> tuple[int, float]:
    """Attack the exports of wallets with these habits."""
    return linkage.attack(lambda seed: live(seed, habits), CUSTODIANS, practice=PRACTICE, exports=exports)


def test_an_attacker_with_the_whole_export_pairs_no_better_than_chance() -> None:
    """The number of fixed points of a random pairing has its mean as its variance."""
    hits, expected = attack(RULE, exports=6)

    assert abs(hits - expected) <= SIGMAS * expected**0.5, f"{hits} pairs found, {expected:.1f} by chance"


@pytest.mark.parametrize(
    ("habits", "share"),
    [
        (Habits(wait_not_at_all), 0.9),
        (Habits(wait_ten_minutes_each), 0.5),
        (Habits(wait_as_the_rule_says, is_own_period_shown=True), 0.1),
        (Habits(wait_as_the_rule_says, is_withdrawn_everywhere=True), 0.9),
    ],
    ids=["back to back", "ten minutes apart only", "own last day shown", "withdrawn everywhere at once"],
)
def test_the_same_attacker_wins_where_the_rule_is_not_kept(habits: Habits, share: float) -> None:
    hits, expected = attack(habits, exports=1)

    assert hits > share * PAIRS
    assert hits > expected + 5 * expected**0.5


def test_siblings_keep_their_distance_on_the_next_day_in_random_order() -> None:
    rng, now_ms = random.Random(1), FIRST_MS + 5 * MS_PER_MINUTE
    orders = Counter[tuple[int, ...]]()
    for _ in range(600):
        delays = wait_as_the_rule_says(3, now_ms, rng)
        instants = sorted(now_ms + delay for delay in delays)
        orders[tuple(sorted(range(3), key=delays.__getitem__))] += 1
        assert all(later - earlier >= SPACING_MS for earlier, later in itertools.pairwise(instants))
        assert {instant // MS_PER_DAY for instant in instants} == {FIRST_MS // MS_PER_DAY + 1}

    assert len(orders) == 6
    assert min(orders.values()) > 60


def test_one_alone_waits_for_nothing_and_too_many_are_an_error() -> None:
    assert schedule_siblings(0, now_ms=FIRST_MS, entropy=b"") == ()
    assert schedule_siblings(1, now_ms=FIRST_MS, entropy=bytes(2 * ENTROPY_BYTES)) == (0,)
    with pytest.raises(ValueError, match="siblings can be scheduled"):
        schedule_siblings(SIBLINGS_MAX + 1, now_ms=FIRST_MS, entropy=b"")
    with pytest.raises(ValueError, match="random bytes"):
        schedule_siblings(2, now_ms=FIRST_MS, entropy=b"")
