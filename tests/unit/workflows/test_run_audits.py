"""Runs that are over: whoever may look into a site's home finds out whether it did what it attests."""

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest

from iamata.learning.estimators.growing import Boosting
from iamata.learning.protocols import Private, Protocol, Questions, Trees
from iamata.learning.questions import Asked, Condition, Rate
from iamata.learning.secure_sum import steps
from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import MODELS, RUNS
from iamata.ledger.transactions.members import RotateSigningKey
from iamata.model.ids import MemberId, PatientId, RunId, compute_random_id
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import OPEN, OWNER, SITES, Killed, StudyWorld, write_protocol
from iamata.vault.openings import NO_SALT, Opening, keep_opening, list_openings
from iamata.workflows import erasures, kept_rounds, questions, studies, training
from iamata.workflows.documents import get_document
from iamata.workflows.frozen_tables import load_table
from iamata.workflows.kept_rounds import KeptRounds
from iamata.workflows.question_runs import read_answer
from iamata.workflows.run_audits import NOT_KEPT, Finished, audit_site

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
    run = RUNS.find(world.world.engine.snapshot(), run_id)
    assert run is not None
    finished = Finished(run_id, run, world.protocol, find_asked(world, run_id))
    return audit_site(world.offices[site].custody, finished)


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
    entries = [RUNS.find(world.world.engine.snapshot(), one) for one in (first, second)]
    assert entries[0] is not None
    assert entries[1] is not None

    with pytest.raises(Refused) as refused:
        audit_site(world.offices[HONEST].custody, Finished(first, entries[1], world.protocol, None))
    assert (refused.value.reason, refused.value.detail) == (
        Reason.FAULT_FOUND,
        "what it attested is not what its rounds come to",
    )


def test_nothing_opens_a_run_once_one_of_its_patients_is_erased() -> None:
    """SUM-RUN-6: not at the site whose patient it was; and nobody has to think of destroying anything."""
    world = build_all(write_protocol())
    run, office = learn(world), world.offices[HONEST]

    erasures.erase_patient(office, next(iter(world.rows[HONEST])))

    assert refuse(world, run, HONEST).reason in NOT_KEPT
    assert audit(world, run, SITES[1])


def test_a_run_without_one_who_was_erased_before_it_can_be_audited() -> None:
    world = build_all(PRIVATE)
    gone = next(iter(world.rows[HONEST]))
    erasures.erase_patient(world.offices[HONEST], gone)

    run = learn(world)

    assert audit(world, run, HONEST)


def test_a_key_that_was_rotated_since_does_not_matter() -> None:
    world = build_all(write_protocol())
    run, node = learn(world), world.world.node(HONEST)
    fresh = world.world.stranger("rotated")

    node.author.submit(
        RotateSigningKey, possession=fresh.prove_possession(OwnerKind.MEMBER, HONEST, member=HONEST)
    )

    assert audit(world, run, HONEST)
    assert audit(world, run, LIAR)


def test_rounds_that_were_not_kept_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    world = build_all(write_protocol())
    monkeypatch.setattr(kept_rounds, "PAYLOAD_BYTES_MAX", 8)

    run = learn(world)

    assert refuse(world, run, HONEST).reason is Reason.NOT_FOUND


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
