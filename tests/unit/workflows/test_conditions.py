"""Conditions on data are kept with each dataset, and matched again whenever its rows would be used."""

import msgspec
import pytest

from iamata.consent.data_use import Conditions, Permission
from iamata.ledger.entries import ModelStatus, RunStatus
from iamata.ledger.events import RunFailed
from iamata.ledger.tables import DATASETS, MODELS, RUNS, STUDIES
from iamata.model.ids import DatasetId, MemberId
from iamata.model.instants import MS_PER_DAY, Day, format_day
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import HEALTH, SITES, StudyWorld
from iamata.vault.journal import read_entries
from iamata.vault.openings import find_opening
from iamata.workflows.datasets import (
    find_agreed,
    find_dataset,
    get_study,
    make_participant,
    post,
)
from iamata.workflows.frozen_tables import find_conditions, get_roll
from iamata.workflows.withdrawals import Step, look_after, look_after_all

FEW, MANY, NOBODY, FREE = SITES
JUDGED = Conditions(permission=Permission.HEALTH_RESEARCH, modifiers=("DUO:0000021",), is_judged=True)


def get_active(world: StudyWorld, site: MemberId) -> DatasetId:
    view = world.world.engine.snapshot()
    study = STUDIES.find(view, world.study)
    assert study is not None
    dataset = find_dataset(view, world.offices[site], study)
    assert dataset is not None
    return dataset


def build_as_before(world: StudyWorld, site: MemberId) -> DatasetId:
    """Build a dataset as a version did that kept no conditions."""
    office = world.offices[site]
    view = office.take_view()
    study, protocol = get_study(office, view, world.study)
    found = {one: find_agreed(office, view, one, study, protocol) for one in sorted(world.rows[site])}
    taking_part = [
        make_participant(office, world.study, one, agreed) for one, agreed in found.items() if agreed
    ]
    return post(office, view, world.study, world.rows[site], taking_part, conditions=None, replaces=None)


class Lapsed(StudyWorld):
    """Three of four sites name a last day: a model is learned on it, and on the day after none is."""

    def __init__(self) -> None:
        super().__init__(patients=24)
        self.last_day = Day(self.world.today + 1)
        for site in (FEW, MANY, NOBODY):
            self.build(site, msgspec.structs.replace(JUDGED, until_day=self.last_day))
        self.datasets = {FREE: self.build(FREE, JUDGED)}
        self.world.clock.advance(MS_PER_DAY)
        self.model = self.learn()
        self.world.clock.advance(MS_PER_DAY)
        self.journalled = self.count_journalled()
        self.run = self.start()
        self.came = self.train(self.run)
        self.journalled_after = self.count_journalled()
        for site, leaving in ((FEW, 9), (MANY, 10), (FREE, 10)):
            self.withdraw(site, leaving)
        self.steps = {site: look_after_all(self.offices[site])[self.study] for site in SITES}
        self.world.clock.advance(27 * MS_PER_DAY)
        self.at_deadline = {site: look_after(self.offices[site], self.study) for site in (FEW, NOBODY)}

    def count_journalled(self) -> int:
        """Count what a patient of a site whose last day passes is told."""
        return len(list(read_entries(self.offices[NOBODY].custody, self.patients[NOBODY][0].id)))


@pytest.fixture(scope="module")
def lapsed() -> Lapsed:
    """Tell it once."""
    return Lapsed()


def test_after_the_last_day_a_site_takes_part_in_no_run_and_says_why(lapsed: Lapsed) -> None:
    engine = lapsed.world.engine
    entry = RUNS.find(engine.snapshot(), lapsed.run)
    failures = [leaf.event for _, leaf in engine.events(0) if isinstance(leaf.event, RunFailed)]

    refused = [one for site, one in lapsed.came.items() if site != FREE and isinstance(one, Refused)]

    assert len(refused) == 3
    assert {one.reason for one in refused} <= {Reason.PURPOSE_NOT_PERMITTED, Reason.RUN_OVER}
    assert any(f"until {format_day(lapsed.last_day)}" in one.detail for one in refused)
    assert entry is not None
    assert entry.status is RunStatus.FAILED
    assert [one.reason for one in failures] == [Reason.PURPOSE_NOT_PERMITTED]
    assert lapsed.journalled_after == lapsed.journalled


def test_what_may_not_be_used_any_more_is_not_replaced_and_goes_with_those_who_leave(
    lapsed: Lapsed,
) -> None:
    learned = MODELS.find(lapsed.world.engine.snapshot(), lapsed.model)
    said = {site: format_day(lapsed.last_day) in one.objection for site, one in lapsed.steps.items()}

    assert {site: one.step for site, one in lapsed.steps.items()} == {
        FEW: Step.WAITING,
        MANY: Step.RETIRED,
        NOBODY: Step.NOTHING,
        FREE: Step.REPLACED,
    }
    assert said == {FEW: True, MANY: True, NOBODY: True, FREE: False}
    assert learned is not None
    assert learned.status is ModelStatus.RETIRED


def test_a_dataset_that_takes_anothers_place_keeps_its_conditions_and_what_people_judged(
    lapsed: Lapsed,
) -> None:
    replacing = get_active(lapsed, FREE)

    assert replacing != lapsed.datasets[FREE]
    assert find_conditions(lapsed.offices[FREE].custody, replacing) == JUDGED
    assert lapsed.steps[FREE].objection == ""


def test_at_the_deadline_a_dataset_goes_with_few_and_stays_where_nobody_left(lapsed: Lapsed) -> None:
    assert lapsed.at_deadline == {FEW: Step.RETIRED, NOBODY: Step.CONFIRMED}


def test_what_the_rules_leave_to_people_is_refused_after_the_last_day_to_people_too() -> None:
    world = StudyWorld(patients=12)

    with pytest.raises(Refused) as refused:
        world.build(FREE, msgspec.structs.replace(JUDGED, until_day=Day(world.world.today - 1)))

    assert refused.value.reason is Reason.PURPOSE_NOT_PERMITTED
    assert "and no longer" in refused.value.detail


def test_the_ledger_commits_to_the_conditions_and_an_older_dataset_does_without() -> None:
    world = StudyWorld(patients=24)
    before, now = build_as_before(world, FEW), world.build(FREE)
    view = world.world.engine.snapshot()

    for site, dataset, conditions in ((FEW, before, None), (FREE, now, HEALTH)):
        custody, entry = world.offices[site].custody, DATASETS.find(view, dataset)
        opening = find_opening(custody, dataset)
        assert opening is not None
        assert entry is not None
        assert opening.commitment == entry.consents
        assert (b"conditions" in opening.payload) is (conditions is not None)
        assert get_roll(custody, dataset).conditions == conditions

    world.withdraw(FEW, 10)
    assert look_after(world.offices[FEW], world.study) is Step.REPLACED
    assert find_conditions(world.offices[FEW].custody, get_active(world, FEW)) is None
