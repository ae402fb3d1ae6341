"""What is refused before a run begins: nothing is spent where nothing can come of it."""

from collections.abc import Callable

import pytest

from iamata.ledger.events import RunStarted
from iamata.model.ids import ModelId, RunId, StudyId
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import OWNER, SITES, StudyWorld, write_protocol
from iamata.workflows import starting, studies


def refuse(work: Callable[[], object]) -> Reason:
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.reason


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


def test_a_dataset_takes_no_more_models_than_the_ledger_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = StudyWorld(patients=12)
    for site in SITES:
        world.build(site)
    older = world.learn()
    world.learn(supersedes=older)
    monkeypatch.setattr(starting, "MODELS_MAX", 2)
    world.learn()  # one of the two is superseded

    assert refuse(world.start) is Reason.TOO_LARGE
