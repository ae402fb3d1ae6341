"""Runs that meet trouble: each ends at all sites in time, on the ledger with its reason, with no model.

And the two troubles that they get over: a relay that was killed and has forgotten everything, and a site
that was killed and goes on with what it kept.
"""

import concurrent.futures
import dataclasses
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from iamata.crypto.ed25519 import SIGNATURE_BYTES
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.estimators.newton import Settings
from iamata.learning.protocols import Learned, Protocol, Regression
from iamata.learning.schemas import Numeric, Schema
from iamata.learning.secure_sum.messages import AnyMessage, Masked, Shares, sign_message
from iamata.ledger.entries import RunStatus
from iamata.ledger.events import ModelRegistered, RunFailed
from iamata.ledger.tables import RUNS
from iamata.model.ids import Digest, MemberId, PatientId, RunId
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import OWNER, SCHEMA, SITES, Killed, StudyWorld, Wrap, write_protocol
from iamata.vault.openings import list_openings
from iamata.workflows import studies, training
from iamata.workflows.documents import HandedIn
from iamata.workflows.exchanging import Carrier
from iamata.workflows.frozen_tables import Row
from iamata.workflows.kept_rounds import GOES_ON_MS_MAX
from iamata.workflows.relaying import PHASE_S_MAX, Relays
from iamata.workflows.run_audits import Finished, audit_site

PHASE_S = 0.4
PHASES = 6


@dataclasses.dataclass
class Troubled:
    """A carrier to whom something happens before it does what it is asked."""

    carrier: Carrier
    before: Callable[[str], None]

    def carry_message(self, *, plan: bytes, message: bytes) -> None:
        self.before("carry")
        self.carrier.carry_message(plan=plan, message=message)

    def await_delivery(self, run: RunId, plan: Digest, phase: int) -> Sequence[bytes] | None:
        self.before("await")
        return self.carrier.await_delivery(run, plan, phase)

    def hand_in(self, handed: HandedIn) -> None:
        self.before("hand in")
        self.carrier.hand_in(handed)

    def show_document(self, digest: Digest) -> bytes:
        return self.carrier.show_document(digest)

    def show_question(self, run: RunId) -> bytes:
        return self.carrier.show_question(run)


def make_world(
    *, phase_s: float = PHASE_S, protocol: Protocol | None = None, days: int = 365
) -> StudyWorld:
    world = StudyWorld(patients=12, protocol=protocol, days=days)
    world.offices[OWNER] = dataclasses.replace(world.offices[OWNER], relays=Relays(phase_s=phase_s))
    return world


def build_all(world: StudyWorld) -> StudyWorld:
    for site in SITES:
        world.build(site)
    return world


@pytest.fixture(scope="module")
def world() -> StudyWorld:
    return build_all(make_world())


def die(
    dying: Sequence[MemberId], *, after: int, act: str = "carry", end: BaseException | None = None
) -> Wrap:
    """Let sites be killed when they have carried so many messages: not a word more comes from them."""

    def wrap(site: MemberId, carrier: Carrier) -> Carrier:
        done = []

        def before(what: str) -> None:
            done.extend([what] * (what == act))
            if site in dying and len(done) > after:
                raise end or Killed(site)

        return Troubled(carrier, before)

    return wrap


def read_reasons(came: dict[MemberId, Learned | BaseException]) -> set[Reason]:
    return {one.reason for one in came.values() if isinstance(one, Refused)}


def check_failed(world: StudyWorld, run: RunId, reason: Reason) -> None:
    """Hold that the ledger calls a run failed, for this reason, and has no model of it."""
    entry = RUNS.find(world.world.engine.snapshot(), run)
    assert entry is not None
    assert entry.status is RunStatus.FAILED
    events = [leaf.event for _, leaf in world.world.engine.events(0)]
    said = [one.reason for one in events if isinstance(one, RunFailed) and one.run == run]
    assert said == [reason]
    with pytest.raises(Refused) as refused:
        studies.register_model(world.offices[OWNER], run)
    assert refused.value.reason is Reason.RUN_OVER
    assert not any(isinstance(one, ModelRegistered) and one.run == run for one in events)


@pytest.mark.parametrize("phase", range(PHASES))
def test_a_site_that_dies_in_any_phase_ends_the_run_for_all(world: StudyWorld, phase: int) -> None:
    """SUM-RUN-1: nothing is unmasked without one of the run's sites."""
    run = world.start()
    since_s = time.monotonic()

    came = world.train(run, wrap=die(SITES[3:], after=PHASES + phase))

    assert time.monotonic() - since_s < PHASE_S_MAX  # the limit was the one that was given
    assert isinstance(came.pop(SITES[3]), Killed)
    assert all(isinstance(one, Refused) for one in came.values())
    assert read_reasons(came) <= {Reason.TOO_FEW_SITES, Reason.RUN_OVER}
    check_failed(world, run, Reason.TOO_FEW_SITES)


def test_two_sites_of_four_that_die_leave_too_few(world: StudyWorld) -> None:
    run = world.start()

    came = world.train(run, wrap=die(SITES[2:], after=PHASES + 2))

    assert read_reasons(came) <= {Reason.TOO_FEW_SITES, Reason.RUN_OVER}
    check_failed(world, run, Reason.TOO_FEW_SITES)


def test_a_site_that_dies_before_it_attests_leaves_no_model(world: StudyWorld) -> None:
    world = build_all(make_world())
    run = world.start()

    came = world.train(run, wrap=die(SITES[3:], after=0, act="hand in"))

    assert [isinstance(came[site], Learned) for site in SITES] == [True, True, True, False]
    world.world.clock.advance(2 * MS_PER_HOUR)
    with pytest.raises(Refused) as refused:
        studies.register_model(world.offices[OWNER], run)
    assert refused.value.reason is Reason.TOO_SLOW
    check_failed(world, run, Reason.TOO_SLOW)


@pytest.fixture(scope="module")
def calm() -> tuple[StudyWorld, np.ndarray]:
    """Set up a world that waits for its sites, and the coefficients to which its runs come."""
    world = build_all(make_world(phase_s=10.0))
    return world, read_coefficients(world.train(world.start()))


@pytest.mark.parametrize("seed", range(4))
def test_a_relay_that_forgets_everything_at_any_time_is_told_again(
    calm: tuple[StudyWorld, np.ndarray], seed: int
) -> None:
    """SUM-RUN-5."""
    world, expected = calm
    run = world.start()
    chance = random.Random(seed)

    def before(_: str) -> None:
        if chance.random() < 0.01:
            world.offices[OWNER].relays.forget(run)
            if chance.random() < 0.5:
                raise Refused(Reason.NODE_UNREACHABLE)

    came = world.train(run, wrap=lambda _, carrier: Troubled(carrier, before))

    assert np.array_equal(read_coefficients(came), expected)
    studies.register_model(world.offices[OWNER], run)


def test_who_waits_for_a_site_hears_at_once_that_it_has_failed(
    calm: tuple[StudyWorld, np.ndarray],
) -> None:
    world, _ = calm
    run = world.start()
    since_s = time.monotonic()

    came = world.train(run, wrap=die(SITES[3:], after=PHASES + 1, end=Refused(Reason.TABLE_CLASHES)))

    assert time.monotonic() - since_s < 5  # and not the ten seconds that a phase may last here
    assert read_reasons(came) == {Reason.TABLE_CLASHES, Reason.RUN_OVER}
    check_failed(world, run, Reason.TABLE_CLASHES)


def read_coefficients(came: dict[MemberId, Learned | BaseException]) -> np.ndarray:
    models = []
    for one in came.values():
        if isinstance(one, BaseException):
            raise one
        models.append(one.model)
    assert models == models[:1] * 4
    decoded = decode_model(models[0], identify_model(models[0]))
    assert isinstance(decoded, LinearModel)
    return np.array(decoded.fit.coefficients)


def test_a_relay_that_is_gone_for_good_fails_the_run(world: StudyWorld) -> None:
    run = world.start()

    def before(_: str) -> None:
        raise Refused(Reason.NODE_UNREACHABLE)

    came = world.train(run, wrap=lambda _, carrier: Troubled(carrier, before), silence_s=0.5)

    assert read_reasons(came) <= {Reason.NODE_UNREACHABLE, Reason.RUN_OVER}
    check_failed(world, run, Reason.NODE_UNREACHABLE)


def test_a_site_does_not_begin_a_run_again(world: StudyWorld) -> None:
    """SUM-RUN-2."""
    run = world.start()
    site = SITES[3]
    world.train(run, wrap=die([site], after=2), silence_s=0.1)
    sent: list[str] = []

    with pytest.raises(Refused) as refused:
        training.take_part(world.offices[site], run, Troubled(NotImplemented, sent.append))

    assert refused.value.reason is Reason.QUERY_ALREADY_ANSWERED
    assert not sent


@dataclasses.dataclass
class Noted:
    """A carrier that notes what a site brings, and may show it something else than the relay would."""

    carrier: Carrier
    said: dict[tuple[bytes, int], set[bytes]]
    show: Callable[[int, Sequence[bytes]], Sequence[bytes]] = lambda _, delivery: delivery
    lives: int = 10**9
    died: threading.Event = dataclasses.field(default_factory=threading.Event)

    def carry_message(self, *, plan: bytes, message: bytes) -> None:
        self.lives -= 1
        if self.lives < 0:
            self.died.set()
            raise Killed
        phase = msgspec.msgpack.decode(message[SIGNATURE_BYTES:])[0]
        self.said.setdefault((plan, phase), set()).add(message)
        self.carrier.carry_message(plan=plan, message=message)

    def await_delivery(self, run: RunId, plan: Digest, phase: int) -> Sequence[bytes] | None:
        found = self.carrier.await_delivery(run, plan, phase)
        return None if found is None else self.show(phase, found)

    def hand_in(self, handed: HandedIn) -> None:
        self.carrier.hand_in(handed)

    def show_document(self, digest: Digest) -> bytes:
        return self.carrier.show_document(digest)

    def show_question(self, run: RunId) -> bytes:
        return self.carrier.show_question(run)


def live_twice(world: StudyWorld, run: RunId, first: Noted, second: Noted) -> dict[MemberId, Any]:
    """Let the last site be killed in a run, and go on with it beside the others, who have waited."""
    site = SITES[3]

    def wrap(member: MemberId, carrier: Carrier) -> Carrier:
        first.carrier = second.carrier = carrier if member == site else first.carrier
        return first if member == site else carrier

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        training_all = pool.submit(world.train, run, wrap=wrap)
        assert first.died.wait(60)
        # The thread that was cut off is as good as killed: it ends without another word.
        assert training.list_interrupted(world.offices[site]) == [run]
        try:
            came: Any = training.go_on(world.offices[site], run, second)
        except Refused as refused:
            came = refused
        return {**training_all.result(), site: came}


@pytest.mark.parametrize("carried", [0, 1, 2, 3, 4, 5, 6, 15, 21])
def test_a_site_that_is_killed_goes_on_and_says_nothing_twice(
    calm: tuple[StudyWorld, np.ndarray], carried: int
) -> None:
    """SUM-RUN-6."""
    world, expected = calm
    run, custody = world.start(), world.offices[SITES[3]].custody
    said: dict[tuple[bytes, int], set[bytes]] = {}
    entries = custody.journal.read_head().count

    came = live_twice(world, run, Noted(NotImplemented, said, lives=carried), Noted(NotImplemented, said))

    assert np.array_equal(read_coefficients(came), expected)
    assert {len(messages) for messages in said.values()} == {1}
    assert [phase for _, phase in said] == [*range(PHASES)] * (len(said) // PHASES)
    assert custody.journal.read_head().count - entries == 12  # each patient's use once
    studies.register_model(world.offices[OWNER], run)
    entry: Any = RUNS.find(view := world.world.engine.snapshot(), run)
    assert audit_site(custody, view, Finished(run, entry, world.protocol, None)) == len(said) // PHASES


def rewrite(world: StudyWorld, raw: bytes) -> bytes:
    """Write something else in a site's name and with its key, in the same phase."""
    message = msgspec.msgpack.decode(raw[SIGNATURE_BYTES:], type=Shares | Masked)
    if isinstance(message, Shares):
        sealed = (message.sealed[0], message.sealed[1][::-1], *message.sealed[2:])  # to the second site
        other: AnyMessage = msgspec.structs.replace(message, sealed=sealed)
    else:
        other = msgspec.structs.replace(message, vector=bytes(len(message.vector)))
    return sign_message(world.offices[SITES[message.sender]].author.key, other)


@pytest.mark.parametrize("phase", [1, 2])
def test_a_relay_gets_no_second_answer_of_a_site_that_was_killed(phase: int) -> None:
    """SUM-RUN-6: neither its vector under other masks, nor its word on other survivors.

    Not even together with a peer that signs two things.
    """
    world = build_all(make_world(phase_s=2.0))
    run = world.start()
    said: dict[tuple[bytes, int], set[bytes]] = {}

    def say_otherwise(at: int, delivery: Sequence[bytes]) -> Sequence[bytes]:
        return (rewrite(world, delivery[0]), *delivery[1:]) if at == phase else delivery

    first = Noted(NotImplemented, said, lives=PHASES + phase + 2)
    came = live_twice(world, run, first, Noted(NotImplemented, said, show=say_otherwise))

    assert came[SITES[3]].reason is Reason.VIEWS_DIFFER
    assert all(len(messages) == 1 for messages in said.values())
    check_failed(world, run, Reason.VIEWS_DIFFER)


def test_a_run_that_was_interrupted_long_ago_is_not_gone_on_with(world: StudyWorld) -> None:
    """SUM-RUN-6: a home that was restored from a backup says nothing that it may have said otherwise."""
    world = build_all(make_world())
    run, site = world.start(), SITES[3]
    world.train(run, wrap=die(SITES, after=0))  # all are killed before a word
    world.world.clock.advance(2 * GOES_ON_MS_MAX)
    office, sent = world.offices[site], list[str]()

    with pytest.raises(Refused) as refused:
        training.go_on(office, run, Troubled(NotImplemented, sent.append))
    assert refused.value.reason is Reason.QUERY_ALREADY_ANSWERED
    assert [training.list_interrupted(one) for one in (office, world.offices[SITES[0]])] == [[], []]

    assert not sent
    assert not list(list_openings(office.custody, PatientId(f"run/{run}")))
    check_failed(world, run, Reason.ROUND_ABORTED)


def test_a_permit_that_expires_during_a_run_ends_it() -> None:
    """SUM-RUN-2."""
    world = build_all(make_world())
    run = world.start()
    acts: list[str] = []

    def before(act: str) -> None:
        acts.append(act)
        if len(acts) == 60:
            world.world.clock.advance(366 * MS_PER_DAY)

    came = world.train(run, wrap=lambda _, carrier: Troubled(carrier, before))

    assert read_reasons(came) <= {Reason.PERMIT_NOT_ACTIVE, Reason.RUN_OVER}
    assert len(came) == 4
    check_failed(world, run, Reason.PERMIT_NOT_ACTIVE)


def test_a_permit_that_a_regulator_revokes_during_a_run_ends_it() -> None:
    """SUM-RUN-2: after the first message, no site learns or attests anything any more."""
    world = build_all(make_world())
    run, regulator = world.start(), world.reviewers[1].author
    acts: list[str] = []

    def before(what: str) -> None:
        acts.append(what)
        if len(acts) == 2:
            studies.revoke_permit(regulator, world.study, grounds="Not what was asked")

    def end(site: MemberId, carrier: Carrier) -> Carrier:
        return Troubled(carrier, before) if site == SITES[0] else carrier

    came = world.train(run, wrap=end)

    assert all(isinstance(one, Refused) for one in came.values())
    assert Reason.PERMIT_NOT_ACTIVE in read_reasons(came)
    check_failed(world, run, Reason.PERMIT_NOT_ACTIVE)


def test_a_fault_of_a_site_s_own_ends_the_run_for_all_and_quotes_nothing() -> None:
    world = build_all(make_world())
    run = world.start()

    def stumble(what: str) -> None:
        raise ZeroDivisionError(what)

    came = world.train(
        run, wrap=lambda site, carrier: Troubled(carrier, stumble) if site == SITES[1] else carrier
    )

    fault = came[SITES[1]]
    assert isinstance(fault, Refused)
    assert (fault.reason, fault.detail) == (Reason.NODE_FAULT, "ZeroDivisionError")
    assert all(isinstance(one, Refused) for one in came.values())
    check_failed(world, run, Reason.NODE_FAULT)
    assert training.list_interrupted(world.offices[SITES[1]]) == []


def test_a_model_that_cannot_be_put_on_record_ends_its_run() -> None:
    world = build_all(make_world())
    older, office = world.learn(), world.offices[OWNER]
    run = studies.start_run(office, world.study, world.rosa.id, supersedes=older)
    world.learn(supersedes=older)  # somebody was faster
    world.train(run)

    with pytest.raises(Refused) as refused:
        studies.register_model(office, run, supersedes=older)

    assert refused.value.reason is Reason.UNKNOWN_MODEL
    assert studies.list_unregistered(office) == []
    check_failed(world, run, Reason.UNKNOWN_MODEL)


def test_a_run_is_over_with_its_permit_at_the_latest(world: StudyWorld) -> None:
    last = build_all(make_world(days=0))
    last.world.clock.advance(MS_PER_DAY - MS_PER_HOUR // 2)
    usual, short = world.start(), last.start()
    run = RUNS.find(world.world.engine.snapshot(), usual)
    run_of_last = RUNS.find(last.world.engine.snapshot(), short)
    assert run is not None
    assert run_of_last is not None
    assert run.until_ms % MS_PER_DAY > 0
    assert run_of_last.until_ms == (last.world.today + 1) * MS_PER_DAY - 1


def freeze_marker(row: Row) -> Row:
    return {**row, "marker": 1.0}


def repeat_marker(row: Row) -> Row:
    return {**row, "again": -2.0 * float(row["marker"] or 0)}


def make_all_ill(row: Row) -> Row:
    return {**row, "ill": 1}


def separate(row: Row) -> Row:
    return {**row, "ill": int(float(row["marker"] or 0) > 0)}


BARE = Regression(settings=Settings(l2=0.0))
TWICE = Schema(
    columns=(*SCHEMA.columns, Numeric(name="again", low=-10.0, high=10.0)), outcome=SCHEMA.outcome
)


@pytest.mark.parametrize(
    ("change", "protocol", "reason"),
    [
        (freeze_marker, write_protocol(), Reason.COLUMN_CONSTANT),
        (repeat_marker, write_protocol(schema=TWICE, estimator=BARE), Reason.COLUMNS_COLLINEAR),
        (make_all_ill, write_protocol(), Reason.ONE_CLASS_ONLY),
        (separate, write_protocol(estimator=BARE), Reason.NOT_CONVERGED),
    ],
    ids=lambda value: value.name if isinstance(value, Reason) else "",
)
def test_what_cannot_be_learned_from_fails_the_run_with_its_reason_at_all_sites(
    change: Callable[[Row], Row], protocol: Protocol, reason: Reason
) -> None:
    world = make_world(protocol=protocol)
    for site in SITES:
        world.rows[site] = {
            patient: [change(row) for row in rows] for patient, rows in world.rows[site].items()
        }
    run = build_all(world).start()

    came = world.train(run)

    reasons = [one.reason for one in came.values() if isinstance(one, Refused)]
    assert reasons == [reason] * 4
    check_failed(world, run, reason)
