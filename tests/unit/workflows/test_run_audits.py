"""Runs that are over: whoever may look into a site's home finds out whether it did what it attests."""

import dataclasses
import time
from typing import Any

import msgspec
import numpy as np
import pytest

from iamata.duties.learning import LOOK_S, LearningDuty
from iamata.learning.estimators.growing import Boosting
from iamata.learning.protocols import Private, Protocol, Questions, Trees
from iamata.learning.questions import Asked, Condition, Rate
from iamata.learning.secure_sum import steps
from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import MODELS, RUNS
from iamata.ledger.transactions.members import RotateSigningKey
from iamata.model.ids import DatasetId, MemberId, PatientId, RunId, compute_random_id
from iamata.model.reasons import Reason, Refused
from iamata.node.desks import LocalDesk
from iamata.testing.learning import OPEN, OWNER, SITES, Killed, StudyWorld, write_protocol
from iamata.vault.openings import (
    NO_SALT,
    Opening,
    erase_openings,
    find_opening,
    keep_opening,
    keep_openings,
    list_openings,
)
from iamata.wire.carrying import DeskCarrier
from iamata.workflows import erasures, kept_rounds, questions, studies, training
from iamata.workflows.documents import get_document
from iamata.workflows.frozen_tables import load_table
from iamata.workflows.kept_rounds import Begun, KeptRounds
from iamata.workflows.question_runs import read_answer
from iamata.workflows.run_audits import Finished, audit_site
from iamata.workflows.run_rounds import say_failed

HONEST, LIAR = SITES[0], SITES[2]
EPSILON_MICRO = 2_000_000
ILL = Condition(column="ill", is_one_of=("1",))
PRIVATE = write_protocol(schema=OPEN, estimator=Private(epsilon_micro=EPSILON_MICRO))
ESTIMATORS = {
    "regression": write_protocol(holdout_percent=30),
    "trees": write_protocol(estimator=Trees(settings=Boosting(trees_max=3))),
    "private": PRIVATE,
    "question": write_protocol(schema=OPEN, estimator=Questions(epsilon_micro=EPSILON_MICRO)),
}


def build_all(protocol: Protocol, *, patients: int = 40) -> StudyWorld:
    budget_micro = 4 * protocol.spends_micro
    world = StudyWorld(patients=patients, protocol=protocol, budget_micro=budget_micro)
    for site in SITES:
        world.build(site)
    return world


def learn(world: StudyWorld) -> RunId:
    """Learn a model, or let a question be answered where the study asks some."""
    if not world.protocol.is_for_questions:
        name = world.learn()
        model = MODELS.find(world.world.engine.snapshot(), name)
        assert model is not None
        return model.run
    begun = questions.ask(world.offices[OWNER], world.study, world.rosa.id, Rate(of=(ILL,)))
    world.train(begun.run)
    studies.register_model(world.offices[OWNER], begun.run)
    return begun.run


def find_asked(world: StudyWorld, run_id: RunId) -> Asked | None:
    if not world.protocol.is_for_questions:
        return None
    view = world.world.engine.snapshot()
    run = RUNS.find(view, run_id)
    assert run is not None
    raw = get_document(world.offices[OWNER].custody, run.attestations[0].model)
    return read_answer(raw, view, run_id, run).question


def audit(world: StudyWorld, run_id: RunId, site: MemberId) -> int:
    view = world.world.engine.snapshot()
    run = RUNS.find(view, run_id)
    assert run is not None
    finished = Finished(run_id, run, world.protocol, find_asked(world, run_id))
    return audit_site(world.offices[site].custody, view, finished)


def refuse(world: StudyWorld, run: RunId, site: MemberId) -> Refused:
    with pytest.raises(Refused) as refused:
        audit(world, run, site)
    return refused.value


@pytest.mark.parametrize("protocol", ESTIMATORS.values(), ids=ESTIMATORS)
def test_an_honest_sites_part_in_every_sum_follows_from_its_rows(protocol: Protocol) -> None:
    world = build_all(protocol)

    run = learn(world)

    rounds = {audit(world, run, site) for site in SITES}
    assert len(rounds) == 1
    assert rounds != {0}


def exaggerate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a site double a value of all its rows, within its bounds, when it takes part."""

    def load_otherwise(custody: Any, *asked: Any, **chosen: Any) -> Any:
        table, rows_key = load_table(custody, *asked, **chosen)
        if custody.member == LIAR:
            doubled = np.clip(2 * table.columns["marker"], -5.0, 5.0)
            table = dataclasses.replace(table, columns={**table.columns, "marker": doubled})
        return table, rows_key

    monkeypatch.setattr(training, "load_table", load_otherwise)


def sum_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a site sum another vector than it has committed to."""
    compute = steps.compute_masked

    def compute_otherwise(progress: Any, *given: Any) -> bytes:
        masked = np.frombuffer(compute(progress, *given), dtype="<u8").copy()
        if progress.plan.seats[progress.seat].member == LIAR:
            masked[-1] += 1
        return masked.tobytes()

    monkeypatch.setattr(steps, "compute_masked", compute_otherwise)


@pytest.mark.parametrize("lie", [exaggerate, sum_something_else])
def test_a_lie_within_range_makes_a_model_and_is_found_at_home(
    lie: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SUM-RUN-8. The other sites are not accused: their parts are as they should be."""
    world = build_all(write_protocol())
    lie(monkeypatch)
    run = learn(world)

    found = refuse(world, run, LIAR)

    assert found.reason is Reason.FAULT_FOUND
    assert found.detail is not None
    assert found.detail.startswith("its part in sum 1 (")
    assert all(audit(world, run, site) for site in SITES if site != LIAR)


def test_another_runs_attestation_is_not_what_the_rounds_come_to() -> None:
    world = build_all(write_protocol())
    first, second = learn(world), learn(world)
    view = world.world.engine.snapshot()
    other = RUNS.find(view, second)
    assert other is not None

    with pytest.raises(Refused) as refused:
        audit_site(world.offices[HONEST].custody, view, Finished(first, other, world.protocol, None))
    assert (refused.value.reason, refused.value.detail) == (
        Reason.FAULT_FOUND,
        "what it attested is not what its rounds come to",
    )


def test_nothing_opens_a_run_once_one_of_its_patients_is_erased() -> None:
    """SUM-RUN-6: not at the site whose patient it was; and nobody has to think of destroying anything."""
    world = build_all(write_protocol())
    run, office = learn(world), world.offices[HONEST]

    erasures.erase_patient(office, next(iter(world.rows[HONEST])))

    refused = refuse(world, run, HONEST)
    assert (refused.reason, refused.detail) == (Reason.NOT_FOUND, "one of its patients was erased since")
    assert audit(world, run, SITES[1])


def test_an_older_copy_of_the_rows_opens_nothing_after_an_erasure() -> None:
    world = build_all(write_protocol(), patients=12)
    run, custody = learn(world), world.offices[HONEST].custody
    gone = next(iter(world.rows[HONEST]))
    (copy,) = (one for one in list_openings(custody, gone) if one.kind == "dataset-rows")
    assert b"marker" not in copy.payload

    erasures.erase_patient(world.offices[HONEST], gone)
    keep_opening(custody, copy)

    with pytest.raises(Refused) as refused:
        load_table(custody, find_dataset(world, run, HONEST), world.protocol.schema)
    assert refused.value.reason is Reason.DATASET_NOT_ACTIVE


def find_dataset(world: StudyWorld, run_id: RunId, site: MemberId) -> DatasetId:
    run = RUNS.find(world.world.engine.snapshot(), run_id)
    assert run is not None
    return run.datasets[SITES.index(site)]


def test_a_run_without_one_who_was_erased_before_it_can_be_audited() -> None:
    world = build_all(PRIVATE)
    gone = next(iter(world.rows[HONEST]))
    erasures.erase_patient(world.offices[HONEST], gone)

    run = learn(world)

    assert audit(world, run, HONEST)


def test_a_key_that_was_rotated_since_does_not_matter() -> None:
    world = build_all(write_protocol())
    run = learn(world)

    rotate(world, HONEST)

    assert audit(world, run, HONEST)
    assert audit(world, run, LIAR)


def test_rounds_that_were_not_kept_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    world = build_all(write_protocol())
    monkeypatch.setattr(kept_rounds, "PAYLOAD_BYTES_MAX", 8)

    run = learn(world)

    refused = refuse(world, run, HONEST)
    assert (refused.reason, refused.detail) == (Reason.NOT_FOUND, "what sum 1 came to is not kept")


@pytest.mark.parametrize("protocol", [write_protocol(), PRIVATE], ids=["exact", "with noise"])
def test_leaving_out_living_patients_who_are_in_the_dataset_is_found(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SUM-RUN-8: a site's own word on who was erased is held against the ledger."""
    world = build_all(protocol)

    def leave_out(office: Any, *_: Any) -> list[PatientId]:
        return sorted(world.rows[LIAR])[:12] if office.member == LIAR else []

    def load_anyway(custody: Any, authorised: Any, protocol: Any, *, without: Any) -> Any:
        return load_table(custody, authorised.dataset, protocol.schema, without=without)

    monkeypatch.setattr(training, "list_erased", leave_out)
    monkeypatch.setattr(training, "_load_rows", load_anyway)
    run = learn(world)

    found = refuse(world, run, LIAR)

    assert (found.reason, found.detail) == (
        Reason.FAULT_FOUND,
        "it left patients out who are in its dataset",
    )
    assert audit(world, run, HONEST)


def test_whoever_destroys_rows_of_the_living_is_found() -> None:
    world = build_all(write_protocol())
    run, custody = learn(world), world.offices[LIAR].custody

    erase_openings(custody, next(iter(world.rows[LIAR])))

    assert refuse(world, run, LIAR).reason is Reason.FAULT_FOUND


@pytest.mark.parametrize("change", ["seats", "garbage", "forged"])
def test_what_was_kept_and_then_edited_does_not_pass(change: str) -> None:
    """SUM-RUN-8: also not a record in which everything fits, but that no site has attested."""
    world = build_all(write_protocol())
    run, custody = learn(world), world.offices[LIAR].custody
    name = f"run-seed/{run}/" if change == "seats" else f"run-sum/{run}/2"
    opening = find_opening(custody, name)
    assert opening is not None
    kept = list(list_openings(custody, PatientId(f"run/{run}")))

    payload = {"seats": swap_seats, "garbage": lambda raw: raw[:-20], "forged": forge}[change](
        opening.payload
    )

    erase_openings(custody, PatientId(f"run/{run}"))
    changed = msgspec.structs.replace(opening, payload=payload)
    keep_openings(custody, [changed if one.name == name else one for one in kept])
    assert refuse(world, run, LIAR).reason is Reason.FAULT_FOUND


def swap_seats(raw: bytes) -> bytes:
    begun = msgspec.msgpack.decode(raw, type=Begun)
    return msgspec.msgpack.encode(msgspec.structs.replace(begun, seats=begun.seats[::-1]))


def forge(raw: bytes) -> bytes:
    """Put another word into another site's mouth, in the last phase: nothing of ours depends on it."""
    summed = msgspec.msgpack.decode(raw)
    (sender, digest), *rest = summed[5][1][3]
    summed[5][1][3] = [[sender, bytes(reversed(digest))], *rest]
    assert len(msgspec.msgpack.encode(summed)) == len(raw)
    return msgspec.msgpack.encode(summed)


def test_the_key_of_rows_is_gone_with_any_of_their_patients() -> None:
    world = StudyWorld(patients=12)
    custody, dataset = world.offices[HONEST].custody, world.build(HONEST)
    patients = sorted(world.rows[HONEST])

    keys = {
        load_table(custody, dataset, world.protocol.schema, without=left_out)[1]
        for left_out in ([], *([one] for one in patients))
    }

    assert len(keys) == 1 + len(patients)


def test_a_site_does_not_go_on_under_another_key_than_it_began_with() -> None:
    world = build_all(write_protocol(), patients=12)
    run = world.start()
    world.train(run, wrap=lambda _, carrier: Deadly(carrier))
    rotate(world, HONEST)

    with pytest.raises(Refused) as refused:
        training.go_on(
            world.offices[LIAR],
            run,
            Deadly(DeskCarrier(LocalDesk(world.offices[OWNER]), world.offices[LIAR])),
        )

    assert refused.value.reason is Reason.ROUND_ABORTED


class Deadly:
    """A carrier whose site is killed when it begins to speak, or to do something else."""

    def __init__(self, carrier: Any, act: str = "carry_message") -> None:
        self._carrier = carrier
        self._act = act

    def __getattr__(self, name: str) -> Any:
        if name == self._act:
            raise Killed
        return getattr(self._carrier, name)


def rotate(world: StudyWorld, member: MemberId) -> None:
    """Let a member sign with another key from now on."""
    fresh = world.world.stranger("rotated")
    possession = fresh.prove_possession(OwnerKind.MEMBER, member, member=member)
    world.world.node(member).author.submit(RotateSigningKey, possession=possession)


def test_a_node_that_hears_of_a_failure_destroys_what_it_kept_of_that_run() -> None:
    """SUM-RUN-6."""
    world = build_all(write_protocol(), patients=12)
    office, run = world.offices[HONEST], world.start()
    world.train(run, wrap=lambda site, carrier: Deadly(carrier, "hand_in") if site == LIAR else carrier)
    owner = PatientId(f"run/{run}")
    assert list(list_openings(office.custody, owner))  # it has attested, and its part was done
    duty = LearningDuty(office, lambda _: LocalDesk(world.offices[OWNER]))

    duty.start()
    time.sleep(4 * LOOK_S)  # its first look destroys what is kept of runs that had failed before
    say_failed(world.offices[LIAR], run, Reason.TOO_SLOW)

    deadline_s = time.monotonic() + 30.0
    while list(list_openings(office.custody, owner)):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    duty.stop()


def test_what_another_version_kept_of_a_run_is_nothing() -> None:
    world = StudyWorld(patients=12)
    custody, run = world.offices[HONEST].custody, RunId(compute_random_id(bytes(16)))
    payload = msgspec.msgpack.encode([bytes(32), 0])
    owner = PatientId(f"run/{run}")
    seed = Opening(name=f"run-seed/{run}/", patient=owner, kind="run-seed", salt=NO_SALT, payload=payload)
    keep_opening(custody, seed)

    assert KeptRounds.find(custody, run) is None


def test_what_can_be_audited_stays_through_a_restart_and_of_a_failed_run_nothing_does() -> None:
    world = build_all(write_protocol(), patients=12)
    failed = world.start()

    def die(site: MemberId, carrier: Any) -> Any:
        if site == LIAR:
            raise Killed(site)
        return carrier

    world.train(failed, wrap=die, silence_s=0.5)
    run = learn(world)
    for site in SITES:
        assert training.list_interrupted(world.offices[site]) == []

    assert all(audit(world, run, site) for site in SITES)
    for site in SITES:
        assert not list(list_openings(world.offices[site].custody, PatientId(f"run/{failed}")))
