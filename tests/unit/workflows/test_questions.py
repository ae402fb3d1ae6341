"""A question is answered once over the same datasets, by noisy sums alone, and paid for once."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from iamata.learning.answers import Answer
from iamata.learning.protocols import Questions
from iamata.learning.questions import Condition, Count, Question, Rate, Ratio, name_answer
from iamata.ledger.entries import RunStatus, StudyStatus
from iamata.ledger.tables import MODELS, RUNS, SPENDINGS, STUDIES
from iamata.ledger.transactions.runs import FailRun
from iamata.model.ids import DatasetId, MemberId, RunId
from iamata.model.instants import MS_PER_DAY
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import OPEN, OWNER, SITES, StudyWorld, write_protocol
from iamata.workflows import erasures, questions, studies, withdrawals
from iamata.workflows.documents import get_document
from iamata.workflows.frozen_tables import get_roll
from iamata.workflows.lineages import list_models, trace
from iamata.workflows.question_runs import keep_question, read_answer
from iamata.workflows.starting import submit_run

EPSILON_MICRO = 2_000_000
FAR = 8
"""Standard deviations: no noise is that large."""
PROTOCOL = write_protocol(schema=OPEN, estimator=Questions(epsilon_micro=EPSILON_MICRO))
ILL, SMOKES = Condition(column="ill", is_one_of=("1",)), Condition(column="smokes", is_one_of=("yes",))
NEVER, HIGH = Condition(column="smokes", is_one_of=("no",)), Condition(column="marker", at_least=0.5)


def make_world(*, patients: int = 90, questions: int = 4, sites: tuple[Any, ...] = SITES) -> StudyWorld:
    world = StudyWorld(patients=patients, protocol=PROTOCOL, budget_micro=questions * EPSILON_MICRO)
    for site in sites:
        world.build(site)
    return world


@pytest.fixture(scope="module")
def world() -> StudyWorld:
    """Grant four questions."""
    return make_world()


def ask(world: StudyWorld, question: Question, *, without: Sequence[MemberId] = ()) -> tuple[RunId, bool]:
    """Ask, let the sites take part where the question is new, and register the answer."""
    begun = questions.ask(world.offices[OWNER], world.study, world.rosa.id, question, without=without)
    if begun.is_new:
        for one in world.train(begun.run).values():
            if isinstance(one, Exception):
                raise one
        studies.register_model(world.offices[OWNER], begun.run)
    return begun.run, begun.is_new


def read(world: StudyWorld, run_id: RunId) -> Answer:
    view = world.world.engine.snapshot()
    run = RUNS.find(view, run_id)
    assert run is not None
    document = get_document(world.offices[OWNER].custody, questions.get_content(run))
    return read_answer(document, view, run_id, run)


def count_spent(world: StudyWorld, sites: Sequence[MemberId] = SITES) -> set[int]:
    """Say what the study and each custodian have spent; one number where they agree."""
    study = STUDIES.find(world.world.engine.snapshot(), world.study)
    assert study is not None
    return {study.spent_micro, *(sum_spendings(world, site) for site in sites)}


def sum_spendings(world: StudyWorld, site: MemberId) -> int:
    spending = SPENDINGS.find(world.world.engine.snapshot(), site)
    return sum(one for _, one in (spending.days if spending else ()))


def list_datasets(world: StudyWorld) -> set[DatasetId]:
    study = STUDIES.find(world.world.engine.snapshot(), world.study)
    assert study is not None
    return set(study.datasets)


def refuse(world: StudyWorld, question: Question, *, without: Sequence[MemberId] = ()) -> Refused:
    with pytest.raises(Refused) as refused:
        questions.ask(world.offices[OWNER], world.study, world.rosa.id, question, without=without)
    return refused.value


def test_the_same_question_in_other_words_gets_the_first_answer_and_spends_nothing(
    world: StudyWorld,
) -> None:
    first, is_new = ask(world, Rate(of=(ILL,), among=(SMOKES,)))
    before = count_spent(world)

    again = [ask(world, Rate(of=of, among=(SMOKES, SMOKES))) for of in ((ILL,), (SMOKES, ILL))]

    assert is_new
    assert again == [(first, False)] * 2
    assert count_spent(world) == before
    assert len(before) == 1
    rows = [row for site in SITES for each in world.rows[site].values() for row in each]
    smokers = [row for row in rows if row["smokes"] == "yes"]
    said = read(world, first)
    assert said.result is not None
    assert said.result.high is not None
    exact = sum(row["ill"] == 1 for row in smokers) / len(smokers)
    assert said.result.low < exact < said.result.high
    assert (said.sites, said.epsilon, said.delta) == (4, 2.0, 1e-5)


def test_an_answer_is_on_the_ledger_under_its_run_s_name_and_is_no_model(world: StudyWorld) -> None:
    run, _ = ask(world, Count(of=(ILL,)))
    view, found = world.world.engine.snapshot(), trace(world.world.engine)

    entry = MODELS.find(view, name_answer(run))

    assert entry is not None
    assert name_answer(run) in questions.list_answers(view, found, world.study)
    assert not list(list_models(view, found))
    card = get_document(world.offices[OWNER].custody, entry.card).decode()
    assert "How many patients: ill is 1?" in card
    assert "ε = 2 (δ = 1e-05)" in card


def test_nobody_starts_a_second_run_for_a_question_past_the_workflow(world: StudyWorld) -> None:
    """SUM-ASK-3: not the ledger, which knows the name; and no site, whatever name somebody makes up."""
    run, _ = ask(world, Count(of=(ILL,)))
    entry = RUNS.find(world.world.engine.snapshot(), run)
    assert entry is not None
    office = world.offices[OWNER]
    with pytest.raises(Refused) as refused:
        submit_run(office, world.study, world.rosa.id, run=run, datasets=entry.datasets)
    assert refused.value.reason is Reason.RUN_ALREADY_EXISTS
    other = RunId(world.world.derive_id("another"))
    asked = read(world, run).question
    keep_question(office.custody, other, asked)
    submit_run(office, world.study, world.rosa.id, run=other, datasets=entry.datasets)

    came = world.train(other)

    for one in came.values():
        assert isinstance(one, Refused)
    reasons = {one.reason for one in came.values() if isinstance(one, Refused)}
    assert Reason.QUERY_ALREADY_ANSWERED in reasons
    assert reasons <= {Reason.QUERY_ALREADY_ANSWERED, Reason.RUN_OVER}
    failed = RUNS.find(world.world.engine.snapshot(), other)
    assert failed is not None
    assert failed.status is RunStatus.FAILED


def test_a_study_is_asked_no_more_when_its_budget_is_spent_but_its_answers_stay() -> None:
    world = make_world(patients=12, questions=1)
    known, _ = ask(world, Count(of=(ILL,)))

    refused = [refuse(world, Count(of=(HIGH,))) for _ in range(2)]

    assert [one.reason for one in refused] == [Reason.BUDGET_EXHAUSTED] * 2
    assert "of the study's ε = " in refused[0].detail
    assert ", 0 is left, and this takes " in refused[0].detail
    assert ask(world, Count(of=(ILL,))) == (known, False)


def test_a_ratio_tells_how_much_more_often() -> None:
    world = make_world(patients=150, questions=1)

    said = read(world, ask(world, Ratio(of=(ILL,), among=(SMOKES,), against=(NEVER,)))[0])

    rates = []
    for smokes in ("yes", "no"):
        rows = [row for site in SITES for each in world.rows[site].values() for row in each]
        ill = [row["ill"] == 1 for row in rows if row["smokes"] == smokes]
        rates.append(sum(ill) / len(ill))
    assert said.result is not None
    assert said.result.low < rates[0] / rates[1] < (said.result.high or float("inf"))
    assert len(said.counts) == 4


def test_a_run_that_failed_is_tried_again_and_paid_for_again() -> None:
    world = make_world(patients=12, questions=3)
    office = world.offices[OWNER]
    question = Count(of=(ILL,))
    first = questions.ask(office, world.study, world.rosa.id, question)
    assert questions.ask(office, world.study, world.rosa.id, question).run == first.run
    office.author.submit(FailRun, run=first.run, reason=int(Reason.TOO_SLOW))

    second, is_new = ask(world, question)

    assert is_new
    assert second != first.run
    assert count_spent(world) == {2 * EPSILON_MICRO}
    assert ask(world, question) == (second, False)


def test_a_run_whose_time_is_over_is_given_up_by_who_asks_again() -> None:
    world = make_world(patients=12, questions=2)
    question = Count(of=(ILL,))
    first = questions.ask(world.offices[OWNER], world.study, world.rosa.id, question)
    world.world.clock.advance(2 * 3_600_000)

    second = questions.ask(world.offices[OWNER], world.study, world.rosa.id, question)

    assert second.is_new
    run = RUNS.find(world.world.engine.snapshot(), first.run)
    assert run is not None
    assert run.status is RunStatus.FAILED


def test_questions_are_answered_without_one_who_was_erased_and_who_waits_with_the_others() -> None:
    world = make_world(patients=24)
    site, gone = SITES[1], next(iter(world.rows[SITES[1]]))
    office = world.offices[site]
    (first, _), before = ask(world, Count(of=(ILL,))), list_datasets(world)

    erasures.erase_patient(office, gone)

    assert withdrawals.look_after(office, world.study) is withdrawals.Step.WAITING
    assert ask(world, Count(of=(ILL,))) == (first, False)
    run, is_new = ask(world, Count(of=(SMOKES,)))
    assert is_new
    assert read(world, run).result is not None
    assert (count_spent(world), list_datasets(world)) == ({2 * EPSILON_MICRO}, before)
    world.world.clock.advance(26 * MS_PER_DAY)
    assert withdrawals.look_after(office, world.study) is withdrawals.Step.REPLACED
    (replaced,) = list_datasets(world) - before
    assert gone not in {one.patient for one in get_roll(office.custody, replaced).participants}


def test_two_who_ask_at_once_get_one_run() -> None:
    world = make_world(patients=12, questions=3)
    begun = []

    def ask_too() -> None:
        begun.append(questions.ask(world.offices[OWNER], world.study, world.rosa.id, Count(of=(ILL,))))

    threads = [threading.Thread(target=ask_too) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one.run for one in begun}) == 1
    assert [one.is_new for one in begun].count(True) == 1
    assert count_spent(world) == {EPSILON_MICRO}


def test_other_datasets_are_another_question() -> None:
    world = make_world(patients=40, questions=3)
    first, _ = ask(world, Count(of=(ILL,)))
    site = SITES[0]
    world.withdraw(site, 10)
    withdrawals.look_after_all(world.offices[site])

    second, is_new = ask(world, Count(of=(ILL,)))

    assert is_new
    assert second != first
    view = world.world.engine.snapshot()
    standing = [MODELS.find(view, name_answer(one)) for one in (first, second)]
    assert [one.status for one in standing if one is not None] == ["stale", "current"]


def test_without_a_site_it_is_another_question_that_the_site_does_not_pay_for() -> None:
    world = make_world(patients=60, questions=2)
    question, (lost, *others) = Count(of=(ILL,)), SITES
    whole = ask(world, question)

    fewer, is_new = ask(world, Count(of=(ILL, ILL)), without=(lost,))

    assert (is_new, fewer == whole[0]) == (True, False)
    assert ask(world, question) == (whole[0], False)
    assert ask(world, question, without=(lost, lost)) == (fewer, False)
    assert count_spent(world, others) == {2 * EPSILON_MICRO}
    assert sum_spendings(world, lost) == EPSILON_MICRO
    world.suspend(lost)
    assert ask(world, question) == (fewer, False)  # the same datasets, whyever the site takes no part
    said = read(world, fewer)
    exact = sum(row["ill"] == 1 for site in others for each in world.rows[site].values() for row in each)
    assert (said.sites, said.result is None) == (3, False)
    assert abs(said.counts[0].value - exact) < FAR * said.deviation
    entry = MODELS.find(world.world.engine.snapshot(), name_answer(fewer))
    assert entry is not None
    card = get_document(world.offices[OWNER].custody, entry.card).decode()
    assert f"- Sites: {', '.join(others)} (without {lost}); reviewed by" in card


@pytest.mark.parametrize(
    ("without", "reason", "detail"),
    [
        ((MemberId("nobody"),), Reason.NOT_A_SITE, "hospital-c, hospital-d, and not nobody"),
        (SITES[:2], Reason.TOO_FEW_SITES, "fewer than three"),
        (SITES, Reason.DATASET_NOT_ACTIVE, "no site"),
    ],
)
def test_who_cannot_be_left_out_is_said_and_nothing_spent(
    world: StudyWorld, without: tuple[MemberId, ...], reason: Reason, detail: str
) -> None:
    before = count_spent(world)

    refused = refuse(world, Count(of=(NEVER,)), without=without)

    assert refused.reason is reason
    assert detail in str(refused.detail)
    assert count_spent(world) == before


def test_what_cannot_be_asked_is_refused_before_anything_is_spent() -> None:
    world = make_world(patients=12, questions=3, sites=SITES[:2])
    plain = StudyWorld(patients=12)

    assert refuse(world, Count(of=(Condition(column="age", at_least=1.0),))).reason is (
        Reason.QUESTION_INVALID
    )
    assert refuse(world, Count(of=(ILL,))).reason is Reason.TOO_FEW_SITES
    assert refuse(plain, Count(of=(ILL,))).reason is Reason.PERMIT_DOES_NOT_COVER
    with pytest.raises(Refused) as refused:
        world.start()
    assert refused.value.reason is Reason.PERMIT_DOES_NOT_COVER
    assert count_spent(world) == {0}


def test_a_permit_that_is_over_answers_nothing_new_and_keeps_what_it_answered() -> None:
    world = make_world(patients=12, questions=3)
    known, _ = ask(world, Count(of=(ILL,)))
    for reviewer in world.reviewers[:1]:
        studies.revoke_permit(reviewer.author, world.study, grounds="Enough")

    assert refuse(world, Count(of=(SMOKES,))).reason is Reason.PERMIT_NOT_ACTIVE
    assert ask(world, Count(of=(ILL,))) == (known, False)
    study = STUDIES.find(world.world.engine.snapshot(), world.study)
    assert study is not None
    assert study.status is StudyStatus.REVOKED


def test_a_column_whose_refusal_would_show_a_value_is_no_column_for_questions() -> None:
    with pytest.raises(Refused) as refused:
        StudyWorld(
            patients=1,
            protocol=write_protocol(estimator=Questions(epsilon_micro=EPSILON_MICRO)),
            budget_micro=EPSILON_MICRO,
        )
    assert refused.value.reason is Reason.SCHEMA_INVALID
