"""A study's owner carries its own studies' messages and keeps what sites hand in; a node takes part."""

import asyncio
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.api.callers import Caller
from iamata.api.heights import LedgerWatch
from iamata.api.learning import await_delivery
from iamata.api.pool import Pool
from iamata.duties.learning import LOOK_S, MISSED_MS_MAX, LearningDuty
from iamata.duties.turns import RUNS_WAITING_MAX, STUDIES_AT_ONCE_MAX, Turns
from iamata.learning.programmes import Part, Query
from iamata.learning.secure_sum.plans import Plan
from iamata.learning.secure_sum.site import Site
from iamata.learning.summing import START, plan_round
from iamata.ledger.entries import Dataset, DatasetStatus, OwnerKind
from iamata.ledger.events import RunFailed
from iamata.ledger.leaves import Leaf
from iamata.ledger.tables import DATASETS
from iamata.model.canonical import encode_struct
from iamata.model.ids import DatasetId, Digest, MemberId, RunId, StudyId, encode_digest
from iamata.model.instants import MS_PER_DAY
from iamata.model.reasons import Reason, Refused
from iamata.node.desks import LocalDesk
from iamata.ports import Engine
from iamata.testing.learning import OWNER, SITES, StudyWorld
from iamata.testing.scenes import Scene
from iamata.testing.surface import serve_office
from iamata.wire.bodies import WAIT_S_MAX, DeliveryQuery
from iamata.wire.carrying import DeskCarrier
from iamata.wire.desk import Desk
from iamata.workflows import erasures, relaying, studies, training
from iamata.workflows.documents import HandedIn
from iamata.workflows.office import Office
from iamata.workflows.relaying import ROUNDS_KEPT, Relays, Standing
from iamata.workflows.run_rounds import require_authorised, say_failed
from iamata.workflows.undertakings import PART, Undertaking, undertake

SITE: Final = SITES[0]
ATTEMPTS: Final = 10
WAITS: Final = 240


class Impatient(DeskCarrier):
    """Brings messages, and waits for nobody."""

    def await_delivery(self, *_: object) -> Sequence[bytes] | None:
        raise Refused(Reason.TOO_SLOW)


class Stumbling:
    """An engine that fails once where its log is read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._has_failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        if not self._has_failed:
            self._has_failed = True
            raise OSError
        return self._engine.events(after)


class Asked:
    """Finds no desk, and notices that somebody wanted one."""

    def __init__(self) -> None:
        self.came = threading.Event()

    def __call__(self, member: MemberId) -> Desk:
        self.came.set()
        raise Refused(Reason.NODE_UNREACHABLE, member)


@pytest.fixture(scope="module")
def told() -> StudyWorld:
    """Set a study up to where its datasets are posted."""
    world = StudyWorld(patients=12)
    for site in SITES:
        world.build(site)
    return world


def hand_in(run: RunId, model: bytes = b"{}") -> HandedIn:
    return HandedIn(run=run, model=model, evaluation=b"null", rounds=bytes(32))


def refuse(work: Callable[[], object]) -> Reason:
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.reason


def test_nobody_carries_for_another_members_study(told: StudyWorld) -> None:
    run, another = told.start(), told.offices[SITES[1]]
    carrier = DeskCarrier(LocalDesk(another), told.offices[SITE])

    assert refuse(lambda: studies.accept_model(another, SITE, hand_in(run))) is Reason.NOT_THE_OWNER
    assert refuse(lambda: training.take_part(told.offices[SITE], run, carrier)) is Reason.NOT_THE_OWNER


def test_runs_that_failed_leave_room_for_others(told: StudyWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "RUNS_MAX", 1)
    carrier = Impatient(LocalDesk(told.offices[OWNER]), told.offices[SITE])

    reasons = [
        refuse(lambda: training.take_part(told.offices[SITE], told.start(), carrier)) for _ in range(2)
    ]

    assert reasons == [Reason.TOO_SLOW, Reason.TOO_SLOW]


def make_round(told: StudyWorld, run: RunId, transcript: bytes = START) -> tuple[Plan, list[Site]]:
    """Let every site enter one round of a run."""
    authorised = require_authorised(told.offices[SITE], told.offices[SITE].take_view(), run)
    plan = plan_round(
        Query("count", (Part("rows", 1),), lambda *_: {}),
        network=told.world.engine.network,
        run=run,
        datasets=authorised.run.datasets,
        seats=authorised.seats,
        transcript=transcript,
    )
    keys = [told.offices[site].author.key for site in SITES]
    values = [np.zeros(1, dtype=np.int64)]
    return plan, [Site.start(plan, key, seed=bytes(32), rows=1, values=values) for key in keys]


def name(plan: Plan) -> Digest:
    """Name a round as those who ask for its deliveries do."""
    return Digest(encode_digest(plan.compute_digest()))


def test_only_a_sites_own_message_that_holds_opens_a_round(told: StudyWorld) -> None:
    run, relays = told.start(), Relays()
    view, carry = told.world.engine.snapshot(), partial(relays.carry, owner=OWNER)
    plan, sites = make_round(told, run)
    carry(view, SITE, plan=encode_struct(plan), message=sites[0].answer)
    reasons = set()

    for number in range(2 * ROUNDS_KEPT):
        other, others = make_round(told, run, bytes([number]))
        own = others[0].answer
        changed = own[:-1] + bytes([own[-1] ^ 1])
        for message in (sites[0].answer, others[1].answer, changed, b""):
            bring = partial(carry, view, SITE, plan=encode_struct(other), message=message)
            reasons.add(refuse(bring))

    assert reasons == {Reason.ANOTHER_ROUND, Reason.NOT_A_SITE, Reason.BAD_SIGNATURE, Reason.MALFORMED}
    assert relays.find_delivery(SITE, run, name(plan), 0) is None
    say_failed(told.offices[SITE], run, Reason.TOO_SLOW)


def test_no_site_crowds_out_the_round_of_the_others(told: StudyWorld) -> None:
    run, relays, hostile = told.start(), Relays(), SITES[-1]
    carry = partial(relays.carry, told.world.engine.snapshot(), owner=OWNER)
    earlier, former = make_round(told, run, b"earlier")
    honest, sites = make_round(told, run)
    for plan, entered in ((earlier, former), (honest, sites)):
        for member, site in zip(SITES, entered, strict=True):
            carry(member, plan=encode_struct(plan), message=site.answer)

    for number in range(4 * ROUNDS_KEPT):
        own, seats = make_round(told, run, bytes([number]))
        carry(hostile, plan=encode_struct(own), message=seats[-1].answer)

    for member in SITES:
        for plan in (earlier, honest):
            assert relays.find_delivery(member, run, name(plan), 0) is not None
    assert relays.tell_standing(run) == Standing(rounds=2, values=honest.length, sites=SITES)
    say_failed(told.offices[SITE], run, Reason.TOO_SLOW)


def test_nobody_brings_back_with_others_words_what_they_have_left_behind(told: StudyWorld) -> None:
    run, relays, hostile = told.start(), Relays(), SITES[-1]
    carry = partial(relays.carry, told.world.engine.snapshot(), owner=OWNER)
    rounds = [make_round(told, run, bytes([number])) for number in range(2 * ROUNDS_KEPT)]
    for plan, sites in rounds:
        for member, site in zip(SITES, sites, strict=True):
            carry(member, plan=encode_struct(plan), message=site.answer)

    for plan, sites in rounds[:ROUNDS_KEPT]:
        assert refuse(partial(relays.find_delivery, SITE, run, name(plan), 0)) is Reason.ANOTHER_ROUND
        carry(hostile, plan=encode_struct(plan), message=sites[-1].answer)
        for site in sites[:-1]:
            again = partial(carry, hostile, plan=encode_struct(plan), message=site.answer)
            assert refuse(again) is Reason.NOT_A_SITE

    for plan, _ in rounds[ROUNDS_KEPT:]:
        assert relays.find_delivery(SITE, run, name(plan), 0) is not None
    say_failed(told.offices[SITE], run, Reason.TOO_SLOW)


class Spoken:
    """A run with more rounds than are kept, in which a site speaks as often and wherever a test says."""

    def __init__(self, told: StudyWorld) -> None:
        self.run = told.start()
        self.view = told.world.engine.snapshot()
        self.rounds = [make_round(told, self.run, bytes([number])) for number in range(3 * ROUNDS_KEPT)]
        say_failed(told.offices[SITE], self.run, Reason.TOO_SLOW)


@pytest.fixture(scope="module")
def spoken(told: StudyWorld) -> Spoken:
    """Enter more rounds of a run than are kept."""
    return Spoken(told)


TURNS: Final = st.lists(
    st.tuples(st.integers(0, len(SITES) - 1), st.integers(0, 3 * ROUNDS_KEPT - 1)), max_size=40
)


@settings(max_examples=40)
@given(turns=TURNS)
def test_where_a_site_spoke_last_is_carried_whoever_speaks_elsewhere(
    spoken: Spoken, turns: list[tuple[int, int]]
) -> None:
    relays, last = Relays(), dict[int, list[int]]()
    for seat, number in turns:
        plan, sites = spoken.rounds[number]
        message = sites[seat].answer
        relays.carry(spoken.view, SITES[seat], owner=OWNER, plan=encode_struct(plan), message=message)
        before = [one for one in last.get(seat, []) if one != number]
        last[seat] = [*before, number][-ROUNDS_KEPT:]

    kept = {number for numbers in last.values() for number in numbers}
    carried = set()
    for number, (plan, _) in enumerate(spoken.rounds):
        for seat in range(len(SITES)):
            with contextlib.suppress(Refused):
                relays.find_delivery(SITES[seat], spoken.run, name(plan), 0)
                carried.add((seat, number))

    assert {number for _, number in carried} == kept
    assert {(seat, number) for seat, numbers in last.items() for number in numbers} <= carried
    assert len(kept) <= len(SITES) * ROUNDS_KEPT


def test_a_carrier_tells_how_far_a_run_has_come_and_who_has_spoken(told: StudyWorld) -> None:
    run, relays = told.start(), Relays()
    before = relays.tell_standing(run)
    carry = partial(relays.carry, told.world.engine.snapshot(), owner=OWNER)
    earlier, first = make_round(told, run)
    plan, second = make_round(told, run, b"another")
    for entered, sites in ((earlier, first), (plan, second)):
        for member, site in zip(SITES[:2], sites, strict=False):
            carry(member, plan=encode_struct(entered), message=site.answer)

    assert before == relays.tell_standing(RunId("a" * 26)) == Standing()
    assert relays.tell_standing(run) == Standing(rounds=2, values=plan.length, sites=SITES[:2])
    say_failed(told.offices[SITE], run, Reason.TOO_SLOW)


def test_deliveries_go_to_the_sites_of_the_run_alone(told: StudyWorld) -> None:
    run, relays = told.start(), Relays()
    plan, sites = make_round(told, run)
    for member, site in zip(SITES, sites, strict=True):
        spelled = encode_struct(plan)
        relays.carry(told.world.engine.snapshot(), member, owner=OWNER, plan=spelled, message=site.answer)
    digest = name(plan)

    delivery = relays.find_delivery(SITE, run, digest, 0)

    assert delivery is not None
    assert len(delivery) == len(SITES)
    for member in (OWNER, MemberId("regulator"), MemberId("nobody")):
        for phase in (0, 1):
            ask = partial(relays.find_delivery, member, run, digest, phase)
            assert refuse(ask) is Reason.ANOTHER_ROUND
    say_failed(told.offices[SITE], run, Reason.TOO_SLOW)


def test_whoever_waits_for_a_delivery_hears_at_once_that_the_run_is_over(told: StudyWorld) -> None:
    run, owner, view = told.start(), told.offices[OWNER], told.world.engine.snapshot()
    plan, sites = make_round(told, run)
    owner.relays.carry(view, SITE, owner=OWNER, plan=encode_struct(plan), message=sites[0].answer)
    pool = Pool()
    watch = LedgerWatch(told.world.engine, pool)
    serving = dataclasses.replace(serve_office(Scene.make(), owner), pool=pool, watch=watch)
    key = told.offices[SITE].author.key.key_id
    caller = Caller(key=key, kind=OwnerKind.MEMBER, owner=SITE, member=SITE)

    async def wait() -> None:
        query = DeliveryQuery(run=run, plan=name(plan), phase=0, wait_s=WAIT_S_MAX)
        waiting = asyncio.create_task(await_delivery(serving, caller, query))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        say_failed(told.offices[SITES[1]], run, Reason.TABLE_CLASHES)
        await asyncio.wait_for(waiting, timeout=5)

    assert refuse(lambda: asyncio.run(wait())) is Reason.RUN_OVER
    assert watch.polls == 0
    pool.close()


def test_a_site_hands_in_one_model_for_a_run(told: StudyWorld) -> None:
    run, owner = told.start(), told.offices[OWNER]
    for _ in range(2):
        studies.accept_model(owner, SITE, hand_in(run))
    studies.accept_model(owner, SITES[1], hand_in(run))

    assert refuse(lambda: studies.accept_model(owner, SITE, hand_in(run, b"[]"))) is Reason.INPUT_INVALID
    say_failed(told.offices[SITE], run, Reason.TOO_SLOW)


def test_waiting_for_own_runs_keeps_a_node_from_taking_part_in_none(told: StudyWorld) -> None:
    office, asked = told.offices[SITE], Asked()
    waited_for, duty = told.start(), LearningDuty(office, asked)
    for _ in range(STUDIES_AT_ONCE_MAX):
        duty.register(waited_for, supersedes=None)

    assert is_asked(duty, told, asked)
    say_failed(office, waited_for, Reason.TOO_SLOW)


def test_a_fault_on_the_way_does_not_end_a_duty(told: StudyWorld) -> None:
    office, asked = told.offices[SITE], Asked()
    author: Any = dataclasses.replace(office.author, engine=Stumbling(office.author.engine))
    stumbling: Office = dataclasses.replace(office, author=author)

    assert is_asked(LearningDuty(stumbling, asked), told, asked)


def test_a_run_that_began_while_a_node_was_down_is_joined_when_it_is_up(told: StudyWorld) -> None:
    office, asked = told.offices[SITE], Asked()
    run, taken = told.start(), told.start()
    undertake(office.custody, PART, Undertaking(run=taken))
    size = office.take_view().log_size

    assert training.list_missed(office, size, since_ms=MISSED_MS_MAX) == [run]
    assert training.list_missed(told.offices[OWNER], size, since_ms=MISSED_MS_MAX) == []
    duty = LearningDuty(office, asked)
    duty.start()
    assert asked.came.wait(5.0)
    duty.stop()
    say_failed(office, run, Reason.TOO_SLOW)
    say_failed(office, taken, Reason.TOO_SLOW)
    assert training.list_missed(office, size, since_ms=MISSED_MS_MAX) == []

    old = told.start()
    told.world.clock.advance(2 * MISSED_MS_MAX)
    assert training.list_missed(office, size + 9, since_ms=MISSED_MS_MAX) == []
    say_failed(office, old, Reason.TOO_SLOW)


def test_runs_of_one_study_wait_for_each_other_and_hold_up_no_other_study() -> None:
    turns, one, begun, going, ended = Turns(), StudyId("one"), *(threading.Event() for _ in range(3))
    done: list[int] = []

    def hold() -> None:
        begun.set()
        going.wait(10.0)

    turns.queue(one, hold)
    assert begun.wait(10.0)
    for number in range(RUNS_WAITING_MAX - 1):
        turns.queue(one, partial(done.append, number))
    turns.queue(one, ended.set)
    others = [threading.Event() for _ in range(STUDIES_AT_ONCE_MAX)]
    for number, other in enumerate(others):
        turns.queue(StudyId(f"other-{number}"), other.set)

    assert all(other.wait(10.0) for other in others)
    assert done == []
    assert refuse(lambda: turns.queue(one, ended.set)) is Reason.TOO_BUSY
    going.set()
    assert ended.wait(10.0)
    assert done == list(range(RUNS_WAITING_MAX - 1))


def test_a_run_that_a_site_has_no_turn_for_is_over_with_its_reason(
    told: StudyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_all(*_: object) -> None:
        raise Refused(Reason.TOO_BUSY)

    monkeypatch.setattr(Turns, "queue", refuse_all)
    run, duty = told.start(), LearningDuty(told.offices[SITE], Asked())
    duty.start()
    failed = None
    for _ in range(50):
        events = [leaf.event for _, leaf in told.world.engine.events(0)]
        failed = next((one for one in events if isinstance(one, RunFailed) and one.run == run), None)
        if failed is not None:
            break
        time.sleep(0.1)
    duty.stop()

    assert failed is not None
    assert (failed.member, failed.reason) == (SITE, Reason.TOO_BUSY)


def is_asked(duty: LearningDuty, told: StudyWorld, asked: Asked) -> bool:
    """Tell whether a duty, once it listens, comes to take part in a run that begins."""
    duty.start()
    try:
        for _ in range(ATTEMPTS):
            run = told.start()
            is_found = asked.came.wait(1.0)
            say_failed(told.offices[SITE], run, Reason.TOO_SLOW)
            if is_found:
                return True
    finally:
        duty.stop()
    return False


@contextlib.contextmanager
def watching(world: StudyWorld) -> Iterator[DatasetId]:
    """Run a duty over a dataset; it has looked once at its start, and then not for an hour unless woken."""
    dataset, duty = world.build(SITE), LearningDuty(world.offices[SITE], Asked())
    until_ms = get_dataset(world, dataset).confirm_until_ms
    world.world.clock.advance(26 * MS_PER_DAY)
    duty.start()
    try:
        assert comes_true(lambda: get_dataset(world, dataset).confirm_until_ms > until_ms)
        yield dataset
    finally:
        duty.stop()


def test_a_restriction_wakes_a_duty_like_a_withdrawal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamata.duties.learning.AFTER_WITHDRAWAL_S", 0.0)
    world = StudyWorld(patients=24)
    with watching(world) as dataset:
        world.keep_back(SITE, 10, codes=("http://loinc.org|1",))
        assert comes_true(lambda: get_dataset(world, dataset).status is DatasetStatus.REPLACED)


def test_an_erasure_wakes_a_duty_at_once() -> None:
    world = StudyWorld(patients=12)
    with watching(world) as dataset:
        erasures.erase_patient(world.offices[SITE], next(iter(world.rows[SITE])))
        assert comes_true(lambda: get_dataset(world, dataset).status is DatasetStatus.RETIRED)


def get_dataset(world: StudyWorld, dataset: DatasetId) -> Dataset:
    entry = DATASETS.find(world.world.engine.snapshot(), dataset)
    assert entry is not None
    return entry


def comes_true(is_true: Callable[[], bool]) -> bool:
    """Wait until something is true, or until it takes too long."""
    return any(is_true() or threading.Event().wait(LOOK_S) for _ in range(WAITS))
