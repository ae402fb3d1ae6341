"""What is refused before a run begins: nothing is spent where nothing can come of it."""

from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from iamata.learning.protocols import Private, name_document
from iamata.ledger.entries import EhdsPurpose, StudyStatus
from iamata.ledger.events import RunStarted
from iamata.model.ids import MemberId, ModelId, RunId, StudyId
from iamata.model.instants import Day
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import OPEN, OWNER, SITES, StudyWorld, write_protocol
from iamata.workflows import starting, studies
from iamata.workflows.lineages import get_model, get_study, list_model_sites


def refuse(work: Callable[[], object]) -> Reason:
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.reason


def test_whose_budget_is_exhausted_is_said() -> None:
    protocol = write_protocol(schema=OPEN, estimator=Private(epsilon_micro=4_000_000))
    world = StudyWorld(patients=12, protocol=protocol, budget_micro=30_000_000)
    small = world.permit(msgspec.structs.replace(protocol, title="Small"), budget_micro=5_000_000)
    for site in SITES:
        world.build(site)
        world.build(site, study=small)
    details = []

    for study in (small, small, world.study, world.study):
        try:
            studies.start_run(world.offices[OWNER], study, world.rosa.id)
        except Refused as refused:
            assert refused.reason is Reason.BUDGET_EXHAUSTED
            details.append(refused.detail)

    of_study, of_year = details
    left = ", ".join(f"{site} 2" for site in SITES)
    assert of_study == "of the study's ε = 5, 1 is left, and this takes 4"
    assert of_year.startswith("of the ε = 10 that all studies may spend at a custodian in 365 days, ")
    assert of_year.endswith(f"there is left at {left}; this takes 4")


def test_a_study_of_other_code_is_rejected_and_not_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    world = StudyWorld(patients=1)
    proposal = studies.Proposal(
        uses=("DUO:0000006",),
        purpose=EhdsPurpose.RESEARCH,
        sites=SITES,
        until_day=Day(world.world.today + 9),
    )
    document = msgspec.json.encode(world.protocol)
    study = studies.propose_study(world.offices[OWNER], world.rosa.author, document, proposal)
    monkeypatch.setattr(studies, "compute_code_digest", lambda: name_document(b"another"))

    for reviewer in world.reviewers:
        review = partial(studies.review_study, reviewer.author, study, grounds="Who knows what runs")
        assert refuse(partial(review, is_approval=True)) is Reason.CODE_NOT_REVIEWED
        review(is_approval=False)

    assert get_study(world.world.engine.snapshot(), study).status is StudyStatus.REFUSED


def test_a_run_of_which_nothing_can_come_is_not_begun() -> None:
    world = StudyWorld(patients=12)
    office, first = world.offices[OWNER], world.study
    for site in SITES[:2]:
        world.build(site)

    assert refuse(world.start) is Reason.TOO_FEW_SITES
    world.build(SITES[2])
    older = world.learn()
    newer = world.learn(supersedes=older)
    another = world.permit(write_protocol(title="Another"))
    for site in SITES[:3]:
        world.build(site, study=another)

    def start(study: StudyId, supersedes: ModelId) -> RunId:
        return studies.start_run(office, study, world.rosa.id, supersedes=supersedes)

    assert refuse(lambda: start(first, older)) is Reason.UNKNOWN_MODEL  # superseded already
    assert refuse(lambda: start(another, newer)) is Reason.UNKNOWN_MODEL  # of another study
    assert refuse(lambda: start(first, ModelId("nowhere"))) is Reason.UNKNOWN_MODEL
    assert studies.list_unregistered(office) == []
    events = [leaf.event for _, leaf in world.world.engine.events(0)]
    assert sum(isinstance(one, RunStarted) for one in events) == 2


def test_an_owner_goes_on_without_a_site() -> None:
    world = StudyWorld(patients=12)
    for site in SITES:
        world.build(site)
    lost, *others = SITES

    model = world.learn(without=(lost,))
    world.suspend(lost)
    later = world.learn()

    view = world.world.engine.snapshot()
    for one in (model, later):
        entry = get_model(view, one)
        card = world.read_model(entry.card).decode()
        assert list_model_sites(view, entry) == others
        assert f"- Sites: {', '.join(others)} (without {lost}); reviewed by" in card
        assert "each a sum over 3 sites" in card


@pytest.mark.parametrize(
    ("without", "reason", "detail"),
    [
        ((MemberId("nobody"),), Reason.NOT_A_SITE, "hospital-c, hospital-d, and not nobody"),
        ((OWNER, SITES[0]), Reason.NOT_A_SITE, "and not institute"),
        (SITES[:2], Reason.TOO_FEW_SITES, "fewer than three"),
        (SITES, Reason.DATASET_NOT_ACTIVE, "no site"),
    ],
)
def test_whom_an_owner_cannot_leave_out_is_said(
    built: StudyWorld, without: tuple[MemberId, ...], reason: Reason, detail: str
) -> None:
    with pytest.raises(Refused) as refused:
        built.start(without=without)

    assert refused.value.reason is reason
    assert detail in str(refused.value.detail)


@pytest.fixture(scope="module")
def built() -> StudyWorld:
    """Set a study up to where its datasets are posted."""
    world = StudyWorld(patients=12)
    for site in SITES:
        world.build(site)
    return world


def test_a_dataset_takes_no_more_models_than_the_ledger_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = StudyWorld(patients=12)
    for site in SITES:
        world.build(site)
    older = world.learn()
    world.learn(supersedes=older)
    monkeypatch.setattr(starting, "MODELS_MAX", 2)
    world.learn()  # one of the two is superseded

    assert refuse(world.start) is Reason.TOO_LARGE
