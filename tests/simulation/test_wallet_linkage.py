"""The same attack on exports that real wallets made: each with its files, its outbox, and a fake clock.

Patients visit their custodians on days of their own; later each consents at all of them. A run of
`wallet send` comes within a minute of what is due, as from cron.
"""

import dataclasses
import functools
import heapq
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import pytest

from iamata.engines.embedded.engine import EmbeddedEngine
from iamata.ledger.bases import ConsentBasis
from iamata.ledger.transactions.access import Disclose
from iamata.model.ids import MemberId
from iamata.model.instants import MS_PER_DAY, MS_PER_MINUTE, Day
from iamata.node import wallets
from iamata.node.configuration import Configuration
from iamata.node.home import Home
from iamata.node.outbox import Outcome, decide, send_due
from iamata.node.peers import Peers
from iamata.stores.outboxes import load_outbox
from iamata.testing import linkage, offices
from iamata.testing.clock import FIRST_MS
from iamata.testing.linkage import Trace, read_traces
from iamata.testing.world import World
from iamata.workflows.outbox import GrantAct
from iamata.workflows.siblings import compute_common_last_day

CUSTODIANS: Final = tuple(MemberId(name) for name in ("hospital-a", "hospital-b", "hospital-c"))
PATIENTS: Final = 48
DAYS: Final = 2
VISIT_DAYS: Final = 30
PRACTICE: Final = 2
SIGMAS: Final = 3.0
"""Chance stays within three standard deviations 997 times in a thousand; seeds make it repeatable."""


@dataclasses.dataclass(frozen=True)
class Habits:
    """How patients use their wallets."""

    is_one_by_one: bool = False
    """They consent by a command for each custodian, a minute after the other, and not by one for all."""
    is_now: bool = False
    """They will not wait."""


class Town:
    """Patients with wallets of their own, and what they do in its order."""

    def __init__(self, folder: Path, seed: str, habits: Habits) -> None:
        self.folder, self.habits = folder, habits
        self.world, self.rng = World.found(seed), random.Random(seed)
        self.owners: dict[str, str] = {}
        self.home = Home(
            folder,
            cast("EmbeddedEngine", self.world.memory),  # the same port, in memory
            {member: offices.open_office(self.world, member) for member in CUSTODIANS},
            Peers(Configuration(), folder, None),
            clock=self.world.clock,
            entropy=self.world.entropy,
        )
        self._deeds: list[tuple[int, int, Callable[[], object]]] = []
        self._count = itertools.count()

    def live(self) -> tuple[list[Trace], dict[str, str]]:
        """Let everybody do what they do; return what the export shows, and whose it is."""
        for number in range(PATIENTS):
            self.plan_life(str(number))
        while self._deeds:
            at_ms, _, deed = heapq.heappop(self._deeds)
            self.world.clock.now_ms = max(at_ms, self.world.clock.now_ms)
            deed()
        for number in range(PATIENTS):
            assert load_outbox(self.folder / str(number)).waiting == ()
        return read_traces(self.world.memory.blocks, self.world.memory.leaves), self.owners

    def plan_life(self, name: str) -> None:
        """Plan a patient's visits, and when they will consent."""
        for member in CUSTODIANS:
            visit_ms = FIRST_MS + 1 + self.rng.randrange(VISIT_DAYS * MS_PER_DAY)
            self.plan(visit_ms, functools.partial(self.enrol, name, member))
        decided_ms = FIRST_MS + (VISIT_DAYS + 3 + self.rng.randrange(DAYS)) * MS_PER_DAY
        decided_ms += self.rng.randrange(MS_PER_DAY - 5 * MS_PER_MINUTE)
        if not self.habits.is_one_by_one:
            self.plan(decided_ms, functools.partial(self.grant, name, CUSTODIANS))
            return
        order = self.rng.sample(CUSTODIANS, len(CUSTODIANS))
        for place, member in enumerate(order):
            self.plan(decided_ms + place * MS_PER_MINUTE, functools.partial(self.grant, name, (member,)))

    def plan(self, at_ms: int, deed: Callable[[], object]) -> None:
        """Plan a deed."""
        heapq.heappush(self._deeds, (at_ms, next(self._count), deed))

    def enrol(self, name: str, member: MemberId) -> None:
        """Let a patient take up a key of their own on a visit."""
        patient = self.world.derive_id("patient", member, name)
        self.owners[patient] = name
        act = wallets.prepare_enrolment(self.home, self.folder / name, member=member, patient=patient)
        self.follow(name, decide(self.home, self.folder / name, [(member, act)]))

    def grant(self, name: str, members: tuple[MemberId, ...]) -> None:
        """Let a patient consent at some custodians in one go, for a time of their own choice."""
        last_day = Day(compute_common_last_day(self.world.today) - self.rng.randrange(300))
        terms = offices.write_terms(self.world, recipients=("member:regulator",))
        folder = self.folder / name
        acts = [
            (one, wallets.prepare_grant(self.home, folder, member=one, terms=terms, until_day=last_day))
            for one in members
        ]
        self.follow(name, decide(self.home, folder, acts, is_now=self.habits.is_now))

    def send(self, name: str) -> None:
        """Let cron send what is due."""
        self.follow(name, send_due(self.home, self.folder / name))

    def follow(self, name: str, outcomes: list[Outcome]) -> None:
        """Plan what comes of what was sent or waits: the next run of cron, disclosures, a withdrawal."""
        for outcome in outcomes:
            assert outcome.refused is None
            one = outcome.waiting
            if not outcome.is_sent:
                self.plan(
                    one.due_ms + self.rng.randrange(MS_PER_MINUTE), functools.partial(self.send, name)
                )
            elif isinstance(one.act, GrantAct):
                self.plan_use(name, one.member, one.act)

    def plan_use(self, name: str, member: MemberId, act: GrantAct) -> None:
        """Plan that records are asked for, and that one in nine consents is withdrawn."""

        def disclose() -> None:
            author = self.home.offices[member].author
            author.submit(
                Disclose,
                access=author.make_id(),
                patient=self.world.derive_id("patient", member, name),
                basis=ConsentBasis(act.consent),
                commitment=self.world.derive_commitment("x"),
            )

        now_ms = self.world.clock()
        for _ in range(self.rng.randrange(3)):
            self.plan(now_ms + 1 + self.rng.randrange(20 * MS_PER_DAY), disclose)
        if self.rng.random() < 1 / 9:
            gone_ms = now_ms + 30 * MS_PER_DAY + self.rng.randrange(10 * MS_PER_DAY)
            folder = self.folder / name
            self.plan(gone_ms, functools.partial(wallets.withdraw, self.home, folder, consent=act.consent))


def attack(folder: Path, habits: Habits, *, exports: int) -> tuple[int, float]:
    """Attack the exports of towns with these habits."""
    return linkage.attack(
        lambda seed: Town(folder / seed, seed, habits).live(),
        CUSTODIANS,
        practice=PRACTICE,
        exports=exports,
    )


@pytest.mark.slow
@pytest.mark.parametrize("habits", [Habits(), Habits(is_one_by_one=True)], ids=["in one go", "one by one"])
def test_from_what_real_wallets_send_an_attacker_pairs_no_better_than_chance(
    tmp_path: Path, habits: Habits
) -> None:
    hits, expected = attack(tmp_path, habits, exports=4)

    assert expected > 8
    assert abs(hits - expected) <= SIGMAS * expected**0.5, f"{hits} pairs found, {expected:.1f} by chance"


@pytest.mark.slow
def test_the_same_attacker_pairs_those_who_will_not_wait(tmp_path: Path) -> None:
    hits, expected = attack(tmp_path, Habits(is_now=True), exports=1)

    assert hits > 0.9 * PATIENTS * 3
    assert hits > expected + 5 * expected**0.5
